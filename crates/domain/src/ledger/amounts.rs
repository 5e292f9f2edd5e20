//! What a conversion is worth: a goal's terms applied to what its postbacks say.
//!
//! A fixed term is what it says, whatever was sent. An amount in another currency is needed by a
//! term, and waits for a rate, or it is not, and is left out: it is never taken for ours.

use super::Conversion;
use crate::campaign::{Goal, Term};
use crate::contract::RepeatedAmount;
use crate::money::{AMOUNT_MAX, Currency, Micros};
use crate::postback::{Amount, Postback, Problem};
use crate::reason::{Flag, Flags, Reason};

/// The amounts of one conversion, in its campaign's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) revenue: Micros,
    pub(super) payout: Micros,
    /// What the sender said it pays, whatever the terms say.
    pub(super) sent_amount: Option<Micros>,
    pub(super) sale_amount: Option<Micros>,
    pub(super) missing: Missing,
}

/// The amounts that a term needs and no postback has named yet: they count as 0 until one does.
/// A 0 that was named is not missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    pub revenue: bool,
    pub payout: bool,
}

impl Missing {
    const BOTH: Self = Self { revenue: true, payout: true };

    pub fn is_any(self) -> bool {
        self.revenue || self.payout
    }
}

impl Amounts {
    /// Those of a new conversion, and the flags of its postback.
    pub(super) fn of(
        goal: &Goal,
        currency: Currency,
        postback: &Postback,
    ) -> Result<(Self, Flags), Problem> {
        let sent = Sent::of(currency, postback);
        sent.check_rate(goal, Missing::BOTH)?;
        let mut flags = sent.flags();
        let mut worth = |term: &Term, amount: Option<Micros>| match *term {
            Term::Fixed(fixed) => {
                if amount.is_some_and(|amount| amount != fixed) {
                    flags.add(Flag::SentAmountDiffers);
                }
                Ok(Some(fixed))
            }
            Term::Percent(_) => sent.worth(term, amount),
            Term::FromPostback { default } => Ok(amount.or(default)),
        };
        let revenue = worth(&goal.revenue, sent.revenue)?;
        let payout = worth(&goal.payout, sent.payout)?;
        let new = Self {
            revenue: revenue.unwrap_or_default(),
            payout: payout.unwrap_or_default(),
            sent_amount: sent.amount,
            sale_amount: sent.sale_amount,
            missing: Missing { revenue: revenue.is_none(), payout: payout.is_none() },
        };
        if new.missing.is_any() {
            flags.add(Flag::AmountMissing);
        }
        Ok((new, flags))
    }

    /// Those of `old`, as they are.
    pub(super) fn kept(old: &Conversion) -> Self {
        Self {
            revenue: old.revenue,
            payout: old.payout,
            sent_amount: old.sent_amount,
            sale_amount: old.sale_amount,
            missing: old.missing,
        }
    }

    /// Those of `old` after another postback, and the flags of that postback. An amount that was
    /// missing is taken from whichever postback has it, whatever `repeated` says.
    pub(super) fn again(
        old: &Conversion,
        goal: &Goal,
        postback: &Postback,
        repeated: RepeatedAmount,
    ) -> Result<(Self, Flags), Problem> {
        let sent = Sent::of(old.currency, postback);
        // Which amounts the postback has a say in.
        let open = match repeated {
            RepeatedAmount::Keep => old.missing,
            RepeatedAmount::Replace | RepeatedAmount::Add => Missing::BOTH,
        };
        sent.check_rate(goal, open)?;
        let mut flags = sent.flags();
        if sent.differs_from(old, goal, open) {
            flags.add(Flag::SentAmountDiffers);
        }
        let said = match repeated {
            RepeatedAmount::Keep | RepeatedAmount::Replace => sent,
            // A share is taken of all sales together.
            RepeatedAmount::Add => sent.added_to(old)?,
        };
        let mut new = Self::kept(old);
        if open.revenue
            && let Some(amount) = said.worth(&goal.revenue, said.revenue)?
        {
            (new.revenue, new.missing.revenue) = (amount, false);
        }
        if open.payout
            && let Some(amount) = said.worth(&goal.payout, said.payout)?
        {
            (new.payout, new.missing.payout) = (amount, false);
        }
        let pick = |old: Option<Micros>, said: Option<Micros>| match repeated {
            RepeatedAmount::Keep => old.or(said),
            RepeatedAmount::Replace | RepeatedAmount::Add => said.or(old),
        };
        new.sent_amount = pick(old.sent_amount, said.amount);
        new.sale_amount = pick(old.sale_amount, said.sale_amount);
        Ok((new, flags))
    }
}

/// What a postback says about money, in the campaign's currency.
#[derive(Default)]
struct Sent {
    /// The one the sender calls its payment.
    amount: Option<Micros>,
    revenue: Option<Micros>,
    payout: Option<Micros>,
    sale_amount: Option<Micros>,
    /// The currency it speaks of, where that is another one.
    foreign: Option<Foreign>,
}

struct Foreign {
    from: Currency,
    to: Currency,
    revenue: bool,
    payout: bool,
    sale_amount: bool,
}

impl Sent {
    fn of(currency: Currency, postback: &Postback) -> Self {
        let from = match &postback.currency {
            Some(Ok(sent)) => *sent,
            Some(Err(_)) | None => currency,
        };
        if from != currency {
            let foreign = Foreign {
                from,
                to: currency,
                revenue: postback.revenue.is_some(),
                payout: postback.payout.is_some(),
                sale_amount: postback.sale_amount.is_some(),
            };
            return Self { foreign: Some(foreign), ..Self::default() };
        }
        let of = |amount: Option<Amount>| amount.map(|amount| amount.of(currency));
        Self {
            amount: of(postback.revenue.or(postback.payout)),
            revenue: of(postback.revenue),
            payout: of(postback.payout),
            sale_amount: of(postback.sale_amount),
            foreign: None,
        }
    }

    /// A problem where a term that is open needs an amount that is in another currency.
    fn check_rate(&self, goal: &Goal, open: Missing) -> Result<(), Problem> {
        let Some(foreign) = &self.foreign else { return Ok(()) };
        let is_needed = |term: &Term, is_sent| match term {
            Term::Fixed(_) => false,
            Term::Percent(_) => foreign.sale_amount,
            Term::FromPostback { .. } => is_sent,
        };
        if open.revenue && is_needed(&goal.revenue, foreign.revenue)
            || open.payout && is_needed(&goal.payout, foreign.payout)
        {
            let detail = format!("there is no rate from {} to {}", foreign.from, foreign.to);
            return Err(Problem::new(Reason::RateMissing, None, detail));
        }
        Ok(())
    }

    fn flags(&self) -> Flags {
        self.foreign.iter().map(|_| Flag::SentValueDiffers).collect()
    }

    /// What it makes of a term, given the amount it names for it; `None`: it says nothing of it.
    fn worth(&self, term: &Term, amount: Option<Micros>) -> Result<Option<Micros>, Problem> {
        match term {
            Term::Fixed(_) => Ok(None),
            Term::Percent(percent) => {
                let share = |sale| percent.of(sale).filter(|share| *share <= AMOUNT_MAX);
                let share = self.sale_amount.map(|sale| share(sale).ok_or_else(out_of_range));
                share.transpose()
            }
            Term::FromPostback { .. } => Ok(amount),
        }
    }

    /// Whether it names another amount than the one that counts, for a term it has no say in.
    fn differs_from(&self, old: &Conversion, goal: &Goal, open: Missing) -> bool {
        let differs = |term: &Term, is_open: bool, sent: Option<Micros>, counts| match term {
            Term::Fixed(_) => sent.is_some_and(|sent| sent != counts),
            Term::FromPostback { .. } => !is_open && sent.is_some_and(|sent| sent != counts),
            Term::Percent(_) => {
                !is_open && self.sale_amount.is_some() && self.sale_amount != old.sale_amount
            }
        };
        differs(&goal.revenue, open.revenue, self.revenue, old.revenue)
            || differs(&goal.payout, open.payout, self.payout, old.payout)
    }

    /// The sums of what was sent and what `old` has: a share is taken of all sales together.
    fn added_to(&self, old: &Conversion) -> Result<Self, Problem> {
        let add = |sent: Option<Micros>, old: Micros| {
            let sum = |sent| old.checked_add(sent).filter(|sum| *sum <= AMOUNT_MAX);
            sent.map(|sent| sum(sent).ok_or_else(out_of_range)).transpose()
        };
        Ok(Self {
            amount: add(self.amount, old.sent_amount.unwrap_or_default())?,
            revenue: add(self.revenue, old.revenue)?,
            payout: add(self.payout, old.payout)?,
            sale_amount: add(self.sale_amount, old.sale_amount.unwrap_or_default())?,
            foreign: None,
        })
    }
}

fn out_of_range() -> Problem {
    Problem::new(Reason::InvalidPayload, None, "an amount is out of range")
}

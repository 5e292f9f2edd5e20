//! What a conversion is worth: a goal's terms applied to what its postbacks say.
//!
//! A fixed term is what it says, whatever was sent. An amount in another currency is needed by a
//! term, and waits for a rate, or it is not, and is left out: it is never taken for ours.

use super::Conversion;
use crate::campaign::{Goal, Term};
use crate::contract::RepeatedAmount;
use crate::money::{Currency, Micros};
use crate::postback::{Amount, Postback, Problem};
use crate::reason::{Flag, Flags, Reason};

/// The amounts of one conversion, in its campaign's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub revenue: Micros,
    pub payout: Micros,
    /// What the sender said it pays, whatever the terms say.
    pub sent_amount: Option<Micros>,
    pub sale_amount: Option<Micros>,
    pub flags: Flags,
}

impl Amounts {
    /// Those of a new conversion.
    pub fn of(goal: &Goal, currency: Currency, postback: &Postback) -> Result<Self, Problem> {
        let sent = Sent::of(currency, postback);
        sent.check_rate(goal)?;
        let mut flags = sent.flags();
        let mut worth = |term: &Term, amount| -> Result<Micros, Problem> {
            if let (Term::Fixed(fixed), Some(amount)) = (term, amount)
                && amount != *fixed
            {
                flags.add(Flag::SentAmountDiffers);
            }
            Ok(sent.worth(term, amount)?.unwrap_or_else(|| {
                flags.add(Flag::AmountMissing);
                Micros::ZERO
            }))
        };
        let revenue = worth(&goal.revenue, sent.revenue)?;
        let payout = worth(&goal.payout, sent.payout)?;
        let (sent_amount, sale_amount) = (sent.amount, sent.sale_amount);
        Ok(Self { revenue, payout, sent_amount, sale_amount, flags })
    }

    /// Those of `old`, as they are.
    pub(super) fn kept(old: &Conversion) -> Self {
        Self {
            revenue: old.revenue,
            payout: old.payout,
            sent_amount: old.sent_amount,
            sale_amount: old.sale_amount,
            flags: old.flags,
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
        let was_missing = old.flags.has(Flag::AmountMissing);
        let sent = Sent::of(old.currency, postback);
        if was_missing || repeated != RepeatedAmount::Keep {
            sent.check_rate(goal)?;
        }
        let mut flags = sent.flags();
        let mut new = Self::kept(old);
        match repeated {
            RepeatedAmount::Keep => {
                if sent.differs_from(old, was_missing) {
                    flags.add(Flag::SentAmountDiffers);
                }
                if was_missing {
                    new.replace(goal, &sent.not_in(old))?;
                }
            }
            RepeatedAmount::Replace => new.replace(goal, &sent)?,
            RepeatedAmount::Add => new.replace(goal, &sent.added_to(old)?)?,
        }
        let is_known = |term: &Term, is_sent, amount: Micros| match term {
            Term::Fixed(_) => true,
            Term::Percent(_) => new.sale_amount.is_some(),
            Term::FromPostback { default } => is_sent || default.is_some() || !amount.is_zero(),
        };
        if is_known(&goal.revenue, sent.revenue.is_some(), new.revenue)
            && is_known(&goal.payout, sent.payout.is_some(), new.payout)
        {
            new.flags.remove(Flag::AmountMissing);
        }
        Ok((new, flags))
    }

    /// Takes over what was sent, and only that: nothing stands in for what was not.
    fn replace(&mut self, goal: &Goal, sent: &Sent) -> Result<(), Problem> {
        let worth = |term: &Term, amount: Option<Micros>, old| match term {
            Term::Fixed(_) => Ok(old),
            Term::Percent(_) => Ok(sent.worth(term, amount)?.unwrap_or(old)),
            Term::FromPostback { .. } => Ok(amount.unwrap_or(old)),
        };
        self.revenue = worth(&goal.revenue, sent.revenue, self.revenue)?;
        self.payout = worth(&goal.payout, sent.payout, self.payout)?;
        self.sent_amount = sent.amount.or(self.sent_amount);
        self.sale_amount = sent.sale_amount.or(self.sale_amount);
        Ok(())
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

    /// A problem where a term needs an amount that is in another currency.
    fn check_rate(&self, goal: &Goal) -> Result<(), Problem> {
        let Some(foreign) = &self.foreign else { return Ok(()) };
        let is_needed = |term: &Term, is_sent| match term {
            Term::Fixed(_) => false,
            Term::Percent(_) => foreign.sale_amount,
            Term::FromPostback { .. } => is_sent,
        };
        if is_needed(&goal.revenue, foreign.revenue) || is_needed(&goal.payout, foreign.payout) {
            let detail = format!("there is no rate from {} to {}", foreign.from, foreign.to);
            return Err(Problem::new(Reason::RateMissing, None, detail));
        }
        Ok(())
    }

    fn flags(&self) -> Flags {
        self.foreign.iter().map(|_| Flag::SentValueDiffers).collect()
    }

    /// What a term comes to; `None`: it needs an amount that was not sent.
    fn worth(&self, term: &Term, amount: Option<Micros>) -> Result<Option<Micros>, Problem> {
        match term {
            Term::Fixed(fixed) => Ok(Some(*fixed)),
            Term::Percent(percent) => {
                let share = self.sale_amount.map(|sale| percent.of(sale).ok_or_else(out_of_range));
                share.transpose()
            }
            Term::FromPostback { default } => Ok(amount.or(*default)),
        }
    }

    /// Whether it says something else than `old` has. What was missing cannot differ.
    fn differs_from(&self, old: &Conversion, was_missing: bool) -> bool {
        let differs = |sent: Option<Micros>, old| sent.is_some() && sent != old;
        if was_missing {
            let known = |amount: Micros| Some(amount).filter(|amount| !amount.is_zero());
            let is_other = |sent, old: Option<Micros>| old.is_some() && differs(sent, old);
            return is_other(self.revenue, known(old.revenue))
                || is_other(self.payout, known(old.payout))
                || is_other(self.sale_amount, old.sale_amount);
        }
        differs(self.amount, old.sent_amount) || differs(self.sale_amount, old.sale_amount)
    }

    /// What `old` does not have already.
    fn not_in(&self, old: &Conversion) -> Self {
        Self {
            amount: self.amount.filter(|_| old.sent_amount.is_none()),
            revenue: self.revenue.filter(|_| old.revenue.is_zero()),
            payout: self.payout.filter(|_| old.payout.is_zero()),
            sale_amount: self.sale_amount.filter(|_| old.sale_amount.is_none()),
            foreign: None,
        }
    }

    /// The sums of what was sent and what `old` has: a share is taken of all sales together.
    fn added_to(&self, old: &Conversion) -> Result<Self, Problem> {
        let add = |sent: Option<Micros>, old: Micros| {
            sent.map(|sent| old.checked_add(sent).ok_or_else(out_of_range)).transpose()
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

//! What a postback says about money.

use super::{Problem, Reader};
use crate::contract::{Canonical, Unit};
use crate::money::{AMOUNT_MAX, Currency, Micros};
use crate::reason::Reason;

/// An amount as it was sent, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    pub micros: Micros,
    /// It had more than six decimals.
    pub rounded: bool,
    pub unit: Unit,
}

impl Amount {
    /// Its value in `currency`.
    pub fn of(self, currency: Currency) -> Micros {
        match self.unit {
            Unit::Decimal => self.micros,
            // Whole units were read as if they were units of the currency.
            Unit::Minor => currency.from_minor(self.micros),
        }
    }
}

/// All amounts of a postback.
pub(super) struct Amounts {
    pub(super) revenue: Option<Amount>,
    pub(super) sale_amount: Option<Amount>,
    pub(super) payout: Option<Amount>,
    /// The name of the first that had a minus.
    pub(super) negative: Option<String>,
}

impl Amounts {
    pub(super) fn is_rounded(&self) -> bool {
        let all = [self.revenue, self.sale_amount, self.payout];
        all.into_iter().flatten().any(|amount| amount.rounded)
    }
}

impl Reader<'_> {
    /// The amounts without their signs: what a minus means, the status says.
    pub(super) fn amounts(&self) -> Result<Amounts, Problem> {
        let mut negative = None;
        let mut amount = |canonical| self.amount(canonical, &mut negative);
        let mut revenue = amount(Canonical::Revenue)?;
        let sale_amount = amount(Canonical::SaleAmount)?;
        let mut payout = amount(Canonical::Payout)?;
        if self.contract.payout_may_be_revenue && revenue.is_none() {
            revenue = payout.take();
        }
        Ok(Amounts { revenue, sale_amount, payout, negative })
    }

    fn amount(
        &self,
        canonical: Canonical,
        negative: &mut Option<String>,
    ) -> Result<Option<Amount>, Problem> {
        let Some(value) = self.found.iter().find(|value| value.canonical == canonical) else {
            return Ok(None);
        };
        let unit = self.contract.parameter(canonical).map(|one| one.unit).unwrap_or_default();
        let invalid = |detail: String| {
            Problem::new(Reason::InvalidPayload, Some(value.name.as_str()), detail)
        };
        let parsed = Micros::parse(&value.text)
            .map_err(|error| invalid(format!("`{}` is not an amount: {error}", value.name)))?;
        if unit == Unit::Minor && value.text.contains('.') {
            return Err(invalid(format!("`{}` is no whole number of minor units", value.name)));
        }
        let micros = if parsed.amount < Micros::ZERO {
            negative.get_or_insert_with(|| value.name.clone());
            let positive = parsed.amount.checked_neg();
            positive.ok_or_else(|| invalid(format!("`{}` is out of range", value.name)))?
        } else {
            parsed.amount
        };
        if micros > AMOUNT_MAX {
            return Err(invalid(format!("`{}` is above {}", value.name, AMOUNT_MAX)));
        }
        Ok(Some(Amount { micros, rounded: parsed.rounded, unit }))
    }
}

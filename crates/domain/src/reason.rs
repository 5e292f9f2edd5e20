//! Verdicts, reasons and flags: what became of a hit, in words that stay the same for ever.
//!
//! Each reason has a page in `docs/reasons/`: what it means, who mends it, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a hit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It made a conversion.
    Recorded,
    /// It changed one.
    Updated,
    /// It says what an earlier one said.
    Duplicate,
    /// It cannot be decided yet.
    Parked,
    /// It asks for nothing, as a ping.
    Ignored,
    /// It counts for nothing, for a reason.
    Refused,
}

impl Verdict {
    pub const ALL: [Self; 6] = [
        Self::Recorded,
        Self::Updated,
        Self::Duplicate,
        Self::Parked,
        Self::Ignored,
        Self::Refused,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Updated => "updated",
            Self::Duplicate => "duplicate",
            Self::Parked => "parked",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// Why a hit was not simply recorded or updated, in the order in which reasons are looked for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    UnknownIntegration,
    MacroNotReplaced,
    InvalidPayload,
    ContractRetired,
    SourceNotAllowed,
    SignatureMismatch,
    MissingParameter,
    UnknownClick,
    AlreadyProcessed,
    StaleTimestamp,
    StatusIgnored,
    RateMissing,
    InternalError,
    CampaignMismatch,
    UnknownGoal,
    UnknownStatus,
    UnknownCurrency,
    TransitionNotAllowed,
    CampaignInactive,
    LateWindow,
}

impl Reason {
    pub const ALL: [Self; 20] = [
        Self::UnknownIntegration,
        Self::MacroNotReplaced,
        Self::InvalidPayload,
        Self::ContractRetired,
        Self::SourceNotAllowed,
        Self::SignatureMismatch,
        Self::MissingParameter,
        Self::UnknownClick,
        Self::AlreadyProcessed,
        Self::StaleTimestamp,
        Self::StatusIgnored,
        Self::RateMissing,
        Self::InternalError,
        Self::CampaignMismatch,
        Self::UnknownGoal,
        Self::UnknownStatus,
        Self::UnknownCurrency,
        Self::TransitionNotAllowed,
        Self::CampaignInactive,
        Self::LateWindow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownIntegration => "unknown_integration",
            Self::MacroNotReplaced => "macro_not_replaced",
            Self::InvalidPayload => "invalid_payload",
            Self::ContractRetired => "contract_retired",
            Self::SourceNotAllowed => "source_not_allowed",
            Self::StaleTimestamp => "stale_timestamp",
            Self::SignatureMismatch => "signature_mismatch",
            Self::MissingParameter => "missing_parameter",
            Self::UnknownClick => "unknown_click",
            Self::AlreadyProcessed => "already_processed",
            Self::StatusIgnored => "status_ignored",
            Self::RateMissing => "rate_missing",
            Self::InternalError => "internal_error",
            Self::CampaignMismatch => "campaign_mismatch",
            Self::UnknownGoal => "unknown_goal",
            Self::UnknownStatus => "unknown_status",
            Self::UnknownCurrency => "unknown_currency",
            Self::TransitionNotAllowed => "transition_not_allowed",
            Self::CampaignInactive => "campaign_inactive",
            Self::LateWindow => "late_window",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The verdict it leads to: a reason has exactly one.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::AlreadyProcessed => Verdict::Duplicate,
            Self::StatusIgnored => Verdict::Ignored,
            Self::RateMissing | Self::InternalError => Verdict::Parked,
            _ => Verdict::Refused,
        }
    }

    /// The HTTP status of the `receipt` profile.
    pub fn http_status(self) -> u16 {
        match self {
            Self::AlreadyProcessed | Self::StatusIgnored => 200,
            Self::RateMissing | Self::InternalError => 202,
            Self::MacroNotReplaced | Self::InvalidPayload | Self::MissingParameter => 400,
            Self::SignatureMismatch | Self::StaleTimestamp => 401,
            Self::SourceNotAllowed => 403,
            Self::UnknownIntegration | Self::UnknownClick => 404,
            Self::TransitionNotAllowed => 409,
            Self::ContractRetired => 410,
            Self::CampaignMismatch
            | Self::UnknownGoal
            | Self::UnknownStatus
            | Self::UnknownCurrency
            | Self::CampaignInactive
            | Self::LateWindow => 422,
        }
    }
}

/// Something worth knowing about a hit or a conversion that changed no verdict.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The goal's term needs an amount and none was sent: it counts with 0.
    AmountMissing,
    /// An amount had more than six decimals and was rounded half to even.
    AmountRounded,
    /// The amount sent is not the one that counts: the goal's term, or what was sent before.
    SentAmountDiffers,
    /// The click's own row is gone: link and time came from its id.
    ClickDetailMissing,
    /// A label, a currency or another value was sent that is not the click's.
    SentValueDiffers,
    /// A label was too long, unreadable or an unexpanded macro, and was dropped.
    LabelDropped,
    /// Nothing but the click id vouches for the sender.
    Unverified,
    /// A proof that the contract only tries would have refused it.
    ShadowRefused,
    /// The transaction id that it should have is missing: it is not paid before it is found.
    TxnIdMissing,
    /// The click had a conversion of the goal before it.
    Repeated,
    /// It speaks as a contract agreed that another one has taken the place of.
    ContractInSunset,
}

impl Flag {
    pub const ALL: [Self; 11] = [
        Self::AmountMissing,
        Self::AmountRounded,
        Self::SentAmountDiffers,
        Self::ClickDetailMissing,
        Self::SentValueDiffers,
        Self::LabelDropped,
        Self::Unverified,
        Self::ShadowRefused,
        Self::TxnIdMissing,
        Self::Repeated,
        Self::ContractInSunset,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::AmountMissing => "amount_missing",
            Self::AmountRounded => "amount_rounded",
            Self::SentAmountDiffers => "sent_amount_differs",
            Self::ClickDetailMissing => "click_detail_missing",
            Self::SentValueDiffers => "sent_value_differs",
            Self::LabelDropped => "label_dropped",
            Self::Unverified => "unverified",
            Self::ShadowRefused => "shadow_refused",
            Self::TxnIdMissing => "txn_id_missing",
            Self::Repeated => "repeated",
            Self::ContractInSunset => "contract_in_sunset",
        }
    }
}

/// A set of flags, in their own order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    pub fn add(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u32;
    }

    pub fn remove(&mut self, flag: Flag) {
        self.0 &= !(1 << flag as u32);
    }

    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }

    /// For the ledger's column; the order of [`Flag::ALL`] is part of the format.
    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Flag::name).collect()
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut all = Self::default();
        for flag in flags {
            all.add(flag);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name_and_comes_back_by_it() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }

    #[test]
    fn an_answer_below_300_is_never_a_refusal() {
        for reason in Reason::ALL {
            assert_eq!(reason.http_status() < 300, reason.verdict() != Verdict::Refused);
        }
    }

    #[test]
    fn flags_keep_what_was_added() {
        let flags: Flags = [Flag::Unverified, Flag::AmountMissing].into_iter().collect();
        assert_eq!(Flags::from_bits(flags.bits()).names(), ["amount_missing", "unverified"]);
        for flag in Flag::ALL {
            assert_eq!(serde_json::to_value(flag).unwrap(), flag.name());
        }
    }
}

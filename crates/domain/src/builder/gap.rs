//! What stands in a URL that we hand out where nobody has told us what its sender writes there.
//!
//! It is made to be seen: by whoever copies the URL, by the check of a URL that was pasted, and,
//! where it is left in, by the reading of postbacks, which takes it for a macro that was not
//! replaced.

use crate::contract::{Canonical, Contract};

const START: &str = "REPLACE_WITH_";
const START_OF_MACRO: &str = "REPLACE_WITH_THEIR_";
const END_OF_MACRO: &str = "_MACRO";
const CAMPAIGN: &str = "CAMPAIGN_ID";
const TOKEN: &str = "TOKEN";

/// A place that a person has to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Our own id: it depends on the campaign, not on the sender.
    Campaign,
    /// What was agreed on, and is never handed out in a URL.
    Token,
    /// What the sender puts its value for.
    Macro(Canonical),
}

impl Gap {
    /// The gap that a contract has for that.
    pub(super) fn of(contract: &Contract, canonical: Canonical) -> Self {
        match canonical {
            Canonical::CampaignId => Self::Campaign,
            Canonical::Token => Self::Token,
            _ if contract.verification.token == Some(canonical) => Self::Token,
            _ => Self::Macro(canonical),
        }
    }

    /// The gap that a text is, where it is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix(START_OF_MACRO) {
            let name = rest.strip_suffix(END_OF_MACRO)?.to_ascii_lowercase();
            return Canonical::from_name(&name).map(Self::Macro);
        }
        match text.strip_prefix(START)? {
            CAMPAIGN => Some(Self::Campaign),
            TOKEN => Some(Self::Token),
            _ => None,
        }
    }

    /// What has to be done about it.
    pub fn advice(self) -> String {
        match self {
            Self::Campaign => "fill in the campaign's id".to_owned(),
            Self::Token => "fill in the agreed token".to_owned(),
            Self::Macro(canonical) => format!("fill in the platform's macro for {canonical}"),
        }
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Campaign => write!(f, "{START}{CAMPAIGN}"),
            Self::Token => write!(f, "{START}{TOKEN}"),
            Self::Macro(canonical) => {
                let name = canonical.to_string().to_ascii_uppercase();
                write!(f, "{START_OF_MACRO}{name}{END_OF_MACRO}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macros::is_unreplaced;

    #[test]
    fn every_gap_reads_back_and_is_seen_when_it_is_left_in() {
        let macros = Canonical::all().map(Gap::Macro);
        for gap in [Gap::Campaign, Gap::Token].into_iter().chain(macros) {
            let text = gap.to_string();
            assert_eq!(Gap::parse(&text), Some(gap), "{text}");
            assert!(is_unreplaced(&text, &[]), "{text}");
        }
        assert_eq!(Gap::Macro(Canonical::ClickId).to_string(), "REPLACE_WITH_THEIR_CLICK_ID_MACRO");
        for other in ["", "REPLACE_WITH_", "REPLACE_WITH_THEIR__MACRO", "REPLACE_WITH_YOUR_ID"] {
            assert_eq!(Gap::parse(other), None, "{other}");
        }
    }
}

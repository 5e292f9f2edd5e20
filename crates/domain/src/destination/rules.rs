//! Of which conversions a destination is told, when, and at what pace.

use crate::conversion::Status;
use crate::id::{ConversionId, DestinationId};
use crate::money::{Micros, Percent};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The longest delay: 30 days, in seconds.
pub const DELAY_S_MAX: u32 = 30 * 86_400;
/// How many goals may be named.
pub const GOALS_MAX: usize = 100;
/// The most requests that may be under way to one destination at once.
pub const CONCURRENCY_MAX: u32 = 100;
/// How many are, where nothing is said.
pub const CONCURRENCY_DEFAULT: u32 = 8;
/// The highest rate that may be asked for, in requests a second.
pub const PER_SECOND_MAX: u32 = 10_000;

const WHOLE: Percent = Percent::WHOLE;

/// Which conversions, and how they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A conversion that comes into one of these is told.
    pub statuses: BTreeSet<Status>,
    /// Only of these goals; empty: of all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub goals: BTreeSet<String>,
    /// So many of a hundred conversions, always the same ones.
    #[schemars(with = "String")]
    pub sampling: Percent,
    /// The share of the payout that is told.
    #[schemars(with = "String")]
    pub payout_share: Percent,
    /// Below this payout, before its share is taken, a conversion is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub min_payout: Option<Micros>,
    /// How long after the change it is told.
    pub delay_s: u32,
    /// Conversions of test clicks are told too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tests: bool,
    pub corrections: Corrections,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            statuses: [Status::Approved].into(),
            goals: BTreeSet::new(),
            sampling: WHOLE,
            payout_share: WHOLE,
            min_payout: None,
            delay_s: 0,
            tests: false,
            corrections: Corrections::None {},
        }
    }
}

/// How a destination hears that what it was told has changed: the amount, or that it does not
/// count any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub enum Corrections {
    /// It cannot: such changes are listed, for a person to tell.
    None {},
    /// The same request again, with the status and the payout as they are now.
    Status {},
    /// The same request again, where the payout is the difference: negative when it is less.
    Difference {},
    /// Another URL, with the same macros; of what still counts, the same request again.
    Url { url: String },
}

/// The same as it is written: an enum with a tag could not say which of its keys is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCorrections {
    how: How,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    None,
    Status,
    Difference,
    Url,
}

impl<'de> Deserialize<'de> for Corrections {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenCorrections { how, url } = WrittenCorrections::deserialize(deserializer)?;
        match (how, url) {
            (How::Url, Some(url)) => Ok(Self::Url { url }),
            (How::Url, None) => Err(D::Error::missing_field("url")),
            (_, Some(_)) => Err(D::Error::custom("`url` is for `\"how\":\"url\"` alone")),
            (How::None, None) => Ok(Self::None {}),
            (How::Status, None) => Ok(Self::Status {}),
            (How::Difference, None) => Ok(Self::Difference {}),
        }
    }
}

impl Corrections {
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::Status {} => "status",
            Self::Difference {} => "difference",
            Self::Url { .. } => "url",
        }
    }
}

impl Rules {
    pub(super) fn wants_goal(&self, goal: &str) -> bool {
        self.goals.is_empty() || self.goals.iter().any(|own| own.eq_ignore_ascii_case(goal))
    }

    /// Whether a conversion is among the sampled: the same answer whenever it is asked, and
    /// independent of what other destinations are told.
    pub(super) fn samples(&self, destination: DestinationId, conversion: ConversionId) -> bool {
        let mut hash = Sha256::new_with_prefix(b"counterfoil sampling 1");
        hash.update(destination.0.to_be_bytes());
        hash.update(conversion.0.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let number = u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
        number % u64::from(WHOLE.as_ppm()) < u64::from(self.sampling.as_ppm())
    }

    /// What is wrong with them, as the key and the fault; `None`: nothing.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        if self.statuses.is_empty() {
            let names = Status::ALL.map(Status::name).join(", ");
            return Some(("statuses", format!("at least one of {names}")));
        }
        if self.goals.len() > GOALS_MAX || self.goals.iter().any(|goal| goal.trim().is_empty()) {
            return Some(("goals", format!("at most {GOALS_MAX} keys of goals, none blank")));
        }
        if self.sampling > WHOLE {
            return Some(("sampling", "a percentage from 0 to 100".to_owned()));
        }
        if self.payout_share > WHOLE {
            return Some(("payout_share", "a percentage from 0 to 100".to_owned()));
        }
        if self.min_payout.is_some_and(|amount| amount < Micros::ZERO) {
            return Some(("min_payout", "an amount that is not negative".to_owned()));
        }
        let is_too_late = self.delay_s > DELAY_S_MAX;
        is_too_late.then(|| ("delay_s", format!("at most {DELAY_S_MAX} seconds")))
    }
}

/// How fast a destination is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Requests under way at once.
    pub concurrency: u32,
    /// Requests begun in a second; `None`: as many as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { concurrency: CONCURRENCY_DEFAULT, per_second: None }
    }
}

impl Pace {
    pub(super) fn fault(self) -> Option<(&'static str, String)> {
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            return Some(("concurrency", format!("from 1 to {CONCURRENCY_MAX}")));
        }
        let is_bad = |rate: u32| !(1..=PER_SECOND_MAX).contains(&rate);
        let fault = || ("per_second", format!("from 1 to {PER_SECOND_MAX}"));
        self.per_second.is_some_and(is_bad).then(fault)
    }
}

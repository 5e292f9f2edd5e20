//! An integration: a contract in use, with its own key.

use crate::contract::{Canonical, Contract};
use crate::id::{AdvertiserId, CampaignId, IntegrationId};
use crate::secret::Secret;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A contract in use, with its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    pub id: IntegrationId,
    /// In its postback URL; unguessable.
    pub key: String,
    pub scope: Scope,
    pub partner: String,
    /// Added to the landing URLs of campaigns that use it, such as `aff_sub={clickid}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_params: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// Secrets that were replaced, and until when they still count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<RetiringSecret>,
    /// The sender's macros, where they are not its partner's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub macros: BTreeMap<Canonical, String>,
    /// The number of its contract.
    pub version: u32,
    pub contract: Contract,
    /// The contracts before it, the latest first: read until their sunset is over, and known
    /// after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierContract>,
    pub archived: bool,
}

/// A secret on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiringSecret {
    pub name: String,
    pub secret: Secret,
    /// It counts for what arrives before.
    pub until: Timestamp,
}

/// A contract that another one has taken the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierContract {
    pub version: u32,
    /// When its sunset is over: what speaks as it agreed is read before, and refused after.
    pub until: Timestamp,
    pub contract: Contract,
}

impl Integration {
    /// Its contract, and those before it.
    pub fn contracts(&self) -> impl Iterator<Item = &Contract> {
        std::iter::once(&self.contract).chain(self.earlier.iter().map(|one| &one.contract))
    }

    /// The earlier contracts that are still read at `at`, the latest first.
    pub fn in_sunset(&self, at: Timestamp) -> impl Iterator<Item = &EarlierContract> {
        self.earlier.iter().filter(move |one| one.until > at)
    }

    /// The earlier contracts whose sunset is over at `at`, the latest first.
    pub fn retired(&self, at: Timestamp) -> impl Iterator<Item = &EarlierContract> {
        self.earlier.iter().filter(move |one| one.until <= at)
    }

    /// All it has, those on their way out too.
    pub(crate) fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        let retiring = self.retiring.iter_mut().map(|one| &mut one.secret);
        self.secrets.values_mut().chain(retiring).collect()
    }

    /// The secrets of that name that count at `at`, the one in force first.
    pub fn secrets_at(&self, name: &str, at: Timestamp) -> impl Iterator<Item = &Secret> {
        let retiring = self.retiring.iter().filter(move |one| one.until > at);
        let named = move |one: &&RetiringSecret| one.name == name;
        self.secrets.get(name).into_iter().chain(retiring.filter(named).map(|one| &one.secret))
    }
}

/// The clicks an integration's key counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "level", rename_all = "snake_case")]
pub enum Scope {
    Global,
    Advertiser { advertiser_id: AdvertiserId },
    Campaign { campaign_id: CampaignId },
}

impl Scope {
    pub fn level(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Advertiser { .. } => "advertiser",
            Self::Campaign { .. } => "campaign",
        }
    }

    /// Whether a click of that advertiser and campaign is in it.
    pub fn covers(self, advertiser_id: AdvertiserId, campaign_id: CampaignId) -> bool {
        match self {
            Self::Global => true,
            Self::Advertiser { advertiser_id: own } => own == advertiser_id,
            Self::Campaign { campaign_id: own } => own == campaign_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_is_in_it() {
        let (advertiser_id, campaign_id) = (AdvertiserId(1), CampaignId(2));
        let covers = |scope: Scope| {
            [(1, 2), (1, 3), (4, 5)].map(|(a, c)| scope.covers(AdvertiserId(a), CampaignId(c)))
        };
        assert_eq!(covers(Scope::Global), [true, true, true]);
        assert_eq!(covers(Scope::Advertiser { advertiser_id }), [true, true, false]);
        assert_eq!(covers(Scope::Campaign { campaign_id }), [true, false, false]);
    }
}

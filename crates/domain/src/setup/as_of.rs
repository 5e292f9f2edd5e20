//! The setup as it was at an instant: what a hit is read with, whenever that happens.
//!
//! The indexes hold all that ever was; what is asked for here is in force at the instant, or is not
//! there.

use super::{History, Setup};
use crate::campaign::{Campaign, Link};
use crate::contract::Contract;
use crate::id::{AdvertiserId, CampaignId, IntegrationId, LinkId};
use crate::integration::{Integration, Scope};
use crate::partner::{Partner, without_blanks};
use crate::settings::Settings;
use crate::time::Timestamp;
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// See [`Setup::as_of`].
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    setup: &'a Setup,
    at: Timestamp,
}

impl<'a> AsOf<'a> {
    pub(super) fn new(setup: &'a Setup, at: Timestamp) -> Self {
        Self { setup, at }
    }

    pub fn at(self) -> Timestamp {
        self.at
    }

    fn get<K, Q, T>(self, all: &'a BTreeMap<K, History<T>>, id: &Q) -> Option<&'a T>
    where
        K: Ord + Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let history = all.get(id).filter(|history| history.created_at() <= self.at);
        history.map(|history| history.at(self.at))
    }

    pub fn campaign(self, id: CampaignId) -> Option<&'a Campaign> {
        self.get(&self.setup.campaigns, &id)
    }

    /// The advertisers of the campaigns whose own integration it is. Each is found by the first
    /// campaign that still has it.
    pub fn advertisers_of(self, id: IntegrationId) -> impl Iterator<Item = AdvertiserId> {
        let ever = self.setup.campaigns_by_integration.get(&id).into_iter().flatten();
        let is_its = move |campaign: &CampaignId, advertiser_id| {
            self.campaign(*campaign).is_some_and(|one| {
                one.integration_id == Some(id) && one.advertiser_id == advertiser_id
            })
        };
        let now = ever.filter(move |(of, all)| all.iter().any(|campaign| is_its(campaign, **of)));
        now.map(|(advertiser_id, _)| *advertiser_id)
    }

    pub fn link(self, id: LinkId) -> Option<&'a Link> {
        self.get(&self.setup.links, &id)
    }

    pub fn integration(self, id: IntegrationId) -> Option<&'a Integration> {
        self.get(&self.setup.integrations, &id)
    }

    fn integration_in_use(self, id: IntegrationId) -> Option<&'a Integration> {
        self.integration(id).filter(|integration| !integration.archived)
    }

    /// Archived ones included: a key that was handed out keeps its meaning.
    pub fn integration_by_key(self, key: &str) -> Option<&'a Integration> {
        self.integration(*self.setup.integration_by_key.get(key)?)
    }

    pub fn settings(self) -> Settings {
        self.get(&self.setup.settings, &()).copied().unwrap_or_default()
    }

    pub fn partner(self, name: &str) -> Option<&'a Partner> {
        self.get(&self.setup.partners, name)
    }

    /// The partners whose senders call on that path, and how they speak.
    pub fn partners_by_path(
        self,
        path: &str,
    ) -> impl Iterator<Item = (&'a Partner, &'a Contract)> + use<'a, '_> {
        let path = without_blanks(path);
        let names = self.setup.partners_by_path.get(&*path).map_or(&[][..], Vec::as_slice);
        let partners = names.iter().filter_map(move |name| self.partner(name));
        let is_it = move |own: &String| without_blanks(own) == path;
        let called = partners.filter(move |one| one.paths.iter().any(&is_it));
        called.filter_map(|partner| Some((partner, partner.contract.as_ref()?)))
    }

    /// Whether any contract in use accepts our click id under that name, or did before another one
    /// took its place: who still speaks so has to be told.
    pub fn is_click_id_name(self, name: &str) -> bool {
        self.integrations_by_click_id(name).next().is_some()
    }

    /// The same, of the contracts of that partner's integrations alone.
    pub fn is_click_id_name_of(self, partner: &str, name: &str) -> bool {
        self.integrations_by_click_id(name).any(|one| one.partner == partner)
    }

    fn integrations_by_click_id(self, name: &str) -> impl Iterator<Item = &'a Integration> {
        let accepts = move |one: &&Integration| {
            one.contracts().flat_map(Contract::click_id_names).any(|it| it == name)
        };
        let ids = self.setup.integrations_by_click_id.get(name).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(move |id| self.integration_in_use(*id)).filter(accepts)
    }

    /// The integrations of that scope that are in use, the first made first.
    pub fn integrations_of(self, scope: Scope) -> impl Iterator<Item = &'a Integration> {
        let ids = self.setup.integrations_by_scope.get(&scope).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(move |id| self.integration_in_use(*id))
    }

    /// The campaign's own integration, while it is in use.
    pub fn own_integration(self, campaign: &Campaign) -> Option<&'a Integration> {
        campaign.integration_id.and_then(|id| self.integration_in_use(id))
    }

    /// The integrations that could read a postback of `campaign`, the most specific first.
    pub fn integrations_for(
        self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = &'a Integration> + use<'a> {
        let advertiser_id = campaign.advertiser_id;
        let own = self.own_integration(campaign).into_iter();
        own.chain(self.integrations_of(Scope::Advertiser { advertiser_id }).take(1))
            .chain(self.integrations_of(Scope::Global).take(1))
    }

    /// All integrations in use whose keys serve `campaign`, the most specific first.
    pub fn integrations_around(
        self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = &'a Integration> + use<'a> {
        let (campaign_id, advertiser_id) = (campaign.id, campaign.advertiser_id);
        let own = self.own_integration(campaign);
        let own_id = own.map(|own| own.id);
        let at_levels = self
            .integrations_of(Scope::Campaign { campaign_id })
            .chain(self.integrations_of(Scope::Advertiser { advertiser_id }))
            .chain(self.integrations_of(Scope::Global));
        own.into_iter().chain(at_levels.filter(move |one| Some(one.id) != own_id))
    }
}

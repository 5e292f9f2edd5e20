//! All that operators have set up, with its history.
//!
//! A version is never changed: a change adds the next one. So what was agreed at any instant can
//! be asked for ever after, and the same commands always lead to the same setup.

use crate::campaign::{Advertiser, Campaign, Link, Publisher};
use crate::contract::{Integration, Partner, Scope};
use crate::id::{AdvertiserId, CampaignId, IntegrationId, LinkId, PublisherId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Every version of one noun, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<T> {
    versions: Vec<(Timestamp, T)>,
}

impl<T> History<T> {
    fn new(since: Timestamp, first: T) -> Self {
        Self { versions: vec![(since, first)] }
    }

    pub fn latest(&self) -> &T {
        &self.versions.last().expect("a history begins with a version").1
    }

    /// The version in force at `at`; before the first one, the first.
    pub fn at(&self, at: Timestamp) -> &T {
        let after = self.versions.partition_point(|(since, _)| *since <= at);
        &self.versions[after.saturating_sub(1)].1
    }

    pub fn created_at(&self) -> Timestamp {
        self.versions[0].0
    }

    pub fn changed_at(&self) -> Timestamp {
        self.versions[self.versions.len() - 1].0
    }

    pub fn versions(&self) -> impl Iterator<Item = (Timestamp, &T)> {
        self.versions.iter().map(|(since, value)| (*since, value))
    }
}

/// A new version of one noun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "noun", content = "body", rename_all = "snake_case")]
pub enum Change {
    Advertiser(Advertiser),
    Publisher(Publisher),
    Campaign(Campaign),
    Link(Link),
    Integration(Integration),
    Partner(Partner),
    /// Ids up to this one are not given any more: they may have been, before a restore.
    IdFloor(u32),
}

impl Change {
    /// The word for what it changes, as in the ledger's `noun` column.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Advertiser(_) => "advertiser",
            Self::Publisher(_) => "publisher",
            Self::Campaign(_) => "campaign",
            Self::Link(_) => "link",
            Self::Integration(_) => "integration",
            Self::Partner(_) => "partner",
            Self::IdFloor(_) => "id_floor",
        }
    }

    /// Which one it changes.
    pub fn id(&self) -> String {
        match self {
            Self::Advertiser(advertiser) => advertiser.id.to_string(),
            Self::Publisher(publisher) => publisher.id.to_string(),
            Self::Campaign(campaign) => campaign.id.to_string(),
            Self::Link(link) => link.id.to_string(),
            Self::Integration(integration) => integration.id.to_string(),
            Self::Partner(partner) => partner.name.clone(),
            Self::IdFloor(_) => String::new(),
        }
    }
}

/// The whole setup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    pub advertisers: BTreeMap<AdvertiserId, History<Advertiser>>,
    pub publishers: BTreeMap<PublisherId, History<Publisher>>,
    pub campaigns: BTreeMap<CampaignId, History<Campaign>>,
    pub links: BTreeMap<LinkId, History<Link>>,
    pub integrations: BTreeMap<IntegrationId, History<Integration>>,
    pub partners: BTreeMap<String, History<Partner>>,
    id_floor: u32,
    link_by_token: HashMap<String, LinkId>,
    integration_by_key: HashMap<String, IntegrationId>,
    /// In the order they were made.
    integrations_by_scope: HashMap<Scope, Vec<IntegrationId>>,
    partner_by_path: HashMap<String, String>,
    /// Under which any contract in use accepts our click id.
    click_id_names: BTreeSet<String>,
}

impl Setup {
    /// Adds a version that holds from `since` on. Changes are put in the order they were made.
    pub fn put(&mut self, since: Timestamp, change: Change) {
        match change {
            Change::Advertiser(new) => put(&mut self.advertisers, new.id, since, new),
            Change::Publisher(new) => put(&mut self.publishers, new.id, since, new),
            Change::Campaign(new) => put(&mut self.campaigns, new.id, since, new),
            Change::Link(new) => {
                self.link_by_token.insert(new.token.clone(), new.id);
                put(&mut self.links, new.id, since, new);
            }
            Change::Integration(new) => {
                self.click_id_names.extend(new.contract.click_id_names().iter().cloned());
                let is_new = self.integration_by_key.insert(new.key.clone(), new.id).is_none();
                if is_new {
                    self.integrations_by_scope.entry(new.scope).or_default().push(new.id);
                }
                put(&mut self.integrations, new.id, since, new);
            }
            Change::Partner(new) => {
                for path in &new.paths {
                    self.partner_by_path.insert(path.clone(), new.name.clone());
                }
                put(&mut self.partners, new.name.clone(), since, new);
            }
            Change::IdFloor(floor) => self.id_floor = self.id_floor.max(floor),
        }
    }

    pub fn advertiser(&self, id: AdvertiserId) -> Option<&Advertiser> {
        self.advertisers.get(&id).map(History::latest)
    }

    pub fn publisher(&self, id: PublisherId) -> Option<&Publisher> {
        self.publishers.get(&id).map(History::latest)
    }

    pub fn campaign(&self, id: CampaignId) -> Option<&Campaign> {
        self.campaigns.get(&id).map(History::latest)
    }

    pub fn campaign_at(&self, id: CampaignId, at: Timestamp) -> Option<&Campaign> {
        self.campaigns.get(&id).map(|history| history.at(at))
    }

    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id).map(History::latest)
    }

    pub fn link_by_token(&self, token: &str) -> Option<&Link> {
        self.link(*self.link_by_token.get(token)?)
    }

    pub fn integration(&self, id: IntegrationId) -> Option<&Integration> {
        self.integrations.get(&id).map(History::latest)
    }

    /// Archived ones included: a key that was handed out keeps its meaning.
    pub fn integration_by_key(&self, key: &str) -> Option<&Integration> {
        self.integration(*self.integration_by_key.get(key)?)
    }

    pub fn partner(&self, name: &str) -> Option<&Partner> {
        self.partners.get(name).map(History::latest)
    }

    /// The partner whose senders call on that path.
    pub fn partner_by_path(&self, path: &str) -> Option<&Partner> {
        self.partner(self.partner_by_path.get(path)?)
    }

    /// Whether any contract in use accepts our click id under that name.
    pub fn is_click_id_name(&self, name: &str) -> bool {
        self.click_id_names.contains(name)
    }

    /// The integrations of that scope that are in use, the first made first.
    pub fn integrations_of(&self, scope: Scope) -> impl Iterator<Item = &Integration> {
        let ids = self.integrations_by_scope.get(&scope).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.integration(*id)).filter(|one| !one.archived)
    }

    /// The integrations that could read a postback of `campaign`, the most specific first.
    pub fn integrations_for<'a>(
        &'a self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = &'a Integration> + use<'a> {
        let own = campaign.integration_id.and_then(|id| self.integration(id));
        let advertiser_id = campaign.advertiser_id;
        own.into_iter()
            .chain(self.integrations_of(Scope::Advertiser { advertiser_id }).take(1))
            .chain(self.integrations_of(Scope::Global).take(1))
    }

    /// All integrations in use whose keys serve `campaign`.
    pub fn integrations_around<'a>(
        &'a self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = &'a Integration> + use<'a> {
        let (campaign_id, advertiser_id) = (campaign.id, campaign.advertiser_id);
        let own = campaign.integration_id.and_then(|id| self.integration(id));
        let own_id = own.map(|own| own.id);
        let at_levels = self
            .integrations_of(Scope::Campaign { campaign_id })
            .chain(self.integrations_of(Scope::Advertiser { advertiser_id }))
            .chain(self.integrations_of(Scope::Global));
        own.into_iter().chain(at_levels.filter(move |one| Some(one.id) != own_id))
    }

    /// The landing parameters of the integration the campaign uses.
    pub fn landing_params<'a>(&'a self, campaign: &Campaign) -> Option<&'a str> {
        self.integrations_for(campaign).next()?.landing_params.as_deref()
    }

    /// The landing URLs a campaign's visitors may go to: its own, and those of its links in use.
    pub fn landing_urls<'a>(&'a self, campaign: &'a Campaign) -> impl Iterator<Item = &'a str> {
        let links = self.links.values().map(History::latest);
        let own = links.filter(|link| link.campaign_id == campaign.id && !link.archived);
        std::iter::once(&*campaign.landing_url)
            .chain(own.filter_map(|link| link.landing_url.as_deref()))
    }

    /// The versions in force, each as the change that brought it: put in this order, they make
    /// this setup without its history.
    pub fn in_force(&self) -> impl Iterator<Item = (Timestamp, Change)> {
        let floor =
            (self.id_floor > 0).then_some((Timestamp::UNIX_EPOCH, Change::IdFloor(self.id_floor)));
        floor
            .into_iter()
            .chain(latest(&self.advertisers, Change::Advertiser))
            .chain(latest(&self.publishers, Change::Publisher))
            .chain(latest(&self.partners, Change::Partner))
            .chain(latest(&self.integrations, Change::Integration))
            .chain(latest(&self.campaigns, Change::Campaign))
            .chain(latest(&self.links, Change::Link))
    }

    /// The id the next one of a noun gets.
    pub fn next_id<K: Copy + Ord + Into<u32>, V>(&self, of: &BTreeMap<K, V>) -> u32 {
        let last = of.last_key_value().map_or(0, |(id, _)| (*id).into());
        last.max(self.id_floor) + 1
    }

    /// The largest id of any noun.
    pub fn id_max(&self) -> u32 {
        let lasts = [
            self.advertisers.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.publishers.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.campaigns.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.links.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.integrations.last_key_value().map_or(0, |(id, _)| (*id).into()),
        ];
        lasts.into_iter().fold(self.id_floor, u32::max)
    }
}

fn latest<K, T: Clone>(
    all: &BTreeMap<K, History<T>>,
    change: impl Fn(T) -> Change,
) -> impl Iterator<Item = (Timestamp, Change)> {
    all.values().map(move |history| (history.changed_at(), change(history.latest().clone())))
}

fn put<K: Ord, T>(all: &mut BTreeMap<K, History<T>>, id: K, since: Timestamp, new: T) {
    match all.entry(id) {
        std::collections::btree_map::Entry::Occupied(mut history) => {
            history.get_mut().versions.push((since, new));
        }
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(History::new(since, new));
        }
    }
}

//! All that operators have set up, with its history.
//!
//! A version is never changed: a change adds the next one. So what was agreed at any instant can
//! be asked for ever after, and the same commands always lead to the same setup.

mod as_if;
mod as_of;
mod secrets;

pub use as_of::AsOf;

use crate::campaign::{Advertiser, Campaign, Link, Publisher};
use crate::contract::{Contract, Version};
use crate::destination::{Destination, Owner};
use crate::id::{AdvertiserId, CampaignId, DestinationId, IntegrationId, LinkId, PublisherId};
use crate::integration::{Integration, Scope};
use crate::ledger::Conversion;
use crate::partner::{KEYED_PATH, Partner, without_blanks};
use crate::settings::Settings;
use crate::sub_labels::SubLabels;
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

    /// The version in force at `at`, and all later ones.
    pub fn since(&self, at: Timestamp) -> impl Iterator<Item = &T> {
        let after = self.versions.partition_point(|(since, _)| *since <= at);
        self.versions[after.saturating_sub(1)..].iter().map(|(_, value)| value)
    }

    pub fn created_at(&self) -> Timestamp {
        self.versions[0].0
    }

    pub fn changed_at(&self) -> Timestamp {
        self.versions[self.versions.len() - 1].0
    }

    fn versions_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.versions.iter_mut().map(|(_, value)| value)
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
    Contract(Version),
    Partner(Partner),
    Destination(Box<Destination>),
    SubLabels(SubLabels),
    Settings(Settings),
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
            Self::Contract(_) => "contract",
            Self::Partner(_) => "partner",
            Self::Destination(_) => "destination",
            Self::SubLabels(_) => "sub_labels",
            Self::Settings(_) => "settings",
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
            Self::Contract(version) => version.reference(),
            Self::Partner(partner) => partner.name.clone(),
            Self::Destination(destination) => destination.id.to_string(),
            Self::SubLabels(new) => new.publisher_id.map(|id| id.to_string()).unwrap_or_default(),
            Self::Settings(_) | Self::IdFloor(_) => String::new(),
        }
    }
}

type OwnCampaigns = BTreeMap<AdvertiserId, BTreeSet<CampaignId>>;

/// The whole setup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    pub advertisers: BTreeMap<AdvertiserId, History<Advertiser>>,
    pub publishers: BTreeMap<PublisherId, History<Publisher>>,
    pub campaigns: BTreeMap<CampaignId, History<Campaign>>,
    pub links: BTreeMap<LinkId, History<Link>>,
    pub integrations: BTreeMap<IntegrationId, History<Integration>>,
    /// Every version of every integration's contract, by its number.
    pub contracts: BTreeMap<(IntegrationId, u32), History<Version>>,
    pub partners: BTreeMap<String, History<Partner>>,
    pub destinations: BTreeMap<DestinationId, History<Destination>>,
    /// Of the network under `None`, and of publishers.
    pub sub_labels: BTreeMap<Option<PublisherId>, History<SubLabels>>,
    /// There is one of them at the most.
    pub settings: BTreeMap<(), History<Settings>>,
    /// The ids up to which none is given, and since when: each restore raises them.
    id_floors: Vec<(Timestamp, u32)>,
    /// What was agreed on in truth, where [others read](Setup::read_as_if).
    agreed: BTreeMap<IntegrationId, History<Integration>>,
    /// All campaigns that ever had the integration for their own, by advertiser: few of them have
    /// to be looked at to know whose it is.
    campaigns_by_integration: HashMap<IntegrationId, OwnCampaigns>,
    link_by_token: HashMap<String, LinkId>,
    integration_by_key: HashMap<String, IntegrationId>,
    /// In the order they were made.
    integrations_by_scope: HashMap<Scope, Vec<IntegrationId>>,
    /// All that ever had the path: whether one still has it, its version in force says.
    partners_by_path: HashMap<String, Vec<String>>,
    /// All that ever accepted our click id under the name.
    integrations_by_click_id: HashMap<String, Vec<IntegrationId>>,
    contract_by_token: HashMap<String, (IntegrationId, u32)>,
    /// In the order they were made.
    destinations_by_owner: HashMap<Owner, Vec<DestinationId>>,
    /// All that any contract ever read, in lower case.
    header_names: BTreeSet<String>,
    /// A contract that reads has, or had, senders that sign the address they call.
    signs_urls: bool,
}

impl Setup {
    /// Adds a version that holds from `since` on. Changes are put in the order they were made.
    pub fn put(&mut self, since: Timestamp, change: Change) {
        match change {
            Change::Advertiser(new) => put(&mut self.advertisers, new.id, since, new),
            Change::Publisher(new) => put(&mut self.publishers, new.id, since, new),
            Change::Campaign(new) => {
                if let Some(id) = new.integration_id {
                    let of_all = self.campaigns_by_integration.entry(id).or_default();
                    of_all.entry(new.advertiser_id).or_default().insert(new.id);
                }
                put(&mut self.campaigns, new.id, since, new);
            }
            Change::Link(new) => {
                self.link_by_token.insert(new.token.clone(), new.id);
                put(&mut self.links, new.id, since, new);
            }
            Change::Integration(new) => self.put_integration(since, new),
            Change::Contract(new) => self.put_contract(since, new),
            Change::Partner(new) => {
                let mut contract = new.contract.iter();
                self.header_names.extend(contract.clone().flat_map(Contract::header_names));
                // Without a path of its own, it reads nothing.
                self.signs_urls |= !new.paths.is_empty() && contract.any(Contract::signs_urls);
                // With any other key in it, a path is always served, and nobody's.
                let is_kept = |path: &&String| *path == KEYED_PATH || !path.contains('{');
                for path in new.paths.iter().filter(is_kept) {
                    add(&mut self.partners_by_path, &without_blanks(path), new.name.clone());
                }
                put(&mut self.partners, new.name.clone(), since, new);
            }
            Change::Destination(new) => {
                let all = self.destinations_by_owner.entry(new.owner).or_default();
                if !all.contains(&new.id) {
                    all.push(new.id);
                }
                put(&mut self.destinations, new.id, since, *new);
            }
            Change::SubLabels(new) => put(&mut self.sub_labels, new.publisher_id, since, new),
            Change::Settings(new) => put(&mut self.settings, (), since, new),
            Change::IdFloor(floor) => self.id_floors.push((since, floor)),
        }
    }

    fn put_integration(&mut self, since: Timestamp, new: Integration) {
        for contract in new.contracts() {
            self.header_names.extend(contract.header_names());
            self.signs_urls |= contract.signs_urls();
            for name in contract.click_id_names() {
                add(&mut self.integrations_by_click_id, name, new.id);
            }
        }
        let is_new = self.integration_by_key.insert(new.key.clone(), new.id).is_none();
        if is_new {
            self.integrations_by_scope.entry(new.scope).or_default().push(new.id);
        }
        // Its first version comes with it; a later one with a change of its own.
        if !self.contracts.contains_key(&(new.id, new.version)) {
            self.put_contract(since, Version::first(&new));
        }
        put(&mut self.integrations, new.id, since, new);
    }

    fn put_contract(&mut self, since: Timestamp, new: Version) {
        let id = (new.integration_id, new.number);
        self.contract_by_token.insert(new.token.clone(), id);
        put(&mut self.contracts, id, since, new);
    }

    /// The setup as it was at `at`.
    pub fn as_of(&self, at: Timestamp) -> AsOf<'_> {
        AsOf::new(self, at)
    }

    /// The setup with all that was ever done to it.
    pub fn latest(&self) -> AsOf<'_> {
        self.as_of(Timestamp::MAX)
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

    /// The integration as it was when a click was made: what it says of what makes two postbacks
    /// one conversion holds for all that is told of the click. Before it was made, its first.
    pub fn integration_agreed(&self, id: IntegrationId, at: Timestamp) -> Option<&Integration> {
        self.agreed_history(id).map(|history| history.at(at))
    }

    /// The same, and all that came after it: who may have read what was told of the click.
    pub fn integration_since(
        &self,
        id: IntegrationId,
        at: Timestamp,
    ) -> impl Iterator<Item = &Integration> {
        self.agreed_history(id).into_iter().flat_map(move |history| history.since(at))
    }

    fn agreed_history(&self, id: IntegrationId) -> Option<&History<Integration>> {
        self.agreed.get(&id).or_else(|| self.integrations.get(&id))
    }

    pub fn contract(&self, id: IntegrationId, number: u32) -> Option<&Version> {
        self.contracts.get(&(id, number)).map(History::latest)
    }

    /// Every version of an integration's contract, discarded ones too, by its number.
    pub fn contracts_of(&self, id: IntegrationId) -> impl Iterator<Item = &History<Version>> {
        self.contracts.range((id, 0)..=(id, u32::MAX)).map(|(_, history)| history)
    }

    /// The version whose page is at that token.
    pub fn contract_by_token(&self, token: &str) -> Option<&Version> {
        let (id, number) = self.contract_by_token.get(token)?;
        self.contract(*id, *number)
    }

    /// What subs meant at `at`: to the network, or to a publisher, whose own meanings go before.
    /// Before anything was said, it is what was said first.
    pub fn sub_headings(
        &self,
        publisher_id: Option<PublisherId>,
        at: Timestamp,
    ) -> BTreeMap<String, String> {
        let of = |id| self.sub_labels.get(&id).map(|history| &history.at(at).labels);
        let own = publisher_id.and_then(|id| of(Some(id)));
        let all = of(None).into_iter().chain(own).flatten();
        all.map(|(name, meaning)| (name.clone(), meaning.clone())).collect()
    }

    pub fn destination(&self, id: DestinationId) -> Option<&Destination> {
        self.destinations.get(&id).map(History::latest)
    }

    /// Whether anybody is to be told of the conversion at all.
    pub fn tells_of(&self, conversion: &Conversion) -> bool {
        let mut owners = Owner::of(conversion).into_iter();
        owners.any(|owner| self.destinations_by_owner.contains_key(&owner))
    }

    /// All that ever were an owner's, the first made first; archived ones too.
    pub fn destinations_of(&self, owner: Owner) -> impl Iterator<Item = &Destination> {
        let ids = self.destinations_by_owner.get(&owner).into_iter().flatten();
        ids.filter_map(|id| self.destination(*id))
    }

    /// The headers that a hit is kept with, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.header_names.iter().map(String::as_str)
    }

    /// Whether a hit is kept with scheme and host as its sender called them.
    pub fn signs_urls(&self) -> bool {
        self.signs_urls
    }

    /// Archived ones included: a key that was handed out keeps its meaning.
    pub fn integration_by_key(&self, key: &str) -> Option<&Integration> {
        self.latest().integration_by_key(key)
    }

    pub fn partner(&self, name: &str) -> Option<&Partner> {
        self.partners.get(name).map(History::latest)
    }

    /// The integrations of that scope that are in use, the first made first.
    pub fn integrations_of(&self, scope: Scope) -> impl Iterator<Item = &Integration> {
        self.latest().integrations_of(scope)
    }

    /// The integrations that could read a postback of `campaign`, the most specific first.
    pub fn integrations_for<'a>(
        &'a self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = &'a Integration> + use<'a> {
        self.latest().integrations_for(campaign)
    }

    /// The landing parameters of the integration that reads the campaign's postbacks on `/postback`:
    /// its own, else its advertiser's, else the global one.
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
        let floors = self.id_floors.iter().map(|(since, floor)| (*since, Change::IdFloor(*floor)));
        floors
            .chain(latest(&self.advertisers, Change::Advertiser))
            .chain(latest(&self.publishers, Change::Publisher))
            .chain(latest(&self.partners, Change::Partner))
            // Before their integrations, which would bring first versions with them.
            .chain(latest(&self.contracts, Change::Contract))
            .chain(latest(&self.integrations, Change::Integration))
            .chain(latest(&self.campaigns, Change::Campaign))
            .chain(latest(&self.links, Change::Link))
            .chain(latest(&self.destinations, |one| Change::Destination(Box::new(one))))
            .chain(latest(&self.sub_labels, Change::SubLabels))
            .chain(latest(&self.settings, Change::Settings))
    }

    /// The id the next one of a noun gets.
    pub fn next_id<K: Copy + Ord + Into<u32>, V>(&self, of: &BTreeMap<K, V>) -> u32 {
        let last = of.last_key_value().map_or(0, |(id, _)| (*id).into());
        last.max(self.id_floor()) + 1
    }

    fn id_floor(&self) -> u32 {
        self.id_floors.iter().map(|(_, floor)| *floor).max().unwrap_or(0)
    }

    /// The last restore until `at`; `None`: there was none. What happened between the backup and
    /// it is not known here, and may be known elsewhere.
    pub fn restored_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.id_floors.iter().map(|(since, _)| *since).filter(|since| *since <= at).max()
    }

    /// The largest id of any noun.
    pub fn id_max(&self) -> u32 {
        let lasts = [
            self.advertisers.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.publishers.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.campaigns.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.links.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.integrations.last_key_value().map_or(0, |(id, _)| (*id).into()),
            self.destinations.last_key_value().map_or(0, |(id, _)| (*id).into()),
        ];
        lasts.into_iter().fold(self.id_floor(), u32::max)
    }
}

fn latest<K, T: Clone>(
    all: &BTreeMap<K, History<T>>,
    change: impl Fn(T) -> Change,
) -> impl Iterator<Item = (Timestamp, Change)> {
    all.values().map(move |history| (history.changed_at(), change(history.latest().clone())))
}

/// Adds to an index, once.
fn add<T: PartialEq>(index: &mut HashMap<String, Vec<T>>, key: &str, new: T) {
    let all = index.entry(key.to_owned()).or_default();
    if !all.contains(&new) {
        all.push(new);
    }
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

//! The setup in force: what the next request sees.
//!
//! It follows the store's own copy change by change, right after each commit and before the
//! command's caller is answered. Nothing on the click path reads a database, and no click waits
//! while targets are worked out: that is done before they are put in force. A ledger that has to
//! catch up is not followed before it has: an older setup does not take the place of a newer one.

use domain::campaign::Campaign;
use domain::id::{CampaignId, LinkId, Position};
use domain::integration::{Integration, Scope};
use domain::landing::Target;
use domain::setup::{Change, History, Setup};
use domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

/// By the links' tokens.
type Targets = HashMap<String, Arc<Target>>;

/// One thread alone changes it: the one that applies records.
pub(crate) struct Live {
    setup: RwLock<Setup>,
    targets: RwLock<Targets>,
    /// The links of each campaign.
    links: RwLock<HashMap<CampaignId, Vec<LinkId>>>,
    /// Goes up with every change.
    version: AtomicU64,
    /// The ledger's setup, while that catches up.
    behind: Mutex<Option<Behind>>,
    /// It is the ledger's.
    is_current: AtomicBool,
}

struct Behind {
    setup: Setup,
    /// It is put in force once everything before is applied.
    until: Position,
}

/// The setup, for as long as it is held. Never across an await.
pub(crate) type SetupGuard<'a> = RwLockReadGuard<'a, Setup>;

const PANICKED: &str = "a panic while changing the setup ends the process";

impl Live {
    /// What is in force until a ledger is followed.
    pub(crate) fn new(setup: Setup) -> Self {
        let live = Self {
            setup: RwLock::default(),
            targets: RwLock::default(),
            links: RwLock::default(),
            version: AtomicU64::new(0),
            behind: Mutex::default(),
            is_current: AtomicBool::new(false),
        };
        live.replace(setup);
        live
    }

    /// From now on changes are the ledger's, whose setup this is. It has applied what is before
    /// `applied`, and is shown once it has applied what is before `until`.
    pub(crate) fn follow(&self, setup: Setup, applied: Position, until: Position) {
        *self.behind.lock().expect(PANICKED) = Some(Behind { setup, until });
        self.reached(applied);
    }

    /// Everything before `next` is applied.
    pub(crate) fn reached(&self, next: Position) {
        let mut behind = self.behind.lock().expect(PANICKED);
        if let Some(Behind { setup, .. }) = behind.take_if(|behind| behind.until <= next) {
            self.replace(setup);
            self.is_current.store(true, Ordering::Release);
        }
    }

    /// Whether it is what the ledger says.
    pub(crate) fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Acquire)
    }

    pub(crate) fn setup(&self) -> SetupGuard<'_> {
        self.setup.read().expect(PANICKED)
    }

    /// Where a link's visitors go now.
    pub(crate) fn target(&self, token: &str) -> Option<Arc<Target>> {
        self.targets.read().expect(PANICKED).get(token).cloned()
    }

    /// How often it has changed.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts a whole setup in the place of the one that is in force.
    fn replace(&self, setup: Setup) {
        let mut links: HashMap<CampaignId, Vec<LinkId>> = HashMap::new();
        for id in setup.links.keys() {
            if let Some(link) = setup.link(*id) {
                links.entry(link.campaign_id).or_default().push(*id);
            }
        }
        let targets = targets(&setup, setup.links.keys().copied()).collect();
        *self.setup.write().expect(PANICKED) = setup;
        *self.links.write().expect(PANICKED) = links;
        *self.targets.write().expect(PANICKED) = targets;
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Brings changes into force.
    pub(crate) fn put(&self, since: Timestamp, changes: &[Change]) {
        if let Some(behind) = &mut *self.behind.lock().expect(PANICKED) {
            for change in changes {
                behind.setup.put(since, change.clone());
            }
            return;
        }
        for change in changes {
            self.setup.write().expect(PANICKED).put(since, change.clone());
            let touched = self.touched(change);
            let new: Vec<_> = targets(&self.setup(), touched).collect();
            self.targets.write().expect(PANICKED).extend(new);
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The links whose visitors a change may send elsewhere.
    fn touched(&self, change: &Change) -> Vec<LinkId> {
        match change {
            Change::Link(link) => {
                let mut links = self.links.write().expect(PANICKED);
                let known = links.entry(link.campaign_id).or_default();
                if !known.contains(&link.id) {
                    known.push(link.id);
                }
                vec![link.id]
            }
            Change::Campaign(campaign) => self.links_of([campaign.id]),
            Change::Integration(integration) => {
                let setup = self.setup();
                let campaigns = setup.campaigns.values().map(History::latest);
                let reached = campaigns.filter(|campaign| reaches(integration, campaign));
                self.links_of(reached.map(|campaign| campaign.id))
            }
            Change::Advertiser(_)
            | Change::Publisher(_)
            | Change::Contract(_)
            | Change::Partner(_)
            | Change::Destination(_)
            | Change::SubLabels(_)
            | Change::Settings(_)
            | Change::IdFloor(_) => Vec::new(),
        }
    }

    fn links_of(&self, campaigns: impl IntoIterator<Item = CampaignId>) -> Vec<LinkId> {
        let links = self.links.read().expect(PANICKED);
        campaigns.into_iter().filter_map(|id| links.get(&id)).flatten().copied().collect()
    }
}

/// Whether the campaign's landing parameters may be the integration's.
fn reaches(integration: &Integration, campaign: &Campaign) -> bool {
    campaign.integration_id == Some(integration.id)
        || match integration.scope {
            Scope::Global => true,
            Scope::Advertiser { advertiser_id } => advertiser_id == campaign.advertiser_id,
            Scope::Campaign { campaign_id } => campaign_id == campaign.id,
        }
}

fn targets(
    setup: &Setup,
    links: impl IntoIterator<Item = LinkId>,
) -> impl Iterator<Item = (String, Arc<Target>)> {
    links.into_iter().filter_map(|id| {
        let link = setup.link(id)?;
        let target = Target::of(setup, link);
        if target.is_none() {
            tracing::error!(link.id = %id, "a link has no readable landing URL");
        }
        Some((link.token.clone(), Arc::new(target?)))
    })
}

//! The setup in force: what the next request sees.
//!
//! It follows the store's own copy change by change, right after each commit and before the
//! command's caller is answered. Nothing on the click path reads a database.

use domain::id::{CampaignId, LinkId};
use domain::landing::Target;
use domain::setup::{Change, Setup};
use domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard};

pub(crate) struct Live(RwLock<Inner>);

struct Inner {
    setup: Setup,
    targets: HashMap<String, Arc<Target>>,
    links: HashMap<CampaignId, Vec<LinkId>>,
}

/// The setup, for as long as it is held. Never across an await.
pub(crate) struct SetupGuard<'a>(RwLockReadGuard<'a, Inner>);

impl std::ops::Deref for SetupGuard<'_> {
    type Target = Setup;
    fn deref(&self) -> &Setup {
        &self.0.setup
    }
}

impl Live {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut inner = Inner { setup, targets: HashMap::new(), links: HashMap::new() };
        let links: Vec<_> = inner.setup.links.keys().copied().collect();
        for id in links {
            inner.add_link(id);
            inner.refresh(id);
        }
        Self(RwLock::new(inner))
    }

    pub(crate) fn setup(&self) -> SetupGuard<'_> {
        SetupGuard(self.0.read().expect("a panic while changing the setup ends the process"))
    }

    /// Where a link's visitors go now.
    pub(crate) fn target(&self, token: &str) -> Option<Arc<Target>> {
        let inner = self.0.read().expect("a panic while changing the setup ends the process");
        inner.targets.get(token).cloned()
    }

    /// Brings changes into force.
    pub(crate) fn put(&self, since: Timestamp, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut inner = self.0.write().expect("a panic while changing the setup ends the process");
        for change in changes {
            inner.setup.put(since, change.clone());
            match change {
                Change::Link(link) => {
                    inner.add_link(link.id);
                    inner.refresh(link.id);
                }
                Change::Campaign(campaign) => inner.refresh_campaign(campaign.id),
                Change::Integration(_) => inner.refresh_all(),
                Change::Advertiser(_)
                | Change::Publisher(_)
                | Change::Partner(_)
                | Change::IdFloor(_) => {}
            }
        }
    }
}

impl Inner {
    fn add_link(&mut self, id: LinkId) {
        let Some(link) = self.setup.link(id) else { return };
        let links = self.links.entry(link.campaign_id).or_default();
        if !links.contains(&id) {
            links.push(id);
        }
    }

    fn refresh(&mut self, id: LinkId) {
        let Some(link) = self.setup.link(id) else { return };
        match Target::of(&self.setup, link) {
            Some(target) => {
                self.targets.insert(link.token.clone(), Arc::new(target));
            }
            None => tracing::error!(link.id = %id, "a link has no readable landing URL"),
        }
    }

    fn refresh_campaign(&mut self, id: CampaignId) {
        for link in self.links.get(&id).cloned().unwrap_or_default() {
            self.refresh(link);
        }
    }

    /// Landing parameters may have come, gone or changed for any campaign below.
    fn refresh_all(&mut self) {
        let campaigns: Vec<_> = self.links.keys().copied().collect();
        for id in campaigns {
            self.refresh_campaign(id);
        }
    }
}

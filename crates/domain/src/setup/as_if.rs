//! The setup as if one integration had spoken otherwise: what a draft is tried with, and what is
//! refused is read with once more.

use super::{Change, History, Setup};
use crate::integration::Integration;
use crate::time::Timestamp;

impl Setup {
    /// This setup, with `integration` in place of every version of it that held from `since` on.
    /// Everything else stays as it was at each instant.
    #[must_use]
    pub fn as_if(&self, integration: &Integration, since: Timestamp) -> Self {
        let mut setup = self.clone();
        let Some(History { versions }) = setup.integrations.get_mut(&integration.id) else {
            return setup;
        };
        let made_at = versions[0].0;
        versions.retain(|(from, _)| *from < since);
        // The indexes know what the new one is called by; a history grows at its end only.
        if versions.is_empty() {
            setup.integrations.remove(&integration.id);
        }
        setup.put(since.max(made_at), Change::Integration(integration.clone()));
        setup
    }

    /// The same for what reads hits, while what makes two postbacks one conversion stays as it was
    /// agreed on: or a hit that is decided again could pay for what was paid under another identity.
    #[must_use]
    pub fn read_as_if(&self, integration: &Integration, since: Timestamp) -> Self {
        let mut setup = self.as_if(integration, since);
        if let Some(history) = self.integrations.get(&integration.id) {
            setup.agreed.entry(integration.id).or_insert_with(|| history.clone());
        }
        setup
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IntegrationId;
    use crate::integration::Scope;
    use crate::ledger::tests::world::plain;

    fn integration(version: u32) -> Integration {
        Integration {
            id: IntegrationId(1),
            key: "k3y".to_owned(),
            scope: Scope::Global,
            partner: "counterfoil".to_owned(),
            landing_params: None,
            secrets: std::collections::BTreeMap::new(),
            retiring: Vec::new(),
            macros: std::collections::BTreeMap::new(),
            version,
            contract: plain(),
            earlier: Vec::new(),
            archived: false,
        }
    }

    fn versions(setup: &Setup) -> Vec<(i64, u32)> {
        let history = &setup.integrations[&IntegrationId(1)];
        history.versions().map(|(since, one)| (since.as_s(), one.version)).collect()
    }

    #[test]
    fn what_held_before_stays_and_what_came_later_is_replaced() {
        let at = Timestamp::from_s;
        let mut setup = Setup::default();
        for (since, version) in [(10, 1), (20, 2), (30, 3)] {
            setup.put(at(since), Change::Integration(integration(version)));
        }
        let drafted = |since| versions(&setup.as_if(&integration(9), at(since)));
        assert_eq!(drafted(25), [(10, 1), (20, 2), (25, 9)]);
        assert_eq!(drafted(20), [(10, 1), (20, 9)]);
        assert_eq!(drafted(0), [(10, 9)]);
        assert_eq!(drafted(99), [(10, 1), (20, 2), (30, 3), (99, 9)]);
        assert_eq!(versions(&setup), [(10, 1), (20, 2), (30, 3)]);
        let scope = setup.as_if(&integration(9), at(0));
        assert_eq!(scope.integrations_of(Scope::Global).count(), 1);

        let again = setup.read_as_if(&integration(9), at(0)).read_as_if(&integration(8), at(0));
        assert_eq!(versions(&again), [(10, 8)]);
        let agreed = |since| again.integration_agreed(IntegrationId(1), at(since));
        let agreed = [5, 15, 20, 99].map(|since| agreed(since).map(|one| one.version));
        assert_eq!(agreed, [Some(1), Some(1), Some(2), Some(3)]);
    }
}

//! Decides hits that were refused or parked once more, as an integration speaks now.
//!
//! What comes of a hit is entered like anything a command does: caused by the replay, at its time.
//! A hit that would be refused again stays as it is, for that is how it was answered; and so does
//! one whose conversion has been changed since by what came later, for it is no news any more.

use super::super::{kept_hit, verdict};
use super::{Writer, guarded};
use crate::Error;
use domain::id::{IntegrationId, Position};
use domain::ledger::{self, Cause, ContractRef, Occasion};
use domain::reason::Verdict;
use domain::setup::Setup;
use domain::time::Timestamp;

/// The command that has hits decided again.
pub(super) struct Replay {
    pub(super) by: Position,
    pub(super) at: Timestamp,
    pub(super) evidence: [u8; 32],
}

impl Writer {
    /// The hits that were decided again, each with its verdict.
    pub(super) fn replay(
        &mut self,
        id: IntegrationId,
        hits: &[Position],
        replay: &Replay,
        decided_at: Timestamp,
    ) -> Result<Vec<(Position, Verdict)>, Error> {
        let now = self.setup.integration(id).cloned();
        let Some(integration) = now else { return Ok(Vec::new()) };
        let setup = self.setup.read_as_if(&integration, Timestamp::UNIX_EPOCH);
        let by = ContractRef::Integration { id, version: integration.version };
        let mut replayed = Vec::new();
        for position in hits {
            let decided = self.replay_one(&setup, &by, *position, replay, decided_at)?;
            replayed.extend(decided.map(|verdict| (*position, verdict)));
        }
        Ok(replayed)
    }

    /// `None`: it stays as it is.
    fn replay_one(
        &mut self,
        setup: &Setup,
        by: &ContractRef,
        position: Position,
        replay: &Replay,
        decided_at: Timestamp,
    ) -> Result<Option<Verdict>, Error> {
        let stored = verdict::find(&self.connection, position)?;
        let Some(was) = stored.map(|stored| stored.verdict) else { return Ok(None) };
        if !matches!(was, Verdict::Refused | Verdict::Parked) {
            return Ok(None);
        }
        let Some(kept) = kept_hit(&self.facts, position)? else { return Ok(None) };
        let Some(hit) = kept.hit else { return Ok(None) };
        let keyring = &self.keyring;
        let mut read = guarded(replay.by, || ledger::read(setup, keyring, &hit, kept.at))?;
        self.find_transaction(replay.by, setup, &mut read)?;
        if read.contract_ref.as_ref().is_none_or(|read_by| !read_by.is_same_integration(by)) {
            return Ok(None);
        }
        if self.is_overtaken(&read, position)? {
            return Ok(None);
        }
        let found = self.click_of(&read, position)?;
        let occasion = Occasion {
            at: kept.at,
            entered_at: replay.at,
            position,
            cause: Cause::Command(replay.by),
            evidence: replay.evidence,
        };
        let (decision, verdict) =
            self.decide_one(replay.by, setup, Some(&read), found.as_ref(), occasion, decided_at)?;
        if decision.verdict == Verdict::Refused && was == Verdict::Refused {
            return Ok(None);
        }
        let elsewhere = super::elsewhere(Some(&read), &decision);
        verdict::replace(&self.connection, &verdict, elsewhere)?;
        self.save_decision(&decision)?;
        Ok(Some(decision.verdict))
    }
}

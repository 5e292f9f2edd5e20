//! Applies records in the journal's order: the one way to change what counts.
//!
//! A batch is one transaction. Hits are decided in runs between commands, because a command may
//! change the setup they are read with; within a run the clicks are looked up all at once.

mod replay;

use self::replay::Replay;
use super::{POSITION_LAG_MAX, Writer, command, conversion, delivery, event, setup, verdict};
use crate::list::StoredVerdict;
use crate::{Applied, Effect, Error};
use domain::command::{Act, Answer, By, Command, Failure, FailureKind, Outcome};
use domain::contract::Answers;
use domain::destination::{self, Owed};
use domain::hit::Hit;
use domain::id::{ConversionId, DeliveryId, Position};
use domain::ledger::{self, Cause, Decision, Home, Occasion, Read};
use domain::reason::Verdict;
use domain::record::{self, Record, Stamped};
use domain::secret::WrongKey;
use domain::setup::{Change, Setup};
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How many conversions' ids are skipped after a restore: there can be one for each hit.
const CONVERSIONS_SKIPPED: u64 = crate::journal::RESTORE_SKIP;

/// A click as the facts know it, where they do.
type Found = Option<crate::facts::Found>;

impl Writer {
    pub(super) fn apply(
        &mut self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error> {
        self.recover()?;
        let before = self.state.clone();
        let applied = self.apply_all(records, quarantined, decided_at);
        if applied.is_err() {
            self.state = before;
            self.has_failed = true;
            // Where this fails too, what failed first says more, and the next call tries again.
            _ = self.recover();
        }
        applied
    }

    /// After a batch that failed: forgets what is not committed of it.
    pub(super) fn recover(&mut self) -> Result<(), Error> {
        if !self.has_failed {
            return Ok(());
        }
        // Some failures have rolled it back already.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("-- apply::recover\nrollback")?;
        }
        self.setup = setup::load(&self.connection, self.secrets.as_ref())?.into();
        self.has_failed = false;
        Ok(())
    }

    /// One transaction; where it fails, [`Writer::recover`] rolls it back.
    fn apply_all(
        &mut self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error> {
        let mut applied = Vec::new();
        let mut rest = records;
        let changes_ledger = records.iter().any(|one| {
            one.position >= self.state.position && !matches!(one.record, Record::Click(_))
        });
        if changes_ledger {
            self.connection.execute_batch("-- apply::apply_all\nbegin immediate")?;
        }
        loop {
            let is_command = |one: &Stamped<'_>| matches!(one.record, Record::Command(_));
            let run_ends = rest.iter().position(is_command).unwrap_or(rest.len());
            let (run, after) = rest.split_at(run_ends);
            self.apply_run(run, quarantined, decided_at, &mut applied)?;
            let Some((one, after)) = after.split_first() else { break };
            self.apply_command(one, quarantined, decided_at, &mut applied)?;
            rest = after;
        }
        if changes_ledger {
            self.state.save(&self.connection)?;
            self.connection.execute_batch("-- apply::apply_all\ncommit")?;
            self.saved = self.state.position;
        } else if self.state.position.0 - self.saved.0 >= POSITION_LAG_MAX {
            self.save_position()?;
        }
        Ok(applied)
    }

    /// Clicks, hits and ticks; no command is among them.
    fn apply_run(
        &mut self,
        run: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
        applied: &mut Vec<Applied>,
    ) -> Result<(), Error> {
        let mut hits = Vec::new();
        for one in run {
            match &one.record {
                Record::Click(click) => self.facts.add_click(one.position, one.at, click),
                Record::Hit(hit) => {
                    self.facts.add_hit(one.position, one.at, hit);
                    if one.position >= self.state.position {
                        hits.push((one, hit));
                    }
                }
                Record::Tick => self.facts.pass(one.position, one.at),
                Record::Command(_) => unreachable!("a run ends before a command"),
            }
        }
        let setup = self.setup.clone();
        self.decide_all(&setup, &hits, quarantined, decided_at, applied)?;
        // Or the next command would have to copy it.
        drop(setup);
        if let Some(last) = run.last() {
            self.state.position = self.state.position.max(Position(last.position.0 + 1));
        }
        Ok(())
    }

    fn decide_all(
        &mut self,
        setup: &Setup,
        hits: &[(&Stamped<'_>, &Hit)],
        quarantined: &[Position],
        decided_at: Timestamp,
        applied: &mut Vec<Applied>,
    ) -> Result<(), Error> {
        let mut reads = Vec::with_capacity(hits.len());
        for (one, hit) in hits {
            let keyring = &self.keyring;
            let is_quarantined = quarantined.contains(&one.position);
            let read = if is_quarantined {
                None
            } else {
                Some(guarded(one.position, || ledger::read(setup, keyring, hit, one.at))?)
            };
            reads.push(read);
        }
        let ids: Vec<_> = reads.iter().flatten().filter_map(|read| read.click_id).collect();
        let mut found = self.facts.find(&ids, Position(u64::MAX))?.into_iter();
        for ((one, hit), read) in hits.iter().zip(&mut reads) {
            let click: Found = match read {
                Some(read) if read.click_id.is_some() => found
                    .next()
                    .expect("one answer for each id")
                    .filter(|found| found.position < one.position),
                Some(read) if !read.asks_for().is_empty() => {
                    self.find_transaction(one.position, setup, read)?;
                    self.click_of(read, one.position)?
                }
                _ => None,
            };
            let (position, at) = (one.position, one.at);
            let entered_at = at;
            let (cause, evidence) = (Cause::Hit(position), hit.digest());
            let occasion = Occasion { at, entered_at, position, cause, evidence };
            let (decision, verdict) = self.decide_one(
                position,
                setup,
                read.as_ref(),
                click.as_ref(),
                occasion,
                decided_at,
            )?;
            let elsewhere = elsewhere(read.as_ref(), &decision);
            verdict::insert(&self.connection, &verdict, elsewhere)?;
            self.save_decision(&decision)?;
            let effect = Effect::Decided(Box::new(verdict));
            applied.push(Applied { position, at, effect });
        }
        Ok(())
    }

    /// Finds the click of a hit that names a transaction in its place: that of the conversion that
    /// has it by now. `by` is the record that has the hit decided.
    fn find_transaction<'s>(
        &self,
        by: Position,
        setup: &'s Setup,
        read: &mut Read<'s>,
    ) -> Result<(), Error> {
        for key in read.asks_for().to_vec() {
            let Some(conversion) = conversion::by_key(&self.connection, &key)? else { continue };
            if guarded(by, || read.found(setup, &conversion))? {
                break;
            }
        }
        Ok(())
    }

    /// `by` is the record that has it decided: the hit, or a command. `read` is `None` for a hit
    /// whose decision panicked before.
    fn decide_one(
        &self,
        by: Position,
        setup: &Setup,
        read: Option<&Read<'_>>,
        found: Option<&crate::facts::Found>,
        occasion: Occasion,
        decided_at: Timestamp,
    ) -> Result<(Decision, StoredVerdict), Error> {
        let conversion = match read {
            Some(read) => conversion::of(&self.connection, read)?,
            None => None,
        };
        let has_earlier = conversion.is_none() && self.has_earlier(read)?;
        let waiting = match read.and_then(Read::waits) {
            Some(id) if conversion.is_none() => conversion::waiting(&self.connection, id)?,
            _ => 0,
        };
        let events = match read.and_then(Read::tells_of) {
            Some(id) => event::of_click(&self.connection, id)?,
            None => None,
        };
        let click = found.map(|found| &found.click);
        let decision = match read {
            None => Decision::internal_error(),
            Some(read) => {
                let facts = ledger::Facts {
                    click,
                    conversion: conversion.as_ref(),
                    has_earlier,
                    waiting,
                    events: events.as_ref(),
                    next_id: self.state.next_conversion,
                };
                let decide = self.decide;
                guarded(by, || decide(setup, read, facts, occasion))?
            }
        };
        let postback = read.and_then(|read| read.postback().ok());
        let link = read.and_then(|read| read.link);
        let campaign = read.and_then(|read| read.campaign);
        let goal = read.and_then(|read| read.goal).map(|goal| goal.key.clone());
        let contract = read.and_then(|read| read.contract);
        let verdict = StoredVerdict {
            position: occasion.position,
            at: occasion.at,
            decided_at,
            verdict: decision.verdict,
            reason: decision.reason,
            parameter: decision.parameter.clone(),
            nearest: decision.nearest.clone(),
            detail: decision.detail.clone(),
            flags: decision.flags,
            contract: read.and_then(|read| read.contract_ref.as_ref()).map(ToString::to_string),
            http_status: contract
                .map_or(&Answers::default(), |contract| &contract.answers)
                .http_status(Some(decision.verdict), decision.reason),
            decided_by: (by != occasion.position).then_some(by),
            click_id: read.and_then(|read| read.click_id),
            campaign_id: campaign.map(|campaign| campaign.id),
            publisher_id: link.map(|link| link.publisher_id),
            goal,
            txn_id: postback.and_then(|postback| postback.txn_id.clone()),
            original: decision.original,
            conversion_id: decision.conversion.map(|(id, _)| id),
            status: decision.conversion.map(|(_, status)| status),
            is_test: click
                .map_or_else(|| link.is_some_and(|link| link.test), |click| click.is_test),
            labels: click.map(|click| click.labels.clone()).unwrap_or_default(),
        };
        Ok((decision, verdict))
    }

    /// Whether the click has a conversion of the goal, where what was agreed asks.
    fn has_earlier(&self, read: Option<&Read<'_>>) -> Result<bool, Error> {
        match read.and_then(Read::marks) {
            Some((id, goal)) => conversion::has(&self.connection, id, goal),
            None => Ok(false),
        }
    }

    fn save_decision(&mut self, decision: &Decision) -> Result<(), Error> {
        if let Some(events) = &decision.events {
            event::save(&self.connection, events)?;
        }
        self.save_effect(decision.effect.as_ref())
    }

    pub(super) fn save_effect(&mut self, effect: Option<&ledger::Effect>) -> Result<(), Error> {
        let Some(effect) = effect else { return Ok(()) };
        let conversion = &effect.conversion;
        let is_new = conversion.id == self.state.next_conversion;
        if is_new {
            conversion::insert(&self.connection, conversion)?;
            self.state.next_conversion = ConversionId(conversion.id.0 + 1);
        } else {
            conversion::update(&self.connection, conversion)?;
        }
        let Some(entry) = &effect.entry else { return Ok(()) };
        let hash = entry.hash(&self.state.chain);
        self.state.entries += 1;
        let (home, number) = (conversion.key.home, self.state.entries);
        conversion::add_entry(&self.connection, home, number, entry, &hash)?;
        self.state.chain = hash;
        self.owe(conversion, home)
    }

    /// Writes who is to be told that the conversion has changed.
    fn owe(&mut self, conversion: &ledger::Conversion, home: Home) -> Result<(), Error> {
        if !self.setup.tells_of(conversion) {
            return Ok(());
        }
        let before = match conversion.sequence {
            1 => Vec::new(),
            _ => delivery::of_conversion(&self.connection, home, conversion.id)?,
        };
        for owed in destination::owed(&self.setup, conversion, &before) {
            self.add_owed(home, &owed)?;
        }
        Ok(())
    }

    pub(super) fn add_owed(&mut self, home: Home, owed: &Owed) -> Result<(), Error> {
        let id = DeliveryId(self.state.last_delivery.0 + 1);
        delivery::add(&self.connection, id, home, owed)?;
        self.state.last_delivery = id;
        Ok(())
    }

    fn apply_command(
        &mut self,
        one: &Stamped<'_>,
        quarantined: &[Position],
        decided_at: Timestamp,
        applied: &mut Vec<Applied>,
    ) -> Result<(), Error> {
        let Record::Command(command) = &one.record else {
            unreachable!("only commands are handed here")
        };
        self.facts.pass(one.position, one.at);
        if one.position < self.state.position {
            return Ok(());
        }
        let (position, at) = (one.position, one.at);
        let command = &self.decrypted(position, command)?;
        let earlier = earlier_outcome(self, command)?;
        let (outcome, changes) = match earlier {
            Some(outcome) => (outcome, Vec::new()),
            None if quarantined.contains(&position) => (Outcome::Failed(internal()), Vec::new()),
            None => self.execute(position, at, command, decided_at)?,
        };
        for change in &changes {
            setup::add(&self.connection, at, position, change)?;
            Arc::make_mut(&mut self.setup).put(at, change.clone());
        }
        command::add(&self.connection, position, at, command, &outcome)?;
        self.state.position = Position(position.0 + 1);
        let effect = Effect::Commanded { outcome: Box::new(outcome), changes };
        applied.push(Applied { position, at, effect });
        Ok(())
    }

    /// The command with secrets that can be used.
    fn decrypted(&self, position: Position, command: &Command) -> Result<Command, Error> {
        let mut command = command.clone();
        let decrypted = command.decrypt_secrets(self.secrets.as_ref());
        decrypted.map_err(|WrongKey| Error::WrongKey { place: format!("record {position}") })?;
        Ok(command)
    }

    fn execute(
        &mut self,
        position: Position,
        at: Timestamp,
        command: &Command,
        decided_at: Timestamp,
    ) -> Result<(Outcome, Vec<Change>), Error> {
        let setup = &self.setup;
        let by = By { actor: &command.actor, at };
        let executed = match guarded(position, || setup.execute(&command.act, by))? {
            Ok(executed) => executed,
            Err(failure) => return Ok((Outcome::Failed(failure), Vec::new())),
        };
        let mut answer = executed.answer;
        let done = match &command.act {
            Act::ChangeConversionStatus { id, to, reason } => {
                self.change_status(*id, *to, reason, commanded(position, at, command))?
            }
            Act::RepairTxnId { id, txn_id, reason } => {
                self.repair(*id, txn_id, reason, commanded(position, at, command))?
            }
            Act::MergeConversion { id, into, reason } => {
                self.merge(*id, *into, reason, commanded(position, at, command))?
            }
            Act::Redecide { position: hit } => self.redecide(position, *hit, at, decided_at)?,
            Act::Replay { id, hits, .. } => {
                let occasion = Replay { by: position, at, evidence: command_digest(command) };
                answer = Answer::Replayed(self.replay(*id, hits, &occasion, decided_at)?);
                Ok(())
            }
            Act::BackfillDestination { id, period } => {
                let done = self.backfill(*id, *period, (position, at))?;
                done.map(|done| answer = Answer::Backfilled(done))
            }
            Act::SkipIds => {
                self.state.next_conversion.0 += CONVERSIONS_SKIPPED;
                Ok(())
            }
            _ => Ok(()),
        };
        Ok(match done {
            Ok(()) => (Outcome::Done(Box::new(answer)), executed.changes),
            Err(failure) => (Outcome::Failed(failure), Vec::new()),
        })
    }

    fn change_status(
        &mut self,
        id: ConversionId,
        to: domain::conversion::Status,
        reason: &str,
        occasion: Occasion,
    ) -> Result<Result<(), Failure>, Error> {
        let Some(old) = conversion::by_id(&self.connection, id)? else {
            return Ok(Err(Failure::not_found("conversion", id)));
        };
        match ledger::change_by_person(&old, to, reason, occasion) {
            Ok(effect) => self.save_effect(Some(&effect)).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Decides a parked hit once more, with the setup as it was when it arrived; what comes of it
    /// is entered now. Where that panics, it is the command at `by` that is to be quarantined: the
    /// hit already is what it would become. A hit whose request has been removed stays parked,
    /// also when the ledger is made again.
    fn redecide(
        &mut self,
        by: Position,
        position: Position,
        entered_at: Timestamp,
        decided_at: Timestamp,
    ) -> Result<Result<(), Failure>, Error> {
        let stored = verdict::find(&self.connection, position)?;
        let Some(stored) = stored else {
            return Ok(Err(Failure::not_found("hit", position)));
        };
        if stored.verdict != Verdict::Parked {
            let detail = format!("the hit is {}: only parked ones wait", stored.verdict.name());
            return Ok(Err(Failure::conflict("not_parked", detail)));
        }
        let kept = super::kept_hit(&self.facts, position)?;
        let Some((kept, hit)) = kept.and_then(|kept| kept.hit.clone().map(|hit| (kept, hit)))
        else {
            let detail = "the request itself is not kept any more";
            return Ok(Err(Failure::conflict("hit_removed", detail)));
        };
        let setup = self.setup.clone();
        let (at, evidence) = (kept.at, hit.digest());
        let cause = Cause::Hit(position);
        let occasion = Occasion { at, entered_at, position, cause, evidence };
        self.redecide_with(by, &setup, &hit, occasion, decided_at)
    }

    fn redecide_with(
        &mut self,
        by: Position,
        setup: &Setup,
        hit: &Hit,
        occasion: Occasion,
        decided_at: Timestamp,
    ) -> Result<Result<(), Failure>, Error> {
        let keyring = &self.keyring;
        let mut read = guarded(by, || ledger::read(setup, keyring, hit, occasion.at))?;
        self.find_transaction(by, setup, &mut read)?;
        let found = self.click_of(&read, occasion.position)?;
        let (decision, verdict) =
            self.decide_one(by, setup, Some(&read), found.as_ref(), occasion, decided_at)?;
        let changes = decision.effect.as_ref().is_some_and(|effect| effect.entry.is_some());
        if changes && self.is_overtaken(&read, occasion.position)? {
            let detail = "its conversion has been changed since by what came after the hit";
            return Ok(Err(Failure::conflict("overtaken", detail)));
        }
        verdict::replace(&self.connection, &verdict, elsewhere(Some(&read), &decision))?;
        self.save_decision(&decision).map(Ok)
    }

    /// Whether the conversion of what was read has been changed by what came after the hit at
    /// `position`: another hit, or a person.
    fn is_overtaken(&self, read: &Read<'_>, position: Position) -> Result<bool, Error> {
        match conversion::of(&self.connection, read)? {
            Some(conversion) => {
                conversion::is_changed_after(&self.connection, &conversion, position)
            }
            None => Ok(false),
        }
    }

    /// The click a hit is about, as far as it came before it.
    fn click_of(&self, read: &Read<'_>, before: Position) -> Result<Found, Error> {
        Ok(match read.click_id {
            Some(id) => self.facts.find(&[id], before)?.pop().flatten(),
            None => None,
        })
    }
}

/// The home of the hit's conversion, where that does not live with the click.
fn elsewhere(read: Option<&Read<'_>>, decision: &Decision) -> Option<Home> {
    let key = read?.key.as_ref().filter(|key| !key.is_of_click())?;
    decision.conversion.map(|_| key.home)
}

/// The outcome of an earlier command with the same idempotency key, or the complaint that it was
/// another request.
fn earlier_outcome(writer: &Writer, command: &Command) -> Result<Option<Outcome>, Error> {
    let Some(idempotency) = &command.idempotency else { return Ok(None) };
    let earlier = command::by_key(&writer.connection, &command.actor, &idempotency.key)?;
    let Some(earlier) = earlier else { return Ok(None) };
    let is_same = earlier.command.idempotency.as_ref() == Some(idempotency);
    Ok(Some(if is_same {
        earlier.outcome
    } else {
        let detail = "this Idempotency-Key was used with another request";
        Outcome::Failed(Failure::conflict("idempotency_key_reused", detail))
    }))
}

fn internal() -> Failure {
    Failure {
        kind: FailureKind::Internal,
        code: "internal_error".to_owned(),
        detail: "carrying it out failed; it had no effect".to_owned(),
        parameter: None,
    }
}

/// When and by what a command changes a conversion.
fn commanded(position: Position, at: Timestamp, command: &Command) -> Occasion {
    let (cause, evidence) = (Cause::Command(position), command_digest(command));
    Occasion { at, entered_at: at, position, cause, evidence }
}

/// What an entry that a command caused commits to: the bytes in the journal, which every release
/// writes alike. The golden journal is where it shows if one does not.
fn command_digest(command: &Command) -> [u8; 32] {
    let payload = record::write(&Record::Command(Box::new(command.clone())));
    Sha256::new_with_prefix(b"counterfoil command 1").chain_update(payload).finalize().into()
}

/// Runs a decision; a panic in it is an error that names the record. Decisions are pure: what
/// they were given is as it was.
pub(super) fn guarded<T>(position: Position, decide: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decide)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let detail = text.unwrap_or("no message").to_owned();
        Error::Panicked { position, detail }
    })
}

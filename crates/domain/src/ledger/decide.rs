//! The decision itself: the first reason that applies, or what the postback does.

use super::amounts::Amounts;
use super::conversion::{CHANGES_MAX, said};
use super::entry::settle;
use super::route::{agreed_with, barred, campaign_then, clicked_at};
use super::{
    ClickEvents, Conversion, Decision, Effect, Facts, Occasion, Read, WAITING_MAX, events,
};
use crate::campaign::{Campaign, Link};
use crate::click::Label;
use crate::click_id::ClickId;
use crate::contract::{Canonical, Contract, RepeatedAmount, Repeats};
use crate::conversion::{Status, may_change};
use crate::echo::echoed;
use crate::money::Micros;
use crate::postback::{Postback, Problem, Said, Value};
use crate::reason::{Flag, Flags, Reason, Verdict};
use crate::settings::Unverified;
use crate::setup::Setup;
use std::collections::BTreeMap;

/// Decides. The order of the checks is the order of [`Reason::ALL`].
pub fn decide(setup: &Setup, read: &Read<'_>, facts: Facts<'_>, occasion: Occasion) -> Decision {
    let postback = match read.postback() {
        Ok(postback) => postback,
        Err(problem) => return Decision::because(problem, Flags::default()),
    };
    let (Some(contract), Some(click_id), Some(campaign)) =
        (read.contract, read.click_id, read.campaign)
    else {
        unreachable!("a postback that reads has a contract, and a click of a campaign");
    };
    let campaign_then = campaign_then(setup, campaign, click_id);
    let link_then = setup.links.get(&click_id.link());
    let link_then = link_then.map(|history| history.at(clicked_at(click_id)));
    let conversion = facts.conversion.filter(|_| read.key.is_some());
    let as_of = setup.as_of(occasion.at);
    let barred = conversion.filter(|one| one.campaign_id != campaign.id).and_then(|one| {
        let other = setup.campaign(one.campaign_id)?;
        barred(as_of, read, other).err()
    });
    // Who cannot speak for it learns nothing of it.
    let conversion = conversion.filter(|_| barred.is_none());
    let elsewhere = conversion.filter(|one| one.click_id != click_id);
    let terms = elsewhere.map_or((campaign_then, campaign), |one| {
        let now = as_of.campaign(one.campaign_id).unwrap_or(campaign);
        (self::campaign_then(setup, now, one.click_id), now)
    });
    let agreed = read.agreed.unwrap_or(contract);
    let repeats = elsewhere.map_or(&agreed.repeats, |one| {
        let agreed = agreed_with(setup, terms.1, one.click_id);
        &agreed.unwrap_or(contract).repeats
    });
    let facts = Facts { conversion, ..facts };
    let may_not_approve = postback.flags.has(Flag::Unverified)
        && setup.as_of(occasion.at).settings().unverified == Unverified::Pending;
    let case = Case {
        contract,
        postback,
        click_id,
        campaign,
        campaign_then,
        terms,
        agreed,
        repeats,
        link_then,
        may_not_approve,
        read,
        barred,
        facts,
        occasion,
    };
    let mut flags = case.flags();
    let events = case.events(&mut flags);
    match case.decide(events.is_some()) {
        Ok(decision) => {
            let is_known = matches!(decision.verdict, Verdict::Duplicate);
            let counts = !is_known || case.check_time().is_ok();
            let events = events.filter(|_| counts);
            let tried = || read.reading.shadow.as_ref().map(|one| one.detail.clone());
            let detail = decision.detail.or_else(tried);
            Decision { flags: decision.flags.union(flags), detail, events, ..decision }
        }
        Err(problem) => {
            let conversion = conversion.map(|one| (one.id, one.status));
            Decision { conversion, ..Decision::because(&problem, flags) }
        }
    }
}

struct Case<'a> {
    contract: &'a Contract,
    postback: &'a Postback,
    click_id: ClickId,
    campaign: &'a Campaign,
    /// As it was agreed when the click was made.
    campaign_then: &'a Campaign,
    /// The conversion's campaign, as it was agreed when its click was made, and as it is.
    terms: (&'a Campaign, &'a Campaign),
    /// What was agreed for the click.
    agreed: &'a Contract,
    /// What the conversion's campaign agreed on when its click was made.
    repeats: &'a Repeats,
    link_then: Option<&'a Link>,
    /// Nothing vouches for its sender, and the network lets such a one approve nothing.
    may_not_approve: bool,
    read: &'a Read<'a>,
    /// It names a transaction of a campaign that it cannot speak for.
    barred: Option<Problem>,
    facts: Facts<'a>,
    occasion: Occasion,
}

impl Case<'_> {
    fn flags(&self) -> Flags {
        let mut flags = self.postback.flags;
        if self.read.reading.shadow.is_some() {
            flags.add(Flag::ShadowRefused);
        }
        if self.facts.conversion.is_some_and(|one| one.click_id != self.click_id) {
            flags.add(Flag::SentValueDiffers);
        }
        let Some(click) = self.facts.click else {
            flags.add(Flag::ClickDetailMissing);
            return flags;
        };
        let differs = self.postback.labels.iter().any(|value| {
            let label = match value.canonical {
                Canonical::Sub(number) => Label::Sub(number),
                Canonical::Placement => Label::Placement,
                Canonical::Campaign => return !self.is_campaign(&value.text),
                _ => return false,
            };
            click.labels.get(label) != Some(value.text.as_str())
        });
        if differs {
            flags.add(Flag::SentValueDiffers);
        }
        flags
    }

    fn is_campaign(&self, text: &str) -> bool {
        text.parse() == Ok(self.campaign.id) || text.eq_ignore_ascii_case(&self.campaign.name)
    }

    /// The click's events after this postback, where it changes them.
    fn events(&self, flags: &mut Flags) -> Option<Box<ClickEvents>> {
        if !events::has_any(self.postback) || self.read.payloads.is_empty() {
            return None;
        }
        let (click, link) = (self.facts.click, self.read.link?);
        let mut all = self.facts.events.cloned().unwrap_or_else(|| ClickEvents {
            click_id: self.click_id,
            campaign_id: self.campaign.id,
            publisher_id: link.publisher_id,
            link_id: link.id,
            is_test: click.map_or(link.test, |click| click.is_test),
            labels: click.map(|click| click.labels.clone().into_owned()).unwrap_or_default(),
            events: BTreeMap::new(),
            seen: Vec::new(),
        });
        let (repeated, at) = (self.agreed.repeats.events, self.occasion.at);
        all.tell(self.postback, &self.read.payloads, repeated, at, flags).then(|| Box::new(all))
    }

    /// Whether events alone say what an earlier postback said.
    fn tells_again(&self) -> bool {
        let is_known = |events: &ClickEvents| events.has_seen_any(&self.read.payloads);
        self.postback.is_event_only && self.facts.events.is_some_and(is_known)
    }

    fn decide(&self, changes_events: bool) -> Result<Decision, Problem> {
        if self.tells_again() {
            return Err(events_known());
        }
        let said = said(self.postback, self.postback.txn_id.as_deref(), self.may_not_approve);
        let money = self.money();
        let is_known = |one: &&Conversion| {
            one.has_seen(said) || self.is_in_triage(one) || self.was_said_in_triage(one)
        };
        if let Some(conversion) = self.facts.conversion.filter(is_known) {
            let flags = money.map_or(Flags::default(), |(_, flags)| flags);
            return Ok(Decision::nothing_new(conversion, flags));
        }
        if let Err(problem) = &money
            && problem.reason < Reason::AlreadyProcessed
        {
            return Err(problem.clone());
        }
        self.check_waiting()?;
        self.check_time()?;
        if let Said::Ignore(canonical) = self.postback.status {
            let name = self.name(canonical);
            let detail = format!("this value of `{name}` asks for nothing");
            return Err(Problem::new(Reason::StatusIgnored, Some(&name), detail));
        }
        let (amounts, flags) = money?;
        self.check_campaign()?;
        let goal = self.goal().ok_or_else(|| self.unknown_goal())?;
        let status = self.status()?;
        self.check_currency()?;
        if self.postback.is_event_only {
            let recorded = Decision::of(Verdict::Recorded, Flags::default());
            return if changes_events { Ok(recorded) } else { Err(events_known()) };
        }
        match self.facts.conversion {
            None => self.create(goal, status, amounts, flags, said),
            Some(conversion) => self.change(conversion, status, amounts, flags, said),
        }
    }

    /// Whether one more can wait for its transaction id.
    fn check_waiting(&self) -> Result<(), Problem> {
        let is_new = self.read.waits().is_some() && self.facts.conversion.is_none();
        if !is_new || self.facts.waiting < WAITING_MAX {
            return Ok(());
        }
        let name = self.name(Canonical::TxnId);
        let detail = format!(
            "`{name}` is required, and {WAITING_MAX} conversions of this click wait for theirs \
             already: no more can"
        );
        Err(Problem::new(Reason::MissingParameter, Some(&name), detail))
    }

    /// What stands under all that was said without a transaction id says no more when it is said
    /// again, whatever has become of it since.
    fn is_in_triage(&self, conversion: &Conversion) -> bool {
        let lacks = self.postback.flags.has(Flag::TxnIdMissing);
        lacks || conversion.triaged.is_some() || conversion.merged_into.is_some()
    }

    /// Whether it says, with the transaction id, what was said without before the conversion had it.
    /// Where the id tells conversions apart, nothing else was ever said of this one without.
    fn was_said_in_triage(&self, conversion: &Conversion) -> bool {
        let has_id = conversion.key.is_of_transaction() && self.postback.txn_id.is_some();
        has_id && conversion.has_seen(said(self.postback, None, self.may_not_approve))
    }

    /// What the conversion is worth after this postback, with the flags of the postback.
    fn money(&self) -> Result<(Amounts, Flags), Problem> {
        if self.postback.is_event_only {
            return Ok((Amounts::default(), Flags::default()));
        }
        let Some(old) = self.facts.conversion else {
            return match self.read.goal {
                Some(goal) => Amounts::of(goal, self.campaign.currency, self.postback),
                None => Ok((Amounts::default(), Flags::default())),
            };
        };
        // Where goals do not tell conversions apart, it is still the first one's that counts.
        let (then, now) = self.terms;
        let own = then.goal(&old.goal).or_else(|| now.goal(&old.goal));
        let repeats = self.repeats;
        let meant = self.status().ok();
        let is_changed = repeats.status && meant != Some(old.status);
        let (amounts, mut flags) = match (own, repeats.amount) {
            // A reversal takes back what was agreed, whatever amount it names.
            _ if meant == Some(Status::Reversed) => (Amounts::kept(old), Flags::default()),
            (None, _) => (Amounts::kept(old), Flags::default()),
            (Some(own), RepeatedAmount::Add) if is_changed => {
                Amounts::again(old, own, self.postback, RepeatedAmount::Replace)?
            }
            (Some(own), amount) => Amounts::again(old, own, self.postback, amount)?,
        };
        if self.read.goal.is_some_and(|goal| goal.key != old.goal) {
            flags.add(Flag::SentValueDiffers);
        }
        Ok((amounts, flags))
    }

    /// The key of the goal it is about. One that is gone is still the goal of the conversions
    /// that were made for it.
    fn goal(&self) -> Option<&str> {
        let known = self.read.goal.map(|goal| goal.key.as_str());
        known.or_else(|| {
            let (old, sent) = (&self.facts.conversion?.goal, self.postback.goal.as_ref()?);
            old.eq_ignore_ascii_case(sent).then_some(old.as_str())
        })
    }

    /// As it was sent; of what was not, as the contract asks for it.
    fn name(&self, canonical: Canonical) -> String {
        let sent = self.read.reading.values.iter().find(|value| value.canonical == canonical);
        if let Some(value) = sent {
            return value.name.clone();
        }
        let parameter = self.contract.parameter(canonical);
        parameter.map_or_else(|| canonical.to_string(), |parameter| parameter.name().to_owned())
    }

    fn check_time(&self) -> Result<(), Problem> {
        self.read.stale.clone().map_or(Ok(()), Err)
    }

    fn check_campaign(&self) -> Result<(), Problem> {
        if let Some(problem) = self.read.out_of_scope.as_ref().or(self.barred.as_ref()) {
            return Err(problem.clone());
        }
        let Some(sent) = &self.postback.campaign_id else { return Ok(()) };
        if sent.parse() == Ok(self.campaign.id) {
            return Ok(());
        }
        let name = self.name(Canonical::CampaignId);
        let detail = format!("the click is of another campaign than `{name}` says");
        Err(Problem::new(Reason::CampaignMismatch, Some(&name), detail))
    }

    fn check_currency(&self) -> Result<(), Problem> {
        let Some(Err(text)) = &self.postback.currency else { return Ok(()) };
        let name = self.name(Canonical::Currency);
        let detail = format!("`{}` is no ISO 4217 currency", echoed(text));
        Err(Problem::new(Reason::UnknownCurrency, Some(&name), detail))
    }

    fn unknown_goal(&self) -> Problem {
        let values = &self.read.reading.values;
        let is_goal_sent = values.iter().any(|value| value.canonical == Canonical::Goal);
        let canonical = if is_goal_sent { Canonical::Goal } else { Canonical::EventType };
        let name = self.name(canonical);
        let goals: Vec<&str> = self.campaign.goals.iter().map(|goal| goal.key.as_str()).collect();
        let words: Vec<&str> = self.contract.goals.keys().map(String::as_str).collect();
        let words = match words.is_empty() {
            true => String::new(),
            false => {
                format!("the words that the contract maps ({}), and none of ", words.join(", "))
            }
        };
        let goals = goals.join(", ");
        let detail = format!("`{name}` is none of {words}the campaign's goals: {goals}");
        Problem::new(Reason::UnknownGoal, Some(&name), detail)
    }

    fn status(&self) -> Result<Status, Problem> {
        match self.postback.status {
            // What it says is approved stays as it is, or waits.
            Said::Status(Status::Approved) if self.may_not_approve => {
                Ok(self.facts.conversion.map_or(Status::Pending, |old| old.status))
            }
            Said::Status(status) => Ok(status),
            Said::Undone => Ok(match self.facts.conversion.map(|old| old.status) {
                Some(Status::Approved | Status::Reversed) => Status::Reversed,
                None | Some(Status::Pending | Status::Rejected) => Status::Rejected,
            }),
            Said::Ignore(_) | Said::Unknown => {
                let name = self.name(Canonical::Status);
                let known = self.contract.statuses.known();
                let detail =
                    format!("the contract does not know this value of `{name}`; it knows {known}");
                Err(Problem::new(Reason::UnknownStatus, Some(&name), detail))
            }
        }
    }

    fn create(
        &self,
        goal: &str,
        status: Status,
        amounts: Amounts,
        mut flags: Flags,
        said: [u8; 8],
    ) -> Result<Decision, Problem> {
        self.check_transition(None, status)?;
        if self.agreed.repeats.mark && self.facts.has_earlier {
            flags.add(Flag::Repeated);
        }
        let triaged = self.postback.flags.has(Flag::TxnIdMissing).then_some(status);
        let status = triaged.map_or(status, |_| Status::Pending);
        let link = self.read.link.expect("a click of a campaign has a link");
        let is_test = self.facts.click.map_or(link.test, |click| click.is_test);
        self.check_click(is_test)?;
        let key = self.read.key.clone().expect("a known goal in scope makes a key");
        let click = self.facts.click;
        let mut conversion = Conversion {
            id: self.facts.next_id,
            key,
            campaign_id: self.campaign.id,
            publisher_id: link.publisher_id,
            link_id: link.id,
            goal: goal.to_owned(),
            click_id: self.click_id,
            txn_id: self.postback.txn_id.clone(),
            status,
            raw_status: self.postback.raw_status.clone(),
            revenue: amounts.revenue,
            payout: amounts.payout,
            paid_revenue: Micros::ZERO,
            paid_payout: Micros::ZERO,
            currency: self.campaign.currency,
            sent_amount: amounts.sent_amount,
            sale_amount: amounts.sale_amount,
            missing: amounts.missing,
            conversion_ref: self.postback.conversion_ref().map(str::to_owned),
            values: self.values(),
            external_id: click.map(|click| click.external_id.to_vec()).unwrap_or_default(),
            labels: click.map(|click| click.labels.clone().into_owned()).unwrap_or_default(),
            is_test,
            flags: self.flags().union(flags),
            contract: self.read.contract_ref.clone().expect("a contract read it"),
            created_by: self.occasion.position,
            created_at: self.occasion.at,
            changed_at: self.occasion.entered_at,
            sequence: 0,
            seen: Vec::new(),
            triaged,
            triage_identity: None,
            merged_into: None,
        };
        conversion.remember(said);
        let effect = self.effect(conversion, None)?;
        Ok(Decision::of(Verdict::Recorded, flags).with(effect))
    }

    /// Whether the click can still make a conversion.
    fn check_click(&self, is_test: bool) -> Result<(), Problem> {
        let then = self.campaign_then;
        let is_live = self.facts.click.map_or_else(
            || {
                let is_archived = then.archived || self.link_then.is_some_and(|one| one.archived);
                let is_agreed = then.status.is_live() || is_test && then.status.is_approved();
                is_agreed && !is_archived
            },
            |click| click.is_live,
        );
        if !is_live {
            let detail = "the campaign was not approved and active when the click was made";
            return Err(Problem::new(Reason::CampaignInactive, None, detail));
        }
        let window_ends = clicked_at(self.click_id).plus_days(then.window_days.into());
        if self.occasion.at > window_ends {
            let detail = format!("the campaign's window is {} days", then.window_days);
            return Err(Problem::new(Reason::LateWindow, None, detail));
        }
        Ok(())
    }

    fn change(
        &self,
        old: &Conversion,
        status: Status,
        amounts: Amounts,
        flags: Flags,
        said: [u8; 8],
    ) -> Result<Decision, Problem> {
        let mut new = old.clone();
        if status != old.status && self.repeats.status {
            self.check_transition(Some(old.status), status)?;
            new.status = status;
        }
        new.set_amounts(amounts);
        let is_changed =
            new.status != old.status || (new.revenue, new.payout) != (old.revenue, old.payout);
        if !is_changed {
            // What it says beside that is kept: an amount that no term needs, or a 0.
            new.remember(said);
            let effect = old.has_room().then_some(Effect { conversion: new, entry: None });
            return Ok(Decision { effect, ..Decision::nothing_new(old, flags) });
        }
        // Reversals are bounded by the approvals between them.
        if old.sequence >= CHANGES_MAX && new.status != Status::Reversed {
            let detail = format!(
                "postbacks have changed this conversion {CHANGES_MAX} times: now only a reversal \
                 or a person does"
            );
            return Err(Problem::new(Reason::TransitionNotAllowed, None, detail));
        }
        if self.postback.raw_status.is_some() {
            new.raw_status.clone_from(&self.postback.raw_status);
        }
        new.flags = new.flags.union(flags).union(self.flags());
        new.remember(said);
        let effect = self.effect(new, Some(old.status))?;
        Ok(Decision::of(Verdict::Updated, flags).with(effect))
    }

    fn check_transition(&self, from: Option<Status>, to: Status) -> Result<(), Problem> {
        if self.repeats.may_change(from, to) {
            return Ok(());
        }
        let name = self.name(Canonical::Status);
        let by = if may_change(from, to) { ": its contract does not let it" } else { "" };
        let from = from.map_or("new", Status::name);
        let detail = format!("a conversion that is {from} cannot become {}{by}", to.name());
        Err(Problem::new(Reason::TransitionNotAllowed, Some(&name), detail))
    }

    fn values(&self) -> Vec<(String, String)> {
        // The sender's own reference has a place of its own.
        let is_kept = |value: &&Value| value.canonical != Canonical::ConversionRef;
        let labels = self.postback.labels.iter().filter(is_kept);
        labels.map(|value| (value.canonical.to_string(), value.text.clone())).collect()
    }

    fn effect(&self, conversion: Conversion, from: Option<Status>) -> Result<Effect, Problem> {
        let Occasion { entered_at, cause, evidence, .. } = self.occasion;
        settle(conversion, from, cause, entered_at, evidence)
            .ok_or_else(|| Problem::new(Reason::InvalidPayload, None, "an amount is out of range"))
    }
}

fn events_known() -> Problem {
    let detail = "the click's events are known, and the postback changes none of them";
    Problem::new(Reason::AlreadyProcessed, None, detail)
}

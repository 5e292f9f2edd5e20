//! What must come of a network's records, in the fewest words: no contract is read, nothing is
//! stored, and every rule stands here a second time.

use domain::click_id::ClickId;
use domain::conversion::Status;
use domain::money::Micros;
use domain::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// How long after its click a new conversion counts.
pub(crate) const WINDOW_DAYS: i64 = 30;

/// What a postback says; `None` is not sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Said {
    /// `None`: an id that is not ours.
    pub(crate) click: Option<ClickId>,
    pub(crate) goal: Option<&'static str>,
    pub(crate) txn: Option<&'static str>,
    pub(crate) status: Option<&'static str>,
    pub(crate) revenue: Option<&'static str>,
}

/// Click, goal and transaction id; and in triage all that is said.
pub(crate) type Key = (ClickId, &'static str, Option<&'static str>, Option<Said>);

#[derive(Debug)]
pub(crate) struct Conversion {
    pub(crate) status: Status,
    /// `None` until somebody has said it.
    pub(crate) revenue: Option<Micros>,
    pub(crate) payout: Micros,
    said: Vec<Said>,
    /// In triage, the status it was sent with.
    pub(crate) triaged: Option<Status>,
    pub(crate) is_merged: bool,
}

#[derive(Default)]
pub(crate) struct Model {
    /// Whether clicks made now convert.
    pub(crate) is_live: bool,
    /// Transaction ids are required, and what lacks one is triaged until then.
    pub(crate) triage_until: Option<Timestamp>,
    pub(crate) clicks: HashMap<ClickId, (Timestamp, bool)>,
    pub(crate) conversions: BTreeMap<Key, Conversion>,
    /// In the order they were made: the first has id 1.
    pub(crate) made: Vec<Key>,
    pub(crate) hits: u64,
    pub(crate) refused: u64,
}

impl Model {
    /// Verdict and reason of a hit.
    pub(crate) fn hit(&mut self, said: &Said, at: Timestamp) -> String {
        self.hits += 1;
        match self.judge(said, at) {
            Ok(verdict) => verdict.to_owned(),
            Err(reason) => {
                self.refused += 1;
                format!("refused {reason}")
            }
        }
    }

    fn judge(&mut self, said: &Said, at: Timestamp) -> Result<&'static str, &'static str> {
        const DUPLICATE: &str = "duplicate already_processed";
        if said.txn == Some("{txn}") {
            return Err("macro_not_replaced");
        }
        let revenue = match said.revenue {
            Some("1") => Some(Micros(1_000_000)),
            Some("2.5") => Some(Micros(2_500_000)),
            Some(_) => return Err("invalid_payload"),
            None => None,
        };
        let lacks = self.triage_until.is_some() && said.txn.is_none();
        if lacks && self.triage_until.is_some_and(|until| at >= until) {
            return Err("missing_parameter");
        }
        let click = said.click.ok_or("unknown_click")?;
        let (clicked_at, is_live) = self.clicks[&click];
        let goal = said.goal.unwrap_or("install");
        let key = (click, goal, said.txn, lacks.then(|| said.clone()));
        // What was said in triage leads to what it has become since.
        if lacks && self.conversions.values().any(|one| one.said.contains(said)) {
            return Ok(DUPLICATE);
        }
        let found = self.conversions.get_mut(&key);
        // And it is known with its transaction id too.
        let without = Said { txn: None, ..said.clone() };
        let knows = |one: &&mut Conversion| one.said.contains(said) || one.said.contains(&without);
        if found.as_ref().is_some_and(knows) {
            return Ok(DUPLICATE);
        }
        if !["install", "sale"].contains(&goal) {
            return Err("unknown_goal");
        }
        let status = match said.status.unwrap_or("approved") {
            "pending" => Status::Pending,
            "approved" => Status::Approved,
            "rejected" => Status::Rejected,
            "reversed" => Status::Reversed,
            _ => return Err("unknown_status"),
        };
        let Some(conversion) = found else {
            if status == Status::Reversed {
                return Err("transition_not_allowed");
            }
            if !is_live {
                return Err("campaign_inactive");
            }
            if at > clicked_at.plus_days(WINDOW_DAYS) {
                return Err("late_window");
            }
            let (revenue, payout) = match goal {
                "install" => (Some(Micros(2_500_000)), Micros(1_750_000)),
                _ => (revenue, Micros(1_000_000)),
            };
            let said = vec![said.clone()];
            let triaged = lacks.then_some(status);
            let status = triaged.map_or(status, |_| Status::Pending);
            let is_merged = false;
            let new = Conversion { status, revenue, payout, said, triaged, is_merged };
            self.conversions.insert(key.clone(), new);
            self.made.push(key);
            return Ok("recorded");
        };
        let is_other = conversion.status != status;
        if is_other && !may_become(conversion.status, status) {
            return Err("transition_not_allowed");
        }
        conversion.said.push(said.clone());
        conversion.status = status;
        // What goes with a reversal is what is given back.
        let revenue = revenue.filter(|_| status != Status::Reversed);
        let is_told = conversion.revenue.is_none() && revenue.is_some();
        conversion.revenue = conversion.revenue.or(revenue);
        Ok(if is_other || is_told { "updated" } else { DUPLICATE })
    }

    /// A person's change: whether it has an effect.
    pub(crate) fn change(&mut self, id: usize, to: Status) -> bool {
        let Some(key) = self.made.get(id - 1) else { return false };
        let conversion = self.conversions.get_mut(key).unwrap();
        let waits = conversion.triaged.is_some() && to == Status::Approved;
        let may = may_become(conversion.status, to) && !waits && !conversion.is_merged;
        if may {
            conversion.status = to;
        }
        may
    }

    /// A person finds the transaction id of one in triage: whether that has an effect.
    pub(crate) fn repair(&mut self, id: usize, txn: &'static str) -> bool {
        let Some(old) = self.made.get(id - 1).cloned() else { return false };
        let key = (old.0, old.1, Some(txn), None);
        let Some(sent) = self.conversions[&old].triaged else { return false };
        if self.conversions.contains_key(&key) {
            return false;
        }
        let mut conversion = self.conversions.remove(&old).unwrap();
        conversion.triaged = None;
        if conversion.status == Status::Pending {
            conversion.status = sent;
        }
        self.conversions.insert(key.clone(), conversion);
        self.made[id - 1] = key;
        true
    }

    /// A person says that one in triage is another one: whether that has an effect.
    pub(crate) fn merge(&mut self, id: usize, into: usize) -> bool {
        let (old, into) = (self.made.get(id - 1).cloned(), self.made.get(into - 1).cloned());
        let (Some(old), Some(into)) = (old, into) else { return false };
        let may = self.conversions[&old].triaged.is_some()
            && old != into
            && old.0 == into.0
            && !self.conversions[&into].is_merged;
        if may {
            let said = self.conversions[&old].said.clone();
            self.conversions.get_mut(&into).unwrap().said.extend(said);
            let merged = self.conversions.get_mut(&old).unwrap();
            (merged.status, merged.triaged, merged.is_merged) = (Status::Rejected, None, true);
        }
        may
    }
}

fn may_become(from: Status, to: Status) -> bool {
    use Status::{Approved, Pending, Rejected, Reversed};
    [
        (Pending, Approved),
        (Pending, Rejected),
        (Approved, Reversed),
        (Rejected, Approved),
        (Reversed, Approved),
    ]
    .contains(&(from, to))
}

//! What differs between two contracts, in words.
//!
//! Nothing that differs is left out: a test knows every field that there is.

use super::{
    Canonical, Contract, Meaning, Network, Parameter, ProofKind, Reversal, Scheme, Statuses, Unit,
    Verification, words,
};
use crate::builder::Gap;
use crate::conversion::Status;
use crate::money::Currency;
use crate::reason::Verdict;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Where in the contract, such as `parameters.txn_id.required`.
    pub path: String,
    /// `None`: there was nothing.
    pub before: Option<String>,
    /// `None`: there is nothing any more.
    pub after: Option<String>,
    pub sentence: String,
    /// It may change what counts, as what, or how much for: finance has to agree.
    pub touches_money: bool,
}

impl Difference {
    pub fn is_money(&self) -> bool {
        self.touches_money
    }
}

/// What differs, in the order of the contract.
pub fn difference(before: &Contract, after: &Contract) -> Vec<Difference> {
    let mut found = Found::default();
    found.parameters(before, after);
    found.statuses(before, after);
    found.goals(before, after);
    found.identity(before, after);
    found.transaction_ids(before, after);
    found.values(before, after);
    found.repeats(before, after);
    found.verification(before, after);
    found.times(before, after);
    found.answers(before, after);
    found.all
}

/// What a sender writes for a value, where that has changed. Where nobody knows it, and it has to be
/// said, there is a gap to be filled in.
fn asked_for(old: &Parameter, new: &Parameter) -> String {
    let canonical = new.canonical;
    let gap = |one: &Parameter| {
        let must_be_there = one.required || canonical == Canonical::ClickId;
        let is_in_url = !one.in_header && !one.appended;
        (must_be_there && is_in_url).then(|| Gap::Macro(canonical).to_string())
    };
    let shown = |one: &Parameter| one.placeholder.clone().or_else(|| gap(one));
    match (shown(old), shown(new)) {
        (Some(before), Some(after)) => {
            format!("`{canonical}` is asked for by `{after}` instead of `{before}`")
        }
        (None, Some(after)) => format!("`{canonical}` is asked for by `{after}`"),
        (before, None) => {
            let before = before.unwrap_or_default();
            format!("no macro is known for `{canonical}` any more; it was `{before}`")
        }
    }
}

/// Whether what a parameter says decides if something counts, as what, or how much for.
fn is_about_money(contract: &Contract, canonical: Canonical) -> bool {
    canonical.is_money()
        || contract.tells_apart(canonical)
        || matches!(
            canonical,
            Canonical::TxnId
                | Canonical::Status
                | Canonical::Goal
                | Canonical::EventType
                | Canonical::Currency
                // A hit that says nothing else makes a conversion, or none, by whether they are
                // read.
                | Canonical::Event(_)
                | Canonical::ConversionRef
        )
}

#[derive(Default)]
struct Found {
    all: Vec<Difference>,
}

impl Found {
    fn add(
        &mut self,
        path: impl Into<String>,
        (before, after): (Option<String>, Option<String>),
        touches_money: bool,
        sentence: impl Into<String>,
    ) {
        let (path, sentence) = (path.into(), sentence.into());
        self.all.push(Difference { path, before, after, sentence, touches_money });
    }

    /// Where two values differ: what they were, and the sentence about them.
    fn changed<T: PartialEq>(
        &mut self,
        path: impl Into<String>,
        (before, after): (&T, &T),
        touches_money: bool,
        show: impl Fn(&T) -> String,
        sentence: impl FnOnce(&str, &str) -> String,
    ) {
        if before != after {
            let (before, after) = (show(before), show(after));
            let sentence = sentence(&before, &after);
            self.add(path, (Some(before), Some(after)), touches_money, sentence);
        }
    }

    fn parameters(&mut self, before: &Contract, after: &Contract) {
        for new in &after.parameters {
            let canonical = new.canonical;
            let is_money = [before, after].into_iter().any(|it| is_about_money(it, canonical));
            match before.parameter(canonical) {
                Some(old) => self.parameter(old, new, is_money),
                None => {
                    let names = words::listed(&new.names, "or");
                    let required = if new.required { "; it is required" } else { "" };
                    let sentence = format!("`{canonical}` is read now, from {names}{required}");
                    let path = format!("parameters.{canonical}");
                    let is_money = is_money || new.required;
                    self.add(path, (None, Some(new.names.join(", "))), is_money, sentence);
                }
            }
        }
        for old in before.parameters.iter().filter(|old| after.parameter(old.canonical).is_none()) {
            let canonical = old.canonical;
            let names = words::listed(&old.names, "or");
            let sentence = format!("`{canonical}` is not read any more; it was read from {names}");
            let path = format!("parameters.{canonical}");
            let is_money = old.required || is_about_money(before, canonical);
            self.add(path, (Some(old.names.join(", ")), None), is_money, sentence);
        }
        let order = |one: &Contract, other: &Contract| -> Vec<String> {
            let all = one.parameters.iter().map(|parameter| parameter.canonical);
            all.filter(|it| other.parameter(*it).is_some()).map(|it| it.to_string()).collect()
        };
        let (old, new) = (order(before, after), order(after, before));
        self.changed(
            "parameters",
            (&old, &new),
            false,
            |it| words::listed(it, "and"),
            |_, after| format!("the order of the parameters is now {after}"),
        );
    }

    fn parameter(&mut self, old: &Parameter, new: &Parameter, is_money: bool) {
        let canonical = new.canonical;
        let path = |field: &str| format!("parameters.{canonical}.{field}");
        self.names(old, new, is_money);
        let place = |is_header: &bool| if *is_header { "a header" } else { "a parameter" }.into();
        let both = (&old.in_header, &new.in_header);
        self.changed(path("in_header"), both, is_money, place, |_, after| {
            format!("`{canonical}` is now read from {after}")
        });
        let both = (&old.required, &new.required);
        // What lacks it is refused, or is not any more.
        self.changed(path("required"), both, true, bool::to_string, |_, _| {
            let may = if new.required { "is now required" } else { "may now be left out" };
            format!("`{canonical}` {may}")
        });
        let both = (&old.in_url, &new.in_url);
        self.changed(path("in_url"), both, false, bool::to_string, |_, _| {
            let is = if new.in_url { "now stands" } else { "does not stand any more" };
            format!("`{canonical}` {is} in the postback URL that we hand out")
        });
        let both = (&old.appended, &new.appended);
        self.changed(path("appended"), both, false, bool::to_string, |_, _| {
            let how = if new.appended { "is now added" } else { "is not added any more" };
            format!("`{canonical}` {how} by its sender of its own accord")
        });
        if old.placeholder != new.placeholder {
            let both = (old.placeholder.clone(), new.placeholder.clone());
            self.add(path("macro"), both, false, asked_for(old, new));
        }
        let both = (&old.length_max(), &new.length_max());
        self.changed(path("max_length"), both, is_money, usize::to_string, |before, after| {
            format!("`{canonical}` may have {after} bytes; it was {before}")
        });
        let shown = |all: &Vec<String>| match all.as_slice() {
            [] => "anything".to_owned(),
            all => words::listed(all, "or"),
        };
        let both = (&old.allowed, &new.allowed);
        self.changed(path("allowed"), both, is_money, shown, |before, after| {
            format!("`{canonical}` may be {after}; it was {before}")
        });
        let shown = |unit: &Unit| words::unit(*unit).to_owned();
        self.changed(path("unit"), (&old.unit, &new.unit), is_money, shown, |before, after| {
            format!("`{canonical}` is counted in {after}; it was {before}")
        });
    }

    fn names(&mut self, old: &Parameter, new: &Parameter, is_money: bool) {
        let canonical = new.canonical;
        let only = |one: &Parameter, other: &Parameter| -> Vec<String> {
            one.names.iter().filter(|name| !other.names.contains(name)).cloned().collect()
        };
        let (gone, come) = (only(old, new), only(new, old));
        let sentence = match (gone.is_empty(), come.is_empty()) {
            (true, true) if old.names == new.names => return,
            (true, true) => format!("`{canonical}` is asked for as `{}` first", new.name()),
            (true, false) => {
                format!("`{canonical}` is read from {} too", words::listed(&come, "and"))
            }
            (false, true) => {
                format!("`{canonical}` is not read from {} any more", words::listed(&gone, "or"))
            }
            (false, false) => {
                let (come, gone) = (words::listed(&come, "and"), words::listed(&gone, "and"));
                format!("`{canonical}` is read from {come} instead of {gone}")
            }
        };
        let names = |one: &Parameter| Some(one.names.join(", "));
        let is_money = is_money && !(gone.is_empty() && come.is_empty());
        let path = format!("parameters.{canonical}.names");
        self.add(path, (names(old), names(new)), is_money, sentence);
    }

    fn statuses(&mut self, before: &Contract, after: &Contract) {
        let raws = |one: &Contract| -> BTreeSet<String> {
            let Statuses { values, ignore, undone, .. } = &one.statuses;
            let all = values.values().flatten().chain(ignore).chain(undone);
            all.map(|raw| raw.to_ascii_lowercase()).collect()
        };
        for raw in raws(before).union(&raws(after)) {
            let meaning = |one: &Contract| match one.statuses.meaning(raw) {
                Meaning::Status(status) => Some(status.name()),
                Meaning::Undone => Some("reversed where it was approved, else rejected"),
                Meaning::Ignore => Some("nothing, as a ping"),
                Meaning::Unknown => None,
            };
            let (old, new) = (meaning(before), meaning(after));
            let sentence = match (old, new) {
                (Some(old), Some(new)) if old != new => {
                    format!("`{raw}` now means {new}; it meant {old}")
                }
                (None, Some(new)) => format!("`{raw}` now means {new}; it was unknown"),
                (Some(old), None) => format!("`{raw}` is unknown now; it meant {old}"),
                _ => continue,
            };
            let both = (old.map(str::to_owned), new.map(str::to_owned));
            self.add(format!("statuses.values.{raw}"), both, true, sentence);
        }
        let (old, new) = (&before.statuses, &after.statuses);
        let shown = |status: &Option<_>| words::assumed(*status);
        self.changed("statuses.absent", (&old.absent, &new.absent), true, shown, |old, new| {
            format!("an absent status is {new}; it was {old}")
        });
        let blank = |one: &Statuses| one.blank.or(one.absent);
        let both = (&blank(old), &blank(new));
        self.changed("statuses.blank", both, true, shown, |old, new| {
            format!("a blank status is {new}; it was {old}")
        });
        let shown = |status: &Option<Status>| status.map_or("an error", Status::name).to_owned();
        let both = (&old.negative, &new.negative);
        self.changed("statuses.negative", both, true, shown, |old, new| {
            format!("a negative amount is {new}; it was {old}")
        });
    }

    fn goals(&mut self, before: &Contract, after: &Contract) {
        let folded = |one: &Contract| -> BTreeMap<String, String> {
            let goals = one.goals.iter();
            goals.map(|(raw, key)| (raw.to_ascii_lowercase(), key.clone())).collect()
        };
        let (old, new) = (folded(before), folded(after));
        for raw in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let sentence = match (old.get(raw), new.get(raw)) {
                (Some(was), Some(is)) if was != is => {
                    format!("`{raw}` now names the goal `{is}`; it named `{was}`")
                }
                (None, Some(is)) => format!("`{raw}` now names the goal `{is}`"),
                (Some(was), None) => format!("`{raw}` does not name the goal `{was}` any more"),
                _ => continue,
            };
            let both = (old.get(raw).cloned(), new.get(raw).cloned());
            self.add(format!("goals.{raw}"), both, true, sentence);
        }
    }

    fn identity(&mut self, before: &Contract, after: &Contract) {
        let shown = |one: &super::Identity| words::identity(*one).to_owned();
        self.changed("identity", (&before.identity, &after.identity), true, shown, |old, new| {
            format!("two postbacks are one conversion by {new}; it was {old}")
        });
    }

    fn transaction_ids(&mut self, before: &Contract, after: &Contract) {
        let both = (&before.txn_id_folded, &after.txn_id_folded);
        self.changed("txn_id_folded", both, true, bool::to_string, |_, _| {
            let how = if after.txn_id_folded { "without case" } else { "with case" };
            format!("transaction ids are now compared {how}")
        });
        let shown = |all: &Vec<Canonical>| words::txn_id_parts(all);
        let both = (&before.txn_id_parts, &after.txn_id_parts);
        self.changed("txn_id_parts", both, true, shown, |old, new| {
            format!("a transaction id is made of {new}; it was {old}")
        });
        let shown = |one: &super::TxnIdAbsent| words::txn_id_absent(*one).to_owned();
        let both = (&before.txn_id_absent, &after.txn_id_absent);
        self.changed("txn_id_absent", both, true, shown, |old, new| {
            format!("postbacks without a transaction id are {new}; they were {old}")
        });
        self.triage(before.triage_until, after.triage_until);
        let shown = |one: &Option<Reversal>| words::reversal(one.as_ref());
        let both = (&before.reversal, &after.reversal);
        self.changed("reversal", both, true, shown, |old, new| {
            format!("a reversal has the transaction id of what it takes back {new}; it was {old}")
        });
    }

    /// What stands for a value that is not sent, and what asks for nothing.
    fn values(&mut self, before: &Contract, after: &Contract) {
        let shown = |one: &Option<Currency>| match one {
            Some(currency) => format!("`{currency}`"),
            None => "the campaign's currency".to_owned(),
        };
        let both = (&before.currency, &after.currency);
        self.changed("currency", both, true, shown, |old, new| {
            format!("amounts are in {new} where a postback does not say; it was {old}")
        });
        let all = before.ignore_where.keys().chain(after.ignore_where.keys());
        for canonical in all.collect::<BTreeSet<_>>() {
            let shown = |one: &Contract| {
                one.ignore_where.get(canonical).map(|values| words::listed(values, "or"))
            };
            let (old, new) = (shown(before), shown(after));
            let sentence = match (&old, &new) {
                _ if old == new => continue,
                (Some(old), Some(new)) => format!(
                    "a postback asks for nothing where `{canonical}` is {new}; it was {old}"
                ),
                (None, Some(new)) => {
                    format!("a postback asks for nothing where `{canonical}` is {new}")
                }
                (old, None) => {
                    let old = old.as_deref().unwrap_or_default();
                    format!("a postback is ignored no longer where `{canonical}` is {old}")
                }
            };
            self.add(format!("ignore_where.{canonical}"), (old, new), true, sentence);
        }
        let both = (&before.payout_may_be_revenue, &after.payout_may_be_revenue);
        self.changed("payout_may_be_revenue", both, true, bool::to_string, |_, _| {
            let is = if after.payout_may_be_revenue { "is now" } else { "is no longer" };
            format!("a `payout` without a `revenue` {is} taken for our revenue")
        });
        self.unreplaced(before, after);
    }

    /// How words that mean nothing look changes no amount.
    fn unreplaced(&mut self, before: &Contract, after: &Contract) {
        let only = |one: &Contract, other: &Contract| -> Vec<String> {
            let words = one.unreplaced.iter();
            words.filter(|word| !other.unreplaced.contains(word)).cloned().collect()
        };
        let (gone, come) = (only(before, after), only(after, before));
        let told = [
            (!come.is_empty())
                .then(|| format!("{} now stands for no value", words::listed(&come, "or"))),
            (!gone.is_empty())
                .then(|| format!("{} is now taken for a value", words::listed(&gone, "or"))),
        ];
        let sentence = told.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if !sentence.is_empty() {
            let shown =
                |one: &Contract| (!one.unreplaced.is_empty()).then(|| one.unreplaced.join(", "));
            self.add("unreplaced", (shown(before), shown(after)), false, sentence);
        }
    }

    fn triage(&mut self, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        let (was, is) = (before.map(words::instant), after.map(words::instant));
        let kept = "postbacks without a transaction id are kept for triage";
        let sentence = match (&was, &is) {
            (Some(was), Some(is)) => format!("until {is}, {kept}; it was until {was}"),
            (None, Some(is)) => format!("until {is}, {kept}"),
            _ => "postbacks without a transaction id are not kept for triage any more".to_owned(),
        };
        self.add("triage_until", (was, is), true, sentence);
    }

    fn repeats(&mut self, before: &Contract, after: &Contract) {
        let (old, new) = (&before.repeats, &after.repeats);
        let both = (&old.status, &new.status);
        self.changed("repeats.status", both, true, bool::to_string, |_, _| {
            let may = if new.status { "may now" } else { "may no longer" };
            format!("a second postback {may} change the status")
        });
        let shown = |one: &super::RepeatedAmount| words::repeated_amount(*one).to_owned();
        self.changed("repeats.amount", (&old.amount, &new.amount), true, shown, |old, new| {
            format!("of two amounts for one conversion {new} counts; it was {old}")
        });
        let shown = |one: &super::RepeatedEvents| words::repeated_events(*one).to_owned();
        self.changed("repeats.events", (&old.events, &new.events), false, shown, |old, new| {
            format!("of two numbers for one event {new} counts; it was {old}")
        });
        self.changed("repeats.mark", (&old.mark, &new.mark), false, bool::to_string, |_, _| {
            let is = if new.mark { "is now" } else { "is no longer" };
            format!("a further conversion of one click and goal {is} marked as repeated")
        });
        let shown = |all: &BTreeSet<super::Transition>| match all.len() {
            0 => "all that there are".to_owned(),
            _ => all.iter().map(|one| String::from(*one)).collect::<Vec<_>>().join(", "),
        };
        let both = (&old.transitions, &new.transitions);
        self.changed("repeats.transitions", both, true, shown, |old, new| {
            format!("the changes of status that postbacks may ask for are {new}; they were {old}")
        });
    }

    /// Who may send changes no amount.
    fn verification(&mut self, before: &Contract, after: &Contract) {
        let (old, new) = (&before.verification, &after.verification);
        let shown = |one: &Option<Canonical>| match one {
            Some(canonical) => format!("carried by `{canonical}`"),
            None => "not asked for".to_owned(),
        };
        self.changed("verification.token", (&old.token, &new.token), false, shown, |old, new| {
            format!("the shared token is {new}; it was {old}")
        });
        let both = (&old.token_required, &new.token_required);
        self.changed("verification.token_required", both, false, bool::to_string, |_, _| {
            let is = if new.token_required { "is now" } else { "is no longer" };
            format!("whatever comes without the agreed proof {is} refused")
        });
        let shown = |one: &Option<Scheme>| match one {
            Some(scheme) => words::signature(scheme),
            None => "not asked for".to_owned(),
        };
        let both = (&old.signature, &new.signature);
        self.changed("verification.signature", both, false, shown, |old, new| {
            format!("the signature is {new}. It was {old}")
        });
        let shown = |all: &Vec<Network>| match all.as_slice() {
            [] => "anywhere".to_owned(),
            all => {
                let all: Vec<String> = all.iter().map(|one| String::from(*one)).collect();
                words::listed(&all, "or")
            }
        };
        let both = (&old.networks, &new.networks);
        self.changed("verification.networks", both, false, shown, |old, new| {
            format!("postbacks may come from {new}; it was {old}")
        });
        let shown = |one: &Option<u32>| match one {
            Some(seconds) => format!("at most {seconds} seconds from ours"),
            None => "not looked at".to_owned(),
        };
        let both = (&old.timestamp_tolerance_s, &new.timestamp_tolerance_s);
        self.changed("verification.timestamp_tolerance_s", both, false, shown, |old, new| {
            format!("the sender's time is {new}; it was {old}")
        });
        self.enforcement(old, new);
    }

    /// What begins to be refused, and what is not any more.
    fn enforcement(&mut self, old: &Verification, new: &Verification) {
        let word = |one: &Verification, kind| match (one.asks_for(kind), one.enforces(kind)) {
            (false, _) => "not asked for",
            (true, true) => "enforced",
            (true, false) => "only tried",
        };
        for kind in ProofKind::ALL {
            let (was, is) = (word(old, kind), word(new, kind));
            // What is asked for anew, and enforced, is told where it is told what it is.
            let is_tried = [was, is].contains(&"only tried");
            if was == is || !is_tried || is == "not asked for" {
                continue;
            }
            let proof = words::proof(kind);
            let becomes = match (was, is) {
                ("enforced", _) => "refused no longer, and counted",
                (_, "enforced") => "refused from now on; it was only counted",
                _ => "not refused yet, and counted",
            };
            let both = (Some(was.to_owned()), Some(is.to_owned()));
            let path = format!("verification.shadow.{}", kind.name());
            self.add(path, both, false, format!("what fails by {proof} is {becomes}"));
        }
    }

    fn times(&mut self, before: &Contract, after: &Contract) {
        let (old, new) = (&before.times, &after.times);
        let shown = |all: &Vec<String>| {
            all.iter().map(|one| words::time_format(one)).collect::<Vec<_>>().join(", or ")
        };
        self.changed("times.formats", (&old.formats, &new.formats), false, shown, |old, new| {
            format!("the time is written as {new}; it was {old}")
        });
        let both = (&old.zone, &new.zone);
        self.changed("times.zone", both, false, String::clone, |old, new| {
            format!("a time that names no zone is of `{new}`; it was `{old}`")
        });
    }

    fn answers(&mut self, before: &Contract, after: &Contract) {
        let (old, new) = (&before.answers, &after.answers);
        for verdict in Verdict::ALL.map(Some).into_iter().chain([None]) {
            if old.reply(verdict) == new.reply(verdict) && old.profile == new.profile {
                continue;
            }
            let (was, is) = (words::reply(old, verdict), words::reply(new, verdict));
            let name = verdict.map_or("received", Verdict::name);
            if was != is {
                let sentence =
                    format!("answers to {}: {is} instead of {was}", words::occasion(verdict));
                self.add(format!("answers.{name}"), (Some(was), Some(is)), false, sentence);
            } else if let (Some(was), Some(is)) = (old.reply(verdict), new.reply(verdict)) {
                let (was, is) = (was.content_type.name(), is.content_type.name());
                let sentence = format!("answers to {} are {is}", words::occasion(verdict));
                let both = (Some(was.to_owned()), Some(is.to_owned()));
                self.add(format!("answers.{name}.content_type"), both, false, sentence);
            }
        }
        let shown = |one: &Option<u32>| match one {
            Some(seconds) => format!("after {seconds} seconds"),
            None => "after a few seconds".to_owned(),
        };
        let both = (&old.retry_after_s, &new.retry_after_s);
        self.changed("answers.retry_after_s", both, false, shown, |old, new| {
            format!("what was not received is sent again {new}; it was {old}")
        });
        let shown = |one: &Option<u32>| match one {
            Some(times) => format!("at most {times} times"),
            None => "any number of times".to_owned(),
        };
        let both = (&old.max_retries, &new.max_retries);
        self.changed("answers.max_retries", both, false, shown, |old, new| {
            format!("what was not received is sent again {new}; it was {old}")
        });
        let shown = |name: &Option<String>| name.clone().unwrap_or_default();
        let both = (&old.return_name, &new.return_name);
        self.changed("answers.return_name", both, false, shown, |_, new| match new {
            "" => "no parameter gives the body of answers any more".to_owned(),
            new => format!("`{new}` gives the body of answers"),
        });
    }
}

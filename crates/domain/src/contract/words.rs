//! What the choices of a contract mean, in words that both sides understand. What stands between
//! backticks is to be taken as it stands.

use super::{
    Answers, Canonical, Identity, Profile, RepeatedAmount, RepeatedEvents, Reply, TxnIdAbsent, Unit,
};
use crate::conversion::Status;
use crate::reason::Verdict;

/// What a value means, whatever it is called.
pub fn meaning(canonical: Canonical) -> String {
    let words = match canonical {
        Canonical::ClickId => "our id of the click",
        Canonical::CampaignId => "our id of the campaign; it must be the click's",
        Canonical::TxnId => "your id of the order or lead",
        Canonical::Status => "the status, in one of the words below",
        Canonical::Goal => "what was reached, by the goal's key",
        Canonical::EventType => "your word for the kind of event; it names the goal",
        Canonical::Revenue => "what you pay us for it",
        Canonical::SaleAmount => "the amount of the sale, of which shares are taken",
        Canonical::Payout => "what our publisher gets for it",
        Canonical::Currency => "the currency of all amounts, as three letters",
        Canonical::Sub(number) => return format!("label {number} of the click, sent back"),
        Canonical::Param(number) => return format!("a value of your own, number {number}"),
        Canonical::Event(number) => {
            return format!("a number that is kept on the click: event {number}");
        }
        Canonical::ConversionRef => "your own id of the conversion",
        Canonical::Geo => "the country",
        Canonical::Device => "the device",
        Canonical::Placement => "the placement",
        Canonical::Campaign => "your word for the campaign",
        Canonical::Timestamp => "when you sent it",
        Canonical::Signature => "the proof that it is you",
        Canonical::Token => "the token that we share",
    };
    words.to_owned()
}

/// What makes two postbacks one conversion.
pub fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::ClickGoalTxn => "the same click, goal and transaction id",
        Identity::ClickGoal => "the same click and goal",
        Identity::Click => "the same click",
        Identity::Txn => "the same transaction id, whichever click it is told of",
    }
}

/// Which of two amounts for one conversion counts.
pub fn repeated_amount(amount: RepeatedAmount) -> &'static str {
    match amount {
        RepeatedAmount::Keep => "the first one",
        RepeatedAmount::Replace => "the last one",
        RepeatedAmount::Add => "their sum",
    }
}

/// Which of two numbers for one event counts.
pub fn repeated_events(events: RepeatedEvents) -> &'static str {
    match events {
        RepeatedEvents::Replace => "the last one",
        RepeatedEvents::Add => "their sum",
    }
}

/// What postbacks without a transaction id are.
pub fn txn_id_absent(absent: TxnIdAbsent) -> &'static str {
    match absent {
        TxnIdAbsent::One => "one conversion for each click and goal",
        TxnIdAbsent::Payload => "one conversion for each different postback",
    }
}

/// What an amount is counted in.
pub fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Decimal => "units, with a point before the decimals (`2.35`)",
        Unit::Minor => "minor units (`235` is 2.35)",
    }
}

/// A way of writing the time.
pub fn time_format(format: &str) -> String {
    match format {
        "unix" => "Unix seconds".to_owned(),
        "unix_ms" => "Unix milliseconds".to_owned(),
        "rfc3339" => "RFC 3339, such as `2026-11-20T09:30:00Z`".to_owned(),
        pattern => format!("`{pattern}`"),
    }
}

/// What becomes of a postback without a status; `None`: it must be there.
pub fn assumed(status: Option<Status>) -> String {
    status.map_or_else(|| "refused".to_owned(), |status| format!("taken for {}", status.name()))
}

/// What an answer is about; `None`: a hit that was received and has no verdict yet.
pub fn occasion(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "a postback that is not decided yet",
        Some(Verdict::Recorded) => "a new conversion",
        Some(Verdict::Updated) => "a change of one",
        Some(Verdict::Duplicate) => "a duplicate",
        Some(Verdict::Parked) => "a postback that cannot be decided yet",
        Some(Verdict::Ignored) => "a ping",
        Some(Verdict::Refused) => "a refusal",
    }
}

/// How a verdict is answered.
pub fn reply(answers: &Answers, verdict: Option<Verdict>) -> String {
    match (answers.reply(verdict), answers.profile) {
        (Some(Reply { http_status, body, .. }), _) if body.is_empty() => {
            format!("{http_status} without a body")
        }
        (Some(Reply { http_status, body, .. }), _) => format!("{http_status} `{body}`"),
        (None, Profile::Receipt) => "the receipt".to_owned(),
        (None, Profile::Acknowledge) => "200 as soon as it is on disk".to_owned(),
    }
}

/// Some values in a row: `a`, `b` and `c`.
pub fn listed<T: AsRef<str>>(all: &[T], joint: &str) -> String {
    let quoted: Vec<String> = all.iter().map(|one| format!("`{}`", one.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {joint} {last}", first.join(", ")),
    }
}

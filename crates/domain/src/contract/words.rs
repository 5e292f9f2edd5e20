//! What the choices of a contract mean, in words that both sides understand. What stands between
//! backticks is to be taken as it stands.

use super::{
    Algorithm, Answers, Canonical, Encoding, Identity, Input, Key, Profile, ProofKind,
    RepeatedAmount, RepeatedEvents, Reply, Reversal, Scheme, SecretPlace, TxnIdAbsent, Unit,
    Values,
};
use crate::conversion::Status;
use crate::reason::{Reason, Verdict};
use crate::time::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// 2026-11-20T21:30:15Z, as an example of how a time is written.
const EXAMPLE_S: i64 = 1_795_210_215;

/// An instant to the second, as people read it.
pub fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    let (text, _) = text.split_once(['.', 'Z']).unwrap_or((&text, ""));
    format!("{} UTC", text.replace('T', " "))
}

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

/// What a transaction id is made of; none: it is sent as it is.
pub fn txn_id_parts(parts: &[Canonical]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    match parts.as_slice() {
        [] => format!("`{}` alone", Canonical::TxnId),
        [one] => format!("`{one}` alone"),
        parts => format!("{}, joined by `_`", listed(parts, "and")),
    }
}

/// Where a reversal has the transaction id of what it takes back; `None`: where any other has it.
pub fn reversal(reversal: Option<&Reversal>) -> String {
    let carrier = reversal.and_then(|one| one.txn_id).unwrap_or(Canonical::TxnId);
    let mut told = format!("in `{carrier}`");
    if let Some(prefix) = reversal.map(|one| &one.txn_id_prefix).filter(|it| !it.is_empty()) {
        told.extend([format!(" with `{prefix}` before it")]);
    }
    told
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
        "rfc3339" => "RFC 3339, such as `2026-11-20T21:30:15Z`".to_owned(),
        pattern => {
            let example = Timestamp::from_s(EXAMPLE_S).to_jiff().to_zoned(TimeZone::UTC);
            match BrokenDownTime::from(&example).to_string(pattern) {
                Ok(example) => format!("`{pattern}`, such as `{example}`"),
                Err(_) => format!("`{pattern}`"),
            }
        }
    }
}

/// What becomes of a postback without a status; `None`: it must be there.
pub fn assumed(status: Option<Status>) -> String {
    status.map_or_else(|| "refused".to_owned(), |status| format!("taken for {}", status.name()))
}

/// What an answer is about; `None`: a hit that was received and has no verdict yet.
pub fn occasion(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "a postback that is on disk and not decided yet",
        Some(Verdict::Recorded) => "a new conversion",
        Some(Verdict::Updated) => "a change of one",
        Some(Verdict::Duplicate) => "a duplicate",
        Some(Verdict::Parked) => "a postback that waits for something, such as an exchange rate",
        Some(Verdict::Ignored) => "a postback that asks for nothing",
        Some(Verdict::Refused) => "a refusal",
    }
}

/// Why a postback was not simply taken.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownIntegration => "the key in the URL is none of ours, or no longer in use",
        Reason::MacroNotReplaced => "a value is still a placeholder, such as `{click_id}`",
        Reason::InvalidPayload => {
            "a value cannot be read, is too long or not allowed, or two values contradict each other"
        }
        Reason::ContractRetired => "a value stands under a name that only an earlier version had",
        Reason::SourceNotAllowed => "it came from an address that was not agreed on",
        Reason::SignatureMismatch => "the proof of the sender is missing or wrong",
        Reason::MissingParameter => "a required parameter is missing or blank",
        Reason::UnknownClick => "the click id is not one that we made",
        Reason::AlreadyProcessed => "it says nothing new",
        Reason::StaleTimestamp => "the time it was sent is too far from ours",
        Reason::StatusIgnored => "it asks for nothing",
        Reason::RateMissing => "there is no exchange rate for its currency yet",
        Reason::InternalError => "our fault: it is kept, and decided later",
        Reason::CampaignMismatch => "the click is of another campaign",
        Reason::UnknownGoal => "the campaign has no such goal",
        Reason::UnknownStatus => "the status is a word that was not agreed on",
        Reason::UnknownCurrency => "the currency is no code of ISO 4217",
        Reason::TransitionNotAllowed => "the conversion cannot go from its status to that one",
        Reason::CampaignInactive => "the campaign was not active when the click was made",
        Reason::LateWindow => "it came longer after its click than the campaign allows",
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

/// How a signature is made.
pub fn signature(scheme: &Scheme) -> String {
    let algorithm = match scheme.algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha1 => "SHA-1",
        Algorithm::Sha256 => "SHA-256",
        Algorithm::HmacSha1 => "HMAC-SHA-1, keyed with the secret,",
        Algorithm::HmacSha256 => "HMAC-SHA-256, keyed with the secret,",
    };
    let encoding = match scheme.encoding {
        Encoding::Hex => "hexadecimal",
        Encoding::Base64 => "base64",
        Encoding::Base64url => "base64url",
    };
    let mut told = format!("{algorithm} over {}", signed(&scheme.input));
    match scheme.secret {
        Some(SecretPlace::Before) => told.push_str(", with the secret before it"),
        Some(SecretPlace::After) => told.push_str(", with the secret behind it"),
        None => {}
    }
    told.extend(["; written in ", encoding]);
    if !scheme.prefix.is_empty() {
        told.extend([format!("; `{}` stands before it", scheme.prefix)]);
    }
    if !scheme.separator.is_empty() {
        told.extend([format!("; several are joined by `{}`", scheme.separator)]);
    }
    if scheme.key == Key::Base64 {
        told.push_str("; the secret itself is written in base64");
    }
    told
}

fn signed(input: &Input) -> String {
    let (fields, separator, optional, integers, values) = match input {
        Input::Fields { fields, separator, optional, integers, values } => {
            (fields, separator, optional, integers, values)
        }
        Input::SortedQuery {} => {
            let all = "all parameters but the signature, sorted by name, as `name=value` joined";
            return format!("{all} by `&`");
        }
        Input::Query {} => return "the query as it is sent, without the signature".to_owned(),
        Input::Url {} => return "the whole URL as it is called, without the signature".to_owned(),
        Input::Body {} => return "the body, byte for byte".to_owned(),
        Input::Webhook { id, timestamp } => {
            return format!("header `{id}`, header `{timestamp}` and the body, joined by dots");
        }
    };
    let mut told = format!("the values of {}", listed(fields, "and"));
    if separator.is_empty() {
        told.push_str(", one behind the other");
    } else {
        told.extend([format!(", joined by `{separator}`")]);
    }
    if !optional.is_empty() {
        let beside = if separator.is_empty() { "" } else { " with the separator" };
        let optional = listed(optional, "and");
        told.extend([format!("; {optional} left out{beside} where there is none")]);
    }
    if !integers.is_empty() {
        told.extend([format!("; of {} what stands before the point", listed(integers, "and"))]);
    }
    told.push_str(match values {
        Values::Received => "; percent-encoded as they are sent",
        Values::Decoded => "; as they are before they are percent-encoded",
    });
    told
}

/// A proof of the sender.
pub fn proof(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Token => "the shared token",
        ProofKind::Signature => "the signature",
        ProofKind::Networks => "the sender's network",
        ProofKind::Timestamp => "the sender's time",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_told_to_the_second() {
        let at = |text: &str| instant(text.parse().unwrap());
        assert_eq!(at("2026-11-20T09:30:00.123456Z"), "2026-11-20 09:30:00 UTC");
        assert_eq!(at("2026-11-20T09:30:00Z"), "2026-11-20 09:30:00 UTC");
    }

    #[test]
    fn every_way_of_signing_is_told_in_words() {
        let told = |scheme: &str| signature(&serde_json::from_str(scheme).unwrap());
        let all = [
            told(
                r#"{"algorithm":"md5","input":{"kind":"fields","fields":["a","b","{secret}"],
                    "optional":["a"],"integers":["b"],"values":"received"}}"#,
            ),
            told(
                r#"{"algorithm":"md5","input":{"kind":"fields","fields":["a","b","{secret}"],
                    "separator":":","optional":["a"]}}"#,
            ),
            told(
                r#"{"algorithm":"hmac_sha1","encoding":"base64","prefix":"v1=","separator":" ",
                     "input":{"kind":"sorted_query"}}"#,
            ),
            told(r#"{"algorithm":"sha1","secret":"before","input":{"kind":"query"}}"#),
            told(r#"{"algorithm":"sha256","secret":"after","input":{"kind":"url"}}"#),
            told(r#"{"algorithm":"hmac_sha256","encoding":"base64url","input":{"kind":"body"}}"#),
            told(
                r#"{"algorithm":"hmac_sha256","key":"base64",
                     "input":{"kind":"webhook","id":"webhook-id","timestamp":"webhook-time"}}"#,
            ),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        MD5 over the values of `a`, `b` and `{secret}`, one behind the other; `a` left out where there is none; of `b` what stands before the point; percent-encoded as they are sent; written in hexadecimal
        MD5 over the values of `a`, `b` and `{secret}`, joined by `:`; `a` left out with the separator where there is none; as they are before they are percent-encoded; written in hexadecimal
        HMAC-SHA-1, keyed with the secret, over all parameters but the signature, sorted by name, as `name=value` joined by `&`; written in base64; `v1=` stands before it; several are joined by ` `
        SHA-1 over the query as it is sent, without the signature, with the secret before it; written in hexadecimal
        SHA-256 over the whole URL as it is called, without the signature, with the secret behind it; written in hexadecimal
        HMAC-SHA-256, keyed with the secret, over the body, byte for byte; written in base64url
        HMAC-SHA-256, keyed with the secret, over header `webhook-id`, header `webhook-time` and the body, joined by dots; written in hexadecimal; the secret itself is written in base64
        ");
    }

    #[test]
    fn a_pattern_of_times_is_told_with_an_example() {
        assert_eq!(time_format("%d/%m/%Y %H:%M"), "`%d/%m/%Y %H:%M`, such as `20/11/2026 21:30`");
        assert_eq!(time_format("rfc3339"), "RFC 3339, such as `2026-11-20T21:30:15Z`");
        assert_eq!(time_format("%!"), "`%!`", "it is no pattern");
    }

    #[test]
    fn a_row_of_values_reads_as_people_write_it() {
        let told = |all: &[&str]| listed(all, "or");
        assert_eq!(told(&[]), "");
        assert_eq!(told(&["a"]), "`a`");
        assert_eq!(told(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

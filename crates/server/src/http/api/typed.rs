//! Values that read themselves from JSON, such as a whole contract: what does not read is named by
//! its place, and told in the words of the rest of the API.

use crate::http::Error;
use domain::macros::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The value that stands at `at` of a body.
pub(super) fn read<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            root if root == "." => at.to_owned(),
            item if item.starts_with('[') => format!("{at}{item}"),
            inner => format!("{at}.{inner}"),
        };
        let message = error.inner().to_string();
        match message.strip_prefix("missing field ").map(quoted) {
            Some(fields) if fields.len() == 1 => {
                Error::parameter(&format!("{path}.{}", fields[0]), "it is required")
            }
            _ => Error::parameter(path.trim_end_matches(".?"), said(&message)),
        }
    })
}

/// What would be right, of a message that says what is wrong.
fn said(message: &str) -> String {
    let message = message.replace(", there are no fields", ", expected none");
    let message = message.as_str();
    let expected = message.rsplit_once(", expected ").map(|(wrong, right)| (quoted(wrong), right));
    let Some((wrong, right)) = expected else {
        let is_number = message == "invalid number" || message == "number out of range";
        return if is_number { format!("it is {}", kind("usize")) } else { message.to_owned() };
    };
    let known = quoted(right);
    let near = wrong.first().and_then(|wrong| nearest(wrong, known.iter().copied()));
    let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
    if message.starts_with("unknown field") && known.is_empty() {
        let name = wrong.first().copied().unwrap_or_default();
        format!("there is no field `{name}` here")
    } else if message.starts_with("unknown field") {
        format!("there is no such field here{near}; there are: {}", known.join(", "))
    } else if message.starts_with("unknown variant") {
        format!("it is one of: {}{near}", known.join(", "))
    } else if message.starts_with("invalid type") || message.starts_with("invalid value") {
        format!("it is {}", kind(right))
    } else {
        message.to_owned()
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A kind of value in people's words.
fn kind(name: &str) -> &str {
    match name {
        "a string" | "string" => "text, in quotes",
        "a borrowed string" | "string or map" => "a word, in quotes",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list, in brackets",
        "a map" => "an object, in braces",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "usize" | "u64" => "a whole number that is neither negative nor too large",
        structure if structure.starts_with("struct ") || structure.contains("tagged enum ") => {
            "an object, in braces"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;
    use domain::contract::Contract;
    use domain::destination::Corrections;
    use serde_json::json;

    /// A contract with another value at a place in it, and what is said of it.
    fn told(pointer: &str, value: Value) -> String {
        let parameter = json!({ "canonical": "click_id", "names": ["c"], "max_length": 9 });
        let signature = json!({ "algorithm": "hmac_sha1", "input": { "kind": "body" } });
        let mut contract = json!({
            "parameters": [parameter], "statuses": { "values": {} }, "identity": "click",
            "verification": { "signature": signature, "networks": [] },
            "answers": { "refused": { "http_status": 400 } },
        });
        assert!(read::<Contract>("contract", contract.clone()).is_ok());
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match contract.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        let (path, detail) = blamed(read::<Contract>("contract", contract).unwrap_err());
        format!("{}: {detail}", path.unwrap())
    }

    #[test]
    fn what_does_not_read_is_named_by_its_place_and_told_what_would_be_right() {
        let input = "/verification/signature/input";
        let told = [
            told("/identiy", json!("click")),
            told("/identity", json!("clicks")),
            told("/identity", json!(5)),
            told("/parameters", json!({})),
            told("/parameters/0", json!(5)),
            told("/parameters/0", json!({ "canonical": "txn_id" })),
            told("/statuses/values/paid", json!([])),
            told("/statuses/values/approved", json!("1")),
            told("/verification/networks", json!(["10.0.0.0/8", "x"])),
            told("/answers/refused/http_status", json!("400")),
            told("/answers/refused/http_status", json!(70000)),
            told(&format!("{input}/kind"), json!("cookie")),
            told("/verification/signature/input", json!({ "kind": "fields" })),
            told(&format!("{input}/feilds"), json!(["a"])),
            told(&format!("{input}/id"), json!("a")),
            told(&format!("{input}/fields"), json!(["a", 5])),
            told("/verification/signature/algorithm", json!("hmac_sha512")),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        contract.identiy: there is no such field here; the nearest is `identity`; there are: parameters, statuses, goals, identity, repeats, txn_id_folded, txn_id_parts, txn_id_absent, triage_until, reversal, currency, ignore_where, payout_may_be_revenue, unreplaced, times, verification, answers
        contract.identity: it is one of: click_goal_txn, click_goal, click, txn; the nearest is `click`
        contract.identity: it is a word, in quotes
        contract.parameters: it is a list, in brackets
        contract.parameters[0]: it is an object, in braces
        contract.parameters[0].names: it is required
        contract.statuses.values: it is one of: pending, approved, rejected, reversed
        contract.statuses.values: it is a list, in brackets
        contract.verification.networks[1]: `x` is not a network such as `203.0.113.0/24`
        contract.answers.refused.http_status: it is a whole number from 0 to 65535
        contract.answers.refused.http_status: it is a whole number that is neither negative nor too large
        contract.verification.signature.input.kind: it is one of: fields, sorted_query, query, url, body, webhook
        contract.verification.signature.input.fields: it is required
        contract.verification.signature.input.feilds: there is no such field here; the nearest is `fields`; there are: kind, fields, separator, optional, integers, values, id, timestamp
        contract.verification.signature.input: `id` is for the kind `webhook` alone
        contract.verification.signature.input.fields[1]: it is text, in quotes
        contract.verification.signature.algorithm: it is one of: md5, sha1, sha256, hmac_sha1, hmac_sha256
        ");
        let (path, _) = blamed(read::<Vec<u8>>("list", json!([1, 300])).unwrap_err());
        assert_eq!(path.as_deref(), Some("list[1]"));
        let word = read::<Corrections>("corrections", json!("difference")).unwrap_err();
        assert_eq!(blamed(word).1, "it is an object, in braces");
        let idle = json!({ "how": "none", "url": "https://a.example/" });
        let (path, detail) = blamed(read::<Corrections>("corrections", idle).unwrap_err());
        assert_eq!(path.as_deref(), Some("corrections"));
        assert_eq!(detail, "`url` is for `\"how\":\"url\"` alone");
        let (path, detail) = blamed(read::<Contract>("contract", json!(5)).unwrap_err());
        assert_eq!(
            (path.as_deref(), detail.as_str()),
            (Some("contract"), "it is an object, in braces")
        );
    }

    #[test]
    fn a_canonical_name_that_nobody_knows_comes_with_the_nearest_and_all_there_are() {
        let told = told("/parameters/0/canonical", json!("clickid"));
        let start = "contract.parameters[0].canonical: no canonical name is `clickid`; the nearest \
                     is `click_id`; there are: click_id, campaign_id";
        assert!(told.starts_with(start), "{told}");
        assert!(told.ends_with("sub1 to sub10, param1 to param20, event1 to event30"), "{told}");
    }
}

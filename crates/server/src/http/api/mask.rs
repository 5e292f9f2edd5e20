//! Hides secrets in what senders sent, before anybody is shown it.
//!
//! What a contract calls a token or a signature is hidden, and so is what is named nearly so or
//! is the very secret: a sender that misspells a name still sends the secret. What the contract
//! reads as anything else is shown.

use super::show::MASK;
use domain::contract::Contract;
use domain::hit::Hit;
use domain::id::IntegrationId;
use domain::macros::nearest;
use domain::secret::Secret;
use domain::setup::{History, Setup};
use percent_encoding::percent_decode;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

/// What has to be hidden in one hit.
pub(super) struct Mask<'a> {
    /// Of what is secret.
    hidden: BTreeSet<&'a str>,
    /// Of everything else that is read.
    shown: BTreeSet<&'a str>,
    secrets: Vec<&'a Secret>,
}

/// The contracts of a reference as verdicts have it: `12.3`, or a partner's name.
///
/// An integration's are all that it ever had: who speaks as an earlier one sends its secret under
/// that one's name.
fn contracts_of<'a>(setup: &'a Setup, reference: &str) -> Option<Vec<&'a Contract>> {
    let id = reference.split_once('.').and_then(|(id, _)| id.parse().ok()).map(IntegrationId);
    if let Some(integration) = id.and_then(|id| setup.integration(id)) {
        return Some(integration.contracts().collect());
    }
    Some(vec![setup.partner(reference)?.contract.as_ref()?])
}

/// Every secret there is: whichever contract reads a hit, nearer ones verify it too.
fn secrets(setup: &Setup) -> Vec<&Secret> {
    let all = setup.integrations.values().map(History::latest);
    all.flat_map(|one| one.secrets.values().chain(one.retiring.iter().map(|old| &old.secret)))
        .collect()
}

impl<'a> Mask<'a> {
    /// For a hit that was read by that contract. Where no contract read it, it may have been
    /// meant for any of the catalogue.
    pub(super) fn of(setup: &'a Setup, reference: Option<&str>) -> Self {
        let (hidden, shown) = (BTreeSet::from(["signature", "token"]), BTreeSet::new());
        let mut mask = Self { hidden, shown, secrets: secrets(setup) };
        if let Some(contracts) = reference.and_then(|one| contracts_of(setup, one)) {
            for contract in contracts {
                mask.add(contract);
            }
        } else {
            let partners = setup.partners.values().map(History::latest);
            partners.filter_map(|one| one.contract.as_ref()).for_each(|one| mask.add(one));
        }
        mask
    }

    fn add(&mut self, contract: &'a Contract) {
        for parameter in &contract.parameters {
            let is_secret = parameter.canonical.is_secret();
            let names = if is_secret { &mut self.hidden } else { &mut self.shown };
            let own = parameter.names.iter().map(String::as_str);
            names.extend(own.flat_map(|name| [name, member(name)]));
        }
    }

    /// Whether a value that was sent under that name is not to be shown.
    pub(super) fn hides(&self, name: &str, value: &str) -> bool {
        let value = value.trim();
        let is_near = |name: &str| nearest(name, self.hidden.iter().copied()).is_some();
        let is_hidden =
            |name: &str| self.hidden.contains(name) || !self.shown.contains(name) && is_near(name);
        !value.is_empty()
            && (is_hidden(name)
                || is_hidden(member(name))
                || self.secrets.iter().any(|secret| secret.verifies(value)))
    }

    /// Path and query, as text.
    pub(super) fn target(&self, hit: &Hit) -> String {
        let mut shown = String::from_utf8_lossy(hit.path()).into_owned();
        if hit.target.contains(&b'?') {
            shown.push('?');
            shown.push_str(&self.urlencoded(hit.query()));
        }
        shown
    }

    /// The body as text; `None` where there is none.
    pub(super) fn body(&self, hit: &Hit) -> Option<String> {
        if hit.body.is_empty() {
            return None;
        }
        let declared = hit.content_type.as_deref().unwrap_or_default();
        let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_object = hit.body.trim_ascii_start().starts_with(b"{");
        // What is skipped as JSON need not be UTF-8: that is looked at first.
        let text = str::from_utf8(&hit.body).ok().filter(|_| is_object);
        if let Some(json) = text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
            return Some(self.json(json));
        }
        let is_form =
            matches!(essence.as_str(), "" | "text/plain" | "application/x-www-form-urlencoded");
        if is_form && !is_object {
            return Some(self.urlencoded(&hit.body));
        }
        // Where in it a value begins and ends is anybody's guess.
        let text = String::from_utf8_lossy(&hit.body).into_owned();
        let lower = text.to_ascii_lowercase();
        let may_hold = self.hidden.iter().any(|name| lower.contains(&name.to_ascii_lowercase()));
        Some(if may_hold { MASK.to_owned() } else { text })
    }

    fn urlencoded(&self, bytes: &[u8]) -> String {
        let parts = bytes.split(|byte| *byte == b'&').map(|part| {
            let text = String::from_utf8_lossy(part).into_owned();
            let Some((name, value)) = text.split_once('=') else { return text };
            if self.hides(&decode(name), &decode(value)) { format!("{name}={MASK}") } else { text }
        });
        parts.collect::<Vec<_>>().join("&")
    }

    /// Masks members of JSON that reads, at any depth, and leaves the rest as it was sent:
    /// a name that stands twice is what somebody may be looking for.
    fn json(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(quote) = rest.find('"') {
            let end = quote + string_len(&rest[quote..]);
            let (token, behind) = (&rest[quote..end], &rest[end..]);
            shown.push_str(&rest[..end]);
            rest = behind;
            let Some(after_colon) = behind.trim_start().strip_prefix(':') else { continue };
            let value = after_colon.trim_start();
            let len = value_len(value);
            if self.hides(&unquoted(token), &unquoted(&value[..len])) {
                shown.push_str(&behind[..behind.len() - value.len()]);
                shown.extend(["\"", MASK, "\""]);
                rest = &value[len..];
            }
        }
        shown.push_str(rest);
        shown
    }
}

/// What the member is called that a name with dots leads to: `id` of `data.click.id`, and of
/// `data.tokens.0` the list.
fn member(name: &str) -> &str {
    let is_place = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    name.rsplit('.').find(|part| !is_place(part)).unwrap_or(name)
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

/// A JSON string's text, or any other value as it stands.
fn unquoted(token: &str) -> String {
    serde_json::from_str(token).unwrap_or_else(|_| token.to_owned())
}

/// The length of the JSON string at the beginning, with its quotes.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the JSON value at the beginning.
fn value_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut place = 0;
    while let Some(byte) = text.as_bytes().get(place) {
        match byte {
            b'"' => place += string_len(&text[place..]) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return place,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        place += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return place;
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::{contract_of, integration, parameter};
    use super::*;
    use domain::contract::Canonical;
    use domain::integration::{EarlierContract, Integration, Scope};
    use domain::partner::Partner;
    use domain::setup::Change;
    use domain::time::Timestamp;

    /// One partner and one integration of it, whose token is `s3cret` and is sent as `signature`
    /// or `sig`.
    fn setup() -> Setup {
        let mut signature = parameter(Canonical::Signature, true);
        signature.names.push("sig".to_owned());
        let mut reference = parameter(Canonical::ConversionRef, false);
        reference.names = vec!["signal".to_owned(), "tokens".to_owned()];
        let parameters = vec![parameter(Canonical::ClickId, true), signature, reference];
        let contract = contract_of(parameters);
        let mut setup = Setup::default();
        let partner = Partner {
            name: "kiwiwall".to_owned(),
            title: String::new(),
            kind: String::new(),
            confidence: None,
            sources: Vec::new(),
            source_on: String::new(),
            notes: Vec::new(),
            menu: None,
            landing_params: None,
            click: Vec::new(),
            paths: Vec::new(),
            outbound: None,
            corrections: None,
            contract: Some(contract.clone()),
        };
        setup.put(Timestamp::UNIX_EPOCH, Change::Partner(partner));
        let one = integration(Scope::Global, contract);
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        setup
    }

    fn target(reference: Option<&str>, target: &str) -> String {
        let hit = Hit { target: target.as_bytes().to_vec(), ..Hit::default() };
        Mask::of(&setup(), reference).target(&hit)
    }

    fn body(content_type: Option<&str>, body: impl AsRef<[u8]>) -> Option<String> {
        let content_type = content_type.map(str::to_owned);
        let hit = Hit { content_type, body: body.as_ref().to_vec(), ..Hit::default() };
        Mask::of(&setup(), Some("3.1")).body(&hit)
    }

    #[test]
    fn a_token_in_the_query_is_hidden_and_nothing_else() {
        let shown = "/postback/k?click_id=a%20b&signature=***&txn_id=7&sig=";
        let sent = "/postback/k?click_id=a%20b&signature=abc&txn_id=7&sig=";
        for reference in [Some("3.1"), Some("kiwiwall"), Some("gone.1"), None] {
            assert_eq!(target(reference, sent), shown);
        }
        assert_eq!(target(None, "/postback"), "/postback");
        assert_eq!(target(None, "/postback?"), "/postback?");
    }

    #[test]
    fn a_token_under_a_misspelt_or_another_name_is_hidden_too() {
        let sent = "/p?Signature=abc&sig%6eature=abc&signatrue=abc&x=s3cret&y=s3cre%74&z=other";
        let shown = "/p?Signature=***&sig%6eature=***&signatrue=***&x=***&y=***&z=other";
        assert_eq!(target(Some("3.1"), sent), shown);
    }

    #[test]
    fn what_the_contract_reads_as_anything_else_is_shown() {
        let sent = "/p?tokens=7&signal=8&token=9";
        assert_eq!(target(Some("3.1"), sent), "/p?tokens=7&signal=8&token=***");
    }

    #[test]
    fn a_token_under_the_name_of_an_earlier_contract_is_hidden_too() {
        let mut setup = setup();
        let mut one = setup.integration(IntegrationId(3)).unwrap().clone();
        let mut token = parameter(Canonical::Token, false);
        token.names = vec!["pw".to_owned()];
        let contract = contract_of(vec![parameter(Canonical::ClickId, true), token]);
        let until = Timestamp::UNIX_EPOCH;
        one.earlier = vec![EarlierContract { version: 2, until, contract }];
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        let hit = Hit { target: b"/p?pw=abc&signature=abc&signal=8".to_vec(), ..Hit::default() };
        for reference in ["3.1", "3.2"] {
            let shown = Mask::of(&setup, Some(reference)).target(&hit);
            assert_eq!(shown, "/p?pw=***&signature=***&signal=8");
        }
    }

    #[test]
    fn the_secret_of_an_integration_is_hidden_whichever_contract_reads() {
        let contract = contract_of(vec![parameter(Canonical::ClickId, true)]);
        let mut setup = setup();
        let one = integration(Scope::Global, contract);
        let other = Integration { id: IntegrationId(9), key: "other".to_owned(), ..one };
        let secrets = [("token".to_owned(), Secret::new("0th3r".to_owned()))].into();
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(Integration { secrets, ..other }));
        let hit = Hit { target: b"/p?x=0th3r&y=z".to_vec(), ..Hit::default() };
        let shown = Mask::of(&setup, Some("3.1")).target(&hit);
        assert_eq!(shown, "/p?x=***&y=z");
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let hit = Hit { target: b"/p?\xff=\xff&signature=\xff".to_vec(), ..Hit::default() };
        let shown = Mask::of(&setup(), Some("3.1")).target(&hit);
        assert_eq!(shown, "/p?\u{fffd}=\u{fffd}&signature=***");
    }

    #[test]
    fn a_form_is_hidden_like_a_query() {
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(body(form, "a=1&sig=abc").as_deref(), Some("a=1&sig=***"));
        assert_eq!(body(None, "a=1&sig=abc").as_deref(), Some("a=1&sig=***"));
        assert_eq!(body(form, ""), None);
    }

    #[test]
    fn json_is_hidden_in_place_and_stays_as_it_was_sent() {
        let sent = r#" {"b" : 1.50, "sig" : "a\"b,}" ,"b":"x","signature":[1,{"c":"]"}],"d":
            {"sig":12},"e":"signature","f":"s3cret" }"#;
        let shown = r#" {"b" : 1.50, "sig" : "***" ,"b":"x","signature":"***","d":
            {"sig":"***"},"e":"signature","f":"***" }"#;
        assert_eq!(body(Some("application/json"), sent).as_deref(), Some(shown));
    }

    #[test]
    fn what_stands_deeper_is_hidden_by_what_it_is_called_there() {
        let mut token = parameter(Canonical::Token, true);
        token.names = vec!["data.auth.pw".to_owned(), "keys.0".to_owned()];
        let mut reference = parameter(Canonical::ConversionRef, false);
        reference.names = vec!["data.tokens".to_owned()];
        let mut setup = setup();
        let one = integration(Scope::Global, contract_of(vec![token, reference]));
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        let body = br#"{"data":{"auth":{"pw":"a"},"tokens":7,"x":1},"keys":["b","c"]}"#.to_vec();
        let mask = Mask::of(&setup, Some("3.1"));
        let shown = r#"{"data":{"auth":{"pw":"***"},"tokens":7,"x":1},"keys":"***"}"#;
        assert_eq!(mask.body(&Hit { body, ..Hit::default() }).as_deref(), Some(shown));
        let named = ["data.auth.pw", "other.pw", "data.token", "a.signatrue.1", "data.tokens", "x"];
        let hidden = named.map(|name| mask.hides(name, "v"));
        assert_eq!(hidden, [true, true, true, true, false, false]);
    }

    #[test]
    fn what_cannot_be_read_is_hidden_as_a_whole_where_it_may_hold_a_secret() {
        let json = Some("application/json");
        assert_eq!(body(json, r#"{"sig":"abc""#).as_deref(), Some("***"));
        assert_eq!(body(json, r#"{"a":"abc""#).as_deref(), Some(r#"{"a":"abc""#));
        assert_eq!(body(json, b"{\"sig\":\"\xff\"}").as_deref(), Some("***"));
        assert_eq!(body(json, b"{\"a\":\"\xff\"}").as_deref(), Some("{\"a\":\"\u{fffd}\"}"));
        let xml = Some("application/xml");
        assert_eq!(body(xml, "<Signature>abc</Signature>").as_deref(), Some("***"));
        assert_eq!(body(xml, "<a>1</a>").as_deref(), Some("<a>1</a>"));
    }
}

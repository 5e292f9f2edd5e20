//! What must hold of signatures. Each right one was made by other programs: the command stands
//! beside it.

use super::super::{Pairs, Problem, Proof, Sender, verify};
use super::vectors::{FORM, JSON, OPTIONAL, POLL, QUERY_SHA256, SORTED, URL_SHA1, VECTORS};
use crate::contract::{Canonical, Contract, Scheme};
use crate::hit::Hit;
use crate::ledger::tests::world::{contract, plain};
use crate::reason::Reason;
use crate::secret::Secret;
use crate::time::Timestamp;
use base64::Engine as _;
use proptest::prelude::*;

/// What a contract calls things here.
const PARAMETERS: &str = "click_id! txn_id revenue=amount,value sub1=name signature=sig,hash";
/// The secret, and the address that senders call.
const SECRET: &str = "s3cret";
const BASE: &str = "https://t.example";
const QUERY: &str = "/postback/k3y?";
/// Of the Standard Webhooks' libraries.
const WEBHOOK_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const WEBHOOK_AT: &str = "1614265330";
const WEBHOOK_BODY: &str = r#"{"test": 2432232314}"#;
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WEBHOOK_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const WEBHOOK: &str = r#"{"algorithm":"hmac_sha256","encoding":"base64","prefix":"v1,",
    "separator":" ","key":"base64","input":{"kind":"webhook","id":"webhook-id","timestamp":"webhook-timestamp"}}"#;

pub(super) fn signed(scheme: &str) -> Contract {
    let scheme: Scheme = serde_json::from_str(scheme).unwrap_or_else(|error| panic!("{error}"));
    let mut contract = contract(PARAMETERS);
    contract.verification.signature = Some(scheme);
    assert_eq!(contract.fault(), None);
    contract
}

/// The same with the signature in a header.
pub(super) fn in_header(scheme: &str, name: &str) -> Contract {
    let mut contract = signed(scheme);
    let signature = contract.parameters.iter_mut();
    let signature = signature.filter(|one| one.canonical == Canonical::Signature);
    for parameter in signature {
        parameter.in_header = true;
        parameter.names = vec![name.to_owned()];
    }
    assert_eq!(contract.fault(), None);
    contract
}

pub(super) fn get(query: &str) -> Hit {
    let target = format!("{QUERY}{query}").into_bytes();
    Hit { method: "GET".to_owned(), target, base: BASE.to_owned(), ..Hit::default() }
}

pub(super) fn post(query: &str, content_type: &str, body: &str) -> Hit {
    let content_type = Some(content_type.to_owned());
    Hit { method: "POST".to_owned(), content_type, body: body.into(), ..get(query) }
}

pub(super) fn with_headers(hit: Hit, headers: &[(&str, &str)]) -> Hit {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Hit { headers: headers.collect(), ..hit }
}

fn webhook(signature: &str) -> Hit {
    let headers = [
        ("webhook-id", WEBHOOK_ID),
        ("webhook-timestamp", WEBHOOK_AT),
        ("webhook-signature", signature),
    ];
    with_headers(
        Hit { target: b"/postback/k3y".to_vec(), ..post("", "application/json", WEBHOOK_BODY) },
        &headers,
    )
}

fn verified(contract: &Contract, hit: &Hit, secrets: &[&str]) -> Result<Proof, Problem> {
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    let sender = Sender { signing: secrets.iter().collect(), ..Sender::default() };
    verify(contract, contract, &Pairs::of(hit), &sender, Timestamp::from_ms(0))
}

fn is_verified(contract: &Contract, hit: &Hit, secret: &str) -> bool {
    match verified(contract, hit, &[secret]) {
        Ok(proof) => {
            assert_eq!(proof, Proof { is_verified: true, ..Proof::default() });
            true
        }
        Err(problem) => {
            assert_eq!(problem.reason, Reason::SignatureMismatch);
            assert!(!problem.detail.contains(SECRET), "{problem:?}");
            false
        }
    }
}

/// Why it does not verify.
fn detail(contract: &Contract, hit: &Hit) -> String {
    verified(contract, hit, &[SECRET]).expect_err("it verifies").detail
}

#[test]
fn what_other_programs_signed_verifies() {
    for vector in &VECTORS {
        let (contract, hit) = (vector.contract(), vector.hit());
        let proof = verified(&contract, &hit, &[SECRET]);
        assert_eq!(
            proof.map(|proof| proof.is_verified),
            Ok(true),
            "{} {}",
            vector.scheme,
            vector.query
        );
        for other in ["", "s3cre", "S3CRET", "s3cret "] {
            assert!(!is_verified(&contract, &hit, other), "{} {other}", vector.query);
        }
    }
}

#[test]
fn any_other_byte_does_not() {
    let mut changed = 0;
    for vector in &VECTORS {
        let (contract, whole) = (vector.contract(), vector.hit());
        let mut refuse = |hit: Hit, place: usize| {
            let at = format!("{} {} {place}", vector.scheme, vector.query);
            assert!(!is_verified(&contract, &hit, SECRET), "{at}");
            changed += 1;
        };
        for place in QUERY.len()..whole.target.len() {
            let mut hit = whole.clone();
            hit.target[place] ^= 1;
            refuse(hit, place);
        }
        for place in 0..whole.body.len() {
            let mut hit = whole.clone();
            hit.body[place] ^= 1;
            refuse(hit, place);
        }
        for place in 0..vector.signature.len() {
            let mut bytes = vector.signature.as_bytes().to_vec();
            bytes[place] ^= 1;
            let value = String::from_utf8(bytes).unwrap();
            refuse(with_headers(whole.clone(), &[("x-signature", &value)]), place);
        }
        for longer in ["&click_id=other", "&x=1", "&"] {
            // Fields say nothing about what is beside them.
            if !vector.scheme.contains("fields") {
                let target = [&whole.target[..], longer.as_bytes()].concat();
                if vector.body.is_none() && !(longer == "&" && vector.scheme == SORTED) {
                    refuse(Hit { target, ..whole.clone() }, 0);
                }
            }
        }
    }
    assert!(changed > 1_500, "{changed}");
}

#[test]
fn the_hashes_are_those_of_their_standards() {
    let body = |algorithm: &str, place: &str| {
        let scheme = format!(r#"{{"algorithm":"{algorithm}"{place},"input":{{"kind":"body"}}}}"#);
        in_header(&scheme, "x-signature")
    };
    let before = r#","secret":"before""#;
    // The secret is the beginning of a plain hash's text, the key of an HMAC.
    let published = [
        // RFC 1321, A.5
        (body("md5", before), "message ", "digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        // FIPS 180, the examples of one block
        (body("sha1", before), "a", "bc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            body("sha256", before),
            "ab",
            "c",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        // RFC 2202, 3, case 2; RFC 4231, 4.3
        (
            body("hmac_sha1", ""),
            "Jefe",
            "what do ya want for nothing?",
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            body("hmac_sha256", ""),
            "Jefe",
            "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ];
    for (contract, secret, text, hash) in published {
        let hit = with_headers(post("", "image/png", text), &[("x-signature", hash)]);
        assert!(is_verified(&contract, &hit, secret), "{hash}");
    }
    // RFC 2202, 3, case 6: a key longer than a block.
    let key = base64::prelude::BASE64_STANDARD.encode([0xaa; 80]);
    let contract = in_header(
        r#"{"algorithm":"hmac_sha1","key":"base64","input":{"kind":"body"}}"#,
        "x-signature",
    );
    let text = "Test Using Larger Than Block-Size Key - Hash Key First";
    let hash = "aa4ae5e15272d00e95705637ce8a3b55ed402112";
    let hit = with_headers(post("", "image/png", text), &[("x-signature", hash)]);
    assert!(is_verified(&contract, &hit, &key));
}

#[test]
fn the_example_of_the_standard_webhooks_verifies() {
    let contract = in_header(WEBHOOK, "Webhook-Signature");
    let bare = WEBHOOK_SECRET.strip_prefix("whsec_").unwrap();
    for secret in [WEBHOOK_SECRET, bare] {
        assert!(is_verified(&contract, &webhook(WEBHOOK_SIGNATURE), secret));
    }
    let wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let several = [
        (format!("{wrong} v2,x {WEBHOOK_SIGNATURE} v1a,y"), true),
        (format!("{WEBHOOK_SIGNATURE} {wrong}"), true),
        (format!("{wrong} {wrong}"), false),
        (WEBHOOK_SIGNATURE.replace("v1,", "v2,"), false),
        (WEBHOOK_SIGNATURE.replace("v1,", ""), false),
        (format!("{} {WEBHOOK_SIGNATURE}", [wrong; 10].join(" ")), false),
        ("v1,".to_owned(), false),
        (WEBHOOK_SIGNATURE[..8].to_owned(), false),
    ];
    for (signature, is_right) in several {
        assert_eq!(
            is_verified(&contract, &webhook(&signature), WEBHOOK_SECRET),
            is_right,
            "{signature}"
        );
    }
    for secret in ["", "whsec_", "whsec_MfKQ", "not base64!"] {
        assert!(!is_verified(&contract, &webhook(WEBHOOK_SIGNATURE), secret), "{secret}");
    }
}

#[test]
fn what_a_webhook_is_made_of_must_be_there_once() {
    let contract = in_header(WEBHOOK, "webhook-signature");
    let told = |change: fn(&mut Hit)| {
        let mut hit = webhook(WEBHOOK_SIGNATURE);
        change(&mut hit);
        verified(&contract, &hit, &[WEBHOOK_SECRET]).expect_err("it verifies").detail
    };
    let details = [
        told(|hit| drop(hit.headers.remove(0))),
        told(|hit| hit.headers[1].1 = " ".to_owned()),
        told(|hit| hit.headers.push(hit.headers[0].clone())),
        told(|hit| hit.headers.push(hit.headers[2].clone())),
        told(|hit| drop(hit.headers.pop())),
        told(|hit| hit.headers[2].1 = "v1,?".to_owned()),
        told(|hit| hit.body.clear()),
        told(|hit| hit.body.push(b'\n')),
        told(|hit| hit.target = b"/postback/k3y?a=1&txn%5Fid=2".to_vec()),
        told(|hit| hit.headers[0].1.push('x')),
    ];
    insta::assert_snapshot!(details.join("\n"), @r"
    the header `webhook-id` is missing
    the header `webhook-timestamp` is missing
    the header `webhook-id` was sent twice
    `webhook-signature` was sent twice
    the header `webhook-signature` is missing
    `webhook-signature` is not written as the contract says
    there is no body that could be signed
    `webhook-signature` was not made with the agreed secret
    `txn_id` stands in the URL, and the body alone is signed
    `webhook-signature` was not made with the agreed secret
    ");
    let mut hit = webhook(WEBHOOK_SIGNATURE);
    hit.target = b"/postback/k3y?utm=1&webhook-signature=x".to_vec();
    let proof = verified(&contract, &hit, &[WEBHOOK_SECRET]);
    assert!(proof.is_ok(), "what nobody reads may stand anywhere");
}

/// Whoever saw one signed body could send it again with other labels, which may be events, a
/// reference that makes a conversion, or a part of the transaction's id.
#[test]
fn beside_a_signed_body_nothing_that_is_read_stands_in_the_url() {
    let contract = in_header(WEBHOOK, "webhook-signature");
    let mut other = plain();
    let sent = |contract: &Contract, reading: &Contract, query: &str, header: &str| {
        let mut hit = webhook(WEBHOOK_SIGNATURE);
        hit.target = format!("/postback/k3y?{query}").into_bytes();
        hit.headers.push((header.to_owned(), "1".to_owned()));
        let secret = Secret::new(WEBHOOK_SECRET.to_owned());
        let sender = Sender { signing: vec![&secret], ..Sender::default() };
        let at = Timestamp::from_ms(0);
        verify(contract, reading, &Pairs::of(&hit), &sender, at).map_err(|problem| problem.detail)
    };
    let told = sent(&contract, &contract, "name=x", "x-y").unwrap_err();
    assert_eq!(told, "`name` stands in the URL, and the body alone is signed");
    assert!(sent(&contract, &contract, "event1=1", "x-y").is_ok(), "nobody reads it");
    for query in ["event1=1", "a=1&conversion_ref=1", "param1=2", "sub%31=3"] {
        assert!(sent(&contract, &other, query, "x-y").is_err(), "{query}");
    }
    for parameter in &mut other.parameters {
        parameter.in_header = true;
    }
    assert!(sent(&contract, &other, "event1=1", "sub1").is_ok(), "it only describes");
    let told = sent(&contract, &other, "", "Event1").unwrap_err();
    assert_eq!(told, "`Event1` stands in a header, which is not signed");
    for header in ["txn_id", "conversion_ref", "revenue"] {
        assert!(sent(&contract, &other, "", header).is_err(), "{header}");
    }
    other.ignore_where.insert(Canonical::Sub(1), vec!["1".to_owned()]);
    assert!(sent(&contract, &other, "", "sub1").is_err(), "it decides");
}

#[test]
fn fields_are_what_was_sent_once_and_can_be_read() {
    let colons = signed(VECTORS[0].scheme);
    let made = "sig=f43125e8ce2ceb5f608cf7d84f64d74f";
    let told = |query: &str| detail(&colons, &get(query));
    let details = [
        told(&format!("name=user-1&{made}")),
        told(&format!("name=user-1&amount=2.35&amount=2.35&{made}")),
        told(&format!("name=user-1&amount=2.35&{made}&{made}")),
        told(&format!("name=user-1&amount=2.35&{made}&hash=x")),
        told(&format!("name=user-1%ff&amount=2.35&{made}")),
        told("name=user-1&amount=2.35&sig=%20"),
        told("name=user-1&amount=2.35"),
        told("name=user-1&amount=2.35&sig=f43"),
        told("name=user-1&amount=2.35&sig=00"),
        detail(&colons, &post(&format!("name=user-1&amount=2.35&{made}"), FORM, "amount=2.35")),
        detail(&colons, &post(&format!("name=user-1&{made}"), JSON, r#"{"amount":[2.35]}"#)),
    ];
    insta::assert_snapshot!(details.join("\n"), @r"
    `amount`, which is signed, is missing
    `amount`, which is signed, was sent twice
    `sig` was sent twice
    `sig` was sent twice
    `name`, which is signed, is not properly encoded
    `sig` is missing
    `sig` is missing
    `sig` is not written as the contract says
    `sig` was not made with the agreed secret
    `amount`, which is signed, was sent twice
    `amount`, which is signed, is not properly encoded
    ");
    let json = post(&format!("name=user-1&{made}"), JSON, r#"{"amount":2.35}"#);
    assert!(is_verified(&colons, &json, SECRET), "wherever they stand");
    // printf '%s' 't1u1USD100app1s3cret' | sha1sum
    let optional = signed(OPTIONAL);
    for dev in ["", "&dev=", "&dev=%20"] {
        let query = format!(
            "t=t1&u=u1&cur=USD&coin=100&app=app1{dev}&hash=952baf053c52e178b07a17b887c449cee54e59ad"
        );
        assert!(is_verified(&optional, &get(&query), SECRET), "{dev}");
    }
}

#[test]
fn a_value_that_holds_the_separator_passes_for_no_optional_field() {
    let poll = signed(POLL);
    let rest = "reward=Coins&value=2&status=approved&reason=&at=1700000000&tx=tx%261\
                &sig=T%2BIU72xybj9c9NZNvEEfffr20W4=";
    assert!(is_verified(&poll, &get(&format!("cpa=30&device=dev+1&request=req-7&{rest}")), SECRET));
    let told = detail(&poll, &get(&format!("cpa=30&device=dev+1%3Areq-7&{rest}")));
    assert_eq!(told, "`device`, which is signed, holds a `:`");
}

#[test]
fn an_integer_is_what_stands_before_the_point() {
    let dots = signed(
        r#"{"algorithm":"md5","input":{"kind":"fields","fields":["{secret}","u","value","t"],
            "separator":".","integers":["value"]}}"#,
    );
    // printf '%s' 's3cret.u1.100.t1' | md5sum
    let made = "u=u1&t=t1&sig=b1309a169d4b30b0d8d67d07f3bf653b";
    for value in ["100", "100.1234", "100.", "0100.5"] {
        assert!(is_verified(&dots, &get(&format!("{made}&value={value}")), SECRET), "{value}");
    }
    for value in ["", "101", "1e2", "%2B100", "x", ".", "-100"] {
        assert!(!is_verified(&dots, &get(&format!("{made}&value={value}")), SECRET), "{value}");
    }
    assert_eq!(
        ["-0.5", "007.9", "-12.1", "0"].map(super::integer),
        ["0", "7", "-12", "0"].map(|whole| Some(whole.to_owned()))
    );
}

#[test]
fn a_signature_of_the_url_covers_all_that_is_read() {
    let (url, query) = (signed(URL_SHA1), signed(QUERY_SHA256));
    let made = "click_id=abc&value=1.5&name=A%20b&hash=d397c9eee5daae1cbc013206f3290403d79a149e";
    let base = |base: &str| Hit { base: base.to_owned(), ..get(made) };
    assert!(is_verified(&url, &base("https://t.example/"), SECRET));
    for other in ["https://other.example", "http://t.example"] {
        assert!(!is_verified(&url, &base(other), SECRET), "{other}");
    }
    assert_eq!(detail(&url, &base("")), "the address that the sender called is not known");
    let body = detail(&url, &post(made, FORM, "txn_id=2"));
    assert_eq!(body, "a signature of the URL says nothing about the body");
    assert!(is_verified(&url, &post(made, FORM, " \r\n"), SECRET));
    let made = "b=2&a=1&click_id=abc";
    let sig = "sig=c6a7e077f74022245eb2ea236724c46fb7273cb4f518919d7e71d188021ccf24";
    let body = detail(&query, &post(&format!("{made}&{sig}"), FORM, "txn_id=2"));
    assert_eq!(body, "a signature of the query says nothing about the body");
    assert!(is_verified(&query, &post(sig, FORM, made), SECRET), "a form, signed in the URL");
    let json = post(&format!("{made}&{sig}"), JSON, "{}");
    assert!(!is_verified(&query, &json, SECRET));
    // The pair goes with the one `&` that joins it, wherever it stands.
    let places =
        [format!("{sig}&{made}"), format!("b=2&{sig}&a=1&click_id=abc"), format!("{made}&{sig}")];
    for place in &places {
        assert!(is_verified(&query, &get(place), SECRET), "{place}");
        assert!(!is_verified(&query, &get(&place.replacen('&', "&&", 1)), SECRET), "{place}");
    }
}

#[test]
fn any_secret_that_counts_may_have_made_it() {
    let (vector, contract) = (&VECTORS[0], VECTORS[0].contract());
    for secrets in [&["old", SECRET][..], &[SECRET, "old"], &["", SECRET]] {
        assert!(verified(&contract, &vector.hit(), secrets).is_ok());
    }
    assert!(verified(&contract, &vector.hit(), &["old", "older"]).is_err());
    let agreed_on_none = verified(&contract, &vector.hit(), &[]);
    assert_eq!(agreed_on_none, Ok(Proof::default()));
}

#[test]
fn a_plus_that_was_sent_as_it_is_is_one() {
    let contract = signed(POLL);
    let query = VECTORS[7].query;
    assert!(query.contains("sig=T+IU"));
    for spelt in ["sig=T%2BIU", "sig=T+IU", "sig=T%20IU"] {
        let query = query.replace("sig=T+IU", spelt);
        assert!(is_verified(&contract, &get(&query), SECRET), "{spelt}");
    }
    assert!(is_verified(&contract, &get(query.trim_end_matches('=')), SECRET), "no padding");
    assert!(!is_verified(&contract, &get(&query.replace("W4=", "W5=")), SECRET), "idle bits");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("click_id".to_owned()), Just("sig".to_owned()), "[a-c&=%{}]{0,3}"]
}

fn schemes() -> impl Strategy<Value = serde_json::Value> {
    let algorithm = prop::sample::select(vec!["md5", "sha1", "sha256", "hmac_sha1", "hmac_sha256"]);
    let encoding = prop::sample::select(vec!["hex", "base64", "base64url"]);
    let names = || prop::collection::vec(prop_oneof![name(), Just("{secret}".to_owned())], 0..4);
    let fields = (names(), names(), names(), ".{0,2}", any::<bool>()).prop_map(
        |(fields, optional, integers, separator, is_decoded)| {
            let values = if is_decoded { "decoded" } else { "received" };
            serde_json::json!({"kind": "fields", "fields": fields, "optional": optional,
                "integers": integers, "separator": separator, "values": values})
        },
    );
    let kind = prop::sample::select(vec!["sorted_query", "query", "url", "body"]);
    let webhook = serde_json::json!({"kind": "webhook", "id": "a", "timestamp": "b"});
    let kind = kind.prop_map(|kind| serde_json::json!({ "kind": kind }));
    let input = prop_oneof![fields, kind, Just(webhook)];
    let secret = prop::sample::select(vec![None, Some("before"), Some("after")]);
    let key = prop::sample::select(vec!["text", "base64"]);
    (algorithm, encoding, ".{0,2}", ".{0,2}", key, secret, input).prop_map(
        |(algorithm, encoding, prefix, separator, key, secret, input)| {
            serde_json::json!({"algorithm": algorithm, "encoding": encoding, "prefix": prefix,
                "separator": separator, "key": key, "secret": secret, "input": input})
        },
    )
}

proptest! {
    /// Whatever a contract says and a stranger sends.
    #[test]
    fn nothing_panics_and_nothing_verifies_by_chance(
        scheme in schemes(),
        query in prop::collection::vec(any::<u8>(), 0..40),
        names in prop::collection::vec(name(), 0..5),
        body in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..40)],
        content_type in prop::option::of(prop::sample::select(vec![FORM, JSON, "x"])),
        headers in prop::collection::vec(("[abs]", ".{0,9}"), 0..4),
        base in "[a-z:/]{0,9}",
        secret in ".{0,9}",
        in_header in any::<bool>(),
    ) {
        let mut contract = contract("click_id! txn_id signature=s,sig");
        let scheme: Scheme = serde_json::from_value(scheme).unwrap();
        contract.parameters[2].in_header = in_header;
        let is_sound = scheme.fault().is_none();
        contract.verification.signature = Some(scheme);
        let target = [QUERY.as_bytes(), names.join("=1&").as_bytes(), b"&", &query].concat();
        let content_type = content_type.map(str::to_owned);
        let hit = Hit { target, content_type, body, headers, base, ..get("") };
        let proof = verified(&contract, &hit, &[&secret]);
        if secret.is_empty() || is_sound {
            prop_assert!(proof.is_err());
        }
    }
}

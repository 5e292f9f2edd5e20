//! What must hold of a contract, whoever writes it.

use super::*;
use crate::conversion::Status;
use crate::ledger::tests::world::{contract, plain};
use crate::secret::Secret;

fn fault(change: impl FnOnce(&mut Contract)) -> String {
    let mut contract = plain();
    change(&mut contract);
    contract.fault().map_or_else(|| "none".to_owned(), |fault| fault.to_string())
}

#[test]
fn every_canonical_name_comes_back_and_no_other_reads() {
    let plain = Canonical::PLAIN.iter().map(|(_, name)| (*name).to_owned());
    let numbered = Canonical::NUMBERED
        .iter()
        .flat_map(|(_, stem, max)| (1..=*max).map(move |number| format!("{stem}{number}")));
    let names: Vec<String> = plain.chain(numbered).collect();
    assert_eq!(names.len(), 18 + 10 + 20 + 30);
    for name in names {
        let canonical = Canonical::from_name(&name).unwrap();
        assert_eq!(canonical.to_string(), name);
        assert_eq!(serde_json::to_value(canonical).unwrap(), name);
    }
    for name in
        ["", "sub", "sub0", "sub11", "sub01", "sub+1", "param21", "event31", "Status", "sub256"]
    {
        assert_eq!(Canonical::from_name(name), None, "{name}");
    }
}

#[test]
fn a_label_decides_nothing_and_money_is_none() {
    for (canonical, _) in Canonical::PLAIN {
        let kinds = [canonical.is_label(), canonical.is_money(), canonical.is_secret()];
        assert!(kinds.iter().filter(|is| **is).count() <= 1, "{canonical}");
    }
    assert!(Canonical::Sub(1).is_label() && Canonical::Event(30).is_label());
}

#[test]
fn a_contract_that_makes_no_sense_is_told_so() {
    assert_eq!(fault(|_| {}), "none");
    let told = [
        fault(|one| one.parameters.retain(|one| one.canonical != Canonical::ClickId)),
        fault(|one| one.parameters.push(contract("click_id!").parameters.remove(0))),
        fault(|one| one.parameters[1].names.clear()),
        fault(|one| one.parameters[1].names = vec![String::new()]),
        fault(|one| one.parameters[1].names = vec!["click_id".to_owned()]),
        fault(|one| one.parameters[1].names = vec!["a".to_owned(), "a".to_owned()]),
        fault(|one| one.parameters[1].names = vec!["a".to_owned(); NAMES_MAX + 1]),
        fault(|one| one.parameters[1].max_length = Some(0)),
        fault(|one| one.parameters[1].max_length = Some(VALUE_BYTES_MAX + 1)),
        fault(|one| one.parameters[1].unit = Unit::Minor),
        fault(|one| one.statuses.absent = None),
        fault(|one| one.statuses.ignore.push("Approved".to_owned())),
        fault(|one| one.statuses.ignore.push(" x".to_owned())),
        fault(|one| {
            one.statuses.values.get_mut(&Status::Approved).unwrap().push("HOLD".to_owned());
        }),
        fault(|one| one.goals = [("a", "x"), ("A", "y")].map(|(a, b)| (a.into(), b.into())).into()),
        fault(|one| one.verification.token = Some(Canonical::Token)),
        fault(|one| one.verification.token = Some(Canonical::Status)),
        fault(|one| one.verification.token_required = true),
        fault(|one| one.parameters = vec![one.parameters[0].clone(); PARAMETERS_MAX + 1]),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    parameters: one of them is `click_id`: it names the click
    parameters[16].canonical: `click_id` stands twice among the parameters
    parameters[1].names: `campaign_id` has 1 to 20 names
    parameters[1].names[0]: `campaign_id` has a name that is blank, too long, or has control characters or backticks
    parameters[1].names[0]: `click_id` names both `click_id` and `campaign_id`
    parameters[1].names[1]: `campaign_id` has the name `a` twice
    parameters[1].names: `campaign_id` has 1 to 20 names
    parameters[1].max_length: 1 to 4096 bytes
    parameters[1].max_length: 1 to 4096 bytes
    parameters[1].unit: `campaign_id` is no money, so it has no unit but `decimal`
    statuses.absent: a status that may be absent needs a meaning: one of pending, approved, rejected, reversed
    statuses.ignore[1]: `Approved` has two meanings, and case makes no difference
    statuses.ignore[1]: ` x` is blank, or has blanks around it
    statuses.values.approved[1]: `HOLD` has two meanings, and case makes no difference
    goals.a: `a` stands twice, and case makes no difference
    verification.token: no parameter is `token`: add it to `parameters`
    verification.token: `signature` or `token`, not `status`
    verification.token_required: it needs verification.token or verification.signature
    parameters: at most 100
    ");
}

#[test]
fn a_contract_comes_back_from_the_ledger() {
    let mut full = plain();
    full.verification.networks = vec![Network::parse("2001:db8::/32").unwrap()];
    full.verification.timestamp_tolerance_s = Some(300);
    full.answers.profile = Profile::Acknowledge;
    full.answers.retry_after_s = Some(60);
    full.goals.insert("1".to_owned(), "lead".to_owned());
    full.parameters[1].placeholder = Some("{txn}".to_owned());
    full.parameters[1].allowed = vec!["a".to_owned()];
    full.parameters[5].unit = Unit::Minor;
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Contract>(&json).unwrap(), full, "{json}");
    let typo = json.replace("txn_id_folded", "txn_id_folds");
    assert!(serde_json::from_str::<Contract>(&typo).is_err());
}

#[test]
fn a_secret_is_compared_whole_and_never_shown() {
    let secret = Secret::new("s3cret".to_owned());
    assert!(secret.verifies("s3cret"));
    for other in ["", "s3cre", "s3cret ", "S3cret", "s3cretx"] {
        assert!(!secret.verifies(other), "{other:?}");
    }
    assert!(!Secret::new(String::new()).verifies(""));
    assert_eq!(format!("{secret:?} {secret}"), "*** ***");
}

#[test]
fn a_tolerance_needs_a_timestamp_that_nobody_can_leave_out() {
    for parameters in ["click_id!", "click_id! timestamp"] {
        let mut contract = contract(parameters);
        contract.verification.timestamp_tolerance_s = Some(300);
        assert!(contract.fault().unwrap().path.contains("timestamp"), "{parameters}");
    }
    let mut contract = contract("click_id! timestamp!");
    contract.verification.timestamp_tolerance_s = Some(300);
    assert_eq!(contract.fault(), None);
}

#[test]
fn words_that_stand_for_no_value_are_few_and_plain() {
    let fault = |words: &[&str]| {
        let mut contract = contract("click_id!");
        contract.unreplaced = words.iter().map(|word| (*word).to_owned()).collect();
        contract.fault()
    };
    assert_eq!(fault(&["xxc1xx", "ext id"]), None);
    for bad in ["", " ", " x", &"x".repeat(201)] {
        assert!(fault(&[bad]).unwrap().path.starts_with("unreplaced[0]"), "{bad:?}");
    }
    assert!(fault(&["x"; super::UNREPLACED_MAX + 1]).is_some());
}

#[test]
fn a_raw_goal_is_a_word() {
    for raw in ["", " ", "x "] {
        let mut contract = contract("click_id!");
        contract.goals.insert(raw.to_owned(), "lead".to_owned());
        assert!(contract.fault().unwrap().path.starts_with("goals"), "{raw:?}");
    }
}

#[test]
fn a_signature_needs_a_parameter_of_its_own() {
    let signed = |parameters: &str, fields: &str| {
        let mut contract = contract(parameters);
        let json = format!(
            r#"{{"algorithm":"hmac_sha1","input":{{"kind":"fields","fields":[{fields}]}}}}"#
        );
        contract.verification.signature = serde_json::from_str(&json).unwrap();
        contract
    };
    let fault = |contract: &Contract| {
        contract.fault().map_or_else(|| "none".to_owned(), |fault| fault.to_string())
    };
    let mut both = signed("click_id! signature=sig", r#""a""#);
    both.verification.token = Some(Canonical::Signature);
    let mut in_header = signed("click_id! signature=sig", r#""sig""#);
    in_header.parameters[1].in_header = true;
    let mut required = signed("click_id! signature=sig", r#""a""#);
    required.verification.token_required = true;
    let told = [
        fault(&signed("click_id!", r#""a""#)),
        fault(&signed("click_id! signature=sig,hash", r#""a","hash""#)),
        fault(&signed("click_id! signature=sig", "")),
        fault(&both),
        fault(&in_header),
        fault(&required),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    verification.signature: no parameter is `signature`: add it to `parameters`
    verification.signature.input.fields: `hash` is the signature itself
    verification.signature.input.fields: 1 to 30 fields
    verification.signature: the parameter `signature` carries the token already
    none
    none
    ");
}

#[test]
fn what_decides_stands_in_no_header_that_is_not_signed() {
    let fault = |parameters: &str, input: &str, change: fn(&mut Contract)| {
        let mut contract = contract(parameters);
        contract.parameters.iter_mut().skip(1).for_each(|one| one.in_header = true);
        let json = format!(r#"{{"algorithm":"hmac_sha256","input":{{"kind":{input}}}}}"#);
        contract.verification.signature = serde_json::from_str(&json).unwrap();
        change(&mut contract);
        contract.fault().map_or_else(|| "none".to_owned(), |fault| fault.to_string())
    };
    let webhook = r#""webhook","id":"w-id","timestamp":"w-at""#;
    let part: fn(&mut Contract) = |one| one.txn_id_parts = vec![Canonical::Param(1)];
    for kind in [r#""query""#, r#""sorted_query""#, r#""url""#, r#""body""#, webhook] {
        for name in ["txn_id", "revenue", "event3", "conversion_ref", "status", "timestamp"] {
            let told = fault(&format!("click_id! signature=sig {name}=x-y"), kind, |_| {});
            let wanted = "`x-y` decides, and stands in a header that is not signed";
            assert_eq!(told, format!("verification.signature.input: {wanted}"), "{kind} {name}");
        }
        let labels = "click_id! signature=sig token sub1 param1 geo";
        assert_eq!(fault(labels, kind, |_| {}), "none", "{kind}");
        assert_ne!(fault(labels, kind, part), "none", "{kind}");
    }
    let signed = "click_id! signature=sig txn_id=W-Id timestamp=w-at";
    assert_eq!(fault(signed, webhook, |_| {}), "none");
    assert_eq!(
        fault("click_id! signature=sig txn_id", r#""fields","fields":["a"]"#, |_| {}),
        "none"
    );
}

#[test]
fn a_contract_reads_the_headers_of_its_parameters_and_of_its_signature() {
    let mut contract = contract("click_id! signature=Webhook-Signature txn_id");
    contract.parameters[1].in_header = true;
    contract.verification.signature = serde_json::from_str(
        r#"{"algorithm":"hmac_sha256","input":{"kind":"webhook","id":"Webhook-Id","timestamp":"t"}}"#,
    )
    .unwrap();
    let names: Vec<String> = contract.header_names().collect();
    assert_eq!(names, ["webhook-signature", "webhook-id", "t"]);
}

#[test]
fn what_takes_back_is_agreed_in_words_that_make_sense() {
    let reversal = |prefix: &str, txn_id: Option<Canonical>| {
        fault(|one| {
            one.reversal = Some(Reversal { txn_id_prefix: prefix.to_owned(), txn_id });
        })
    };
    let ignore = |canonical: Canonical, values: &[&str]| {
        fault(|one| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            one.ignore_where.insert(canonical, values);
        })
    };
    let told = [
        reversal("r-", Some(Canonical::Param(1))),
        reversal("r-", None),
        reversal("", None),
        reversal(&"r".repeat(21), None),
        reversal(" r", None),
        reversal("", Some(Canonical::Param(2))),
        reversal("", Some(Canonical::Revenue)),
        reversal("", Some(Canonical::ClickId)),
        ignore(Canonical::Param(1), &["1", "true"]),
        ignore(Canonical::Param(2), &["1"]),
        ignore(Canonical::ClickId, &["1"]),
        ignore(Canonical::Param(1), &[]),
        ignore(Canonical::Param(1), &[" 1"]),
        ignore(Canonical::Param(1), &[""]),
        fault(|one| one.statuses.undone = vec!["Approved".to_owned()]),
        fault(|one| one.statuses.negative = Some(Status::Rejected)),
        fault(|one| one.statuses.negative = Some(Status::Approved)),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    none
    none
    reversal: it needs txn_id_prefix, or txn_id, or both
    reversal.txn_id_prefix: at most 20 bytes, and no blank before them
    reversal.txn_id_prefix: at most 20 bytes, and no blank before them
    reversal.txn_id: no parameter is `param2`: add it to `parameters`
    reversal.txn_id: `revenue` cannot be a transaction id
    reversal.txn_id: `click_id` cannot be a transaction id
    none
    ignore_where.param2: no parameter is `param2`: add it to `parameters`
    ignore_where.click_id: `click_id` proves or names the click
    ignore_where.param1: 1 to 50 words
    ignore_where.param1[0]: ` 1` is blank, too long, or has blanks around it
    ignore_where.param1[0]: `` is blank, too long, or has blanks around it
    statuses.undone[0]: `Approved` has two meanings, and case makes no difference
    none
    statuses.negative: `reversed` or `rejected`, not `approved`
    ");
}

#[test]
fn all_that_a_contract_can_say_comes_back() {
    let json = r#"{"currency":"USD","reversal":{"txn_id_prefix":"r-","txn_id":"param1"},"ignore_where":{"param1":["1"]}}"#;
    let read: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut whole = serde_json::to_value(plain()).unwrap();
    for (key, value) in read.as_object().unwrap() {
        whole[key] = value.clone();
    }
    whole["statuses"]["negative"] = "reversed".into();
    whole["statuses"]["undone"] = serde_json::json!(["chargeback"]);
    let contract: Contract = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(contract.fault(), None);
    assert_eq!(serde_json::to_value(contract).unwrap(), whole);
}

#[test]
fn the_body_of_answers_is_given_under_a_name_of_its_own() {
    let named = |name: &str| fault(|one| one.answers.return_name = Some(name.to_owned()));
    assert_eq!(named("ret"), "none");
    let wanted = "another name than `click_id`, which `click_id` is read from";
    assert_eq!(named("click_id"), format!("answers.return_name: {wanted}"));
}

#[test]
fn what_is_only_tried_is_asked_for() {
    let tried = |token: bool, shadow: &[ProofKind]| {
        fault(|one| {
            one.parameters.retain(|one| one.canonical != Canonical::Token);
            one.parameters.extend(contract("click_id! token").parameters.split_off(1));
            one.verification.token = token.then_some(Canonical::Token);
            one.verification.shadow = shadow.iter().copied().collect();
        })
    };
    let told = [
        tried(true, &[ProofKind::Token]),
        tried(true, &[ProofKind::Token, ProofKind::Signature]),
        tried(false, &[ProofKind::Networks]),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    none
    verification.shadow: `signature` is not asked for; what is: token
    verification.shadow: `networks` is not asked for, and nor is any other proof
    ");
    let all = serde_json::to_value(ProofKind::ALL).unwrap();
    assert_eq!(all, serde_json::json!(ProofKind::ALL.map(ProofKind::name)));
}

//! What must hold of reading: form alone, whatever the click and the campaign are.

use super::{Pairs, Postback, Problem, Reading, Said, Sender};
use crate::contract::{Canonical, Contract, Network, Parameter, Reversal, Unit};
use crate::conversion::Status;
use crate::hit::Hit;
use crate::ledger::tests::world::{contract, plain};
use crate::money::{Currency, Micros};
use crate::reason::{Flag, Reason};
use crate::secret::Secret;
use crate::time::Timestamp;
use proptest::prelude::*;

fn get(query: &str) -> Hit {
    let target = format!("/postback?{query}").into_bytes();
    Hit { method: "GET".to_owned(), target, ..Hit::default() }
}

fn read(contract: &Contract, hit: &Hit, sender: &Sender<'_>) -> Reading {
    super::read(contract, &Pairs::of(hit), sender)
}

fn verify(contract: &Contract, hit: &Hit, sender: &Sender<'_>) -> Result<bool, Problem> {
    let proof = super::verify(contract, contract, &Pairs::of(hit), sender, Timestamp::from_ms(0));
    proof.map(|proof| proof.is_verified)
}

fn reading(contract: &Contract, query: &str) -> Reading {
    read(contract, &get(query), &Sender::default())
}

fn said(contract: &Contract, query: &str) -> Postback {
    reading(contract, query).result.unwrap_or_else(|problem| panic!("{query}: {problem:?}"))
}

/// Reason and parameter.
fn refused(contract: &Contract, query: &str) -> (Reason, String) {
    let problem = reading(contract, query).result.expect_err(query);
    assert!(!problem.detail.is_empty());
    (problem.reason, problem.parameter.unwrap_or_default())
}

fn set(contract: &mut Contract, canonical: Canonical, change: impl FnOnce(&mut Parameter)) {
    change(contract.parameters.iter_mut().find(|one| one.canonical == canonical).unwrap());
}

#[test]
fn what_was_said_is_read_under_the_contracts_names() {
    let contract = contract(
        "click_id!=cid campaign_id txn_id=txid status goal=ev revenue=payout sale_amount payout=share \
         currency sub1 param2 event3 conversion_ref=conversion_id",
    );
    let postback = said(
        &contract,
        "cid=abc&campaign_id=7&txid=T%201&status=HOLD&ev=Lead&payout=2.5&sale_amount=10&share=1\
         &currency=eur&sub1=us&param2=Hat+size&event3=-1.5&conversion_id=c9",
    );
    assert_eq!(postback.click_id, "abc");
    assert_eq!(postback.campaign_id.as_deref(), Some("7"));
    assert_eq!(postback.txn_id.as_deref(), Some("T 1"));
    assert_eq!(postback.status, Said::Status(Status::Pending));
    assert_eq!(postback.raw_status.as_deref(), Some("HOLD"));
    assert_eq!(postback.goal.as_deref(), Some("Lead"));
    let amounts = [postback.revenue, postback.sale_amount, postback.payout];
    let amounts = amounts.map(|one| one.unwrap().micros);
    assert_eq!(amounts, [Micros(2_500_000), Micros(10_000_000), Micros(1_000_000)]);
    assert_eq!(postback.currency, Some(Ok(Currency::EUR)));
    assert_eq!(postback.conversion_ref(), Some("c9"));
    assert_eq!(postback.label(Canonical::Param(2)), Some("Hat size"));
    assert_eq!(postback.label(Canonical::Event(3)), Some("-1.5"));
    assert!(!postback.is_event_only);
    assert_eq!(postback.flags.names(), ["unverified"]);
}

#[test]
fn names_are_compared_with_case_and_values_are_trimmed() {
    let contract = plain();
    let reading = reading(&contract, "click_id=%20a%09&Txn_ID=1&txn_id=%20%20");
    assert_eq!(reading.unread, ["Txn_ID"]);
    let postback = reading.result.unwrap();
    assert_eq!((&*postback.click_id, postback.txn_id), ("a", None));
}

#[test]
fn a_reading_lists_what_was_read_and_what_was_not_but_no_secret() {
    let contract = contract("click_id! txn_id=txid token signature");
    let reading = reading(&contract, "txid=1&x=1&click_id=a&token=t&signature=s&y&x=2");
    let read: Vec<_> = reading.values.iter().map(|one| (&*one.name, &*one.text)).collect();
    assert_eq!(read, [("click_id", "a"), ("txid", "1")]);
    assert_eq!(reading.unread, ["x", "y", "x"]);
    assert!(!format!("{reading:?}").contains("\"t\""));
}

#[test]
fn a_missing_name_comes_with_the_nearest_that_was_sent() {
    let contract = contract("click_id!=cid,click_id txn_id!=txn_id");
    let cases = [
        ("cid=a&txnid=1", "txn_id", Some("txnid")),
        ("cid=a&TXN_ID=1", "txn_id", Some("TXN_ID")),
        ("cid=a&order=1", "txn_id", None),
        ("cid=a&txn_id=", "txn_id", None),
        ("cid=a&txn_id=%20&txn-id=1", "txn_id", Some("txn-id")),
        ("txn_id=1&ccid=a", "cid", Some("ccid")),
        ("", "cid", None),
        ("txn_id=1&clickid=a&tid=2", "cid", Some("clickid")),
    ];
    for (query, parameter, nearest) in cases {
        let problem = reading(&contract, query).result.unwrap_err();
        assert_eq!(problem.reason, Reason::MissingParameter, "{query}");
        assert_eq!(problem.parameter.as_deref(), Some(parameter), "{query}");
        assert_eq!(problem.nearest.as_deref(), nearest, "{query}");
    }
}

#[test]
fn our_own_word_for_what_is_missing_is_near() {
    let contract = contract("click_id!=cid");
    let problem = reading(&contract, "tid=1&click_id=a").result.unwrap_err();
    assert_eq!(problem.nearest.as_deref(), Some("click_id"));
}

#[test]
fn the_first_that_is_missing_is_the_contracts_first() {
    let contract = contract("click_id! status! txn_id! revenue!");
    let parameter = |query| refused(&contract, query);
    assert_eq!(parameter("click_id=a"), (Reason::MissingParameter, "status".to_owned()));
    assert_eq!(parameter("click_id=a&status=hold").1, "txn_id");
    assert_eq!(parameter("click_id=a&status=hold&txn_id=1").1, "revenue");
}

#[test]
fn a_macro_is_named_as_it_was_sent() {
    let contract = contract("click_id!=cid,clickid txn_id revenue");
    let macros = [
        ("clickid={click_id}", "clickid"),
        ("clickid=%7Bclick_id%7D", "clickid"),
        ("cid=a&txn_id=%%txn%%", "txn_id"),
        ("cid=a&revenue=__PAYOUT__", "revenue"),
        ("cid=a&cid={cid}", "cid"),
        ("cid=a&txn_id=YOUR_TRANSACTION_ID", "txn_id"),
    ];
    for (query, name) in macros {
        assert_eq!(
            refused(&contract, query),
            (Reason::MacroNotReplaced, name.to_owned()),
            "{query}"
        );
    }
    let postback = said(&contract, "cid=a&txn_id=pre-{txn}");
    assert_eq!(postback.txn_id.as_deref(), Some("pre-{txn}"), "only a whole value is one");
}

#[test]
fn the_worst_problem_is_told_wherever_it_stands() {
    let contract = plain();
    let told = refused(&contract, "click_id=a&txn_id=%FF&revenue=x&goal={goal}");
    assert_eq!(told, (Reason::MacroNotReplaced, "goal".to_owned()));
    let told = refused(&contract, "revenue=x&txn_id=%FF");
    assert_eq!(told, (Reason::InvalidPayload, "txn_id".to_owned()), "before what is missing");
}

#[test]
fn values_that_the_contract_does_not_allow_are_refused() {
    let mut contract = plain();
    set(&mut contract, Canonical::Goal, |one| one.allowed = vec!["Lead".into(), "sale".into()]);
    set(&mut contract, Canonical::Sub(1), |one| one.allowed = vec!["us".into()]);
    set(&mut contract, Canonical::Sub(2), |one| one.max_length = Some(2));
    set(&mut contract, Canonical::TxnId, |one| one.max_length = Some(2));
    assert_eq!(said(&contract, "click_id=a&goal=LEAD").goal.as_deref(), Some("LEAD"));
    let told = refused(&contract, "click_id=a&goal=deposit");
    assert_eq!(told, (Reason::InvalidPayload, "goal".to_owned()));
    let told = refused(&contract, "click_id=a&txn_id=123");
    assert_eq!(told, (Reason::InvalidPayload, "txn_id".to_owned()));
    // Two letters of two bytes each.
    assert_eq!(refused(&contract, "click_id=a&txn_id=%C3%A4%C3%B6").1, "txn_id");
    let postback = said(&contract, "click_id=a&sub1=ca&sub2=abc");
    assert!(postback.labels.is_empty() && postback.flags.has(Flag::LabelDropped));
}

#[test]
fn a_negative_amount_belongs_to_a_reversal() {
    let mut contract = plain();
    contract.statuses.values.get_mut(&Status::Reversed).unwrap().push("chargeback".to_owned());
    let postback = said(&contract, "click_id=a&status=ChargeBack&revenue=-2.50&payout=-1");
    assert_eq!(postback.revenue.unwrap().micros, Micros(2_500_000));
    assert_eq!(postback.payout.unwrap().micros, Micros(1_000_000));
    for status in ["pending", "approved", "rejected", "zzz", "ping", ""] {
        let told = refused(&contract, &format!("click_id=a&status={status}&sale_amount=-1"));
        assert_eq!(told, (Reason::InvalidPayload, "sale_amount".to_owned()), "{status}");
    }
}

#[test]
fn minor_units_are_whole() {
    let mut contract = plain();
    set(&mut contract, Canonical::Revenue, |one| one.unit = Unit::Minor);
    let of = |query: &str, currency: &str| {
        let revenue = said(&contract, query).revenue.unwrap();
        revenue.of(currency.parse().unwrap()).to_string()
    };
    assert_eq!(of("click_id=a&revenue=235", "USD"), "2.35");
    assert_eq!(of("click_id=a&revenue=235", "JPY"), "235");
    assert_eq!(of("click_id=a&revenue=235", "KWD"), "0.235");
    for amount in ["2.35", "2.", ".5", "2.0"] {
        let told = refused(&contract, &format!("click_id=a&revenue={amount}"));
        assert_eq!(told, (Reason::InvalidPayload, "revenue".to_owned()), "{amount}");
    }
}

#[test]
fn a_currency_is_read_in_any_case_and_kept_where_it_is_none() {
    let contract = plain();
    let currency = |text: &str| said(&contract, &format!("click_id=a&currency={text}")).currency;
    assert_eq!(currency("usd"), Some(Ok(Currency::USD)));
    assert_eq!(currency("dollars"), Some(Err("dollars".to_owned())));
    assert_eq!(currency(""), None);
}

#[test]
fn a_body_says_what_a_query_says() {
    let contract = plain();
    let post = |query: &str, content_type: &str, body: &str| {
        let content_type = Some(content_type.to_owned());
        let hit = Hit { content_type, body: body.as_bytes().to_vec(), ..get(query) };
        read(&contract, &hit, &Sender::default()).result
    };
    let json = r#"{"click_id":"a","revenue":2.50,"txn_id":1234567890123456789012,"goal":null}"#;
    let postback = post("", "application/json", json).unwrap();
    assert_eq!(postback.revenue.unwrap().micros, Micros(2_500_000));
    assert_eq!(postback.txn_id.as_deref(), Some("1234567890123456789012"), "every digit");
    assert_eq!(postback.goal, None);
    let form = post("click_id=a", "application/x-www-form-urlencoded", "txn_id=1&revenue=2");
    assert_eq!(form.unwrap().txn_id.as_deref(), Some("1"));
    let conflict = post("click_id=a", "application/json", r#"{"click_id":"b"}"#).unwrap_err();
    assert_eq!(
        (conflict.reason, conflict.parameter.as_deref()),
        (Reason::InvalidPayload, Some("click_id"))
    );
    let nested = post("click_id=a", "application/json", r#"{"txn_id":[1]}"#).unwrap_err();
    assert_eq!(nested.parameter.as_deref(), Some("txn_id"));
    let broken = post("click_id=a", "application/json", "{").unwrap_err();
    assert_eq!((broken.reason, broken.parameter), (Reason::InvalidPayload, None));
    let other = post("click_id=a", "image/png", "\u{0}\u{1}").unwrap();
    assert_eq!(other.click_id, "a", "what is no list of values says nothing");
}

#[test]
fn a_token_proves_the_sender_and_a_wrong_one_speaks_against_it() {
    let mut contract = contract("click_id! token=secret,token");
    contract.verification.token = Some(Canonical::Token);
    let secret = Secret::new("s3cret".to_owned());
    let sender = Sender { tokens: vec![&secret], ..Sender::default() };
    let flags = |query: &str| read(&contract, &get(query), &sender).result.map(|one| one.flags);
    assert!(!flags("click_id=a&token=s3cret").unwrap().has(Flag::Unverified));
    assert!(!flags("click_id=a&secret=%20s3cret").unwrap().has(Flag::Unverified));
    for (query, name, nearest) in [
        ("click_id=a", "secret", None),
        ("click_id=a&scret=s", "secret", Some("scret")),
        ("click_id=a&Token=s", "secret", Some("Token")),
        ("click_id=a&token=", "token", None),
        ("click_id=a&token=S3CRET", "token", None),
        ("token=x", "token", None),
    ] {
        let problem = flags(query).unwrap_err();
        assert_eq!(problem.reason, Reason::SignatureMismatch, "{query}");
        assert_eq!(problem.parameter.as_deref(), Some(name), "as sent, else as we ask for it");
        assert_eq!(problem.nearest.as_deref(), nearest, "{query}");
        assert!(!problem.detail.contains("s3cret"));
    }
    assert_eq!(flags("token=s3cret").unwrap_err().reason, Reason::MissingParameter);
    let beside = |query: &str| verify(&contract, &get(query), &sender);
    assert_eq!(beside("token=s3cret"), Ok(true), "the proof alone is looked at");
    assert_eq!(beside("token=x").unwrap_err().reason, Reason::SignatureMismatch);
    assert_eq!(beside("token=s3cret&secret=x").unwrap_err().reason, Reason::InvalidPayload);
    contract.verification.networks = vec![Network::parse("203.0.113.0/24").unwrap()];
    assert_eq!(
        verify(&contract, &get("token=s3cret"), &sender).unwrap_err().reason,
        Reason::SourceNotAllowed
    );
}

#[test]
fn a_signature_can_carry_the_token() {
    let mut contract = contract("click_id! signature!");
    contract.verification.token = Some(Canonical::Signature);
    contract.verification.token_required = true;
    let refused =
        |sender: &Sender<'_>, query: &str| read(&contract, &get(query), sender).result.map(|_| ());
    let told = refused(&Sender::default(), "click_id=a&signature=x").unwrap_err();
    assert_eq!(told.reason, Reason::SignatureMismatch, "nothing is agreed yet");
    let secret = Secret::new("s".to_owned());
    let sender = Sender { tokens: vec![&secret], ..Sender::default() };
    assert_eq!(refused(&sender, "click_id=a").unwrap_err().reason, Reason::SignatureMismatch);
    assert_eq!(refused(&sender, "click_id=a&signature=s"), Ok(()));
}

#[test]
fn a_hit_with_too_many_parameters_is_refused_as_a_whole() {
    let query = vec!["click_id=a"; super::PAIRS_MAX + 1].join("&");
    let reading = reading(&plain(), &query);
    let problem = reading.result.unwrap_err();
    assert_eq!((problem.reason, problem.parameter), (Reason::InvalidPayload, None));
    assert_eq!(reading.values.len(), 1, "which click it is about is known all the same");
}

proptest! {
    /// What a sender encodes properly is read as it was.
    #[test]
    fn an_encoded_value_reads_back(text in "[^\\p{C}\\s{}\\[\\]()<>#%_~$-]{1,40}") {
        prop_assume!(!crate::macros::is_unreplaced(&text, &[]));
        let encoded = percent_encoding::percent_encode(
            text.as_bytes(), percent_encoding::NON_ALPHANUMERIC,
        );
        let postback = said(&plain(), &format!("click_id=a&txn_id={encoded}"));
        prop_assert_eq!(postback.txn_id, Some(text.clone()));
        let json = serde_json::json!({"click_id": "a", "txn_id": text}).to_string();
        let hit = Hit { body: json.into_bytes(), ..get("") };
        let postback = read(&plain(), &hit, &Sender::default()).result.unwrap();
        prop_assert_eq!(postback.txn_id, Some(text));
    }

    /// The order in which things are sent says nothing.
    #[test]
    fn the_order_of_the_parameters_makes_no_difference(
        mut parts in Just(vec!["click_id=a", "txn_id=1", "revenue=2", "goal=g", "sub1=x", "y=1"])
            .prop_shuffle(),
        drop in 0..6_usize,
    ) {
        parts.remove(drop);
        let shuffled = reading(&plain(), &parts.join("&")).result;
        parts.sort_unstable();
        prop_assert_eq!(shuffled, reading(&plain(), &parts.join("&")).result);
    }
}

#[test]
fn a_transaction_can_be_made_of_several_values() {
    let mut contract = contract("click_id! txn_id goal=ev,goal param1 geo status");
    contract.txn_id_parts = vec![Canonical::Param(1), Canonical::TxnId, Canonical::Goal];
    contract.goals.insert("1".to_owned(), "Lead".to_owned());
    assert_eq!(contract.fault(), None);
    let txn_id = |query: &str| said(&contract, &format!("click_id=a{query}")).txn_id;
    let made = [
        ("", None),
        ("&geo=DE", None),
        ("&param1=N7&txn_id=Ab&ev=1", Some("N7_Ab_lead")),
        ("&param1=N7&txn_id=Ab&ev=LEAD", Some("N7_Ab_lead")),
        ("&param1=N7", Some("N7__")),
        ("&txn_id=N7", Some("_N7_")),
        ("&goal=N7", Some("__n7")),
        ("&txn_id=%20&param1=N7", Some("N7__")),
    ];
    for (query, wanted) in made {
        assert_eq!(txn_id(query).as_deref(), wanted, "{query}");
    }
    let long = format!("click_id=a&txn_id={0}&param1={0}", "x".repeat(128));
    assert_eq!(refused(&contract, &long), (Reason::InvalidPayload, String::new()));
    set(&mut contract, Canonical::TxnId, |one| one.max_length = Some(258));
    assert_eq!(said(&contract, &long).txn_id.map(|txn_id| txn_id.len()), Some(258));
}

#[test]
fn no_two_transactions_of_several_values_are_one() {
    let mut contract = contract("click_id! txn_id param1");
    contract.txn_id_parts = vec![Canonical::TxnId, Canonical::Param(1)];
    let txn_id = |contract: &Contract, txn_id: &str, param: &str| {
        said(contract, &format!("click_id=a&txn_id={txn_id}&param1={param}")).txn_id.unwrap()
    };
    let made = [
        ("1", "2_3", "1_2~_3"),
        ("1_2", "3", "1~_2_3"),
        ("1~", "2", "1~~_2"),
        ("1", "~2", "1_~~2"),
        ("1~_2", "", "1~~~_2_"),
        ("1_", "2", "1~__2"),
        ("1", "_2", "1_~_2"),
    ];
    for (one, other, wanted) in made {
        assert_eq!(txn_id(&contract, one, other), wanted, "{one} and {other}");
    }
    contract.txn_id_parts.pop();
    assert_eq!(txn_id(&contract, "1_~2", "x"), "1_~2", "one part runs into no other");
}

#[test]
fn a_label_that_identifies_is_never_dropped() {
    let plain = contract("click_id! txn_id status param1 param2 param3");
    let mut part = plain.clone();
    part.txn_id_parts = vec![Canonical::TxnId, Canonical::Param(1)];
    let mut ignoring = plain.clone();
    ignoring.ignore_where.insert(Canonical::Param(1), vec!["test".to_owned()]);
    let mut reversing = plain.clone();
    reversing.reversal =
        Some(Reversal { txn_id: Some(Canonical::Param(1)), ..Reversal::default() });
    let long = "x".repeat(501);
    for contract in [&part, &ignoring, &reversing] {
        assert_eq!(contract.fault(), None);
        let told = refused(contract, &format!("click_id=a&txn_id=1&param1={long}"));
        assert_eq!(told, (Reason::InvalidPayload, "param1".to_owned()));
        let told = refused(contract, "click_id=a&txn_id=1&param1={order}");
        assert_eq!(told, (Reason::MacroNotReplaced, "param1".to_owned()));
        let postback = said(contract, &format!("click_id=a&txn_id=1&param2={long}&param3={{x}}"));
        assert!(postback.flags.has(Flag::LabelDropped), "what only describes is");
    }
    assert!(said(&plain, &format!("click_id=a&param1={long}")).flags.has(Flag::LabelDropped));
}

#[test]
fn a_reversal_can_have_an_id_of_its_own() {
    let mut contract = contract("click_id! txn_id status param1 revenue");
    contract.statuses.undone = vec!["undone".to_owned()];
    contract.reversal =
        Some(Reversal { txn_id_prefix: "r-".to_owned(), txn_id: Some(Canonical::Param(1)) });
    assert_eq!(contract.fault(), None);
    let txn_id = |query: &str| said(&contract, &format!("click_id=a&{query}")).txn_id;
    let original = [
        ("txn_id=r-7&status=reversed", Some("7")),
        ("txn_id=r-7&status=undone", Some("7")),
        ("txn_id=9&param1=7&status=reversed", Some("7")),
        ("txn_id=9&param1=r-7&status=reversed", Some("7")),
        ("txn_id=7&status=reversed", Some("7")),
        ("txn_id=R-7&status=reversed", Some("R-7")),
        ("txn_id=r-&status=reversed", Some("r-")),
        ("param1=7&status=reversed", Some("7")),
        ("status=reversed", None),
        ("txn_id=r-7&param1=8&status=approved", Some("r-7")),
        ("txn_id=r-7&status=rejected", Some("r-7")),
    ];
    for (query, wanted) in original {
        assert_eq!(txn_id(query).as_deref(), wanted, "{query}");
    }
    contract.txn_id_parts = vec![Canonical::TxnId, Canonical::Param(1)];
    let made = said(&contract, "click_id=a&txn_id=9&param1=r-7&status=reversed").txn_id;
    assert_eq!(made.as_deref(), Some("7_r-7"));
}

#[test]
fn a_minus_can_say_what_becomes_of_it() {
    let mut contract = contract("click_id! txn_id status revenue payout sale_amount");
    contract.statuses.negative = Some(Status::Reversed);
    contract.statuses.undone = vec!["undone".to_owned()];
    let status = |query: &str| said(&contract, &format!("click_id=a&{query}")).status;
    let meant = [
        ("revenue=-2.50", Said::Status(Status::Reversed)),
        ("payout=-2.50&status=approved", Said::Status(Status::Reversed)),
        ("sale_amount=-1&status=zzz", Said::Status(Status::Reversed)),
        ("revenue=2.50&payout=-1&status=undone", Said::Status(Status::Reversed)),
        ("revenue=-2.50&status=ping", Said::Ignore(Canonical::Status)),
        ("revenue=-0.00", Said::Status(Status::Approved)),
        ("revenue=2.50", Said::Status(Status::Approved)),
        ("revenue=2.50&status=undone", Said::Undone),
        ("revenue=2.50&status=zzz", Said::Unknown),
    ];
    for (query, wanted) in meant {
        assert_eq!(status(query), wanted, "{query}");
    }
    let revenue = said(&contract, "click_id=a&revenue=-2.50").revenue;
    assert_eq!(revenue.unwrap().micros, Micros(2_500_000));
    contract.statuses.negative = None;
    assert_eq!(said(&contract, "click_id=a&revenue=-1&status=undone").status, Said::Undone);
    let told = refused(&contract, "click_id=a&revenue=-1&payout=-2");
    assert_eq!(told, (Reason::InvalidPayload, "revenue".to_owned()));
}

#[test]
fn other_values_can_say_that_nothing_is_asked_for() {
    let mut contract = contract("click_id! txn_id status param9=debug geo");
    contract.ignore_where = [
        (Canonical::Param(9), vec!["1".to_owned(), "True".to_owned()]),
        (Canonical::Geo, vec!["XX".to_owned()]),
    ]
    .into();
    assert_eq!(contract.fault(), None);
    let status = |query: &str| said(&contract, &format!("click_id=a&{query}")).status;
    for query in ["debug=1", "debug=TRUE&status=approved", "debug=%201", "debug=true&status=zzz"] {
        assert_eq!(status(query), Said::Ignore(Canonical::Param(9)), "{query}");
    }
    assert_eq!(status("geo=xx"), Said::Ignore(Canonical::Geo));
    for query in ["debug=0", "debug=", "debug=11", "geo=DE", ""] {
        assert_eq!(status(query), Said::Status(Status::Approved), "{query}");
    }
}

#[test]
fn a_currency_that_is_not_sent_can_be_agreed_on() {
    let mut contract = plain();
    contract.currency = Some(Currency::EUR);
    let currency = |query: &str| said(&contract, &format!("click_id=a{query}")).currency;
    assert_eq!(
        [currency(""), currency("&currency=")],
        [Some(Ok(Currency::EUR)), Some(Ok(Currency::EUR))]
    );
    assert_eq!(currency("&currency=usd"), Some(Ok(Currency::USD)));
    assert_eq!(currency("&currency=x"), Some(Err("x".to_owned())));
}

#[test]
fn what_was_sent_blank_is_blamed_under_the_name_it_was_sent_as() {
    let contract = contract("click_id!=cid,subid txn_id!=txid,order");
    let blamed = |query: &str| refused(&contract, query).1;
    assert_eq!(blamed("txid=1"), "cid");
    assert_eq!(blamed("txid=1&subid="), "subid");
    assert_eq!(blamed("subid=a&order=%20"), "order");
}

#[test]
fn what_stands_inside_of_a_body_is_read_under_a_name_with_dots() {
    let nested = contract("click_id!=data.click.id status=data.status revenue=data.sale.amount");
    let read_by = |contract: &Contract, body: &str| {
        let hit = Hit {
            method: "POST".to_owned(),
            target: b"/postback/k".to_vec(),
            content_type: Some("application/json".to_owned()),
            body: body.as_bytes().to_vec(),
            ..Hit::default()
        };
        read(contract, &hit, &Sender::default())
    };
    let body =
        r#"{"type":"sale.created","data":{"click":{"id":"c1"},"sale":{"amount":2.5},"x":1}}"#;
    let reading = read_by(&nested, body);
    assert_eq!(reading.unread, ["type", "data.x"]);
    let postback = reading.result.unwrap();
    assert_eq!(postback.click_id, "c1");
    assert_eq!(postback.revenue.unwrap().micros, Micros::parse("2.5").unwrap().amount);
    let conflict = r#"{"data":{"click":{"id":"c1"}},"data.click.id":"c2"}"#;
    let problem = read_by(&nested, conflict).result.unwrap_err();
    assert_eq!(problem.reason, Reason::InvalidPayload);
    assert_eq!(problem.parameter.as_deref(), Some("data.click.id"));
    let missing = read_by(&nested, r#"{"data":{"clck":{"id":"c1"}}}"#).result.unwrap_err();
    assert_eq!(missing.nearest.as_deref(), Some("data.clck.id"));
    let flat = contract("click_id!");
    let deeper = read_by(&flat, r#"{"data":{"id":"x","clickid":"c1"}}"#).result.unwrap_err();
    assert_eq!(deeper.nearest.as_deref(), Some("data.clickid"));
    // What is beyond the limit might be what decides: it matters to whoever reads such names.
    let flood = format!(
        r#"{{"click_id":"c1","data":{{"click":{{"id":"c1"}},"x":[{}]}}}}"#,
        vec!["1"; 2_000].join(",")
    );
    let problem = read_by(&nested, &flood).result.unwrap_err();
    assert!(problem.detail.contains("more values than"), "{}", problem.detail);
    assert_eq!(read_by(&contract("click_id!"), &flood).result.unwrap().click_id, "c1");
}

#[test]
fn of_names_that_stand_deeper_the_nearest_is_told() {
    let contract = contract("click_id! txn_id!");
    let nearest = |body: &str| {
        let hit = Hit {
            method: "POST".to_owned(),
            target: b"/postback/k?click_id=a".to_vec(),
            content_type: Some("application/json".to_owned()),
            body: body.as_bytes().to_vec(),
            ..Hit::default()
        };
        read(&contract, &hit, &Sender::default()).result.unwrap_err().nearest
    };
    assert_eq!(nearest(r#"{"o":{"txn_ix":"7","txn_id":"8"}}"#).as_deref(), Some("o.txn_id"));
    assert_eq!(nearest(r#"{"o":{"txn_ix":"7"},"txnid_":"8"}"#).as_deref(), Some("txnid_"));
}

/// What is not looked at costs nothing.
#[test]
fn of_very_many_names_the_first_are_looked_at() {
    let mut contract = contract("click_id! txn_id! token");
    contract.verification.token = Some(Canonical::Token);
    let secret = Secret::new("s3cret".to_owned());
    let nearest = |before: usize| {
        let far: Vec<String> = (0..before).map(|n| format!("\"far{n}\":1")).collect();
        let body = format!("{{\"o\":{{{},\"txnid\":1}}}}", far.join(","));
        let hit = Hit {
            method: "POST".to_owned(),
            target: b"/postback/k?click_id=a".to_vec(),
            content_type: Some("application/json".to_owned()),
            body: body.into_bytes(),
            ..Hit::default()
        };
        read(&contract, &hit, &Sender::default()).result.unwrap_err().nearest
    };
    assert_eq!(nearest(90).as_deref(), Some("o.txnid"));
    assert_eq!(nearest(110), None);
    // As it is of a proof that is missing.
    let proof = |before: usize| {
        let far: Vec<String> = (0..before).map(|n| format!("far{n}=1")).collect();
        let query = format!("click_id=a&txn_id=1&{}&tokn=1", far.join("&"));
        let sender = Sender { tokens: vec![&secret], ..Sender::default() };
        verify(&contract, &get(&query), &sender).unwrap_err().nearest
    };
    assert_eq!(proof(90).as_deref(), Some("tokn"));
    assert_eq!(proof(110), None);
}

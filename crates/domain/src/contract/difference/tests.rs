//! What differs is told in words, and none of it is left out.

use super::*;
use crate::contract::{
    Identity, Network, Profile, ProofKind, RepeatedAmount, RepeatedEvents, Reply, Reversal,
    Transition, TxnIdAbsent,
};
use crate::ledger::tests::world::{contract, plain};
use serde_json::Value;

fn told(before: &Contract, after: &Contract) -> String {
    let line = |one: &Difference| {
        format!("{}{}: {}", if one.touches_money { "$ " } else { "" }, one.path, one.sentence)
    };
    difference(before, after).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_the_same_has_no_difference() {
    assert_eq!(difference(&plain(), &plain()), []);
}

#[test]
fn parameters_are_told_of_in_words() {
    let before = contract("click_id! txn_id payout sale_amount=sale,total sub1 status");
    let mut after = contract("click_id!=cid txn_id! payout=payout,sum currency sub1! status");
    after.parameters[2].unit = Unit::Minor;
    after.parameters[3].allowed = vec!["USD".to_owned(), "EUR".to_owned()];
    after.parameters[1].max_length = Some(100);
    after.parameters[0].in_url = true;
    after.parameters[0].placeholder = Some("{c}".to_owned());
    after.parameters[4].in_header = true;
    after.parameters[5].appended = true;
    after.parameters.swap(4, 5);
    insta::assert_snapshot!(told(&before, &after), @r#"
    parameters.click_id.names: `click_id` is read from `cid` instead of `click_id`
    parameters.click_id.in_url: `click_id` now stands in the postback URL that we hand out
    parameters.click_id.macro: `click_id` is asked for by `{c}` instead of `REPLACE_WITH_THEIR_CLICK_ID_MACRO`
    $ parameters.txn_id.required: `txn_id` is now required
    $ parameters.txn_id.max_length: `txn_id` may have 100 bytes; it was 255
    $ parameters.payout.names: `payout` is read from `sum` too
    $ parameters.payout.unit: `payout` is counted in minor units (`235` is 2.35); it was units, with a point before the decimals (`2.35`)
    $ parameters.currency: `currency` is read now, from `currency`
    parameters.status.appended: `status` is now added by its sender of its own accord
    parameters.sub1.in_header: `sub1` is now read from a header
    $ parameters.sub1.required: `sub1` is now required
    $ parameters.sale_amount: `sale_amount` is not read any more; it was read from `sale` or `total`
    parameters: the order of the parameters is now `click_id`, `txn_id`, `payout`, `status` and `sub1`
    "#);
}

#[test]
fn what_makes_a_conversion_or_none_touches_money() {
    let rows = [
        ("click_id!", "click_id! event1", true),
        ("click_id! event1=a", "click_id! event1=b", true),
        ("click_id! conversion_ref", "click_id!", true),
        ("click_id!", "click_id! sub1", false),
        ("click_id!", "click_id! sub1!", true),
        ("click_id! sub1!", "click_id!", true),
        ("click_id! sub1!", "click_id! sub1", true),
        ("click_id! geo", "click_id! geo!", true),
    ];
    for (before, after, touches) in rows {
        let all = difference(&contract(before), &contract(after));
        let found = all.iter().any(Difference::is_money);
        assert_eq!(found, touches, "{before} -> {after}");
    }
}

#[test]
fn names_are_told_of_by_what_became_of_them() {
    let told = |before: &str, after: &str| {
        let line = |one: &Difference| format!("{} ${}", one.sentence, one.touches_money);
        let all = difference(&contract(before), &contract(after));
        all.iter().map(line).collect::<Vec<_>>().join("; ")
    };
    let rows = [
        told("click_id! payout=a", "click_id! payout=a,b"),
        told("click_id! payout=a,b", "click_id! payout=a"),
        told("click_id! payout=a", "click_id! payout=b"),
        told("click_id! payout=a,b", "click_id! payout=b,a"),
        told("click_id! sub1=a", "click_id! sub1=b"),
    ];
    insta::assert_snapshot!(rows.join("\n"), @r#"
    `payout` is read from `b` too $true
    `payout` is not read from `b` any more $true
    `payout` is read from `b` instead of `a` $true
    `payout` is asked for as `b` first $false
    `sub1` is read from `b` instead of `a` $false
    "#);
}

#[test]
fn rules_are_told_of_in_words() {
    let before = plain();
    let mut after = plain();
    let values = &mut after.statuses.values;
    values.get_mut(&Status::Pending).unwrap()[1] = "wait".to_owned();
    values.get_mut(&Status::Rejected).unwrap().push("ping".to_owned());
    after.statuses.ignore = vec!["test".to_owned()];
    after.statuses.absent = None;
    after.goals.insert("1".to_owned(), "lead".to_owned());
    after.identity = Identity::Click;
    after.txn_id_absent = TxnIdAbsent::Payload;
    after.payout_may_be_revenue = true;
    after.txn_id_folded = true;
    after.repeats.amount = RepeatedAmount::Add;
    after.repeats.events = RepeatedEvents::Add;
    after.repeats.mark = true;
    after.repeats.status = false;
    let pending = Status::Pending;
    after.repeats.transitions.insert(Transition { from: pending, to: Status::Approved });
    after.unreplaced = vec!["xx".to_owned()];
    after.times.zone = "Europe/Berlin".to_owned();
    after.verification.token = Some(Canonical::Token);
    after.verification.token_required = true;
    after.verification.timestamp_tolerance_s = Some(300);
    after.verification.shadow = [ProofKind::Signature, ProofKind::Timestamp].into();
    let signed = r#"{"algorithm":"sha256","input":{"kind":"fields","fields":["click_id","{secret}"],"separator":"."}}"#;
    after.verification.signature = serde_json::from_str(signed).unwrap();
    after.verification.networks = vec![Network::parse("192.0.2.0/24").unwrap()];
    insta::assert_snapshot!(told(&before, &after), @r"
    $ statuses.values.hold: `hold` is unknown now; it meant pending
    $ statuses.values.ping: `ping` now means rejected; it meant nothing, as a ping
    $ statuses.values.test: `test` now means nothing, as a ping; it was unknown
    $ statuses.values.wait: `wait` now means pending; it was unknown
    $ statuses.absent: an absent status is refused; it was taken for approved
    $ statuses.blank: a blank status is refused; it was taken for approved
    $ goals.1: `1` now names the goal `lead`
    $ identity: two postbacks are one conversion by the same click; it was the same click, goal and transaction id
    $ txn_id_folded: transaction ids are now compared without case
    $ txn_id_absent: postbacks without a transaction id are one conversion for each different postback; they were one conversion for each click and goal
    $ payout_may_be_revenue: a `payout` without a `revenue` is now taken for our revenue
    unreplaced: `xx` now stands for no value
    $ repeats.status: a second postback may no longer change the status
    $ repeats.amount: of two amounts for one conversion their sum counts; it was the first one
    repeats.events: of two numbers for one event their sum counts; it was the last one
    repeats.mark: a further conversion of one click and goal is now marked as repeated
    $ repeats.transitions: the changes of status that postbacks may ask for are pending > approved; they were all that there are
    verification.token: the shared token is carried by `token`; it was not asked for
    verification.token_required: whatever comes without the agreed proof is now refused
    verification.signature: the signature is SHA-256 over the values of `click_id` and `{secret}`, joined by `.`; as they are before they are percent-encoded; written in hexadecimal. It was not asked for
    verification.networks: postbacks may come from `192.0.2.0/24`; it was anywhere
    verification.timestamp_tolerance_s: the sender's time is at most 300 seconds from ours; it was not looked at
    verification.shadow.signature: what fails by the signature is not refused yet, and counted
    verification.shadow.timestamp: what fails by the sender's time is not refused yet, and counted
    times.zone: a time that names no zone is of `Europe/Berlin`; it was `UTC`
    ");
}

#[test]
fn what_takes_back_is_told_of_in_words() {
    let mut before = plain();
    before.statuses.undone = vec!["chargeback".to_owned(), "gone".to_owned()];
    let mut after = plain();
    after.statuses.undone = vec!["gone".to_owned(), "hold".to_owned()];
    after.statuses.values.get_mut(&Status::Pending).unwrap().clear();
    after.statuses.negative = Some(Status::Reversed);
    after.ignore_where.insert(Canonical::Param(1), vec!["1".to_owned()]);
    after.currency = Some(crate::money::Currency::EUR);
    after.reversal = Some(Reversal { txn_id_prefix: "r-".to_owned(), txn_id: None });
    set_names(&mut after, Canonical::Param(1), "debug");
    insta::assert_snapshot!(told(&before, &after), @r#"
    $ parameters.param1.names: `param1` is read from `debug` instead of `param1`
    $ statuses.values.chargeback: `chargeback` is unknown now; it meant reversed where it was approved, else rejected
    $ statuses.values.hold: `hold` now means reversed where it was approved, else rejected; it meant pending
    $ statuses.values.pending: `pending` is unknown now; it meant pending
    $ statuses.negative: a negative amount is reversed; it was an error
    $ reversal: a reversal has the transaction id of what it takes back in `txn_id` with `r-` before it; it was in `txn_id`
    $ currency: amounts are in `EUR` where a postback does not say; it was the campaign's currency
    $ ignore_where.param1: a postback asks for nothing where `param1` is `1`
    "#);
}

#[test]
fn triage_is_told_of_in_words() {
    let until = |time: Option<&str>| {
        let mut contract = plain();
        contract.triage_until = time.map(|time| time.parse().unwrap());
        contract
    };
    let early = until(Some("2027-01-01T00:00:00Z"));
    let late = until(Some("2027-02-03T04:05:06.7Z"));
    let all = [(&until(None), &early), (&early, &late), (&late, &until(None))];
    insta::assert_snapshot!(all.map(|(one, other)| told(one, other)).join("\n"), @r"
    $ triage_until: until 2027-01-01 00:00:00 UTC, postbacks without a transaction id are kept for triage
    $ triage_until: until 2027-02-03 04:05:06 UTC, postbacks without a transaction id are kept for triage; it was until 2027-01-01 00:00:00 UTC
    $ triage_until: postbacks without a transaction id are not kept for triage any more
    ");
}

fn set_names(contract: &mut Contract, canonical: Canonical, name: &str) {
    let mut all = contract.parameters.iter_mut();
    let parameter = all.find(|parameter| parameter.canonical == canonical).unwrap();
    parameter.names = vec![name.to_owned()];
}

#[test]
fn answers_are_told_of_one_by_one() {
    let before = plain();
    let mut after = plain();
    let body = "DUP".to_owned();
    let content_type = crate::contract::ContentType::Plain;
    after.answers.duplicate = Some(Reply { http_status: 200, body, content_type });
    after.answers.retry_after_s = Some(60);
    after.answers.return_name = Some("return".to_owned());
    let mut other = after.clone();
    other.answers.duplicate.as_mut().unwrap().content_type = crate::contract::ContentType::Json;
    let mut blind = plain();
    blind.answers.profile = Profile::Acknowledge;
    let all = [told(&before, &after), told(&after, &other), told(&before, &blind)];
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    answers.duplicate: answers to a duplicate: 200 `DUP` instead of the receipt
    answers.retry_after_s: what was not received is sent again after 60 seconds; it was after a few seconds
    answers.return_name: `return` gives the body of answers

    answers.duplicate.content_type: answers to a duplicate are application/json

    answers.recorded: answers to a new conversion: 200 as soon as it is on disk instead of the receipt
    answers.updated: answers to a change of one: 200 as soon as it is on disk instead of the receipt
    answers.duplicate: answers to a duplicate: 200 as soon as it is on disk instead of the receipt
    answers.parked: answers to a postback that waits for something, such as an exchange rate: 200 as soon as it is on disk instead of the receipt
    answers.ignored: answers to a postback that asks for nothing: 200 as soon as it is on disk instead of the receipt
    answers.refused: answers to a refusal: 200 as soon as it is on disk instead of the receipt
    answers.received: answers to a postback that is on disk and not decided yet: 200 as soon as it is on disk instead of the receipt
    "#);
}

/// A field that is added to these needs a sentence in `difference`, and then a place here.
#[test]
fn every_field_has_been_thought_of() {
    let fields = |schema: schemars::Schema| -> String {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names: BTreeSet<&String> = properties.expect("it has fields").keys().collect();
        names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let all = [
        fields(schemars::schema_for!(Contract)),
        fields(schemars::schema_for!(Reversal)),
        fields(schemars::schema_for!(Parameter)),
        fields(schemars::schema_for!(Statuses)),
        fields(schemars::schema_for!(crate::contract::Repeats)),
        fields(schemars::schema_for!(crate::contract::Times)),
        fields(schemars::schema_for!(crate::contract::Verification)),
        fields(schemars::schema_for!(crate::contract::Answers)),
        fields(schemars::schema_for!(Reply)),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    answers currency goals identity ignore_where parameters payout_may_be_revenue repeats reversal statuses times triage_until txn_id_absent txn_id_folded txn_id_parts unreplaced verification
    txn_id txn_id_prefix
    allowed appended canonical in_header in_url macro max_length names required unit
    absent blank ignore negative undone values
    amount events mark status transitions
    formats zone
    networks shadow signature timestamp_tolerance_s token token_required
    duplicate ignored max_retries parked profile received recorded refused retry_after_s return_name updated
    body content_type http_status
    ");
}

#[test]
fn what_begins_and_ceases_to_be_refused_is_told() {
    let mut guarded = contract("click_id! token");
    guarded.verification.token = Some(Canonical::Token);
    let mut tried = guarded.clone();
    tried.verification.shadow = [ProofKind::Token].into();
    let open = contract("click_id! token");
    let told = [
        told(&guarded, &tried),
        told(&tried, &guarded),
        told(&open, &tried),
        told(&tried, &open),
        told(&open, &guarded),
    ];
    insta::assert_snapshot!(told.join("\n--\n"), @r"
    verification.shadow.token: what fails by the shared token is refused no longer, and counted
    --
    verification.shadow.token: what fails by the shared token is refused from now on; it was only counted
    --
    verification.token: the shared token is carried by `token`; it was not asked for
    verification.shadow.token: what fails by the shared token is not refused yet, and counted
    --
    verification.token: the shared token is not asked for; it was carried by `token`
    --
    verification.token: the shared token is carried by `token`; it was not asked for
    ");
}

#[test]
fn a_macro_that_gets_known_is_told() {
    let silent = contract("click_id! status");
    let mut known = silent.clone();
    assert_eq!(told(&silent, &known), "");
    known.parameters[1].placeholder = Some("{state}".to_owned());
    let sentence = "`status` is asked for by `{state}`";
    assert_eq!(told(&silent, &known), format!("parameters.status.macro: {sentence}"));
    known.parameters[1].in_url = true;
    let mut gone = known.clone();
    (gone.parameters[1].in_url, gone.parameters[1].placeholder) = (false, None);
    insta::assert_snapshot!(told(&known, &gone), @"
    parameters.status.in_url: `status` does not stand any more in the postback URL that we hand out
    parameters.status.macro: no macro is known for `status` any more; it was `{state}`
    ");
}

#[test]
fn what_is_agreed_on_ids_and_values_goes_as_it_came() {
    let mut before = plain();
    before.txn_id_parts = vec![Canonical::TxnId, Canonical::Goal];
    before.triage_until = Some("2026-12-01T00:00:00Z".parse().unwrap());
    before.reversal =
        Some(Reversal { txn_id_prefix: String::new(), txn_id: Some(Canonical::ConversionRef) });
    before.ignore_where.insert(Canonical::Param(1), vec!["1".to_owned(), "2".to_owned()]);
    before.unreplaced = vec!["xx".to_owned(), "yy".to_owned()];
    let mut after = before.clone();
    after.txn_id_parts = Vec::new();
    after.triage_until = None;
    after.reversal = None;
    after.ignore_where.clear();
    after.unreplaced = vec!["yy".to_owned(), "zz".to_owned()];
    let mut other = before.clone();
    other.ignore_where.insert(Canonical::Param(1), vec!["1".to_owned()]);
    let all = [told(&before, &after), told(&after, &before), told(&before, &other)];
    insta::assert_snapshot!(all.join("\n\n"), @"
    $ txn_id_parts: a transaction id is made of `txn_id` alone; it was `txn_id` and `goal`, joined by `_`
    $ triage_until: postbacks without a transaction id are not kept for triage any more
    $ reversal: a reversal has the transaction id of what it takes back in `txn_id`; it was in `conversion_ref`
    $ ignore_where.param1: a postback is ignored no longer where `param1` is `1` or `2`
    unreplaced: `zz` now stands for no value; `xx` is now taken for a value

    $ txn_id_parts: a transaction id is made of `txn_id` and `goal`, joined by `_`; it was `txn_id` alone
    $ triage_until: until 2026-12-01 00:00:00 UTC, postbacks without a transaction id are kept for triage
    $ reversal: a reversal has the transaction id of what it takes back in `conversion_ref`; it was in `txn_id`
    $ ignore_where.param1: a postback asks for nothing where `param1` is `1` or `2`
    unreplaced: `xx` now stands for no value; `zz` is now taken for a value

    $ ignore_where.param1: a postback asks for nothing where `param1` is `1`; it was `1` or `2`
    ");
}

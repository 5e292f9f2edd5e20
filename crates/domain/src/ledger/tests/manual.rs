//! The manual says what the code does: its tables are compared with it, its figures recomputed.

use crate::campaign::{Goal, Term};
use crate::click_id::ClickId;
use crate::command::{Act, Command};
use crate::contract::Identity;
use crate::conversion::{Status, may_change};
use crate::hit::Hit;
use crate::id::{AdvertiserId, ConversionId, Position};
use crate::ledger::{Cause, ENCODED_BYTES, Entry, Home, Key};
use crate::money::{Currency, Micros};
use crate::reason::{Flag, Flags, Reason, Verdict};
use crate::record::{self, Record};
use sha2::{Digest, Sha256};

const VERDICTS: &str = include_str!("../../../../../docs/verdicts.md");
const CHAIN: &str = include_str!("../../../../../docs/chain.md");
const REASONS: &str = include_str!("../../../../../docs/reasons/README.md");

/// A reason's runbook: none can be left out.
fn runbook(reason: Reason) -> &'static str {
    macro_rules! page {
        ($name:literal) => {
            include_str!(concat!("../../../../../docs/reasons/", $name, ".md"))
        };
    }
    match reason {
        Reason::UnknownIntegration => page!("unknown_integration"),
        Reason::MacroNotReplaced => page!("macro_not_replaced"),
        Reason::InvalidPayload => page!("invalid_payload"),
        Reason::ContractRetired => page!("contract_retired"),
        Reason::SourceNotAllowed => page!("source_not_allowed"),
        Reason::SignatureMismatch => page!("signature_mismatch"),
        Reason::MissingParameter => page!("missing_parameter"),
        Reason::UnknownClick => page!("unknown_click"),
        Reason::AlreadyProcessed => page!("already_processed"),
        Reason::StaleTimestamp => page!("stale_timestamp"),
        Reason::StatusIgnored => page!("status_ignored"),
        Reason::RateMissing => page!("rate_missing"),
        Reason::InternalError => page!("internal_error"),
        Reason::CampaignMismatch => page!("campaign_mismatch"),
        Reason::UnknownGoal => page!("unknown_goal"),
        Reason::UnknownStatus => page!("unknown_status"),
        Reason::UnknownCurrency => page!("unknown_currency"),
        Reason::TransitionNotAllowed => page!("transition_not_allowed"),
        Reason::CampaignInactive => page!("campaign_inactive"),
        Reason::LateWindow => page!("late_window"),
    }
}

/// Who mends it, as the runbook says.
fn mender(reason: Reason) -> &'static str {
    let row = runbook(reason).lines().nth(4).unwrap();
    row.rsplit('|').nth(1).unwrap().trim()
}

/// What stands between `<!-- name … -->` and `<!-- end -->`.
fn block<'a>(manual: &'a str, name: &str) -> &'a str {
    let (_, after) = manual.split_once(&format!("<!-- {name}")).expect("the manual has the block");
    let (_, after) = after.split_once("-->").unwrap();
    after.split_once("<!-- end -->").unwrap().0.trim()
}

fn assert_block(manual: &str, name: &str, lines: &[String]) {
    let wanted = lines.join("\n");
    assert_eq!(block(manual, name), wanted, "\nthe block `{name}` has to be:\n\n{wanted}\n");
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut lines =
        vec![format!("| {} |", head.join(" | ")), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.map(|row| format!("| {} |", row.join(" | "))));
    lines
}

#[test]
fn every_reason_has_a_runbook_that_says_what_the_code_does() {
    let sections = [
        "What it means",
        "What the sender sees",
        "Find the hits",
        "Mend it",
        "Does a resend help?",
    ];
    for reason in Reason::ALL {
        let (page, name) = (runbook(reason), reason.name());
        assert!(page.starts_with(&format!("# `{name}`\n")), "{name}");
        let (verdict, http) = (reason.verdict().name(), reason.http_status());
        assert!(page.contains(&format!("| {verdict} | {http} | ")), "{name}: {verdict} {http}");
        let sees = page.split("## What the sender sees").nth(1).unwrap().trim_start();
        assert!(sees.starts_with(&format!("`{http}`")), "{name}");
        assert!(page.contains(&format!("/hits?reason={name}&")), "{name}");
        let found: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(found, sections, "{name}");
    }
}

#[test]
fn the_index_of_reasons_has_them_in_their_order() {
    let rows = Reason::ALL.into_iter().map(|reason| {
        let name = reason.name();
        vec![
            format!("[`{name}`]({name}.md)"),
            reason.verdict().name().to_owned(),
            reason.http_status().to_string(),
            mender(reason).to_owned(),
        ]
    });
    let head = ["Reason", "Verdict", "HTTP in `receipt`", "Who mends it"];
    assert_block(REASONS, "reasons", &table(&head, rows));
}

#[test]
fn the_table_of_verdicts_is_the_codes() {
    let meaning = |verdict| match verdict {
        Verdict::Recorded => {
            "it made a conversion; or it brought events alone, which make none, and changed them"
        }
        Verdict::Updated => "it changed a conversion's status or amount",
        Verdict::Duplicate => "it says what is known already; nothing was changed",
        Verdict::Parked => "it was received and cannot be decided yet; it need not be sent again",
        Verdict::Ignored => "it asks for nothing, as a ping",
        Verdict::Refused => "it counts for nothing, for a reason",
    };
    let rows = Verdict::ALL.into_iter().map(|verdict| {
        let reasons = || Reason::ALL.into_iter().filter(move |one| one.verdict() == verdict);
        let mut statuses: Vec<u16> = reasons().map(Reason::http_status).collect();
        if statuses.is_empty() {
            statuses.push(200);
        }
        statuses.sort_unstable();
        statuses.dedup();
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let name = format!("`{}`", verdict.name());
        vec![name, meaning(verdict).to_owned(), reasons().count().to_string(), statuses.join(", ")]
    });
    assert_block(VERDICTS, "verdicts", &table(&["Verdict", "Means", "Reasons", "HTTP"], rows));
}

#[test]
fn the_table_of_flags_is_the_codes() {
    let meaning = |flag| match flag {
        Flag::AmountMissing => {
            "the goal's term needs an amount and none was sent: it counts as 0 until one is"
        }
        Flag::AmountRounded => {
            "an amount or an event had more than six decimals: rounded half to even"
        }
        Flag::SentAmountDiffers => {
            "the amount that was sent is not the one that counts: the goal's term, or what was sent before"
        }
        Flag::ClickDetailMissing => {
            "the click's own row is gone: link, campaign and time came from its id"
        }
        Flag::SentValueDiffers => {
            "a label, the goal or the currency is not the click's, the conversion's or the campaign's"
        }
        Flag::LabelDropped => {
            "a label, or a value that is not used, could not be read or was still a macro"
        }
        Flag::Unverified => {
            "no token, no signature and no network vouched for the sender: only the click id did"
        }
        Flag::ShadowRefused => "a proof that the contract only tries would have refused it",
        Flag::TxnIdMissing => {
            "the transaction id that it must have is missing: it is not paid until it is found"
        }
        Flag::Repeated => "its click had a conversion of the goal before it",
        Flag::ContractInSunset => "it speaks as a version of the contract that is being replaced",
    };
    let rows = Flag::ALL.into_iter().map(|flag| {
        let bits: Flags = [flag].into_iter().collect();
        vec![format!("`{}`", flag.name()), bits.bits().to_string(), meaning(flag).to_owned()]
    });
    assert_block(VERDICTS, "flags", &table(&["Flag", "Number", "Means"], rows));
}

#[test]
fn the_tables_of_statuses_are_the_codes() {
    let meaning = |status| match status {
        Status::Pending => "it may come to count: a hold, a lead that is being checked",
        Status::Approved => "it counts",
        Status::Rejected => "it was turned down before it counted",
        Status::Reversed => "it counted, and does not any more: a refund, a chargeback",
    };
    let rows = Status::ALL.into_iter().map(|status| {
        let is_paid = if status.is_paid() { "yes" } else { "no" };
        let name = format!("`{}`", status.name());
        vec![name, status.code().to_string(), is_paid.to_owned(), meaning(status).to_owned()]
    });
    let head = ["Status", "Number", "Paid", "Means"];
    assert_block(VERDICTS, "statuses", &table(&head, rows));
    let from = [None].into_iter().chain(Status::ALL.map(Some));
    let rows = from.map(|from| {
        let name = from.map_or("(new)".to_owned(), |from| format!("`{}`", from.name()));
        let may = |to: Status| if may_change(from, to) { "yes" } else { "" }.to_owned();
        [name].into_iter().chain(Status::ALL.map(may)).collect()
    });
    let head = ["From", "`pending`", "`approved`", "`rejected`", "`reversed`"];
    assert_block(VERDICTS, "transitions", &table(&head, rows));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The row of the example's table with that name, the `nth` of it.
fn figure(name: &str, nth: usize) -> &'static str {
    let start = format!("| {name} | `");
    let row = CHAIN.lines().filter_map(|line| line.strip_prefix(&start)).nth(nth);
    row.expect("the example has the row").trim_end_matches(['|', ' ', '`'])
}

#[test]
fn the_example_of_the_chain_can_be_recomputed() {
    let click_id =
        ClickId::from_bytes(0x01a1_f82f_1e80_0000_002a_0011_1713_c3d4_u128.to_be_bytes());
    assert_eq!(figure("click id", 0), hex(&click_id.to_bytes()));
    let goal = Goal {
        key: "install".to_owned(),
        name: String::new(),
        default: true,
        revenue: Term::default(),
        payout: Term::default(),
    };
    let key =
        Key::new(Identity::ClickGoalTxn, AdvertiserId(1), click_id, &goal.key, Some("t_7a8c1"));
    assert_eq!(figure("identity (goal `install`)", 0), hex(&key.identity));
    assert_eq!(figure("home", 0), hex(&Home::of(click_id).0.to_be_bytes()));
    let ascending = |first: u8| std::array::from_fn(|place| first + u8::try_from(place).unwrap());
    let genesis = Entry::genesis(ascending(0));
    assert_eq!(figure("genesis", 0), hex(&genesis));
    let (_, request) = CHAIN.split_once("```\nGET ").unwrap();
    let hit = Hit {
        method: "GET".to_owned(),
        target: request.lines().next().unwrap().as_bytes().to_vec(),
        peer: Some("203.0.113.7".parse().unwrap()),
        salt: ascending(16),
        ..Hit::default()
    };
    assert_eq!(figure("digest of the hit", 0), hex(&hit.digest()));
    let first = Entry {
        conversion_id: ConversionId(7),
        sequence: 1,
        at: "2026-11-20T09:30:00Z".parse().unwrap(),
        cause: Cause::Hit(Position(42)),
        evidence: hit.digest(),
        from: None,
        to: Status::Approved,
        revenue: Micros(2_350_000),
        payout: Micros(1_750_000),
        currency: Currency::USD,
    };
    let first_hash = first.hash(&genesis);
    assert_eq!(figure("first entry", 0), hex(&first.encode(&genesis)));
    assert_eq!(figure("its hash", 0), hex(&first_hash));
    let act = Act::ChangeConversionStatus {
        id: ConversionId(7),
        to: Status::Reversed,
        reason: "returned".to_owned(),
    };
    let command = Command { actor: "key:1".to_owned(), idempotency: None, act };
    let payload = record::write(&Record::Command(Box::new(command)));
    assert!(CHAIN.contains(str::from_utf8(&payload).unwrap()));
    let command = Sha256::new_with_prefix(b"counterfoil command 1").chain_update(payload);
    let evidence: [u8; 32] = command.finalize().into();
    assert_eq!(figure("digest of the command", 0), hex(&evidence));
    let second = Entry {
        sequence: 2,
        at: first.at.plus_days(1),
        cause: Cause::Command(Position(57)),
        evidence,
        from: Some(Status::Approved),
        to: Status::Reversed,
        revenue: Micros(-2_350_000),
        payout: Micros(-1_750_000),
        ..first
    };
    assert_eq!(figure("second entry", 0), hex(&second.encode(&first_hash)));
    assert_eq!(figure("its hash", 1), hex(&second.hash(&first_hash)));
}

/// Each field begins where the one before it ends.
#[test]
fn the_table_of_the_encoding_has_no_gap() {
    let (_, after) = CHAIN.split_once("| From | Bytes | Field | Is |").unwrap();
    let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut end = 0;
    for row in rows {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().parse::<usize>());
        let (from, bytes) = (cells.next().unwrap().unwrap(), cells.next().unwrap().unwrap());
        assert_eq!(from, end, "{row}");
        end += bytes;
    }
    assert_eq!(end, ENCODED_BYTES);
    assert!(CHAIN.contains(&format!("{ENCODED_BYTES} bytes.")));
}

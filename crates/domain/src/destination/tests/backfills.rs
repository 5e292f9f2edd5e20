//! What a destination is told of that happened before it was there.

use super::owing::sent;
use super::*;
use crate::conversion::Status;
use proptest::prelude::*;

const URL: &str = "https://t.example/?c={external_id}&s={status}&p={payout}";
const FIRST: DestinationId = DestinationId(1);

impl Network {
    /// Backfills a destination with everything there is.
    fn backfill(&mut self, id: DestinationId) -> String {
        let at = self.world.now;
        let mut new = Vec::new();
        let destination = self.world.setup.destination(id).unwrap();
        for conversion in self.world.conversions.values() {
            let is_own = |one: &&Owed| one.conversion_id == conversion.id;
            let before: Vec<Owed> = self.owed.iter().filter(is_own).cloned().collect();
            new.extend(backfilled(destination, conversion, &before, at));
        }
        assert!(new.iter().all(|one| one.backfilled_at == Some(at) && one.owed_at() == at));
        self.told(new)
    }

    fn change(&mut self, rules: &str) {
        let rules = Some(serde_json::from_str(rules).unwrap());
        let changes = Box::new(DestinationChanges { rules, ..DestinationChanges::default() });
        self.world.act(Act::ChangeDestination { id: FIRST, changes });
    }
}

#[test]
fn what_the_rules_want_is_told_as_it_stands() {
    // Rules; what happened before there was a destination; what a backfill has it owed.
    let cases: [(&str, &[&str], &str); 9] = [
        ("{}", &["?click_id=@a&payout=2"], "1 notice approved 2/2"),
        ("{}", &["?click_id=@a&payout=2", "?click_id=@a&payout=3"], "1 notice approved 3/3"),
        ("{}", &["?click_id=@a&payout=2", "?click_id=@a&status=reversed"], ""),
        ("{}", &["?click_id=@a&status=pending&payout=2"], ""),
        (
            r#"{"statuses":["pending","approved"],"payout_share":"50"}"#,
            &["?click_id=@a&status=pending&payout=2"],
            "1 notice pending 1/1",
        ),
        (r#"{"goals":["sale"]}"#, &["?click_id=@a&payout=2"], ""),
        (r#"{"min_payout":"3"}"#, &["?click_id=@a&payout=2"], ""),
        (r#"{"min_payout":"2"}"#, &["?click_id=@a&payout=2"], "1 notice approved 2/2"),
        (r#"{"sampling":"0"}"#, &["?click_id=@a&payout=2"], ""),
    ];
    for (rules, happened, expected) in cases {
        let mut network = sent(None);
        for line in happened {
            network.send(line);
        }
        network.add(ruled(URL, rules));
        assert_eq!(network.backfill(FIRST), expected, "{rules} {happened:?}");
        assert_eq!(network.backfill(FIRST), "", "it is told once");
    }
}

#[test]
fn what_is_told_late_is_corrected_like_anything_else() {
    let mut network = sent(None);
    network.send("?click_id=@a&payout=2");
    network.add(new(URL));
    network.backfill(FIRST);
    let steps = [
        ("?click_id=@a&payout=3", "1 correction approved 3/1"),
        ("?click_id=@a&status=reversed", "1 withdrawal reversed 0/-3"),
    ];
    for (line, expected) in steps {
        assert_eq!(network.send(line), expected, "{line}");
        assert_eq!(network.backfill(FIRST), "", "after {line}");
    }
    assert!(network.owed[1..].iter().all(|one| one.backfilled_at.is_none()));
}

#[test]
fn what_was_taken_back_is_told_by_new_rules_once_it_has_changed_again() {
    let mut network = sent(None);
    network.add(new(URL));
    network.send("?click_id=@a&payout=2");
    network.send("?click_id=@a&status=reversed&payout=2");
    network.change(r#"{"statuses":["reversed","approved"]}"#);
    assert_eq!(network.backfill(FIRST), "", "the withdrawal has told of that change");
    network.change(r#"{"goals":["sale"]}"#);
    assert_eq!(network.send("?click_id=@a&status=approved&payout=4"), "");
    network.change("{}");
    assert_eq!(network.backfill(FIRST), "1 notice approved 4/4");
}

#[test]
fn another_s_conversions_are_not_told() {
    let link = |id| NewDestination { owner: Owner::Link { link_id: LinkId(id) }, ..new(URL) };
    let mut network = sent(None);
    network.send("?click_id=@a&payout=2");
    network.world.link(crate::ledger::tests::world::CAMPAIGN, false);
    let (own, other) = (network.add(link(LINK.0)), network.add(link(2)));
    assert_eq!(network.backfill(other), "");
    assert_eq!(network.backfill(own), "1 notice approved 2/2");
    let archived = network.add(new(URL));
    network.world.act(Act::ArchiveDestination { id: archived });
    assert_eq!(network.backfill(archived), "");
}

#[test]
fn a_period_is_in_the_past_and_a_destination_is_in_use() {
    let mut network = sent(Some("{}"));
    network.add(new(URL));
    network.world.act(Act::ArchiveDestination { id: DestinationId(2) });
    let now = network.world.now;
    let cases = [
        (1, -10, 0, "done"),
        (1, -1, 0, "done"),
        (1, 0, 0, "from"),
        (1, -1, -2, "from"),
        (1, -1, 1, "to"),
        (1, 2, 1, "to"),
        (2, -10, 0, "archived"),
        (3, -10, 0, "not_found"),
    ];
    for (id, from, to, expected) in cases {
        network.world.now = now;
        let period = Period { from: now.plus_ms(from), to: now.plus_ms(to), after: None };
        let act = Act::BackfillDestination { id: DestinationId(id), period };
        let said = match network.world.attempt(&act) {
            Ok(answer) => {
                assert_eq!(answer, Answered::Backfilled(Backfilled::default()));
                "done".to_owned()
            }
            Err(failure) => failure.parameter.unwrap_or(failure.code),
        };
        assert_eq!(said, expected, "{id} from {from} to {to}");
    }
}

proptest! {
    /// Whatever happens and whenever it is asked for: no change is told twice, and what was told
    /// adds up to what stands.
    #[test]
    fn backfills_tell_what_stands(
        statuses in prop::collection::btree_set(prop::sample::select(&Status::ALL[..]), 1..4),
        comes_at in 0..6_usize,
        steps in prop::collection::vec((0..4_usize, 0..5_u32, any::<bool>()), 1..12),
    ) {
        let rules = Rules { statuses: statuses.clone(), ..Rules::default() };
        let rules = serde_json::to_string(&rules).unwrap();
        let mut network = sent(None);
        for (number, (status, payout, asks)) in steps.into_iter().enumerate() {
            if number == comes_at {
                network.add(ruled(URL, &rules));
            }
            let status = Status::ALL[status].name();
            network.send(&format!("?click_id=@a&status={status}&payout={payout}"));
            if asks && network.world.setup.destination(FIRST).is_some() {
                network.backfill(FIRST);
                prop_assert_eq!(network.backfill(FIRST), "");
                let Some(conversion) = network.world.conversions.values().next() else { continue };
                let told: i64 = network.owed.iter().map(|one| one.difference.0).sum();
                let is_undone = matches!(conversion.status, Status::Rejected | Status::Reversed);
                if is_undone {
                    prop_assert_eq!(told, 0);
                } else if statuses.contains(&conversion.status) {
                    prop_assert_eq!(told, conversion.payout.0);
                }
            }
        }
        let sequences: Vec<u32> = network.owed.iter().map(|one| one.sequence).collect();
        prop_assert!(sequences.is_sorted_by(|one, next| one < next), "{:?}", sequences);
    }
}

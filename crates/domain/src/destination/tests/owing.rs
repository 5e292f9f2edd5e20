//! Who is told of which conversion, and of which change.

use super::*;
use crate::campaign::Goal;
use crate::conversion::Status;
use proptest::prelude::*;

const URL: &str = "https://t.example/?c={external_id}&s={status}&p={payout}";
/// The payout is what the advertiser sends.
const SENT: &str = r#"[{"key":"lead","default":true,"revenue":"9","payout":{"from":"postback"}}]"#;

/// With a destination where its rules are given.
pub(super) fn sent(rules: Option<&str>) -> Network {
    let goals: Vec<Goal> = serde_json::from_str(SENT).unwrap();
    let mut network = Network::of([]);
    let mut contract = plain();
    contract.repeats.amount = crate::contract::RepeatedAmount::Replace;
    network.world = World::new(contract, &serde_json::to_string(&goals).unwrap());
    if let Some(rules) = rules {
        network.add(ruled(URL, rules));
    }
    network
}

#[test]
fn the_life_of_a_conversion_as_it_is_told() {
    // Rules; then postbacks, each with what is owed after it.
    let cases: [(&str, &[(&str, &str)]); 8] = [
        (
            "{}",
            &[
                ("?click_id=@a&status=pending&payout=2", ""),
                ("?click_id=@a&status=approved&payout=2", "1 notice approved 2/2"),
                ("?click_id=@a&status=approved&payout=2", ""),
                ("?click_id=@a&status=approved&payout=3", "1 correction approved 3/1"),
                ("?click_id=@a&status=approved&payout=1", "1 correction approved 1/-2"),
                ("?click_id=@a&status=reversed&payout=1", "1 withdrawal reversed 0/-1"),
                ("?click_id=@a&status=approved&payout=4", "1 notice approved 4/4"),
            ],
        ),
        (
            r#"{"statuses":["pending","approved"]}"#,
            &[
                ("?click_id=@a&status=pending&payout=2", "1 notice pending 2/2"),
                ("?click_id=@a&status=approved&payout=2", "1 notice approved 2/0"),
                ("?click_id=@a&status=reversed", "1 withdrawal reversed 0/-2"),
            ],
        ),
        (
            r#"{"statuses":["pending"]}"#,
            &[
                ("?click_id=@a&status=pending&payout=2", "1 notice pending 2/2"),
                ("?click_id=@a&status=rejected", "1 withdrawal rejected 0/-2"),
            ],
        ),
        (
            r#"{"statuses":["rejected"]}"#,
            &[
                ("?click_id=@a&status=pending&payout=2", ""),
                ("?click_id=@a&status=rejected", "1 notice rejected 0/0"),
            ],
        ),
        (
            r#"{"payout_share":"50"}"#,
            &[
                ("?click_id=@a&payout=0.000003", "1 notice approved 0.000002/0.000002"),
                ("?click_id=@a&payout=3", "1 correction approved 1.5/1.499998"),
            ],
        ),
        (
            r#"{"min_payout":"2"}"#,
            &[
                ("?click_id=@a&payout=1.999999", ""),
                // What is below the minimum at first is told once it is not.
                ("?click_id=@a&payout=2", "1 notice approved 2/2"),
                // What was told has to be told the truth about.
                ("?click_id=@a&payout=1", "1 correction approved 1/-1"),
            ],
        ),
        (r#"{"goals":["LEAD"]}"#, &[("?click_id=@a&payout=2", "1 notice approved 2/2")]),
        (r#"{"goals":["sale"]}"#, &[("?click_id=@a&payout=2", "")]),
    ];
    for (rules, steps) in cases {
        let mut network = sent(Some(rules));
        for (line, expected) in steps {
            assert_eq!(network.send(line), *expected, "{rules} {line}");
        }
    }
}

#[test]
fn a_link_s_and_a_publisher_s_are_both_told() {
    let link = NewDestination { owner: Owner::Link { link_id: LINK }, ..new(URL) };
    let elsewhere = NewDestination { owner: Owner::Link { link_id: LinkId(2) }, ..new(URL) };
    let mut network = Network::of([new(URL), link]);
    network.world.link(crate::ledger::tests::world::CAMPAIGN, false);
    network.add(elsewhere);
    let told = "2 notice approved 1.75/1.75, 1 notice approved 1.75/1.75";
    assert_eq!(network.send("?click_id=@a"), told);
}

#[test]
fn an_archived_destination_is_told_nothing_more() {
    let mut network = Network::of([new(URL)]);
    network.send("?click_id=@a");
    network.world.act(Act::ArchiveDestination { id: DestinationId(1) });
    assert_eq!(network.send("?click_id=@a&status=reversed"), "");
    assert_eq!(network.send("?click_id=@b"), "");
}

#[test]
fn who_came_later_is_told_of_what_comes_after_and_of_nothing_taken_back_before() {
    let mut network = Network::of([]);
    network.send("?click_id=@a&status=pending");
    network.send("?click_id=@b&status=approved");
    network.add(new(URL));
    assert_eq!(network.send("?click_id=@a&status=approved"), "1 notice approved 1.75/1.75");
    assert_eq!(network.send("?click_id=@b&status=reversed"), "");
}

#[test]
fn a_person_s_change_is_told_like_a_postback_s() {
    let mut network = Network::of([new(URL)]);
    network.send("?click_id=@a");
    network.world.change_by_person(Status::Reversed).unwrap();
    assert_eq!(network.owe(), "1 withdrawal reversed 0/-1.75");
}

/// It stands for nothing, whatever status it came to be merged with.
#[test]
fn a_merged_conversion_is_taken_back_and_told_to_nobody() {
    // Rules; what was sent; the status with which it is merged; what is owed then.
    for (rules, sent_status, status, expected) in [
        ("{}", "approved", Status::Approved, "1 withdrawal approved 0/-2"),
        ("{}", "approved", Status::Rejected, "1 withdrawal rejected 0/-2"),
        ("{}", "pending", Status::Rejected, ""),
        ("{}", "pending", Status::Approved, ""),
        (r#"{"statuses":["rejected"]}"#, "pending", Status::Rejected, ""),
        (
            r#"{"statuses":["pending","rejected"]}"#,
            "pending",
            Status::Rejected,
            "1 withdrawal rejected 0/-2",
        ),
    ] {
        let mut network = sent(Some(rules));
        network.send(&format!("?click_id=@a&status={sent_status}&payout=2"));
        let conversion = network.world.conversions.values_mut().next().unwrap();
        conversion.merged_into = Some(ConversionId(9));
        conversion.status = status;
        conversion.sequence += 1;
        assert_eq!(network.owe(), expected, "{rules} {sent_status} {status:?}");
    }
}

/// What one is not told of, another is.
#[test]
fn each_destination_has_its_own_sample() {
    let rules = Rules { sampling: "50".parse().unwrap(), ..Rules::default() };
    let taken = |id| -> Vec<bool> {
        (0..2_000).map(|number| rules.samples(DestinationId(id), ConversionId(number))).collect()
    };
    let (one, two) = (taken(1), taken(2));
    let alike = one.iter().zip(&two).filter(|(one, two)| one == two).count();
    assert!(alike.abs_diff(1_000) < 150, "{alike} of 2000 are told to both or to neither");
}

proptest! {
    /// Whatever happens, what was told adds up to what stands.
    #[test]
    fn differences_add_up(
        statuses in prop::collection::btree_set(prop::sample::select(&Status::ALL[..]), 1..4),
        steps in prop::collection::vec((0..4_usize, 0..5_u32), 1..12),
    ) {
        let rules = Rules { statuses: statuses.clone(), ..Rules::default() };
        let mut network = sent(Some(&serde_json::to_string(&rules).unwrap()));
        for (status, payout) in steps {
            let status = Status::ALL[status].name();
            network.send(&format!("?click_id=@a&status={status}&payout={payout}"));
            let Some(conversion) = network.world.conversions.values().next() else { continue };
            let told: i64 = network.owed.iter().map(|one| one.difference.0).sum();
            let last = network.owed.last().map(|one| (one.kind, one.payout.0));
            prop_assert_eq!(told, last.map_or(0, |(_, payout)| payout));
            let is_told = last.is_some_and(|(kind, _)| kind != OwedKind::Withdrawal);
            let is_undone = matches!(conversion.status, Status::Rejected | Status::Reversed);
            if statuses.contains(&conversion.status) {
                prop_assert!(is_told);
                prop_assert_eq!(told, if is_undone { 0 } else { conversion.payout.0 });
            } else if is_undone {
                prop_assert!(!is_told);
            }
        }
    }

    /// A share is a share, and who is in it stays in it.
    #[test]
    fn sampling_takes_about_its_share(percent in 0..=100_u32) {
        let rules = Rules {
            sampling: percent.to_string().parse().unwrap(),
            ..Rules::default()
        };
        let taken = |rules: &Rules| -> Vec<u64> {
            let all = 0..2_000;
            all.filter(|id| rules.samples(DestinationId(1), ConversionId(*id))).collect()
        };
        let own = taken(&rules);
        let expected = usize::try_from(percent).unwrap() * 20;
        prop_assert!(own.len().abs_diff(expected) < 120, "{} for {percent} %", own.len());
        let more = Rules { sampling: Rules::default().sampling, ..rules };
        prop_assert_eq!(taken(&more).len(), 2_000);
    }
}

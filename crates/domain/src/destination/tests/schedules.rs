//! When something is tried again, and what an answer leads to.

use super::*;

const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

fn outbound() -> Outbound {
    let json = r#"{"url":"https://t.example/","failure":[{"status":[200],"body":"ERROR"}]}"#;
    serde_json::from_str(json).unwrap()
}

fn next(answer: Answer<'_>, id: u64, attempt: u32) -> Next {
    Schedule::default().next(&outbound(), answer, (DeliveryId(id), attempt), NOW)
}

fn answered(status: u16, body: &str) -> Answer<'_> {
    Answer::Answered { status, body: body.as_bytes(), retry_after_s: None }
}

#[test]
fn an_answer_leads_to_one_thing() {
    let cases = [
        (answered(200, "OK"), "delivered"),
        (answered(204, ""), "delivered"),
        (answered(200, "ERROR: no tag"), "rejected"),
        (answered(301, ""), "rejected"),
        (answered(400, ""), "rejected"),
        (answered(404, ""), "rejected"),
        (answered(410, ""), "rejected"),
        (answered(408, ""), "again"),
        (answered(425, ""), "again"),
        (answered(429, ""), "again"),
        (answered(500, ""), "again"),
        (answered(503, "ERROR"), "again"),
        (Answer::None, "again"),
    ];
    for (answer, expected) in cases {
        let found = match next(answer, 1, 1) {
            Next::Delivered => "delivered",
            Next::Unverified => "unverified",
            Next::Rejected => "rejected",
            Next::Exhausted => "exhausted",
            Next::Again { .. } => "again",
        };
        assert_eq!(found, expected, "{answer:?}");
    }
}

#[test]
fn who_says_nothing_of_use_is_sent_to_and_not_verified() {
    let mut outbound = outbound();
    outbound.verifiable = false;
    let next = |answer| Schedule::default().next(&outbound, answer, (DeliveryId(1), 1), NOW);
    assert_eq!(next(answered(200, "")), Next::Unverified);
    assert_eq!(next(answered(200, "ERROR")), Next::Rejected);
}

#[test]
fn waits_grow_and_end() {
    for id in 0..200 {
        for (past, wait_s) in WAITS_S.into_iter().enumerate() {
            let attempt = u32::try_from(past).unwrap() + 1;
            let Next::Again { at } = next(Answer::None, id, attempt) else { panic!("{attempt}") };
            let waited_ms = at.us_since(NOW) / 1_000;
            let (least, most) = (i64::from(wait_s) * 800, i64::from(wait_s) * 1_200);
            assert!((least..=most).contains(&waited_ms), "{attempt}: {waited_ms} ms");
            // The same whenever it is asked.
            assert_eq!(next(Answer::None, id, attempt), Next::Again { at });
        }
        assert_eq!(next(Answer::None, id, 10), Next::Exhausted);
        assert_eq!(next(answered(503, ""), id, 4_000_000_000), Next::Exhausted);
    }
    let first: std::collections::BTreeSet<_> =
        (0..200).map(|id| format!("{:?}", next(Answer::None, id, 1))).collect();
    assert!(first.len() > 100, "they come back together: {}", first.len());
}

#[test]
fn retry_after_only_lengthens() {
    let asked = |retry_after_s: u32, attempt: u32| {
        let answer =
            Answer::Answered { status: 429, body: b"", retry_after_s: Some(retry_after_s) };
        let Next::Again { at } = next(answer, 7, attempt) else { panic!("{retry_after_s}") };
        at.us_since(NOW) / 1_000_000
    };
    assert_eq!(asked(3_600, 1), 3_600);
    assert!(asked(1, 2) >= 240, "a shorter wait than the schedule's");
    assert_eq!(asked(u32::MAX, 1), i64::from(RETRY_AFTER_S_MAX));
}

//! Files that an earlier release wrote are read, checked and merged like those of this one.

use super::*;
use crate::facts::Found;
use crate::facts::layout::{CLICK, HIT_PERSONAL, Layout, click as place};
use crate::facts::table::Table;
use crate::facts::write::Writer;

/// The sidecar of hits before they had a base and headers.
static FIRST_REQUESTS: Layout = Layout {
    name: "hit personal",
    columns: HIT_PERSONAL.columns.split_at(7).0,
    formats: &[7],
    page_rows: 128,
    group_rows: 131_072,
};

fn plain(number: u64) -> Hit {
    Hit { headers: Vec::new(), base: String::new(), ..hit(number) }
}

/// Writes the sidecar of the newest file of hits again, as the first format has it.
fn rewrite(bench: &Bench) {
    let snapshot = bench.facts.snapshot();
    let segment = snapshot.hits.last().unwrap();
    let mut writer = Writer::create(&bench.disk, &segment.sidecar, &FIRST_REQUESTS).unwrap();
    for (position, _, hit) in bench.journal.hits() {
        if position < segment.span().from {
            continue;
        }
        let columns = writer.columns();
        let peer = hit.peer.map(|peer| peer.to_string());
        columns[0].push_long(position.0.cast_signed());
        columns[1].push_word(Some(&hit.target));
        columns[2].push_word(hit.content_type.as_deref().map(str::as_bytes));
        columns[3].push_word(Some(&hit.body[..]).filter(|body| !body.is_empty()));
        columns[4].push_word(peer.as_deref().map(str::as_bytes));
        columns[5].push_word(hit.forwarded.as_deref().map(str::as_bytes));
        columns[6].push_fixed(&hit.salt);
        writer.end_rows().unwrap();
    }
    writer.finish(&segment.span()).unwrap();
}

fn at(number: u64) -> Timestamp {
    START.plus_us(i64::try_from(number).unwrap())
}

#[test]
fn a_sidecar_of_the_first_format_is_read_and_merged_with_later_ones() {
    let bench = Bench::new();
    for number in 0..300 {
        bench.add(at(number), Record::Hit(plain(number)));
    }
    bench.facts.seal_all().unwrap();
    rewrite(&bench);
    let bench = bench.reopen();
    let snapshot = bench.facts.snapshot();
    let table = Table::open(&bench.disk, &snapshot.hits[0].sidecar, &HIT_PERSONAL).unwrap();
    assert_eq!((table.columns, table.layout.columns.len()), (7, 9));
    drop(snapshot);
    for number in 300..2_400 {
        bench.add(at(number), Record::Hit(hit(number)));
        if number % 300 == 299 {
            bench.facts.seal_all().unwrap();
        }
    }
    let all_read = |bench: &Bench| {
        for (position, _, hit) in bench.journal.hits() {
            let read = bench.facts.read_hit(position).unwrap().unwrap();
            assert_eq!(read.request, Some(hit), "{position}");
        }
        assert_eq!(
            bench.facts.snapshot().hits.iter().map(|it| it.table.index.rows).sum::<u64>(),
            2_400
        );
    };
    all_read(&bench);
    let verified = |bench: &Bench| crate::facts::verify(&bench.disk, Path::new(DIR), &mut |_| {});
    assert_eq!(verified(&bench), []);
    while bench.facts.merge().unwrap().is_some() {}
    assert_eq!(bench.facts.snapshot().hits.len(), 1);
    all_read(&bench);
    assert_eq!(verified(&bench), []);
}

/// Clicks before anything was known of their visitors.
static FIRST_CLICKS: Layout = Layout {
    name: "click",
    columns: CLICK.columns.split_at(23).0,
    formats: &[23],
    page_rows: 2_048,
    group_rows: 131_072,
};

fn click_of(number: u64) -> Click<'static> {
    click(number, at(number))
}

fn add_clicks(bench: &Bench, numbers: std::ops::Range<u64>) {
    for number in numbers {
        bench.add(at(number), Record::Click(click_of(number)));
    }
    bench.facts.seal_all().unwrap();
}

/// Writes the newest file of clicks again, as the first format has it.
fn rewrite_clicks(bench: &Bench) {
    let snapshot = bench.facts.snapshot();
    let segment = snapshot.clicks.last().unwrap();
    let mut clicks = bench.journal.clicks();
    clicks.sort_by_key(|(_, _, click)| click.id.to_bytes());
    let path = segment.sidecar.with_file_name(
        segment.sidecar.file_name().unwrap().to_str().unwrap().replace(".personal", ""),
    );
    let mut writer = Writer::create(&bench.disk, &path, &FIRST_CLICKS).unwrap();
    for (position, _, click) in clicks {
        let columns = writer.columns();
        columns[place::ID].push_fixed(&click.id.to_bytes());
        columns[place::AT].push_long(click.id.at_ms().cast_signed());
        columns[place::POSITION].push_long(position.0.cast_signed());
        columns[place::LINK].push_word(Some(&click.id.link().0.to_le_bytes()));
        columns[place::CAMPAIGN].push_word(Some(&click.campaign_id.0.to_le_bytes()));
        columns[place::PUBLISHER].push_word(Some(&click.publisher_id.0.to_le_bytes()));
        columns[place::IS_LIVE].push_flag(click.is_live);
        columns[place::IS_TEST].push_flag(click.is_test);
        let cost = click.cost.map(|cost| cost.0.to_le_bytes());
        columns[place::COST].push_word(cost.as_ref().map(<[u8; 8]>::as_slice));
        let external_id = Some(&click.external_id[..]).filter(|id| !id.is_empty());
        columns[place::EXTERNAL_ID].push_word(external_id);
        for label in Label::ALL {
            let word = click.labels.get(label).map(str::as_bytes);
            columns[place::LABELS + usize::from(label.code())].push_word(word);
        }
        writer.end_rows().unwrap();
    }
    writer.finish(&segment.span()).unwrap();
}

#[test]
fn of_clicks_of_the_first_format_nothing_is_known_but_what_they_have() {
    let bench = Bench::new();
    add_clicks(&bench, 0..300);
    rewrite_clicks(&bench);
    let bench = bench.reopen();
    assert_eq!(bench.facts.snapshot().clicks[0].table.columns, place::VISITOR);
    for first in (300..2_400).step_by(300) {
        add_clicks(&bench, first..first + 300);
    }
    let all_found = |bench: &Bench| {
        for (place, (position, _, click)) in bench.journal.clicks().into_iter().enumerate() {
            let found = bench.facts.find(&[click.id], Position(u64::MAX)).unwrap().remove(0);
            let visitor = if place < 300 { Visitor::default() } else { click.visitor.clone() };
            let click = Click { personal: Personal::default(), visitor, ..click };
            assert_eq!(found, Some(Found { position, click }), "{position}");
        }
    };
    all_found(&bench);
    let verified = |bench: &Bench| crate::facts::verify(&bench.disk, Path::new(DIR), &mut |_| {});
    assert_eq!(verified(&bench), []);
    while bench.facts.merge().unwrap().is_some() {}
    assert_eq!(bench.facts.snapshot().clicks.len(), 1);
    all_found(&bench);
    assert_eq!(verified(&bench), []);
}

//! Files that an earlier release wrote are read, checked and merged like those of this one.

use super::*;
use crate::facts::layout::{HIT_PERSONAL, Layout};
use crate::facts::table::Table;
use crate::facts::write::Writer;

/// The sidecar of hits before they had a base and headers.
static FIRST: Layout = Layout {
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
    let mut writer = Writer::create(&bench.disk, &segment.sidecar, &FIRST).unwrap();
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

//! Files are what they say, and damage is noticed.

use super::model::{merge_all, query};
use super::{Bench, DIR, Journal};
use crate::disk::Disk;
use crate::disk::fault::{Crash, FaultDisk};
use crate::facts::table::Blob;
use crate::facts::{Error, Found, sealed_in, verify};
use domain::click_id::ClickId;
use domain::id::Position;
use domain::report::Dimension;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn filled() -> Bench {
    let bench = Bench::new();
    for seal in 0..3 {
        bench.add_records(seal * 2_600, 2_600);
        bench.facts.seal_all().unwrap();
    }
    bench
}

fn files(bench: &Bench, kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join(kind);
    let mut names = bench.disk.list(&dir).unwrap();
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}

#[test]
fn another_reader_reads_what_was_written() {
    let bench = filled();
    let clicks = bench.journal.clicks();
    let mut read = 0;
    for path in files(&bench, "click").iter().filter(|path| !is_sidecar(path)) {
        let blob = Blob::open(&bench.disk, path).unwrap();
        let file = SerializedFileReader::new(blob).unwrap();
        for row in file.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let fields: std::collections::BTreeMap<_, _> =
                row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect();
            let Field::ULong(position) = fields["position"] else { panic!("{fields:?}") };
            let (_, _, click) = clicks.iter().find(|(at, ..)| at.0 == position).unwrap();
            let Field::Bytes(id) = &fields["id"] else { panic!("{fields:?}") };
            assert_eq!(id.data(), click.id.to_bytes());
            assert_eq!(
                fields["clicked_at"],
                Field::TimestampMillis(click.id.at_ms().cast_signed())
            );
            assert_eq!(fields["link_id"], Field::UInt(click.id.link().0));
            assert_eq!(fields["campaign_id"], Field::UInt(click.campaign_id.0));
            assert_eq!(fields["is_test"], Field::Bool(click.is_test));
            let cost = click.cost.map_or(Field::Null, |cost| Field::Long(cost.0));
            assert_eq!(fields["cost_micros"], cost);
            for (label, text) in click.labels.iter() {
                assert_eq!(fields[label.name()], Field::Str(text.to_owned()));
            }
            let external_id = match &fields["external_id"] {
                Field::Bytes(bytes) => bytes.data(),
                _ => &[],
            };
            assert_eq!(external_id, &*click.external_id);
            read += 1;
        }
    }
    assert_eq!(read, clicks.len());
}

#[test]
fn any_changed_byte_of_a_page_is_noticed() {
    let bench = filled();
    merge_all(&bench.facts).unwrap();
    for kind in ["click", "hit"] {
        for path in files(&bench, kind) {
            let pages = end_of_pages(&bench, &path);
            for place in (4..pages).step_by(pages / 25) {
                let changed = bench.disk.after_crash(0, Crash::Kept);
                changed.tamper(&path, |bytes| bytes[place] ^= 0x10).unwrap();
                let problems = verify(&changed, Path::new(DIR), &mut |_| {});
                assert!(!problems.is_empty(), "{} at {place} of {pages}", path.display());
                assert!(problems.iter().all(|problem| problem.path == path), "{problems:?}");
            }
        }
    }
}

/// Where the index begins.
fn end_of_pages(bench: &Bench, path: &Path) -> usize {
    let file = SerializedFileReader::new(Blob::open(&bench.disk, path).unwrap()).unwrap();
    let chunks = file
        .metadata()
        .row_groups()
        .iter()
        .flat_map(parquet::file::metadata::RowGroupMetaData::columns);
    let offset = chunks
        .filter_map(parquet::file::metadata::ColumnChunkMetaData::column_index_offset)
        .min()
        .unwrap();
    usize::try_from(offset).unwrap()
}

#[test]
fn a_changed_index_is_noticed_where_it_matters() {
    let bench = filled();
    let path = files(&bench, "click").swap_remove(0);
    let (ids, right) = everything(&bench);
    let whole = query(&[Dimension::Campaign, Dimension::Day]);
    let sums = bench.facts.sum_clicks(&whole).unwrap();
    let bytes = bench.disk.bytes(&path).unwrap();
    let (mut opened, mut tried) = (0, 0);
    for place in (end_of_pages(&bench, &path)..bytes.len()).step_by(23) {
        let changed = bench.disk.after_crash(0, Crash::Kept);
        changed.tamper(&path, |bytes| bytes[place] ^= 4).unwrap();
        tried += 1;
        let problems = verify(&changed, Path::new(DIR), &mut |_| {});
        assert!(problems.iter().all(|problem| problem.path == path), "{problems:?}");
        let Ok(bench) = Bench::open(changed, bench.journal.clone()) else { continue };
        opened += 1;
        assert_eq!(bench.facts.sum_clicks(&whole).unwrap(), sums);
        assert_eq!(bench.facts.find(&ids, Position(u64::MAX)).unwrap(), right);
    }
    // Much of a footer is for other readers alone.
    assert!(opened < tried / 4 * 3, "{opened} of {tried} opened");
}

/// Some clicks that there are, and what is found of them.
fn everything(bench: &Bench) -> (Vec<ClickId>, Vec<Option<Found>>) {
    let clicks = bench.journal.clicks();
    let ids: Vec<_> = clicks.iter().step_by(83).map(|(_, _, click)| click.id).collect();
    let found = bench.facts.find(&ids, Position(u64::MAX)).unwrap();
    (ids, found)
}

#[test]
fn a_look_up_in_a_damaged_file_is_an_error_and_not_a_wrong_answer() {
    let bench = filled();
    let path = files(&bench, "click").swap_remove(0);
    let (ids, right) = everything(&bench);
    let bytes = bench.disk.bytes(&path).unwrap();
    for place in (4..bytes.len() / 2).step_by(bytes.len() / 60) {
        bench.disk.tamper(&path, |bytes| bytes[place] ^= 1).unwrap();
        for (id, right) in ids.iter().zip(&right) {
            match bench.facts.find(&[*id], Position(u64::MAX)) {
                Ok(found) => assert_eq!(&found[0], right),
                Err(error) => {
                    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                    // It ends applying: the log has to say what is to be done.
                    let said = crate::Error::from(error).to_string();
                    assert!(said.contains(path.to_str().unwrap()), "{said}");
                    assert!(said.contains("put the file back"), "{said}");
                }
            }
        }
        bench.disk.tamper(&path, |bytes| bytes[place] ^= 1).unwrap();
    }
}

#[test]
fn a_missing_file_is_an_error_at_the_start_and_a_problem_to_verify() {
    let bench = filled();
    let middle =
        files(&bench, "click").into_iter().filter(|path| !is_sidecar(path)).nth(1).unwrap();
    bench.disk.remove(&middle).unwrap();
    let problems = verify(&bench.disk, Path::new(DIR), &mut |_| {});
    assert!(problems[0].detail.contains("missing"), "{problems:?}");
    let Err(error) = Bench::open(bench.disk, bench.journal) else { panic!("it was opened") };
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_stranger_in_the_folder_is_a_problem_and_stays() {
    let bench = filled();
    let strangers = ["notes.tmp", "notes.txt"].map(|name| Path::new(DIR).join("click").join(name));
    for stranger in &strangers {
        drop(bench.disk.create(stranger).unwrap());
    }
    let mut problems = verify(&bench.disk, Path::new(DIR), &mut |_| {});
    problems.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(problems.iter().map(|problem| &problem.path).eq(&strangers), "{problems:?}");
    let bench = bench.reopen();
    assert!(strangers.iter().all(|stranger| bench.disk.bytes(stranger).is_ok()));
}

#[test]
fn a_file_under_another_name_is_refused() {
    let bench = filled();
    let path = files(&bench, "hit").into_iter().rfind(|path| !is_sidecar(path)).unwrap();
    let (from, to) = path.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap();
    let further = to.parse::<u64>().unwrap() + 1;
    bench
        .disk
        .rename(&path, &path.with_file_name(format!("{from}-{further:020}.parquet")))
        .unwrap();
    let Err(error) = Bench::open(bench.disk, bench.journal) else { panic!("it was opened") };
    assert!(error.to_string().contains("name"), "{error}");
}

#[test]
fn a_file_of_another_journal_is_refused_and_a_problem_to_verify() {
    let bench = filled();
    let other = Journal { id: [1; 16], ..Journal::default() };
    let other = Bench::open(FaultDisk::new(), Arc::new(other)).unwrap();
    for seal in 0..3 {
        other.add_records(seal * 2_600, 2_600);
        other.facts.seal_all().unwrap();
    }
    for kind in ["click", "hit"] {
        for path in files(&bench, kind) {
            let changed = bench.disk.after_crash(0, Crash::Kept);
            changed.tamper(&path, |bytes| *bytes = other.disk.bytes(&path).unwrap()).unwrap();
            let problems = verify(&changed, Path::new(DIR), &mut |_| {});
            // Where it is the first, the others are of another journal than that.
            assert!(!problems.is_empty(), "{}", path.display());
            for problem in problems {
                assert!(problem.detail.contains("another journal"), "{problem:?}");
            }
            let bench = Bench::open(changed, bench.journal.clone());
            let name = path.file_name().unwrap().to_str().unwrap();
            match (bench, name.contains("personal")) {
                (Err(error), false) => assert!(error.to_string().contains(name), "{error}"),
                (Ok(bench), true) => {
                    let clicks = bench.journal.clicks();
                    let read = |(at, ..): &(Position, _, _)| bench.facts.read_personal(*at);
                    let hits = bench.journal.hits();
                    let read_hit = |(at, ..): &(Position, _, _)| bench.facts.read_hit(*at);
                    let is_refused = clicks.iter().any(|it| read(it).is_err())
                        || hits.iter().any(|it| read_hit(it).is_err());
                    assert!(is_refused, "{name}");
                }
                (opened, _) => panic!("{name}: opened: {}", opened.is_ok()),
            }
        }
    }
}

#[test]
fn the_names_tell_how_far_the_files_go() {
    let dir = Path::new(DIR);
    assert_eq!(sealed_in(&FaultDisk::new(), dir).unwrap(), Position(0));
    let bench = filled();
    let operations = bench.disk.operations();
    assert_eq!(sealed_in(&bench.disk, dir).unwrap(), bench.facts.sealed());
    assert_eq!(bench.disk.operations(), operations, "nothing is changed");
    // A crash may leave the clicks' last file without the hits'.
    let last = files(&bench, "hit").into_iter().rfind(|path| !is_sidecar(path)).unwrap();
    bench.disk.remove(&last).unwrap();
    assert_eq!(sealed_in(&bench.disk, dir).unwrap(), bench.facts.sealed());
}

fn is_sidecar(path: &Path) -> bool {
    path.to_str().unwrap().contains("personal")
}

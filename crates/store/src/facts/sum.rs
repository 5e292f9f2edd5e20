//! Sums clicks for a report.
//!
//! Rows are counted by their codes; a value is looked at once for each row group that has it.
//! Files are sorted by time, so a day is a stretch of rows and no row's time is read; row groups
//! without the campaign or publisher that is asked for are not read at all.

use super::folder::Segment;
use super::hot::{Coded, IS_TEST, Rows};
use super::layout::click;
use super::table::Reading;
use super::tally::{Batch, Codes, Meaning, Tally};
use super::value::{self, Values};
use super::words::{Interner, NONE, Words};
use super::write::number;
use super::{Error, Facts};
use crate::disk::Disk;
use domain::click::Label;
use domain::report::{Dimension, Group, Query, Test};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads one report may use.
const THREADS_MAX: usize = 4;
/// So many rows in memory are counted at once: whoever adds clicks waits for no more.
const HOT_ROWS: usize = 16_384;
/// Rows are few where they are less than one in so many.
const FEW: usize = 8;

impl Facts {
    /// How many clicks each group of the query has, by the time in their ids. A click has no
    /// goal. Every click that was added before the call counts, once.
    pub fn sum_clicks(&self, query: &Query) -> Result<BTreeMap<Group, u64>, Error> {
        let snapshot = self.snapshot();
        // Noted before anything is counted: what is added later belongs to a later answer.
        let hot: Vec<_> = snapshot.hot.iter().map(|hot| (hot, hot.rows().clicks())).collect();
        let question = Question::new(query);
        let mut items = Vec::new();
        for segment in &snapshot.clicks {
            question.plan(&*self.disk, segment, &mut items)?;
        }
        let mut tally = question.sum(&*self.disk, &items)?;
        for (generation, clicks) in hot {
            for start in (0..clicks).step_by(HOT_ROWS) {
                let range = start..clicks.min(start + HOT_ROWS);
                let batch = question.hot(&generation.rows(), range);
                if let Some(batch) = batch {
                    tally.add(batch)?;
                }
            }
        }
        Ok(tally.into_answer())
    }
}

/// A stretch of one row group's rows, and where in it the query's days begin.
struct Item<'s> {
    segment: &'s Segment,
    group: usize,
    /// Counted over the file.
    rows: Range<u64>,
    /// The first row of each day from `first_day` on; as many as touch the stretch.
    days: Vec<u64>,
    first_day: u32,
}

/// A query, prepared.
struct Question<'q> {
    query: &'q Query,
    /// The first millisecond of each day, and of what comes after the last.
    bounds_ms: Vec<u64>,
}

impl<'q> Question<'q> {
    fn new(query: &'q Query) -> Self {
        let first_ms = |at: &domain::time::Timestamp| {
            // An id's time is whole milliseconds: those not before the instant.
            let ms = at.as_us().max(0).cast_unsigned().div_ceil(1_000);
            ms.min(domain::click_id::AT_MS_MAX + 1)
        };
        Self { query, bounds_ms: query.day_bounds.iter().map(first_ms).collect() }
    }

    /// Adds the row groups of a file that may have something to count.
    fn plan<'s>(
        &self,
        disk: &dyn Disk,
        segment: &'s Segment,
        items: &mut Vec<Item<'s>>,
    ) -> Result<(), Error> {
        let table = &segment.table;
        let key = |ms: u64| u128::from(ms) << 80;
        let (from, to) = (key(self.bounds_ms[0]), key(self.bounds_ms[self.bounds_ms.len() - 1]));
        if table.first_key().is_none_or(|first| first >= to) || table.index.last_key < from {
            return Ok(());
        }
        let mut reading = table.read(disk)?;
        let mut cuts = Vec::with_capacity(self.bounds_ms.len());
        for ms in &self.bounds_ms {
            cuts.push(reading.find(key(*ms))?.0);
        }
        let (from, to) = (cuts[0], cuts[cuts.len() - 1]);
        for (place, group) in table.index.groups.iter().enumerate() {
            let rows = from.max(group.first_row)..to.min(group.first_row + group.rows as u64);
            if rows.is_empty() || !self.may_have(segment, place) {
                continue;
            }
            let first_day = cuts.partition_point(|cut| *cut <= rows.start) - 1;
            let after = cuts.partition_point(|cut| *cut < rows.end);
            let days = cuts[first_day..after].to_vec();
            let first_day = u32::try_from(first_day).expect("a query has few days");
            items.push(Item { segment, group: place, rows, days, first_day });
        }
        Ok(())
    }

    /// Counts all items, on several threads.
    fn sum(&self, disk: &dyn Disk, items: &[Item<'_>]) -> Result<Tally, Error> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Tally, Error> {
            let mut tally = Tally::new(self.query);
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                let counted = self.group(disk, item).and_then(|batch| match batch {
                    Some(batch) => tally.add(batch),
                    None => Ok(()),
                });
                // Nobody needs the rest then.
                counted.inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            }
            Ok(tally)
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let helpers = threads.min(THREADS_MAX).min(items.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut outcome = work();
            for helper in helpers {
                let helped = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                outcome = outcome.and_then(|mut tally| {
                    tally.merge(&helped?)?;
                    Ok(tally)
                });
            }
            outcome
        })
    }

    /// Whether the row group may have what the query's filters ask for.
    fn may_have(&self, segment: &Segment, group: usize) -> bool {
        let within = |column: usize, wanted: Option<u32>| match wanted {
            Some(wanted) => segment
                .table
                .range(group, column)
                .is_none_or(|(least, greatest)| (least..=greatest).contains(&wanted)),
            None => true,
        };
        within(click::CAMPAIGN, self.query.campaign_id.map(|id| id.0))
            && within(click::PUBLISHER, self.query.publisher_id.map(|id| id.0))
            && match self.query.test {
                Test::With => true,
                Test::Without => within(click::IS_TEST, Some(0)),
                Test::Only => within(click::IS_TEST, Some(1)),
            }
    }

    /// The stretch's rows that count, as codes; `None` without any.
    fn group(&self, disk: &dyn Disk, item: &Item<'_>) -> Result<Option<Batch>, Error> {
        let mut stretch = Stretch::new(item, item.segment.table.read(disk)?);
        let mut kept: Option<Vec<u32>> = None;
        let filters = [
            (click::CAMPAIGN, self.query.campaign_id.map(|id| id.0)),
            (click::PUBLISHER, self.query.publisher_id.map(|id| id.0)),
        ];
        for (column, wanted) in filters {
            let Some(wanted) = wanted else { continue };
            if item.segment.table.range(item.group, column) == Some((wanted, wanted)) {
                continue;
            }
            let (codes, words) = stretch.codes(column)?;
            let code = words.iter().position(|word| number(word) == Some(wanted));
            let Some(code) = code else { return Ok(None) };
            keep(&mut kept, codes.len(), |row| codes[row] as usize == code);
        }
        let mut without = Vec::new();
        let is_mixed = item.segment.table.range(item.group, click::IS_TEST) == Some((0, 1));
        if self.query.test != Test::With && is_mixed {
            let flags = stretch.flags(click::IS_TEST)?;
            let is_out = |row: usize| !self.query.test.admits(flags[row] == 1);
            let out = (0..flags.len()).filter(|row| is_out(*row)).count();
            if kept.is_none() && out < flags.len() / FEW {
                let rows = 0..u32::try_from(flags.len()).expect("a row group is small");
                without = rows.filter(|row| is_out(*row as usize)).collect();
            } else {
                keep(&mut kept, flags.len(), |row| !is_out(row));
            }
        }
        let mut batch = Batch::new(kept.as_ref().map_or(stretch.len(), Vec::len));
        for dimension in &self.query.group_by {
            let (codes, meaning) = match column_of(*dimension) {
                Some(column) => {
                    let (codes, words) = stretch.codes(column)?;
                    (Codes::Each(codes), Meaning::Words(words))
                }
                None if *dimension == Dimension::Day => {
                    (item.day_codes(), Meaning::Days(item.first_day))
                }
                None => (Codes::All(0), Meaning::None),
            };
            let codes = match (&kept, codes) {
                (Some(kept), Codes::Each(codes)) => {
                    Codes::Each(kept.iter().map(|row| codes[*row as usize]).collect())
                }
                (_, codes) => codes,
            };
            batch.add(codes, meaning);
        }
        batch.leave_out(without);
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// The rows of a generation that count, as codes; `None` without any.
    fn hot(&self, rows: &Rows, range: Range<usize>) -> Option<Batch> {
        let code_of = |column: &Coded, wanted: Option<u32>| match wanted {
            Some(wanted) => column.words.find(&wanted.to_le_bytes()).map(Some),
            None => Some(None),
        };
        let campaign = code_of(&rows.campaigns, self.query.campaign_id.map(|id| id.0))?;
        let publisher = code_of(&rows.publishers, self.query.publisher_id.map(|id| id.0))?;
        let mut kept = Vec::with_capacity(range.len());
        let mut days = Vec::with_capacity(range.len());
        // Clicks of one day mostly follow one another.
        let (mut day, mut day_ms) = (0, 0..0);
        for row in range {
            let ms = rows.ids[row].at_ms();
            if !day_ms.contains(&ms) {
                let after = self.bounds_ms.partition_point(|bound| *bound <= ms);
                if after == 0 || after == self.bounds_ms.len() {
                    continue;
                }
                day = u32::try_from(after - 1).expect("a query has few days");
                day_ms = self.bounds_ms[after - 1]..self.bounds_ms[after];
            }
            let counts = self.query.test.admits(rows.flags[row] & IS_TEST != 0)
                && campaign.is_none_or(|code| rows.campaigns.codes[row] == code)
                && publisher.is_none_or(|code| rows.publishers.codes[row] == code);
            if counts {
                kept.push(row);
                days.push(day);
            }
        }
        let mut batch = Batch::new(kept.len());
        for dimension in &self.query.group_by {
            let coded = |column: &Coded| {
                let code = |row: &usize| column.codes.get(*row).copied().unwrap_or(NONE);
                compact(kept.iter().map(code), column.words.words())
            };
            let (codes, meaning) = match dimension {
                Dimension::Day => (Codes::Each(days.clone()), Meaning::Days(0)),
                Dimension::Campaign => coded(&rows.campaigns),
                Dimension::Publisher => coded(&rows.publishers),
                Dimension::Label(label) => match rows.label(*label) {
                    Some(column) => coded(column),
                    None => (Codes::All(0), Meaning::None),
                },
                Dimension::Goal => (Codes::All(0), Meaning::None),
            };
            batch.add(codes, meaning);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// The codes with those words alone that occur: a generation has far more than a few rows use.
fn compact(codes: impl Iterator<Item = u32>, words: &Words) -> (Codes, Meaning) {
    let mut used = Words::default();
    let mut places: HashMap<u32, u32> = HashMap::new();
    let codes = codes
        .map(|code| {
            if code == NONE {
                return NONE;
            }
            *places.entry(code).or_insert_with(|| {
                used.push(words.get(code as usize).expect("a code has a word"));
                u32::try_from(used.len() - 1).expect("there are few rows")
            })
        })
        .collect();
    (Codes::Each(codes), Meaning::Words(used))
}

/// The column that a dimension is, where it is one.
fn column_of(dimension: Dimension) -> Option<usize> {
    match dimension {
        Dimension::Campaign => Some(click::CAMPAIGN),
        Dimension::Publisher => Some(click::PUBLISHER),
        Dimension::Label(label) => Some(label_column(label)),
        Dimension::Day | Dimension::Goal => None,
    }
}

fn label_column(label: Label) -> usize {
    click::LABELS + usize::from(label.code())
}

/// Keeps, of the rows kept so far, those that pass.
fn keep(kept: &mut Option<Vec<u32>>, rows: usize, passes: impl Fn(usize) -> bool) {
    match kept {
        Some(kept) => kept.retain(|row| passes(*row as usize)),
        None => {
            let rows = 0..u32::try_from(rows).expect("a row group is small");
            *kept = Some(rows.filter(|row| passes(*row as usize)).collect());
        }
    }
}

impl Item<'_> {
    /// The day of each row, counted from `first_day`.
    fn day_codes(&self) -> Codes {
        let last = u32::try_from(self.days.len() - 1).expect("a query has few days");
        if last == 0 {
            return Codes::All(0);
        }
        let mut codes = Vec::new();
        let len = |until: u64| usize::try_from(until - self.rows.start).expect("a group is small");
        for (day, end) in (0..last).zip(&self.days[1..]) {
            codes.resize(len(*end), day);
        }
        codes.resize(len(self.rows.end), last);
        Codes::Each(codes)
    }
}

/// Reads columns of an item's rows.
struct Stretch<'i> {
    reading: Reading<'i>,
    group: usize,
    pages: Range<usize>,
    /// The rows among those of the pages.
    rows: Range<usize>,
}

impl<'i> Stretch<'i> {
    fn new(item: &Item<'i>, reading: Reading<'i>) -> Self {
        let table = reading.table;
        let first = table.index.groups[item.group].first_row;
        let within = |row: u64| usize::try_from(row - first).expect("a row group is small");
        let rows = within(item.rows.start)..within(item.rows.end);
        let page_rows = table.layout.page_rows;
        let pages = rows.start / page_rows..rows.end.div_ceil(page_rows);
        let before = pages.start * page_rows;
        Self { reading, group: item.group, pages, rows: rows.start - before..rows.end - before }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows' codes and the words they stand for.
    fn codes(&mut self, column: usize) -> Result<(Vec<u32>, Words), Error> {
        let table = self.reading.table;
        if table.is_none(self.group, column) {
            return Ok((vec![NONE; self.len()], Words::default()));
        }
        let is_coded = table.is_coded(self.group, column);
        let form = table.layout.columns[column].form;
        let mut interner = Interner::default();
        let words = match is_coded {
            true => self.reading.words(self.group, column)?,
            false => Words::default(),
        };
        let mut codes = Vec::with_capacity(self.rows.end);
        self.reading.pages(self.group, column, self.pages.clone(), |page| {
            if is_coded {
                return value::read_codes(page, words.len(), &mut codes);
            }
            let Values::Words { levels, words } = value::read_all(page, form, 0)? else {
                return None;
            };
            let mut words = words.iter();
            for level in levels {
                codes.push(if level == 1 { interner.intern(words.next()?) } else { NONE });
            }
            Some(())
        })?;
        self.cut(&mut codes);
        Ok((codes, if is_coded { words } else { interner.into_words() }))
    }

    fn flags(&mut self, column: usize) -> Result<Vec<u32>, Error> {
        let mut flags = Vec::with_capacity(self.rows.end);
        self.reading.pages(self.group, column, self.pages.clone(), |page| {
            super::bits::read_runs(page.flags()?, 1, page.rows, &mut flags)
        })?;
        self.cut(&mut flags);
        Ok(flags)
    }

    fn cut(&self, values: &mut Vec<u32>) {
        values.truncate(self.rows.end);
        values.drain(..self.rows.start);
    }
}

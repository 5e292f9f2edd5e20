//! Counts rows by the codes of several columns, without looking at a value more than once.
//!
//! A batch's codes are replaced by codes that hold for all batches. Then the columns are drawn
//! together one after the other: each pair of what a row had so far and its next code gets a
//! number, in the order in which pairs are first seen, and the last number is the row's group. A
//! pair is looked up in an array wherever that fits a processor's cache: one read for a row.

use super::Error;
use super::bits::width_of;
use super::words::{Interner, NONE, Words};
use super::write::number;
use domain::id::{CampaignId, PublisherId};
use domain::report::{Dimension, GROUPS_MAX, Group, Query, Value};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Pairs are looked up in an array of at most so many cells; those beyond it in a hash table.
const CELLS_MAX: usize = 1 << 19;
/// The code of no value; words have those after it.
const NOTHING: u32 = 0;

/// Rows to count, as codes.
pub(super) struct Batch {
    rows: usize,
    columns: Vec<Column>,
    without: Vec<u32>,
}

/// A dimension of a batch.
struct Column {
    codes: Codes,
    meaning: Meaning,
}

/// The codes of a batch's rows.
pub(super) enum Codes {
    All(u32),
    Each(Vec<u32>),
}

/// What codes stand for.
pub(super) enum Meaning {
    /// Days, counted from this one.
    Days(u32),
    /// Words, and [`NONE`] for none.
    Words(Words),
    /// All for none.
    None,
}

impl Batch {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows, columns: Vec::new(), without: Vec::new() }
    }

    /// Adds a dimension.
    pub(super) fn add(&mut self, codes: Codes, meaning: Meaning) {
        if let Codes::Each(codes) = &codes {
            assert_eq!(codes.len(), self.rows, "each row has each dimension");
        }
        self.columns.push(Column { codes, meaning });
    }

    /// Leaves some rows out: cheaper, where they are few, than to leave them out of each column.
    pub(super) fn leave_out(&mut self, rows: Vec<u32>) {
        self.without = rows;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == self.without.len()
    }
}

/// The groups found so far, and how many rows each has.
pub(super) struct Tally {
    dimensions: Vec<Dimension>,
    /// The words of each dimension that some row had.
    values: Vec<Interner>,
    /// One for each dimension but the first.
    levels: Vec<Level>,
    /// By group.
    counts: Vec<u64>,
}

/// Numbers for the pairs of a group of the dimensions before and a code of this one.
#[derive(Default)]
struct Level {
    pairs: Vec<(u32, u32)>,
    /// How many bits a code has in a cell's place; the group has those above.
    bits: u32,
    /// The pair's number, or [`NONE`].
    cells: Vec<u32>,
    /// The numbers of pairs whose cell would be too far out.
    distant: HashMap<(u32, u32), u32>,
}

impl Tally {
    pub(super) fn new(query: &Query) -> Self {
        let dimensions = query.group_by.clone();
        Self {
            values: dimensions.iter().map(|_| Interner::default()).collect(),
            levels: dimensions.iter().skip(1).map(|_| Level::default()).collect(),
            dimensions,
            counts: Vec::new(),
        }
    }

    /// Counts a batch.
    pub(super) fn add(&mut self, batch: Batch) -> Result<(), Error> {
        let mut groups = Codes::All(0);
        for (place, column) in batch.columns.into_iter().enumerate() {
            let codes = self.recode(place, column);
            groups = match place.checked_sub(1) {
                None => codes,
                Some(level) => self.levels[level].draw(groups, codes),
            };
        }
        match groups {
            Codes::All(group) => {
                self.make_room(group);
                self.counts[group as usize] += (batch.rows - batch.without.len()) as u64;
            }
            Codes::Each(groups) => {
                self.make_room(groups.iter().max().copied().unwrap_or(0));
                for group in &groups {
                    self.counts[*group as usize] += 1;
                }
                for row in batch.without {
                    self.counts[groups[row as usize] as usize] -= 1;
                }
            }
        }
        self.check()
    }

    fn make_room(&mut self, group: u32) {
        let len = self.counts.len().max(group as usize + 1);
        self.counts.resize(len, 0);
    }

    /// More groups than an answer may have are an error as soon as that is certain: a row that is
    /// left out may have led to a group without rows.
    fn check(&self) -> Result<(), Error> {
        let groups = self.levels.last().map_or(self.counts.len(), |last| last.pairs.len());
        if groups > GROUPS_MAX && self.groups().count() > GROUPS_MAX {
            return Err(Error::TooManyGroups);
        }
        Ok(())
    }

    /// The codes that hold for all batches.
    fn recode(&mut self, place: usize, column: Column) -> Codes {
        let words = match (&column.meaning, column.codes) {
            (Meaning::None, _) => return Codes::All(NOTHING),
            (Meaning::Days(first), Codes::All(day)) => return Codes::All(first + day),
            (Meaning::Days(first), Codes::Each(mut days)) => {
                for day in &mut days {
                    *day += first;
                }
                return Codes::Each(days);
            }
            (Meaning::Words(words), codes) => (words, codes),
        };
        let (words, codes) = words;
        let values = &mut self.values[place];
        // What has no word is none.
        let mut known = vec![NONE; words.len()];
        let mut own = |code: u32| match known.get_mut(code as usize) {
            Some(own) if *own == NONE => {
                let word = words.get(code as usize).expect("each code has a word");
                *own = values.intern(word) + 1;
                *own
            }
            Some(own) => *own,
            None => NOTHING,
        };
        match codes {
            Codes::All(code) => Codes::All(own(code)),
            Codes::Each(mut codes) => {
                for code in &mut codes {
                    *code = own(*code);
                }
                Codes::Each(codes)
            }
        }
    }

    /// The code of each dimension that a group has.
    fn codes(&self, mut group: u32) -> Vec<u32> {
        let mut codes = vec![NOTHING; self.dimensions.len()];
        for (level, code) in self.levels.iter().zip(codes.iter_mut().skip(1)).rev() {
            (group, *code) = level.pairs[group as usize];
        }
        if let Some(first) = codes.first_mut() {
            *first = group;
        }
        codes
    }

    /// The groups with rows, and how many.
    fn groups(&self) -> impl Iterator<Item = (Vec<u32>, u64)> {
        let groups = (0_u32..).zip(&self.counts).filter(|(_, rows)| **rows > 0);
        groups.map(|(group, rows)| (self.codes(group), *rows))
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        for (codes, rows) in other.groups() {
            let mut group = 0;
            for (place, code) in codes.into_iter().enumerate() {
                let code = match self.dimensions[place] {
                    Dimension::Day => code,
                    _ => match code.checked_sub(1) {
                        Some(word) => {
                            let word = other.values[place].words().get(word as usize);
                            self.values[place].intern(word.expect("a code has a word")) + 1
                        }
                        None => NOTHING,
                    },
                };
                group = match place.checked_sub(1) {
                    None => code,
                    Some(level) => self.levels[level].number(group, code),
                };
            }
            self.make_room(group);
            self.counts[group as usize] += rows;
        }
        self.check()
    }

    pub(super) fn into_answer(self) -> BTreeMap<Group, u64> {
        let value = |place: usize, code: u32| {
            let word = || {
                let word = self.values[place].words().get(code as usize - 1);
                word.expect("a code has a word")
            };
            let id = || number(word()).unwrap_or_default();
            match self.dimensions[place] {
                Dimension::Day => Value::Day(code),
                _ if code == NOTHING => Value::None,
                Dimension::Campaign => Value::Campaign(CampaignId(id())),
                Dimension::Publisher => Value::Publisher(PublisherId(id())),
                Dimension::Label(_) => Value::Text(String::from_utf8_lossy(word()).into_owned()),
                Dimension::Goal => Value::None,
            }
        };
        let group = |codes: Vec<u32>| {
            codes.into_iter().enumerate().map(|(place, code)| value(place, code)).collect()
        };
        self.groups().map(|(codes, rows)| (group(codes), rows)).collect()
    }
}

impl Level {
    /// The numbers of the pairs of each row's group and code.
    fn draw(&mut self, groups: Codes, codes: Codes) -> Codes {
        self.make_room(groups.below(), codes.below());
        match (groups, codes) {
            (Codes::All(group), Codes::All(code)) => Codes::All(self.number(group, code)),
            (Codes::All(group), Codes::Each(mut codes)) => {
                for code in &mut codes {
                    *code = self.look_up(group, *code);
                }
                Codes::Each(codes)
            }
            (Codes::Each(mut groups), Codes::All(code)) => {
                for group in &mut groups {
                    *group = self.look_up(*group, code);
                }
                Codes::Each(groups)
            }
            (Codes::Each(mut groups), Codes::Each(codes)) => {
                for (group, code) in groups.iter_mut().zip(codes) {
                    *group = self.look_up(*group, code);
                }
                Codes::Each(groups)
            }
        }
    }

    /// The number of a pair, for whose code there is room.
    #[inline]
    fn look_up(&mut self, group: u32, code: u32) -> u32 {
        match self.cells.get((group as usize) << self.bits | code as usize) {
            Some(number) if *number != NONE => *number,
            _ => self.number(group, code),
        }
    }

    /// Makes cells for so many groups and codes, as far as there may be.
    fn make_room(&mut self, groups: usize, codes: usize) {
        let bits = width_of(codes);
        if bits > self.bits {
            self.bits = bits;
            self.cells.fill(NONE);
            self.distant.clear();
            let wide = self.cells.len().max((groups << bits).min(CELLS_MAX));
            self.cells.resize(wide, NONE);
            for number in 0..self.pairs.len() {
                let (group, code) = self.pairs[number];
                self.put(group, code, u32::try_from(number).expect("there are few groups"));
            }
        }
        let wanted = (groups << self.bits).min(CELLS_MAX);
        if wanted > self.cells.len() {
            // Pairs among the distant ones would not be found any more in a cell of their own.
            let old = self.cells.len();
            self.cells.resize(wanted, NONE);
            let (bits, cells) = (self.bits, &mut self.cells);
            self.distant.retain(|(group, code), number| {
                let cell = (*group as usize) << bits | *code as usize;
                let is_near = (old..wanted).contains(&cell);
                if is_near {
                    cells[cell] = *number;
                }
                !is_near
            });
        }
    }

    fn put(&mut self, group: u32, code: u32, number: u32) {
        match self.cells.get_mut((group as usize) << self.bits | code as usize) {
            Some(cell) => *cell = number,
            None => drop(self.distant.insert((group, code), number)),
        }
    }

    /// The number of a pair, a new one where it was not seen before.
    fn number(&mut self, group: u32, code: u32) -> u32 {
        if u64::from(code) >> self.bits != 0 {
            self.make_room(group as usize + 1, code as usize + 1);
        }
        let known = match self.cells.get((group as usize) << self.bits | code as usize) {
            Some(number) => Some(*number).filter(|number| *number != NONE),
            None => self.distant.get(&(group, code)).copied(),
        };
        known.unwrap_or_else(|| {
            let number = u32::try_from(self.pairs.len()).expect("there are few groups");
            self.pairs.push((group, code));
            self.put(group, code, number);
            number
        })
    }
}

impl Codes {
    /// All codes are below this.
    fn below(&self) -> usize {
        let most = match self {
            Self::All(code) => Some(code),
            Self::Each(codes) => codes.iter().max(),
        };
        most.map_or(0, |most| *most as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::click::Label;
    use domain::report::Test;
    use domain::time::Timestamp;
    use proptest::prelude::*;

    fn query(group_by: Vec<Dimension>) -> Query {
        Query {
            day_bounds: vec![Timestamp::UNIX_EPOCH, Timestamp::MAX],
            group_by,
            campaign_id: None,
            publisher_id: None,
            test: Test::With,
        }
    }

    /// Rows of four words, in batches that code them anew.
    fn tally(batches: &[Vec<[u32; 4]>]) -> Result<Tally, Error> {
        let group_by = (1..=4).map(|sub| Dimension::Label(Label::Sub(sub))).collect();
        let query = query(group_by);
        let mut halves = [Tally::new(&query), Tally::new(&query)];
        for (place, rows) in batches.iter().enumerate() {
            let mut batch = Batch::new(rows.len());
            for column in 0..4 {
                let mut words = Interner::default();
                let codes = rows.iter().map(|row| match row[column] {
                    0 => NONE,
                    word => words.intern(word.to_string().as_bytes()),
                });
                let codes = codes.collect();
                batch.add(Codes::Each(codes), Meaning::Words(words.into_words()));
            }
            halves[place % 2].add(batch)?;
        }
        let [mut first, second] = halves;
        first.merge(&second)?;
        Ok(first)
    }

    proptest! {
        #[test]
        fn groups_are_counted_as_one_by_one(
            batches in proptest::collection::vec(
                proptest::collection::vec([0..3_u32, 0..900, 0..900, 0..2], 0..300), 0..5),
        ) {
            let mut expected = BTreeMap::new();
            for row in batches.iter().flatten() {
                let value = |word: &u32| match word {
                    0 => Value::None,
                    word => Value::Text(word.to_string()),
                };
                *expected.entry(row.iter().map(value).collect::<Group>()).or_insert(0) += 1;
            }
            prop_assert_eq!(tally(&batches).unwrap().into_answer(), expected);
        }
    }

    #[test]
    fn too_many_groups_are_an_error() {
        let most = u32::try_from(GROUPS_MAX).unwrap();
        let rows = |count: u32| (0..count).map(|row| [1, row % 400, row / 400, 1]).collect();
        assert_eq!(tally(&[rows(most)]).unwrap().into_answer().len(), GROUPS_MAX);
        assert!(matches!(tally(&[rows(most + 1)]), Err(Error::TooManyGroups)));
        let words = (0..=most).map(|row| [row + 1, 1, 1, 1]).collect();
        assert!(matches!(tally(&[words]), Err(Error::TooManyGroups)));
    }
}

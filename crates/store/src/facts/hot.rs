//! A generation: the clicks since the last seal, in memory, found by id and summed by columns.
//!
//! Rows are only added, by one thread and in journal order, and a row never changes: whoever
//! noted how many there were sees those, and none besides, however many come after. Once sealed
//! over, a generation gets no more rows. A label costs nothing until some click has it.

use super::words::{Interner, NONE, Words};
use super::{Found, read_lock};
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::ClickId;
use domain::id::{CampaignId, Position, PublisherId};
use domain::money::Micros;
use domain::time::Timestamp;
use domain::visitor::{Known, Visitor};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// A generation with so many clicks, or hits, is sealed.
pub const SEAL_ROWS: usize = 500_000;
/// So is one whose texts, or whose hits in the journal, take so many bytes.
pub const SEAL_BYTES: usize = 64 * 1024 * 1024;
/// And one whose first record is so old, in seconds.
pub const SEAL_AFTER_S: i64 = 15 * 60;
/// Where the one before cannot be sealed, a generation grows beyond that, but not beyond so many
/// clicks, or hits.
pub const HOT_ROWS_MAX: usize = 2 * SEAL_ROWS;
/// Nor beyond so many bytes.
pub const HOT_BYTES_MAX: usize = 2 * SEAL_BYTES;

/// Clicks and hits of one stretch of the journal.
#[derive(Debug)]
pub(super) struct Generation {
    rows: RwLock<Rows>,
}

/// The clicks' columns, and what is known of the hits.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) ids: Vec<ClickId>,
    pub(super) positions: Vec<u64>,
    pub(super) campaigns: Coded,
    pub(super) publishers: Coded,
    /// Bits: [`IS_LIVE`], [`IS_TEST`].
    pub(super) flags: Vec<u8>,
    costs: Vec<Option<Micros>>,
    external_ids: Words,
    labels: [Option<Box<Coded>>; Label::ALL.len()],
    visitors: [Coded; Known::ALL.len()],
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
    hits: usize,
    hit_bytes: usize,
    /// When the first and newest record of its stretch were journaled.
    at: Option<(Timestamp, Timestamp)>,
}

pub(super) const IS_LIVE: u8 = 1;
pub(super) const IS_TEST: u8 = 2;

/// A column of words.
#[derive(Debug, Default)]
pub(super) struct Coded {
    pub(super) words: Interner,
    /// [`NONE`] where a row has no value.
    pub(super) codes: Vec<u32>,
}

impl Coded {
    fn push(&mut self, word: &[u8]) {
        let code = self.words.intern(word);
        self.codes.push(code);
    }

    /// A row's value, where it has one.
    pub(super) fn word(&self, row: usize) -> Option<&[u8]> {
        let code = self.codes.get(row).copied().filter(|code| *code != NONE)?;
        self.words.words().get(code as usize)
    }
}

impl Generation {
    pub(super) fn new() -> Self {
        Self { rows: RwLock::new(Rows::default()) }
    }

    /// Holds up whoever adds: not for long.
    pub(super) fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        read_lock(&self.rows)
    }

    pub(super) fn add_click(&self, position: Position, at: Timestamp, click: &Click<'_>) {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).add_click(position, at, click);
    }

    pub(super) fn add_hit(&self, at: Timestamp, bytes: usize) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.hits += 1;
        rows.hit_bytes += bytes;
        rows.stamp(at);
    }

    /// A record without a row.
    pub(super) fn pass(&self, at: Timestamp) {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).stamp(at);
    }
}

impl Rows {
    fn add_click(&mut self, position: Position, at: Timestamp, click: &Click<'_>) {
        let row = self.ids.len();
        let number = u32::try_from(row).expect("a generation is sealed long before");
        self.ids.push(click.id);
        self.positions.push(position.0);
        self.campaigns.push(&click.campaign_id.0.to_le_bytes());
        self.publishers.push(&click.publisher_id.0.to_le_bytes());
        self.flags.push(
            if click.is_live { IS_LIVE } else { 0 } | if click.is_test { IS_TEST } else { 0 },
        );
        if click.cost.is_some() || !self.costs.is_empty() {
            self.costs.resize(row, None);
            self.costs.push(click.cost);
        }
        if !click.external_id.is_empty() {
            while self.external_ids.len() < row {
                self.external_ids.push(&[]);
            }
            self.external_ids.push(&click.external_id);
        }
        for (label, value) in click.labels.iter() {
            let column = self.labels[usize::from(label.code())].get_or_insert_default();
            column.codes.resize(row, NONE);
            column.push(value.as_bytes());
        }
        for (column, word) in self.visitors.iter_mut().zip(click.visitor.words()) {
            if !word.is_empty() {
                column.codes.resize(row, NONE);
                column.push(word.as_bytes());
            }
        }
        let Self { by_id, hasher, ids, .. } = self;
        let hash = hasher.hash_one(click.id);
        // An id that came twice leads to the first click that has it.
        if by_id.find(hash, |row| ids[*row as usize] == click.id).is_none() {
            by_id.insert_unique(hash, number, |row| hasher.hash_one(ids[*row as usize]));
        }
        self.stamp(at);
    }

    fn stamp(&mut self, at: Timestamp) {
        let first = self.at.map_or(at, |(first, _)| first);
        self.at = Some((first, at));
    }

    /// How many clicks there are.
    pub(super) fn clicks(&self) -> usize {
        self.ids.len()
    }

    /// How many hits there are.
    pub(super) fn hits(&self) -> usize {
        self.hits
    }

    /// When the first and newest record were journaled; `None` where there is none.
    pub(super) fn at(&self) -> Option<(Timestamp, Timestamp)> {
        self.at
    }

    /// Whether it has all the rows it should have.
    pub(super) fn is_full(&self) -> bool {
        self.reaches(SEAL_ROWS, SEAL_BYTES)
    }

    /// Whether it has all the rows it may have, come what may.
    pub(super) fn is_overfull(&self) -> bool {
        self.reaches(HOT_ROWS_MAX, HOT_BYTES_MAX)
    }

    fn reaches(&self, rows: usize, bytes: usize) -> bool {
        let texts = self.labels.iter().flatten().map(|label| label.words.words().heap_bytes());
        self.ids.len() >= rows
            || self.hits >= rows
            || self.hit_bytes >= bytes
            || texts.sum::<usize>() + self.external_ids.heap_bytes() >= bytes
    }

    /// Whether it should be sealed: it is full, or its first record is old enough.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.is_full() || self.at.is_some_and(|(first, _)| first.plus_s(SEAL_AFTER_S) <= now)
    }

    pub(super) fn cost(&self, row: usize) -> Option<Micros> {
        self.costs.get(row).copied().flatten()
    }

    /// Empty: none.
    pub(super) fn external_id(&self, row: usize) -> &[u8] {
        self.external_ids.get(row).unwrap_or_default()
    }

    /// A label's column, where any row has it. It may be shorter than others: the rest has none.
    pub(super) fn label(&self, label: Label) -> Option<&Coded> {
        self.labels[usize::from(label.code())].as_deref()
    }

    /// The columns of what is known of the visitor, in the order of its words; each as long as
    /// there is something.
    pub(super) fn visitors(&self) -> &[Coded; Known::ALL.len()] {
        &self.visitors
    }

    /// The first click of this id, where its position is below `before`.
    pub(super) fn find(&self, id: ClickId, before: Position) -> Option<Found> {
        let found = self.by_id.find(self.hasher.hash_one(id), |row| self.ids[*row as usize] == id);
        let row = *found? as usize;
        let position = Position(self.positions[row]);
        if position >= before {
            return None;
        }
        let mut labels = Labels::default();
        for label in Label::ALL {
            let word = self.label(label).and_then(|column| column.word(row));
            if let Some(word) = word {
                labels.set(label, text(word));
            }
        }
        let click = Click {
            id,
            campaign_id: CampaignId(number_at(&self.campaigns, row)),
            publisher_id: PublisherId(number_at(&self.publishers, row)),
            is_live: self.flags[row] & IS_LIVE != 0,
            is_test: self.flags[row] & IS_TEST != 0,
            cost: self.cost(row),
            external_id: Cow::Owned(self.external_id(row).to_vec()),
            labels,
            personal: Personal::default(),
            visitor: self.visitor(row),
        };
        Some(Found { position, click })
    }

    fn visitor(&self, row: usize) -> Visitor<'static> {
        let words =
            self.visitors.each_ref().map(|column| column.word(row).map_or_else(String::new, text));
        Visitor::from_words(words).expect("they are the words of one that was added")
    }
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

fn number_at(column: &Coded, row: usize) -> u32 {
    let word = column.words.words().get(column.codes[row] as usize);
    super::write::number(word.expect("a code has a word")).expect("a number has four bytes")
}

//! Finds clicks by their ids.
//!
//! An id begins with its time and files are sorted by id, so of all files one or two come into
//! question, of that one page of ids, and of each other column the one page with the same row.
//! Columns without a value in the row group are not looked at. Dictionaries are kept, up to a
//! bound, for they are what takes longest to read.

use super::folder::Segment;
use super::layout::click;
use super::table::{PageAt, Reading};
use super::value::{self, Cell};
use super::words::Words;
use super::write::number;
use super::{Error, Facts, lock};
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::ClickId;
use domain::id::{CampaignId, Position, PublisherId};
use domain::money::Micros;
use domain::visitor::{Known, Visitor};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::sync::{Arc, Mutex};

/// How much memory dictionaries may take.
pub(super) const WORDS_BYTES_MAX: usize = 24 * 1024 * 1024;

/// A click that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the journal has, or had, its record.
    pub position: Position,
    /// What is known of it, but for its personal data, which stay empty.
    pub click: Click<'static>,
}

impl Facts {
    /// Looks each id up: an answer for each, in order. A click journaled at `before` or later
    /// is not found; of two with one id, the earlier is.
    pub fn find(&self, ids: &[ClickId], before: Position) -> Result<Vec<Option<Found>>, Error> {
        let snapshot = self.snapshot();
        let mut found: Vec<Option<Found>> = vec![None; ids.len()];
        for generation in &snapshot.hot {
            let rows = generation.rows();
            for (id, found) in ids.iter().zip(&mut found) {
                if found.is_none() {
                    *found = rows.find(*id, before);
                }
            }
        }
        // An id is in a file and in memory only if a click was journaled twice. The first counts.
        for segment in snapshot.clicks.iter().rev() {
            let wanted = |id: &ClickId| segment.table.may_have(u128::from_be_bytes(id.to_bytes()));
            if !ids.iter().any(wanted) {
                continue;
            }
            let mut reading = segment.table.read(&*self.disk)?;
            for (id, found) in ids.iter().zip(&mut found) {
                if wanted(id) {
                    let earlier = self.find_in(segment, &mut reading, *id, before)?;
                    *found = earlier.or(found.take());
                }
            }
        }
        Ok(found)
    }

    fn find_in(
        &self,
        segment: &Segment,
        reading: &mut Reading<'_>,
        id: ClickId,
        before: Position,
    ) -> Result<Option<Found>, Error> {
        let (row, is_it) = reading.find(u128::from_be_bytes(id.to_bytes()))?;
        if !is_it {
            return Ok(None);
        }
        let (at, row) = reading.locate(row);
        let mut cells = Cells { cache: Some(&self.words), segment, reading, at, row };
        let position = Position(cells.long(click::POSITION)?.cast_unsigned());
        if position >= before {
            return Ok(None);
        }
        let mut labels = Labels::default();
        for label in Label::ALL {
            let column = click::LABELS + usize::from(label.code());
            if let Some(text) = cells.text(column)? {
                labels.set(label, text);
            }
        }
        let click = Click {
            id,
            campaign_id: CampaignId(cells.number(click::CAMPAIGN)?),
            publisher_id: PublisherId(cells.number(click::PUBLISHER)?),
            is_live: cells.flag(click::IS_LIVE)?,
            is_test: cells.flag(click::IS_TEST)?,
            cost: cells.amount(click::COST)?,
            external_id: Cow::Owned(cells.word(click::EXTERNAL_ID)?.unwrap_or_default()),
            labels,
            personal: Personal::default(),
            visitor: cells.visitor()?,
        };
        Ok(Some(Found { position, click }))
    }
}

/// One row of a file.
pub(super) struct Cells<'c, 't> {
    /// Where dictionaries are kept; without one they are read each time.
    pub(super) cache: Option<&'c WordCache>,
    pub(super) segment: &'c Segment,
    pub(super) reading: &'c mut Reading<'t>,
    pub(super) at: PageAt,
    pub(super) row: usize,
}

impl Cells<'_, '_> {
    pub(super) fn long(&mut self, column: usize) -> Result<i64, Error> {
        self.reading.page(self.at, column, |page| value::long_at(page, self.row))
    }

    fn flag(&mut self, column: usize) -> Result<bool, Error> {
        // Most row groups have one value alone.
        match self.reading.table.range(self.at.group, column) {
            Some((least, greatest)) if least == greatest => Ok(least == 1),
            _ => self.reading.page(self.at, column, |page| value::flag_at(page, self.row)),
        }
    }

    pub(super) fn word(&mut self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        if self.reading.table.is_none(self.at.group, column) {
            return Ok(None);
        }
        let form = self.reading.table.layout.columns[column].form;
        let cell =
            self.reading.page(self.at, column, |page| value::cell_at(page, form, self.row))?;
        let code = match cell {
            Cell::None => return Ok(None),
            Cell::Bytes(bytes) => return Ok(Some(bytes)),
            Cell::Code(code) => code,
        };
        let words = match self.cache {
            Some(cache) => cache.words(self.segment, self.reading, self.at.group, column)?,
            None => Arc::new(self.reading.words(self.at.group, column)?),
        };
        let word = words.get(code).map(<[u8]>::to_vec);
        word.map(Some).ok_or_else(|| self.damaged(column, "a code has no word"))
    }

    pub(super) fn text(&mut self, column: usize) -> Result<Option<String>, Error> {
        let Some(word) = self.word(column)? else { return Ok(None) };
        let text = String::from_utf8(word);
        text.map(Some).map_err(|_| self.damaged(column, "a text is not UTF-8"))
    }

    fn visitor(&mut self) -> Result<Visitor<'static>, Error> {
        let mut words = <[String; Known::ALL.len()]>::default();
        for (place, word) in words.iter_mut().enumerate() {
            *word = self.text(click::VISITOR + place)?.unwrap_or_default();
        }
        let visitor = Visitor::from_words(words);
        visitor.ok_or_else(|| self.damaged(click::VISITOR, "it is no visitor's country or device"))
    }

    fn number(&mut self, column: usize) -> Result<u32, Error> {
        match self.reading.table.range(self.at.group, column) {
            Some((least, greatest)) if least == greatest => return Ok(least),
            _ => {}
        }
        let word = self.word(column)?;
        let number = word.as_deref().and_then(number);
        number.ok_or_else(|| self.damaged(column, "a number has not four bytes"))
    }

    fn amount(&mut self, column: usize) -> Result<Option<Micros>, Error> {
        let Some(word) = self.word(column)? else { return Ok(None) };
        match word.try_into() {
            Ok(bytes) => Ok(Some(Micros(i64::from_le_bytes(bytes)))),
            Err(_) => Err(self.damaged(column, "an amount has not eight bytes")),
        }
    }

    pub(super) fn damaged(&self, column: usize, detail: &str) -> Error {
        self.reading.table.damaged(column, detail)
    }
}

/// Dictionaries by segment, row group and column. Two maps: what was used since the older one was
/// the younger is kept when the younger is full.
#[derive(Debug, Default)]
pub(super) struct WordCache {
    maps: Mutex<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    young: HashMap<Place, Arc<Words>>,
    young_bytes: usize,
    old: HashMap<Place, Arc<Words>>,
}

type Place = (u64, usize, usize);

impl WordCache {
    /// The dictionary of a coded column, read where it is not kept.
    pub(super) fn words(
        &self,
        segment: &Segment,
        reading: &mut Reading<'_>,
        group: usize,
        column: usize,
    ) -> Result<Arc<Words>, Error> {
        let place = (segment.serial, group, column);
        let kept = {
            let mut maps = lock(&self.maps);
            match maps.young.get(&place) {
                Some(words) => return Ok(Arc::clone(words)),
                None => maps.old.remove(&place),
            }
        };
        let words = match kept {
            Some(words) => words,
            None => Arc::new(reading.words(group, column)?),
        };
        lock(&self.maps).add(place, &words);
        Ok(words)
    }
}

impl Maps {
    fn add(&mut self, place: Place, words: &Arc<Words>) {
        if self.young_bytes >= WORDS_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(place, Arc::clone(words)).is_none() {
            self.young_bytes += words.heap_bytes() + size_of::<(Place, Arc<Words>)>();
        }
    }
}

//! Seals a generation: what it has in memory, and in the journal, becomes files.
//!
//! The clicks' own columns are in memory already; their personal data and the hits are read from
//! the journal once more, in one pass. Nothing is removed from memory before both files, and
//! their sidecars, are durable under their names.

use super::folder::{Folder, Segment};
use super::hits::{add_hit, add_personal};
use super::hot::{Coded, Generation, IS_LIVE, IS_TEST, Rows};
use super::layout::{CLICK, click};
use super::write::Writer;
use super::{Error, Facts, Records, Span, lock};
use crate::disk::Disk;
use domain::click::Label;
use domain::id::Position;
use domain::record::Record;
use domain::time::Timestamp;
use std::sync::Arc;

/// What became files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub clicks: usize,
    pub hits: usize,
    /// What [`Facts::sealed`] answers now.
    pub to: Position,
}

impl Facts {
    /// Seals what is due at `now`: a generation that is full or old, or whose sealing failed
    /// before. `None` where nothing is. Clicks are added and found meanwhile.
    ///
    /// After an error everything is as it was, and the same call tries again.
    pub fn seal(&self, now: Timestamp) -> Result<Option<Sealed>, Error> {
        self.seal_where(|generation| generation.rows().is_due(now))
    }

    /// Seals all that was added, due or not: for a backup, a test, or a stop that shall start
    /// quickly again.
    pub fn seal_all(&self) -> Result<Option<Sealed>, Error> {
        let before = self.seal_where(|_| false)?;
        Ok(self.seal_where(|generation| generation.rows().at().is_some())?.or(before))
    }

    fn seal_where(
        &self,
        is_due: impl FnOnce(&Generation) -> bool,
    ) -> Result<Option<Sealed>, Error> {
        let _alone = lock(&self.sealing);
        let (generation, clicks_from, hits_from, to) = {
            let mut adding = lock(&self.adding);
            if adding.frozen.is_none() && is_due(&adding.growing) {
                self.freeze(&mut adding);
            }
            let Some((generation, to)) = &adding.frozen else { return Ok(None) };
            (Arc::clone(generation), adding.clicks_from, adding.hits_from, *to)
        };
        let rows = generation.rows();
        let (first_at, newest_at) = rows.at().expect("what is empty is never due");
        let journal = self.journal.id();
        let span = |from| Span { journal, from, to, first_at, newest_at };
        let spans = (span(clicks_from), span(hits_from));
        let sealing = Sealing { disk: &*self.disk, journal: &*self.journal, rows: &rows, spans };
        let written = sealing.run(&self.clicks, &self.hits).inspect_err(|_| {
            self.clicks.discard(&*self.disk, &spans.0);
            self.hits.discard(&*self.disk, &spans.1);
        })?;
        let clicks = rows.clicks();
        drop(rows);
        let mut adding = lock(&self.adding);
        self.swap(|snapshot| {
            snapshot.clicks.extend(written.clicks);
            snapshot.hits.extend(written.hits);
            snapshot.hot = vec![Arc::clone(&adding.growing)];
        });
        adding.frozen = None;
        adding.clicks_from = adding.clicks_from.max(to);
        adding.hits_from = adding.hits_from.max(to);
        self.room.notify_all();
        Ok(Some(Sealed { clicks, hits: written.hit_count, to }))
    }
}

/// One generation on its way.
struct Sealing<'s> {
    disk: &'s dyn Disk,
    journal: &'s dyn Records,
    rows: &'s Rows,
    /// Of the clicks and of the hits: after a crash they may begin at different places.
    spans: (Span, Span),
}

struct Written {
    clicks: Option<Arc<Segment>>,
    hits: Option<Arc<Segment>>,
    hit_count: usize,
}

impl Sealing<'_> {
    fn run(&self, clicks: &Folder, hits: &Folder) -> Result<Written, Error> {
        let (click_span, hit_span) = &self.spans;
        let mut personal = self.writer(clicks, click_span, true)?;
        let mut main = self.writer(hits, hit_span, false)?;
        let mut request = self.writer(hits, hit_span, true)?;
        let from = click_span.from.min(hit_span.from);
        self.journal.scan(from, click_span.to, &mut |stamped| {
            let is_new = |span: &Span| stamped.position >= span.from;
            match (&stamped.record, &mut personal, &mut main, &mut request) {
                (Record::Click(click), Some(personal), _, _) if is_new(click_span) => {
                    add_personal(personal, stamped.position, &click.personal)
                }
                (Record::Hit(hit), _, Some(main), Some(request)) if is_new(hit_span) => {
                    add_hit(main, request, stamped.position, stamped.at, hit)
                }
                _ => Ok(()),
            }
        })?;
        let personal_rows = finish(personal, click_span)?;
        expect("clicks", click_span, personal_rows, self.rows.clicks())?;
        let hit_count = finish(main, hit_span)?;
        expect("hits", hit_span, hit_count, self.rows.hits())?;
        finish(request, hit_span)?;
        let mut own = self.writer(clicks, click_span, false)?;
        if let Some(own) = &mut own {
            write_clicks(self.rows, own)?;
        }
        finish(own, click_span)?;
        // A retry may find its files published already; then they are written again, the same.
        let publish = |folder: &Folder, span: &Span, rows: usize| match is_empty(span) {
            true => Ok(None),
            false => folder.publish(self.disk, span, rows > 0).map(Some),
        };
        Ok(Written {
            clicks: publish(clicks, click_span, personal_rows)?,
            hits: publish(hits, hit_span, hit_count)?,
            hit_count,
        })
    }

    fn writer(
        &self,
        folder: &Folder,
        span: &Span,
        is_personal: bool,
    ) -> Result<Option<Writer>, Error> {
        if is_empty(span) {
            return Ok(None);
        }
        let layout = if is_personal { folder.personal } else { folder.layout };
        Writer::create(self.disk, &folder.temporary(span, is_personal), layout).map(Some)
    }
}

/// What the journal has of a kind is what was handed over, or one of the two is not to be trusted.
fn expect(kind: &str, span: &Span, found: usize, handed_over: usize) -> Result<(), Error> {
    if found == handed_over {
        return Ok(());
    }
    let Span { from, to, .. } = span;
    let detail = format!("it has {found} {kind} from {from} to {to}, but {handed_over} were added");
    Err(Error::Journal { detail })
}

fn finish(writer: Option<Writer>, span: &Span) -> Result<usize, Error> {
    writer.map_or(Ok(0), |writer| writer.finish(span))
}

/// Whether a kind's records of this stretch are sealed already, as after a crash between the two
/// kinds.
fn is_empty(span: &Span) -> bool {
    span.from >= span.to
}

/// Writes a generation's clicks in the order of their ids.
fn write_clicks(rows: &Rows, writer: &mut Writer) -> Result<(), Error> {
    let mut order: Vec<usize> = (0..rows.clicks()).collect();
    order.sort_unstable_by_key(|row| (rows.ids[*row], rows.positions[*row]));
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(writer.room()).min(CLICK.page_rows));
        rest = after;
        let columns = writer.columns();
        for row in part {
            let id = rows.ids[*row];
            let position = rows.positions[*row].cast_signed();
            columns[click::ID].push_fixed(&id.to_bytes());
            columns[click::AT].push_long(id.at_ms().cast_signed());
            columns[click::POSITION].push_long(position);
            columns[click::LINK].push_word(Some(&id.link().0.to_le_bytes()));
            columns[click::IS_LIVE].push_flag(rows.flags[*row] & IS_LIVE != 0);
            columns[click::IS_TEST].push_flag(rows.flags[*row] & IS_TEST != 0);
            let cost = rows.cost(*row).map(|cost| cost.0.to_le_bytes());
            columns[click::COST].push_word(cost.as_ref().map(<[u8; 8]>::as_slice));
            let external_id = rows.external_id(*row);
            columns[click::EXTERNAL_ID].push_word(Some(external_id).filter(|id| !id.is_empty()));
        }
        push_coded(&rows.campaigns, part, &mut columns[click::CAMPAIGN]);
        push_coded(&rows.publishers, part, &mut columns[click::PUBLISHER]);
        for label in Label::ALL {
            let column = &mut columns[click::LABELS + usize::from(label.code())];
            match rows.label(label) {
                Some(coded) => push_coded(coded, part, column),
                None => part.iter().for_each(|_| column.push_word(None)),
            }
        }
        for (place, coded) in rows.visitors().iter().enumerate() {
            push_coded(coded, part, &mut columns[click::VISITOR + place]);
        }
        writer.end_rows()?;
    }
    Ok(())
}

fn push_coded(from: &Coded, rows: &[usize], to: &mut super::column::Column) {
    for row in rows {
        to.push_word(from.word(*row));
    }
}

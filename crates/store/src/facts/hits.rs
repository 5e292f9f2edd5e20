//! One hit, and who a click's visitor was: read from the files, or from the journal while they
//! are not sealed.
//!
//! What may say who somebody is lies in the sidecars alone, and goes with them. A hit's digest
//! stays: with its salt gone, it tells nothing of what the request was.

use super::find::Cells;
use super::folder::Segment;
use super::layout::Layout;
use super::table::Table;
use super::value;
use super::write::Writer;
use super::{Error, Facts, lock};
use domain::click::Personal;
use domain::hit::Hit;
use domain::id::Position;
use domain::record::Record;
use domain::time::Timestamp;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Of so many sidecars the index is kept, at some 200 KB for the largest: whoever lists hits asks
/// for many of few files.
pub(super) const SIDECARS_KEPT: usize = 8;

/// The places of the hit file's columns.
mod main {
    pub(super) const POSITION: usize = 0;
    pub(super) const AT: usize = 1;
    pub(super) const METHOD: usize = 2;
    pub(super) const PATH: usize = 3;
    pub(super) const DIGEST: usize = 4;
}

/// The places of its sidecar's columns.
mod request {
    pub(super) const POSITION: usize = 0;
    pub(super) const TARGET: usize = 1;
    pub(super) const CONTENT_TYPE: usize = 2;
    pub(super) const BODY: usize = 3;
    pub(super) const PEER: usize = 4;
    pub(super) const FORWARDED: usize = 5;
    pub(super) const SALT: usize = 6;
    pub(super) const BASE: usize = 7;
    pub(super) const HEADERS: usize = 8;
}

/// The places of the click sidecar's columns.
mod visitor {
    pub(super) const POSITION: usize = 0;
    pub(super) const IP: usize = 1;
    pub(super) const USER_AGENT: usize = 2;
    pub(super) const REFERRER: usize = 3;
}

/// A hit as far as it is still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHit {
    pub position: Position,
    pub at: Timestamp,
    pub method: String,
    /// Of the target, without the query; what is not UTF-8 in it replaced.
    pub path: String,
    /// [`Hit::digest`], for as long as the hit is kept at all.
    pub digest: [u8; 32],
    /// The whole request, until its personal data are removed.
    pub request: Option<Hit>,
}

impl StoredHit {
    fn of(position: Position, at: Timestamp, hit: Hit) -> Self {
        Self {
            position,
            at,
            method: hit.method.clone(),
            path: path_of(&hit),
            digest: hit.digest(),
            request: Some(hit),
        }
    }
}

fn path_of(hit: &Hit) -> String {
    String::from_utf8_lossy(hit.path()).into_owned()
}

impl Facts {
    /// The hit at a position. `None` where there is none, or where it is no longer kept.
    pub fn read_hit(&self, position: Position) -> Result<Option<StoredHit>, Error> {
        let snapshot = self.snapshot();
        let Some(segment) = segment_at(&snapshot.hits, position) else {
            return Ok(match self.journal.read(position)? {
                Some(stamped) => match stamped.record {
                    Record::Hit(hit) => Some(StoredHit::of(position, stamped.at, hit)),
                    _ => None,
                },
                None => None,
            });
        };
        let main = self.read_row(segment, &segment.table, position, |cells| {
            let text = |text: Option<String>| text.unwrap_or_default();
            Ok(StoredHit {
                position,
                at: Timestamp::from_us(cells.long(main::AT)?),
                method: text(cells.text(main::METHOD)?),
                path: text(cells.text(main::PATH)?),
                digest: fixed(cells, main::DIGEST)?,
                request: None,
            })
        });
        let main = main.map_err(|error| match error {
            Error::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                Error::Corrupt { path, detail: "the file is missing".to_owned() }
            }
            error => error,
        })?;
        let Some(mut stored) = main else { return Ok(None) };
        if let Some(sidecar) = self.sidecar(segment, self.hits.personal)? {
            let method = stored.method.clone();
            let request =
                self.read_row(segment, &sidecar, position, |cells| read_request(cells, method));
            stored.request = unless_removed(request)?;
        }
        Ok(Some(stored))
    }

    /// Who the visitor of the click at a position was. `None` where there is no click there, or
    /// its personal data were removed.
    pub fn read_personal(&self, position: Position) -> Result<Option<Personal<'static>>, Error> {
        let snapshot = self.snapshot();
        let Some(segment) = segment_at(&snapshot.clicks, position) else {
            return Ok(match self.journal.read(position)?.map(|stamped| stamped.record) {
                Some(Record::Click(click)) => Some(click.personal),
                _ => None,
            });
        };
        let Some(sidecar) = self.sidecar(segment, self.clicks.personal)? else { return Ok(None) };
        unless_removed(self.read_row(segment, &sidecar, position, |cells| {
            let text = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
            Ok(Personal {
                ip: address(cells, visitor::IP)?,
                user_agent: text(cells.text(visitor::USER_AGENT)?),
                referrer: text(cells.text(visitor::REFERRER)?),
            })
        }))
    }

    /// The index of a sidecar; `None` where it was removed, be it just now.
    fn sidecar(
        &self,
        segment: &Segment,
        layout: &'static Layout,
    ) -> Result<Option<Arc<Table>>, Error> {
        if !segment.has_sidecar() {
            return Ok(None);
        }
        if let Some(kept) = self.sidecars.get(segment.serial) {
            return Ok(Some(kept));
        }
        match Table::open(&*self.disk, &segment.sidecar, layout) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(table) if table.span != segment.span() => {
                Err(table.damaged(0, "it is not of the file beside it"))
            }
            opened => Ok(Some(self.sidecars.keep(segment.serial, opened?))),
        }
    }

    fn read_row<T>(
        &self,
        segment: &Segment,
        table: &Table,
        position: Position,
        read: impl FnOnce(&mut Cells<'_, '_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut reading = table.read(&*self.disk)?;
        let (row, is_it) = reading.find(u128::from(position.0))?;
        if !is_it {
            return Ok(None);
        }
        let (at, row) = reading.locate(row);
        read(&mut Cells { cache: None, segment, reading: &mut reading, at, row }).map(Some)
    }
}

/// The indexes of the sidecars that were read last, by their segments' serials; the latest at the
/// end.
#[derive(Debug, Default)]
pub(super) struct Sidecars {
    kept: Mutex<VecDeque<(u64, Arc<Table>)>>,
}

impl Sidecars {
    fn get(&self, serial: u64) -> Option<Arc<Table>> {
        let mut kept = lock(&self.kept);
        let place = kept.iter().position(|(other, _)| *other == serial)?;
        let found = kept.remove(place)?;
        let table = found.1.clone();
        kept.push_back(found);
        Some(table)
    }

    fn keep(&self, serial: u64, table: Table) -> Arc<Table> {
        let mut kept = lock(&self.kept);
        let table = Arc::new(table);
        kept.push_back((serial, table.clone()));
        if kept.len() > SIDECARS_KEPT {
            kept.pop_front();
        }
        table
    }

    #[cfg(test)]
    pub(super) fn serials(&self) -> Vec<u64> {
        lock(&self.kept).iter().map(|(serial, _)| *serial).collect()
    }
}

/// The file with a position, if it is sealed.
fn segment_at(segments: &[Arc<Segment>], position: Position) -> Option<&Arc<Segment>> {
    let place = segments.partition_point(|segment| segment.span().to <= position);
    segments.get(place).filter(|segment| segment.span().from <= position)
}

/// What a sidecar has; `None` where it has been removed meanwhile.
fn unless_removed<T>(read: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read,
    }
}

fn read_request(cells: &mut Cells<'_, '_>, method: String) -> Result<Hit, Error> {
    Ok(Hit {
        method,
        target: cells.word(request::TARGET)?.unwrap_or_default(),
        content_type: cells.text(request::CONTENT_TYPE)?,
        body: cells.word(request::BODY)?.unwrap_or_default(),
        peer: address(cells, request::PEER)?,
        forwarded: cells.text(request::FORWARDED)?,
        headers: headers(cells)?,
        base: cells.text(request::BASE)?.unwrap_or_default(),
        salt: fixed(cells, request::SALT)?,
    })
}

/// Each header is its name's length in one byte, its name, its value's length in two, its value.
fn headers(cells: &mut Cells<'_, '_>) -> Result<Vec<(String, String)>, Error> {
    let Some(bytes) = cells.word(request::HEADERS)? else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let header = take_header(&mut rest);
        let header = header.ok_or_else(|| cells.damaged(request::HEADERS, "a header is cut"))?;
        headers.push(header);
    }
    Ok(headers)
}

fn take_header(rest: &mut &[u8]) -> Option<(String, String)> {
    let name_bytes = *rest.split_off_first()?;
    let name = rest.split_off(..usize::from(name_bytes))?.to_vec();
    let value_bytes = u16::from_le_bytes(rest.split_off(..2)?.try_into().ok()?);
    let value = rest.split_off(..usize::from(value_bytes))?.to_vec();
    Some((String::from_utf8(name).ok()?, String::from_utf8(value).ok()?))
}

/// The headers as [`headers`] reads them; `None` where there are none.
fn written(headers: &[(String, String)]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(u8::try_from(name.len()).expect("a header's name is short"));
        bytes.extend_from_slice(name.as_bytes());
        let length = u16::try_from(value.len()).expect("a header's value is cut");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn address(cells: &mut Cells<'_, '_>, column: usize) -> Result<Option<IpAddr>, Error> {
    let Some(text) = cells.text(column)? else { return Ok(None) };
    let address = text.parse().map(Some);
    address.map_err(|_| cells.damaged(column, "an address does not read"))
}

fn fixed<const WIDTH: usize>(
    cells: &mut Cells<'_, '_>,
    column: usize,
) -> Result<[u8; WIDTH], Error> {
    let (at, row) = (cells.at, cells.row);
    cells.reading.page(at, column, |page| value::fixed_at(page, row))
}

/// Adds who a click's visitor was to a sidecar.
pub(super) fn add_personal(
    writer: &mut Writer,
    position: Position,
    personal: &Personal<'_>,
) -> Result<(), Error> {
    let columns = writer.columns();
    let ip = personal.ip.map(|ip| ip.to_string());
    columns[visitor::POSITION].push_long(position.0.cast_signed());
    columns[visitor::IP].push_word(ip.as_deref().map(str::as_bytes));
    columns[visitor::USER_AGENT].push_word(some(personal.user_agent.as_bytes()));
    columns[visitor::REFERRER].push_word(some(personal.referrer.as_bytes()));
    writer.end_rows().map(drop)
}

/// Adds a hit to a file and its request to the sidecar.
pub(super) fn add_hit(
    to_main: &mut Writer,
    to_sidecar: &mut Writer,
    position: Position,
    at: Timestamp,
    hit: &Hit,
) -> Result<(), Error> {
    let columns = to_main.columns();
    columns[main::POSITION].push_long(position.0.cast_signed());
    columns[main::AT].push_long(at.as_us());
    columns[main::METHOD].push_word(Some(hit.method.as_bytes()));
    columns[main::PATH].push_word(Some(path_of(hit).as_bytes()));
    columns[main::DIGEST].push_fixed(&hit.digest());
    to_main.end_rows()?;
    let columns = to_sidecar.columns();
    let peer = hit.peer.map(|peer| peer.to_string());
    columns[request::POSITION].push_long(position.0.cast_signed());
    columns[request::TARGET].push_word(Some(&hit.target));
    columns[request::CONTENT_TYPE].push_word(hit.content_type.as_deref().map(str::as_bytes));
    columns[request::BODY].push_word(some(&hit.body));
    columns[request::PEER].push_word(peer.as_deref().map(str::as_bytes));
    columns[request::FORWARDED].push_word(hit.forwarded.as_deref().map(str::as_bytes));
    columns[request::SALT].push_fixed(&hit.salt);
    columns[request::BASE].push_word(some(hit.base.as_bytes()));
    columns[request::HEADERS].push_word(written(&hit.headers).as_deref());
    to_sidecar.end_rows().map(drop)
}

/// Empty is none.
fn some(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

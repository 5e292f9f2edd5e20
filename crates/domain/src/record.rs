//! A journal record's payload: what each kind and format of record holds.
//!
//! Formats are frozen: a change to one of these structs is a new format number beside the old
//! one, and a reader refuses numbers it does not know. `docs/journal.md` lists them.

use crate::click::{Click, Labels, Personal};
use crate::click_id::ClickId;
use crate::command::Command;
use crate::hit::Hit;
use crate::id::{CampaignId, Position, PublisherId};
use crate::money::Micros;
use crate::time::Timestamp;
use crate::visitor::Visitor;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// The rules this build decides by, stamped on each record it journals.
pub const RULES: u16 = 1;

/// The kind of a record, by its stable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Click = 1,
    Hit = 2,
    Command = 3,
    Tick = 4,
}

impl Kind {
    /// The format this build writes.
    pub fn format(self) -> u8 {
        match self {
            Self::Click | Self::Hit => 2,
            Self::Command | Self::Tick => 1,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Click, Self::Hit, Self::Command, Self::Tick];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A click as format 1 has it.
#[derive(Deserialize)]
struct Click1<'a> {
    id: ClickId,
    campaign_id: CampaignId,
    publisher_id: PublisherId,
    is_live: bool,
    is_test: bool,
    cost: Option<Micros>,
    #[serde(borrow)]
    external_id: Cow<'a, [u8]>,
    #[serde(borrow)]
    labels: Labels<'a>,
    #[serde(borrow)]
    personal: Personal<'a>,
}

impl<'a> From<Click1<'a>> for Click<'a> {
    fn from(click: Click1<'a>) -> Self {
        Self {
            id: click.id,
            campaign_id: click.campaign_id,
            publisher_id: click.publisher_id,
            is_live: click.is_live,
            is_test: click.is_test,
            cost: click.cost,
            external_id: click.external_id,
            labels: click.labels,
            personal: click.personal,
            visitor: Visitor::default(),
        }
    }
}

/// A hit as format 1 has it.
#[derive(Deserialize)]
struct Hit1 {
    method: String,
    target: Vec<u8>,
    content_type: Option<String>,
    body: Vec<u8>,
    peer: Option<IpAddr>,
    forwarded: Option<String>,
    salt: [u8; 16],
}

impl From<Hit1> for Hit {
    fn from(hit: Hit1) -> Self {
        let Hit1 { method, target, content_type, body, peer, forwarded, salt } = hit;
        let (headers, base) = (Vec::new(), String::new());
        Self { method, target, content_type, body, peer, forwarded, headers, base, salt }
    }
}

/// Everything that changes what counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    Click(Click<'a>),
    Hit(Hit),
    Command(Box<Command>),
    /// What time brings about by itself happens here, at the record's time.
    Tick,
}

/// A record with its place in the journal and the time it was journaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped<'a> {
    pub position: Position,
    pub at: Timestamp,
    /// The rules in force when it was journaled.
    pub rules: u16,
    pub record: Record<'a>,
}

/// Why a payload does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Written by a later release.
    Newer { kind: u8, format: u8, rules: u16 },
    /// The checksum was right and yet it is not what its format says.
    Damaged { kind: u8, detail: String },
}

impl Record<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Click(_) => Kind::Click,
            Self::Hit(_) => Kind::Hit,
            Self::Command(_) => Kind::Command,
            Self::Tick => Kind::Tick,
        }
    }
}

/// A click's payload, appended to `out`.
pub fn write_click(click: &Click<'_>, out: &mut Vec<u8>) {
    let taken = std::mem::take(out);
    *out = postcard::to_extend(click, taken).expect("writing to memory cannot fail");
}

/// The payload of any record.
pub fn write(record: &Record<'_>) -> Vec<u8> {
    match record {
        Record::Click(click) => {
            let mut out = Vec::with_capacity(128);
            write_click(click, &mut out);
            out
        }
        Record::Hit(hit) => postcard::to_allocvec(hit).expect("writing to memory cannot fail"),
        // Commands are few, nested and grow: JSON reads itself, and an auditor can read it too.
        Record::Command(command) => {
            serde_json::to_vec(command).expect("a command has no map with other keys than text")
        }
        Record::Tick => Vec::new(),
    }
}

/// Reads a payload that [`write()`] made, all of it. A click borrows its text from it, but for its
/// labels.
pub fn read(kind: u8, format: u8, rules: u16, payload: &[u8]) -> Result<Record<'_>, Unreadable> {
    let damaged = |detail: String| Unreadable::Damaged { kind, detail };
    if kind == 0 || format == 0 {
        return Err(damaged(format!("there is no kind {kind} in format {format}")));
    }
    let known = Kind::from_number(kind);
    let Some(known) = known.filter(|known| format <= known.format() && rules <= RULES) else {
        return Err(Unreadable::Newer { kind, format, rules });
    };
    match (known, format) {
        (Kind::Click, 1) => {
            packed(payload).map(|click: Click1| Record::Click(click.into())).map_err(damaged)
        }
        (Kind::Click, _) => packed(payload).map(Record::Click).map_err(damaged),
        (Kind::Hit, 1) => packed(payload).map(|hit: Hit1| Record::Hit(hit.into())).map_err(damaged),
        (Kind::Hit, _) => packed(payload).map(Record::Hit).map_err(damaged),
        (Kind::Command, _) => serde_json::from_slice(payload)
            .map(|command| Record::Command(Box::new(command)))
            .map_err(|error| damaged(error.to_string())),
        (Kind::Tick, _) if payload.is_empty() => Ok(Record::Tick),
        (Kind::Tick, _) => Err(damaged("a tick says nothing".to_owned())),
    }
}

fn packed<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::Label;
    use crate::visitor::{Country, Device};

    fn click() -> Click<'static> {
        let mut labels = Labels::default();
        labels.set(Label::Sub(1), "us");
        labels.set(Label::Source, "x");
        Click {
            id: ClickId::from_bytes([7; 16]),
            campaign_id: CampaignId(300),
            publisher_id: PublisherId(2),
            is_live: true,
            is_test: false,
            cost: Some(Micros(-2)),
            external_id: Cow::Borrowed(b"e"),
            labels,
            personal: Personal {
                ip: Some("203.0.113.7".parse().unwrap()),
                user_agent: "ua".into(),
                referrer: "".into(),
            },
            visitor: Visitor {
                country: Country::parse(b"AT"),
                device: Some(Device::Tablet),
                os: "iOS".into(),
                browser: "".into(),
            },
        }
    }

    fn hit() -> Hit {
        Hit {
            method: "GET".to_owned(),
            target: b"/p".to_vec(),
            peer: Some("2001:db8::7".parse().unwrap()),
            headers: vec![("webhook-id".to_owned(), "m".to_owned())],
            base: "https://t".to_owned(),
            salt: [9; 16],
            ..Hit::default()
        }
    }

    #[test]
    fn payloads_are_laid_out_as_the_manual_says() {
        let id = [7; 16];
        let rest = b"\xAC\x02\x02\x01\x00\x01\x03\x01e\x02\x00\x02us\x0A\x01x\
            \x01\x00\xCB\x00\x71\x07\x02ua\x00";
        let known = b"\x01AT\x01\x02\x03iOS\x00";
        assert_eq!(write(&Record::Click(click())), [&id[..], &rest[..], &known[..]].concat());
        let first = Click { visitor: Visitor::default(), ..click() };
        let payload = [&id[..], &rest[..]].concat();
        assert_eq!(read(Kind::Click as u8, 1, RULES, &payload), Ok(Record::Click(first)));
        for (known, is_read) in [
            (&b"\0\0\0\0"[..], true),
            (b"\x01aa\0\0\0", false),
            (b"\x01XX\0\0\0", false),
            (b"\0\x01\x07\0\0", false),
        ] {
            let payload = [&payload[..], known].concat();
            let read = read(Kind::Click as u8, 2, RULES, &payload);
            assert_eq!(read.is_ok(), is_read, "{}", known.escape_ascii());
        }
        let address = b"\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07";
        let own = [b"\x03GET\x02/p\x00\x00\x01\x01", &address[..], b"\x00"].concat();
        let more = b"\x01\x0Awebhook-id\x01m\x09https://t";
        let wanted = [&own[..], more, &[9; 16]].concat();
        assert_eq!(write(&Record::Hit(hit())), wanted);
        let first = Hit { headers: Vec::new(), base: String::new(), ..hit() };
        let payload = [&own[..], &[9; 16]].concat();
        assert_eq!(read(Kind::Hit as u8, 1, RULES, &payload), Ok(Record::Hit(first)));
        assert_eq!(write(&Record::Tick), b"");
    }

    #[test]
    fn a_payload_is_read_whole_or_not_at_all() {
        for record in [Record::Click(click()), Record::Hit(hit()), Record::Tick] {
            let kind = record.kind() as u8;
            let format = record.kind().format();
            let mut payload = write(&record);
            assert_eq!(read(kind, format, RULES, &payload), Ok(record.clone()));
            payload.push(0);
            let read = |format| read(kind, format, RULES, &payload);
            assert!(matches!(read(format), Err(Unreadable::Damaged { .. })), "{kind}");
            assert!(matches!(read(0), Err(Unreadable::Damaged { .. })), "{kind}");
            assert!(matches!(read(format + 1), Err(Unreadable::Newer { .. })), "{kind}");
        }
    }
}

//! A click: one visit through a link, as the journal keeps it.
//!
//! It holds what was resolved when it was made (campaign, publisher, whether the campaign was
//! active), so nothing later depends on when it is read.

use crate::click_id::ClickId;
use crate::id::{CampaignId, PublisherId};
use crate::money::Micros;
use crate::visitor::Visitor;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// The longest a label's value may be, in bytes; a longer one is dropped.
pub const LABEL_BYTES_MAX: usize = 500;
/// The longest an external id may be, in bytes; a longer one is dropped.
pub const EXTERNAL_ID_BYTES_MAX: usize = 512;
/// The longest a user agent or referrer is kept, in bytes; the rest is cut.
pub const PERSONAL_BYTES_MAX: usize = 512;
/// How many labels a publisher may set: sub1 … sub10.
pub const SUBS: u8 = 10;

/// What a publisher may say of a click to tell its traffic apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Label {
    /// `sub1` … `sub10`, by number.
    Sub(u8),
    Source,
    Creative,
    Placement,
}

impl Label {
    /// All labels, in the order of their codes.
    pub const ALL: [Self; 13] = [
        Self::Sub(1),
        Self::Sub(2),
        Self::Sub(3),
        Self::Sub(4),
        Self::Sub(5),
        Self::Sub(6),
        Self::Sub(7),
        Self::Sub(8),
        Self::Sub(9),
        Self::Sub(10),
        Self::Source,
        Self::Creative,
        Self::Placement,
    ];

    /// Its place in [`Label::ALL`]: stable, part of the record format.
    pub fn code(self) -> u8 {
        match self {
            Self::Sub(number) => number - 1,
            Self::Source => 10,
            Self::Creative => 11,
            Self::Placement => 12,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word for it in URLs, JSON, columns and pages.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 13] = [
            "sub1",
            "sub2",
            "sub3",
            "sub4",
            "sub5",
            "sub6",
            "sub7",
            "sub8",
            "sub9",
            "sub10",
            "source",
            "creative",
            "placement",
        ];
        NAMES[usize::from(self.code())]
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.name() == name)
    }
}

impl From<Label> for u8 {
    fn from(label: Label) -> Self {
        label.code()
    }
}

impl TryFrom<u8> for Label {
    type Error = &'static str;
    fn try_from(code: u8) -> Result<Self, Self::Error> {
        Self::from_code(code).ok_or("no such label")
    }
}

/// The labels that were set, in the order of their codes, none twice, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels<'a>(#[serde(borrow)] Vec<(Label, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, label: Label, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        match self.0.binary_search_by_key(&label.code(), |(label, _)| label.code()) {
            Ok(place) if value.is_empty() => drop(self.0.remove(place)),
            Ok(place) => self.0[place].1 = value,
            Err(_) if value.is_empty() => {}
            Err(place) => self.0.insert(place, (label, value)),
        }
    }

    pub fn get(&self, label: Label) -> Option<&str> {
        let place = self.0.binary_search_by_key(&label.code(), |(label, _)| label.code()).ok()?;
        Some(&self.0[place].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Label, &str)> {
        self.0.iter().map(|(label, value)| (*label, &**value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_owned(self) -> Labels<'static> {
        Labels(
            self.0
                .into_iter()
                .map(|(label, value)| (label, Cow::Owned(value.into_owned())))
                .collect(),
        )
    }
}

/// What says who the visitor is. It is kept apart from the rest and removed first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal<'a> {
    pub ip: Option<IpAddr>,
    #[serde(borrow)]
    pub user_agent: Cow<'a, str>,
    #[serde(borrow)]
    pub referrer: Cow<'a, str>,
}

impl Personal<'_> {
    pub fn into_owned(self) -> Personal<'static> {
        Personal {
            ip: self.ip,
            user_agent: Cow::Owned(self.user_agent.into_owned()),
            referrer: Cow::Owned(self.referrer.into_owned()),
        }
    }
}

/// One visit through a link. Time and link are in the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click<'a> {
    pub id: ClickId,
    pub campaign_id: CampaignId,
    pub publisher_id: PublisherId,
    /// It may convert: the campaign was active when the click was made, or the click is a test
    /// and the campaign was approved.
    pub is_live: bool,
    pub is_test: bool,
    /// What the click cost, in the campaign's currency.
    pub cost: Option<Micros>,
    /// The publisher's own id of the click: opaque bytes, only trimmed. Empty: none.
    #[serde(borrow)]
    pub external_id: Cow<'a, [u8]>,
    #[serde(borrow)]
    pub labels: Labels<'a>,
    #[serde(borrow)]
    pub personal: Personal<'a>,
    #[serde(borrow)]
    pub visitor: Visitor<'a>,
}

impl Click<'_> {
    pub fn into_owned(self) -> Click<'static> {
        Click {
            id: self.id,
            campaign_id: self.campaign_id,
            publisher_id: self.publisher_id,
            is_live: self.is_live,
            is_test: self.is_test,
            cost: self.cost,
            external_id: Cow::Owned(self.external_id.into_owned()),
            labels: self.labels.into_owned(),
            personal: self.personal.into_owned(),
            visitor: self.visitor.into_owned(),
        }
    }
}

//! What a destination is told when somebody tries it out: a conversion as it stands, or one that is
//! made up.

use super::{Corrections, Destination, Owed, OwedKind, Owner, Told};
use crate::campaign::{Campaign, Link};
use crate::click::{Click, Label, Labels, Personal};
use crate::click_id::ClickId;
use crate::contract::PARAMS;
use crate::conversion::Status;
use crate::id::{CampaignId, ConversionId, LinkId, Position, PublisherId};
use crate::ledger::{ContractRef, Conversion, Home, Key, Missing};
use crate::money::{Currency, Micros};
use crate::reason::Flags;
use crate::setup::{History, Setup};
use crate::time::Timestamp;
use crate::visitor::{Country, Device, Visitor};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// What every text of a made-up conversion begins with, and every key of what is only tried out:
/// that of a delivery begins with a digit.
pub const MADE_UP: &str = "test";
const PAYOUT: Micros = Micros(1_000_000);
const REVENUE: Micros = Micros(2_000_000);
const SALE_AMOUNT: Micros = Micros(10_000_000);
/// An address that is kept free for documentation.
const VISITOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Antarctica: it reads as a country, and nobody takes it for a visitor's.
const COUNTRY: &[u8] = b"AQ";

/// A conversion that there is not, and all that is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUp {
    pub owed: Owed,
    pub conversion: Conversion,
    pub click_id: String,
    pub click: Click<'static>,
    pub receipt: String,
}

impl MadeUp {
    pub fn told<'a>(&'a self, idempotency_key: &'a str, at: Timestamp, random: u64) -> Told<'a> {
        Told {
            owed: &self.owed,
            idempotency_key,
            conversion: &self.conversion,
            click_id: &self.click_id,
            click: Some(&self.click),
            receipt: &self.receipt,
            at,
            random,
        }
    }
}

impl Destination {
    /// A conversion such as it could be told of. `number` tells it from others that are made up.
    pub fn made_up(&self, setup: &Setup, number: u32, at: Timestamp) -> MadeUp {
        let text = |name: &str| format!("{MADE_UP}-{name}-{number:08x}");
        let click = self.made_up_click(setup, text("external"), at);
        let campaign = setup.campaign(click.campaign_id);
        let status = match self.rules.statuses.first() {
            Some(first) if !self.rules.statuses.contains(&Status::Approved) => *first,
            _ => Status::Approved,
        };
        let params = (1..=PARAMS).map(|number| format!("param{number}"));
        let conversion = Conversion {
            id: ConversionId(0),
            key: Key { home: Home::of(click.id), identity: Vec::new() },
            campaign_id: click.campaign_id,
            publisher_id: click.publisher_id,
            link_id: click.id.link(),
            goal: self.some_goal(campaign),
            click_id: click.id,
            txn_id: Some(text("txn")),
            status,
            raw_status: Some(status.name().to_owned()),
            revenue: REVENUE,
            payout: PAYOUT,
            paid_revenue: Micros::ZERO,
            paid_payout: Micros::ZERO,
            currency: campaign.map_or(Currency::USD, |campaign| campaign.currency),
            sent_amount: None,
            sale_amount: Some(SALE_AMOUNT),
            missing: Missing::default(),
            conversion_ref: Some(text("ref")),
            values: params.map(|name| (name.clone(), format!("{MADE_UP}-{name}"))).collect(),
            external_id: click.external_id.to_vec(),
            labels: click.labels.clone(),
            is_test: true,
            flags: Flags::default(),
            contract: ContractRef::Partner(MADE_UP.to_owned()),
            created_by: Position(0),
            created_at: at,
            changed_at: at,
            sequence: 1,
            seen: Vec::new(),
            triaged: None,
            triage_identity: None,
            merged_into: None,
        };
        let owed = self.standing(&conversion, OwedKind::Notice);
        MadeUp { owed, conversion, click_id: text("click"), click, receipt: text("receipt") }
    }

    fn made_up_click(&self, setup: &Setup, external_id: String, at: Timestamp) -> Click<'static> {
        let (link_id, campaign_id, publisher_id) = match (self.some_link(setup), self.owner) {
            (Some(link), _) => (link.id, link.campaign_id, link.publisher_id),
            (None, Owner::Publisher { publisher_id }) => (LinkId(0), CampaignId(0), publisher_id),
            (None, Owner::Link { link_id }) => (link_id, CampaignId(0), PublisherId(0)),
        };
        let mut labels = Labels::default();
        for label in Label::ALL {
            labels.set(label, format!("{MADE_UP}-{}", label.name()));
        }
        Click {
            id: click_id(at, link_id),
            campaign_id,
            publisher_id,
            is_live: true,
            is_test: true,
            cost: None,
            external_id: Cow::Owned(external_id.into_bytes()),
            labels,
            personal: Personal {
                ip: Some(VISITOR),
                user_agent: Cow::Borrowed("test-user-agent"),
                referrer: Cow::Borrowed(""),
            },
            visitor: Visitor {
                country: Country::parse(COUNTRY),
                device: Some(Device::Desktop),
                os: Cow::Borrowed("test-os"),
                browser: Cow::Borrowed("test-browser"),
            },
        }
    }

    /// What would tell it of a conversion as that stands, whatever goals, tests, sampling and the
    /// least payout say. `None`: of one in that status there is nothing to tell.
    pub fn would_be_told(&self, conversion: &Conversion) -> Option<Owed> {
        let is_undone = matches!(conversion.status, Status::Rejected | Status::Reversed);
        let is_heard = self.rules.corrections != Corrections::None {};
        if self.rules.statuses.contains(&conversion.status) {
            Some(self.standing(conversion, OwedKind::Notice))
        } else if is_undone && is_heard {
            Some(self.standing(conversion, OwedKind::Withdrawal))
        } else {
            None
        }
    }

    fn standing(&self, conversion: &Conversion, kind: OwedKind) -> Owed {
        let share = self.rules.payout_share.of(conversion.payout).unwrap_or(Micros::ZERO);
        let is_undone = matches!(conversion.status, Status::Rejected | Status::Reversed);
        let all = |told: Micros| match kind {
            OwedKind::Withdrawal => (Micros::ZERO, Micros(told.0.saturating_neg())),
            _ if is_undone => (Micros::ZERO, Micros::ZERO),
            _ => (told, told),
        };
        let ((payout, difference), (full_payout, full_difference)) =
            (all(share), all(conversion.payout));
        Owed {
            destination_id: self.id,
            conversion_id: conversion.id,
            sequence: conversion.sequence,
            kind,
            status: conversion.status,
            payout,
            difference,
            full_payout,
            full_difference,
            revenue: conversion.revenue,
            at: conversion.changed_at,
            backfilled_at: None,
        }
    }

    /// The link whose conversions it is told of, or the newest of its publisher's.
    fn some_link<'s>(&self, setup: &'s Setup) -> Option<&'s Link> {
        match self.owner {
            Owner::Link { link_id } => setup.link(link_id),
            Owner::Publisher { publisher_id } => {
                let links = setup.links.values().rev().map(History::latest);
                let mut own = links.filter(|link| link.publisher_id == publisher_id);
                own.find(|link| !link.archived)
            }
        }
    }

    fn some_goal(&self, campaign: Option<&Campaign>) -> String {
        let goals = campaign.into_iter().flat_map(|campaign| &campaign.goals);
        let told = goals.filter(|goal| self.rules.wants_goal(&goal.key));
        let told = told.max_by_key(|goal| goal.default).map(|goal| goal.key.clone());
        told.or_else(|| self.rules.goals.first().cloned()).unwrap_or_else(|| MADE_UP.to_owned())
    }
}

/// As one of now would be.
fn click_id(at: Timestamp, link_id: LinkId) -> ClickId {
    let at_ms = u128::try_from(at.as_ms()).unwrap_or(0);
    ClickId::from_bytes((at_ms << 80 | u128::from(link_id.0) << 48).to_be_bytes())
}

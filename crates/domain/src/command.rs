//! What a person or a key does: one variant of one enum, journaled like everything that counts.
//!
//! Permission and validity are judged when it is applied, so the same commands always have the
//! same outcomes. An invalid one has an outcome and no effect. All randomness is in the command.

mod campaigns;
mod contracts;
mod destinations;
mod execute;
mod publishers;
mod secrets;

pub use destinations::{DestinationChanges, NewDestination, NewOutbound};
pub use execute::{ALL_PARTNERS, Effect, OWN_PARTNER};

use crate::campaign::{Advertiser, Campaign, Goal, Kind, Link, Publisher, Status};
use crate::click_id::ClickId;
use crate::contract::{Canonical, Contract, Role, Version};
use crate::conversion;
use crate::destination::{Backfilled, Destination, Period};
use crate::id::{
    AdvertiserId, CampaignId, ConversionId, DestinationId, IntegrationId, LinkId, Position,
    PublisherId,
};
use crate::integration::{Integration, Scope};
use crate::money::Currency;
use crate::partner::Partner;
use crate::reason::Verdict;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::sub_labels::SubLabels;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The longest an idempotency key may be, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// The longest a reason a person gives may be, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;
/// How many hits one command decides again.
pub const REPLAY_HITS_MAX: usize = 100;
/// How many ids a restore skips, because they may have been handed out after the backup.
pub const IDS_SKIPPED: u32 = 1 << 16;

/// Who did what. When is the record's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    pub act: Act,
}

/// The same key gives the stored answer; with another body it is a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    pub key: String,
    /// SHA-256 over method, path and body, in hex.
    pub request: String,
}

/// Who carries a command out, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub actor: &'a str,
    pub at: Timestamp,
}

/// What can be done. Ids in it were given by the caller; ids it makes are counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    CreateAdvertiser {
        name: String,
    },
    ChangeAdvertiser {
        id: AdvertiserId,
        name: String,
    },
    ArchiveAdvertiser {
        id: AdvertiserId,
    },
    CreatePublisher {
        name: String,
    },
    ChangePublisher {
        id: PublisherId,
        name: String,
    },
    ArchivePublisher {
        id: PublisherId,
    },
    CreateCampaign(Box<NewCampaign>),
    ChangeCampaign {
        id: CampaignId,
        changes: Box<CampaignChanges>,
    },
    ArchiveCampaign {
        id: CampaignId,
    },
    /// `key` is for the integration that approval makes.
    SetCampaignStatus {
        id: CampaignId,
        to: Status,
        key: String,
    },
    AddGoal {
        id: CampaignId,
        goal: Goal,
    },
    CreateLink {
        campaign_id: CampaignId,
        publisher_id: PublisherId,
        token: String,
        landing_url: Option<String>,
        test: bool,
    },
    ChangeLink {
        id: LinkId,
        landing_url: Option<String>,
    },
    ArchiveLink {
        id: LinkId,
    },
    CreateIntegration(Box<NewIntegration>),
    /// What is `None` stays; `Some(None)` takes the landing parameters away.
    ChangeIntegration {
        id: IntegrationId,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        landing_params: Option<Option<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// By their names, beside those it has; `None` takes one away.
        secrets: Option<BTreeMap<String, Option<Secret>>>,
        /// Those that are replaced count beside them before it; `None`: no longer at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_secrets_until: Option<Timestamp>,
    },
    ArchiveIntegration {
        id: IntegrationId,
    },
    /// A new version of an integration's contract; `token` is for its page.
    DraftContract {
        integration_id: IntegrationId,
        source: DraftSource,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cutover_on: Option<String>,
        token: String,
    },
    /// What is `None` stays; `Some(None)` takes it away. Whoever had signed has to sign again.
    ChangeDraft {
        integration_id: IntegrationId,
        number: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract: Option<Box<Contract>>,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        note: Option<Option<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        cutover_on: Option<Option<String>>,
    },
    DiscardDraft {
        integration_id: IntegrationId,
        number: u32,
    },
    SignOffContract {
        integration_id: IntegrationId,
        number: u32,
        role: Role,
        /// Who signs, in words.
        name: String,
    },
    /// Also one that was active before: so a change is rolled back.
    ActivateContract {
        integration_id: IntegrationId,
        number: u32,
        #[serde(default, skip_serializing_if = "Sunset::is_default")]
        sunset: Sunset,
    },
    /// Ends a sunset before its time.
    RetireContract {
        integration_id: IntegrationId,
        number: u32,
    },
    /// The macros that an integration's sender has for its values, in place of all there were.
    SetMacros {
        id: IntegrationId,
        macros: BTreeMap<Canonical, String>,
    },
    CreateDestination(Box<NewDestination>),
    ChangeDestination {
        id: DestinationId,
        changes: Box<DestinationChanges>,
    },
    ArchiveDestination {
        id: DestinationId,
    },
    /// Has a destination told of conversions that it was never told of, as they stand then.
    BackfillDestination {
        id: DestinationId,
        period: Period,
    },
    /// A click made by hand, always test.
    MakeTestClick {
        link_id: LinkId,
        click_id: ClickId,
    },
    ChangeConversionStatus {
        id: ConversionId,
        to: conversion::Status,
        reason: String,
    },
    /// Gives a conversion in triage the transaction id that it lacks.
    RepairTxnId {
        id: ConversionId,
        txn_id: String,
        reason: String,
    },
    /// A conversion in triage is another one.
    MergeConversion {
        id: ConversionId,
        into: ConversionId,
        reason: String,
    },
    /// What sub1 … sub10 mean, to the network or to one publisher: all of them anew.
    /// What holds for the whole network.
    SetSettings {
        settings: Settings,
    },
    SetSubLabels {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publisher_id: Option<PublisherId>,
        labels: BTreeMap<String, String>,
    },
    /// The catalogue of this build, and the key of the global integration a fresh server gets.
    LoadCatalogue {
        partners: Vec<Partner>,
        key: String,
    },
    /// The decision on that record panicked: its hit is parked, its command has no effect.
    Quarantine {
        position: Position,
    },
    /// Decides a parked hit again.
    Redecide {
        position: Position,
    },
    /// Decides hits that were refused or parked once more, as the integration speaks now.
    Replay {
        id: IntegrationId,
        /// At most [`REPLAY_HITS_MAX`], so that nobody waits long behind it.
        hits: Vec<Position>,
        /// How many there were, and how many stay for what came later: what whoever asks again is
        /// told as well.
        #[serde(default, skip_serializing_if = "is_none_of")]
        found: usize,
        #[serde(default, skip_serializing_if = "is_none_of")]
        overtaken: usize,
    },
    /// After a restore.
    SkipIds,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none_of(count: &usize) -> bool {
    *count == 0
}

/// Tells `null` from nothing.
#[expect(clippy::option_option, reason = "nothing, null and a text are three things")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Act {
    /// The word for it in the audit trail.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateAdvertiser { .. } => "create_advertiser",
            Self::ChangeAdvertiser { .. } => "change_advertiser",
            Self::ArchiveAdvertiser { .. } => "archive_advertiser",
            Self::CreatePublisher { .. } => "create_publisher",
            Self::ChangePublisher { .. } => "change_publisher",
            Self::ArchivePublisher { .. } => "archive_publisher",
            Self::CreateCampaign(_) => "create_campaign",
            Self::ChangeCampaign { .. } => "change_campaign",
            Self::ArchiveCampaign { .. } => "archive_campaign",
            Self::SetCampaignStatus { .. } => "set_campaign_status",
            Self::AddGoal { .. } => "add_goal",
            Self::CreateLink { .. } => "create_link",
            Self::ChangeLink { .. } => "change_link",
            Self::ArchiveLink { .. } => "archive_link",
            Self::CreateIntegration(_) => "create_integration",
            Self::ChangeIntegration { .. } => "change_integration",
            Self::ArchiveIntegration { .. } => "archive_integration",
            Self::DraftContract { .. } => "draft_contract",
            Self::ChangeDraft { .. } => "change_draft",
            Self::DiscardDraft { .. } => "discard_draft",
            Self::SignOffContract { .. } => "sign_off_contract",
            Self::ActivateContract { .. } => "activate_contract",
            Self::RetireContract { .. } => "retire_contract",
            Self::SetMacros { .. } => "set_macros",
            Self::CreateDestination(_) => "create_destination",
            Self::ChangeDestination { .. } => "change_destination",
            Self::ArchiveDestination { .. } => "archive_destination",
            Self::BackfillDestination { .. } => "backfill_destination",
            Self::MakeTestClick { .. } => "make_test_click",
            Self::ChangeConversionStatus { .. } => "change_conversion_status",
            Self::RepairTxnId { .. } => "repair_txn_id",
            Self::MergeConversion { .. } => "merge_conversion",
            Self::SetSettings { .. } => "set_settings",
            Self::SetSubLabels { .. } => "set_sub_labels",
            Self::LoadCatalogue { .. } => "load_catalogue",
            Self::Quarantine { .. } => "quarantine",
            Self::Redecide { .. } => "redecide",
            Self::Replay { .. } => "replay",
            Self::SkipIds => "skip_ids",
        }
    }
}

/// `POST /campaigns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    pub advertiser_id: AdvertiserId,
    pub name: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    pub landing_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
    pub currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<IntegrationId>,
    #[serde(default)]
    pub goals: Vec<Goal>,
}

/// `PATCH /campaigns/{id}`: what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CampaignChanges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u16>,
    /// All of them; a goal that is left out is gone for clicks made from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goals: Option<Vec<Goal>>,
}

/// `POST /integrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIntegration {
    pub scope: Scope,
    pub partner: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_params: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

/// What a draft begins as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DraftSource {
    Contract(Box<Contract>),
    /// A partner's contract, as the catalogue has it now.
    Partner(String),
    /// A version's.
    Version(u32),
}

/// For how long the version that is replaced is still read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sunset {
    /// As long as is usual.
    #[default]
    Usual,
    /// 0: not at all.
    Days(u16),
    Until(Timestamp),
}

impl Sunset {
    fn is_default(&self) -> bool {
        *self == Self::Usual
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done(Box<Answer>),
    Failed(Failure),
}

/// What its caller is answered with: the noun as it stands after the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "noun", content = "body", rename_all = "snake_case")]
pub enum Answer {
    Advertiser(Advertiser),
    Publisher(Publisher),
    Campaign(Campaign),
    Link(Link),
    Integration(Box<Integration>),
    Contract(Box<Version>),
    TestClick {
        click_id: ClickId,
        link_id: LinkId,
    },
    Conversion(ConversionId),
    Destination(Box<Destination>),
    Backfilled(Backfilled),
    SubLabels(SubLabels),
    Settings(Settings),
    Hit(Position),
    /// The hits that were decided again, each with its verdict.
    Replayed(Vec<(Position, Verdict)>),
    Nothing,
}

/// Why a command had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// A stable word for it.
    pub code: String,
    /// What is wrong, and what would be right.
    pub detail: String,
    /// The field that is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
}

/// Whose mistake it was, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A field is wrong: 400.
    Invalid,
    /// There is no such thing: 404.
    NotFound,
    /// It is right, but not now: 409.
    Conflict,
    /// Our fault: 500.
    Internal,
}

impl Failure {
    pub fn invalid(parameter: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Invalid,
            code: "invalid_parameter".to_owned(),
            detail: detail.into(),
            parameter: Some(parameter.to_owned()),
        }
    }

    /// The same, with the field to blame.
    #[must_use]
    pub fn of(mut self, parameter: &str) -> Self {
        self.parameter = Some(parameter.to_owned());
        self
    }

    pub fn not_found(noun: &str, id: impl std::fmt::Display) -> Self {
        Self {
            kind: FailureKind::NotFound,
            code: "not_found".to_owned(),
            detail: format!("there is no {noun} {id}"),
            parameter: None,
        }
    }

    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Conflict,
            code: code.to_owned(),
            detail: detail.into(),
            parameter: None,
        }
    }
}

#[cfg(test)]
mod tests;

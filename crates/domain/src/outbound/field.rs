//! What can be filled into a request: the names that stand between the braces.

use crate::click::{Label, SUBS};
use crate::contract::PARAMS;
use crate::time::{self, Timestamp};
use crate::visitor::Known;
use jiff::fmt::strtime::BrokenDownTime;

/// The longest a name of an account's value may be, in bytes.
const ACCOUNT_NAME_BYTES_MAX: usize = 50;
/// The longest pattern of a time, in bytes.
const PATTERN_BYTES_MAX: usize = 60;

const ACCOUNT: &str = "account.";
const MINOR: &str = "minor:";

/// What can be filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The platform's own id of the click, byte for byte.
    ExternalId,
    ClickId,
    CampaignId,
    PublisherId,
    LinkId,
    /// In the currency, or in its smallest unit.
    Money {
        of: Amount,
        is_minor: bool,
    },
    Currency,
    /// Our word for it, lower-case.
    Status,
    /// The sender's.
    RawStatus,
    Goal,
    TxnId,
    /// The advertiser's own id of the conversion.
    ConversionRef,
    ConversionId,
    /// How many times the conversion has changed, from 1 on.
    Sequence,
    /// The receipt of the hit that made it.
    Receipt,
    /// Stays the same however often the request is sent.
    IdempotencyKey,
    Label(Label),
    /// `param1` … `param20`, as the advertiser sent them.
    Param(u8),
    /// `country`, `device`, `os` or `browser`, as long as the click is kept.
    Visitor(Known),
    Ip,
    UserAgent,
    /// Unix seconds: when the request is made.
    Timestamp,
    Time {
        of: Moment,
        format: Format,
    },
    Random,
    /// Over all the rest of the request.
    Signature,
    /// A value of the operator's account.
    Account(String),
}

/// An amount of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// What the receiver is told it gets.
    Payout,
    /// Before its share was taken.
    FullPayout,
    Revenue,
    SaleAmount,
}

/// An instant of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Clicked,
    /// The conversion was made.
    Converted,
    /// What is told happened.
    Changed,
}

/// How an instant is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Rfc3339,
    Unix,
    UnixMs,
    /// By a pattern such as `%Y-%m-%d`, in a zone.
    Pattern {
        pattern: String,
        zone: String,
    },
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "rfc3339" => Self::Rfc3339,
            "unix" => Self::Unix,
            "unix_ms" => Self::UnixMs,
            _ => {
                let zoned = text.rsplit_once(',').map(|(pattern, zone)| (pattern, zone.trim()));
                let zoned = zoned.filter(|(_, zone)| !zone.contains('%'));
                let (pattern, zone) = zoned.unwrap_or((text, "UTC"));
                if time::zone(zone).is_none() {
                    let detail = "is no IANA time zone such as `Europe/Berlin`";
                    return Err(format!("`{zone}` {detail}"));
                }
                let made = Self::Pattern { pattern: pattern.to_owned(), zone: zone.to_owned() };
                let is_good = pattern.len() <= PATTERN_BYTES_MAX && pattern.contains('%');
                if !is_good || made.write(Timestamp::UNIX_EPOCH).is_none() {
                    return Err(format!(
                        "`{pattern}` is none of rfc3339, unix, unix_ms, and no pattern of at most \
                         {PATTERN_BYTES_MAX} bytes such as `%Y-%m-%d %H:%M:%S`"
                    ));
                }
                made
            }
        })
    }

    /// `None` only where the pattern was never checked.
    pub fn write(&self, at: Timestamp) -> Option<String> {
        match self {
            Self::Rfc3339 => Some(at.to_string()),
            Self::Unix => Some(at.as_s().to_string()),
            Self::UnixMs => Some(at.as_ms().to_string()),
            Self::Pattern { pattern, zone } => {
                let local = at.to_jiff().to_zoned(time::zone(zone)?);
                BrokenDownTime::from(&local).to_string(pattern).ok()
            }
        }
    }
}

impl Field {
    const PLAIN: [(Self, &'static str); 26] = [
        (Self::ExternalId, "external_id"),
        (Self::ClickId, "click_id"),
        (Self::CampaignId, "campaign_id"),
        (Self::PublisherId, "publisher_id"),
        (Self::LinkId, "link_id"),
        (Self::Money { of: Amount::Payout, is_minor: false }, "payout"),
        (Self::Money { of: Amount::FullPayout, is_minor: false }, "full_payout"),
        (Self::Money { of: Amount::Revenue, is_minor: false }, "revenue"),
        (Self::Money { of: Amount::SaleAmount, is_minor: false }, "sale_amount"),
        (Self::Currency, "currency"),
        (Self::Status, "status"),
        (Self::RawStatus, "raw_status"),
        (Self::Goal, "goal"),
        (Self::TxnId, "txn_id"),
        (Self::ConversionRef, "conversion_ref"),
        (Self::ConversionId, "conversion_id"),
        (Self::Sequence, "sequence"),
        (Self::Receipt, "receipt"),
        (Self::IdempotencyKey, "idempotency_key"),
        (Self::Label(Label::Source), "source"),
        (Self::Label(Label::Creative), "creative"),
        (Self::Label(Label::Placement), "placement"),
        (Self::Timestamp, "timestamp"),
        (Self::Random, "random"),
        (Self::Signature, "signature"),
        (Self::Ip, "ip"),
    ];
    const USER_AGENT: &str = "user_agent";
    /// As landing URLs may have it, too.
    const OTHER_CLICK_ID: &str = "clickid";
    const MOMENTS: [(Moment, &'static str); 3] = [
        (Moment::Clicked, "clicked_at"),
        (Moment::Converted, "converted_at"),
        (Moment::Changed, "changed_at"),
    ];

    /// The field of a name, as it stands between the braces; `None`: there is none. `Err`: what is
    /// wrong behind the colon.
    pub fn parse(name: &str) -> Result<Option<Self>, String> {
        if let Some(account) = name.strip_prefix(ACCOUNT) {
            return Ok(is_account_name(account).then(|| Self::Account(account.to_owned())));
        }
        if let Some(amount) = name.strip_prefix(MINOR) {
            return match Self::plain(amount) {
                Some(Self::Money { of, .. }) => Ok(Some(Self::Money { of, is_minor: true })),
                _ => Err(format!(
                    "`{amount}` is no amount: payout, full_payout, revenue, sale_amount"
                )),
            };
        }
        let (bare, format) = match name.split_once(':') {
            Some((bare, format)) => (bare, Some(format)),
            None => (name, None),
        };
        let moment = Self::MOMENTS.into_iter().find(|(_, own)| *own == bare);
        if let Some((of, _)) = moment {
            let format = format.map_or(Ok(Format::Rfc3339), Format::parse)?;
            return Ok(Some(Self::Time { of, format }));
        }
        Ok(Self::plain(name))
    }

    fn plain(name: &str) -> Option<Self> {
        if name == Self::USER_AGENT {
            return Some(Self::UserAgent);
        }
        if name == Self::OTHER_CLICK_ID {
            return Some(Self::ClickId);
        }
        if let Some((plain, _)) = Self::PLAIN.into_iter().find(|(_, plain)| *plain == name) {
            return Some(plain);
        }
        let numbered = |word: &str, max: u8| {
            (1..=max).find(|number| name.strip_prefix(word) == Some(&number.to_string()))
        };
        if let Some(known) = Known::from_name(name) {
            return Some(Self::Visitor(known));
        }
        let sub = numbered("sub", SUBS).map(|number| Self::Label(Label::Sub(number)));
        sub.or_else(|| numbered("param", PARAMS).map(Self::Param))
    }

    /// Only the click itself says it.
    pub fn is_of_click(&self) -> bool {
        matches!(self, Self::Ip | Self::UserAgent | Self::Visitor(_))
    }

    /// Every name once, but those of accounts, and without what may stand behind a colon.
    pub fn names() -> impl Iterator<Item = String> {
        let numbered =
            |word: &'static str, max: u8| (1..=max).map(move |number| format!("{word}{number}"));
        let plain = Self::PLAIN.iter().map(|(_, name)| *name).chain([Self::USER_AGENT]);
        let plain = plain.chain(Known::ALL.map(Known::name));
        let moments = Self::MOMENTS.iter().map(|(_, name)| *name);
        let plain = plain.chain(moments).map(str::to_owned);
        plain.chain(numbered("sub", SUBS)).chain(numbered("param", PARAMS))
    }
}

pub(super) fn is_account_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= ACCOUNT_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_part)
}

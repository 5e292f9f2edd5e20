//! The request that tells a destination what it is owed.

use super::mask::{MASK, masked};
use super::{Corrections, Destination, Owed, OwedKind, SIGNING};
use crate::click::Click;
use crate::contract::{Canonical, Parameter, Scheme, Unit};
use crate::hit::Hit;
use crate::ledger::Conversion;
use crate::macros::Value;
use crate::money::Micros;
use crate::outbound::{Amount, Field, Moment, Outbound, Request, SignaturePlace, Unfilled};
use crate::postback::{Pairs, sign};
use crate::secret::Secret;
use crate::time::Timestamp;

/// [`MASK`] in a URL.
const ENCODED_MASK: &str = "%2A%2A%2A";

/// All that a request may tell.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub owed: &'a Owed,
    /// What the receiver tells it apart by, from all others.
    pub idempotency_key: &'a str,
    pub conversion: &'a Conversion,
    /// As it was handed out.
    pub click_id: &'a str,
    /// Where it is still kept, with what is personal.
    pub click: Option<&'a Click<'a>>,
    /// Of the hit that made the conversion.
    pub receipt: &'a str,
    /// When the request is made.
    pub at: Timestamp,
    /// Drawn for this request.
    pub random: u64,
}

/// A request, and what may be shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub request: Request,
    /// The same with `***` for what is secret.
    pub shown: Request,
}

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmade {
    Unfilled(Unfilled),
    /// It cannot be signed.
    Unsigned(String),
    /// There is no way to tell the destination.
    Uncorrectable,
}

impl std::fmt::Display for Unmade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unfilled(why) => why.fmt(f),
            Self::Unsigned(why) => write!(f, "it cannot be signed: {why}"),
            Self::Uncorrectable => f.write_str("this destination cannot be told of a correction"),
        }
    }
}

impl Destination {
    /// What came back, with `***` for each of its secrets: some answer with what they were sent.
    pub fn masked(&self, text: &[u8]) -> Vec<u8> {
        masked(text, self.secrets.values().map(Secret::expose))
    }

    /// The request for what it is owed.
    pub fn request(&self, told: &Told<'_>) -> Result<Made, Unmade> {
        let corrections = &self.rules.corrections;
        let outbound = match (told.owed.kind, corrections) {
            (OwedKind::Notice, _) => &self.outbound,
            (_, Corrections::None {}) | (OwedKind::Correction, Corrections::Url { .. }) => {
                return Err(Unmade::Uncorrectable);
            }
            (OwedKind::Withdrawal, Corrections::Url { url }) => {
                let mut outbound = self.outbound.clone();
                url.clone_into(&mut outbound.url);
                return self.signed(&outbound, told);
            }
            _ => &self.outbound,
        };
        self.signed(outbound, told)
    }

    fn signed(&self, outbound: &Outbound, told: &Told<'_>) -> Result<Made, Unmade> {
        let unsigned = |why: String| Unmade::Unsigned(why);
        let fill = |signature: &str, is_shown: bool| {
            let values = Values { destination: self, told, signature, is_shown };
            let texts = Texts::of(outbound.fields(), |field| values.text(field));
            outbound.request(|field| texts.value(field)).map_err(Unmade::Unfilled)
        };
        let made = |signature: &str| {
            let request = fill(signature, false)?;
            // A secret host cannot be filled in without it.
            let shown = fill(signature, true).map(readable);
            Ok(Made { request, shown: shown.unwrap_or_else(|_| unfilled(outbound)) })
        };
        let Some(place) = outbound.signature_place().map_err(unsigned)? else { return made("") };
        let agreed = self.scheme.as_ref().zip(self.secrets.get(SIGNING));
        let (scheme, secret) =
            agreed.ok_or_else(|| unsigned("there is no scheme, or no secret".to_owned()))?;
        let bare = fill("", false)?;
        made(&signature_of(scheme, &place, &bare, secret).map_err(unsigned)?)
    }
}

/// With masks that are not encoded.
fn readable(shown: Request) -> Request {
    let bare = |text: String| text.replace(ENCODED_MASK, MASK);
    Request { url: bare(shown.url), body: shown.body.map(bare), ..shown }
}

/// What it is before anything is filled in.
fn unfilled(outbound: &Outbound) -> Request {
    let headers = outbound.headers.iter();
    Request {
        method: outbound.method,
        url: outbound.url.clone(),
        headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        content_type: outbound.content_type.clone(),
        body: outbound.body.clone(),
    }
}

/// The signature of a request that does not carry one yet.
pub(super) fn signature_of(
    scheme: &Scheme,
    place: &SignaturePlace,
    bare: &Request,
    secret: &Secret,
) -> Result<String, String> {
    let (parameter, hit) = unsigned(place, bare);
    sign(scheme, &parameter, &Pairs::of(&hit), secret)
}

/// What carries the signature, and the request as its receiver will see it without one.
pub(super) fn unsigned(place: &SignaturePlace, bare: &Request) -> (Parameter, Hit) {
    let (name, in_header) = match place {
        SignaturePlace::Parameter(name) => (name, false),
        SignaturePlace::Header(name) => (name, true),
    };
    let parameter = Parameter {
        canonical: Canonical::Signature,
        names: vec![name.clone()],
        in_header,
        required: false,
        in_url: false,
        appended: false,
        placeholder: None,
        max_length: None,
        allowed: Vec::new(),
        unit: Unit::default(),
    };
    let authority_starts = bare.url.find("://").map_or(0, |place| place + 3);
    let path_starts = bare.url[authority_starts..].find(['/', '?', '#']);
    let path_starts = path_starts.map_or(bare.url.len(), |place| authority_starts + place);
    let (base, target) = bare.url.split_at(path_starts);
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let hit = Hit {
        method: bare.method.name().to_owned(),
        target: target.into_bytes(),
        content_type: bare.content_type.clone(),
        body: bare.body.clone().unwrap_or_default().into_bytes(),
        headers: bare.headers.clone(),
        base: base.to_owned(),
        ..Hit::default()
    };
    (parameter, hit)
}

/// What the fields of one request stand for.
struct Texts(Vec<(Field, Vec<u8>)>);

impl Texts {
    fn of(fields: Vec<Field>, text: impl Fn(&Field) -> Vec<u8>) -> Self {
        let text = |field: Field| {
            let text = text(&field);
            (field, text)
        };
        Self(fields.into_iter().map(text).collect())
    }

    fn value(&self, field: &Field) -> Value<'_> {
        let found = self.0.iter().find(|(own, _)| own == field);
        match found.map(|(_, text)| text.as_slice()) {
            None | Some([]) => Value::Empty,
            Some(text) => Value::Bytes(text),
        }
    }
}

struct Values<'a> {
    destination: &'a Destination,
    told: &'a Told<'a>,
    signature: &'a str,
    /// Secrets are masked.
    is_shown: bool,
}

impl Values<'_> {
    fn text(&self, field: &Field) -> Vec<u8> {
        let Told { owed, conversion, click_id, click, receipt, at, random, .. } = *self.told;
        let number = |number: u64| number.to_string();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let personal = click.map(|click| &click.personal);
        let text = match field {
            Field::ExternalId => return conversion.external_id.clone(),
            Field::ClickId => click_id.to_owned(),
            Field::CampaignId => number(conversion.campaign_id.0.into()),
            Field::PublisherId => number(conversion.publisher_id.0.into()),
            Field::LinkId => number(conversion.link_id.0.into()),
            Field::Money { of, is_minor } => self.money(*of, *is_minor),
            Field::Currency => conversion.currency.to_string(),
            Field::Status => owed.status.name().to_owned(),
            Field::RawStatus => text(&conversion.raw_status),
            Field::Goal => conversion.goal.clone(),
            Field::TxnId => text(&conversion.txn_id),
            Field::ConversionRef => text(&conversion.conversion_ref),
            Field::ConversionId => number(conversion.id.0),
            Field::Sequence => number(owed.sequence.into()),
            Field::Receipt => receipt.to_owned(),
            Field::IdempotencyKey => self.told.idempotency_key.to_owned(),
            Field::Label(label) => conversion.labels.get(*label).unwrap_or_default().to_owned(),
            Field::Param(param) => {
                let name = Canonical::Param(*param).to_string();
                let own = conversion.values.iter().find(|(own, _)| *own == name);
                own.map(|(_, text)| text.clone()).unwrap_or_default()
            }
            Field::Visitor(known) => {
                click.map_or(String::new(), |click| click.visitor.word(*known).to_owned())
            }
            Field::Ip => personal.and_then(|one| one.ip).map_or(String::new(), |ip| ip.to_string()),
            Field::UserAgent => personal.map_or(String::new(), |one| one.user_agent.to_string()),
            Field::Timestamp => at.as_s().to_string(),
            Field::Time { of, format } => {
                let at = match of {
                    Moment::Clicked => {
                        Timestamp::from_ms(i64::try_from(conversion.click_id.at_ms()).unwrap_or(0))
                    }
                    Moment::Converted => conversion.created_at,
                    Moment::Changed => owed.at,
                };
                format.write(at).unwrap_or_default()
            }
            Field::Random => number(random),
            Field::Signature => self.signature.to_owned(),
            Field::Account(name) if self.is_shown && self.destination.is_secret(name) => {
                MASK.to_owned()
            }
            Field::Account(name) => self.destination.account_value(name).to_owned(),
        };
        text.into_bytes()
    }

    fn money(&self, of: Amount, is_minor: bool) -> String {
        let Told { owed, conversion, .. } = *self.told;
        let is_difference =
            matches!(self.destination.rules.corrections, Corrections::Difference {});
        let exponent = conversion.currency.exponent();
        let written = |now: Micros, difference: Micros| match (is_difference, is_minor) {
            (false, false) => now.to_string(),
            (false, true) => minor(now, exponent).to_string(),
            (true, false) => difference.to_string(),
            // Each is rounded, so that differences add up to what stands.
            (true, true) => {
                let before = Micros(now.0.saturating_sub(difference.0));
                (minor(now, exponent) - minor(before, exponent)).to_string()
            }
        };
        let plain = |amount: Micros| match is_minor {
            true => minor(amount, exponent).to_string(),
            false => amount.to_string(),
        };
        match of {
            Amount::Payout => written(owed.payout, owed.difference),
            Amount::FullPayout => written(owed.full_payout, owed.full_difference),
            Amount::Revenue => plain(owed.revenue),
            Amount::SaleAmount => conversion.sale_amount.map(plain).unwrap_or_default(),
        }
    }
}

/// In the currency's smallest unit, rounded half to even: there is no other way to write it.
fn minor(amount: Micros, exponent: u8) -> i64 {
    let per_minor = 10_i64.pow(6 - u32::from(exponent.min(6)));
    let (down, over) = (amount.0.div_euclid(per_minor), amount.0.rem_euclid(per_minor));
    let is_up = over * 2 > per_minor || over * 2 == per_minor && down % 2 != 0;
    down + i64::from(is_up)
}

//! A destination: where a publisher wants to be told of its conversions, and of which.

mod backfill;
mod mask;
mod news;
mod owed;
mod request;
mod rules;
mod schedule;
mod signing;
mod trial;

#[cfg(test)]
mod tests;

pub use backfill::{BACKFILL_CONVERSIONS_MAX, Backfilled, Period, backfilled};
pub use mask::{ANSWER_BYTES_MAX, ANSWER_READ_BYTES_MAX, SECRET_BYTES_MAX, SECRETS_BYTES_MAX};
pub use news::{Hearing, News, news};
pub use owed::{Owed, OwedKind, owed};
pub use request::{Made, Told, Unmade};
pub use rules::{
    CONCURRENCY_DEFAULT, CONCURRENCY_MAX, Corrections, DELAY_S_MAX, GOALS_MAX, PER_SECOND_MAX,
    Pace, Rules,
};
pub use schedule::{Answer, JITTER_PERCENT, Next, RETRY_AFTER_S_MAX, Schedule, WAITS_S};
pub use trial::{MADE_UP, MadeUp};

use crate::contract::{Algorithm, Encoding, Fault, Input, Key, Scheme};
use crate::conversion::Status;
use crate::id::{DestinationId, LinkId, PublisherId};
use crate::ledger::Conversion;
use crate::macros::Value;
use crate::outbound::{Amount, Field, Outbound, Unfilled};
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the secret that what is sent is signed with.
pub const SIGNING: &str = "signing";
/// How many destinations one publisher, or one link, may have.
pub const DESTINATIONS_MAX: usize = 20;

/// Where somebody is told of conversions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub id: DestinationId,
    pub owner: Owner,
    /// The platform of the catalogue that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// What is called, and what the answer means.
    pub outbound: Outbound,
    /// What the account there has for the macros `{account.…}`, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub account: BTreeMap<String, String>,
    /// Those of the account's values that are secret, and the one that signs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// How it is signed; `None` with a [`SIGNING`] secret: by Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    #[serde(default)]
    pub rules: Rules,
    #[serde(default)]
    pub pace: Pace,
    pub archived: bool,
}

/// Whose conversions it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "level", rename_all = "snake_case")]
pub enum Owner {
    Publisher { publisher_id: PublisherId },
    Link { link_id: LinkId },
}

impl Owner {
    /// Whose destinations are told of a conversion: its link's first.
    pub fn of(conversion: &Conversion) -> [Self; 2] {
        let (link_id, publisher_id) = (conversion.link_id, conversion.publisher_id);
        [Self::Link { link_id }, Self::Publisher { publisher_id }]
    }

    pub fn level(self) -> &'static str {
        match self {
            Self::Publisher { .. } => "publisher",
            Self::Link { .. } => "link",
        }
    }
}

impl Destination {
    /// What is wrong with it, for whoever made it; `None`: nothing.
    pub fn fault(&self) -> Option<Fault> {
        if let Some(fault) = self.told_outbound().fault() {
            let (key, detail) = fault.split_once(": ").unwrap_or(("url", &fault));
            // What is asked of the account is what is given of it, where the URL is one's own.
            return Some(match key {
                "accounts" => Fault::at(self.place_of_account(detail), detail),
                key => Fault::at(key, detail),
            });
        }
        if let Some((key, detail)) = self.rules.fault().or_else(|| self.pace.fault()) {
            return Some(Fault::at(key, detail));
        }
        self.account_fault()
            .or_else(|| self.long_secret_fault())
            .or_else(|| self.host_fault(&self.outbound))
            .or_else(|| self.signing_fault())
            .or_else(|| self.corrections_fault())
    }

    /// Where that value of the account is given that a fault names.
    fn place_of_account(&self, detail: &str) -> String {
        let named = detail.split('`').nth(1);
        match self.outbound.accounts.iter().find(|one| Some(one.name.as_str()) == named) {
            Some(one) if one.secret => format!("secrets.{}", one.name),
            _ => "account".to_owned(),
        }
    }

    /// What is called, without those of the account's values that are only needed to take back.
    fn told_outbound(&self) -> Outbound {
        let mut outbound = self.outbound.clone();
        if let Some(retracting) = self.retracting() {
            let (own, other) = (outbound.used_accounts(), retracting.used_accounts());
            let is_own = |name: &String| own.contains(name) || !other.contains(name);
            outbound.accounts.retain(|one| is_own(&one.name));
        }
        outbound
    }

    /// What is called in its place to take back what was told.
    fn retracting(&self) -> Option<Outbound> {
        let Corrections::Url { url } = &self.rules.corrections else { return None };
        let mut outbound = self.outbound.clone();
        url.clone_into(&mut outbound.url);
        Some(outbound)
    }

    /// All that its requests are filled in with, each once.
    pub fn fields(&self) -> BTreeSet<Field> {
        let retracting = self.retracting().map(|outbound| outbound.fields()).unwrap_or_default();
        self.outbound.fields().into_iter().chain(retracting).collect()
    }

    /// With the account's values there has to be a host: people paste whole addresses.
    fn host_fault(&self, outbound: &Outbound) -> Option<Fault> {
        let value = |field: &Field| match field {
            Field::Account(name) => match self.account_value(name) {
                "" => Value::Empty,
                value => Value::Bytes(value.as_bytes()),
            },
            _ => Value::Empty,
        };
        let Err(Unfilled::Host(_)) = outbound.request(value) else { return None };
        let behind_scheme = outbound.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = behind_scheme.split(['/', '?', '#']).next().unwrap_or_default();
        let mut accounts = outbound.accounts.iter();
        let one = accounts.find(|one| authority.contains(&format!("{{account.{}}}", one.name)))?;
        let place = if one.secret { "secrets" } else { "account" };
        let detail = "the URL has no host with it: a host alone is asked for, such as \
            track.example.com, without https:// and without a slash";
        Some(Fault::at(format!("{place}.{}", one.name), detail))
    }

    fn account_fault(&self) -> Option<Fault> {
        for asked in &self.outbound.accounts {
            let is_given = match asked.secret {
                true => self.secrets.get(&asked.name).is_some_and(|one| !one.is_empty()),
                false => self.account.get(&asked.name).is_some_and(|one| !one.trim().is_empty()),
            };
            let place = if asked.secret { "secrets" } else { "account" };
            if !is_given {
                let detail = format!("`{}` is missing: {}", asked.name, asked.about);
                return Some(Fault::at(format!("{place}.{}", asked.name), detail));
            }
        }
        let is_asked = |name: &str, secret: bool| {
            let mut accounts = self.outbound.accounts.iter();
            accounts.any(|one| one.name == name && one.secret == secret)
        };
        let idle = self.account.keys().find(|name| !is_asked(name, false));
        if let Some(name) = idle {
            let detail = format!("nothing uses `{{account.{name}}}`");
            return Some(Fault::at(format!("account.{name}"), detail));
        }
        let idle = self.secrets.keys().find(|name| *name != SIGNING && !is_asked(name, true))?;
        Some(Fault::at(format!("secrets.{idle}"), format!("nothing uses `{{account.{idle}}}`")))
    }

    /// Every answer is searched for them.
    fn long_secret_fault(&self) -> Option<Fault> {
        let length = |secret: &Secret| secret.expose().len();
        if let Some((name, _)) = self.secrets.iter().find(|(_, one)| length(one) > SECRET_BYTES_MAX)
        {
            let place = match name.as_str() {
                SIGNING => "secret".to_owned(),
                name => format!("secrets.{name}"),
            };
            return Some(Fault::at(
                place,
                format!("a secret has at most {SECRET_BYTES_MAX} bytes"),
            ));
        }
        let detail = format!("all together have at most {SECRETS_BYTES_MAX} bytes");
        let is_long = self.secrets.values().map(length).sum::<usize>() > SECRETS_BYTES_MAX;
        is_long.then(|| Fault::at("secrets", detail))
    }

    fn corrections_fault(&self) -> Option<Fault> {
        let of = |detail: String| Some(Fault::at("corrections", detail));
        match &self.rules.corrections {
            Corrections::None {} => None,
            Corrections::Difference {} => {
                let says = |field: &Field| {
                    matches!(field, Field::Money { of: Amount::Payout | Amount::FullPayout, .. })
                };
                let detail = "nothing in the request says the difference: it needs `{payout}`";
                let is_said = self.outbound.fields().iter().any(says);
                if is_said { None } else { of(detail.to_owned()) }
            }
            Corrections::Status {} => {
                let tells = self.outbound.fields().contains(&Field::Status);
                let detail = "nothing in the request says the status: it needs `{status}`";
                if !tells {
                    return of(detail.to_owned());
                }
                let undone = [Status::Rejected, Status::Reversed];
                let unsaid = undone.into_iter().find(|status| !self.outbound.says(*status))?;
                let name = unsaid.name();
                of(format!("the request has no word for `{name}`: add it to `{{status:…}}`"))
            }
            Corrections::Url { .. } => self.retracting().and_then(|one| self.retracting_fault(one)),
        }
    }

    fn retracting_fault(&self, mut outbound: Outbound) -> Option<Fault> {
        // What only the first URL needed of the account may be idle in this one.
        let used = outbound.used_accounts();
        outbound.accounts.retain(|one| used.contains(&one.name));
        let of = |detail: &str| Some(Fault::at("corrections.url", detail));
        if let Some(fault) = outbound.fault() {
            return of(fault.strip_prefix("url: ").unwrap_or(&fault));
        }
        match outbound.signature_place() {
            Err(detail) => of(&detail),
            Ok(Some(_)) if self.scheme.is_none() => of("{signature} needs a scheme"),
            Ok(Some(place)) => self
                .host_fault(&outbound)
                .or_else(|| of(&self.unsignable(&outbound, &place)?.detail)),
            Ok(None) => self.host_fault(&outbound),
        }
    }

    pub(crate) fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        self.secrets.values_mut().collect()
    }

    fn is_secret(&self, name: &str) -> bool {
        self.outbound.accounts.iter().any(|one| one.name == name && one.secret)
    }

    /// The account's value of that name, secret or not.
    fn account_value(&self, name: &str) -> &str {
        match self.is_secret(name) {
            true => self.secrets.get(name).map_or("", Secret::expose),
            false => self.account.get(name).map_or("", String::as_str),
        }
    }
}

/// How Standard Webhooks are signed, and the headers that carry it.
pub fn standard_webhooks() -> (Scheme, BTreeMap<String, String>) {
    let (id, timestamp) = ("webhook-id".to_owned(), "webhook-timestamp".to_owned());
    let headers = [
        (id.clone(), "{idempotency_key}"),
        (timestamp.clone(), "{timestamp}"),
        ("webhook-signature".to_owned(), "{signature}"),
    ];
    let scheme = Scheme {
        algorithm: Algorithm::HmacSha256,
        encoding: Encoding::Base64,
        prefix: "v1,".to_owned(),
        separator: " ".to_owned(),
        key: Key::Base64,
        secret: None,
        input: Input::Webhook { id, timestamp },
    };
    (scheme, headers.map(|(name, value)| (name, value.to_owned())).into())
}

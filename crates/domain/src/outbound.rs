//! What we call to tell a platform of a conversion, and what its answer means.
//!
//! The host is written out, or is a value of the account that an operator has entered: nothing
//! that a visitor or a sender says can make us call another one.

mod answer;
mod field;
mod template;

#[cfg(test)]
mod tests;

pub use answer::{Condition, Verdict};
pub use field::{Amount, Field, Format, Moment};
pub use template::{Fault, Syntax, Template};

use crate::conversion::Status;
use crate::macros::{self, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The longest a URL may be as it is written, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// The longest a body may be as it is written, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// The longest a URL may be when it is filled in, in bytes.
pub const FILLED_URL_BYTES_MAX: usize = 16 * 1024;
/// The longest a body may be when it is filled in, in bytes.
pub const FILLED_BODY_BYTES_MAX: usize = 256 * 1024;
/// How many headers a request may have beside ours.
pub const HEADERS_MAX: usize = 20;
/// The longest a header's value may be as it is written, in bytes.
pub const HEADER_BYTES_MAX: usize = 1_000;
/// Headers that no template writes.
const HEADERS_OF_OURS: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// How many values of an account one platform may ask for.
pub const ACCOUNTS_MAX: usize = 20;
/// How many conditions may each mean a failure.
pub const FAILURES_MAX: usize = 20;
/// The longest a name, a content type or a text to look for may be, in bytes.
const WORD_BYTES_MAX: usize = 500;

/// How a platform is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    #[serde(default)]
    pub method: Method,
    /// With macros, see [`Template`].
    pub url: String,
    /// By their names in lower case; values with macros.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// With macros; its content type says how values are written into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What an operator has to enter once, such as an advertiser's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// It was delivered: everything said must hold. `None`: any 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Condition>,
    /// It was rejected, whatever else holds: any one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<Condition>,
    /// `false`: a good answer does not say whether the conversion counted.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub verifiable: bool,
}

fn yes() -> bool {
    true
}

/// The request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Method {
    #[default]
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One value of the operator's account with the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// In the template: `{account.name}`.
    pub name: String,
    /// What it is, and where it is found.
    pub about: String,
    #[serde(default)]
    pub secret: bool,
}

/// What carries a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignaturePlace {
    /// Of the URL, or of the body.
    Parameter(String),
    Header(String),
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub url: String,
    /// Those that the template names.
    pub headers: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Option<String>,
}

/// Why a request cannot be made from these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// The account has no such value.
    Account(String),
    /// With the account's value, the URL has no host that could be called.
    Host(String),
    /// It was made when such a template was no fault.
    Template(Fault),
    UrlTooLong,
    BodyTooLong,
}

impl std::fmt::Display for Unfilled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(name) => write!(f, "the account has no value for `{name}`"),
            Self::Host(why) => write!(f, "the account's values make no host: {why}"),
            Self::Template(fault) => fault.fmt(f),
            Self::UrlTooLong => write!(f, "the URL is above {FILLED_URL_BYTES_MAX} bytes"),
            Self::BodyTooLong => write!(f, "the body is above {FILLED_BODY_BYTES_MAX} bytes"),
        }
    }
}

impl Outbound {
    /// A GET of that URL, which any 2xx means well of.
    pub fn calling(url: String) -> Self {
        Self {
            method: Method::Get,
            url,
            headers: BTreeMap::new(),
            content_type: None,
            body: None,
            accounts: Vec::new(),
            success: None,
            failure: Vec::new(),
            verifiable: true,
        }
    }

    /// What is wrong with it, as `key: fault`; `None`: nothing.
    pub fn fault(&self) -> Option<String> {
        self.accounts_fault()
            .or_else(|| self.headers_fault())
            .or_else(|| self.body_fault())
            .or_else(|| Some(format!("url: {}", self.url_fault()?)))
            .or_else(|| self.success.as_ref()?.fault("success"))
            .or_else(|| {
                let many = (self.failure.len() > FAILURES_MAX)
                    .then(|| format!("failure: more than {FAILURES_MAX}"));
                let mut each = self.failure.iter().enumerate();
                many.or_else(|| {
                    each.find_map(|(place, one)| one.fault(&format!("failure[{place}]")))
                })
            })
    }

    fn accounts_fault(&self) -> Option<String> {
        if self.accounts.len() > ACCOUNTS_MAX {
            return Some(format!("accounts: more than {ACCOUNTS_MAX}"));
        }
        let mut names = BTreeSet::new();
        for account in &self.accounts {
            let (name, about) = (&account.name, &account.about);
            if !field::is_account_name(name) {
                let fault = "is no name: lower-case letters, digits and `_`, a letter first";
                return Some(format!("accounts: `{name}` {fault}"));
            }
            if about.trim().is_empty() || about.len() > WORD_BYTES_MAX {
                return Some(format!("accounts: `{name}` does not say what it is about"));
            }
            if !names.insert(name) {
                return Some(format!("accounts: `{name}` stands twice"));
            }
        }
        let known = |name: &str| names.iter().any(|own| *own == name);
        let used = self.used_accounts();
        if let Some(name) = used.iter().find(|name| !known(name)) {
            return Some(format!("url: {{account.{name}}} is not among the accounts"));
        }
        let idle = self.accounts.iter().find(|account| !used.contains(&account.name))?;
        Some(format!("accounts: nothing uses `{}`", idle.name))
    }

    /// The names of the account's values that its templates have filled in.
    pub(crate) fn used_accounts(&self) -> BTreeSet<String> {
        let templates: Vec<Template> = self.templates().filter_map(Result::ok).collect();
        let fields = templates.iter().flat_map(Template::fields);
        let accounts = fields.filter_map(|field| match field {
            Field::Account(name) => Some(name.clone()),
            _ => None,
        });
        accounts.collect()
    }

    /// All that is filled in, each once.
    pub fn fields(&self) -> Vec<Field> {
        let templates = self.templates().filter_map(Result::ok);
        let fields = templates.flat_map(|one| one.fields().cloned().collect::<Vec<_>>());
        fields.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether the request says that a conversion is in a status.
    pub fn says(&self, status: Status) -> bool {
        self.templates().filter_map(Result::ok).any(|one| one.says(status))
    }

    /// That of the URL first, then those of the headers, then the body's.
    fn templates(&self) -> impl Iterator<Item = Result<Template, Fault>> {
        let url = Template::parse(&self.url, Syntax::Url);
        let headers = self.headers.values().map(|value| Template::parse(value, Syntax::Header));
        std::iter::once(url).chain(headers).chain(self.body_template())
    }

    /// Where the signature goes; `None`: the request carries none.
    pub fn signature_place(&self) -> Result<Option<SignaturePlace>, String> {
        let mut places = Vec::new();
        let url = Template::parse(&self.url, Syntax::Url).ok();
        let body = self.body_template().and_then(Result::ok);
        for template in url.iter().chain(&body) {
            if let Some(name) = template.signed_parameter() {
                places.push(SignaturePlace::Parameter(name?));
            }
        }
        for (name, value) in &self.headers {
            if value.trim() == "{signature}" {
                places.push(SignaturePlace::Header(name.clone()));
            } else if Template::parse(value, Syntax::Header).is_ok_and(|one| one.is_signed()) {
                return Err(format!("headers.{name}: {{signature}} is all of a header's value"));
            }
        }
        match places.len() {
            0 | 1 => Ok(places.pop()),
            _ => Err("{signature} stands in more than one place".to_owned()),
        }
    }

    fn headers_fault(&self) -> Option<String> {
        if self.headers.len() > HEADERS_MAX {
            return Some(format!("headers: more than {HEADERS_MAX}"));
        }
        for (name, value) in &self.headers {
            let is_part =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > WORD_BYTES_MAX || !name.bytes().all(is_part) {
                let fault = "is no name of a header: lower-case letters, digits and `-`";
                return Some(format!("headers.{name}: `{name}` {fault}"));
            }
            if HEADERS_OF_OURS.contains(&name.as_str()) {
                return Some(format!("headers.{name}: `{name}` is written for every request"));
            }
            if value.len() > HEADER_BYTES_MAX {
                return Some(format!("headers.{name}: longer than {HEADER_BYTES_MAX} bytes"));
            }
            if let Err(fault) = Template::parse(value, Syntax::Header) {
                return Some(format!("headers.{name}: {fault}"));
            }
        }
        None
    }

    fn body_template(&self) -> Option<Result<Template, Fault>> {
        let syntax = Syntax::of(self.content_type.as_deref().unwrap_or_default());
        Some(Template::parse(self.body.as_deref()?, syntax))
    }

    fn body_fault(&self) -> Option<String> {
        let Some(body) = &self.body else {
            return self.content_type.as_ref().map(|_| "content_type: there is no body".to_owned());
        };
        if self.method == Method::Get {
            return Some("body: a GET has none".to_owned());
        }
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let is_plain = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_plain || !content_type.contains('/') || content_type.len() > WORD_BYTES_MAX {
            return Some("content_type: a body needs one, such as application/json".to_owned());
        }
        if body.len() > BODY_BYTES_MAX {
            return Some(format!("body: longer than {BODY_BYTES_MAX} bytes"));
        }
        match self.body_template()? {
            Err(fault) => Some(format!("body: {fault}")),
            Ok(template) => Some(format!("body: {}", template.json_fault()?)),
        }
    }

    fn url_fault(&self) -> Option<String> {
        if self.url.len() > URL_BYTES_MAX {
            return Some(format!("longer than {URL_BYTES_MAX} bytes"));
        }
        let template = match Template::parse(&self.url, Syntax::Url) {
            Ok(template) => template,
            Err(fault) => return Some(fault.to_string()),
        };
        let (scheme, authority) = match template.origin() {
            Ok(origin) => origin,
            Err(fault) => return Some(fault),
        };
        let origin = format!("{scheme}://{authority}/");
        let fault = macros::LandingUrl::parse(&origin, None).err().map(|error| error.to_string());
        fault.or_else(|| self.placeholder()).or_else(|| {
            let why = "what is behind `#` is never sent: leave it out, or write `%23` for a `#` in \
                a value";
            template.has_fragment().then(|| why.to_owned())
        })
    }

    /// A parameter whose value stands for another one, in somebody else's words.
    fn placeholder(&self) -> Option<String> {
        let query = self.url.split_once('?')?.1.split('#').next()?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut written = pairs.filter(|(_, value)| !value.contains(['{', '}']));
        let (name, value) = written.find(|(_, value)| macros::is_unreplaced(value, &[]))?;
        Some(format!("`{name}` is `{value}`, which stands for a value: write a macro in its place"))
    }

    /// Fills it in. `value` knows what the fields stand for; an account's value that is not
    /// there is [`Value::Empty`].
    pub fn request<'v>(
        &self,
        mut value: impl FnMut(&Field) -> Value<'v>,
    ) -> Result<Request, Unfilled> {
        let templates: Result<Vec<Template>, Fault> = self.templates().collect();
        let mut templates = templates.map_err(Unfilled::Template)?.into_iter();
        let url = templates.next().expect("there is a URL");
        let mut rest: Vec<Template> = templates.collect();
        for template in std::iter::once(&url).chain(&rest) {
            for field in template.fields() {
                if let Field::Account(name) = field
                    && value(field) == Value::Empty
                {
                    return Err(Unfilled::Account(name.clone()));
                }
            }
        }
        let body = self.body.is_some().then(|| rest.pop().expect("a body has a template"));
        let url = url.render(&mut value);
        if url.len() > FILLED_URL_BYTES_MAX {
            return Err(Unfilled::UrlTooLong);
        }
        check_host(&url)?;
        let headers = self.headers.keys().cloned();
        let headers = headers.zip(rest.iter().map(|one| one.render(&mut value))).collect();
        let body = body.map(|body| body.render(&mut value));
        if body.as_ref().is_some_and(|body| body.len() > FILLED_BODY_BYTES_MAX) {
            return Err(Unfilled::BodyTooLong);
        }
        let content_type = self.content_type.clone();
        Ok(Request { method: self.method, url, headers, content_type, body })
    }

    /// What it means that the platform answered so.
    pub fn verdict_of(&self, status: u16, body: &[u8]) -> Verdict {
        if self.failure.iter().any(|failure| failure.holds(status, body)) {
            return Verdict::Rejected;
        }
        let any = Condition::default();
        let success = self.success.as_ref().unwrap_or(&any);
        // What is only looked for in the body must come with a status that says yes.
        let has_status = !success.status.is_empty() || (200..300).contains(&status);
        match has_status && success.holds(status, body) {
            true if self.verifiable => Verdict::Delivered,
            true => Verdict::Unverified,
            false => Verdict::Rejected,
        }
    }
}

fn check_host(url: &str) -> Result<(), Unfilled> {
    let behind_scheme = url.find("://").map_or(0, |place| place + 3);
    let rest = &url[behind_scheme..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let origin = format!("{}/", &url[..behind_scheme + end]);
    match macros::LandingUrl::parse(&origin, None) {
        Ok(_) => Ok(()),
        Err(error) => Err(Unfilled::Host(error.to_string())),
    }
}

//! What is wrong with a contract: at which place in it, and what would be right there.
//!
//! Whoever writes one, as a person's draft or as a file of the catalogue, is told of the first
//! fault in the order of its fields.

use super::{
    Canonical, Contract, Identity, NAMES_MAX, PARAMETERS_MAX, Parameter, TXN_ID_PARTS_MAX,
    UNREPLACED_MAX, Unit, VALUE_BYTES_MAX, is_header_name, is_name,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the contract, such as `parameters[3].max_length`.
    pub path: String,
    /// What would be right there.
    pub detail: String,
}

impl Fault {
    pub(crate) fn at(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), detail: detail.into() }
    }

    /// The same fault, of something that stands at `place`.
    pub(crate) fn within(self, place: &str) -> Self {
        Self { path: format!("{place}.{}", self.path), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.detail)
    }
}

/// What a list lacks that has to have a parameter for `canonical`.
fn no_parameter(path: impl Into<String>, canonical: Canonical) -> Fault {
    Fault::at(path, format!("no parameter is `{canonical}`: add it to `parameters`"))
}

impl Contract {
    /// What is wrong with it; `None`: nothing.
    pub fn fault(&self) -> Option<Fault> {
        if self.parameters.len() > PARAMETERS_MAX {
            return Some(Fault::at("parameters", format!("at most {PARAMETERS_MAX}")));
        }
        self.parameter_fault()
            .or_else(|| self.statuses.fault())
            .or_else(|| self.goals_fault())
            .or_else(|| self.unreplaced_fault())
            .or_else(|| self.txn_id_fault())
            .or_else(|| self.reversal.as_ref()?.fault(self))
            .or_else(|| self.ignore_where_fault())
            .or_else(|| self.times.fault())
            .or_else(|| self.answers.fault())
            .or_else(|| self.return_name_fault())
            .or_else(|| self.signature_fault())
            .or_else(|| self.verification.shadow_fault())
            .or_else(|| self.missing_part())
    }

    /// The first parameter that is wrong by itself or beside those before it.
    fn parameter_fault(&self) -> Option<Fault> {
        let mut names = BTreeMap::new();
        let mut canonicals = BTreeSet::new();
        let mut all = self.parameters.iter().enumerate();
        all.find_map(|(place, parameter)| {
            let place = format!("parameters[{place}]");
            let canonical = parameter.canonical;
            if !canonicals.insert(canonical) {
                let detail = format!("`{canonical}` stands twice among the parameters");
                return Some(Fault::at("canonical", detail).within(&place));
            }
            let fault = parameter.fault().or_else(|| parameter.names_fault(&mut names));
            fault.map(|fault| fault.within(&place))
        })
    }

    fn txn_id_fault(&self) -> Option<Fault> {
        if self.txn_id_parts.len() > TXN_ID_PARTS_MAX {
            return Some(Fault::at("txn_id_parts", format!("at most {TXN_ID_PARTS_MAX}")));
        }
        for (place, part) in self.txn_id_parts.iter().enumerate() {
            let path = format!("txn_id_parts[{place}]");
            if !part.may_identify() {
                let detail = format!("`{part}` cannot be a part of a transaction id");
                return Some(Fault::at(path, detail));
            }
            if self.parameter(*part).is_none() {
                return Some(no_parameter(path, *part));
            }
        }
        let parameter = self.parameter(Canonical::TxnId);
        let is_required = parameter.is_some_and(|parameter| parameter.required);
        let fault = match (self.identity, self.triage_until) {
            (Identity::Txn, None) if !is_required => {
                Fault::at("identity", "`txn` needs a required `txn_id` parameter")
            }
            (Identity::ClickGoalTxn, Some(_)) if !is_required => {
                Fault::at("triage_until", "it needs a required `txn_id` parameter")
            }
            (Identity::ClickGoalTxn, _) | (_, None) => return None,
            (_, Some(_)) => Fault::at("triage_until", "it needs the identity `click_goal_txn`"),
        };
        Some(fault)
    }

    fn goals_fault(&self) -> Option<Fault> {
        let mut raws = BTreeSet::new();
        self.goals.keys().find_map(|raw| {
            let path = format!("goals.{raw}");
            if raw.trim() != raw || raw.is_empty() {
                let detail = format!("`{raw}` is blank, or has blanks around it");
                return Some(Fault::at(path, detail));
            }
            let is_first = raws.insert(raw.to_ascii_lowercase());
            let detail = format!("`{raw}` stands twice, and case makes no difference");
            (!is_first).then(|| Fault::at(path, detail))
        })
    }

    fn unreplaced_fault(&self) -> Option<Fault> {
        words_fault("unreplaced", &self.unreplaced)
    }

    fn ignore_where_fault(&self) -> Option<Fault> {
        self.ignore_where.iter().find_map(|(canonical, values)| {
            let path = format!("ignore_where.{canonical}");
            if self.parameter(*canonical).is_none() {
                return Some(no_parameter(path, *canonical));
            }
            if canonical.is_secret() || *canonical == Canonical::ClickId {
                let detail = format!("`{canonical}` proves or names the click");
                return Some(Fault::at(path, detail));
            }
            if values.is_empty() {
                return Some(Fault::at(path, format!("1 to {UNREPLACED_MAX} words")));
            }
            words_fault(&path, values)
        })
    }

    /// What gives the body of answers is the sender's own word for that, and nothing else.
    fn return_name_fault(&self) -> Option<Fault> {
        let name = self.answers.return_name.as_ref()?;
        let is_read = |one: &&Parameter| !one.in_header && one.names.contains(name);
        let parameter = self.parameters.iter().find(is_read)?;
        let detail =
            format!("another name than `{name}`, which `{}` is read from", parameter.canonical);
        Some(Fault::at("answers.return_name", detail))
    }

    fn signature_fault(&self) -> Option<Fault> {
        let scheme = self.verification.signature.as_ref()?;
        let fault = scheme.fault().map(|fault| fault.within("verification.signature"));
        fault.or_else(|| {
            let own = "verification.signature";
            let Some(signature) = self.parameter(Canonical::Signature) else {
                return Some(no_parameter(own, Canonical::Signature));
            };
            if self.verification.token == Some(Canonical::Signature) {
                let detail = "the parameter `signature` carries the token already";
                return Some(Fault::at(own, detail));
            }
            let is_signature = |field: &&str| signature.names.iter().any(|name| name == field);
            let signed = scheme.input.fields().find(is_signature).filter(|_| !signature.in_header);
            if let Some(name) = signed {
                let detail = format!("`{name}` is the signature itself");
                return Some(Fault::at(format!("{own}.input.fields"), detail));
            }
            let mut names = self.deciding_in_headers().flat_map(|parameter| &parameter.names);
            let open = names.find(|name| scheme.leaves_open(name))?;
            let detail = format!("`{open}` decides, and stands in a header that is not signed");
            Some(Fault::at(format!("{own}.input"), detail))
        })
    }

    fn missing_part(&self) -> Option<Fault> {
        if self.parameter(Canonical::ClickId).is_none() {
            return Some(Fault::at("parameters", "one of them is `click_id`: it names the click"));
        }
        let status = self.parameter(Canonical::Status);
        if self.statuses.absent.is_none() && status.is_none_or(|status| !status.required) {
            let detail = "a status that may be absent needs a meaning: one of pending, approved, \
                          rejected, reversed";
            return Some(Fault::at("statuses.absent", detail));
        }
        let timestamp = self.parameter(Canonical::Timestamp);
        let has_tolerance = self.verification.timestamp_tolerance_s.is_some();
        if has_tolerance && timestamp.is_none_or(|timestamp| !timestamp.required) {
            let detail = "it needs a required `timestamp` parameter";
            return Some(Fault::at("verification.timestamp_tolerance_s", detail));
        }
        match self.verification.token {
            Some(token) if !token.is_secret() => {
                let detail = format!("`signature` or `token`, not `{token}`");
                Some(Fault::at("verification.token", detail))
            }
            Some(token) if self.parameter(token).is_none() => {
                Some(no_parameter("verification.token", token))
            }
            None if self.verification.token_required && self.verification.signature.is_none() => {
                let detail = "it needs verification.token or verification.signature";
                Some(Fault::at("verification.token_required", detail))
            }
            _ => None,
        }
    }
}

impl Parameter {
    fn fault(&self) -> Option<Fault> {
        let canonical = self.canonical;
        if self.names.is_empty() || self.names.len() > NAMES_MAX {
            return Some(Fault::at("names", format!("`{canonical}` has 1 to {NAMES_MAX} names")));
        }
        if !(1..=VALUE_BYTES_MAX).contains(&self.length_max()) {
            return Some(Fault::at("max_length", format!("1 to {VALUE_BYTES_MAX} bytes")));
        }
        if self.appended && (self.in_url || self.placeholder.is_some()) {
            let why = "is added by its sender, so it has no place and no macro in the URL";
            return Some(Fault::at("appended", format!("`{canonical}` {why}")));
        }
        let has_stray_unit = self.unit != Unit::Decimal && !canonical.is_money();
        has_stray_unit.then(|| {
            let detail = format!("`{canonical}` is no money, so it has no unit but `decimal`");
            Fault::at("unit", detail)
        })
    }

    /// What is wrong with its names, beside those that other parameters have.
    fn names_fault<'a>(&'a self, taken: &mut BTreeMap<&'a String, Canonical>) -> Option<Fault> {
        let canonical = self.canonical;
        self.names.iter().enumerate().find_map(|(place, name)| {
            let fault = |detail: String| Some(Fault::at(format!("names[{place}]"), detail));
            if !is_name(name) {
                let why = "is blank, too long, or has control characters or backticks";
                return fault(format!("`{canonical}` has a name that {why}"));
            }
            if self.in_header && !is_header_name(name) {
                return fault(format!("`{name}` is no header that is kept"));
            }
            let other = taken.insert(name, canonical)?;
            if other == canonical {
                return fault(format!("`{canonical}` has the name `{name}` twice"));
            }
            fault(format!("`{name}` names both `{other}` and `{canonical}`"))
        })
    }
}

fn words_fault(path: &str, words: &[String]) -> Option<Fault> {
    if words.len() > UNREPLACED_MAX {
        return Some(Fault::at(path, format!("at most {UNREPLACED_MAX} words")));
    }
    words.iter().enumerate().find_map(|(place, word)| {
        let is_bad = word.trim() != *word || !is_name(word);
        let detail = format!("`{word}` is blank, too long, or has blanks around it");
        is_bad.then(|| Fault::at(format!("{path}[{place}]"), detail))
    })
}

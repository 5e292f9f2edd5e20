//! How a hit was read: which contract, what was taken under which name, and what nobody asked
//! for.
//!
//! It is worked out again from the stored request, so it needs no storage of its own. Where the
//! request has been removed there is none.

use super::mask::Mask;
use super::show::MASK;
use domain::click_id::Keyring;
use domain::contract::Canonical;
use domain::hit::Hit;
use domain::id::IntegrationId;
use domain::integration::Integration;
use domain::ledger::{self, Read};
use domain::postback::Pairs;
use domain::reason::{Flag, Reason, Verdict};
use domain::setup::Setup;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::list::StoredVerdict;

/// How a request was read, whatever became of it.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Reading {
    /// The contract that read it, such as `12.1`.
    contract: Option<String>,
    /// The key in its path is none of ours: it was read as on a path of the partner's, by its click.
    foreign_key: bool,
    /// On `/postback`, our click id came under a name that the integration in charge does not read,
    /// and a partner of the catalogue does: it was read as on a path of that partner's.
    foreign_name: bool,
    /// In the contract's order.
    parameters: Vec<Taken>,
    /// The names that were sent and that nobody asked for.
    unread: Vec<String>,
}

/// How a stored hit was read, and what became of it.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Trace {
    #[serde(flatten)]
    reading: Reading,
    verdict: Option<Verdict>,
    reason: Option<Reason>,
    detail: Option<String>,
    flags: Vec<Flag>,
}

/// A value that was read.
#[derive(Debug, JsonSchema, Serialize)]
struct Taken {
    canonical: Canonical,
    /// As it was sent.
    name: String,
    value: String,
}

impl Trace {
    pub(super) fn of(
        setup: &Setup,
        keyring: &Keyring,
        hit: &Hit,
        at: Timestamp,
        verdict: Option<&StoredVerdict>,
    ) -> Self {
        let again = verdict.and_then(|verdict| as_decided_again(setup, verdict));
        let read = ledger::read(again.as_ref().unwrap_or(setup), keyring, hit, at);
        Self {
            verdict: verdict.map(|verdict| verdict.verdict),
            reason: verdict.and_then(|verdict| verdict.reason),
            detail: verdict.and_then(|verdict| verdict.detail.clone()),
            flags: verdict.map(|verdict| verdict.flags.iter().collect()).unwrap_or_default(),
            reading: Reading::of(setup, hit, &read),
        }
    }
}

impl Reading {
    /// Of a request that nobody reads.
    pub(super) fn nothing(hit: &Hit) -> Self {
        let sent = Pairs::of(hit).all;
        let unread = sent.into_iter().map(|pair| pair.name).collect();
        Self {
            contract: None,
            foreign_key: false,
            foreign_name: false,
            parameters: Vec::new(),
            unread,
        }
    }

    pub(super) fn of(setup: &Setup, hit: &Hit, read: &Read<'_>) -> Self {
        let sent = Pairs::of(hit).all;
        let reference = read.contract_ref.as_ref().map(ToString::to_string);
        let mask = Mask::of(setup, reference.as_deref());
        let parameters = read.contract.map_or(&[][..], |contract| &contract.parameters);
        let taken = parameters.iter().filter_map(|parameter| {
            let canonical = parameter.canonical;
            if canonical.is_secret() {
                let is_it = |name: &String| parameter.names.contains(name);
                let pair = sent.iter().find(|pair| is_it(&pair.name))?;
                return Some(Taken { canonical, name: pair.name.clone(), value: MASK.to_owned() });
            }
            let value = read.reading.values.iter().find(|value| value.canonical == canonical)?;
            // The very secret, which a sender has put where something else belongs.
            let is_hidden = mask.hides(&value.name, &value.text);
            let text = if is_hidden { MASK.to_owned() } else { value.text.clone() };
            Some(Taken { canonical, name: value.name.clone(), value: text })
        });
        Self {
            parameters: taken.collect(),
            contract: reference,
            foreign_key: read.has_foreign_key,
            foreign_name: read.has_foreign_name,
            unread: read.reading.unread.clone(),
        }
    }
}

/// The setup as if the contract that a command had the hit decided by had always been in force.
fn as_decided_again(setup: &Setup, verdict: &StoredVerdict) -> Option<Setup> {
    verdict.decided_by?;
    let (id, number) = verdict.contract.as_deref()?.split_once('.')?;
    let (id, number) = (IntegrationId(id.parse().ok()?), number.parse().ok()?);
    let contract = setup.contract(id, number)?.contract.clone();
    let integration = setup.integration(id)?.clone();
    let spoken = Integration { version: number, contract, earlier: Vec::new(), ..integration };
    Some(setup.read_as_if(&spoken, Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::{contract_of, integration, parameter};
    use super::*;
    use domain::integration::Scope;
    use domain::setup::Change;
    use serde_json::json;

    #[test]
    fn a_trace_says_what_was_read_under_which_name_and_hides_the_token() {
        let mut revenue = parameter(Canonical::Revenue, false);
        revenue.names = vec!["revenue".to_owned(), "amount".to_owned()];
        let contract = contract_of(vec![
            parameter(Canonical::ClickId, true),
            revenue,
            parameter(Canonical::Token, false),
        ]);
        let mut setup = Setup::default();
        let one = integration(Scope::Global, contract);
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        let keyring = Keyring::new([(0, [1; 32])]).unwrap();
        let target = b"/postback/k3y?token=s3cret&amount=2.5&click_id=abc&x=1".to_vec();
        let hit = Hit { target, ..Hit::default() };
        let at = Timestamp::from_s(1);
        let trace = serde_json::to_value(Trace::of(&setup, &keyring, &hit, at, None)).unwrap();
        assert_eq!(trace["contract"], "3.1");
        let parameters = json!([
            { "canonical": "click_id", "name": "click_id", "value": "abc" },
            { "canonical": "revenue", "name": "amount", "value": "2.5" },
            { "canonical": "token", "name": "token", "value": "***" },
        ]);
        assert_eq!(trace["parameters"], parameters);
        assert_eq!(trace["unread"], json!(["x"]));
        assert_eq!(trace["verdict"], json!(null));
    }

    #[test]
    fn a_secret_in_another_ones_place_is_hidden_too() {
        let parameters = [(Canonical::ClickId, true), (Canonical::Token, false)];
        let parameters = parameters.map(|(canonical, required)| parameter(canonical, required));
        let one = integration(Scope::Global, contract_of(parameters.into()));
        let mut setup = Setup::default();
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        let keyring = Keyring::new([(0, [1; 32])]).unwrap();
        let target = b"/postback/k3y?token=other&click_id=s3cret".to_vec();
        let hit = Hit { target, ..Hit::default() };
        let trace = serde_json::to_string(&Trace::of(&setup, &keyring, &hit, Timestamp::MAX, None))
            .unwrap();
        assert!(!trace.contains("s3cret") && !trace.contains("other"), "{trace}");
    }

    #[test]
    fn a_hit_that_no_contract_reads_has_a_trace_all_the_same() {
        let keyring = Keyring::new([(0, [1; 32])]).unwrap();
        let hit = Hit { target: b"/postback/none?a=%".to_vec(), ..Hit::default() };
        let trace = Trace::of(&Setup::default(), &keyring, &hit, Timestamp::UNIX_EPOCH, None);
        assert_eq!((trace.reading.contract, trace.reading.parameters.len()), (None, 0));
    }
}

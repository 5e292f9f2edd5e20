//! What commands do to the versions of a contract: draft, sign off, activate, roll back, retire.
//!
//! All that reading a hit needs of it is brought onto the integration by the same command, so what
//! was agreed at any instant is found in the integration's own history.

use super::execute::{Effect, Executed, in_use};
use super::{Act, By, DraftSource, Failure, Sunset};
use crate::contract::version::{
    CONTRACT_BYTES_MAX, DRAFTS_MAX, EARLIER_MAX, NOTE_BYTES_MAX, SIGNER_BYTES_MAX,
    SUNSET_DAYS_DEFAULT, SUNSET_DAYS_MAX, Status, VERSIONS_MAX,
};
use crate::contract::{Contract, Fault, Lack, Role, SIGNATURE, SignOff, TOKEN, Version};
use crate::id::IntegrationId;
use crate::integration::{EarlierContract, Integration};
use crate::setup::{Change, History, Setup};
use crate::time::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;

impl Setup {
    /// What an act on a contract does.
    pub(super) fn execute_on_contract(&self, act: &Act, by: By<'_>) -> Executed {
        match act {
            Act::DraftContract { integration_id, source, note, cutover_on, token } => {
                if let DraftSource::Contract(contract) = source {
                    check_triage(contract, by.at)?;
                }
                let draft = self.draft_contract(*integration_id, source, token)?;
                described(draft, Some(note), Some(cutover_on))
            }
            Act::ChangeDraft { integration_id, number, contract, note, cutover_on } => {
                let mut draft = self.the_draft(*integration_id, *number)?;
                if let Some(contract) = contract {
                    check_triage(contract, by.at)?;
                    draft.contract = checked_contract(contract)?;
                }
                // What was signed is not what stands there now.
                draft.status = Status::Draft;
                draft.sign_offs = BTreeMap::new();
                described(draft, note.as_ref(), cutover_on.as_ref())
            }
            Act::DiscardDraft { integration_id, number } => {
                let draft = self.the_draft(*integration_id, *number)?;
                let status = Status::Discarded;
                Ok(Effect::of(Change::Contract(Version { status, ..draft })))
            }
            Act::SignOffContract { integration_id, number, role, name } => {
                self.sign_off_contract(*integration_id, *number, *role, name, by)
            }
            Act::ActivateContract { integration_id, number, sunset } => {
                self.activate_contract(*integration_id, *number, *sunset, by.at)
            }
            Act::RetireContract { integration_id, number } => {
                self.retire_contract(*integration_id, *number, by.at)
            }
            _ => unreachable!("only acts on contracts are handed here"),
        }
    }

    fn the_integration_in_use(&self, id: IntegrationId) -> Result<Integration, Failure> {
        let integration = self.the_integration(id)?;
        in_use("integration", id, integration.archived)?;
        Ok(integration)
    }

    fn the_contract(&self, id: IntegrationId, number: u32) -> Result<Version, Failure> {
        self.the_integration_in_use(id)?;
        let version = self.contract(id, number).cloned();
        version.ok_or_else(|| Failure::not_found("contract", format!("{id}.{number}")))
    }

    /// A version that can still be changed.
    fn the_draft(&self, id: IntegrationId, number: u32) -> Result<Version, Failure> {
        let version = self.the_contract(id, number)?;
        if version.is_open() {
            return Ok(version);
        }
        let is = match version.status {
            Status::Discarded => "was discarded",
            _ => "is or was active, and stays as it is",
        };
        let detail = format!("contract {} {is}: draft a new one", version.reference());
        Err(Failure::conflict("not_a_draft", detail))
    }

    fn draft_contract(
        &self,
        id: IntegrationId,
        source: &DraftSource,
        token: &str,
    ) -> Result<Version, Failure> {
        let integration = self.the_integration_in_use(id)?;
        let (base, contract) = match source {
            DraftSource::Contract(contract) => (integration.version, &**contract),
            DraftSource::Partner(name) => (integration.version, self.calling_partner(name)?.1),
            DraftSource::Version(number) => {
                let from = self.contract(id, *number).ok_or_else(|| {
                    let detail = format!("integration {id} has no contract {number}");
                    Failure::invalid("from", detail)
                })?;
                (*number, &from.contract)
            }
        };
        let contract = checked_contract(contract)?;
        let all = || self.contracts_of(id).map(History::latest);
        if all().filter(|one| one.is_open()).count() >= DRAFTS_MAX {
            let detail = format!("integration {id} has {DRAFTS_MAX} drafts: discard one first");
            return Err(Failure::conflict("too_many_drafts", detail));
        }
        let number = all().map(|one| one.number).max().unwrap_or_default() + 1;
        if number > VERSIONS_MAX {
            let detail = format!("an integration has at most {VERSIONS_MAX} versions");
            return Err(Failure::conflict("too_many_versions", detail));
        }
        if self.contract_by_token(token).is_some() {
            return Err(Failure::conflict("in_use", "the token is another contract's"));
        }
        Ok(Version {
            integration_id: id,
            number,
            status: Status::Draft,
            contract,
            base: Some(base),
            sign_offs: BTreeMap::new(),
            note: None,
            cutover_on: None,
            token: token.to_owned(),
        })
    }

    fn sign_off_contract(
        &self,
        id: IntegrationId,
        number: u32,
        role: Role,
        name: &str,
        by: By<'_>,
    ) -> Executed {
        let mut version = self.the_draft(id, number)?;
        let name = name.trim();
        if name.is_empty() || name.len() > SIGNER_BYTES_MAX || name.contains(char::is_control) {
            let detail = format!("who signs has a name of 1 to {SIGNER_BYTES_MAX} bytes");
            return Err(Failure::invalid("name", detail));
        }
        let sign_off = SignOff { name: name.to_owned(), actor: by.actor.to_owned(), at: by.at };
        version.sign_offs.insert(role, sign_off);
        let active = self.the_integration(id)?.contract;
        let is_missing = !version.roles_missing(&active).is_empty();
        version.status = if is_missing { Status::Draft } else { Status::SignedOff };
        Ok(Effect::of(Change::Contract(version)))
    }

    fn activate_contract(
        &self,
        id: IntegrationId,
        number: u32,
        sunset: Sunset,
        at: Timestamp,
    ) -> Executed {
        let mut integration = self.the_integration_in_use(id)?;
        let mut version = self.the_contract(id, number)?;
        let until = checked_sunset(sunset, at)?;
        match version.status {
            Status::Active => {
                let detail = format!("contract {id}.{number} is active");
                return Err(Failure::conflict("already_active", detail));
            }
            Status::Discarded => {
                let detail = format!("contract {id}.{number} was discarded: draft a new one");
                return Err(Failure::conflict("not_a_draft", detail));
            }
            // What was agreed once needs no second agreement.
            Status::Sunset { .. } => {}
            // Signed off against what was active then; another one may be now.
            Status::Draft | Status::SignedOff => check_signed(&version, &integration.contract)?,
        }
        let contract = checked_contract(&version.contract)?;
        check_secrets(&version, &integration)?;
        let before = integration.version;
        let mut replaced = self.the_contract(id, before)?;
        replaced.status = Status::Sunset { until };
        version.status = Status::Active;
        integration.version = number;
        let old = std::mem::replace(&mut integration.contract, contract);
        integration.earlier.retain(|one| one.version != number);
        integration.earlier.insert(0, EarlierContract { version: before, until, contract: old });
        forget_oldest(&mut integration, at)?;
        let Effect { mut changes, answer } = Effect::of(Change::Contract(version));
        changes.insert(0, Change::Contract(replaced));
        changes.push(Change::Integration(integration));
        Ok(Effect { changes, answer })
    }

    fn retire_contract(&self, id: IntegrationId, number: u32, at: Timestamp) -> Executed {
        let mut integration = self.the_integration_in_use(id)?;
        let mut version = self.the_contract(id, number)?;
        let is_in_sunset = matches!(version.status, Status::Sunset { until } if until > at);
        if !is_in_sunset {
            let is = version.status.word(at);
            let detail = format!("contract {id}.{number} is {is}: only one in sunset is retired");
            return Err(Failure::conflict("not_in_sunset", detail));
        }
        version.status = Status::Sunset { until: at };
        for one in integration.earlier.iter_mut().filter(|one| one.version == number) {
            one.until = at;
        }
        let Effect { mut changes, answer } = Effect::of(Change::Contract(version));
        changes.push(Change::Integration(integration));
        Ok(Effect { changes, answer })
    }
}

fn check_signed(version: &Version, active: &Contract) -> Result<(), Failure> {
    let missing = version.roles_missing(active);
    if missing.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = missing.into_iter().map(Role::name).collect();
    let detail = format!(
        "contract {} has still to be signed off by {}",
        version.reference(),
        roles.join(" and ")
    );
    Err(Failure::conflict("not_signed_off", detail))
}

/// Nothing would be accepted by a contract that requires a secret which nobody has set, or which
/// it cannot use; one that is only tried refuses nothing.
fn check_secrets(version: &Version, integration: &Integration) -> Result<(), Failure> {
    let (reference, id) = (version.reference(), integration.id);
    for name in [TOKEN, SIGNATURE] {
        let is = match version.contract.lacks_secret(name, &integration.secrets) {
            None => continue,
            Some(Lack::NotSet) => "is not set: set it first".to_owned(),
            Some(Lack::Useless(why)) => {
                format!("is set to what it cannot use ({why}): set another first")
            }
        };
        let detail = format!(
            "contract {reference} accepts nothing without the secret `{name}`, which {is}, with \
             PATCH /api/v1/integrations/{id} {{\"secrets\":{{\"{name}\":\"…\"}}}}"
        );
        return Err(Failure::conflict("secret_missing", detail));
    }
    Ok(())
}

/// Keeps no more earlier contracts than there is room for: the first to go are those whose sunset
/// has been over for longest.
fn forget_oldest(integration: &mut Integration, at: Timestamp) -> Result<(), Failure> {
    while integration.earlier.len() > EARLIER_MAX {
        let all = integration.earlier.iter().enumerate();
        let over = all.filter(|(_, one)| one.until <= at).min_by_key(|(_, one)| one.until);
        let Some((place, _)) = over else {
            let detail = format!("{EARLIER_MAX} versions are in sunset: retire one first");
            return Err(Failure::conflict("too_many_in_sunset", detail));
        };
        integration.earlier.remove(place);
    }
    Ok(())
}

/// A draft with what people are told of it.
fn described(
    mut draft: Version,
    note: Option<&Option<String>>,
    cutover_on: Option<&Option<String>>,
) -> Executed {
    if let Some(note) = note {
        draft.note = note.as_deref().map(checked_note).transpose()?;
    }
    if let Some(date) = cutover_on {
        draft.cutover_on = date.as_deref().map(checked_date).transpose()?;
    }
    Ok(Effect::of(Change::Contract(draft)))
}

fn checked_contract(contract: &Contract) -> Result<Contract, Failure> {
    if let Some(Fault { path, detail }) = contract.fault() {
        return Err(Failure::invalid(&format!("contract.{path}"), detail));
    }
    let bytes = serde_json::to_string(contract).expect("a contract is plain data").len();
    if bytes > CONTRACT_BYTES_MAX {
        let detail = format!("a contract has at most {CONTRACT_BYTES_MAX} bytes, not {bytes}");
        return Err(Failure::invalid("contract", detail));
    }
    Ok(contract.clone())
}

/// Whoever writes a triage that is over means another instant; one that was agreed on before may be
/// drafted from, tried and rolled back to.
fn check_triage(contract: &Contract, at: Timestamp) -> Result<(), Failure> {
    match contract.triage_until {
        Some(until) if until <= at => {
            let detail = format!("`{until}` is over: an instant to come, or none");
            Err(Failure::invalid("contract.triage_until", detail))
        }
        _ => Ok(()),
    }
}

fn checked_note(note: &str) -> Result<String, Failure> {
    let note = note.trim();
    let is_plain = |letter: char| letter == '\n' || !letter.is_control();
    if note.is_empty() || note.len() > NOTE_BYTES_MAX || !note.chars().all(is_plain) {
        let detail = format!("a note has 1 to {NOTE_BYTES_MAX} bytes of plain text");
        return Err(Failure::invalid("note", detail));
    }
    Ok(note.to_owned())
}

fn checked_date(date: &str) -> Result<String, Failure> {
    match date.parse::<Date>() {
        Ok(parsed) if parsed.to_string() == date => Ok(date.to_owned()),
        _ => Err(Failure::invalid("cutover_on", "a date such as 2026-12-01")),
    }
}

/// When a sunset that begins at `at` is over.
fn checked_sunset(sunset: Sunset, at: Timestamp) -> Result<Timestamp, Failure> {
    let days = |days: u16| at.plus_days(i64::from(days));
    match sunset {
        Sunset::Usual => Ok(days(SUNSET_DAYS_DEFAULT)),
        Sunset::Days(number) if number <= SUNSET_DAYS_MAX => Ok(days(number)),
        Sunset::Days(_) => {
            let detail = format!("0 to {SUNSET_DAYS_MAX} days");
            Err(Failure::invalid("sunset_days", detail))
        }
        Sunset::Until(until) if until >= at && until <= days(SUNSET_DAYS_MAX) => Ok(until),
        Sunset::Until(_) => {
            let detail = format!("not before now, and at most {SUNSET_DAYS_MAX} days from now");
            Err(Failure::invalid("sunset_until", detail))
        }
    }
}

//! Which contract reads a hit: by the key in its path, by the path, or by its click.

use super::ContractRef;
use super::route::{POSTBACK, Route, route_as_of};
use super::spoken::{self, Spoken, spoken};
use crate::campaign::Campaign;
use crate::click_id::Keyring;
use crate::contract::{Contract, Parameter};
use crate::hit::Hit;
use crate::integration::{Integration, Scope};
use crate::partner::{KEYED_PATH, PLAIN_PATH, Partner};
use crate::postback::{Pairs, Problem, earlier};
use crate::reason::Reason;
use crate::setup::AsOf;
use crate::time::Timestamp;

/// Who reads a hit.
pub(super) struct Chosen<'a> {
    pub(super) by: ContractRef,
    pub(super) contract: &'a Contract,
    /// `None`: a partner's own contract.
    pub(super) integration: Option<&'a Integration>,
    /// Another contract has taken the place of the one that reads.
    pub(super) is_in_sunset: bool,
    pub(super) clue: Clue,
    /// Names that carry click ids and do not agree, or whose sunset is over.
    pub(super) fault: Result<(), Problem>,
}

/// What led to whoever reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clue {
    /// The key in the path.
    Key,
    /// Our click, beside a key that is none of ours.
    ForeignKey,
    /// Our click, under a name that nobody who is in charge of it reads.
    ForeignName,
    /// The path, or whoever is in charge of the click's campaign.
    Place,
}

impl<'a> Chosen<'a> {
    fn integration(integration: &'a Integration, sent: &Pairs, at: Timestamp) -> Self {
        let Spoken { version, contract, is_in_sunset } = spoken(integration, sent, at);
        Self {
            by: ContractRef::Integration { id: integration.id, version },
            contract,
            integration: Some(integration),
            is_in_sunset,
            clue: Clue::Place,
            fault: spoken::retired(integration, sent, at),
        }
    }

    fn partner(partner: &'a Partner, contract: &'a Contract) -> Self {
        let by = ContractRef::Partner(partner.name.clone());
        Self {
            by,
            contract,
            integration: None,
            is_in_sunset: false,
            clue: Clue::Place,
            fault: Ok(()),
        }
    }

    /// The same, where the click ids may disagree.
    fn with(self, conflict: Result<(), Problem>) -> Self {
        Self { fault: earlier(self.fault, conflict), ..self }
    }
}

pub(super) fn choose<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    hit: &Hit,
    sent: &Pairs,
) -> Result<Chosen<'a>, Problem> {
    let by_integration = |one| Chosen::integration(one, sent, setup.at());
    match route_as_of(setup, hit.path()) {
        Route::Key(key) => {
            let own = setup.integration_by_key(key);
            let is_foreign = own.is_none() && may_be_foreign(key, hit.path());
            let by_click = || choose_by_foreign_key(setup, keyring, sent);
            own.filter(|integration| !integration.archived)
                .map(|own| Chosen { clue: Clue::Key, ..by_integration(own) })
                .or_else(|| is_foreign.then(by_click).flatten())
                .ok_or_else(|| {
                    let detail = "the postback URL's key is not one of ours";
                    Problem::new(Reason::UnknownIntegration, None, detail)
                })
        }
        Route::Path(path) => {
            let partners: Vec<_> = setup.partners_by_path(path).collect();
            Ok(choose_by_partner(setup, keyring, &partners, sent))
        }
        Route::Plain | Route::Elsewhere => {
            let is_click_id = |name: &str| setup.is_click_id_name(name);
            let (campaign, conflict) = clicked_campaign(setup, keyring, sent, is_click_id);
            let in_charge = campaign
                .and_then(|campaign| setup.integrations_for(campaign).next())
                .or_else(|| setup.integrations_of(Scope::Global).next());
            let mut contracts = in_charge.into_iter().flat_map(Integration::contracts);
            let is_read = contracts.any(|contract| names_click(contract, keyring, sent));
            let by_name = || choose_by_foreign_name(setup, keyring, in_charge, sent);
            (!is_read)
                .then(by_name)
                .flatten()
                .or_else(|| in_charge.map(|one| by_integration(one).with(conflict)))
                .ok_or_else(|| {
                    let detail = "there is no global integration to read it";
                    Problem::new(Reason::UnknownIntegration, None, detail)
                })
        }
    }
}

/// On a path that partners share, an integration around the click's campaign reads for its partner;
/// else it is the partner under whose names our click id came.
fn choose_by_partner<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    partners: &[(&'a Partner, &'a Contract)],
    sent: &Pairs,
) -> Chosen<'a> {
    let is_click_id = |name: &str| {
        partners.iter().any(|(partner, contract)| {
            contract.click_id_names().iter().any(|own| own == name)
                || setup.is_click_id_name_of(&partner.name, name)
        })
    };
    let (campaign, conflict) = clicked_campaign(setup, keyring, sent, is_click_id);
    let around = campaign.into_iter().flat_map(|one| setup.integrations_around(one));
    let mut all = around.chain(setup.integrations_of(Scope::Global));
    let own = all.find(|one| partners.iter().any(|(partner, _)| partner.name == one.partner));
    let names_ours = |(_, contract): &&(&Partner, &Contract)| names_click(contract, keyring, sent);
    let chosen = own.map_or_else(
        || {
            let named = partners.iter().find(names_ours).or(partners.first());
            let (partner, contract) = named.expect("the path is somebody's");
            Chosen::partner(partner, contract)
        },
        |own| Chosen::integration(own, sent, setup.at()),
    );
    chosen.with(conflict)
}

/// Whether a key may be one that a partner handed out: it stands before `/postback`, and is no
/// macro that nobody filled in.
fn may_be_foreign(key: &str, path: &[u8]) -> bool {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_".contains(&letter);
    let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    key.bytes().all(is_plain) && names.next() != Some(POSTBACK.as_bytes())
}

/// Senders of a partner whose own keys stand before `/postback` keep calling with them after a move
/// to us. Such a key says nothing; but where our click id came under one of the partner's names, it
/// is a postback of ours, and is read as on any path of the partner's.
fn choose_by_foreign_key<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    sent: &Pairs,
) -> Option<Chosen<'a>> {
    let partners: Vec<_> = setup.partners_by_path(KEYED_PATH).collect();
    let is_ours = partners.iter().any(|(_, contract)| names_click(contract, keyring, sent));
    let chosen = is_ours.then(|| choose_by_partner(setup, keyring, &partners, sent))?;
    Some(Chosen { clue: Clue::ForeignKey, ..chosen })
}

/// `/postback` is the catalogue's path too, of partners whose senders call there and whose names
/// nobody may have set up. Where our click came under one of theirs, and under none of whoever is
/// in charge, it is read as on any path of theirs: of those alone that have the name, and that read
/// more of what was sent than whoever is in charge. Or a misspelt name of the one's contract, which
/// happens to be another's, would cost the amount and the transaction id that stand beside it.
fn choose_by_foreign_name<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    in_charge: Option<&Integration>,
    sent: &Pairs,
) -> Option<Chosen<'a>> {
    let own = in_charge.into_iter().flat_map(Integration::contracts);
    let own = own.map(|contract| count_read(contract, sent)).max().unwrap_or(0);
    let on_it = setup.partners_by_path(PLAIN_PATH);
    let named = on_it.filter(|(_, contract)| names_click(contract, keyring, sent));
    let counted = named.map(|one| (count_read(one.1, sent), one));
    let mut counted: Vec<_> = counted.filter(|(count, _)| *count > own).collect();
    counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let partners: Vec<_> = counted.into_iter().map(|(_, one)| one).collect();
    let is_any = !partners.is_empty();
    let chosen = is_any.then(|| choose_by_partner(setup, keyring, &partners, sent))?;
    Some(Chosen { clue: Clue::ForeignName, ..chosen })
}

/// How much of what was sent a contract has names for.
fn count_read(contract: &Contract, sent: &Pairs) -> usize {
    let is_read = |parameter: &&Parameter| sent.of_parameter(parameter).next().is_some();
    contract.parameters.iter().filter(is_read).count()
}

/// Whether a click id of ours came under a name that the contract has for it.
fn names_click(contract: &Contract, keyring: &Keyring, sent: &Pairs) -> bool {
    let names = contract.click_id_names();
    let mut sent = sent.all.iter().filter(|pair| names.contains(&pair.name));
    sent.any(|pair| keyring.parse(pair.text.trim()).is_some())
}

/// The campaign of the first click that such names carry, and whether they all carry that click.
fn clicked_campaign<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    sent: &Pairs,
    is_click_id: impl Fn(&str) -> bool,
) -> (Option<&'a Campaign>, Result<(), Problem>) {
    let ids = sent.all.iter().filter(|pair| is_click_id(&pair.name));
    let mut ids = ids.filter_map(|pair| Some((keyring.parse(pair.text.trim())?, &pair.name)));
    let Some((id, name)) = ids.next() else { return (None, Ok(())) };
    let link = setup.link(id.link());
    let campaign = link.and_then(|link| setup.campaign(link.campaign_id));
    let conflict = ids.find(|(other, _)| *other != id).map_or(Ok(()), |(_, other)| {
        let detail = format!("`{name}` and `{other}` are different clicks");
        Err(Problem::new(Reason::InvalidPayload, Some(other), detail))
    });
    (campaign, conflict)
}

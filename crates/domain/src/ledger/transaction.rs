//! Postbacks that name no click, and a transaction in its place: they are about the conversion that
//! has it, and its click. They never make one.

use super::route::{Level, Read, Reader};
use super::{Conversion, Key, route};
use crate::campaign::Campaign;
use crate::click_id::ClickId;
use crate::contract::{Canonical, Contract, Identity};
use crate::id::AdvertiserId;
use crate::integration::{Integration, Scope};
use crate::postback::{self, Pairs, Postback, Problem, Reading};
use crate::reason::Reason;
use crate::setup::{AsOf, Setup};
use crate::time::Timestamp;

/// What is kept of a reading until it is known whose transaction it names.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    /// It as the reader's contract spells it, and as other contracts may have agreed for the click.
    keys: Vec<Key>,
    postback: Postback,
    reader: &'a Integration,
    sent: Pairs<'a>,
    at: Timestamp,
}

impl<'a> Asked<'a> {
    /// `None` where a click was sent, or has to be: the key it came with says for whom transaction
    /// ids alone make conversions one.
    pub(super) fn of(
        setup: AsOf<'_>,
        reader: &'a Integration,
        contract: &Contract,
        reading: &Reading,
        sent: &Pairs<'a>,
    ) -> Option<Self> {
        let postback = reading.result.as_ref().ok().filter(|one| one.click_id.is_empty())?;
        let txn_id = postback.txn_id.as_ref().filter(|_| contract.identity == Identity::Txn)?;
        let advertiser_id = advertiser_of(setup, reader)?;
        let key = |is_folded| Key::of_txn(advertiser_id, Some(&route::folded(is_folded, txn_id)));
        let mut keys = [contract.txn_id_folded, !contract.txn_id_folded].map(key).to_vec();
        keys.dedup();
        let (postback, at) = (postback.clone(), setup.at());
        Some(Self { keys, postback, reader, sent: sent.clone(), at })
    }

    /// Whether it names this one, as was agreed for its click: there it may be spelled otherwise.
    fn names(
        &self,
        conversion: &Conversion,
        contract: &Contract,
        setup: &Setup,
        campaign: &Campaign,
    ) -> bool {
        let agreed = route::agreed_with(setup, campaign, conversion.click_id).unwrap_or(contract);
        let txn_id = self.postback.txn_id.as_ref();
        let txn_id = txn_id.map(|txn_id| route::folded(agreed.txn_id_folded, txn_id));
        Key::of_txn(campaign.advertiser_id, txn_id.as_deref()) == conversion.key
    }
}

/// Whose transaction ids they are that come with its key. Two advertisers may give the same one, so
/// an integration of several can be asked for none.
fn advertiser_of(setup: AsOf<'_>, integration: &Integration) -> Option<AdvertiserId> {
    match integration.scope {
        Scope::Advertiser { advertiser_id } => Some(advertiser_id),
        Scope::Campaign { campaign_id } => {
            setup.campaign(campaign_id).map(|campaign| campaign.advertiser_id)
        }
        Scope::Global => {
            let mut all = setup.advertisers_of(integration.id);
            let only = all.next()?;
            all.next().is_none().then_some(only)
        }
    }
}

/// Why nothing comes of it, unless its conversion is found: a name that may have been meant for the
/// click id tells most.
pub(super) fn unknown(contract: &Contract, reading: &Reading) -> Problem {
    let click = contract.parameter(Canonical::ClickId);
    let missed = click.map(|click| postback::missing(click, click.name(), &reading.unread));
    if let Some(missed) = missed.filter(|missed| missed.nearest.is_some()) {
        return missed;
    }
    let sent = reading.values.iter().find(|value| value.canonical == Canonical::TxnId);
    let name = sent.map_or("txn_id", |value| value.name.as_str());
    let detail = format!(
        "no click id was sent, and no conversion that this postback URL serves has the transaction \
         of `{name}`"
    );
    Problem::new(Reason::UnknownClick, Some(name), detail)
}

impl<'a> Read<'a> {
    /// What makes the conversion one whose transaction it names in place of a click, in either
    /// spelling: all of them are to be looked up in turn, until it is [found](Self::found).
    /// Until then it is refused.
    pub fn asks_for(&self) -> &[Key] {
        self.asked.as_deref().map_or(&[], |asked| &asked.keys)
    }

    /// It is about that conversion, and its click, where the key it came with serves the campaign.
    /// What must hold of a postback that names the click must hold of this one. False where it
    /// names another one.
    pub fn found(&mut self, setup: &'a Setup, conversion: &Conversion) -> bool {
        let Some((asked, contract)) = self.asked.as_deref().zip(self.contract) else {
            return false;
        };
        let as_of = setup.as_of(asked.at);
        let serves = |campaign: &&Campaign| Level::of(campaign, asked.reader) != Level::Other;
        let campaign = as_of.campaign(conversion.campaign_id).filter(serves);
        let named = campaign.filter(|one| asked.names(conversion, contract, setup, one));
        let Some((campaign, asked)) = named.and_then(|one| Some((one, self.asked.take()?))) else {
            return false;
        };
        let unknown = std::mem::replace(&mut self.reading.result, Ok(asked.postback));
        let click_id: ClickId = conversion.click_id;
        self.click_id = Some(click_id);
        self.link = as_of.link(conversion.link_id);
        self.campaign = Some(campaign);
        let is_goal_said = self.postback().is_ok_and(|postback| postback.goal.is_some());
        if !is_goal_said {
            let then = route::campaign_then(setup, campaign, click_id);
            self.goal = then.goal(&conversion.goal).or_else(|| campaign.goal(&conversion.goal));
        }
        let reader = Reader { integration: Some(asked.reader), contract };
        self.place(reader, (campaign, click_id), &asked.sent, (setup, asked.at));
        if self.postback().is_ok() && self.key.as_ref() != Some(&conversion.key) {
            // Something else was agreed when its click was made: this names no conversion.
            (self.reading.result, self.key) = (unknown, None);
        }
        self.spoken = Some((Some(asked.reader), asked.sent));
        true
    }
}

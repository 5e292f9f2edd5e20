//! A click id of ours under a name that its reader does not take for one: nothing is decided by it,
//! but whoever looks for the mistake sees the click, and where its id stood.

use super::Read;
use crate::click_id::{ClickId, Keyring};
use crate::contract::Canonical;
use crate::postback::{Pair, Pairs, Problem};
use crate::reason::Reason;
use crate::setup::AsOf;

impl<'a> Read<'a> {
    /// Shows the click of a refused hit that named none, where one alone was sent.
    pub(super) fn show_held(&mut self, as_of: AsOf<'a>, keyring: &Keyring, sent: &Pairs<'_>) {
        let Some((id, name)) = held(keyring, sent) else { return };
        let Err(problem) = &mut self.reading.result else { return };
        let Some(asked) = self.contract.and_then(|one| one.parameter(Canonical::ClickId)) else {
            return;
        };
        let is_missing = problem.reason == Reason::MissingParameter
            && problem.parameter.as_ref().is_some_and(|blamed| asked.names.contains(blamed));
        if is_missing || problem.reason == Reason::UnknownClick {
            let is_unread = self.reading.unread.iter().any(|unread| unread == name);
            let nearest = is_unread.then(|| name.to_owned());
            let called = asked.name();
            *problem = Problem {
                nearest: nearest.or_else(|| problem.nearest.take()),
                detail: format!("`{name}` holds our click id; this contract calls it `{called}`"),
                ..problem.clone()
            };
        }
        self.click_id = Some(id);
        self.link = as_of.link(id.link());
        self.campaign = self.link.and_then(|link| as_of.campaign(link.campaign_id));
    }
}

/// The only click that is named anywhere, and the first name it stands under.
fn held<'s>(keyring: &Keyring, sent: &'s Pairs<'_>) -> Option<(ClickId, &'s str)> {
    let ids = |pair: &'s Pair| Some((keyring.parse(pair.text.trim())?, pair.name.as_str()));
    let mut all = sent.all.iter().filter_map(ids);
    let first = all.next()?;
    all.all(|(other, _)| other == first.0).then_some(first)
}

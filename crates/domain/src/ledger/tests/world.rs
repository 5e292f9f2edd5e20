//! A ledger in memory, driven by scripts: one line a postback, and what becomes of it.
//!
//! `?click_id=@a&txn_id=1 -> recorded approved 2.5/1.75` sends a postback with the id of the click
//! `a`, made when it is first named, to the campaign's own key, and expects the verdict, the
//! reason, the parameter, the nearest name, the status, what the entry adds to revenue and payout,
//! and the flags. `wait 3d` and `from 203.0.113.7` are lines too.

use crate::campaign::{Goal, Status as CampaignStatus};
use crate::click::{Click, Label, Labels, Personal};
use crate::click_id::{ClickId, ClickIdText, Keyring, Minter};
use crate::command::{
    Act, Answer, By, DraftSource, Failure, NewCampaign, NewIntegration, OWN_PARTNER, Sunset,
};
use crate::contract::{Canonical, Contract, Parameter, Role, Statuses, Unit};
use crate::conversion::Status;
use crate::hit::Hit;
use crate::id::{
    AdvertiserId, CampaignId, ConversionId, IntegrationId, LinkId, NodeId, Position, PublisherId,
};
use crate::integration::Scope;
use crate::ledger::{
    Cause, ClickEvents, Conversion, Decision, Effect, Entry, Facts, Key, Occasion, Read,
    change_by_person, decide, read,
};
use crate::money::{Currency, Micros};
use crate::partner::Partner;
use crate::reason::{Flag, Verdict};
use crate::secret::Secret;
use crate::setup::Setup;
use crate::time::Timestamp;
use crate::visitor::Visitor;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The key of the campaign's own integration.
pub(crate) const OWN: &str = "own";
/// The key of the global integration.
pub(crate) const GLOBAL: &str = "global";
pub(crate) const CAMPAIGN: CampaignId = CampaignId(1);
pub(crate) const LINK: LinkId = LinkId(1);
/// The campaign's own integration; the global one is made before it.
pub(crate) const OWN_ID: IntegrationId = IntegrationId(2);

/// Revenue as sent, a fixed payout.
pub(crate) const LEAD: &str =
    r#"[{"key":"lead","default":true,"revenue":{"from":"postback"},"payout":"1.75"}]"#;

/// A contract of parameters such as `click_id!` or `revenue=payout,sum`: canonical name, `!` where
/// required, and the names it goes by. Statuses are their own names, `hold` and `ping`.
pub(crate) fn contract(parameters: &str) -> Contract {
    let parameter = |text: &str| {
        let (canonical, names) = text.split_once('=').unwrap_or((text, ""));
        let bare = canonical.trim_end_matches('!');
        let names = if names.is_empty() { bare } else { names };
        Parameter {
            canonical: Canonical::from_name(bare).unwrap(),
            names: names.split(',').map(str::to_owned).collect(),
            in_header: false,
            required: canonical != bare,
            in_url: false,
            appended: false,
            placeholder: None,
            max_length: None,
            allowed: Vec::new(),
            unit: Unit::Decimal,
        }
    };
    let mut values: BTreeMap<Status, Vec<String>> =
        Status::ALL.into_iter().map(|status| (status, vec![status.name().to_owned()])).collect();
    values.get_mut(&Status::Pending).unwrap().push("hold".to_owned());
    let contract = Contract {
        parameters: parameters.split_whitespace().map(parameter).collect(),
        statuses: Statuses {
            absent: Some(Status::Approved),
            blank: None,
            values,
            ignore: vec!["ping".to_owned()],
            undone: Vec::new(),
            negative: None,
        },
        ..Contract::default()
    };
    assert_eq!(contract.fault(), None);
    contract
}

/// Click id, transaction, status, goal, revenue and payout, each under its own name.
pub(crate) fn plain() -> Contract {
    contract(
        "click_id! campaign_id txn_id status goal revenue payout sale_amount currency \
         conversion_ref sub1 sub2 param1 event1 placement campaign",
    )
}

pub(crate) fn partner(name: &str, contract: Contract) -> Partner {
    Partner {
        name: name.to_owned(),
        title: name.to_owned(),
        kind: "a test".to_owned(),
        confidence: None,
        sources: vec!["a test".to_owned()],
        source_on: "2026-11-20".to_owned(),
        notes: Vec::new(),
        menu: None,
        landing_params: None,
        click: Vec::new(),
        paths: Vec::new(),
        outbound: None,
        corrections: None,
        contract: Some(contract),
    }
}

pub(crate) fn goals(json: &str) -> Vec<Goal> {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn keyring() -> Keyring {
    Keyring::new([(0, [7; 32])]).unwrap()
}

pub(crate) fn campaign(name: &str, goals: Vec<Goal>) -> NewCampaign {
    NewCampaign {
        advertiser_id: AdvertiserId(1),
        name: name.to_owned(),
        kind: None,
        landing_url: "https://shop.example/?c={click_id}".to_owned(),
        fallback_url: None,
        currency: Currency::USD,
        time_zone: None,
        window_days: Some(30),
        partner: Some("it".to_owned()),
        integration_id: None,
        goals,
    }
}

/// One advertiser, publisher, campaign and link, all in use, and what was sent so far.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) now: Timestamp,
    pub(crate) from: Option<IpAddr>,
    pub(crate) conversions: BTreeMap<Key, Conversion>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) events: BTreeMap<ClickId, ClickEvents>,
    /// Whether `unverified` is shown among the flags.
    pub(crate) shows_unverified: bool,
    clicks: BTreeMap<ClickId, Click<'static>>,
    ids: BTreeMap<String, ClickId>,
    /// The last click's time, and how many were made.
    made: u32,
    position: u64,
}

impl World {
    /// The campaign speaks `contract`, by its own key and wherever no key is named.
    pub(crate) fn new(contract: Contract, goals_json: &str) -> Self {
        let mut world = Self::empty(contract);
        world.act(Act::CreateAdvertiser { name: "Shop".to_owned() });
        world.act(Act::CreatePublisher { name: "Blog".to_owned() });
        world.act(Act::CreateCampaign(Box::new(campaign("Spring", goals(goals_json)))));
        world.set_status(CampaignStatus::PendingApproval);
        world.set_status(CampaignStatus::Approved);
        world.set_status(CampaignStatus::Active);
        world.link(CAMPAIGN, false);
        world
    }

    /// Nothing but the catalogue.
    pub(crate) fn empty(contract: Contract) -> Self {
        let mut world = Self {
            setup: Setup::default(),
            now: "2026-11-20T09:00:00Z".parse().unwrap(),
            from: None,
            conversions: BTreeMap::new(),
            entries: Vec::new(),
            events: BTreeMap::new(),
            shows_unverified: false,
            clicks: BTreeMap::new(),
            ids: BTreeMap::new(),
            made: 0,
            position: 0,
        };
        let partners = vec![partner("it", contract), partner(OWN_PARTNER, plain())];
        world.act(Act::LoadCatalogue { partners, key: GLOBAL.to_owned() });
        world
    }

    pub(crate) fn set_status(&mut self, to: CampaignStatus) {
        self.act(Act::SetCampaignStatus { id: CAMPAIGN, to, key: OWN.to_owned() });
    }

    /// Drafts another contract for the campaign's own integration. Its number.
    pub(crate) fn draft(&mut self, contract: Contract) -> u32 {
        let integration_id = OWN_ID;
        let source = DraftSource::Contract(Box::new(contract));
        let token = format!("page-{}", self.setup.contracts.len());
        let (note, cutover_on) = (None, None);
        let draft = Act::DraftContract { integration_id, source, note, cutover_on, token };
        let Answer::Contract(draft) = self.act(draft) else { panic!("it is a contract") };
        draft.number
    }

    /// Puts another contract in the place of the campaign's own, signed off by all. Its number.
    pub(crate) fn agree(&mut self, contract: Contract, sunset: Sunset) -> u32 {
        let (integration_id, number) = (OWN_ID, self.draft(contract));
        for role in Role::ALL {
            let name = "A. Person".to_owned();
            self.act(Act::SignOffContract { integration_id, number, role, name });
        }
        self.act(Act::ActivateContract { integration_id, number, sunset });
        number
    }

    pub(crate) fn link(&mut self, campaign_id: CampaignId, test: bool) -> LinkId {
        let token = format!("link-{}", self.setup.links.len());
        let publisher_id = PublisherId(1);
        let answer =
            self.act(Act::CreateLink { campaign_id, publisher_id, token, landing_url: None, test });
        let Answer::Link(link) = answer else { panic!("{answer:?}") };
        link.id
    }

    pub(crate) fn integration(&mut self, scope: Scope, partner: &str, key: &str, token: &str) {
        let secrets = if token.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([("token".to_owned(), Secret::new(token.to_owned()))])
        };
        self.act(Act::CreateIntegration(Box::new(NewIntegration {
            scope,
            partner: partner.to_owned(),
            key: key.to_owned(),
            landing_params: None,
            secrets,
        })));
    }

    pub(crate) fn set_token(&mut self, id: IntegrationId, token: &str) {
        let secret = Secret::new(token.to_owned());
        let secrets = BTreeMap::from([("token".to_owned(), Some(secret))]);
        let (landing_params, secrets) = (None, Some(secrets));
        self.act(Act::ChangeIntegration { id, landing_params, secrets, old_secrets_until: None });
    }

    #[expect(clippy::needless_pass_by_value, reason = "acts are written out where they are done")]
    pub(crate) fn act(&mut self, act: Act) -> Answer {
        self.attempt(&act).unwrap_or_else(|failure| panic!("{act:?}: {failure:?}"))
    }

    pub(crate) fn attempt(&mut self, act: &Act) -> Result<Answer, Failure> {
        let effect = self.setup.execute(act, By { actor: "tester", at: self.now })?;
        for change in effect.changes {
            self.setup.put(self.now, change);
        }
        self.position += 1;
        // Nothing happens at the same instant as something else.
        self.now = self.now.plus_ms(1);
        Ok(effect.answer)
    }

    pub(crate) fn wait_s(&mut self, seconds: i64) {
        self.now = self.now.plus_s(seconds);
    }

    /// Makes the click `name` now, as the redirect would.
    pub(crate) fn click(&mut self, name: &str, link: LinkId) -> &mut Click<'static> {
        let at_ms = u64::try_from(self.now.as_ms()).unwrap();
        self.now = self.now.plus_ms(1);
        self.made += 1;
        let id = Minter::new(NodeId::new(0).unwrap(), 0).next(at_ms, link, u64::from(self.made));
        let link = self.setup.link(link).unwrap();
        let status = self.setup.campaign(link.campaign_id).unwrap().status;
        let click = Click {
            id,
            campaign_id: link.campaign_id,
            publisher_id: link.publisher_id,
            is_live: status.is_live() || link.test && status.is_approved(),
            is_test: link.test,
            cost: None,
            external_id: Cow::Borrowed(b"external"),
            labels: Labels::default(),
            personal: Personal::default(),
            visitor: Visitor::default(),
        };
        self.ids.insert(name.to_owned(), id);
        self.clicks.entry(id).or_insert(click)
    }

    pub(crate) fn labelled_click(&mut self, name: &str, labels: &[(&str, &'static str)]) {
        let click = self.click(name, LINK);
        for (label, value) in labels {
            click.labels.set(Label::from_name(label).unwrap(), *value);
        }
    }

    /// The click's row is gone, as after the time it is kept.
    pub(crate) fn forget(&mut self, name: &str) {
        let id = self.ids[name];
        self.clicks.remove(&id).unwrap();
    }

    pub(crate) fn id(&self, name: &str) -> ClickIdText {
        keyring().format(self.ids[name])
    }

    /// Fills in `@a` with the id of the click `a`, and `@now` with Unix seconds.
    fn fill_in(&mut self, text: &str) -> String {
        let mut filled = String::new();
        let mut parts = text.split('@');
        filled.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end = part.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            if name == "now" {
                filled.push_str(&self.now.as_s().to_string());
            } else {
                if !self.ids.contains_key(name) {
                    self.click(name, LINK);
                }
                filled.push_str(self.id(name).as_str());
            }
            filled.push_str(rest);
        }
        filled
    }

    /// A hit as a script's line has it: a path, or the campaign's own key where it begins with
    /// the query.
    pub(crate) fn hit(&mut self, text: &str) -> Hit {
        let filled = self.fill_in(text);
        let target =
            if filled.starts_with('?') { format!("/postback/{OWN}{filled}") } else { filled };
        Hit {
            method: "GET".to_owned(),
            target: target.into_bytes(),
            peer: self.from,
            ..Hit::default()
        }
    }

    /// Decides a hit and keeps what comes of it, as a store does.
    pub(crate) fn receive(&mut self, hit: &Hit) -> Decision {
        self.receive_again(hit, self.now)
    }

    /// Decides a hit that arrived earlier and was parked.
    pub(crate) fn receive_again(&mut self, hit: &Hit, arrived_at: Timestamp) -> Decision {
        let setup = &self.setup;
        let mut read = read(setup, &keyring(), hit, arrived_at);
        for key in read.asks_for().to_vec() {
            if self.conversions.get(&key).is_some_and(|one| read.found(setup, one)) {
                break;
            }
        }
        let conversion = read.keys().find_map(|key| self.conversion_by_key(key));
        let next = self.conversions.len() + 1;
        let facts = Facts {
            click: read.click_id.and_then(|id| self.clicks.get(&id)),
            conversion,
            has_earlier: self.has_conversion(&read),
            waiting: self.waiting(&read),
            events: read.tells_of().and_then(|id| self.events.get(&id)),
            next_id: ConversionId(next as u64),
        };
        let position = Position(self.position);
        let (at, entered_at) = (arrived_at, self.now);
        let occasion = Occasion {
            at,
            entered_at,
            position,
            cause: Cause::Hit(position),
            evidence: hit.digest(),
        };
        let decision = decide(setup, &read, facts, occasion);
        self.position += 1;
        self.now = self.now.plus_ms(1);
        if let Some(effect) = &decision.effect {
            self.conversions.insert(effect.conversion.key.clone(), effect.conversion.clone());
            self.entries.extend(effect.entry.clone());
        }
        if let Some(events) = &decision.events {
            self.events.insert(events.click_id, ClickEvents::clone(events));
        }
        decision
    }

    /// Whether the click has one of the goal, where that is to be looked up.
    fn has_conversion(&self, read: &Read<'_>) -> bool {
        let all = || self.conversions.values();
        read.marks().is_some_and(|told| all().any(|one| (one.click_id, &*one.goal) == told))
    }

    /// How many of the click wait for their ids, where that is to be looked up.
    fn waiting(&self, read: &Read<'_>) -> u32 {
        let Some(id) = read.waits() else { return 0 };
        let is_it = |one: &&Conversion| one.click_id == id && one.waits();
        u32::try_from(self.conversions.values().filter(is_it).count()).unwrap()
    }

    /// A person changes the only conversion there is.
    pub(crate) fn change_by_person(&mut self, to: Status) -> Result<(), Failure> {
        let old = self.conversion().clone();
        let effect = change_by_person(&old, to, "asked for", self.occasion())?;
        self.enter([effect]);
        Ok(())
    }

    pub(crate) fn occasion(&self) -> Occasion {
        let position = Position(self.position);
        let (at, entered_at) = (self.now, self.now);
        Occasion { at, entered_at, position, cause: Cause::Command(position), evidence: [1; 32] }
    }

    /// Keeps what a person did.
    pub(crate) fn enter(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.position += 1;
        for effect in effects {
            self.conversions.retain(|_, one| one.id != effect.conversion.id);
            self.conversions.insert(effect.conversion.key.clone(), effect.conversion);
            self.entries.extend(effect.entry);
        }
    }

    pub(crate) fn conversion_by_id(&self, id: u64) -> &Conversion {
        self.conversions.values().find(|one| one.id.0 == id).expect("it is there")
    }

    /// As a store finds it: what was said in triage leads to what it has become since.
    fn conversion_by_key(&self, key: &Key) -> Option<&Conversion> {
        let was = |one: &&Conversion| one.triage_identity.as_ref() == Some(&key.identity);
        self.conversions.get(key).or_else(|| self.conversions.values().find(was))
    }

    /// The only conversion there is.
    pub(crate) fn conversion(&self) -> &Conversion {
        let mut all = self.conversions.values();
        let one = all.next().expect("there is a conversion");
        assert!(all.next().is_none(), "there is more than one conversion");
        one
    }

    /// The click's events, as `1=7.5 2=3`.
    pub(crate) fn events_of(&self, click: &str) -> String {
        let Some(all) = self.events.get(&self.ids[click]) else { return String::new() };
        let shown = all.events.iter().map(|(number, event)| format!("{number}={}", event.value));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// What all entries add up to, as `revenue/payout`.
    pub(crate) fn total(&self) -> String {
        let sum = |of: fn(&Entry) -> Micros| {
            let all = self.entries.iter().map(of);
            all.fold(Micros::ZERO, |sum, one| sum.checked_add(one).unwrap())
        };
        format!("{}/{}", sum(|entry| entry.revenue), sum(|entry| entry.payout))
    }

    pub(crate) fn send(&mut self, line: &str) -> String {
        let hit = self.hit(line);
        let decision = self.receive(&hit);
        self.show(&decision)
    }

    fn show(&self, decision: &Decision) -> String {
        let mut words = vec![decision.verdict.name().to_owned()];
        words.extend(decision.reason.map(|reason| reason.name().to_owned()));
        words.extend(decision.parameter.clone());
        words.extend(decision.nearest.as_ref().map(|nearest| format!("~{nearest}")));
        if matches!(decision.verdict, Verdict::Recorded | Verdict::Updated) {
            words.extend(decision.conversion.map(|(_, status)| status.name().to_owned()));
        }
        let entry = decision.effect.as_ref().and_then(|effect| effect.entry.as_ref());
        words.extend(entry.map(|entry| format!("{}/{}", entry.revenue, entry.payout)));
        let is_shown = |flag: &Flag| *flag != Flag::Unverified || self.shows_unverified;
        words
            .extend(decision.flags.iter().filter(is_shown).map(|flag| format!("!{}", flag.name())));
        words.join(" ")
    }

    /// Runs a script, and shows all of it where one line comes out otherwise.
    pub(crate) fn check(&mut self, script: &str) -> &mut Self {
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(time) = line.strip_prefix("wait ") {
                let (number, unit) = time.split_at(time.len() - 1);
                let unit_s = match unit {
                    "s" => 1,
                    "h" => 3_600,
                    "d" => 86_400,
                    _ => panic!("`{line}`: s, h or d"),
                };
                self.wait_s(number.parse::<i64>().unwrap() * unit_s);
            } else if let Some(address) = line.strip_prefix("from ") {
                self.from = Some(address.parse().unwrap());
            } else {
                let (sent, outcome) = line.split_once(" -> ").expect("a line has ` -> `");
                let (sent, outcome) = (sent.trim(), outcome.trim());
                wanted.push(format!("{sent} -> {outcome}"));
                got.push(format!("{sent} -> {}", self.send(sent)));
            }
        }
        assert_eq!(got, wanted, "\ngot:\n{}\n\nwanted:\n{}\n", got.join("\n"), wanted.join("\n"));
        self
    }
}

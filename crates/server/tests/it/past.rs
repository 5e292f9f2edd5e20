//! Clicks of days gone by: written into the journal of a server that is stopped, with its own key,
//! as it would have written them then.

use crate::server::Server;
use domain::click::{Click, Labels, Personal};
use domain::click_id::{Keyring, Minter};
use domain::id::{CampaignId, LinkId, NodeId, PublisherId};
use domain::record::{self, Kind};
use domain::visitor::Visitor;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::disk::RealDisk;
use store::journal::{Journal, Options};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// What a click of the past is of.
pub(crate) struct Origin {
    pub(crate) campaign: u64,
    pub(crate) publisher: u64,
    pub(crate) link: u64,
}

/// Journals one click for each age; answers with their ids. The server must be stopped.
pub(crate) fn clicks(server: &Server, origin: &Origin, ages_h: &[u64]) -> Vec<String> {
    let node = NodeId::new(0).expect("0 is a node");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let (now_ms, now_us) = (now.as_secs() * 1_000, now.as_secs() * 1_000_000);
    let clock = move || i64::try_from(now_us).expect("it is not long after 1970");
    let options = Options::new(node, record::RULES, [0; 16]);
    let dir = server.data().join("journal");
    let journal = Journal::open(Arc::new(RealDisk), &dir, options, Arc::new(clock));
    let journal = journal.expect("the journal of a stopped server opens");
    let keyring = keyring(server);
    let made = ages_h.iter().map(|age_h| {
        let link = LinkId(origin.link.try_into().expect("ids of tests are small"));
        let id = Minter::new(node, 0).next(now_ms - age_h * HOUR_MS, link, 0x5DEE_CE66_D123);
        let click = Click {
            id,
            campaign_id: CampaignId(origin.campaign.try_into().expect("ids of tests are small")),
            publisher_id: PublisherId(origin.publisher.try_into().expect("ids of tests are small")),
            is_live: true,
            is_test: false,
            cost: None,
            external_id: Cow::Borrowed(b""),
            labels: Labels::default(),
            personal: Personal::default(),
            visitor: Visitor::default(),
        };
        let mut payload = Vec::new();
        record::write_click(&click, &mut payload);
        let ticket = journal.append(Kind::Click, Kind::Click.format(), &payload);
        let ticket = ticket.expect("the journal takes a click");
        ticket.wait_blocking().expect("the click is on disk");
        keyring.format(id).to_string()
    });
    made.collect()
}

/// The server's own, that it signs click ids with.
fn keyring(server: &Server) -> Keyring {
    let text = std::fs::read_to_string(server.data().join("keys/click-ids.json"));
    let keys: Vec<Value> = serde_json::from_str(&text.expect("a server has keys")).expect("JSON");
    let keys = keys.iter().map(|key| {
        let from_ms = key["from_ms"].as_u64().expect("a key is in force from an instant");
        let digits = key["key"].as_str().expect("a key is hexadecimal").as_bytes();
        let byte = |pair: &[u8]| {
            let digit = |digit: u8| char::from(digit).to_digit(16).expect("a digit");
            u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("two digits are a byte")
        };
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        (from_ms, bytes.try_into().expect("a key has 32 bytes"))
    });
    Keyring::new(keys).expect("a key for all times")
}

//! Traffic that goes on until the server does not answer any more, and what it was answered.
//!
//! What counts as acknowledged is what a sender has read to its end. A request whose answer did
//! not come is kept too: it may have been taken or not, and never twice.

use crate::client::{Client, Reply};
use crate::network::{Campaign, Network, parameter, text};
use crate::server::ADMIN_KEY;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How many visitors with their advertisers there are at once.
const SENDERS: usize = 4;
/// Every so many postbacks are sent once more.
const RESENT_EVERY: usize = 3;

/// A postback, as its sender remembers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) click: String,
    pub(crate) txn: String,
}

impl Sent {
    pub(crate) fn target(&self, campaign: &Campaign) -> String {
        format!("{}?click_id={}&txn_id={}", campaign.postback, self.click, self.txn)
    }
}

/// What the server has acknowledged.
#[derive(Debug)]
pub(crate) enum Acknowledged {
    Click(String),
    Postback { receipt: String, sent: Sent },
    Publisher(u64),
}

/// All that was acknowledged, and what was left without an answer.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) clicks: BTreeSet<String>,
    /// With the receipts they were given, in the order of those.
    pub(crate) postbacks: Vec<(String, Sent)>,
    pub(crate) publishers: BTreeSet<u64>,
    pub(crate) unanswered: Vec<Sent>,
}

impl Log {
    fn add(&mut self, acknowledged: Acknowledged) {
        match acknowledged {
            Acknowledged::Click(click) => assert!(self.clicks.insert(click), "a click id twice"),
            Acknowledged::Postback { receipt, sent } => self.postbacks.push((receipt, sent)),
            Acknowledged::Publisher(id) => assert!(self.publishers.insert(id), "an id twice"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.clicks.len() + self.postbacks.len() + self.publishers.len()
    }

    /// Which postbacks there were, each once.
    pub(crate) fn transactions(&self) -> BTreeSet<&Sent> {
        self.postbacks.iter().map(|(_, sent)| sent).collect()
    }
}

/// Traffic that is under way.
pub(crate) struct Load {
    threads: Vec<JoinHandle<Option<Sent>>>,
    acknowledged: Receiver<Acknowledged>,
    is_over: Arc<AtomicBool>,
    log: Log,
}

impl Load {
    /// Begins. `round` tells this load's transactions from those of others.
    pub(crate) fn start(network: &Network, campaign: &Campaign, round: usize) -> Self {
        let (tell, acknowledged) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for number in 0..SENDERS {
            let sender = Traffic {
                client: Client::new(network.server.address()),
                address: network.server.address(),
                campaign: campaign.clone(),
                name: format!("{round}-{number}"),
                tell: tell.clone(),
                is_over: Arc::clone(&is_over),
            };
            threads.push(std::thread::spawn(move || sender.run(number == 0)));
        }
        Self { threads, acknowledged, is_over, log: Log::default() }
    }

    /// Waits until so much has been acknowledged in all.
    pub(crate) fn until(&mut self, acknowledged: usize) {
        while self.log.len() < acknowledged {
            let one = self.acknowledged.recv().expect("traffic goes on while the server answers");
            self.log.add(one);
        }
    }

    /// What has been acknowledged until now.
    pub(crate) fn so_far(&mut self) -> &Log {
        for one in self.acknowledged.try_iter() {
            self.log.add(one);
        }
        &self.log
    }

    /// Sends nothing more.
    pub(crate) fn end(self) -> Log {
        self.is_over.store(true, Ordering::Relaxed);
        self.ended()
    }

    /// After the server has ended, and with it all traffic.
    pub(crate) fn ended(mut self) -> Log {
        for thread in self.threads {
            let unanswered = thread.join().expect("a sender meets nothing unexpected");
            self.log.unanswered.extend(unanswered);
        }
        for one in self.acknowledged.try_iter() {
            self.log.add(one);
        }
        self.log
    }
}

struct Traffic {
    client: Client,
    address: SocketAddr,
    campaign: Campaign,
    name: String,
    tell: Sender<Acknowledged>,
    is_over: Arc<AtomicBool>,
}

impl Traffic {
    /// Until the server has gone: the postback that was left without an answer, if it was one.
    fn run(mut self, makes_publishers: bool) -> Option<Sent> {
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(click) = self.click(number) else { return None };
            self.say(Acknowledged::Click(click.clone()));
            number += 1;
            // Every other click is left for after the crash.
            if number.is_multiple_of(2) {
                continue;
            }
            let sent = Sent { click, txn: format!("{}-{number}", self.name) };
            let times = if number.is_multiple_of(RESENT_EVERY) { 2 } else { 1 };
            for _ in 0..times {
                match self.postback(&sent) {
                    Ok(receipt) => {
                        self.say(Acknowledged::Postback { receipt, sent: sent.clone() });
                    }
                    Err(_) => return Some(sent),
                }
            }
            if makes_publishers {
                let Ok(id) = self.publisher(number) else { return None };
                self.say(Acknowledged::Publisher(id));
            }
        }
        None
    }

    fn say(&self, acknowledged: Acknowledged) {
        // Nobody listens any more once a test has failed.
        _ = self.tell.send(acknowledged);
    }

    fn click(&mut self, number: usize) -> io::Result<String> {
        let target = format!("/c/{}?sub1={}&sub2={number}", self.campaign.token, self.name);
        let reply = self.request("GET", &target, "")?;
        assert_eq!(reply.status, 302, "{}", reply.text());
        let location = reply.header("location").expect("a redirect leads somewhere");
        Ok(parameter(location, "cid").expect("the landing URL has it").to_owned())
    }

    fn postback(&mut self, sent: &Sent) -> io::Result<String> {
        let reply = self.request("GET", &sent.target(&self.campaign), "")?;
        assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
        Ok(text(&reply.json()["receipt"]).to_owned())
    }

    fn publisher(&mut self, number: usize) -> io::Result<u64> {
        let body = json!({ "name": format!("Publisher {} {number}", self.name) }).to_string();
        let reply = self.request("POST", "/api/v1/publishers", &body)?;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Ok(reply.json()["id"].as_u64().expect("a publisher has an id"))
    }

    fn request(&mut self, method: &str, target: &str, body: &str) -> io::Result<Reply> {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.client.exchange(request.as_bytes(), false)
    }
}

/// Checks that a server has everything that was acknowledged, each transaction once, and that
/// whatever was sent can be sent again.
pub(crate) fn check(network: &mut Network, campaign: &Campaign, log: &Log) {
    for (receipt, sent) in &log.postbacks {
        let answer = kept(network, receipt);
        let verdict = text(&answer["verdict"]);
        assert!(matches!(verdict, "recorded" | "duplicate"), "{sent:?}: {answer}");
    }
    for sent in log.transactions() {
        assert_eq!(conversions(network, sent), 1, "{sent:?}");
        let again = network.sends(&sent.target(campaign), "duplicate");
        assert_eq!(again["reason"], "already_processed");
        assert_eq!(conversions(network, sent), 1, "{sent:?}");
    }
    for sent in &log.unanswered {
        let reply = network.client.get(sent.target(campaign));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(conversions(network, sent), 1, "taken or not, and never twice: {sent:?}");
    }
    for id in &log.publishers {
        network.ask(&format!("/publishers/{id}"));
    }
}

/// Checks that every acknowledged click can be converted; those that nobody has yet are now.
pub(crate) fn convert_clicks(network: &mut Network, campaign: &Campaign, log: &Log) {
    let done: BTreeSet<&str> = log.transactions().iter().map(|sent| &*sent.click).collect();
    for click in log.clicks.iter().filter(|click| !done.contains(click.as_str())) {
        let sent = Sent { click: click.clone(), txn: "later".to_owned() };
        let answer = network.sends(&sent.target(campaign), "recorded");
        let flags = answer["flags"].as_array().expect("there are flags");
        let is_lost = |flag: &Value| flag == "click_detail_missing";
        assert!(!flags.iter().any(is_lost), "the click itself is there: {answer}");
    }
}

/// The answer to a hit, which must have been decided.
fn kept(network: &mut Network, receipt: &str) -> Value {
    let reply = network.client.get(format!("/receipts/{receipt}"));
    assert_eq!(reply.status, 200, "{receipt}: {}", reply.text());
    reply.json()
}

/// How many conversions of that transaction there are.
fn conversions(network: &mut Network, sent: &Sent) -> usize {
    let found = network.conversions(&sent.click);
    found.iter().filter(|one| one["txn_id"] == sent.txn.as_str()).count()
}

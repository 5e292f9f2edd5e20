//! A network to test in: an advertiser, a publisher, campaigns and their links, and what visitors
//! and partners send.

use crate::client::{Client, Reply};
use crate::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a hit that was acknowledged may take to be decided.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// The landing URL of campaigns whose test has no wishes.
const LANDING: &str = "https://shop.example/offer?cid={click_id}&s={sub1}";

/// A server with an advertiser and a publisher, and a connection to it.
pub(crate) struct Network {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) advertiser: u64,
    pub(crate) publisher: u64,
}

/// A campaign that is active, with a link into it.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) id: u64,
    /// The link's token.
    pub(crate) token: String,
    pub(crate) link: u64,
    /// The path of its own integration, with the key: `/postback/{key}`.
    pub(crate) postback: String,
    /// Its own integration.
    pub(crate) integration: u64,
}

impl Network {
    pub(crate) fn start() -> Self {
        Self::on(Server::start())
    }

    pub(crate) fn on(server: Server) -> Self {
        let client = server.client();
        let mut network = Self { server, client, advertiser: 0, publisher: 0 };
        network.advertiser = network.created("/advertisers", &json!({ "name": "Acme" }));
        network.publisher = network.created("/publishers", &json!({ "name": "Spring Media" }));
        network
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        let status = self.server.stop();
        assert!(status.success(), "{status}");
        self.server.restart();
        self.client = self.server.client();
    }

    // The API.

    /// Asks, and must be answered 200.
    pub(crate) fn ask(&mut self, path: &str) -> Value {
        let reply = self.client.api("GET", path, None);
        assert_eq!(reply.status, 200, "GET {path}: {}", reply.text());
        reply.json()
    }

    /// Asks until the answer is as it has to be.
    pub(crate) fn until(&mut self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let from = Instant::now();
        loop {
            let answer = self.ask(path);
            if is_so(&answer) {
                return answer;
            }
            assert!(from.elapsed() < DECIDED_WITHIN, "{path} stays {answer}");
            std::thread::yield_now();
        }
    }

    /// Posts, and must be answered with success.
    pub(crate) fn make(&mut self, path: &str, body: &Value) -> Value {
        self.change("POST", path, body)
    }

    pub(crate) fn change(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.client.api(method, path, Some(body));
        assert!(matches!(reply.status, 200 | 201), "{method} {path} {body}: {}", reply.text());
        reply.json()
    }

    /// Posts a noun, and answers with its id.
    pub(crate) fn created(&mut self, path: &str, body: &Value) -> u64 {
        let made = self.make(path, body);
        made["id"].as_u64().unwrap_or_else(|| panic!("no id in {made}"))
    }

    /// A call that must be refused, with this code.
    #[track_caller]
    pub(crate) fn refused(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        (status, code): (u16, &str),
    ) -> Value {
        let reply = self.client.api(method, path, body);
        let json = reply.json();
        assert_eq!((reply.status, json["code"].as_str()), (status, Some(code)), "{json}");
        json
    }

    // Campaigns.

    /// What a campaign is made of; `fields` are added, or take the place of what is there.
    pub(crate) fn draft(&mut self, partner: &str, fields: &Value) -> u64 {
        let mut body = json!({
            "advertiser_id": self.advertiser, "name": format!("{partner} campaign"),
            "landing_url": LANDING, "currency": "USD", "partner": partner,
            "goals": [{ "key": "install", "default": true, "revenue": "2.50", "payout": "1.75" }],
        });
        let target = body.as_object_mut().expect("it is an object");
        for (name, value) in fields.as_object().expect("fields are an object") {
            if value.is_null() {
                target.remove(name);
            } else {
                target.insert(name.clone(), value.clone());
            }
        }
        self.created("/campaigns", &body)
    }

    pub(crate) fn status(&mut self, campaign: u64, to: &str) {
        self.make(&format!("/campaigns/{campaign}/status"), &json!({ "to": to }));
    }

    pub(crate) fn activate(&mut self, campaign: u64) {
        for to in ["pending_approval", "approved", "active"] {
            self.status(campaign, to);
        }
    }

    /// A campaign of this partner, active, with a link.
    pub(crate) fn campaign(&mut self, partner: &str) -> Campaign {
        self.campaign_with(partner, &json!({}))
    }

    pub(crate) fn campaign_with(&mut self, partner: &str, fields: &Value) -> Campaign {
        let id = self.draft(partner, fields);
        self.activate(id);
        self.open(id)
    }

    /// A link into a campaign that is active already.
    pub(crate) fn open(&mut self, id: u64) -> Campaign {
        let (link, token) = self.link(id, false);
        let integration = self.ask(&format!("/campaigns/{id}"))["integration_id"].as_u64();
        let integration = integration.expect("approval makes an integration");
        let key = self.ask(&format!("/integrations/{integration}"))["key"].clone();
        let postback = format!("/postback/{}", text(&key));
        Campaign { id, token, link, postback, integration }
    }

    /// Its id and token.
    pub(crate) fn link(&mut self, campaign: u64, test: bool) -> (u64, String) {
        let body = json!({ "campaign_id": campaign, "publisher_id": self.publisher, "test": test });
        let link = self.make("/links", &body);
        (link["id"].as_u64().expect("a link has an id"), text(&link["token"]).to_owned())
    }

    /// Sets the token that postbacks of an integration must carry.
    pub(crate) fn set_token(&mut self, integration: u64, token: &str) {
        let body = json!({ "secrets": { "token": token } });
        self.change("PATCH", &format!("/integrations/{integration}"), &body);
    }

    // Visitors.

    /// Follows a link, and answers with where it leads. `query` is like `sub1=us`.
    pub(crate) fn visit(&mut self, token: &str, query: &str) -> String {
        let reply = self.client.get(format!("/c/{token}?{query}"));
        assert_eq!(reply.status, 302, "{}", reply.text());
        reply.header("location").expect("a redirect leads somewhere").to_owned()
    }

    /// Follows a link of a campaign, and answers with the click id from `cid` of the landing URL.
    pub(crate) fn click(&mut self, campaign: &Campaign) -> String {
        self.click_with(campaign, "")
    }

    pub(crate) fn click_with(&mut self, campaign: &Campaign, query: &str) -> String {
        let location = self.visit(&campaign.token, query);
        parameter(&location, "cid").unwrap_or_else(|| panic!("no cid in {location}")).to_owned()
    }

    // Partners.

    /// A postback that must be answered 200, with this verdict.
    #[track_caller]
    pub(crate) fn sends(&mut self, target: &str, verdict: &str) -> Value {
        let reply = self.client.get(target);
        let answer = reply.json();
        assert_eq!((reply.status, text(&answer["verdict"])), (200, verdict), "{target}: {answer}");
        answer
    }

    /// A postback that must be refused for this reason, with the parameter to blame, if any.
    #[track_caller]
    pub(crate) fn refuses(
        &mut self,
        target: &str,
        (status, reason, parameter): (u16, &str, Option<&str>),
    ) -> Value {
        let reply = self.client.get(target);
        let answer = reply.json();
        let found = (reply.status, text(&answer["reason"]), answer["parameter"].as_str());
        assert_eq!(found, (status, reason, parameter), "{target}: {answer}");
        assert_eq!(answer["verdict"], "refused", "{answer}");
        assert_eq!(answer["http_status"], status, "the answer says its own status");
        answer
    }

    /// What became of a hit, by the receipt in its answer's header: also of one that was
    /// acknowledged before it was decided.
    pub(crate) fn verdict(&mut self, reply: &Reply) -> Value {
        let receipt = reply.header("counterfoil-receipt").expect("every hit has a receipt");
        let path = format!("/receipts/{receipt}");
        let from = Instant::now();
        loop {
            let reply = self.client.get(&path);
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            let answer = reply.json();
            if !answer["verdict"].is_null() {
                return answer;
            }
            assert!(from.elapsed() < DECIDED_WITHIN, "the hit was not decided: {answer}");
            std::thread::yield_now();
        }
    }

    // The figures.

    /// All there are, of every day there can be.
    pub(crate) fn totals(&mut self) -> Value {
        self.report("")["totals"].clone()
    }

    /// A report over every day there can be; `more` is like `&group_by=sub1`.
    pub(crate) fn report(&mut self, more: &str) -> Value {
        let days = self.every_day();
        self.ask(&format!("/reports?{days}{more}"))
    }

    /// A range of days that holds all a test can have made, though it may run at New Year.
    pub(crate) fn every_day(&mut self) -> String {
        let made = self.ask(&format!("/advertisers/{}", self.advertiser))["created_at"].clone();
        let year: u16 = text(&made)[..4].parse().expect("an instant begins with its year");
        format!("from={}-12-30&to={}-01-02", year - 1, year + 1)
    }

    pub(crate) fn conversions(&mut self, click: &str) -> Vec<Value> {
        let found = self.ask(&format!("/conversions?click_id={click}"));
        found["items"].as_array().expect("a page has items").clone()
    }

    pub(crate) fn hits(&mut self, filter: &str) -> Vec<Value> {
        let found = self.ask(&format!("/hits?{filter}"));
        found["items"].as_array().expect("a page has items").clone()
    }

    /// The hit of an answer, as the log has it.
    pub(crate) fn hit(&mut self, answer: &Value) -> Value {
        let found = self.hits(&format!("receipt={}", text(&answer["receipt"])));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
}

/// A JSON text.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The value of a query's parameter.
pub(crate) fn parameter<'u>(url: &'u str, name: &str) -> Option<&'u str> {
    let query = url.split_once('?')?.1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// A postback URL as its sender fills it in: its path and query, each macro with its value.
pub(crate) fn filled(url: &str, values: &[(&str, &str)]) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap_or_else(|| panic!("{url} has no path"));
    let mut target = format!("/{path}");
    for (placeholder, value) in values {
        assert!(target.contains(placeholder), "{placeholder} stands in {url}");
        target = target.replace(placeholder, value);
    }
    target
}

//! The network of the demo: who is in it, what is done to it step by step, and what each step
//! must lead to.

use super::api::Api;
use super::figures::{self, Figures, Rows};
use crate::terminal::{Side, Table, bold, number};
use anyhow::{Context, bail};
use domain::money::Micros;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What publishers say of their visitors, in turn.
const COUNTRIES: [&str; 3] = ["us", "de", "fr"];
/// How often a receipt is looked up until its hit is decided, and how long apart.
const LOOKS_MAX: u32 = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How many hits a page of the log has.
const PAGE: u32 = 200;

/// The server, and what it must say at the end.
pub(super) struct World {
    api: Api,
    /// The two publishers.
    pub(super) publishers: [u64; 2],
    names: BTreeMap<String, String>,
    by_campaign: Rows,
    by_sub1: Rows,
    /// By verdict and reason, of hits that were journaled.
    hits: BTreeMap<(String, String), u64>,
    visits: u64,
    steps: Table,
    /// A link whose postbacks need nothing but the click id, for whoever tries it.
    pub(super) open_link: Option<String>,
    /// A hit that was refused, to be shown.
    refused: Option<String>,
}

/// A click, as its advertiser knows it.
#[derive(Clone, Debug)]
pub(super) struct Click {
    pub(super) id: String,
    campaign: u64,
    sub1: &'static str,
    is_test: bool,
}

/// What a postback must be answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Must {
    pub(super) http: u16,
    pub(super) verdict: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) parameter: Option<&'static str>,
    /// Of a missing parameter: the name that was sent instead.
    pub(super) nearest: Option<&'static str>,
    /// Whether it is worth the journal.
    pub(super) is_journaled: bool,
}

impl Must {
    /// Recorded, updated or a duplicate.
    pub(super) const fn be(verdict: &'static str) -> Self {
        Self {
            http: 200,
            verdict,
            reason: None,
            parameter: None,
            nearest: None,
            is_journaled: true,
        }
    }

    pub(super) const DUPLICATE: Self =
        Self { reason: Some("already_processed"), ..Self::be("duplicate") };

    /// Refused, by the parameter that is to blame.
    pub(super) const fn be_refused(
        http: u16,
        reason: &'static str,
        parameter: Option<&'static str>,
    ) -> Self {
        Self { http, reason: Some(reason), parameter, ..Self::be("refused") }
    }
}

/// One kind of postback in a story.
pub(super) struct Step<'a> {
    pub(super) what: &'a str,
    pub(super) must: Must,
    /// What each of them does to its campaign's figures, beside being a hit.
    pub(super) effect: &'a dyn Fn(&mut Figures),
}

/// It changes nothing.
pub(super) const NOTHING: &dyn Fn(&mut Figures) = &|_| {};

impl World {
    pub(super) async fn begin(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let mut api = Api::connect(address, key).await?;
        let mut publishers = [0; 2];
        for (place, name) in ["North Traffic", "South Traffic"].into_iter().enumerate() {
            let publisher = api.call("POST", "/publishers", Some(json!({ "name": name }))).await?;
            publishers[place] = id_of(&publisher)?;
        }
        Ok(Self {
            api,
            publishers,
            names: BTreeMap::new(),
            by_campaign: Rows::new(),
            by_sub1: Rows::new(),
            hits: BTreeMap::new(),
            visits: 0,
            steps: steps(),
            open_link: None,
            refused: None,
        })
    }

    pub(super) async fn post(&mut self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.api.call("POST", path, Some(body)).await
    }

    pub(super) async fn patch(&mut self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.api.call("PATCH", path, Some(body)).await
    }

    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.api.call("GET", path, None).await
    }

    /// A call that must be refused, with that code.
    pub(super) async fn must_refuse(
        &mut self,
        path: &str,
        status: u16,
        code: &str,
    ) -> anyhow::Result<()> {
        let (found, answer) = self.api.try_call("GET", path, None).await?;
        if (found, answer["code"].as_str()) != (status, Some(code)) {
            bail!("GET {path}: expected {status} {code}, found {found} {answer}");
        }
        Ok(())
    }

    pub(super) async fn advertiser(&mut self, name: &str) -> anyhow::Result<u64> {
        id_of(&self.post("/advertisers", json!({ "name": name })).await?)
    }

    /// A campaign that has been drafted.
    pub(super) async fn campaign(&mut self, body: Value) -> anyhow::Result<u64> {
        let campaign = self.post("/campaigns", body).await?;
        let id = id_of(&campaign)?;
        let name = campaign["name"].as_str().unwrap_or_default().to_owned();
        self.names.insert(id.to_string(), name);
        Ok(id)
    }

    pub(super) async fn status(&mut self, campaign: u64, to: &str) -> anyhow::Result<()> {
        self.post(&format!("/campaigns/{campaign}/status"), json!({ "to": to })).await.map(drop)
    }

    /// From draft to active.
    pub(super) async fn activate(&mut self, campaign: u64) -> anyhow::Result<()> {
        for to in ["pending_approval", "approved", "active"] {
            self.status(campaign, to).await?;
        }
        Ok(())
    }

    /// The token of a new link.
    pub(super) async fn link(
        &mut self,
        campaign: u64,
        publisher: u64,
        is_test: bool,
    ) -> anyhow::Result<String> {
        let body = json!({ "campaign_id": campaign, "publisher_id": publisher, "test": is_test });
        let link = self.post("/links", body).await?;
        Ok(link["token"].as_str().context("a link without a token")?.to_owned())
    }

    /// Visitors through links of both publishers. Their advertiser reads the click id from the
    /// landing URL's `parameter`.
    pub(super) async fn visits(
        &mut self,
        campaign: u64,
        count: usize,
        parameter: &str,
    ) -> anyhow::Result<Vec<Click>> {
        let mut clicks = Vec::with_capacity(count);
        for publisher in self.publishers {
            let token = self.link(campaign, publisher, false).await?;
            for _ in 0..count / self.publishers.len() {
                clicks.push(self.visit(campaign, &token, parameter, false).await?);
            }
        }
        Ok(clicks)
    }

    pub(super) async fn visit(
        &mut self,
        campaign: u64,
        token: &str,
        parameter: &str,
        is_test: bool,
    ) -> anyhow::Result<Click> {
        let number = self.visits;
        self.visits += 1;
        let place = usize::try_from(number % COUNTRIES.len() as u64)?;
        let sub1 = COUNTRIES[place];
        let target = format!(
            "/c/{token}?sub1={sub1}&sub2=banner-{}&sub3=spring&external_id=visit-{number}",
            number % 7
        );
        let (status, location) = self.api.visit(&target).await?;
        if status != 302 {
            bail!("{target}: {status} instead of a redirect");
        }
        let id = parameter_of(&location, parameter)
            .with_context(|| format!("{location} has no {parameter}"))?;
        let click = Click { id: id.to_owned(), campaign, sub1, is_test };
        self.count(Some(&click), &|figures| figures.clicks += 1);
        Ok(click)
    }

    /// Sends one postback for each of `sent` (the click it is about, if it is known, and the
    /// target), and checks each answer.
    pub(super) async fn step(
        &mut self,
        step: Step<'_>,
        sent: &[(Option<&Click>, String)],
    ) -> anyhow::Result<()> {
        let must = step.must;
        for (click, target) in sent {
            let told = self.api.send(target).await?;
            let answer = self.decided(&told.receipt).await?;
            if let Some(wrong) = differs(&must, told.status, &answer) {
                let body = String::from_utf8_lossy(&told.body);
                bail!("{}: {target}: {wrong}; it was answered: {body}", step.what);
            }
            if must.is_journaled {
                let reason = must.reason.unwrap_or_default().to_owned();
                *self.hits.entry((must.verdict.to_owned(), reason)).or_default() += 1;
                self.count(*click, &|figures| {
                    figures.hits += 1;
                    figures.refused += u64::from(must.verdict == "refused");
                    (step.effect)(figures);
                });
            }
            if must.nearest.is_some() {
                self.refused = Some(told.receipt);
            }
        }
        let parameter = must.parameter.map(|name| format!(" ({name})")).unwrap_or_default();
        self.steps.row([
            step.what.to_owned(),
            number(sent.len() as u64),
            must.http.to_string(),
            must.verdict.to_owned(),
            format!("{}{parameter}", must.reason.unwrap_or_default()),
        ]);
        Ok(())
    }

    /// The verdict on a hit, by its receipt. Some are answered before they are decided.
    async fn decided(&mut self, receipt: &str) -> anyhow::Result<Value> {
        for _ in 0..LOOKS_MAX {
            let answer = self.api.receipt(receipt).await?;
            if !answer["verdict"].is_null() {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("hit {receipt} was not decided")
    }

    fn count(&mut self, click: Option<&Click>, effect: &dyn Fn(&mut Figures)) {
        if click.is_some_and(|click| click.is_test) {
            return;
        }
        let campaign = click.map(|click| click.campaign.to_string());
        effect(self.by_campaign.entry(campaign).or_default());
        effect(self.by_sub1.entry(click.map(|click| click.sub1.to_owned())).or_default());
    }

    /// Ends a partner's story: prints what was done and what came of it.
    pub(super) fn chapter(&mut self, name: &str, about: &str) {
        say!("{}: {about}", bold(name));
        self.steps.print(2);
        say!();
        self.steps = steps();
    }

    /// The server's log and figures, printed, and held against what they must be.
    pub(super) async fn check_and_print(&mut self) -> anyhow::Result<()> {
        say!("{}", bold("Hits by verdict and reason"));
        let found = self.log().await?;
        let mut table =
            Table::new([("verdict", Side::Left), ("reason", Side::Left), ("hits", Side::Right)]);
        for ((verdict, reason), count) in &found {
            table.row([verdict.clone(), reason.clone(), number(*count)]);
        }
        table.print(2);
        say!();
        if found != self.hits {
            bail!("the log of hits is not what was sent: expected {:?}", self.hits);
        }
        self.figures("campaign").await?;
        self.figures("sub1").await?;
        let Some(receipt) = self.refused.clone() else { return Ok(()) };
        say!("{}: what the sender of a refused postback finds out", bold("A receipt"));
        let answer = self.api.receipt(&receipt).await?;
        say!("  GET /receipts/{receipt}");
        for name in ["verdict", "reason", "parameter", "nearest", "detail", "retriable"] {
            say!("  {:<10} {}", name, text_of(&answer[name]));
        }
        say!();
        Ok(())
    }

    async fn figures(&mut self, dimension: &str) -> anyhow::Result<()> {
        let report = self.get(&format!("/reports?group_by={dimension}")).await?;
        let found = figures::read(&report, dimension)?;
        say!("{}", bold(&format!("Figures by {dimension}")));
        let names = &self.names;
        figures::print(dimension, &found, |group| match names.get(group) {
            Some(name) if dimension == "campaign" => format!("{group} {name}"),
            _ => group.to_owned(),
        });
        say!();
        let expected = match dimension {
            "campaign" => &self.by_campaign,
            _ => &self.by_sub1,
        };
        figures::compare(dimension, expected, &found)
    }

    /// Every journaled hit of the log, page by page.
    async fn log(&mut self) -> anyhow::Result<BTreeMap<(String, String), u64>> {
        let mut counts = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/hits?limit={PAGE}{cursor}")).await?;
            let items = page["items"].as_array().context("a page without items")?;
            for hit in items {
                let word = |name: &str| hit[name].as_str().unwrap_or_default().to_owned();
                *counts.entry((word("verdict"), word("reason"))).or_default() += 1;
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(counts),
            }
        }
    }
}

fn steps() -> Table {
    Table::new([
        ("what was sent", Side::Left),
        ("hits", Side::Right),
        ("HTTP", Side::Right),
        ("verdict", Side::Left),
        ("reason", Side::Left),
    ])
}

/// What an answer and its receipt say otherwise than they must.
fn differs(must: &Must, status: u16, answer: &Value) -> Option<String> {
    if status != must.http {
        return Some(format!("expected HTTP {}, found {status}", must.http));
    }
    let fields = [
        ("verdict", Some(must.verdict)),
        ("reason", must.reason),
        ("parameter", must.parameter),
        ("nearest", must.nearest),
    ];
    let wrong = fields.into_iter().find(|(name, expected)| answer[*name].as_str() != *expected);
    wrong.map(|(name, expected)| {
        format!("expected {name} {}, found {}", expected.unwrap_or("null"), answer[name])
    })
}

pub(super) fn id_of(noun: &Value) -> anyhow::Result<u64> {
    noun["id"].as_u64().with_context(|| format!("{noun} has no id"))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value of a query's parameter.
pub(super) fn parameter_of<'u>(url: &'u str, name: &str) -> Option<&'u str> {
    let query = url.split_once('?')?.1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// A postback URL as its sender fills it in: each macro with its value, and only what comes after
/// the host.
pub(super) fn filled(url: &str, values: &[(&str, &str)]) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let mut target = format!("/{path}");
    for (placeholder, value) in values {
        target = target.replace(placeholder, value);
    }
    target
}

/// One postback for each click.
pub(super) fn each(
    clicks: &[Click],
    target: impl Fn(&Click) -> String,
) -> Vec<(Option<&Click>, String)> {
    clicks.iter().map(|click| (Some(click), target(click))).collect()
}

/// What an approved conversion adds.
pub(super) fn approved(revenue: i64, payout: i64) -> impl Fn(&mut Figures) {
    move |figures| {
        figures.approved += 1;
        figures.revenue = Micros(figures.revenue.0 + revenue);
        figures.payout = Micros(figures.payout.0 + payout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postback_url_is_filled_in_by_its_macros() {
        let url = "http://127.0.0.1:8080/postback/k?click_id={click_id}&campaign_id=7";
        assert_eq!(filled(url, &[("{click_id}", "abc")]), "/postback/k?click_id=abc&campaign_id=7");
        assert_eq!(parameter_of(url, "campaign_id"), Some("7"));
        assert_eq!(parameter_of(url, "click"), None);
        assert_eq!(parameter_of("http://x/", "click"), None);
    }

    #[test]
    fn an_answer_that_is_not_as_it_must_be_is_told() {
        let answer = json!({ "verdict": "refused", "reason": "missing_parameter",
            "parameter": "click_id", "nearest": "clickid" });
        let must = Must {
            nearest: Some("clickid"),
            ..Must::be_refused(400, "missing_parameter", Some("click_id"))
        };
        assert_eq!(differs(&must, 400, &answer), None);
        assert!(differs(&must, 200, &answer).unwrap().contains("HTTP 400"));
        let without = Must { nearest: None, ..must };
        assert_eq!(
            differs(&without, 400, &answer).unwrap(),
            "expected nearest null, found \"clickid\""
        );
    }
}

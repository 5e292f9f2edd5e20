//! The front as a whole, over real sockets, on a data directory of its own.

mod alerts;
mod bad_days;
mod click;
mod postback;
mod wire;

use super::serve::Front;
use crate::app::{App, Ground, Running};
use crate::config::Config;
use domain::command::{Act, Answer, CampaignChanges, Command, NewCampaign, Outcome};
use domain::id::{CampaignId, PublisherId};
use domain::record::{self, Record};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::disk::{Disk, RealDisk};
use tokio::runtime::Runtime;

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where visitors of the campaign go.
const LANDING: &str = "https://shop.example/?c={click_id}&s={sub1}&x={external_id}&u={user_agent}";
/// The token of the link to it.
const TOKEN: &str = "spring";

/// A server with a campaign that is active, and a link to it.
struct Rig {
    app: Arc<App>,
    campaign: CampaignId,
    publisher: PublisherId,
    /// In the order in which they are taken apart.
    front: Option<Front>,
    running: Option<Running>,
    runtime: Runtime,
    _data: tempfile::TempDir,
}

impl Rig {
    fn start(set: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(Arc::new(RealDisk), |store| store, set)
    }

    fn start_on(
        disk: Arc<dyn Disk>,
        seen: impl Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync + 'static,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut config = Config {
            data: data.path().to_owned(),
            listen: any,
            metrics_listen: any,
            ..Config::default()
        };
        set(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let ground = Ground { disk, seen: Box::new(seen) };
        let (running, front) = runtime.block_on(async {
            let running = App::start_on(ground, config, metrics).await.unwrap();
            let front = Front::start(&running.app).unwrap();
            (running, front)
        });
        let mut rig = Self {
            app: running.app.clone(),
            campaign: CampaignId(0),
            publisher: PublisherId(0),
            front: Some(front),
            running: Some(running),
            runtime,
            _data: data,
        };
        rig.set_up();
        rig
    }

    fn set_up(&mut self) {
        let name = || "Example".to_owned();
        let Answer::Advertiser(advertiser) = self.act(Act::CreateAdvertiser { name: name() })
        else {
            panic!("an advertiser was asked for")
        };
        let Answer::Publisher(publisher) = self.act(Act::CreatePublisher { name: name() }) else {
            panic!("a publisher was asked for")
        };
        self.publisher = publisher.id;
        let new = serde_json::json!({
            "advertiser_id": advertiser.id,
            "name": "Spring",
            "type": "cpi",
            "landing_url": LANDING,
            "currency": "USD",
        });
        let new: NewCampaign = serde_json::from_value(new).unwrap();
        let Answer::Campaign(campaign) = self.act(Act::CreateCampaign(Box::new(new))) else {
            panic!("a campaign was asked for")
        };
        self.campaign = campaign.id;
        for to in ["pending_approval", "approved", "active"] {
            self.become_(to);
        }
        self.link(TOKEN, false);
    }

    fn act(&self, act: Act) -> Answer {
        let command = Command { actor: "test".to_owned(), idempotency: None, act };
        match self.runtime.block_on(self.app.ingest.command(command)).unwrap() {
            Outcome::Done(answer) => *answer,
            Outcome::Failed(failure) => panic!("{}", failure.detail),
        }
    }

    /// Takes the campaign on in its life.
    fn become_(&self, status: &str) {
        let to = serde_json::from_value(status.into()).unwrap();
        let key = format!("key-{}", self.campaign);
        self.act(Act::SetCampaignStatus { id: self.campaign, to, key });
    }

    fn change(&self, changes: CampaignChanges) {
        self.act(Act::ChangeCampaign { id: self.campaign, changes: Box::new(changes) });
    }

    fn link(&self, token: &str, test: bool) {
        self.act(Act::CreateLink {
            campaign_id: self.campaign,
            publisher_id: self.publisher,
            token: token.to_owned(),
            landing_url: None,
            test,
        });
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.front.as_ref().unwrap().address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends `request` on a connection of its own, and reads until that is closed.
    fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        Reply::read(stream)
    }

    fn get(&self, target: &str) -> Reply {
        self.ask(format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n"))
    }

    /// The last record of the journal.
    fn last_record(&self) -> Record<'static> {
        let next = self.app.journal.next();
        let (header, payload) =
            self.app.journal.read(domain::id::Position(next.0 - 1)).unwrap().unwrap();
        match record::read(header.kind, header.format, header.rules, &payload).unwrap() {
            Record::Click(click) => Record::Click(click.into_owned()),
            Record::Hit(hit) => Record::Hit(hit),
            other => panic!("no request makes a {:?}", other.kind()),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(front) = self.front.take() {
            self.runtime.block_on(front.stop());
        }
        if let Some(running) = self.running.take() {
            let stopped = self.runtime.block_on(running.stop());
            if !std::thread::panicking() {
                stopped.unwrap();
            }
        }
    }
}

/// What came back on a connection.
struct Reply {
    text: String,
}

impl Reply {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}, after {}", String::from_utf8_lossy(&bytes)),
        }
        Self { text: String::from_utf8(bytes).unwrap() }
    }

    /// 0 where nothing came back.
    fn status(&self) -> u16 {
        self.text.get(9..12).map_or(0, |status| status.parse().unwrap())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no location: {}", self.text))
    }

    fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.body()).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The statuses of several answers on one connection, none of which has such a line in it.
    fn statuses(&self) -> Vec<u16> {
        let begins = self.text.match_indices("HTTP/1.1 ");
        begins.map(|(at, _)| self.text[at + 9..at + 12].parse().unwrap()).collect()
    }
}

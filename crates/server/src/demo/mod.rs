//! `counterfoil demo`: a small network with the integrations of five partners and a publisher that
//! is told, run with real HTTP traffic, checked to the last figure, and left running to be played
//! with.
//!
//! The server is the same as `serve` starts; everything after that is done from outside, as
//! operators, visitors and partners do it. What is printed was asked of the server, and compared
//! with what the story must lead to.

mod api;
mod clickwall;
mod figures;
mod kiwiwall;
mod peerclick;
mod publisher;
mod pushground;
mod trackier;
mod world;

use crate::config::Config;
use crate::scratch::Scratch;
use crate::serve::{self, Served};
use crate::terminal::bold;
use anyhow::{Context, bail};
use domain::contract::Network;
use domain::destination::WAITS_S;
use publisher::Publisher;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use world::World;

/// Threads that are no request's: the server's own and the demo's.
const THREADS: usize = 2;

/// The only network that destinations may be in beside the internet.
const LOOPBACK: &str = "127.0.0.1/32";

/// Options of `demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to listen; by default as configured
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// An empty directory to keep the data in; by default a temporary one that is removed
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End after the figures: exit status 0 only if they are what they must be
    #[arg(long)]
    exit: bool,
}

/// Runs the story, prints it, and serves on.
pub(crate) fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let (data, _scratch) = match args.data {
        Some(data) => (data, None),
        None => {
            let scratch = Scratch::new(&std::env::temp_dir(), "demo")?;
            (scratch.path().join("data"), Some(scratch))
        }
    };
    if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty, and the demo's figures are those of a fresh directory\n\
             hint: serve it with: COUNTERFOIL_DATA={0} counterfoil serve",
            data.display()
        );
    }
    let config = Config {
        data,
        listen: args.listen.unwrap_or(config.listen),
        metrics_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        external_url: None,
        // One of its own is made, and printed: the operator's is not for showing.
        admin_key: None,
        log: "warn".to_owned(),
        // The publisher that is told is on this machine, and nobody waits for its second chance.
        outbound_allow: Network::parse(LOOPBACK).into_iter().collect(),
        outbound_waits_s: vec![1; WAITS_S.len()],
        ..config
    };
    serve::log(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(async {
        let served = start(config).await?;
        let told = tell(&served, args.exit).await;
        served.stop().await.and(told)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn start(config: Config) -> anyhow::Result<Served> {
    let listen = config.listen;
    Served::start(config).await.map_err(|error| {
        let cause = error.root_cause().downcast_ref::<io::Error>();
        if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AddrInUse) {
            anyhow::anyhow!(
                "{listen} is taken by another program\n\
                 hint: counterfoil demo --listen 127.0.0.1:0 takes any port that is free"
            )
        } else {
            error
        }
    })
}

async fn tell(served: &Served, ends: bool) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let app = served.app();
    let key = app.keys.new_admin_key.clone().context("a fresh directory has no admin key")?;
    let address = app.address.get().copied().context("the server does not listen")?;
    say!("{} {}", bold("Counterfoil"), env!("CARGO_PKG_VERSION"));
    say!("  serving {} from {}", app.base_url(), app.config.data.display());
    say!();
    let mut world = World::begin(address, &key).await?;
    let publisher = Publisher::begin(&mut world).await.context("the publisher")?;
    clickwall::tell(&mut world).await.context("ClickWall")?;
    kiwiwall::tell(&mut world).await.context("KiwiWall")?;
    trackier::tell(&mut world).await.context("Trackier")?;
    peerclick::tell(&mut world).await.context("PeerClick")?;
    pushground::tell(&mut world).await.context("Pushground")?;
    world.check_and_print().await?;
    publisher.check_and_print(&mut world).await?;
    say!("{}: every answer and figure above is what the story must lead to", bold("Checked"));
    say!();
    if ends {
        return Ok(());
    }
    let page = contract_page(&mut world).await?;
    invite(&world, &app.base_url(), &key, &page);
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        ended = served.until_stopped() => ended,
    }
}

/// The address at which KiwiWall would read what was agreed with it.
async fn contract_page(world: &mut World) -> anyhow::Result<String> {
    let integrations = world.get("/integrations?partner=kiwiwall").await?;
    let id = integrations["items"][0]["id"].as_u64().context("KiwiWall has no integration")?;
    let versions = world.get(&format!("/integrations/{id}/contracts")).await?;
    let page = versions["items"][0]["page_url"].as_str().context("its contract has no page")?;
    Ok(page.to_owned())
}

/// What to try next.
fn invite(world: &World, base: &str, key: &str, page: &str) {
    let token = world.open_link.as_deref().unwrap_or("TOKEN");
    say!("{}", bold("Try it"));
    say!("  API:        {base}/api/v1");
    say!("  admin key:  {key}");
    say!("  a contract: {page} in a browser");
    say!();
    say!("  curl -si '{base}/c/{token}?sub1=me' | grep -i '^location'");
    say!("  curl -s '{base}/postback?click_id=THE_ID_ABOVE&txn_id=my-first'");
    say!(
        "  curl -s -H 'Authorization: Bearer {key}' '{base}/api/v1/reports?group_by=campaign,sub1'"
    );
    say!("  curl -s -H 'Authorization: Bearer {key}' '{base}/api/v1/deliveries?limit=3'");
    say!();
    say!("Ctrl-C ends it");
}

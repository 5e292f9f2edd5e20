//! Talks: HTTP and the command line.

// A closed pipe is no panic: `terminal` prints.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod terminal;

mod alerts;
mod app;
mod asking;
mod backup;
mod bench;
mod catalogue;
mod client;
mod clock;
mod config;
mod countries;
mod deliver;
mod deliveries;
mod demo;
mod engine;
mod http;
mod ingest;
mod keeper;
mod keys;
mod ledger;
mod live;
mod open;
mod open_files;
mod partners;
mod rehearsal;
mod scratch;
mod serve;
mod snapshot;
mod url;
mod verify;

use clap::{Parser, Subcommand};
use config::Config;
use countries::Countries;
use std::path::PathBuf;
use std::process::ExitCode;

/// Clicks, postbacks and conversions that can be proven
#[derive(Parser)]
#[command(name = "counterfoil", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration's file; without it, counterfoil.toml where that is there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server
    Serve,
    /// Run a small network with real traffic, print its figures, and keep serving
    Demo(demo::Args),
    /// Measure this machine
    Bench(bench::Args),
    /// Check a data directory: every checksum, the hash chain, every invariant
    Verify(verify::Args),
    /// Copy a data directory while the server runs
    Backup(backup::BackupArgs),
    /// Make a data directory from a copy
    Restore(backup::RestoreArgs),
    /// Look at the catalogue of known platforms, or check files of your own
    Partners(partners::Args),
    /// URLs to be pasted elsewhere, with the macros of whoever they are for
    Url(url::Args),
    /// What publishers are told, and what is told once more; asks the running server
    Deliveries(deliveries::Args),
    /// What needs a person's attention now; asks the running server
    Alerts(alerts::Args),
    /// Print the settings that are in force
    CheckConfig,
    /// Print the API's document, OpenAPI 3.1
    Openapi,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = run(cli).unwrap_or_else(|error| {
        remark!("error: {error:#}");
        ExitCode::FAILURE
    });
    terminal::end(code)
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    open_files::raise();
    let (config, warnings) = Config::load(cli.config.as_deref(), std::env::vars_os())?;
    for warning in warnings {
        remark!("warning: {warning}");
    }
    match cli.verb {
        Verb::Serve => serve::run(config).map(|()| ExitCode::SUCCESS),
        Verb::Demo(args) => demo::run(args, config),
        Verb::Bench(args) => bench::run(args, config),
        Verb::Verify(args) => verify::run(args, config),
        Verb::Backup(args) => backup::backup(args, config),
        Verb::Restore(args) => backup::restore(args, config),
        Verb::Partners(args) => partners::run(&args),
        Verb::Url(args) => url::run(args, &config),
        Verb::Deliveries(args) => deliveries::run(args, &config),
        Verb::Alerts(args) => alerts::run(args, &config),
        Verb::Openapi => {
            terminal::print(format_args!("{}", http::api::document::text()));
            Ok(ExitCode::SUCCESS)
        }
        Verb::CheckConfig => {
            let countries = Countries::open(config.country_database.as_deref())?;
            if let Some(described) = countries.described() {
                remark!("country_database: {described}");
            }
            terminal::print(format_args!("{}", toml::to_string(&config)?));
            Ok(ExitCode::SUCCESS)
        }
    }
}

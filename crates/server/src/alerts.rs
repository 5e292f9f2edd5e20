//! `counterfoil alerts`: what an operator should know of now. It asks the server that runs.

use crate::asking::asked;
use crate::config::Config;
use crate::deliveries::safe;
use clap::Args as ClapArgs;
use std::process::ExitCode;

#[derive(ClapArgs)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, config: &Config) -> anyhow::Result<ExitCode> {
    let found = asked(config, "/alerts", &[])?;
    let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
    for one in items {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        // It may repeat what a stranger has answered: that is not for a terminal to act on.
        let detail = safe(text("detail"));
        say!("{} since {}: {detail}", text("kind"), text("since"));
    }
    if items.is_empty() {
        say!("there are no alerts");
    }
    Ok(ExitCode::SUCCESS)
}

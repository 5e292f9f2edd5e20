//! `counterfoil backup` copies a data directory while its server runs; `counterfoil restore` makes
//! a data directory from such a copy.
//!
//! **Each part is copied before what it is made from**: the deliveries, the ledger, then the facts,
//! then the journal. So the journal's copy holds everything the others have seen, and the next start goes
//! on from there. What was acknowledged after the copy may have got ids and positions that the
//! copy knows nothing of: the first start after a restore skips as many as that could be.

mod copy;
mod manifest;

use crate::config::Config;
use crate::keys::{self, make_dir};
use crate::open::{DELIVERIES, FACTS, JOURNAL, LEDGER, RESTORED};
use crate::scratch::Scratch;
use crate::terminal::{bytes, number};
use crate::verify;
use anyhow::{Context, bail};
use manifest::Manifest;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::deliveries;
use store::disk::{Disk, RealDisk};
use store::sqlite;

/// How often facts and journal are copied anew because the server has removed some of them
/// meanwhile.
const ATTEMPTS_MAX: u32 = 10;
/// What a directory is called while it is being restored.
const UNFINISHED: &str = "restoring";

/// Options of `backup`.
#[derive(clap::Args, Debug)]
pub(crate) struct BackupArgs {
    /// Where to: a directory that is not there yet, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The data directory; by default the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Options of `restore`.
#[derive(clap::Args, Debug)]
pub(crate) struct RestoreArgs {
    /// A directory that `counterfoil backup` has made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make, not there yet or empty; by default the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Copies, syncs, and checks the copy.
pub(crate) fn backup(args: BackupArgs, config: Config) -> anyhow::Result<ExitCode> {
    let node = config.node();
    let data = args.data.unwrap_or(config.data);
    let data = found(&data)?;
    if !data.join(LEDGER).exists() {
        bail!("{} is no data directory: it has no {LEDGER}", data.display());
    }
    make_empty(&args.to)?;
    let to = args.to.canonicalize()?;
    if to.starts_with(&data) {
        bail!("{} is inside of what is to be copied", to.display());
    }
    copy_all(&data, &to)?;
    let manifest = Manifest::of(&to)?;
    manifest.write(&to)?;
    let report = verify::check(&to, node).context("the copy cannot be checked")?;
    if !report.is_clean() {
        report.print();
        bail!("the copy in {} is not sound: do not rely on it", to.display());
    }
    say!(
        "backed up: {} in {} files, checked, in {}",
        bytes(manifest.bytes()),
        number(manifest.files()),
        to.display()
    );
    say!("hint: it holds the keys; keep it as secret as the data directory");
    Ok(ExitCode::SUCCESS)
}

/// Checks the copy, and makes a data directory of it whole or not at all.
pub(crate) fn restore(args: RestoreArgs, config: Config) -> anyhow::Result<ExitCode> {
    let node = config.node();
    let data = args.data.unwrap_or(config.data);
    let from = found(&args.from)?;
    let manifest = Manifest::read(&from)?;
    manifest.check(&from).context("the backup is damaged")?;
    let report = verify::check(&from, node).context("the backup cannot be checked")?;
    if !report.is_clean() {
        report.print();
        bail!("the backup in {} is damaged: nothing was restored", from.display());
    }
    check_empty(&data)?;
    let parent = parent_of(&data)?;
    // An empty directory stays, for it may be a mount point: what is made is moved into it.
    let beside = if data.exists() { &data } else { &parent };
    let scratch = Scratch::new(beside, UNFINISHED)?;
    let made = scratch.path().join("data");
    make_dir(&made.join(keys::DIR))?;
    for name in manifest.names() {
        copy::whole(&from.join(name), &made.join(name))?;
    }
    std::fs::write(made.join(RESTORED), "ids and positions are skipped at the next start\n")?;
    manifest.check(&made).context("the copy is not what was copied")?;
    make_dir(&made)?;
    copy::sync_dirs(&made)?;
    put(&made, &data).with_context(|| format!("cannot make {}", data.display()))?;
    RealDisk.sync_dir(&parent)?;
    say!("restored: {} to {}", bytes(manifest.bytes()), data.display());
    say!("hint: start it with `counterfoil serve`; never run the old server on besides");
    Ok(ExitCode::SUCCESS)
}

/// Gives a directory that is complete its place.
fn put(made: &Path, data: &Path) -> std::io::Result<()> {
    if !data.exists() {
        return std::fs::rename(made, data);
    }
    let mut names = RealDisk.list(made)?;
    // Without its journal, a ledger is refused: until the last step nothing can be started.
    names.sort_unstable_by_key(|name| name == JOURNAL);
    for name in names {
        std::fs::rename(made.join(&name), data.join(&name))?;
        RealDisk.sync_dir(data)?;
    }
    Ok(())
}

/// Everything that is needed, in the order in which it has to be copied.
fn copy_all(data: &Path, to: &Path) -> anyhow::Result<()> {
    let mut attempts = 0;
    let before = loop {
        let before = oldest_segment(data)?;
        if attempts == 0 {
            copy_deliveries(data, to)?;
            copy_ledger(data, to)?;
        }
        copy::facts(&data.join(FACTS), &to.join(FACTS)).context("the facts cannot be copied")?;
        copy::journal(&data.join(JOURNAL), &to.join(JOURNAL))
            .context("the journal cannot be copied")?;
        // What was removed from the journal in between was sealed in between, too.
        if oldest_segment(data)? == before {
            break before;
        }
        attempts += 1;
        if attempts == ATTEMPTS_MAX {
            bail!("the journal's segments were removed {ATTEMPTS_MAX} times while it was copied");
        }
    };
    if before.is_none() {
        bail!("{} has no journal", data.display());
    }
    make_dir(&to.join(keys::DIR))?;
    for name in copy::names(&data.join(keys::DIR))? {
        // What is being written has another ending, and is whole under its own name.
        if !name.ends_with(copy::UNFINISHED) {
            let key = Path::new(keys::DIR).join(&name);
            copy::whole(&data.join(&key), &to.join(&key))?;
        }
    }
    copy::sync_dirs(to)
}

fn oldest_segment(data: &Path) -> anyhow::Result<Option<String>> {
    Ok(copy::segments(&data.join(JOURNAL))?.into_iter().next())
}

/// A consistent copy, made by SQLite beside the running server.
fn copy_ledger(data: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = to.join(LEDGER);
    sqlite::copy(&data.join(LEDGER), &copied).context("the ledger cannot be copied")?;
    copy::sync(&copied)
}

/// The same; what waits to be sent is held in the copy. A directory that was never served has none.
/// One that is damaged is left out: the rest is worth a copy, and what was owed is in the ledger.
fn copy_deliveries(data: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, copied) = (data.join(DELIVERIES), to.join(DELIVERIES));
    if !from.exists() {
        return Ok(());
    }
    match deliveries::copy(&from, &copied) {
        Ok(()) => copy::sync(&copied),
        Err(store::Error::Corrupt { detail, .. }) => {
            if copied.exists() {
                std::fs::remove_file(&copied).context("what was copied of it cannot be removed")?;
            }
            remark!("warning: {DELIVERIES} is damaged, and left out of the copy: {detail}");
            remark!("hint: a restore begins a new one, in which all that is owed is held");
            Ok(())
        }
        Err(error) => Err(error).context("the deliveries cannot be copied"),
    }
}

/// Makes `dir`, for its owner alone, unless it is there and empty.
fn make_empty(dir: &Path) -> anyhow::Result<()> {
    check_empty(dir)?;
    make_dir(dir)
}

fn check_empty(dir: &Path) -> anyhow::Result<()> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!("{} is not empty", dir.display()),
            None => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", dir.display())),
    }
}

fn parent_of(dir: &Path) -> anyhow::Result<PathBuf> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    RealDisk.create_dir_all(parent)?;
    found(parent)
}

/// The whole path of a directory that has to be there.
fn found(dir: &Path) -> anyhow::Result<PathBuf> {
    match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => Ok(dir),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot look into {}", dir.display()))
        }
        _ => bail!("there is no directory {}", dir.display()),
    }
}

#[cfg(test)]
mod tests;

//! `counterfoil verify`: whether a data directory holds together, and where it does not.
//!
//! Nothing in the directory is changed. Each part is checked by itself (checksums, the hash
//! chain, the invariants that finance lives by), and then the parts against each other: every hit
//! has its verdict, every conversion its click, and every entry commits to the hit that is kept.

mod across;
mod deliveries;
mod look;
mod overlay;

use crate::config::Config;
use crate::keys::{self, Keys, Missing};
use crate::open::{FACTS, FIRST, JOURNAL, LEDGER};
use crate::terminal::{Progress, Side, Table, number};
use across::Across;
use anyhow::{Context, bail};
use domain::id::NodeId;
use domain::record::Record;
use look::Look;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::disk::{Disk, Lock, RealDisk};
use store::facts::{self, Kind};
use store::journal::{self, Found};
use store::list::Fault;
use store::records::decode;

/// How many faults are listed; the rest is only counted.
const FAULTS_MAX: usize = 100;
/// The file that a running server has locked in its journal.
const LOCK: &str = "lock";

/// Options of `verify`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory; by default the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Exit status 0 only where nothing is wrong.
pub(crate) fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let node = config.node();
    let data = args.data.unwrap_or(config.data);
    let _lock = keep_server_out(&data)?;
    let report = check(&data, node)?;
    report.print();
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What, and how many of it.
    checked: Vec<(&'static str, u64)>,
    /// The first of them.
    faults: Vec<Fault>,
    faults_total: u64,
    /// What is worth knowing, and is no fault.
    remarks: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults_total == 0
    }

    fn counted(&mut self, what: &'static str, count: u64) {
        self.checked.push((what, count));
    }

    fn fault(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { place: place.into(), detail: detail.into() });
        }
    }

    /// Faults on the standard output too: they are what was asked for.
    pub(crate) fn print(&self) {
        let mut table = Table::new([("checked", Side::Left), ("number", Side::Right)]);
        for (what, count) in &self.checked {
            table.row([(*what).to_owned(), number(*count)]);
        }
        table.print(0);
        for remark in &self.remarks {
            say!("note: {remark}");
        }
        for fault in &self.faults {
            say!("fault: {}: {}", fault.place, fault.detail);
        }
        let hidden = self.faults_total - self.faults.len() as u64;
        if hidden > 0 {
            say!("and {} more", number(hidden));
        }
        match self.faults_total {
            0 => say!("clean: nothing is wrong"),
            1 => say!("1 fault"),
            faults => say!("{} faults", number(faults)),
        }
    }
}

/// Makes sure that no server writes to the directory meanwhile.
fn keep_server_out(data: &Path) -> anyhow::Result<Option<Lock>> {
    let lock = data.join(JOURNAL).join(LOCK);
    if !lock.exists() {
        // As in a backup: it was never served from here.
        return Ok(None);
    }
    match RealDisk.lock(&lock) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => bail!(
            "a server is running on {}\n\
             hint: stop it first, or verify a backup of it: counterfoil backup --to DIR",
            data.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", lock.display())),
    }
}

/// Checks everything in `data`, which nobody changes meanwhile. An error means that it could not
/// be looked at; what is wrong in it is in the report.
pub(crate) fn check(data: &Path, node: NodeId) -> anyhow::Result<Report> {
    for part in [JOURNAL, LEDGER] {
        let path = data.join(part);
        if !path.exists() {
            bail!("{} is no data directory: it has no {part}", data.display());
        }
    }
    let mut report = Report::default();
    let keys = Keys::open(data, None, Missing::Refuse);
    if let Err(error) = &keys {
        report.fault("keys", format!("{error:#}"));
    }
    let mut across = Across::default();
    let look = match Look::at(data, node) {
        Ok(look) => Some(look),
        Err(error) => {
            report.fault("ledger.db", format!("it cannot be checked: {error:#}"));
            None
        }
    };
    if let Some(look) = &look {
        ledger(look, &mut across, &mut report)?;
        if let Ok(keys) = &keys
            && let Some(whose) = look.undecrypted(&keys.secrets)?
        {
            let is_there = data.join(keys::DIR).join(keys::SECRETS).exists();
            let why = if is_there { "does not decrypt" } else { "is missing, which encrypted" };
            report.fault("keys", format!("keys/secrets.key {why} the secrets of {whose}"));
        }
    }
    journal(data, &mut across, &mut report)?;
    facts(data, &mut across, &mut report);
    if let Some(look) = &look {
        across.sealed_hits(look, &mut report)?;
        joints(look, &mut report);
        deliveries::check(look, data, &mut report);
        across.conclude(&mut report);
    }
    Ok(report)
}

/// The ledger against itself, and what the rest will be held against.
fn ledger(look: &Look, across: &mut Across, report: &mut Report) -> anyhow::Result<()> {
    match look.verify() {
        Ok(faults) => {
            for fault in faults {
                report.fault(fault.place, fault.detail);
            }
            if let Err(error) = across.load(look, report) {
                report.fault("ledger.db", format!("it does not read: {error:#}"));
            }
            Ok(())
        }
        Err(error @ store::Error::Corrupt { .. }) => {
            report.fault("ledger.db", error.to_string());
            Ok(())
        }
        Err(error) => Err(error).context("the ledger cannot be read"),
    }
}

/// Every checksum, every record.
fn journal(data: &Path, across: &mut Across, report: &mut Report) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let mut done = 0;
    let verified = journal::verify(&RealDisk, &data.join(JOURNAL), &mut |found| match found {
        Found::Damage(damage) => report.fault("journal", damage.to_string()),
        Found::Torn(damage) => {
            let what = "the next start cuts what a crash has left unfinished";
            report.remarks.push(format!("{what}: {damage}"));
        }
        Found::Record(position, header, payload) => {
            done += 1;
            progress.at("journal records", done);
            match decode(position, header, payload) {
                Ok(stamped) => match &stamped.record {
                    Record::Click(click) => across.click(click.id),
                    Record::Hit(hit) => across.hit(position, Some(hit.digest()), report),
                    Record::Command(_) | Record::Tick => {}
                },
                Err(error) => report.fault("journal", error.to_string()),
            }
        }
    });
    let verified = verified.context("the journal cannot be read")?;
    report.counted("journal segments", verified.segments);
    report.counted("journal batches", verified.batches);
    report.counted("journal records", verified.records);
    Ok(())
}

/// Every sealed file, every page.
fn facts(data: &Path, across: &mut Across, report: &mut Report) {
    let mut progress = Progress::new();
    let (mut clicks, mut hits) = (0, 0);
    let dir = data.join(FACTS);
    // What the hits lack is added once the files' own problems are.
    let mut of_hits = Report::default();
    let problems = facts::verify(&RealDisk, &dir, &mut |fact| {
        progress.at("sealed rows", clicks + hits);
        match (fact.kind, fact.click_id) {
            (Kind::Click, Some(id)) => {
                clicks += 1;
                across.click(id);
            }
            (Kind::Click, None) => clicks += 1,
            (Kind::Hit, _) => {
                hits += 1;
                across.hit(fact.position, None, &mut of_hits);
            }
        }
    });
    for problem in problems {
        let place = problem.path.strip_prefix(data).unwrap_or(&problem.path);
        report.fault(place.display().to_string(), problem.detail);
    }
    report.faults_total += of_hits.faults_total;
    let room = FAULTS_MAX - report.faults.len();
    report.faults.extend(of_hits.faults.into_iter().take(room));
    report.counted("sealed clicks", clicks);
    report.counted("sealed hits", hits);
}

/// Journal, facts and ledger each end where the next one can go on.
fn joints(look: &Look, report: &mut Report) {
    let (next, applied, sealed) = (look.next, look.position, look.sealed());
    if applied > next {
        let detail = format!("it stands at record {applied} and its journal ends before {next}");
        report.fault("ledger.db", detail);
    }
    if sealed > next {
        let detail =
            format!("they are sealed up to record {sealed}, the journal ends before {next}");
        report.fault("facts", detail);
    }
    let (needed, oldest) = (applied.min(sealed).max(FIRST), look.oldest);
    if oldest > needed {
        let detail = format!(
            "it begins at record {oldest}, and records from {needed} on are neither sealed nor \
             applied without it"
        );
        report.fault("journal", detail);
    }
    if applied < next {
        let waiting = next.0 - applied.0;
        let what = "records that the next start applies";
        report.remarks.push(format!("{what}: {}", number(waiting)));
    }
}

#[cfg(test)]
mod tests;

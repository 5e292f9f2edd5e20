//! The reference of `bench postback`: a database that upserts one row a transaction, durably.
//!
//! PostgreSQL with pgbench where they are installed, a cluster of its own on its defaults, on the
//! disk that is measured; else the `sqlite3` program on one connection with `synchronous=full`.

use super::child::{Process, find_program, free_address, is_listening};
use crate::terminal;
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where distributions keep PostgreSQL's programs, one directory a version.
const POSTGRES_DIR: &str = "/usr/lib/postgresql";
/// Connections the server keeps for itself.
const POSTGRES_SPARE: u32 = 10;
/// How many upserts SQLite is given.
const SQLITE_UPSERTS: u64 = 2_000;

/// What was measured.
pub(super) struct Upserts {
    /// Which database, and how.
    pub(super) what: String,
    /// A second.
    pub(super) rate: u64,
    /// In words, where it is known.
    pub(super) latency: String,
}

impl Upserts {
    /// With `rows` stored before. `None` where no database is installed.
    pub(super) fn measure(
        dir: &Path,
        connections: u32,
        rows: u64,
        time: Duration,
    ) -> anyhow::Result<Option<Self>> {
        if let Some(programs) = Programs::find() {
            match programs.measure(dir, connections, rows, time) {
                Ok(upserts) => return Ok(Some(upserts)),
                Err(error) => {
                    remark!("warning: PostgreSQL could not be measured: {error:#}");
                }
            }
        }
        match find_program("sqlite3", &[]) {
            Some(program) => sqlite(&program, dir).map(Some),
            None => Ok(None),
        }
    }
}

/// PostgreSQL's.
struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    pgbench: PathBuf,
    psql: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let mut dirs: Vec<PathBuf> = std::fs::read_dir(POSTGRES_DIR)
            .into_iter()
            .flatten()
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .collect();
        // The newest first, as far as names tell.
        dirs.sort();
        dirs.reverse();
        let find = |name| find_program(name, &dirs);
        Some(Self {
            initdb: find("initdb")?,
            postgres: find("postgres")?,
            pgbench: find("pgbench")?,
            psql: find("psql")?,
        })
    }

    fn measure(
        &self,
        dir: &Path,
        connections: u32,
        rows: u64,
        time: Duration,
    ) -> anyhow::Result<Upserts> {
        let user = User::fitting(dir)?;
        let cluster = dir.join("postgres");
        std::fs::create_dir(&cluster)?;
        user.give(&cluster)?;
        let initdb = [&["-A", "trust", "-U", "postgres", "-D"][..]].concat();
        let made = user.command(&self.initdb, dir).args(initdb).arg(&cluster).output()?;
        check("initdb", &made)?;
        let address = free_address()?;
        let mut server = user.command(&self.postgres, dir);
        server
            .arg("-D")
            .arg(&cluster)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", &format!("max_connections={}", connections + POSTGRES_SPARE)])
            .args(["-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Process::start("postgres", &mut server)?;
        server.wait_until(|| is_listening(address) && self.sql(address, "select 1").is_ok())?;
        self.sql(address, &schema(rows))?;
        let script = dir.join("upsert.sql");
        std::fs::write(&script, UPSERT)?;
        let clients = connections.to_string();
        let seconds = time.as_secs().max(1).to_string();
        let bench = Command::new(&self.pgbench)
            .args(["-n", "-M", "prepared", "-j", "1", "-c", &clients, "-T", &seconds])
            .args(connection(address))
            .arg("-f")
            .arg(&script)
            .arg("postgres")
            .output()?;
        check("pgbench", &bench)?;
        let text = String::from_utf8_lossy(&bench.stdout);
        let (rate, latency) = figures(&text).context("pgbench says no rate")?;
        let what = format!(
            "PostgreSQL on its defaults (fsync), {connections} connections, {} rows before",
            terminal::number(rows)
        );
        Ok(Upserts { what, rate, latency: format!(", {latency} on average") })
    }

    fn sql(&self, address: SocketAddr, sql: &str) -> anyhow::Result<()> {
        let mut psql = Command::new(&self.psql);
        psql.args(["-q", "-X", "-v", "ON_ERROR_STOP=1"]).args(connection(address));
        check("psql", &psql.args(["-d", "postgres", "-c", sql]).output()?)
    }
}

/// The columns a conversion is known by, and what changes.
fn schema(rows: u64) -> String {
    format!(
        "create table conversion (home bigint, identity text, status text, revenue bigint,
            changed_at timestamptz, primary key (home, identity));
        insert into conversion
            select (random() * 9e15)::bigint, 'order-' || n, 'approved', 2500000, now()
            from generate_series(1, {rows}) n on conflict do nothing;
        analyze conversion"
    )
}

/// One transaction: an insert nearly always, as keys hardly meet.
const UPSERT: &str = "\\set home random(1, 9000000000000000)
insert into conversion (home, identity, status, revenue, changed_at)
    values (:home, 'order-0', 'approved', 2500000, now())
    on conflict (home, identity) do update
    set status = excluded.status, revenue = excluded.revenue, changed_at = excluded.changed_at;
";

fn connection(address: SocketAddr) -> [String; 6] {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    ["-h".to_owned(), host, "-p".to_owned(), port, "-U".to_owned(), "postgres".to_owned()]
}

fn check(name: &str, output: &Output) -> anyhow::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())
}

/// What pgbench prints: transactions a second, and the average latency.
fn figures(text: &str) -> Option<(u64, String)> {
    let after = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let rate = after("tps = ")?.split(['.', ' ']).next()?.parse().ok()?;
    Some((rate, after("latency average = ")?.trim().to_owned()))
}

/// Whom PostgreSQL runs as: it refuses to be root.
#[derive(Clone, Copy)]
struct User(Option<(u32, u32)>);

impl User {
    fn fitting(dir: &Path) -> anyhow::Result<Self> {
        let owner = std::os::unix::fs::MetadataExt::uid(&dir.metadata()?);
        if owner != 0 {
            return Ok(Self(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = ["postgres", "nobody"].into_iter().find_map(|name| ids(&users, name));
        let ids = ids.context("it refuses to be root, and there is no other user")?;
        // So that it comes through to its own directory.
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o711))?;
        Ok(Self(Some(ids)))
    }

    fn give(self, dir: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.0 {
            chown(dir, Some(user), Some(group))?;
        }
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700))?;
        Ok(())
    }

    fn command(self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(dir);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

/// A user's and its group's number in `/etc/passwd`.
fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn sqlite(program: &Path, dir: &Path) -> anyhow::Result<Upserts> {
    let mut script = String::from(
        "pragma journal_mode=wal; pragma synchronous=full;
        create table conversion (home integer, identity text, status text, revenue integer,
            changed_at integer, primary key (home, identity));\n",
    );
    for number in 0..SQLITE_UPSERTS {
        // Spread over the tree, as hashes are.
        let home = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1;
        _ = writeln!(
            script,
            "insert into conversion values ({home}, 'order-0', 'approved', 2500000, 0) \
             on conflict do update set status = excluded.status, revenue = excluded.revenue;"
        );
    }
    let file = dir.join("upsert.sql");
    std::fs::write(&file, script)?;
    let input = std::fs::File::open(&file)?;
    let from = Instant::now();
    let mut command = Command::new(program);
    let output = command.arg("-bail").arg(dir.join("upsert.db")).stdin(input).output()?;
    let took = from.elapsed();
    check("sqlite3", &output)?;
    Ok(Upserts {
        what: "SQLite, one connection, synchronous=full".to_owned(),
        rate: terminal::rate(SQLITE_UPSERTS, took),
        latency: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_prints_is_read() {
        let text = "number of clients: 64\nlatency average = 7.123 ms\n\
            initial connection time = 60 ms\ntps = 8984.123 (without initial connection time)\n";
        assert_eq!(figures(text), Some((8_984, "7.123 ms".to_owned())));
        assert_eq!(figures("pgbench: error"), None);
    }

    #[test]
    fn a_user_has_two_numbers() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104::/var:/bin/sh\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "post"), None);
    }
}

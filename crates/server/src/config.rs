//! What an operator can set: one TOML file, and the environment above it.
//!
//! Things that change while the server runs (campaigns, links, integrations) are data, not
//! configuration. Secrets come from the environment or a file of their own, and show as `***`.

use anyhow::{Context, anyhow, bail};
use axum::http::HeaderName;
use domain::contract::Network;
use domain::destination::WAITS_S;
use domain::id::NodeId;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Every key is also an environment variable: this, and the key in capitals.
const PREFIX: &str = "COUNTERFOIL_";
/// Where a configuration is looked for when none is named.
pub(crate) const FILE: &str = "counterfoil.toml";

/// The longest that anything about a destination may take, in milliseconds: ten minutes.
const OUTBOUND_MS_MAX: u64 = 600_000;
/// The most requests to destinations that may be under way at once.
const OUTBOUND_CONCURRENCY_MAX: u64 = 10_000;
/// How many waits there may be between attempts.
const OUTBOUND_WAITS_MAX: usize = 100;
/// The longest of them, in seconds: 30 days.
const OUTBOUND_WAIT_S_MAX: u64 = 30 * 86_400;
/// The most failures in a row before a destination is paused.
const OUTBOUND_PAUSE_AFTER_MAX: u64 = 1_000_000;
/// The longest from one try at a paused destination to the next, in seconds: a day.
const OUTBOUND_PROBE_S_MAX: u64 = 86_400;

/// Everything that can be set, with its default.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where journal, ledger, facts and keys are.
    pub(crate) data: PathBuf,
    /// Where clicks, postbacks and the API are answered.
    pub(crate) listen: SocketAddr,
    /// Where `/metrics` is answered.
    pub(crate) metrics_listen: SocketAddr,
    /// The URL under which the world reaches this server: what links and postback URLs begin
    /// with. Without it, `http://` and the `Host` that the API was asked by.
    pub(crate) external_url: Option<String>,
    /// Number of this journal, 0 to 1023. Two servers never share one.
    pub(crate) node: u16,
    /// Threads that answer requests; 0: as many as there are cores.
    pub(crate) threads: usize,
    /// How many connections are open at the most.
    pub(crate) connections_max: usize,
    /// How long a client may take to send a request's head, in seconds.
    pub(crate) header_timeout_s: u64,
    /// How long it may take to send a body, in seconds.
    pub(crate) body_timeout_s: u64,
    /// How long an idle connection is kept, in seconds.
    pub(crate) idle_timeout_s: u64,
    /// After how many milliseconds the sender of a postback is told that it was received, where
    /// there is no verdict yet.
    pub(crate) answer_within_ms: u64,
    /// Proxies that tell the client's address in `X-Forwarded-For`.
    pub(crate) trusted_proxies: Vec<Network>,
    /// The header in which those proxies name the visitor's country.
    pub(crate) country_header: Option<String>,
    /// An MMDB file that says which country an address is in.
    pub(crate) country_database: Option<PathBuf>,
    /// Networks that destinations may be in beside the internet.
    pub(crate) outbound_allow: Vec<Network>,
    /// How many requests to destinations are under way at once.
    pub(crate) outbound_concurrency: u32,
    /// How long it may take to connect to a destination, in milliseconds: no longer than all of it.
    pub(crate) outbound_connect_timeout_ms: u64,
    /// How long a request to a destination may take in all, in milliseconds.
    pub(crate) outbound_timeout_ms: u64,
    /// The waits between attempts at a delivery, in seconds: after the last there is none.
    pub(crate) outbound_waits_s: Vec<u32>,
    /// After how many failures in a row a destination is paused.
    pub(crate) outbound_pause_after: u32,
    /// How often one that is paused is tried, in seconds.
    pub(crate) outbound_probe_every_s: u32,
    /// What a click gets that cannot be written: `redirect` or `refuse`.
    pub(crate) when_disk_fails: WhenDiskFails,
    /// How long a journal segment is kept after all of it is applied and sealed, in days.
    pub(crate) journal_keep_days: u16,
    /// How long hits are kept, in days.
    pub(crate) hits_keep_days: u16,
    /// How long addresses, user agents and raw requests are kept, in days.
    pub(crate) personal_data_days: u16,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter of tracing-subscriber.
    pub(crate) log: String,
    /// `text` or `json`.
    pub(crate) log_format: LogFormat,
    /// The API's key; without it one is made on the first start, and printed once.
    #[serde(skip_serializing)]
    pub(crate) admin_key: Option<Secret>,
}

/// What becomes of a click when the disk does not take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenDiskFails {
    /// The visitor goes on; link and time travel in the click id.
    #[default]
    Redirect,
    /// 503.
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A secret that does not show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            external_url: None,
            node: 0,
            threads: 0,
            connections_max: 10_000,
            header_timeout_s: 10,
            body_timeout_s: 10,
            idle_timeout_s: 75,
            answer_within_ms: 1_500,
            trusted_proxies: Vec::new(),
            country_header: None,
            country_database: None,
            outbound_allow: Vec::new(),
            outbound_concurrency: 256,
            outbound_connect_timeout_ms: 5_000,
            outbound_timeout_ms: 15_000,
            outbound_waits_s: WAITS_S.to_vec(),
            outbound_pause_after: 10,
            outbound_probe_every_s: 600,
            when_disk_fails: WhenDiskFails::Redirect,
            journal_keep_days: 3,
            hits_keep_days: 730,
            personal_data_days: 90,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            admin_key: None,
        }
    }
}

impl Config {
    /// Reads `file`, or [`FILE`] where that is there, and then the environment. Variables that
    /// are no key are answered as warnings.
    pub(crate) fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let mut table = read(file)?;
        let mut warnings = Vec::new();
        for (name, value) in env {
            // Of what others have put there nothing need be text.
            let Some(name) = name.to_str() else { continue };
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            let Some(value) = value.to_str() else { bail!("{name} is not UTF-8") };
            let key = key.to_ascii_lowercase();
            let (key, value) = match key.strip_suffix("_file") {
                Some(secret) if secret == "admin_key" => {
                    let value = std::fs::read_to_string(value)
                        .with_context(|| format!("{name}: cannot read {value}"))?;
                    (secret.to_owned(), toml::Value::String(value.trim().to_owned()))
                }
                _ => (key.clone(), parse(&key, value)),
            };
            if is_key(&key) {
                if let Some(fault) = list_fault(&key, &value) {
                    bail!("{name} does not read: {fault}");
                }
                let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
                Self::deserialize(alone)
                    .map_err(|error| anyhow!("{name} does not read: {}", error.message()))?;
                table.insert(key, value);
            } else {
                warnings.push(format!("{name} is no setting of this release"));
            }
        }
        if table.get("admin_key").is_some_and(|key| !key.is_str()) {
            // Told in the words of the parser, it would show.
            bail!("admin_key is no text: {}", name_of(file));
        }
        if let Some((key, fault)) =
            table.iter().find_map(|(key, value)| Some((key, list_fault(key, value)?)))
        {
            bail!("the settings do not read: {}: {key}: {fault}", name_of(file));
        }
        // Each variable has been read alone: what does not read now stands in the file.
        let config = Self::deserialize(table)
            .with_context(|| format!("the settings do not read: {}", name_of(file)))?;
        config.check()?;
        if !config.trusted_proxies.is_empty() && config.external_url.is_none() {
            warnings.push(
                "trusted_proxies is set and external_url is not: links and postback URLs will \
                 begin with http:// and whatever host the proxy passes on"
                    .to_owned(),
            );
        }
        if config.country_header.is_some() && config.trusted_proxies.is_empty() {
            warnings.push(
                "country_header is set and trusted_proxies is not: nobody is believed".to_owned(),
            );
        }
        Ok((config, warnings))
    }

    fn check(&self) -> anyhow::Result<()> {
        if NodeId::new(self.node).is_none() {
            bail!("node is {} and must be 0 to {}", self.node, NodeId::MAX);
        }
        if self.journal_keep_days > self.personal_data_days {
            bail!(
                "journal_keep_days ({}) is more than personal_data_days ({}): the journal holds \
                 personal data too",
                self.journal_keep_days,
                self.personal_data_days
            );
        }
        if self.personal_data_days > self.hits_keep_days {
            bail!(
                "personal_data_days ({}) is more than hits_keep_days ({})",
                self.personal_data_days,
                self.hits_keep_days
            );
        }
        let named = [
            ("connections_max", self.connections_max as u64),
            ("header_timeout_s", self.header_timeout_s),
            ("body_timeout_s", self.body_timeout_s),
            ("idle_timeout_s", self.idle_timeout_s),
            ("answer_within_ms", self.answer_within_ms),
        ];
        if let Some((name, _)) = named.into_iter().find(|(_, value)| *value == 0) {
            bail!("{name} must not be 0");
        }
        self.check_outbound()?;
        if let Some(name) = &self.country_header
            && HeaderName::from_str(name).is_err()
        {
            bail!("country_header is the name of a header, such as `CF-IPCountry`, not `{name}`");
        }
        if let Some(url) = &self.external_url {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            if !rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' '])) {
                bail!("external_url is like `https://track.example.com`, not `{url}`");
            }
        }
        Ok(())
    }

    fn check_outbound(&self) -> anyhow::Result<()> {
        let named = [
            ("outbound_concurrency", self.outbound_concurrency.into(), OUTBOUND_CONCURRENCY_MAX),
            ("outbound_connect_timeout_ms", self.outbound_connect_timeout_ms, OUTBOUND_MS_MAX),
            ("outbound_timeout_ms", self.outbound_timeout_ms, OUTBOUND_MS_MAX),
            ("outbound_pause_after", self.outbound_pause_after.into(), OUTBOUND_PAUSE_AFTER_MAX),
            ("outbound_probe_every_s", self.outbound_probe_every_s.into(), OUTBOUND_PROBE_S_MAX),
        ];
        let waits = self.outbound_waits_s.iter();
        let waits = waits.map(|wait| ("outbound_waits_s", u64::from(*wait), OUTBOUND_WAIT_S_MAX));
        let mut all = named.into_iter().chain(waits);
        if let Some((name, value, max)) = all.find(|(_, value, max)| !(1..=*max).contains(value)) {
            let each = if name == "outbound_waits_s" { "each of " } else { "" };
            bail!("{each}{name} is 1 to {max}, not {value}");
        }
        if self.outbound_waits_s.len() > OUTBOUND_WAITS_MAX {
            bail!("outbound_waits_s: at most {OUTBOUND_WAITS_MAX}");
        }
        Ok(())
    }

    pub(crate) fn node(&self) -> NodeId {
        NodeId::new(self.node).expect("it was checked")
    }
}

/// The file that is named, or the one there may be.
fn read(file: Option<&Path>) -> anyhow::Result<toml::Table> {
    let text = match std::fs::read_to_string(file.unwrap_or(Path::new(FILE))) {
        Err(error) if error.kind() == ErrorKind::NotFound && file.is_none() => String::new(),
        text => text.with_context(|| format!("cannot read {}", name_of(file)))?,
    };
    text.parse().map_err(|error: toml::de::Error| {
        // The error itself shows the line, which may hold a secret.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|one| *one != '\n').count() + 1;
        anyhow!("{} is not TOML: line {line}, column {column}", name_of(file))
    })
}

fn name_of(file: Option<&Path>) -> String {
    file.unwrap_or(Path::new(FILE)).display().to_string()
}

fn is_key(key: &str) -> bool {
    let defaults = toml::Table::try_from(Config::default()).expect("defaults are TOML");
    // What is none by default does not stand in the table.
    defaults.contains_key(key)
        || ["external_url", "admin_key", "country_header", "country_database"].contains(&key)
}

/// That a key which holds a list was given something else, and how it is written.
fn list_fault(key: &str, value: &toml::Value) -> Option<String> {
    let defaults = toml::Table::try_from(Config::default()).expect("defaults are TOML");
    let default = defaults.get(key)?.as_array()?;
    let example = match default.is_empty() {
        true => r#"["127.0.0.1/32"]"#.to_owned(),
        false => toml::Value::from(default.clone()).to_string(),
    };
    (!value.is_array()).then(|| format!("it is a list, such as {example}"))
}

/// A value as TOML where its field is no text, else as it is.
fn parse(key: &str, value: &str) -> toml::Value {
    let defaults = toml::Table::try_from(Config::default()).expect("defaults are TOML");
    let is_text = defaults.get(key).is_none_or(toml::Value::is_str);
    let parsed = || format!("x = {value}").parse::<toml::Table>().ok()?.remove("x");
    if is_text { None } else { parsed() }.unwrap_or_else(|| toml::Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, env: &[(&str, &str)]) -> anyhow::Result<(Config, Vec<String>)> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("c.toml");
        std::fs::write(&file, toml)?;
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Config::load(Some(&file), env)
    }

    #[test]
    fn what_others_have_put_into_the_environment_need_not_be_text() {
        let odd = || std::os::unix::ffi::OsStringExt::from_vec(b"\xff".to_vec());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "").unwrap();
        let load = |name: OsString, value: OsString| {
            Config::load(Some(&file), std::iter::once((name, value)))
        };
        assert!(load(odd(), "x".into()).is_ok());
        assert!(load("PATH".into(), odd()).is_ok());
        let error = load("COUNTERFOIL_LISTEN".into(), odd()).unwrap_err();
        assert_eq!(error.to_string(), "COUNTERFOIL_LISTEN is not UTF-8");
    }

    #[test]
    fn an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        for text in [None, Some("= 1"), Some("listem = 1")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let error = Config::load(Some(&file), std::iter::empty()).unwrap_err();
            assert!(format!("{error:#}").contains(&*file.to_string_lossy()), "{error:#}");
        }
        // It is there, and it is no file.
        assert!(Config::load(Some(dir.path()), std::iter::empty()).is_err());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let env = [
            ("COUNTERFOIL_LISTEN", "0.0.0.0:80"),
            ("COUNTERFOIL_DATA", "1234"),
            ("COUNTERFOIL_TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("PATH", "/bin"),
        ];
        let (config, warnings) = load("listen = '127.0.0.1:1'\nnode = 7", &env).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:80");
        assert_eq!(config.data, PathBuf::from("1234"), "a path stays text");
        assert_eq!(config.node, 7);
        assert_eq!(config.trusted_proxies.len(), 1);
        assert_eq!(warnings.len(), 1, "a proxy is there, and no URL of it: {warnings:?}");
    }

    /// Every setting with its comment and its default, as an example to begin with.
    fn example() -> String {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let own = include_str!("config.rs");
        let fields = own.split("pub(crate) struct Config {").nth(1).unwrap();
        let fields = fields.split("\n}").next().unwrap();
        let mut text = String::from(
            "# Counterfoil's settings: each with its default, or an example where there is none.\n\
             # Each is also an environment variable: COUNTERFOIL_ and the key in capitals, which wins.\n",
        );
        let mut is_first = true;
        for line in fields.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("///") {
                text.push_str(if is_first { "\n#" } else { "#" });
                text.push_str(comment);
                text.push('\n');
                is_first = false;
            } else if let Some(field) = line.strip_prefix("pub(crate) ") {
                let key = field.split(':').next().unwrap();
                let value = match (key, defaults.get(key)) {
                    (_, Some(value)) => value.to_string(),
                    ("external_url", None) => "\"https://track.example.com\"".to_owned(),
                    ("country_header", None) => "\"CF-IPCountry\"".to_owned(),
                    ("country_database", None) => "\"country.mmdb\"".to_owned(),
                    ("admin_key", None) => "\"a long random text\"".to_owned(),
                    _ => panic!("{key} needs an example"),
                };
                text.extend(["#", key, " = ", &value, "\n"]);
                is_first = true;
            }
        }
        text
    }

    #[test]
    fn the_example_has_every_setting_as_it_is() {
        let kept = include_str!("../../../config.example.toml");
        assert_eq!(kept, example(), "the right one goes into config.example.toml");
        let set: String = kept
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')))
            .map(|line| format!("{line}\n"))
            .collect();
        let (config, _) = load(&set, &[]).unwrap();
        let expected = Config {
            external_url: config.external_url.clone(),
            admin_key: config.admin_key.clone(),
            country_header: config.country_header.clone(),
            country_database: config.country_database.clone(),
            ..Config::default()
        };
        assert_eq!(config, expected);
        let guide = include_str!("../../../docs/operating.md");
        for key in set.lines().map(|line| line.split(' ').next().unwrap()) {
            assert!(guide.contains(&format!("\n| `{key}` | ")), "{key} is in the guide");
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_warns_and_a_key_in_the_file_is_an_error() {
        let (_, warnings) = load("", &[("COUNTERFOIL_LISTEM", "x")]).unwrap();
        assert_eq!(warnings, ["COUNTERFOIL_LISTEM is no setting of this release"]);
        assert!(load("listem = 1", &[]).is_err());
    }

    #[test]
    fn the_admin_key_never_shows() {
        let (config, _) = load("", &[("COUNTERFOIL_ADMIN_KEY", "s3cret")]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!toml::to_string(&config).unwrap().contains("s3cret"));
        assert_eq!(config.admin_key.unwrap().expose(), "s3cret");
    }

    #[test]
    fn a_line_that_is_no_toml_is_named_and_not_shown() {
        for (toml, place) in [
            ("node = 1\nadmin_key = 53cret", "line 2, column 1"),
            ("node = 1\nadmin_key = '53cret\n", "line 2, column 20"),
            ("admin_key = ['53cret']", "c.toml"),
            ("admin_key = 53", "c.toml"),
        ] {
            let error = format!("{:#}", load(toml, &[]).unwrap_err());
            assert!(error.contains(place), "{error}");
            let error = error.rsplit_once('/').unwrap().1;
            assert!(!error.contains("53"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_does_not_read_is_named() {
        for (name, value) in [
            ("COUNTERFOIL_NODE", "many"),
            ("COUNTERFOIL_LISTEN", "80"),
            ("COUNTERFOIL_LOG_FORMAT", "x"),
        ] {
            let error = format!("{:#}", load("", &[(name, value)]).unwrap_err());
            assert!(error.contains(name) && !error.contains("c.toml"), "{error}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_told_how_to_write_one() {
        let right = r#"it is a list, such as ["127.0.0.1/32"]"#;
        for value in ["127.0.0.1/32", "127.0.0.1/32,10.0.0.0/8", "\"127.0.0.1/32\"", "", "1"] {
            let error = load("", &[("COUNTERFOIL_TRUSTED_PROXIES", value)]).unwrap_err();
            let told = format!("COUNTERFOIL_TRUSTED_PROXIES does not read: {right}");
            assert_eq!(error.to_string(), told);
        }
        let error = load("trusted_proxies = '127.0.0.1/32'", &[]).unwrap_err().to_string();
        assert!(error.ends_with(&format!("c.toml: trusted_proxies: {right}")), "{error}");
        let error = load("", &[("COUNTERFOIL_OUTBOUND_WAITS_S", "5")]).unwrap_err().to_string();
        assert!(error.contains("it is a list, such as [5, 300, "), "{error}");
        let (config, _) =
            load("", &[("COUNTERFOIL_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)]).unwrap();
        assert_eq!(config.trusted_proxies.len(), 1);
    }

    #[test]
    fn what_would_send_nothing_or_without_end_is_refused_by_its_name() {
        for (key, good, bad) in [
            ("outbound_concurrency", ["1", "10000"], ["0", "10001"]),
            ("outbound_connect_timeout_ms", ["1", "600000"], ["0", "600001"]),
            ("outbound_timeout_ms", ["1", "600000"], ["0", "9223372036854775807"]),
            ("outbound_pause_after", ["1", "1000000"], ["0", "4294967295"]),
            ("outbound_probe_every_s", ["1", "86400"], ["0", "86401"]),
            ("outbound_waits_s", ["[]", "[1, 2592000]"], ["[5, 0]", "[2592001]"]),
        ] {
            for value in good {
                assert!(load(&format!("{key} = {value}"), &[]).is_ok(), "{key} = {value}");
            }
            for value in bad {
                let error = load(&format!("{key} = {value}"), &[]).unwrap_err().to_string();
                assert!(error.contains(key) && error.contains(" is 1 to "), "{value}: {error}");
            }
        }
        let waits = format!("outbound_waits_s = {:?}", [1; OUTBOUND_WAITS_MAX + 1]);
        let error = load(&waits, &[]).unwrap_err().to_string();
        assert_eq!(error, "outbound_waits_s: at most 100");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for toml in [
            "node = 1024",
            "journal_keep_days = 91",
            "personal_data_days = 800",
            "answer_within_ms = 0",
            "external_url = 'track.example.com'",
            "country_header = ''",
            "country_header = 'CF IPCountry'",
            "external_url = 'https://track.example.com/x'",
        ] {
            assert!(load(toml, &[]).is_err(), "{toml}");
        }
    }
}

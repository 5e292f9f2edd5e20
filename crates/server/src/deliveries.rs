//! `counterfoil deliveries`: what destinations are told, and what is told once more. It asks the
//! server that runs.

use crate::asking::{asked, exchanged, posted_once};
use crate::config::Config;
use crate::keys::{self, hex};
use crate::terminal::{Side, Table, number};
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Parser, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

const REPLAY: &str = "/deliveries/replay";
/// Of the key that a replay is done under, if none is said.
const KEY_BYTES: usize = 16;
/// Characters that turn the direction in which others are shown.
const DIRECTIONS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];
/// Characters that are not seen, or begin a line.
const HIDDEN: [char; 7] =
    ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2028}', '\u{2029}', '\u{feff}'];

#[derive(Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Deliveries, newest first
    List(List),
    /// A delivery, with every attempt at it
    Show {
        /// The delivery's number
        id: u64,
    },
    /// Count what would be sent once more, and send it with --yes
    Replay(Replay),
    /// Count what a destination was never told of, and tell it with --yes
    Backfill(Backfill),
    /// Send a destination one request now, and show it and the answer; nothing is stored
    Test(Test),
    /// Send nothing to a destination any more; what it is owed is kept
    Pause {
        /// The destination's number
        destination: u32,
        /// In a person's words
        #[arg(long)]
        why: String,
    },
    /// Send a destination what waits for it
    Resume {
        /// The destination's number
        destination: u32,
    },
}

/// Which deliveries.
#[derive(ClapArgs)]
struct Which {
    /// Only this destination's
    #[arg(long)]
    destination: Option<u32>,
    /// Only of this conversion
    #[arg(long)]
    conversion: Option<u64>,
    /// Only in it, such as exhausted
    #[arg(long)]
    state: Option<String>,
    /// Of changes then or later, such as 2026-11-20T00:00:00Z
    #[arg(long)]
    from: Option<String>,
    /// Of changes before
    #[arg(long)]
    to: Option<String>,
}

#[derive(ClapArgs)]
struct List {
    #[command(flatten)]
    which: Which,
    /// How many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(ClapArgs)]
struct Replay {
    /// Only this delivery
    #[arg(long)]
    id: Option<u64>,
    #[command(flatten)]
    which: Which,
    /// Send them; without it they are counted only
    #[arg(long)]
    yes: bool,
    /// Of a replay that no answer was heard of: under its key it is done once
    #[arg(long)]
    key: Option<String>,
}

/// What a destination is told late.
#[derive(ClapArgs)]
struct Backfill {
    /// The destination's number
    destination: u32,
    /// Of conversions made then or later, such as 2026-11-01T00:00:00Z
    #[arg(long)]
    from: String,
    /// Of conversions made before, such as 2026-11-20T00:00:00Z
    #[arg(long)]
    to: String,
    /// Tell it; without it they are counted only
    #[arg(long)]
    yes: bool,
}

/// What a destination is tried out with.
#[derive(ClapArgs)]
struct Test {
    /// The destination's number
    destination: u32,
    /// Tell of this conversion as it stands; without it of one that is made up
    #[arg(long)]
    conversion: Option<u64>,
    /// Send nothing, and show what would be sent
    #[arg(long)]
    preview: bool,
}

pub(crate) fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    match args.what {
        What::List(list) => self::list(config, &list)?,
        What::Show { id } => show(&asked(config, &format!("/deliveries/{id}"), &[])?),
        What::Replay(replay) => self::replay(config, &replay)?,
        What::Backfill(backfill) => self::backfill(config, &backfill)?,
        What::Test(test) => return self::test(config, &test),
        What::Pause { destination, why } => {
            let body = json!({ "why": why }).to_string();
            exchanged(config, "POST", &format!("/destinations/{destination}/pause"), &body)?;
            say!("paused: destination {destination}");
        }
        What::Resume { destination } => {
            exchanged(config, "POST", &format!("/destinations/{destination}/resume"), "{}")?;
            say!("resumed: destination {destination}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config, List { which, limit }: &List) -> anyhow::Result<()> {
    let Which { destination, conversion, state, from, to } = which;
    let (destination, conversion) =
        (destination.map(|id| id.to_string()), conversion.map(|id| id.to_string()));
    let limit = limit.to_string();
    let all = [
        ("destination_id", destination.as_deref()),
        ("conversion_id", conversion.as_deref()),
        ("state", state.as_deref()),
        ("from", from.as_deref()),
        ("to", to.as_deref()),
        ("limit", Some(&*limit)),
    ];
    let query: Vec<(&str, &str)> =
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let found = asked(config, "/deliveries", &query)?;
    let mut table = Table::new([
        ("delivery", Side::Right),
        ("destination", Side::Right),
        ("conversion", Side::Right),
        ("kind", Side::Left),
        ("status", Side::Left),
        ("payout", Side::Right),
        ("", Side::Left),
        ("state", Side::Left),
        ("attempts", Side::Right),
        ("next or last", Side::Left),
    ]);
    for one in found["items"].as_array().into_iter().flatten() {
        let at = if one["due_at"].is_null() { "settled_at" } else { "due_at" };
        table.row([
            shown(one, "id"),
            shown(one, "destination_id"),
            shown(one, "conversion_id"),
            shown(one, "kind"),
            shown(one, "status"),
            shown(one, "payout"),
            shown(one, "currency"),
            shown(one, "state"),
            shown(one, "attempt_count"),
            shown(one, at),
        ]);
    }
    table.print(0);
    if !found["next"].is_null() {
        remark!("hint: there are more: say which, or raise --limit");
    }
    Ok(())
}

/// A value as people read it; what is not there is nothing.
fn shown(of: &Value, name: &str) -> String {
    match &of[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn show(one: &Value) {
    for name in [
        "id",
        "destination_id",
        "conversion_id",
        "sequence",
        "kind",
        "status",
        "payout",
        "difference",
        "currency",
        "changed_at",
        "state",
        "due_at",
        "settled_at",
        "idempotency_key",
    ] {
        let value = shown(one, name);
        if !value.is_empty() {
            say!("{name}: {value}");
        }
    }
    if one["is_backfill"] == true {
        say!("is_backfill: true");
    }
    for attempt in one["attempts"].as_array().into_iter().flatten() {
        let value = |name: &str| shown(attempt, name);
        let replay = if attempt["is_replay"] == true { ", sent once more" } else { "" };
        say!();
        say!("attempt {}: {}{replay}", value("number"), value("led_to"));
        say!("  at: {}, {} ms", value("at"), value("latency_ms"));
        let url = match attempt["url"].is_null() {
            true => "(not kept any longer)".to_owned(),
            false => safe(&value("url")),
        };
        say!("  request: {} {url}", value("method"));
        for name in ["http_status", "answer", "error"] {
            let value = safe(&value(name));
            if !value.is_empty() {
                say!("  {name}: {value}");
            }
        }
    }
}

/// What a stranger says is not for a terminal to act on, nor to be read in another order than it
/// stands in.
pub(crate) fn safe(text: &str) -> String {
    let acts = |one: char| one.is_control() || DIRECTIONS.contains(&one) || HIDDEN.contains(&one);
    text.chars()
        .map(|one| if acts(one) { one.escape_debug().to_string() } else { one.into() })
        .collect()
}

/// Fails where a delivery would not have been taken.
fn test(
    config: &Config,
    Test { destination, conversion, preview }: &Test,
) -> anyhow::Result<ExitCode> {
    let body = json!({ "conversion_id": conversion, "preview": preview }).to_string();
    let done = exchanged(config, "POST", &format!("/destinations/{destination}/test"), &body)?;
    let value = |name: &str| safe(&shown(&done, name));
    say!("{} {}", value("method"), value("url"));
    for (name, text) in done["headers"].as_object().into_iter().flatten() {
        say!("{name}: {}", safe(text.as_str().unwrap_or_default()));
    }
    if !done["body"].is_null() {
        say!();
        say!("{}", value("body"));
    }
    say!();
    for name in ["http_status", "answer", "error", "latency_ms", "led_to"] {
        let value = value(name);
        if !value.is_empty() {
            say!("{name}: {value}");
        }
    }
    let is_good = matches!(done["led_to"].as_str(), None | Some("delivered" | "unverified"));
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay(config: &Config, Replay { id, which, yes, key }: &Replay) -> anyhow::Result<()> {
    let Which { destination, conversion, state, from, to } = which;
    let numbers = id.is_some() || destination.is_some() || conversion.is_some();
    if !numbers && state.is_none() && from.is_none() && to.is_none() {
        bail!(
            "say which: at least one of --id, --destination, --conversion, --state, --from, --to"
        );
    }
    let body = json!({
        "id": id, "destination_id": destination, "conversion_id": conversion, "state": state,
        "from": from, "to": to, "preview": !yes,
    });
    let body = body.to_string();
    let done = match yes {
        true => sent_once_more(config, &body, key.as_deref())?,
        false => exchanged(config, "POST", REPLAY, &body)?,
    };
    let count = number(done["count"].as_u64().unwrap_or(0));
    if *yes {
        say!("sent once more: {count}");
    } else {
        say!("would be sent once more: {count}");
        let overtaken = done["overtaken"].as_u64().unwrap_or(0);
        if overtaken > 0 {
            say!("left out, for something else was owed since: {}", number(overtaken));
        }
        remark!("hint: --yes sends them");
    }
    Ok(())
}

/// Under a key, for whoever hears nothing asks again.
fn sent_once_more(config: &Config, body: &str, key: Option<&str>) -> anyhow::Result<Value> {
    let key = key.map_or_else(|| hex(&keys::random::<KEY_BYTES>()), str::to_owned);
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("--key: letters, digits and signs of ASCII");
    }
    posted_once(config, REPLAY, body, &key)?.with_context(|| {
        format!("it may be done, or under way: the same with `--key {key}` does it once")
    })
}

/// As many calls as it takes: each looks at so many conversions and no more.
fn backfill(
    config: &Config,
    Backfill { destination, from, to, yes }: &Backfill,
) -> anyhow::Result<()> {
    let target = format!("/destinations/{destination}/backfill");
    let (mut count, mut after) = (0, Value::Null);
    loop {
        let body = json!({ "from": from, "to": to, "after": after, "preview": !yes });
        let mut done = exchanged(config, "POST", &target, &body.to_string())?;
        count += done["count"].as_u64().unwrap_or(0);
        after = done["next"].take();
        if after.is_null() {
            break;
        }
    }
    let count = number(count);
    if *yes {
        say!("told late: {count}");
    } else {
        say!("would be told late: {count}");
        remark!("hint: --yes tells them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_neither_acts_nor_turns_around() {
        for (said, expected) in [
            ("no such click, é ✓ שלום", "no such click, é ✓ שלום"),
            ("a\x1b[2Jb\nc\x07", "a\\u{1b}[2Jb\\nc\\u{7}"),
            ("evil\u{202e}moc.elpmaxe", "evil\\u{202e}moc.elpmaxe"),
            ("\u{2066}a\u{2069}\u{200f}", "\\u{2066}a\\u{2069}\\u{200f}"),
            ("O\u{200b}K\u{feff}\u{2028}", "O\\u{200b}K\\u{feff}\\u{2028}"),
        ] {
            assert_eq!(safe(said), expected, "{said:?}");
        }
    }
}

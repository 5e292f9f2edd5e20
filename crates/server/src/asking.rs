//! Asks the server that runs, with its admin key, for the commands that need it.

use crate::client::Connection;
use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long a server that is asked may take, beside what it waits for a destination.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A question, which must be answered 200.
pub(crate) fn asked(config: &Config, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    exchanged(config, "GET", &format!("{path}?{}", query.join("&")), "")
}

/// The same with any method, and a body where there is one.
pub(crate) fn exchanged(
    config: &Config,
    method: &str,
    target: &str,
    body: &str,
) -> anyhow::Result<Value> {
    let (status, answer) = heard(config, (method, target), body, None)?;
    good(status, answer)
}

/// A POST that is done once under that key, however often it is sent: `Err` where it cannot be known
/// whether it was done.
pub(crate) fn posted_once(
    config: &Config,
    target: &str,
    body: &str,
    key: &str,
) -> anyhow::Result<anyhow::Result<Value>> {
    let (status, answer) = heard(config, ("POST", target), body, Some(key))?;
    if status >= 500 {
        return Err(good(status, answer).err().unwrap_or_else(|| anyhow!("it is no answer")));
    }
    Ok(good(status, answer))
}

/// Status and body of an answer.
fn heard(
    config: &Config,
    (method, target): (&str, &str),
    body: &str,
    once: Option<&str>,
) -> anyhow::Result<(u16, Value)> {
    let Some(key) = &config.admin_key else {
        bail!("the server is asked with its admin key: set COUNTERFOIL_ADMIN_KEY");
    };
    let address = reachable(config.listen);
    let request = format!(
        "{method} /api/v1{target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{body}",
        key.expose(),
        once.map(|once| format!("Idempotency-Key: {once}\r\n")).unwrap_or_default(),
        body.len(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let asked = async {
            let mut connection = Connection::open(address).await?;
            let answer = connection.exchange(request.as_bytes()).await?;
            let json = serde_json::from_slice::<Value>(answer.body).unwrap_or_default();
            anyhow::Ok((answer.status, json))
        };
        let patience = ANSWER_WITHIN + Duration::from_millis(config.outbound_timeout_ms);
        tokio::time::timeout(patience, asked)
            .await
            .context("it took too long")?
            .with_context(|| format!("no server answers at {address}"))
    })
}

fn good(status: u16, answer: Value) -> anyhow::Result<Value> {
    if status == 200 && answer.is_object() {
        return Ok(answer);
    }
    let detail = answer["detail"].as_str().unwrap_or("it is no answer of ours");
    match answer["parameter"].as_str() {
        Some(parameter) => bail!("{parameter}: {detail}"),
        None => bail!("{detail}"),
    }
}

/// Where a server that listens everywhere is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

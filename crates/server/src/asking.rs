//! Asks the server that runs, with its admin key, for the commands that need it.

use crate::client::Connection;
use crate::config::Config;
use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long a server that is asked may take, beside what it waits for a destination.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The code of an answer that says that nothing was changed, though a server's failure.
const UNCHANGED: &str = "unavailable";

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
    let (status, answer) = heard(config, (method, target), body, None)??;
    good(status, answer)
}

/// A POST that is done once under that key, however often it is sent. The outer
/// error: it was not done; the inner one: that cannot be known.
pub(crate) fn posted_once(
    config: &Config,
    target: &str,
    body: &str,
    key: &str,
) -> anyhow::Result<anyhow::Result<Value>> {
    match heard(config, ("POST", target), body, Some(key))? {
        Err(unheard) => Ok(Err(unheard)),
        Ok((status, answer)) if may_be_done(status, &answer) => Ok(good(status, answer)),
        Ok((status, answer)) => good(status, answer).map(Ok),
    }
}

/// Whether an answer leaves it open: our fault, or late. Of `unavailable` it is said that nothing was
/// changed.
fn may_be_done(status: u16, answer: &Value) -> bool {
    status >= 500 && answer["code"] != UNCHANGED
}

/// Status and body of an answer. The outer error: nothing was sent.
fn heard(
    config: &Config,
    (method, target): (&str, &str),
    body: &str,
    once: Option<&str>,
) -> anyhow::Result<anyhow::Result<(u16, Value)>> {
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
    let patience = ANSWER_WITHIN + Duration::from_millis(config.outbound_timeout_ms);
    runtime.block_on(async {
        let nobody = || format!("no server answers at {address}");
        let opened = tokio::time::timeout(patience, Connection::open(address)).await;
        let mut connection =
            opened.context("it took too long").with_context(nobody)?.with_context(nobody)?;
        let asked = async {
            let answer = connection.exchange(request.as_bytes()).await?;
            let json = serde_json::from_slice::<Value>(answer.body).unwrap_or_default();
            anyhow::Ok((answer.status, json))
        };
        let answered = tokio::time::timeout(patience, asked).await.context("it took too long");
        Ok(answered.and_then(|answered| answered.with_context(nobody)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_may_be_done_unless_the_answer_says_that_it_is_not() {
        for (status, code, expected) in [
            (200, "", false),
            (409, "archived", false),
            (500, "internal_error", true),
            (502, "", true),
            (503, "not_applied_yet", true),
            (503, "unavailable", false),
        ] {
            let answer = json!({ "code": code });
            assert_eq!(may_be_done(status, &answer), expected, "{status} {code}");
        }
        assert!(may_be_done(502, &Value::Null), "who answers is none of ours");
    }
}

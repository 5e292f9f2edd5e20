//! Requests of the demo: the API with its key, and what visitors and partners send without one.

use crate::client::Connection;
use anyhow::{Context, bail};
use serde_json::Value;
use std::net::SocketAddr;

/// Where the receipt of a hit is, in every profile.
const RECEIPT: &str = "counterfoil-receipt";

/// One connection to the server, kept for all requests.
pub(super) struct Api {
    connection: Connection,
    host: String,
    key: String,
}

/// What a sender of a postback is told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) receipt: String,
    pub(super) body: Vec<u8>,
}

impl Api {
    pub(super) async fn connect(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let connection = Connection::open(address).await.context("cannot connect to the demo")?;
        Ok(Self { connection, host: address.to_string(), key: key.to_owned() })
    }

    /// A call that must succeed; answers with its JSON.
    pub(super) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.try_call(method, path, body).await?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status} {answer}");
        }
        Ok(answer)
    }

    /// A call with whatever comes back.
    pub(super) async fn try_call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let content = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{content}\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            self.key,
            body.len()
        );
        let answer = self.connection.exchange(request.as_bytes()).await?;
        let json = serde_json::from_slice(answer.body)
            .with_context(|| format!("{method} {path}: the answer is no JSON"))?;
        Ok((answer.status, json))
    }

    /// Follows a link as a visitor does; answers with the status and where it leads.
    pub(super) async fn visit(&mut self, target: &str) -> anyhow::Result<(u16, String)> {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (demo)\r\n\r\n",
            self.host
        );
        let answer = self.connection.exchange(request.as_bytes()).await?;
        Ok((answer.status, answer.header("location").unwrap_or_default().to_owned()))
    }

    /// Sends a postback as a partner's server does.
    pub(super) async fn send(&mut self, target: &str) -> anyhow::Result<Told> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        let answer = self.connection.exchange(request.as_bytes()).await?;
        let receipt = answer.header(RECEIPT).context("an answer without a receipt")?.to_owned();
        Ok(Told { status: answer.status, receipt, body: answer.body.to_vec() })
    }

    /// Looks a receipt up, as anybody can who has it.
    pub(super) async fn receipt(&mut self, receipt: &str) -> anyhow::Result<Value> {
        let request = format!("GET /receipts/{receipt} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        let answer = self.connection.exchange(request.as_bytes()).await?;
        if answer.status != 200 {
            bail!("receipt {receipt}: {}", answer.status);
        }
        Ok(serde_json::from_slice(answer.body)?)
    }
}

//! Whose request it is, and whom it called: the address that connected, or the one a trusted
//! proxy names; the address that we have been told we have, or the one of the request.
//!
//! `X-Forwarded-For` can be written by anybody. It is read from its end, where the nearest proxy
//! wrote, and only as far as proxies go that the operator trusts.

use crate::config::Config;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use domain::contract::Network;
use std::net::{IpAddr, SocketAddr};

/// The header in which proxies say for whom they ask.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address. `forwarded` are the values of the header, as they were sent.
pub(super) fn address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address: IpAddr| is_trusted(address, trusted);
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let named = forwarded.rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
    for named in named {
        let Some(address) = parse(named) else { return client };
        client = address;
        if !is_trusted(client) {
            return client;
        }
    }
    client
}

/// Whether what an address says of others is believed.
pub(super) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(address))
}

/// An address, with or without a port.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()?;
    Some(address.to_canonical())
}

/// Scheme and host under which we were called, without a slash at the end.
pub(super) fn called(config: &Config, headers: &HeaderMap) -> Option<String> {
    let configured = config.external_url.as_deref().map(|url| url.trim_end_matches('/'));
    configured.map(str::to_owned).or_else(|| requested(headers))
}

fn requested(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_kept)).then(|| format!("http://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|text| Network::parse(text).unwrap());
        let forwarded = forwarded.iter().map(|value| value.as_bytes());
        address(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let cases: [(&str, &[&str], &str); 12] = [
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.1, 198.51.100.1 , 10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.1", "198.51.100.1", "10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
            ("2001:db8::1", &["[2001:db9::5]:443"], "2001:db9::5"),
            ("2001:db8::1", &["198.51.100.1:8080"], "198.51.100.1"),
        ];
        for (peer, forwarded, expected) in cases {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let base = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            requested(&headers)
        };
        assert_eq!(base("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(base("[::1]:8080").as_deref(), Some("http://[::1]:8080"));
        for host in ["", "a/b", "a b", "a\"b", "user@host"] {
            assert_eq!(base(host), None, "{host}");
        }
    }

    #[test]
    fn what_we_were_told_that_we_are_called_comes_before_what_a_request_says() {
        let headers: HeaderMap =
            [(HOST, HeaderValue::from_static("other.example"))].into_iter().collect();
        let called = |external_url: Option<&str>| {
            let external_url = external_url.map(str::to_owned);
            super::called(&Config { external_url, ..Config::default() }, &headers)
        };
        assert_eq!(called(Some("https://t.example/")).as_deref(), Some("https://t.example"));
        assert_eq!(called(None).as_deref(), Some("http://other.example"));
    }
}

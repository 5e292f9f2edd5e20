//! Whose request it is: the address that connected, or the one a trusted proxy names.
//!
//! `X-Forwarded-For` can be written by anybody. It is read from its end, where the nearest proxy
//! wrote, and only as far as proxies go that the operator trusts.

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
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
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

#[cfg(test)]
mod tests {
    use super::*;

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
}

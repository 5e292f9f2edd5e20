//! Which addresses may be called: only those that belong to the whole internet.
//!
//! Whoever writes a destination's URL must not reach what only this machine can: its own services,
//! its network, the metadata of its cloud. Names are checked by what they resolve to, and the
//! address that was checked is the one that is called.

use domain::contract::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// IPv4 that is not everybody's, by IANA's registry of special purposes, and what is above
/// unicast.
static NOT_GLOBAL_V4: LazyLock<Vec<Network>> = LazyLock::new(|| {
    networks(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    ])
});
/// The IPv6 unicast addresses that have been given out to the internet.
static GLOBAL_V6: LazyLock<Vec<Network>> = LazyLock::new(|| networks(&["2000::/3"]));
/// What is not everybody's within them: protocol assignments with Teredo and ORCHID, documentation,
/// and 6to4, behind which any IPv4 address could stand.
static NOT_GLOBAL_V6: LazyLock<Vec<Network>> =
    LazyLock::new(|| networks(&["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]));
/// Addresses behind a translator to IPv4, whose last 32 bits are the address that is reached.
static TRANSLATED: LazyLock<Vec<Network>> = LazyLock::new(|| networks(&["64:ff9b::/96"]));

fn networks(all: &[&str]) -> Vec<Network> {
    all.iter().map(|text| Network::parse(text).expect("it is written out above")).collect()
}

fn is_in(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// The addresses that may be called beside the internet's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) allowed: Vec<Network>,
}

impl Guard {
    /// Whether that address may be called.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        is_in(&self.allowed, address) || is_global(address)
    }

    /// The same of a connection that is there. One to this machine's own public address has it at
    /// both ends: it never leaves the machine, and passes what its firewall keeps from others.
    pub(crate) fn admits_between(&self, local: IpAddr, peer: IpAddr) -> bool {
        local.to_canonical() != peer.to_canonical() || is_in(&self.allowed, peer)
    }
}

fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) if is_in(&TRANSLATED, IpAddr::V6(address)) => {
            is_global_v4(behind_translator(address))
        }
        address @ IpAddr::V6(_) => is_in(&GLOBAL_V6, address) && !is_in(&NOT_GLOBAL_V6, address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    !is_in(&NOT_GLOBAL_V4, IpAddr::V4(address))
}

fn behind_translator(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admits(address: &str) -> bool {
        Guard::default().admits(address.parse().unwrap())
    }

    #[test]
    fn only_what_is_everybodys_is_called() {
        for address in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(admits(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "64:ff9b:1::a00:1",
        ] {
            assert!(!admits(address), "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_every_dress() {
        for (address, expected) in [("127.0.0.1", false), ("10.0.0.1", false), ("8.8.8.8", true)] {
            let v4: Ipv4Addr = address.parse().unwrap();
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            let [a, b, c, d] = v4.octets();
            let pairs = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, pairs[0], pairs[1]);
            assert_eq!(Guard::default().admits(mapped), expected, "{mapped}");
            assert_eq!(Guard::default().admits(translated.into()), expected, "{translated}");
        }
    }

    #[test]
    fn what_an_operator_allows_is_called() {
        let allowed = vec![Network::parse("127.0.0.0/8").unwrap()];
        let guard = Guard { allowed };
        assert!(guard.admits("127.0.0.1".parse().unwrap()));
        assert!(guard.admits("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!guard.admits("::1".parse().unwrap()));
        assert!(!guard.admits("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn this_machine_is_not_called_by_its_public_address() {
        let allowed = vec![Network::parse("8.8.4.0/24").unwrap()];
        let guard = Guard { allowed };
        for (local, peer, expected) in [
            ("10.0.0.7", "8.8.8.8", true),
            ("8.8.8.8", "8.8.8.9", true),
            ("8.8.8.8", "8.8.8.8", false),
            ("::ffff:8.8.8.8", "8.8.8.8", false),
            ("2606:4700::1111", "2606:4700::1111", false),
            ("8.8.4.4", "8.8.4.4", true),
        ] {
            let found = guard.admits_between(local.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(found, expected, "{local} {peer}");
        }
    }

    proptest! {
        #[test]
        fn what_the_standard_library_calls_private_is_never_called(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let is_odd = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!is_odd || !Guard::default().admits(address.into()));
        }
    }
}

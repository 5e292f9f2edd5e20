//! Networks: the addresses a sender may call from.
//!
//! An IPv4 address is the same one when it is written as an IPv6 one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// So many bits of an IPv6 address say that it is an IPv4 one.
const MAPPED_PREFIX: u8 = 96;

/// Addresses that share a prefix, such as `203.0.113.0/24` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // Parsing would also take `+8`.
            Some(text) if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().ok()?,
            Some(_) => return None,
            None => bits,
        };
        match address.to_canonical() {
            _ if prefix > bits => None,
            IpAddr::V4(inner) if bits == 128 => {
                let prefix = u8::checked_sub(prefix, MAPPED_PREFIX)?;
                Some(Self { address: IpAddr::V4(inner), prefix })
            }
            _ => Some(Self { address, prefix }),
        }
    }

    /// An IPv4 address written as an IPv6 one is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
            .ok_or_else(|| format!("`{text}` is not a network such as `203.0.113.0/24`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        let inside = [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.0/24", "203.0.113.255"),
            ("203.0.113.99/24", "203.0.113.0"),
            ("203.0.113.0/31", "203.0.113.1"),
            ("0.0.0.0/0", "198.51.100.1"),
            ("203.0.113.0/24", "::ffff:203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.7"),
            ("::ffff:0.0.0.0/96", "203.0.113.7"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::/0", "2001:db8::1"),
        ];
        for (network, address) in inside {
            assert!(contains(network, address), "{network} {address}");
        }
        let outside = [
            ("203.0.113.7", "203.0.113.6"),
            ("203.0.113.0/24", "203.0.112.255"),
            ("203.0.113.0/31", "203.0.113.2"),
            ("::ffff:203.0.113.0/120", "203.0.112.7"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "203.0.113.7"),
            ("2001:db8::/32", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::2"),
        ];
        for (network, address) in outside {
            assert!(!contains(network, address), "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let wrong = [
            "",
            "203.0.113",
            "203.0.113.0/33",
            "203.0.113.0/",
            "203.0.113.0/+8",
            "203.0.113.0/-1",
            "203.0.113.0/8/8",
            "2001:db8::/129",
            "::ffff:203.0.113.0/95",
            "example.com",
            "*",
            "203.0.113.0/ 8",
            "203.0.113.0-203.0.113.9",
        ];
        for text in wrong {
            assert_eq!(Network::parse(text), None, "{text:?}");
        }
        let json = r#""203.0.113.0/24""#;
        let network: Network = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&network).unwrap(), json);
        assert!(serde_json::from_str::<Network>(r#""all""#).is_err());
    }
}

//! Reads MMDB files (<https://maxmind.github.io/MaxMind-DB/>): which networks are in which country.
//!
//! The databases on offer have the code in `country.iso_code`, in `country_code`, or as `country`.
//! A file may say anything, so all that is taken from it has a bound.

use super::table::{Stretches, Table};
use domain::visitor::Country;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// How many networks a file may have. A small one can be made that has more than there are
/// addresses, by naming the same part of itself again and again.
const NETWORKS_MAX: usize = 64_000_000;
/// The longest type that a file gives itself is shown, in characters.
const TYPE_CHARS_MAX: usize = 60;
/// How many bits an IPv4 address is behind the beginning of an IPv6 one.
const V4_BITS: u8 = 96;

/// The records of a file that say a country.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow, default)]
    country: Option<Named<'a>>,
    #[serde(borrow, default)]
    country_code: Option<Named<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    Code(&'a str),
    Record {
        iso_code: &'a str,
    },
    /// A name, or something else that is no code.
    Other(IgnoredAny),
}

impl Named<'_> {
    fn country(&self) -> Option<Country> {
        match self {
            Self::Code(code) | Self::Record { iso_code: code } => Country::parse(code.as_bytes()),
            Self::Other(_) => None,
        }
    }
}

/// Reads a whole file; `Err`: what is wrong with it.
pub(super) fn read(bytes: Vec<u8>) -> Result<Table, String> {
    let reader = Reader::from_source(bytes).map_err(|error| damaged(&error))?;
    let mut countries = HashMap::new();
    let options = WithinOptions::default().include_networks_without_data();
    let (mut v4, mut v6) = (Run::<u32>::begin(), Run::<u128>::begin());
    for (number, network) in reader.networks(options).map_err(|error| damaged(&error))?.enumerate()
    {
        if number == NETWORKS_MAX {
            return Err(format!("it has more than {NETWORKS_MAX} networks"));
        }
        let network = network.map_err(|error| damaged(&error))?;
        let country = match network.offset() {
            None => None,
            Some(offset) => match countries.get(&offset) {
                Some(country) => *country,
                None => *countries.entry(offset).or_insert(country_of(&network)?),
            },
        };
        let bounds = network.network().map_err(|error| damaged(&error))?;
        let prefix = bounds.prefix();
        let put = match bounds.network() {
            IpAddr::V4(first) => v4.put(first.into(), prefix, country),
            // It holds all of IPv4.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) if prefix <= V4_BITS => {
                v4.put(0, 0, country).and_then(|()| v6.put(0, prefix, country))
            }
            IpAddr::V6(first) => v6.put(first.into(), prefix, country),
        };
        put.ok_or_else(|| format!("the network {bounds} is out of order, or one too many"))?;
    }
    let table = Table { v4: v4.end(), v6: v6.end(), origin: origin(&reader) };
    if table.is_silent() {
        return Err(format!("{}: it names no country", table.origin));
    }
    Ok(table)
}

/// The networks of one family, as they come.
struct Run<A> {
    stretches: Stretches<A>,
    /// What is behind those that came; `None`: nothing.
    next: Option<A>,
}

impl<A: Address> Run<A> {
    fn begin() -> Self {
        Self { stretches: Stretches::default(), next: Some(A::ZERO) }
    }

    /// Puts a network behind those before it, and nothing where some are left out. `None`: it is
    /// out of order, or one too many.
    fn put(&mut self, first: A, prefix: u8, country: Option<Country>) -> Option<()> {
        let next = self.next.filter(|next| *next <= first)?;
        if next < first {
            self.stretches.push(next, None)?;
        }
        self.stretches.push(first, country)?;
        self.next = first.behind(prefix);
        Some(())
    }

    fn end(mut self) -> Stretches<A> {
        self.stretches.shrink();
        self.stretches
    }
}

trait Address: Copy + Ord {
    const ZERO: Self;
    /// The first address behind the network that begins with this one; `None`: there is none.
    fn behind(self, prefix: u8) -> Option<Self>;
}

impl Address for u32 {
    const ZERO: Self = 0;
    fn behind(self, prefix: u8) -> Option<Self> {
        let rest = Self::MAX.checked_shr(prefix.into()).unwrap_or(0);
        (self | rest).checked_add(1)
    }
}

impl Address for u128 {
    const ZERO: Self = 0;
    fn behind(self, prefix: u8) -> Option<Self> {
        let rest = Self::MAX.checked_shr(prefix.into()).unwrap_or(0);
        (self | rest).checked_add(1)
    }
}

fn country_of(network: &LookupResult<'_, Vec<u8>>) -> Result<Option<Country>, String> {
    let place = network.decode::<Place<'_>>().map_err(|error| damaged(&error))?;
    let Some(Place { country, country_code }) = place else { return Ok(None) };
    let country = country.and_then(|named| named.country());
    Ok(country.or_else(|| country_code.and_then(|named| named.country())))
}

/// What the file says it is.
fn origin(reader: &Reader<Vec<u8>>) -> String {
    let metadata = reader.metadata();
    let printable = metadata.database_type.chars().filter(|one| !one.is_control());
    let name: String = printable.take(TYPE_CHARS_MAX).collect();
    let made_at = i64::try_from(metadata.build_epoch).ok();
    let made_at = made_at.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok());
    match made_at {
        Some(made_at) => format!("{name} of {}", made_at.strftime("%Y-%m-%d")),
        None => name,
    }
}

fn damaged(error: &MaxMindDbError) -> String {
    format!("it is no MMDB file, or a damaged one: {error}")
}

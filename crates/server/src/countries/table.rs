//! Stretches of addresses, each with the country it is in.

use domain::visitor::Country;
use std::fmt;
use std::net::IpAddr;

/// How many stretches there may be of one family: several times as many as the largest database
/// on offer makes.
const STRETCHES_MAX: usize = 8_000_000;

/// Where every address is.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) v4: Stretches<u32>,
    pub(super) v6: Stretches<u128>,
    /// What it was made of, for people.
    pub(super) origin: String,
}

impl Table {
    pub(super) fn find(&self, address: IpAddr) -> Option<Country> {
        match address {
            IpAddr::V4(address) => self.v4.find(address.into()),
            IpAddr::V6(address) => self.v6.find(address.into()),
        }
    }

    /// Whether it says of no address where it is.
    pub(super) fn is_silent(&self) -> bool {
        self.v4.is_silent() && self.v6.is_silent()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stretches = self.v4.begins.len() + self.v6.begins.len();
        write!(f, "{}, {stretches} stretches of addresses", self.origin)
    }
}

/// Of one family, in order: each begins where the one before ends.
#[derive(Debug)]
pub(super) struct Stretches<A> {
    begins: Vec<A>,
    countries: Vec<Option<Country>>,
}

impl<A> Default for Stretches<A> {
    fn default() -> Self {
        Self { begins: Vec::new(), countries: Vec::new() }
    }
}

impl<A: Copy + Ord> Stretches<A> {
    /// From `begin` on it is this country. `begin` is behind all that was said before; `None`:
    /// it is not, or there are too many.
    pub(super) fn push(&mut self, begin: A, country: Option<Country>) -> Option<()> {
        if self.begins.last().is_some_and(|last| *last >= begin) {
            return None;
        }
        if self.countries.last().copied().flatten() == country {
            return Some(());
        }
        if self.begins.len() == STRETCHES_MAX {
            return None;
        }
        self.begins.push(begin);
        self.countries.push(country);
        Some(())
    }

    fn find(&self, address: A) -> Option<Country> {
        let place = self.begins.partition_point(|begin| *begin <= address);
        self.countries.get(place.checked_sub(1)?).copied().flatten()
    }

    fn is_silent(&self) -> bool {
        self.countries.iter().all(Option::is_none)
    }

    /// Gives back the memory that was kept for more.
    pub(super) fn shrink(&mut self) {
        self.begins.shrink_to_fit();
        self.countries.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_where_its_stretch_is() {
        let at = Country::parse(b"AT");
        let mut stretches = Stretches::default();
        assert!(stretches.is_silent() && stretches.find(0_u32).is_none());
        for (begin, country) in [(5, at), (9, at), (12, None), (20, Country::parse(b"DE"))] {
            assert_eq!(stretches.push(begin, country), Some(()));
        }
        assert_eq!(stretches.begins, [5, 12, 20], "neighbours of one country are one");
        for (address, expected) in [
            (0, ""),
            (4, ""),
            (5, "AT"),
            (11, "AT"),
            (12, ""),
            (19, ""),
            (20, "DE"),
            (u32::MAX, "DE"),
        ] {
            let found = stretches.find(address);
            assert_eq!(found.as_ref().map_or("", Country::as_str), expected, "{address}");
        }
        assert_eq!(stretches.push(20, None), None, "it is not behind the last");
        assert!(!stretches.is_silent());
    }
}

//! Databases as they are brought, the damaged ones among them. Each is made here.

#[path = "../../tests/it/mmdb.rs"]
mod made;

use super::*;
use made::{Data, file, iso_code, small};
use proptest::prelude::*;

fn found(table: &Table, address: &str) -> String {
    let country = table.find(address.parse().unwrap());
    country.as_ref().map_or("", Country::as_str).to_owned()
}

#[test]
fn an_address_is_found_in_the_network_that_it_is_in() {
    let table = mmdb::read(small()).unwrap();
    for (address, expected) in [
        ("192.0.2.0", "AT"),
        ("192.0.2.255", "AT"),
        ("192.0.1.255", ""),
        ("192.0.3.0", ""),
        ("198.51.100.127", "DE"),
        ("198.51.100.128", ""),
        ("0.0.0.0", ""),
        ("255.255.255.255", ""),
        ("127.0.0.1", "CH"),
        ("2001:db8::", "FR"),
        ("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "FR"),
        ("2001:db8:8000::", ""),
        ("::1", ""),
    ] {
        assert_eq!(found(&table, address), expected, "{address}");
    }
    assert_eq!(table.to_string(), "Test-Country of 2026-10-19, 8 stretches of addresses");
}

#[test]
fn a_database_of_ipv4_alone_knows_nothing_of_ipv6_and_one_above_it_all_of_it() {
    let table = mmdb::read(file(32, &[(0xC000_0200, 24, iso_code("AT"))])).unwrap();
    assert_eq!(found(&table, "192.0.2.9"), "AT");
    assert_eq!(found(&table, "2001:db8::1"), "");
    let table = mmdb::read(file(128, &[(0, 1, iso_code("AT"))])).unwrap();
    assert_eq!(found(&table, "192.0.2.9"), "AT");
    assert_eq!(found(&table, "2001:db8::1"), "AT");
    assert_eq!(found(&table, "8000::"), "");
}

#[test]
fn the_code_is_where_the_databases_on_offer_have_it() {
    let country = |record: Data| {
        mmdb::read(file(32, &[(0, 1, record), (1 << 31, 1, iso_code("CH"))]))
            .map(|table| found(&table, "1.2.3.4"))
    };
    let text = |pairs: &[(&'static str, &'static str)]| {
        Data::Map(pairs.iter().map(|(name, value)| (*name, Data::Text(value))).collect())
    };
    for (record, expected) in [
        (iso_code("AT"), "AT"),
        (text(&[("country", "AT"), ("country_name", "Austria")]), "AT"),
        (text(&[("country", "Austria"), ("country_code", "AT")]), "AT"),
        (text(&[("country_code", "AT")]), "AT"),
        (text(&[("country", "Austria")]), ""),
        (Data::Map(vec![("country", Data::Map(vec![]))]), ""),
        (Data::Map(vec![]), ""),
    ] {
        assert_eq!(country(record).as_deref(), Ok(expected));
    }
}

#[test]
fn what_is_no_database_of_countries_is_told_so() {
    let asn = || Data::Map(vec![("as_name", Data::Text("Example"))]);
    let cut = small()[..small().len() / 2].to_vec();
    let mut endless = small();
    // The first node leads to itself.
    endless[..4].copy_from_slice(&[0; 4]);
    for (bytes, told) in [
        (Vec::new(), "it is no MMDB file, or a damaged one"),
        (b"ip,country\n".to_vec(), "it is no MMDB file, or a damaged one"),
        (cut, "it is no MMDB file, or a damaged one"),
        (endless, "it is no MMDB file, or a damaged one"),
        (file(32, &[(0, 1, asn())]), "Test-Country of 2026-10-19: it names no country"),
        (file(32, &[(0, 1, Data::Text("AT"))]), "it is no MMDB file, or a damaged one"),
    ] {
        let error = mmdb::read(bytes).unwrap_err();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn a_new_file_is_noticed_and_a_bad_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("country.mmdb");
    let put = |bytes: &[u8]| {
        let new = dir.path().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    put(&small());
    let countries = Countries::open(Some(&path)).unwrap();
    let is = |expected: &str| {
        let country = countries.find("192.0.2.7".parse().unwrap());
        assert_eq!(country.as_ref().map_or("", Country::as_str), expected);
    };
    is("AT");
    countries.renew();
    is("AT");
    let is_faulty = || !countries.read.lock().unwrap().fault.is_empty();
    for bad in [&b"no database"[..], &small()[..99]] {
        put(bad);
        countries.renew();
        is("AT");
        assert!(is_faulty());
    }
    fs::remove_file(&path).unwrap();
    countries.renew();
    is("AT");
    put(&file(32, &[(0xC000_0200, 24, iso_code("LI"))]));
    countries.renew();
    is("LI");
    assert!(!is_faulty());
}

#[test]
fn a_start_without_the_file_that_was_named_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.mmdb");
    for (path, told) in [(&*missing, "none.mmdb: No such file"), (dir.path(), "it is no file")] {
        let error = format!("{:#}", Countries::open(Some(path)).unwrap_err());
        assert!(error.starts_with("country_database: ") && error.contains(told), "{error}");
    }
    let none = Countries::open(None).unwrap();
    assert_eq!(none.find("192.0.2.7".parse().unwrap()), None);
    assert_eq!(none.described(), None);
}

proptest! {
    #[test]
    fn no_file_does_harm(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        end in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = small();
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(table) = mmdb::read(bytes) {
            for address in ["192.0.2.7", "255.255.255.255", "2001:db8::1"] {
                table.find(address.parse().unwrap());
            }
        }
    }
}

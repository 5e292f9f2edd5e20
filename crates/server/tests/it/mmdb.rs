//! Makes MMDB files, as an operator brings them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What stands in a record of the data.
pub(crate) enum Data {
    Text(&'static str),
    Map(Vec<(&'static str, Data)>),
}

/// The layout that most have.
pub(crate) fn iso_code(code: &'static str) -> Data {
    let names = Data::Map(vec![("en", Data::Text("Somewhere"))]);
    Data::Map(vec![("country", Data::Map(vec![("iso_code", Data::Text(code)), ("names", names)]))])
}

fn write(data: &Data, out: &mut Vec<u8>) {
    let head = |kind: u8, length: usize, out: &mut Vec<u8>| {
        assert!(length < 29, "what is longer has another head");
        out.push(kind << 5 | u8::try_from(length).unwrap());
    };
    match data {
        Data::Text(text) => {
            head(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Data::Map(pairs) => {
            head(7, pairs.len(), out);
            for (name, value) in pairs {
                write(&Data::Text(name), out);
                write(value, out);
            }
        }
    }
}

/// A file of these networks: their addresses' bits, how many of them count, and their records.
/// `bits` is the length of an address.
pub(crate) fn file(bits: u8, networks: &[(u128, u8, Data)]) -> Vec<u8> {
    const NONE: usize = usize::MAX;
    let mut data = Vec::new();
    // Each node leads to two others, to a record of the data, or to nothing.
    let mut nodes = vec![[Ok(NONE); 2]];
    for (address, prefix, record) in networks {
        let offset = data.len();
        write(record, &mut data);
        let mut node = 0;
        for depth in 0..*prefix {
            let side = usize::from(address >> (bits - 1 - depth) & 1 == 1);
            if depth + 1 == *prefix {
                nodes[node][side] = Err(offset);
            } else if nodes[node][side] == Ok(NONE) {
                nodes.push([Ok(NONE); 2]);
                nodes[node][side] = Ok(nodes.len() - 1);
            }
            node = nodes[node][side].unwrap_or_default();
        }
    }
    let mut out = Vec::new();
    for side in nodes.iter().flatten() {
        let number = match side {
            Ok(NONE) => nodes.len(),
            Ok(node) => *node,
            Err(offset) => nodes.len() + 16 + offset,
        };
        out.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    }
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    out.extend_from_slice(&metadata(bits, nodes.len()));
    out
}

fn metadata(bits: u8, nodes: usize) -> Vec<u8> {
    let mut out = vec![7 << 5 | 9];
    let mut named = |name: &'static str, value: &[u8]| {
        write(&Data::Text(name), &mut out);
        out.extend_from_slice(value);
    };
    let count = u32::try_from(nodes).unwrap().to_be_bytes();
    named("binary_format_major_version", &[5 << 5 | 1, 2]);
    named("binary_format_minor_version", &[5 << 5]);
    // 2026-10-19.
    named("build_epoch", &[4, 2, 0x6A, 0xD5, 0xE8, 0x00]);
    named("database_type", b"\x4CTest-Country");
    named("description", &[7 << 5]);
    named("ip_version", &[5 << 5 | 1, if bits == 32 { 4 } else { 6 }]);
    named("languages", &[0, 4]);
    named("node_count", &[&[6 << 5 | 4], &count[..]].concat());
    named("record_size", &[5 << 5 | 1, 32]);
    out
}

/// IPv4 and IPv6, in the layout that most have.
pub(crate) fn small() -> Vec<u8> {
    let v4 = |text: &str| u128::from(u32::from(text.parse::<Ipv4Addr>().unwrap()));
    let v6 = |text: &str| u128::from(text.parse::<Ipv6Addr>().unwrap());
    file(
        128,
        &[
            (v4("192.0.2.0"), 96 + 24, iso_code("AT")),
            (v4("198.51.100.0"), 96 + 25, iso_code("DE")),
            (v4("198.51.100.128"), 96 + 26, iso_code("XX")),
            (v4("127.0.0.1"), 128, iso_code("CH")),
            (v6("2001:db8::"), 33, iso_code("FR")),
        ],
    )
}

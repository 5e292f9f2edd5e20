//! JSON bodies: their members as pairs, and what stands inside objects and lists under names with
//! dots, such as `data.click.id` and `items.0.id`.
//!
//! A body is a stranger's: how deep is looked, how long a name may become and how many values are
//! taken is bounded, so that the work stays within a few readings of the body.

use super::pairs::{Inside, PAIRS_SEEN_MAX, Pair};
use crate::campaign::NAME_BYTES_MAX;
use crate::echo::echoed;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How many names are joined at the most: what stands deeper is kept as it was sent.
pub(super) const DEPTH_MAX: usize = 8;

const TOO_MANY: &str = "the JSON body has more values than are looked at";

/// The members of the object that a body is, in their order.
pub(super) fn members(body: &[u8], pairs: &mut Vec<Pair>) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Object(pairs)
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| format!("the JSON body does not read: {}", echoed(&error.to_string())))
}

/// Puts what stands inside of `pairs` behind them. `Err`: not all of it could be looked at.
pub(super) fn nested(pairs: &mut Vec<Pair>) -> Result<(), String> {
    let room = PAIRS_SEEN_MAX.saturating_sub(pairs.len());
    let mut inner = Inner { pairs: Vec::new(), room, fault: None };
    for pair in pairs.iter_mut().filter(|pair| pair.is_nest()) {
        let Some(raw) = pair.raw.as_deref() else { continue };
        let before = inner.pairs.len();
        let is_whole = inner.read(&pair.name, raw, 1);
        if is_whole && inner.pairs.len() > before {
            pair.inside = Inside::Taken;
        }
    }
    pairs.append(&mut inner.pairs);
    inner.fault.map_or(Ok(()), Err)
}

/// Reads an object's members in order, repeated names included: a map would hide a conflict.
struct Object<'a>(&'a mut Vec<Pair>);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            let pair = member(name, raw.get()).map_err(A::Error::custom)?;
            if self.0.len() == PAIRS_SEEN_MAX {
                return Err(A::Error::custom("too many members"));
            }
            self.0.push(pair);
        }
        Ok(())
    }
}

/// A value as text: numbers keep every digit they were sent with. One that holds others is kept as
/// it was sent, and tells one postback from another.
fn member(name: String, raw: &str) -> Result<Pair, serde_json::Error> {
    Ok(match raw.as_bytes().first() {
        Some(b'"') => Pair::new(name, serde_json::from_str(raw)?),
        Some(b'{' | b'[') => Pair::unread(name, raw),
        Some(b'n') => Pair::new(name, String::new()),
        _ => Pair::new(name, raw.to_owned()),
    })
}

/// What stands inside of others, as far as it is looked at.
struct Inner {
    pairs: Vec<Pair>,
    /// How many more are taken.
    room: usize,
    fault: Option<String>,
}

impl Inner {
    fn is_full(&mut self) -> bool {
        if self.room == 0 {
            self.fault.get_or_insert(TOO_MANY.to_owned());
        }
        self.room == 0
    }

    /// Takes all that stands in an object or a list at `path`, which so many names lead to; whether
    /// nothing is left out.
    fn read(&mut self, path: &str, raw: &str, depth: usize) -> bool {
        let mut items = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(raw);
        let seen = reader.deserialize_any(Items { found: &mut items, room: self.room });
        let mut is_whole = seen.is_ok();
        if let Err(error) = seen {
            let fault = match items.len() == self.room {
                true => TOO_MANY.to_owned(),
                false => format!("the JSON body does not read: {error}"),
            };
            self.fault.get_or_insert(fault);
        }
        for (name, raw) in items {
            // Longer names are no contract's.
            if path.len() + 1 + name.len() > NAME_BYTES_MAX {
                is_whole = false;
                continue;
            }
            let path = format!("{path}.{name}");
            let is_nest = matches!(raw.as_bytes().first(), Some(b'{' | b'['));
            let is_empty = is_nest && raw[1..raw.len() - 1].trim().is_empty();
            if is_nest && !is_empty && depth + 1 < DEPTH_MAX {
                is_whole &= self.read(&path, raw, depth + 1);
            } else if self.is_full() {
                return false;
            } else {
                self.room -= 1;
                let pair = member(path.clone(), raw);
                self.pairs.push(pair.unwrap_or_else(|_| Pair::unread(path, raw)));
            }
        }
        is_whole
    }
}

/// The members of an object by their names, the items of a list by their places.
struct Items<'a, 'de> {
    found: &'a mut Vec<(String, &'de str)>,
    room: usize,
}

impl<'de> Items<'_, 'de> {
    fn take<E: serde::de::Error>(&mut self, name: String, raw: &'de RawValue) -> Result<(), E> {
        if self.found.len() == self.room {
            return Err(E::custom(TOO_MANY));
        }
        self.found.push((name, raw.get()));
        Ok(())
    }
}

impl<'de> Visitor<'de> for Items<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            self.take(name, raw)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut place = 0_usize;
        while let Some(raw) = items.next_element::<&'de RawValue>()? {
            self.take(place.to_string(), raw)?;
            place += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit::Hit;
    use crate::postback::Pairs;

    fn hit(body: &str) -> Hit {
        let content_type = Some("application/json".to_owned());
        Hit { target: b"/p".to_vec(), content_type, body: body.into(), ..Hit::default() }
    }

    /// All that is read of a body, and whether it is all there is.
    fn read(body: &str) -> (Vec<String>, bool) {
        let hit = hit(body);
        let mut pairs = Vec::new();
        members(&hit.body, &mut pairs).unwrap();
        let is_all = nested(&mut pairs).is_ok();
        let shown = |pair: &Pair| match &pair.raw {
            Some(raw) => format!("{}:{}", pair.name, raw.get(..9).unwrap_or(raw)),
            None => format!("{}={}", pair.name, pair.text),
        };
        (pairs.iter().map(shown).collect(), is_all)
    }

    #[test]
    fn what_stands_inside_of_others_has_a_name_with_dots() {
        let body = r#"{"type":"sale","data":{"click":{"id":"c1"},"items":[{"id":7},"x",null,[]],
            "ok":true},"n":1.50}"#;
        let told = [
            "type=sale",
            "data:{\"click\":",
            "n=1.50",
            "data.click.id=c1",
            "data.items.0.id=7",
            "data.items.1=x",
            "data.items.2=",
            "data.items.3:[]",
            "data.ok=true",
        ];
        assert_eq!(read(body), (told.map(str::to_owned).to_vec(), true));
        let twice = r#"{"a.b":1,"a":{"b":2,"b":3}}"#;
        assert_eq!(read(twice).0, ["a.b=1", "a:{\"b\":2,\"b", "a.b=2", "a.b=3"]);
        let odd = r#"{"a":{"":1,"\u0062":"\ud800","c":{ }}}"#;
        assert_eq!(read(odd).0[1..], ["a.=1", "a.b:\"\\ud800\"", "a.c:{ }"]);
    }

    #[test]
    fn nothing_is_looked_for_deeper_than_names_go() {
        let (names, deeper) = ("{\"a\":".repeat(DEPTH_MAX), "[".repeat(20_000));
        let body = format!("{names}{deeper}{}{}", "]".repeat(20_000), "}".repeat(DEPTH_MAX));
        let (told, is_all) = read(&body);
        assert_eq!(told[1..], ["a.a.a.a.a.a.a.a:[[[[[[[[["]);
        assert!(is_all, "no name leads there, so nothing is missed");
        let long = "n".repeat(NAME_BYTES_MAX - 2);
        let body = format!(r#"{{"a":{{"{long}":1,"{long}x":2,"b":3}}}}"#);
        assert_eq!(read(&body).0[1..], [format!("a.{long}=1"), "a.b=3".to_owned()]);
    }

    #[test]
    fn no_body_makes_more_work_than_its_length() {
        let wide = format!(r#"{{"a":[{}]}}"#, vec!["1"; 200_000].join(","));
        let deep_lists = format!(r#"{{"a":{}1{}}}"#, "[[],".repeat(50_000), "]".repeat(50_000));
        let objects = format!(r#"{{"a":[{}]}}"#, vec![r#"{"b":{"c":[1,2]}}"#; 50_000].join(","));
        let members: Vec<String> = (0..900).map(|n| format!(r#""m{n}":[1,[2]]"#)).collect();
        let many = format!("{{{}}}", members.join(","));
        for (body, is_all) in [(wide, false), (deep_lists, true), (objects, false), (many, false)] {
            let hit = hit(&body);
            let pairs = Pairs::of(&hit);
            assert!(pairs.all.len() <= PAIRS_SEEN_MAX, "{}", pairs.all.len());
            let names: usize = pairs.all.iter().map(|pair| pair.name.len()).sum();
            assert!(names <= PAIRS_SEEN_MAX * NAME_BYTES_MAX);
            assert_eq!(read(&body).1, is_all, "{}", &body[..40]);
        }
        let exactly = format!(r#"{{"a":[{}]}}"#, vec!["1"; PAIRS_SEEN_MAX - 1].join(","));
        assert!(read(&exactly).1);
        let one_more = format!(r#"{{"a":[{}]}}"#, vec!["1"; PAIRS_SEEN_MAX].join(","));
        assert!(!read(&one_more).1);
    }
}

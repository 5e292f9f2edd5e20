//! Spots macros that a sender forgot to fill in: `{click_id}` where a click id should be.
//!
//! Only a whole value counts as one, and it must look like a name between delimiters that are
//! seen in the field: a paid conversion is not to be lost over an odd value. What only a
//! partner's people would recognise is handed in as a literal.

use std::net::Ipv6Addr;

/// No macro is longer, in bytes.
const MACRO_BYTES_MAX: usize = 80;
/// Hexadecimal digits and dashes of this length are an id, not a name.
const HEX_BYTES_MIN: usize = 16;
/// So many digits, where they outnumber the letters, are an id, not a name.
const DIGITS_MIN: usize = 3;

/// What stands before a macro's name and what behind it.
const DELIMITERS: [(&str, &str); 27] = [
    ("{", "}"),
    ("{{", "}}"),
    ("{{{", "}}}"),
    ("{:", "}"),
    ("{$", "}"),
    ("${", "}"),
    ("${(", ")!}"),
    ("%{", "}"),
    ("{%", "%}"),
    ("{!", "!}"),
    ("#{", "}"),
    ("[", "]"),
    ("[[", "]]"),
    ("[[[", "]]]"),
    ("[%", "%]"),
    ("[=", "=]"),
    ("[+", "+]"),
    ("[:", ":]"),
    ("(", ")"),
    ("<", ">"),
    ("#", "#"),
    ("##", "##"),
    ("###", "###"),
    ("%", "%"),
    ("%%", "%%"),
    ("__", "__"),
    ("_~", "~_"),
];

/// What trackers and analytics write between brackets where they know nothing.
const NOTHING: [&str; 11] = [
    "none",
    "null",
    "nil",
    "undefined",
    "unknown",
    "direct",
    "other",
    "empty",
    "organic",
    "referral",
    "test",
];

/// What a manual's example says in place of a value, in capitals.
const INSTRUCTIONS: [&str; 7] =
    ["REPLACE", "REPLACEME", "REPLACE_ME", "REPLACE_THIS", "CHANGEME", "CHANGE_ME", "PLACEHOLDER"];
const REPLACE_WITH: &str = "REPLACE_WITH_";
const INSTRUCTION_STARTS: [&str; 5] = ["YOUR_", "INSERT_", "ENTER_", REPLACE_WITH, "REPLACE_"];
const INSTRUCTION_ENDS: [&str; 2] = ["_HERE", "_PLACEHOLDER"];
/// How the names of what such an instruction is about end.
const INSTRUCTION_TOPICS: [&str; 8] =
    ["ID", "PAYOUT", "AMOUNT", "REVENUE", "TOKEN", "MACRO", "PARAMETER", "PARAM"];

/// Whether a whole, trimmed value is a macro that was not replaced, or one of `literals`.
pub fn is_unreplaced(value: &str, literals: &[String]) -> bool {
    if literals.iter().any(|literal| literal == value) {
        return true;
    }
    value.len() <= MACRO_BYTES_MAX
        && (is_delimited(value) || is_dashed(value) || is_instruction(value))
}

/// The macros in a text, with their places: any of `known`, the longest first, and what looks like
/// one.
pub fn macros_in<'a>(text: &'a str, known: &[&str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(letter) = text[place..].chars().next() {
        let rest = &text[place..];
        let of_known = known.iter().find(|one| !one.is_empty() && rest.starts_with(**one));
        match of_known.map(|one| one.len()).or_else(|| leading(text, place)) {
            Some(len) => {
                found.push((place, &rest[..len]));
                place += len;
            }
            None => place += letter.len_utf8(),
        }
    }
    found
}

/// The length of what looks like a macro at that place. `_x_` is one only as a whole value: it is
/// what becomes of `__X__` when somebody types it; so is what a person was told to replace.
fn leading(text: &str, place: usize) -> Option<usize> {
    let rest = &text[place..];
    let window_end =
        (0..=MACRO_BYTES_MAX.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end));
    let window = &rest[..window_end?];
    let is_start = text[..place].ends_with(['=', '/', '&', '?']);
    let delimited = DELIMITERS.iter().filter_map(|(open, close)| {
        let inner = window.strip_prefix(open)?;
        let end = inner.find(close)?;
        // Two hexadecimal digits between percent signs are bytes.
        let is_byte = *open == "%" && end <= 2;
        (!is_byte && is_name(&inner[..end])).then_some(open.len() + end + close.len())
    });
    let single = || {
        let value = window.split(['&', '#', '/']).next().filter(|_| is_start)?;
        let inner = value.strip_prefix('_')?.strip_suffix('_')?;
        let is_upper = inner.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        (is_upper && is_name(inner)).then_some(value.len())
    };
    let instruction = || {
        let value = window.split(['&', '#', '/', '?']).next().filter(|_| is_start)?;
        is_instruction(value).then_some(value.len())
    };
    delimited.max().or_else(single).or_else(instruction)
}

fn is_delimited(value: &str) -> bool {
    DELIMITERS.iter().any(|(open, close)| {
        let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| is_name(inner.trim()))
    })
}

/// `-x-`: ids in URL-safe base64 begin and end with a dash now and then, but are not one word in
/// one case.
fn is_dashed(value: &str) -> bool {
    let inner = value.strip_prefix('-').and_then(|rest| rest.strip_suffix('-'));
    inner.is_some_and(|inner| {
        let letters = inner.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let is_of = |is_letter: fn(&u8) -> bool| {
            letters.bytes().all(|byte| byte == b'_' || is_letter(&byte))
        };
        is_name(inner) && (is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase))
    })
}

/// A letter, then letters, digits and what tells the parts of a name or the argument of a
/// function; underscores may stand before it.
fn is_name(text: &str) -> bool {
    let name = text.trim_start_matches('_');
    let is_part = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-' | b'(' | b')')
    };
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(is_part)
        && !is_value(name)
}

/// Whether a text that could be a name is rather what somebody counts or generates.
fn is_value(name: &str) -> bool {
    let count = |is_counted: fn(&u8) -> bool| name.bytes().filter(is_counted).count();
    let digits = count(u8::is_ascii_digit);
    let is_id = digits >= DIGITS_MIN && digits > count(u8::is_ascii_alphabetic);
    let is_hex = name.len() >= HEX_BYTES_MIN
        && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_nothing = NOTHING.iter().any(|nothing| name.eq_ignore_ascii_case(nothing));
    // `{a:1}` is data, `{p:x}` a macro.
    let mut argument = name.split(':').skip(1);
    let is_data = argument.any(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    is_id || is_hex || is_nothing || is_data || name.parse::<Ipv6Addr>().is_ok()
}

/// Whether a whole value is what a manual's example says in place of one: `REPLACE`,
/// `YOUR_CLICK_ID`, `click-id-here`, `REPLACE WITH …`.
pub(crate) fn is_instruction(value: &str) -> bool {
    if INSTRUCTIONS.contains(&value) || value.starts_with("REPLACE WITH ") {
        return true;
    }
    let word = value.to_ascii_uppercase().replace('-', "_");
    let start = INSTRUCTION_STARTS.iter().find_map(|start| word.strip_prefix(start));
    let rest = start.unwrap_or(&word);
    let end = INSTRUCTION_ENDS.iter().find_map(|end| rest.strip_suffix(end));
    let topic = end.unwrap_or(rest);
    // Nobody's value begins so: its topic may be numbered, such as a `SUB1_MACRO`.
    let may_count = word.starts_with(REPLACE_WITH);
    let is_part =
        |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || may_count && byte.is_ascii_digit();
    (start.is_some() || end.is_some())
        && topic.bytes().all(is_part)
        && INSTRUCTION_TOPICS.iter().any(|end| topic.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each of several values, written with blanks between them.
    fn are(values: &str) -> impl Iterator<Item = (&str, bool)> {
        values.split_whitespace().map(|value| (value, is_unreplaced(value, &[])))
    }

    #[test]
    fn every_style_of_the_field_is_spotted() {
        let macros = "{x} {{x}} {{{x}}} {:x} {$x} ${x} %{x} {%X%} {!x!} [x] [[x]] [[[x]]] [%X%] \
             [=x=] [+X+] [:x:] #x# ##x## ###X### #{a.b.c} %x% %%x%% <x> -x- (X) __X__ {__x__cb} \
             _~x~_ {get.x} {p:x} {url(x)} {hit.data2} {lead.Sub1} {sub_id:true} ${(x)!} \
             ##SUB_ID_SHORT(action)##";
        for (text, is_macro) in are(macros) {
            assert!(is_macro, "{text}");
        }
    }

    #[test]
    fn macros_as_platforms_write_them_are_spotted() {
        let macros = "{click_id} {clickid} {your_paramater} ${SUBID} {zoneid} [IMPRESSIONID] %ID% \
             __CLICKID__ __CAMPAIGN_ID__ (app-id) (IDFA) (sha1-advertiserId) {{campaign_id}} \
             {secretKey} {_raw} {p1} {p10} {sub10} {txn_id} {payout_usd} {tN_md5} -SUBID- -sub_id- \
             -s1- <transaction_id> {gps_adid} {offer-id} #s2sclick# {token:hash} [+SUBID+]";
        for (text, is_macro) in are(macros) {
            assert!(is_macro, "{text}");
        }
        assert!(is_unreplaced("{{ click_id }}", &[]));
    }

    #[test]
    fn the_words_of_a_manuals_example_are_spotted() {
        let words = "REPLACE REPLACE_ME REPLACEME REPLACE_THIS YOUR_CLICK_ID your-click-id \
             YOUR_SUBID CLICK_ID_HERE clickid_here INSERT_PAYOUT_HERE ENTER_TOKEN \
             REPLACE_WITH_CLICK_ID REPLACE_WITH_THEIR_SUB10_MACRO REPLACE_TRANSACTION_ID startapp_click_id_placeholder";
        for (word, is_macro) in are(words) {
            assert!(is_macro, "{word}");
        }
        assert!(is_unreplaced("REPLACE WITH PARAMETER YOU ARE USING FOR CLICK_ID", &[]));
    }

    #[test]
    fn ids_of_orders_and_clicks_are_left_alone() {
        let ids = "order-1 ORD_2026_000123 #12345# #1234 [1] (1) -5- -12345- {42} TXN-000-1 \
             b1946ac92492d2347c6235b4d2611184 1763629200.5 A-1_b.2:c \
             {6F9619FF-8B86-D011-B42D-00C04FC964FF} {AF9619FF-8B86-D011-B42D-00C04FC964FF} \
             [deadbeefdeadbeef0] {A123456} (AB-1234567) pi_3MtwBwLkdIwHu7ix28a3tqPd \
             -NaBcDeFgHiJkLmNoPqR- -aB3_x- -_x9K- __ _abc_ __abc abc__ \
             102a5c1b9a2d4f0e8b7c6d5e4f3a2b c_94f1f2 push_71872t38713891u12u0313 \
             wOsn8J4jxyzKWYP0:Ax_%3A-9 CjwKCAiA_dummy-Value_BwE fb.1.1554763741205.AbCdEf-Gh";
        for (id, is_macro) in are(ids) {
            assert!(!is_macro, "{id}");
        }
    }

    #[test]
    fn labels_and_data_are_left_alone() {
        let values = "- -- {} [] () <> ## %% ____ x 1 true us US-east 100% (none) <null> [none] \
             (direct) summer_2026 #summer C# a{x} {x}a pre-{x} YOUR_BEST_DEAL INSERT_COIN replace \
             Replacement you_are_HERE HERE YOUR_ID_2 ID CLICK_ID click_id valid \
             jane.doe+ad@example.com <jane@example.com> {\"a\":1} [\"a\"] {a:1} {a=1,b=2} [1,2] \
             [fe80::1] [2001:db8::1] <https://example.com/> %20% %7Bclick_id%7D a:b 1,50 {\u{e9}} \
             [x x] {x] (x %x #x {click_id}{click_id}";
        for (value, is_macro) in are(values) {
            assert!(!is_macro, "{value}");
        }
        for value in ["", "{ }", "banner 300x250", "50% off", "(not set)", "[object Object]"] {
            assert!(!is_unreplaced(value, &[]), "{value:?}");
        }
        let long = format!("{{{}}}", "a".repeat(MACRO_BYTES_MAX));
        assert!(!is_unreplaced(&long, &[]));
    }

    #[test]
    fn a_partners_own_words_are_handed_in() {
        let literals = ["xxc1xx".to_owned(), "TAPGAGE_VAR_CLICKID".to_owned()];
        assert!(is_unreplaced("xxc1xx", &literals));
        assert!(is_unreplaced("TAPGAGE_VAR_CLICKID", &literals));
        assert!(!is_unreplaced("xxc1xx", &[]));
        assert!(!is_unreplaced("xxc1xxx", &literals));
    }

    proptest! {
        #[test]
        fn a_name_in_any_delimiters_is_spotted(
            name in "[a-z]{1,12}(_[a-z]{1,8}){0,3}[1-9]{0,2}", style in 0..DELIMITERS.len(),
        ) {
            let (open, close) = DELIMITERS[style];
            prop_assume!(!NOTHING.contains(&&*name));
            let value = format!("{open}{name}{close}");
            prop_assert!(is_unreplaced(&value, &[]), "{}", value);
        }

        #[test]
        fn numbers_and_uuids_never_are(number: i64, id in "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}") {
            for inner in [number.to_string(), id.clone(), id.to_ascii_uppercase()] {
                for (open, close) in DELIMITERS.iter().copied().chain([("", ""), ("-", "-")]) {
                    let value = format!("{open}{inner}{close}");
                    prop_assert!(!is_unreplaced(&value, &[]), "{}", value);
                }
            }
        }

        #[test]
        fn any_text_is_judged_without_harm(text: String) {
            _ = is_unreplaced(&text, &[]);
        }
    }
}

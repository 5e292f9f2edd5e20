//! What may stand in the table of a sender's macros: what it writes for a value, as it writes it.
//!
//! A row is a macro in one of the forms of the field, several joined by plain letters, or a fixed
//! value. What a fixed value is not: an id, which would be the same in every postback.

use crate::contract::{Canonical, Contract};
use crate::macros::{is_instruction, is_unreplaced, macros_in};

/// The longest a row may be, in bytes.
const ROW_BYTES_MAX: usize = 200;

/// What is wrong with a row of the table, for whoever wrote it; `None`: nothing.
pub fn row_fault(contract: &Contract, canonical: Canonical, text: &str) -> Option<String> {
    let is_in_query = |byte: u8| byte.is_ascii_graphic() && byte != b'&';
    if !(1..=ROW_BYTES_MAX).contains(&text.len()) || !text.bytes().all(is_in_query) {
        return Some(format!(
            "a macro such as {{aff_sub}}: 1 to {ROW_BYTES_MAX} printable ASCII characters without \
             blanks and &"
        ));
    }
    if is_instruction(text) {
        return Some("it stands for a macro, and is none: look it up at the sender".to_owned());
    }
    if is_unreplaced(text, &contract.unreplaced) {
        return None;
    }
    let known: Vec<&str> = contract.unreplaced.iter().map(String::as_str).collect();
    let macros = macros_in(text, &known);
    let mut rest = text.to_owned();
    for (place, found) in macros.iter().rev() {
        rest.replace_range(*place..place + found.len(), "");
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if !rest.bytes().all(is_plain) {
        return Some(format!(
            "`{text}` is no macro in a form that is known, such as {{aff_sub}}, ${{SUBID}}, \
             [CLICK_ID], #s2# or __ID__, nor a fixed value of letters, digits and `-_.~`"
        ));
    }
    (macros.is_empty() && names_one(canonical))
        .then(|| format!("`{text}` is no macro: it would be the same in every postback"))
}

/// Whether a value is of one postback alone, so that a fixed one is wrong.
pub(super) fn names_one(canonical: Canonical) -> bool {
    let all =
        [Canonical::ClickId, Canonical::TxnId, Canonical::ConversionRef, Canonical::Timestamp];
    all.contains(&canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(canonical: Canonical, text: &str) -> bool {
        let contract = Contract { unreplaced: vec!["xxc1xx".to_owned()], ..Contract::default() };
        row_fault(&contract, canonical, text).is_none()
    }

    #[test]
    fn macros_of_every_form_are_taken() {
        let macros = "{x} {{x}} ${SUBID} [ID] [%USER:UID%] [=x=] #s2# ##x## %x% __CLICKID__ _~x~_ \
             <x> (app-id) {p:x} {lead.Sub1} -SUBID- xxc1xx {a}_{b} pre-{x} {x}.{y}";
        for text in macros.split_whitespace() {
            assert!(is_taken(Canonical::ClickId, text), "{text}");
        }
    }

    #[test]
    fn a_fixed_value_is_taken_where_it_names_nobody() {
        for (canonical, text) in [
            (Canonical::Status, "1"),
            (Canonical::Goal, "sale"),
            (Canonical::Currency, "USD"),
            (Canonical::Revenue, "2.50"),
            (Canonical::Sub(1), "wall-7"),
        ] {
            assert!(is_taken(canonical, text), "{text}");
        }
        for canonical in [Canonical::ClickId, Canonical::TxnId, Canonical::ConversionRef] {
            assert!(!is_taken(canonical, "1"), "{canonical}");
        }
    }

    #[test]
    fn what_would_break_the_url_or_is_no_macro_is_refused() {
        let long = "x".repeat(ROW_BYTES_MAX + 1);
        for text in [
            "",
            "#",
            "=",
            "&",
            "a=b",
            "a&b",
            "a b",
            "{a b}",
            "http://evil",
            "http://{x}",
            "//x",
            "{x}#top",
            "{x}&y=1",
            "{x}=1",
            "{",
            "}",
            "{}",
            "{{",
            "a?b",
            "%20",
            "1,5",
            "\u{e9}",
            "REPLACE_WITH_THEIR_STATUS_MACRO",
            "YOUR_CLICK_ID",
            &long,
        ] {
            assert!(!is_taken(Canonical::Status, text), "{text}");
        }
    }
}

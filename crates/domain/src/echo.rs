//! What was sent, as a complaint repeats it: never at any length, for a complaint is to be read,
//! and an answer is not to grow with what it refuses.

use std::borrow::Cow;

/// No more of what was sent is repeated, in bytes.
pub const ECHO_BYTES_MAX: usize = 100;
/// No complaint is longer, however much is repeated in it, in bytes.
pub const COMPLAINT_BYTES_MAX: usize = 2_000;
/// Stands for what is left out.
const MORE: char = '…';

/// The beginning of what was sent.
pub fn echoed(text: &str) -> Cow<'_, str> {
    cut(text, ECHO_BYTES_MAX)
}

/// A complaint in which each text between backticks is [`echoed`], and the whole is bounded too:
/// what was sent may have backticks of its own.
pub fn bounded(complaint: &str) -> Cow<'_, str> {
    let is_quoted = |place: usize| place % 2 == 1;
    let mut parts = complaint.split('`').enumerate();
    if !parts.any(|(place, part)| is_quoted(place) && part.len() > ECHO_BYTES_MAX) {
        return cut(complaint, COMPLAINT_BYTES_MAX);
    }
    let parts = complaint.split('`').enumerate();
    let parts =
        parts.map(|(place, part)| if is_quoted(place) { echoed(part) } else { part.into() });
    let whole = parts.collect::<Vec<_>>().join("`");
    Cow::Owned(cut(&whole, COMPLAINT_BYTES_MAX).into_owned())
}

fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}{MORE}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_long_is_cut_between_two_letters() {
        let exactly = "a".repeat(ECHO_BYTES_MAX);
        assert_eq!(echoed(&exactly), exactly);
        assert_eq!(echoed(&"a".repeat(5_000)), format!("{exactly}…"));
        let letters = format!("a{}", "ä".repeat(60));
        assert_eq!(echoed(&letters), format!("a{}…", "ä".repeat(49)));
    }

    #[test]
    fn a_complaint_keeps_its_own_words() {
        let short = "there is no `clickid`; the nearest is `click_id`";
        assert_eq!(bounded(short), short);
        let name = "n".repeat(5_000);
        let cut =
            format!("there is no `{}…`; the nearest is `click_id`", "n".repeat(ECHO_BYTES_MAX));
        assert_eq!(bounded(&format!("there is no `{name}`; the nearest is `click_id`")), cut);
        assert_eq!(bounded(&name).len(), COMPLAINT_BYTES_MAX + MORE.len_utf8());
    }

    proptest! {
        #[test]
        fn nothing_makes_a_complaint_long(sent in "(`|a{40}|ä{90}|\\PC){0,300}") {
            let bounded = bounded(&format!("`{sent}` is no word such as `x`")).into_owned();
            prop_assert!(bounded.len() <= COMPLAINT_BYTES_MAX + MORE.len_utf8());
        }
    }
}

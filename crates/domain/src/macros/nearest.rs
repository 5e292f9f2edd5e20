//! Finds what a sender may have meant: the name nearest to the one that is missing.

/// Longer names are typing mistakes of nothing.
const NAME_BYTES_MAX: usize = 64;
/// A name of this many letters may be wrong in one place, one of twice as many in two.
const LETTERS_PER_MISTAKE: usize = 3;

/// The candidate that differs least from `name`, the first of several: `clickid` for `click_id`,
/// `txn_di` for `txn_id`. `None` where none is near, or where the numbers in them differ: `sub1`
/// is nobody's mistake for `sub2`.
///
/// Case, `_` and `-` make no difference. A mistake is a letter too many, too few, wrong, or two
/// that changed places.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_by(name, candidates).map(|(_, candidate)| candidate)
}

/// The same as the end of a complaint about `name`; empty where none is near.
pub fn nearest_in_words<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(name, candidates);
    near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default()
}

/// The candidate that differs least from any of `names`.
pub fn nearest_to_any<'a>(names: &[&str], candidates: &[&'a str]) -> Option<&'a str> {
    let each = names.iter().filter_map(|name| nearest_by(name, candidates.iter().copied()));
    each.min_by_key(|(mistakes, _)| *mistakes).map(|(_, candidate)| candidate)
}

fn nearest_by<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
    let wanted = Letters::of(name)?;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let Some(letters) = Letters::of(candidate) else { continue };
        if !wanted.has_numbers_of(&letters) {
            continue;
        }
        let mistakes_max = wanted.0.len().min(letters.0.len()) / LETTERS_PER_MISTAKE;
        // Each letter too many or too few is one.
        if wanted.0.len().abs_diff(letters.0.len()) > mistakes_max {
            continue;
        }
        let mistakes = mistakes(&wanted.0, &letters.0);
        if mistakes <= mistakes_max && best.is_none_or(|(fewest, _)| mistakes < fewest) {
            best = Some((mistakes, candidate));
        }
    }
    best
}

/// A name without what makes no difference.
struct Letters(Vec<u8>);

impl Letters {
    /// `None` where nothing is left of the name, or it is too long to be one.
    fn of(name: &str) -> Option<Self> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let letters: Vec<u8> = name
            .bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
            .collect();
        (!letters.is_empty()).then_some(Self(letters))
    }

    fn has_numbers_of(&self, other: &Self) -> bool {
        let numbers = |letters: &Self| -> Vec<u8> {
            letters.0.iter().copied().filter(u8::is_ascii_digit).collect()
        };
        numbers(self) == numbers(other)
    }
}

/// The distance by insertions, deletions, substitutions and swaps of neighbours, none of which
/// touches a letter twice.
fn mistakes(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, letter) in a.iter().enumerate() {
        let mut this = Vec::with_capacity(above.len());
        this.push(row + 1);
        for (column, other) in b.iter().enumerate() {
            let substituted = above[column] + usize::from(letter != other);
            let mut fewest = substituted.min(above[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && *letter == b[column - 1] && a[row - 1] == *other {
                fewest = fewest.min(before[column - 1] + 1);
            }
            this.push(fewest);
        }
        before = std::mem::replace(&mut above, this);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        let cases = [
            ("click_id", "clickid"),
            ("click_id", "ClickID"),
            ("click_id", "click-id"),
            ("click_id", "clikc_id"),
            ("click_id", "clck_id"),
            ("txn_id", "txid"),
            ("txn_id", "TXNID"),
            ("status", "statsu"),
            ("revenue", "revnue"),
            ("sub1", "sub_1"),
            ("currency", "curency"),
        ];
        for (name, sent) in cases {
            let candidates = ["amount", sent, "goal", "x", ""];
            assert_eq!(nearest(name, candidates), Some(sent), "{name}");
        }
    }

    #[test]
    fn a_name_far_off_is_not_guessed() {
        let cases = [
            ("click_id", "tid"),
            ("click_id", "campaign_id"),
            ("txn_id", "tid2"),
            ("sub1", "sub2"),
            ("sub1", "sub10"),
            ("event12", "event21"),
            ("id", "ip"),
            ("goal", ""),
            ("", "goal"),
            ("status", "__--__"),
        ];
        for (name, sent) in cases {
            assert_eq!(nearest(name, [sent]), None, "{name} {sent}");
        }
        assert_eq!(nearest("click_id", []), None);
        assert_eq!(nearest(&"a".repeat(65), [&*"a".repeat(65)]), None);
    }

    #[test]
    fn the_nearest_wins_and_of_equals_the_first() {
        assert_eq!(nearest("click_id", ["clikid", "clickid", "clickid2"]), Some("clickid"));
        assert_eq!(nearest("status", ["xtatus", "ytatus"]), Some("xtatus"));
    }

    #[test]
    fn mistakes_are_counted() {
        let cases = [
            ("", "", 0),
            ("abc", "", 3),
            ("ab", "ba", 1),
            ("abcd", "acbd", 1),
            ("kitten", "sitting", 3),
        ];
        for (a, b, count) in cases {
            assert_eq!(mistakes(a.as_bytes(), b.as_bytes()), count, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_nearest_to_itself(name in "[a-z_]{0,20}[a-z]", other: String) {
            prop_assert_eq!(nearest(&name, [&*other, &*name]).is_some(), true);
            prop_assert_eq!(nearest(&name, [&*name, &*other]), Some(&*name));
        }

        #[test]
        fn mistakes_are_the_same_both_ways(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(mistakes(&a, &b), mistakes(&b, &a));
            prop_assert!(mistakes(&a, &b) <= a.len().max(b.len()));
        }
    }
}

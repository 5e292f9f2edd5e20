//! Answers of receivers that repeat what they were sent, however they write it.

use super::readings::READINGS_MAX;
use super::*;
use proptest::prelude::*;

fn shown(text: &str, secrets: &[&str]) -> String {
    String::from_utf8(masked(text.as_bytes(), secrets.iter().copied())).unwrap()
}

#[test]
fn a_text_in_a_text_is_read_as_what_it_is() {
    const SECRET: &str = "ab/cd+ef==";
    for (how, written) in [
        ("a URL within a URL", "ab%252Fcd%252Bef%253D%253D"),
        ("a URL three times within one", "ab%2525252Fcd%2525252Bef=="),
        ("a URL of which all is encoded", "%61%62%2f%63%64%2b%65%66%3d%3d"),
        ("JSON by PHP within JSON by PHP", r"ab\\\/cd+ef=="),
        ("JSON by PHP within JSON", r"ab\\/cd+ef=="),
        ("JSON three times by PHP", r"ab\\\\\\\/cd+ef=="),
        ("JSON by Go within JSON", r"ab/cd\\u002bef\\u003d\\u003d"),
        ("HTML with names", "ab&sol;cd&plus;ef&equals;&equals;"),
        ("HTML within HTML", "ab&amp;sol;cd&amp;#43;ef&amp;#x3D;&amp;amp;equals;"),
        ("a number with zeros before it", "ab&#0000000000047;cd&#x0000000000002b;ef=="),
        ("HTML without semicolons", "ab&#47cd&plusef&#x3d&equals"),
        ("HTML in JSON", r"ab\u0026sol;cd\u0026#43;ef=="),
        ("a form in HTML in JSON", r"ab\u0026#37;2Fcd%2Bef=="),
        ("a URL of HTML", "ab%26sol%3Bcd%26%2343%3Bef=="),
        ("Python, or a log", r"ab\x2fcd\x2bef\x3d\x3D"),
        ("other letters", "AB/CD+EF=="),
        ("UTF-16", "a\0b\0/\0c\0d\0+\0e\0f\0=\0=\0"),
        ("UTF-16, the other way round", "\0a\0b\0/\0c\0d\0+\0e\0f\0=\0="),
        ("a URL in UTF-16", "a\0b\0%\x002\0F\0c\0d\0+\0e\0f\0=\0=\0"),
    ] {
        assert_eq!(shown(&format!("no, {written}!"), &[SECRET]), "no, ***!", "{how}");
    }
    for other in ["ab/cd ef==", "ab/cd%20ef==", "ab/cd+ef=", "ab/cd+e==", "&sol", "ab cd", r"\x2"] {
        assert_eq!(shown(other, &[SECRET]), other);
    }
}

#[test]
fn bytes_that_no_ascii_stands_for() {
    for written in
        ["é€😀", "%C3%A9€%f0%9f%98%80", r"\xe9\xe2\x82\xac\ud83d\ude00", r"\u00e9&#8364&#x1F600;"]
    {
        assert_eq!(shown(&format!("<{written}>"), &["é€😀"]), "<***>", "{written}");
    }
    for broken in [r"\xe9€\ud83d", r"%C3%A9€%f0%9f%98", r"é€\ud83d\u0061", "é€&#x110000;"]
    {
        assert_eq!(shown(broken, &["é€😀"]), broken);
    }
}

#[test]
fn what_overlaps_is_one() {
    for (text, secrets, expected) in [
        ("aXaXa b", &["aXa"][..], "*** b"),
        ("one two", &["one", "two"], "*** ***"),
        ("onetwo", &["one", "two"], "***"),
        ("secret1", &["secret", "secret1"], "***"),
        ("secret2", &["secret", "secret1", ""], "***2"),
        ("", &["a"], ""),
        ("a", &[], "a"),
    ] {
        assert_eq!(shown(text, secrets), expected, "{text}");
    }
}

#[test]
fn what_is_cut_shows_no_part() {
    let secret: String = (0..100_u8).map(|number| char::from(b'a' + number % 26)).collect();
    let read = |text: &str| text[..ANSWER_READ_BYTES_MAX.min(text.len())].to_owned();
    assert_eq!(shown(&read(&secret.repeat(1_000)), &[&secret]), "***");
    for before in [ANSWER_BYTES_MAX - 120, ANSWER_BYTES_MAX - 50, ANSWER_BYTES_MAX - 1] {
        let text = format!("{}{secret} and more", "-".repeat(before));
        let found = shown(&text, &[&secret]);
        let expected = format!("{}*** and more", "-".repeat(before));
        assert_eq!(found, expected[..found.len()], "{before}");
        assert!(found.contains("***"), "{before}");
    }
    // It takes more than is read.
    let wide: String = secret.chars().map(|one| format!("&#{:050};", u32::from(one))).collect();
    let text = wide.repeat(20);
    assert!(wide.len() > ANSWER_BYTES_MAX + 100 * WRITTEN_BYTES_MAX / 2);
    for length in [ANSWER_READ_BYTES_MAX, ANSWER_READ_BYTES_MAX - 20] {
        assert_eq!(shown(&text[..length], &[&secret]), "***");
    }
    let long = "s".repeat(SECRET_BYTES_MAX) + "!";
    let wide = long.replace('s', &format!("&#{:050};", u32::from('s')));
    assert_eq!(shown(&read(&wide), &[&long]), "***");
}

#[test]
fn what_is_whole_is_not_cut() {
    assert_eq!(shown("no: secre", &["secret"]), "no: secre");
    let text = "-".repeat(ANSWER_BYTES_MAX - 5) + "secre";
    assert_eq!(shown(&text, &["secret"]), text);
    let longer = "-".repeat(ANSWER_BYTES_MAX + 5) + "secret";
    assert_eq!(shown(&longer, &["secret"]), longer[..ANSWER_BYTES_MAX]);
}

/// None of these takes longer for being nearly the secret.
#[test]
fn what_nearly_is_a_secret_costs_no_more() {
    let secret = "a".repeat(SECRET_BYTES_MAX - 1) + "b";
    for piece in ["a", r"\", "%25", "&amp;", "&#0", r"\u005c", "%26%23x5c;"] {
        let text = piece.repeat(ANSWER_READ_BYTES_MAX / piece.len());
        let readings = Readings::of(text.as_bytes(), |_| true);
        let most = (0..text.len()).map(|at| readings.at(at).count()).max();
        assert!(most <= Some(READINGS_MAX), "{piece}: {most:?}");
        let text = text.as_bytes();
        assert_eq!(masked(text, [&*secret].into_iter()), text[..ANSWER_BYTES_MAX], "{piece}");
    }
}

/// One way to write one character.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    Percent,
    Backslash,
    Json,
    Hexadecimal,
    Number { zeros: usize, is_closed: bool },
    HexadecimalNumber { zeros: usize, is_closed: bool },
    Name { is_closed: bool },
}

impl Way {
    fn write(self, character: char) -> String {
        let bytes = |sign: &str| {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).bytes();
            bytes.map(|byte| format!("{sign}{byte:02X}")).collect::<String>()
        };
        let end = |is_closed| if is_closed { ";" } else { "" };
        let number = u32::from(character);
        match self {
            Self::Plain => character.to_string(),
            Self::Percent => bytes("%"),
            Self::Hexadecimal => bytes("\\x"),
            Self::Backslash if "\"'\\/".contains(character) => format!("\\{character}"),
            Self::Json | Self::Backslash => {
                let mut buffer = [0; 2];
                let units = character.encode_utf16(&mut buffer).iter();
                units.map(|unit| format!("\\u{unit:04x}")).collect()
            }
            Self::Number { zeros, is_closed } => {
                format!("&#{}{number}{}", "0".repeat(zeros), end(is_closed))
            }
            Self::HexadecimalNumber { zeros, is_closed } => {
                format!("&#x{}{number:x}{}", "0".repeat(zeros), end(is_closed))
            }
            Self::Name { is_closed } => {
                let name = match character {
                    '/' => "sol",
                    '+' => "plus",
                    '=' => "equals",
                    '&' => "amp",
                    '<' => "lt",
                    '>' => "gt",
                    '"' => "quot",
                    '\'' => "apos",
                    other => return other.to_string(),
                };
                format!("&{name}{}", end(is_closed))
            }
        }
    }
}

fn way() -> impl Strategy<Value = Way> {
    let closing = (0_usize..4, any::<bool>());
    prop_oneof![
        Just(Way::Plain),
        Just(Way::Percent),
        Just(Way::Backslash),
        Just(Way::Json),
        Just(Way::Hexadecimal),
        closing.clone().prop_map(|(zeros, is_closed)| Way::Number { zeros, is_closed }),
        closing.prop_map(|(zeros, is_closed)| Way::HexadecimalNumber { zeros, is_closed }),
        any::<bool>().prop_map(|is_closed| Way::Name { is_closed }),
    ]
}

/// A secret's characters, each in one way, and the first characters of that in another.
fn written() -> impl Strategy<Value = Vec<(char, Way, Way)>> {
    let character = prop_oneof![
        prop::char::range('a', 'f'),
        prop::char::range('0', '9'),
        prop::sample::select(r#"xu/+=&<>"'\%#;é😀 "#.chars().collect::<Vec<char>>()),
    ];
    prop::collection::vec((character, way(), way()), 1..12)
}

proptest! {
    #[test]
    fn any_mixture_of_writings_is_masked(parts in written()) {
        let secret: String = parts.iter().map(|(character, ..)| character).collect();
        let mut text = "~".to_owned();
        for (character, inner, outer) in &parts {
            let inner = inner.write(*character);
            let mut inner = inner.chars();
            // What stands for a character begins with what is written in another way.
            text.extend(inner.next().map(|first| outer.write(first)));
            text.extend(inner);
        }
        text.push('~');
        prop_assert_eq!(shown(&text, &[&secret]), "~***~", "{}", text);
    }

    #[test]
    fn any_writing_within_any_is_masked(parts in written(), outer in way()) {
        let secret: String = parts.iter().map(|(character, ..)| character).collect();
        let inner: String = parts.iter().map(|(character, way, _)| way.write(*character)).collect();
        let text: String = inner.chars().map(|character| outer.write(character)).collect();
        prop_assert_eq!(shown(&format!("~{text}~"), &[&secret]), "~***~", "{}", text);
    }

    #[test]
    fn nothing_else_is_changed(text in "[abAB ]{0,60}", secrets in prop::collection::vec("[ab]{1,4}", 1..4)) {
        let folded = text.to_ascii_lowercase();
        let mut hidden = vec![false; text.len()];
        for secret in &secrets {
            for at in (0..text.len()).filter(|at| folded[*at..].starts_with(secret.as_str())) {
                hidden[at..at + secret.len()].fill(true);
            }
        }
        let mut expected = String::new();
        for (at, character) in text.chars().enumerate() {
            match hidden[at] {
                false => expected.push(character),
                true if at > 0 && hidden[at - 1] => {}
                true => expected.push_str(MASK),
            }
        }
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        prop_assert_eq!(shown(&text, &secrets), expected);
    }

    #[test]
    fn what_cannot_be_read_as_a_secret_stays(text in r#"[%\\&+#;xu0-9a-f~"/]{0,200}"#) {
        prop_assert_eq!(shown(&text, &["€ZZ€"]), text);
    }

    #[test]
    fn any_bytes_are_masked_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        signs in r#"[%\\&+#;xu0-9a-f"/]{0,300}"#,
        secret in "\\PC{0,8}",
        short in "[%\\\\&/a0]{1,2}",
    ) {
        for text in [&bytes[..], signs.as_bytes()] {
            let made = masked(text, [secret.as_str(), &short].into_iter());
            prop_assert!(made.len() <= 3 * text.len());
        }
    }
}

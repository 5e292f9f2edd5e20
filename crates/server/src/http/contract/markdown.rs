//! A document as Markdown.
//!
//! Names in it are whatever people have agreed on. Outside code everything that Markdown or HTML
//! could take for its own is escaped; code is fenced by more backticks than it holds.

use super::document::{Block, Document, Span, spans};

pub(super) fn of(document: &Document) -> String {
    let mut out = format!("# {}\n", line(&document.title));
    for text in &document.lead {
        out.extend([format!("\n{}\n", line(text))]);
    }
    for section in &document.sections {
        out.extend([format!("\n## {}\n", line(section.heading))]);
        for block in &section.blocks {
            out.push('\n');
            out.push_str(&self::block(block));
        }
    }
    out
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("{}\n", line(text)),
        Block::List(items) => items.iter().map(|item| format!("- {}\n", line(item))).collect(),
        Block::Code(text) => {
            let fence = "`".repeat(longest_run(text).max(2) + 1);
            format!("{fence}\n{text}\n{fence}\n")
        }
        Block::Table(head, rows) => {
            let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            let cell = |text: &String| line(text).replace('|', "\\|");
            let mut out = row(head.iter().map(|text| (*text).to_owned()).collect());
            out.extend([format!("|{}\n", "---|".repeat(head.len()))]);
            out.extend(rows.iter().map(|cells| row(cells.iter().map(cell).collect())));
            out
        }
    }
}

fn line(text: &str) -> String {
    let one = |(place, span)| match span {
        Span::Text(text) => escaped(text, place == 0),
        Span::Code(text) => {
            let fence = "`".repeat(longest_run(text) + 1);
            let plain = text.replace(char::is_control, " ");
            format!("{fence}{plain}{fence}")
        }
    };
    spans(text).into_iter().enumerate().map(one).collect()
}

/// Where a line begins, more means something than elsewhere; and digits before it a list.
fn escaped(text: &str, mut begins: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, letter) in text.char_indices() {
        let at_begin = begins;
        begins &= letter.is_ascii_digit();
        match letter {
            _ if letter.is_control() => out.push(' '),
            '-' | '+' | '=' | '>' | '.' | ')' if at_begin => out.extend(['\\', letter]),
            // No address becomes a link by itself.
            ':' if text[place..].starts_with("://") => out.extend(['\\', letter]),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '~' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}

/// The most backticks that stand in a row.
fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_written_is_not_markdown() {
        assert_eq!(line("a `b*c` d*e <i> &amp;"), "a `b*c` d\\*e &lt;i> &amp;amp;");
        assert_eq!(line("of `UTC`. - b"), "of `UTC`. - b");
        assert_eq!(line("an `odd one"), "an \\`odd one");
        for (text, plain) in [
            ("~~~ all that follows", "\\~\\~\\~ all that follows"),
            ("- one - two", "\\- one - two"),
            ("12. one", "12\\. one"),
            ("> said", "\\> said"),
            ("see http://t.example", "see http\\://t.example"),
        ] {
            assert_eq!(line(text), plain);
        }
        assert_eq!(line("two\nlines"), "two lines");
        assert_eq!(block(&Block::Code("a ``` b".to_owned())), "````\na ``` b\n````\n");
        let table = Block::Table(vec!["A"], vec![vec!["`x|y`".to_owned()]]);
        assert_eq!(block(&table), "| A |\n|---|\n| `x\\|y` |\n");
    }
}

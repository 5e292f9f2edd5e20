//! A document as a page of HTML: plain, readable on a phone, light or dark as its reader likes.

use super::document::{Block, Document, Span, spans};

/// What pages look like.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fdfdfb; --line: #d8d8d0; --code: #f0f0ea }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e4; --paper: #16171a; --line: #3a3c42; --code: #24262b }
}
body { margin: 0 auto; max-width: 50rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; line-height: 1.2 }
h2 { font-size: 1.15rem; margin-top: 2rem }
code, pre { background: var(--code); border-radius: 3px; font: 0.9em ui-monospace, monospace }
code { padding: 0.1em 0.25em; overflow-wrap: anywhere; unicode-bidi: isolate }
pre { padding: 0.75rem; white-space: pre-wrap; overflow-wrap: anywhere }
h1, p, li, td { overflow-wrap: anywhere }
ul { padding-left: 1.25rem }
a { color: inherit }
div { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: 0.35rem 0.75rem 0.35rem 0; text-align: left;
  vertical-align: top }
th { white-space: nowrap }
td:first-child code { overflow-wrap: break-word }
@media (max-width: 40rem) {
  thead { display: none }
  tr { display: block; border-bottom: 1px solid var(--line); padding: 0.5rem 0 }
  td { display: block; border: 0; padding: 0.1rem 0 0.1rem 7.5rem; position: relative }
  td::before { content: attr(data-head); font-size: 0.85rem; left: 0; opacity: 0.75; position: absolute;
    width: 7rem }
  td:first-child { padding-left: 0 }
  td:first-child::before { content: none }
  td:first-child code { overflow-wrap: anywhere }
}
";

/// The page, with a way to the same as Markdown, as it is called beside it.
pub(super) fn of(document: &Document, markdown: &str) -> String {
    let mut out = head(&document.title);
    for text in &document.lead {
        out.extend([format!("<p>{}</p>\n", line(text))]);
    }
    for section in &document.sections {
        out.extend([format!("<h2>{}</h2>\n", line(section.heading))]);
        out.extend(section.blocks.iter().map(block));
    }
    let markdown = escaped(markdown);
    out.extend([format!("<p><a href=\"{markdown}\">The same as Markdown</a></p>\n")]);
    out
}

/// What stands at an address that is none of a contract, or not any more.
pub(super) fn nothing() -> String {
    let why = "Part of the address may be missing, or the draft that it led to was discarded. \
        Whoever sent it can send another one.";
    format!("{}<p>{why}</p>\n", head("There is no contract at this address"))
}

fn head(title: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex, nofollow\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/contracts/style.css\">\n<h1>{title}</h1>\n"
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", line(text)),
        Block::List(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}\n", line(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Code(text) => format!("<pre>{}</pre>\n", escaped(text)),
        Block::Table(head, rows) => {
            let heads: String =
                head.iter().map(|text| format!("<th scope=\"col\">{text}")).collect();
            let mut out = format!("<div><table>\n<thead><tr>{heads}\n<tbody>\n");
            for cells in rows {
                // On a phone each cell stands below the last, with its head before it.
                let one = |(head, text): (&&str, &String)| {
                    format!("<td data-head=\"{head}\">{}", line(text))
                };
                let cells: String = head.iter().zip(cells).map(one).collect();
                out.extend([format!("<tr>{cells}\n")]);
            }
            out.push_str("</table></div>\n");
            out
        }
    }
}

fn line(text: &str) -> String {
    let one = |span| match span {
        Span::Text(text) => escaped(text),
        Span::Code(text) => format!("<code>{}</code>", escaped(text)),
    };
    spans(text).into_iter().map(one).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_written_is_not_html() {
        let evil = "<script>alert(\"1\")</script> & 'x'\u{0}";
        let wanted = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; ";
        assert_eq!(line(evil), wanted);
        assert_eq!(line(&format!("a `{evil}`")), format!("a <code>{wanted}</code>"));
        assert_eq!(block(&Block::Code(evil.to_owned())), format!("<pre>{wanted}</pre>\n"));
    }
}

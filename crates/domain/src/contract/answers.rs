//! What the sender of a postback is told.

use super::Fault;
use crate::macros;
use crate::reason::{Reason, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest body of an answer, in bytes.
pub const REPLY_BYTES_MAX: usize = 1_000;
/// What a body may have in braces, to be filled in.
pub const FILLERS: [&str; 4] = ["receipt", "verdict", "reason", "detail"];
/// The longest a body may be that a sender asks for, in bytes.
const RETURNED_BYTES_MAX: usize = 100;
/// Bodies that most senders take for a refusal, whatever the HTTP status is. Where one of them
/// stands for a hit that counts, or has counted before, it is sent again and again.
const REFUSALS: [&str; 7] = ["0", "error", "fail", "failed", "failure", "false", "rejected"];
/// What a hit that is on disk and not decided yet is answered with.
const RECEIVED: u16 = 202;
/// What a hit is answered with that counts, or has counted before.
const TAKEN: u16 = 200;

/// The answers that a contract agrees on: those it spells out, else its profile's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    pub profile: Profile,
    /// After how many seconds, and how often, a sender may repeat what may succeed later.
    pub retry_after_s: Option<u32>,
    pub max_retries: Option<u32>,
    /// The parameter whose value is the body of every answer but a refusal, unless it reads as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Reply>,
    /// The hit is on disk, and there is no verdict yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Reply>,
}

/// A way of answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// JSON with the verdict, and the reason's own HTTP status.
    #[default]
    Receipt,
    /// 200 as soon as the hit is on disk, whatever the verdict will be.
    Acknowledge,
}

/// One answer, word for word. Its body may hold `{receipt}`, `{verdict}`, `{reason}` and
/// `{detail}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub http_status: u16,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub content_type: ContentType,
}

/// What a body is. A browser runs none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContentType {
    #[default]
    #[serde(rename = "text/plain")]
    Plain,
    #[serde(rename = "application/json")]
    Json,
    #[serde(rename = "application/xml")]
    Xml,
}

impl ContentType {
    /// For the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Xml => "application/xml; charset=utf-8",
        }
    }

    /// A text as it may stand in such a body, within quotes.
    fn escaped(self, text: &str) -> String {
        match self {
            Self::Plain => text.replace(char::is_control, " "),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Xml => {
                let entity = |letter| match letter {
                    '&' => Some("&amp;"),
                    '<' => Some("&lt;"),
                    '>' => Some("&gt;"),
                    '"' => Some("&quot;"),
                    '\'' => Some("&apos;"),
                    _ => None,
                };
                text.replace(char::is_control, " ").chars().fold(
                    String::new(),
                    |mut out, letter| {
                        match entity(letter) {
                            Some(entity) => out.push_str(entity),
                            None => out.push(letter),
                        }
                        out
                    },
                )
            }
        }
    }
}

impl Reply {
    /// Its body with what stands in braces filled in by `part`, escaped as its content type asks;
    /// braces around anything else stay.
    pub fn filled<'a>(&self, part: impl Fn(&str) -> Option<&'a str>) -> String {
        let mut filled = String::with_capacity(self.body.len());
        let mut rest = self.body.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let named = after.split_once('}');
            rest = match named.and_then(|(name, after)| Some((part(name)?, after))) {
                Some((text, after)) => {
                    filled.push_str(&self.content_type.escaped(text));
                    after
                }
                None => {
                    filled.push('{');
                    after
                }
            };
        }
        filled + rest
    }
}

impl Reply {
    /// A word in braces that nothing fills in. Other braces are the body's own, as those of JSON.
    fn unknown_filler(&self) -> Option<&str> {
        let is_word = |text: &&str| {
            text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        let behind = self.body.split('{').skip(1);
        let mut words = behind.filter_map(|rest| Some(rest.split_once('}')?.0)).filter(is_word);
        words.find(|word| !FILLERS.contains(word))
    }
}

impl Answers {
    /// The reply that is agreed for a verdict, or for none yet.
    pub fn reply(&self, verdict: Option<Verdict>) -> Option<&Reply> {
        match verdict {
            None => self.received.as_ref(),
            Some(Verdict::Recorded) => self.recorded.as_ref(),
            Some(Verdict::Updated) => self.updated.as_ref(),
            Some(Verdict::Duplicate) => self.duplicate.as_ref(),
            Some(Verdict::Parked) => self.parked.as_ref(),
            Some(Verdict::Ignored) => self.ignored.as_ref(),
            Some(Verdict::Refused) => self.refused.as_ref(),
        }
    }

    /// The HTTP status of that answer.
    pub fn http_status(&self, verdict: Option<Verdict>, reason: Option<Reason>) -> u16 {
        match (self.reply(verdict), self.profile) {
            (Some(reply), _) => reply.http_status,
            (None, Profile::Acknowledge) => TAKEN,
            (None, Profile::Receipt) if verdict.is_none() => RECEIVED,
            (None, Profile::Receipt) => reason.map_or(TAKEN, Reason::http_status),
        }
    }

    /// Whether every answer is the same whatever becomes of the hit, so that nobody has to wait.
    pub fn is_blind(&self) -> bool {
        self.profile == Profile::Acknowledge
            && Verdict::ALL.into_iter().all(|verdict| self.reply(Some(verdict)).is_none())
    }

    /// The body that a sender asks for, where it may have it for what is not refused: short plain
    /// text that nobody takes for a refusal.
    pub fn returned<'t>(&self, asked: &'t str) -> Option<&'t str> {
        let is_plain = asked.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let is_short = !asked.trim().is_empty() && asked.len() <= RETURNED_BYTES_MAX;
        (is_plain && is_short && !self.reads_as_refusal(asked)).then_some(asked)
    }

    fn reads_as_refusal(&self, body: &str) -> bool {
        let own = self.refused.as_ref().map(|refused| refused.body.trim());
        let mut all = REFUSALS.into_iter().chain(own.filter(|own| !own.is_empty()));
        all.any(|refusal| refusal.eq_ignore_ascii_case(body.trim()))
    }

    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub(super) fn fault(&self) -> Option<Fault> {
        for verdict in std::iter::once(None).chain(Verdict::ALL.map(Some)) {
            let Some(reply) = self.reply(verdict) else { continue };
            let name = verdict.map_or("received", Verdict::name);
            let is_refusal = verdict == Some(Verdict::Refused);
            let fault = |key: &str, detail: String| {
                Some(Fault::at(format!("answers.{name}.{key}"), detail))
            };
            if reply.body.len() > REPLY_BYTES_MAX {
                return fault("body", format!("at most {REPLY_BYTES_MAX} bytes"));
            }
            if let Some(word) = reply.unknown_filler() {
                let near = macros::nearest(word, FILLERS);
                let near = near.map(|near| format!("; the nearest is `{{{near}}}`"));
                let all = FILLERS.map(|filler| format!("{{{filler}}}")).join(", ");
                let near = near.unwrap_or_default();
                return fault(
                    "body",
                    format!("nothing fills in `{{{word}}}`{near}; there are: {all}"),
                );
            }
            let is_heard = |status| matches!(status, 200..=203 | 206..=208 | 226 | 400..=499);
            if is_refusal && !is_heard(reply.http_status) {
                let why = "with another one the sender would try for ever, or not hear it";
                let right = "200 to 203, 206 to 208, 226 or 400 to 499, which have a body";
                return fault("http_status", format!("{right}; {why}"));
            }
            if !is_refusal && (!is_heard(reply.http_status) || reply.http_status >= 300) {
                let why = "it is no error, and would be sent again as one";
                let right = "200 to 203, 206 to 208 or 226, which have a body";
                return fault("http_status", format!("{right}; {why}"));
            }
            if !is_refusal && self.reads_as_refusal(&reply.body) {
                let words = super::words::listed(&REFUSALS, "or");
                let why = "it would be taken for a refusal, and sent again";
                let detail = format!("anything but {words}, and that of `refused`; {why}");
                return fault("body", detail);
            }
        }
        match &self.return_name {
            Some(name) if !super::is_name(name) => {
                Some(Fault::at("answers.return_name", "it is empty or too long"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Answers {
        serde_json::from_str(toml).unwrap()
    }

    #[test]
    fn what_is_not_spelt_out_is_the_profiles() {
        let own = read(
            r#"{"recorded":{"http_status":201,"body":"1"},"refused":{"http_status":200,"body":"0"}}"#,
        );
        let status = |answers: &Answers, verdict| answers.http_status(Some(verdict), None);
        assert_eq!(status(&own, Verdict::Recorded), 201);
        assert_eq!(own.http_status(Some(Verdict::Refused), Some(Reason::LateWindow)), 200);
        assert_eq!(own.http_status(Some(Verdict::Parked), Some(Reason::RateMissing)), 202);
        assert_eq!(own.http_status(None, None), 202);
        let blind = read(r#"{"profile":"acknowledge"}"#);
        assert_eq!(blind.http_status(Some(Verdict::Refused), Some(Reason::LateWindow)), 200);
        assert_eq!(blind.http_status(None, None), 200);
        assert!(blind.is_blind() && !own.is_blind());
        let heard = read(r#"{"profile":"acknowledge","refused":{"http_status":400}}"#);
        assert!(!heard.is_blind());
    }

    #[test]
    fn a_body_says_what_its_braces_name_and_nothing_else() {
        let filled = |content_type: &str, body: &str| {
            let json = format!(
                r#"{{"http_status":200,"content_type":"{content_type}","body":{}}}"#,
                serde_json::Value::from(body)
            );
            let reply: Reply = serde_json::from_str(&json).unwrap();
            reply.filled(|name| match name {
                "receipt" => Some("r1"),
                "detail" => Some("`a` is \"<b>\"\n&"),
                _ => None,
            })
        };
        let plain = "ok {receipt}{x}{{detail}} {";
        assert_eq!(filled("text/plain", plain), "ok r1{x}{`a` is \"<b>\" &} {");
        let json = r#"{"id":"{receipt}","why":"{detail}"}"#;
        let read: serde_json::Value =
            serde_json::from_str(&filled("application/json", json)).unwrap();
        assert_eq!(read["why"], "`a` is \"<b>\"\n&");
        let xml = filled("application/xml", "<why>{detail}</why>");
        assert_eq!(xml, "<why>`a` is &quot;&lt;b&gt;&quot; &amp;</why>");
    }

    #[test]
    fn a_filler_that_does_not_exist_is_a_mistake_and_other_braces_are_not() {
        let fault = |body: &str| {
            let reply = serde_json::json!({ "http_status": 200, "body": body });
            let answers = serde_json::json!({ "recorded": reply });
            read(&answers.to_string()).fault().map(|fault| fault.to_string())
        };
        let good = [
            "{receipt} {verdict} {reason} {detail}",
            r#"{"id":"{receipt}","more":{"a":{}}}"#,
            "{{receipt}} { receipt } {} } { {1} {a b}",
            "{",
        ];
        for body in good {
            assert_eq!(fault(body), None, "{body}");
        }
        let told = ["{recipt}", r#"{"id":"{conversion}"}"#, "{receipt}{{Detail}}"].map(fault);
        let told: Vec<String> = told.into_iter().flatten().collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        answers.recorded.body: nothing fills in `{recipt}`; the nearest is `{receipt}`; there are: {receipt}, {verdict}, {reason}, {detail}
        answers.recorded.body: nothing fills in `{conversion}`; there are: {receipt}, {verdict}, {reason}, {detail}
        answers.recorded.body: nothing fills in `{Detail}`; the nearest is `{detail}`; there are: {receipt}, {verdict}, {reason}, {detail}
        ");
    }

    #[test]
    fn a_duplicate_is_never_told_of_as_a_refusal() {
        assert_eq!(Answers::default().fault(), None);
        let wrong = [
            (r#"{"duplicate":{"http_status":409}}"#, "answers.duplicate"),
            (r#"{"recorded":{"http_status":500}}"#, "answers.recorded"),
            (r#"{"received":{"http_status":302}}"#, "answers.received"),
            (r#"{"refused":{"http_status":503}}"#, "answers.refused"),
            (r#"{"refused":{"http_status":100}}"#, "answers.refused"),
            (r#"{"refused":{"http_status":304}}"#, "answers.refused"),
            (r#"{"recorded":{"http_status":204}}"#, "answers.recorded"),
            (r#"{"duplicate":{"http_status":200,"body":" 0"}}"#, "answers.duplicate"),
            (
                r#"{"duplicate":{"http_status":200,"body":"0"},"refused":{"http_status":200,"body":"0 "}}"#,
                "answers.duplicate",
            ),
            (r#"{"duplicate":{"http_status":200,"body":"ERROR"}}"#, "answers.duplicate.body"),
            (r#"{"ignored":{"http_status":200,"body":"Failed "}}"#, "answers.ignored.body"),
            (
                r#"{"parked":{"http_status":200,"body":"no"},"refused":{"http_status":200,"body":"NO"}}"#,
                "answers.parked.body",
            ),
            (r#"{"return_name":""}"#, "answers.return_name"),
        ];
        for (json, place) in wrong {
            let fault = read(json).fault().unwrap();
            assert!(fault.path.starts_with(place), "{json}: {fault}");
        }
        let blank = r#"{"duplicate":{"http_status":200},"refused":{"http_status":200}}"#;
        assert_eq!(read(blank).fault(), None);
        let refusal = r#"{"refused":{"http_status":200,"body":"ERROR"}}"#;
        assert_eq!(read(refusal).fault(), None);
        let long = Reply {
            http_status: 200,
            body: "x".repeat(REPLY_BYTES_MAX + 1),
            content_type: ContentType::Plain,
        };
        assert!(Answers { recorded: Some(long), ..Answers::default() }.fault().is_some());
    }

    #[test]
    fn a_sender_asks_for_no_body_that_reads_as_a_refusal() {
        let own = read(r#"{"return_name":"return","refused":{"http_status":200,"body":"Nope"}}"#);
        let bare = read(r#"{"return_name":"return"}"#);
        for answers in [&own, &bare] {
            for body in ["OK", "1", " ok ", "00", "no error"] {
                assert_eq!(answers.returned(body), Some(body));
            }
            let long = "x".repeat(RETURNED_BYTES_MAX + 1);
            for body in ["", " ", "0", " 0 ", "error", "FALSE", "a\nb", "\u{e9}", &long] {
                assert_eq!(answers.returned(body), None, "{body}");
            }
            assert_eq!(answers.returned(&long[1..]), Some(&long[1..]));
        }
        assert_eq!(own.returned("nope "), None);
        assert_eq!(bare.returned("nope"), Some("nope"));
    }
}

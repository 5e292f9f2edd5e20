//! What is called, and what its answer means.

use super::*;
use crate::click::Label;
use crate::money::Micros;
use proptest::prelude::*;

fn outbound(json: &str) -> Outbound {
    serde_json::from_str(json).unwrap()
}

fn of_url(url: &str) -> Outbound {
    let mut made = outbound(r#"{"url":""}"#);
    url.clone_into(&mut made.url);
    for name in ["aid", "domain"] {
        if url.contains(&format!("account.{name}")) {
            let account = Account { name: name.to_owned(), about: "x".to_owned(), secret: false };
            made.accounts.push(account);
        }
    }
    made
}

fn value(field: &Field) -> Value<'static> {
    match field {
        Field::ExternalId => "a/b&c=d e".into(),
        Field::ClickId => "01abc".into(),
        Field::Money { of: Amount::Payout, is_minor: false } => Value::Money(Micros(1_500_000)),
        Field::Status => "approved".into(),
        Field::Label(Label::Sub(10)) => "\u{f6}\"<\r\n".into(),
        Field::Timestamp => Value::Number(1_790_000_000),
        Field::Account(name) if name == "aid" => "7/7".into(),
        Field::Account(name) if name == "domain" => "track.example.com".into(),
        _ => Value::Empty,
    }
}

fn filled(url: &str) -> String {
    let made = of_url(url);
    assert_eq!(made.fault(), None, "{url}");
    made.request(value).unwrap().url
}

#[test]
fn fields_are_filled_in() {
    let cases = [
        ("https://a.example/c?x={external_id}", "https://a.example/c?x=a%2Fb%26c%3Dd%20e"),
        ("https://a.example/c?x={raw:external_id}", "https://a.example/c?x=a/b&c=d%20e"),
        ("https://a.example/{sub10}", "https://a.example/%C3%B6%22%3C%0D%0A"),
        ("https://a.example/{raw:sub10}", "https://a.example/%C3%B6%22%3C%0D%0A"),
        (
            "https://a.example/?s={raw:status:approved=#1}&c={click_id}",
            "https://a.example/?s=%231&c=01abc",
        ),
        ("http://a.example?p={payout}&c={currency}&", "http://a.example?p=1.5&c=&"),
        ("https://a.example/{account.aid}/{click_id}", "https://a.example/7%2F7/01abc"),
        ("https://{account.domain}/c", "https://track.example.com/c"),
        ("https://{raw:account.domain}:8443/c", "https://track.example.com:8443/c"),
        ("https://{account.domain}", "https://track.example.com"),
        ("https://s-{account.domain}.example/c", "https://s-track.example.com.example/c"),
        ("https://a.example/?j={{\"a\":{{}}}}", "https://a.example/?j=%7B%22a%22:%7B%7D%7D"),
        ("https://a.example/{{{click_id}}}", "https://a.example/%7B01abc%7D"),
        (
            "https://a.example/<{clickid}>?a=^`|\\[]!",
            "https://a.example/%3C01abc%3E?a=%5E%60%7C%5C[]!",
        ),
        ("https://a.example/?t={timestamp}", "https://a.example/?t=1790000000"),
        ("https://a.example/?a=\u{e9} b", "https://a.example/?a=%C3%A9%20b"),
        ("https://a.example/?s={status:approved=1,pending=2}", "https://a.example/?s=1"),
        ("https://a.example/?s={status:pending=2}&x", "https://a.example/?s=&x"),
        ("https://a.example/?s={status: approved = a b&c }", "https://a.example/?s=a%20b%26c"),
        ("https://a.example/?s={status}", "https://a.example/?s=approved"),
        ("https://a.example/?s={raw:status:approved=a&b}", "https://a.example/?s=a&b"),
        ("https://a.example/?s={status:approved=a=b;c}", "https://a.example/?s=a%3Db%3Bc"),
    ];
    for (url, expected) in cases {
        assert_eq!(filled(url), expected, "{url}");
    }
}

#[test]
fn a_template_that_cannot_be_filled_in_says_why() {
    let cases = [
        ("", "begins with https://"),
        ("ftp://a.example/", "begins with https://"),
        ("{external_id}", "begins with https://"),
        ("https://{sub1}/", "the host is written out"),
        ("https://a.example{external_id}/", "the host is written out"),
        ("https:///c", "not a host"),
        ("https://user@a.example/", "a URL has no user"),
        ("https://a.example:{account.aid}00000/", "port"),
        ("https://{{a}}/", "host"),
        ("https://a.example/{clikid}", "no macro {clikid}; the nearest is {click_id}"),
        ("https://a.example/{raw:txnid}", "no macro {txnid}; the nearest is {txn_id}"),
        ("https://a.example/{zzz}", "there are: external_id, click_id"),
        ("https://a.example/{}", "no macro {}"),
        ("https://a.example/{account.}", "no macro {account.}"),
        ("https://a.example/{sub11}", "no macro {sub11}"),
        ("https://a.example/{click_id", "`{` at byte 18 is not closed"),
        ("https://a.example/{{click_id}", "`}` at byte 28 closes nothing"),
        ("https://a.example/{a{click_id}", "`{` at byte 18 is not closed"),
        ("https://a.example/{status:approved}", "`approved` is not `status=word`"),
        ("https://a.example/{status:aproved=1}", "the nearest is `approved`"),
        ("https://a.example/{status:sale=1}", "there are: pending, approved"),
        ("https://a.example/{raw:status:sale=1}", "there are: pending, approved"),
        ("https://a.example/{status:approved=1;reversed=2}", "commas stand between"),
        ("https://a.example/?c=REPLACE&d={payout}", "`c` is `REPLACE`, which stands for a value"),
        ("https://a.example/?d={payout}&c=<click_id>", "`c` is `<click_id>`"),
        ("https://a.example/?c={click_id}#top", "what is behind `#` is never sent"),
        ("https://a.example#{click_id}", "write `%23`"),
        ("https://a.example/?c=YOUR_CLICK_ID#top", "`c` is `YOUR_CLICK_ID`"),
        ("https://a.example/{status:approved=1,approved=2}", "`approved` stands twice"),
    ];
    for (url, expected) in cases {
        let fault = of_url(url).fault().unwrap_or_default();
        assert!(fault.contains(expected), "{url}: {fault}");
    }
    let long = format!("https://a.example/{}", "a".repeat(URL_BYTES_MAX));
    assert!(of_url(&long).fault().unwrap().contains("longer than"));
    let many = format!("https://a.example/{}", "{sub1}".repeat(201));
    assert!(of_url(&many).fault().unwrap().contains("more than 200 macros"));
}

#[test]
fn accounts_are_those_that_are_used() {
    let with = |accounts: &str| {
        let json =
            format!(r#"{{"url":"https://a.example/{{account.aid}}","accounts":[{accounts}]}}"#);
        outbound(&json).fault().unwrap_or_default()
    };
    let aid = r#"{"name":"aid","about":"in the settings"}"#;
    assert_eq!(with(aid), "");
    assert!(with("").contains("{account.aid} is not among"));
    assert!(with(&format!("{aid},{aid}")).contains("stands twice"));
    assert!(with(&format!(r#"{aid},{{"name":"key","about":"x"}}"#)).contains("nothing uses `key`"));
    assert!(with(&format!(r#"{aid},{{"name":"Key","about":"x"}}"#)).contains("is no name"));
    assert!(with(r#"{"name":"aid","about":" "}"#).contains("what it is about"));
}

#[test]
fn an_account_without_a_value_or_host_stops_the_request() {
    let made = of_url("https://{account.domain}/{account.aid}");
    let with = |domain: &'static str, aid: &'static str| {
        made.request(|field| match field {
            Field::Account(name) if name == "domain" => domain.into(),
            _ if aid.is_empty() => Value::Empty,
            _ => aid.into(),
        })
    };
    assert_eq!(with("a.example", "7").unwrap().url, "https://a.example/7");
    assert_eq!(with("a.example", ""), Err(Unfilled::Account("aid".to_owned())));
    assert_eq!(with("a.example:8443", "7:7").unwrap().url, "https://a.example:8443/7%3A7");
    let hosts = ["a.example/x", "u@a.example", "a b", "a.example?x", "", "\u{e9}.example"];
    for host in hosts.into_iter().chain(["a.example:", "a.example:0", ":80", "u:1@a.example"]) {
        assert!(with(host, "7").is_err(), "{host:?}");
    }
    let made = of_url("https://{account.domain}:80/");
    assert!(made.request(|_| "a.example:8443".into()).is_err());
}

#[test]
fn a_faulty_one_makes_no_request_and_says_why() {
    let why = of_url("https://a.example/{status:approved=1;reversed=2}").request(value);
    assert!(why.unwrap_err().to_string().contains("commas stand between"));
}

#[test]
fn a_value_stays_in_its_place_in_every_kind_of_body() {
    let body = |content_type: &str, body: &str| {
        let mut made = outbound(r#"{"method":"POST","url":"https://a.example/"}"#);
        made.content_type = Some(content_type.to_owned());
        made.body = Some(body.to_owned());
        assert_eq!(made.fault(), None, "{body}");
        made.request(value).unwrap().body.unwrap()
    };
    let json = r#"{{"a":"{sub10}","p":{payout},"s":"{status:approved=\"}"}}"#;
    let filled = r#"{"a":"ö\"<\r\n","p":1.5,"s":"\\\""}"#;
    assert_eq!(body("application/json; charset=utf-8", json), filled);
    let json = r#"{{"{goal}":{goal},"a\"":[{raw:param1},{payout}],"s":{status:pending=1}}}"#;
    assert_eq!(body("application/json", json), r#"{"":null,"a\"":[null,1.5],"s":null}"#);
    let json = r#"{{"a":{sub10},"b":{param1},"n":{payout},"s":{status:approved=true}}}"#;
    let filled = r#"{"a":"ö\"<\r\n","b":null,"n":1.5,"s":true}"#;
    assert_eq!(body("application/json", json), filled, "a text is quoted where nobody has");
    assert_eq!(body("text/plain", "{goal}-{payout}"), "-1.5");
    let form = "a={sub10}&b={raw:external_id}";
    assert_eq!(
        body("application/x-www-form-urlencoded", form),
        "a=%C3%B6%22%3C%0D%0A&b=a/b&c=d%20e"
    );
    assert_eq!(body("text/xml", "<a>{sub10}</a>"), "<a>\u{f6}&quot;&lt;</a>");
    assert_eq!(body("text/plain", "{sub10}!"), "\u{f6}\"<!");
}

#[test]
fn a_body_comes_with_its_type_and_a_method_that_has_one() {
    let fault = |json: &str| outbound(json).fault().unwrap_or_default();
    let url = r#""url":"https://a.example/""#;
    assert!(fault(&format!(r#"{{{url},"body":"a"}}"#)).contains("a GET has none"));
    assert!(fault(&format!(r#"{{{url},"content_type":"a/b"}}"#)).contains("there is no body"));
    let body = |body: &str| {
        let mut made = outbound(&format!(r#"{{"method":"POST",{url}}}"#));
        made.content_type = Some("application/json".to_owned());
        made.body = Some(body.to_owned());
        made.fault().unwrap_or_default()
    };
    for good in [r#"{{"a":"{sub1}"}}"#, "[{raw:param1}]", "{goal}"] {
        assert_eq!(body(good), "", "{good}");
    }
    for bad in [r#"{{"a":"{sub1}}}"#, r"{{a:{sub1}}}", "[{sub1},]", "a={sub1}", ""] {
        assert!(body(bad).starts_with("body: filled in it would be no JSON"), "{}", body(bad));
    }
    let post = format!(r#"{url},"method":"POST","body":"a""#);
    assert!(fault(&format!("{{{post}}}")).contains("a body needs one"));
    assert!(fault(&format!(r#"{{{post},"content_type":"a/b\r\nc: d"}}"#)).contains("needs one"));
    let bad = r#""method":"POST","content_type":"application/json","body":"{\"a\":1}""#;
    assert!(fault(&format!("{{{url},{bad}}}")).contains("body: there is no macro"));
}

#[test]
fn an_answer_means_what_the_platform_says_it_does() {
    use Verdict::{Delivered, Rejected, Unverified};
    let any = r#"{"url":"x"}"#;
    let text =
        r#"{"url":"x","success":{"body":"OK"},"failure":[{"body":"ERROR"},{"status":[209]}]}"#;
    let both = r#"{"url":"x","success":{"status":[200,302],"body":"1"}}"#;
    let blind = r#"{"url":"x","verifiable":false}"#;
    let blind_200 = r#"{"url":"x","verifiable":false,"success":{"status":[200]}}"#;
    let cases = [
        (any, 200, "", Delivered),
        (any, 204, "ERROR", Delivered),
        (any, 302, "", Rejected),
        (any, 500, "", Rejected),
        (text, 200, "all OK.", Delivered),
        (text, 200, "ok", Rejected),
        (text, 500, "OK", Rejected),
        (text, 200, "OK, but ERROR", Rejected),
        (text, 209, "OK", Rejected),
        (both, 302, "1", Delivered),
        (both, 201, "1", Rejected),
        (both, 200, "0", Rejected),
        (blind, 200, "", Unverified),
        (blind, 404, "", Rejected),
        (blind_200, 200, "", Unverified),
        (blind_200, 204, "", Rejected),
    ];
    for (json, status, body, expected) in cases {
        let verdict = outbound(json).verdict_of(status, body.as_bytes());
        assert_eq!(verdict, expected, "{json} {status} {body}");
    }
}

#[test]
fn conditions_that_say_nothing_are_faults() {
    let fault = |rest: &str| {
        outbound(&format!(r#"{{"url":"https://a.example/",{rest}}}"#)).fault().unwrap_or_default()
    };
    assert!(fault(r#""success":{}"#).starts_with("success: it says nothing"));
    assert!(
        fault(r#""failure":[{"body":"a"},{"status":[500,99]}]"#)
            .starts_with("failure[1].status[1]: 99 is not")
    );
    assert!(fault(r#""failure":[{"body":""}]"#).starts_with("failure[0].body: a body has"));
    assert!(fault(r#""success":{"status":[99]}"#).starts_with("success.status[0]: 99 is not"));
    assert!(fault(r#""headers":{"X-a":"b"}"#).starts_with("headers.X-a: `X-a` is no name"));
    let many = vec![r#"{"status":[400]}"#; FAILURES_MAX + 1].join(",");
    assert!(fault(&format!(r#""failure":[{many}]"#)).starts_with("failure: more than"));
}

#[test]
fn it_reads_back_as_it_was_written() {
    let text = r#"{"url":"x","verifiable":false,"failure":[{"body":"E"}],
        "accounts":[{"name":"a","about":"b","secret":true}]}"#;
    for made in [outbound(text), outbound(r#"{"url":"x"}"#)] {
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(outbound(&json), made, "{json}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_sent_is_printable_and_goes_to_its_host(
        path in "(/|\\?|#|\\{(click_id|raw:sub1|external_id|status:approved=x|account\\.aid)\\}|\\{\\{|\\}\\}|\\PC|[{}\r\n\0@\\\\]){0,20}",
        bytes: Vec<u8>,
    ) {
        let made = of_url(&format!("https://a.example/{path}"));
        if made.fault().is_some() {
            return Ok(());
        }
        if let Ok(request) = made.request(|_| Value::Bytes(&bytes)) {
            prop_assert!(request.url.starts_with("https://a.example/"));
            prop_assert!(request.url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        }
    }

    #[test]
    fn a_json_body_is_json_whatever_is_filled_in(text: String) {
        let template = Template::parse(r#"{{"a":"{sub1}"}}"#, Syntax::Json).unwrap();
        let body = template.render(|_| text.as_str().into());
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
    }
}

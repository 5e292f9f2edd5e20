//! Requests that other programs signed: the command stands beside each.

use super::tests::{get, in_header, post, signed, with_headers};
use crate::contract::Contract;
use crate::hit::Hit;

/// What their bodies are.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";
/// Schemes of several requests.
pub(super) const URL_SHA1: &str = r#"{"algorithm":"hmac_sha1","input":{"kind":"url"}}"#;
pub(super) const QUERY_SHA256: &str = r#"{"algorithm":"hmac_sha256","input":{"kind":"query"}}"#;
const BODY_SHA256: &str = r#"{"algorithm":"hmac_sha256","input":{"kind":"body"}}"#;
pub(super) const SORTED: &str = r#"{"algorithm":"hmac_sha256","input":{"kind":"sorted_query"}}"#;
const JSON_BODY: &str = r#"{"click_id":"abc","txn_id":"77"}"#;
const SPELT: &str = "title=A%20%26%20b*~&click_id=abc&amount=1.5";
pub(super) const OPTIONAL: &str = r#"{"algorithm":"sha1","input":{"kind":"fields",
    "fields":["t","u","cur","coin","dev","app","{secret}"],"optional":["dev"]}}"#;
pub(super) const POLL: &str = r#"{"algorithm":"hmac_sha1","encoding":"base64","input":{"kind":"fields",
    "fields":["cpa","device","request","reward","value","status","reason","at","tx"],
    "separator":":","optional":["request"]}}"#;

/// A request with the signature that another program made of it. Every byte is signed.
pub(super) struct Vector {
    pub(super) scheme: &'static str,
    /// The signature's header; else it is a parameter.
    header: Option<&'static str>,
    pub(super) query: &'static str,
    pub(super) body: Option<(&'static str, &'static str)>,
    pub(super) signature: &'static str,
}

impl Vector {
    const fn new(scheme: &'static str, query: &'static str) -> Self {
        Self { scheme, header: None, query, body: None, signature: "" }
    }

    /// The signature in a header.
    const fn by_header(scheme: &'static str, query: &'static str, signature: &'static str) -> Self {
        Self { header: Some("x-signature"), signature, ..Self::new(scheme, query) }
    }

    const fn with_body(self, content_type: &'static str, body: &'static str) -> Self {
        Self { body: Some((content_type, body)), ..self }
    }

    pub(super) fn contract(&self) -> Contract {
        self.header.map_or_else(|| signed(self.scheme), |name| in_header(self.scheme, name))
    }

    pub(super) fn hit(&self) -> Hit {
        let hit = match self.body {
            Some((content_type, body)) => post(self.query, content_type, body),
            None => get(self.query),
        };
        let headers: Vec<_> = self.header.iter().map(|name| (*name, self.signature)).collect();
        with_headers(hit, &headers)
    }
}

/// Secret `s3cret`, base `https://t.example`, path `/postback/k3y`.
pub(super) const VECTORS: [Vector; 22] = [
    // printf '%s' 'user-1:2.35:s3cret' | md5sum
    Vector::new(
        r#"{"algorithm":"md5","input":{"kind":"fields","fields":["name","amount","{secret}"],
            "separator":":"}}"#,
        "amount=2.35&name=user-1&sig=f43125e8ce2ceb5f608cf7d84f64d74f",
    ),
    // printf '%s' 'u1t12.50s3cret' | md5sum
    Vector::new(
        r#"{"algorithm":"md5","input":{"kind":"fields",
            "fields":["name","txn_id","amount","{secret}"]}}"#,
        "name=u1&txn_id=t1&amount=2.50&sig=E4BA0023F7AFC1E38E28FDED765D04D2",
    ),
    // printf '%s' 't1u1USD100dev1app1s3cret' | sha1sum
    Vector::new(
        OPTIONAL,
        "t=t1&u=u1&cur=USD&coin=100&dev=dev1&app=app1\
         &hash=7fa4ac0925ca116868f8349b04baf7f8a6b97b32",
    ),
    // printf '%s' 'u1203.0.113.7x2.50100s3cret' | sha256sum
    Vector::new(
        r#"{"algorithm":"sha256","input":{"kind":"fields",
            "fields":["u","ip","rev","cur","{secret}"]}}"#,
        "u=u1&ip=203.0.113.7x&rev=2.50&cur=100\
         &sig=f7a9a21659f00118769247340aa89d452f74058125613c50893907de9e6a009c",
    ),
    // printf '%s' 'A%20b:s3cret' | sha256sum
    Vector::new(
        r#"{"algorithm":"sha256","input":{"kind":"fields","fields":["name","{secret}"],
            "separator":":","values":"received"}}"#,
        "name=A%20b&sig=6aa10ccd51a59e36fd31fb063825a7f647fa9d5f0b2d46b4d1f12d5be180e4b4",
    ),
    // printf '%s' 'A b:s3cret' | sha256sum
    Vector::new(
        r#"{"algorithm":"sha256","input":{"kind":"fields","fields":["name","{secret}"],
            "separator":":"}}"#,
        "name=A%20b&sig=8b87d5841c7bb9c54734e62756b314d5e5ab5a0618dff1ab3c805ec47bbef27b",
    ),
    // printf '%s' '30:dev 1:Coins:2:approved::1700000000:tx&1' |
    //   openssl dgst -sha1 -hmac s3cret -binary | base64
    Vector::new(
        POLL,
        "cpa=30&device=dev+1&reward=Coins&value=2&status=approved\
         &reason=&at=1700000000&tx=tx%261&sig=8VQ8r7%2BSmbOMzDOk86oLZ2Czaeg%3D",
    ),
    // printf '%s' '30:dev 1:req-7:Coins:2:approved::1700000000:tx&1' | …
    Vector::new(
        POLL,
        "cpa=30&device=dev+1&request=req-7&reward=Coins&value=2&status=approved\
         &reason=&at=1700000000&tx=tx%261&sig=T+IU72xybj9c9NZNvEEfffr20W4=",
    ),
    // printf '%s' 'https://t.example/postback/k3y?click_id=abc&value=1.5&name=A%20b' |
    //   openssl dgst -sha1 -hmac s3cret
    Vector::new(
        URL_SHA1,
        "click_id=abc&value=1.5&name=A%20b&hash=d397c9eee5daae1cbc013206f3290403d79a149e",
    ),
    // … -binary | base64 | tr '+/' '-_' | tr -d =
    Vector::new(
        r#"{"algorithm":"hmac_sha1","encoding":"base64url","input":{"kind":"url"}}"#,
        "hash=05fJ7uXarhy8ATIG8ykEA9eaFJ4&click_id=abc&value=1.5&name=A%20b",
    ),
    // printf '%s' 'https://t.example/postback/k3y?click_id=abc&value=1.5&name=A%20b' |
    //   openssl dgst -sha256 -hmac s3cret
    Vector::by_header(
        r#"{"algorithm":"hmac_sha256","prefix":"sha256=","input":{"kind":"url"}}"#,
        "click_id=abc&value=1.5&name=A%20b",
        "sha256=02db30a629fdc234fb45c4597efe43312aa0fd49d040411a064b3893ee5ece47",
    ),
    // printf '%s' 'https://t.example/postback/k3y?click_id=abcs3cret' | md5sum
    Vector::new(
        r#"{"algorithm":"md5","secret":"after","input":{"kind":"url"}}"#,
        "click_id=abc&sig=b8770e696a3c8d2a61f928c9f539c2f4",
    ),
    // printf '%s' 'b=2&a=1&click_id=abc' | openssl dgst -sha256 -hmac s3cret
    Vector::new(
        QUERY_SHA256,
        "b=2&a=1&sig=c6a7e077f74022245eb2ea236724c46fb7273cb4f518919d7e71d188021ccf24&click_id=abc",
    ),
    // The same as a form.
    Vector::new(QUERY_SHA256, "").with_body(
        FORM,
        "b=2&a=1&click_id=abc&sig=c6a7e077f74022245eb2ea236724c46fb7273cb4f518919d7e71d188021ccf24",
    ),
    // printf '%s' 's3cretb=2&click_id=abc' | sha1sum
    Vector::new(
        r#"{"algorithm":"sha1","secret":"before","input":{"kind":"query"}}"#,
        "b=2&click_id=abc&sig=fa01d487af5502addeae57d643908f851e21fadc",
    ),
    // printf '%s' '{"click_id":"abc","txn_id":"77"}' | openssl dgst -sha256 -hmac s3cret
    Vector::by_header(
        BODY_SHA256,
        "",
        "1252bbf39b9df89207ea0971297c47d9ff1fc066d6ee5810024ef76e7cdb2a82",
    )
    .with_body(JSON, JSON_BODY),
    // … -binary | base64
    Vector::by_header(
        r#"{"algorithm":"hmac_sha256","encoding":"base64","input":{"kind":"body"}}"#,
        "",
        "ElK785ud+JIH6glxKXxH2f8fwGbW7lgQAk73bnzbKoI=",
    )
    .with_body(JSON, JSON_BODY),
    // printf '%s' '{"click_id":"abc","txn_id":"77"}s3cret' | sha256sum
    Vector::by_header(
        r#"{"algorithm":"sha256","secret":"after","input":{"kind":"body"}}"#,
        "",
        "92216690a0f0e18f4d3c2f4469f588c1ff8454b3c1a0778a817af64aeaa7bd98",
    )
    .with_body(JSON, JSON_BODY),
    // s='amount=1.5&click_id=abc&title=A%20%26%20b*~' is `title=A & b*~` by encodeURIComponent:
    // printf '%s' "$s" | openssl dgst -sha256 -hmac s3cret
    Vector::by_header(
        SORTED,
        SPELT,
        "f3a6d3b6116e2bc79ad24189871968c518e9a0cc38692f45dd260053d64b9739",
    ),
    // The same with s='amount=1.5&click_id=abc&title=A+%26+b*%7E', by node's URLSearchParams
    Vector::by_header(
        SORTED,
        SPELT,
        "1e1428b26113e05da1218fc118786c109a98fccf6ef95dec50583680809fcff5",
    ),
    // and 'amount=1.5&click_id=abc&title=A+%26+b%2A%7E', by PHP's http_build_query,
    Vector::by_header(
        SORTED,
        SPELT,
        "b4fd5805e27329fb588de08cc55ba317e3752fc5be2504ce5d3a5c49ceb5fa8d",
    ),
    // and 'amount=1.5&click_id=abc&title=A%2B%2526%2Bb%252A%257E', urlencode before that.
    Vector::by_header(
        SORTED,
        SPELT,
        "0f06d60ae8befdd088febd18f0501aea57f8ac3310d915d956c031c3d5b6fe34",
    ),
];

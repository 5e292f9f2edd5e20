//! A publisher that is told: its own server, which believes what is signed as KiwiWall's guide has
//! it and counts each conversion once, and the comparison of what it counted with what we say.

use super::figures;
use super::world::{World, id_of, parameter_of};
use crate::terminal::{Side, Table, bold, number};
use anyhow::{Context, bail};
use domain::money::Micros;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "agreed with the publisher";
/// Its postback URL, with our macros.
const TARGET: &str = "/postback?status={status}&click_id={external_id}&txn_id={txn_id}\
    &payout={payout}&signature={signature}";
/// The longest request it reads, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEAD_ENDS: &[u8] = b"\r\n\r\n";
/// How often it is looked whether all has been told, and how long apart.
const LOOKS_MAX: u32 = 500;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What one side says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    requests: u64,
    /// Those that were turned away for now.
    again: u64,
    /// Those that told something that was not known.
    taken: u64,
    payout: Micros,
}

/// What it has to be told.
#[derive(Debug)]
struct Owed {
    deliveries: u64,
    payout: Micros,
}

fn is_told(owed: &Owed, ours: &Told, theirs: &Told) -> bool {
    ours == theirs && (ours.taken, ours.payout) == (owed.deliveries, owed.payout)
}

/// What its server knows.
#[derive(Default)]
struct Book {
    told: Told,
    keys: BTreeSet<String>,
}

pub(super) struct Publisher {
    destination: u64,
    id: u64,
    book: Arc<Mutex<Book>>,
}

impl Publisher {
    /// Starts its server, and has it told from now on.
    pub(super) async fn begin(world: &mut World) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let book = Arc::<Mutex<Book>>::default();
        tokio::spawn(serve(listener, book.clone()));
        let id = world.publishers[0];
        let fields = json!(["click_id", "txn_id", "payout", "{secret}"]);
        let input = json!({ "kind": "fields", "fields": fields, "separator": ":" });
        let destination = json!({
            "publisher_id": id, "url": format!("http://{address}{TARGET}"), "secret": SECRET,
            "scheme": { "algorithm": "sha256", "input": input },
            "corrections": { "how": "difference" },
        });
        let destination = id_of(&world.post("/destinations", destination).await?)?;
        Ok(Self { destination, id, book })
    }

    /// What both say, printed; an error where they differ.
    pub(super) async fn check_and_print(&self, world: &mut World) -> anyhow::Result<()> {
        let mut looks = 0;
        let (owed, ours, theirs) = loop {
            let (owed, ours) = self.ours(world).await?;
            let theirs = self.book.lock().expect("nobody panics with it").told.clone();
            looks += 1;
            if looks == LOOKS_MAX || is_told(&owed, &ours, &theirs) {
                break (owed, ours, theirs);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        say!("{}: what North Traffic is told, signed", bold("Deliveries"));
        let mut table =
            Table::new([("", Side::Left), ("we say", Side::Right), ("it says", Side::Right)]);
        let mut row = |what: &str, ours: String, theirs: String| {
            table.row([what.to_owned(), ours, theirs]);
        };
        row("owed", number(owed.deliveries), String::new());
        row("requests", number(ours.requests), number(theirs.requests));
        row("turned away (503), and sent again", number(ours.again), number(theirs.again));
        row("delivered", number(ours.taken), number(theirs.taken));
        row("payout they add up to", ours.payout.to_fixed(), theirs.payout.to_fixed());
        row("payout in the report", owed.payout.to_fixed(), String::new());
        table.print(2);
        say!();
        if !is_told(&owed, &ours, &theirs) || ours.again == 0 {
            bail!("it was not told what it is owed: {owed:?}, {ours:?}, {theirs:?}");
        }
        Ok(())
    }

    /// What it is owed by the report, and what it was told by the log of deliveries.
    async fn ours(&self, world: &mut World) -> anyhow::Result<(Owed, Told)> {
        let report = world.get("/reports?group_by=publisher").await?;
        let rows = figures::read(&report, "publisher")?;
        let payout = rows.get(&Some(self.id.to_string())).map_or(Micros::ZERO, |row| row.payout);
        let mut owed = Owed { deliveries: 0, payout };
        let mut told = Told::default();
        let mut cursor = String::new();
        loop {
            let path = format!("/deliveries?destination_id={}{cursor}", self.destination);
            let page = world.get(&path).await?;
            for delivery in page["items"].as_array().context("a page without items")? {
                // What was taken back before it was sent is not owed any more.
                owed.deliveries += u64::from(delivery["state"] != "cancelled");
                told.add(delivery)?;
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok((owed, told)),
            }
        }
    }
}

impl Told {
    /// Adds what a delivery says.
    fn add(&mut self, delivery: &Value) -> anyhow::Result<()> {
        let attempts = delivery["attempt_count"].as_u64().context("no number of attempts")?;
        let is_taken = delivery["state"] == "delivered";
        self.requests += attempts;
        self.taken += u64::from(is_taken);
        self.again += attempts - u64::from(is_taken).min(attempts);
        if is_taken {
            self.payout = sum(self.payout, delivery["difference"].as_str())?;
        }
        Ok(())
    }
}

fn sum(of: Micros, text: Option<&str>) -> anyhow::Result<Micros> {
    let parsed = text.and_then(|text| Micros::parse(text).ok()).context("it is no amount")?;
    of.checked_add(parsed.amount).context("it is too much")
}

impl Book {
    /// What it answers to a request, by its head: status and body.
    fn answer(&mut self, head: &str) -> (u16, &'static str) {
        self.told.requests += 1;
        if self.told.requests == 1 {
            self.told.again += 1;
            return (503, "try again");
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        let value = |name: &str| {
            let raw = parameter_of(target, name).unwrap_or_default();
            percent_decode_str(raw).decode_utf8_lossy().into_owned()
        };
        let (payout, signature) = (value("payout"), value("signature"));
        let signed = format!("{}:{}:{payout}:{SECRET}", value("click_id"), value("txn_id"));
        if crate::keys::hex(&Sha256::digest(signed)) != signature {
            return (401, "signature_mismatch");
        }
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
        if !self.keys.insert(key.map_or_else(String::new, |(_, key)| key.to_owned())) {
            return (200, "already_processed");
        }
        let Ok(payout) = sum(self.told.payout, Some(&payout)) else {
            return (400, "invalid_payload");
        };
        self.told.payout = payout;
        self.told.taken += 1;
        (200, "OK")
    }
}

async fn serve(listener: TcpListener, book: Arc<Mutex<Book>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let book = book.clone();
        tokio::spawn(async move {
            // Its end is no news: who was not answered asks again.
            _ = converse(stream, &book).await;
        });
    }
}

/// Reads requests without bodies, and answers each.
async fn converse(mut stream: TcpStream, book: &Mutex<Book>) -> io::Result<()> {
    let mut unread = Vec::new();
    loop {
        let Some(end) = unread.windows(HEAD_ENDS.len()).position(|four| four == HEAD_ENDS) else {
            if unread.len() > HEAD_BYTES_MAX || stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head: Vec<u8> = unread.drain(..end + HEAD_ENDS.len()).collect();
        let head = String::from_utf8_lossy(&head);
        let (status, body) = book.lock().expect("nobody panics with it").answer(&head);
        let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_server_takes_each_once_and_nothing_that_is_not_signed() {
        let mut book = Book::default();
        let mut say = |key: &str, payout: &str, secret: &str| {
            let signature = crate::keys::hex(&Sha256::digest(format!("c 1:t:{payout}:{secret}")));
            let query = format!("click_id=c%201&txn_id=t&payout={payout}&signature={signature}");
            let head = format!("GET /postback?{query} HTTP/1.1\r\nIdempotency-Key: {key}\r\n\r\n");
            book.answer(&head)
        };
        assert_eq!(say("1-1-1", "1.60", SECRET), (503, "try again"));
        assert_eq!(say("1-1-1", "1.60", SECRET), (200, "OK"));
        assert_eq!(say("1-1-1", "1.60", SECRET), (200, "already_processed"));
        assert_eq!(say("1-2-1", "-0.60", SECRET), (200, "OK"));
        assert_eq!(say("2-1-1", "9", "guessed"), (401, "signature_mismatch"));
        assert_eq!(say("3-1-1", "much", SECRET), (400, "invalid_payload"));
        let told = Told { requests: 6, again: 1, taken: 2, payout: Micros(1_000_000) };
        assert_eq!(book.told, told);
    }

    #[test]
    fn what_was_taken_counts_and_the_rest_was_turned_away() {
        let mut told = Told::default();
        for (state, attempts, difference) in [
            ("delivered", 2, "1.60"),
            ("delivered", 1, "-0.60"),
            ("cancelled", 0, "5"),
            ("waiting", 1, "7"),
        ] {
            let delivery =
                json!({ "state": state, "attempt_count": attempts, "difference": difference });
            told.add(&delivery).unwrap();
        }
        assert_eq!(told, Told { requests: 4, again: 2, taken: 2, payout: Micros(1_000_000) });
    }
}

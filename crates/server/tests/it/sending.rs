//! What is sent once and what not at all: through an orderly stop, a pause, and changes meanwhile.

use crate::deliveries::Scene;
use crate::network::text;
use crate::receiver::Told;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

/// What everybody waits before, until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (is_open, opened) = &*self.0;
        let is_open = is_open.lock().unwrap();
        drop(opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        let (is_open, opened) = &*self.0;
        *is_open.lock().unwrap() = true;
        opened.notify_all();
    }
}

#[test]
fn a_server_that_is_stopped_in_an_orderly_way_sends_nothing_twice() {
    let mut scene = Scene::start(&[]);
    for number in 0..4 {
        scene.destination(&format!("/{number}?c={{external_id}}"), &json!({}));
    }
    let gate = Gate::default();
    let held = gate.clone();
    scene.receiver.answers(move |_, _| {
        held.pass();
        Some((200, "OK".to_owned()))
    });
    let conversions: Vec<u64> = (0..3).map(|_| scene.converts().1).collect();
    scene.receiver.hears(12);
    let address = scene.network.server.address();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Once it lets nobody in, it is stopping.
            while TcpStream::connect(address).is_ok() {
                std::thread::yield_now();
            }
            gate.open();
        });
        scene.network.restart();
    });
    for conversion in conversions {
        scene.come_to(conversion, &["delivered"; 4]);
    }
    let told = scene.receiver.told();
    let keys: BTreeSet<&str> = told.iter().map(Told::key).collect();
    assert_eq!((told.len(), keys.len()), (12, 12), "each once");
}

#[test]
fn nothing_begins_once_a_pause_is_answered() {
    let mut scene = Scene::start(&[]);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    let path = format!("/destinations/{destination}");
    let conversions: Vec<u64> = (0..30).map(|_| scene.converts().1).collect();
    for conversion in &conversions {
        scene.come_to(*conversion, &["delivered"]);
    }
    for _ in 0..5 {
        let before = scene.receiver.told().len();
        let replay = json!({ "destination_id": destination, "preview": false });
        scene.network.make("/deliveries/replay", &replay);
        scene.receiver.hears(before + 3);
        let paused = scene.network.make(&format!("{path}/pause"), &json!({ "why": "x" }));
        let paused_at = text(&paused["condition"]["pause"]["at"]).trim_end_matches('Z').to_owned();
        // What had begun has ended.
        let told = || scene.receiver.told().len() as u64;
        scene.network.until("/deliveries", |found| {
            let items = found["items"].as_array().unwrap().iter();
            items.map(|one| one["attempt_count"].as_u64().unwrap()).sum::<u64>() == told()
        });
        for conversion in &conversions {
            let of_it = format!("/deliveries?conversion_id={conversion}");
            let found = scene.network.ask(&of_it)["items"][0].clone();
            for attempt in found["attempts"].as_array().unwrap() {
                let at = text(&attempt["at"]);
                assert!(at.trim_end_matches('Z') <= paused_at.as_str(), "{at} after {paused_at}");
            }
        }
        scene.network.make(&format!("{path}/resume"), &json!({}));
        for conversion in &conversions {
            scene.come_to(*conversion, &["delivered"]);
        }
    }
}

#[test]
fn what_can_no_longer_be_taken_back_is_uncorrectable_and_was_not_tried() {
    let mut scene = Scene::start(&[]);
    let status = json!({ "corrections": { "how": "status" } });
    let destination = scene.destination("/?s={status}", &status);
    let path = format!("/destinations/{destination}");
    let (click, conversion) = scene.converts();
    scene.come_to(conversion, &["delivered"]);
    scene.network.make(&format!("{path}/pause"), &json!({ "why": "x" }));
    scene.says(&click, "reversed", "updated");
    scene.come_to(conversion, &["delivered", "waiting"]);
    let none = json!({ "corrections": { "how": "none" } });
    scene.network.change("PATCH", &path, &none);
    scene.network.make(&format!("{path}/resume"), &json!({}));
    let withdrawal = scene.come_to(conversion, &["delivered", "uncorrectable"]).remove(1);
    assert_eq!(withdrawal["attempts"], json!([]));
    assert_eq!(withdrawal["attempt_count"], 0);
    assert!(withdrawal["settled_at"].is_string(), "{withdrawal}");
}

#[test]
fn changes_of_one_destination_that_come_together_are_all_made() {
    let mut scene = Scene::start(&[]);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    let path = format!("/destinations/{destination}");
    for number in 1..=20 {
        let changes = [json!({ "delay_s": number }), json!({ "sampling": number.to_string() })];
        std::thread::scope(|scope| {
            for change in &changes {
                let mut client = scene.network.server.client();
                let path = &path;
                scope.spawn(move || {
                    assert_eq!(client.api("PATCH", path, Some(change)).status, 200);
                });
            }
        });
        let now = scene.network.ask(&path);
        assert_eq!(
            (&now["delay_s"], &now["sampling"]),
            (&json!(number), &json!(number.to_string()))
        );
    }
}

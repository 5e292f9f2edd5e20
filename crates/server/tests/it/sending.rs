//! What is sent once and what not at all: through an orderly stop, a pause, and changes meanwhile.

use crate::deliveries::Scene;
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
    let keys: BTreeSet<&str> = told.iter().map(|told| told.key()).collect();
    assert_eq!((told.len(), keys.len()), (12, 12), "each once");
}

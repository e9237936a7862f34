//! Many senders behind one proxy: Bugsink stores with each event the address of
//! its own sender, though all come over the connections that proxy, edge and
//! upstream share, and though each sender claims to be another.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use libtest_mimic::Trial;

use crate::bugsink::Bugsink;
use crate::client::{Client, request};
use crate::edge::KEY;
use crate::parts::{Part, promises};
use crate::way::{Front, Way};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        promises![&[Part::Python, Part::Nginx]; fifty_senders_behind_nginx_are_told_apart];
    trials.extend(promises![&[Part::Python, Part::Haproxy];
        fifty_senders_behind_haproxy_are_told_apart,
    ]);
    trials
}

/// Senders, from 127.0.1.1 on: none of them is the trusted 127.0.0.1.
const SENDERS: u8 = 50;

fn event_id(sender: u8) -> String {
    format!("9ec79c33ec9942ab8353589fcb2e04{sender:02x}")
}

fn envelope(sender: u8) -> Vec<u8> {
    let id = event_id(sender);
    let event = format!(
        r#"{{"event_id":"{id}","timestamp":"2026-01-02T03:04:05Z","platform":"other","level":"error","message":"from sender {sender}"}}"#
    );
    let length = event.len();
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n")
        .into_bytes()
}

/// Each sender's event lies in Bugsink under the sender's address and no other.
#[track_caller]
fn check_addresses(front: Front) {
    let bugsink = Bugsink::start();
    let way = Way::to(&bugsink.url, front);
    let mut wanted = BTreeMap::new();
    for sender in 1..=SENDERS {
        let source = Ipv4Addr::new(127, 0, 1, sender);
        let claimed = Ipv4Addr::new(203, 0, 113, sender).to_string();
        let mut client = Client::connect_from(source, way.door);
        client.send(&request(
            "POST",
            &format!("/api/1/envelope/?sentry_key={KEY}&sentry_version=7"),
            &[("X-Forwarded-For", claimed.as_str())],
            &envelope(sender),
        ));
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, 200, "{source}: {}", answer.text());
        wanted.insert(event_id(sender), source.to_string());
    }
    // An idle connection would hold the server's end up until its patience ends.
    drop(way);
    let stored: BTreeMap<String, String> = bugsink
        .stored()
        .iter()
        .map(|event| {
            let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            (word("event_id"), word("ip"))
        })
        .collect();
    assert_eq!(stored, wanted, "{front:?}");
}

fn fifty_senders_behind_nginx_are_told_apart() {
    check_addresses(Front::Nginx);
}

fn fifty_senders_behind_haproxy_are_told_apart() {
    check_addresses(Front::Haproxy);
}

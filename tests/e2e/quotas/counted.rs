//! The books: what came in is what went on, what stayed and why, to the item and to the
//! byte, under load, with an upstream that fails and clients that leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Client, request};
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::parts::promises;
use crate::senders::{STRANGE, target};
use crate::upstream::{Ended, Fake};

use super::{limited, one, row, statuses};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_never_reached_the_upstream_is_given_back,
        what_the_upstream_has_had_is_used_up_whatever_it_says,
        what_the_upstream_took_stays_taken,
        every_refusal_and_every_fault_is_in_the_books,
        the_books_close_under_load,
        nobody_looks_where_nobody_has_to,
    ]
}

/// The ledger, once nothing is in flight; its equation holds in every row.
#[track_caller]
pub(crate) fn settled(edge: &Edge) -> Value {
    let began = std::time::Instant::now();
    loop {
        let answer = edge.admin_get("/api/v1/ledger");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ledger = answer.json();
        for row in ledger["rows"].as_array().unwrap() {
            for unit in ["items", "bytes"] {
                let of = |name: &str| row[unit][name].as_u64().unwrap();
                let dropped: u64 = row[unit]["dropped"]
                    .as_object()
                    .unwrap()
                    .values()
                    .map(|n| n.as_u64().unwrap())
                    .sum();
                let in_flight = row["in_flight"].as_u64().unwrap();
                let ended = of("forwarded") + of("spooled") + dropped;
                let came = of("received") + of("carried");
                assert!(came >= ended, "more ended than came: {row}");
                if in_flight == 0 {
                    assert_eq!(came, ended, "{unit}: {row}");
                }
            }
        }
        if ledger["in_flight"] == json!(0) {
            return ledger;
        }
        assert!(
            began.elapsed().as_secs() < 20,
            "something stays in flight: {ledger}"
        );
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[track_caller]
pub(super) fn check_row(
    edge: &Edge,
    project: Value,
    category: &str,
    forwarded: u64,
    dropped: Value,
) {
    let row = row(edge, project, category);
    assert_eq!(
        (&row["items"]["forwarded"], &row["items"]["dropped"]),
        (&json!(forwarded), &dropped),
        "{row}"
    );
}

/// A quota of one, an upstream that fails in every way, a client that leaves: each time
/// the one place is free again.
/// It had no way to the upstream, or its client left half way.
fn what_never_reached_the_upstream_is_given_back() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["error"], "limit": 1, "per": "1h"}]);
    let edge = limited(&fake, &quotas);
    let mut client = edge.connect();
    let large = format!(
        "{{}}\n{{\"type\":\"event\",\"length\":900000}}\n{}",
        "x".repeat(400_000)
    );
    let length = (large.len() + 500_001).to_string();
    client.send(&request(
        "POST",
        &envelope_target(),
        &[("Content-Length", &length)],
        large.as_bytes(),
    ));
    fake.wait_for("half an event", |ledger| {
        let mut seen = ledger.requests.iter();
        seen.find(|seen| seen.ended == Ended::Open).map(|_| ())
    });
    client.reset();
    settled(&edge);
    assert_eq!(statuses(&edge, "event", 2), [200, 429]);
    check_row(
        &edge,
        json!(42),
        "error",
        1,
        json!({"client_gone": 1, "quota": 1}),
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    let edge = Edge::configured(&nobody, &nobody, changes);
    assert_eq!(statuses(&edge, "event", 3), [503, 503, 503]);
}

/// Else a flood of what the upstream refuses would be limited by nothing, and whoever can
/// have it fall silent would have no limit at all.
fn what_the_upstream_has_had_is_used_up_whatever_it_says() {
    for (status, told, reason) in [
        (500, 500, "upstream_500"),
        (400, 400, "upstream_4xx"),
        (403, 403, "upstream_4xx"),
        (0, 503, "no_upstream"),
    ] {
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            match status {
                0 => exchange.reset(),
                status => exchange.answer(status, &[], b"{}"),
            }
        });
        let quotas = json!([
            {"categories": ["error"], "limit": 2, "per": "1h"},
            {"categories": ["session"], "limit": 2, "per": "50s", "by": "ip"},
        ]);
        let edge = limited(&fake, &quotas);
        assert_eq!(statuses(&edge, "event", 3), [told, told, 429], "{status}");
        assert_eq!(statuses(&edge, "session", 3), [told, told, 429], "{status}");
        check_row(&edge, json!(42), "error", 0, json!({reason: 2, "quota": 1}));
    }
}

/// It answered 200, and the rest of its answer does not come.
fn what_the_upstream_took_stays_taken() {
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}")?;
        exchange.reset()
    });
    let quotas = json!([{"categories": ["error"], "limit": 1, "per": "1h"}]);
    let edge = limited(&fake, &quotas);
    let mut client = edge.connect();
    client.send(&request("POST", &envelope_target(), &[], &one("event")));
    client.head().ok();
    check_row(&edge, json!(42), "error", 1, json!({}));
    assert_eq!(statuses(&edge, "event", 1), [429]);
}

fn every_refusal_and_every_fault_is_in_the_books() {
    let fake = Fake::start();
    let changes = json!({"keys": {"mode": "strict"}, "projects": [{"id": 42, "keys": [KEY]}]});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    assert_eq!(
        edge.ask("POST", &target(42, STRANGE), &[], &one("event"))
            .status,
        403
    );
    assert_eq!(
        edge.ask("POST", "/api/42/store/", &[], b"12345").status,
        401
    );
    assert_eq!(
        edge.post_envelope(
            &[],
            b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":1}\n"
        )
        .status,
        400
    );
    assert_eq!(edge.post_envelope(&[], b"{}\n{nonsense}\n").status, 400);
    assert_eq!(edge.ask("POST", &dump_target(), &[], b"MDMP").status, 200);
    assert_eq!(edge.post_envelope(&[], b"{}").status, 200, "no items");
    let mixed = b"{}\n{\"type\":\"event\",\"length\":4}\n\"ab\"\n{\"type\":\"client_report\"}\n{}\n{\"type\":\"new\"}\n123";
    assert_eq!(edge.post_envelope(&[], mixed).status, 200);
    check_row(
        &edge,
        json!("unproven"),
        "unread",
        0,
        json!({"unknown_key": 1, "no_key": 1}),
    );
    let errors = row(&edge, json!(42), "error");
    assert_eq!(
        errors["items"]["forwarded"],
        json!(2),
        "the dump and the event"
    );
    assert_eq!(errors["items"]["dropped"], json!({"malformed": 1}));
    assert_eq!(errors["bytes"]["forwarded"], json!(8), "{errors}");
    check_row(&edge, json!(42), "unread", 0, json!({"malformed": 1}));
    check_row(&edge, json!(42), "client_report", 1, json!({}));
    let unknown = row(&edge, json!(42), "unknown");
    assert_eq!(unknown["bytes"]["forwarded"], json!(3), "{unknown}");
    let metric = edge.metric(
        "vidette_items_total",
        &[
            ("project=\"42\""),
            ("category=\"error\""),
            ("outcome=\"forwarded\""),
            ("reason=\"\""),
        ],
    );
    assert!((metric - 2.0).abs() < f64::EPSILON, "{metric}");
}

fn the_books_close_under_load() {
    const POSTS: usize = 150;
    let fails = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fails);
    let taken = Arc::new(AtomicUsize::new(0));
    let took = Arc::clone(&taken);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match count.fetch_add(1, Ordering::SeqCst) % 10 {
            3 => exchange.answer(500, &[], b"{}"),
            6 => exchange.reset(),
            _ => {
                took.fetch_add(1, Ordering::SeqCst);
                exchange.answer(200, &[], b"{}")
            }
        }
    });
    let changes = json!({
        "workers": 2,
        "projects": [{"id": 42, "keys": [KEY], "quotas": [{"categories": ["session"], "limit": 100, "per": "1h"}]}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let both = b"{}\n{\"type\":\"event\",\"length\":10}\n0123456789\n{\"type\":\"session\",\"length\":3}\nabc\n";
    thread::scope(|scope| {
        for number in 0..6 {
            let edge = &edge;
            scope.spawn(move || {
                for post in 0..POSTS {
                    let mut client = Client::connect(edge.public);
                    let whole = request("POST", &envelope_target(), &[], both);
                    match (number + post) % 5 {
                        // Leaves amid its head, amid its body, after its body.
                        0 => client.send(&whole[..20]),
                        1 => client.send(&whole[..whole.len() - 5]),
                        2 => client.send(&whole),
                        _ => {
                            client.send(&whole);
                            client.answer_to("POST");
                        }
                    }
                }
            });
        }
    });
    let ledger = settled(&edge);
    let errors = row(&edge, json!(42), "error");
    let sessions = row(&edge, json!(42), "session");
    let of = |row: &Value, unit: &str, what: &str| row[unit][what].as_u64().unwrap();
    assert_eq!(
        of(&errors, "items", "forwarded"),
        taken.load(Ordering::SeqCst) as u64,
        "{ledger}"
    );
    for (row, bytes) in [(&errors, 10), (&sessions, 3)] {
        assert_eq!(
            of(row, "bytes", "received"),
            bytes * of(row, "items", "received"),
            "{row}"
        );
        assert_eq!(
            of(row, "bytes", "forwarded"),
            bytes * of(row, "items", "forwarded"),
            "{row}"
        );
    }
    assert!(of(&sessions, "items", "forwarded") <= 100, "{sessions}");
    assert_eq!(
        of(&errors, "items", "received"),
        of(&sessions, "items", "received")
    );
}

fn nobody_looks_where_nobody_has_to() {
    let fake = Fake::start();
    let changes = json!({
        "inspect": "when_needed",
        "projects": [
            {"id": 42, "keys": [KEY]},
            {"id": 7, "quotas": [{"categories": ["session"], "limit": 0, "per": "1h"}]},
        ],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let odd = b"{}\n{\"type\":\"event\",\"length\":\"2\"}\n{}\n";
    assert_eq!(edge.post_envelope(&[], odd).status, 200, "nobody looks");
    check_row(&edge, json!(42), "unread", 1, json!({}));
    let unread = row(&edge, json!(42), "unread");
    assert_eq!(unread["bytes"]["forwarded"], json!(odd.len()), "{unread}");
    assert_eq!(
        edge.ask("POST", &target(7, STRANGE), &[], odd).status,
        400,
        "a policy looks"
    );
    let forged = b"{\"client\":\"forged\"}\n{\"type\":\"event\",\"length\":\"2\"}\n{}\n";
    assert_eq!(edge.post_envelope(&[], forged).status, 200);
    let seen = fake.requests();
    assert_eq!(
        seen.last().unwrap().body,
        b"{}\n{\"type\":\"event\",\"length\":\"2\"}\n{}\n"
    );
}

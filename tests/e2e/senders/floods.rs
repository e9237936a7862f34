//! More keys than anybody has: what of them reaches the upstream, what they cost
//! here, and that those who are known do not notice.

use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::json;

use super::{check_refused, send, target};
use crate::client::request;
use crate::edge::{Edge, KEY};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        made_up_keys_against_an_upstream_that_refuses_them,
        made_up_keys_against_an_upstream_that_accepts_all,
    ]
}

/// How many keys are made up, and how many of their requests are on the wire at once.
const KEYS: u64 = 30_000;
const AT_ONCE: u64 = 100;

/// What the edge may remember of them, and what it may let through a second.
const CANDIDATES_MAX: u32 = 1000;
const REFUSED_MAX: u32 = 100;
const RATE: u32 = 5;

/// More than the tables hold, far less than the keys would take.
const GROWTH_BYTES_MAX: f64 = 5e6;

/// The nth made-up key. An odd factor makes each another.
fn made_up(n: u64) -> String {
    let spread = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("{spread:032x}")
}

fn edge(fake: &Fake) -> Edge {
    let changes = json!({
        "keys": {
            "mode": "learn",
            "unproven_rate": format!("{RATE}/s"),
            "candidates_max": CANDIDATES_MAX,
            "refused_max": REFUSED_MAX,
        },
        "projects": [{"id": 42, "keys": [KEY]}],
        "log": {"level": "info"},
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// Sends the flood, and the named key's events within it. How many of it reached
/// the upstream must be explained by `free` and by the rate.
#[track_caller]
fn check_flood(edge: &Edge, fake: &Fake, free: u32) {
    let mut owner = edge.connect();
    let mut flood = edge.connect();
    for _ in 0..100 {
        assert_eq!(send(&mut owner, &target(42, KEY), &[]).status, 200);
    }
    let memory = || edge.metric("process_resident_memory_bytes", &[]);
    let (before, began) = (memory(), Instant::now());
    let arrived_before = fake.look(|ledger| ledger.requests.len());
    for batch in 0..KEYS / AT_ONCE {
        let requests: Vec<u8> = (batch * AT_ONCE..(batch + 1) * AT_ONCE)
            .flat_map(|n| request("POST", &target(42, &made_up(n)), &[], ENVELOPE))
            .collect();
        flood.send(&requests);
        for _ in 0..AT_ONCE {
            let answer = flood.answer_to("POST");
            if answer.header("x-sentry-error").is_some() {
                check_refused("a made-up key", &answer, 403, "unproven_key");
                // The rate is one by the second, so a second later is soon enough.
                assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
            }
        }
        let honest = send(&mut owner, &target(42, KEY), &[]);
        assert_eq!(honest.status, 200, "batch {batch}: {}", honest.text());
    }
    let elapsed_s = began.elapsed().as_secs_f64();
    let honest = usize::try_from(KEYS / AT_ONCE).unwrap();
    let arrived = fake.look(|ledger| ledger.requests.len()) - arrived_before - honest;
    // One second's worth may come at once.
    let most = f64::from(free) + f64::from(RATE) * (elapsed_s + 2.0);
    assert!(
        arrived as f64 <= most,
        "{arrived} made-up keys of {KEYS} reached the upstream, where {most} may"
    );
    let growth = memory() - before;
    assert!(growth < GROWTH_BYTES_MAX, "memory grew by {growth} bytes");
    for (table, most) in [
        ("keys_unproven", CANDIDATES_MAX),
        ("keys_refused", REFUSED_MAX),
        ("keys_proven", 0),
    ] {
        let entries = edge.metric("vidette_table_entries", &[table]);
        assert!(
            entries <= f64::from(most),
            "{table} holds {entries} entries"
        );
    }
}

fn made_up_keys_against_an_upstream_that_refuses_them() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        match exchange.request.target_text().contains(KEY) {
            true => exchange.answer(200, &[], b"{}"),
            false => exchange.answer(403, &[], br#"{"detail":"told"}"#),
        }
    });
    let edge = edge(&fake);
    check_flood(&edge, &fake, 1);
    // In the end the table of refusals says that it was used.
    edge.wait_metric("vidette_table_entries", &["keys_refused"], 1.0);
}

fn made_up_keys_against_an_upstream_that_accepts_all() {
    let fake = Fake::start();
    let edge = edge(&fake);
    // An unnamed key that came first keeps its way.
    let early = "fedcba9876543210fedcba9876543210";
    let mut client = edge.connect();
    assert_eq!(send(&mut client, &target(7, early), &[]).status, 200);
    check_flood(&edge, &fake, CANDIDATES_MAX);
    for _ in 0..3 * RATE {
        assert_eq!(send(&mut client, &target(7, early), &[]).status, 200);
    }
    let full = f64::from(CANDIDATES_MAX);
    edge.wait_metric("vidette_table_entries", &["keys_unproven"], full);
    edge.wait_metric("vidette_table_evictions_total", &["keys_unproven"], full);
}

//! What is kept while processes come and go: all of it arrives, once, whoever had it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::load::Load;
use super::{errors, run, upgrade};
use crate::client::{Client, request};
use crate::edge::envelope_target;
use crate::parts::promises;
use crate::spool::{check_taken, emptied, event};
use crate::upstream::{Door, Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        what_is_kept_before_during_and_after_arrives_once,
        a_large_body_that_ends_after_the_hand_over_is_kept_by_the_heir,
        an_answer_that_comes_late_to_the_elder_is_the_heirs_too,
    ]
}

fn what_is_kept_before_during_and_after_arrives_once() {
    let (silent, place) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let mut edge = run(&silent.url(), place.path(), &json!({}));
    let load = Load::start(edge.public, 2, Duration::from_millis(20));
    for _ in 0..5 {
        load.goes_on(60);
        edge = upgrade(edge);
    }
    load.goes_on(60);
    let seen = load.stop_well();
    let row = errors(&edge);
    assert_eq!(row["received"], seen.taken.len(), "{row}");
    assert_eq!(row["spooled"], row["received"], "{row}");
    assert_eq!(row["carried"], 0, "nothing was found that nobody knew of");
    let fake = silent.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let edge = upgrade(edge);
    emptied(&edge);
    let row = errors(&edge);
    assert_eq!(row["forwarded"], seen.taken.len(), "{row}");
    let arrived = fake.look(|ledger| ledger.requests.len());
    assert_eq!(arrived, seen.taken.len(), "each arrived once");
    assert_eq!(edge.metric("vidette_duplicates_total", &[]), 0.0);
}

fn a_large_body_that_ends_after_the_hand_over_is_kept_by_the_heir() {
    let (silent, place) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let mut edge = run(&silent.url(), place.path(), &json!({}));
    let large = "x".repeat(3 << 20);
    let id = format!("{:032x}", 7);
    let body = format!(
        "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"attachment\",\"length\":{}}}\n{large}\n",
        large.len()
    );
    let whole = request("POST", &envelope_target(), &[], body.as_bytes());
    let (first, rest) = whole.split_at(whole.len() / 2);
    let mut stream = TcpStream::connect(edge.public).unwrap();
    stream.write_all(first).unwrap();
    let heir = edge.successor();
    let status = heir.admin_get("/api/v1/status").json();
    let note = status["notes"][0].as_str().unwrap();
    assert!(note.contains(&format!("process {}", edge.pid())), "{note}");
    assert_eq!(status["light"], "green", "a note alone: {status}");
    stream.write_all(rest).unwrap();
    let answer = Client::of(stream).answer_to("POST");
    check_taken(&answer, 7);
    assert!(edge.wait_end().success());
    let fake = silent.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    emptied(&heir);
    assert_eq!(
        fake.only_request().body_bytes,
        u64::try_from(body.len()).unwrap()
    );
    let status = heir.admin_get("/api/v1/status").json();
    assert_eq!(status["notes"], json!([]), "{status}");
}

fn an_answer_that_comes_late_to_the_elder_is_the_heirs_too() {
    let (door, place) = (Door::default(), tempfile::tempdir().unwrap());
    let fake = {
        let door = door.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            door.pass();
            exchange.answer(200, &[], b"{}")
        })
    };
    let changes = json!({"upstream": {"timeouts": {"ingest": "30s"}}});
    let mut edge = run(&fake.url(), place.path(), &changes);
    for number in 1..=3 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let heir = edge.successor();
    door.open();
    assert!(edge.wait_end().success());
    emptied(&heir);
    let row = errors(&heir);
    assert_eq!(row["forwarded"], 3, "{row}");
    assert_eq!(fake.look(|ledger| ledger.requests.len()), 3, "sent once");
}

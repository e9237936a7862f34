//! Bodies that are sent while they come: a copy is kept until the upstream has them.

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::client::request;
use crate::edge::{Edge, envelope_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Fake, Silent};

use super::{booked, emptied, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_large_body_is_kept_whole,
        what_breaks_half_way_is_completed_from_its_client,
        a_success_for_what_was_not_read_is_none,
        a_packed_large_body_is_kept_as_it_came,
        what_the_upstream_takes_leaves_nothing_behind,
        beyond_the_copies_budget_it_goes_without,
        half_a_body_is_nothing_to_keep,
    ]
}

/// An envelope of one attachment of so many bytes.
pub(super) fn large(bytes: usize) -> Vec<u8> {
    let head = format!("{{}}\n{{\"type\":\"attachment\",\"length\":{bytes}}}\n");
    let noise = patterns::slice(5, 0, bytes);
    [head.as_bytes(), &noise, b"\n"].concat()
}

#[track_caller]
fn check_arrives(edge: &Edge, fake: &Fake, body: &[u8]) {
    emptied(edge);
    let requests = fake.requests();
    let last = requests.last().unwrap();
    assert!(
        last.body == body,
        "{} bytes of {}",
        last.body.len(),
        body.len()
    );
    assert_eq!(booked(edge, "attachment")["forwarded"], 1);
}

fn a_large_body_is_kept_whole() {
    // In memory, in a record's share; in memory and as a file; in a file.
    for bytes in [400_000, 1_040_000, 1_100_000, 6_000_000] {
        let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
        let edge = keeping(&down.url(), place.path(), &json!({}));
        let body = large(bytes);
        let answer = edge.post_envelope(&[], &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(spool(&edge)["items"], 1);
        let up = down.listen(|exchange| {
            exchange.read_body()?;
            exchange.answer(200, &[], b"{}")
        });
        check_arrives(&edge, &up, &body);
    }
}

fn what_breaks_half_way_is_completed_from_its_client() {
    let place = TempDir::new().unwrap();
    let first = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::with(move |exchange| {
        if !first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            exchange.read_body()?;
            return exchange.answer(200, &[], b"{}");
        }
        // Some of it is on its way.
        std::thread::sleep(std::time::Duration::from_millis(50));
        exchange.reset()
    });
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    let body = large(5_000_000);
    let answer = edge.post_envelope(&[], &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    check_arrives(&edge, &fake, &body);
}

fn a_success_for_what_was_not_read_is_none() {
    let place = TempDir::new().unwrap();
    for status in ["200 OK", "503 Busy"] {
        let first = std::sync::atomic::AtomicBool::new(true);
        let answer =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
        let fake = Fake::with(move |exchange| {
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                exchange.write(answer.as_bytes())?;
                return Ok(Next::Close);
            }
            exchange.read_body()?;
            exchange.answer(200, &[], b"{}")
        });
        let edge = keeping(&fake.url(), &place.path().join(status), &json!({}));
        let body = large(8_000_000);
        assert_eq!(edge.post_envelope(&[], &body).status, 200, "{status}");
        check_arrives(&edge, &fake, &body);
    }
}

fn a_packed_large_body_is_kept_as_it_came() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let packed = patterns::gzip(&large(2_000_000));
    let gzip = [("Content-Encoding", "gzip")];
    assert_eq!(edge.post_envelope(&gzip, &packed).status, 200);
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    check_arrives(&edge, &up, &packed);
}

fn what_the_upstream_takes_leaves_nothing_behind() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    let held = || -> u64 {
        let files = std::fs::read_dir(place.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().contains("body"))
            .count() as u64
    };
    for _ in 0..3 {
        assert_eq!(edge.post_envelope(&[], &large(3_000_000)).status, 200);
    }
    assert_eq!(held(), 0);
    assert_eq!(spool(&edge)["items"], 0);
}

fn beyond_the_copies_budget_it_goes_without() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"spool": {"copies": {"memory": 0, "disk": "1MiB"}}});
    let edge = keeping(&down.url(), place.path(), &changes);
    assert_eq!(edge.post_envelope(&[], &large(900_000)).status, 200);
    let answer = edge.post_envelope(&[], &large(1_200_000));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["causes"][0], "no_upstream");
    edge.wait_metric("vidette_spool_unprotected_total", &[], 1.0);
}

fn half_a_body_is_nothing_to_keep() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let body = large(3_000_000);
    let length = body.len().to_string();
    let mut client = edge.connect();
    let announced = [("Content-Length", length.as_str())];
    client.send(&request(
        "POST",
        &envelope_target(),
        &announced,
        &body[..2_000_000],
    ));
    edge.wait_metric(
        "vidette_request_bytes_total",
        &["route=\"ingest\""],
        2_000_000.0,
    );
    client.reset();
    edge.wait_metric("vidette_requests_total", &["outcome=\"aborted\""], 1.0);
    assert_eq!(spool(&edge)["items"], 0);
    assert_eq!(
        booked(&edge, "attachment")["dropped"],
        json!({"client_gone": 1})
    );
}

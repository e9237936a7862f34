//! Whoever sends while the upstream does not take it: over HTTP/2, packed in every way, what
//! is no envelope, and thousands at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::client::request;
use crate::edge::{KEY, envelope_target};
use crate::h2c;
use crate::line_one::packing::Packing;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Door, Fake, Request, Silent};

use super::adversary::{check_books, comes, up};
use super::{arrived, check_taken, emptied, event, ids, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        streams_of_http2_are_kept_as_well,
        bodies_in_every_coding_are_kept_with_their_times,
        packed_bodies_that_lose_an_item_are_kept_before_an_upstream_that_hangs,
        what_is_no_envelope_is_kept_before_an_upstream_that_hangs,
        thousands_at_once_before_an_upstream_that_hangs,
    ]
}

fn streams_of_http2_are_kept_as_well() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(
        &down.url(),
        place.path(),
        &json!({"spool": {"replay_requests": 8}}),
    );
    let body = |number: u32| {
        let mut body = event(number);
        if number.is_multiple_of(10) {
            body.extend_from_slice(b"{\"type\":\"attachment\",\"length\":700000}\n");
            body.extend_from_slice(&patterns::slice(4, u64::from(number), 700_000));
        }
        body
    };
    h2c::run(async {
        let send = h2c::connect(edge.public).await;
        let mut streams = Vec::new();
        for number in 0..60 {
            let mut send = send.clone();
            let head = h2c::head("POST", &envelope_target()).body(()).unwrap();
            let body = Bytes::from(body(number));
            let asked = async move { h2c::exchange(&mut send, head, Some(body)).await };
            streams.push(tokio::task::spawn(asked));
        }
        for (number, stream) in streams.into_iter().enumerate() {
            let (status, said) = stream.await.unwrap();
            let want = format!("{{\"id\":\"{number:032x}\"}}");
            assert_eq!(
                (status, String::from_utf8_lossy(&said).as_ref()),
                (200, want.as_str())
            );
        }
    });
    assert_eq!(spool(&edge)["items"], 66);
    let fake = up(down);
    emptied(&edge);
    let requests = fake.requests();
    let mut seen = ids(&requests);
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    for (number, seen) in ids(&requests).into_iter().zip(&requests) {
        assert!(seen.body == body(number), "{number} is not as it was sent");
    }
    check_books(&edge);
}

fn bodies_in_every_coding_are_kept_with_their_times() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    // In a record; more than is taken whole; in a file of its own.
    let sizes = [100, 500_000, 2_500_000];
    let plain = |bytes: usize| {
        let item = format!("{{\"type\":\"attachment\",\"length\":{bytes}}}\n");
        let noise = patterns::slice(6, 0, bytes);
        [b"\n", item.as_bytes(), &noise, b"\n"].concat()
    };
    const LINE: &str = "{\"sent_at\":\"2026-11-26T10:30:00.000Z\"}";
    let mut want = Vec::new();
    for bytes in sizes {
        for packing in Packing::ALL {
            let whole = [LINE.as_bytes(), &plain(bytes)].concat();
            let answer = edge.post_envelope(packing.headers(), &packing.pack(&whole));
            assert_eq!(answer.status, 200, "{packing:?} {bytes}: {}", answer.text());
            want.push((packing, bytes));
        }
    }
    assert_eq!(spool(&edge)["items"], want.len());
    std::thread::sleep(Duration::from_millis(1100));
    let fake = up(down);
    emptied(&edge);
    let requests = arrived(&fake, want.len());
    assert_eq!(requests.len(), want.len());
    for (seen, (packing, bytes)) in requests.iter().zip(want) {
        let at = seen.body.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = seen.body.split_at(at);
        let line = String::from_utf8_lossy(line);
        assert!(
            line.starts_with("{\"sent_at\":\"2026-11-26T10:30:0") && line != LINE,
            "{packing:?} {bytes}: {line}"
        );
        assert!(
            rest == plain(bytes),
            "{packing:?} {bytes}: its rest has changed"
        );
        assert!(
            seen.headers.one("content-encoding").is_none(),
            "{packing:?} {bytes}"
        );
    }
    check_books(&edge);
}

/// An upstream that reads not a byte of a body, while it hangs and its door is shut.
fn hanging() -> (Fake, Door, Arc<AtomicBool>) {
    let (door, hung) = (Door::default(), Arc::new(AtomicBool::new(true)));
    let (behind, hangs) = (door.clone(), Arc::clone(&hung));
    let fake = Fake::with(move |exchange| {
        if hangs.load(SeqCst) {
            behind.pass();
            return exchange.reset();
        }
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    (fake, door, hung)
}

/// While they wait for the upstream, they need no place to be unpacked.
fn packed_bodies_that_lose_an_item_are_kept_before_an_upstream_that_hangs() {
    const AT_ONCE: u32 = 20;
    let place = TempDir::new().unwrap();
    let (fake, door, hung) = hanging();
    let no_attachments = json!([{"categories": ["attachment"], "limit": 0, "per": "1h"}]);
    let changes = json!({
        "workers": 1,
        "limits": {"unpacking": 1},
        "projects": [{"id": 42, "keys": [KEY], "quotas": no_attachments}],
    });
    let edge = keeping(&fake.url(), place.path(), &changes);
    let mut clients: Vec<_> = (0..AT_ONCE).map(|_| edge.connect()).collect();
    for (number, client) in (0..).zip(&mut clients) {
        let noise = patterns::slice(5, u64::from(number), 90_000);
        let attachment = b"{\"type\":\"attachment\",\"length\":90000}\n";
        let body = [&event(number)[..], attachment, &noise, b"\n"].concat();
        let packed = Packing::Gzip.pack(&body);
        let headers = Packing::Gzip.headers();
        client.send(&request("POST", &envelope_target(), headers, &packed));
    }
    for (number, client) in (0..).zip(&mut clients) {
        check_taken(&client.answer_to("POST"), number);
    }
    hung.store(false, SeqCst);
    door.open();
    emptied(&edge);
    let whole = |request: &Request| {
        let number = *ids(std::slice::from_ref(request)).first()?;
        (request.body == event(number)).then_some(number)
    };
    let mut seen: Vec<u32> = fake.requests().iter().filter_map(whole).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..AT_ONCE).collect::<Vec<_>>());
    check_books(&edge);
}

fn what_is_no_envelope_is_kept_before_an_upstream_that_hangs() {
    let place = TempDir::new().unwrap();
    let (fake, door, hung) = hanging();
    let changes = json!({"upstream": {"ingest_deadline": "500ms", "timeouts": {"ingest": "2s"}}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    let id = "fc6d8c0c43fc4630ad850ee518f1b9d0";
    let form = "multipart/form-data; boundary=limit";
    let part = |name: &str, bytes: usize| {
        let head = format!(
            "--limit\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n"
        );
        let end = b"\r\n--limit--\r\n";
        [head.as_bytes(), &patterns::slice(8, 0, bytes), end].concat()
    };
    let key = format!("?sentry_key={KEY}");
    let mut sent = Vec::new();
    for bytes in [1000, 300_000, 6_000_000] {
        let dump = part("upload_file_minidump", bytes);
        sent.push((format!("/api/42/minidump/{key}"), form, dump, 200));
        let attachments = format!("/api/42/events/{id}/attachments/{key}");
        sent.push((attachments, form, part("x", bytes), 201));
        let crash = patterns::slice(9, 0, bytes);
        sent.push((
            format!("/api/42/unreal/{KEY}/"),
            "application/octet-stream",
            crash,
            200,
        ));
    }
    for (target, kind, body, status) in &sent {
        let asked = Instant::now();
        let answer = edge.ask("POST", target, &[("Content-Type", kind)], body);
        assert_eq!(answer.status, *status, "{target}: {}", answer.text());
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "{target}: {took:?}");
    }
    hung.store(false, SeqCst);
    door.open();
    emptied(&edge);
    let requests = fake.requests();
    for (target, _, body, _) in &sent {
        let whole =
            |seen: &&crate::upstream::Request| seen.target_text() == *target && seen.body == *body;
        let times = requests.iter().filter(whole).count();
        assert!(
            times >= 1,
            "{target} of {} bytes did not arrive",
            body.len()
        );
    }
    check_books(&edge);
}

/// Clients at once: with the edge's side and the fake's, what 20000 open files allow.
const CLIENTS: u32 = 2000;

fn thousands_at_once_before_an_upstream_that_hangs() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let (behind, hung) = (door.clone(), Arc::new(AtomicBool::new(true)));
    let hangs = Arc::clone(&hung);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        if hangs.load(SeqCst) {
            behind.pass();
            return exchange.reset();
        }
        exchange.answer(200, &[], b"{}")
    });
    let changes = json!({
        "upstream": {"ingest_deadline": "500ms", "timeouts": {"ingest": "2s"}},
        "spool": {"replay_requests": 16},
    });
    let edge = keeping(&fake.url(), place.path(), &changes);
    let before_kib = edge.memory_kib("VmRSS");
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(edge.public).unwrap())
        .collect();
    let asked = Instant::now();
    for (number, client) in (0..).zip(&mut clients) {
        let bytes = request("POST", &envelope_target(), &[], &event(number));
        client.write_all(&bytes).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut answer = [0; 16];
        client.read_exact(&mut answer).unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "client {number}: {answer:?}"
        );
    }
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?} for all of them");
    let more_kib = edge.memory_kib("VmRSS").saturating_sub(before_kib);
    assert!(more_kib < 64 << 10, "{more_kib} KiB for {CLIENTS} clients");
    assert_eq!(spool(&edge)["items"], CLIENTS);
    drop(clients);
    hung.store(false, SeqCst);
    door.open();
    assert!(comes(60, || spool(&edge)["items"] == 0), "{}", spool(&edge));
    let mut seen = ids(&fake.requests());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..CLIENTS).collect::<Vec<_>>());
    check_books(&edge);
}

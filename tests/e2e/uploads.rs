//! Large bodies: slow ones hold no web worker, many at once keep memory flat, and
//! every byte arrives.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Client, request};
use crate::edge::{Edge, dump_target};
use crate::exchange::Exchange;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Door, Ended, Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        slow_uploaders_hold_no_web_worker,
        forty_uploads_of_fifty_megabytes_keep_memory_flat,
        forty_large_events_keep_memory_flat,
        multipart_with_a_content_encoding_is_untouched,
        upload_routes_take_larger_bodies_than_web,
        disk_budget_is_a_limit,
        uploads_under_way_are_counted_until_they_are_answered,
    ]
}

const UPLOAD: &str = "/api/0/organizations/acme/chunk-upload/";

fn slow_uploaders_hold_no_web_worker() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let body = patterns::slice(1, 0, 2 << 20);
    let half = body.len() / 2;
    let mut slow: Vec<Client> = (0..8)
        .map(|number| {
            let mut client = edge.connect();
            let target = if number % 2 == 0 { UPLOAD } else { "/form" };
            client.send(&request(
                "POST",
                target,
                &[("Content-Length", &body.len().to_string())],
                &body[..half],
            ));
            client
        })
        .collect();
    // Each sends one more byte between two requests of somebody else's.
    for round in 0..3 {
        for client in &mut slow {
            client.send(&body[half + round..half + round + 1]);
        }
        assert_eq!(edge.ask("GET", "/page", &[], b"").status, 200);
        let (open, requests) = fake.look(|ledger| (ledger.open_max, ledger.requests.len()));
        assert_eq!(
            requests,
            round + 1,
            "an unfinished upload reached a web worker"
        );
        assert!(
            open <= 1,
            "{open} connections to web while eight uploads are unfinished"
        );
    }
    for client in &mut slow {
        client.send(&body[half + 3..]);
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let seen = fake.requests();
    assert!(
        seen.iter()
            .skip(3)
            .all(|seen| seen.ended == Ended::Whole && seen.body == body)
    );
    assert_eq!(seen.len(), 11);
}

/// A fake that holds every body against the pattern of the stream its query names.
fn checking_fake(wrong: Arc<AtomicU64>) -> Fake {
    Fake::with(move |exchange| {
        let stream = stream_of(exchange);
        let wrong = Arc::clone(&wrong);
        exchange.read_body_with(&mut |offset, piece| {
            if !patterns::matches(stream, offset, piece) {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        exchange.answer(200, &[], b"{}")
    })
}

fn stream_of(exchange: &Exchange<'_>) -> u64 {
    let target = exchange.request.target_text();
    target
        .rsplit("stream=")
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

const LARGE_BYTES: usize = 50_000_000;
const CLIENTS: u64 = 40;
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Forty clients send fifty megabytes each, at once, and every byte arrives.
#[track_caller]
fn check_forty(target: &str) {
    let wrong = Arc::new(AtomicU64::new(0));
    let fake = checking_fake(Arc::clone(&wrong));
    let edge = Edge::before(&fake);
    assert_eq!(
        edge.ask("POST", "/warm?stream=1", &[], &patterns::slice(1, 0, 1000))
            .status,
        200
    );
    let before = edge.memory_kib("VmRSS");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|stream| {
            let (mut client, join) = (edge.connect(), if target.contains('?') { '&' } else { '?' });
            let target = format!("{target}{join}stream={stream}");
            thread::spawn(move || -> io::Result<u16> {
                client.try_send(&request(
                    "POST",
                    &target,
                    &[("Content-Length", &LARGE_BYTES.to_string())],
                    b"",
                ))?;
                let mut sent = 0;
                while sent < LARGE_BYTES {
                    let piece = (LARGE_BYTES - sent).min(256 << 10);
                    client.try_send(&patterns::slice(stream, sent as u64, piece))?;
                    sent += piece;
                }
                Ok(client.try_answer_to("POST")?.status)
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap().unwrap(), 200);
    }
    let growth = edge.memory_kib("VmHWM").saturating_sub(before);
    println!("{target}: {CLIENTS} bodies of {LARGE_BYTES} bytes grew memory by {growth} KiB");
    assert_eq!(
        wrong.load(Ordering::Relaxed),
        0,
        "bytes changed on their way"
    );
    let whole = fake
        .requests()
        .iter()
        .filter(|seen| seen.body_bytes == LARGE_BYTES as u64 && seen.ended == Ended::Whole)
        .count();
    assert_eq!(whole as u64, CLIENTS);
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB");
}

fn forty_uploads_of_fifty_megabytes_keep_memory_flat() {
    check_forty(UPLOAD);
}

fn forty_large_events_keep_memory_flat() {
    check_forty(&dump_target());
}

fn multipart_with_a_content_encoding_is_untouched() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let part = patterns::gzip(&patterns::slice(9, 0, 500_000));
    let body = [
        b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12\"\r\n\r\n".as_slice(),
        &part,
        b"\r\n--b0und--\r\n",
    ]
    .concat();
    for encoding in ["gzip", "zstd", "br", "UTF-8", ""] {
        let headers = [
            ("Content-Type", "multipart/form-data; boundary=b0und"),
            ("Content-Encoding", encoding),
            ("Authorization", "Bearer sntrys_token"),
            ("User-Agent", "sentry-cli/2.58.2"),
        ];
        assert_eq!(
            edge.ask("POST", UPLOAD, &headers, &body).status,
            200,
            "{encoding}"
        );
        let seen = fake.requests().pop().unwrap();
        assert!(seen.body == body, "{encoding}: the body changed");
        for (name, value) in headers {
            assert_eq!(seen.headers.all(name), [value], "{encoding}: {name}");
        }
    }
}

fn upload_routes_take_larger_bodies_than_web() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"bodies": {"ingest": "1KiB", "web": "1KiB", "upload": "64KiB"}}}),
    );
    let body = vec![b'x'; 60_000];
    for (target, want) in [
        (UPLOAD, 200),
        ("/api/0/projects/acme/shop/files/dsyms/", 200),
        ("/api/0/projects/acme/shop/releases/1%2F2/files/", 200),
        ("/api/0/organizations/acme/releases/1.0/files/", 200),
        ("/api/0/projects/acme/shop/files/difs/assemble/", 200),
        ("/api/0/organizations/acme/artifactbundle/assemble/", 200),
        ("/api/0/organizations/acme/members/", 413),
        ("/auth/login/", 413),
        (&dump_target(), 413),
    ] {
        let answer = edge.ask("POST", target, &[], &body);
        assert_eq!(answer.status, want, "{target}: {}", answer.text());
    }
    let over = edge.ask("POST", UPLOAD, &[], &vec![b'x'; (64 << 10) + 1]);
    assert_eq!(over.status, 413);
    assert!(
        over.text().contains("limits.bodies.upload"),
        "{}",
        over.text()
    );
}

fn disk_budget_is_a_limit() {
    let door = Door::default();
    let fake = {
        let door = door.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            door.pass();
            exchange.answer(200, &[], b"{}")
        })
    };
    let budget = json!({"upstream": {"web_read_ahead": {"request": "64KiB", "disk": "4MiB"}}});
    let edge = Edge::configured(&fake.url(), &fake.url(), budget);
    let body = patterns::slice(13, 0, 3 << 20);
    let mut first = edge.connect();
    first.send(&request("POST", UPLOAD, &[], &body));
    fake.wait_for("the first upload", |ledger| {
        ledger
            .requests
            .first()
            .filter(|seen| seen.ended == Ended::Whole)
            .map(|_| ())
    });
    door.open();
    assert_eq!(first.answer_to("POST").status, 200);
    // What was read ahead is given back: ten times the budget passes in turn.
    for _ in 0..10 {
        assert_eq!(edge.ask("POST", UPLOAD, &[], &body).status, 200);
    }
    // Beyond the budget a body still arrives, or is refused; it is never half a body.
    let large = patterns::slice(13, 0, 6 << 20);
    let answer = edge.ask("POST", UPLOAD, &[], &large);
    match answer.status {
        200 => assert!(fake.requests().pop().unwrap().body == large),
        status => assert!(
            matches!(status, 503 | 507 | 413),
            "{status}: {}",
            answer.text()
        ),
    }
    let halves = fake
        .requests()
        .iter()
        .filter(|seen| seen.ended != Ended::Whole)
        .count();
    assert_eq!(halves, 0);
    let left: Vec<_> = fs::read_dir(edge.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["vidette.yml"], "files are left behind");
}

fn uploads_under_way_are_counted_until_they_are_answered() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let levels = || {
        ["vidette_uploads_active", "vidette_uploads_active_bytes"]
            .map(|name| edge.metric(name, &[]) as u64)
    };
    assert_eq!(levels(), [0, 0]);
    let body = patterns::slice(1, 0, 100_000);
    let length = [("Content-Length", "100000")];
    let mut uploads: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = edge.connect();
            client.send(&request("POST", UPLOAD, &length, &body[..40_000]));
            client
        })
        .collect();
    // A page is no upload, and who only asks how to upload sends none.
    let mut page = edge.connect();
    page.send(&request("POST", "/form", &length, &body[..40_000]));
    edge.wait_metric("vidette_uploads_active_bytes", &[], 120_000.0);
    assert_eq!(edge.ask("GET", UPLOAD, &[], b"").status, 200);
    assert_eq!(levels(), [3, 120_000]);
    let mut whole = uploads.pop().unwrap();
    whole.send(&body[40_000..]);
    assert_eq!(whole.answer_to("POST").status, 200);
    let left = |open: u64| {
        let begin = std::time::Instant::now();
        while levels() != [open, open * 40_000] {
            assert!(
                begin.elapsed() < HANG,
                "{:?} under way, not {open}",
                levels()
            );
            thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    left(2);
    // Whoever leaves in the middle is under way no longer.
    drop(uploads.pop());
    left(1);
    drop(uploads);
    left(0);
}

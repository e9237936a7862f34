//! Twenty upgrades, one after the other, below clients of every kind.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::load::Load;
use super::{errors, run, upgrade};
use crate::client::{Client, request};
use crate::edge::KEY;
use crate::parts::{Part, checkout, promises};
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Python];
        twenty_upgrades_are_noticed_by_nobody,
    ]
}

const UPGRADES: usize = 20;

/// Between two events of a client: twelve of them send more than a thousand a second, as far as
/// the machine goes along.
pub(super) const PACE: Duration = Duration::from_millis(8);

/// Pieces of a slow body, and the time between two.
const PIECES: usize = 8;
const PIECE_BYTES: usize = 50_000;
const BETWEEN: Duration = Duration::from_millis(40);

/// An upstream whose pages are slow to come, and which is slow to hear.
fn upstream() -> Fake {
    Fake::with(|exchange| {
        exchange.read_body()?;
        if !exchange.request.target_text().starts_with("/slow") {
            return exchange.answer(200, &[], b"{}");
        }
        let bytes = PIECES * PIECE_BYTES;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        exchange.write(head.as_bytes())?;
        for _ in 0..PIECES {
            thread::sleep(BETWEEN);
            exchange.write(&[b'x'; PIECE_BYTES])?;
        }
        Ok(crate::exchange::Next::KeepAlive)
    })
}

/// Pages read and files sent, slowly, one after the other: how many of each.
fn slowly(address: SocketAddr, stop: &AtomicBool) -> io::Result<usize> {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = Client::try_connect(address)?;
        client.try_send(&request("GET", "/slow/page", &[], b""))?;
        let page = client.try_answer_to("GET")?;
        if page.body.len() != PIECES * PIECE_BYTES {
            return Err(io::Error::other("the page is cut"));
        }
        upload(address)?;
        done += 1;
    }
    Ok(done)
}

fn upload(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let bytes = PIECES * PIECE_BYTES;
    let head = format!("POST /files HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    for _ in 0..PIECES {
        thread::sleep(BETWEEN);
        stream.write_all(&[b'y'; PIECE_BYTES])?;
    }
    let mut client = Client::of(stream);
    match client.try_answer_to("POST")?.status {
        200 => Ok(()),
        status => Err(io::Error::other(format!("the upload: {status}"))),
    }
}

fn twenty_upgrades_are_noticed_by_nobody() {
    let (fake, place) = (upstream(), tempfile::tempdir().unwrap());
    let mut edge = run(&fake.url(), place.path(), &json!({}));
    let since = edge.admin_get("/api/v1/ledger").json()["since"].clone();
    let load = Load::start(edge.public, 4, PACE);
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let slow = {
        let (stop, address) = (Arc::clone(&stop), edge.public);
        thread::spawn(move || slowly(address, &stop))
    };
    let sdk = Command::new(crate::parts::python().unwrap())
        .arg(checkout("tests/clients").join("steady.py"))
        .arg(format!("http://{KEY}@{}/42", edge.public))
        .args(["20", "15"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..UPGRADES {
        load.goes_on(30);
        edge = upgrade(edge);
    }
    let sdk = sdk.wait_with_output().unwrap();
    assert!(sdk.status.success());
    let seen = load.stop_well();
    stop.store(true, Ordering::Relaxed);
    let slow = slow.join().unwrap().unwrap();
    assert!(slow > 3, "{slow} slow exchanges");
    let by_sdk = String::from_utf8(sdk.stdout).unwrap().lines().count();
    assert!(by_sdk > 100, "{by_sdk} events of the SDK");
    // All that was ever sent, in the books of the last.
    let row = errors(&edge);
    assert_eq!(row["received"], seen.taken.len() + by_sdk, "{row}");
    assert_eq!(row["forwarded"], row["received"], "{row}");
    assert_eq!(edge.admin_get("/api/v1/ledger").json()["since"], since);
    let envelopes = fake.look(|ledger| {
        let requests = ledger.requests.iter();
        let envelopes = requests.filter(|it| it.target_text().contains("/envelope/"));
        envelopes.count()
    });
    assert_eq!(envelopes, seen.taken.len() + by_sdk, "each arrived once");
    println!(
        "{UPGRADES} upgrades: {} events, {by_sdk} of an SDK, {slow} slow pages and uploads in {:.1} s",
        seen.taken.len(),
        began.elapsed().as_secs_f32()
    );
}

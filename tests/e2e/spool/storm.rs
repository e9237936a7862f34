//! All faults at once, by chance, under load: whatever was answered 200 is in the
//! upstream's record in the end, and the books close.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::exchange::{Exchange, Next};
use crate::parts::{Part, checkout, promises, python};
use crate::upstream::{Fake, HANG};

use super::trouble::{SYNC_EIO, Trouble, WRITE_EIO, WRITE_FULL, WRITE_SHORT};
use super::{emptied, event, text};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        nothing_that_was_answered_is_lost_in_a_storm,
        a_storm_that_shakes_disk_and_clock_loses_nothing,
    ];
    trials.extend(promises![&[Part::Python]; sentry_sdk_loses_nothing_in_a_storm]);
    trials
}

/// How long it blows, and how many raw clients send how fast.
const LASTS: Duration = Duration::from_secs(10);
const CLIENTS: u32 = 12;
const PAUSE: Duration = Duration::from_millis(7);

/// One of so many events is more than is taken whole before it is sent.
const LARGE_EACH: u32 = 50;

/// What the upstream does, by number; another each time.
const MOODS: u8 = 11;

/// What the upstream has taken, and how often.
type Record = Arc<Mutex<HashMap<String, u32>>>;

/// An upstream of changing mood, and what it has taken.
fn moody() -> (Fake, Arc<AtomicU8>, Record) {
    let (mood, record) = (Arc::new(AtomicU8::new(0)), Record::default());
    let (now, taken) = (Arc::clone(&mood), Arc::clone(&record));
    let fake = Fake::with(move |exchange| match now.load(SeqCst) {
        1 => {
            exchange.read_body()?;
            exchange.answer(503, &[], b"{\"detail\":\"buffer full\"}")
        }
        2 => exchange.answer(502, &[("connection", "close")], b""),
        3 => exchange.reset(),
        4 => {
            take(exchange, &taken)?;
            exchange.reset()
        }
        5 => {
            let id = read(exchange)?;
            thread::sleep(Duration::from_millis(700));
            taken
                .lock()
                .unwrap()
                .entry(id)
                .and_modify(|n| *n += 1)
                .or_insert(1);
            exchange.answer(200, &[], b"{}")
        }
        6 => {
            exchange.read_body()?;
            exchange.answer(429, &[("X-Sentry-Rate-Limits", "1:error:key")], b"{}")
        }
        7 => {
            exchange.read_body()?;
            Ok(Next::Close)
        }
        8 => {
            exchange.read_body()?;
            thread::sleep(Duration::from_millis(1500));
            exchange.answer(504, &[], b"")
        }
        9 => {
            // Amid the body of a large one.
            thread::sleep(Duration::from_millis(20));
            exchange.reset()
        }
        10 => {
            // Before it has seen the body of a large one.
            exchange
                .write(b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
            thread::sleep(Duration::from_millis(20));
            Ok(Next::Close)
        }
        _ => {
            take(exchange, &taken)?;
            exchange.answer(200, &[], b"{}")
        }
    });
    (fake, mood, record)
}

fn read(exchange: &mut Exchange<'_>) -> io::Result<String> {
    let mut body = Vec::new();
    exchange.read_body_with(&mut |_, piece| body.extend_from_slice(piece))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let (_, rest) = text.split_once("\"event_id\":\"").unwrap_or_default();
    Ok(rest.get(..32).unwrap_or_default().to_owned())
}

fn take(exchange: &mut Exchange<'_>, taken: &Record) -> io::Result<()> {
    let id = read(exchange)?;
    *taken.lock().unwrap().entry(id).or_default() += 1;
    Ok(())
}

/// An event of this number, and with one of many a large attachment.
fn sent(number: u32) -> Vec<u8> {
    let mut body = event(number);
    if number.is_multiple_of(LARGE_EACH) {
        body.extend_from_slice(b"{\"type\":\"attachment\",\"length\":600000}\n");
        body.extend_from_slice(&crate::patterns::slice(3, u64::from(number), 600_000));
        body.push(b'\n');
    }
    body
}

/// One raw client: the ids that were answered 200.
fn sends(address: SocketAddr, numbers: &AtomicU32, over: &AtomicBool) -> Vec<String> {
    let mut taken = Vec::new();
    let mut client = None;
    while !over.load(SeqCst) {
        let number = numbers.fetch_add(1, SeqCst);
        let mut line = match client.take() {
            Some(line) => line,
            None => match std::net::TcpStream::connect(address) {
                Ok(_) => Client::connect(address),
                Err(_) => {
                    thread::sleep(PAUSE);
                    continue;
                }
            },
        };
        let sent = line.try_send(&request("POST", &envelope_target(), &[], &sent(number)));
        if let (Ok(()), Ok(answer)) = (sent, line.try_answer_to("POST")) {
            if answer.status == 200 {
                taken.push(super::id(number));
            }
            client = Some(line);
        }
        thread::sleep(PAUSE);
    }
    taken
}

/// Has the disk fail in some way for a while, or be well, and the clock be set.
fn shake(trouble: &Trouble, rng: &mut Rng) {
    const WAYS: [u32; 6] = [
        WRITE_EIO,
        WRITE_FULL,
        WRITE_SHORT,
        SYNC_EIO,
        WRITE_SHORT | WRITE_EIO,
        WRITE_SHORT | WRITE_FULL | SYNC_EIO,
    ];
    match rng.bool() {
        true => trouble.faults(WAYS[rng.usize(..WAYS.len())], rng.u32(4..=256)),
        false => trouble.faults(0, 0),
    }
    if rng.u8(..3) == 0 {
        let days = rng.i64(-40..=40);
        trouble.clock_is_off(days * 24 * 3600 + rng.i64(-7200..7200));
    }
}

/// Runs the edge through a storm of this seed, killing it now and then, while `sender`
/// sends to where it listens and says what was answered 200.
#[track_caller]
fn storm(
    seed: u64,
    trouble: Option<&Trouble>,
    sender: impl FnOnce(SocketAddr, &AtomicBool) -> Vec<String> + Send,
) {
    eprintln!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (fake, mood, record) = moody();
    let place = TempDir::new().unwrap();
    let changes = |public: &str| {
        json!({
            "listen": {"public": [public]},
            "upstream": {"ingest_deadline": "300ms", "timeouts": {"ingest": "1s"}},
            "limits": {"retry_after_max": "1s"},
            "spool": {"replay_requests": 16},
        })
    };
    let run = |public: &str| {
        let on = text(&fake.url(), place.path(), &changes(public));
        match trouble {
            Some(trouble) => trouble.run(&on, place.path()),
            None => Edge::run(&on, &[]),
        }
    };
    let edge = run("127.0.0.1:0");
    let public = edge.public;
    let mut edge = Some(edge);
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let answered = thread::scope(|scope| {
        let sending = scope.spawn(|| sender(public, &over));
        while began.elapsed() < LASTS {
            mood.store(rng.u8(..MOODS), SeqCst);
            if let Some(trouble) = trouble {
                shake(trouble, &mut rng);
            }
            thread::sleep(Duration::from_millis(rng.u64(50..600)));
            if rng.u8(..12) == 0 {
                let mut old: Edge = edge.take().unwrap();
                old.signal(Signal::KILL);
                old.wait_end();
                drop(old);
                edge = Some(run(&public.to_string()));
            }
        }
        over.store(true, SeqCst);
        if let Some(trouble) = trouble {
            trouble.faults(0, 0);
            eprintln!("{} faults", trouble.dealt());
        }
        let answered = sending.join().unwrap();
        mood.store(0, SeqCst);
        answered
    });
    let edge = edge.unwrap();
    check_arrived(&edge, &answered, &record, seed);
    check_books(&edge);
}

/// Once nothing is kept any more, all that was answered 200 is in the upstream's record.
#[track_caller]
fn check_arrived(edge: &Edge, answered: &[String], record: &Record, seed: u64) {
    emptied(edge);
    // What was still being sent when it emptied.
    let deadline = Instant::now() + HANG;
    while edge.admin_get("/api/v1/ledger").json()["in_flight"] != 0 {
        assert!(Instant::now() < deadline, "something is in flight for good");
        thread::sleep(Duration::from_millis(10));
    }
    let record = record.lock().unwrap();
    let lost: Vec<_> = answered
        .iter()
        .filter(|id| !record.contains_key(*id))
        .collect();
    let twice: u32 = record.values().map(|times| times - 1).sum();
    eprintln!(
        "{} answered 200, {} taken, {twice} more than once",
        answered.len(),
        record.len()
    );
    assert!(answered.len() > 20, "hardly anything was sent");
    assert!(
        lost.is_empty(),
        "seed {seed}: {} are lost, such as {:?}",
        lost.len(),
        lost.first()
    );
}

/// The ledger's equation, for every row.
#[track_caller]
fn check_books(edge: &Edge) {
    let ledger = edge.admin_get("/api/v1/ledger").json();
    for row in ledger["rows"].as_array().unwrap() {
        for unit in ["items", "bytes"] {
            let of = |name: &str| row[unit][name].as_u64().unwrap();
            let dropped = row[unit]["dropped"].as_object().unwrap();
            let dropped: u64 = dropped.values().filter_map(Value::as_u64).sum();
            assert_eq!(
                of("received") + of("carried"),
                of("forwarded") + of("spooled") + dropped,
                "{row}"
            );
        }
    }
}

/// The seed that somebody gave, to see a storm again, or another.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("VIDETTE_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..))
}

/// What raw clients send together.
fn crowd(address: SocketAddr, over: &AtomicBool) -> Vec<String> {
    let numbers = AtomicU32::new(1);
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|_| scope.spawn(|| sends(address, &numbers, over)));
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    })
}

fn nothing_that_was_answered_is_lost_in_a_storm() {
    storm(seed(), None, crowd);
}

fn a_storm_that_shakes_disk_and_clock_loses_nothing() {
    let seed = seed();
    storm(seed, Some(&Trouble::new(seed)), crowd);
}

fn sentry_sdk_loses_nothing_in_a_storm() {
    storm(fastrand::u64(..), None, |address, _| {
        let output = Command::new(python().unwrap())
            .arg(checkout("tests/clients").join("steady.py"))
            .arg(format!("http://{KEY}@{address}/42"))
            .args(["60", "8"])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let ids = String::from_utf8(output.stdout).unwrap();
        ids.lines().map(str::to_owned).collect()
    });
}

//! What forged bodies may cost: one that unpacks without end is stopped, many at
//! once keep memory bounded, and honest clients are served all the while.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target};
use crate::ingest::ENVELOPE;
use crate::parts::{Part, promises, python};
use crate::patterns;
use crate::upstream::{Ended, Fake, HANG, Request};
use crate::wire::Framing;

use super::packing::Packing;
use super::{ALL_FORGED, ITEMS, attached, whole};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_forged_bomb_is_stopped_and_never_ends_cleanly_upstream,
        bodies_beyond_those_being_unpacked_are_turned_away,
    ];
    trials.extend(promises![&[Part::Python];
        real_brotli_is_cleaned,
        two_hundred_forged_brotli_uploads_keep_memory_bounded,
    ]);
    trials
}

/// A forged line and a gigabyte of zeros, as gzip members one behind another.
fn bomb() -> Vec<u8> {
    let open = [ITEMS, b"{\"type\":\"attachment\"}\n"].concat();
    let mut packed = Packing::Gzip.pack(&whole(ALL_FORGED.0, &open));
    let zeros = patterns::gzip(&vec![0; 16 << 20]);
    for _ in 0..64 {
        packed.extend_from_slice(&zeros);
    }
    packed
}

#[track_caller]
fn check_bomb(bomb: &[u8], limits: Value, want: &str) {
    let fake = Fake::start();
    let edge = Edge::configured(&fake.url(), &fake.url(), json!({"limits": limits}));
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    let before = edge.memory_kib("VmRSS");
    let mut client = edge.connect();
    let head = request("POST", &envelope_target(), Packing::Gzip.headers(), bomb);
    // The answer may come before all of it was taken.
    drop(client.try_send(&head));
    let answer = client.answer_to("POST");
    let said = answer.json();
    assert_eq!(
        (answer.status, &said["causes"][0]),
        (413, &json!(want)),
        "{said}"
    );
    let seen = fake.wait_for("the bomb's end", |ledger| {
        let bomb = ledger.requests.get(1)?;
        (bomb.ended != Ended::Open).then(|| bomb.clone())
    });
    assert_eq!(
        seen.ended,
        Ended::Cut,
        "a clean end would pass for an envelope"
    );
    let resident = edge.metric("process_resident_memory_bytes", &[]) / 1024.0;
    let most = edge.memory_kib("VmHWM");
    assert!(
        most - before < 32 << 10,
        "memory grew from {before} to {most} KiB"
    );
    assert!(
        resident < (before + (32 << 10)) as f64,
        "{resident} KiB stay"
    );
    let honest = Packing::Gzip.pack(ENVELOPE);
    let answer = edge.post_envelope(Packing::Gzip.headers(), &honest);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn a_forged_bomb_is_stopped_and_never_ends_cleanly_upstream() {
    let bomb = bomb();
    check_bomb(&bomb, json!({}), "bomb");
    let roomy = json!({"decode_ratio": 10_000, "decoded_bytes": "100MiB"});
    check_bomb(&bomb, roomy, "too_large");
}

fn bodies_beyond_those_being_unpacked_are_turned_away() {
    let fake = Fake::start();
    let changes = json!({"limits": {"unpacking": 1}});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let (forged, clean) = (whole(ALL_FORGED.0, ITEMS), whole(ALL_FORGED.1, ITEMS));
    let post =
        |packing: Packing, body: &[u8]| edge.post_envelope(packing.headers(), &packing.pack(body));
    assert_eq!(post(Packing::Gzip, &forged).status, 200);
    let noise = patterns::slice(2, 0, 400_000);
    let large = Packing::Zstd.pack(&whole(ALL_FORGED.0, &attached(&noise)));
    let length = large.len().to_string();
    let mut headers = Packing::Zstd.headers().to_vec();
    headers.push(("Content-Length", &length));
    let mut client = edge.connect();
    client.send(&request(
        "POST",
        &envelope_target(),
        &headers,
        &large[..300_000],
    ));
    fake.wait_for("a body on its way", |ledger| {
        ledger.requests.get(1).map(|_| ())
    });
    let another = whole(ALL_FORGED.0, &attached(&patterns::slice(3, 0, 400_000)));
    for packing in Packing::ALL.into_iter().skip(1) {
        let refused = post(packing, &another);
        assert_eq!(refused.status, 503, "{packing:?}: {}", refused.text());
        assert_eq!(refused.json()["causes"][0], "overloaded");
        assert_eq!(refused.header("retry-after").as_deref(), Some("30"));
        // What need not be unpacked takes no place, and what is here waits for no slow client's.
        assert_eq!(post(packing, &clean).status, 200, "{packing:?}");
        assert_eq!(post(packing, &forged).status, 200, "{packing:?}");
    }
    assert_eq!(post(Packing::Plain, &forged).status, 200);
    client.send(&large[300_000..]);
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(
        post(Packing::Brotli, &forged).status,
        200,
        "the place is free again"
    );
}

/// Packed as the encoder that SDKs use does it, with the widest window.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    const PACK: &str = "import brotli, sys; sys.stdout.buffer.write(\
        brotli.compress(sys.stdin.buffer.read(), quality=5, lgwin=24))";
    let mut child = Command::new(python().unwrap())
        .args(["-c", PACK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn real_brotli_is_cleaned() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let source = fs::read(crate::parts::checkout("Cargo.lock")).unwrap();
    let items = attached(&[source, patterns::slice(4, 0, 300_000)].concat());
    for items in [ITEMS, &items] {
        let body = brotli(&whole(ALL_FORGED.0, items));
        let answer = edge.post_envelope(Packing::Brotli.headers(), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = fake.requests().pop().unwrap();
        assert!(
            seen.body == whole(ALL_FORGED.1, items),
            "other bytes arrived"
        );
        assert_eq!(seen.headers.one("content-encoding"), None);
    }
}

/// How many forged uploads come at once.
const UPLOADS: usize = 200;

/// What unpacking may take for all of them: the decoders that a worker allows,
/// 16 MiB each, and the slices on their way. Without a limit they take 3.2 GB.
const GROWTH_KIB_MAX: u64 = 400 << 10;

fn two_hundred_forged_brotli_uploads_keep_memory_bounded() {
    let arrived = Arc::new(AtomicU64::new(0));
    let fake = {
        let arrived = Arc::clone(&arrived);
        Fake::with(move |exchange| {
            exchange.read_body_with(&mut |_, piece| {
                arrived.fetch_add(piece.len() as u64, Ordering::Relaxed);
            })?;
            exchange.answer(200, &[], b"{}")
        })
    };
    let edge = Edge::before(&fake);
    let honest = Packing::Brotli.pack(ENVELOPE);
    let post_honest = || {
        let answer = edge.post_envelope(Packing::Brotli.headers(), &honest);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    post_honest();
    let before = edge.memory_kib("VmRSS");
    let (packed, unpacked_bytes) = window_filling();
    // The last bytes are never sent: each upload stands still with its window full.
    let length = (packed.len() + 1).max((256 << 10) + 1).to_string();
    let mut headers = Packing::Brotli.headers().to_vec();
    headers.push(("Content-Length", &length));
    let upload = request("POST", &envelope_target(), &headers, &packed);
    let clients: Vec<Client> = thread::scope(|scope| {
        let uploads: Vec<_> = (0..UPLOADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = edge.connect();
                    // One that is turned away may hear of it before it has sent all.
                    drop(client.try_send(&upload));
                    client
                })
            })
            .collect();
        (0..20).for_each(|_| post_honest());
        let uploads = uploads.into_iter();
        uploads.map(|upload| upload.join().unwrap()).collect()
    });
    let deadline = Instant::now() + HANG;
    let taken = loop {
        let chunked = |seen: &&Request| seen.framing == Framing::Chunked;
        let taken = fake.look(|ledger| ledger.requests.iter().filter(chunked).count());
        let turned_away = edge.metric("vidette_requests_total", &["status=\"503\""]);
        let due = taken as u64 * unpacked_bytes + 21 * honest.len() as u64;
        if taken + turned_away as usize == UPLOADS && arrived.load(Ordering::Relaxed) == due {
            break taken;
        }
        assert!(
            Instant::now() < deadline,
            "{taken} taken, {turned_away} turned away, {arrived:?} of {due} bytes"
        );
        thread::sleep(Duration::from_millis(20));
    };
    let growth = edge.memory_kib("VmHWM").saturating_sub(before);
    println!("{UPLOADS} forged brotli uploads, {taken} of them taken, grew memory by {growth} KiB");
    assert!(taken > 0, "forged fields alone are no reason to refuse");
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB");
    drop(clients);
    post_honest();
}

/// A forged envelope that fills the widest window, packed, and how long it is
/// without its forged fields. A little noise in every page keeps it under
/// `limits.decode_ratio`.
fn window_filling() -> (Vec<u8>, u64) {
    let mut items = vec![b' '; 18 << 20];
    for (number, page) in items.chunks_mut(4096).enumerate() {
        page[..40].copy_from_slice(&patterns::slice(7, 40 * number as u64, 40));
    }
    let items = attached(&items);
    let packed = brotli(&whole(ALL_FORGED.0, &items));
    assert!(packed.len() > items.len() / 180, "{} bytes", packed.len());
    (packed, whole(ALL_FORGED.1, &items).len() as u64)
}

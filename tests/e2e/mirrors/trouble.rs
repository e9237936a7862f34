//! A mirror that hangs, fails, limits or dies: the first loses nothing and waits for nothing, and
//! what the mirror missed reaches it later, over stops, kills and upgrades of the edge.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{large, mirroring, numbers, settled, text, told, wait_told};
use crate::edge::Edge;
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::spool::{arrived, event};
use crate::upstream::{Door, Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_mirror_that_hangs_is_nothing_to_the_first_and_catches_up,
        a_mirror_that_answers_500_is_nothing_to_the_first_and_catches_up,
        a_mirror_that_answers_503_is_nothing_to_the_first_and_catches_up,
        a_mirror_that_resets_is_nothing_to_the_first_and_catches_up,
        a_mirror_that_is_gone_is_nothing_to_the_first_and_catches_up,
        a_quiet_mirror_is_seen_to_be_back,
        a_mirrors_limits_hold_there_and_for_their_kind_alone,
        what_a_mirror_refuses_is_lost_there_alone,
        a_killed_edge_keeps_what_lies_on_disk_for_a_mirror,
        a_stopped_edge_keeps_what_a_mirror_has_not_answered,
        large_bodies_are_kept_for_a_mirror_too,
        without_a_spool_the_queue_has_an_end_that_is_counted,
        a_full_spool_of_a_mirrors_is_counted_and_leaves_the_firsts_room,
    ]
}

const EVENTS: u32 = 300;

type Behaviour = fn(&mut Exchange<'_>) -> io::Result<Next>;

/// Everything goes to the first while the mirror is in trouble and has taken nothing; once it is
/// well it gets everything.
#[track_caller]
fn check_trouble(
    trouble: impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync + 'static,
    is_well: Arc<AtomicBool>,
    heal: impl Fn(),
) {
    let first = Fake::start();
    let well = Arc::clone(&is_well);
    let second = Fake::with(move |exchange| {
        exchange.read_body()?;
        match well.load(Ordering::SeqCst) {
            true => exchange.answer(200, &[], b"{}"),
            false => trouble(exchange),
        }
    });
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    post_all(&edge, 0..EVENTS);
    // Each was answered while the mirror had taken none: no request has waited for it.
    assert_eq!(first.requests().len(), EVENTS as usize);
    let before = told(&edge);
    assert_eq!(before["sent"], 0, "{before:#}");
    assert_eq!(before["taken"], EVENTS, "{before:#}");
    let (open, fresh) = second.look(|ledger| (ledger.open_max, ledger.requests.len()));
    assert!(open <= 64, "{open} connections to a mirror at once");
    // Nobody asks a mirror that fails again and again as fast as events come.
    assert!(
        fresh < 2 * EVENTS as usize,
        "{fresh} requests to a failing mirror"
    );
    let books = edge.admin_get("/api/v1/ledger").json();
    let row = &books["rows"][0];
    assert_eq!(row["items"]["forwarded"], EVENTS, "{books:#}");
    assert_eq!(row["items"]["dropped"], json!({}), "{books:#}");

    is_well.store(true, Ordering::SeqCst);
    heal();
    let after = settled(&edge);
    assert_eq!(after["sent"], EVENTS, "{after:#}");
    check_all_in(&numbers(&second.requests()), EVENTS);
    assert_eq!(
        first.requests().len(),
        EVENTS as usize,
        "nothing was sent twice to the first"
    );
}

/// One after the other, on one connection.
#[track_caller]
pub(super) fn post_all(edge: &Edge, which: std::ops::Range<u32>) {
    let mut client = edge.connect();
    for number in which {
        let target = crate::edge::envelope_target();
        client.send(&crate::client::request(
            "POST",
            &target,
            &[],
            &event(number),
        ));
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        assert_eq!(answer.header("x-sentry-rate-limits"), None, "{number}");
    }
}

#[track_caller]
pub(super) fn check_all_in(numbers: &[u32], count: u32) {
    let had: BTreeSet<u32> = numbers.iter().copied().collect();
    let missing: Vec<u32> = (0..count).filter(|number| !had.contains(number)).collect();
    assert_eq!(missing, Vec::<u32>::new(), "the mirror lacks some");
}

fn a_mirror_that_hangs_is_nothing_to_the_first_and_catches_up() {
    let door = Door::default();
    let inside = door.clone();
    let hang = move |exchange: &mut Exchange<'_>| {
        inside.pass();
        exchange.answer(200, &[], b"{}")
    };
    check_trouble(hang, Arc::default(), move || door.open());
}

fn a_mirror_that_answers_500_is_nothing_to_the_first_and_catches_up() {
    let fail: Behaviour = |exchange| exchange.answer(500, &[], b"oh");
    check_trouble(fail, Arc::default(), || {});
}

fn a_mirror_that_answers_503_is_nothing_to_the_first_and_catches_up() {
    let fail: Behaviour = |exchange| exchange.answer(503, &[], b"full");
    check_trouble(fail, Arc::default(), || {});
}

fn a_mirror_that_resets_is_nothing_to_the_first_and_catches_up() {
    let reset: Behaviour = |exchange| exchange.reset();
    check_trouble(reset, Arc::default(), || {});
}

fn a_mirror_that_is_gone_is_nothing_to_the_first_and_catches_up() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &down.url(), place.path(), &json!({}));
    post_all(&edge, 0..EVENTS);
    assert_eq!(first.requests().len(), EVENTS as usize);
    let kept = wait_told(&edge, "kept", |told| told["waiting"]["disk"] == EVENTS);
    assert_eq!(kept["sent"], 0, "{kept:#}");
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "amber", "{status:#}");
    assert!(
        status["delivering"].as_bool().unwrap(),
        "the first has everything"
    );
    let second = down.listen(well);
    settled(&edge);
    check_all_in(&numbers(&second.requests()), EVENTS);
}

fn a_quiet_mirror_is_seen_to_be_back() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &down.url(), place.path(), &json!({}));
    post_all(&edge, 0..3);
    let status = || edge.admin_get("/api/v1/status").json();
    let comes = |what: &str, is_so: &dyn Fn(&Value) -> bool| {
        let deadline = Instant::now() + HANG;
        while !is_so(&status()) {
            assert!(Instant::now() < deadline, "never {what}: {}", status());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let breaker = |status: &Value| status["upstreams"][1]["breaker"].clone();
    comes("open", &|status| breaker(status) == "open");
    let second = down.listen(well);
    // What was kept is too little to tell, and nothing more comes.
    comes("green", &|status| status["light"] == "green");
    settled(&edge);
    check_all_in(&numbers(&second.requests()), 3);
    assert_eq!(second.requests().len(), 3);
}

pub(super) fn well(exchange: &mut Exchange<'_>) -> io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"{}")
}

fn a_mirrors_limits_hold_there_and_for_their_kind_alone() {
    let first = Fake::start();
    let second = Fake::with(|exchange| {
        exchange.read_body()?;
        if crate::wire::find(&exchange.body(), b"\"type\":\"event\"").is_some() {
            let limits = ("x-sentry-rate-limits", "60:error:organization");
            return exchange.answer(429, &[limits, ("retry-after", "60")], b"{}");
        }
        exchange.answer(200, &[], b"{}")
    });
    let place = tempfile::tempdir().unwrap();
    // No more may be under way than this, of which each that is held back takes nothing.
    let narrow = json!({"upstream": {"connections": 8}});
    let edge = mirroring(&first.url(), &second.url(), place.path(), &narrow);
    post_all(&edge, 0..1);
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 1);
    post_all(&edge, 1..20);
    for number in 0..5 {
        let line = format!("{{\"event_id\":\"{:032x}\"}}", 100 + number);
        let body = format!("{line}\n{{\"type\":\"transaction\",\"length\":2}}\n{{}}\n");
        let answer = edge.post_envelope(&[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let told = wait_told(&edge, "sent", |told| told["sent"] == 5);
    assert_eq!(told["waiting"]["disk"], 20, "{told:#}");
    assert_eq!(
        told["compared"]["answers"]["429"], 1,
        "asked once: {told:#}"
    );
    assert_eq!(first.requests().len(), 25);
    let learned = edge.admin_get("/api/v1/status").json()["limits_learned"].clone();
    assert_eq!(
        learned["keys"], 0,
        "it is no limit of the first's: {learned}"
    );
}

fn what_a_mirror_refuses_is_lost_there_alone() {
    let first = Fake::start();
    let second = Fake::with(|exchange| {
        exchange.read_body()?;
        let kind = [("content-type", "application/json")];
        exchange.answer(403, &kind, br#"{"detail":"no such project"}"#)
    });
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(
        &first.url(),
        &second.url(),
        place.path(),
        &json!({"keys": {"mode": "learn"}}),
    );
    post_all(&edge, 0..10);
    let told = settled(&edge);
    assert_eq!(told["lost"], json!({"refused": 10}), "{told:#}");
    assert_eq!(told["compared"]["answers"], json!({"403": 10}), "{told:#}");
    // Three refusals of the first's would have closed the door on the key.
    post_all(&edge, 10..12);
}

fn a_killed_edge_keeps_what_lies_on_disk_for_a_mirror() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let mut edge = mirroring(&first.url(), &down.url(), place.path(), &json!({}));
    post_all(&edge, 0..50);
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 50);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let second = down.listen(well);
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    let told = wait_told(&edge, "sent", |told| told["sent"] == 50);
    assert_eq!(
        (&told["carried"], &told["taken"]),
        (&json!(50), &json!(0)),
        "{told:#}"
    );
    check_all_in(&numbers(&second.requests()), 50);
    assert_eq!(first.requests().len(), 50);
}

fn a_stopped_edge_keeps_what_a_mirror_has_not_answered() {
    let first = Fake::start();
    let second = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.hold()
    });
    let place = tempfile::tempdir().unwrap();
    let mut edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    post_all(&edge, 0..100);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    drop(second);
    let second = Fake::start();
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    let told = wait_told(&edge, "sent", |told| told["sent"] == 100);
    assert_eq!(told["carried"], 100, "{told:#}");
    check_all_in(&numbers(&second.requests()), 100);
}

fn large_bodies_are_kept_for_a_mirror_too() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let mut edge = mirroring(&first.url(), &down.url(), place.path(), &json!({}));
    let bodies: Vec<Vec<u8>> = (0..3).map(|number| large(number, 3_000_000)).collect();
    for body in &bodies {
        assert_eq!(edge.post_envelope(&[], body).status, 200);
    }
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 3);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let second = down.listen(well);
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    settled(&edge);
    let copies = arrived(&second, 3);
    for copy in &copies {
        let number = *numbers(std::slice::from_ref(copy)).first().unwrap();
        let want = &bodies[number as usize];
        // Nothing in it tells when it was sent, so nothing of it changes.
        assert!(
            copy.body == *want,
            "{number}: {} bytes differ",
            copy.body.len()
        );
    }
}

fn without_a_spool_the_queue_has_an_end_that_is_counted() {
    // More than wait in a queue.
    const MANY: u32 = 4_500;
    let first = Fake::start();
    let second = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.hold()
    });
    let changes = json!({"mirrors": [{"name": "next", "ingest": [second.url()]}]});
    let edge = Edge::configured(&first.url(), &first.url(), changes);
    post_all(&edge, 0..MANY);
    assert_eq!(first.requests().len(), MANY as usize);
    let told = told(&edge);
    let lost = told["lost"]["queue_full"].as_u64().unwrap();
    let held = told["held"].as_u64().unwrap();
    assert_eq!(lost + held, u64::from(MANY), "{told:#}");
    assert!((4_096..4_300).contains(&held), "{told:#}");
}

fn a_full_spool_of_a_mirrors_is_counted_and_leaves_the_firsts_room() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let mirror = json!([{"name": "next", "ingest": [down.url()], "spool": {"max_bytes": "1MiB"}}]);
    let changes = json!({"mirrors": mirror});
    let edge = Edge::run(
        &text(&first.url(), &down.url(), place.path(), &changes),
        &[],
    );
    for number in 0..40 {
        let answer = edge.post_envelope(&[], &large(number, 50_000));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let full = |told: &Value| {
        let lost = told["lost"]["spool_full"].as_u64().unwrap_or(0);
        lost > 0 && lost + told["waiting"]["disk"].as_u64().unwrap() == 40
    };
    let told = wait_told(&edge, "full", full);
    let bytes = told["waiting"]["disk_bytes"].as_u64().unwrap();
    assert!((900_000..=1 << 20).contains(&bytes), "{told:#}");
    assert_eq!(first.requests().len(), 40);
}

//! Copies for another Sentry: it gets what the first takes, and nothing that it does, hangs over or
//! dies of is felt by the first. What it could not take reaches it later.

mod dropped;
mod removed;
mod renamed;
mod trouble;
mod upgraded;

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY, configuration, lay_over};
use crate::explained::post;
use crate::line_one::Packing;
use crate::parts::promises;
use crate::spool::{arrived, check_taken, event};
use crate::upstream::{Fake, HANG, Request};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_mirror_gets_what_the_first_takes_and_nothing_else,
        a_large_body_is_copied_as_it_streams_by,
        without_a_spool_a_large_body_is_not_copied_and_counted,
        without_a_spool_what_came_packed_is_copied_as_it_left,
        a_share_is_of_whole_traces,
        a_mirror_gets_the_projects_it_is_to_have,
        what_is_kept_for_the_first_is_copied_once,
        a_reload_changes_what_a_mirror_gets,
    ];
    trials.extend(dropped::trials());
    trials.extend(removed::trials());
    trials.extend(renamed::trials());
    trials.extend(trouble::trials());
    trials.extend(upgraded::trials());
    trials
}

/// An edge that copies to this mirror, with a spool in this folder.
#[track_caller]
fn mirroring(first: &str, second: &str, place: &Path, changes: &Value) -> Edge {
    Edge::run(&text(first, second, place, changes), &[])
}

fn text(first: &str, second: &str, place: &Path, changes: &Value) -> String {
    let mut all = json!({
        "upstream": {"ingest_deadline": "5s", "probe_interval": "50ms"},
        "spool": {"path": place, "free_floor": 0, "max_bytes": "64MiB"},
        "mirrors": [{"name": "next", "ingest": [second]}],
    });
    lay_over(&mut all, changes);
    configuration(first, first, &all).to_string()
}

/// What status says of the one mirror.
#[track_caller]
fn told(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/status").json()["mirrors"][0].clone()
}

/// Waits until what status says of the mirror is so.
#[track_caller]
fn wait_told(edge: &Edge, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let told = told(edge);
        if is_so(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "never {what}: {told:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until nothing is held, and sees that each request ended in one of three ways.
#[track_caller]
fn settled(edge: &Edge) -> Value {
    let told = wait_told(edge, "settled", |told| told["held"] == 0);
    let lost = told["lost"].as_object().unwrap().values();
    let lost: u64 = lost.filter_map(Value::as_u64).sum();
    let number = |name: &str| told[name].as_u64().unwrap();
    let came = number("taken") + number("carried");
    assert_eq!(came, number("sent") + lost, "{told:#}");
    told
}

/// The numbers of the events that arrived.
fn numbers(requests: &[Request]) -> Vec<u32> {
    let number = |request: &Request| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let (_, rest) = text.split_once("\"event_id\":\"")?;
        u32::from_str_radix(rest.get(..32)?, 16).ok()
    };
    requests.iter().filter_map(number).collect()
}

/// Whether a copy is as its original but for the server's name.
#[track_caller]
fn check_same(copy: &Request, original: &Request) {
    assert_eq!(copy.target_text(), original.target_text());
    assert_eq!(copy.body, original.body);
    for name in [
        "x-forwarded-for",
        "x-request-id",
        "content-encoding",
        "content-type",
    ] {
        assert_eq!(copy.headers.one(name), original.headers.one(name), "{name}");
    }
}

fn a_mirror_gets_what_the_first_takes_and_nothing_else() {
    let first = Fake::with(|exchange| {
        exchange.read_body()?;
        let refused = crate::wire::find(&exchange.body(), b"refuse me").is_some();
        let status = if refused { 400 } else { 200 };
        exchange.answer(status, &[("content-type", "application/json")], b"{}")
    });
    let second = Fake::start();
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(
        &first.url(),
        &second.url(),
        place.path(),
        &json!({
            "projects": [{"id": 42, "quotas": [{"name": "q", "categories": ["session"], "limit": 0, "per": "1h"}]}],
        }),
    );
    let body = event(1);
    let packed = Packing::Gzip.pack(&body);
    let headers = [
        ("Content-Encoding", "gzip"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    assert_eq!(edge.post_envelope(&headers, &packed).status, 200);
    let limited = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], limited).status, 429);
    let refused = b"{}\n{\"type\":\"event\",\"length\":9}\nrefuse me\n";
    assert_eq!(edge.post_envelope(&[], refused).status, 400);
    // The quota drops a part of it, which the mirror does not get either.
    let part = [&event(2)[..], b"{\"type\":\"session\",\"length\":2}\n{}\n"].concat();
    assert_eq!(edge.post_envelope(&[], &part).status, 200);
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 200, "a page");

    let copies = arrived(&second, 2);
    let told = settled(&edge);
    assert_eq!(copies.len(), 2, "{copies:#?}");
    let id = |request: &Request| request.headers.one("x-request-id").unwrap();
    let originals = first.requests();
    for copy in &copies {
        let original = originals.iter().find(|original| id(original) == id(copy));
        let original = original.unwrap();
        check_same(copy, original);
        let own = second.address().to_string();
        assert_eq!(copy.headers.one("host"), Some(own), "its own name");
    }
    let mut bodies: Vec<&[u8]> = copies.iter().map(|copy| &*copy.body).collect();
    bodies.sort_unstable();
    assert_eq!(
        bodies,
        [&packed[..], &event(2)],
        "as it came, and without what was dropped"
    );
    assert_eq!(
        (&told["taken"], &told["sent"]),
        (&json!(2), &json!(2)),
        "{told:#}"
    );
    assert_eq!(told["compared"]["answers"], json!({"200": 2}));
    assert_eq!(told["compared"]["requests"], 2);
    let labels = ["upstream=\"mirror-next\"", "outcome=\"ok\""];
    assert_eq!(
        edge.metric("vidette_upstream_requests_total", &labels) as u64,
        2
    );
    let sent = ["mirror=\"next\"", "outcome=\"sent\""];
    assert_eq!(
        edge.metric("vidette_mirror_requests_total", &sent) as u64,
        2
    );
    // A copy is no event of its own.
    let forwarded = ["category=\"error\"", "outcome=\"forwarded\""];
    assert_eq!(edge.metric("vidette_items_total", &forwarded) as u64, 2);
}

/// An envelope of one event and an attachment of so many bytes.
fn large(number: u32, bytes: usize) -> Vec<u8> {
    let noise: Vec<u8> = (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect();
    let header = format!("{{\"type\":\"attachment\",\"length\":{bytes}}}\n");
    [&event(number)[..], header.as_bytes(), &noise, b"\n"].concat()
}

fn a_large_body_is_copied_as_it_streams_by() {
    let (first, second) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    // In memory while it is short, and in a file.
    for (count, bytes) in (1..).zip([600_000, 5_000_000]) {
        let body = large(count as u32, bytes);
        check_taken_any(&edge.post_envelope(&[], &body));
        let copy = arrived(&second, count).swap_remove(count - 1);
        assert!(copy.body == body, "{} bytes differ", copy.body.len());
    }
    let told = settled(&edge);
    assert_eq!(told["sent"], 2, "{told:#}");
}

#[track_caller]
fn check_taken_any(answer: &crate::client::Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn without_a_spool_a_large_body_is_not_copied_and_counted() {
    let (first, second) = (Fake::start(), Fake::start());
    let changes = json!({"mirrors": [{"name": "next", "ingest": [second.url()]}]});
    let edge = Edge::configured(&first.url(), &first.url(), changes);
    check_taken_any(&edge.post_envelope(&[], &large(1, 600_000)));
    check_taken_any(&edge.post_envelope(&[], &event(2)));
    let copies = arrived(&second, 1);
    let told = settled(&edge);
    assert_eq!(numbers(&copies), [2]);
    assert_eq!(told["lost"], json!({"large": 1}), "{told:#}");
}

fn without_a_spool_what_came_packed_is_copied_as_it_left() {
    let (first, second) = (Fake::start(), Fake::start());
    let no_attachments = json!([{"categories": ["attachment"], "limit": 0, "per": "1h"}]);
    let changes = json!({
        "mirrors": [{"name": "next", "ingest": [second.url()]}],
        "projects": [{"id": 42, "keys": [KEY], "quotas": no_attachments}],
    });
    let edge = Edge::configured(&first.url(), &first.url(), changes);
    let packed = Packing::Gzip.pack(&large(1, 600));
    check_taken_any(&edge.post_envelope(Packing::Gzip.headers(), &packed));
    let copies = arrived(&second, 1);
    check_same(&copies[0], &first.requests()[0]);
    assert_eq!(copies[0].body, event(1));
    assert_eq!(settled(&edge)["lost"], json!({}));
}

fn a_share_is_of_whole_traces() {
    const TRACES: u32 = 60;
    let (first, second) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes = json!({"mirrors": [{"name": "next", "ingest": [second.url()], "share": "50%"}]});
    let edge = mirroring(&first.url(), &second.url(), place.path(), &changes);
    for part in 0..2 {
        for trace in 0..TRACES {
            let number = 2 * trace + part;
            let line = format!(
                "{{\"event_id\":\"{number:032x}\",\"trace\":{{\"trace_id\":\"{:032x}\",\"public_key\":\"{KEY}\"}}}}",
                u128::from(trace) << 64 | 0x5eed
            );
            let body = format!("{line}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n");
            check_taken_any(&edge.post_envelope(&[], body.as_bytes()));
        }
    }
    let told = settled(&edge);
    let mut copied = numbers(&second.requests());
    copied.sort_unstable();
    assert_eq!(told["taken"], copied.len(), "{told:#}");
    let whole = copied
        .chunks(2)
        .all(|pair| matches!(pair, [a, b] if a / 2 == b / 2));
    assert!(whole, "a part of a trace: {copied:?}");
    let traces = copied.len() / 2;
    assert!((15..45).contains(&traces), "{traces} of {TRACES} traces");
}

fn a_mirror_gets_the_projects_it_is_to_have() {
    let (first, second) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes =
        json!({"mirrors": [{"name": "next", "ingest": [second.url()], "projects": [7, 43]}]});
    let edge = mirroring(&first.url(), &second.url(), place.path(), &changes);
    for project in [42, 43, 7, 8] {
        let target = format!("/api/{project}/envelope/?sentry_key={KEY}");
        check_taken_any(&edge.ask("POST", &target, &[], &event(project)));
    }
    arrived(&second, 2);
    settled(&edge);
    let mut copied = numbers(&second.requests());
    copied.sort_unstable();
    assert_eq!(copied, [7, 43]);
}

fn what_is_kept_for_the_first_is_copied_once() {
    let down = crate::upstream::Silent::reserve();
    let second = Fake::start();
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&down.url(), &second.url(), place.path(), &json!({}));
    for number in 1..=5 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let copies = arrived(&second, 5);
    let first = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    arrived(&first, 5);
    let told = settled(&edge);
    assert_eq!(copies.len(), 5);
    assert_eq!(
        second.requests().len(),
        5,
        "not once more when the first has it"
    );
    assert_eq!(told["compared"]["first_kept"], 5, "{told:#}");
}

fn a_reload_changes_what_a_mirror_gets() {
    let (first, second) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    check_taken_any(&edge.post_envelope(&[], &event(1)));
    arrived(&second, 1);
    let reload = |mirrors: Value| {
        let changes = json!({
            "mirrors": mirrors,
            "listen": {"public": [edge.public.to_string()], "admin": edge.admin.to_string()},
        });
        edge.rewrite(&text(&first.url(), &second.url(), place.path(), &changes));
        post(&edge, "/api/v1/reload", b"{}").json()
    };
    let mirror = |more: Value| {
        let mut mirror = json!({"name": "next", "ingest": [second.url()]});
        lay_over(&mut mirror, &more);
        json!([mirror])
    };
    let listens = json!("listen");
    let needs = |told: &Value| -> Vec<Value> {
        let needs = told["needs_restart"].as_array().unwrap();
        needs
            .iter()
            .filter(|key| **key != listens)
            .cloned()
            .collect()
    };
    let told = reload(mirror(json!({"projects": [7]})));
    assert_eq!(needs(&told), Vec::<Value>::new(), "{told}");
    check_taken_any(&edge.post_envelope(&[], &event(2)));
    let told = reload(json!([]));
    assert_eq!(needs(&told), [json!("mirrors")], "{told}");
    check_taken_any(&edge.post_envelope(&[], &event(3)));
    reload(mirror(json!({})));
    check_taken_any(&edge.post_envelope(&[], &event(4)));
    arrived(&second, 2);
    settled(&edge);
    assert_eq!(numbers(&second.requests()), [1, 4]);
}

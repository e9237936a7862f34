//! The red switches, from outside: what they let through and for how long, on every
//! worker and over a kill; and what their operators are told.

mod explained;
mod kept;
mod operated;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, ask, request};
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::explained::post;
use crate::parts::promises;
use crate::quotas::row;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_mute_is_in_force_on_every_worker_once_it_is_confirmed,
        a_mute_is_told_as_a_limit_on_everything,
        a_mute_covers_what_is_no_envelope_and_what_never_hears_429,
        a_mute_of_a_key_without_a_project_in_its_path,
        a_mute_of_a_category_lets_the_others_through,
        a_mute_keeps_its_share,
        a_mute_ends_by_itself,
        a_limit_admits_exactly_its_number,
        a_limit_lies_above_the_quotas,
    ];
    trials.extend(explained::trials());
    trials.extend(kept::trials());
    trials.extend(operated::trials());
    trials
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

fn edge(fake: &Fake, changes: &Value) -> Edge {
    let mut all = json!({"projects": [{"id": 42, "keys": [KEY]}]});
    crate::edge::lay_over(&mut all, changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// Switches on, and yields what was said of it.
#[track_caller]
pub(crate) fn switch(edge: &Edge, changes: Value) -> Value {
    let answer = try_switch(edge, changes);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn try_switch(edge: &Edge, changes: Value) -> Answer {
    let mut body = json!({"project": 42, "action": "mute", "for_s": 1800});
    crate::edge::lay_over(&mut body, &changes);
    post(edge, "/api/v1/mutes", body.to_string().as_bytes())
}

pub(crate) fn delete(edge: &Edge, id: &Value) -> Answer {
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    let path = format!("/api/v1/mutes/{id}");
    ask(edge.admin, "DELETE", &path, &headers, b"")
}

#[track_caller]
fn comes(what: &str, mut true_yet: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !true_yet() {
        assert!(Instant::now() < deadline, "{what}: it never comes");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What the answers of one connection are to be, for requests begun from now on.
struct Wanted {
    status: AtomicUsize,
    stop: AtomicBool,
}

fn a_mute_is_in_force_on_every_worker_once_it_is_confirmed() {
    const CONNECTIONS: usize = 24;
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"workers": 2}));
    // 0: either will do, as the switch is being moved.
    let wanted = Arc::new(Wanted {
        status: AtomicUsize::new(200),
        stop: AtomicBool::new(false),
    });
    let counts: Arc<[AtomicUsize; CONNECTIONS]> = Arc::default();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|place| {
            let (wanted, counts) = (Arc::clone(&wanted), Arc::clone(&counts));
            let mut client = edge.connect();
            thread::spawn(move || {
                let bytes = request("POST", &envelope_target(), &[], EVENT);
                while !wanted.stop.load(Ordering::SeqCst) {
                    let before = wanted.status.load(Ordering::SeqCst);
                    client.send(&bytes);
                    let status = usize::from(client.answer_to("POST").status);
                    let after = wanted.status.load(Ordering::SeqCst);
                    // What was begun and ended while one thing was wanted got that.
                    if before == after && before != 0 {
                        assert_eq!(status, before);
                        counts[place].fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    let each_had = |what: &str| {
        let before: Vec<_> = counts.iter().map(|n| n.load(Ordering::SeqCst)).collect();
        comes(what, || {
            let mut all = counts.iter().zip(&before);
            clients.iter().any(thread::JoinHandle::is_finished)
                || all.all(|(now, before)| now.load(Ordering::SeqCst) >= before + 5)
        });
    };
    for _ in 0..3 {
        each_had("open");
        wanted.status.store(0, Ordering::SeqCst);
        let began = Instant::now();
        let id = switch(&edge, json!({}))["id"].clone();
        wanted.status.store(429, Ordering::SeqCst);
        assert!(began.elapsed() < HANG);
        each_had("muted");
        wanted.status.store(0, Ordering::SeqCst);
        assert_eq!(delete(&edge, &id).status, 200);
        wanted.status.store(200, Ordering::SeqCst);
    }
    each_had("open again");
    wanted.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
}

/// The limits of a 429, its `Retry-After` being the same.
#[track_caller]
fn told(answer: &Answer) -> String {
    assert_eq!(answer.status, 429, "{}", answer.text());
    crate::ingest::check_refusal(answer);
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    let seconds = limits.split(':').next().map(str::to_owned);
    assert_eq!(answer.header("retry-after"), seconds);
    limits
}

fn a_mute_is_told_as_a_limit_on_everything() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    switch(&edge, json!({"for_s": 100}));
    let answer = edge.post_envelope(&[], EVENT);
    let limits = told(&answer);
    let (seconds, rest) = limits.split_once(':').unwrap();
    assert!(
        (1..=101).contains(&seconds.parse::<u32>().unwrap()),
        "{limits}"
    );
    assert_eq!(rest, ":project:muted");
    assert_eq!(answer.json()["causes"], json!(["muted"]));
    // What a client is told is capped.
    switch(&edge, json!({"for_s": 2_592_000}));
    assert_eq!(told(&edge.post_envelope(&[], EVENT)), "300::project:muted");
    let other = crate::senders::target(7, KEY.replace('a', "b").as_str());
    assert_eq!(edge.ask("POST", &other, &[], EVENT).status, 200);
    assert_eq!(fake.requests().len(), 1);
    let row = row(&edge, json!(42), "unread");
    assert_eq!(row["items"]["dropped"], json!({"muted": 2}));
    assert_eq!(row["bytes"]["dropped"], json!({"muted": 2 * EVENT.len()}));
    let labels = ["project=\"42\"", "reason=\"muted\""];
    let metric = edge.metric("vidette_items_total", &labels);
    assert!((metric - 2.0).abs() < 0.1, "{metric}");
}

fn a_mute_covers_what_is_no_envelope_and_what_never_hears_429() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    switch(&edge, json!({}));
    let store = format!("/api/42/store/?sentry_key={KEY}");
    told(&edge.ask("POST", &store, &[], b"{}"));
    let tail = format!("/api/42/something/new/?sentry_key={KEY}");
    told(&edge.ask("POST", &tail, &[], b"x"));
    assert_eq!(edge.ask("POST", &dump_target(), &[], b"MDMP").status, 200);
    assert!(fake.requests().is_empty(), "it is muted");
    let row = row(&edge, json!(42), "error");
    assert_eq!(row["items"]["dropped"], json!({"muted": 2}));
}

/// Where only line one, or the key alone, tells the project.
fn a_mute_of_a_key_without_a_project_in_its_path() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"tunnel": {"paths": ["/t"]}}));
    switch(&edge, json!({}));
    told(&edge.ask("POST", &format!("/api/store/?sentry_key={KEY}"), &[], b"{}"));
    let dsn = format!("https://{KEY}@sentry.example.com/42");
    let body = format!("{{\"dsn\":\"{dsn}\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n");
    told(&edge.ask("POST", "/t", &[], body.as_bytes()));
    told(&edge.ask("POST", "/api/42/envelope/", &[], body.as_bytes()));
    assert!(fake.requests().is_empty());
}

fn a_mute_of_a_category_lets_the_others_through() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    switch(&edge, json!({"category": "error", "for_s": 200}));
    let mixed =
        b"{}\n{\"type\":\"attachment\",\"length\":1}\nx\n{\"type\":\"event\",\"length\":2}\n{}\n\
        {\"type\":\"session\",\"length\":2}\n{}\n";
    let answer = edge.post_envelope(&[], mixed);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    assert!(limits.ends_with(":error:project:muted"), "{limits}");
    let arrived = fake.only_request();
    let body = String::from_utf8(arrived.body).unwrap();
    assert_eq!(body, "{}\n{\"type\":\"session\",\"length\":2}\n{}\n");
    let limits = told(&edge.post_envelope(&[], EVENT));
    assert!(limits.ends_with(":error:project:muted"), "{limits}");
    let attachment = b"{}\n{\"type\":\"attachment\",\"length\":1}\nx\n";
    assert_eq!(
        edge.post_envelope(&[], attachment).status,
        200,
        "it belongs to no event"
    );
    let of = |category| row(&edge, json!(42), category)["items"]["dropped"].clone();
    assert_eq!(of("error"), json!({"muted": 2}));
    assert_eq!(of("attachment"), json!({"muted": 1}));
    assert_eq!(of("session"), json!({}));
}

fn a_mute_keeps_its_share() {
    const POSTS: usize = 1000;
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    switch(&edge, json!({"value": "30%"}));
    let mut client = edge.connect();
    let bytes = request("POST", &envelope_target(), &[], EVENT);
    let mut passed = 0;
    for _ in 0..POSTS {
        client.send(&bytes);
        let answer = client.answer_to("POST");
        match answer.status {
            200 => passed += 1,
            _ => assert_eq!(told(&answer), "1::project:muted"),
        }
    }
    // Seven deviations on either side: one run in hundreds of billions is outside.
    assert!((200..=400).contains(&passed), "{passed} of {POSTS}");
    assert_eq!(fake.requests().len(), passed);
}

fn a_mute_ends_by_itself() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let began = Instant::now();
    switch(&edge, json!({"for_s": 2}));
    assert_eq!(edge.post_envelope(&[], EVENT).status, 429);
    comes("its end", || edge.post_envelope(&[], EVENT).status == 200);
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "it ended too early"
    );
    comes("the books", || {
        let listed = edge.admin_get("/api/v1/mutes?history=true").json();
        listed["switches"] == json!([]) && listed["ended"][0]["end"] == "expired"
    });
    edge.log.wait_for("its end", |line| {
        let told = line.contains("a switch is off") && line.contains("end=\"expired\"");
        told.then_some(())
    });
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(
        (&status["light"], &status["switches"]["count"]),
        (&json!("green"), &json!(0))
    );
}

fn a_limit_admits_exactly_its_number() {
    let fake = Fake::start();
    let edge = Arc::new(edge(&fake, &json!({"workers": 2})));
    // A window that does not end while this runs, unless it is run as a month ends.
    switch(
        &edge,
        json!({"action": "limit", "category": "error", "value": "20/30d"}),
    );
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let edge = Arc::clone(&edge);
            thread::spawn(move || {
                let post = |_| edge.post_envelope(&[], EVENT);
                let answers: Vec<Answer> = (0..10).map(post).collect();
                for answer in answers.iter().filter(|answer| answer.status != 200) {
                    assert_eq!(told(answer), "300:error:project:limited");
                }
                answers.iter().filter(|answer| answer.status == 200).count()
            })
        })
        .collect();
    let passed: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    assert_eq!(passed, 20);
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], session).status, 200);
    let row = row(&edge, json!(42), "error");
    assert_eq!(row["items"]["dropped"], json!({"limited": 60}));
}

fn a_limit_lies_above_the_quotas() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["error"], "limit": 3, "per": "30d"}]);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    let edge = edge(&fake, &changes);
    let limit = json!({"action": "limit", "value": "2/30d"});
    let id = switch(&edge, limit)["id"].clone();
    let statuses = |posts| -> Vec<u16> {
        let post = |_| edge.post_envelope(&[], EVENT).status;
        (0..posts).map(post).collect()
    };
    assert_eq!(statuses(3), [200, 200, 429]);
    assert_eq!(
        told(&edge.post_envelope(&[], EVENT)),
        "300::project:limited"
    );
    assert_eq!(delete(&edge, &id).status, 200);
    assert_eq!(
        statuses(2),
        [200, 429],
        "both passed through the quota, too"
    );
    let limits = told(&edge.post_envelope(&[], EVENT));
    assert_eq!(limits, "300:error:project:error-30d");
}

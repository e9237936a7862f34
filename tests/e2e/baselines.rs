//! What projects usually send, as operators see it: one that falls silent, a spike that costs
//! nothing, and that both outlive a restart. Days are read from a file, as an earlier run leaves
//! it, and minutes pass by a clock that is set.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY, configuration};
use crate::parts::promises;
use crate::spool::trouble::Trouble;
use crate::spool::{arrived, event};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_project_that_falls_silent_is_told_and_stays_so_over_a_restart,
        a_spike_is_counted_and_told_and_nothing_is_dropped,
        a_damaged_file_is_put_aside_and_said,
        what_is_switched_off_is_not_told,
    ]
}

/// Eight days.
const HOURS: usize = 8 * 24;

/// The longest step of the clock that still is a minute somebody watched.
const STEP_MINUTES: i64 = 3;

fn minute_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs() / 60
}

/// The file that eight days leave of project 42, in which came so many errors each hour, at least
/// one each minute.
fn eight_days(errors: u32) -> Vec<u8> {
    let minute = minute_now();
    let hours = |number: u32| vec![number; HOURS];
    let line = json!({
        "minute": minute, "project": 42, "last_item": minute - 1, "missed": 0,
        "silent_since": null, "held_until": 0, "watched": hours(60), "busy": hours(60),
        "kinds": [{"category": "error", "since": 1, "counts": hours(errors)}],
    });
    let body = format!("{line}\n");
    // FNV-1a.
    let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("vidette-baselines 1 {sum:016x}\n{body}").into_bytes()
}

/// A folder with that file.
fn place(bytes: &[u8]) -> TempDir {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("baselines"), bytes).unwrap();
    place
}

/// An edge's configuration that goes on from there.
fn text(fake: &Fake, place: &Path, changes: &Value) -> String {
    let mut all = json!({
        "state": {"path": place},
        "projects": [{"id": 42, "keys": [KEY]}],
    });
    crate::edge::lay_over(&mut all, changes);
    configuration(&fake.url(), &fake.url(), &all).to_string()
}

/// The clock that an edge goes by, set ahead step by step.
struct Days {
    trouble: Trouble,
    ahead_minutes: i64,
}

impl Days {
    fn begin() -> Self {
        let trouble = Trouble::new(1);
        Self {
            trouble,
            ahead_minutes: 0,
        }
    }

    /// So many steps pass, after each of which the edge has looked.
    #[track_caller]
    fn pass(&mut self, edge: &Edge, steps: u32) {
        for _ in 0..steps {
            let before = told(edge)["looked_at"].clone();
            self.ahead_minutes += STEP_MINUTES;
            self.trouble.clock_is_off(self.ahead_minutes * 60);
            let deadline = Instant::now() + HANG;
            while told(edge)["looked_at"] == before {
                assert!(Instant::now() < deadline, "nobody looks: {before}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn told(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/baselines").json()
}

/// What is told of project 42.
#[track_caller]
fn project(edge: &Edge) -> Value {
    let told = told(edge);
    assert_eq!(told["count"], 1, "{told}");
    told["projects"][0].clone()
}

/// The edge has looked since it started.
#[track_caller]
fn has_looked(edge: &Edge) {
    let deadline = Instant::now() + HANG;
    while told(edge)["looked_at"].is_null() {
        assert!(Instant::now() < deadline, "{}", told(edge));
        thread::sleep(Duration::from_millis(20));
    }
}

fn silent(edge: &Edge) -> f64 {
    edge.metric("vidette_project_silent", &["project=\"42\""])
}

/// Waits until an incident of this kind is in that list.
#[track_caller]
fn once(edge: &Edge, list: &str, kind: &str) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let all = edge.admin_get("/api/v1/incidents").json();
        let of_list = all[list].as_array().unwrap();
        if let Some(one) = of_list.iter().find(|one| one["kind"] == kind) {
            return one.clone();
        }
        assert!(Instant::now() < deadline, "no {kind} is {list}: {all}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn a_project_that_falls_silent_is_told_and_stays_so_over_a_restart() {
    let (fake, place) = (Fake::start(), place(&eight_days(600)));
    let mut days = Days::begin();
    let on = text(&fake, place.path(), &json!({}));
    let mut edge = days.trouble.run(&on, place.path());
    has_looked(&edge);
    let before = project(&edge);
    assert_eq!(before["silent_since"], Value::Null);
    assert_eq!(
        before["busy_minutes_expected"],
        json!({"low": 60, "usual": 60, "high": 60})
    );
    assert!(before["hours_known"].as_u64().unwrap() > 180, "{before}");
    // At a step of three minutes a look, six are not enough for twenty minutes that brought
    // nothing, unless a minute of ours passes meanwhile.
    days.pass(&edge, 5);
    assert!(silent(&edge) < 0.5, "{}", project(&edge));
    days.pass(&edge, 3);
    assert!(silent(&edge) > 0.5, "{}", project(&edge));
    let since = project(&edge)["silent_since"].clone();
    assert_eq!(since, before["last_item"]);
    let incident = once(&edge, "active", "project_silent");
    assert_eq!(
        (&incident["subject"], &incident["severity"]),
        (&json!("42"), &json!("ticket"))
    );
    let says = incident["says"].as_str().unwrap();
    assert!(
        says.starts_with("project 42 has sent nothing for 2"),
        "{says}"
    );
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    let edge = days.trouble.run(&on, place.path());
    assert_eq!(project(&edge)["silent_since"], since, "it is known at once");
    once(&edge, "active", "project_silent");
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    arrived(&fake, 1);
    days.pass(&edge, 1);
    assert!(silent(&edge) < 0.5, "{}", project(&edge));
    assert_eq!(project(&edge)["silent_since"], Value::Null);
    edge.log
        .wait_for_text("a project that was silent sends again");
    once(&edge, "ended", "project_silent");
}

fn a_spike_is_counted_and_told_and_nothing_is_dropped() {
    let (fake, place) = (Fake::start(), place(&eight_days(10)));
    let mut days = Days::begin();
    let spikes = json!({"spikes": {"times": 2, "floor": 1}});
    let on = text(&fake, place.path(), &spikes);
    let edge = days.trouble.run(&on, place.path());
    has_looked(&edge);
    let errors = project(&edge)["categories"][0].clone();
    assert_eq!(errors["hour"]["limit"], 20, "{errors}");
    let labels = ["project=\"42\"", "category=\"error\""];
    for number in 0..50 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    arrived(&fake, 50);
    days.pass(&edge, 1);
    // Twenty fit into the bucket, and one or two more if a minute of ours ended meanwhile.
    let would_drop = edge.metric("vidette_spike_would_drop_items_total", &labels);
    assert!((28.0..=30.0).contains(&would_drop), "{would_drop}");
    assert!(edge.metric("vidette_spike", &labels) > 0.5);
    let errors = project(&edge)["categories"][0].clone();
    assert!(errors["spike_since"].is_string(), "{errors}");
    let incident = once(&edge, "active", "spike");
    assert_eq!(incident["subject"], "42");
    let says = incident["says"].as_str().unwrap();
    assert!(
        says.contains("what spike protection would have dropped: error for "),
        "{says}"
    );
    let advice = incident["advice"].as_str().unwrap();
    assert!(advice.contains("vidette limit 42 "), "{advice}");
    // In shadow: all are with Sentry.
    let dropped = edge.metric(
        "vidette_items_total",
        &["project=\"42\"", "outcome=\"dropped\""],
    );
    assert!(dropped < 0.5, "{dropped}");
    days.pass(&edge, 5);
    assert!(
        edge.metric("vidette_spike", &labels) < 0.5,
        "{}",
        project(&edge)
    );
    edge.log
        .wait_for_text("a spike is over; nothing was dropped for it");
    let still = edge.metric("vidette_spike_would_drop_items_total", &labels);
    assert!((still - would_drop).abs() < 0.5, "{still}");
}

fn a_damaged_file_is_put_aside_and_said() {
    let mut bytes = eight_days(600);
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    let (fake, place) = (Fake::start(), place(&bytes));
    let edge = Edge::run(&text(&fake, place.path(), &json!({})), &[]);
    assert_eq!(told(&edge)["count"], 0);
    edge.log
        .wait_for_text("has to be learned anew, and the file is put aside as baselines.unread");
    assert_eq!(
        fs::read(place.path().join("baselines.unread")).unwrap(),
        bytes
    );
}

fn what_is_switched_off_is_not_told() {
    let (fake, place) = (Fake::start(), place(&eight_days(10)));
    let mut days = Days::begin();
    let off = json!({"silence": {"enabled": false}, "spikes": {"mode": "off"}});
    let on = text(&fake, place.path(), &off);
    let edge = days.trouble.run(&on, place.path());
    has_looked(&edge);
    for number in 0..50 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    arrived(&fake, 50);
    days.pass(&edge, 9);
    assert!(silent(&edge) < 0.5, "{}", project(&edge));
    let would_drop = edge.metric("vidette_spike_would_drop_items_total", &[]);
    assert!(would_drop < 0.5, "{would_drop}");
    let all = edge.admin_get("/api/v1/incidents").json();
    assert_eq!(all["active"], json!([]));
}

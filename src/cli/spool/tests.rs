//! What the commands say of a spool, and what they ask of its edge.

use std::sync::Mutex;
use std::time::Duration;

use super::super::fake::{Asked, Fake, json as answer};
use super::drain::progress;
use super::table::moment;
use super::*;

const KEPT: &str = r#"{"items":12,"requests":7,"bytes":1572864,"bytes_max":4294967296,
    "oldest_s":7300,"aside":2,"paused":true,"paused_since":"2026-11-26T07:45:12.000Z","more_projects":3,"projects":[
    {"project":42,"requests":6,"bytes":2048,"oldest_s":90},
    {"project":null,"requests":1,"bytes":10,"oldest_s":180}]}"#;

#[test]
fn what_is_kept_is_shown_by_project() {
    let overview: Overview = serde_json::from_str(KEPT).unwrap();
    let want = "12 items in 7 requests, 1.5 MiB of 4.0 GiB, oldest 2 h; 2 set aside; paused since 2026-11-26 07:45 UTC\n     \
                project    requests        size    oldest\n          \
                42           6     2.0 KiB      90 s\n        \
                none           1        10 B     3 min\n\
                and 3 more";
    assert_eq!(table(&overview).join("\n"), want);
}

/// The lines that say who is to have it.
#[track_caller]
fn check_waits(upstreams: &str, want: &[&str]) {
    let more = format!("\"more_projects\":0,\"upstreams\":{upstreams}");
    let text = NOTHING.replace("\"more_projects\":0", &more);
    let overview: Overview = serde_json::from_str(&text).unwrap();
    assert_eq!(table(&overview)[1..], *want);
}

#[test]
fn who_is_to_have_it_is_said_where_that_is_another_sentry() {
    check_waits(r#"[{"name":"ingest","requests":7,"oldest_s":90}]"#, &[]);
    check_waits(
        r#"[{"name":"ingest","requests":7,"oldest_s":90},
            {"name":"mirror-next","requests":2,"oldest_s":7200},
            {"name":null,"requests":1,"oldest_s":5}]"#,
        &[
            "for ingest: 7 requests, oldest 90 s",
            "for mirror-next: 2 requests, oldest 2 h",
            "for a mirror that is not configured any more: 1 requests, oldest 5 s",
        ],
    );
}

#[test]
fn a_drop_names_its_project() {
    for (project, path) in [
        (Some(42), "/api/v1/spool?project=42"),
        (None, "/api/v1/spool"),
    ] {
        let fake = Fake::start(|_| answer("200 OK", r#"{"dropped":3}"#));
        purge(&admin::Address::of(fake.address), project).unwrap();
        let asked = fake.asked();
        assert_eq!((&*asked[0].method, &*asked[0].path), ("DELETE", path));
        assert_eq!(asked[0].header("content-type"), ["application/json"]);
    }
}

const NOTHING: &str = r#"{"items":0,"requests":0,"bytes":0,"bytes_max":1,"oldest_s":0,
    "paused":false,"paused_since":null,"maintenance":null,"projects":[],"more_projects":0}"#;

/// Drains an edge that gives these answers one after the other, the last of them for ever.
/// Yields what became of it, and what was asked to change.
fn drained(answers: &'static [&'static str], no_wait: bool) -> (Result<(), String>, Vec<String>) {
    let left = Mutex::new(answers);
    let fake = Fake::start(move |asked: &Asked| {
        if asked.method == "POST" {
            return answer("200 OK", "{}");
        }
        let mut left = left.lock().unwrap();
        let (first, rest) = left.split_first().unwrap();
        if !rest.is_empty() {
            *left = rest;
        }
        answer("200 OK", first)
    });
    let done = drain(&admin::Address::of(fake.address), no_wait);
    let asked = fake.asked().into_iter();
    let changes = asked.filter(|asked| asked.method != "GET");
    let changes = changes.map(|asked| asked.body).collect();
    (done.map_err(|error| error.to_string()), changes)
}

#[test]
fn progress_tells_how_long_it_will_take() {
    let took = Duration::from_secs(10);
    assert_eq!(progress(100, 100, took), "100 requests left");
    assert_eq!(progress(100, 50, took), "50 requests left, about 10 s");
    assert_eq!(progress(100, 99, took), "99 requests left, about 16 min");
    assert_eq!(progress(100, 150, took), "150 requests left");
}

const MAINTAINED: &str = r#"{"items":4,"requests":4,"bytes":9,"bytes_max":1,"oldest_s":0,
    "paused":true,"paused_since":"2026-11-26T07:45:12.000Z",
    "maintenance":{"until":"2026-11-26T14:05:00.000Z","left_s":2160},"projects":[],"more_projects":0}"#;
const HELD_BACK: &str = "maintenance holds what is kept until 2026-11-26 14:05 UTC; it is sent \
                         then, or after `vidette maintenance off`";
const GOES_ON: &str = r#"{"paused":false}"#;

#[test]
fn a_drain_ends_a_pause_and_ends_when_nothing_is_left() {
    assert_eq!(
        drained(&[KEPT, NOTHING], false),
        (Ok(()), vec![GOES_ON.to_owned()])
    );
    assert_eq!(
        drained(&[NOTHING], false),
        (Ok(()), vec![GOES_ON.to_owned()])
    );
}

#[test]
fn a_drain_ends_when_somebody_pauses() {
    let (ended, _) = drained(&[KEPT], false);
    let want = "somebody has paused it; 7 requests are left, and `vidette spool drain` goes on";
    assert_eq!(ended, Err(want.to_owned()));
}

#[test]
fn a_drain_does_not_wait_for_the_end_of_maintenance() {
    let held = Err(HELD_BACK.to_owned());
    assert_eq!(drained(&[MAINTAINED], false), (held.clone(), Vec::new()));
    // It may begin meanwhile.
    assert_eq!(drained(&[KEPT, MAINTAINED], false).0, held);
    assert_eq!(
        drained(&[MAINTAINED], true),
        (Ok(()), vec![GOES_ON.to_owned()]),
        "who does not wait ends a pause all the same"
    );
}

#[test]
fn what_maintenance_holds_is_listed_so() {
    let overview: Overview = serde_json::from_str(MAINTAINED).unwrap();
    let line = table(&overview).remove(0);
    let want =
        "; paused since 2026-11-26 07:45 UTC; held by maintenance until 2026-11-26 14:05 UTC";
    assert!(line.ends_with(want), "{line}");
}

#[test]
fn moments_are_read_from_what_the_edge_writes() {
    assert_eq!(moment("2026-11-26T14:05:00.000Z"), "2026-11-26 14:05 UTC");
    assert_eq!(moment("soon"), "soon");
    assert_eq!(moment("\u{1b}[31m"), super::super::plain("\u{1b}[31m"));
}

#[test]
fn full_shares_are_listed_before_what_is_kept() {
    let text = MAINTAINED.replace(
        "\"more_projects\":0",
        r#""more_projects":0,"more_full_shares":2,"full_shares":[
        {"share":"strangers","project":null,"bytes":51200,"bytes_max":52420},
        {"share":"project","project":42,"bytes":2147483000,"bytes_max":2147483648}]"#,
    );
    let overview: Overview = serde_json::from_str(&text).unwrap();
    let want = [
        "full: keys that nobody vouches for, 50.0 KiB of 51.1 KiB; nothing more of it is kept",
        "full: project 42, 1.9 GiB of 2.0 GiB; nothing more of it is kept",
        "2 more shares are full",
    ];
    assert_eq!(table(&overview)[1..], want);
}

#[test]
fn what_is_to_come_is_listed_as_far_as_it_is_known() {
    let lines = |forecast: &str, requests: u64| {
        let text = NOTHING.replace(
            "\"more_projects\":0",
            &format!(r#""more_projects":0,"max_age_s":86400,"forecast":{forecast}"#),
        );
        let text = text.replace("\"requests\":0", &format!("\"requests\":{requests}"));
        let text = text.replace("\"oldest_s\":0", "\"oldest_s\":64800");
        table(&serde_json::from_str(&text).unwrap())
    };
    let course =
        |course: &str| format!(r#"{{"course":"{course}","in_s":240,"expires_in_s":null}}"#);
    for (name, want) in [
        ("empties", "at this rate all of it is sent in about 4 min"),
        ("fills", "at this rate there is no room left in about 4 min"),
        (
            "steady",
            "at this rate it is neither sent nor full before the first expire",
        ),
        ("unknown", "when it is sent, or full, is not known yet"),
    ] {
        assert_eq!(lines(&course(name), 3)[1..], [want]);
        assert_eq!(lines(&course(name), 0).len(), 1, "nothing is kept");
    }
    let first = lines(&course("unknown"), 3).remove(0);
    assert!(first.ends_with(", oldest 18 h of 24 h"), "{first}");
    let near = r#"{"course":"unknown","in_s":null,"expires_in_s":21600}"#;
    let first = lines(near, 3).remove(0);
    assert!(
        first.ends_with(", oldest 18 h of 24 h; the first expire in 6 h"),
        "{first}"
    );
}

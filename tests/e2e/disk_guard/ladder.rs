//! Up the ladder and down again, under traffic of all kinds.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::request;
use crate::edge::{KEY, dump_target, envelope_target};
use crate::parts::{Part, promises};
use crate::upstream::Fake;

use super::{Guarded, dropped, has, one, reasons};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Mounts];
        each_stage_keeps_out_what_it_says_and_is_undone,
        a_disk_that_swings_around_a_mark_changes_nothing,
        errors_are_sampled_by_their_trace,
        what_is_no_envelope_is_guarded_too,
        of_a_crash_the_error_arrives_without_its_dump,
        a_disk_without_inodes_is_full,
        keys_that_change_are_taken_up,
    ]
}

/// Item types, and the number of the stage that keeps them out; of errors a share passes.
const KINDS: [(&str, u64); 16] = [
    ("attachment", 1),
    ("profile", 1),
    ("profile_chunk", 1),
    ("replay_event", 1),
    ("replay_recording", 1),
    ("transaction", 2),
    ("span", 2),
    ("log", 2),
    ("trace_metric", 2),
    ("statsd", 2),
    ("of_tomorrow", 2),
    ("event", 3),
    ("session", 9),
    ("check_in", 9),
    ("feedback", 9),
    ("client_report", 9),
];

fn each_stage_keeps_out_what_it_says_and_is_undone() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({"disk_guard": {"sample_errors": "0%"}}));
    let edge = &guarded.edge;
    let over = AtomicBool::new(false);
    let mixed: Vec<u8> = KINDS.iter().fold(b"{}\n".to_vec(), |mut body, (kind, _)| {
        body.extend_from_slice(&one(kind)[3..]);
        body
    });
    thread::scope(|scope| {
        // Never stops while it goes up and down: the books must close all the same.
        scope.spawn(|| {
            let mut client = edge.connect();
            while !over.load(SeqCst) {
                client.send(&request("POST", &envelope_target(), &[], &mixed));
                assert_eq!(client.answer_to("POST").status, 200, "sessions always pass");
            }
        });
        for (percent, number, stage) in [
            (50.0, 0, "open"),
            (84.5, 0, "open"),
            (85.5, 1, "large"),
            (90.5, 2, "bulk"),
            (95.5, 3, "errors"),
            (93.5, 3, "errors"),
            (92.5, 2, "bulk"),
            (88.5, 2, "bulk"),
            (87.5, 1, "large"),
            (83.5, 1, "large"),
            (82.5, 0, "open"),
        ] {
            let told = guarded.uses(percent);
            assert_eq!(
                (&told["stage"], &told["number"]),
                (&json!(stage), &json!(number))
            );
            let gauge = edge.metric("vidette_disk_guard_stage", &[]);
            assert!((gauge - number as f64).abs() < 0.1, "{gauge} at {percent}");
            let used = edge.metric("vidette_disk_guard_used_ratio", &[]);
            assert!((used * 100.0 - percent).abs() < 0.2, "{used} at {percent}");
            check_traffic(&guarded, &fake, (percent, number));
            let status = edge.admin_get("/api/v1/status").json();
            let light = if number == 0 { "green" } else { "amber" };
            assert_eq!(status["light"], light, "{status}");
            assert_eq!(told["since"].is_null(), number == 0, "{told}");
            assert_eq!(reasons(edge).contains("disk guard ("), number > 0);
        }
        over.store(true, SeqCst);
    });
    let lost = dropped(edge, "disk_guard");
    assert!(lost > 0);
    check_log(&guarded, lost);
}

/// One of each kind, alone: what stays behind is told as a limit, what does not arrives.
#[track_caller]
fn check_traffic(guarded: &Guarded, fake: &Fake, (percent, number): (f64, u64)) {
    for (kind, goes_at) in KINDS {
        let mark = format!("{kind}-at-{percent}-{number}");
        let body = format!(
            "{{}}\n{{\"type\":\"{kind}\",\"length\":{}}}\n\"{mark}\"\n",
            mark.len() + 2
        );
        let answer = guarded.edge.post_envelope(&[], body.as_bytes());
        let passes = number < goes_at;
        assert_eq!(has(fake, &mark), passes, "{kind} at {percent}");
        if passes {
            assert_eq!(answer.status, 200, "{kind} at {percent}: {}", answer.text());
            continue;
        }
        let (seconds, rest) = crate::quotas::told(&answer);
        assert_eq!(seconds, 60, "{rest}");
        let (named, rest) = rest.split_once(':').unwrap();
        assert_eq!(rest, "global:disk_guard");
        let named: Vec<&str> = named.split(';').collect();
        assert!(
            named.contains(&"replay") && named.contains(&"attachment"),
            "{named:?}"
        );
        assert_eq!(named.contains(&"transaction"), number >= 2, "{named:?}");
        assert_eq!(named.contains(&"error"), number >= 3, "{named:?}");
        assert!(
            !named.contains(&"session") && !named.contains(&"monitor"),
            "{named:?}"
        );
        assert_eq!(answer.json()["causes"], json!(["disk_guard"]));
    }
}

/// Each step once, with its numbers.
#[track_caller]
fn check_log(guarded: &Guarded, lost: u64) {
    let log = guarded.edge.log.text();
    let lines =
        |text: &str| -> Vec<&str> { log.lines().filter(|line| line.contains(text)).collect() };
    let up = lines("the disk guard keeps more here");
    let stages: Vec<bool> = ["large", "bulk", "errors"]
        .iter()
        .zip(&up)
        .map(|(stage, line)| line.contains(&format!("stage=\"{stage}\"")))
        .collect();
    assert_eq!(stages, [true; 3], "{up:?}");
    assert_eq!(up.len(), 3, "{up:?}");
    let path = guarded.place.path().display().to_string();
    assert!(up[0].contains("WARN") && up[0].contains(&path), "{}", up[0]);
    assert!(
        up[0].contains("used=\"85.") && up[0].contains("of=\"space\""),
        "{}",
        up[0]
    );
    assert!(
        up[0].contains("kept_here=\"replays, profiles and attachments\""),
        "{}",
        up[0]
    );
    assert_eq!(lines("the disk guard keeps less here").len(), 2);
    let over = lines("the disk guard lets everything through again");
    assert_eq!(over.len(), 1, "{over:?}");
    assert!(
        over[0].contains("INFO") && over[0].contains("lasted=\""),
        "{}",
        over[0]
    );
    // What was under way at the last step is counted after it.
    let told = over[0].split_once("dropped_items=").unwrap().1;
    let told: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!((lost - 50..=lost).contains(&told), "{lost}: {}", over[0]);
}

fn a_disk_that_swings_around_a_mark_changes_nothing() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({}));
    for _ in 0..5 {
        assert_eq!(guarded.uses(85.5)["stage"], "large");
        assert_eq!(guarded.uses(84.0)["stage"], "large");
    }
    let log = guarded.edge.log.text();
    assert_eq!(
        log.matches("the disk guard keeps more here").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("through again"), "{log}");
}

fn errors_are_sampled_by_their_trace() {
    const TRACES: usize = 200;
    let fake = Fake::start();
    let changes = json!({"disk_guard": {"sample_errors": "50%"}});
    let guarded = Guarded::filled(&fake, &changes, 96);
    let mut kept = 0;
    for number in 0..TRACES {
        let id = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let trace = format!("{id:032x}");
        // Named in line one by one service, in the payload by another.
        let payload = format!("{{\"contexts\":{{\"trace\":{{\"trace_id\":\"{trace}\"}}}}}}");
        let in_line = format!(
            "{{\"trace\":{{\"trace_id\":\"{trace}\",\"public_key\":\"{KEY}\"}}}}\n\
             {{\"type\":\"event\",\"length\":2}}\n{{}}\n"
        );
        let length = payload.len();
        let inside = format!("{{}}\n{{\"type\":\"event\",\"length\":{length}}}\n{payload}\n");
        let both = [in_line, inside].map(|body| guarded.edge.post_envelope(&[], body.as_bytes()));
        let [one, other] = both.each_ref().map(|answer| answer.status);
        assert_eq!(one, other, "a trace in two halves: {trace}");
        if one == 200 {
            kept += 1;
            continue;
        }
        // Who is silent for longer would take no part in the share.
        let (seconds, rest) = crate::quotas::told(&both[0]);
        assert_eq!((seconds, &*rest), (1, "error:global:disk_guard"));
    }
    // Four deviations on either side.
    assert!((70..=130).contains(&kept), "{kept} of {TRACES}");
    assert_eq!(
        dropped(&guarded.edge, "disk_guard"),
        2 * (TRACES - kept) as u64
    );
    assert_eq!(fake.requests().len(), 2 * kept);
}

fn what_is_no_envelope_is_guarded_too() {
    let fake = Fake::start();
    let changes = json!({"disk_guard": {"sample_errors": "0%"}});
    let guarded = Guarded::filled(&fake, &changes, 86);
    let edge = &guarded.edge;
    let id = "a".repeat(32);
    let attachments = format!("/api/42/events/{id}/attachments/?sentry_key={KEY}");
    let post = |target: &str| edge.ask("POST", target, &[], b"MDMP").status;
    assert_eq!(guarded.uses(86.0)["stage"], "large");
    assert_eq!(post(&attachments), 429);
    assert_eq!(post(&dump_target()), 200);
    let store = format!("/api/42/store/?sentry_key={KEY}");
    assert_eq!(edge.ask("POST", &store, &[], b"{}").status, 200);
    assert_eq!(fake.requests().len(), 2, "the dump and the event");
    guarded.uses(96.0);
    // It never hears 429, and does not arrive either.
    assert_eq!(post(&dump_target()), 200);
    assert_eq!(edge.ask("POST", &store, &[], b"{}").status, 429);
    let nel = format!("/api/42/nel/?sentry_key={KEY}");
    let json = [("Content-Type", "application/reports+json")];
    assert_eq!(edge.ask("POST", &nel, &json, b"[]").status, 200);
    assert_eq!(fake.requests().len(), 2);
    // What is no event is Sentry's own.
    let upload = "/api/0/projects/o/p/files/dsyms/";
    assert_eq!(edge.ask("POST", upload, &[], b"x").status, 200);
    assert_eq!(fake.requests().len(), 3);
    assert_eq!(dropped(edge, "disk_guard"), 4);
}

fn of_a_crash_the_error_arrives_without_its_dump() {
    let fake = Fake::start();
    let guarded = Guarded::filled(&fake, &json!({}), 86);
    let body = b"{}\n{\"type\":\"attachment\",\"attachment_type\":\"event.minidump\",\"length\":4}\nMDMP\n";
    let answer = guarded.edge.post_envelope(&[], body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    assert!(limits.ends_with(":global:disk_guard"), "{limits}");
    assert!(has(&fake, "\"rate_limited\":true"), "{:?}", fake.requests());
    let both = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"attachment\",\"length\":6}\nscreen\n";
    assert_eq!(guarded.edge.post_envelope(&[], both).status, 200);
    assert!(
        !has(&fake, "screen"),
        "an event goes on without its screenshot"
    );
}

fn a_disk_without_inodes_is_full() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({}));
    for number in 0..175 {
        fs::write(guarded.disk().join(number.to_string()), b"").unwrap();
    }
    let told = super::told_once(&guarded.edge, |told| told["stage"] == "large");
    assert_eq!(told["disks"][0]["of"], "inodes", "{told}");
    assert!(reasons(&guarded.edge).contains("used, by inodes: kept out are"));
    assert_eq!(
        guarded.edge.post_envelope(&[], &one("replay_event")).status,
        429
    );
    for number in 0..20 {
        fs::remove_file(guarded.disk().join(number.to_string())).unwrap();
    }
    super::told_once(&guarded.edge, |told| told["stage"] == "open");
    assert_eq!(
        guarded.edge.post_envelope(&[], &one("replay_event")).status,
        200
    );
}

fn keys_that_change_are_taken_up() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({}));
    let edge = &guarded.edge;
    assert_eq!(guarded.uses(60.0)["stage"], "open");
    let reloads = |disk_guard: serde_json::Value| {
        let mut all = json!({"projects": [{"id": 42, "keys": [KEY]}]});
        all["disk_guard"] = disk_guard;
        let text = crate::edge::configuration(&fake.url(), &fake.url(), &all).to_string();
        edge.rewrite(&text);
        let answer = crate::explained::post(edge, "/api/v1/reload", b"{}");
        assert_eq!(
            answer.json()["needs_restart"],
            json!([]),
            "{}",
            answer.text()
        );
    };
    let path = guarded.place.path();
    reloads(json!({"paths": [path], "interval": "100ms", "stages": {"large": "50%"}}));
    super::told_once(edge, |told| told["stage"] == "large");
    assert_eq!(edge.post_envelope(&[], &one("attachment")).status, 429);
    reloads(
        json!({"paths": [path], "interval": "100ms", "stages": {"large": "50%", "bulk": "55%"}}),
    );
    super::told_once(edge, |told| told["stage"] == "bulk");
    reloads(json!({"interval": "100ms"}));
    super::told_once(edge, |told| told.is_null());
    assert_eq!(edge.post_envelope(&[], &one("attachment")).status, 200);
}

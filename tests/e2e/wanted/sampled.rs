//! Sampling: whole traces, whole replays, the same on every edge, and free of charge.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::request;
use crate::edge::{Edge, KEY};
use crate::line_one::packing::Packing;
use crate::parts::promises;
use crate::upstream::Fake;

use super::{PROJECTS, check_dropped, check_silent, envelope, target, wanting};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        two_edges_keep_the_same_traces_and_as_many_as_they_should,
        a_trace_over_three_services_is_kept_or_left_out_whole,
        a_replays_segments_and_a_profilers_chunks_stay_together,
        what_is_left_out_goes_with_its_event_and_charges_no_quota,
        single_events_are_sampled_however_they_are_packed,
        large_envelopes_are_sampled_by_their_line_one,
        rules_choose_by_environment_and_release,
        sessions_check_ins_and_reports_are_all_kept,
        a_switch_keeps_no_more_than_what_is_configured,
        a_limit_is_told_though_something_else_was_sampled,
    ]
}

/// A trace that is left out at 0.4, and one that is kept (DESIGN trap 13).
const OUT: &str = "4a106cf6b15144eb9131ae7db1a157a3";
const KEPT: &str = "00000000000000000000000000000000";

fn line(trace: &str) -> Value {
    json!({"trace": {"trace_id": trace, "public_key": KEY}})
}

/// The traces of which something reached the upstream, once for each item.
fn traces(fake: &Fake) -> Vec<String> {
    let of = |body: &[u8]| {
        let line: Value =
            serde_json::from_slice(body.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
        line["trace"]["trace_id"].as_str().unwrap().to_owned()
    };
    fake.requests().iter().map(|seen| of(&seen.body)).collect()
}

#[track_caller]
fn post(edge: &Edge, target: &str, bodies: impl IntoIterator<Item = Vec<u8>>) {
    let mut client = edge.connect();
    for body in bodies {
        client.send(&request("POST", target, &[], &body));
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn two_edges_keep_the_same_traces_and_as_many_as_they_should() {
    const SENT: usize = 4000;
    let seed = 7;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let ids: Vec<String> = (0..SENT)
        .map(|_| format!("{:032x}", random.u128(..)))
        .collect();
    let kept = [(); 2].map(|()| {
        let fake = Fake::start();
        let edge = wanting(&fake, json!({"sample": {"transaction": 0.1}}));
        let bodies = ids
            .iter()
            .map(|id| envelope(&line(id), "transaction", "{}"));
        post(&edge, &target(42, "envelope"), bodies);
        let kept = traces(&fake);
        check_dropped(&edge, "transaction", "sampled", (SENT - kept.len()) as u64);
        kept
    });
    assert_eq!(kept[0], kept[1]);
    // Six standard deviations of 4000 throws at a tenth.
    assert!(
        (286..=514).contains(&kept[0].len()),
        "{} of {SENT}",
        kept[0].len()
    );
}

fn a_trace_over_three_services_is_kept_or_left_out_whole() {
    let fake = Fake::start();
    let shares = json!({"transaction": 0.5, "span": 0.5, "error": 0.5});
    let edge = wanting(&fake, json!({"sample": shares}));
    let mut random = fastrand::Rng::with_seed(11);
    let ids: BTreeSet<String> = (0..200)
        .map(|_| format!("{:032x}", random.u128(..)))
        .collect();
    for (project, kind) in PROJECTS.into_iter().zip(["transaction", "span", "event"]) {
        let bodies = ids.iter().map(|id| envelope(&line(id), kind, "{}"));
        post(&edge, &target(project, "envelope"), bodies);
    }
    let arrived = traces(&fake);
    for id in &ids {
        let parts = arrived.iter().filter(|arrived| *arrived == id).count();
        assert!(
            [0, PROJECTS.len()].contains(&parts),
            "{parts} parts of {id}"
        );
    }
    let whole = arrived.len() / PROJECTS.len();
    assert!((57..=143).contains(&whole), "{whole} of {}", ids.len());
}

fn a_replays_segments_and_a_profilers_chunks_stay_together() {
    let fake = Fake::start();
    let shares = json!({"replay": 0.5, "profile_chunk": 0.5});
    let edge = wanting(&fake, json!({"sample": shares}));
    let mut random = fastrand::Rng::with_seed(13);
    for _ in 0..60 {
        let id = format!("{:032x}", random.u128(..));
        let before = fake.requests().len();
        for segment in 0..3 {
            let event =
                json!({"type": "replay_event", "replay_id": id, "segment_id": segment}).to_string();
            // Not every SDK names the envelope by the replay.
            let line = json!({"event_id": format!("{:032x}", random.u128(..))});
            let mut body = envelope(&line, "replay_event", &event);
            body.extend_from_slice(b"{\"type\":\"replay_recording\",\"length\":2}\n{}\n");
            post(&edge, &target(42, "envelope"), [body]);
        }
        let arrived = fake.requests().len() - before;
        assert!([0, 3].contains(&arrived), "{arrived} segments of {id}");
        let before = fake.requests().len();
        for chunk in 0..3 {
            let chunk = json!({"profile": {"samples": [1]}, "chunk_id": chunk, "profiler_id": id})
                .to_string();
            post(
                &edge,
                &target(42, "envelope"),
                [envelope(&json!({}), "profile_chunk", &chunk)],
            );
        }
        let arrived = fake.requests().len() - before;
        assert!([0, 3].contains(&arrived), "{arrived} chunks of {id}");
    }
    let all = fake.requests().len();
    assert!(
        (1..2 * 60 * 3).contains(&all),
        "{all}: it samples nothing, or all"
    );
}

fn what_is_left_out_goes_with_its_event_and_charges_no_quota() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["error"], "limit": 1, "per": "1h"}]);
    let edge = wanting(&fake, json!({"sample": {"error": 0.4}, "quotas": quotas}));
    let id = "fc6d8c0c43fc4630ad850ee518f1b9d0";
    let mut named = line(OUT);
    named["event_id"] = json!(id);
    let mut with_attachment = envelope(&named, "event", "{}");
    with_attachment.extend_from_slice(b"{\"type\":\"attachment\",\"length\":2}\nab\n");
    for _ in 0..3 {
        let answer = edge.post_envelope(&[], &with_attachment);
        check_silent(&answer, Some(id));
    }
    check_dropped(&edge, "error", "sampled", 3);
    check_dropped(&edge, "attachment", "sampled", 3);
    let mut with_session = with_attachment;
    with_session.extend_from_slice(b"{\"type\":\"session\",\"length\":2}\n{}\n");
    assert_eq!(edge.post_envelope(&[], &with_session).status, 200);
    let seen = fake.only_request();
    let session = format!("{named}\n{{\"type\":\"session\",\"length\":2}}\n{{}}\n");
    assert_eq!(String::from_utf8_lossy(&seen.body), session);
    let kept = envelope(&line(KEPT), "event", "{}");
    assert_eq!(
        edge.post_envelope(&[], &kept).status,
        200,
        "the one place was free"
    );
    assert_eq!(edge.post_envelope(&[], &kept).status, 429);
}

fn single_events_are_sampled_however_they_are_packed() {
    let event = |trace: &str| {
        json!({"event_id": trace, "contexts": {"trace": {"trace_id": trace}}}).to_string()
    };
    let fake = Fake::start();
    let edge = wanting(&fake, json!({"sample": {"error": 0.4}}));
    for packing in [Packing::Plain, Packing::Gzip, Packing::Deflate] {
        for (trace, kept) in [(OUT, false), (KEPT, true)] {
            let before = fake.requests().len();
            let body = packing.pack(event(trace).as_bytes());
            let answer = edge.ask("POST", &target(42, "store"), packing.headers(), &body);
            let arrived = fake.requests().len() - before;
            assert_eq!(
                (answer.status, arrived),
                (200, usize::from(kept)),
                "{packing:?} {trace}"
            );
            if !kept {
                check_silent(&answer, Some(trace));
            }
        }
    }
    check_dropped(&edge, "error", "sampled", 3);
}

fn large_envelopes_are_sampled_by_their_line_one() {
    let fake = Fake::start();
    let edge = wanting(&fake, json!({"sample": {"transaction": 0.4}}));
    let payload = format!("{{\"spans\":\"{}\"}}", "x".repeat(600 * 1024));
    for (trace, arrived) in [(OUT, 0), (KEPT, 1)] {
        let answer = edge.post_envelope(&[], &envelope(&line(trace), "transaction", &payload));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(fake.requests().len(), arrived, "{trace}");
    }
    check_dropped(&edge, "transaction", "sampled", 1);
}

fn rules_choose_by_environment_and_release() {
    let fake = Fake::start();
    let rules = json!([
        {"categories": ["transaction"], "environment": "stag*", "rate": 0},
        {"categories": ["transaction"], "release": "shop@2*", "rate": 1},
    ]);
    let edge = wanting(
        &fake,
        json!({"sample": {"transaction": 0.0, "rules": rules}}),
    );
    for (environment, release, kept) in [
        ("staging", "shop@2.0", false),
        ("prod", "shop@2.0", true),
        ("prod", "shop@1.0", false),
    ] {
        let mut by_trace = line(KEPT);
        by_trace["trace"]["environment"] = json!(environment);
        by_trace["trace"]["release"] = json!(release);
        let own = json!({"environment": environment, "release": release}).to_string();
        for body in [
            envelope(&by_trace, "transaction", "{}"),
            envelope(&json!({}), "transaction", &own),
        ] {
            let before = fake.requests().len();
            assert_eq!(edge.post_envelope(&[], &body).status, 200);
            let arrived = fake.requests().len() - before;
            assert_eq!(arrived, usize::from(kept), "{environment} {release}");
        }
    }
}

/// A sample that was switched on to shed load took the place of a lower one, and multiplied it.
fn a_switch_keeps_no_more_than_what_is_configured() {
    for (configured, kept) in [
        (json!({}), true),
        (json!({"transaction": 0}), false),
        (json!({"transaction": 1}), true),
    ] {
        let fake = Fake::start();
        let edge = wanting(&fake, json!({"sample": configured}));
        let order = json!({"project": 42, "category": "transaction", "action": "sample",
            "value": "40%", "for_s": 600});
        let order = order.to_string();
        let answer = crate::explained::post(&edge, "/api/v1/mutes", order.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        let own = |trace: &str| json!({"contexts": {"trace": {"trace_id": trace}}}).to_string();
        for (trace, arrives) in [(OUT, false), (KEPT, kept)] {
            for body in [
                envelope(&line(trace), "transaction", "{}"),
                // Without a word in line one the payload is read.
                envelope(&json!({}), "transaction", &own(trace)),
            ] {
                let before = fake.requests().len();
                assert_eq!(edge.post_envelope(&[], &body).status, 200);
                assert_eq!(fake.requests().len() > before, arrives, "{trace}");
            }
        }
        check_dropped(&edge, "transaction", "sampled", if kept { 2 } else { 4 });
    }
}

/// The answer named the reason that nobody is to hear of.
fn a_limit_is_told_though_something_else_was_sampled() {
    let fake = Fake::start();
    let quotas = json!([{"name": "none", "categories": ["session"], "limit": 0, "per": "1h"}]);
    let edge = wanting(
        &fake,
        json!({"sample": {"transaction": 0}, "quotas": quotas}),
    );
    let session = "{\"type\":\"session\",\"length\":2}\n{}\n";
    let transaction = "{\"type\":\"transaction\",\"length\":2}\n{}\n";
    for items in [[session, transaction], [transaction, session]] {
        let answer = edge.post_envelope(&[], format!("{{}}\n{}", items.concat()).as_bytes());
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.json()["causes"], json!(["quota"]));
    }
    assert_eq!(fake.requests().len(), 0);
}

fn sessions_check_ins_and_reports_are_all_kept() {
    let fake = Fake::start();
    let edge = wanting(&fake, json!({"sample": {"rules": [{"rate": 0}]}}));
    let kinds = ["session", "sessions", "check_in", "client_report"];
    for kind in kinds {
        let answer = edge.post_envelope(&[], &envelope(&json!({}), kind, "{}"));
        assert_eq!(answer.status, 200, "{kind}");
    }
    assert_eq!(fake.requests().len(), kinds.len());
    for kind in [
        "event",
        "transaction",
        "span",
        "log",
        "attachment",
        "of_tomorrow",
    ] {
        check_silent(
            &edge.post_envelope(&[], &envelope(&json!({}), kind, "{}")),
            None,
        );
    }
    assert_eq!(fake.requests().len(), kinds.len());
}

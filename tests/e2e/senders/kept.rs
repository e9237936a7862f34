//! What an edge keeps over a restart, and that nothing in its folder can stop it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{STRANGE, check_refused, obedient, send, target};
use crate::edge::{Edge, envelope_target};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_is_kept_is_its_owners_alone,
        proven_keys_keep_their_way_over_a_restart,
        damaged_files_stop_no_start,
        a_folder_that_cannot_be_used_stops_no_start,
    ]
}

fn before(fake: &Fake, state: &Path, changes: Value) -> Edge {
    let mut all = changes;
    all["state"] = json!({"path": state});
    Edge::configured(&fake.url(), &fake.url(), all)
}

#[track_caller]
fn stop(mut edge: Edge) {
    edge.signal(Signal::TERM);
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn what_is_kept_is_its_owners_alone() {
    let place = TempDir::new().unwrap();
    let state = place.path().join("made/here");
    let fake = Fake::start();
    let changes = json!({"keys": {"mode": "learn"}, "client_ip": {"store": "hash"}});
    let edge = before(&fake, &state, changes.clone());
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    stop(edge);
    let mut names: Vec<String> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "baselines",
            "hash-key",
            "proven-keys",
            "quotas",
            "state-lock"
        ],
        "no draft is left"
    );
    for name in &names {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&state), 0o700);
    // The same client is the same digest to the next run.
    stop({
        let edge = before(&fake, &state, changes);
        assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
        edge
    });
    let seen = fake.requests();
    let digests: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers.all("x-forwarded-for"))
        .collect();
    assert_eq!(digests[0], digests[1]);
}

/// A file of proven keys that names one, accepted just now.
fn proven(key: &str) -> String {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let body = format!("vidette-proven-keys 1\n{key} 42 {now_s}\n");
    let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{body}end 1 {sum:016x}\n")
}

fn proven_keys_keep_their_way_over_a_restart() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("proven-keys");
    fs::write(&file, proven(STRANGE)).unwrap();
    let fake = obedient();
    let changes = json!({"keys": {"mode": "learn", "unproven_rate": "1/s"}});
    let edge = before(&fake, place.path(), changes);
    let mut client = edge.connect();
    // Refusals dominate from the first: unproven keys share one a second now.
    let mut turned_away = 0;
    for n in 0..20 {
        let other = target(42, &format!("{n:032x}"));
        let answer = send(&mut client, &other, &[("X-Status", "403")]);
        if answer.header("x-sentry-error").is_some() {
            check_refused("an unproven key", &answer, 403, "unproven_key");
            turned_away += 1;
        }
        let answer = send(&mut client, &target(42, STRANGE), &[]);
        assert_eq!(answer.status, 200, "after {n}: {}", answer.text());
    }
    assert!(turned_away > 0, "nobody was limited: this proves nothing");
    stop(edge);
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.contains(&format!("\n{STRANGE} 42 ")), "{kept}");
}

fn damaged_files_stop_no_start() {
    let whole = proven(STRANGE);
    let changed = whole.replace(STRANGE, &STRANGE.replace('f', "0"));
    let later = whole.replace("keys 1", "keys 2");
    for content in [
        "",
        "garbage\u{0}\u{1b}",
        &whole[..whole.len() - 5],
        &changed,
        &later,
    ] {
        let place = TempDir::new().unwrap();
        let file = place.path().join("proven-keys");
        fs::write(&file, content).unwrap();
        let fake = Fake::start();
        let edge = before(&fake, place.path(), json!({"keys": {"mode": "learn"}}));
        let warned = |line: &str| {
            let all = line.contains("WARN") && line.contains("prove themselves anew");
            all.then(|| line.to_owned())
        };
        let warning = edge.log.wait_for("a warning", warned);
        assert!(!warning.contains("garbage"), "{warning}");
        assert_eq!(
            edge.ask("POST", &envelope_target(), &[], ENVELOPE).status,
            200
        );
        stop(edge);
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.starts_with("vidette-proven-keys 1\n"), "{kept:?}");
    }
}

fn a_folder_that_cannot_be_used_stops_no_start() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("a-file");
    fs::write(&file, "not a folder").unwrap();
    for path in [file.clone(), file.join("below")] {
        let fake = Fake::start();
        let edge = before(&fake, &path, json!({"keys": {"mode": "learn"}}));
        edge.log.wait_for("a warning", |line| {
            (line.contains("WARN") && line.contains("state.path")).then_some(())
        });
        assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
        assert_eq!(edge.admin_get("/health/ready").status, 200);
        stop(edge);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a folder");
}

//! What the upstream's own limits teach: held until they expire, for whom they were
//! told, and never longer than the configuration says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::senders::{STRANGE, send, target};
use crate::upstream::Fake;

use super::{one, told};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_limit_on_a_200_is_held_and_ends,
        a_bare_429_is_a_limit_on_everything,
        what_stays_here_does_not_hide_a_bare_429,
        a_limit_is_nobody_elses,
        a_learned_limit_is_capped,
    ]
}

/// An upstream that tells this with its first answer, and counts what reaches it.
fn telling(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
) -> (Fake, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => exchange.answer(status, headers, b"{}"),
            _ => exchange.answer(200, &[], b"{}"),
        }
    });
    (fake, asked)
}

fn before(fake: &Fake) -> Edge {
    let changes = json!({"keys": {"mode": "learn"}, "limits": {"retry_after_max": "100s"}});
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn a_limit_on_a_200_is_held_and_ends() {
    let (fake, asked) = telling(
        200,
        &[(
            "X-Sentry-Rate-Limits",
            "2:error;default:organization:org_quota, 60:replay:key",
        )],
    );
    let edge = before(&fake);
    let told_at = Instant::now();
    assert_eq!(edge.post_envelope(&[], &one("event")).status, 200);
    let (seconds, rest) = told(&edge.post_envelope(&[], &one("event")));
    assert!((1..=2).contains(&seconds), "{seconds} s are left of 2");
    assert_eq!(
        rest, "default;error:organization:org_quota",
        "what is left of the categories it was told for"
    );
    assert_eq!(
        edge.post_envelope(&[], &one("session")).status,
        200,
        "another category"
    );
    let answer = edge.post_envelope(
        &[],
        b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"session\"}\n{}",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        fake.requests().last().unwrap().body,
        b"{}\n{\"type\":\"session\"}\n{}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // Real time: the limit was told in whole seconds on the wire.
    while edge.post_envelope(&[], &one("event")).status == 429 {
        assert!(told_at.elapsed() < Duration::from_secs(20), "it never ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        told_at.elapsed() > Duration::from_millis(1900),
        "it ended early"
    );
}

fn a_bare_429_is_a_limit_on_everything() {
    for (headers, most) in [(&[][..], 60), (&[("Retry-After", "17")], 17)] {
        let (fake, asked) = telling(429, headers);
        let edge = before(&fake);
        assert_eq!(edge.post_envelope(&[], &one("event")).status, 429);
        for kind in ["event", "session", "of_tomorrow"] {
            let (seconds, rest) = told(&edge.post_envelope(&[], &one(kind)));
            assert!((most - 5..=most).contains(&seconds), "{kind}: {seconds} s");
            assert_eq!(rest, ":key", "{kind}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "it was asked again");
    }
}

/// SDKs that read a header of limits take it for all there is to know.
fn what_stays_here_does_not_hide_a_bare_429() {
    let (fake, _asked) = telling(429, &[("Retry-After", "17")]);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": [
        {"name": "none", "categories": ["session"], "limit": 0, "per": "1h"},
    ]}]});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let both = [one("event"), one("session")[3..].to_vec()].concat();
    let answer = edge.post_envelope(&[], &both);
    assert_eq!(answer.status, 429);
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    assert!(limits.starts_with("17::key, "), "{limits}");
    assert!(limits.ends_with(":session:project:none"), "{limits}");
}

fn a_limit_is_nobody_elses() {
    let (fake, _asked) = telling(429, &[("X-Sentry-Rate-Limits", "60::key")]);
    let edge = before(&fake);
    let mut client = edge.connect();
    assert_eq!(send(&mut client, &target(42, KEY), &[]).status, 429);
    assert_eq!(send(&mut client, &target(42, KEY), &[]).status, 429);
    assert_eq!(
        send(&mut client, &target(42, STRANGE), &[]).status,
        200,
        "another key"
    );
    assert_eq!(
        send(&mut client, &target(7, KEY), &[]).status,
        200,
        "another project"
    );
}

fn a_learned_limit_is_capped() {
    let (fake, _asked) = telling(200, &[("X-Sentry-Rate-Limits", "86400:error:key:month")]);
    let edge = before(&fake);
    assert_eq!(edge.post_envelope(&[], &one("event")).status, 200);
    let (seconds, rest) = told(&edge.post_envelope(&[], &one("event")));
    assert!((90..=100).contains(&seconds), "{seconds} s");
    assert_eq!(rest, "error:key:month");
}

//! A mirror that knows projects by other keys and numbers than the first, a stand-in and a Bugsink
//! among them.

use libtest_mimic::Trial;
use serde_json::json;

use super::{check_taken_any, mirroring, settled};
use crate::bugsink::Bugsink;
use crate::edge::{KEY, envelope_target};
use crate::line_one::Packing;
use crate::parts::{Part, promises};
use crate::spool::arrived;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_mirror_knows_projects_by_other_dsns,
        mirrors_unpack_the_same_large_body_at_once,
    ];
    trials.extend(promises![&[Part::Python]; an_old_dsn_reaches_a_stand_in_and_bugsink]);
    trials
}

fn a_mirror_knows_projects_by_other_dsns() {
    let (first, second) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    const NEXT: &str = "22222222222222222222222222222222";
    let edge = mirroring(
        &first.url(),
        &second.url(),
        place.path(),
        &json!({
            "mirrors": [{
                "name": "next", "ingest": [second.url()],
                "dsn_map": [{"key": KEY, "project": 42, "to": {"key": NEXT, "project": 7}}],
            }],
        }),
    );
    let of = |key: &str, project: u32| {
        format!("{{\"event_id\":\"{:032x}\",\"dsn\":\"https://{key}@h/{project}\",\"trace\":{{\"public_key\":\"{key}\"}}}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n", 1)
            .into_bytes()
    };
    for (count, packing) in (1..).zip(Packing::ALL) {
        let body = packing.pack(&of(KEY, 42));
        assert_eq!(edge.post_envelope(packing.headers(), &body).status, 200);
        let original = arrived(&first, count).swap_remove(count - 1);
        assert_eq!(original.body, body, "{packing:?}");
        assert_eq!(original.target_text(), envelope_target());
        let copy = arrived(&second, count).swap_remove(count - 1);
        assert_eq!(copy.body, of(NEXT, 7), "{packing:?}");
        let target = format!("/api/7/envelope/?sentry_key={NEXT}&sentry_version=7");
        assert_eq!(copy.target_text(), target);
        assert_eq!(copy.headers.one("content-encoding"), None, "{packing:?}");
    }
}

/// It lies in one file, of which each makes its own.
fn mirrors_unpack_the_same_large_body_at_once() {
    let (first, second, third) = (Fake::start(), Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let to = |name: &str, url: String, project: u32| {
        json!({
            "name": name, "ingest": [url],
            "dsn_map": [{"key": KEY, "project": 42, "to": {"key": KEY, "project": project}}],
        })
    };
    let mirrors = json!({"mirrors": [to("next", second.url(), 7), to("other", third.url(), 8)]});
    let edge = mirroring(&first.url(), &second.url(), place.path(), &mirrors);
    let of = |project: u32, body: &str| {
        format!(
            "{{\"event_id\":\"{:032x}\",\"dsn\":\"https://{KEY}@h/{project}\"}}\n{{\"type\":\"attachment\",\"length\":{}}}\n{body}\n",
            1,
            body.len()
        )
    };
    for count in 1..=5 {
        // What does not pack well stays large.
        let mut rng = fastrand::Rng::with_seed(count);
        let body: String = std::iter::repeat_with(|| rng.alphanumeric())
            .take(4_000_000)
            .collect();
        let packed = Packing::Gzip.pack(of(42, &body).as_bytes());
        let count = usize::try_from(count).unwrap();
        assert_eq!(
            edge.post_envelope(Packing::Gzip.headers(), &packed).status,
            200
        );
        for (mirror, project) in [(&second, 7), (&third, 8)] {
            let copy = arrived(mirror, count).swap_remove(count - 1);
            assert_eq!(copy.headers.one("content-encoding"), None, "{count}");
            assert!(copy.body == of(project, &body).into_bytes(), "{count}");
        }
    }
}

/// An old DSN, shipped with apps: the first Sentry knows its project as 42, Bugsink as 1.
fn an_old_dsn_reaches_a_stand_in_and_bugsink() {
    const OLD: &str = "11111111111111111111111111111111";
    const NEW: &str = "22222222222222222222222222222222";
    let first = Fake::start();
    let bugsink = Bugsink::start();
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(
        &first.url(),
        &bugsink.url,
        place.path(),
        &json!({
            "dsn_map": [{"key": OLD, "project": 12, "to": {"key": NEW, "project": 42}}],
            "mirrors": [{
                "name": "bugsink", "ingest": [bugsink.url],
                "dsn_map": [{"key": NEW, "project": 42, "to": {"key": KEY, "project": 1}}],
            }],
        }),
    );
    let mut ids = Vec::new();
    for (count, packing) in (1..).zip([Packing::Plain, Packing::Gzip]) {
        let id = format!(
            "{:032x}",
            0x9ec7_9c33_ec99_42ab_8353_589f_cb2e_0000_u128 + count as u128
        );
        let text = format!(
            "{{\"event_id\":\"{id}\",\"timestamp\":\"2026-11-26T10:30:00Z\",\"platform\":\"python\",\"message\":\"moved\"}}"
        );
        let line = format!("{{\"event_id\":\"{id}\",\"dsn\":\"https://{OLD}@old.example/12\"}}");
        let body = format!(
            "{line}\n{{\"type\":\"event\",\"length\":{}}}\n{text}\n",
            text.len()
        );
        let target = format!("/api/12/envelope/?sentry_key={OLD}&sentry_version=7");
        let packed = packing.pack(body.as_bytes());
        check_taken_any(&edge.ask("POST", &target, packing.headers(), &packed));
        let original = arrived(&first, count).swap_remove(count - 1);
        let want = format!("/api/42/envelope/?sentry_key={NEW}&sentry_version=7");
        assert_eq!(original.target_text(), want);
        ids.push(id);
    }
    let told = settled(&edge);
    assert_eq!(told["sent"], 2, "{told:#}");
    drop(edge);
    let stored = bugsink.stored_ids();
    for id in &ids {
        assert!(stored.contains(id), "{id} is not in {stored:?}");
    }
}

//! What is told to whoever is over a limit: the grammar SDKs read, and each endpoint's
//! own way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Lines, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::explained;
use crate::line_one::packing::Packing;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::Fake;
use crate::wire::chunked;

use super::{limited, one, statuses, told};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_refusal_names_the_quota_in_the_grammar_of_sdks,
        a_rate_says_when_it_has_room_again,
        a_limit_on_everything_refuses_at_the_head,
        endpoints_that_never_say_429_give_their_own_success,
        they_do_so_where_the_length_comes_last,
        other_endpoints_say_429,
        a_slow_packed_body_holds_nobody_up,
        a_part_that_stays_is_told_beside_the_upstreams_own_words,
        an_explanation_tells_of_each_item_and_charges_none,
    ]
}

fn a_refusal_names_the_quota_in_the_grammar_of_sdks() {
    let fake = Fake::start();
    let quotas = json!([
        {"name": "errors", "categories": ["error", "security"], "limit": 1, "per": "30d"},
        {"categories": ["session"], "limit": 0, "per": "1mo"},
        {"categories": ["monitor"], "limit": 0, "per": "1h", "by": "ip"},
        {"categories": ["feedback"], "limit": 0, "per": "10s", "by": "key"},
    ]);
    let edge = limited(&fake, &quotas);
    assert_eq!(statuses(&edge, "event", 2), [200, 429]);
    for (kind, want) in [
        ("event", "error;security:project:errors"),
        ("session", "session:project:session-1mo"),
        ("check_in", "monitor:project:monitor-1h-by-ip"),
        ("feedback", "feedback:key:feedback-10s-by-key"),
    ] {
        let (seconds, rest) = told(&edge.post_envelope(&[], &one(kind)));
        assert_eq!(rest, want, "{kind}");
        assert!((1..=300).contains(&seconds), "{kind}: {seconds} s");
    }
    assert_eq!(fake.requests().len(), 1);
}

fn a_rate_says_when_it_has_room_again() {
    let fake = Fake::start();
    let edge = limited(
        &fake,
        &json!([{"categories": ["error"], "limit": 2, "per": "50s"}]),
    );
    assert_eq!(statuses(&edge, "event", 3), [200, 200, 429]);
    let (seconds, _) = told(&edge.post_envelope(&[], &one("event")));
    assert!(
        (20..=25).contains(&seconds),
        "half the time for one of two: {seconds} s"
    );
}

/// Nobody reads a body of which nothing can pass: it is answered before it is sent.
fn a_limit_on_everything_refuses_at_the_head() {
    let fake = Fake::start();
    let edge = limited(&fake, &json!([{"name": "all", "limit": 1, "per": "1h"}]));
    assert_eq!(statuses(&edge, "event", 1), [200]);
    let mut client = edge.connect();
    let headers: Lines<'_> = &[("Content-Length", "100000"), ("Expect", "100-continue")];
    client.send(&request("POST", &envelope_target(), headers, b""));
    let answer = client.answer_to("POST");
    assert_eq!(told(&answer).1, ":project:all");
    assert!(answer.interim.is_empty(), "it asked for the body");
    let row = super::row(&edge, json!(42), "unread");
    assert_eq!(row["items"]["dropped"], json!({"quota": 1}), "{row}");
    assert_eq!(row["bytes"]["dropped"], json!({"quota": 100_000}), "{row}");
}

fn endpoints_that_never_say_429_give_their_own_success() {
    let fake = Fake::start();
    let edge = limited(&fake, &json!([{"name": "all", "limit": 0, "per": "1h"}]));
    let json_type = ("Content-Type", "application/json");
    for (path, headers, status, uuid) in [
        ("nel/", &[json_type][..], 200, false),
        ("minidump/", &[], 200, true),
        (&format!("unreal/{KEY}/"), &[], 200, true),
        ("cron/nightly/", &[], 202, false),
    ] {
        let query = if path.contains(KEY) {
            ""
        } else {
            &format!("?sentry_key={KEY}")
        };
        let answer = edge.ask("POST", &format!("/api/42/{path}{query}"), headers, b"dump");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let parts: Vec<usize> = answer.text().trim().split('-').map(str::len).collect();
        assert_eq!(parts == [8, 4, 4, 4, 12], uuid, "{path}: {}", answer.text());
        crate::ingest::check_cors(&answer);
    }
    assert!(fake.requests().is_empty());
    let row = super::row(&edge, json!(42), "monitor");
    assert_eq!(row["items"]["dropped"], json!({"quota": 1}), "{row}");
}

/// What is refused only once its bytes have come is answered as what its head is refused for: such
/// clients send a 429 again for ever.
fn they_do_so_where_the_length_comes_last() {
    let fake = Fake::start();
    let edge = limited(&fake, &json!([{"name": "b", "limit": "1KiB", "per": "1h"}]));
    let store = &format!("store/?sentry_key={KEY}");
    // Taken whole before the upstream is dialled, and streamed to it.
    for bytes in [2000, 400_000] {
        for (path, status) in [
            (&*format!("nel/?sentry_key={KEY}"), 200),
            (&format!("minidump/?sentry_key={KEY}"), 200),
            (&format!("unreal/{KEY}/"), 200),
            (&format!("cron/nightly/{KEY}/"), 202),
            (store, 429),
        ] {
            let media = ("Content-Type", "application/json");
            let headers: Lines<'_> = &[media, ("Transfer-Encoding", "chunked")];
            let body = chunked(&vec![b'x'; bytes], 1000);
            let answer = edge.ask("POST", &format!("/api/42/{path}"), headers, &body);
            assert_eq!(answer.status, status, "{path}, {bytes} bytes");
            crate::ingest::check_cors(&answer);
        }
    }
    let row = super::row(&edge, json!(42), "monitor");
    assert_eq!(row["items"]["dropped"], json!({"quota": 2}), "{row}");
}

fn other_endpoints_say_429() {
    let fake = Fake::start();
    let none = |category: &str| json!([{"name": "none", "categories": [category], "limit": 0, "per": "1h"}]);
    for (category, path, media) in [
        ("error", "store/", "application/json"),
        ("security", "security/", "application/csp-report"),
        (
            "attachment",
            "events/9ec79c33ec9942ab8353589fcb2e04dc/attachments/",
            "multipart/form-data",
        ),
        ("span", "integration/otlp/v1/traces/", "application/json"),
        ("log_item", "integration/otlp/v1/logs/", "application/json"),
    ] {
        let edge = limited(&fake, &none(category));
        let path = format!("/api/42/{path}?sentry_key={KEY}");
        let answer = edge.ask("POST", &path, &[("Content-Type", media)], b"{}");
        assert_eq!(
            told(&answer).1,
            format!("{category}:project:none"),
            "{path}"
        );
        let row = super::row(&edge, json!(42), category);
        assert_eq!(row["items"]["dropped"], json!({"quota": 1}), "{row}");
        assert_eq!(row["bytes"]["dropped"], json!({"quota": 2}), "{row}");
    }
    assert!(fake.requests().is_empty());
    // The other side: the same events pass where another category is limited.
    let edge = limited(&fake, &none("session"));
    let path = format!("/api/42/store/?sentry_key={KEY}");
    assert_eq!(edge.ask("POST", &path, &[], b"{}").status, 200);
}

fn a_part_that_stays_is_told_beside_the_upstreams_own_words() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("X-Sentry-Rate-Limits", "7:replay:key")], b"{}")
    });
    let edge = limited(
        &fake,
        &json!([{"name": "s", "categories": ["session"], "limit": 0, "per": "20s"}]),
    );
    let both = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"session\"}\n{}";
    let answer = edge.post_envelope(&[], both);
    assert_eq!(answer.status, 200);
    let limits = answer.headers.all("x-sentry-rate-limits");
    assert_eq!(limits.len(), 1, "{limits:?}");
    let (theirs, ours) = limits[0].split_once(", ").unwrap();
    assert_eq!(theirs, "7:replay:key");
    assert!(ours.ends_with(":session:project:s"), "{ours}");
}

fn an_explanation_tells_of_each_item_and_charges_none() {
    let fake = Fake::start();
    let quotas = json!([
        {"name": "errors", "categories": ["error"], "limit": 1, "per": "1h"},
        {"name": "none", "categories": ["session"], "limit": 0, "per": "1h"},
    ]);
    let edge = limited(&fake, &quotas);
    let explained = |body: &[u8]| {
        let question = json!({
            "method": "POST", "path": envelope_target(), "peer": "127.0.0.1",
            "headers": [], "body_base64": STANDARD.encode(body),
        });
        let told = explained::post(&edge, "/api/v1/explain", question.to_string().as_bytes());
        let told = told.json();
        let items = told["steps"].as_array().unwrap().iter();
        let items = items.filter(|step| step["step"] == "item");
        let why: Vec<String> = items
            .map(|step| step["why"].as_str().unwrap().to_owned())
            .collect();
        let verdict = (told["verdict"].clone(), told["items"].clone());
        (why, verdict, told["status"].clone())
    };
    let mixed =
        b"{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\"}\nx";
    for _ in 0..2 {
        let (why, verdict, _) = explained(mixed);
        assert!(
            why[0].starts_with("stays here: quota none, room again in "),
            "{why:?}"
        );
        assert_eq!(why[1..], ["goes on", "goes on"]);
        let items = json!({"found": 3, "dropped": 1});
        assert_eq!(verdict, (json!("forwarded"), items));
    }
    assert_eq!(
        statuses(&edge, "event", 2),
        [200, 429],
        "an explanation was charged"
    );
    let (why, verdict, status) = explained(mixed);
    assert_eq!(why[2], "stays here with its event: quota");
    let items = json!({"found": 3, "dropped": 3});
    assert_eq!((verdict, status), ((json!("refused"), items), json!(429)));
}

/// While its body came, a place for looking into packed bodies was held: one slow client kept
/// all others waiting.
fn a_slow_packed_body_holds_nobody_up() {
    let fake = Fake::start();
    let changes = json!({
        "limits": {"unpacking": 1},
        "projects": [{"id": 42, "quotas": [{"categories": ["session"], "limit": 0, "per": "1h"}]}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let noise = patterns::slice(3, 0, 900_000);
    let head = format!("{{\"type\":\"session\",\"length\":{}}}\n", noise.len());
    let large = Packing::Gzip.pack(&[b"{}\n", head.as_bytes(), &noise].concat());
    let length = large.len().to_string();
    let mut headers = Packing::Gzip.headers().to_vec();
    headers.push(("Content-Length", &length));
    let mut slow = edge.connect();
    let begun = &large[..400_000];
    slow.send(&request("POST", &envelope_target(), &headers, begun));
    edge.wait_metric(
        "vidette_request_bytes_total",
        &["route=\"ingest\""],
        400_000.0,
    );
    let small = one("event");
    let answer = edge.post_envelope(Packing::Gzip.headers(), &Packing::Gzip.pack(&small));
    assert_eq!(answer.status, 200, "{}", answer.text());
    slow.send(&large[400_000..]);
    assert_eq!(slow.answer_to("POST").status, 429);
}

//! Inbound filters: what they name stays here, whatever it comes in; everything else goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY};
use crate::line_one::packing::Packing;
use crate::parts::promises;
use crate::upstream::Fake;

use super::{check_dropped, check_silent, dropped, envelope, target, wanting};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_clients_address_is_filtered_before_its_body_is_read,
        a_user_agent_is_filtered_in_the_head_and_in_the_event,
        an_event_is_filtered_by_what_it_says_however_it_comes,
        what_belongs_to_a_filtered_event_goes_with_it,
        a_tunnelled_event_is_filtered_too,
        a_project_has_filters_of_its_own,
        what_is_too_large_to_be_read_passes,
        explain_tells_what_would_not_be_wanted,
    ]
}

const AGENT: &str = "User-Agent";

fn a_clients_address_is_filtered_before_its_body_is_read() {
    let fake = Fake::start();
    let edge = wanting(
        &fake,
        json!({"filters": {"client_ips": ["203.0.113.0/24"]}}),
    );
    let body = envelope(&json!({}), "event", "{}");
    let from = |ip| [("X-Forwarded-For", ip)];
    for ip in ["203.0.113.0", "203.0.113.255"] {
        check_silent(&edge.post_envelope(&from(ip), &body), None);
    }
    check_dropped(&edge, "unread", "client_ip", 2);
    assert_eq!(fake.requests().len(), 0);
    for ip in ["203.0.112.255", "203.0.114.0", "2001:db8::1"] {
        assert_eq!(edge.post_envelope(&from(ip), &body).status, 200);
    }
    assert_eq!(fake.requests().len(), 3);
    for (endpoint, status) in [("store", 200), ("security", 200), ("cron/nightly", 202)] {
        let json = ("Content-Type", "application/json");
        let headers = [json, ("X-Forwarded-For", "203.0.113.9")];
        let answer = edge.ask("POST", &target(42, endpoint), &headers, b"{}");
        assert_eq!(answer.status, status, "{endpoint}: {}", answer.text());
    }
    assert_eq!(fake.requests().len(), 3);
}

fn a_user_agent_is_filtered_in_the_head_and_in_the_event() {
    let fake = Fake::start();
    let filters = json!({"user_agents": ["*evil*"], "crawlers": true});
    let edge = wanting(&fake, json!({"filters": filters}));
    for (agent, reason) in [
        ("An Evil Thing/1.0", Some("user_agent")),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", Some("crawler")),
        ("sentry.python/2.0", None),
    ] {
        let inner = json!({"request": {"headers": {"User-Agent": agent}}}).to_string();
        let body = envelope(&json!({}), "event", &inner);
        for (headers, body, category) in [
            (
                vec![(AGENT, agent)],
                envelope(&json!({}), "session", "{}"),
                "unread",
            ),
            (vec![(AGENT, "sentry.php/4")], body, "error"),
        ] {
            let before = fake.requests().len();
            let answer = edge.post_envelope(&headers, &body);
            let arrived = fake.requests().len() - before;
            assert_eq!(
                (answer.status, arrived == 0),
                (200, reason.is_some()),
                "{agent}"
            );
            if let Some(reason) = reason {
                check_silent(&answer, None);
                check_dropped(&edge, category, reason, 1);
            }
        }
    }
}

/// Posts an event as an envelope and as a single one in every packing.
#[track_caller]
fn check_event(edge: &Edge, fake: &Fake, event: &Value, reason: Option<&str>) {
    let id = "fc6d8c0c43fc4630ad850ee518f1b9d0";
    let mut event = event.clone();
    event["event_id"] = json!(id);
    let event = event.to_string();
    let line = json!({"event_id": id});
    for packing in [Packing::Plain, Packing::Gzip] {
        for (endpoint, body) in [
            ("envelope", envelope(&line, "event", &event)),
            ("store", event.clone().into_bytes()),
        ] {
            let before = (
                fake.requests().len(),
                dropped(edge, "error", reason.unwrap_or_default()),
            );
            let body = packing.pack(&body);
            let answer = edge.ask("POST", &target(42, endpoint), packing.headers(), &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let arrived = fake.requests().len() - before.0;
            let how = format!("{endpoint} {packing:?} {event}");
            assert_eq!(arrived, usize::from(reason.is_none()), "{how}");
            if let Some(reason) = reason {
                check_silent(&answer, Some(id));
                check_dropped(edge, "error", reason, before.1 + 1);
            }
        }
    }
}

fn an_event_is_filtered_by_what_it_says_however_it_comes() {
    let fake = Fake::start();
    let filters = json!({
        "releases": ["shop@1.*"],
        "environments": ["dev*"],
        "error_messages": ["TimeoutError: *", "*quota*"],
        "localhost": true,
    });
    let edge = wanting(&fake, json!({"filters": filters}));
    let exception =
        |kind: &str| json!({"exception": {"values": [{"type": kind, "value": "late"}]}});
    let url = |url: &str| json!({"request": {"url": url}});
    for (event, reason) in [
        (json!({"release": "shop@1.2"}), Some("release")),
        (json!({"release": "shop@2.0"}), None),
        (json!({"environment": "development"}), Some("environment")),
        (json!({"environment": "production"}), None),
        (exception("TimeoutError"), Some("error_message")),
        (exception("ValueError"), None),
        (
            json!({"logentry": {"formatted": "over Quota"}}),
            Some("error_message"),
        ),
        (json!({"message": "fine"}), None),
        (url("http://localhost:3000/cart"), Some("localhost")),
        (url("https://shop.example/cart"), None),
        (json!({}), None),
    ] {
        check_event(&edge, &fake, &event, reason);
    }
}

fn what_belongs_to_a_filtered_event_goes_with_it() {
    let fake = Fake::start();
    let edge = wanting(&fake, json!({"filters": {"environments": ["dev"]}}));
    let attachment = "{\"type\":\"attachment\",\"length\":2}\nab\n";
    let event = envelope(&json!({}), "event", r#"{"environment":"dev"}"#);
    let event = String::from_utf8(event).unwrap();
    let (line, event) = event.split_once('\n').unwrap();
    let session = "{\"type\":\"session\",\"length\":2}\n{}\n";
    let body = format!("{line}\n{attachment}{event}{session}");
    assert_eq!(edge.post_envelope(&[], body.as_bytes()).status, 200);
    let seen = fake.only_request();
    assert_eq!(
        String::from_utf8_lossy(&seen.body),
        format!("{line}\n{session}")
    );
    check_dropped(&edge, "error", "environment", 1);
    check_dropped(&edge, "attachment", "environment", 1);
}

fn a_tunnelled_event_is_filtered_too() {
    let fake = Fake::start();
    let filters = json!({"client_ips": ["203.0.113.9"], "user_agents": ["*evil*"]});
    let mut changes = super::wishes(&json!({"filters": filters}));
    changes["tunnel"] = json!({"paths": ["/t"]});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let dsn = json!({"dsn": format!("http://{KEY}@sentry.example/42")});
    let body = envelope(&dsn, "event", "{}");
    for (headers, arrived) in [
        ([("X-Forwarded-For", "203.0.113.9"), (AGENT, "a")], 0),
        ([("X-Forwarded-For", "203.0.113.8"), (AGENT, "evil")], 0),
        ([("X-Forwarded-For", "203.0.113.8"), (AGENT, "a")], 1),
    ] {
        let answer = edge.ask("POST", "/t", &headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(fake.requests().len(), arrived, "{headers:?}");
    }
}

fn a_project_has_filters_of_its_own() {
    let fake = Fake::start();
    let changes = json!({
        "defaults": {"filters": {"environments": ["dev"]}, "sample": {"error": 0}},
        "projects": [{"id": 42, "filters": {"environments": ["test"]}, "sample": {}}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    for (project, environment, arrives) in [
        (42, "dev", true),
        (42, "test", false),
        (43, "dev", false),
        (43, "test", false),
    ] {
        let before = fake.requests().len();
        let event = json!({"environment": environment}).to_string();
        let body = envelope(&json!({}), "event", &event);
        let answer = edge.ask("POST", &target(project, "envelope"), &[], &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = fake.requests().len() > before;
        assert_eq!(arrived, arrives, "{project} {environment}");
    }
}

/// How an explanation ends, and its steps.
fn explained(edge: &Edge, from: &str, agent: &str, body: &[u8]) -> (String, String) {
    let question = json!({
        "method": "POST",
        "path": target(42, "envelope"),
        "headers": [["User-Agent", agent]],
        "peer": from,
        "body_base64": STANDARD.encode(body),
    });
    let question = question.to_string();
    let answer = crate::explained::post(edge, "/api/v1/explain", question.as_bytes());
    let told = answer.json();
    let ending = [&told["verdict"], &told["status"], &told["reason"]].map(Value::to_string);
    (ending.join(" "), told["steps"].to_string())
}

fn explain_tells_what_would_not_be_wanted() {
    let fake = Fake::start();
    let filters = json!({
        "environments": ["dev"], "user_agents": ["*evil*"], "client_ips": ["203.0.113.0/24"],
    });
    let edge = wanting(
        &fake,
        json!({"filters": filters, "sample": {"transaction": 0.4}}),
    );
    let dev = envelope(&json!({}), "event", r#"{"environment":"dev"}"#);
    let prod = envelope(&json!({}), "event", r#"{"environment":"prod"}"#);
    // It stands at 0.4105.
    let trace = json!({"trace": {"trace_id": "4a106cf6b15144eb9131ae7db1a157a3"}});
    let transaction = envelope(&trace, "transaction", "{}");
    let here = "127.0.0.1";
    for (from, agent, body, ending, words) in [
        (
            here,
            "a",
            &dev,
            r#""refused" 200 "environment""#,
            r#"is not wanted: environment, \"dev\" in defaults.filters.environments matches"#,
        ),
        (
            here,
            "a",
            &transaction,
            r#""refused" 200 "sampled""#,
            "is not wanted: sampled, defaults.sample.transaction keeps 40%\"",
        ),
        (
            here,
            "evil",
            &prod,
            r#""refused" 200 "user_agent""#,
            r#"\"*evil*\" in defaults.filters.user_agents matches"#,
        ),
        (
            "203.0.113.9",
            "a",
            &prod,
            r#""refused" 200 "client_ip""#,
            "203.0.113.0/24 in defaults.filters.client_ips has",
        ),
        (here, "a", &prod, r#""forwarded" null null"#, "goes on"),
    ] {
        let (told, steps) = explained(&edge, from, agent, body);
        assert_eq!(told, ending, "{steps}");
        assert!(steps.contains(words), "{steps}");
    }
    let order = json!({"project": 42, "action": "sample", "value": "1%", "for_s": 600});
    let switched = crate::explained::post(&edge, "/api/v1/mutes", order.to_string().as_bytes());
    assert_eq!(switched.status, 201, "{}", switched.text());
    let (_, steps) = explained(&edge, here, "a", &transaction);
    for words in [
        "all at most 1%",
        "a switch keeps at most 1% of everything until 20",
    ] {
        assert!(steps.contains(words), "no {words} in {steps}");
    }
    assert_eq!(fake.requests().len(), 0, "an explanation sends nothing");
}

fn what_is_too_large_to_be_read_passes() {
    let fake = Fake::start();
    let edge = wanting(&fake, json!({"filters": {"environments": ["dev"]}}));
    let event =
        |bytes: usize| json!({"environment": "dev", "extra": "x".repeat(bytes)}).to_string();
    let small = envelope(&json!({}), "event", &event(200 * 1024));
    check_silent(&edge.post_envelope(&[], &small), None);
    let large = envelope(&json!({}), "event", &event(300 * 1024));
    assert_eq!(edge.post_envelope(&[], &large).status, 200);
    assert_eq!(fake.only_request().body, large);
}

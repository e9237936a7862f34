//! `vidette doctor` on edges that are well and on such as are met in the field: it
//! names what is wrong, and what it says to paste mends it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::{Ran, ran};
use crate::edge::{Edge, KEY, program};
use crate::front::Nginx;
use crate::ingest::ENVELOPE;
use crate::parts::{Part, promises};
use crate::upstream::{Fake, HANG, Silent};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        an_untrusted_proxy_is_named_and_what_to_paste_mends_it,
        an_edge_that_knows_its_clients_is_well,
        an_edge_without_requests_has_nothing_to_judge,
        addresses_that_are_not_stored_are_no_riddle,
        the_edges_own_answers_please_a_browser,
        origins_that_are_not_allowed_are_named,
        a_doctor_without_a_patient_says_so,
        upstreams_that_are_there_and_one_that_is_not_are_told_apart,
        an_edge_without_tls_is_well_and_a_port_in_the_clear_is_named,
    ];
    trials.extend(promises![&[Part::Nginx];
        a_front_that_doubles_cors_is_named,
        a_front_that_passes_on_is_well,
    ]);
    trials
}

fn doctor(subject: &str, admin: SocketAddr, arguments: &[&str]) -> Ran {
    let admin = admin.to_string();
    ran(program()
        .args(["doctor", subject, "--admin", &admin])
        .args(arguments))
}

/// Thirty clients behind a proxy that names them, and the edge's look at them.
#[track_caller]
fn thirty_clients(edge: &Edge) {
    for client in 0..30 {
        let chain = format!("203.0.113.{client}");
        let answer = edge.post_envelope(&[("X-Forwarded-For", &chain)], ENVELOPE);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let deadline = Instant::now() + HANG;
    loop {
        let page = edge.admin_get("/api/v1/clients").json();
        if !page["most_common"].is_null() && page["sightings"] != json!([]) {
            return;
        }
        assert!(Instant::now() < deadline, "nothing is sighted: {page}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
pub(super) fn check(told: &Ran, code: i32, parts: &[&str]) {
    let said = format!("{}{}", told.stdout, told.stderr);
    assert_eq!(told.code, Some(code), "{said}");
    for part in parts {
        assert!(told.stdout.contains(part), "no {part} in:\n{said}");
    }
}

fn with_client_ip(fake: &Fake, rules: &Value) -> Edge {
    let changes = json!({"client_ip": rules, "state": {"path": "off"}});
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn an_untrusted_proxy_is_named_and_what_to_paste_mends_it() {
    let fake = Fake::start();
    let edge = with_client_ip(&fake, &json!({"trusted_proxies": []}));
    thirty_clients(&edge);
    let told = doctor("ip", edge.admin, &[]);
    check(
        &told,
        1,
        &["problem", "127.0.0.1", "trusted_proxies", "30 requests"],
    );
    let pasted = told
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("trusted_proxies: ["))
        .and_then(|line| line.strip_suffix("]"))
        .unwrap_or_else(|| panic!("nothing to paste in:\n{}", told.stdout));
    let as_json = doctor("ip", edge.admin, &["--json"]);
    let told: Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!(as_json.code, Some(1));
    assert_eq!(told["findings"][0]["mark"], "problem", "{told}");
    let mended = with_client_ip(&fake, &json!({"trusted_proxies": [pasted]}));
    thirty_clients(&mended);
    check(
        &doctor("ip", mended.admin, &[]),
        0,
        &["ok", "30 with an address from"],
    );
}

fn an_edge_that_knows_its_clients_is_well() {
    let fake = Fake::start();
    let edge = with_client_ip(&fake, &json!({"trusted_proxies": ["loopback"]}));
    thirty_clients(&edge);
    let told = doctor("ip", edge.admin, &[]);
    check(&told, 0, &["ok", "so the client is 203.0.113."]);
    assert!(!told.stdout.contains("problem"), "{}", told.stdout);
}

fn an_edge_without_requests_has_nothing_to_judge() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    check(
        &doctor("ip", edge.admin, &[]),
        0,
        &["warn", "no request has come"],
    );
}

fn addresses_that_are_not_stored_are_no_riddle() {
    let fake = Fake::start();
    for store in ["truncate", "hash", "drop"] {
        let edge = with_client_ip(&fake, &json!({"store": store}));
        thirty_clients(&edge);
        let told = doctor("ip", edge.admin, &[]);
        check(&told, 0, &["ok", &format!("client_ip.store is {store}")]);
        for client in 1..30 {
            let raw = format!("203.0.113.{client} ");
            assert!(!told.stdout.contains(&raw), "{store}:\n{}", told.stdout);
        }
    }
}

fn the_edges_own_answers_please_a_browser() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let told = doctor("cors", edge.admin, &[]);
    check(&told, 0, &["ok", "preflight: 200", "POST: 400"]);
    assert!(!told.stdout.contains("problem"), "{}", told.stdout);
    assert!(fake.requests().is_empty(), "its event is never stored");
    let told = doctor("cors", edge.admin, &["--json"]);
    let json: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(json["url"], format!("http://{}", edge.public));
    assert!(
        json["findings"]
            .as_array()
            .is_some_and(|found| found.len() >= 3)
    );
}

fn origins_that_are_not_allowed_are_named() {
    let fake = Fake::start();
    let changes = json!({
        "state": {"path": "off"},
        "projects": [{"id": 42, "keys": [KEY], "allowed_origins": ["shop.example"]}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let dsn = format!("https://{KEY}@sentry.example.com/42");
    for (origin, code, part) in [
        (
            "https://shop.example",
            0,
            "allowed_origins admit https://shop.example",
        ),
        (
            "https://evil.example",
            1,
            "do not admit https://evil.example",
        ),
    ] {
        let told = doctor("cors", edge.admin, &["--dsn", &dsn, "--origin", origin]);
        check(&told, code, &[part]);
        if code == 1 {
            let whole = r#"allowed_origins: ["shop.example", "https://evil.example"]"#;
            check(&told, code, &["projects, id 42", whole]);
        }
    }
    assert!(fake.requests().is_empty());
}

fn a_doctor_without_a_patient_says_so() {
    let down = Silent::reserve();
    let admin = down.url().trim_start_matches("http://").parse().unwrap();
    for subject in ["ip", "cors"] {
        let told = doctor(subject, admin, &[]);
        assert_eq!(told.code, Some(1), "{subject}: {}", told.stdout);
        assert!(!told.stderr.is_empty(), "{subject}");
    }
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let told = doctor("cors", edge.admin, &["--url", &down.url()]);
    check(&told, 1, &["problem"]);
}

fn a_front_that_doubles_cors_is_named() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let front = Nginx::doubling_cors_of(edge.public);
    let url = format!("http://{}", front.address);
    let told = doctor("cors", edge.admin, &["--url", &url]);
    check(
        &told,
        1,
        &[
            "problem",
            "2 values in Access-Control-Allow-Origin: *, *",
            "whatever stands in front of it does this",
            "add_header Access-Control-Allow-Origin",
        ],
    );
    let direct = doctor("cors", edge.admin, &[]);
    check(&direct, 0, &["ok"]);
    assert!(fake.requests().is_empty());
}

fn a_front_that_passes_on_is_well() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let front = Nginx::in_front_of(edge.public);
    let url = format!("http://{}", front.address);
    let told = doctor("cors", edge.admin, &["--url", &url]);
    check(&told, 0, &["ok", "preflight: 200", "POST: 400"]);
    assert!(!told.stdout.contains("problem"), "{}", told.stdout);
}

fn upstreams_that_are_there_and_one_that_is_not_are_told_apart() {
    let (fake, away) = (Fake::start(), Silent::reserve());
    let well = Edge::before(&fake);
    let at = fake.address();
    let takes = "is an address, so there is nothing to look up, and it takes connections";
    let ingest = format!("ok       upstream ingest: {at} {takes}");
    let web = format!("ok       upstream web: {at} {takes}");
    check(&doctor("dns", well.admin, &[]), 0, &[&ingest, &web]);
    let ill = Edge::configured(&fake.url(), &away.url(), json!({}));
    let told = doctor("dns", ill.admin, &[]);
    check(
        &told,
        1,
        &[&ingest, "problem  upstream web: ", "nobody answers there"],
    );
    let nowhere = Edge::configured("http://relay.invalid:3000", &fake.url(), json!({}));
    let told = doctor("dns", nowhere.admin, &["--json"]);
    check(&told, 1, &["relay.invalid:3000 does not resolve here"]);
    serde_json::from_str::<Value>(&told.stdout).unwrap();
}

fn an_edge_without_tls_is_well_and_a_port_in_the_clear_is_named() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    check(
        &doctor("tls", edge.admin, &[]),
        0,
        &["no listener speaks TLS itself"],
    );
    let clear = format!("https://{}", edge.public);
    let told = doctor("tls", edge.admin, &["--url", &clear]);
    check(&told, 1, &["problem  https://", "speaks in the clear"]);
    let http = doctor("tls", edge.admin, &["--url", "http://a.example"]);
    assert_eq!(http.code, Some(2), "{}", http.stderr);
}

//! What is found in an edge's report, and how the command exits; what a chain reads like
//! stands in `chains`.

mod chains;

use clap::Parser;
use serde_json::{Value, json};

use super::super::super::fake::{Fake, json as answered};
use super::super::Mark;
use super::report::network;
use super::*;
use crate::domain::client_ip::{HopVerdict, front_of};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// A report of `total` requests by header, all of them well.
fn report(total: u64) -> Value {
    json!({
        "requests": {"peer": 0, "header": total, "private": 0, "unknown": 0},
        "most_common": {"address": "203.0.113.9", "share_at_least": 0.1, "private": false},
        "trusted_proxies": ["docker"],
        "header": "x-forwarded-for",
        "store": "full",
        "sightings": [],
    })
}

fn sighting(peer: &str, forwarded: &[&str], client: &str, source: &str) -> Value {
    let step = |text: &str, address: &str, verdict: HopVerdict| json!({"text": text, "address": address, "verdict": verdict.as_str()});
    let steps = match source {
        "peer" => vec![step("peer", peer, HopVerdict::PeerNotTrustedSoPeer)],
        _ if client == peer => vec![step("peer", peer, HopVerdict::AllTrustedSoThis)],
        _ => vec![
            step("peer", peer, HopVerdict::TrustedSoOn),
            step(client, client, HopVerdict::NotTrustedSoThis),
        ],
    };
    let front = |address: &str| network(address).and_then(|net| front_of(&net));
    json!({
        "peer_is_whole": true, "peer_front": front(peer),
        "client_is_whole": true, "client_front": front(client),
        "at": "2026-11-25T20:00:00Z", "route": "ingest", "peer": peer, "forwarded": forwarded,
        "client": client, "source": source, "steps": steps,
        "sent": [["x-forwarded-for", client]], "relay": client, "web": client,
    })
}

fn with(mut report: Value, changes: &[(&str, Value)]) -> Value {
    for (path, value) in changes {
        *report.pointer_mut(path).unwrap() = value.clone();
    }
    report
}

/// Each finding wanted: its mark, and what stands in it.
#[track_caller]
fn check(report: &Value, want: &[(Mark, &str, &str)]) {
    let clients: Clients = serde_json::from_value(report.clone()).unwrap();
    let found = findings::of(&clients);
    let all: Vec<String> = found.iter().flat_map(Finding::lines).collect();
    assert_eq!(found.len(), want.len(), "{}", all.join("\n"));
    for (finding, (mark, seen, rest)) in found.iter().zip(want) {
        let text = finding.lines().join("\n");
        assert_eq!(finding.mark, *mark, "{text}");
        assert!(finding.seen.contains(seen), "no {seen} in: {text}");
        assert!(text.contains(rest), "no {rest} in: {text}");
    }
}

const COLLAPSED: &str = "/most_common";

fn collapsed(address: &str) -> Value {
    json!({"address": address, "share_at_least": 0.97, "private": true})
}

#[test]
fn a_sound_report_has_no_fault_and_says_where_else_users_go() {
    check(
        &report(100),
        &[(Mark::Ok, "100 requests", "sendDefaultPii")],
    );
}

#[test]
fn before_the_first_request_it_says_how_to_send_one() {
    check(&report(0), &[(Mark::Warn, "no request", "curl ")]);
    let nobody = with(report(0), &[(COLLAPSED, Value::Null)]);
    check(&nobody, &[(Mark::Warn, "no request", "curl ")]);
}

#[test]
fn a_peer_that_hides_everybody_is_a_problem_and_named() {
    let seen = [sighting("172.18.0.1", &[], "172.18.0.1", "peer")];
    let report = with(
        report(400),
        &[
            (COLLAPSED, collapsed("172.18.0.1")),
            ("/sightings", json!(seen)),
        ],
    );
    check(
        &report,
        &[(
            Mark::Problem,
            "at least 97 % of 400 requests come from 172.18.0.1",
            "userland-proxy",
        )],
    );
    check(
        &report,
        &[(
            Mark::Problem,
            "private",
            "trusted_proxies is\n               trusted_proxies: [docker, 172.18.0.1/32]",
        )],
    );
}

#[test]
fn a_proxy_that_is_not_listed_is_named_once() {
    let seen = [sighting("10.9.0.5", &["203.0.113.9"], "10.9.0.5", "peer")];
    let report = with(
        report(400),
        &[
            (COLLAPSED, collapsed("10.9.0.5")),
            ("/sightings", json!(seen)),
            ("/trusted_proxies", json!(["loopback", "2001:db8::/32"])),
        ],
    );
    check(
        &report,
        &[(
            Mark::Problem,
            "10.9.0.5",
            "[loopback, \"2001:db8::/32\", 10.9.0.5/32]",
        )],
    );
}

#[test]
fn a_hop_behind_a_trusted_peer_is_what_is_listed() {
    let seen = [sighting(
        "172.18.0.5",
        &["203.0.113.9, 192.168.7.1"],
        "192.168.7.1",
        "private",
    )];
    let report = with(
        report(12),
        &[
            (COLLAPSED, collapsed("192.168.7.0/24")),
            ("/sightings", json!(seen)),
            ("/requests/private", json!(11)),
        ],
    );
    check(
        &report,
        &[(Mark::Problem, "of 23 requests", "[docker, 192.168.7.1/32]")],
    );
}

/// The peer that was trusted already was to be listed, as a hop that it had named.
#[test]
fn a_trusted_proxy_that_names_nobody_is_not_listed_again() {
    let seen = sighting("172.18.0.5", &[], "172.18.0.5", "private");
    let changes = [
        (COLLAPSED, collapsed("172.18.0.5")),
        ("/sightings", json!([seen])),
        ("/requests/private", json!(400)),
    ];
    let everybody = with(report(0), &changes);
    let mend = "172.18.0.5 is trusted already, but names nobody in x-forwarded-for";
    check(&everybody, &[(Mark::Problem, "172.18.0.5", mend)]);
    let some = with(everybody, &[(COLLAPSED, Value::Null)]);
    check(&some, &[(Mark::Warn, "1 of 1", mend)]);
    let clients: Clients = serde_json::from_value(some).unwrap();
    let found = findings::of(&clients);
    assert!(found.iter().all(|found| found.paste.is_none()), "{found:?}");
}

#[test]
fn masked_addresses_become_networks() {
    for (shown, want) in [
        ("172.18.0.5", Some("172.18.0.5/32")),
        ("172.18.0.0/24", Some("172.18.0.0/24")),
        ("172.18.0.x", Some("172.18.0.0/24")),
        ("2001:db8::/48", Some("2001:db8::/48")),
        ("unknown", None),
    ] {
        let got = network(shown).map(|net| net.to_string());
        assert_eq!(got.as_deref(), want, "{shown}");
    }
    let report = with(report(50), &[(COLLAPSED, collapsed("172.18.0.0/24"))]);
    check(
        &report,
        &[(Mark::Problem, "172.18.0.0/24", "[docker, 172.18.0.0/24]")],
    );
}

#[test]
fn few_requests_are_said_to_be_few() {
    let few = with(report(3), &[(COLLAPSED, collapsed("127.0.0.1"))]);
    check(
        &few,
        &[(Mark::Problem, "your own attempts", "127.0.0.1/32")],
    );
}

#[test]
fn almost_everybody_is_not_everybody() {
    let most = json!({"address": "10.0.0.1", "share_at_least": 0.89, "private": true});
    check(
        &with(report(100), &[(COLLAPSED, most)]),
        &[(Mark::Ok, "100 requests", "")],
    );
}

#[test]
fn an_ignored_header_names_its_peer() {
    let ours = sighting("10.9.0.5", &["203.0.113.9"], "10.9.0.5", "peer");
    let stranger = sighting("198.51.100.7", &["6.6.6.6"], "198.51.100.7", "peer");
    let silent = sighting("10.9.0.6", &[" "], "10.9.0.6", "peer");
    check(
        &with(
            report(100),
            &[("/sightings", json!([ours, stranger, silent]))],
        ),
        &[(
            Mark::Problem,
            "10.9.0.5 sends x-forwarded-for",
            "[docker, 10.9.0.5/32]",
        )],
    );
    check(
        &with(report(100), &[("/sightings", json!([stranger, silent]))]),
        &[(Mark::Warn, "198.51.100.7 sends x-forwarded-for", "forge")],
    );
}

#[test]
fn a_front_that_passes_for_a_client_names_its_preset() {
    let hop = |client: &str| sighting("172.18.0.5", &["203.0.113.9"], client, "header");
    for (client, preset) in [
        ("172.70.1.2", "[docker, cloudflare]"),
        ("2606:4700::1", "[docker, cloudflare]"),
        ("35.191.3.4", "[docker, gcp]"),
        ("100.64.3.4", "[docker, aliyun]"),
        ("100.64.3.0/24", "[docker, aliyun]"),
    ] {
        check(
            &with(report(100), &[("/sightings", json!([hop(client)]))]),
            &[(Mark::Problem, client, preset)],
        );
    }
    let one_in_three = json!([hop("172.70.1.2"), hop("203.0.113.1"), hop("203.0.113.2")]);
    check(
        &with(report(100), &[("/sightings", one_in_three)]),
        &[(Mark::Warn, "1 of 3", "cloudflare")],
    );
    let listed = [
        ("/sightings", json!([hop("172.70.1.2")])),
        ("/trusted_proxies", json!(["cloudflare"])),
    ];
    check(&with(report(100), &listed), &[(Mark::Ok, "100", "")]);
}

#[test]
fn many_private_and_hidden_hops_are_warnings() {
    let seen = json!([sighting("172.18.0.5", &["x"], "192.168.7.1", "private")]);
    check(
        &with(
            report(89),
            &[("/requests/private", json!(11)), ("/sightings", seen)],
        ),
        &[(Mark::Warn, "11 of 100", "[docker, 192.168.7.1/32]")],
    );
    check(
        &with(report(95), &[("/requests/private", json!(5))]),
        &[(Mark::Ok, "5 private", "")],
    );
    check(
        &with(report(95), &[("/requests/unknown", json!(5))]),
        &[(Mark::Warn, "5 of 100", "forwarded_for on")],
    );
}

#[test]
fn addresses_changed_on_purpose_are_said_to_be() {
    for store in ["truncate", "hash", "drop"] {
        check(
            &with(report(9), &[("/store", json!(store))]),
            &[(Mark::Ok, "9", ""), (Mark::Warn, store, "store: full")],
        );
    }
}

#[test]
fn relay_and_web_that_disagree_are_found() {
    let mut seen = sighting("172.18.0.5", &["203.0.113.9"], "203.0.113.9", "header");
    seen["web"] = Value::Null;
    check(
        &with(report(9), &[("/sightings", json!([seen]))]),
        &[(Mark::Warn, "203.0.113.9 and web no address", "send_as")],
    );
}

/// How the command ends before an edge that answers so.
#[track_caller]
fn check_run(status: &'static str, report: &Value, want: ExitCode) {
    let body = report.to_string();
    let fake = Fake::start(move |_| answered(status, &body));
    let admin = fake.address.to_string();
    let line = Line::try_parse_from(["ip", "--admin", &admin]).unwrap();
    assert_eq!(main(&line.arguments), want, "{status} {report}");
    assert_eq!(fake.asked()[0].path, "/api/v1/clients");
}

#[test]
fn the_exit_code_follows_the_findings() {
    check_run("200 OK", &report(9), ExitCode::SUCCESS);
    let collapsed = with(report(9), &[(COLLAPSED, collapsed("10.0.0.1"))]);
    check_run("200 OK", &collapsed, ExitCode::FAILURE);
    check_run("403 Forbidden", &json!({"error": "no"}), ExitCode::FAILURE);
    check_run("404 Not Found", &json!({"error": "no"}), ExitCode::FAILURE);
}

#[test]
fn json_is_the_admins_answer_and_the_findings() {
    let answer = Answer {
        status: http::StatusCode::OK,
        body: report(9).to_string(),
    };
    let told = with_findings(&answer, &[Finding::ok("fine")]).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["requests"], report(9)["requests"]);
    assert_eq!(told["findings"], json!([{"mark": "ok", "seen": "fine"}]));
}

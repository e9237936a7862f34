//! What one request's chain reads like, told whole or not.

use super::*;

/// A chain that is not shown was told as none at all.
#[test]
fn a_chain_that_is_not_shown_is_a_chain() {
    let mut seen = sighting("198.51.100.0", &["..."], "198.51.100.0", "peer");
    seen["peer_is_whole"] = json!(false);
    let changes = [
        ("/sightings", json!([seen])),
        ("/store", json!("truncate")),
        ("/requests/peer", json!(5)),
    ];
    let report = with(report(100), &changes);
    check(
        &report,
        &[
            (
                Mark::Warn,
                "198.51.100.0 sends",
                "its address is not shown here",
            ),
            (Mark::Warn, "truncate", "client_ip.store"),
        ],
    );
    let clients: Clients = serde_json::from_value(report).unwrap();
    let told = chain(&clients.sightings[0], "x-forwarded-for").join("\n");
    assert!(told.contains("x-forwarded-for: ..."), "{told}");
}

#[test]
fn a_report_without_addresses_is_read() {
    let mut seen = sighting("172.18.0.5", &["..."], "203.0.113.9", "header");
    for place in ["peer", "client", "relay", "web"] {
        seen[place] = Value::Null;
    }
    let report = with(
        report(9),
        &[("/store", json!("drop")), ("/sightings", json!([seen]))],
    );
    check(
        &report,
        &[(Mark::Ok, "9", ""), (Mark::Warn, "drop", "store: full")],
    );
    let clients: Clients = serde_json::from_value(report).unwrap();
    let told = chain(&clients.sightings[0], "x-forwarded-for").join("\n");
    assert!(told.contains("so the client is no address"), "{told}");
}

#[test]
fn a_chain_shows_each_decision_and_both_conclusions() {
    let seen: Sighting = serde_json::from_value(json!({
        "at": "2026-11-25T20:00:00Z", "route": "ingest", "peer": "172.18.0.5",
        "forwarded": ["203.0.113.9, \u{1b}[2J100.64.3.4"], "client": "100.64.3.4", "source": "private",
        "steps": [
            {"text": "peer", "address": "172.18.0.5", "verdict": "trusted"},
            {"text": "100.64.3.4", "address": "100.64.3.4", "verdict": "the client"},
        ],
        "sent": [["x-forwarded-for", "100.64.3.4"]], "relay": "100.64.3.4", "web": null,
        "peer_is_whole": true, "peer_front": null,
        "client_is_whole": true, "client_front": "aliyun",
    }))
    .unwrap();
    assert_eq!(
        chain(&seen, "x-forwarded-for"),
        [
            "2026-11-25T20:00:00Z  ingest  from 172.18.0.5",
            "  x-forwarded-for: 203.0.113.9, \\u{1b}[2J100.64.3.4",
            "    peer (172.18.0.5)  trusted",
            "    100.64.3.4         the client",
            "  so the client is 100.64.3.4 (private)",
            "  sent on: x-forwarded-for: 100.64.3.4",
            "  Relay will take 100.64.3.4, web will take no address",
        ]
    );
}

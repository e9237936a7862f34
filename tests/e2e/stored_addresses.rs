//! What of a client's address goes upstream under each `client_ip.store`, and
//! that the rest of it is written nowhere else.

use std::net::Ipv6Addr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::ask;
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        an_event_carries_what_is_stored_of_its_client,
        a_pseudonym_tells_clients_apart_and_names_none,
        pseudonyms_outlive_a_restart_with_the_state,
        pseudonyms_follow_the_key_that_is_named,
        every_kind_of_event_and_header_carries_the_same,
        pages_and_the_api_always_get_the_whole_address,
        a_peer_over_ipv6_is_stored_like_any_other,
        what_is_not_stored_is_in_no_log_and_on_no_page,
    ]
}

/// An edge with this `client_ip.store`, and more of `client_ip` and `state`.
#[track_caller]
fn edge(fake: &Fake, store: &str, client_ip: Value, state: &str) -> Edge {
    let mut rules = json!({"store": store});
    for (key, value) in client_ip.as_object().unwrap() {
        rules[key] = value.clone();
    }
    let changes = json!({
        "client_ip": rules,
        "state": {"path": state},
        "tunnel": {"paths": ["/t"]},
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

#[track_caller]
fn forgetful(fake: &Fake, store: &str) -> Edge {
    edge(fake, store, json!({}), "off")
}

/// What the upstream is told of a client that a trusted proxy names.
#[track_caller]
fn told(edge: &Edge, fake: &Fake, method: &str, target: &str, client: &str) -> String {
    let before = fake.requests().len();
    let body: &[u8] = if method == "POST" { ENVELOPE } else { b"" };
    let answer = edge.ask(method, target, &[("X-Forwarded-For", client)], body);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    let mut requests = fake.requests();
    assert_eq!(requests.len(), before + 1, "{target}");
    requests
        .swap_remove(before)
        .headers
        .one("x-forwarded-for")
        .unwrap()
}

#[track_caller]
fn stored(edge: &Edge, fake: &Fake, client: &str) -> String {
    told(edge, fake, "POST", &envelope_target(), client)
}

fn an_event_carries_what_is_stored_of_its_client() {
    let fake = Fake::start();
    for (store, client, want) in [
        ("full", "203.0.113.9", "203.0.113.9"),
        ("full", "::ffff:203.0.113.9", "203.0.113.9"),
        ("full", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        ("truncate", "203.0.113.9", "203.0.113.0"),
        ("truncate", "6.6.6.6, 203.0.113.255", "203.0.113.0"),
        ("truncate", "::ffff:203.0.113.9", "203.0.113.0"),
        ("truncate", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("truncate", "[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1::"),
        ("drop", "203.0.113.9", "unknown"),
        ("drop", "2001:db8:1:2:3:4:5:6", "unknown"),
        ("drop", "unknown", "unknown"),
    ] {
        let edge = forgetful(&fake, store);
        assert_eq!(stored(&edge, &fake, client), want, "{store} of {client}");
    }
}

/// A unique local address, as every pseudonym is one.
#[track_caller]
fn pseudonym(edge: &Edge, fake: &Fake, client: &str) -> Ipv6Addr {
    let told = stored(edge, fake, client);
    let address: Ipv6Addr = told
        .parse()
        .unwrap_or_else(|_| panic!("{told} for {client} is no address"));
    assert_eq!(address.octets()[0], 0xfd, "{address} for {client}");
    address
}

fn a_pseudonym_tells_clients_apart_and_names_none() {
    let fake = Fake::start();
    let edge = forgetful(&fake, "hash");
    let of = |client: &str| pseudonym(&edge, &fake, client);
    let same = [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "203.0.113.9:4711"),
        ("203.0.113.9", "::ffff:203.0.113.9"),
        // A device draws a new second half every day.
        ("2001:db8:1:2::7", "2001:db8:1:2:3:4:5:6"),
    ];
    for (one, other) in same {
        assert_eq!(of(one), of(other), "{one} and {other}");
    }
    let clients = [
        "203.0.113.9",
        "203.0.113.10",
        "9.113.0.203",
        "2001:db8:1:2::7",
        "2001:db8:1:3::7",
        "cb00:7109::",
    ];
    let mut pseudonyms: Vec<Ipv6Addr> = clients.into_iter().map(of).collect();
    pseudonyms.sort_unstable();
    pseudonyms.dedup();
    assert_eq!(pseudonyms.len(), clients.len(), "two clients became one");
}

/// What two clients are called, one of each family.
#[track_caller]
fn names(edge: &Edge, fake: &Fake) -> [Ipv6Addr; 2] {
    ["203.0.113.9", "2001:db8:1:2::7"].map(|client| pseudonym(edge, fake, client))
}

#[track_caller]
fn hashing_with_state(fake: &Fake, state: &Path) -> Edge {
    edge(fake, "hash", json!({}), state.to_str().unwrap())
}

fn pseudonyms_outlive_a_restart_with_the_state() {
    let fake = Fake::start();
    let place = tempfile::tempdir().unwrap();
    let (mine, yours) = (place.path().join("mine"), place.path().join("yours"));
    let first = names(&hashing_with_state(&fake, &mine), &fake);
    assert_eq!(
        names(&hashing_with_state(&fake, &mine), &fake),
        first,
        "killed at once and started again: the same clients"
    );
    assert_ne!(names(&hashing_with_state(&fake, &yours), &fake), first);
    let forgetting = names(&forgetful(&fake, "hash"), &fake);
    assert_ne!(
        names(&forgetful(&fake, "hash"), &fake),
        forgetting,
        "without a state each start draws its own secret"
    );
}

fn pseudonyms_follow_the_key_that_is_named() {
    let fake = Fake::start();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("hash.key");
    std::fs::write(&file, "one-secret-of-at-least-sixteen\n").unwrap();
    let with = |client_ip: Value| names(&edge(&fake, "hash", client_ip, "off"), &fake);
    let one = with(json!({"hash_key": "one-secret-of-at-least-sixteen"}));
    assert_eq!(
        with(json!({"hash_key": "one-secret-of-at-least-sixteen"})),
        one,
        "edges that share a key agree"
    );
    assert_eq!(with(json!({"hash_key_file": file})), one);
    let other = with(json!({"hash_key": "another-secret-as-long-as-that"}));
    assert!(one.iter().zip(other).all(|(one, other)| *one != other));
}

fn every_kind_of_event_and_header_carries_the_same() {
    let fake = Fake::start();
    let tunnelled = format!("{{\"dsn\":\"https://{KEY}@h/42\"}}\n");
    let send_as = json!({"send_as": ["x-forwarded-for", "x-real-ip"]});
    for (store, want) in [("truncate", "203.0.113.0"), ("drop", "unknown")] {
        let edge = edge(&fake, store, send_as.clone(), "off");
        for (target, body) in [
            (envelope_target(), ENVELOPE),
            (format!("/api/42/store/?sentry_key={KEY}"), b"{}"),
            (format!("/api/store/?sentry_key={KEY}"), b"{}"),
            (dump_target(), b"dump"),
            (format!("/api/42/something/new/?sentry_key={KEY}"), b"new"),
            ("/t".to_owned(), tunnelled.as_bytes()),
        ] {
            let from = [("X-Forwarded-For", "203.0.113.9")];
            let answer = edge.ask("POST", &target, &from, body);
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            let seen = fake.requests().pop().unwrap();
            for header in ["x-forwarded-for", "x-real-ip"] {
                assert_eq!(seen.headers.all(header), [want], "{store} {target}");
            }
            let all = format!("{:?}", seen.headers);
            assert!(!all.contains("203.0.113.9"), "{store} {target}:\n{all}");
        }
    }
}

fn pages_and_the_api_always_get_the_whole_address() {
    let fake = Fake::start();
    for store in ["full", "truncate", "hash", "drop"] {
        let edge = forgetful(&fake, store);
        for (method, target) in [
            ("GET", "/auth/login/"),
            ("POST", "/api/0/organizations/acme/chunk-upload/"),
            ("GET", "/api/0/projects/"),
            ("GET", "/_assets/app.js"),
        ] {
            for client in ["203.0.113.9", "2001:db8:1:2:3:4:5:6"] {
                let told = told(&edge, &fake, method, target, client);
                assert_eq!(told, client, "{store}: {target}");
            }
        }
    }
}

fn a_peer_over_ipv6_is_stored_like_any_other() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("this machine has no ::1");
        return;
    }
    let fake = Fake::start();
    for store in ["full", "truncate", "hash", "drop"] {
        let changes = json!({
            "listen": {"public": ["127.0.0.1:0", "[::1]:0"]},
            "client_ip": {"store": store, "trusted_proxies": []},
            "state": {"path": "off"}, "spool": {"path": "off"},
        });
        let edge = Edge::configured(&fake.url(), &fake.url(), changes);
        let status = edge.admin_get("/api/v1/status").json();
        let v6 = status["public"][1].as_str().unwrap().parse().unwrap();
        let forged = [("X-Forwarded-For", "203.0.113.9")];
        assert_eq!(
            ask(v6, "POST", &envelope_target(), &forged, ENVELOPE).status,
            200
        );
        let seen = fake.requests().pop().unwrap();
        let told = seen.headers.one("x-forwarded-for").unwrap();
        match store {
            "full" => assert_eq!(told, "::1"),
            "truncate" => assert_eq!(told, "::"),
            "hash" => assert!(told.starts_with("fd"), "{told}"),
            _ => assert_eq!(told, "unknown"),
        }
        ask(v6, "GET", "/auth/login/", &forged, b"");
        let seen = fake.requests().pop().unwrap();
        assert_eq!(seen.headers.all("x-forwarded-for"), ["::1"], "{store}");
    }
}

/// What an operator is shown of clients, once a request to each of `targets`
/// has been sighted with this chain.
#[track_caller]
fn clients(edge: &Edge, chain: &str, targets: &[(&str, &str)]) -> String {
    let deadline = Instant::now() + HANG;
    let sighted = |route: &str| {
        let page = edge.admin_get("/api/v1/clients");
        let json = page.json();
        let sightings = json["sightings"].as_array().unwrap().iter();
        (
            sightings.filter(|seen| seen["route"] == route).count(),
            page.text(),
        )
    };
    let mut pages = String::new();
    for (target, route) in targets {
        let before = sighted(route).0;
        loop {
            edge.ask("POST", target, &[("X-Forwarded-For", chain)], ENVELOPE);
            let (count, page) = sighted(route);
            pages.push_str(&page);
            if count > before {
                break;
            }
            assert!(Instant::now() < deadline, "no {route} sighted:\n{pages}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    pages
}

/// Chains whose client, or a part of it, may be written nowhere.
const CHAINS: [&str; 4] = [
    "203.0.113.9:4711, 127.0.0.1",
    "198.51.100.77, 203.0.113.9",
    "198.51.100.77, ::FFFF:203.0.113.9, garbage, 127.0.0.1",
    "[2001:DB8:1:2:3:4:5:6]:4711",
];

#[track_caller]
fn check_nothing_is_shown(store: &str) {
    let fake = Fake::start();
    let edge = forgetful(&fake, store);
    let event = envelope_target();
    let mut pages = String::new();
    for chain in CHAINS {
        let targets = [(event.as_str(), "ingest"), ("/auth/login/", "web")];
        pages.push_str(&clients(&edge, chain, &targets).to_lowercase());
    }
    // A log that says little proves little.
    edge.log.wait_for_text("DEBUG");
    let log = edge.log.text().to_lowercase();
    for raw in ["203.0.113.9", "198.51.100.77", "2001:db8:1:2:3:4:5:6"] {
        assert!(!log.contains(raw), "{store}: {raw} is in the log:\n{log}");
        assert_eq!(
            pages.contains(raw),
            store == "full",
            "{store}: {raw} on the page of clients:\n{pages}"
        );
    }
    // A page's whole address, of which nothing may be shown, read as nothing sent.
    assert!(
        !pages.contains("[\"x-forwarded-for\",\"\"]"),
        "{store}: {pages}"
    );
    let cut = pages.contains("\"203.0.113.0\"") || pages.contains("\"2001:db8:1::\"");
    assert_eq!(cut, store == "truncate", "{store}: {pages}");
}

fn what_is_not_stored_is_in_no_log_and_on_no_page() {
    thread::scope(|scope| {
        for store in ["full", "truncate", "hash", "drop"] {
            scope.spawn(move || check_nothing_is_shown(store));
        }
    });
}

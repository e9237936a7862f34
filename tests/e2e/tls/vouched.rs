//! Who the edge says it is to upstreams that ask, whom it believes once its files change,
//! and who notices.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::{Authority, Files};
use super::gate::{Gate, Terms};
use super::light;
use super::servers::{good, reaching, saving, turns_green};
use crate::client::ask;
use crate::edge::Edge;
use crate::parts::promises;
use crate::spool::{arrived, check_taken, emptied, event};
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_server_that_asks_gets_our_certificate,
        a_server_refuses_whom_nobody_vouches_for,
        files_change_under_load_and_nobody_notices,
        broken_files_leave_the_old_in_force,
    ]
}

fn shown(ca: &Authority, (cert, key): &Files) -> Value {
    json!({"upstream": {"tls": {"ca": ca.file(), "cert": cert, "key": key}}})
}

fn a_server_that_asks_gets_our_certificate() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let (vouching, place) = (Authority::called("of edges"), TempDir::new().unwrap());
    let files = authority.issue("upstream", &["localhost"]);
    let own = vouching.issue("edge", &["edge"]);
    for version in rustls::ALL_VERSIONS {
        let terms = Terms::with(&files, &[version], Some(&vouching));
        let gate = Gate::before(&fake, terms);
        let edge = saving(&gate, &authority, &place, &shown(&authority, &own));
        let before = fake.requests().len();
        check_reached(&edge);
        assert_eq!(fake.requests().len(), before + 20);
        turns_green(&edge);
    }
}

#[track_caller]
fn check_reached(edge: &Edge) {
    for number in 0..20 {
        let answer = edge.post_envelope(&[], &event(number));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A server of TLS 1.3 says so only after the handshake, when a request is on its way.
fn a_server_refuses_whom_nobody_vouches_for() {
    let authority = Authority::new();
    let vouching = Authority::called("of edges");
    let files = authority.issue("upstream", &["localhost"]);
    let strangers = Authority::called("of strangers");
    let strange = strangers.issue("edge", &["edge"]);
    for version in rustls::ALL_VERSIONS {
        for (own, cause) in [
            (None, "no_client_certificate"),
            (Some(&strange), "client_certificate_refused"),
        ] {
            let (fake, place) = (Fake::start(), TempDir::new().unwrap());
            let terms = Terms::with(&files, &[version], Some(&vouching));
            let gate = Gate::before(&fake, terms);
            let changes = own.map_or(json!({}), |own| shown(&authority, own));
            let edge = saving(&gate, &authority, &place, &changes);
            for number in 0..8 {
                check_taken(&edge.post_envelope(&[], &event(number)), number);
            }
            let labels = ["upstream=\"ingest\"", &format!("cause=\"{cause}\"")];
            edge.wait_metric("vidette_upstream_tls_failures_total", &labels, 1.0);
            edge.log.wait_for_text("client certificate");
            assert!(
                light(&edge).1.contains("client certificate"),
                "{:?}",
                light(&edge)
            );
            assert!(fake.requests().is_empty());
            gate.becomes(Terms::of(&files));
            arrived(&fake, 8);
            emptied(&edge);
            let twice = edge.metric("vidette_duplicates_total", &[]);
            assert!(
                twice.abs() < f64::EPSILON,
                "what was looked at by nobody arrives once"
            );
        }
    }
}

fn files_change_under_load_and_nobody_notices() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("connection", "close")], b"{}")?;
        Ok(crate::exchange::Next::Close)
    });
    let (old, new) = (Authority::called("old"), Authority::called("new"));
    let vouching = Authority::called("of edges");
    let terms = |authority: &Authority| {
        let files = authority.issue("upstream", &["localhost"]);
        Terms::with(&files, rustls::ALL_VERSIONS, Some(&vouching))
    };
    let gate = Gate::before(&fake, terms(&old));
    let own = vouching.issue("edge", &["edge"]);
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::copy(old.file(), &ca).unwrap();
    let mut changes = shown(&old, &own);
    changes["upstream"]["tls"]["ca"] = json!(ca);
    changes["workers"] = json!(2);
    let edge = reaching(&gate, &old, &changes);
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, sent, public) = (Arc::clone(&over), Arc::clone(&sent), edge.public);
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let target = crate::edge::envelope_target();
                    let answer = ask(public, "POST", &target, &[], b"{}\n");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let applied = |least| {
        let reloads = "vidette_tls_certificate_reloads_total";
        edge.wait_metric(reloads, &["outcome=\"applied\""], least);
    };
    // As an authority is changed: both are believed, then the server's certificate changes,
    // then the old one goes.
    let both = [old.file(), new.file()].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&ca, both.concat()).unwrap();
    applied(1.0);
    gate.becomes(terms(&new));
    vouching.issue("edge", &["edge"]);
    applied(2.0);
    fs::copy(new.file(), &ca).unwrap();
    applied(3.0);
    let before = sent.load(Ordering::Relaxed);
    let deadline = Instant::now() + HANG;
    while sent.load(Ordering::Relaxed) < before + 50 {
        assert!(Instant::now() < deadline, "nothing passes any more");
        thread::sleep(Duration::from_millis(10));
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a request failed");
    }
    let failed = edge.metric("vidette_upstream_tls_failures_total", &[]);
    assert!(failed.abs() < f64::EPSILON, "{failed} handshakes failed");
    // The old one is not believed any more.
    gate.becomes(terms(&old));
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 503);
}

fn broken_files_leave_the_old_in_force() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let gate = Gate::before(&fake, good(&authority));
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::copy(authority.file(), &ca).unwrap();
    let changes = json!({"upstream": {"tls": {"ca": ca}, "idle": {"ingest": "1ms"}}});
    let edge = reaching(&gate, &authority, &changes);
    fs::write(&ca, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let reloads = "vidette_tls_certificate_reloads_total";
    edge.wait_metric(reloads, &["outcome=\"refused\""], 1.0);
    let (colour, reasons) = light(&edge);
    assert_eq!(colour, "amber");
    let want = "the new files of upstream.tls are not in force: the file of ca holds";
    assert!(reasons.contains(want), "{reasons}");
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    fs::copy(authority.file(), &ca).unwrap();
    edge.wait_metric(reloads, &["outcome=\"applied\""], 1.0);
    assert_eq!(light(&edge).0, "green");
}

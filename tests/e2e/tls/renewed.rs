//! Certificates that change while the edge runs: taken up without a connection lost, left
//! alone where they are broken, and spoken of before they end.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::authority::{Authority, Files};
use super::client::{SecureClient, Trust};
use super::{NAME, light, pair, secured, simple};
use crate::admin::post;
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        certificates_change_under_load_and_nobody_notices,
        a_signal_takes_certificates_up_at_once,
        a_reload_takes_certificates_up_at_once,
        a_broken_file_leaves_the_old_in_force,
        a_certificate_is_spoken_of_before_its_end,
        an_expired_certificate_is_red,
    ]
}

fn of_file((cert, _): &Files) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(cert).unwrap()
}

/// Waits until a fresh client is shown this certificate.
#[track_caller]
fn wait_shown(edge: &Edge, trust: &Trust, want: &CertificateDer<'_>) {
    let deadline = Instant::now() + HANG;
    while SecureClient::connect(edge.public, trust).shown() != *want {
        assert!(
            Instant::now() < deadline,
            "the new certificate is not shown"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn certificates_change_under_load_and_nobody_notices() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let edge = secured(&fake, &pair(&files), &json!({"workers": 2}));
    let trust = Trust::of(&authority);
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|place| {
            let (over, sent, public) = (Arc::clone(&over), Arc::clone(&sent), edge.public);
            // Half of them stay connected all the time; tickets and whole handshakes are in turn.
            let trust = match place % 2 {
                0 => trust.clone(),
                _ => Trust::of(&authority),
            };
            thread::spawn(move || {
                let mut kept = SecureClient::connect(public, &trust);
                while !over.load(Ordering::Relaxed) {
                    if place < 2 {
                        kept = SecureClient::connect(public, &trust);
                    }
                    let answer = kept.ask("POST", &envelope_target(), &[], b"{}\n");
                    assert_eq!(answer.status, 200);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..3 {
        authority.issue("edge", &[NAME]);
        let new = of_file(&files);
        if round == 2 {
            edge.signal(Signal::HUP);
        }
        wait_shown(&edge, &Trust::of(&authority), &new);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a request failed");
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 50, "{sent} requests: this test proves nothing");
    let applied = edge.metric(
        "vidette_tls_certificate_reloads_total",
        &["outcome=\"applied\""],
    );
    assert!(applied >= 3.0, "{applied}");
    assert_eq!(
        edge.metric("vidette_tls_handshakes_total", &["outcome=\"tls_failed\""]),
        0.0
    );
}

#[track_caller]
fn check_taken_up(ask: impl Fn(&Edge)) {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let files = authority.issue("edge", &[NAME, "127.0.0.1"]);
    ask(&edge);
    let reloads = "vidette_config_reloads_total";
    edge.wait_metric(reloads, &["outcome=\"applied\""], 1.0);
    let shown = SecureClient::connect(edge.public, &Trust::of(&authority)).shown();
    assert!(shown == of_file(&files), "the old certificate is shown");
}

fn a_signal_takes_certificates_up_at_once() {
    check_taken_up(|edge| edge.signal(Signal::HUP));
}

fn a_reload_takes_certificates_up_at_once() {
    check_taken_up(|edge| assert_eq!(post(edge, "/api/v1/reload", &[]).status, 200));
}

fn a_broken_file_leaves_the_old_in_force() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let edge = secured(&fake, &pair(&files), &json!({}));
    let (old, trust) = (of_file(&files), Trust::of(&authority));
    assert_eq!(light(&edge).0, "green");
    let refused = &["outcome=\"refused\""];
    let reloads = "vidette_tls_certificate_reloads_total";
    fs::write(&files.0, "-----BEGIN CERTIFICATE-----\n").unwrap();
    edge.wait_metric(reloads, refused, 1.0);
    let (light_now, reasons) = light(&edge);
    assert_eq!(light_now, "amber", "{reasons}");
    let want = "listener public: its new certificate files are not in force: the file of tls.cert";
    assert!(reasons.contains(want), "{reasons}");
    edge.log.wait_for_text("the old stay in force");
    let mut client = SecureClient::connect(edge.public, &trust);
    assert!(client.shown() == old);
    assert_eq!(
        client.ask("POST", &envelope_target(), &[], b"{}\n").status,
        200
    );
    // A reload says the same, and changes nothing either.
    let answer = post(&edge, "/api/v1/reload", &[]);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.text().contains("listen.public[0].tls.cert"),
        "{}",
        answer.text()
    );
    // A key of another certificate is as broken.
    let stranger = authority.issue("stranger", &[NAME]);
    fs::copy(&stranger.0, &files.0).unwrap();
    edge.wait_metric(reloads, refused, 2.0);
    assert!(SecureClient::connect(edge.public, &trust).shown() == old);
    // Whole again, it is taken up, and nothing more is said.
    fs::copy(&stranger.1, &files.1).unwrap();
    wait_shown(&edge, &trust, &of_file(&stranger));
    assert_eq!(light(&edge).0, "green");
}

fn a_certificate_is_spoken_of_before_its_end() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue_for("edge", &[NAME], 13);
    let edge = secured(&fake, &pair(&files), &json!({}));
    let (light_now, reasons) = light(&edge);
    assert_eq!(light_now, "amber");
    let want = format!("listener public: the certificate for {NAME} ends in 13 days");
    assert!(reasons.contains(&want), "{reasons}");
    edge.log.wait_for_text("ends in 13 days");
    let left = "vidette_tls_certificate_days_left";
    let name = format!("certificate=\"{NAME}\"");
    assert_eq!(edge.metric(left, &["listener=\"public\"", &name]), 13.0);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["certificates"][0]["days_left"], 13, "{status}");
    assert_eq!(status["certificates"][0]["names"], json!([NAME]));
    // Renewed, it is no reason any more; one that ends sooner is said once more.
    authority.issue("edge", &[NAME]);
    edge.signal(Signal::HUP);
    edge.wait_metric(left, &[&name], 300.0);
    assert_eq!(light(&edge).0, "green");
    authority.issue_for("edge", &[NAME], 2);
    edge.signal(Signal::HUP);
    edge.log.wait_for_text("ends in 2 days");
    let said = |text: &str| edge.log.text().matches(text).count();
    thread::sleep(Duration::from_millis(4500));
    assert_eq!(said("ends in 13 days"), 1, "{}", edge.log.text());
}

fn an_expired_certificate_is_red() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue_for("edge", &[NAME], -3);
    let edge = secured(&fake, &pair(&files), &json!({}));
    let (light, reasons) = light(&edge);
    assert_eq!(light, "red");
    assert!(reasons.contains("has expired"), "{reasons}");
    edge.log.wait_for_text("has expired");
    let left = edge.metric("vidette_tls_certificate_days_left", &[]);
    assert_eq!(left, -4.0, "three days and an hour ago");
    let trust = Trust::of(&authority);
    assert!(SecureClient::try_connect(edge.public, &trust, NAME).is_err());
}

//! Upstreams that speak TLS: what passes, and who is not believed and what that costs.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::Authority;
use super::gate::{Gate, Terms};
use super::light;
use crate::command_line::ran;
use crate::edge::{Edge, KEY, configuration, dump_target, program};
use crate::parts::promises;
use crate::patterns;
use crate::spool::{arrived, check_taken, emptied, event, keeping};
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        events_pages_and_large_bodies_reach_a_server_by_tls,
        an_address_in_the_url_is_verified_too,
        sessions_are_resumed_over_all_workers,
        the_systems_authorities_are_believed_where_none_is_named,
        without_any_authorities_nothing_starts,
        a_server_that_is_not_who_it_should_be_gets_nothing,
        a_server_that_does_not_end_a_handshake_keeps_nobody_waiting,
        a_list_holds_servers_of_both_kinds,
        sentrys_keys_are_read_by_tls,
        a_webhook_is_told_by_tls_or_not_at_all,
    ]
}

/// An edge that believes this authority, before a gate under this name.
#[track_caller]
pub(super) fn reaching(gate: &Gate, authority: &Authority, changes: &Value) -> Edge {
    let url = gate.url("localhost");
    let mut all = json!({"upstream": {"tls": {"ca": authority.file()}}});
    crate::edge::lay_over(&mut all, changes);
    found(Edge::configured(&url, &url, all))
}

/// One whose upstreams' names have been looked up.
#[track_caller]
fn found(edge: Edge) -> Edge {
    for upstream in ["upstream=\"ingest\"", "upstream=\"web\""] {
        edge.wait_metric("vidette_upstream_resolved_addresses", &[upstream], 1.0);
    }
    edge
}

/// Waits until all is well.
#[track_caller]
pub(super) fn turns_green(edge: &Edge) {
    let deadline = Instant::now() + HANG;
    while light(edge).0 != "green" {
        assert!(Instant::now() < deadline, "{:?}", light(edge));
        thread::sleep(Duration::from_millis(10));
    }
}

/// The same with a spool.
#[track_caller]
pub(super) fn saving(gate: &Gate, authority: &Authority, place: &TempDir, changes: &Value) -> Edge {
    let mut all = json!({"upstream": {"tls": {"ca": authority.file()}}});
    crate::edge::lay_over(&mut all, changes);
    found(keeping(&gate.url("localhost"), place.path(), &all))
}

pub(super) fn good(authority: &Authority) -> Terms {
    Terms::of(&authority.issue("upstream", &["localhost", "127.0.0.1"]))
}

fn events_pages_and_large_bodies_reach_a_server_by_tls() {
    let body = patterns::slice(3, 0, 5 << 20);
    let answer = body.clone();
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match exchange.request.target.starts_with(b"/large") {
            true => exchange.answer_chunked(200, &[], &answer),
            false => exchange.answer(200, &[], &answer),
        }
    });
    let authority = Authority::new();
    let files = authority.issue("upstream", &["localhost"]);
    for version in rustls::ALL_VERSIONS {
        let gate = Gate::before(&fake, Terms::with(&files, &[version], None));
        let edge = reaching(&gate, &authority, &json!({}));
        for target in [&*dump_target(), "/web", "/large"] {
            let got = edge.ask("POST", target, &[], &body);
            assert_eq!(got.status, 200);
            assert!(got.body == *body, "{target}: the answer changed on its way");
        }
        // Chunks that come slowly, so that each leaves by itself.
        let mut client = edge.connect();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            dump_target()
        );
        client.send(head.as_bytes());
        for _ in 0..3 {
            client.send(b"5\r\nhello\r\n");
            thread::sleep(Duration::from_millis(20));
        }
        client.send(b"0\r\n\r\n");
        assert_eq!(client.answer_to("POST").status, 200);
        for agreed in gate.agreed() {
            assert_eq!(agreed.name.as_deref(), Some("localhost"));
            assert_eq!(agreed.protocol.as_deref(), Some(&b"http/1.1"[..]));
        }
        assert_eq!(light(&edge).0, "green");
    }
    let seen = fake.requests();
    let whole = seen.iter().filter(|seen| seen.body == body).count();
    assert_eq!(whole, 3 * rustls::ALL_VERSIONS.len());
    let chunked = seen.iter().filter(|seen| seen.body == b"hellohellohello");
    assert_eq!(chunked.count(), rustls::ALL_VERSIONS.len());
}

fn an_address_in_the_url_is_verified_too() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let gate = Gate::before(&fake, good(&authority));
    let tls = json!({"upstream": {"tls": {"ca": authority.file()}}});
    let url = gate.url("127.0.0.1");
    let edge = Edge::configured(&url, &url, tls);
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    assert_eq!(
        gate.agreed()[0].name,
        None,
        "no server is asked for an address"
    );
}

fn sessions_are_resumed_over_all_workers() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("connection", "close")], b"{}")?;
        Ok(crate::exchange::Next::Close)
    });
    let authority = Authority::new();
    let gate = Gate::before(&fake, good(&authority));
    let edge = reaching(&gate, &authority, &json!({"workers": 2}));
    for _ in 0..20 {
        assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    }
    let agreed = gate.agreed();
    let whole = agreed.iter().filter(|agreed| !agreed.resumed).count();
    assert!(
        agreed.len() >= 20 && whole <= 2,
        "{whole} of {}",
        agreed.len()
    );
}

fn the_systems_authorities_are_believed_where_none_is_named() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let gate = Gate::before(&fake, good(&authority));
    let url = gate.url("localhost");
    let text = configuration(&url, &url, &json!({})).to_string();
    let file = authority.file().display().to_string();
    let edge = found(Edge::run(&text, &[("SSL_CERT_FILE", &file)]));
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
}

fn without_any_authorities_nothing_starts() {
    let folder = TempDir::new().unwrap();
    let (file, none) = (folder.path().join("v.yml"), folder.path().join("none.pem"));
    fs::write(&none, "").unwrap();
    let text = configuration("https://localhost", "https://localhost", &json!({}));
    fs::write(&file, text.to_string()).unwrap();
    let mut command = program();
    command.arg("check").arg("-c").arg(&file);
    let checked = ran(command
        .env("SSL_CERT_FILE", &none)
        .env_remove("SSL_CERT_DIR"));
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    let want = "https without upstream.tls.ca: the system has no list of authorities";
    assert!(checked.stderr.contains(want), "{}", checked.stderr);
}

/// Events for a server that is not believed are kept, and arrive once it is.
#[track_caller]
fn check_unbelieved(authority: &Authority, terms: Terms, cause: &str, words: &str) {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let gate = Gate::before(&fake, terms);
    let edge = saving(&gate, authority, &place, &json!({}));
    for number in 0..8 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let page = edge.ask("GET", "/issues/", &[], b"");
    assert_eq!(page.status, 502, "{cause}");
    let labels = ["upstream=\"ingest\"", &format!("cause=\"{cause}\"")];
    edge.wait_metric("vidette_upstream_tls_failures_total", &labels, 1.0);
    let (colour, reasons) = light(&edge);
    assert_ne!(colour, "green");
    assert!(reasons.contains(words), "{cause}: {reasons}");
    edge.log.wait_for_text(words);
    let said = edge.log.text().matches("ERROR").count();
    assert!(said <= 2, "{said} errors:\n{}", edge.log.text());
    assert!(fake.requests().is_empty(), "{cause}: something was sent");
    gate.becomes(good(authority));
    arrived(&fake, 8);
    emptied(&edge);
    edge.log.wait_for_text("TLS with an upstream works again");
    assert_eq!(edge.ask("GET", "/issues/", &[], b"").status, 200);
    turns_green(&edge);
}

fn a_server_that_is_not_who_it_should_be_gets_nothing() {
    let authority = Authority::new();
    let old = authority.issue_for("old", &["localhost"], -1);
    check_unbelieved(&authority, Terms::of(&old), "expired", "has expired");
    let other = authority.issue("other", &["sentry.example.com"]);
    let words = "no certificate for the name in its URL";
    check_unbelieved(&authority, Terms::of(&other), "wrong_name", words);
    let stranger = Authority::called("somebody else's");
    let words = "no authority that is known here";
    check_unbelieved(&authority, good(&stranger), "unknown_authority", words);
    // One of the same name, with another key.
    check_unbelieved(
        &authority,
        good(&Authority::new()),
        "unknown_authority",
        words,
    );
}

fn a_server_that_does_not_end_a_handshake_keeps_nobody_waiting() {
    let (authority, place) = (Authority::new(), TempDir::new().unwrap());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let tls = json!({"upstream": {"tls": {"ca": authority.file()}}});
    let edge = keeping(&format!("https://127.0.0.1:{port}"), place.path(), &tls);
    let began = Instant::now();
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let labels = ["upstream=\"ingest\"", "cause=\"timeout\""];
    edge.wait_metric("vidette_upstream_tls_failures_total", &labels, 1.0);
    // HTTP in the clear is no TLS.
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let url = fake.url().replace("http:", "https:");
    let edge = keeping(&url, place.path(), &tls);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    edge.log.wait_for_text("TLS with an upstream fails");
    assert!(fake.requests().iter().all(|seen| seen.method != "POST"));
}

fn a_list_holds_servers_of_both_kinds() {
    let (clear, sealed) = (Fake::start(), Fake::start());
    let authority = Authority::new();
    let gate = Gate::before(&sealed, good(&authority));
    let urls = json!([clear.url(), gate.url("localhost")]);
    let changes = json!({
        "upstream": {
            "ingest": urls, "web": urls, "host": "target",
            "idle": {"ingest": "1ms", "web": "1ms"},
        },
    });
    let edge = reaching(&gate, &authority, &changes);
    for _ in 0..12 {
        assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
        assert_eq!(edge.ask("GET", "/", &[], b"").status, 200);
        thread::sleep(Duration::from_millis(5));
    }
    let names = |fake: &Fake| {
        let mut names: Vec<String> = Vec::new();
        for seen in fake.requests() {
            names.extend(seen.headers.all("host").iter().map(ToString::to_string));
        }
        names.sort_unstable();
        names.dedup();
        names
    };
    assert_eq!(names(&clear), [clear.address().to_string()]);
    assert_eq!(
        names(&sealed),
        [format!("localhost:{}", gate.address.port())]
    );
    // What the one does not take, the other does.
    gate.becomes(good(&Authority::new()));
    for _ in 0..12 {
        assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    }
}

fn sentrys_keys_are_read_by_tls() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let page = match exchange.request.target_text().contains("/keys/") {
            true => json!([{"public": KEY, "projectId": 42, "isActive": true, "name": "Default"}]),
            false => json!([{"id": "42", "slug": "shop", "status": "active",
                             "organization": {"slug": "acme"}}]),
        };
        let kind = [("content-type", "application/json")];
        exchange.answer(200, &kind, page.to_string().as_bytes())
    });
    let authority = Authority::new();
    let gate = Gate::before(&fake, good(&authority));
    let sentry = |gate: &Gate| json!({"sentry": {"url": gate.url("localhost"), "token": "t0ken"}});
    let edge = reaching(&gate, &authority, &sentry(&gate));
    let wait = |edge: &Edge, what: &str| {
        let deadline = Instant::now() + HANG;
        loop {
            let status = edge.admin_get("/api/v1/status").json();
            if status["keys"]["sentry"].to_string().contains(what) {
                return;
            }
            assert!(Instant::now() < deadline, "no {what} in {status}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    wait(&edge, "\"keys\":1");
    let stranger = Gate::before(&fake, good(&Authority::new()));
    let edge = reaching(&gate, &authority, &sentry(&stranger));
    wait(
        &edge,
        "TLS with Sentry fails: its certificate is of no authority",
    );
}

/// By the system's own authorities: what `upstream.tls` believes is for Sentry's servers.
fn a_webhook_is_told_by_tls_or_not_at_all() {
    let (hook, authority) = (Fake::start(), Authority::new());
    let gate = Gate::before(&hook, good(&authority));
    let fake = Fake::start();
    let webhook = format!("{}/s3cret", gate.url("localhost"));
    let changes = json!({"alerts": {"webhook": {"url": webhook}}});
    let text = configuration(&fake.url(), &fake.url(), &changes).to_string();
    let tried = |authority: &Authority| {
        let file = authority.file();
        let edge = Edge::run(&text, &[("SSL_CERT_FILE", file.to_str().unwrap())]);
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        let target = "/api/v1/incidents/test";
        crate::client::ask(edge.admin, "POST", target, &headers, b"")
    };
    let answer = tried(&Authority::called("another"));
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("TLS with it fails: "),
        "{}",
        answer.text()
    );
    assert!(hook.requests().is_empty(), "somebody else was told");
    let answer = tried(&authority);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(hook.only_request().target_text(), "/s3cret");
}

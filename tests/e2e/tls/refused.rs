//! Handshakes that fail, each counted by its cause; and who may hold how many.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::authority::Authority;
use super::client::{SecureClient, Trust};
use super::{NAME, failed, pair, secured, simple, wait_failed};
use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_key_of_another_certificate_does_not_start,
        plain_http_at_a_tls_port_is_told_so_and_counted,
        a_client_that_does_not_trust_us_is_counted,
        a_client_without_a_protocol_of_ours_is_counted,
        a_slow_handshake_is_cut,
        slow_handshakes_make_room_for_others,
        a_client_that_reads_nothing_is_let_go,
        who_leaves_without_a_word_is_no_failure,
        a_certificate_is_required_of_clients,
        a_certificate_is_optional_for_clients,
        a_ticket_opens_no_other_listener,
    ]
}

fn a_key_of_another_certificate_does_not_start() {
    let authority = Authority::new();
    let (cert, _) = authority.issue("edge", &[NAME]);
    let (_, key) = authority.issue("other", &[NAME]);
    let text = json!({
        "upstream": {"ingest": ["http://127.0.0.1:9"]},
        "listen": {"public": [{"address": "127.0.0.1:0", "tls": pair(&(cert, key))}]},
    });
    let file = authority.folder().join("edge.yml");
    std::fs::write(&file, text.to_string()).unwrap();
    for arguments in [["check"], ["run"]] {
        let mut command = crate::edge::program();
        command.args(arguments).arg("-c").arg(&file);
        let ran = crate::command_line::ran(&mut command);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        let want = "error: the file of listen.public[0].tls.key holds the private key of another \
                    certificate";
        assert!(ran.stderr.contains(want), "{}", ran.stderr);
        assert!(ran.stderr.contains("edge.yml:1:"), "{}", ran.stderr);
    }
}

fn plain_http_at_a_tls_port_is_told_so_and_counted() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let large = crate::patterns::slice(5, 0, 300_000);
    for (method, body) in [("GET", &b""[..]), ("POST", &large)] {
        let mut plain = edge.connect();
        // Whatever of it is unread, the answer arrives.
        drop(plain.try_send(&request(method, "/api/42/envelope/", &[], body)));
        let told = plain.answer_to(method);
        assert_eq!(told.status, 400);
        let detail = told.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("TLS") && detail.contains("https"),
            "{detail}"
        );
        assert_eq!(told.header("x-sentry-error"), Some(detail));
        plain.finish_sending();
        plain.expect_close();
    }
    // Who speaks neither hears nothing.
    let mut garbage = edge.connect();
    garbage.send(b"\x80\x2e\x01\x03\x01");
    garbage.expect_close();
    wait_failed(&edge, "not_tls", 3.0);
    edge.wait_metric(
        "vidette_connections_total",
        &["outcome=\"tls_failed\""],
        3.0,
    );
    assert!(fake.requests().is_empty());
}

fn a_client_that_does_not_trust_us_is_counted() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    // One has another name, one the same name with another key.
    let strangers = [Authority::called("a stranger"), Authority::new()];
    for (stranger, version) in strangers
        .iter()
        .flat_map(|stranger| rustls::ALL_VERSIONS.iter().map(move |one| (stranger, one)))
    {
        let before = failed(&edge, "certificate_refused");
        let trust = Trust::with(stranger, &[version], None, &[]);
        assert!(SecureClient::try_connect(edge.public, &trust, NAME).is_err());
        wait_failed(&edge, "certificate_refused", before + 1.0);
    }
}

fn a_client_without_a_protocol_of_ours_is_counted() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let trust = Trust::with(&authority, rustls::ALL_VERSIONS, None, &["imap"]);
    assert!(SecureClient::try_connect(edge.public, &trust, NAME).is_err());
    wait_failed(&edge, "no_protocol", 1.0);
}

/// A connection with the first bytes of a handshake on it, and no more to come.
fn begun(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(HANG)).unwrap();
    socket.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
    socket
}

/// Whether it ends without an answer.
fn is_cut(mut socket: TcpStream) -> bool {
    matches!(socket.read(&mut [0; 64]), Ok(0)) || socket.read(&mut [0]).is_err()
}

fn a_slow_handshake_is_cut() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let changes = json!({"limits": {"head_timeout": "700ms"}});
    let edge = secured(&fake, &pair(&files), &changes);
    let start = Instant::now();
    let slow = begun(edge.public);
    let silent = Client::connect(edge.public);
    assert!(is_cut(slow));
    let mut silent = silent;
    silent.expect_close();
    assert!(start.elapsed() >= Duration::from_millis(700));
    wait_failed(&edge, "timeout", 2.0);
    edge.wait_metric("vidette_connections_total", &["outcome=\"timeout\""], 2.0);
    // One that has agreed on TLS and says nothing is as slow.
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    client.expect_end_or_close();
    edge.wait_metric("vidette_connections_total", &["outcome=\"timeout\""], 3.0);
    assert_eq!(failed(&edge, "timeout"), 2.0);
}

fn slow_handshakes_make_room_for_others() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let changes = json!({"limits": {"handshakes": 2, "head_timeout": "60s"}});
    let edge = secured(&fake, &pair(&files), &changes);
    let slow: Vec<TcpStream> = (0..2).map(|_| begun(edge.public)).collect();
    // Those who wait hold no place of their own, however many they are.
    let _silent: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(edge.public).unwrap())
        .collect();
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    assert_eq!(
        client.ask("POST", &envelope_target(), &[], b"{}\n").status,
        200
    );
    wait_failed(&edge, "crowded", 1.0);
    edge.wait_metric("vidette_connections_total", &["outcome=\"capped\""], 1.0);
    drop(slow);
}

/// TLS has taken a record that the socket has no room for, and an end to say behind it.
fn a_client_that_reads_nothing_is_let_go() {
    let authority = Authority::new();
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], &vec![b'x'; 32 << 20])
    });
    let files = authority.issue("edge", &[NAME]);
    let changes = json!({"limits": {"body_idle": "1s"}});
    let edge = secured(&fake, &pair(&files), &changes);
    let open = || edge.metric("vidette_connections", &["listener=\"public\""]);
    for protocol in ["http/1.1", "h2"] {
        let trust = Trust::with(&authority, rustls::ALL_VERSIONS, None, &[protocol]);
        let mut client = SecureClient::connect(edge.public, &trust);
        match protocol {
            "h2" => client.try_send(H2_PAGE).unwrap(),
            _ => client.try_send(&request("GET", "/", &[], b"")).unwrap(),
        }
        edge.wait_metric("vidette_connections", &[], 1.0);
        let deadline = Instant::now() + HANG;
        while open() > 0.0 {
            assert!(Instant::now() < deadline, "{protocol}: it is never let go");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(client);
    }
    assert_eq!(fake.requests().len(), 2, "both have asked for the page");
}

/// The preface, settings with the widest window that there is, and a page asked for.
const H2_PAGE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\
    \0\0\x04\x08\0\0\0\0\0\x7f\0\0\0\
    \0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01a";

fn who_leaves_without_a_word_is_no_failure() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    drop(TcpStream::connect(edge.public).unwrap());
    drop(begun(edge.public));
    // The second is one, and came later.
    wait_failed(&edge, "closed", 1.0);
    assert_eq!(failed(&edge, "closed"), 1.0);
}

#[track_caller]
fn asking_clients(fake: &Fake, authority: &Authority, how: &str) -> Edge {
    let files = authority.issue("edge", &[NAME]);
    let mut tls = pair(&files);
    tls["client_ca"] = json!(authority.file());
    tls["client_auth"] = json!(how);
    secured(fake, &tls, &json!({}))
}

/// Whether an event passes. In TLS 1.3 a client learns of its refusal with the first answer.
fn passes(edge: &Edge, trust: &Trust) -> bool {
    let passed = SecureClient::try_connect(edge.public, trust, NAME)
        .and_then(|mut client| client.try_ask("POST", &envelope_target(), &[], b"{}\n"));
    passed.is_ok_and(|answer| answer.status == 200)
}

fn a_certificate_is_required_of_clients() {
    let (fake, authority, stranger) = (Fake::start(), Authority::new(), Authority::new());
    let edge = asking_clients(&fake, &authority, "required");
    let known = authority.issue("client", &["client.example"]);
    let unknown = stranger.issue("client", &["client.example"]);
    for version in rustls::ALL_VERSIONS {
        let trust = |own| Trust::with(&authority, &[version], own, &[]);
        assert!(passes(&edge, &trust(Some(&known))), "{version:?}");
        assert!(!passes(&edge, &trust(None)), "{version:?}");
        assert!(!passes(&edge, &trust(Some(&unknown))), "{version:?}");
    }
    wait_failed(&edge, "no_client_certificate", 2.0);
    wait_failed(&edge, "bad_client_certificate", 2.0);
    assert_eq!(fake.requests().len(), 2);
}

fn a_certificate_is_optional_for_clients() {
    let (fake, authority, stranger) = (Fake::start(), Authority::new(), Authority::new());
    let edge = asking_clients(&fake, &authority, "optional");
    let known = authority.issue("client", &["client.example"]);
    let unknown = stranger.issue("client", &["client.example"]);
    let trust = |own| Trust::with(&authority, rustls::ALL_VERSIONS, own, &[]);
    assert!(passes(&edge, &trust(Some(&known))));
    assert!(passes(&edge, &trust(None)));
    assert!(!passes(&edge, &trust(Some(&unknown))));
}

/// One ticket for all listeners would carry a client without a certificate past a listener
/// that requires one.
fn a_ticket_opens_no_other_listener() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let mut closed = pair(&files);
    closed["client_ca"] = json!(authority.file());
    let listeners = json!([
        {"address": "127.0.0.1:0", "tls": pair(&files)},
        {"address": "127.0.0.1:0", "tls": closed},
    ]);
    let changes = json!({"listen": {"public": listeners}});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let doors = super::public(&edge);
    for version in rustls::ALL_VERSIONS {
        let trust = Trust::with(&authority, &[version], None, &[]);
        let mut open = SecureClient::connect(doors[0], &trust);
        assert_eq!(open.ask("GET", "/", &[], b"").status, 200);
        let through = SecureClient::try_connect(doors[1], &trust, NAME)
            .and_then(|mut client| client.try_ask("GET", "/", &[], b""));
        assert!(through.is_err(), "{version:?}");
    }
}

//! Handshakes that succeed: with which clients, which version, which certificate, and what
//! is spoken inside.

use std::io::Write as _;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::authority::{Authority, Files};
use super::client::{SecureClient, Trust};
use super::{NAME, pair, secured, simple, text_of};
use crate::client::request;
use crate::edge::{KEY, dump_target, envelope_target};
use crate::parts::{Part, promises, python};
use crate::patterns;
use crate::upstream::Fake;
use crate::way::script_command;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        events_and_pages_pass_through_tls,
        both_versions_are_spoken,
        a_returning_client_makes_a_short_handshake,
        the_name_picks_the_certificate,
        large_bodies_pass_in_both_ways,
        a_parked_connection_wakes,
        the_end_of_a_connection_is_said,
        sigterm_ends_secured_connections,
        a_test_event_is_sent_over_a_private_authority,
        the_doctor_says_what_a_client_makes_of_a_certificate,
    ];
    trials.extend(promises![&[Part::Openssl];
        openssl_agrees_on_tls_1_2,
        an_old_client_gets_a_certificate_it_can_verify,
    ]);
    trials.extend(promises![&[Part::Curl]; curl_speaks_http2]);
    trials.extend(promises![&[Part::Python]; python_sdk_arrives_over_a_private_authority]);
    trials
}

fn events_and_pages_pass_through_tls() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    let event = client.ask("POST", &envelope_target(), &[], b"{}\n");
    assert_eq!(event.status, 200, "{}", event.text());
    let page = client.ask("GET", "/issues/?a=b", &[("Cookie", "sc=1")], b"");
    assert_eq!(page.status, 200);
    let refused = client.ask("POST", "/api/42/envelope/", &[], b"{}\n");
    assert_eq!(refused.status, 401);
    for seen in fake.requests() {
        assert_eq!(seen.headers.all("x-forwarded-proto"), ["https"], "{seen:?}");
        assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    }
    edge.wait_metric("vidette_tls_handshakes_total", &["outcome=\"ok\""], 1.0);
    edge.wait_metric("vidette_connections_total", &["outcome=\"ok\""], 1.0);
}

fn both_versions_are_spoken() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    for (version, number) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let trust = Trust::with(&authority, &[version], None, &["http/1.1"]);
        let mut client = SecureClient::connect(edge.public, &trust);
        assert_eq!(client.session().protocol_version(), Some(number));
        assert_eq!(client.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(
            client.ask("POST", &envelope_target(), &[], b"{}\n").status,
            200
        );
    }
}

fn a_returning_client_makes_a_short_handshake() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    for version in rustls::ALL_VERSIONS {
        let trust = Trust::with(&authority, &[version], None, &[]);
        let kind = || {
            let mut client = SecureClient::connect(edge.public, &trust);
            // The tickets come with or before the first answer.
            assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
            client.session().handshake_kind().unwrap()
        };
        assert_ne!(kind(), rustls::HandshakeKind::Resumed, "{version:?}");
        assert_eq!(kind(), rustls::HandshakeKind::Resumed, "{version:?}");
    }
}

#[track_caller]
fn check_shown(client: &SecureClient, (cert, _): &Files) {
    let want = CertificateDer::from_pem_file(cert).unwrap();
    assert!(client.shown() == want, "not {}", cert.display());
}

fn the_name_picks_the_certificate() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let first = authority.issue("first", &[NAME, "127.0.0.1"]);
    let wild = authority.issue("wild", &["*.shop.example"]);
    let own = authority.issue("own", &["eu.shop.example"]);
    let tls = json!({"certs": [pair(&first), pair(&wild), pair(&own)]});
    let edge = secured(&fake, &tls, &json!({}));
    let trust = Trust::of(&authority);
    for (name, want) in [
        (NAME, &first),
        ("us.shop.example", &wild),
        ("EU.shop.example", &own),
        // Whoever names an address sends no name.
        ("127.0.0.1", &first),
    ] {
        let client = SecureClient::try_connect(edge.public, &trust, name).unwrap();
        check_shown(&client, want);
    }
    let unknown = SecureClient::try_connect(edge.public, &trust, "else.example");
    let refused = unknown.err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("not valid for name")));
}

fn an_old_client_gets_a_certificate_it_can_verify() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let young = authority.issue_by("young", &[NAME], &rcgen::PKCS_ED25519);
    let old = authority.issue_by("old", &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256);
    let tls = json!({"certs": [pair(&young), pair(&old)]});
    let edge = secured(&fake, &tls, &json!({}));
    check_shown(
        &SecureClient::connect(edge.public, &Trust::of(&authority)),
        &young,
    );
    let told = s_client(&edge, &authority, &["-sigalgs", "ECDSA+SHA256"]);
    assert!(told.contains("CN = old"), "{told}");
}

/// What OpenSSL's client says of a page that it has asked for.
#[track_caller]
fn s_client(edge: &crate::edge::Edge, authority: &Authority, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-ign_eof",
            "-verify_return_error",
            "-servername",
            NAME,
        ])
        .args(["-connect", &edge.public.to_string()])
        .args(["-CAfile", &text_of(&authority.file())])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let page = request("GET", "/", &[("Connection", "close")], b"");
    let mut stdin = child.stdin.take().unwrap();
    // Where there is no handshake, nobody reads this.
    drop(stdin.write_all(&page));
    let output = child.wait_with_output().unwrap();
    let [told, failed] = [output.stdout, output.stderr];
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&told),
        String::from_utf8_lossy(&failed)
    )
}

fn openssl_agrees_on_tls_1_2() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let files = authority.issue_by("edge", &[NAME], &rcgen::PKCS_RSA_SHA256);
    let edge = secured(&fake, &pair(&files), &json!({}));
    for (version, number) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let told = s_client(&edge, &authority, &[version]);
        assert!(told.contains("HTTP/1.1 200"), "{told}");
        assert!(
            told.contains(&format!("Protocol  : {number}")) || told.contains(number),
            "{told}"
        );
        assert!(told.contains("Verification: OK"), "{told}");
    }
    let old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let told = s_client(&edge, &authority, &old);
    assert!(!told.contains("HTTP/1.1 200"), "{told}");
    super::wait_failed(&edge, "no_version", 1.0);
}

fn curl_speaks_http2() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", flag])
            .args(["--cacert", &text_of(&authority.file())])
            .args(["--connect-to", &format!("::{}", edge.public)])
            .args(["--write-out", "%{http_version} %{response_code}"])
            .args(["--output", "/dev/null", "--data-binary", "{}\n"])
            .arg(format!("https://{NAME}{}", dump_target()))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(told, format!("{version} 200"), "{failed}");
    }
    for seen in fake.requests() {
        assert_eq!(seen.headers.all("host"), [NAME]);
        assert_eq!(seen.headers.all("x-forwarded-proto"), ["https"]);
    }
}

fn python_sdk_arrives_over_a_private_authority() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    for fresh in [&[][..], &["--fresh-connections"]] {
        let dsn = format!("https://{KEY}@{}/42", edge.public);
        let arguments = [&[dsn.as_str()], fresh].concat();
        let output = script_command(&python().unwrap(), "python_sdk.py", &arguments)
            .env("SSL_CERT_FILE", authority.file())
            .output()
            .unwrap();
        let failed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{failed}");
    }
    let seen = fake.requests();
    assert!(seen.len() >= 8, "{}", seen.len());
    for seen in seen {
        assert_eq!(seen.headers.all("x-forwarded-proto"), ["https"]);
    }
}

fn a_test_event_is_sent_over_a_private_authority() {
    let (fake, authority) = (crate::send_test::sentry(0), Authority::new());
    let edge = simple(&fake, &authority);
    let dsn = format!("https://{KEY}@{}/42", edge.public);
    let admin = edge.admin.to_string();
    let send = |more: &[&str]| {
        let mut command = crate::edge::program();
        command.args(["send-test", "--admin", &admin, "--dsn", &dsn]);
        crate::command_line::ran(command.args(more))
    };
    let file = authority.file();
    let believed = send(&["--ca", file.to_str().unwrap()]);
    assert_eq!(believed.code, Some(0), "{}", believed.stdout);
    let unbelieved = send(&[]);
    assert_eq!(unbelieved.code, Some(1), "{}", unbelieved.stdout);
    assert!(
        unbelieved.stdout.contains("TLS with"),
        "{}",
        unbelieved.stdout
    );
    assert_eq!(fake.requests().len(), 1);
}

fn the_doctor_says_what_a_client_makes_of_a_certificate() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let (admin, url) = (edge.admin.to_string(), format!("https://{}", edge.public));
    let look = |more: &[&str]| {
        let mut command = crate::edge::program();
        command.args(["doctor", "tls", "--admin", &admin, "--url", &url]);
        crate::command_line::ran(command.args(more))
    };
    let file = authority.file();
    let believed = look(&["--ca", file.to_str().unwrap()]);
    assert_eq!(believed.code, Some(0), "{}", believed.stdout);
    for part in [
        "listener public: sentry.example.com: ",
        "its certificate holds",
    ] {
        assert!(believed.stdout.contains(part), "{}", believed.stdout);
    }
    let strange = look(&[]);
    assert_eq!(strange.code, Some(1), "{}", strange.stdout);
    assert!(strange.stdout.contains("--ca"), "{}", strange.stdout);
}

fn large_bodies_pass_in_both_ways() {
    let body = patterns::slice(7, 0, 5 << 20);
    let (answer, authority) = (body.clone(), Authority::new());
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], &answer)
    });
    let edge = simple(&fake, &authority);
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    for target in [&*dump_target(), "/web"] {
        let answer = client.ask("POST", target, &[], &body);
        assert_eq!(answer.status, 200);
        assert!(
            answer.body == *body,
            "{target}: the answer changed on its way"
        );
    }
    assert!(fake.requests().iter().all(|seen| seen.body == body));
}

/// Its buffers are given back after a second, and its session is not.
fn a_parked_connection_wakes() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    for _ in 0..2 {
        assert_eq!(
            client.ask("POST", &envelope_target(), &[], b"{}\n").status,
            200
        );
        std::thread::sleep(std::time::Duration::from_millis(2500));
    }
    // A head that comes in pieces wakes it with the first.
    let page = request("GET", "/", &[], b"");
    let (first, rest) = page.split_at(5);
    client.try_send(first).unwrap();
    client.try_send(rest).unwrap();
    assert_eq!(client.try_answer_to("GET").unwrap().status, 200);
}

fn the_end_of_a_connection_is_said() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    let last = client.ask("GET", "/", &[("Connection", "close")], b"");
    assert_eq!(last.status, 200);
    client.expect_end();
    // A refusal of a body that is still to come must be heard as well.
    let mut client = SecureClient::connect(edge.public, &Trust::of(&authority));
    let large = [("Content-Length", "10000000000")];
    let refused = client.ask("POST", &dump_target(), &large, &[b'x'; 100_000]);
    assert_eq!(refused.status, 413);
    client.expect_end();
}

fn sigterm_ends_secured_connections() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let mut edge = simple(&fake, &authority);
    let trust = Trust::of(&authority);
    let mut idle = SecureClient::connect(edge.public, &trust);
    assert_eq!(idle.ask("GET", "/", &[], b"").status, 200);
    let _silent = SecureClient::connect(edge.public, &trust);
    let _mute = std::net::TcpStream::connect(edge.public).unwrap();
    edge.signal(rustix::process::Signal::TERM);
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
}

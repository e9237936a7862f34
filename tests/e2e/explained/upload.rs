//! `vidette doctor upload`: what stands in an upload's way is found, and whose it is; nothing that
//! it sends is kept by anybody.

use std::io;
use std::net::SocketAddr;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::doctor::check;
use crate::command_line::{Ran, ran};
use crate::edge::{Edge, program};
use crate::exchange::{Exchange, Next};
use crate::front::Nginx;
use crate::parts::{Part, promises};
use crate::upstream::{Fake, Silent};
use crate::wire::Framing;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        an_edge_that_uploads_pass_is_well_and_nothing_is_kept,
        where_chunks_are_sent_is_held_against_who_was_asked,
        the_edges_own_limit_is_told_from_another,
        a_front_that_knows_no_chunks_and_unpacks_is_named,
        an_upload_doctor_without_a_patient_says_so,
    ];
    trials.extend(promises![&[Part::Nginx];
        an_nginx_with_a_limit_is_named,
        an_nginx_that_does_not_wait_is_named,
    ]);
    trials
}

const UPLOAD: &str = "/api/0/organizations/acme/chunk-upload/";
const TOKEN: &str = "sntrys_token";

fn doctor(admin: SocketAddr, arguments: &[&str]) -> Ran {
    let admin = admin.to_string();
    let fixed = ["doctor", "upload", "--org", "acme", "--admin", &admin];
    ran(program()
        .args(fixed)
        .args(arguments)
        .env_remove("SENTRY_AUTH_TOKEN"))
}

/// Sentry's web: who has no token is sent away, and who has one is told where to send.
fn web(exchange: &mut Exchange<'_>, url: &dyn Fn(&str) -> String) -> io::Result<Next> {
    exchange.read_body()?;
    let headers = exchange.request.headers.clone();
    let host = headers.one("host").unwrap_or_default();
    let token = headers.one("authorization");
    if exchange.request.method != "GET" || token != Some(format!("Bearer {TOKEN}")) {
        return exchange.answer(401, &[("content-type", "application/json")], b"{}");
    }
    let told = json!({
        "url": url(&host), "chunkSize": 8_388_608, "chunksPerRequest": 64,
        "maxFileSize": 2_147_483_648_u64, "maxRequestSize": 33_554_432, "concurrency": 8,
        "hashAlgorithm": "sha1", "compression": ["gzip"], "accept": ["debug_files"],
    });
    exchange.answer(
        200,
        &[("content-type", "application/json")],
        told.to_string().as_bytes(),
    )
}

fn sentry() -> Fake {
    Fake::with(|exchange| web(exchange, &|host| format!("http://{host}{UPLOAD}")))
}

const QUICK: [&str; 4] = ["--up-to", "10MiB", "--pause", "0s"];

fn an_edge_that_uploads_pass_is_well_and_nothing_is_kept() {
    let fake = sentry();
    let edge = Edge::before(&fake);
    let told = doctor(edge.admin, &["--up-to", "10MiB", "--pause", "100ms"]);
    check(
        &told,
        0,
        &[
            "ok       upload: bodies up to 10MiB arrive whole",
            "ok       Expect: 100-continue: the body is asked for",
            "ok       a body in chunks, without its length: as with it",
            "ok       Content-Encoding: gzip, which uploaders mean of each part: left alone",
            "ok       a body that stands still for 100ms is waited for",
            "ok       ingest: ",
            "warn     where Sentry has chunks sent was not asked",
            "--sentry-token",
        ],
    );
    assert!(!told.stdout.contains("problem"), "{}", told.stdout);
    let asked = fake.requests();
    assert!(asked.len() >= 6, "{}", asked.len());
    for request in asked {
        assert_eq!(request.target_text(), UPLOAD, "an event was sent");
        assert_eq!(request.headers.one("authorization"), None);
    }
}

fn where_chunks_are_sent_is_held_against_who_was_asked() {
    let fake = sentry();
    let edge = Edge::before(&fake);
    let url = format!("http://{}", edge.public);
    let arguments = [&QUICK[..], &["--url", &url, "--sentry-token", TOKEN]].concat();
    let well = format!("ok       Sentry has chunks sent to {url}{UPLOAD}");
    check(&doctor(edge.admin, &arguments), 0, &[&well]);

    let elsewhere = Fake::with(|exchange| web(exchange, &|_| format!("http://web:9000{UPLOAD}")));
    let edge = Edge::before(&elsewhere);
    let url = format!("http://{}", edge.public);
    let arguments = [&QUICK[..], &["--url", &url, "--sentry-token", TOKEN]].concat();
    let paste = format!("system.url-prefix: '{url}'");
    let told = doctor(edge.admin, &arguments);
    check(
        &told,
        1,
        &["problem  Sentry has chunks sent to http://web:9000", &paste],
    );

    let arguments = [&QUICK[..], &["--sentry-token", "wrong", "--json"]].concat();
    let told = doctor(edge.admin, &arguments);
    check(&told, 1, &["refuses the token (401 Unauthorized)"]);
    assert!(serde_json::from_str::<Value>(&told.stdout).is_ok());
}

fn the_edges_own_limit_is_told_from_another() {
    let fake = sentry();
    let changes = json!({
        "limits": {"bodies": {"upload": "8MiB"}},
        "upstream": {"web_read_ahead": {"disk": "8MiB"}},
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let told = doctor(edge.admin, &QUICK);
    check(
        &told,
        1,
        &[
            "problem  limits.bodies.upload is 8MiB, and uploaders send up to 32MiB at a time",
            "warn     upstream.web_read_ahead.disk is 8MiB",
            "ok       upload: bodies up to 1MiB arrive whole",
            "problem  upload: vidette refuses 10MiB (413)",
            "raise limits.bodies.upload in vidette.yml",
        ],
    );
}

fn an_nginx_with_a_limit_is_named() {
    let fake = sentry();
    let edge = Edge::before(&fake);
    let front = Nginx::with_limits(edge.public, "client_max_body_size 2m;");
    let url = format!("http://{}", front.address);
    let told = doctor(edge.admin, &[&QUICK[..], &["--url", &url]].concat());
    check(
        &told,
        1,
        &[
            "ok       upload: bodies up to 1MiB arrive whole",
            "problem  upload: nginx refuses 10MiB (413)",
            "problem  ingest: nginx refuses 10MiB (413)",
            "the edge itself takes it, so whatever stands in front of it does this",
            "client_max_body_size 0;",
        ],
    );
}

fn an_nginx_that_does_not_wait_is_named() {
    let fake = sentry();
    let edge = Edge::before(&fake);
    let front = Nginx::with_limits(edge.public, "client_body_timeout 1s;");
    let url = format!("http://{}", front.address);
    let told = doctor(
        edge.admin,
        &["--url", &url, "--up-to", "1MiB", "--pause", "8s"],
    );
    check(
        &told,
        1,
        &[
            "problem  a body that stands still for 8s: ",
            "client_body_timeout",
        ],
    );
    let waits = doctor(
        edge.admin,
        &["--url", &url, "--up-to", "1MiB", "--pause", "10ms"],
    );
    check(
        &waits,
        0,
        &["ok       a body that stands still for 10ms is waited for"],
    );
}

/// What firewalls and old proxies do to bodies.
fn a_front_that_knows_no_chunks_and_unpacks_is_named() {
    let fake = sentry();
    let edge = Edge::before(&fake);
    let front = Fake::with(|exchange| {
        if exchange.request.framing == Framing::Chunked {
            exchange.answer(411, &[("server", "old/1")], b"")?;
            return Ok(Next::Close);
        }
        if exchange.request.headers.one("expect").is_some() {
            exchange.answer(417, &[], b"")?;
            return Ok(Next::Close);
        }
        exchange.read_body()?;
        match exchange.request.headers.one("content-encoding") {
            Some(_) => exchange.answer(400, &[], b""),
            None => exchange.answer(401, &[], b""),
        }
    });
    let url = front.url();
    let arguments = ["--up-to", "1MiB", "--pause", "0s", "--url", &url];
    check(
        &doctor(edge.admin, &arguments),
        1,
        &[
            "problem  Expect: 100-continue: answers 417",
            "problem  a body in chunks, without its length: answers 411 (old/1)",
            "problem  Content-Encoding: gzip, which uploaders mean of each part: answers 400",
            "something unpacks bodies on the way",
        ],
    );
    let moved = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(301, &[("location", "https://sentry.example.com/")], b"")
    });
    let url = moved.url();
    let arguments = ["--up-to", "1MiB", "--pause", "0s", "--url", &url];
    check(&doctor(edge.admin, &arguments), 1, &["redirects it (301)"]);
}

fn an_upload_doctor_without_a_patient_says_so() {
    let down = Silent::reserve();
    let admin = down.url().trim_start_matches("http://").parse().unwrap();
    let told = doctor(admin, &QUICK);
    assert_eq!(told.code, Some(1), "{}", told.stdout);
    assert!(told.stderr.contains("--url"), "{}", told.stderr);
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let url = down.url();
    let told = doctor(edge.admin, &[&QUICK[..], &["--url", &url]].concat());
    check(
        &told,
        1,
        &["problem  upload: a body of 1MiB: ", "no connection to"],
    );
    for wrong in [
        ["--up-to", "1GiB"],
        ["--pause", "1h"],
        ["--org", "a/b"],
        ["--url", "ftp://a"],
    ] {
        assert_eq!(doctor(edge.admin, &wrong).code, Some(2), "{wrong:?}");
    }
}

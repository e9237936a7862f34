//! Envelopes that come by a tunnel: whose they are is in line one alone, and the
//! upstream gets them as their SDK would have sent them without one.

use bytes::Bytes;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{OFF, STRANGE, check_refused, enveloped};
use crate::client::Lines;
use crate::edge::{Edge, KEY};
use crate::h2c;
use crate::ingest::{ENVELOPE, check_cors, check_refusal};
use crate::parts::promises;
use crate::patterns::gzip;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_a_tunnel_takes_arrives_at_its_project,
        nothing_but_line_one_says_whose_it_is,
        a_tunnel_is_its_path_and_nothing_below,
        tunnels_refuse_as_the_envelopes_own_path_does,
        long_first_lines_are_refused,
        the_host_of_a_dsn_is_never_dialled,
        tunnels_take_posts_and_answer_preflights,
        the_host_that_its_client_names_arrives_however_it_names_it,
    ]
}

fn edge(fake: &Fake, changes: &Value) -> Edge {
    let mut all = json!({"tunnel": {"paths": ["/t", "/deep/tunnel/"]}});
    for (key, value) in changes.as_object().unwrap() {
        all[key] = value.clone();
    }
    Edge::configured(&fake.url(), &fake.url(), all)
}

fn dsn(key: &str, project: u64) -> Vec<u8> {
    enveloped(&format!("https://{key}@sentry.example/{project}"))
}

/// The bytes as brotli that stores them: a window of 16 bits, one meta-block
/// without compression, an empty last one (RFC 7932, section 9).
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let head = (bytes.len() - 1) << 4 | 1 << 20;
    [&head.to_le_bytes()[..3], bytes, &[3]].concat()
}

fn what_a_tunnel_takes_arrives_at_its_project() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let (plain, other) = (dsn(KEY, 42), dsn(STRANGE, 7));
    let (gzipped, stored) = (gzip(&plain), brotli(&plain));
    let noise = crate::patterns::slice(3, 0, 1 << 20);
    let header = b"{\"type\":\"attachment\",\"length\":1048576}\n";
    let large = [&plain[..], header, &noise].concat();
    let gzip_line = ("Content-Encoding", "gzip");
    let text = ("Content-Type", "text/plain;charset=UTF-8");
    let cases: &[(&str, Lines<'_>, &[u8], u64, &str)] = &[
        ("plain", &[text], &plain, 42, KEY),
        ("another project", &[], &other, 7, STRANGE),
        ("gzip", &[gzip_line], &gzipped, 42, KEY),
        ("brotli", &[("Content-Encoding", "br")], &stored, 42, KEY),
        ("large", &[], &large, 42, KEY),
    ];
    for (number, (what, headers, body, project, key)) in cases.iter().enumerate() {
        let more = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("Origin", "https://shop.example"),
            ("Cookie", "session=secret"),
            ("Authorization", "Bearer secret"),
        ];
        let headers = [headers, &more[..]].concat();
        let answer = edge.ask("POST", "/t", &headers, body);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        check_cors(&answer);
        let seen = &fake.requests()[number];
        assert_eq!(seen.method, "POST", "{what}");
        assert_eq!(seen.target_text(), format!("/api/{project}/envelope/"));
        let auth = format!("Sentry sentry_version=7, sentry_key={key}");
        for (name, want) in [
            ("x-sentry-auth", vec![auth.as_str()]),
            ("x-forwarded-for", vec!["203.0.113.9"]),
            ("origin", vec!["https://shop.example"]),
            ("host", vec!["sentry.example.com"]),
            ("cookie", vec![]),
            ("authorization", vec![]),
        ] {
            assert_eq!(seen.headers.all(name), want, "{what}: {name}");
        }
        let coding: Vec<&str> = headers
            .iter()
            .filter(|(name, _)| *name == "Content-Encoding")
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(seen.headers.all("content-encoding"), coding, "{what}");
        assert!(seen.body == *body, "{what}: its body has changed");
    }
    let counted = ["route=\"tunnel\"", "outcome=\"forwarded\""];
    edge.wait_metric("vidette_requests_total", &counted, cases.len() as f64);
}

fn nothing_but_line_one_says_whose_it_is() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let auth = format!("Sentry sentry_key={STRANGE}");
    let basic = "Basic YTk0YWUzMmJlMjU4NGUwYmJkN2E0Y2JiOTU5NzFmZWU6";
    let cases: [(&str, Lines<'_>); 5] = [
        ("/t?o=1&p=2", &[]),
        ("/t?sentry_key=none&sentry_version=99", &[]),
        ("/t/?sentry_key=none", &[]),
        ("/t", &[("X-Sentry-Auth", &auth)]),
        ("/t", &[("Authorization", basic)]),
    ];
    for (number, (target, headers)) in cases.into_iter().enumerate() {
        let answer = edge.ask("POST", target, headers, &dsn(KEY, 42));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let seen = &fake.requests()[number];
        assert_eq!(seen.target_text(), "/api/42/envelope/", "{target}");
        let auth = seen.headers.all("x-sentry-auth");
        assert_eq!(auth, [format!("Sentry sentry_version=7, sentry_key={KEY}")]);
        assert!(seen.headers.all("authorization").is_empty(), "{target}");
    }
    // And where line one does not say it, nothing else does.
    for (target, headers) in cases {
        let answer = edge.ask("POST", target, headers, ENVELOPE);
        check_refused(target, &answer, 401, "no_key");
        // Words about headers and the query would send its reader the wrong way.
        let told = answer.text();
        assert!(told.contains("needs a dsn"), "{target}: {told}");
    }
}

fn a_tunnel_is_its_path_and_nothing_below() {
    let (fake, web) = (Fake::start(), Fake::start());
    let changes = json!({"tunnel": {"paths": ["/t", "/deep/tunnel/"]}});
    let edge = Edge::configured(&fake.url(), &web.url(), changes);
    for (target, tunnelled) in [
        ("/t", true),
        ("/t/", true),
        ("//t", true),
        ("/x/../t", true),
        ("/%74", true),
        ("/deep/tunnel", true),
        ("/deep/tunnel/", true),
        ("/t/more", false),
        ("/tt", false),
        ("/T", false),
        ("/deep/tunnels", false),
        ("/deep", false),
        ("/", false),
    ] {
        let seen = (fake.requests().len(), web.requests().len());
        let answer = edge.ask("POST", target, &[], &dsn(KEY, 42));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let now = (fake.requests().len(), web.requests().len());
        let want = match tunnelled {
            true => (seen.0 + 1, seen.1),
            false => (seen.0, seen.1 + 1),
        };
        assert_eq!(now, want, "{target}");
    }
}

fn tunnels_refuse_as_the_envelopes_own_path_does() {
    let fake = Fake::start();
    let changes = json!({
        "keys": {"mode": "strict"},
        "projects": [{
            "id": 42,
            "keys": [KEY, {"key": OFF, "enabled": false}],
            "allowed_origins": ["shop.example"],
        }],
        "limits": {"bodies": {"ingest": "4000"}},
    });
    let edge = edge(&fake, &changes);
    let good = dsn(KEY, 42);
    let evil: Lines<'_> = &[("Origin", "https://evil.example")];
    let gzip_line: Lines<'_> = &[("Content-Encoding", "gzip")];
    let line_one: Lines<'_> = &[("Content-Encoding", "lzma")];
    let short = enveloped(&format!("https://{}@sentry.example/42", &KEY[1..]));
    let nowhere = enveloped(&format!("https://{KEY}@sentry.example/"));
    let large = [&good[..], &[b'x'; 4000]].concat();
    let cases: &[(&str, Lines<'_>, &[u8], u16, &str)] = &[
        ("empty", &[], b"", 400, "empty"),
        ("no JSON", &[], b"<html>\n", 400, "malformed"),
        ("no gzip", gzip_line, &good, 400, "bad_compression"),
        ("no dsn", &[], ENVELOPE, 401, "no_key"),
        ("no DSN at all", &[], &enveloped("there"), 401, "bad_key"),
        ("a short key", &[], &short, 401, "bad_key"),
        ("no project", &[], &nowhere, 401, "bad_key"),
        ("unknown", &[], &dsn(STRANGE, 42), 403, "unknown_key"),
        ("switched off", &[], &dsn(OFF, 42), 403, "disabled_key"),
        ("another project", &[], &dsn(KEY, 43), 403, "wrong_project"),
        ("a page", evil, &good, 403, "origin"),
        ("too large", &[], &large, 413, "too_large"),
        ("lzma", line_one, &good, 415, "bad_compression"),
    ];
    for (what, headers, body, status, reason) in cases {
        let answer = edge.ask("POST", "/t", headers, body);
        check_refused(what, &answer, *status, reason);
    }
    assert!(fake.requests().is_empty(), "what was refused went on");
    let page = [("Origin", "https://shop.example")];
    assert_eq!(edge.ask("POST", "/t", &page, &good).status, 200);
}

fn long_first_lines_are_refused() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let padded = |bytes: usize| {
        let head = format!("{{\"dsn\":\"https://{KEY}@sentry.example/42\",\"a\":\"");
        let fill = "a".repeat(bytes - head.len() - 2);
        format!("{head}{fill}\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n").into_bytes()
    };
    let (longest, longer) = (padded(64 << 10), padded(65 << 10));
    let gzip_line = [("Content-Encoding", "gzip")];
    for (headers, fits, over) in [
        (&[][..], longest.clone(), longer.clone()),
        (&gzip_line[..], gzip(&longest), gzip(&longer)),
    ] {
        let answer = edge.ask("POST", "/t", headers, &fits);
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        let answer = edge.ask("POST", "/t", headers, &over);
        check_refused(&format!("{headers:?}"), &answer, 400, "malformed");
    }
    assert_eq!(fake.requests().len(), 2);
}

fn the_host_of_a_dsn_is_never_dialled() {
    let (fake, named) = (Fake::start(), Fake::start());
    let edge = edge(&fake, &json!({}));
    for scheme in ["http", "https"] {
        let body = enveloped(&format!("{scheme}://{KEY}@{}/42", named.address()));
        for target in ["/t", "/api/42/envelope/"] {
            let answer = edge.ask("POST", target, &[], &body);
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        }
    }
    assert_eq!(fake.requests().len(), 4);
    assert_eq!(named.look(|ledger| ledger.accepted), 0);
}

fn tunnels_take_posts_and_answer_preflights() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
        let answer = edge.ask(method, "/t", &[], b"");
        assert_eq!(answer.status, 405, "{method}");
        if method != "HEAD" {
            check_refusal(&answer);
        }
        let allow = answer.header("allow").unwrap_or_default();
        assert!(
            allow.contains("POST") && allow.contains("OPTIONS"),
            "{allow}"
        );
    }
    let asked = [
        ("Origin", "https://shop.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    for target in ["/t", "/t/", "/deep/tunnel"] {
        let answer = edge.ask("OPTIONS", target, &asked, b"");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b""[..]));
        check_cors(&answer);
        let allowed = answer.header("access-control-allow-methods");
        assert_eq!(allowed.as_deref(), Some("POST"), "{target}");
    }
    assert!(fake.requests().is_empty());
}

fn the_host_that_its_client_names_arrives_however_it_names_it() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let body = dsn(KEY, 42);
    // HTTP/2 has it in `:authority` alone.
    h2c::run(async {
        let mut send = h2c::connect(edge.public).await;
        let head = h2c::head("POST", "/t").body(()).unwrap();
        let body = Bytes::copy_from_slice(&body);
        assert_eq!(h2c::exchange(&mut send, head, Some(body)).await.0, 200);
    });
    // Of the absolute form, which wins over Host, too.
    let answer = edge.ask("POST", "http://sentry.example.com:8443/t", &[], &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    for seen in requests {
        assert_eq!(seen.target_text(), "/api/42/envelope/");
        assert_eq!(seen.headers.all("host"), ["sentry.example.com:8443"]);
    }
}

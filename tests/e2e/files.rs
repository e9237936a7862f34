//! Files from disk: served with CORS, and never from outside their folder.

use std::fs;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::request;
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        files_are_served_with_cors,
        files_outside_are_never_served,
        an_answer_beside_an_unread_body_says_that_it_is_the_last,
    ]
}

/// An edge that serves files, with a secret beside their folder.
fn edge_with_files(fake: &Fake) -> (Edge, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("www");
    fs::create_dir_all(root.join("8.0.0")).unwrap();
    fs::write(root.join("8.0.0/bundle.min.js"), "sdk()").unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    let statics = json!([{"path": "/js-sdk/", "root": root.to_str().unwrap(), "cors": true}]);
    (
        Edge::configured(&fake.url(), &fake.url(), json!({"static": statics})),
        folder,
    )
}

fn files_are_served_with_cors() {
    let fake = Fake::start();
    let (edge, _folder) = edge_with_files(&fake);
    let file = "/js-sdk/8.0.0/bundle.min.js";
    let answer = edge.ask("GET", file, &[("Origin", "https://shop.example")], b"");
    assert_eq!((answer.status, answer.text().as_str()), (200, "sdk()"));
    assert_eq!(
        answer.header("access-control-allow-origin").as_deref(),
        Some("*")
    );
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.contains("javascript")),
        "{:?}",
        answer.headers
    );
    let head = edge.ask("HEAD", file, &[], b"");
    assert_eq!(
        (head.status, head.header("content-length").as_deref()),
        (200, Some("5"))
    );
    let changed = answer.header("last-modified").unwrap();
    assert_eq!(
        edge.ask("GET", file, &[("If-Modified-Since", &changed)], b"")
            .status,
        304
    );
    let part = edge.ask("GET", file, &[("Range", "bytes=1-2")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "dk"));
    assert_eq!(
        edge.ask("GET", "/js-sdk/8.0.0/absent.js", &[], b"").status,
        404
    );
    for folder in ["/js-sdk/", "/js-sdk/8.0.0/", "/js-sdk/8.0.0"] {
        let status = edge.ask("GET", folder, &[], b"").status;
        assert!((300..500).contains(&status), "{folder} answers {status}");
    }
    assert_eq!(edge.ask("POST", file, &[], b"x").status, 405);
    assert!(fake.requests().is_empty(), "{:#?}", fake.requests());
    edge.wait_metric(
        "vidette_requests_total",
        &["route=\"static\"", "status=\"200\""],
        2.0,
    );
}

fn files_outside_are_never_served() {
    let fake = Fake::start();
    let (edge, folder) = edge_with_files(&fake);
    std::os::unix::fs::symlink(
        folder.path().join("www/8.0.0"),
        folder.path().join("www/latest"),
    )
    .unwrap();
    assert_eq!(
        edge.ask("GET", "/js-sdk/latest/bundle.min.js", &[], b"")
            .status,
        200,
        "links inside are followed"
    );
    for target in [
        "/js-sdk/../secret.txt",
        "/js-sdk/..%2fsecret.txt",
        "/js-sdk/%2e%2e/secret.txt",
        "/js-sdk/%2e%2e%2fsecret.txt",
        "/js-sdk/8.0.0/../../secret.txt",
        "/js-sdk/8.0.0/..%2f..%2fsecret.txt",
        "/js-sdk/..%5csecret.txt",
        "/js-sdk/..\\secret.txt",
        "/js-sdk/%252e%252e/secret.txt",
        "/js-sdk/..%252fsecret.txt",
        "/js-sdk/./.././secret.txt",
        "/js-sdk//../secret.txt",
        "/js-sdk/....//secret.txt",
        "/js-sdk/%c0%ae%c0%ae/secret.txt",
        "/js-sdk//etc/passwd",
        "/js-sdk/%2fetc/passwd",
        "/js-sdk/..;/secret.txt",
        "/js-sdk/%00/../secret.txt",
    ] {
        let answer = edge.ask("GET", target, &[], b"");
        assert!(
            !answer.text().contains("secret") || answer.text().contains("detail"),
            "{target}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("root:"), "{target}");
    }
}

/// To close without a word, bytes unread, is a reset, and that can destroy the answer.
fn an_answer_beside_an_unread_body_says_that_it_is_the_last() {
    let fake = Fake::start();
    let (edge, _folder) = edge_with_files(&fake);
    let file = "/js-sdk/8.0.0/bundle.min.js";
    let event = envelope_target();
    for (method, target, want) in [
        ("POST", file, 405),
        ("GET", file, 200),
        ("GET", "/js-sdk/none", 404),
        ("OPTIONS", event.as_str(), 200),
    ] {
        for (length, last) in [("1048576", Some("close")), ("0", None)] {
            let mut client = edge.connect();
            client.send(&request(method, target, &[("Content-Length", length)], b""));
            let answer = client.answer_to(method);
            assert_eq!(answer.status, want, "{method} {target}");
            assert_eq!(
                answer.header("connection").as_deref(),
                last,
                "{method} {target}"
            );
        }
    }
}

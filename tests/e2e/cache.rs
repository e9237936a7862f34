//! What pages load from Sentry's web, kept: the SDK's loader is still there when web is not, is
//! asked for no more often than it says, and nobody gets what was meant for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Answer, request};
use crate::edge::{Edge, KEY};
use crate::exchange::Next;
use crate::patterns;
use crate::senders::reload;
use crate::upstream::{Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    crate::parts::promises![&[];
        the_loader_is_still_there_when_web_is_stopped,
        web_is_asked_no_more_often_than_it_says,
        a_web_that_hangs_or_fails_is_stood_in_for_and_left_alone,
        what_web_says_else_is_passed_and_forgotten,
        web_confirms_and_clients_have_it_already,
        each_gets_its_own,
        nothing_personal_is_kept,
        what_is_too_large_or_breaks_off_is_not_kept,
        it_can_be_switched_off_and_forgotten,
    ]
}

fn loader() -> String {
    format!("/js-sdk-loader/{KEY}.min.js")
}

/// As Sentry says it of its loader.
const SENTRYS: &str =
    "public, max-age=3600, s-maxage=60, stale-while-revalidate=315360000, stale-if-error=315360000";

/// Asked for each time, and good for when web is away.
const ASK: &str = "public, max-age=0, stale-if-error=600";

/// A web whose answers are numbered, with these headers.
fn web(headers: &'static [(&str, &str)]) -> Fake {
    let number = AtomicUsize::new(0);
    Fake::with(move |exchange| {
        exchange.read_body()?;
        let number = number.fetch_add(1, Ordering::SeqCst);
        exchange.answer(200, headers, format!("loader {number}").as_bytes())
    })
}

#[track_caller]
fn check(answer: &Answer, status: u16, body: &str, told: Option<&str>) {
    let said = answer.header("cache-status");
    assert_eq!((answer.status, answer.text()), (status, body.to_owned()));
    assert_eq!(said.as_deref(), told, "{body}");
    if status == 200 {
        let length = body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length));
    }
}

const MISS: Option<&str> = Some("vidette; fwd=miss; stored");
const HIT: Option<&str> = Some("vidette; hit");
const STALE: Option<&str> = Some("vidette; hit; detail=stale");
const CONFIRMED: Option<&str> = Some("vidette; fwd=stale; fwd-status=304");

fn outcomes(edge: &Edge) -> [u64; 4] {
    ["hit", "revalidated", "stale", "miss"].map(|outcome| {
        let label = format!("outcome=\"{outcome}\"");
        edge.metric("vidette_cache_requests_total", &[&label]) as u64
    })
}

fn get(edge: &Edge, headers: &[(&str, &str)]) -> Answer {
    edge.ask("GET", &loader(), headers, b"")
}

fn the_loader_is_still_there_when_web_is_stopped() {
    let fake = web(&[
        ("content-type", "text/javascript"),
        ("access-control-allow-origin", "*"),
        ("cache-control", ASK),
    ]);
    let relay = Fake::start();
    let edge = Edge::configured(&relay.url(), &fake.url(), json!({}));
    check(&get(&edge, &[]), 200, "loader 0", MISS);
    check(&get(&edge, &[]), 200, "loader 1", MISS);
    drop(fake);
    for _ in 0..3 {
        let answer = get(&edge, &[]);
        check(&answer, 200, "loader 1", STALE);
        assert_eq!(
            answer.header("content-type"),
            Some("text/javascript".to_owned())
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*".to_owned())
        );
        assert!(answer.header("age").is_some());
        assert!(answer.header("etag").is_some());
    }
    // What nobody has loaded, and all else of web's, is away with it; events are not.
    let other = edge.ask("GET", "/js-sdk-loader/0123.js", &[], b"");
    assert_eq!(other.status, 502, "{}", other.text());
    assert_eq!(edge.ask("GET", "/auth/login/", &[], b"").status, 502);
    assert_eq!(
        edge.post_envelope(&[], b"{}\n{\"type\":\"event\"}\n{}\n")
            .status,
        200
    );
    assert_eq!(outcomes(&edge), [0, 0, 3, 2]);
    let local = ["route=\"web\"", "outcome=\"local\"", "status=\"200\""];
    assert_eq!(edge.metric("vidette_requests_total", &local), 3.0);
    edge.wait_metric("vidette_cache_entries", &[], 1.0);
    assert!(edge.metric("vidette_cache_bytes", &[]) > 500.0);
}

fn web_is_asked_no_more_often_than_it_says() {
    let fake = web(&[("cache-control", SENTRYS), ("age", "7")]);
    let edge = Edge::before(&fake);
    check(&get(&edge, &[]), 200, "loader 0", MISS);
    for _ in 0..5 {
        let answer = get(&edge, &[]);
        check(&answer, 200, "loader 0", HIT);
        assert_eq!(answer.header("cache-control"), Some(SENTRYS.to_owned()));
        let age: u64 = answer.header("age").unwrap().parse().unwrap();
        assert!((7..60).contains(&age), "{age}");
    }
    assert_eq!(fake.requests().len(), 1);
    // Who reloads the page hears from web, and the others what it said.
    check(
        &get(&edge, &[("Cache-Control", "no-cache")]),
        200,
        "loader 1",
        MISS,
    );
    check(&get(&edge, &[]), 200, "loader 1", HIT);
    let mut h1 = edge.connect();
    for _ in 0..2 {
        h1.send(&request("GET", &loader(), &[], b""));
        check(&h1.answer_to("GET"), 200, "loader 1", HIT);
    }
}

fn a_web_that_hangs_or_fails_is_stood_in_for_and_left_alone() {
    // The first answer is good, and what comes then is this status, or nothing for 0.
    let after = |status: u16, control: &'static str| {
        let seen = AtomicUsize::new(0);
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
            match (first, status) {
                (true, _) => exchange.answer(200, &[("cache-control", control)], b"loader"),
                (false, 0) => exchange.hold(),
                (false, status) => exchange.answer(status, &[], b"away"),
            }
        });
        let edge = Edge::before(&fake);
        check(&get(&edge, &[]), 200, "loader", MISS);
        (fake, edge)
    };
    for status in [0, 500, 502, 503, 504] {
        let (fake, edge) = after(status, ASK);
        for _ in 0..4 {
            check(&get(&edge, &[]), 200, "loader", STALE);
        }
        let asked = fake.requests().len();
        assert_eq!(asked, 2, "{status}: a web that is away is asked each time");
    }
    // Who must not be served what is stale hears the truth.
    for never in [
        "max-age=0, must-revalidate",
        "max-age=0, stale-if-error=0",
        "no-cache",
    ] {
        let (_fake, edge) = after(503, never);
        let answer = get(&edge, &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (503, "away".to_owned()),
            "{never}"
        );
    }
}

fn what_web_says_else_is_passed_and_forgotten() {
    let seen = AtomicUsize::new(0);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match seen.fetch_add(1, Ordering::SeqCst) {
            0 => exchange.answer(200, &[("cache-control", ASK)], b"loader"),
            1 => exchange.answer(404, &[], b"no such key"),
            _ => exchange.answer(503, &[], b"away"),
        }
    });
    let edge = Edge::before(&fake);
    check(&get(&edge, &[]), 200, "loader", MISS);
    assert_eq!(get(&edge, &[]).status, 404);
    assert_eq!(get(&edge, &[]).status, 503, "a key that is gone came back");
}

fn web_confirms_and_clients_have_it_already() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let headers = [
            ("etag", "\"one\""),
            ("cache-control", ASK),
            ("vary", "Accept-Encoding"),
        ];
        match exchange.request.headers.one("if-none-match").as_deref() {
            Some("\"one\"") => exchange.answer(304, &headers, b""),
            _ => exchange.answer(200, &headers, b"loader"),
        }
    });
    let edge = Edge::before(&fake);
    // A browser's own copy does not keep the edge from having one.
    let had = [("If-None-Match", "\"one\"")];
    check(&get(&edge, &had), 200, "loader", MISS);
    check(&get(&edge, &[]), 200, "loader", CONFIRMED);
    check(&get(&edge, &had), 304, "", CONFIRMED);
    check(
        &get(&edge, &[("If-None-Match", "\"two\"")]),
        200,
        "loader",
        CONFIRMED,
    );
    let asked: Vec<_> = fake.requests();
    let asked = asked
        .iter()
        .map(|request| request.headers.one("if-none-match"));
    let asked: Vec<_> = asked.collect();
    let one = Some("\"one\"".to_owned());
    assert_eq!(asked, [None, one.clone(), one.clone(), one]);
    assert_eq!(outcomes(&edge), [0, 3, 0, 1]);
    let not_modified = ["route=\"web\"", "outcome=\"forwarded\"", "status=\"304\""];
    assert_eq!(edge.metric("vidette_requests_total", &not_modified), 1.0);
    // All of that on few connections: a 304 leaves its own usable.
    assert!(fake.look(|ledger| ledger.accepted) <= 2);
}

fn each_gets_its_own() {
    let packed = Arc::new(patterns::gzip(b"loader"));
    let fake = {
        let packed = Arc::clone(&packed);
        Fake::with(move |exchange| {
            exchange.read_body()?;
            let headers = &exchange.request.headers;
            let host = headers.one("host").unwrap();
            let takes = headers
                .one("accept-encoding")
                .is_some_and(|takes| takes == "gzip");
            let vary = [("cache-control", SENTRYS), ("vary", "Accept-Encoding")];
            match takes {
                true => {
                    let coded = [vary[0], vary[1], ("content-encoding", "gzip")];
                    exchange.answer(200, &coded, &packed)
                }
                false => exchange.answer(200, &vary, host.as_bytes()),
            }
        })
    };
    let edge = Edge::before(&fake);
    let gzip = ("Accept-Encoding", "gzip");
    for told in [MISS, HIT] {
        for host in ["a.example", "b.example"] {
            check(&get(&edge, &[("Host", host)]), 200, host, told);
            let answer = get(&edge, &[("Host", host), gzip]);
            assert!(answer.body == *packed, "{host}");
            assert_eq!(answer.header("content-encoding"), Some("gzip".to_owned()));
            assert_eq!(answer.header("cache-status").as_deref(), told);
        }
        // Another query is another address, and so is another scheme.
        let query = format!("{}?x=1", loader());
        let answer = edge.ask("GET", &query, &[("Host", "a.example")], b"");
        check(&answer, 200, "a.example", told);
        let https = [("Host", "a.example"), ("X-Forwarded-Proto", "https")];
        check(&get(&edge, &https), 200, "a.example", told);
    }
    assert_eq!(fake.requests().len(), 6);
}

fn nothing_personal_is_kept() {
    let asked_each_time = |fake: &Fake, edge: &Edge, method: &str, path: &str, head: &[_]| {
        let before = fake.requests().len();
        for _ in 0..2 {
            let answer = edge.ask(method, path, head, b"");
            assert_eq!(answer.status, 200, "{method} {path}");
            assert_eq!(
                answer.header("cache-status"),
                None,
                "{method} {path} {head:?}"
            );
        }
        assert_eq!(
            fake.requests().len() - before,
            2,
            "{method} {path} {head:?}"
        );
    };
    let fake = web(&[("cache-control", SENTRYS)]);
    let edge = Edge::before(&fake);
    let path = loader();
    for (method, path) in [
        ("HEAD", path.as_str()),
        ("POST", path.as_str()),
        ("GET", "/api/0/organizations/"),
        ("GET", "/js-sdk-loader"),
        ("GET", "/_static/dist/sentry/app.js"),
    ] {
        asked_each_time(&fake, &edge, method, path, &[]);
    }
    for head in [
        ("Authorization", "Bearer a"),
        ("Range", "bytes=0-1"),
        ("Cache-Control", "no-store"),
    ] {
        asked_each_time(&fake, &edge, "GET", &path, &[head]);
    }
    let headers: [&[(&str, &str)]; 5] = [
        &[("cache-control", SENTRYS), ("set-cookie", "sentrysid=1")],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "no-store")],
        &[("cache-control", SENTRYS), ("vary", "*")],
        &[("cache-control", SENTRYS), ("content-range", "bytes 0-1/2")],
    ];
    for headers in headers {
        let fake = web(headers);
        let edge = Edge::before(&fake);
        asked_each_time(&fake, &edge, "GET", &path, &[]);
    }
}

fn what_is_too_large_or_breaks_off_is_not_kept() {
    let body = patterns::slice(3, 0, 20_000);
    let modes = ["length", "chunked", "broken"];
    for mode in modes {
        let sent = body.clone();
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            let headers = [("cache-control", SENTRYS)];
            match mode {
                "length" => exchange.answer(200, &headers, &sent),
                "chunked" => exchange.answer_chunked(200, &headers, &sent),
                _ => {
                    let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n";
                    exchange.write(format!("{head}content-length: 9000\r\n\r\n").as_bytes())?;
                    exchange.write(&sent[..8000])?;
                    Ok(Next::Close)
                }
            }
        });
        let small = json!({"cache": {"answer_bytes": "10KiB"}});
        let edge = Edge::configured(&fake.url(), &fake.url(), small);
        for number in 1..3 {
            let mut client = edge.connect();
            client.send(&request("GET", &loader(), &[], b""));
            match client.try_answer_to("GET") {
                Ok(answer) => assert!(answer.body == body, "{mode}"),
                Err(_) => assert_eq!(mode, "broken"),
            }
            assert_eq!(fake.requests().len(), number, "{mode} was kept");
        }
    }
}

fn it_can_be_switched_off_and_forgotten() {
    let fake = web(&[("cache-control", SENTRYS)]);
    let edge = Edge::before(&fake);
    check(&get(&edge, &[]), 200, "loader 0", MISS);
    check(&get(&edge, &[]), 200, "loader 0", HIT);
    // A reload that is about something else leaves it standing.
    reload(&edge, &fake, &json!({"cache": {"stale_if_error": "1h"}}));
    check(&get(&edge, &[]), 200, "loader 0", HIT);
    reload(&edge, &fake, &json!({"cache": {"paths": []}}));
    check(&get(&edge, &[]), 200, "loader 1", None);
    reload(&edge, &fake, &json!({}));
    check(&get(&edge, &[]), 200, "loader 2", MISS);
    // Where nobody serves stale answers, a web that is away is away.
    let away = Silent::reserve();
    let changes = json!({"cache": {"stale_if_error": "0s"}, "upstream": {"web": [away.url()]}});
    reload(&edge, &fake, &changes);
    assert_eq!(get(&edge, &[]).status, 502);
    let begin = std::time::Instant::now();
    while edge.metric("vidette_cache_entries", &[]) > 0.0 {
        assert!(begin.elapsed() < HANG, "what was kept stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

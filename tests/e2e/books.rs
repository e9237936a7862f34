//! The books: every request is in them once, and they close. Never about which
//! requests are refused, and why.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{ask, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        the_books_close_once_all_is_over,
        books_are_closed_to_who_may_not_read_them,
    ]
}

fn books(edge: &Edge) -> Value {
    let answer = edge.admin_get("/api/v1/ledger");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What ended in a row, on one side.
fn ended(side: &Value) -> u64 {
    let dropped = side["dropped"].as_object().unwrap().values();
    let dropped: u64 = dropped.map(|n| n.as_u64().unwrap()).sum();
    side["forwarded"].as_u64().unwrap() + side["spooled"].as_u64().unwrap() + dropped
}

fn begun(side: &Value) -> u64 {
    side["received"].as_u64().unwrap() + side["carried"].as_u64().unwrap()
}

/// The books hold at any moment, and are exact where nothing is in flight.
#[track_caller]
pub(crate) fn check_equation(books: &Value) {
    let mut in_flight = 0;
    for row in books["rows"].as_array().unwrap() {
        let open = row["in_flight"].as_u64().unwrap();
        in_flight += open;
        assert_eq!(begun(&row["items"]), ended(&row["items"]) + open, "{row}");
        if open == 0 {
            assert_eq!(begun(&row["bytes"]), ended(&row["bytes"]), "{row}");
        }
    }
    assert_eq!(books["in_flight"], in_flight, "{books}");
}

/// The books once so many items have ended.
#[track_caller]
fn closed(edge: &Edge, items: u64) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let books = books(edge);
        check_equation(&books);
        let rows = books["rows"].as_array().unwrap().iter();
        let over: u64 = rows.map(|row| ended(&row["items"])).sum();
        if over == items && books["in_flight"] == 0 {
            return books;
        }
        assert!(
            over <= items && Instant::now() < deadline,
            "{over} of {items} items ended: {books}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

fn the_books_close_once_all_is_over() {
    const TAKEN: u64 = 40;
    const BODY: &[u8] = b"{}\n{\"type\":\"session\",\"length\":3}\n{ }\n";
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let refused = exchange.request.target_text().contains("refused");
        exchange.answer(if refused { 403 } else { 200 }, &[], b"{}")
    });
    let limits = json!({"workers": 2, "limits": {"bodies": {"ingest": "1MiB"}}});
    let edge = Edge::configured(&fake.url(), &fake.url(), limits);
    let start = books(&edge);
    assert_eq!(start["rows"], json!([]), "nothing has come yet");
    assert!(
        start["since"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{start}"
    );
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..TAKEN / 4 {
                    assert_eq!(edge.post_envelope(&[], BODY).status, 200);
                }
            });
        }
        for _ in 0..20 {
            check_equation(&books(&edge));
        }
    });
    for _ in 0..3 {
        assert_eq!(
            edge.ask("POST", "/api/42/store/", &[], b"12345").status,
            401
        );
    }
    let bad_key = format!("/api/42/store/?sentry_key={}", &KEY[1..]);
    assert_eq!(edge.ask("POST", &bad_key, &[], b"1234567").status, 400);
    let refused = format!("{}&refused", envelope_target());
    assert_eq!(edge.ask("POST", &refused, &[], BODY).status, 403);
    // A length that nobody can send is booked as the most that is.
    for length in ["2000000", "18446744073709551613"] {
        let mut client = edge.connect();
        let long = [("Content-Length", length)];
        client.send(&request("POST", &envelope_target(), &long, b""));
        assert_eq!(client.answer_to("POST").status, 413, "{length}");
    }
    // A page is no item.
    assert_eq!(edge.ask("GET", "/web", &[], b"").status, 200);

    let books = closed(&edge, TAKEN + 7);
    let side = |received, forwarded: u64, dropped| {
        json!({"received": received, "carried": 0, "forwarded": forwarded, "spooled": 0,
               "dropped": dropped})
    };
    let too_large = 2_000_000 + (1_u64 << 40);
    let items = json!({"no_key": 3, "bad_key": 1, "too_large": 2});
    let bytes = json!({"no_key": 15, "bad_key": 7, "too_large": too_large});
    let want = json!([{
        "project": 42, "category": "session", "in_flight": 0,
        "items": side(TAKEN + 1, TAKEN, json!({"upstream_4xx": 1})),
        "bytes": side(TAKEN * 3 + 3, TAKEN * 3, json!({"upstream_4xx": 3})),
    }, {
        "project": "unproven", "category": "unread", "in_flight": 0,
        "items": side(6, 0, items),
        "bytes": side(22 + too_large, 0, bytes),
    }]);
    assert_eq!(books["rows"], want);
    for (reason, items) in [("", 40.0), ("no_key", 3.0), ("too_large", 2.0)] {
        let label = format!("reason=\"{reason}\"");
        let told = edge.metric("vidette_items_total", &[&label]);
        assert!((told - items).abs() < 0.5, "{reason}: {told}, not {items}");
    }
    let told = edge.metric("vidette_item_bytes_total", &["outcome=\"forwarded\""]);
    assert!((told - 120.0).abs() < 0.5, "{told} bytes, not 120");
}

fn books_are_closed_to_who_may_not_read_them() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    let session = b"{}\n{\"type\":\"session\"}\n{}";
    assert_eq!(edge.post_envelope(&[], session).status, 200);
    edge.wait_metric("vidette_items_total", &[], 1.0);
    let read = |method: &str, headers: &[(&str, &str)]| {
        let admin = ([127, 0, 0, 1], edge.admin.port()).into();
        ask(admin, method, "/api/v1/ledger", headers, b"")
    };
    let host = ("Host", "localhost");
    let right = ("Authorization", "Bearer right-token");
    let wrong = ("Authorization", "Bearer wrong-token");
    let stranger = ("Host", "evil.example");
    for (headers, status) in [
        (&[host][..], 401),
        (&[host, wrong], 401),
        (&[stranger, right], 403),
    ] {
        let answer = read("GET", headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(!answer.text().contains("rows"), "{}", answer.text());
    }
    let answer = read("GET", &[host, right]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 1);
    let json = ("Content-Type", "application/json");
    let write = read("POST", &[host, right, json]);
    assert_eq!(write.status, 405, "the books are only read");
    assert_eq!(
        edge.ask("GET", "/api/v1/ledger", &[], b"").text(),
        r#"{"id":"0123456789abcdef0123456789abcdef"}"#,
        "on the public address the path is web's"
    );
}

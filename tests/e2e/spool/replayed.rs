//! How what was kept is sent: below live traffic, fair, in order, with its times as they
//! were, and with what the upstream says to it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::client::request;
use crate::edge::KEY;
use crate::parts::promises;
use crate::upstream::Silent;

use super::{arrived, booked, emptied, event, ids, keeping};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        the_time_held_goes_into_sent_at,
        a_late_refusal_is_in_the_books,
        a_late_limit_is_waited_for,
        an_upstream_that_comes_and_goes_gets_everything_once,
        one_project_does_not_hold_up_another,
        first_tries_keep_their_order_whatever_fails,
        a_stop_in_the_middle_sends_nothing_twice,
        what_is_too_old_is_given_up_and_booked,
        what_came_in_is_judged_once,
    ]
}

fn the_time_held_goes_into_sent_at() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let rest = "\n{\"type\":\"event\",\"length\":2}\n{}\n";
    let line = "{\"sent_at\":\"2026-11-26T10:30:00.000Z\",\"dsn\":null}";
    let since = Instant::now();
    assert_eq!(
        edge.post_envelope(&[], format!("{line}{rest}").as_bytes())
            .status,
        200
    );
    let packed = crate::patterns::gzip(format!("{line}{rest}").as_bytes());
    let gzip = [("Content-Encoding", "gzip")];
    assert_eq!(edge.post_envelope(&gzip, &packed).status, 200);
    std::thread::sleep(Duration::from_millis(1200));
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    for seen in arrived(&up, 2) {
        let body = String::from_utf8(seen.body).unwrap();
        let (before, after) = body.split_once("2026-11-26T10:30:0").unwrap();
        assert_eq!(before, "{\"sent_at\":\"");
        let (seconds, rest_of_it) = after.split_once("Z\"").unwrap();
        assert_eq!(
            rest_of_it,
            format!(",\"dsn\":null}}{rest}"),
            "nothing else moved"
        );
        let held: f64 = seconds.parse().unwrap();
        let most = since.elapsed().as_secs_f64() + 1.0;
        assert!(
            (1.2..most).contains(&held),
            "held for {held} s, at most {most}"
        );
        assert!(
            seen.headers.one("content-encoding").is_none(),
            "it leaves unpacked"
        );
    }
}

fn a_late_refusal_is_in_the_books() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    for number in 0..6 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    let asked = AtomicUsize::new(0);
    let up = down.listen(move |exchange| {
        exchange.read_body()?;
        let json = [("content-type", "application/json")];
        match asked.fetch_add(1, SeqCst) {
            0 | 3 => exchange.answer(400, &json, b"{}"),
            // A proxy's page is no word of Sentry's.
            4 => exchange.answer(404, &[("content-type", "text/html")], b"<html>"),
            _ => exchange.answer(200, &json, b"{}"),
        }
    });
    emptied(&edge);
    assert_eq!(
        ids(&up.requests()).len(),
        7,
        "what is refused is not sent again, what a proxy answers is"
    );
    let row = booked(&edge, "error");
    assert_eq!(row["forwarded"], 4, "{row}");
    assert_eq!(row["dropped"], json!({"upstream_4xx": 2}), "{row}");
}

fn a_late_limit_is_waited_for() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], session).status, 200);
    let limited_at = std::sync::Arc::new(Mutex::new(None::<Instant>));
    let at = std::sync::Arc::clone(&limited_at);
    let up = down.listen(move |exchange| {
        let mut body = Vec::new();
        exchange.read_body_with(&mut |_, piece| body.extend_from_slice(piece))?;
        let is_error = memchr::memmem::find(&body, b"\"event\"").is_some();
        let mut at = at.lock().unwrap();
        if is_error && at.is_none() {
            *at = Some(Instant::now());
            let limits = [("X-Sentry-Rate-Limits", "2:error:key")];
            return exchange.answer(429, &limits, b"{}");
        }
        exchange.answer(200, &[], b"{}")
    });
    let requests = arrived(&up, 3);
    let waited = limited_at.lock().unwrap().unwrap().elapsed();
    assert_eq!(ids(&requests), [1, 1]);
    assert!(
        requests[2].body.ends_with(&event(1)[40..]),
        "the session did not wait"
    );
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    emptied(&edge);
    assert_eq!(booked(&edge, "error")["forwarded"], 1);
}

/// Up for 15 requests, then it resets 5, and again.
fn an_upstream_that_comes_and_goes_gets_everything_once() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    for number in 0..60 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    let asked = AtomicUsize::new(0);
    let up = down.listen(move |exchange| {
        // Before it reads the body: it has not taken it.
        if asked.fetch_add(1, SeqCst) % 20 >= 15 {
            return exchange.reset();
        }
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    emptied(&edge);
    let mut taken: Vec<u32> = up
        .requests()
        .iter()
        .filter(|seen| seen.ended == crate::upstream::Ended::Whole)
        .flat_map(|seen| ids(std::slice::from_ref(seen)))
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..60).collect::<Vec<_>>(), "each once");
    assert_eq!(booked(&edge, "error")["forwarded"], 60);
}

fn one_project_does_not_hold_up_another() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let mut client = edge.connect();
    for number in 0..210 {
        let target = crate::senders::target(42, KEY);
        client.send(&request("POST", &target, &[], &event(number)));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let other = "b94ae32be2584e0bbd7a4cbb95971fee";
    for number in 2000..2010 {
        let target = crate::senders::target(7, other);
        client.send(&request("POST", &target, &[], &event(number)));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let seen = ids(&arrived(&up, 220));
    let last = seen
        .iter()
        .rposition(|number| (2000..2010).contains(number))
        .unwrap();
    assert!(
        last < 60,
        "ten of the small project waited for {last} others"
    );
    let small: Vec<_> = seen.iter().filter(|number| **number >= 2000).collect();
    assert!(small.is_sorted(), "{small:?}");
}

/// An upstream that fails every third time, in other ways: what failed goes again, and no
/// first try of a project's overtakes another of its kind, nor any of its check-ins.
fn first_tries_keep_their_order_whatever_fails() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let mut client = edge.connect();
    let other = crate::senders::target(7, "b94ae32be2584e0bbd7a4cbb95971fee");
    for number in 0..120 {
        let target = match number % 2 {
            0 => crate::edge::envelope_target(),
            _ => other.clone(),
        };
        let kind = ["event", "check_in", "session"][number % 3];
        let body = format!(
            "{{\"event_id\":\"{number:032x}\"}}\n{{\"type\":\"{kind}\",\"length\":2}}\n{{}}\n"
        );
        client.send(&request("POST", &target, &[], body.as_bytes()));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let asked = AtomicUsize::new(0);
    let up = down.listen(move |exchange| {
        exchange.read_body()?;
        match asked.fetch_add(1, SeqCst) % 9 {
            2 => exchange.answer(503, &[], b"{}"),
            5 => exchange.reset(),
            8 => exchange.answer(502, &[("connection", "close")], b""),
            _ => exchange.answer(200, &[], b"{}"),
        }
    });
    emptied(&edge);
    let mut first = Vec::new();
    for number in ids(&up.requests()) {
        if !first.contains(&number) {
            first.push(number);
        }
    }
    assert_eq!(first.len(), 120);
    for project in 0..2 {
        let of = |kind: u32| {
            let numbers = first.iter().enumerate();
            numbers.filter(move |(_, it)| **it % 2 == project && **it % 3 == kind)
        };
        for kind in 0..3 {
            let numbers: Vec<_> = of(kind).map(|(_, number)| *number).collect();
            assert_eq!(numbers.len(), 20);
            assert!(numbers.is_sorted(), "project {project}: {numbers:?}");
        }
        let last_check_in = of(1).map(|(at, _)| at).max();
        let first_other = of(0).chain(of(2)).map(|(at, _)| at).min();
        assert!(last_check_in < first_other, "project {project}: {first:?}");
    }
}

fn a_stop_in_the_middle_sends_nothing_twice() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let url = down.url();
    let changes = json!({"spool": {"replay_requests": 8}});
    let mut edge = keeping(&url, place.path(), &changes);
    for number in 0..60 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        std::thread::sleep(Duration::from_millis(30));
        exchange.answer(200, &[], b"{}")
    });
    arrived(&up, 10);
    edge.signal(rustix::process::Signal::TERM);
    assert!(edge.wait_end().success());
    drop(edge);
    let before = up.requests().len();
    assert!(before < 60, "it was too fast to be stopped");
    let edge = keeping(&url, place.path(), &changes);
    emptied(&edge);
    let mut seen = ids(&up.requests());
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<_>>(), "each once");
}

fn what_is_too_old_is_given_up_and_booked() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(
        &down.url(),
        place.path(),
        &json!({"spool": {"max_age": "1s"}}),
    );
    for number in 0..20 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    emptied(&edge);
    let row = booked(&edge, "error");
    assert_eq!(row["dropped"], json!({"spool_expired": 20}), "{row}");
    assert_eq!(row["spooled"], 0, "{row}");
    edge.wait_metric("vidette_spool_expired_total", &[], 20.0);
}

/// What was kept has used its quotas; what left them no room stays behind then as ever.
fn what_came_in_is_judged_once() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let quotas = json!([
        {"categories": ["error"], "limit": 3, "per": "1h"},
        {"categories": ["session"], "limit": 0, "per": "1h"},
    ]);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    let edge = keeping(&down.url(), place.path(), &changes);
    let session = b"{\"type\":\"session\",\"length\":2}\n{}\n";
    let mut statuses = Vec::new();
    for number in 0..5 {
        let both = [event(number), session.to_vec()].concat();
        let gzip = [("Content-Encoding", "gzip")];
        let answer = edge.post_envelope(&gzip, &crate::patterns::gzip(&both));
        if answer.status == 200 {
            let told = answer.header("x-sentry-rate-limits").unwrap();
            assert!(told.contains(":session:"), "{told}");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let requests = arrived(&up, 3);
    emptied(&edge);
    assert_eq!(ids(&requests), [0, 1, 2]);
    assert_eq!(requests[0].body, event(0), "without what stayed behind");
    let errors = booked(&edge, "error");
    assert_eq!(errors["forwarded"], 3, "{errors}");
    assert_eq!(errors["dropped"], json!({"quota": 2}), "{errors}");
}

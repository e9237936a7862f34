//! Each way in which an upstream can fail to take an event, and what holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::client::request;
use crate::edge::envelope_target;
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::upstream::{Door, Fake};

use super::{arrived, booked, check_taken, emptied, event, ids, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        an_outage_is_no_answer,
        what_the_upstream_says_of_an_event_is_its_answer,
        a_reset_is_no_answer,
        an_upstream_that_hangs_keeps_nobody_waiting,
        an_upstream_that_takes_no_connection_keeps_nobody_waiting,
        one_bad_address_of_two_is_spared,
        an_answer_that_comes_late_is_the_end_of_it,
        a_client_that_leaves_loses_nothing,
    ]
}

/// An upstream that does this with its first so many requests, and takes all others.
fn at_first(
    count: usize,
    does: impl Fn(&mut Exchange<'_>) -> std::io::Result<Next> + Send + Sync + 'static,
) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::with(move |exchange| match asked.fetch_add(1, SeqCst) < count {
        true => does(exchange),
        false => {
            exchange.read_body()?;
            exchange.answer(200, &[], b"{}")
        }
    })
}

#[track_caller]
fn check_kept(
    count: usize,
    does: impl Fn(&mut Exchange<'_>) -> std::io::Result<Next> + Send + Sync + 'static,
) {
    let place = TempDir::new().unwrap();
    let fake = at_first(count, does);
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    check_taken(&edge.post_envelope(&[], &event(7)), 7);
    emptied(&edge);
    let seen = ids(&fake.requests());
    assert!(seen.iter().all(|number| *number == 7), "{seen:?}");
    let row = booked(&edge, "error");
    assert_eq!(row["forwarded"], 1, "{row}");
    assert_eq!(row["dropped"], json!({}), "{row}");
}

fn an_outage_is_no_answer() {
    for status in [502, 503, 504] {
        check_kept(1, move |exchange| {
            exchange.read_body()?;
            exchange.answer(status, &[], b"<html>")
        });
        check_kept(1, move |exchange| {
            exchange.answer(status, &[("connection", "close")], b"")
        });
    }
}

fn what_the_upstream_says_of_an_event_is_its_answer() {
    let place = TempDir::new().unwrap();
    for status in [200, 400, 403, 413, 429, 500] {
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            exchange.answer(status, &[], b"{\"detail\":\"said\"}")
        });
        let edge = keeping(&fake.url(), place.path(), &json!({}));
        let answer = edge.post_envelope(&[], &event(1));
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["detail"], "said");
        assert_eq!(spool(&edge)["items"], 0, "{status}");
    }
}

fn a_reset_is_no_answer() {
    check_kept(1, |exchange| exchange.reset());
    check_kept(1, |exchange| {
        exchange.read_body()?;
        exchange.reset()
    });
    check_kept(1, |exchange| {
        exchange.read_body()?;
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-le")?;
        exchange.reset()
    });
    check_kept(3, |exchange| {
        exchange.read_body()?;
        Ok(Next::Close)
    });
    check_kept(1, |exchange| {
        exchange.read_body()?;
        exchange.write(b"nonsense\r\n\r\n")?;
        Ok(Next::Close)
    });
}

fn an_upstream_that_hangs_keeps_nobody_waiting() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let behind = door.clone();
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        behind.pass();
        exchange.answer(200, &[], b"{}")
    });
    let changes = json!({"upstream": {"ingest_deadline": "300ms"}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    thread::scope(|scope| {
        for number in 0..8 {
            let edge = &edge;
            scope.spawn(move || check_taken(&edge.post_envelope(&[], &event(number)), number));
        }
    });
    assert_eq!(spool(&edge)["items"], 8);
    assert_eq!(ids(&fake.requests()).len(), 8, "each was asked once");
    door.open();
    emptied(&edge);
    assert_eq!(
        ids(&fake.requests()).len(),
        8,
        "what it took in the end was not sent again"
    );
    assert_eq!(booked(&edge, "error")["forwarded"], 8);
}

/// Its queue is full, so that the system answers no SYN.
fn an_upstream_that_takes_no_connection_keeps_nobody_waiting() {
    let place = TempDir::new().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let filling =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)));
    let filling: Vec<_> = filling.collect();
    assert!(filling.iter().any(Result::is_err), "its queue is not full");
    let changes = json!({"upstream": {"ingest_deadline": "300ms", "timeouts": {"connect": "1h"}}});
    let edge = keeping(&format!("http://{address}"), place.path(), &changes);
    for number in 0..8 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    assert_eq!(spool(&edge)["items"], 8);
}

fn one_bad_address_of_two_is_spared() {
    let place = TempDir::new().unwrap();
    let bad = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(503, &[], b"{}")
    });
    let good = Fake::start();
    let changes = json!({"upstream": {"ingest": [bad.url(), good.url()]}});
    let edge = keeping(&good.url(), place.path(), &changes);
    for number in 0..100 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
    }
    emptied(&edge);
    let mut seen = ids(&good.requests());
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    let bad = bad.requests().len();
    assert!(bad < 10, "{bad} went to the one that fails");
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["upstreams"][0]["breaker"], "closed", "{status}");
}

fn an_answer_that_comes_late_is_the_end_of_it() {
    for (status, dropped, sent) in [
        (400, json!({"upstream_4xx": 1}), 1),
        (500, json!({}), 2),
        (503, json!({}), 2),
    ] {
        let (place, door) = (TempDir::new().unwrap(), Door::default());
        let behind = door.clone();
        let fake = at_first(1, move |exchange| {
            exchange.read_body()?;
            behind.pass();
            exchange.answer(status, &[("content-type", "application/json")], b"{}")
        });
        let changes = json!({"upstream": {"ingest_deadline": "300ms"}});
        let edge = keeping(&fake.url(), place.path(), &changes);
        check_taken(&edge.post_envelope(&[], &event(1)), 1);
        door.open();
        emptied(&edge);
        assert_eq!(ids(&fake.requests()).len(), sent, "{status}");
        assert_eq!(booked(&edge, "error")["dropped"], dropped, "{status}");
    }
}

fn a_client_that_leaves_loses_nothing() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let behind = door.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        if count.fetch_add(1, SeqCst) == 0 {
            behind.pass();
            return exchange.reset();
        }
        exchange.answer(200, &[], b"{}")
    });
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    let mut client = edge.connect();
    client.send(&request("POST", &envelope_target(), &[], &event(3)));
    arrived(&fake, 1);
    client.reset();
    thread::sleep(Duration::from_millis(50));
    door.open();
    let requests = arrived(&fake, 2);
    assert_eq!(ids(&requests), [3, 3]);
    emptied(&edge);
    assert_eq!(booked(&edge, "error")["forwarded"], 1);
}

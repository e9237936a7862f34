//! Clients that leave: after their body, amid it, by one half, by reset. An event
//! whose body was whole is never lost with its client, and half a body never
//! arrives as if it were whole.

use libtest_mimic::Trial;

use crate::client::{Client, request};
use crate::edge::{Edge, dump_target};
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Door, Ended, Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_client_that_leaves_after_its_body_loses_nothing,
        a_client_that_closes_one_half_gets_its_answer,
        a_client_that_leaves_amid_its_body_aborts_the_upstream,
        a_client_that_leaves_amid_its_answer_counts_as_gone,
    ]
}

fn a_client_that_leaves_after_its_body_loses_nothing() {
    for bytes in [5, 60_000, 200_000] {
        // A reset throws away what its sender had not sent yet: only a body that fits any
        // window has left for sure.
        for by_reset in [false, true]
            .into_iter()
            .filter(|by_reset| !by_reset || bytes == 5)
        {
            let gone = Door::default();
            let fake = {
                let gone = gone.clone();
                // Reads the body only when the client has gone, and has no room for it before.
                Silent::reserve().narrow().listen(move |exchange| {
                    gone.pass();
                    exchange.read_body()?;
                    exchange.answer(200, &[], b"{}")
                })
            };
            let edge = Edge::before(&fake);
            let body = patterns::slice(5, 0, bytes);
            let mut client = edge.connect();
            client.send(&request("POST", &dump_target(), &[], &body));
            fake.wait_for("the head", |ledger| ledger.requests.first().map(|_| ()));
            if by_reset {
                client.reset();
            } else {
                drop(client);
            }
            edge.wait_metric("vidette_connections_total", &[], 1.0);
            // One answer from the same worker: it has looked at its sockets since.
            assert_eq!(
                edge.ask("OPTIONS", "/api/42/envelope/", &[], b"").status,
                200
            );
            gone.open();
            let seen = fake.ended_request();
            assert_eq!(
                seen.ended,
                Ended::Whole,
                "{bytes} bytes, reset {by_reset}: cut off with its client"
            );
            assert!(seen.body == body, "{bytes} bytes, reset {by_reset}");
        }
    }
}

fn a_client_that_closes_one_half_gets_its_answer() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for target in [dump_target(), "/web".to_owned()] {
        let mut client = edge.connect();
        client.send(&request(
            "POST",
            &target,
            &[],
            &patterns::slice(6, 0, 100_000),
        ));
        client.finish_sending();
        assert_eq!(client.answer_to("POST").status, 200, "{target}");
        client.expect_close();
    }
    assert!(
        fake.requests()
            .iter()
            .all(|seen| seen.body_bytes == 100_000)
    );
}

fn a_client_that_leaves_amid_its_body_aborts_the_upstream() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut left = 0.0;
    for target in [dump_target(), "/web".to_owned()] {
        // Below and beyond what is read before the upstream is dialled.
        for (sent, announced) in [(1000, "2000"), (3 << 20, "4000000")] {
            for by_reset in [false, true] {
                for framing in [
                    ("Content-Length", announced),
                    ("Transfer-Encoding", "chunked"),
                ] {
                    let mut client = edge.connect();
                    client.send(&request("POST", &target, &[framing], b""));
                    let piece = patterns::slice(7, 0, sent);
                    if framing.0 == "Transfer-Encoding" {
                        client.send(format!("{sent:x}\r\n").as_bytes());
                    }
                    client.send(&piece);
                    // A reset destroys what was not read yet: it must have begun.
                    let began = &["outcome=\"ok\""];
                    edge.wait_metric("vidette_connections_total", began, left + 1.0);
                    if by_reset {
                        client.reset();
                    } else {
                        drop(client);
                    }
                    left += 1.0;
                    edge.wait_metric("vidette_requests_total", &["outcome=\"aborted\""], left);
                }
            }
        }
    }
    fake.wait_for("every body's end", |ledger| {
        ledger
            .requests
            .iter()
            .all(|seen| seen.ended != Ended::Open)
            .then_some(())
    });
    let whole: Vec<_> = fake
        .requests()
        .into_iter()
        .filter(|seen| seen.ended == Ended::Whole)
        .collect();
    assert!(
        whole.is_empty(),
        "half a body arrived as if whole: {:?}",
        whole.iter().map(|seen| seen.body_bytes).collect::<Vec<_>>()
    );
}

/// Counted as delivered, a download that half of all clients break off looks well.
fn a_client_that_leaves_amid_its_answer_counts_as_gone() {
    let page = patterns::slice(8, 0, 8 << 20);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match exchange.request.target_text().contains("chunks") {
            true => exchange.answer_chunked(200, &[], &page),
            false => exchange.answer(200, &[], &page),
        }
    });
    let edge = Edge::before(&fake);
    let mut left = 0.0;
    for word in ["length", "chunks"] {
        for target in [format!("{}&{word}", dump_target()), format!("/web?{word}")] {
            let mut client = Client::connect_narrow(edge.public);
            client.send(&request("POST", &target, &[], b"{}\n"));
            assert_eq!(client.head().unwrap().0, 200, "{target}");
            client.reset();
            left += 1.0;
            edge.wait_metric("vidette_requests_total", &[], left);
            let gone = edge.metric("vidette_requests_total", &["outcome=\"aborted\""]);
            assert!((gone - left).abs() < 0.5, "{target}: {gone} of {left}");
        }
    }
    fake.wait_for("every connection to be closed", |ledger| {
        (ledger.open == 0).then_some(())
    });
}

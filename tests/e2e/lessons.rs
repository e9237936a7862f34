//! What the upstream's answers teach about those who send, and what an attacker
//! cannot make them teach about others.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Answer, request};
use crate::edge::{Edge, envelope_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::upstream::{Door, Fake};

const REFUSAL: &[u8] = br#"{"detail":"not allowed"}"#;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_page_cannot_have_another_refused,
        a_success_counts_before_its_body_is_here,
        a_line_that_goes_on_behind_the_look_is_refused,
    ]
}

fn learning(fake: &Fake) -> Edge {
    let changes = json!({"keys": {"mode": "learn"}});
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn post(edge: &Edge, headers: &[(&str, &str)]) -> Answer {
    edge.post_envelope(headers, b"{}\n{\"type\":\"session\"}\n{}")
}

/// An upstream that refuses the page at evil.example, however its address is written, and
/// reads the last of two origins.
fn a_page_cannot_have_another_refused() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let headers = &exchange.request.headers;
        let last = |name| headers.all(name).pop();
        let page = last("origin").or_else(|| last("referer"));
        let evil = page.is_some_and(|page| page.contains("evil"));
        match evil {
            true => exchange.answer(403, &[], REFUSAL),
            false => exchange.answer(200, &[], b"{}"),
        }
    });
    let (shop, evil) = ("https://shop.example", "https://evil.example");
    for (attack, victim) in [
        // Odd spellings: no origin to us, one to a lenient reader.
        (&[("origin", "http:/evil.example")][..], &[][..]),
        (&[("origin", "https://evil%2eexample")], &[]),
        (
            &[("origin", "http:/evil.example"), ("referer", shop)],
            &[("referer", shop)],
        ),
        // What we judged by, taken away from the upstream.
        (
            &[
                ("origin", shop),
                ("referer", evil),
                ("connection", "origin"),
            ],
            &[("origin", shop)],
        ),
        (&[("origin", shop), ("origin", evil)], &[("origin", shop)]),
    ] {
        let edge = learning(&fake);
        for _ in 0..4 {
            post(&edge, attack);
        }
        let answer = post(&edge, victim);
        assert_eq!(answer.status, 200, "{attack:?}: {}", answer.text());
    }
}

fn a_success_counts_before_its_body_is_here() {
    let read = Door::default();
    let fake = {
        let read = read.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            if exchange.request.headers.one("x-late").is_none() {
                return exchange.answer(403, &[], REFUSAL);
            }
            exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")?;
            read.pass();
            exchange.write(b"{}")?;
            Ok(Next::KeepAlive)
        })
    };
    let edge = learning(&fake);
    post(&edge, &[]);
    post(&edge, &[]);
    let mut client = edge.connect();
    let late = request("POST", &envelope_target(), &[("x-late", "1")], b"{}\n");
    client.send(&late);
    assert_eq!(client.head().unwrap().0, 200);
    read.open();
    client.skip(2);
    // The streak began anew, so that this is its first refusal and not its third.
    post(&edge, &[]);
    post(&edge, &[]);
    let reached = fake.requests().len();
    assert_eq!(
        reached, 5,
        "the success between two refusals was not learned"
    );
}

fn a_line_that_goes_on_behind_the_look_is_refused() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut line = br#"{"a":""#.to_vec();
    line.resize((64 << 10) - 2, b'x');
    line.extend_from_slice(b"\"}");
    let item = b"{\"type\":\"attachment\"}\n";
    for (rest, status) in [(&b"\n"[..], 200), (b" {}\n", 400)] {
        let mut body = [line.as_slice(), rest, item].concat();
        body.resize(300_000, b'y');
        let whole = request("POST", &envelope_target(), &[], &body);
        let begun = whole.len() - body.len() + line.len();
        let mut client = edge.connect();
        client.send(&whole[..begun]);
        client.try_send(&whole[begun..]).ok();
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

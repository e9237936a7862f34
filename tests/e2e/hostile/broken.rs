//! Clients that break the protocol, or what it carries: heads without an end, framing that two
//! hops could read differently, bodies that unpack without end, connections reset amid all.

use std::net::TcpStream;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use socket2::SockRef;

use super::siege::{ATTACKER, Siege};
use crate::client::{Client, connect_from, request};
use crate::edge::{dump_target, envelope_target};
use crate::framing::AMBIGUOUS;
use crate::line_one::Packing;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        heads_without_an_end,
        smuggled_requests,
        bombs,
        resets,
    ]
}

fn heads_without_an_end() {
    const COUNT: u32 = 300;
    let siege = Siege::before(Fake::start(), json!({}));
    let line = format!("X-And: {}\r\n", "x".repeat(1000));
    let told = siege.under("heads of 1 MiB", u64::from(COUNT), |edge, _| {
        for _ in 0..COUNT {
            let mut client = Client::connect_from(ATTACKER, edge.public);
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", line.repeat(1000));
            drop(client.try_send(head.as_bytes()));
            let answer = client.try_answer_to("GET");
            // Where a mebibyte is on its way, the answer may be lost to a reset.
            assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
        }
    });
    told.counted("vidette_items_total", "headers_too_large", COUNT);
}

fn smuggled_requests() {
    const ROUNDS: u32 = 20;
    let siege = Siege::before(Fake::start(), json!({}));
    let count = ROUNDS * u32::try_from(AMBIGUOUS.len()).unwrap();
    let told = siege.under("ambiguous framing", u64::from(count), |edge, _| {
        for (what, lines) in std::iter::repeat_n(AMBIGUOUS, ROUNDS as usize).flatten() {
            let mut client = Client::connect_from(ATTACKER, edge.public);
            let target = dump_target();
            let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send(format!("{head}{smuggled}").as_bytes());
            let answer = client.answer_to("POST");
            assert!(
                matches!(answer.status, 400 | 501),
                "{what}: {}",
                answer.status
            );
            client.expect_close();
        }
    });
    told.fake.look(|ledger| {
        let mut seen = ledger.requests.iter();
        assert!(seen.all(|seen| !seen.target_text().contains("smuggled")));
    });
    told.counted("vidette_requests_total", "refused", count);
}

/// The same envelope as the others', 64 MiB of zeros in an attachment, from Node's own encoder:
/// no crate of this project packs brotli.
const BROTLI_BOMB: &str = "cbffff3fc01e0976ecc42a1ae42b2324996d001db93d2992d3d70a656e74c02107acdf89024e28712b05034dba44905e6e945d6cf202065ac6fbe4fd1ff1ffff0ffe0980382c02d0bdffe3ffff1ffc1300715800a07bffc7ffff3ff82700e2b00040f7fe8fffff7ff04f00c4610180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500baf77ffcffff837f02200e0b0074efffa20400ff04403411001c";

fn bombs() {
    const ROUNDS: u32 = 10;
    // A field that no client may set: the edge has to unpack it all.
    let open = b"{\"retention\":9}\n{\"type\":\"attachment\"}\n";
    let zeros = [&open[..], &vec![0; 64 << 20]].concat();
    let digits = BROTLI_BOMB.as_bytes().chunks(2);
    let brotli: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let members = crate::patterns::gzip(&vec![0; 16 << 20]).repeat(4);
    let gzip = [Packing::Gzip.pack(open), members].concat();
    let packed = [
        // In members, as the fastest packing of all at once is not small enough to be one.
        (Packing::Gzip, gzip),
        (Packing::Zstd, Packing::Zstd.pack(&zeros)),
        (Packing::Brotli, brotli.unwrap()),
    ];
    drop(zeros);
    let siege = Siege::before(Fake::start(), json!({}));
    let count = ROUNDS * u32::try_from(packed.len()).unwrap();
    let told = siege.under("bombs of 64 MiB", u64::from(count), |edge, _| {
        for (packing, body) in std::iter::repeat_n(&packed, ROUNDS as usize).flatten() {
            let mut client = Client::connect_from(ATTACKER, edge.public);
            client.send(&request(
                "POST",
                &envelope_target(),
                packing.headers(),
                body,
            ));
            let answer = client.answer_to("POST");
            let cause = answer.json()["causes"][0].clone();
            assert_eq!((answer.status, cause), (413, json!("bomb")), "{packing:?}");
        }
    });
    told.counted("vidette_items_total", "bomb", count);
}

fn resets() {
    const COUNT: u32 = 5000;
    let siege = Siege::before(Fake::start(), json!({}));
    let told = siege.under("connections reset", u64::from(COUNT), |edge, _| {
        let whole = request("POST", &envelope_target(), &[], &[b'x'; 2000]);
        for n in 0..COUNT as usize {
            let mut socket: TcpStream = connect_from(ATTACKER, edge.public).unwrap();
            // A seeded length: nothing, a piece of the head, of the body, or all.
            let bytes = &whole[..(n * 7919) % whole.len()];
            std::io::Write::write_all(&mut socket, bytes).unwrap();
            SockRef::from(&socket)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    });
    told.counted("vidette_requests_total", "aborted", 1);
}

//! How an upstream's answer ends, and what becomes of its connection: what HTTP/1
//! allows crosses whole, what two hops could read differently does not, and nobody
//! is given another's answer. Never about what an answer says.

use std::time::Duration;

use libtest_mimic::Trial;

use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Door, Ended, Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        interim_answers_do_not_cross,
        answers_without_a_body_leave_their_connection_in_order,
        extensions_and_trailers_of_chunks_do_not_cross,
        an_answer_in_small_pieces_is_whole,
        old_answers_end_with_their_connection,
        answers_framed_in_two_ways_are_refused,
        a_second_answer_is_nobodys,
        bytes_on_an_idle_connection_are_nobodys,
        a_body_behind_an_answer_that_has_none_is_nobodys,
        a_slow_reader_of_an_events_answer_gets_all_of_it,
        a_body_that_was_answered_early_still_arrives,
    ]
}

/// How long a fake waits between two pieces, so that they are read one by one.
const PACE: Duration = Duration::from_millis(1);

/// A fake that reads each request and writes the pieces for it.
fn telling(pieces: impl Fn(&str) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Fake {
    Fake::with(move |exchange| {
        exchange.read_body()?;
        for (number, piece) in pieces(&exchange.request.target_text()).iter().enumerate() {
            if number > 0 {
                std::thread::sleep(PACE);
            }
            exchange.write(piece)?;
        }
        Ok(Next::KeepAlive)
    })
}

/// An event's target, and a page's, both with a word in them.
fn targets(word: &str) -> [String; 2] {
    [
        format!("{}&{word}", envelope_target()),
        format!("/web?{word}"),
    ]
}

fn interim_answers_do_not_cross() {
    let fake = telling(|target| {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        match target.contains("apart") {
            true => answer.chunks(40).map(<[u8]>::to_vec).collect(),
            false => vec![answer.to_vec()],
        }
    });
    let edge = Edge::before(&fake);
    for target in targets("apart").iter().chain(&targets("together")) {
        let answer = edge.ask("POST", target, &[], b"{}\n");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "{}"),
            "{target}"
        );
        assert_eq!(answer.interim, [0_u16; 0], "{target}");
        assert_eq!(answer.header("link"), None, "{target}");
    }
    assert_eq!(
        fake.look(|ledger| ledger.accepted),
        2,
        "one for each upstream"
    );
}

fn answers_without_a_body_leave_their_connection_in_order() {
    let fake = telling(|target| {
        let head = match target {
            "/web?204" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/web?304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: x\r\n\r\n",
            "/web?head" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            "/web?none" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole",
        };
        vec![head.as_bytes().to_vec()]
    });
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for (method, word, status) in [
        ("GET", "204", 204),
        ("GET", "304", 304),
        ("HEAD", "head", 200),
        ("GET", "none", 200),
    ] {
        client.send(&request(method, &format!("/web?{word}"), &[], b""));
        let answer = client.answer_to(method);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, ""),
            "{word}"
        );
        let length = answer.header("content-length");
        match word {
            "head" => assert_eq!(length.as_deref(), Some("5"), "its GET would have it"),
            "204" => assert_eq!(length, None),
            _ => {}
        }
        client.send(&request("GET", "/web?next", &[], b""));
        assert_eq!(client.answer_to("GET").text(), "whole", "after {word}");
    }
    assert_eq!(
        fake.look(|ledger| ledger.accepted),
        1,
        "it could serve again"
    );
}

fn extensions_and_trailers_of_chunks_do_not_cross() {
    let fake = telling(|target| {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
5;a=\"b\"\r\nhello\r\n06 ;c\r\n world\r\n0;d\r\nx-sum: 1\r\n\r\n";
        match target.contains("apart") {
            true => answer.chunks(1).map(<[u8]>::to_vec).collect(),
            false => vec![answer.to_vec()],
        }
    });
    let edge = Edge::before(&fake);
    for target in targets("apart").iter().chain(&targets("together")) {
        let answer = edge.ask("POST", target, &[], b"{}\n");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "hello world"),
            "{target}"
        );
        assert_eq!(answer.header("x-sum"), None, "{target}");
        assert_eq!(answer.header("trailer"), None, "{target}");
    }
    assert_eq!(
        fake.look(|ledger| ledger.accepted),
        2,
        "one for each upstream"
    );
}

fn an_answer_in_small_pieces_is_whole() {
    let page = patterns::slice(20, 0, 3000);
    let fake = {
        let page = page.clone();
        telling(move |_| {
            let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\nx-y: z\r\n\r\n".to_vec();
            answer.extend_from_slice(&page);
            answer.chunks(7).map(<[u8]>::to_vec).collect()
        })
    };
    let edge = Edge::before(&fake);
    for target in targets("pieces") {
        let answer = edge.ask("POST", &target, &[], b"{}\n");
        assert_eq!(answer.header("x-y").as_deref(), Some("z"));
        assert!(answer.body == page, "{target}: {} bytes", answer.body.len());
    }
}

fn old_answers_end_with_their_connection() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.write(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\nhello")?;
        Ok(Next::Close)
    });
    let edge = Edge::before(&fake);
    for (number, target) in targets("old").iter().chain(&targets("old")).enumerate() {
        let answer = edge.ask("POST", target, &[], b"{}\n");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "hello"),
            "{target}"
        );
        assert_eq!(fake.look(|ledger| ledger.accepted), number + 1, "{target}");
    }
}

fn answers_framed_in_two_ways_are_refused() {
    const HEADS: [&str; 7] = [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "content-length: 5\r\n folded: x",
    ];
    let fake = telling(|target| {
        let word = target.rsplit(['?', '&']).next().unwrap();
        let head = match word {
            "switch" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: x".to_owned(),
            "old" => "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked".to_owned(),
            number => format!(
                "HTTP/1.1 200 OK\r\n{}",
                HEADS[number.parse::<usize>().unwrap()]
            ),
        };
        vec![format!("{head}\r\n\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes()]
    });
    let edge = Edge::before(&fake);
    let numbers = (0..HEADS.len()).map(|number| number.to_string());
    let words = numbers.chain(["switch".to_owned(), "old".to_owned()]);
    let mut asked = 0;
    for word in words {
        for (target, status) in targets(&word).iter().zip([503, 502]) {
            let answer = edge.ask("POST", target, &[], b"{}\n");
            assert_eq!(answer.status, status, "{target}: {}", answer.text());
            asked += 1;
            assert_eq!(
                fake.look(|ledger| ledger.accepted),
                asked,
                "{target}: used again"
            );
        }
    }
}

fn a_second_answer_is_nobodys() {
    let fake = telling(|target| {
        let word = target.rsplit(['?', '&']).next().unwrap().to_owned();
        let length = word.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{word}");
        let second = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
        vec![format!("{answer}{second}").into_bytes()]
    });
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for word in ["first", "second", "third"] {
        for target in targets(word) {
            client.send(&request("POST", &target, &[], b"{}\n"));
            assert_eq!(client.answer_to("POST").text(), word, "{target}");
        }
    }
    assert_eq!(
        fake.look(|ledger| ledger.accepted),
        6,
        "a connection out of step was used"
    );
}

fn bytes_on_an_idle_connection_are_nobodys() {
    for more in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"[..],
        b"\r\n",
        b"x",
    ] {
        let (read, written) = (Door::default(), Door::default());
        let fake = {
            let (read, written) = (read.clone(), written.clone());
            Fake::with(move |exchange| {
                exchange.read_body()?;
                exchange.answer(200, &[], b"good")?;
                if exchange.request.connection == 0 {
                    read.pass();
                    exchange.write(more)?;
                    written.open();
                }
                Ok(Next::KeepAlive)
            })
        };
        let edge = Edge::before(&fake);
        let mut client = edge.connect();
        // Web repeats no POST: only a connection seen to be bad before it is used will do.
        client.send(&request("POST", "/web", &[], b"x"));
        assert_eq!(client.answer_to("POST").text(), "good");
        read.open();
        written.pass();
        client.send(&request("POST", "/web", &[], b"x"));
        assert_eq!(
            client.answer_to("POST").text(),
            "good",
            "{}",
            more.escape_ascii()
        );
        let seen = fake.look(|ledger| (ledger.accepted, ledger.requests.len()));
        assert_eq!(seen, (2, 2), "{}", more.escape_ascii());
    }
}

/// Its body may come late, when the next request has left already.
fn a_body_behind_an_answer_that_has_none_is_nobodys() {
    let evil = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        let target = exchange.request.target_text();
        if target.contains("length") {
            let length = evil.len();
            let head = format!("HTTP/1.1 204 No Content\r\ncontent-length: {length}\r\n\r\n");
            exchange.write(head.as_bytes())?;
        } else if target.contains("chunks") {
            exchange.write(b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n")?;
        } else {
            exchange.write(evil)?;
        }
        Ok(Next::KeepAlive)
    });
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for word in ["length", "chunks"] {
        client.send(&request("POST", &format!("/web?{word}"), &[], b"x"));
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("content-length"), None, "{word}");
        client.send(&request("POST", "/web?next", &[], b"x"));
        assert_eq!(client.answer_to("POST").text(), "evil", "its own");
    }
    assert_eq!(fake.look(|ledger| ledger.accepted), 3, "it was used again");
}

fn a_slow_reader_of_an_events_answer_gets_all_of_it() {
    let page = patterns::slice(21, 0, 1 << 20);
    let fake = {
        let page = page.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            match exchange.request.target_text().contains("chunks") {
                true => exchange.answer_chunked(200, &[], &page),
                false => exchange.answer(200, &[], &page),
            }
        })
    };
    let edge = Edge::before(&fake);
    for word in ["length", "chunks"] {
        for target in targets(word) {
            let mut client = Client::connect_narrow(edge.public);
            client.send(&request("POST", &target, &[], b"{}\n"));
            assert!(client.answer_to("POST").body == page, "{target}");
        }
    }
}

fn a_body_that_was_answered_early_still_arrives() {
    let answered = Door::default();
    let fake = {
        let answered = answered.clone();
        // Has no room for the body, and reads it only when its answer was read.
        Silent::reserve().narrow().listen(move |exchange| {
            exchange.answer(200, &[], b"{}")?;
            answered.pass();
            exchange.read_body()?;
            Ok(Next::KeepAlive)
        })
    };
    let edge = Edge::before(&fake);
    // More than any socket takes unread.
    let body = patterns::slice(22, 0, 8 << 20);
    assert_eq!(edge.ask("POST", "/web", &[], &body).status, 200);
    answered.open();
    let seen = fake.ended_request();
    assert_eq!(seen.ended, Ended::Whole, "answered, and cut off");
    assert!(seen.body == body, "{} bytes", seen.body_bytes);
}

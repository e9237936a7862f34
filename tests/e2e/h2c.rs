//! HTTP/2 without TLS, by prior knowledge: what becomes of it on its way to an
//! HTTP/1.1 upstream, and of clients that reset their streams.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use libtest_mimic::Trial;
use serde_json::json;
use tokio::net::TcpStream;

use crate::edge::{Edge, dump_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::upstream::{Door, Ended, Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        streams_are_forwarded_whole,
        cookie_crumbs_are_joined,
        bodyless_streams_gain_no_framing,
        refusals_reach_streams_that_are_still_sending,
        a_reset_after_the_body_loses_nothing,
        an_answer_that_nobody_waits_for_is_not_fetched_whole,
        a_reset_amid_the_body_aborts_the_upstream,
        forbidden_headers_do_not_cross,
        a_hundred_streams_at_once_are_served,
    ]
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(HANG, test).await.unwrap() });
}

pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (send, connection) = client::handshake(socket).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    send.ready().await.unwrap()
}

pub(crate) fn head(method: &str, target: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://sentry.example.com:8443{target}"))
}

pub(crate) async fn exchange(
    send: &mut SendRequest<Bytes>,
    head: Request<()>,
    body: Option<Bytes>,
) -> (u16, Vec<u8>) {
    let (response, mut stream) = send
        .clone()
        .ready()
        .await
        .unwrap()
        .send_request(head, body.is_none())
        .unwrap();
    if let Some(body) = body {
        stream.send_data(body, true).unwrap();
    }
    whole(response.await.unwrap()).await
}

async fn whole(response: Response<RecvStream>) -> (u16, Vec<u8>) {
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        bytes.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    (parts.status.as_u16(), bytes)
}

fn streams_are_forwarded_whole() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let body = crate::patterns::slice(2, 0, 300_000);
    run(async {
        let mut send = connect(edge.public).await;
        let event = head("POST", &dump_target())
            .header("x-forwarded-for", "203.0.113.9")
            .body(())
            .unwrap();
        assert_eq!(
            exchange(&mut send, event, Some(Bytes::copy_from_slice(&body)))
                .await
                .0,
            200
        );
        let page = head("GET", "//odd/%2f/?q=a%20b").body(()).unwrap();
        assert_eq!(exchange(&mut send, page, None).await.0, 200);
        let upload = head("POST", "/api/0/organizations/a/chunk-upload/")
            .body(())
            .unwrap();
        assert_eq!(
            exchange(&mut send, upload, Some(Bytes::copy_from_slice(&body)))
                .await
                .0,
            200
        );
    });
    let seen = fake.requests();
    assert_eq!(seen[0].target_text(), dump_target());
    assert!(
        seen[0].body == body && seen[2].body == body,
        "a body changed on its way"
    );
    assert_eq!(seen[0].headers.all("x-forwarded-for"), ["203.0.113.9"]);
    assert_eq!(seen[1].target_text(), "//odd/%2f/?q=a%20b");
    assert!(
        seen.iter()
            .all(|seen| seen.headers.all("host") == ["sentry.example.com:8443"]),
        "{seen:#?}"
    );
}

fn cookie_crumbs_are_joined() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    run(async {
        let mut send = connect(edge.public).await;
        let page = head("GET", "/")
            .header("cookie", "sentrysid=a")
            .header("cookie", "sc=b; x=y")
            .header("cookie", "z=1");
        assert_eq!(
            exchange(&mut send, page.body(()).unwrap(), None).await.0,
            200
        );
    });
    assert_eq!(
        fake.only_request().headers.all("cookie"),
        ["sentrysid=a; sc=b; x=y; z=1"]
    );
}

fn bodyless_streams_gain_no_framing() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    run(async {
        let mut send = connect(edge.public).await;
        for method in ["GET", "HEAD", "DELETE"] {
            let page = head(method, "/x").body(()).unwrap();
            assert_eq!(exchange(&mut send, page, None).await.0, 200);
        }
    });
    for seen in fake.requests() {
        let framing = [
            seen.headers.all("content-length"),
            seen.headers.all("transfer-encoding"),
        ]
        .concat();
        assert!(framing.is_empty(), "{} gained {framing:?}", seen.method);
    }
}

fn refusals_reach_streams_that_are_still_sending() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"bodies": {"ingest": "100KiB", "web": "100KiB"}}}),
    );
    run(async {
        let send = connect(edge.public).await;
        for (target, length, want) in [
            ("/api/42/store/".to_owned(), None, 401),
            (dump_target(), Some("104857600"), 413),
            ("/web".to_owned(), Some("104857600"), 413),
        ] {
            let mut request = head("POST", &target);
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let (response, mut stream) = send
                .clone()
                .ready()
                .await
                .unwrap()
                .send_request(request.body(()).unwrap(), false)
                .unwrap();
            stream
                .send_data(Bytes::from_static(b"a beginning"), false)
                .unwrap();
            let (status, body) = whole(response.await.unwrap()).await;
            assert_eq!(status, want, "{target}");
            assert!(
                serde_json::from_slice::<serde_json::Value>(&body).unwrap()["detail"].is_string()
            );
        }
        let event = head("POST", &dump_target()).body(()).unwrap();
        let status = exchange(&mut send.clone(), event, Some(Bytes::from_static(b"{}\n")))
            .await
            .0;
        assert_eq!(status, 200, "the connection is of no use any more");
    });
    assert_eq!(fake.requests().len(), 1);
}

fn a_reset_after_the_body_loses_nothing() {
    let gone = Door::default();
    let fake = {
        let gone = gone.clone();
        // Reads on only when the client has gone, and has no room for the body before.
        Silent::reserve().narrow().listen(move |exchange| {
            gone.pass();
            exchange.read_body()?;
            exchange.answer(200, &[], b"{}")
        })
    };
    let edge = Edge::before(&fake);
    // Fits the first window, so that all of it leaves at once.
    let body = crate::patterns::slice(3, 0, 60_000);
    run(async {
        let send = connect(edge.public).await;
        let event = head("POST", &dump_target()).body(()).unwrap();
        let (_response, mut stream) = send
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(event, false)
            .unwrap();
        stream
            .send_data(Bytes::copy_from_slice(&body), true)
            .unwrap();
        while fake.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let local = head("OPTIONS", "/api/42/envelope/").body(()).unwrap();
        assert_eq!(exchange(&mut send.clone(), local, None).await.0, 200);
        stream.send_reset(Reason::CANCEL);
        // An answer on another stream proves that the reset was read.
        let local = head("OPTIONS", "/api/42/envelope/").body(()).unwrap();
        assert_eq!(exchange(&mut send.clone(), local, None).await.0, 200);
        gone.open();
    });
    let seen = fake.ended_request();
    assert_eq!(
        seen.ended,
        Ended::Whole,
        "the event was cut off with its client"
    );
    assert!(seen.body == body);
}

fn an_answer_that_nobody_waits_for_is_not_fetched_whole() {
    let gone = Door::default();
    let fake = {
        let gone = gone.clone();
        let piece = crate::patterns::slice(9, 0, 1 << 20);
        Fake::with(move |exchange| {
            exchange.read_body()?;
            gone.pass();
            exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
            for _ in 0..64 {
                exchange.write(&piece)?;
            }
            exchange.hold()
        })
    };
    let edge = Edge::before(&fake);
    run(async {
        let send = connect(edge.public).await;
        let page = head("POST", "/web").body(()).unwrap();
        let (_response, mut stream) = send
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(page, false)
            .unwrap();
        stream.send_data(Bytes::from_static(b"{}"), true).unwrap();
        while fake.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        stream.send_reset(Reason::CANCEL);
        // An answer on another stream proves that the reset was read.
        let local = head("OPTIONS", "/api/42/envelope/").body(()).unwrap();
        assert_eq!(exchange(&mut send.clone(), local, None).await.0, 200);
        gone.open();
    });
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while fake.look(|ledger| ledger.open) > 0 {
        assert!(std::time::Instant::now() < deadline, "fetched for nobody");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    edge.wait_metric("vidette_requests_total", &["outcome=\"forwarded\""], 1.0);
}

fn a_reset_amid_the_body_aborts_the_upstream() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    run(async {
        let send = connect(edge.public).await;
        let event = head("POST", &dump_target()).body(()).unwrap();
        let (_response, mut stream) = send
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(event, false)
            .unwrap();
        stream
            .send_data(Bytes::from(crate::patterns::slice(4, 0, 50_000)), false)
            .unwrap();
        let local = head("OPTIONS", "/api/42/envelope/").body(()).unwrap();
        assert_eq!(exchange(&mut send.clone(), local, None).await.0, 200);
        stream.send_reset(Reason::CANCEL);
        let local = head("OPTIONS", "/api/42/envelope/").body(()).unwrap();
        assert_eq!(exchange(&mut send.clone(), local, None).await.0, 200);
        let event = head("POST", &dump_target()).body(()).unwrap();
        assert_eq!(
            exchange(&mut send.clone(), event, Some(Bytes::from_static(b"{}\n")))
                .await
                .0,
            200
        );
    });
    edge.wait_metric("vidette_requests_total", &["outcome=\"aborted\""], 1.0);
    let whole: Vec<u64> = fake
        .requests()
        .iter()
        .filter(|seen| seen.ended == Ended::Whole)
        .map(|seen| seen.body_bytes)
        .collect();
    assert_eq!(whole, [3], "half a body arrived as if whole");
}

fn forbidden_headers_do_not_cross() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    run(async {
        let mut send = connect(edge.public).await;
        let page = head("GET", "/")
            .header("te", "trailers")
            .header("expect", "100-continue")
            .header("x-kept", "1");
        assert_eq!(
            exchange(&mut send, page.body(()).unwrap(), None).await.0,
            200
        );
        // Of two hosts, each hop could take another.
        let hosts = head("GET", "/").header("host", "a").header("host", "b");
        let answer = exchange(&mut send, hosts.body(()).unwrap(), None).await;
        assert_eq!(answer.0, 400);
    });
    let seen = fake.only_request();
    assert_eq!(seen.headers.all("x-kept"), ["1"]);
    assert_eq!(
        [seen.headers.all("te"), seen.headers.all("expect")].concat(),
        Vec::<String>::new()
    );
}

fn a_hundred_streams_at_once_are_served() {
    let all_here = Door::default();
    let fake = {
        let all_here = all_here.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            all_here.pass();
            exchange.answer(200, &[], b"{}")?;
            Ok(Next::KeepAlive)
        })
    };
    let edge = Edge::before(&fake);
    run(async {
        let send = connect(edge.public).await;
        let mut streams = Vec::new();
        for _ in 0..90 {
            let mut send = send.clone().ready().await.unwrap();
            let event = head("POST", &dump_target()).body(()).unwrap();
            streams.push(tokio::spawn(async move {
                exchange(&mut send, event, Some(Bytes::from_static(b"{}\n")))
                    .await
                    .0
            }));
        }
        while fake.look(|ledger| ledger.requests.len()) < 90 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        all_here.open();
        for stream in streams {
            assert_eq!(stream.await.unwrap(), 200);
        }
    });
}

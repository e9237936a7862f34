//! One page, whatever the other side does.

use super::super::fake::{Fake, Reply, TOKEN, answer, on_a_runtime};
use super::*;
use crate::config::checked::Secret;

const PATH: &str = "/api/0/projects/";

/// Asks once, of a server that gives this reply.
async fn ask(reply: impl Fn() -> Reply + 'static) -> Result<Page, ApiError> {
    let fake = Fake::start(move |_| reply()).await;
    let mut source = fake.source();
    source.bounds.timeout = Duration::from_secs(1);
    source.bounds.answer_bytes_max = 1000;
    Line::new(&source).page(PATH, None).await
}

#[track_caller]
fn check(reply: impl Fn() -> Reply + 'static, want: ApiError) {
    let got = on_a_runtime(ask(reply));
    assert_eq!(got.unwrap_err(), want);
}

#[track_caller]
fn check_status(status: u16, headers: &'static [(&str, &str)], want: ApiError) {
    check(move || answer(status, headers, "[]"), want);
}

#[test]
fn a_request_shows_the_token_and_names_its_host() {
    on_a_runtime(async {
        let fake = Fake::start(|_| answer(200, &[], "[]")).await;
        let mut source = fake.source();
        source.prefix = "/sentry".to_owned();
        let page = Line::new(&source).page(PATH, None).await.unwrap();
        assert_eq!((page.body.as_ref(), page.next), (&b"[]"[..], None));
        let head = fake.heads.borrow()[0].to_ascii_lowercase();
        let authority = source.server.authority();
        for line in [
            "get /sentry/api/0/projects/ http/1.1".to_owned(),
            format!("host: {authority}"),
            format!("authorization: bearer {TOKEN}"),
        ] {
            assert!(head.lines().any(|found| found == line), "no {line}");
        }
    });
}

#[test]
fn a_cursor_cannot_become_anything_but_a_cursor() {
    on_a_runtime(async {
        let link = r#"<x>; rel=next; results=true; cursor="0:1&x=/../#%""#;
        let fake = Fake::start(move |_| answer(200, &[("link", link)], "[]")).await;
        let source = fake.source();
        let mut line = Line::new(&source);
        let next = line.page(PATH, None).await.unwrap().next;
        line.page(PATH, next.as_ref()).await.unwrap();
        let want = format!("{PATH}?cursor=0:1%26x%3D%2F..%2F%23%25");
        assert_eq!(fake.paths()[1], want);
    });
}

#[test]
fn every_status_but_200_has_its_own_error() {
    check_status(401, &[], ApiError::TokenRefused);
    check_status(403, &[], ApiError::TokenLacks);
    check_status(404, &[], ApiError::Missing);
    check_status(204, &[], ApiError::Unexpected(204));
    check_status(400, &[], ApiError::Unexpected(400));
}

#[test]
fn a_busy_sentry_says_how_long() {
    let busy = |status, retry_after_s: Option<u64>| ApiError::Busy {
        status,
        retry_after: retry_after_s.map(Duration::from_secs),
    };
    check_status(429, &[("retry-after", "7")], busy(429, Some(7)));
    check_status(503, &[("retry-after", "120")], busy(503, Some(120)));
    check_status(500, &[], busy(500, None));
    check_status(429, &[("retry-after", "-1")], busy(429, None));
    let date = &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")];
    check_status(429, date, busy(429, None));
}

#[test]
fn a_redirect_is_not_followed() {
    on_a_runtime(async {
        let trap = Fake::start(|_| answer(200, &[], "[]")).await;
        let to = trap.url();
        let fake = Fake::start(move |_| answer(302, &[("location", &to)], "")).await;
        let source = fake.source();
        let got = Line::new(&source).page(PATH, None).await;
        assert_eq!(got.unwrap_err(), ApiError::Unexpected(302));
        assert_eq!(trap.connections.get(), 0);
    });
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    check(|| Reply::Stall, ApiError::Line(LineError::Timeout));
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[";
    check(
        || Reply::Whole(half.to_owned()),
        ApiError::Line(LineError::Timeout),
    );
    check(
        || Reply::Last(half.to_owned()),
        ApiError::Line(LineError::Broken),
    );
    check(
        || Reply::Last(String::new()),
        ApiError::Line(LineError::Broken),
    );
    check(
        || Reply::Last("SSH-2.0-x\r\n".to_owned()),
        ApiError::Line(LineError::Broken),
    );
}

#[test]
fn an_answer_holds_as_much_as_it_may_and_no_more() {
    let body = |bytes: usize| " ".repeat(bytes);
    let page = on_a_runtime(ask(move || answer(200, &[], &body(1000))));
    assert_eq!(page.unwrap().body.len(), 1000);
    check(
        move || answer(200, &[], &body(1001)),
        ApiError::Line(LineError::TooLarge),
    );
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551612\r\n\r\n";
    check(
        || Reply::Whole(endless.to_owned()),
        ApiError::Line(LineError::TooLarge),
    );
    let chunk = format!("1f4\r\n{}\r\n", body(500));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}1\r\n \r\n0\r\n\r\n"
    );
    check(
        move || Reply::Whole(chunked.clone()),
        ApiError::Line(LineError::TooLarge),
    );
}

#[test]
fn a_link_that_cannot_be_read_fails_the_page() {
    check_status(
        200,
        &[("link", "<x>; rel=next; results=true")],
        ApiError::BadLink,
    );
}

#[test]
fn a_line_keeps_its_connection_until_the_server_closes_it() {
    on_a_runtime(async {
        let fake = Fake::start(|_| answer(200, &[], "[]")).await;
        let source = fake.source();
        let mut line = Line::new(&source);
        for _ in 0..3 {
            line.page(PATH, None).await.unwrap();
        }
        assert_eq!(fake.connections.get(), 1);

        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
        let closing = Fake::start(move |_| Reply::Last(whole.to_owned())).await;
        let source = closing.source();
        let mut line = Line::new(&source);
        for _ in 0..3 {
            line.page(PATH, None).await.unwrap();
        }
        assert_eq!(closing.connections.get(), 3);
    });
}

#[test]
fn a_token_that_no_header_can_carry_is_not_sent() {
    on_a_runtime(async {
        let fake = Fake::start(|_| answer(200, &[], "[]")).await;
        let mut source = fake.source();
        source.token = Secret::new("a\r\nb: c");
        let got = Line::new(&source).page(PATH, None).await;
        assert_eq!(got.unwrap_err(), ApiError::Line(LineError::Unaskable));
        source.token = Secret::new(TOKEN);
        source.prefix = "/a b".to_owned();
        let got = Line::new(&source).page(PATH, None).await;
        assert_eq!(got.unwrap_err(), ApiError::Line(LineError::Unaskable));
        assert_eq!(fake.connections.get(), 0);
    });
}

#[test]
fn a_port_that_nobody_listens_on_says_so() {
    on_a_runtime(async {
        let mut source = Fake::start(|_| Reply::Stall).await.source();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        source.server.port = closed.local_addr().unwrap().port();
        drop(closed);
        let got = Line::new(&source).page(PATH, None).await;
        let want = ApiError::Line(LineError::Unreachable(
            std::io::ErrorKind::ConnectionRefused,
        ));
        assert_eq!(got.unwrap_err(), want);
    });
}

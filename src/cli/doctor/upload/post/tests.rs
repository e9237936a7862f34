//! Promises about one body on its way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// Serves one connection.
fn serve(with: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || with(listener.accept().unwrap().0));
    (address, served)
}

fn post(bytes: u64) -> Post {
    Post {
        path: "/x".to_owned(),
        content_type: "text/plain",
        begins: b"abc",
        bytes,
        framing: Framing::Length,
        encoding: None,
        expects: false,
        pause: Duration::ZERO,
    }
}

fn sent(post: &Post, to: SocketAddr) -> Went {
    let place = Place::parse(&format!("http://{to}")).unwrap();
    post.send(&place, &Authorities::default()).unwrap()
}

/// Reads until the text ends so.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    read
}

const OK: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nServer: web\r\ncontent-length: 0\r\n\r\n";

#[test]
fn a_body_arrives_whole_and_begins_as_it_should() {
    let (to, served) = serve(|mut stream| {
        let head = read_until(&mut stream, b"\r\n\r\n");
        assert!(String::from_utf8_lossy(&head).contains("content-length: 200000\r\n"));
        let mut body = vec![0; 200_000];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(&body[..4], b"abc\0");
        stream.write_all(OK).unwrap();
    });
    let went = sent(&post(200_000), to);
    served.join().unwrap();
    let answer = went.answer.unwrap();
    assert_eq!((went.sent, answer.status), (200_000, 401));
    assert_eq!(answer.header("server"), Some("web"));
}

#[test]
fn chunks_and_a_pause_are_written_as_http_has_them() {
    let (to, served) = serve(|mut stream| {
        let head = read_until(&mut stream, b"\r\n\r\n");
        assert!(String::from_utf8_lossy(&head).contains("transfer-encoding: chunked\r\n"));
        let body = read_until(&mut stream, b"0\r\n\r\n");
        assert_eq!(
            body,
            b"3\r\nabc\r\n2\r\n\0\0\r\n5\r\n\0\0\0\0\0\r\n0\r\n\r\n"
        );
        stream.write_all(OK).unwrap();
    });
    let went = sent(
        &Post {
            framing: Framing::Chunked,
            pause: Duration::from_millis(1),
            ..post(10)
        },
        to,
    );
    served.join().unwrap();
    assert_eq!((went.sent, went.answer.unwrap().status), (10, 401));
}

#[test]
fn a_body_waits_to_be_asked_for_and_is_kept_where_it_is_refused() {
    let asked = Post {
        expects: true,
        ..post(3)
    };
    let (to, served) = serve(|mut stream| {
        read_until(&mut stream, b"\r\n\r\n");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        read_until(&mut stream, b"abc");
        stream.write_all(OK).unwrap();
    });
    let went = sent(&asked, to);
    served.join().unwrap();
    assert!(went.asked_for && went.answer.is_some() && went.sent == 3);
    let (to, served) = serve(|mut stream| {
        read_until(&mut stream, b"\r\n\r\n");
        stream.write_all(OK).unwrap();
    });
    let went = sent(&asked, to);
    served.join().unwrap();
    assert!(!went.asked_for && went.answer.is_some() && went.sent == 0);
}

#[test]
fn an_answer_in_the_middle_ends_it_and_so_does_a_closed_connection() {
    let slow = Post {
        pause: Duration::from_secs(60),
        ..post(10)
    };
    let (to, served) = serve(|mut stream| {
        read_until(&mut stream, b"\r\n\r\nabc\0\0");
        stream.write_all(OK).unwrap();
    });
    let went = sent(&slow, to);
    served.join().unwrap();
    assert_eq!((went.sent, went.answer.unwrap().status), (5, 401));
    let (to, served) = serve(|mut stream| {
        read_until(&mut stream, b"\r\n\r\nabc\0\0");
    });
    let went = sent(&slow, to);
    served.join().unwrap();
    assert_eq!((went.sent, went.answer), (5, None));
}

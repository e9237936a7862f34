//! A stand-in, in tests, for whatever a command talks to: an edge's admin side,
//! its public side, a proxy before it. Answers as it is told, one request a
//! connection, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    /// All values of a header; `name` in lower case.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(known, _)| known == name);
        lines.map(|(_, value)| &**value).collect()
    }
}

/// A listening stand-in; its thread ends with the test's process.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers each request with the bytes that `answer` makes of it.
    pub(super) fn start(answer: impl Fn(&Asked) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&fake.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&stream);
                asked.lock().unwrap().push(request.clone());
                stream.write_all(answer(&request).as_bytes()).unwrap();
            }
        });
        fake
    }

    /// What was asked so far, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut first = line.split(' ').map(ToOwned::to_owned);
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut asked = Asked {
        method,
        path,
        headers,
        body: String::new(),
    };
    let length = asked
        .header("content-length")
        .first()
        .map_or(0, |bytes| bytes.parse().unwrap());
    reader.take(length).read_to_string(&mut asked.body).unwrap();
    asked
}

/// An answer with these lines in its head.
pub(super) fn answer(status: &str, head: &[&str], body: &str) -> String {
    let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// An answer of the admin side.
pub(super) fn json(status: &str, body: &str) -> String {
    answer(status, &["content-type: application/json"], body)
}

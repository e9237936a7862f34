//! A client over a plain socket: it sends the bytes it is given and reads what
//! comes back. Never forms a request that its test did not spell out.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::upstream::HANG;
use crate::wire::{Framing, Headers, Wire};

/// Header lines as a test writes them.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Statuses of the 1xx answers before it.
    pub(crate) interim: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's one value.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.one(name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

/// An open connection.
pub(crate) struct Client {
    wire: Wire<TcpStream>,
}

impl Client {
    /// Connects; reads that hang fail after a generous while.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects, or says why not.
    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address)?))
    }

    /// Connects with a receive buffer so small that unread answers stay with their sender.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    /// Connects from another address of the loopback network.
    pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        Self::over(connect_from(source, address).unwrap())
    }

    /// Goes on with a connection of its test's own.
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self::over(stream)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        Self {
            wire: Wire::new(stream),
        }
    }

    /// Sends these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.wire.stream.write_all(bytes).unwrap();
    }

    /// Sends as much of these bytes as the peer takes before it closes.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.stream.write_all(bytes)
    }

    /// Reads the answer to a request with this method.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer_to(method)
            .unwrap_or_else(|error| panic!("no whole answer to {method}: {error}"))
    }

    /// Reads an answer, or says why none came.
    pub(crate) fn try_answer_to(&mut self, method: &str) -> io::Result<Answer> {
        let mut interim = Vec::new();
        loop {
            let (status, headers) = self.head()?;
            if (100..200).contains(&status) {
                interim.push(status);
                continue;
            }
            let framing = Framing::of_response(&headers, status, method)?;
            let mut body = Vec::new();
            self.wire
                .body(framing, &mut |piece| body.extend_from_slice(piece))?;
            return Ok(Answer {
                interim,
                status,
                headers,
                body,
            });
        }
    }

    /// Reads one head, be it interim or final.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Headers)> {
        let head = self.wire.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let words = head.words();
        let status = words
            .get(1)
            .and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        Ok((status.ok_or(io::ErrorKind::InvalidData)?, head.headers))
    }

    /// Reads exactly so many bytes, whatever they are.
    #[track_caller]
    pub(crate) fn bytes(&mut self, count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.wire
            .body(Framing::Length(count), &mut |piece| {
                bytes.extend_from_slice(piece)
            })
            .unwrap();
        bytes
    }

    /// Reads exactly so many bytes of a body and throws them away.
    #[track_caller]
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.wire.body(Framing::Length(bytes), &mut |_| ()).unwrap();
    }

    /// Whether an answer's first byte comes within the pace, which is for slow senders only.
    pub(crate) fn hears_within(&mut self, pace: Duration) -> bool {
        if self.wire.has_ahead() {
            return true;
        }
        self.wire.stream.set_read_timeout(Some(pace)).unwrap();
        let heard = matches!(self.wire.more(), Ok(count) if count > 0);
        self.wire.stream.set_read_timeout(Some(HANG)).unwrap();
        heard
    }

    /// Waits until the peer has closed, by FIN or reset; panics when bytes come instead.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        assert!(!self.wire.has_ahead(), "more bytes than one answer");
        match self.wire.more() {
            Ok(count) => assert_eq!(count, 0, "bytes where a close was due"),
            Err(error) => assert_eq!(
                error.kind(),
                io::ErrorKind::ConnectionReset,
                "the connection stays open"
            ),
        }
    }

    /// Ends its own half: nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.wire.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes by reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.wire.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

/// A connection from another address of the loopback network.
pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// A request's bytes with a length where there is a body.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        bytes.extend_from_slice(b"Host: sentry.example.com\r\n");
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let framed = headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
    });
    if !framed && (!body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Sends one request on a connection of its own and reads the answer.
#[track_caller]
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut client = Client::connect(address);
    client.send(&request(method, target, headers, body));
    client.answer_to(method)
}

//! One request in the hands of a fake upstream's test: read it, answer it, hold
//! it, break it. Never decides by itself.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

use crate::upstream::{Ended, KEPT_BYTES_MAX, Request, Shared};
use crate::wire::{Wire, chunked, is_cut};

/// What is to become of a connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    KeepAlive,
    Close,
    /// Closes without a byte as soon as the next request's first byte is there.
    CloseOnNextRequest,
}

/// One request in the hands of its test.
pub(crate) struct Exchange<'a> {
    /// The request's head.
    pub(crate) request: Request,
    number: usize,
    shared: &'a Shared,
    wire: &'a mut Wire<TcpStream>,
}

impl<'a> Exchange<'a> {
    /// The exchange of the ledger's request with this number, its body unread.
    pub(crate) fn new(
        request: Request,
        number: usize,
        shared: &'a Shared,
        wire: &'a mut Wire<TcpStream>,
    ) -> Self {
        Self {
            request,
            number,
            shared,
            wire,
        }
    }

    /// Reads the body to its end and remembers it.
    pub(crate) fn read_body(&mut self) -> io::Result<()> {
        self.read_body_with(&mut |_, _| ())
    }

    /// The body, once it was read.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.shared
            .note(|ledger| ledger.requests[self.number].body.clone())
    }

    /// Reads the body to its end, showing each piece with its offset.
    pub(crate) fn read_body_with(&mut self, look: &mut dyn FnMut(u64, &[u8])) -> io::Result<()> {
        let (mut kept, mut total) = (Vec::new(), 0_u64);
        let read = self.wire.body(self.request.framing, &mut |piece| {
            look(total, piece);
            total += piece.len() as u64;
            if kept.len() + piece.len() <= KEPT_BYTES_MAX {
                kept.extend_from_slice(piece);
            }
        });
        let ended = match &read {
            Ok(()) => Ended::Whole,
            Err(error) if is_cut(error) => Ended::Cut,
            Err(error) => panic!("the edge sent a body that cannot be read: {error}"),
        };
        self.shared.note(|ledger| {
            let noted = &mut ledger.requests[self.number];
            (noted.body, noted.body_bytes, noted.ended) = (kept, total, ended);
        });
        self.request.ended = ended;
        read
    }

    /// Answers with a length.
    pub(crate) fn answer(
        &mut self,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Next> {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        if self.request.method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        self.write(&bytes)?;
        Ok(Next::KeepAlive)
    }

    /// Answers in chunks.
    pub(crate) fn answer_chunked(
        &mut self,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Next> {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        bytes.extend_from_slice(&chunked(body, 1000));
        self.write(&bytes)?;
        Ok(Next::KeepAlive)
    }

    /// Writes whatever it is given.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.stream.write_all(bytes)
    }

    /// Says nothing until the edge gives up or the test ends; then closes.
    pub(crate) fn hold(&mut self) -> io::Result<Next> {
        let mut scrap = [0; 4096];
        while !self.wire.has_ahead()
            && matches!(self.wire.stream.read(&mut scrap), Ok(count) if count > 0)
        {}
        Ok(Next::Close)
    }

    /// Closes so that the edge sees a reset.
    pub(crate) fn reset(&mut self) -> io::Result<Next> {
        SockRef::from(&self.wire.stream).set_linger(Some(Duration::ZERO))?;
        Ok(Next::Close)
    }

    /// Closes after so long without a next request.
    pub(crate) fn idle_at_most(&mut self, idle: Duration) -> io::Result<()> {
        self.wire.stream.set_read_timeout(Some(idle))
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Told\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

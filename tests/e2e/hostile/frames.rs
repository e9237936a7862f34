//! A client of HTTP/2 that sends whatever frames it is told to, and reads how it is let
//! go. Never keeps to the protocol by itself.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::client::connect_from;
use crate::upstream::HANG;

pub(super) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `GET / HTTP/2` of `a`, by the static table.
pub(crate) const GET: &[u8] = b"\x82\x86\x84\x41\x01a";
/// `POST /` of the same.
pub(super) const POST: &[u8] = b"\x83\x86\x84\x41\x01a";

/// The setting of a stream's first window.
pub(super) const INITIAL_WINDOW: u16 = 4;

/// One frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length.to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The number of the nth stream that a client opens.
pub(crate) fn nth(n: u32) -> u32 {
    2 * n + 1
}

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects and says what every client says first, with these settings.
    pub(super) fn connect(from: Ipv4Addr, address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::try_connect(from, address, settings).unwrap()
    }

    /// The same, or why not.
    pub(crate) fn try_connect(
        from: Ipv4Addr,
        address: SocketAddr,
        settings: &[(u16, u32)],
    ) -> io::Result<Self> {
        let mut socket = connect_from(from, address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(HANG))?;
        socket.set_write_timeout(Some(HANG))?;
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        socket.write_all(&frame(SETTINGS, 0, 0, &settings))?;
        Ok(Self(socket))
    }

    /// Sends as much as the edge takes before it closes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next frame's type and payload; `None`: closed.
    pub(super) fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[3], payload))
    }

    /// Reads on to the end; yields the code of the GOAWAY that was met.
    pub(crate) fn told_to_go(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, payload)) = self.next() {
            if kind == GOAWAY {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        code
    }
}

//! One answer, read from a blocking connection to its end and not beyond. Sends nothing.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use httparse::{EMPTY_HEADER, Response, Status};

/// What has not come by then hangs. Never a measure of anything.
const HANGS_AFTER: Duration = Duration::from_secs(10);
/// An answer of the stand-in, or a proxy's own page: the metrics of a thousand projects are long.
const BYTES_MAX: usize = 16 * 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// A status and what was said with it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A connection to a port of this machine.
pub(crate) fn connected(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(HANGS_AFTER))?;
    socket.set_write_timeout(Some(HANGS_AFTER))?;
    Ok(socket)
}

/// The next answer. It must announce its length, as all that are sent here do.
pub(crate) fn read(socket: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::with_capacity(1024);
    let mut piece = [0; 4096];
    while bytes.len() < BYTES_MAX {
        let come = socket.read(&mut piece)?;
        if come == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(piece.get(..come).unwrap_or_default());
        if let Some(answer) = whole(&bytes)? {
            return Ok(answer);
        }
    }
    Err(io::Error::other("an answer without an end"))
}

/// `None` until all of it has come.
fn whole(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = Response::new(&mut headers);
    let Status::Complete(head_bytes) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length: usize = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    let body = bytes.get(head_bytes..head_bytes.saturating_add(length));
    Ok(body.map(|body| Answer {
        status: head.code.unwrap_or(0),
        body: String::from_utf8_lossy(body).into_owned(),
    }))
}

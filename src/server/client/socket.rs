//! Writing to a connected socket: one message, one call.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What is no longer than this is laid together first: `send` of one piece costs the system less
/// than `sendmsg` of several, and by more than the copy.
const LAID_BYTES_MAX: usize = 4 * 1024;

thread_local! {
    static LAID: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(LAID_BYTES_MAX));
}

/// Writes several slices as one, past the file layer that `write` and `writev` walk first.
pub(crate) fn poll_send(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let sent = stream.try_io(Interest::WRITABLE, || send(stream, slices));
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

fn send(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(stream);
    let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
    match slices {
        [only] => socket.send(only),
        _ if bytes <= LAID_BYTES_MAX => LAID.with_borrow_mut(|laid| {
            laid.clear();
            slices
                .iter()
                .for_each(|slice| laid.extend_from_slice(slice));
            socket.send(laid)
        }),
        _ => socket.send_vectored(slices),
    }
}

//! The end of a client's connection: what was written arrives, whatever the client is still
//! sending. Never waits longer than a moment, and never looks into what it reads.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::client::wire::Wire;

/// How long a closing connection is read on, so that its last answer is not
/// destroyed by a reset (RFC 9112, section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are thrown away at a time. Thousands may be closing at once, and be slow.
const SCRAP_BYTES: usize = 4096;

/// What a client may still be sending as its connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    None,
    /// Something that nobody will read.
    Unread,
}

/// Closes so that what was written arrives. A client that may still be sending
/// is read on for a while: closing now would reset the connection and destroy
/// the answer in its receive buffer.
pub(crate) async fn close(mut wire: Wire, rest: Rest) {
    // TLS has its own end to say, for which a client that reads nothing has no room.
    let ended = timeout(LINGER, wire.shutdown()).await;
    if !matches!(ended, Ok(Ok(()))) || rest == Rest::None {
        return;
    }
    // Nobody looks at the rest: it stays sealed.
    let mut stream = wire.into_socket();
    let drained = timeout(LINGER, async {
        let mut scrap = vec![0; SCRAP_BYTES];
        while matches!(stream.read(&mut scrap).await, Ok(n) if n > 0) {}
    })
    .await;
    if drained.is_err() {
        // It had its two seconds: the rest is refused by a reset, not waited for.
        if let Err(error) = SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
            tracing::trace!(%error, "SO_LINGER refused");
        }
    }
}

/// Says one last thing on a socket that nothing was said on yet, and closes it.
pub(crate) async fn say_and_close(mut socket: TcpStream, answer: &str) {
    let said = timeout(LINGER, socket.write_all(answer.as_bytes())).await;
    if matches!(said, Ok(Ok(()))) {
        close(Wire::Clear(socket), Rest::Unread).await;
    }
}

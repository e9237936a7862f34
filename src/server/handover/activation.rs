//! Sockets that a service manager has bound and passes to the process it starts, by the protocol
//! of sd_listen_fds(3). Takes them, and says which of them are of no use here. Never asks for
//! them by name: an address says enough.

use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use super::sockets::{Heirloom, Inherited};

/// All sockets that were passed to this process; none where nobody has. To be called once, before
/// anything else opens a descriptor.
pub(crate) fn sockets() -> Inherited {
    let mut inherited = Inherited::default();
    let passed = match sd_notify::listen_fds_with_names() {
        Ok(passed) => passed,
        Err(error) => {
            tracing::warn!(%error, "LISTEN_FDS cannot be read: the sockets of the service manager are not taken");
            return inherited;
        }
    };
    for (number, name) in passed {
        match heirloom(owned(number)) {
            Some(one) => inherited.add(one),
            None => tracing::warn!(
                name,
                descriptor = number,
                "what the service manager passes here is no listening TCP socket: it is not used"
            ),
        }
    }
    inherited
}

/// A descriptor that the manager has left to this process.
#[expect(
    unsafe_code,
    reason = "a descriptor is inherited as a number: by the protocol, LISTEN_PID being ours, it is this process's alone"
)]
fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: sd_listen_fds(3) gives these numbers to this process and to no other part of it,
    // and this is called once for each.
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn heirloom(socket: OwnedFd) -> Option<Heirloom> {
    let listens = socket_acceptconn(&socket).is_ok_and(|listens| listens);
    let streams = socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM);
    if !listens || !streams {
        return None;
    }
    let socket = TcpListener::from(socket);
    // A socket of another family has no such address.
    let bound = socket.local_addr().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(Heirloom {
        configured: bound,
        bound,
        sockets: vec![socket],
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listening_socket_is_taken_and_nothing_else() {
        let listens = TcpListener::bind("127.0.0.1:0").unwrap();
        let bound = listens.local_addr().unwrap();
        let taken = heirloom(listens.into()).unwrap();
        assert_eq!((taken.configured, taken.bound), (bound, bound));
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(heirloom(udp.into()).is_none());
        let place = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(place.path().join("socket")).unwrap();
        assert!(heirloom(unix.into()).is_none());
        assert!(heirloom(tempfile::tempfile().unwrap().into()).is_none());
    }
}

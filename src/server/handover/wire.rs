//! How frames lie on the sockets of a hand-over: a kind, a length, a payload, and descriptors
//! that travel beside its first byte. Owns their limits; never knows what they mean.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the kind: [`Kind`] |
//! | 1 | how many descriptors come with it |
//! | 2 | 0 |
//! | 4 | the payload's length, little endian |
//! | | the payload |

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors that one frame may bring: the system takes 253 at once.
pub(super) const FILES_MAX: usize = 200;

/// The longest payload: a request as large as all that may wait for the spool.
pub(super) const PAYLOAD_BYTES_MAX: usize = 80 << 20;

const HEAD_BYTES: usize = 8;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal,)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            const fn number(self) -> u8 {
                match self { $(Self::$kind => $number,)* }
            }

            const fn of(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)* _ => None }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind,)*];
        }
    };
}

kinds! {
    /// Who speaks, and by which protocol.
    Hello = 1,
    /// Why nothing comes of it, in words.
    Refused = 2,
    /// Nothing comes of it now.
    Busy = 3,
    /// An address, with its sockets.
    Sockets = 4,
    /// Those were all.
    All = 5,
    /// Asks for what only one can have.
    Yield = 6,
    /// The books.
    Books = 7,
    /// Requests of the spool that are under way.
    Going = 8,
    /// What only one can have is free; with the socket of the post.
    Yielded = 9,
    /// The heir serves.
    Serving = 10,
    /// What was used of quotas since.
    Spent = 11,
    /// What Sentry has yet to be told of.
    Reports = 12,
    /// The last word.
    Gone = 13,
    /// A request to be kept.
    Keep = 20,
    /// What became of one that is kept.
    End = 21,
    /// Those before it are waited for.
    Flush = 22,
    /// What came of a `Keep`.
    Kept = 23,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub payload: Vec<u8>,
    /// What came with it.
    pub files: Vec<OwnedFd>,
}

/// Sends a frame whose payload lies in pieces. Waits for as long as the socket's own time allows.
///
/// # Errors
/// The other side is gone, or does not read; or it is too long.
pub(crate) fn send(
    mut stream: &UnixStream,
    kind: Kind,
    payload: &[&[u8]],
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    if length > PAYLOAD_BYTES_MAX || files.len() > FILES_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let count = u8::try_from(files.len()).map_err(io::Error::other)?;
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut head = [0; HEAD_BYTES];
    let fields = [kind.number(), count, 0, 0].into_iter();
    for (byte, field) in head.iter_mut().zip(fields.chain(length.to_le_bytes())) {
        *byte = field;
    }
    let sent = send_head(stream, &head, files)?;
    stream.write_all(head.get(sent..).unwrap_or_default())?;
    for piece in payload {
        stream.write_all(piece)?;
    }
    Ok(())
}

fn send_head(stream: &UnixStream, head: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let head = [IoSlice::new(head)];
    loop {
        match sendmsg(stream, &head, &mut beside, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Receives the next frame; `None`: the other side has ended between two. Waits for as long as
/// the socket's own time allows.
///
/// # Errors
/// What comes is no frame, or breaks off, or nothing comes.
pub(crate) fn receive(mut stream: &UnixStream) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD_BYTES];
    let mut files = Vec::new();
    let first = receive_head(stream, &mut head, &mut files)?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(head.get_mut(first..).unwrap_or_default())?;
    let [kind, count, _, _, length @ ..] = head;
    let odd = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let kind = Kind::of(kind).ok_or_else(|| odd("a frame of an unknown kind"))?;
    if usize::from(count) != files.len() {
        return Err(odd(
            "descriptors are missing; is the limit on open files too low?",
        ));
    }
    let length = u32::from_le_bytes(length);
    if usize::try_from(length).is_ok_and(|length| length > PAYLOAD_BYTES_MAX) {
        return Err(odd("a frame that is too long"));
    }
    let mut payload = Vec::new();
    // Grows with what comes: a length alone takes no memory.
    let read = stream.take(length.into()).read_to_end(&mut payload)?;
    if u32::try_from(read) != Ok(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Frame {
        kind,
        payload,
        files,
    }))
}

/// Receives a head, or some of it, and what comes beside it.
fn receive_head(
    stream: &UnixStream,
    head: &mut [u8],
    files: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(head)];
    let received = loop {
        match recvmsg(stream, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::thread;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (UnixStream, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        for end in [&one, &other] {
            end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        (one, other)
    }

    /// What a reader makes of these bytes and the end behind them.
    fn read(bytes: &[u8]) -> io::Result<Option<Frame>> {
        let (mut one, other) = pair();
        thread::scope(|scope| {
            // Who reads no further lets the writer fail.
            scope.spawn(move || drop(one.write_all(bytes)));
            receive(&other)
        })
    }

    #[test]
    fn descriptors_come_with_their_frame_and_are_the_same_files() {
        let (one, other) = pair();
        let files: Vec<File> = (0..3)
            .map(|number| {
                let mut file = tempfile::tempfile().unwrap();
                write!(file, "{number}").unwrap();
                file
            })
            .collect();
        let borrowed: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        send(&one, Kind::Hello, &[b"none"], &[]).unwrap();
        send(&one, Kind::Sockets, &[b"t", b"wo"], &borrowed[..2]).unwrap();
        send(&one, Kind::All, &[], &borrowed[2..]).unwrap();
        drop(one);
        let mut seen = Vec::new();
        while let Some(frame) = receive(&other).unwrap() {
            for file in frame.files {
                let mut text = [0];
                rustix::io::pread(&file, &mut text, 0).unwrap();
                seen.push((frame.payload.len(), text[0]));
            }
        }
        assert_eq!(seen, [(3, b'0'), (3, b'1'), (0, b'2')]);
    }

    #[test]
    fn more_than_a_frame_may_bring_is_not_sent() {
        let (one, _other) = pair();
        let file = tempfile::tempfile().unwrap();
        let files = vec![file.as_fd(); FILES_MAX + 1];
        assert!(send(&one, Kind::Sockets, &[], &files).is_err());
        let long = vec![0; PAYLOAD_BYTES_MAX + 1];
        assert!(send(&one, Kind::Keep, &[&long], &[]).is_err());
    }

    #[test]
    fn as_many_as_a_frame_may_bring_come() {
        let (one, other) = pair();
        let file = tempfile::tempfile().unwrap();
        send(&one, Kind::Sockets, &[], &vec![file.as_fd(); FILES_MAX]).unwrap();
        let frame = receive(&other).unwrap().unwrap();
        assert_eq!(frame.files.len(), FILES_MAX);
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_takes_no_memory() {
        #[track_caller]
        fn check(bytes: &[u8]) {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        assert!(read(b"").unwrap().is_none(), "an end between two frames");
        check(b"GET / HTTP/1.1\r\n\r\n");
        check(&[0; 8]);
        check(&[1, 0, 0]);
        check(&[1, 0, 0, 0, 4, 0, 0, 0, b'a']);
        check(&[1, 0, 0, 0, 255, 255, 255, 255]);
        check(&[4, 1, 0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn frames_come_as_they_were_sent(
            sent in prop::collection::vec(
                (prop::sample::select(Kind::ALL), prop::collection::vec(any::<u8>(), 0..200_000)),
                0..5,
            ),
        ) {
            let (one, other) = pair();
            let received = thread::scope(|scope| {
                let sent = &sent;
                scope.spawn(move || {
                    for (kind, payload) in sent {
                        let (front, back) = payload.split_at(payload.len() / 3);
                        send(&one, *kind, &[front, back], &[]).unwrap();
                    }
                });
                let mut received = Vec::new();
                while let Some(frame) = receive(&other).unwrap() {
                    received.push((frame.kind, frame.payload));
                }
                received
            });
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn rubbish_is_never_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(read(&bytes));
        }
    }
}

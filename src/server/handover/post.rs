//! Requests that an elder has yet to keep, and what became of those that it had kept, on their
//! way to the heir's spool. Owns how they are written; the elder answers its client once the
//! heir has said that it keeps a request, which is once it is on disk there.
//!
//! A `Keep` is, all numbers little endian, with the file of a large body beside it:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 1: its end is told |
//! | 8 | the project that it counts for; 0: none |
//! | 8 | the length of the body's file; 0: the body is here |
//! | 4 | the length of the next |
//! | | what stands before a body in a record of the spool (`spool::parcel`) |
//! | | the body, unless it lies in a file |
//!
//! Answers come in the order of the `Keep`s, once a `Flush` asks for them: so many share one
//! sync of the heir's disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::sync::oneshot;

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::server::delivery::spill::{DiskBudget, Spill};
use crate::server::delivery::tee::Copied;
use crate::server::spool::parcel::{self, Parcel};
use crate::server::spool::{Due, End, Kept, NotKept, Spool};

use super::wire::{Frame, Kind, receive, send};

/// How long the heir may take to keep what is brought: it may still be reading what it took over.
const PATIENCE: Duration = Duration::from_secs(15);

/// The elder's side.
#[derive(Debug)]
pub(crate) struct Post(UnixStream);

/// What came of a request.
pub(crate) type Answered = Result<Kept, NotKept>;

impl Post {
    /// Two ends: one for each.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub(crate) fn pair() -> io::Result<(Self, UnixStream)> {
        let (own, theirs) = UnixStream::pair()?;
        own.set_read_timeout(Some(PATIENCE))?;
        own.set_write_timeout(Some(PATIENCE))?;
        Ok((Self(own), theirs))
    }

    /// Sends a request to be kept.
    ///
    /// # Errors
    /// The heir is gone, or takes nothing.
    pub(crate) fn keep(&self, parcel: &Parcel, due: Due) -> io::Result<()> {
        // Only a file has anything to vouch for it yet.
        let front = parcel::write(parcel, u32::MAX);
        let (chunks, file) = match &parcel.body {
            Copied::Chunks(chunks) => (Some(chunks), None),
            Copied::File(spill) => (None, Some(spill.file())),
        };
        let mut head = vec![u8::from(due == Due::WhenTold)];
        let project = parcel.project.map_or(0, ProjectId::get);
        head.extend_from_slice(&project.to_le_bytes());
        head.extend_from_slice(&file.map_or(0, |(_, bytes)| bytes).to_le_bytes());
        let length = u32::try_from(front.len()).map_err(io::Error::other)?;
        head.extend_from_slice(&length.to_le_bytes());
        let mut pieces: Vec<&[u8]> = vec![&head, &front];
        pieces.extend(chunks.into_iter().flatten().map(Bytes::as_ref));
        let files: Vec<_> = file.iter().map(|(file, _)| file.as_fd()).collect();
        send(&self.0, Kind::Keep, &pieces, &files)
    }

    /// Says what became of a request that is kept.
    ///
    /// # Errors
    /// The heir is gone, or takes nothing.
    pub(crate) fn end(&self, kept: Kept, end: &End) -> io::Result<()> {
        let how = match end {
            End::Taken => 0,
            End::Refused(_) => 1,
            End::Again => 2,
            // The heir hears of a limit when it sends it itself.
            End::Unsent | End::Limited(_) => 3,
            End::Damaged => 4,
        };
        let number = kept.number().to_le_bytes();
        send(&self.0, Kind::End, &[&number, &[how]], &[])
    }

    /// Asks for what came of the requests so far.
    ///
    /// # Errors
    /// The heir is gone, or takes nothing.
    pub(crate) fn flush(&self) -> io::Result<()> {
        send(&self.0, Kind::Flush, &[], &[])
    }

    /// What came of the next.
    ///
    /// # Errors
    /// The heir is gone, or does not answer.
    pub(crate) fn answer(&self) -> io::Result<Answered> {
        let odd = || io::Error::from(io::ErrorKind::InvalidData);
        match receive(&self.0)? {
            Some(Frame {
                kind: Kind::Kept,
                payload,
                ..
            }) => answered(&payload).ok_or_else(odd),
            Some(_) => Err(odd()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn answered(mut payload: &[u8]) -> Option<Answered> {
    let how = payload.try_get_u8().ok()?;
    let number = payload.try_get_u64_le().ok()?;
    Some(match how {
        0 => Ok(Kept::of(number)),
        1 => Err(NotKept::Full),
        2 => Err(NotKept::Disk),
        _ => Err(NotKept::Busy),
    })
}

/// A request that was brought, and what its end is.
fn brought(frame: Frame) -> Option<(Parcel, Due)> {
    let mut rest = Bytes::from(frame.payload);
    let due = match rest.try_get_u8().ok()? {
        0 => Due::Now,
        _ => Due::WhenTold,
    };
    let project = rest.try_get_u64_le().ok()?;
    let file_bytes = rest.try_get_u64_le().ok()?;
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    if length > rest.len() {
        return None;
    }
    let (mut parcel, checksum) = parcel::reopen(rest.split_to(length))?;
    parcel.project = ProjectId::parse(project.to_string().as_bytes());
    parcel.body = match frame.files.into_iter().next() {
        None => Copied::Chunks(VecDeque::from([rest])),
        Some(file) => {
            // It was taken of the elder's budget, and lives but for a moment here.
            let budget = DiskBudget {
                taken: Arc::new(file_bytes.into()),
                bytes_max: file_bytes,
                free_floor: 0,
            };
            Copied::File(Spill::of(File::from(file), file_bytes, budget).vouched(checksum))
        }
    };
    Some((parcel, due))
}

/// What became of a request, as told.
fn ended(mut payload: &[u8]) -> Option<(Kept, End)> {
    let kept = Kept::of(payload.try_get_u64_le().ok()?);
    let end = match payload.try_get_u8().ok()? {
        0 => End::Taken,
        1 => End::Refused(Reason::Upstream4xx),
        2 => End::Again,
        4 => End::Damaged,
        _ => End::Unsent,
    };
    Some((kept, end))
}

/// Brings everything that comes to the spool, until the elder has ended, and says how many
/// requests were kept. Waits for the disk: for a thread of its own.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else comes is not what was expected"
)]
pub(super) fn bring_all(stream: &UnixStream, spool: &Spool) -> u64 {
    let mut kept = 0;
    let mut waiting = VecDeque::new();
    loop {
        match receive(stream) {
            Ok(Some(frame)) => match frame.kind {
                Kind::Keep => waiting.push_back(match brought(frame) {
                    Some((parcel, due)) => spool.bring(parcel, due),
                    None => Err(NotKept::Disk),
                }),
                Kind::End => {
                    if let Some((number, end)) = ended(&frame.payload) {
                        spool.end(number, end);
                    }
                }
                Kind::Flush => {
                    let answered = answer_all(stream, &mut waiting);
                    match answered {
                        Ok(more) => kept += more,
                        Err(error) => return broken(&error, kept),
                    }
                }
                _ => return broken(&io::ErrorKind::InvalidData.into(), kept),
            },
            Ok(None) => return kept,
            Err(error) => return broken(&error, kept),
        }
    }
}

fn broken(error: &io::Error, kept: u64) -> u64 {
    tracing::warn!(%error, "the process that hands over can bring no more requests");
    kept
}

/// A request on its way to the disk, or why it has none.
type Waiting = Result<oneshot::Receiver<Answered>, NotKept>;

fn answer_all(stream: &UnixStream, waiting: &mut VecDeque<Waiting>) -> io::Result<u64> {
    let mut kept = 0;
    for one in waiting.drain(..) {
        let answered = one.and_then(|told| told.blocking_recv().unwrap_or(Err(NotKept::Disk)));
        let (how, number) = match answered {
            Ok(number) => (0, number.number()),
            Err(NotKept::Full) => (1, 0),
            Err(NotKept::Disk) => (2, 0),
            Err(NotKept::Busy) => (3, 0),
        };
        kept += u64::from(how == 0);
        send(stream, Kind::Kept, &[&[how], &number.to_le_bytes()], &[])?;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::credentials::Key;
    use crate::policy::pair::Pair;
    use crate::server::spool::parcel::Holding;
    use crate::telemetry::ledger::Account;

    fn parcel(body: Copied) -> Parcel {
        let key = Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee").unwrap();
        let project = ProjectId::parse(b"42");
        Parcel {
            holdings: vec![Holding {
                account: Account::Project(project.unwrap()),
                category: Category::Error,
                items: 1,
                bytes: 14,
            }],
            to: Some("next".into()),
            project,
            sender: Some(Pair::new(&key, project)),
            proven: true,
            maybe_sent: true,
            envelope: None,
            head: b"POST /api/42/store/ HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            body,
        }
    }

    /// The parcel as the other side has it.
    fn carried(parcel: &Parcel, due: Due) -> (Parcel, Due) {
        let (post, other) = Post::pair().unwrap();
        post.keep(parcel, due).unwrap();
        brought(receive(&other).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_request_comes_as_it_was_sent() {
        let chunks = [&b"the "[..], b"body"].map(Bytes::from_static);
        let sent = parcel(Copied::Chunks(chunks.into()));
        let (came, due) = carried(&sent, Due::WhenTold);
        assert_eq!(due, Due::WhenTold);
        assert_eq!(came.holdings, sent.holdings);
        assert_eq!((came.project, came.sender), (sent.project, sent.sender));
        assert_eq!((came.proven, came.maybe_sent), (true, true));
        assert_eq!(came.head, sent.head);
        let Copied::Chunks(chunks) = came.body else {
            panic!("it came in a file");
        };
        assert_eq!(
            chunks.iter().flatten().copied().collect::<Vec<u8>>(),
            b"the body"
        );
    }

    #[test]
    fn a_body_in_a_file_comes_as_that_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"the body").unwrap();
        let budget = DiskBudget {
            taken: Arc::new(8.into()),
            bytes_max: 8,
            free_floor: 0,
        };
        let sent = parcel(Copied::File(Spill::of(file, 8, budget)));
        let (came, due) = carried(&sent, Due::Now);
        assert_eq!(due, Due::Now);
        let Copied::File(spill) = came.body else {
            panic!("it came without its file");
        };
        let (file, bytes) = spill.file();
        let mut text = [0; 8];
        file.read_exact_at(&mut text, 0).unwrap();
        assert_eq!((&text, bytes), (b"the body", 8));
    }

    #[test]
    fn half_of_a_request_is_none() {
        let (post, other) = Post::pair().unwrap();
        post.keep(&parcel(Copied::Chunks(VecDeque::new())), Due::Now)
            .unwrap();
        let whole = receive(&other).unwrap().unwrap().payload;
        for cut in 0..whole.len() {
            let frame = Frame {
                kind: Kind::Keep,
                payload: whole[..cut].to_vec(),
                files: Vec::new(),
            };
            assert!(brought(frame).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn ends_and_answers_come_as_they_were_told() {
        let (post, other) = Post::pair().unwrap();
        let ends = [
            End::Taken,
            End::Refused(Reason::Upstream4xx),
            End::Again,
            End::Unsent,
            End::Damaged,
        ];
        for (number, end) in (7..).zip(&ends) {
            post.end(Kept::of(number), end).unwrap();
            let told = ended(&receive(&other).unwrap().unwrap().payload);
            assert_eq!(told, Some((Kept::of(number), end.clone())));
        }
        let nowhere = Spool::default();
        post.keep(&parcel(Copied::Chunks(VecDeque::new())), Due::Now)
            .unwrap();
        post.flush().unwrap();
        let bringing = std::thread::spawn(move || bring_all(&other, &nowhere));
        assert_eq!(post.answer().unwrap(), Err(NotKept::Disk));
        drop(post);
        assert_eq!(bringing.join().unwrap(), 0);
    }

    #[test]
    fn an_heir_that_is_gone_is_an_error() {
        let (post, other) = Post::pair().unwrap();
        drop(other);
        assert!(post.flush().is_err());
        assert!(post.answer().is_err());
    }
}

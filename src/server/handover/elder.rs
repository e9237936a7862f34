//! The side that hands over: serves the hand-over socket, and knows how far the conversation
//! has come. Decides nothing of what is handed over, which is `holding`'s; whatever goes wrong
//! before the heir serves leaves this process as it was.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use tokio::net::UnixListener;
use tokio::task::spawn_blocking;

use crate::policy::quotas::Outlay;
use crate::server::holding::Holding;
use crate::server::memory::state::StateFolder;
use crate::server::spool::{Abroad, Kept};

use super::estate::{self, Books};
use super::heir::{Address, Hello, Serving, read};
use super::sockets::Heirloom;
use super::wire::{FILES_MAX, Frame, Kind, receive, send};
use super::{PROTOCOL, SOCKET};

/// How long somebody who connects may take to say who asks.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// How long an heir may take to check and bind what it needs, and then to start: it reads a
/// spool of any size.
const YIELD_WITHIN: Duration = Duration::from_secs(60);
const SERVE_WITHIN: Duration = Duration::from_secs(300);

/// How long the heir may take to read what is sent.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// Requests under way that one frame tells of.
const GOING_AT_ONCE: usize = 1 << 20;

/// The hand-over socket. Its file goes with it, unless an heir has put its own in its place.
#[derive(Debug)]
pub(crate) struct Seat {
    listener: UnixListener,
    path: PathBuf,
    folder: StateFolder,
}

impl Seat {
    /// Binds the socket, in place of what an earlier run left: the folder is locked, so nobody
    /// serves that. `None`: no process can take over from this one, and the log says why.
    pub(crate) fn take(folder: &StateFolder) -> Option<Self> {
        let path = folder.file(SOCKET);
        std::fs::remove_file(&path).ok();
        let bound = UnixListener::bind(&path).and_then(|listener| {
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Some(Self {
                listener,
                path,
                folder: folder.clone(),
            }),
            Err(error) => {
                tracing::warn!(%error, "no socket can be made in state.path: no process can take over from this one (--takeover)");
                None
            }
        }
    }

    /// Who connects next, and is of this user or root.
    async fn next(&self) -> io::Result<Peer> {
        let (stream, _) = self.listener.accept().await?;
        let peer = socket_peercred(&stream)?;
        if peer.uid != geteuid() && !peer.uid.is_root() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(WRITE_WITHIN))?;
        Ok(Peer(Arc::new(stream)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.folder.is_given_away() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// The other end. Dropped, the conversation is over.
#[derive(Debug)]
struct Peer(Arc<UnixStream>);

impl Peer {
    /// The next frame, if it comes in this time.
    async fn hear(&self, within: Duration) -> io::Result<Frame> {
        self.0.set_read_timeout(Some(within))?;
        let stream = Arc::clone(&self.0);
        let heard = spawn_blocking(move || receive(&stream)).await;
        let heard = heard.map_err(io::Error::other)??;
        heard.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn say(&self, kind: Kind, payload: Vec<u8>, files: Vec<OwnedFd>) -> io::Result<()> {
        let stream = Arc::clone(&self.0);
        let said = spawn_blocking(move || {
            let files: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
            send(&stream, kind, &[&payload], &files)
        });
        said.await.map_err(io::Error::other)?
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Who waits for a word of it on another thread waits no longer.
        self.0.shutdown(std::net::Shutdown::Both).ok();
    }
}

/// An heir that serves.
#[derive(Debug)]
pub(crate) struct Heir {
    peer: Peer,
    /// Its number.
    pub pid: u32,
    /// When it began to serve.
    since: Instant,
    /// The listeners that it did not take.
    pub dropped: Vec<usize>,
}

/// What is said at the end.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// The books, when nothing is under way.
    pub books: Books,
    /// What was used of quotas since they were handed over.
    pub spent: Vec<Outlay>,
    /// What Sentry has yet to be told of.
    pub reports: Option<Vec<u8>>,
}

impl Heir {
    /// Says all that there is left to say.
    pub(crate) async fn tell(self, words: LastWords) {
        let (pid, seconds) = (self.pid, self.since.elapsed().as_secs());
        let spent = words.spent.len();
        let said = async {
            self.peer
                .say(Kind::Books, words.books.write(), Vec::new())
                .await?;
            for piece in estate::write_spent(&words.spent) {
                self.peer.say(Kind::Spent, piece, Vec::new()).await?;
            }
            if let Some(reports) = words.reports {
                self.peer.say(Kind::Reports, reports, Vec::new()).await?;
            }
            self.peer.say(Kind::Gone, Vec::new(), Vec::new()).await
        };
        match said.await {
            Ok(()) => tracing::info!(
                pid,
                seconds,
                quotas = spent,
                "all is finished: the process that took over has the books"
            ),
            Err(error) => tracing::error!(
                %error,
                pid,
                "all is finished, but the process that took over is gone: the books go with this one"
            ),
        }
    }
}

/// Serves the socket until an heir serves in this process's place.
pub(crate) async fn wait_for_heir(seat: &Seat, holding: &Holding) -> Heir {
    loop {
        let ended = match seat.next().await {
            Ok(peer) => converse(peer, holding).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(Some(heir)) => return heir,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "somebody asked at the hand-over socket, and nothing came of it");
                // A shortage of descriptors does not become a busy loop.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// One conversation. `None`: it came to nothing, as it should.
async fn converse(peer: Peer, holding: &Holding) -> io::Result<Option<Heir>> {
    let hello = peer.hear(HELLO_WITHIN).await?;
    if hello.kind != Kind::Hello {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let asks: Hello = read(&hello)?;
    if asks.protocol != PROTOCOL {
        let refused = format!(
            "vidette {} runs, which hands over by protocol {PROTOCOL} and not by {}: stop it and start this one",
            env!("CARGO_PKG_VERSION"),
            asks.protocol
        );
        peer.say(Kind::Refused, refused.into_bytes(), Vec::new())
            .await?;
        return Ok(None);
    }
    if holding.has_elder() {
        peer.say(Kind::Busy, Vec::new(), Vec::new()).await?;
        return Ok(None);
    }
    peer.say(Kind::Hello, serde_json::to_vec(&Hello::own())?, Vec::new())
        .await?;
    let listening = holding.listening()?;
    for (admin, one) in &listening {
        for piece in pieces(one, *admin)? {
            let (payload, files) = piece;
            peer.say(Kind::Sockets, payload, files).await?;
        }
    }
    peer.say(Kind::All, Vec::new(), Vec::new()).await?;
    // An heir that finds out now that it cannot start costs nothing.
    if peer.hear(YIELD_WITHIN).await?.kind != Kind::Yield {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let pid = asks.pid;
    tracing::info!(pid, version = asks.version, "another process takes over");
    match handed_over(&peer, holding).await {
        Ok(serving) => {
            let public = listening.iter().filter(|(admin, _)| !admin);
            let bound = public.map(|(_, one)| one.bound).enumerate();
            let dropped = bound.filter(|(_, bound)| serving.dropped.contains(bound));
            Ok(Some(Heir {
                peer,
                pid,
                since: Instant::now(),
                dropped: dropped.map(|(listener, _)| listener).collect(),
            }))
        }
        Err(error) => {
            // Before anything is asked for again: it must see that nobody waits for it.
            drop(peer);
            tracing::error!(%error, pid, "the process that was to take over did not: this one goes on");
            holding.take_back().await;
            Ok(None)
        }
    }
}

/// Lets go of what only one can have, and waits until the heir serves.
async fn handed_over(peer: &Peer, holding: &Holding) -> io::Result<Serving> {
    let yielded = holding.let_go().await?;
    peer.say(Kind::Books, yielded.books.write(), Vec::new())
        .await?;
    for piece in yielded.going.chunks(GOING_AT_ONCE) {
        peer.say(Kind::Going, estate::write_going(piece), Vec::new())
            .await?;
    }
    let post = vec![OwnedFd::from(yielded.post)];
    peer.say(Kind::Yielded, Vec::new(), post).await?;
    let serving = peer.hear(SERVE_WITHIN).await?;
    if serving.kind != Kind::Serving {
        return Err(io::ErrorKind::InvalidData.into());
    }
    read(&serving)
}

/// What is let go.
#[derive(Debug)]
pub(crate) struct Yielded {
    /// The books as they stand.
    pub books: Books,
    /// What of the spool is under way here.
    pub going: Vec<(Kept, Abroad)>,
    /// The heir's end of the post.
    pub post: UnixStream,
}

/// An address with its sockets, as many frames as it takes.
fn pieces(one: &Heirloom, admin: bool) -> io::Result<Vec<(Vec<u8>, Vec<OwnedFd>)>> {
    let address = Address {
        admin,
        configured: one.configured,
        bound: one.bound,
    };
    let piece = |sockets: &[std::net::TcpListener]| {
        let files: io::Result<Vec<OwnedFd>> = sockets
            .iter()
            .map(|socket| socket.try_clone().map(OwnedFd::from))
            .collect();
        Ok((serde_json::to_vec(&address)?, files?))
    };
    one.sockets.chunks(FILES_MAX).map(piece).collect()
}

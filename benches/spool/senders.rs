//! Who sends: many keep-alive connections from one thread, each with its next request as soon as
//! its last was answered. Accepts nothing but 200: a spool that refuses must not look fast.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::event::KEY;

/// At once, as the budget has it.
pub(crate) const SENDERS: u32 = 64;

/// An answer is a head and an id.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What a body that is repeated is sent in.
const PIECE_BYTES: usize = 64 * 1024;

/// The media type of envelopes.
pub(crate) const ENVELOPE: &str = "application/x-sentry-envelope";

/// Where envelopes of the one project go.
pub(crate) fn envelope_target() -> String {
    format!("/api/42/envelope/?sentry_key={KEY}&sentry_version=7")
}

/// When they have sent enough: after so many, all together, or at this moment.
#[derive(Clone, Copy)]
pub(crate) struct Enough {
    pub(crate) requests: u64,
    pub(crate) at: Option<Instant>,
}

impl Enough {
    /// However long it takes.
    pub(crate) const fn of(requests: u64) -> Self {
        Self { requests, at: None }
    }

    fn is(self, begun: &AtomicU64) -> bool {
        let late = self.at.is_some_and(|at| Instant::now() >= at);
        late || begun.fetch_add(1, Relaxed) >= self.requests
    }
}

/// What was sent, all of it answered 200.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    pub(crate) wall: Duration,
}

/// All senders post one envelope, again and again.
pub(crate) fn post(port: u16, envelope: &[u8], enough: Enough) -> Result<Sent> {
    let bytes = u64::try_from(envelope.len()).unwrap_or(u64::MAX);
    let mut request = head(port, &envelope_target(), ENVELOPE, bytes);
    request.extend_from_slice(envelope);
    let request = Bytes::from(request);
    let begun = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let requests = runtime()?.block_on(async {
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            let (request, begun) = (request.clone(), Arc::clone(&begun));
            senders.spawn(async move {
                let mut socket = connected(port).await?;
                let mut sent = 0_u64;
                while !enough.is(&begun) {
                    socket.write_all(&request).await?;
                    answered_200(&mut socket).await?;
                    sent += 1;
                }
                Ok::<u64, anyhow::Error>(sent)
            });
        }
        all(senders).await
    })?;
    Ok(Sent {
        requests,
        wall: started.elapsed(),
    })
}

/// A body of a front and of very many bytes that say nothing.
pub(crate) struct Upload {
    /// Where it goes, from the path's slash on.
    pub(crate) target: String,
    pub(crate) media: &'static str,
    pub(crate) front: String,
    /// Behind the front.
    pub(crate) bytes: u64,
}

/// So many uploads, all at once. Yields the bytes of all their bodies.
pub(crate) fn upload(port: u16, uploads: u32, upload: &Upload) -> Result<u64> {
    let Upload { front, bytes, .. } = upload;
    let front_bytes = u64::try_from(front.len()).unwrap_or(u64::MAX);
    let (bytes, whole) = (*bytes, front_bytes + bytes);
    let mut start = head(port, &upload.target, upload.media, whole);
    start.extend_from_slice(front.as_bytes());
    let start = Bytes::from(start);
    let piece = Bytes::from(vec![b'x'; PIECE_BYTES]);
    runtime()?.block_on(async {
        let mut senders = JoinSet::new();
        for _ in 0..uploads {
            let (start, piece) = (start.clone(), piece.clone());
            senders.spawn(async move {
                let mut socket = connected(port).await?;
                socket.write_all(&start).await?;
                let mut left = usize::try_from(bytes)?;
                while left > 0 {
                    let now = piece.get(..left).unwrap_or(&piece);
                    socket.write_all(now).await?;
                    left -= now.len();
                }
                answered_200(&mut socket).await?;
                Ok::<u64, anyhow::Error>(whole)
            });
        }
        all(senders).await
    })
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// The sum of what all of them yield; the first that fails ends all.
async fn all(mut senders: JoinSet<Result<u64>>) -> Result<u64> {
    let mut sum = 0;
    while let Some(ended) = senders.join_next().await {
        sum += ended.context("a sender broke off")??;
    }
    Ok(sum)
}

async fn connected(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn head(port: u16, target: &str, media: &str, bytes: u64) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\n\
         Host: 127.0.0.1:{port}\r\n\
         Content-Type: {media}\r\n\
         User-Agent: sentry.python/2.43.0\r\n\
         X-Forwarded-For: 203.0.113.9\r\n\
         Content-Length: {bytes}\r\n\r\n"
    )
    .into_bytes()
}

/// Reads one answer to its end.
async fn answered_200(socket: &mut TcpStream) -> Result<()> {
    let mut answer = Vec::with_capacity(1024);
    loop {
        if socket.read_buf(&mut answer).await? == 0 {
            bail!("a connection was closed before its answer");
        }
        if answer.len() > ANSWER_BYTES_MAX {
            bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = head.parse(&answer)? else {
            continue;
        };
        let length = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .context("an answer without a length")?;
        let length: usize = std::str::from_utf8(length.value)?.parse()?;
        if answer.len() < head_bytes + length {
            continue;
        }
        return match head.code {
            Some(200) => Ok(()),
            code => bail!("an answer that is not 200 but {code:?}"),
        };
    }
}

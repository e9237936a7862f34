//! One HTTP request over a connection of its own, and its answer: read whole, or as it goes on.
//!
//! Owns how long a command waits and how much it reads. Never follows a
//! redirect, and keeps no connection.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::domain::reach::ReachFault;
use crate::tls::{Name, Trust};

/// How long most answers may take: a person waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest line of an answer that goes on.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Nobody was there, or nobody said anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Away {
    #[error("no connection to {0}")]
    NoConnection(String),
    #[error("no answer from {0}")]
    NoAnswer(String),
    #[error("no answer from {to} for {seconds} s")]
    Silent { to: String, seconds: u64 },
}

/// With whom TLS is spoken, and whose word about them is believed.
#[derive(Debug)]
pub(super) struct Seal {
    /// Whose word.
    pub(super) trust: Trust,
    /// Whom the certificate has to be for.
    pub(super) name: Name,
}

/// Sends the request to `to`, a `host:port`, by TLS where there is a seal, and reads the answer,
/// which has come by then.
///
/// The request goes as it is: its `Host` is the caller's business.
pub(super) fn exchange(
    to: &str,
    seal: Option<&Seal>,
    request: Request<Full<Bytes>>,
    patience: Duration,
) -> anyhow::Result<Response<Bytes>> {
    let answer = waited(patience, talk(to, seal, request))?;
    let (to, seconds) = (to.to_owned(), patience.as_secs());
    answer.ok_or(Away::Silent { to, seconds })?
}

/// Whether TLS can be agreed on with `to`, a `host:port`; nothing is asked there.
pub(super) fn reach(to: &str, seal: &Seal) -> anyhow::Result<Result<(), ReachFault>> {
    let agreed = async {
        let socket = TcpStream::connect(to).await?;
        Ok(seal.trust.reach(&seal.name, socket).await.map(drop))
    };
    match waited(PATIENCE, agreed)? {
        Some(agreed) => agreed
            .map_err(|error: std::io::Error| error)
            .with_context(|| format!("no connection to {to}")),
        None => Ok(Err(ReachFault::Timeout)),
    }
}

/// What comes of it, if it does in this time.
fn waited<F: Future>(patience: Duration, future: F) -> anyhow::Result<Option<F::Output>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("no runtime")?;
    Ok(runtime.block_on(async { tokio::time::timeout(patience, future).await.ok() }))
}

/// A connection, sealed or in the clear.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Line for S {}

/// Connects to `to`, a `host:port`, by TLS where there is a seal, and lets `talk` have the
/// connection: for what is no plain exchange. What comes of it, if it does in this time.
pub(super) fn converse<T>(
    to: &str,
    seal: Option<&Seal>,
    patience: Duration,
    talk: impl AsyncFnOnce(Box<dyn Line>) -> T,
) -> anyhow::Result<T> {
    let talked = waited(patience, async { Ok(talk(dial(to, seal).await?).await) })?;
    let seconds = patience.as_secs();
    talked.with_context(|| format!("{to} was given up after {seconds} s"))?
}

async fn dial(to: &str, seal: Option<&Seal>) -> anyhow::Result<Box<dyn Line>> {
    let socket = TcpStream::connect(to).await;
    let socket = socket.with_context(|| Away::NoConnection(to.to_owned()))?;
    let Some(Seal { trust, name }) = seal else {
        return Ok(Box::new(socket));
    };
    let stream = trust.reach(name, socket).await;
    let stream = stream.map_err(|fault| anyhow::anyhow!("TLS with {to} fails: {fault}"))?;
    Ok(Box::new(stream))
}

async fn talk(
    to: &str,
    seal: Option<&Seal>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    let answer = ask(dial(to, seal).await?, request).await;
    answer.with_context(|| Away::NoAnswer(to.to_owned()))
}

/// What a listener wants of an answer that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// More of it.
    More,
    /// No more.
    Enough,
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) enum Heard {
    /// It went on until there was enough of it, or `lasts` was over.
    Enough,
    /// Whoever gave it ended it.
    Ended,
    /// Nothing came for so long that whoever gave it must be gone.
    Silent,
    /// There was none: this was said instead.
    Refused(Response<Bytes>),
}

/// Sends the request to `to` and reads its answer as it comes, line by line without their ends, for
/// so long. Any answer but 200 is read whole. Each line is at most [`LINE_BYTES_MAX`] long.
///
/// `silence` is how long nothing may come. An error: no answer, or one that broke off.
pub(super) fn listen(
    to: &str,
    request: Request<Full<Bytes>>,
    lasts: Option<Duration>,
    silence: Duration,
    mut hear: impl FnMut(&str) -> Hearing,
) -> anyhow::Result<Heard> {
    let heard = async {
        let no_answer = || Away::NoAnswer(to.to_owned());
        let socket = dial(to, None).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .with_context(no_answer)?;
        tokio::task::spawn_local(connection);
        let answer = sender.send_request(request);
        let Ok(answer) = tokio::time::timeout(PATIENCE, answer).await else {
            let (to, seconds) = (to.to_owned(), PATIENCE.as_secs());
            bail!(Away::Silent { to, seconds });
        };
        let (head, mut body) = answer.with_context(no_answer)?.into_parts();
        if head.status != StatusCode::OK {
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            return Ok(Heard::Refused(Response::from_parts(head, body)));
        }
        let mut ahead = Vec::new();
        loop {
            let frame = match tokio::time::timeout(silence, body.frame()).await {
                Ok(Some(frame)) => frame.with_context(|| format!("what {to} tells breaks off"))?,
                Ok(None) => return Ok(Heard::Ended),
                Err(_) => return Ok(Heard::Silent),
            };
            ahead.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = memchr::memchr(b'\n', &ahead) {
                let line: Vec<u8> = ahead.drain(..=end).collect();
                if hear(String::from_utf8_lossy(&line).trim_end()) == Hearing::Enough {
                    return Ok(Heard::Enough);
                }
            }
            ensure!(ahead.len() <= LINE_BYTES_MAX, "a line of it has no end");
        }
    };
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let heard = waited(lasts.unwrap_or(forever), heard)?;
    heard.unwrap_or(Ok(Heard::Enough))
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

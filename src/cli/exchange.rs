//! One HTTP request over a connection of its own, and its answer read whole.
//!
//! Owns how long a command waits and how much it reads. Never follows a
//! redirect, never speaks TLS, and keeps no connection.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long most answers may take: a person waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Sends the request to `to`, a `host:port`, and reads the answer, which has come by then.
///
/// The request goes as it is: its `Host` is the caller's business.
pub(super) fn exchange(
    to: &str,
    request: Request<Full<Bytes>>,
    patience: Duration,
) -> anyhow::Result<Response<Bytes>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("no runtime")?;
    let answer = async { tokio::time::timeout(patience, talk(to, request)).await };
    match runtime.block_on(answer) {
        Ok(answer) => answer.with_context(|| format!("no answer from {to}")),
        Err(_) => bail!("no answer from {to} for {} s", patience.as_secs()),
    }
}

async fn talk(to: &str, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

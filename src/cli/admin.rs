//! How commands reach a running edge: one request to its admin address. Never
//! goes anywhere else, and gives up after a few seconds.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a running edge may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where the running edge is.
#[derive(Debug, clap::Args)]
pub(super) struct Address {
    /// The edge's admin address.
    #[arg(
        long,
        value_name = "ADDR",
        env = "VIDETTE_ADMIN",
        default_value = "127.0.0.1:9001"
    )]
    admin: SocketAddr,
    /// The admin token, if the edge is on another machine.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VIDETTE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// A status and the body that came with it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Address {
    /// Asks the edge for `path`; a POST carries an empty JSON object.
    pub(super) fn ask(&self, method: &Method, path: &str) -> anyhow::Result<Answer> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .context("no runtime")?;
        let asked = async { tokio::time::timeout(PATIENCE, self.exchange(method, path)).await };
        match runtime.block_on(asked) {
            Ok(answer) => answer.with_context(|| format!("no answer from {}", self.admin)),
            Err(_) => bail!("no answer from {} for {} s", self.admin, PATIENCE.as_secs()),
        }
    }

    async fn exchange(&self, method: &Method, path: &str) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(self.admin).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.admin.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if *method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
            Full::new(Bytes::from_static(b"{}"))
        } else {
            Full::default()
        };
        let response = sender.send_request(request.body(body)?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

//! The requests of a relay: signed, one at a time, each bounded in time and bytes; and how it
//! registers. Reads of an answer no more than its status says; never asks for a state by itself.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

use super::Source;
use crate::domain::relay::{ID_HEADER, SIGNATURE_HEADER, signature};
use crate::server::sentry::api::seconds;
use crate::server::sentry::line::{Line, LineError, NAME};

/// The version of Relay that is told. Sentry refuses those that are too old for it, and what is
/// asked here a Relay of that version asks.
const VERSION: &str = "25.1.0";

/// Bytes of an answer that is no state's: those of a registration, and of a refusal.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Why a relay was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RelayError {
    /// There is no answer.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Status 401.
    #[error(
        "Sentry does not take this relay's signature (401): it does not know the relay, or the \
         clocks differ by minutes"
    )]
    Unsigned,
    /// Status 403, for good.
    #[error(
        "Sentry refuses this relay for good (403): it has to be registered there by its public \
         key, which vidette credentials show prints"
    )]
    Stopped,
    /// Status 403.
    #[error("Sentry refuses this relay (403)")]
    Forbidden,
    /// Status 429 or 5xx.
    #[error("Sentry is busy or broken (status {status})")]
    Busy {
        /// 429, or from 500.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Status 404.
    #[error("no such page (404): sentry.url is not where Sentry talks to relays")]
    Missing,
    /// Any other status, redirects among them.
    #[error(
        "an unexpected answer (status {0}): sentry.url must be Sentry itself, or a Relay, not \
         what redirects to it"
    )]
    Unexpected(u16),
    /// Some page that is not what a relay is answered.
    #[error("an answer is not what relays are answered")]
    Foreign,
}

impl RelayError {
    /// Whether it is as when Sentry is away: who asks on is in its way.
    pub(super) const fn is_outage(self) -> bool {
        match self {
            Self::Line(_) => true,
            Self::Busy { status, .. } => matches!(status, 502..=504),
            Self::Unsigned
            | Self::Stopped
            | Self::Forbidden
            | Self::Missing
            | Self::Unexpected(_)
            | Self::Foreign => false,
        }
    }

    /// Whether there is an answer, and it is no: asking on will not change it, somebody has to.
    pub(super) const fn is_refusal(self) -> bool {
        match self {
            Self::Line(_) | Self::Busy { .. } => false,
            Self::Unsigned
            | Self::Stopped
            | Self::Forbidden
            | Self::Missing
            | Self::Unexpected(_)
            | Self::Foreign => true,
        }
    }
}

/// A way to ask, over one connection that is kept between questions. Dropping it closes the
/// connection at once.
#[derive(Debug)]
pub(super) struct Talk<'s> {
    source: &'s Source,
    line: Line<'s>,
}

#[derive(Deserialize)]
struct Challenge<'r> {
    #[serde(borrow)]
    token: std::borrow::Cow<'r, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused<'r> {
    #[serde(borrow)]
    relay: Option<std::borrow::Cow<'r, str>>,
}

impl<'s> Talk<'s> {
    /// One that has not been dialled.
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            line: Line::new(&source.server, &source.trust),
        }
    }

    /// Bytes that an answer with states may have.
    pub(super) const fn answer_bytes_max(&self) -> usize {
        self.source.bounds.answer_bytes_max
    }

    /// Makes the relay known, or known again.
    pub(super) async fn register(&mut self) -> Result<(), RelayError> {
        let credentials = &self.source.credentials;
        let challenge = json!({
            "relay_id": credentials.id(),
            "public_key": credentials.public_key(),
            "version": VERSION,
        });
        let path = "/api/0/relays/register/challenge/";
        let answer = self.post(path, &challenge, SMALL_BYTES_MAX).await?;
        let read: Challenge<'_> =
            serde_json::from_slice(&answer).map_err(|_| RelayError::Foreign)?;
        let response = json!({
            "relay_id": credentials.id(),
            "token": read.token,
            "version": VERSION,
        });
        let path = "/api/0/relays/register/response/";
        self.post(path, &response, SMALL_BYTES_MAX).await.map(drop)
    }

    /// Whether Sentry, or whatever stands in for it, answers at all.
    pub(super) async fn is_alive(&mut self) -> Result<(), RelayError> {
        let request = self
            .request(Request::get("/api/0/relays/live/"))
            .body(Full::default());
        let request = request.map_err(|_| LineError::Unaskable)?;
        self.answered(request, SMALL_BYTES_MAX).await.map(drop)
    }

    /// The answer to a question that is signed now.
    pub(super) async fn post(
        &mut self,
        path: &str,
        question: &serde_json::Value,
        bytes_max: usize,
    ) -> Result<Bytes, RelayError> {
        let body = question.to_string();
        let credentials = &self.source.credentials;
        let signed = signature(now_us(), credentials, body.as_bytes());
        let request = self
            .request(Request::post(path))
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, credentials.id())
            .header(SIGNATURE_HEADER, signed)
            .body(Full::from(body));
        let request = request.map_err(|_| LineError::Unaskable)?;
        self.answered(request, bytes_max).await
    }

    fn request(&self, request: http::request::Builder) -> http::request::Builder {
        request
            .header(HOST, self.source.server.host_header())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, NAME)
    }

    async fn answered(
        &mut self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<Bytes, RelayError> {
        let exchange = async {
            let answer = self.line.ask(request).await?;
            let (status, headers) = (answer.status, answer.headers.clone());
            if status == StatusCode::OK {
                return Ok(answer.whole(bytes_max).await?);
            }
            let body = answer.whole(SMALL_BYTES_MAX).await.unwrap_or_default();
            Err(refusal(status, &headers, &body))
        };
        timeout(self.source.bounds.timeout, exchange)
            .await
            .map_err(|_| LineError::Timeout)?
    }
}

/// What a status other than 200 says.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> RelayError {
    let stops = || {
        let refused: Refused<'_> = serde_json::from_slice(body).unwrap_or_default();
        refused.relay.as_deref() == Some("stop")
    };
    match status {
        StatusCode::UNAUTHORIZED => RelayError::Unsigned,
        StatusCode::FORBIDDEN if stops() => RelayError::Stopped,
        StatusCode::FORBIDDEN => RelayError::Forbidden,
        StatusCode::NOT_FOUND => RelayError::Missing,
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            RelayError::Busy {
                status: status.as_u16(),
                retry_after: headers.get(RETRY_AFTER).and_then(seconds),
            }
        }
        status => RelayError::Unexpected(status.as_u16()),
    }
}

/// Microseconds after 1970.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since_us = since.map_or(0, |since| since.as_micros());
    i64::try_from(since_us).unwrap_or(i64::MAX)
}

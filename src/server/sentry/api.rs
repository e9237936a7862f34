//! One page of Sentry's web API: asked, bounded in time and bytes, and handed
//! back unread. Follows no redirect, goes to no host but the configured one,
//! and shows the token to nobody else.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, HOST, LINK, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Source;
use super::link::{self, Cursor};
use crate::config::checked::Scheme;
use crate::domain::reach::ReachFault;
use crate::server::upstream::stream::Stream;
use crate::tls::Name;

/// Bytes of an answer's head, and of one read of its body.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What the edge calls itself in Sentry's access log.
pub(in crate::server) const NAME: &str = concat!("vidette/", env!("CARGO_PKG_VERSION"));

/// Why a page, and with it the listing, was not read. Names no host and quotes
/// nothing that came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// The resolver knows no address.
    #[error("the name in sentry.url does not resolve")]
    Unresolved,
    /// No address took a connection.
    #[error("Sentry takes no connection: {0}")]
    Unreachable(io::ErrorKind),
    /// There was a connection, and no TLS on it.
    #[error("TLS with Sentry fails: {0}")]
    Tls(ReachFault),
    /// Not all of a page came in time.
    #[error("Sentry did not answer in time")]
    Timeout,
    /// Closed or garbled before the answer was whole.
    #[error("the connection to Sentry broke before its answer was complete")]
    Broken,
    /// Status 401.
    #[error("Sentry refused the token (401): sentry.token is wrong, expired or revoked")]
    TokenRefused,
    /// Status 403.
    #[error(
        "the token may not list projects and keys (403): sentry.token needs the scope project:read"
    )]
    TokenLacks,
    /// Status 429 or 5xx.
    #[error("Sentry is busy or broken (status {status})")]
    Busy {
        /// 429, or from 500.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Status 404.
    #[error("no such page (404): sentry.url is not where Sentry's API is")]
    Missing,
    /// Any other status, redirects among them.
    #[error(
        "an unexpected answer (status {0}): sentry.url must be Sentry itself, not what redirects to it"
    )]
    Unexpected(u16),
    /// Over `answer_bytes_max`.
    #[error("an answer is larger than a page can be")]
    TooLarge,
    /// Some page that is no list, such as a login form.
    #[error("an answer is not a JSON list")]
    NotAList,
    /// It cannot be told whether a page follows.
    #[error("an answer's Link header cannot be read")]
    BadLink,
    /// Over `further_pages_max`, or a page that follows itself.
    #[error("the pages of a list do not end")]
    Endless,
    /// More rows than the listing may hold.
    #[error("Sentry lists more than {max} {what}")]
    TooMany {
        /// Projects or keys.
        what: &'static str,
        /// How many it may hold.
        max: usize,
    },
    /// An empty list would refuse every event, so it is not believed.
    #[error("the token sees no project")]
    NoProjects,
    /// The request cannot be put into words.
    #[error("sentry.url or sentry.token holds a character that no request may carry")]
    Unaskable,
}

/// A page as it came.
#[derive(Debug)]
pub(super) struct Page {
    /// Its JSON, unread.
    pub body: Bytes,
    /// Where the next one begins, if there is one.
    pub next: Option<Cursor>,
}

/// A way to ask, one question at a time, over one connection that is kept
/// between them. Dropping it closes the connection at once.
#[derive(Debug)]
pub(super) struct Line<'s> {
    source: &'s Source,
    open: Option<Open>,
}

impl<'s> Line<'s> {
    /// A line that has not been dialled.
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, open: None }
    }

    /// The page of the list at `path` that begins at `cursor`. When the future
    /// is dropped, or fails, the connection goes with it.
    pub(super) async fn page(
        &mut self,
        path: &str,
        cursor: Option<&Cursor>,
    ) -> Result<Page, ApiError> {
        let limit = self.source.bounds.timeout;
        timeout(limit, self.exchange(path, cursor))
            .await
            .map_err(|_| ApiError::Timeout)?
    }

    async fn exchange(&mut self, path: &str, cursor: Option<&Cursor>) -> Result<Page, ApiError> {
        let request = request(self.source, path, cursor)?;
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
            && let Ok(answer) = open.sender.send_request(request.clone()).await
        {
            return self.read(open, answer).await;
        }
        // Sentry closes idle connections whenever it likes; reading twice is harmless.
        let mut open = Open::dial(self.source).await?;
        let answer = open.sender.send_request(request).await;
        self.read(open, answer.map_err(|_| ApiError::Broken)?).await
    }

    async fn read(&mut self, open: Open, answer: Response<Incoming>) -> Result<Page, ApiError> {
        let (head, mut body) = answer.into_parts();
        verdict(head.status, &head.headers)?;
        let links = head.headers.get_all(LINK).iter();
        let next = link::next(links.map(HeaderValue::as_bytes)).map_err(|_| ApiError::BadLink)?;
        let bytes_max = self.source.bounds.answer_bytes_max;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(ApiError::TooLarge);
        }
        let mut whole = BytesMut::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::Broken)?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if chunk.len() > bytes_max - whole.len() {
                return Err(ApiError::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        self.open = Some(open);
        Ok(Page {
            body: whole.freeze(),
            next,
        })
    }
}

/// A connection, and the task that drives it.
#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
}

impl Open {
    async fn dial(source: &Source) -> Result<Self, ApiError> {
        let server = &source.server;
        let addresses: Vec<_> = lookup_host((server.host.as_str(), server.port))
            .await
            .map_err(|_| ApiError::Unresolved)?
            .collect();
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| ApiError::Unreachable(error.kind()))?;
        let stream = match server.scheme {
            Scheme::Http => Stream::Clear(stream),
            Scheme::Https => {
                let trust = source.trust.in_force();
                let trust = trust.ok_or(ApiError::Tls(ReachFault::Unready))?;
                let name = Name::parse(&server.host).ok_or(ApiError::Unaskable)?;
                let reached = trust.reach(&name, stream).await.map_err(ApiError::Tls)?;
                Stream::Sealed(Box::new(reached))
            }
        };
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| ApiError::Broken)?;
        let driver = tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to Sentry's API broke");
            }
        });
        Ok(Self {
            sender,
            driver: driver.abort_handle(),
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn request(
    source: &Source,
    path: &str,
    cursor: Option<&Cursor>,
) -> Result<Request<Empty<Bytes>>, ApiError> {
    let mut target = format!("{}{path}", source.prefix);
    if let Some(cursor) = cursor {
        target.push_str("?cursor=");
        target.push_str(&escaped(cursor.as_str()));
    }
    let token = format!("Bearer {}", source.token.expose());
    let mut token = HeaderValue::try_from(token).map_err(|_| ApiError::Unaskable)?;
    token.set_sensitive(true);
    Request::get(target)
        .header(HOST, source.server.host_header())
        .header(AUTHORIZATION, token)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, NAME)
        .body(Empty::new())
        .map_err(|_| ApiError::Unaskable)
}

/// Text as one part of a path or a query: what has a meaning there loses it.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b':' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// What a status says about the page.
fn verdict(status: StatusCode, headers: &HeaderMap) -> Result<(), ApiError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => Err(ApiError::TokenRefused),
        StatusCode::FORBIDDEN => Err(ApiError::TokenLacks),
        StatusCode::NOT_FOUND => Err(ApiError::Missing),
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            Err(ApiError::Busy {
                status: status.as_u16(),
                retry_after: headers.get(RETRY_AFTER).and_then(seconds),
            })
        }
        status => Err(ApiError::Unexpected(status.as_u16())),
    }
}

/// A number of seconds; the form with a date is not one that Sentry sends.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    let digits = value.to_str().ok()?;
    let seconds: u64 = digits.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;

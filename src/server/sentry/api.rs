//! One page of Sentry's web API: asked, bounded in time and bytes, and handed
//! back unread. Follows no redirect, goes to no host but the configured one,
//! and shows the token to nobody else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, LINK, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tokio::time::timeout;

use super::Source;
use super::line::{self, LineError, NAME};
use super::link::{self, Cursor};

/// Why a page, and with it the listing, was not read. Names no host and quotes
/// nothing that came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no answer that could be a page.
    #[error(transparent)]
    Line(#[from] LineError),
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
}

/// A page as it came.
#[derive(Debug)]
pub(super) struct Page {
    /// Its JSON, unread.
    pub body: Bytes,
    /// Where the next one begins, if there is one.
    pub next: Option<Cursor>,
}

/// A way to ask for pages, one at a time, over one connection that is kept
/// between them. Dropping it closes the connection at once.
#[derive(Debug)]
pub(super) struct Line<'s> {
    source: &'s Source,
    line: line::Line<'s>,
}

impl<'s> Line<'s> {
    /// A line that has not been dialled.
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            line: line::Line::new(&source.server, &source.trust),
        }
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
            .map_err(|_| LineError::Timeout)?
    }

    async fn exchange(&mut self, path: &str, cursor: Option<&Cursor>) -> Result<Page, ApiError> {
        let request = request(self.source, path, cursor)?;
        let answer = self.line.ask(request).await?;
        verdict(answer.status, &answer.headers)?;
        let links = answer.headers.get_all(LINK).iter();
        let next = link::next(links.map(HeaderValue::as_bytes)).map_err(|_| ApiError::BadLink)?;
        let body = answer.whole(self.source.bounds.answer_bytes_max).await?;
        Ok(Page { body, next })
    }
}

fn request(
    source: &Source,
    path: &str,
    cursor: Option<&Cursor>,
) -> Result<Request<Full<Bytes>>, LineError> {
    let mut target = format!("{}{path}", source.prefix);
    if let Some(cursor) = cursor {
        target.push_str("?cursor=");
        target.push_str(&escaped(cursor.as_str()));
    }
    let token = format!("Bearer {}", source.token.expose());
    let mut token = HeaderValue::try_from(token).map_err(|_| LineError::Unaskable)?;
    token.set_sensitive(true);
    Request::get(target)
        .header(HOST, source.server.host_header())
        .header(AUTHORIZATION, token)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, NAME)
        .body(Full::default())
        .map_err(|_| LineError::Unaskable)
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
pub(super) fn seconds(value: &HeaderValue) -> Option<Duration> {
    let digits = value.to_str().ok()?;
    let seconds: u64 = digits.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;

//! The answer to who asks how to upload, made to fit what stands in front: read whole, since it
//! is short, and sent on changed. Whatever cannot be read passes as it came. Never keeps one.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;

use crate::config::checked::UploadUrl;
use crate::domain::chunk_upload::{Wanted, fitted, is_asked_at};
use crate::domain::host::is_host;
use crate::telemetry::metrics::WorkerMetrics;
use crate::telemetry::uploads::Settings as Outcome;

use crate::server::client::arrival;
use crate::server::client::reply::Reply;
use crate::server::delivery::outbound::{Sender, X_FORWARDED_HOST};
use crate::server::ingest::chunks::joined;
use crate::server::rules::Rules;

/// The longest answer that is read: Sentry's own take some 500 bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The headers that speak of the bytes that an answer had.
const OF_THE_BYTES: [HeaderName; 6] = [
    ETAG,
    LAST_MODIFIED,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
];

/// What one answer is to hold.
#[derive(Debug)]
pub(super) struct Settings {
    request_bytes_max: Option<u64>,
    origin: Option<String>,
}

impl Settings {
    /// What the answer to this request is to hold; `None`: it passes as it comes.
    pub(super) fn wanted(rules: &Rules, head: &Parts, sender: Sender) -> Option<Self> {
        let uploads = &rules.config.uploads;
        let moves = uploads.url == UploadUrl::Caller;
        if !moves && uploads.request_max.is_none() || head.method != Method::GET {
            return None;
        }
        let path = arrival::normalised(head).ok()?;
        is_asked_at(&path).then(|| Self {
            request_bytes_max: uploads.request_max,
            origin: moves.then(|| origin(head, sender)).flatten(),
        })
    }

    /// Asks for all of it, and as text: a part, or the word that nothing has changed, would
    /// leave a client with the sizes of another day.
    pub(super) fn ask_whole(headers: &mut HeaderMap) {
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
            headers.remove(name);
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }

    /// The answer as it is wanted, once it is here. One that breaks off breaks off.
    pub(super) async fn fit(
        self,
        response: Response<Reply>,
        metrics: &WorkerMetrics,
    ) -> Response<Reply> {
        if response.status() != StatusCode::OK {
            return response;
        }
        let count = |outcome: Outcome| metrics.settings.at(outcome.index()).add(1);
        if is_encoded(response.headers()) {
            count(Outcome::Encoded);
            return response;
        }
        if response.body().size_hint().lower() > ANSWER_BYTES_MAX {
            count(Outcome::TooLong);
            return response;
        }
        let (mut head, body) = response.into_parts();
        let chunks = match body.collect(ANSWER_BYTES_MAX).await {
            Ok(chunks) => chunks,
            Err(rest) => {
                count(Outcome::TooLong);
                return Response::from_parts(head, rest);
            }
        };
        let wanted = Wanted {
            request_bytes_max: self.request_bytes_max,
            origin: self.origin.as_deref(),
        };
        let chunks = match fitted(&joined(&chunks), wanted) {
            Ok(Some(answer)) => {
                count(Outcome::Changed);
                for name in OF_THE_BYTES {
                    head.headers.remove(name);
                }
                let length = HeaderValue::from(answer.len());
                head.headers.insert(CONTENT_LENGTH, length);
                VecDeque::from([Bytes::from(answer)])
            }
            Ok(None) => {
                count(Outcome::Fits);
                chunks
            }
            Err(_) => {
                count(Outcome::Unreadable);
                chunks
            }
        };
        Response::from_parts(head, Reply::Whole(chunks))
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The scheme and the host by which the request's sender asked, as far as the proxies in front
/// are believed. `None`: it named none.
fn origin(head: &Parts, sender: Sender) -> Option<String> {
    let mut told = head.headers.get_all(X_FORWARDED_HOST).iter();
    // Of several nobody knows which hop wrote which.
    let told = match (told.next(), told.next()) {
        (Some(one), None) if sender.trusted => Some(one.as_bytes()),
        _ => None,
    };
    let told = told.filter(|host| !host.contains(&b',') && is_host(host) && !host.is_empty());
    let asked = || match head.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => head.headers.get(HOST).map(HeaderValue::as_bytes),
    };
    let host = str::from_utf8(told.or_else(asked)?).ok()?;
    (!host.is_empty()).then(|| format!("{}://{host}", sender.scheme.as_str()))
}

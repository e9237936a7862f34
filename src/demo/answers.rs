//! Owns what the stand-in answers: each endpoint's own success, refusals as
//! Sentry writes them, and the few pages of its web side. Never reads a request.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::domain::endpoint::Endpoint;

use super::event_id;
use super::refused::Refused;

/// A request that was taken.
#[derive(Debug)]
pub(super) struct Accepted {
    /// What it was posted to.
    pub(super) endpoint: Endpoint,
    /// It came by GET: an image is waited for.
    pub(super) pixel: bool,
    /// The event's id, if it has one.
    pub(super) event_id: Option<String>,
}

/// What a browser finds on the stand-in's web side.
const HOME: &str = include_str!("home.html");

/// One transparent pixel: two colours, the first of them see-through (GIF89a).
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The endpoint's own answer to what it took (PROTOCOL 1.1).
pub(super) fn success(accepted: &Accepted) -> Response<Full<Bytes>> {
    let id = accepted.event_id.as_deref();
    match accepted.endpoint {
        Endpoint::Store if accepted.pixel => answer(StatusCode::OK, "image/gif", PIXEL),
        Endpoint::Envelope | Endpoint::Store => {
            let body = id.map_or_else(|| json!({}), |id| json!({"id": id}));
            answer(StatusCode::OK, JSON, body.to_string())
        }
        Endpoint::Minidump | Endpoint::Unreal => answer(
            StatusCode::OK,
            TEXT,
            event_id::dashed(id.unwrap_or_default()),
        ),
        Endpoint::Attachments => empty(StatusCode::CREATED),
        Endpoint::Cron => empty(StatusCode::ACCEPTED),
        Endpoint::OtlpTraces | Endpoint::OtlpLogs => answer(StatusCode::ACCEPTED, JSON, "{}"),
        Endpoint::Security
        | Endpoint::Nel
        | Endpoint::UploadCreate
        | Endpoint::UploadChunk
        | Endpoint::Integration
        | Endpoint::Playstation
        | Endpoint::Unknown => empty(StatusCode::OK),
    }
}

/// A refusal with its reason.
pub(super) fn refusal(refused: Refused) -> Response<Full<Bytes>> {
    answer(
        refused.status(),
        JSON,
        json!({"detail": refused.to_string()}).to_string(),
    )
}

/// What Sentry says to the relays behind it: that it is there, and no more.
pub(super) fn relays(path: &[u8]) -> Response<Full<Bytes>> {
    match path {
        b"/api/0/relays/live/" => answer(
            StatusCode::OK,
            JSON,
            json!({"is_healthy": true}).to_string(),
        ),
        _ => refusal(Refused::NotFound),
    }
}

/// The web side: one page, a health answer, and nothing else.
pub(super) fn web(method: &Method, path: &[u8]) -> Response<Full<Bytes>> {
    match (method, path) {
        (&Method::GET | &Method::HEAD, b"/") => answer(StatusCode::OK, HTML, HOME),
        (&Method::GET | &Method::HEAD, b"/_health/") => answer(StatusCode::OK, TEXT, "ok"),
        _ => answer(
            StatusCode::NOT_FOUND,
            TEXT,
            "the stand-in Sentry has no such page\n",
        ),
    }
}

fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A status with nothing to say.
pub(super) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

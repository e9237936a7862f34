//! The answers that are ours: refusals, preflights, failures; and what is done
//! to the head of an answer that is not. Never reads a body.

use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW,
    CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::domain::endpoint::Endpoint;
use crate::domain::rate_limits::{self, RateLimit};
use crate::policy::Refusal;
use crate::telemetry::labels::{Ending, Route};

use crate::server::client::reply::Reply;
use crate::server::ticket::Ticket;

const X_SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

/// What a client is to hold back, and for how long.
pub(crate) const X_SENTRY_RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// The headers a browser's SDK may send, as Relay lists them (PROTOCOL 5).
const ALLOWED_HEADERS: &str = "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,\
accept,content-type,authentication,authorization,content-encoding,transfer-encoding";

/// The headers a browser's SDK must be able to read on any answer.
const EXPOSED_HEADERS: &str = "x-sentry-error,x-sentry-rate-limits,retry-after";

/// What ingest answers vary by.
const VARIES: &str = "origin, access-control-request-method, access-control-request-headers";

/// What a person sees whose page cannot be had.
const UNREACHABLE: &str = include_str!("unreachable.html");

/// As many headers as a refusal can have: their table never grows.
const HEADERS: usize = 10;

/// What a refused client reads.
#[derive(serde::Serialize)]
struct Told<'a> {
    detail: &'a str,
    causes: [&'a str; 1],
}

/// A refusal as JSON, with its reason in `x-sentry-error`; counts it.
pub(crate) fn refuse(refusal: Refusal, ticket: &mut Ticket) -> Response<Reply> {
    let response = answer(&refusal, ticket.route());
    let status = response.status().as_u16();
    ticket.judge(Ending::Refused, status, Some(refusal.reason));
    response
}

/// What stands in a delivered answer's place: the upstream could not be had.
pub(crate) fn fail(refusal: Refusal, ticket: &mut Ticket) -> Response<Reply> {
    ticket.judge(Ending::Failed, refusal.status, Some(refusal.reason));
    let mut response = answer(&refusal, ticket.route());
    if ticket.shows_pages {
        // Every detail is our own words, with nothing of the request in it.
        let page = UNREACHABLE.replace("{detail}", &refusal.detail);
        *response.body_mut() = Reply::text(page);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
    }
    response
}

fn answer(refusal: &Refusal, route: Route) -> Response<Reply> {
    if let Some(endpoint) = refusal.instead {
        return success(endpoint, refusal.event_id.as_deref());
    }
    let told = Told {
        detail: &refusal.detail,
        causes: [refusal.reason.as_str()],
    };
    // Two texts: there is nothing in them that JSON could not hold.
    let body = serde_json::to_vec(&told).unwrap_or_default();
    let mut response = Response::new(Reply::text(body));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(detail) = HeaderValue::from_str(&refusal.detail) {
        headers.insert(X_SENTRY_ERROR, detail);
    }
    if let Some(allow) = refusal.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(codings) = refusal.accept_encoding {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings));
    }
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(longest_s) = refusal.limits.iter().map(|limit| limit.retry_after_s).max() {
        headers.insert(RETRY_AFTER, HeaderValue::from(longest_s));
        tell(headers, &refusal.limits, None);
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // What was refused before its route could be told may have been an event.
    if route.is_event() || route == Route::Local {
        share(headers);
    }
    response
}

/// What a client hears whose request is kept here until the upstream takes it: what the
/// upstream would have said (PROTOCOL 1.1).
pub(crate) fn kept(
    endpoint: Endpoint,
    event_id: Option<&str>,
    limits: &[RateLimit],
    ticket: &mut Ticket,
) -> Response<Reply> {
    let mut response = success(endpoint, event_id);
    tell(response.headers_mut(), limits, None);
    ticket.judge(Ending::Spooled, response.status().as_u16(), None);
    response
}

/// An endpoint's own success (PROTOCOL 1.1), for what is kept here, for what nobody wants, and
/// for clients that try again on a 429 or know nothing of it.
fn success(endpoint: Endpoint, event_id: Option<&str>) -> Response<Reply> {
    let mut response = Response::new(Reply::empty());
    if matches!(endpoint, Endpoint::Envelope | Endpoint::Store) {
        let body = match event_id {
            Some(id) => json!({"id": id}),
            None => json!({}),
        };
        *response.body_mut() = Reply::text(body.to_string());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    if endpoint == Endpoint::Attachments {
        *response.status_mut() = StatusCode::CREATED;
    }
    if matches!(endpoint, Endpoint::Minidump | Endpoint::Unreal) {
        let mut id = format!("{:032x}", fastrand::u128(..));
        for dash in [8, 13, 18, 23] {
            id.insert(dash, '-');
        }
        *response.body_mut() = Reply::text(id);
        let plain = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, plain);
    }
    if endpoint == Endpoint::Cron {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    share(response.headers_mut());
    response
}

/// As long as a limit mostly is.
const TOLD_BYTES: usize = 64;

/// Adds what a client is to hold back, behind what the upstream says of it: `bare` is for how long
/// its 429 without any such words has everything wait, which words of ours would else undo.
pub(crate) fn tell(headers: &mut HeaderMap, limits: &[RateLimit], bare: Option<&RateLimit>) {
    if limits.is_empty() {
        return;
    }
    let mut text = String::with_capacity(TOLD_BYTES * (limits.len() + 1));
    if let Some(bare) = bare {
        rate_limits::write(std::slice::from_ref(bare), &mut text);
        text.push_str(", ");
    }
    let theirs = headers.get_all(X_SENTRY_RATE_LIMITS).iter();
    for value in theirs.filter_map(|value| value.to_str().ok()) {
        text.push_str(value);
        text.push_str(", ");
    }
    rate_limits::write(limits, &mut text);
    if let Ok(text) = HeaderValue::try_from(text) {
        headers.insert(X_SENTRY_RATE_LIMITS, text);
    }
}

/// Tells a client where the page that it asked for in the clear is found by https. What is more
/// than a look is to be sent there again as it is (RFC 9110, section 15.4.9).
pub(crate) fn moved(place: HeaderValue, method: &Method, ticket: &mut Ticket) -> Response<Reply> {
    let status = match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    ticket.judge(Ending::Local, status.as_u16(), None);
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, place);
    response
}

/// What an authority of certificates is shown that asks for it (RFC 8555, section 8.3).
pub(crate) fn proof(proof: String, ticket: &mut Ticket) -> Response<Reply> {
    ticket.judge(Ending::Local, 200, None);
    let mut response = Response::new(Reply::text(proof));
    let plain = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The answer to a preflight; the upstream is not asked (PROTOCOL 5).
pub(crate) fn preflight(ticket: &mut Ticket) -> Response<Reply> {
    ticket.judge(Ending::Local, 200, None);
    let mut response = Response::new(Reply::empty());
    let headers = response.headers_mut();
    share(headers);
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(ALLOWED_HEADERS),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// Whether a header speaks of CORS: the upstream's go, ours come.
pub(crate) fn is_cors(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-")
}

/// Adds our CORS headers to an answer without any: two
/// `Access-Control-Allow-Origin` make a browser refuse it.
pub(crate) fn share(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED_HEADERS),
    );
    headers.insert(VARY, HeaderValue::from_static(VARIES));
}

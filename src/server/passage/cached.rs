//! What pages load from web, such as the SDK's loader, kept for who asks next and for when web is
//! away: found, asked for anew, or served though it is stale. `policy::cache` decides; this asks.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AGE, CONTENT_LENGTH, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use tokio::time::{Instant, timeout};

use crate::config::checked::Cache as Wanted;
use crate::policy::cache::{Found, IfError, Limits, Stored, insists, may_be_asked, may_be_kept};
use crate::telemetry::cache::Served;
use crate::telemetry::labels::Ending;

use crate::server::client::arrival;
use crate::server::client::reply::Reply;
use crate::server::delivery::deliver::{give_up, pass_on};
use crate::server::delivery::outbound::{X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::server::ingest::chunks::joined;
use crate::server::rules::Rules;
use crate::server::ticket::Ticket;
use crate::server::upstream::send::{Answer, Ended, Outbound, SendError, send};
use crate::server::worker::{InForce, Worker};

/// A page that waits for a script shows nothing: so long web may take to confirm one that is here.
const PATIENCE: Duration = Duration::from_secs(2);

/// How an answer came to be (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The limits that the configuration names.
pub(crate) fn limits(wanted: &Wanted) -> Limits {
    Limits {
        bytes_max: wanted.max_bytes,
        entries_max: usize::try_from(wanted.entries).unwrap_or(usize::MAX),
    }
}

/// Whether a request without a body may be answered by what is kept.
pub(super) fn may_be_here(rules: &Rules, head: &Parts) -> bool {
    let paths = &rules.config.cache.paths;
    if paths.is_empty() || head.method != Method::GET {
        return false;
    }
    let Ok(path) = arrival::normalised(head) else {
        return false;
    };
    let mut paths = paths.iter();
    paths.any(|prefix| path.starts_with(prefix.as_bytes())) && may_be_asked(&head.headers)
}

/// What a request asks for, apart from the head that leaves.
struct Asked {
    /// Scheme, host and target as web sees them.
    key: Vec<u8>,
    /// Its head, by which web chooses.
    request: HeaderMap,
    /// What it has already.
    conditions: HeaderMap,
}

impl Asked {
    /// Reads it from a head that is ready to leave, and has that ask for all of the answer.
    fn of(head: &mut Parts) -> Self {
        let mut key = Vec::new();
        for name in [X_FORWARDED_PROTO, HOST, X_FORWARDED_HOST] {
            for value in head.headers.get_all(name) {
                key.extend_from_slice(value.as_bytes());
            }
            // No header and no target holds one: two keys never run into each other.
            key.push(b'\n');
        }
        let target = head.uri.path_and_query();
        key.extend_from_slice(target.map_or("/", |target| target.as_str()).as_bytes());
        let mut conditions = HeaderMap::new();
        for name in [
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            IF_MATCH,
            IF_UNMODIFIED_SINCE,
            IF_RANGE,
        ] {
            for value in head.headers.get_all(&name) {
                conditions.append(&name, value.clone());
            }
            head.headers.remove(name);
        }
        Self {
            key,
            request: head.headers.clone(),
            conditions,
        }
    }
}

/// Answers by what is here, or asks web and keeps what it says.
pub(super) async fn serve(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    mut outbound: Outbound,
    ticket: Ticket,
) -> Response<Reply> {
    let asked = Asked::of(&mut outbound.head);
    let cache = &worker.shared.cache;
    let now = worker.millis(ticket.started);
    let insists = insists(&asked.request);
    let stale = match cache.find(now, &asked.key, &asked.request, insists) {
        Found::Nothing => None,
        Found::Fresh(stored) => return here(&worker, &stored, Served::Hit, &asked, ticket),
        Found::Standby(stored) => return here(&worker, &stored, Served::Stale, &asked, ticket),
        Found::Stale(stored, if_error) => {
            stored.ask(&mut outbound.head.headers);
            Some((stored, if_error))
        }
    };
    let serves = |(stored, if_error): &(Arc<Stored>, IfError)| {
        (*if_error == IfError::Serves).then(|| Arc::clone(stored))
    };
    let instead = stale.as_ref().and_then(serves);
    let sending = send(&worker, &rules, outbound);
    let ended = match instead {
        Some(_) => timeout(PATIENCE, sending).await.ok(),
        None => Some(sending.await),
    };
    let answer = match (ended, instead) {
        (Some(Ended::Answered(answer)), Some(_)) if !is_failure(answer.head.status) => answer,
        (Some(Ended::Answered(answer)), None) => answer,
        (_, Some(stored)) => {
            let now = worker.millis(Instant::now());
            cache.fails(now, &asked.key, &stored);
            return here(&worker, &stored, Served::Stale, &asked, ticket);
        }
        (Some(Ended::Failed(error, _)), None) => return give_up(error, &rules, ticket),
        // Only who keeps what is not taken hears that it is late, and only who has something
        // in its place stops waiting.
        (Some(Ended::Late(_)) | None, None) => {
            return give_up(SendError::Silent, &rules, ticket);
        }
    };
    ticket.waited_for_upstream(answer.took);
    match stale {
        Some((stored, _)) if answer.head.status == StatusCode::NOT_MODIFIED => {
            confirmed(&worker, &rules, &stored, &asked, answer, ticket).await
        }
        Some(_) | None => fetched(&worker, &rules, &asked, answer, ticket).await,
    }
}

/// Whether a status says that web is away (RFC 5861, section 4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Answers by what is here, whether or not web was asked in vain.
fn here(
    worker: &Worker,
    stored: &Stored,
    served: Served,
    asked: &Asked,
    mut ticket: Ticket,
) -> Response<Reply> {
    let response = shown(worker, stored, served, asked);
    ticket.judge(Ending::Local, response.status().as_u16(), None);
    response
}

/// Web has confirmed what is here: it is young again.
async fn confirmed(
    worker: &Worker,
    rules: &InForce,
    stored: &Arc<Stored>,
    asked: &Asked,
    mut answer: Answer,
    ticket: Ticket,
) -> Response<Reply> {
    let (cache, wanted) = (&worker.shared.cache, &rules.config.cache);
    let (now, took_ms) = (worker.millis(answer.at), millis(answer.took));
    let news = &answer.head.headers;
    let young = stored.confirmed(now, took_ms, news, millis(wanted.stale_if_error));
    let response = match young.map(Arc::new) {
        Some(young) => {
            cache.keep(&asked.key, &asked.request, Arc::clone(&young));
            shown(worker, &young, Served::Revalidated, asked)
        }
        None => {
            cache.forget(&asked.key, &asked.request);
            shown(worker, stored, Served::Revalidated, asked)
        }
    };
    // The request counts by what its client hears, and its connection is free at once.
    answer.head.status = response.status();
    drop(passed_on(answer, ticket, rules).await);
    response
}

/// Web has something to say: it is kept if it may be, and passes as it came else.
async fn fetched(
    worker: &Worker,
    rules: &InForce,
    asked: &Asked,
    answer: Answer,
    ticket: Ticket,
) -> Response<Reply> {
    let (cache, wanted) = (&worker.shared.cache, &rules.config.cache);
    let (now, took_ms) = (worker.millis(answer.at), millis(answer.took));
    let status = answer.head.status;
    worker.metrics.cache.at(Served::Miss.index()).add(1);
    let response = passed_on(answer, ticket, rules).await;
    if status.is_server_error() {
        return response;
    }
    let longest = wanted.answer_bytes;
    let fits = response.body().size_hint().lower() <= longest;
    if status != StatusCode::OK || !fits || !may_be_kept(response.headers()) {
        cache.forget(&asked.key, &asked.request);
        return response;
    }
    let (mut head, body) = response.into_parts();
    let chunks = match body.collect(longest).await {
        Ok(chunks) => chunks,
        Err(rest) => {
            cache.forget(&asked.key, &asked.request);
            return Response::from_parts(head, rest);
        }
    };
    let whole = joined(&chunks);
    let if_error_ms = millis(wanted.stale_if_error);
    match Stored::new(
        now,
        took_ms,
        &asked.request,
        &head.headers,
        whole,
        if_error_ms,
    ) {
        Some(stored) => {
            for (name, value) in &stored.headers {
                // The tag, where web gave none.
                head.headers.entry(name).or_insert_with(|| value.clone());
            }
            let told = HeaderValue::from_static(Served::Miss.cache_status());
            head.headers.append(CACHE_STATUS, told);
            cache.keep(&asked.key, &asked.request, Arc::new(stored));
        }
        None => cache.forget(&asked.key, &asked.request),
    }
    Response::from_parts(head, Reply::Whole(chunks))
}

/// An answer on its way to the client.
async fn passed_on(answer: Answer, ticket: Ticket, rules: &InForce) -> Response<Reply> {
    let mut both = Some((answer, ticket));
    poll_fn(move |cx| match both.take() {
        Some((answer, ticket)) => Poll::Ready(pass_on(cx, answer, ticket, rules)),
        None => Poll::Pending,
    })
    .await
}

/// What is kept, as an answer to this request; counts it.
fn shown(worker: &Worker, stored: &Stored, served: Served, asked: &Asked) -> Response<Reply> {
    worker.metrics.cache.at(served.index()).add(1);
    let had = stored.is_had(&asked.conditions);
    let body = match had {
        true => Bytes::new(),
        false => stored.body.clone(),
    };
    let length = body.len();
    let mut response = Response::new(Reply::text(body));
    *response.headers_mut() = stored.headers.clone();
    let headers = response.headers_mut();
    let age_s = stored.age_s(worker.millis(Instant::now()));
    headers.insert(AGE, HeaderValue::from(age_s));
    let told = HeaderValue::from_static(served.cache_status());
    headers.append(CACHE_STATUS, told);
    match had {
        true => *response.status_mut() = StatusCode::NOT_MODIFIED,
        false => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
    response
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

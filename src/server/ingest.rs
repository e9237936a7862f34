//! One event request, head to answer: the story of the program. Each step owns
//! its input and yields the next step's; only this file knows their order.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use hyper::body::Incoming;

use crate::domain::credentials::Sources;
use crate::domain::endpoint::{Endpoint, Ingest};
use crate::domain::outcome::Reason;
use crate::domain::{dsn, envelope};
use crate::policy::{Admitted, Question, Refusal};
use crate::telemetry::labels::{Route, Upstream};

use super::arrival::Arrived;
use super::body::{BodyError, Outgoing, Stream};
use super::deliver::{deliver, turn_away};
use super::outbound;
use super::reception::refuse_unread;
use super::reply::Reply;
use super::respond;
use super::ticket::Ticket;
use super::upstream::send::{Outbound, Repeat};
use super::worker::{InForce, Worker};

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// How far line one of an envelope is read for its DSN: several kilobytes are
/// seen in practice, and no protocol limit exists.
const LINE_ONE_BYTES_MAX: usize = 64 * 1024;

/// An event request that passed the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    admitted: Admitted,
    endpoint: Endpoint,
}

/// Judges an event request by its head.
pub(crate) fn admit(
    rules: &InForce,
    arrived: &Arrived,
    ingest: Ingest<'_>,
) -> Result<Pass, Refusal> {
    let headers = &arrived.head.headers;
    let sources = Sources {
        sentry_auth: only(headers, &X_SENTRY_AUTH)?,
        authorization: only(headers, &AUTHORIZATION)?,
        query: arrived.head.uri.query(),
        path_key: ingest.path_key,
    };
    let admitted = rules.gate.admit(&Question {
        ingest,
        method: arrived.head.method.as_str(),
        sources,
        content_type: headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes),
        announced: arrived.announced,
    })?;
    Ok(Pass {
        admitted,
        endpoint: ingest.endpoint,
    })
}

/// Serves an event request that was admitted.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    arrived: Arrived,
    pass: Pass,
    mut ticket: Ticket,
) -> Response<Reply> {
    let Arrived {
        mut head,
        body,
        sender,
        announced,
        ..
    } = arrived;
    let body = match take_body(&rules, body, announced, pass, &head, &ticket).await {
        Ok(body) => body,
        Err(Turned::Refused(refusal, unread)) => return refuse_unread(*refusal, unread, ticket),
        Err(Turned::Failed(error)) => {
            return turn_away(error, &rules, ticket);
        }
    };
    if is_empty_event(pass.endpoint, &head, &body) {
        return respond::refuse(Refusal::empty(), &mut ticket);
    }
    outbound::prepare(
        &mut head,
        sender,
        Route::Ingest,
        Upstream::Ingest,
        &rules,
        None,
    );
    announce(&mut head, &body);
    let outbound = Outbound {
        upstream: Upstream::Ingest,
        head,
        body,
        repeat: Repeat::Safe,
    };
    deliver(worker, rules, outbound, ticket).await
}

/// The one value of a header. Two of them are two sets of credentials.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() {
        return Err(Refusal::credentials(
            crate::domain::credentials::CredentialsError::Many,
        ));
    }
    Ok(first)
}

/// Why a body was not taken.
enum Turned {
    /// Refused with its rest unread.
    Refused(Box<Refusal>, Incoming),
    /// It did not arrive whole.
    Failed(BodyError),
}

/// A body up to `inspect_bytes` is taken whole, so that the upstream is dialled
/// for complete events only; a larger one is passed on as it comes.
async fn take_body(
    rules: &InForce,
    incoming: Incoming,
    announced: Option<u64>,
    pass: Pass,
    head: &Parts,
    ticket: &Ticket,
) -> Result<Outgoing, Turned> {
    let limits = &rules.config.limits;
    let whole_max = limits.inspect_bytes;
    let mut stream = Stream::new(
        incoming,
        announced,
        limits.bodies.ingest,
        limits.body_idle,
        ticket.meter(),
    );
    let peek = pass.admitted.peek && is_plain(head);
    let streams = announced.is_some_and(|bytes| bytes > whole_max);
    let wanted = match (streams, peek) {
        (false, _) => whole_max,
        (true, true) => u64::try_from(LINE_ONE_BYTES_MAX).unwrap_or(u64::MAX),
        (true, false) => return Ok(Outgoing::stream(stream)),
    };
    let mut chunks = VecDeque::with_capacity(1);
    let mut taken_bytes = 0;
    let whole = loop {
        match stream.chunk().await {
            None => break true,
            Some(Err(error)) => return Err(Turned::Failed(error)),
            Some(Ok(chunk)) => {
                taken_bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                chunks.push_back(chunk);
                if taken_bytes > wanted {
                    break false;
                }
            }
        }
    };
    if peek && let Err(refusal) = look_for_dsn(&chunks) {
        return Err(Turned::Refused(Box::new(refusal), stream.into_incoming()));
    }
    if whole {
        return Ok(Outgoing::whole(chunks));
    }
    stream.put_back(chunks);
    Ok(Outgoing::stream(stream))
}

/// Whether the body can be read as it is. One that is compressed goes to the
/// upstream unread: it knows how to refuse.
fn is_plain(head: &Parts) -> bool {
    head.headers.get(CONTENT_ENCODING).is_none_or(|coding| {
        let coding = coding.as_bytes();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}

/// A request without a key must carry a DSN in line one.
fn look_for_dsn(chunks: &VecDeque<Bytes>) -> Result<(), Refusal> {
    let line = line_one(chunks);
    let unreadable = || {
        Refusal::of(
            Reason::Malformed,
            400,
            "line one of the envelope is not a JSON object",
        )
    };
    if line.is_empty() && chunks.iter().all(Bytes::is_empty) {
        return Err(Refusal::empty());
    }
    let header = envelope::header::parse(&line).map_err(|_| unreadable())?;
    let Some(text) = header.dsn else {
        return Err(Refusal::no_key());
    };
    match dsn::parse(&text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::of(
            Reason::BadKey,
            401,
            "the dsn in line one of the envelope cannot be read",
        )),
    }
}

/// Line one without its end. Copied: it may lie across chunks, and it is a header.
fn line_one(chunks: &VecDeque<Bytes>) -> Vec<u8> {
    let mut line = Vec::new();
    for chunk in chunks {
        let end = memchr::memchr(b'\n', chunk);
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        line.extend_from_slice(part);
        if end.is_some() || line.len() > LINE_ONE_BYTES_MAX {
            break;
        }
    }
    line.truncate(LINE_ONE_BYTES_MAX);
    line
}

fn is_empty_event(endpoint: Endpoint, head: &Parts, body: &Outgoing) -> bool {
    matches!(endpoint, Endpoint::Envelope | Endpoint::Store)
        && head.method == Method::POST
        && body.length() == Some(0)
}

/// The length upstream: exact where it is known, chunked where it is not.
pub(crate) fn announce(head: &mut Parts, body: &Outgoing) {
    match body.length() {
        Some(0) if !head.headers.contains_key(CONTENT_LENGTH) => {}
        Some(bytes) => {
            head.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        None => {
            head.headers.remove(CONTENT_LENGTH);
        }
    }
}

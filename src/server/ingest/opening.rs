//! How an event's body is taken up: its beginning, or all of a short one; and an
//! envelope's first line, judged and cleaned before the upstream is dialled.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::uri::PathAndQuery;
use hyper::body::Incoming;

use crate::domain::coding::Coding;
use crate::domain::credentials::Credentials;
use crate::domain::dsn::{self, Dsn};
use crate::domain::endpoint::{Endpoint, ProjectId};
use crate::domain::envelope::agreement::{DsnDisagreement, agrees};
use crate::domain::envelope::header::{self, EnvelopeHeader};
use crate::domain::envelope::moved::moved;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::policy::inspection::{Fate, only_item};
use crate::policy::pair::Pair;
use crate::policy::{Claim, Client, Refusal};

use crate::server::client::stream::{BodyError, Stream};
use crate::server::delivery::body::Outgoing;
use crate::server::ingest::Pass;
use crate::server::ingest::chunks::{gather, joined, total_bytes};
use crate::server::ingest::claims::{Claims, X_SENTRY_AUTH};
use crate::server::ingest::event_id;
use crate::server::ingest::inspecting::{Envelope, inspect};
use crate::server::ingest::line_one::{Begun, Change, LineOne, NoLine, WAITED_FOR_BYTES};
use crate::server::ingest::manifest::Manifest;
use crate::server::ingest::moving::{aim, move_head};
use crate::server::ingest::sieve::Sieve;
use crate::server::ingest::unpacked::Unpacked;
use crate::server::ticket::Ticket;
use crate::server::worker::{InForce, Worker};

/// Why a body was not taken.
pub(crate) enum Turned {
    /// Refused, with its rest unread if there is one.
    Refused(Box<Refusal>, Option<Incoming>),
    /// It did not arrive whole.
    Failed(BodyError),
}

/// Takes a body: whole up to `inspect_bytes`, so that the upstream is dialled for
/// complete events only; of a larger one the beginning, the rest as it comes. An
/// envelope's first line is judged, and cleaned of what its sender may not say; then
/// its items are.
pub(crate) async fn open(
    worker: &Rc<Worker>,
    rules: &Rc<InForce>,
    stream: Stream,
    pass: Pass,
    head: &mut Parts,
    ticket: &mut Ticket,
) -> Result<Outgoing, Turned> {
    let begun = begin(stream, rules.config.limits.inspect_bytes, pass.envelope)
        .await
        .map_err(Turned::Failed)?;
    if is_empty_event(pass.endpoint, &head.method, &begun) {
        return Err(Turned::Refused(Box::new(Refusal::empty()), None));
    }
    let Some(coding) = pass.envelope else {
        // Boxed as it is not the common way: an envelope's future stays small.
        return Box::pin(pass_only_item(pass.endpoint, begun, ticket)).await;
    };
    // Held while a packed body that is here is looked into, one slice after the other.
    let looking = match coding == Coding::Identity {
        true => None,
        false => Some(worker.looking.wait(rules.config.limits.unpacking).await),
    };
    let read = read_line(worker, rules, pass, &begun, coding, head, ticket);
    let (line, change) = match read {
        Ok(read) => read,
        Err(refusal) => {
            let unread = begun.rest.map(Stream::into_incoming);
            return Err(Turned::Refused(Box::new(refusal), unread));
        }
    };
    let envelope = Envelope {
        line,
        change,
        coding,
        begun,
        looking,
    };
    match ticket.manifest() {
        Some(manifest) => {
            let manifest = Rc::clone(manifest);
            inspect(worker, rules, envelope, &manifest, head).await
        }
        None => Err(Turned::Refused(Box::new(Refusal::no_key()), None)),
    }
}

/// A body that is no envelope: one item, met at the head; only its bytes may be
/// unknown yet.
async fn pass_only_item(
    endpoint: Endpoint,
    begun: Begun,
    ticket: &Ticket,
) -> Result<Outgoing, Turned> {
    let Some(manifest) = ticket.manifest() else {
        return Ok(begun.unchanged());
    };
    if !manifest.has_met() {
        meet_event(endpoint, &begun, manifest)?;
    }
    let body = match begun.rest {
        Some(rest) if rest.announced().is_none() => {
            let (chunks, rest) = (begun.chunks, Some(rest));
            let source = Unpacked::Plain { chunks, rest };
            Outgoing::sieved(Sieve::metered(source, Rc::clone(manifest)))
        }
        rest => {
            let begun = Begun { rest, ..begun };
            if begun.rest.is_none() {
                let bytes = total_bytes(&begun.chunks);
                if begun.waited {
                    manifest.looks_at_clock();
                }
                manifest.passes(bytes).map_err(Turned::Failed)?;
                manifest.ends();
            }
            begun.unchanged()
        }
    };
    manifest.secured().await;
    Ok(body)
}

/// Meets a single event that is judged by what it says. One that is too long to be read is
/// judged by what is known without.
fn meet_event(endpoint: Endpoint, begun: &Begun, manifest: &Manifest) -> Result<(), Turned> {
    let announced = match &begun.rest {
        Some(rest) => rest.announced(),
        None => Some(total_bytes(&begun.chunks)),
    };
    let whole = begun.rest.is_none().then(|| joined(&begun.chunks));
    let text = whole.as_deref().and_then(event_id::text);
    let event = text.as_deref().and_then(Event::read);
    if begun.waited {
        manifest.looks_at_clock();
    }
    manifest.is_of(event.as_ref().and_then(Event::id));
    match manifest.meet(&only_item(endpoint, announced), announced, event.as_ref()) {
        Fate::Kept | Fate::KeptAsError => Ok(()),
        Fate::Dropped(_) => {
            let refusal = Box::new(manifest.nothing_left());
            Err(Turned::Refused(refusal, None))
        }
    }
}

/// Judges line one, and yields it; and how it must be rewritten.
fn read_line(
    worker: &Rc<Worker>,
    rules: &Rc<InForce>,
    pass: Pass,
    begun: &Begun,
    coding: Coding,
    head: &mut Parts,
    ticket: &mut Ticket,
) -> Result<(LineOne, Change), Refusal> {
    let line = LineOne::find(begun, coding, rules.decode).map_err(refuse_line)?;
    let change = {
        let text = line.text(&begun.chunks);
        let header = header::parse(&text).map_err(Refusal::malformed)?;
        ticket.is_of_event(header.event_id.as_deref());
        judge(worker, rules, pass, &header, head, ticket)?;
        if let Some(manifest) = ticket.manifest() {
            manifest.hears(&text);
        }
        let moves = rules.gate.moves.map();
        Change {
            forged: header.forged,
            moved: !moves.is_empty() && moved(&text, moves).is_some(),
        }
    };
    Ok((line, change))
}

/// Reads a body's beginning, or all of a short one.
async fn begin(
    mut stream: Stream,
    whole_max: u64,
    envelope: Option<Coding>,
) -> Result<Begun, BodyError> {
    let streams = stream.announced().is_some_and(|bytes| bytes > whole_max);
    let mut chunks = VecDeque::with_capacity(1);
    let mut taken_bytes = 0_u64;
    let mut has_line = envelope.is_none();
    while !(has_line && (streams || taken_bytes > whole_max)) {
        let Some(chunk) = stream.chunk().await else {
            return Ok(Begun {
                chunks,
                rest: None,
                waited: stream.has_waited(),
            });
        };
        let chunk = chunk?;
        taken_bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        has_line = has_line
            || taken_bytes >= WAITED_FOR_BYTES
            || envelope == Some(Coding::Identity) && memchr::memchr(b'\n', &chunk).is_some();
        gather(&mut chunks, chunk);
    }
    Ok(Begun {
        chunks,
        waited: stream.has_waited(),
        rest: Some(stream),
    })
}

/// Judges what line one says: whose it is, if the head did not know; that it
/// agrees with the head, if it did.
fn judge(
    worker: &Rc<Worker>,
    rules: &Rc<InForce>,
    pass: Pass,
    header: &EnvelopeHeader<'_>,
    head: &mut Parts,
    ticket: &mut Ticket,
) -> Result<(), Refusal> {
    let credentials = pass.admitted.credentials.as_ref();
    let Some(dsn) = whose(header, credentials, pass.project)? else {
        return Ok(());
    };
    let claims = Claims::of(&head.headers);
    let page = claims.page();
    let claim = Claim {
        key: dsn.key,
        project: Some(dsn.project),
        page: &page,
        client: Client {
            ip: pass.client,
            user_agent: claims.user_agent,
        },
        endpoint: pass.endpoint,
    };
    ticket.is_claimed(|| Some(Pair::new(&dsn.key, claim.project)));
    let sender = {
        let mut here = worker.proven_here.borrow_mut();
        rules
            .gate
            .admit_key(&claim, &mut worker.live(ticket.started, &mut here))?
    };
    ticket.is_sent_by(Some(sender));
    let manifest = Manifest::new(worker, rules, sender, pass, ticket);
    let full = manifest.full();
    ticket.carries(Rc::new(manifest));
    if let Some(refusal) = full {
        return Err(refusal);
    }
    if pass.tunnelled {
        leave_tunnel(head, &dsn);
    }
    let moved = rules.gate.moves.map().find(&dsn.key, Some(dsn.project));
    if let Some((_, moved)) = moved {
        move_head(head, moved);
    }
    Ok(())
}

/// The DSN in line one, where it is the only word on whose the envelope is.
/// `None`: the head has said so, and line one does not contradict it.
pub(crate) fn whose<'l>(
    header: &'l EnvelopeHeader<'_>,
    credentials: Option<&Credentials>,
    project: Option<ProjectId>,
) -> Result<Option<Dsn<'l>>, Refusal> {
    if let Some(credentials) = credentials {
        let agrees = agrees(header, Some(&credentials.key), project);
        return agrees.map(|()| None).map_err(disagreement);
    }
    let text = header.dsn.as_deref().ok_or_else(Refusal::no_dsn)?;
    let dsn = dsn::parse(text).map_err(|_| disagreement(DsnDisagreement::Unreadable))?;
    match project {
        // A path and a DSN that differ could be counted under one project and stored
        // under the other.
        Some(project) if project != dsn.project => Err(disagreement(DsnDisagreement::Project)),
        Some(_) | None => Ok(Some(dsn)),
    }
}

/// Makes a tunnelled request the one that its SDK would have sent without a
/// tunnel. The host that the DSN names is nobody's business here.
fn leave_tunnel(head: &mut Parts, dsn: &Dsn<'_>) {
    let path = format!("/api/{}/envelope/", dsn.project);
    if let Ok(path) = PathAndQuery::try_from(path) {
        aim(head, path);
    }
    head.headers.remove(AUTHORIZATION);
    let auth = format!("Sentry sentry_version=7, sentry_key={}", dsn.key.as_str());
    if let Ok(auth) = HeaderValue::try_from(auth) {
        head.headers.insert(X_SENTRY_AUTH, auth);
    }
}

fn disagreement(disagreement: DsnDisagreement) -> Refusal {
    let (reason, status) = match disagreement {
        DsnDisagreement::Key | DsnDisagreement::Project => (Reason::DsnMismatch, 400),
        DsnDisagreement::Unreadable => (Reason::BadKey, 401),
    };
    Refusal::of(reason, status, disagreement.to_string())
}

pub(crate) fn refuse_line(why: NoLine) -> Refusal {
    match why {
        NoLine::TooLong => {
            let detail = "line one of the envelope is over 64 KiB";
            Refusal::of(Reason::Malformed, 400, detail)
        }
        NoLine::Coding(error) => Refusal::coding(error),
    }
}

fn is_empty_event(endpoint: Endpoint, method: &Method, begun: &Begun) -> bool {
    matches!(endpoint, Endpoint::Envelope | Endpoint::Store)
        && method == Method::POST
        && begun.rest.is_none()
        && begun.chunks.iter().all(Bytes::is_empty)
}

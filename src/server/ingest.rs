//! One event request, head to answer: the story of the program. Each step owns
//! its input and yields the next step's; only this file knows their order.

pub(super) mod chunks;
pub(super) mod claims;
pub(super) mod event_id;
pub(super) mod inflating;
mod inspecting;
pub(super) mod line_one;
pub(super) mod manifest;
pub(super) mod moving;
pub(super) mod opening;
pub(super) mod sieve;
pub(super) mod survey;
pub(super) mod tally;
pub(super) mod unpacked;

use std::net::IpAddr;
use std::rc::Rc;

use http::Response;
use tokio::time::Instant;

use crate::domain::coding::Coding;
use crate::domain::credentials::Sources;
use crate::domain::dsn_map::Move;
use crate::domain::endpoint::{Endpoint, Ingest, Project, ProjectId};
use crate::policy::inspection::{Fate, only_item};
use crate::policy::{Admitted, Client, Question, Refusal};
use crate::telemetry::labels::Upstream;

use crate::server::client::arrival::Arrived;
use crate::server::client::reception::refuse_unread;
use crate::server::client::reply::Reply;
use crate::server::client::respond;
use crate::server::client::stream::Stream;
use crate::server::delivery::deliver::{deliver, turn_away};
use crate::server::delivery::outbound;
use crate::server::delivery::rescue::Keeper;
use crate::server::ingest::claims::Claims;
use crate::server::ingest::manifest::Manifest;
use crate::server::ingest::moving::move_head;
use crate::server::ingest::opening::{Turned, open};
use crate::server::mirrors::copying::Copying;
use crate::server::ticket::Ticket;
use crate::server::upstream::send::{Keep, Outbound, Repeat};
use crate::server::worker::{InForce, Worker};

/// An event request that passed the gate by its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    /// The proof.
    pub admitted: Admitted,
    /// What it is posted to.
    pub endpoint: Endpoint,
    /// The project in the path.
    pub project: Option<ProjectId>,
    /// The coding of a body that is an envelope, whose first line is looked at.
    pub envelope: Option<Coding>,
    /// It came by a tunnel: everything is in line one.
    pub tunnelled: bool,
    /// The client's address.
    pub client: IpAddr,
}

/// Judges an event request by its head.
pub(crate) fn admit(
    worker: &Worker,
    rules: &InForce,
    arrived: &Arrived,
    ingest: Ingest<'_>,
    now: Instant,
) -> Result<Pass, Refusal> {
    let claims = Claims::of(&arrived.head.headers);
    let sources = claims.sources(&arrived.head, ingest)?;
    ask(worker, rules, arrived, ingest, &claims, sources, now)
}

/// Judges a request to a tunnel by its head, in which nothing says whose it is.
pub(crate) fn admit_tunnel(
    worker: &Worker,
    rules: &InForce,
    arrived: &Arrived,
    now: Instant,
) -> Result<Pass, Refusal> {
    let ingest = Ingest {
        endpoint: Endpoint::Envelope,
        project: Project::OfKey,
        path_key: None,
    };
    let claims = Claims::of(&arrived.head.headers);
    let sources = Sources::default();
    let mut pass = ask(worker, rules, arrived, ingest, &claims, sources, now)?;
    pass.tunnelled = true;
    Ok(pass)
}

fn ask(
    worker: &Worker,
    rules: &InForce,
    arrived: &Arrived,
    ingest: Ingest<'_>,
    claims: &Claims<'_>,
    sources: Sources<'_>,
    now: Instant,
) -> Result<Pass, Refusal> {
    let page = claims.page();
    let question = Question {
        ingest,
        method: arrived.head.method.as_str(),
        sources,
        content_type: claims.content_type,
        announced: arrived.announced,
        page: &page,
        client: Client {
            ip: arrived.sender.client,
            user_agent: claims.user_agent,
        },
    };
    let mut here = worker.proven_here.borrow_mut();
    let admitted = rules
        .gate
        .admit(&question, &mut worker.live(now, &mut here))?;
    Ok(Pass {
        admitted,
        endpoint: ingest.endpoint,
        project: question.project(),
        envelope: match holds_envelope(ingest.endpoint, &question) {
            true => Some(claims.coding()?),
            false => None,
        },
        tunnelled: false,
        client: arrived.sender.client,
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
    let limits = &rules.config.limits;
    let (bytes_max, idle) = (limits.bodies.ingest, limits.body_idle);
    let stream = Stream::new(body, announced, bytes_max, idle, ticket.meter());
    ticket.is_sent_by(pass.admitted.sender);
    if let Some(sender) = pass.admitted.sender {
        let manifest = Manifest::new(&worker, &rules, sender, pass, &ticket);
        let full = refused_at_head(&manifest, pass, announced);
        ticket.carries(Rc::new(manifest));
        if let Some(refusal) = full {
            return refuse_unread(refusal, stream.into_incoming(), ticket);
        }
    }
    let body = match open(&worker, &rules, stream, pass, &mut head, &mut ticket).await {
        Ok(body) => body,
        Err(Turned::Refused(refusal, unread)) => {
            ticket.is_refused(&rules, &refusal, pass.client);
            return match unread {
                Some(unread) => refuse_unread(*refusal, unread, ticket),
                None => respond::refuse(*refusal, &mut ticket),
            };
        }
        Err(Turned::Failed(error)) => return turn_away(error, &rules, ticket),
    };
    if let Some(moved) = moved(&rules, &pass) {
        move_head(&mut head, moved);
    }
    let path = pass.tunnelled.then(|| head.uri.path_and_query().cloned());
    outbound::prepare(&mut head, sender, ticket.route(), &rules, path.flatten());
    let to = destination(&rules, &ticket);
    let mut outbound = Outbound {
        upstream: to,
        head,
        body,
        repeat: Repeat::Safe,
        keep: Keep::No,
    };
    let keeper = Keeper::of(&worker, &rules, pass, &outbound, ticket.manifest());
    let keeper = keeper.map(|keeper| keeper.keeps(&worker, &rules, &mut outbound));
    // What the first does not get is copied to nobody.
    let copying = match rules.mirrors.is_empty() || to != Upstream::Ingest {
        true => None,
        false => Copying::of(&rules, pass, &mut outbound, ticket.manifest()),
    };
    deliver(worker, rules, outbound, ticket, (keeper, copying)).await
}

/// Where the DSN leads by which a request came, if its head says which; line one's is gone by
/// as soon as that is read.
fn moved<'r>(rules: &'r InForce, pass: &Pass) -> Option<&'r Move> {
    let moves = &rules.gate.moves;
    let key = &pass.admitted.credentials.as_ref()?.key;
    if moves.is_empty() {
        return None;
    }
    moves.map().find(key, pass.project).map(|(_, moved)| moved)
}

/// Which Sentry is to have it: whichever has the project of the key that it came by.
fn destination(rules: &InForce, ticket: &Ticket) -> Upstream {
    match ticket.manifest() {
        Some(manifest) if !rules.gate.moves.is_empty() => rules.destination(&manifest.pair()),
        Some(_) | None => Upstream::Ingest,
    }
}

/// What refuses a request before its body is read: a limit that covers whatever an
/// envelope may hold, or the one item that any other request is.
fn refused_at_head(manifest: &Manifest, pass: Pass, announced: Option<u64>) -> Option<Refusal> {
    let endpoint = pass.endpoint;
    let item = only_item(endpoint, announced);
    // What has to be read before it is judged is met when it is here.
    if pass.envelope.is_some() || endpoint == Endpoint::Store && manifest.reads(item.kind) {
        return manifest.full();
    }
    match manifest.meet(&item, announced, None) {
        Fate::Kept | Fate::KeptAsError => None,
        Fate::Dropped(_) => Some(manifest.nothing_left()),
    }
}

/// Whether the body is an envelope; old clients post those to the store endpoint
/// too. The type's beginning is enough: an upstream that looks no further must not
/// read an envelope that was not looked into here.
pub(crate) fn holds_envelope(endpoint: Endpoint, question: &Question<'_>) -> bool {
    const ENVELOPE: &[u8] = b"application/x-sentry-envelope";
    let named = || {
        let media = question.content_type.unwrap_or_default().trim_ascii_start();
        media
            .get(..ENVELOPE.len())
            .is_some_and(|media| media.eq_ignore_ascii_case(ENVELOPE))
    };
    question.method == "POST"
        && (endpoint == Endpoint::Envelope || endpoint == Endpoint::Store && named())
}

//! Everything that is not an event: pages, the API, uploads and files, passed
//! through untouched. Bodies are read ahead, so that a slow client holds none of
//! web's few workers. Never reads what they say, but for what uploaders are told
//! (`settings`) and what is kept for others (`cached`).

pub(super) mod cached;
mod settings;
pub(super) mod statics;
pub(super) mod upload;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, Response};

use crate::policy::Refusal;
use crate::telemetry::labels::Route;

use crate::server::client::arrival::Arrived;
use crate::server::client::reception::refuse_unread;
use crate::server::client::reply::Reply;
use crate::server::client::stream::{BodyError, Stream};
use crate::server::delivery::body::Outgoing;
use crate::server::delivery::deliver::{deliver, turn_away};
use crate::server::delivery::outbound;
use crate::server::delivery::spill::{Added, DiskBudget, Spill};
use crate::server::ingest::chunks::{gather, total_bytes};
use crate::server::passage::settings::Settings;
use crate::server::rules::Rules;
use crate::server::ticket::Ticket;
use crate::server::upstream;
use crate::server::upstream::send::{Keep, Outbound, Repeat};
use crate::server::worker::{InForce, Worker};

/// Chunks of an upload are written to disk in lots of this size: few system
/// calls, and little memory for each of a hundred uploads.
const LOT_BYTES: u64 = 64 * 1024;

/// Passes a request through to the upstream of its route.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    arrived: Arrived,
    mut ticket: Ticket,
) -> Response<Reply> {
    let route = ticket.route();
    ticket.shows_pages = takes_pages(&arrived.head.headers);
    if let Err(refusal) = check_size(&rules, route, arrived.announced) {
        return refuse_unread(refusal, arrived.body, ticket);
    }
    let (bytes_max, _) = rules.body_limit(route);
    let Arrived {
        mut head,
        body,
        sender,
        announced,
        path,
    } = arrived;
    let repeat = match head.method.is_idempotent() {
        true => Repeat::Safe,
        false => Repeat::Unsafe,
    };
    let idle = rules.config.limits.body_idle;
    // What asks how to upload has no body, and is over at once.
    if route == Route::Upload && announced != Some(0) {
        ticket.uploads();
    }
    let stream = Stream::new(body, announced, bytes_max, idle, ticket.meter());
    let body = match read_ahead(&worker, &rules, stream).await {
        Ok(body) => body,
        Err(error) => return turn_away(error, &rules, ticket),
    };
    let upstream = upstream::of_route(route);
    let path = path.map(|path| *path);
    let settings = match route == Route::Upload {
        true => Settings::wanted(&rules, &head, sender),
        false => None,
    };
    if settings.is_some() {
        Settings::ask_whole(&mut head.headers);
    }
    let may_be_here =
        route == Route::Web && announced == Some(0) && cached::may_be_here(&rules, &head);
    outbound::prepare(&mut head, sender, route, &rules, path);
    let outbound = Outbound {
        upstream,
        head,
        body,
        repeat,
        keep: Keep::No,
    };
    if may_be_here {
        return Box::pin(cached::serve(worker, rules, outbound, ticket)).await;
    }
    let metrics = Arc::clone(&worker.metrics);
    let response = deliver(worker, rules, outbound, ticket, (None, None)).await;
    match settings {
        Some(settings) => settings.fit(response, &metrics).await,
        None => response,
    }
}

/// Whether its sender asks for pages, as browsers do and nobody else.
fn takes_pages(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| memchr::memmem::find(value.as_bytes(), b"text/html").is_some())
}

/// Refuses a body that is announced to be over its route's limit.
pub(crate) fn check_size(
    rules: &Rules,
    route: Route,
    announced: Option<u64>,
) -> Result<(), Refusal> {
    let (bytes_max, limit) = rules.body_limit(route);
    match announced.is_some_and(|bytes| bytes > bytes_max) {
        true => Err(Refusal::too_large(route.as_str(), limit, bytes_max)),
        false => Ok(()),
    }
}

/// Reads a body to its end before the upstream is dialled: in memory up to
/// `web_read_ahead.request`, then on disk. A body that no disk is left for goes
/// out as it comes, at the price of a web worker that waits for it.
async fn read_ahead(
    worker: &Worker,
    rules: &InForce,
    mut stream: Stream,
) -> Result<Outgoing, BodyError> {
    let ahead = &rules.config.upstream.web_read_ahead;
    let fits = stream
        .announced()
        .is_none_or(|bytes| bytes <= ahead.request);
    let memory = if fits { ahead.request } else { 0 };
    let mut chunks = VecDeque::new();
    while total_bytes(&chunks) <= memory {
        match stream.chunk().await.transpose()? {
            None => return Ok(Outgoing::whole(chunks)),
            Some(chunk) => gather(&mut chunks, chunk),
        }
    }
    let budget = DiskBudget {
        taken: Arc::clone(&worker.shared.disk_bytes),
        bytes_max: ahead.disk,
        // A folder of its own, and no event is at stake: what it is full of passes as it comes.
        free_floor: 0,
    };
    let mut spill = match Spill::create(ahead.path.as_deref(), budget).await {
        Ok(spill) => spill,
        Err(error) => {
            tracing::warn!(%error, "no file for a body to be read ahead into; it is passed on as it comes");
            stream.put_back(chunks);
            return Ok(Outgoing::stream(stream));
        }
    };
    loop {
        let added = spill
            .add(std::mem::take(&mut chunks))
            .await
            .map_err(|error| {
                tracing::error!(%error, "a body cannot be read ahead to disk");
                BodyError::Disk
            })?;
        if let Added::Full(refused) = added {
            stream.put_back(refused);
            return Ok(Outgoing::joined(spill.finish(), stream));
        }
        while total_bytes(&chunks) < LOT_BYTES {
            match stream.chunk().await.transpose()? {
                Some(chunk) => gather(&mut chunks, chunk),
                None => {
                    return match spill.add(chunks).await {
                        Ok(Added::Kept) => Ok(Outgoing::disk(spill.finish())),
                        Ok(Added::Full(chunks)) => {
                            stream.put_back(chunks);
                            Ok(Outgoing::joined(spill.finish(), stream))
                        }
                        Err(_) => Err(BodyError::Disk),
                    };
                }
            }
        }
    }
}

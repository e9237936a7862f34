//! Everything that is not an event: pages, the API, uploads and files, passed
//! through untouched. Bodies are read ahead, so that a slow client holds none of
//! web's few workers. Never reads what they say.

use std::collections::VecDeque;
use std::rc::Rc;

use http::Response;
use http::request::Parts;
use http::uri::PathAndQuery;
use hyper::body::Incoming;

use crate::policy::Refusal;
use crate::telemetry::labels::Route;

use super::body::{BodyError, Outgoing, Stream, total_bytes};
use super::deliver::{body_refusal, deliver, upstream_of};
use super::ingest::announce;
use super::outbound::{self, Sender};
use super::reception::{Refused, refuse_unread};
use super::reply::Reply;
use super::respond;
use super::spill::{Added, DiskBudget, Spill};
use super::ticket::Ticket;
use super::upstream::send::{Outbound, Repeat};
use super::worker::{InForce, Worker};

/// Chunks of an upload are written to disk in lots of this size: few system
/// calls, and little memory for each of a hundred uploads.
const LOT_BYTES: u64 = 256 * 1024;

/// A request that is no event.
pub(crate) struct Request {
    /// The head as it came.
    pub head: Parts,
    /// The body, of which nothing has been read.
    pub body: Incoming,
    /// Who sent it.
    pub sender: Sender,
    /// The body's announced length; `None` when chunked.
    pub announced: Option<u64>,
    /// Another path to ask for upstream, where the route says so.
    pub path: Option<PathAndQuery>,
}

/// Passes a request through to the upstream of its route.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    request: Request,
    mut ticket: Ticket,
) -> Response<Reply> {
    let route = ticket.route();
    let (bytes_max, limit) = body_limit(&rules, route);
    if request.announced.is_some_and(|bytes| bytes > bytes_max) {
        let refusal = Refusal::too_large(route.as_str(), limit, bytes_max);
        return refuse_unread(
            Refused {
                refusal,
                unread: request.body,
            },
            ticket,
        );
    }
    let Request {
        mut head,
        body,
        sender,
        announced,
        path,
    } = request;
    let repeat = match head.method.is_safe() {
        true => Repeat::Safe,
        false => Repeat::Unsafe,
    };
    let idle = rules.config.limits.body_idle;
    let stream = Stream::new(body, announced, bytes_max, idle, ticket.meter());
    let body = match read_ahead(&worker, &rules, stream).await {
        Ok(body) => body,
        Err(error) => return respond::refuse(body_refusal(error, route, bytes_max), &mut ticket),
    };
    let upstream = upstream_of(route);
    outbound::prepare(&mut head, sender, route, upstream, &rules, path);
    announce(&mut head, &body);
    deliver(
        worker,
        rules,
        Outbound {
            upstream,
            head,
            body,
            repeat,
        },
        ticket,
    )
    .await
}

/// The largest body of a route, and the key that says so.
fn body_limit(rules: &InForce, route: Route) -> (u64, &'static str) {
    let bodies = &rules.config.limits.bodies;
    match route {
        Route::Upload => (bodies.upload, "limits.bodies.upload"),
        Route::Ingest | Route::Tunnel => (bodies.ingest, "limits.bodies.ingest"),
        Route::Web | Route::Static | Route::Relay | Route::Local => {
            (bodies.web, "limits.bodies.web")
        }
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
            Some(chunk) => chunks.push_back(chunk),
        }
    }
    let budget = DiskBudget {
        taken: std::sync::Arc::clone(&worker.shared.disk_bytes),
        bytes_max: ahead.disk,
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
                Some(chunk) => chunks.push_back(chunk),
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

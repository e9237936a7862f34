//! What becomes of an event that its upstream did not take: it is kept, and its client
//! is answered in the upstream's place. Owns what is kept of it, and what an answer that
//! comes late still changes; never decides whether there is room.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use http::response::Parts as Answered;
use tokio::time::timeout;

use crate::domain::coding::Coding;
use crate::domain::endpoint::Endpoint;
use crate::domain::outcome::Reason;
use crate::policy::pair::Pair;
use crate::telemetry::labels::Upstream;

use crate::server::client::stream::BodyError;
use crate::server::delivery::lessons;
use crate::server::delivery::tee::Copied;
use crate::server::ingest::Pass;
use crate::server::ingest::event_id;
use crate::server::ingest::manifest::Manifest;
use crate::server::spool::parcel::{Holding, Parcel};
use crate::server::spool::{Due, End, Kept, NotKept};
use crate::server::upstream::line::is_outage;
use crate::server::upstream::send::{Answer, Ended, Keep, Outbound, Sent, Waiting};
use crate::server::upstream::sending::{Left, head_bytes};
use crate::server::worker::{InForce, Worker};

/// How long an answer is waited for once its client was answered. What is sent again
/// before it comes may arrive twice.
const LATE_FOR: Duration = Duration::from_secs(60);

/// Keeps one request if need be.
#[derive(Debug)]
pub(crate) struct Keeper {
    manifest: Rc<Manifest>,
    endpoint: Endpoint,
    /// The mirror whose Sentry is to have it, by its name.
    to: Option<Box<str>>,
    /// How its body leaves.
    coding: Option<Coding>,
    /// Its head as bytes, where the body leaves as it comes and nobody has it any more.
    head: Vec<u8>,
}

/// Why nothing was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its client did not send all of it.
    Body(BodyError),
    /// Some of it had left before there was room for a copy.
    Gone,
    /// The spool did not take it.
    Spool(NotKept),
}

/// A request that is kept.
#[derive(Debug)]
pub(crate) struct Rescued {
    /// Where it is.
    pub kept: Kept,
    /// What it carries.
    pub holdings: Vec<Holding>,
    sender: Pair,
    told: Told,
}

/// How the client of a request that is kept is answered.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// What it was posted to.
    pub endpoint: Endpoint,
    /// The event's id, if it has one.
    pub event_id: Option<String>,
}

impl Rescued {
    /// How its client is answered.
    pub(crate) fn told(&self) -> Told {
        self.told.clone()
    }
}

impl Keeper {
    /// Keeps requests to such an endpoint, if there is a spool.
    pub(crate) fn of(
        worker: &Worker,
        rules: &InForce,
        pass: Pass,
        outbound: &Outbound,
        manifest: Option<&Rc<Manifest>>,
    ) -> Option<Self> {
        let endpoint = pass.endpoint;
        let posted = outbound.head.method == Method::POST;
        let waits = endpoint.can_wait() && (posted || endpoint == Endpoint::Cron);
        if !waits || !worker.shared.spool.is_open() {
            return None;
        }
        Some(Self {
            manifest: Rc::clone(manifest?),
            endpoint,
            to: match outbound.upstream {
                Upstream::Ingest | Upstream::Web => None,
                Upstream::Mirror(place) => Some(rules.mirror(place).name.as_str().into()),
            },
            coding: pass.envelope,
            head: Vec::new(),
        })
    }

    /// Sees to it that all of the request stays at hand on its way.
    pub(crate) fn keeps(
        mut self,
        worker: &Worker,
        rules: &InForce,
        outbound: &mut Outbound,
    ) -> Self {
        outbound.keep = Keep::Yes;
        let body = &mut outbound.body;
        if body.is_inflated() {
            self.coding = self.coding.map(|_| Coding::Identity);
        }
        if body.chunks().is_none()
            && let Some(budget) = worker.shared.spool.copies(&rules.config.spool)
        {
            self.head = head_bytes(&outbound.head);
            body.is_copied(budget);
        }
        self
    }

    /// Whether an answer leaves the request for later.
    pub(crate) fn saves(&self, answer: &Answer) -> bool {
        // It cannot have taken what it has not seen: its 200 would be a lie.
        let early = answer.sent == Sent::Part && answer.head.status.is_success();
        early || is_outage(answer.head.status)
    }

    /// Keeps a request, once all of it is here.
    ///
    /// # Errors
    /// It is lost, unless its upstream answers after all.
    pub(crate) async fn keep(
        &mut self,
        worker: &Worker,
        left: Left,
        maybe_sent: bool,
        due: Due,
    ) -> Result<Rescued, Lost> {
        let Left { head, body } = left;
        let body = body.rest().await.map_err(Lost::Body)?.ok_or(Lost::Gone)?;
        let head = match head.is_empty() {
            true => std::mem::take(&mut self.head),
            false => head,
        };
        let event_id = event_id::of(self.endpoint, self.coding, beginning(&body));
        let holdings = self.manifest.holdings();
        let parcel = Parcel {
            holdings: holdings.clone(),
            to: self.to.clone(),
            project: self.manifest.project(),
            sender: Some(self.manifest.pair()),
            proven: self.manifest.is_trusted(),
            maybe_sent,
            envelope: self.coding,
            head,
            body,
        };
        let kept = worker.shared.spool.keep(parcel, due).await;
        let kept = kept.map_err(Lost::Spool)?;
        self.manifest.is_used();
        self.manifest.is_kept();
        let endpoint = self.endpoint;
        Ok(Rescued {
            kept,
            holdings,
            sender: self.manifest.pair(),
            told: Told { endpoint, event_id },
        })
    }
}

fn beginning(body: &Copied) -> Bytes {
    match body {
        Copied::Chunks(chunks) => match chunks.len() {
            1 => chunks.front().cloned().unwrap_or_default(),
            _ => chunks.iter().flatten().copied().collect::<Vec<u8>>().into(),
        },
        Copied::File(file) => file.beginning(),
    }
}

/// Waits for an answer whose client was answered already. What was taken is not sent
/// again; all else is, in its turn.
pub(crate) async fn outlive(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    waiting: Box<Waiting>,
    rescued: Rescued,
) {
    let came = timeout(LATE_FOR, waiting.go_on(&worker, &rules)).await;
    if let Ok(Ended::Answered(answer)) = &came {
        lessons::learn_late(&worker, Some(rescued.sender), &answer.head, &rules);
    }
    let end = match came {
        Ok(Ended::Answered(answer)) if answer.sent == Sent::Whole => said(&answer.head),
        Ok(_) | Err(_) => End::Again,
    };
    worker.settle_kept(&rescued.holdings, &end);
    worker.shared.spool.end(rescued.kept, end);
}

/// What an answer means for a request that is kept.
pub(crate) fn said(head: &Answered) -> End {
    match head.status.as_u16() {
        200..300 => End::Taken,
        429 => End::Limited(lessons::limits_of(head)),
        // A page of a proxy between, or a login: nobody has looked at the event.
        300..400 => End::Again,
        // The request was too slow or too early for it: no word on the event either.
        408 | 425 => End::Again,
        // Sentry says no in JSON; a page is some proxy's, or a login's.
        400..500 if is_json(head) => End::Refused(Reason::Upstream4xx),
        _ => End::Again,
    }
}

fn is_json(head: &Answered) -> bool {
    let kind = head.headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

//! One request as the access log sees it: what its head said, what was counted on its way, and how
//! it ended. It is shared by all who know a part of that, and the last to leave it writes its line.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;

use crate::config::checked::AccessFormat;
use crate::domain::category::Categories;
use crate::domain::endpoint::{self, Project, ProjectId};
use crate::domain::outcome::Reasons;
use crate::domain::path::normalise;
use crate::policy::pair::Pair;
use crate::telemetry::access::{Client, Form, Line, Sdk};
use crate::telemetry::labels::{Ending, Route};

use super::desk::How;
use crate::server::client::bad_head::BadHead;
use crate::server::client::reply::{Reply, ReplyError};
use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::ingest::manifest::Manifest;
use crate::server::worker::{InForce, Worker};

/// A request that may have a line. Dropped by the last who holds it, it writes that, if it was
/// told how the request ended and the line is due.
pub(crate) struct Visit {
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    listener: usize,
    method: Method,
    version: Version,
    path: Option<PathAndQuery>,
    agent: Option<HeaderValue>,
    auth: Option<HeaderValue>,
    /// Whose it is, where nobody else is told.
    pub pair: Cell<Option<Pair>>,
    /// Its event's id.
    pub event_id: Cell<Option<u128>>,
    /// How long the upstream took.
    pub upstream: Cell<Option<Duration>>,
    received: Cell<u64>,
    sent: Cell<u64>,
    end: RefCell<Option<End>>,
}

/// Shows nothing: it holds credentials.
impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").finish_non_exhaustive()
    }
}

/// How a request ended that has a line.
#[derive(Debug)]
pub(crate) struct End {
    /// When its head was read.
    pub started: Instant,
    /// How long it was under way.
    pub took: Duration,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// Where it belonged.
    pub route: Route,
    /// What became of it.
    pub how: How,
    /// Its project.
    pub project: Option<ProjectId>,
    /// What it carried.
    pub categories: Categories,
    /// The limits that had no room for it.
    pub limits: Vec<Box<str>>,
}

impl Visit {
    /// A request whose head was read; `None` where no request has a line.
    pub(crate) fn open<B>(
        worker: &Rc<Worker>,
        rules: &Rc<InForce>,
        listener: usize,
        request: &Request<B>,
    ) -> Option<Rc<Self>> {
        if !rules.config.access_log.is_on() {
            return None;
        }
        let headers = request.headers();
        Some(Rc::new(Self {
            worker: Rc::clone(worker),
            rules: Rc::clone(rules),
            listener,
            method: request.method().clone(),
            version: request.version(),
            path: request.uri().path_and_query().cloned(),
            agent: headers.get(USER_AGENT).cloned(),
            auth: headers.get(X_SENTRY_AUTH).cloned(),
            pair: Cell::new(None),
            event_id: Cell::new(None),
            upstream: Cell::new(None),
            received: Cell::new(0),
            sent: Cell::new(0),
            end: RefCell::new(None),
        }))
    }

    /// Bytes of its body have come in.
    pub(crate) fn receives(&self, bytes: u64) {
        self.received.set(self.received.get().saturating_add(bytes));
    }

    /// It has ended. What it carried is looked at only where its line is due.
    pub(crate) fn ends(&self, mut end: End, manifest: Option<&Manifest>) {
        let (worker, plan) = (&self.worker, &self.rules.config.access_log);
        if let Some(manifest) = manifest {
            end.how.dropped = manifest.reasons();
        }
        let at = worker.millis(end.started);
        if !worker.desk.wants(at, plan, self.rules.workers(), end.how) {
            return;
        }
        if let Some(manifest) = manifest {
            end.project = manifest.project();
            end.categories = manifest.categories();
            let names = manifest.limits();
            let names = names.iter().filter_map(|limit| limit.reason.clone());
            end.limits = names.collect();
            self.pair.set(self.pair.get().or(Some(manifest.pair())));
            self.event_id
                .set(self.event_id.get().or(manifest.trace().event_id));
        }
        *self.end.borrow_mut() = Some(end);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some(end) = self.end.take() else {
            return;
        };
        let path = self.path.as_ref();
        let raw = path.map_or("", PathAndQuery::path);
        let pair = self.pair.get();
        let known = end.project.or(pair.and_then(|pair| pair.project()));
        let line = Line {
            listener: name_of(&self.worker, self.listener),
            method: self.method.as_str(),
            path: raw,
            protocol: protocol(self.version),
            project: known.or_else(|| project_in(raw)),
            key: pair.map(|pair| pair.key().masked()),
            event_id: self.event_id.get(),
            bytes_in: self.received.get(),
            bytes_out: self.sent.get(),
            upstream: self.upstream.get(),
            sdk: Sdk {
                header: self.auth.as_ref().map(HeaderValue::as_bytes),
                query: path.and_then(PathAndQuery::query),
            },
            agent: self.agent.as_ref().map(HeaderValue::as_bytes),
            ..of_end(&self.worker, &self.rules, &end)
        };
        self.worker.desk.enter(form(&self.rules), &line);
    }
}

/// The line of a head that could not be read.
pub(crate) fn unreadable(worker: &Worker, listener: usize, client: IpAddr, bad: BadHead) {
    let rules = worker.rules();
    let plan = &rules.config.access_log;
    let end = End {
        started: Instant::now(),
        took: Duration::ZERO,
        client: Some(client),
        route: Route::Local,
        how: How {
            ending: Ending::Refused,
            status: bad.status(),
            reason: Some(bad.reason()),
            dropped: Reasons::default(),
        },
        project: None,
        categories: Categories::EMPTY,
        limits: Vec::new(),
    };
    let at = worker.millis(end.started);
    if worker.desk.wants(at, plan, rules.workers(), end.how) {
        let line = Line {
            listener: name_of(worker, listener),
            ..of_end(worker, &rules, &end)
        };
        worker.desk.enter(form(&rules), &line);
    }
}

/// What an end tells, and nothing of the head.
fn of_end<'e>(worker: &Worker, rules: &InForce, end: &'e End) -> Line<'e> {
    let at_ms = worker.shared.moment_ms(worker.millis(end.started));
    let client = end
        .client
        .and_then(|client| Client::of(&rules.store, client));
    Line {
        at: UNIX_EPOCH + Duration::from_millis(at_ms),
        listener: "",
        client,
        method: "",
        path: "",
        protocol: "",
        route: end.route,
        outcome: end.how.ending,
        status: end.how.status,
        reason: end.how.reason,
        project: None,
        key: None,
        categories: end.categories,
        dropped: end.how.dropped,
        limits: &end.limits,
        event_id: None,
        bytes_in: 0,
        bytes_out: 0,
        took: end.took,
        upstream: None,
        sdk: Sdk::default(),
        agent: None,
    }
}

fn form(rules: &InForce) -> Form {
    match rules.config.access_log.format {
        AccessFormat::Json => Form::Json,
        AccessFormat::Common => Form::Common,
    }
}

fn name_of(worker: &Worker, listener: usize) -> &str {
    let entrance = worker.shared.entrances.get(listener);
    entrance.map_or("", |entrance| &entrance.name)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// The project that a path names.
fn project_in(path: &str) -> Option<ProjectId> {
    let path = normalise(path).ok()?;
    match endpoint::route(&path) {
        endpoint::Route::Ingest(ingest) => match ingest.project {
            Project::Number(project) => Some(project),
            Project::OfKey | Project::Unparsable => None,
        },
        endpoint::Route::Relays
        | endpoint::Route::RelayInternal
        | endpoint::Route::Assets { .. }
        | endpoint::Route::Static
        | endpoint::Route::Upload
        | endpoint::Route::Web => None,
    }
}

/// An answer whose bytes are counted for its request's line.
#[derive(Debug)]
pub(crate) struct Seen {
    reply: Reply,
    visit: Rc<Visit>,
}

impl Seen {
    /// An answer of this request's.
    pub(crate) fn new(reply: Reply, visit: Rc<Visit>) -> Self {
        Self { reply, visit }
    }

    /// The next chunk, counted.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let frame = ready!(Pin::new(&mut self.reply).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let sent = &self.visit.sent;
            sent.set(sent.get().saturating_add(bytes));
        }
        Poll::Ready(frame)
    }

    /// Nothing more to come.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    /// The length of what is left.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

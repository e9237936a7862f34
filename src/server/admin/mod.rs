//! The admin server: what an operator asks and steers. Routes, each a GET
//! unless said otherwise:
//!
//! ```text
//! /health/live       the process runs
//! /health/ready      the edge takes requests
//! /metrics           Prometheus text
//! /                  the dashboard, and its files below /page/: without any data
//! /api/v1/live       what the dashboard shows, as server-sent events
//! /api/v1/history    the same once: the last hour, or the last ?frames=N of it
//! /api/v1/decisions  what becomes of each item, as server-sent events
//! /api/v1/projects   who sends, and projects/<id>: one of them
//! /api/v1/status     the traffic light
//! /api/v1/top        who sends most
//! /api/v1/config     the configuration in force, secrets as ***
//! /api/v1/budgets    what is used of budgets and long quotas, and when all of it will be
//! /api/v1/baselines  what each project usually sends, and who does not
//! /api/v1/clients    where requests come from, and why
//! /api/v1/explain    POST: what would become of a request
//! /api/v1/mutes      what is switched on; POST: switch on; DELETE mutes/<id>: off
//! /api/v1/maintenance  whether the upstream is being worked on; POST: switch it
//! /api/v1/spool      what is kept; POST: pause it; DELETE: drop it
//! /api/v1/incidents  what is the matter, and was; POST incidents/test: try the webhook
//! /api/v1/blocks     clients that are not heard; DELETE blocks/<ip>: hear one again
//! /api/v1/reload     POST: read the configuration again
//! ```
//!
//! and whatever pages the edge was started with. Health, metrics and the dashboard's
//! files are open; everything else is guarded. Never touches a request of the public side.

mod baselines;
mod blocks;
mod budgets;
mod clients;
mod decisions;
mod disks;
mod explain;
mod guard;
mod incidents;
mod keeping;
mod ledger;
mod limits;
mod listening;
mod live;
mod loops;
mod mirrors;
mod page;
mod projects;
mod sharing;
mod status;
mod switches;
mod told;
mod top;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::policy::breaker::State;
use crate::telemetry::exposition::{CONTENT_TYPE as METRICS_TYPE, Exposition};
use crate::telemetry::metrics::Metrics;

use crate::server::canary;
use crate::server::incidents::Watch;
use crate::server::memory::switches::Switchboard;
use crate::server::reloader::Reloader;
use crate::server::worker::Shared;

/// Connections of operators and scrapers at one time.
const CONNECTIONS_MAX: usize = 256;

/// How long a peer may take over a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What switches something is short.
const STEERING_BYTES_MAX: usize = 4096;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why mode `strict` lets in keys that nobody names.
const STRICT_WAITS: &str =
    "keys.mode strict is not in force yet: Sentry's list of keys has not been read";
const STRICT_READS: &str =
    "keys.mode strict is not in force yet: not all of sentry.projects has been read";

/// A further page of the admin server, guarded like the API.
pub struct Page {
    /// The path, exactly.
    pub path: &'static str,
    /// What the dashboard's link to it says; `None`: it has none.
    pub title: Option<&'static str>,
    /// The content type.
    pub content_type: &'static str,
    /// Makes the body at each GET.
    pub render: Box<dyn Fn() -> Bytes + Send + Sync>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// All that the admin server shows and does.
pub(super) struct Desk {
    /// Exchanges the configuration.
    pub reloader: Rc<Reloader>,
    /// What is switched on.
    pub switchboard: Rc<Switchboard>,
    /// What the workers share.
    pub shared: Arc<Shared>,
    /// All counters.
    pub metrics: Arc<Metrics>,
    /// Further pages.
    pub pages: Vec<Page>,
    /// The public addresses.
    pub public: Vec<SocketAddr>,
    /// What the dashboard shows.
    pub live: Live,
    /// Who hears what becomes of items.
    pub decisions: Decisions,
    /// How the last canaries fared.
    pub canary: canary::Board,
    /// What is the matter, and was.
    pub incidents: Rc<Watch>,
}

pub(super) use decisions::Decisions;
pub(super) use decisions::keep as keep_decisions;
pub(super) use live::Live;
pub(super) use live::keep as keep_live;
pub(super) use loops::looping;
pub(super) use sharing::reasons as sharing_reasons;
pub(super) use status::{is_safe, keeps};
pub(super) use told::untold;

type Answer = Response<Full<Bytes>>;

/// An answer, or one that goes on.
type Going = Response<Either<Full<Bytes>, listening::Listening>>;

/// Serves admin connections until the control thread's runtime ends.
pub(super) async fn serve(desk: Rc<Desk>, socket: Rc<TcpListener>) {
    let Ok(bound) = socket.local_addr() else {
        return;
    };
    let open = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((stream, peer)) => {
                let desk = Rc::clone(&desk);
                tokio::task::spawn_local(async move {
                    if let Err(error) = keep(desk, stream, guard::Ends { bound, peer }).await {
                        tracing::debug!(%error, "admin connection broke");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn keep(desk: Rc<Desk>, stream: TcpStream, ends: guard::Ends) -> io::Result<()> {
    let hang_up = Rc::new(Notify::new());
    let hangs_up = Rc::clone(&hang_up);
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, hang_up) = (Rc::clone(&desk), Rc::clone(&hang_up));
        async move {
            Ok::<_, Infallible>(match listening::goes_on(request.uri().path()) {
                true => desk.listen(&request, ends, hang_up),
                false => desk.answer(request, ends).await.map(Either::Left),
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = connection => served.map_err(io::Error::other),
        // A peer that reads nothing would hold its place for ever.
        () = hangs_up.notified() => Ok(()),
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>, ends: guard::Ends) -> Answer {
        let (method, path) = (request.method(), request.uri().path());
        match path {
            "/health/live" => get(method, || {
                json_answer(StatusCode::OK, &json!({"live": true}))
            }),
            "/health/ready" => get(method, || self.ready()),
            "/metrics" => get(method, || self.exposition()),
            path if page::is_file(path) => page::answer(&request),
            path => {
                let checked = guard::check(&self.reloader.config().admin, &request, ends);
                if let Err(refusal) = checked {
                    return error_answer(refusal.status, refusal.detail);
                }
                if method == Method::POST && path == "/api/v1/explain" {
                    return self.explain(request.into_body()).await;
                }
                if path == incidents::TEST {
                    return self.try_webhook(method).await;
                }
                let steers = matches!(
                    path,
                    "/api/v1/maintenance" | "/api/v1/spool" | switches::PATH | blocks::PATH
                ) || path.starts_with("/api/v1/mutes/")
                    || path.starts_with("/api/v1/blocks/");
                if steers {
                    return self.steer(request, ends.peer).await;
                }
                self.guarded(method, path, request.uri().query())
            }
        }
    }

    fn guarded(&self, method: &Method, path: &str, query: Option<&str>) -> Answer {
        match path {
            "/api/v1/status" => get(method, || json_answer(StatusCode::OK, &self.status())),
            "/api/v1/history" => get(method, || match live::frames_of(query) {
                Ok(frames) => typed(self.live.snapshot(self, frames).into(), "application/json"),
                Err(detail) => error_answer(StatusCode::BAD_REQUEST, detail),
            }),
            path if path.starts_with(projects::PATH) => get(method, || self.projects(path)),
            "/api/v1/ledger" => get(method, || {
                let ledger = ledger::ledger(&self.metrics.ledger);
                json_answer(StatusCode::OK, &ledger)
            }),
            "/api/v1/budgets" => get(method, || {
                let budgets = budgets::Budgets::read(&self.shared);
                json_answer(StatusCode::OK, &budgets.told())
            }),
            incidents::PATH => self.incidents(method),
            baselines::PATH => get(method, || json_answer(StatusCode::OK, &self.baselines())),
            "/api/v1/clients" => get(method, || {
                let clients = clients::clients(&self.shared, &self.metrics);
                json_answer(StatusCode::OK, &clients)
            }),
            top::PATH => get(method, || self.top(query)),
            "/api/v1/explain" => not_allowed("POST"),
            "/api/v1/config" => get(method, || {
                json_answer(StatusCode::OK, &self.reloader.config().to_json())
            }),
            "/api/v1/reload" if method == Method::POST => self.reload(),
            "/api/v1/reload" => not_allowed("POST"),
            path => match self.pages.iter().find(|page| page.path == path) {
                Some(page) => get(method, || framed(typed((page.render)(), page.content_type))),
                None => error_answer(StatusCode::NOT_FOUND, "there is no such path"),
            },
        }
    }

    fn status(&self) -> Value {
        status::status(self)
    }

    async fn explain(&self, body: Incoming) -> Answer {
        let body = Limited::new(body, explain::BODY_BYTES_MAX).collect();
        let Ok(Ok(body)) = tokio::time::timeout(BODY_TIMEOUT, body).await else {
            let detail = "the description is over 24 MiB, or did not arrive";
            return error_answer(StatusCode::PAYLOAD_TOO_LARGE, detail);
        };
        match explain::explain(&self.shared, &body.to_bytes()).await {
            Ok(told) => json_answer(StatusCode::OK, &told),
            Err(detail) => error_answer(StatusCode::BAD_REQUEST, &detail),
        }
    }

    /// What is kept, shown or steered.
    async fn steer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, STEERING_BYTES_MAX).collect();
        let Ok(Ok(body)) = tokio::time::timeout(BODY_TIMEOUT, body).await else {
            let detail = "the body is over 4 KiB, or did not arrive";
            return error_answer(StatusCode::PAYLOAD_TOO_LARGE, detail);
        };
        let body = body.to_bytes();
        match head.uri.path() {
            "/api/v1/spool" => self.spool(&head.method, head.uri.query(), &body).await,
            "/api/v1/maintenance" => self.maintenance(&head.method, &body),
            path if path.starts_with(blocks::PATH) => self.blocks(&head.method, path),
            path => self.switch((&head.method, path, head.uri.query()), &body, peer),
        }
    }

    /// Ready while events are taken: while the upstream takes them, or they can be kept.
    fn ready(&self) -> Answer {
        let shared = &self.shared;
        let keeps = status::keeps(shared);
        let delivers = shared.rules.load().ingest.breaker.state() != State::Open;
        let stopping = shared.stopping.load(Ordering::Relaxed);
        let ready = !stopping && (delivers || keeps);
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        json_answer(status, &json!({"ready": ready}))
    }

    fn exposition(&self) -> Answer {
        let metrics = Exposition::new(Arc::clone(&self.metrics));
        let switches = self.switchboard.counts();
        let light = status::light(self);
        let text = metrics.render(|| limits::readings(&self.shared, light, switches));
        typed(text.into(), METRICS_TYPE)
    }

    fn reload(&self) -> Answer {
        match self.reloader.reload() {
            Ok(reloaded) => json_answer(
                StatusCode::OK,
                &json!({"applied": true, "needs_restart": reloaded.needs_restart}),
            ),
            Err(errors) => {
                let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
                json_answer(StatusCode::UNPROCESSABLE_ENTITY, &json!({"errors": lines}))
            }
        }
    }
}

fn get(method: &Method, answer: impl FnOnce() -> Answer) -> Answer {
    if method == Method::GET || method == Method::HEAD {
        answer()
    } else {
        not_allowed("GET, HEAD")
    }
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = error_answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path takes another method",
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

fn error_answer(status: StatusCode, detail: &str) -> Answer {
    json_answer(status, &json!({"error": detail}))
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let mut answer = typed(value.to_string().into(), "application/json");
    *answer.status_mut() = status;
    answer
}

fn typed(body: Bytes, content_type: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A page that no other page may show inside of itself.
fn framed(mut answer: Answer) -> Answer {
    let policy = HeaderValue::from_static("frame-ancestors 'none'");
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

//! `/api/v1/explain`: a request's way through the edge, told and not gone. Asks
//! the checks that real requests pass, in their order, and changes nothing: no
//! verdict is learned, no rate is used up, no upstream is dialled.

mod because;
mod event;
mod items;

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::client_ip;
use crate::domain::credentials::Sources;
use crate::domain::endpoint::{self, Endpoint, Ingest, Project};
use crate::domain::path;
use crate::policy::Refusal;
use crate::policy::breaker::State;
use crate::telemetry::labels::{Route, Upstream};

use crate::server::client::arrival::{check_bytes, check_method};
use crate::server::client::blocking;
use crate::server::client::reception::relays;
use crate::server::delivery::undelivered::undelivered;
use crate::server::ingest::claims::Claims;
use crate::server::passage::check_size;
use crate::server::rules::Rules;
use crate::server::upstream::connect::ConnectError;
use crate::server::upstream::send::SendError;
use crate::server::upstream::{self, Target};
use crate::server::worker::Shared;

/// The largest body that is looked at; base64 makes it a third longer.
pub(super) const BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// A request as an operator describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    peer: IpAddr,
    #[serde(borrow, default)]
    body_base64: Cow<'a, str>,
}

/// What is told: each step, and how it ends.
struct Told {
    steps: Vec<Value>,
    judged: Judged,
    /// How many items there are and how many of them would stay here, where they were looked at.
    items: Option<Items>,
    /// Who would get it, if it is an event.
    to: Upstream,
}

/// How much of a request there was to judge.
#[derive(Clone, Copy)]
enum Judged {
    /// All that an edge looks at.
    All,
    /// Its head: the envelope was not given, and limits may still keep its items here.
    Head,
}

/// Items that were looked at.
#[derive(Clone, Copy, Serialize)]
struct Items {
    found: usize,
    dropped: usize,
}

/// How a request would end.
enum End {
    /// It goes to an upstream.
    Forwarded,
    /// It is kept, and goes to its upstream later.
    Kept,
    /// It is answered here, with success.
    Local(u16),
    /// It is refused here.
    Refused(Refusal),
}

impl Told {
    fn step(&mut self, step: &str, result: impl Into<String>, why: impl Into<String>) {
        let (result, why): (String, String) = (result.into(), why.into());
        self.steps
            .push(json!({"step": step, "result": result, "why": why}));
    }

    fn counts(&mut self, found: usize, dropped: usize) {
        self.items = Some(Items { found, dropped });
    }
}

/// Explains what would become of a request.
///
/// # Errors
/// What is wrong with the description.
pub(super) async fn explain(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let (head, body) = request(&asked)?;
    let rules = shared.rules.load_full();
    let mut told = Told {
        steps: Vec::new(),
        judged: Judged::All,
        items: None,
        to: Upstream::Ingest,
    };
    let asking = Asking {
        shared,
        rules: &rules,
        head: &head,
        body,
        peer: asked.peer,
    };
    let end = asking.way(&mut told).await;
    let (verdict, status, reason) = match end {
        End::Forwarded => ("forwarded", None, None),
        End::Kept => ("spooled", None, None),
        End::Local(status) => ("local", Some(status), None),
        End::Refused(refusal) => {
            told.step("refused", refusal.reason.as_str(), refusal.detail.clone());
            let reason = refusal.reason.as_str();
            ("refused", Some(refusal.status), Some(reason))
        }
    };
    Ok(json!({
        "steps": told.steps,
        "verdict": verdict,
        "judged": match told.judged {
            Judged::All => "all",
            Judged::Head => "head",
        },
        "items": told.items,
        "status": status,
        "reason": reason,
    }))
}

fn request(asked: &Asked<'_>) -> Result<(Parts, Bytes), String> {
    let mut request = Request::new(());
    *request.method_mut() =
        Method::from_bytes(asked.method.as_bytes()).map_err(|_| "method is none".to_owned())?;
    if !asked.path.starts_with('/') {
        return Err("path must begin with a slash".to_owned());
    }
    *request.uri_mut() = asked
        .path
        .parse()
        .map_err(|_| "path is none that can be sent; escape what is not ASCII".to_owned())?;
    for (place, (name, value)) in asked.headers.iter().enumerate() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(format!("headers[{place}] is no header"));
        };
        request.headers_mut().append(name, value);
    }
    let body = STANDARD
        .decode(asked.body_base64.as_bytes())
        .map_err(|_| "body_base64 is not base64".to_owned())?;
    Ok((request.into_parts().0, body.into()))
}

/// A request on its way, and what it meets.
struct Asking<'a> {
    shared: &'a Shared,
    rules: &'a Rules,
    head: &'a Parts,
    body: Bytes,
    peer: IpAddr,
}

impl Asking<'_> {
    async fn way(&self, told: &mut Told) -> End {
        let client = self.client(told);
        let brought = self.rules.trusted.contains(self.peer);
        if let Some(refusal) = blocking::refusal(self.shared, self.rules, client, brought) {
            return End::Refused(refusal);
        }
        let claims = Claims::of(&self.head.headers);
        let bytes_max = self.rules.config.limits.header_bytes;
        let sound =
            check_method(&self.head.method).and_then(|()| check_bytes(self.head, bytes_max));
        if let Err(refusal) = sound {
            return End::Refused(refusal);
        }
        let path = match path::normalise(self.head.uri.path()) {
            Ok(path) => path,
            Err(error) => {
                let reason = crate::domain::outcome::Reason::BadPath;
                return End::Refused(Refusal::of(reason, 400, error.to_string()));
            }
        };
        let mut statics = self.rules.statics.iter();
        if let Some(folder) = statics.find(|folder| path.starts_with(folder.path.as_bytes())) {
            told.step("route", "static", format!("static has {}", folder.path));
            let found = folder.find(self.head.clone(), &path).await;
            return found.map_or_else(End::Refused, |file| End::Local(file.status().as_u16()));
        }
        if self.rules.is_tunnel(&path) {
            told.step("route", "tunnel", "tunnel.paths has this path");
            let ingest = Ingest {
                endpoint: Endpoint::Envelope,
                project: Project::OfKey,
                path_key: None,
            };
            return self.event(told, ingest, &claims, Sources::default(), client);
        }
        match endpoint::route(&path) {
            endpoint::Route::Ingest(ingest) => {
                told.step("route", "ingest", route_words(ingest));
                match claims.sources(self.head, ingest) {
                    Ok(sources) => self.event(told, ingest, &claims, sources, client),
                    Err(refusal) => End::Refused(refusal),
                }
            }
            endpoint::Route::Relays => {
                told.step("route", "relay", "serve_relays decides who may ask");
                let asked = relays(self.rules.config.serve_relays, client);
                asked.map_or_else(End::Refused, |()| self.passage(told, Route::Relay))
            }
            endpoint::Route::RelayInternal => {
                End::Refused(crate::server::client::reception::not_public())
            }
            endpoint::Route::Upload => {
                told.step("route", "upload", "carries source maps or debug files");
                self.passage(told, Route::Upload)
            }
            endpoint::Route::Assets { .. } | endpoint::Route::Static | endpoint::Route::Web => {
                told.step("route", "web", "no event's path");
                self.passage(told, Route::Web)
            }
        }
    }

    fn client(&self, told: &mut Told) -> IpAddr {
        let lines = self.head.headers.get_all(&self.rules.forwarded).iter();
        let explained = client_ip::explain(
            self.peer,
            self.rules.config.client_ip.header.form,
            lines.map(HeaderValue::as_bytes),
            &self.rules.trusted,
        );
        let hops: Vec<String> = explained
            .steps
            .iter()
            .map(|hop| format!("{}: {}", hop.text, hop.verdict.as_str()))
            .collect();
        let address = explained.client.address;
        told.step("client_ip", address.to_string(), hops.join("; "));
        address
    }

    fn passage(&self, told: &mut Told, route: Route) -> End {
        match check_size(self.rules, route, self.announced()) {
            Ok(()) => self.passes(told, route),
            Err(refusal) => End::Refused(refusal),
        }
    }

    /// Whether it would be kept at once. Nobody is asked: the breaker is only looked at.
    fn would_be_kept(&self, route: Route, target: &Target) -> bool {
        let shared = self.shared;
        let away = target.upstream == Upstream::Ingest && shared.maintenance.is_on()
            || target.breaker.state() == State::Open
            || target.addresses().is_empty();
        away && shared.spool.is_open() && route.is_event() && self.can_wait()
    }

    fn can_wait(&self) -> bool {
        let Ok(path) = path::normalise(self.head.uri.path()) else {
            return false;
        };
        let waits = match endpoint::route(&path) {
            endpoint::Route::Ingest(ingest) => ingest.endpoint.can_wait(),
            endpoint::Route::Relays
            | endpoint::Route::RelayInternal
            | endpoint::Route::Upload
            | endpoint::Route::Assets { .. }
            | endpoint::Route::Static
            | endpoint::Route::Web => false,
        };
        waits || self.rules.is_tunnel(&path)
    }

    fn passes(&self, told: &mut Told, route: Route) -> End {
        let upstream = match route.is_event() {
            true => told.to,
            false => upstream::of_route(route),
        };
        let target = self.rules.target(upstream);
        told.step("upstream", target.name.clone(), target.authority());
        if self.would_be_kept(route, target) {
            told.step(
                "spool",
                "kept",
                "the upstream is not asked now: it is sent later",
            );
            return End::Kept;
        }
        // Known without asking anybody; whether it takes connections is not.
        if target.addresses().is_empty() {
            let error = SendError::Connect(ConnectError::Unresolved);
            return End::Refused(undelivered(error, route));
        }
        End::Forwarded
    }
}

fn route_words(ingest: Ingest<'_>) -> String {
    let project = match ingest.project {
        Project::Number(project) => format!("project {project}"),
        Project::OfKey => "the key's project".to_owned(),
        Project::Unparsable => "a project id beyond all numbers".to_owned(),
    };
    format!("endpoint {} of {project}", ingest.endpoint.name())
}

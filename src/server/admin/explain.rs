//! `/api/v1/explain`: a request's way through the edge, told and not gone. Asks
//! the checks that real requests pass, in their order, and changes nothing: no
//! verdict is learned, no rate is used up, no upstream is dialled.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::client_ip;
use crate::domain::coding::Coding;
use crate::domain::credentials::{Credentials, Sources};
use crate::domain::endpoint::{self, Endpoint, Ingest, Project};
use crate::domain::envelope::header;
use crate::domain::path;
use crate::policy::pair::Known;
use crate::policy::verdicts::Standing;
use crate::policy::{Claim, Mode, Question, Refusal, sender};
use crate::telemetry::labels::{Route, Upstream};

use super::super::arrival::check_method;
use super::super::claims::Claims;
use super::super::deliver::upstream_of;
use super::super::ingest::holds_envelope;
use super::super::line_one::{Begun, LineOne};
use super::super::opening::{refuse_line, whose};
use super::super::passage::check_size;
use super::super::reception::relays;
use super::super::rules::Rules;
use super::super::worker::Shared;

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
}

/// How a request would end.
enum End {
    /// It goes to an upstream.
    Forwarded,
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
}

/// Explains what would become of a request.
///
/// # Errors
/// What is wrong with the description.
pub(super) async fn explain(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let (head, body) = request(&asked)?;
    let rules = shared.rules.load_full();
    let mut told = Told { steps: Vec::new() };
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
        let claims = Claims::of(&self.head.headers);
        if let Err(refusal) = check_method(&self.head.method) {
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
            return self.event(told, ingest, &claims, Sources::default());
        }
        match endpoint::route(&path) {
            endpoint::Route::Ingest(ingest) => {
                told.step("route", "ingest", route_words(ingest));
                match claims.sources(self.head, ingest) {
                    Ok(sources) => self.event(told, ingest, &claims, sources),
                    Err(refusal) => End::Refused(refusal),
                }
            }
            endpoint::Route::Relays => {
                told.step("route", "relay", "serve_relays decides who may ask");
                let asked = relays(self.rules.config.serve_relays, client);
                asked.map_or_else(End::Refused, |()| self.passage(told, Route::Relay))
            }
            endpoint::Route::RelayInternal => End::Refused(super::super::reception::not_public()),
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

    fn event(
        &self,
        told: &mut Told,
        ingest: Ingest<'_>,
        claims: &Claims<'_>,
        sources: Sources<'_>,
    ) -> End {
        if self.head.method == Method::OPTIONS {
            told.step("preflight", "200", "preflights are answered here");
            return End::Local(200);
        }
        match self.judged(told, ingest, claims, sources) {
            Ok(()) => self.passes(told, Upstream::Ingest),
            Err(refusal) => End::Refused(refusal),
        }
    }

    /// The gate's checks, one by one in its order.
    fn judged(
        &self,
        told: &mut Told,
        ingest: Ingest<'_>,
        claims: &Claims<'_>,
        sources: Sources<'_>,
    ) -> Result<(), Refusal> {
        let page = claims.page();
        let question = Question {
            ingest,
            method: self.head.method.as_str(),
            sources,
            content_type: claims.content_type,
            announced: self.announced(),
            page: &page,
        };
        let credentials = self.rules.gate.read(&question)?;
        if let Some(found) = &credentials {
            told.step(
                "credentials",
                found.key.masked().to_string(),
                found.place.as_str(),
            );
            self.key(told, &question.claim(found.key))?;
        } else {
            told.step(
                "credentials",
                "none in the head",
                "the envelope's dsn may tell",
            );
        }
        if holds_envelope(ingest.endpoint, &question) {
            let coding = claims.coding()?;
            self.line_one(told, &question, coding, credentials.as_ref())?;
        }
        Ok(())
    }

    fn key(&self, told: &mut Told, claim: &Claim<'_>) -> Result<(), Refusal> {
        let gate = &self.rules.gate;
        let known = gate.identify(claim)?;
        let verdicts = &self.shared.verdicts;
        let sender = sender(claim, known, verdicts);
        let standing = verdicts.look(self.shared.millis(Instant::now()), &sender);
        let (result, why) = match (gate.mode, standing) {
            (Mode::Learn, Standing::Refused { .. }) => return Err(Refusal::refused_upstream()),
            (_, Standing::Refused { .. }) => ("refused upstream", "this mode does not act on it"),
            (_, _) if known == Known::Named => ("named", "the configuration or Sentry names it"),
            (_, Standing::Named) => ("named", "the configuration or Sentry names it"),
            (_, Standing::Proven { .. }) => ("proven", "Sentry has accepted it for long enough"),
            (_, Standing::Candidate { .. }) => (
                "not proven yet",
                "Sentry has answered it, not for long enough",
            ),
            (_, Standing::New) => (
                "new",
                "never seen; while refusals dominate such keys share keys.unproven_rate",
            ),
        };
        told.step("key", result, why);
        gate.check_origin(claim)?;
        let origin = claim.page.origin.as_ref();
        let origin = origin.map_or_else(|| "none".to_owned(), ToString::to_string);
        told.step("origin", origin, "allowed_origins lets it send");
        Ok(())
    }

    fn line_one(
        &self,
        told: &mut Told,
        question: &Question<'_>,
        coding: Coding,
        credentials: Option<&Credentials>,
    ) -> Result<(), Refusal> {
        if self.body.is_empty() {
            told.step(
                "line one",
                "not given",
                "give the body to have it looked at",
            );
            return match credentials {
                Some(_) => Ok(()),
                None => Err(Refusal::no_key()),
            };
        }
        let begun = Begun {
            chunks: VecDeque::from([self.body.clone()]),
            rest: None,
        };
        let line = LineOne::find(&begun, coding, self.rules.decode).map_err(refuse_line)?;
        let text = line.text(&begun.chunks);
        let header = header::parse(&text).map_err(Refusal::malformed)?;
        if let Some(dsn) = whose(&header, credentials, question.project())? {
            let shown = format!("{} of project {}", dsn.key.masked(), dsn.project);
            told.step("line one", shown, "its dsn tells whose the envelope is");
            self.key(
                told,
                &Claim {
                    key: dsn.key,
                    project: Some(dsn.project),
                    page: question.page,
                },
            )?;
        } else {
            told.step("line one", "agrees", "it does not contradict the head");
        }
        if header.forged {
            told.step(
                "line one",
                "cleaned",
                "fields that only a Relay may write are removed",
            );
        }
        Ok(())
    }

    /// The body's length, or what its length would be if it were given.
    fn announced(&self) -> Option<u64> {
        let given = u64::try_from(self.body.len()).ok();
        let said = || {
            let length = self.head.headers.get(http::header::CONTENT_LENGTH)?;
            length.to_str().ok()?.parse().ok()
        };
        // A body that is not given is not an empty one.
        let is_some = |bytes: &u64| *bytes > 0;
        given.filter(is_some).or_else(said).filter(is_some)
    }

    fn passage(&self, told: &mut Told, route: Route) -> End {
        match check_size(self.rules, route, self.announced()) {
            Ok(()) => self.passes(told, upstream_of(route)),
            Err(refusal) => End::Refused(refusal),
        }
    }

    fn passes(&self, told: &mut Told, upstream: Upstream) -> End {
        let target = self.rules.target(upstream);
        told.step("upstream", upstream.as_str(), target.authority());
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

//! One canary's way: sent as a client sends an event, looked for in the books, and asked for in
//! Sentry. Waits as long as each may take, and never sends a second time.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::config::checked::{Canary, CanaryDsn};
use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::domain::trial_event::{Answered, Became, Booked, TrialEvent, detail};
use crate::telemetry::clock::rfc3339;
use crate::telemetry::habits::Flown;
use crate::telemetry::ledger::{Account, Ledger};
use crate::tls::Name;

use crate::server::admin::Desk;
use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::sentry::stored::has_event;
use crate::server::sentry::{Bounds, Source};
use crate::server::upstream::stream::Stream;
use crate::server::worker::Shared;

/// What it calls itself.
const NAME: &str = concat!("vidette-canary/", env!("CARGO_PKG_VERSION"));

/// For the exchange: an edge answers within `upstream.ingest_deadline`, or is late.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of an answer: head and body.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What it was is in the books by then.
const BOOKED_WITHIN: Duration = Duration::from_secs(3);
const BOOKS_EVERY: Duration = Duration::from_millis(50);

/// How long Sentry is asked for it at the most, twice the interval where that is less; and how
/// often, at first and in the end.
const STORED_WITHIN: Duration = Duration::from_secs(120);
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY_MAX: Duration = Duration::from_secs(8);

/// How far one came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landed {
    pub(super) flown: Flown,
    /// As far as anybody looks.
    pub(super) arrived: bool,
    /// More of that, in words.
    pub(super) says: String,
}

impl Landed {
    fn short(flown: Flown, says: String) -> Self {
        Self {
            flown,
            arrived: false,
            says,
        }
    }

    /// None was sent.
    pub(super) fn skipped() -> Self {
        Self::short(Flown::Skipped, "none is sent in maintenance".to_owned())
    }

    /// The last that anybody looks at.
    fn arrived(flown: Flown, says: &str) -> Self {
        Self {
            flown,
            arrived: true,
            says: says.to_owned(),
        }
    }
}

/// Sends one through a listener, and follows it.
pub(super) async fn fly(
    desk: &Desk,
    canary: &Canary,
    entrance: Option<(usize, SocketAddr)>,
) -> Landed {
    let (Some(dsn), Some((listener, address))) = (&canary.dsn, entrance) else {
        let says = "no listener takes events from this machine".to_owned();
        return Landed::short(Flown::Failed, says);
    };
    let shared = &*desk.shared;
    let id = format!("{:032x}", fastrand::u128(..));
    let (project, away) = leads(shared, dsn);
    let before = booked(&shared.ledger, project);
    let is_sealed = desk.reloader.started().listen.public.get(listener);
    let is_sealed = is_sealed.is_some_and(|listener| listener.tls.is_some());
    let sending = send(shared, dsn, &id, (address, is_sealed));
    let answer = match timeout(PATIENCE, sending).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => return Landed::short(Flown::Failed, why),
        Err(_) => {
            let says = format!("the edge did not answer in {} s", PATIENCE.as_secs());
            return Landed::short(Flown::Failed, says);
        }
    };
    if let Some(landed) = judged(&answer, &id) {
        return landed;
    }
    match became(&shared.ledger, project, &before).await {
        Became::Kept => {
            let says = "Sentry does not take it now".to_owned();
            Landed::short(Flown::Kept, says)
        }
        Became::Dropped(reason) => Landed::short(Flown::Dropped, reason),
        // Of several in one project nobody knows which was this one: where any was taken, it may
        // be. A project of its own has no such doubt.
        Became::Among { forwarded: 0, .. } => {
            let says = "among others of its project, all kept or dropped".to_owned();
            Landed::short(Flown::Kept, says)
        }
        Became::Forwarded | Became::Among { .. } | Became::Nothing => match away {
            // Nobody here knows what that one stores, nor has a token for it.
            Some(mirror) => {
                Landed::arrived(Flown::Forwarded, &format!("mirror {mirror} answered 200"))
            }
            None => stored(desk, canary, &id).await,
        },
    }
}

/// Status, the word on what was wrong, and body.
struct Answer {
    status: u16,
    error: Option<String>,
    body: Bytes,
}

/// The event, on a connection of its own. When the future is dropped the connection goes with it.
async fn send(
    shared: &Shared,
    dsn: &CanaryDsn,
    id: &str,
    (address, is_sealed): (SocketAddr, bool),
) -> Result<Answer, String> {
    let request = request(dsn, id).ok_or("canary.dsn holds what no request may carry")?;
    let socket = TcpStream::connect(address).await;
    let socket =
        socket.map_err(|error| format!("the listener cannot be reached: {}", error.kind()))?;
    let stream = match is_sealed {
        false => Stream::Clear(socket),
        true => {
            let trust = shared.trust.in_force();
            let trust = trust.ok_or("TLS with the listener cannot be spoken yet")?;
            let name = Name::parse(dsn.host()).ok_or("no certificate can be for the DSN's host")?;
            let reached = trust.reach(&name, socket).await;
            let reached = reached.map_err(|fault| {
                format!("TLS with the listener, by the DSN's host, fails: {fault}")
            })?;
            Stream::Sealed(Box::new(reached))
        }
    };
    let mut builder = Builder::new();
    let shaken = builder.max_buf_size(ANSWER_BYTES_MAX);
    let shaken = shaken.handshake(TokioIo::new(stream)).await;
    let broken = |_| "the connection broke before the edge's answer".to_owned();
    let (mut sender, connection) = shaken.map_err(broken)?;
    let exchange = async {
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(broken)?
            .into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| "the edge's answer breaks off, or is no event's".to_owned())?;
        let error = head.headers.get("x-sentry-error");
        let error = error.and_then(|error| Some(error.to_str().ok()?.to_owned()));
        Ok(Answer {
            status: head.status.as_u16(),
            error,
            body: body.to_bytes(),
        })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // It has closed behind its answer.
        _ = connection => exchange.await,
    }
}

fn request(dsn: &CanaryDsn, id: &str) -> Option<Request<Full<Bytes>>> {
    let event = TrialEvent {
        id,
        at: &rfc3339(SystemTime::now()),
        logger: "vidette.canary",
        message: "vidette canary: the way from the edge to Sentry is open",
        tag: "canary",
        fingerprint: Some("vidette.canary"),
    };
    let key = dsn.key.as_str();
    let auth = format!("Sentry sentry_version=7, sentry_client={NAME}, sentry_key={key}");
    let mut auth = HeaderValue::try_from(auth).ok()?;
    auth.set_sensitive(true);
    Request::post(format!("/api/{}/envelope/", dsn.project))
        .header(HOST, &dsn.authority)
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/x-sentry-envelope")
        .header(X_SENTRY_AUTH, auth)
        .header(CONNECTION, "close")
        .body(Full::new(event.envelope().into()))
        .ok()
}

/// How far it came, where the answer says that it came no further.
fn judged(answer: &Answer, id: &str) -> Option<Landed> {
    let status = answer.status;
    match Answered::of(status, &answer.body, id) {
        Answered::Taken => None,
        Answered::Foreign => {
            let says = "200 without the event's id: upstream.ingest is no Sentry".to_owned();
            Some(Landed::short(Flown::Failed, says))
        }
        Answered::Refused => {
            let error = answer.error.clone().or_else(|| detail(&answer.body));
            let says = match error {
                Some(error) => format!("{status}: {error}"),
                None => status.to_string(),
            };
            let flown = match status {
                400..500 => Flown::Refused,
                _ => Flown::Failed,
            };
            Some(Landed::short(flown, says))
        }
    }
}

/// The project whose events they are: a DSN may have moved to another, but is its own still where
/// another Sentry has it now, whose name comes with it.
fn leads(shared: &Shared, dsn: &CanaryDsn) -> (ProjectId, Option<Box<str>>) {
    let rules = shared.rules.load();
    match rules.gate.moves.map().find(&dsn.key, Some(dsn.project)) {
        Some((_, moved)) if moved.leads_away() => (dsn.project, moved.to_upstream.clone()),
        Some((_, moved)) => (moved.to_project, None),
        None => (dsn.project, None),
    }
}

/// What the books say of a project's errors; a key that is not proven yet has none of its own.
fn booked(ledger: &Ledger, project: ProjectId) -> Booked {
    let mut booked = Booked::default();
    for line in ledger.lines() {
        let ours =
            matches!(line.account, Account::Unproven) || line.account == Account::Project(project);
        if !ours || !matches!(line.category, Category::Error | Category::Unread) {
            continue;
        }
        booked.forwarded = booked.forwarded.saturating_add(line.forwarded.items);
        booked.spooled = booked.spooled.saturating_add(line.spooled.items);
        for (reason, sum) in &line.dropped {
            *booked
                .dropped
                .entry(reason.as_str().to_owned())
                .or_default() += sum.items;
        }
    }
    booked
}

/// What the books say it became.
async fn became(ledger: &Ledger, project: ProjectId, before: &Booked) -> Became {
    let until = Instant::now() + BOOKED_WITHIN;
    loop {
        let became = booked(ledger, project).since(before);
        if became != Became::Nothing || Instant::now() >= until {
            return became;
        }
        sleep(BOOKS_EVERY).await;
    }
}

/// It was forwarded: whether Sentry has it, where somebody may ask.
async fn stored(desk: &Desk, canary: &Canary, id: &str) -> Landed {
    let rules = desk.shared.rules.load_full();
    let server = rules.config.upstream.web.first();
    let (Some(server), Some(organization), Some(token)) = (server, &canary.org, &canary.token)
    else {
        return Landed::arrived(Flown::Forwarded, "Sentry answered 200");
    };
    let source = Source {
        server: server.clone(),
        prefix: String::new(),
        token: token.clone(),
        interval: canary.every,
        bounds: Bounds::default(),
        trust: std::sync::Arc::clone(&desk.shared.trust),
    };
    let within = STORED_WITHIN.min(canary.every.saturating_mul(2));
    let (began, mut pause) = (Instant::now(), ASK_EVERY.min(canary.every));
    loop {
        match has_event(&source, organization, id).await {
            Ok(true) => return Landed::arrived(Flown::Stored, "Sentry has it"),
            Ok(false) if began.elapsed() < within => {}
            Ok(false) => {
                let waited = began.elapsed().as_secs();
                let says = format!("Sentry answered 200, and does not have it after {waited} s");
                return Landed::short(Flown::NotStored, says);
            }
            Err(why) => return Landed::short(Flown::Unverified, why),
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(ASK_EVERY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, error: Option<&str>, body: &str, want: Option<(Flown, &str)>) {
        let answer = Answer {
            status,
            error: error.map(str::to_owned),
            body: Bytes::from(body.to_owned()),
        };
        let want = want.map(|(flown, says)| Landed::short(flown, says.to_owned()));
        assert_eq!(judged(&answer, "a1"), want, "{status} {body}");
    }

    #[test]
    fn an_answer_ends_it_unless_the_event_was_taken() {
        check(200, None, r#"{"id":"a1"}"#, None);
        let foreign = "200 without the event's id: upstream.ingest is no Sentry";
        check(200, None, "<html>", Some((Flown::Failed, foreign)));
        let refused = Some((Flown::Refused, "429: quota errors"));
        check(429, Some("quota errors"), "", refused);
        let detail = r#"{"detail":"unknown key"}"#;
        check(
            403,
            None,
            detail,
            Some((Flown::Refused, "403: unknown key")),
        );
        check(503, None, "", Some((Flown::Failed, "503")));
    }

    #[test]
    fn it_is_looked_for_among_its_projects_errors_and_those_of_strangers() {
        let ledger = std::sync::Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
        let worker = ledger.worker();
        let project = ProjectId::parse(b"42");
        let row = |project, proven, category| worker.row(worker.account(project, proven), category);
        row(project, true, Category::Error).forwarded(1, 1);
        row(project, true, Category::Transaction).forwarded(2, 1);
        row(ProjectId::parse(b"7"), true, Category::Error).forwarded(4, 1);
        row(project, false, Category::Unread).spooled(8, 1);
        let booked = booked(&ledger, project.unwrap());
        assert_eq!((booked.forwarded, booked.spooled), (1, 8));
    }

    #[test]
    fn all_canaries_are_one_issue() {
        let dsn = CanaryDsn {
            text: String::new(),
            key: crate::domain::credentials::Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee")
                .unwrap(),
            project: ProjectId::parse(b"42").unwrap(),
            authority: "sentry.example.com".to_owned(),
        };
        let request = request(&dsn, "a1").unwrap();
        assert_eq!(request.uri(), "/api/42/envelope/");
        assert_eq!(request.headers()[HOST], "sentry.example.com");
    }
}

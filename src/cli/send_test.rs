//! `vidette send-test`: one event on the way that an SDK's takes, followed as far as can be seen:
//! the answer, what the edge did with it, and, where one may ask, whether Sentry has it.
//!
//! Never follows a redirect, and sends nothing but that one event.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::place::{Authorities, Place};
use super::{admin, misused, plain, say};
use crate::domain::dsn::{self, Dsn};
use crate::domain::trial_event::{
    Answered, Became, Booked, TrialEvent, detail, is_slug, stored_path,
};
use crate::telemetry::clock::rfc3339;

/// How often Sentry is asked whether it has the event.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The edge's own book is looked at for so long: what it kept or sent is booked by then.
const BOOKED_WITHIN: Duration = Duration::from_secs(3);

/// What `send-test` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose event it is to be, and where it goes, as an SDK is told.
    #[arg(long, value_name = "DSN")]
    dsn: String,
    /// Send it here instead of to the DSN's host: an edge before its name leads to it.
    #[arg(long, value_name = "URL")]
    through: Option<String>,
    #[command(flatten)]
    authorities: Authorities,
    /// Ask this Sentry whether it has the event; needs --org and --sentry-token.
    #[arg(long, value_name = "URL", requires_all = ["org", "sentry_token"])]
    sentry: Option<String>,
    /// The organization's slug in Sentry's own addresses.
    #[arg(long, value_name = "SLUG", requires = "sentry")]
    org: Option<String>,
    /// A token that may read events (event:read).
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SENTRY_AUTH_TOKEN",
        hide_env_values = true
    )]
    sentry_token: Option<String>,
    /// How long Sentry is given; a number alone is seconds.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = wait)]
    wait: Duration,
    #[command(flatten)]
    address: admin::Address,
    /// What was seen, as JSON.
    #[arg(long)]
    json: bool,
}

fn wait(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let time = seconds.or_else(|| crate::config::duration(text));
    time.ok_or_else(|| "not a time; write 30s or 2m".to_owned())
}

/// What was seen, in its order; the first that is not well ends it.
struct Trail {
    steps: Vec<Value>,
    json: bool,
}

impl Trail {
    fn note(&mut self, step: &str, well: bool, seen: &str) {
        if !self.json {
            let mark = if well { "ok" } else { "problem" };
            say(&format!("{mark:8} {step}: {}", plain(seen)));
        }
        self.steps
            .push(json!({"step": step, "ok": well, "seen": seen}));
    }

    /// Something that is not known, and no fault.
    fn leave(&mut self, step: &str, why: &str) {
        if !self.json {
            say(&format!("{:8} {step}: {}", "-", plain(why)));
        }
        self.steps
            .push(json!({"step": step, "ok": null, "seen": why}));
    }

    fn is_well(&self) -> bool {
        let wrong = |step: &Value| step.get("ok") == Some(&Value::Bool(false));
        !self.steps.iter().any(wrong)
    }
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let parsed = dsn::parse(&arguments.dsn).context("--dsn");
    let read = parsed.and_then(|dsn| Ok((dsn, place(arguments, &dsn)?)));
    let (dsn, place) = match read {
        Ok(read) => read,
        Err(error) => return misused(&error),
    };
    let mut trail = Trail {
        steps: Vec::new(),
        json: arguments.json,
    };
    let id = format!("{:032x}", fastrand::u128(..));
    follow(arguments, &dsn, &place, &id, &mut trail);
    let well = trail.is_well();
    if arguments.json {
        let told =
            json!({"event_id": id, "to": place.to_string(), "ok": well, "steps": trail.steps});
        say(&told.to_string());
    }
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn place(arguments: &Arguments, dsn: &Dsn<'_>) -> anyhow::Result<Place> {
    match &arguments.through {
        Some(url) => Place::parse(url).context("--through"),
        None => Place::parse(&dsn.origin()).context("--dsn"),
    }
}

fn follow(arguments: &Arguments, dsn: &Dsn<'_>, place: &Place, id: &str, trail: &mut Trail) {
    let before = booked(&arguments.address, dsn);
    let sent = send(dsn, place, id, &arguments.authorities);
    match sent {
        Err(error) => {
            trail.note("answer", false, &format!("{error:#}"));
            return;
        }
        Ok(answer) => {
            let (well, seen) = judged(&answer, id);
            trail.note("answer", well, &seen);
            if !well {
                return;
            }
        }
    }
    match before {
        Err(error) => trail.leave("edge", &format!("its book cannot be read here: {error:#}")),
        Ok(before) => {
            let (well, seen) = became(&arguments.address, dsn, &before);
            match well {
                Some(well) => trail.note("edge", well, &seen),
                None => trail.leave("edge", &seen),
            }
        }
    }
    match (&arguments.sentry, &arguments.org, &arguments.sentry_token) {
        (Some(sentry), Some(org), Some(token)) => {
            let found = stored(arguments, sentry, org, token, id);
            match found {
                Ok(seen) => trail.note("sentry", true, &seen),
                Err(error) => trail.note("sentry", false, &format!("{error:#}")),
            }
        }
        _ => trail.leave(
            "sentry",
            &format!("not asked (--sentry, --org, --sentry-token); search it for {id}"),
        ),
    }
}

/// The event as an SDK sends it.
fn send(
    dsn: &Dsn<'_>,
    place: &Place,
    id: &str,
    authorities: &Authorities,
) -> anyhow::Result<Response<Bytes>> {
    let event = TrialEvent {
        id,
        at: &rfc3339(SystemTime::now()),
        logger: "vidette",
        message: "vidette send-test: the way from here to Sentry is open",
        tag: "send-test",
        fingerprint: None,
    };
    let body = event.envelope();
    let client = concat!("vidette-send-test/", env!("CARGO_PKG_VERSION"));
    let auth = format!(
        "Sentry sentry_version=7, sentry_client={client}, sentry_key={}",
        dsn.key.as_str()
    );
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/api/{}/envelope/", place.prefix, dsn.project))
        .header(HOST, &place.authority)
        .header(USER_AGENT, client)
        .header(CONTENT_TYPE, "application/x-sentry-envelope")
        .header("x-sentry-auth", auth)
        .body(Full::new(body.into()))?;
    place.exchange(request, authorities)
}

/// Whether an answer says that the event was taken, and what it says.
fn judged(answer: &Response<Bytes>, id: &str) -> (bool, String) {
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let status = answer.status();
    match Answered::of(status.as_u16(), answer.body(), id) {
        Answered::Taken => {
            return match header("x-sentry-rate-limits") {
                Some(limits) => (true, format!("200, id {id}; limits announced: {limits}")),
                None => (true, format!("200, id {id}")),
            };
        }
        Answered::Foreign => {
            let foreign = "200, but without the event's id: no Sentry answers there";
            return (false, foreign.to_owned());
        }
        Answered::Refused => {}
    }
    let said = header("x-sentry-error").or_else(|| detail(answer.body()));
    let said = said.unwrap_or_default();
    let retry = header(RETRY_AFTER.as_str());
    let retry = retry.map_or_else(String::new, |after| format!("; again in {after} s"));
    (false, format!("{} {said}{retry}", status.as_u16()))
}

/// What the edge's book says of errors of the DSN's project. A key that is not proven yet is
/// booked under a name of its own.
fn booked(edge: &admin::Address, dsn: &Dsn<'_>) -> anyhow::Result<Booked> {
    let ledger: Value = edge.ask(&Method::GET, "/api/v1/ledger")?.json()?;
    let rows = ledger.get("rows").and_then(Value::as_array);
    let mut sum = Booked::default();
    for row in rows.into_iter().flatten() {
        let whose = row.get("project");
        let ours = whose.and_then(Value::as_u64) == Some(dsn.project.get())
            || whose.and_then(Value::as_str) == Some("unproven");
        let category = row.get("category").and_then(Value::as_str);
        if !ours || !matches!(category, Some("error" | "unread")) {
            continue;
        }
        let number = |name: &str| {
            row.pointer(&format!("/items/{name}"))
                .and_then(Value::as_u64)
        };
        sum.forwarded += number("forwarded").unwrap_or_default();
        sum.spooled += number("spooled").unwrap_or_default();
        let dropped = row.pointer("/items/dropped").and_then(Value::as_object);
        for (reason, count) in dropped.into_iter().flatten() {
            let count = count.as_u64().unwrap_or_default();
            *sum.dropped.entry(reason.clone()).or_default() += count;
        }
    }
    Ok(sum)
}

/// What the edge did with it: where others send at the same time, one of these.
fn became(edge: &admin::Address, dsn: &Dsn<'_>, before: &Booked) -> (Option<bool>, String) {
    let until = Instant::now() + BOOKED_WITHIN;
    loop {
        let after = match booked(edge, dsn) {
            Ok(after) => after,
            Err(error) => return (None, format!("its book cannot be read here: {error:#}")),
        };
        match after.since(before) {
            Became::Forwarded => return (Some(true), "forwarded to Sentry".to_owned()),
            Became::Kept => {
                let seen = "kept: Sentry does not take it now (vidette spool ls)";
                return (Some(true), seen.to_owned());
            }
            Became::Dropped(reason) => return (Some(false), format!("dropped: {reason}")),
            Became::Nothing if Instant::now() >= until => {
                let seen = "nothing of this project came by: the DSN leads past this edge";
                return (Some(false), seen.to_owned());
            }
            Became::Nothing => thread::sleep(Duration::from_millis(100)),
            Became::Among {
                forwarded,
                spooled,
                dropped,
            } => {
                let seen = format!(
                    "among others of its project: {forwarded} forwarded, {spooled} kept, dropped: \
                     {}",
                    if dropped.is_empty() {
                        "none".to_owned()
                    } else {
                        dropped.join(", ")
                    }
                );
                return (None, seen);
            }
        }
    }
}

/// Waits until Sentry finds the event by its id.
fn stored(
    arguments: &Arguments,
    sentry: &str,
    org: &str,
    token: &str,
    id: &str,
) -> anyhow::Result<String> {
    let place = Place::parse(sentry).context("--sentry")?;
    if !is_slug(org) {
        bail!("--org is no slug");
    }
    let began = Instant::now();
    loop {
        let request = Request::builder()
            .uri(format!("{}{}", place.prefix, stored_path(org, id)))
            .header(HOST, &place.authority)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::default())?;
        let answer = place.exchange(request, &arguments.authorities)?;
        let waited = began.elapsed();
        let seconds = waited.as_secs();
        match answer.status() {
            StatusCode::OK => {
                let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
                let project = body.get("projectSlug").and_then(Value::as_str);
                let project = project.unwrap_or("?");
                return Ok(format!(
                    "it has the event, in project {project}, after {seconds} s"
                ));
            }
            StatusCode::NOT_FOUND if waited < arguments.wait => thread::sleep(ASK_EVERY),
            StatusCode::NOT_FOUND => bail!("it does not have the event after {seconds} s"),
            other => bail!(
                "it answers {}: is the token good for {org}?",
                other.as_u16()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, headers: &[(&str, &str)], body: &str, want: (bool, &str)) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Bytes::from(body.to_owned())).unwrap();
        let (well, seen) = judged(&answer, "a1");
        assert_eq!((well, &*seen), want);
    }

    #[test]
    fn a_wait_has_a_unit_or_is_seconds() {
        for (text, want) in [("30s", 30), ("2m", 120), ("45", 45), ("0", 0)] {
            assert_eq!(wait(text), Ok(Duration::from_secs(want)), "{text}");
        }
        for text in ["", "soon", "-1", "1.5"] {
            let error = wait(text).unwrap_err();
            assert!(error.contains("30s"), "{text}: {error}");
        }
    }

    #[test]
    fn only_the_events_own_id_says_that_it_was_taken() {
        check(200, &[], r#"{"id":"a1"}"#, (true, "200, id a1"));
        let another = "200, but without the event's id: no Sentry answers there";
        check(200, &[], r#"{"id":"b2"}"#, (false, another));
        check(200, &[], "<html>", (false, another));
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let error = [("x-sentry-error", "quota errors"), ("retry-after", "60")];
        check(429, &error, "", (false, "429 quota errors; again in 60 s"));
        let detail = r#"{"detail":"unknown key"}"#;
        check(403, &[], detail, (false, "403 unknown key"));
        check(502, &[], "", (false, "502 "));
    }

    #[test]
    fn limits_that_come_with_a_success_are_told() {
        let limits = [("x-sentry-rate-limits", "60:error:key")];
        let seen = "200, id a1; limits announced: 60:error:key";
        check(200, &limits, r#"{"id":"a1"}"#, (true, seen));
    }
}

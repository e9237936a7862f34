//! A strict stand-in for what Sentry makes of client reports: it takes nothing that could be
//! read in two ways, and adds up what it took.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::edge::KEY;
use crate::exchange::{Exchange, Next};
use crate::upstream::{Fake, Request, Silent};

use super::reason_of;

/// `project list reason category`, and how many.
pub(super) type Sums = BTreeMap<String, u64>;

/// What Relay 23 takes of a report.
const REPORT_BYTES_MAX: usize = 4096;

/// Categories that a report may name.
const CATEGORIES: [&str; 18] = [
    "default",
    "error",
    "transaction",
    "transaction_indexed",
    "security",
    "attachment",
    "attachment_item",
    "session",
    "profile",
    "profile_indexed",
    "replay",
    "monitor",
    "feedback",
    "span",
    "span_indexed",
    "log_item",
    "log_byte",
    "trace_metric",
];

const LISTS: [&str; 4] = [
    "discarded_events",
    "filtered_events",
    "filtered_sampling_events",
    "rate_limited_events",
];

/// What becomes of a report at the stand-in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    /// It counts.
    Takes,
    /// It counts, and nobody hears of it.
    TakesAndResets,
    /// It does not count, and this says so.
    Says(u16),
}

/// What has been told so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Stats(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    sums: Sums,
    /// Reports that came, counted or not.
    came: usize,
    faults: Vec<String>,
}

impl Stats {
    /// A Sentry that takes every report; of all else `events` says what becomes.
    pub(super) fn with(
        events: impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync + 'static,
    ) -> (Self, Fake) {
        Self::at(Silent::reserve(), |_| Does::Takes, events)
    }

    /// The same, coming up here; `does` says what becomes of which report, counted from 0.
    pub(super) fn at(
        place: Silent,
        does: impl Fn(usize) -> Does + Send + Sync + 'static,
        events: impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync + 'static,
    ) -> (Self, Fake) {
        let stats = Self::default();
        let own = stats.clone();
        let fake = place.listen(move |exchange| {
            let agent = exchange.request.headers.one("user-agent");
            if !agent.is_some_and(|agent| agent.starts_with("vidette/")) {
                return events(exchange);
            }
            exchange.read_body()?;
            let json = [("content-type", "application/json")];
            match own.comes(exchange, &does) {
                Does::Takes => exchange.answer(200, &json, b"{}"),
                Does::TakesAndResets => exchange.reset(),
                Does::Says(status) => exchange.answer(status, &json, b"{}"),
            }
        });
        (stats, fake)
    }

    /// A report has come whole.
    fn comes(&self, exchange: &Exchange<'_>, does: impl Fn(usize) -> Does) -> Does {
        let read = read(exchange);
        let mut told = self.0.lock().unwrap();
        let does = does(told.came);
        told.came += 1;
        match read {
            Ok(sums) if !matches!(does, Does::Says(_)) => {
                for (name, n) in sums {
                    *told.sums.entry(name).or_default() += n;
                }
            }
            Ok(_) => {}
            Err(fault) => told.faults.push(fault),
        }
        does
    }

    /// What was told so far, none of it odd.
    #[track_caller]
    pub(super) fn sums(&self) -> Sums {
        let told = self.0.lock().unwrap();
        assert!(told.faults.is_empty(), "{:#?}", told.faults);
        told.sums.clone()
    }

    /// How many reports came.
    pub(super) fn came(&self) -> usize {
        self.0.lock().unwrap().came
    }
}

/// Whether it holds.
fn need(holds: bool, what: &str, seen: &impl std::fmt::Debug) -> Result<(), String> {
    holds
        .then_some(())
        .ok_or_else(|| format!("{what}: {seen:?}"))
}

/// The sums of a report, which must be one in every way.
fn read(exchange: &Exchange<'_>) -> Result<Sums, String> {
    let request = &exchange.request;
    let target = request.target_text();
    let project = target
        .strip_prefix("/api/")
        .and_then(|rest| rest.strip_suffix("/envelope/"))
        .ok_or(format!("posted to {target}"))?;
    check_head(request)?;
    let body = exchange.body();
    need(body.len() <= REPORT_BYTES_MAX, "too long", &body.len())?;
    let text = std::str::from_utf8(&body).map_err(|_| "no text".to_owned())?;
    let lines: Vec<&str> = text.split('\n').collect();
    let ["{}", header, payload, ""] = lines[..] else {
        return Err(format!("not one item in lines: {text}"));
    };
    let length = payload.len();
    let want = format!(r#"{{"type":"client_report","length":{length}}}"#);
    need(header == want, "an item's header", &header)?;
    let payload: Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    sums(project, &payload)
}

fn check_head(request: &Request) -> Result<(), String> {
    let one = |name| request.headers.one(name).unwrap_or_default();
    need(request.method == "POST", "method", &request.method)?;
    let auth = one("x-sentry-auth");
    let named = auth.starts_with("Sentry sentry_version=7, sentry_key=")
        && auth.contains(", sentry_client=vidette/");
    need(named, "x-sentry-auth", &auth)?;
    need(auth.contains(KEY), "whose", &auth)?;
    let kind = one("content-type");
    need(
        kind == "application/x-sentry-envelope",
        "content type",
        &kind,
    )
}

fn sums(project: &str, payload: &Value) -> Result<Sums, String> {
    let mut sums = Sums::new();
    for (list, entries) in payload.as_object().ok_or("no object")? {
        if list == "timestamp" {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs();
            let at = entries.as_u64().ok_or("timestamp")?;
            need((now - 120..=now).contains(&at), "not of now", &at)?;
            continue;
        }
        need(LISTS.contains(&list.as_str()), "list", list)?;
        for entry in entries.as_array().ok_or("no list")? {
            let fields = entry.as_object().ok_or("no entry")?;
            need(fields.len() == 3, "fields", fields)?;
            let word = |name| entry[name].as_str().ok_or(format!("{name} of {entry}"));
            let (reason, category) = (word("reason")?, word("category")?);
            need(!reason.is_empty() && reason.len() <= 200, "reason", &reason)?;
            need(CATEGORIES.contains(&category), "category", &category)?;
            let n = entry["quantity"].as_u64().unwrap_or(0);
            need(n > 0, "quantity", entry)?;
            let reason = reason_of(reason);
            *sums
                .entry(format!("{project} {list} {reason} {category}"))
                .or_default() += n;
        }
    }
    need(!sums.is_empty(), "empty", payload)?;
    Ok(sums)
}

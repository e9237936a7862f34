//! The access log's lines: one a request, as JSON or in the combined form that readers of web
//! servers' logs know; and how many there were, as metrics. Shows of a request only what `mask`
//! lets through, so that no credential can stand in a line and nothing can begin another. Never
//! writes one anywhere, and never decides which requests have one.

pub mod mask;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use prometheus::proto::{MetricFamily, MetricType};
use serde::Serialize;

use crate::domain::category::{Categories, Category};
use crate::domain::client_ip::Store;
use crate::domain::credentials::Masked;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::{Reason, Reasons};

use super::clock::{clf, rfc3339};
use super::exposition::{counter, family};
use super::labels::{Ending, Logged, Route};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    Json,
    /// The combined log format.
    Common,
}

/// What is shown of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The network of its address.
    Network(IpAddr),
    /// A pseudonym that names nobody, in an address's form.
    Pseudonym(IpAddr),
}

impl Client {
    /// What may be shown of an address of which so much is kept.
    #[must_use]
    pub fn of(store: &Store, address: IpAddr) -> Option<Self> {
        match store {
            Store::Full | Store::Truncate => Some(Self::Network(address)),
            // Whoever wants no network kept wants none here.
            Store::Hash(_) | Store::Drop => store.stored(address).map(Self::Pseudonym),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => f.write_str(&mask::network_of(*address)),
            Self::Pseudonym(address) => address.fmt(f),
        }
    }
}

/// A request at its end, as it came: nothing in it is masked yet.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// When its head was read.
    pub at: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    /// Who sent it; `None` where nothing of that may be kept.
    pub client: Option<Client>,
    /// Its method; empty where its head could not be read.
    pub method: &'a str,
    /// Its path, without the query; empty as above.
    pub path: &'a str,
    /// `HTTP/1.1` and the like; empty as above.
    pub protocol: &'static str,
    /// Where it belongs.
    pub route: Route,
    /// How it ended.
    pub outcome: Ending,
    /// The status that left; 0: none did.
    pub status: u16,
    /// Why it was not forwarded, or what the upstream thought of it.
    pub reason: Option<Reason>,
    /// Its project, where that is known.
    pub project: Option<ProjectId>,
    /// What is shown of its key.
    pub key: Option<Masked>,
    /// What it carried, as far as that was looked at.
    pub categories: Categories,
    /// Why some of that stayed here.
    pub dropped: Reasons,
    /// The limits that had no room for it, by their names.
    pub limits: &'a [Box<str>],
    /// Its event's id, where somebody looked.
    pub event_id: Option<u128>,
    /// Bytes of its body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were handed on.
    pub bytes_out: u64,
    /// From its head to its end.
    pub took: Duration,
    /// How long the upstream took to answer, where it did.
    pub upstream: Option<Duration>,
    /// The SDK's word about itself: the header in which most send it, and the query.
    pub sdk: Sdk<'a>,
    /// The user agent.
    pub agent: Option<&'a [u8]>,
}

/// Where an SDK says which it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sdk<'a> {
    /// `X-Sentry-Auth`.
    pub header: Option<&'a [u8]>,
    /// The query.
    pub query: Option<&'a str>,
}

/// As many limits are named: an envelope seldom meets more.
const LIMITS_MAX: usize = 4;

/// The longest name of a quota.
const LIMIT_BYTES_MAX: usize = 64;

/// Longer than any method in use.
const METHOD_BYTES_MAX: usize = 16;

/// What a line has where there is nothing to show.
const NOTHING: &str = "-";

/// A line as JSON has it. What is not known is not there.
#[derive(Serialize)]
struct Object<'a> {
    /// Tells it apart from the edge's own log, where both end up in one stream.
    log: &'static str,
    time: String,
    listener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    method: String,
    path: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    route: &'static str,
    outcome: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl Line<'_> {
    /// Adds the line and its line feed. Some microseconds.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        match form {
            Form::Json => {
                // Texts and numbers: there is nothing in them that JSON could not hold.
                if serde_json::to_writer(&mut *out, &self.object()).is_ok() {
                    out.push(b'\n');
                }
            }
            Form::Common => out.extend_from_slice(self.common().as_bytes()),
        }
    }

    fn object(&self) -> Object<'_> {
        let limits = self.limits.iter().take(LIMITS_MAX);
        Object {
            log: "access",
            time: rfc3339(self.at),
            listener: mask::visible(self.listener.as_bytes()),
            client: self.client.map(|client| client.to_string()),
            method: self.shown_method(),
            path: self.shown_path(),
            protocol: self.protocol,
            route: self.route.as_str(),
            outcome: self.outcome.as_str(),
            status: self.status,
            reason: self.reason.map(Reason::as_str),
            project: self.project.map(ProjectId::get),
            key: self.key.map(|key| key.to_string()),
            categories: self.categories.iter().map(Category::name).collect(),
            dropped: self.dropped.iter().map(Reason::as_str).collect(),
            limits: limits
                .map(|name| mask::word(name, LIMIT_BYTES_MAX))
                .collect(),
            event_id: self.event_id.map(|id| format!("{id:032x}")),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_ms: milliseconds(self.took),
            upstream_ms: self.upstream.map(milliseconds),
            sdk: mask::sdk(self.sdk.header, self.sdk.query),
            user_agent: self.agent.map(mask::agent),
        }
    }

    /// `client - key [time] "request" status bytes "referer" "user agent"`. The referer is never
    /// there: it may hold what a path and a query may.
    fn common(&self) -> String {
        let nothing = || NOTHING.to_owned();
        let client = self.client.map_or_else(nothing, |client| match client {
            // Its readers take nothing but an address.
            Client::Network(address) => mask::network_address(address).to_string(),
            Client::Pseudonym(address) => address.to_string(),
        });
        let key = self.key.map_or_else(nothing, |key| key.to_string());
        let time = clf(self.at);
        let request = match self.protocol {
            "" => nothing(),
            protocol => format!("{} {} {protocol}", self.shown_method(), self.shown_path()),
        };
        // As nginx has it for a client that left.
        let status = if self.status == 0 { 499 } else { self.status };
        let bytes = self.bytes_out;
        let agent = self.agent.map_or_else(nothing, mask::agent);
        format!("{client} - {key} [{time}] \"{request}\" {status} {bytes} \"-\" \"{agent}\"\n")
    }

    fn shown_method(&self) -> String {
        match self.method {
            "" => NOTHING.to_owned(),
            method => mask::word(method, METHOD_BYTES_MAX),
        }
    }

    fn shown_path(&self) -> String {
        match self.path {
            "" => NOTHING.to_owned(),
            path => mask::path(path),
        }
    }
}

/// To the microsecond.
fn milliseconds(took: Duration) -> f64 {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// What became of the lines, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Lines written since the start.
    pub written: u64,
    /// Lines dropped since the start.
    pub dropped: u64,
}

/// `vidette_access_log_lines_total`.
pub(super) fn family_of(reading: Reading) -> MetricFamily {
    let lines = |n, logged: Logged| counter(n, &[("outcome", logged.as_str())]);
    family(
        "vidette_access_log_lines_total",
        "Lines of the access log: written, or dropped since they could not be in time.",
        MetricType::COUNTER,
        vec![
            lines(reading.written, Logged::Written),
            lines(reading.dropped, Logged::Dropped),
        ],
    )
}

#[cfg(test)]
mod tests;

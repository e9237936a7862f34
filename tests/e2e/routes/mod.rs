//! The golden table: where each request lands, through nginx as self-hosted
//! configures it and through the edge, before the same two fakes. Every
//! difference that we accept stands in a table with its reason.

mod heads;
mod paths;
mod row;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use self::paths::rows;
use self::row::{Lands, Row};
use crate::client::{Answer, Client};
use crate::edge::{Edge, KEY};
use crate::front::{Nginx, open_to_workers};
use crate::parts::{Part, promises};
use crate::upstream::{Ended, Fake, Request};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[]; edge_keeps_the_table, table_has_sixty_rows_and_no_row_twice];
    trials.extend(
        promises![&[Part::Nginx]; nginx_keeps_the_table, edge_forwards_what_nginx_forwards],
    );
    trials
}

/// Headers whose values differ, and why that is right.
const HEADERS_UNLIKE: &[(&str, &str)] = &[
    (
        "host",
        "the port is kept, so that links and CSRF checks name the address the user sees",
    ),
    ("x-request-id", "both make a fresh one"),
    (
        "x-forwarded-host",
        "web learns the name the client asked for; nginx never tells it",
    ),
    (
        "content-length",
        "nginx reads a chunked body to its end and then knows its length",
    ),
    ("transfer-encoding", "see content-length"),
];

/// Headers that the edge removes and nginx lets through, and why.
const HEADERS_REMOVED: &[(&str, Scope, &str)] = &[
    (
        "cookie",
        Scope::Ingest,
        "an event needs no session, and Relay's logs should hold none",
    ),
    (
        "authorization",
        Scope::Ingest,
        "tokens of the page that sent the event are none of Relay's business",
    ),
    (
        "cf-connecting-ip",
        Scope::All,
        "Relay would believe it before the real address",
    ),
    (
        "x-vercel-forwarded-for",
        Scope::All,
        "Relay would believe it before the real address",
    ),
    (
        "x-sentry-forwarded-for",
        Scope::All,
        "Relay would believe it before the real address",
    ),
    (
        "x-real-ip",
        Scope::All,
        "one address is sent, in one header",
    ),
    (
        "forwarded",
        Scope::All,
        "one address is sent, in one header",
    ),
    (
        "x-listed",
        Scope::All,
        "named by Connection, so it ends at this hop",
    ),
    (
        "proxy-connection",
        Scope::All,
        "it ends at this hop, as Connection does",
    ),
    (
        "trailer",
        Scope::All,
        "it ends at this hop, as Connection does",
    ),
    (
        "proxy",
        Scope::All,
        "a CGI would take it for its own proxy setting",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Ingest,
    All,
}

/// Two fakes, and the files of `/js-sdk/`.
struct Sentry {
    relay: Fake,
    web: Fake,
    files: TempDir,
}

impl Sentry {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        open_to_workers(files.path());
        fs::create_dir_all(files.path().join("js-sdk/8.0.0")).unwrap();
        fs::write(files.path().join("js-sdk/8.0.0/bundle.min.js"), "sdk()").unwrap();
        fs::write(files.path().join("secret"), "secret").unwrap();
        Self {
            relay: Fake::start(),
            web: Fake::start(),
            files,
        }
    }

    fn nginx(&self) -> Nginx {
        Nginx::self_hosted(self.relay.address(), self.web.address(), self.files.path())
    }

    fn edge(&self) -> Edge {
        let root = self.files.path().join("js-sdk");
        let changes = json!({
            "serve_relays": "all",
            "client_ip": {"trusted_proxies": ["loopback", "private"]},
            "static": [{"path": "/js-sdk/", "root": root.to_str().unwrap(), "cors": true}],
        });
        Edge::configured(&self.relay.url(), &self.web.url(), changes)
    }

    /// Sends a row's request to a door and finds out where it came out.
    fn landing(&self, door: SocketAddr, row: &Row) -> Result<Landing, String> {
        let before = (self.relay.requests().len(), self.web.requests().len());
        let mut client = Client::connect(door);
        client.send(&row.bytes());
        let answer = client
            .try_answer_to(row.method)
            .map_err(|error| format!("no answer: {error}"))?;
        let mut relay = self.relay.requests().split_off(before.0);
        let mut web = self.web.requests().split_off(before.1);
        let (lands, request) = match (relay.pop(), web.pop(), answer.status) {
            (Some(request), None, _) => (Lands::Relay, Some(request)),
            (None, Some(request), _) => (Lands::Web, Some(request)),
            (None, None, 200) if answer.text() == "sdk()" => (Lands::Disk, None),
            (None, None, status) => (Lands::Answered(status), None),
            (Some(_), Some(_), _) => return Err("it came out at both".to_owned()),
        };
        Ok(Landing {
            lands,
            request,
            answer,
        })
    }
}

struct Landing {
    lands: Lands,
    request: Option<Request>,
    answer: Answer,
}

/// What is wrong with a landing, if anything.
fn complaint(landing: &Landing, row: &Row, want: Lands) -> Option<String> {
    if !landing.lands.is_like(want) {
        return Some(format!(
            "lands at {:?}, not at {want:?}: {}",
            landing.lands,
            landing.answer.text()
        ));
    }
    let request = landing.request.as_ref()?;
    if request.target != row.target_upstream() {
        return Some(format!("target became {}", request.target_text()));
    }
    if request.method != row.method {
        return Some(format!("method became {}", request.method));
    }
    if request.ended != Ended::Whole || request.body != row.body {
        return Some(format!("body became {}", request.body.escape_ascii()));
    }
    (landing.answer.status != 200).then(|| format!("answered {}", landing.answer.status))
}

#[track_caller]
fn report(complaints: &[String], total: usize) {
    assert!(
        complaints.is_empty(),
        "{} of {total} rows:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

fn nginx_keeps_the_table() {
    let sentry = Sentry::start();
    let nginx = sentry.nginx();
    let rows = rows();
    let complaints: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            match sentry.landing(nginx.address, row) {
                Ok(landing) => complaint(&landing, row, row.lands),
                Err(error) => Some(error),
            }
            .map(|complaint| format!("{row}: {complaint}"))
        })
        .collect();
    report(&complaints, rows.len());
}

fn edge_keeps_the_table() {
    let sentry = Sentry::start();
    let edge = sentry.edge();
    let rows = rows();
    let complaints: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let want = row.unlike.as_ref().map_or(row.lands, |unlike| unlike.lands);
            match sentry.landing(edge.public, row) {
                Ok(landing) => complaint(&landing, row, want),
                Err(error) => Some(error),
            }
            .map(|complaint| format!("{row}: {complaint}"))
        })
        .collect();
    report(&complaints, rows.len());
}

fn edge_forwards_what_nginx_forwards() {
    let sentry = Sentry::start();
    let (nginx, edge) = (sentry.nginx(), sentry.edge());
    let mut complaints = Vec::new();
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row.unlike.is_none())
        .collect();
    for row in &rows {
        let both = (
            sentry.landing(nginx.address, row),
            sentry.landing(edge.public, row),
        );
        let (Ok(reference), Ok(ours)) = both else {
            complaints.push(format!("{row}: no answer"));
            continue;
        };
        if reference.lands != ours.lands && !ours.lands.is_like(reference.lands) {
            complaints.push(format!(
                "{row}: {:?} became {:?}",
                reference.lands, ours.lands
            ));
        } else if let (Some(reference), Some(ours)) = (&reference.request, &ours.request) {
            complaints.extend(
                unlike_headers(row, reference, ours).map(|unlike| format!("{row}: {unlike}")),
            );
        }
    }
    report(&complaints, rows.len());
}

/// The headers that differ without a reason in the tables.
fn unlike_headers(row: &Row, reference: &Request, ours: &Request) -> Option<String> {
    let scope = if row.lands == Lands::Relay {
        Scope::Ingest
    } else {
        Scope::All
    };
    let removed: BTreeSet<&str> = HEADERS_REMOVED
        .iter()
        .filter(|(name, removed_in, _)| {
            (*removed_in == Scope::All || *removed_in == scope) && ours.headers.all(name).is_empty()
        })
        .map(|(name, ..)| *name)
        .collect();
    let comparable = |request: &Request| -> BTreeSet<(String, String)> {
        let lines = request.headers.0.iter();
        lines
            .map(|(name, value)| (name.to_ascii_lowercase(), value.escape_ascii().to_string()))
            .filter(|(name, _)| HEADERS_UNLIKE.iter().all(|(unlike, _)| name != unlike))
            .filter(|(name, _)| !removed.contains(name.as_str()))
            .collect()
    };
    let (want, got) = (comparable(reference), comparable(ours));
    if let Some(unlike) = unlike_by_rule(row, ours) {
        return Some(unlike);
    }
    let lost: Vec<_> = want.difference(&got).collect();
    let gained: Vec<_> = got.difference(&want).collect();
    (want != got).then(|| format!("headers lost {lost:?}, gained {gained:?}"))
}

/// What holds for the headers that cannot be compared.
fn unlike_by_rule(row: &Row, ours: &Request) -> Option<String> {
    let id = ours.headers.all("x-request-id").concat();
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(format!("x-request-id is not 32 hex digits: {id:?}"));
    }
    let host = ours.headers.all("host");
    if host != [row.host()] {
        return Some(format!("host became {host:?}"));
    }
    let lines =
        ours.headers.all("content-length").len() + ours.headers.all("transfer-encoding").len();
    match (row.body.is_empty(), lines) {
        (false, 1) | (true, 0 | 1) => None,
        _ => Some(format!("{lines} framing headers")),
    }
}

fn table_has_sixty_rows_and_no_row_twice() {
    let rows = rows();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    let unique: BTreeSet<Vec<u8>> = rows.iter().map(Row::bytes).collect();
    assert_eq!(unique.len(), rows.len(), "a row stands twice");
    assert!(rows.iter().all(|row| {
        row.unlike
            .as_ref()
            .is_none_or(|unlike| !unlike.reason.is_empty())
    }));
    assert!(HEADERS_UNLIKE.iter().all(|(_, reason)| !reason.is_empty()));
    assert!(
        HEADERS_REMOVED
            .iter()
            .all(|(.., reason)| !reason.is_empty())
    );
    assert_eq!(KEY.len(), 32);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).is_dir());
}

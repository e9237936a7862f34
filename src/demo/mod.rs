//! `vidette demo`: an edge in front of a stand-in Sentry, with a little traffic
//! and a page that shows what arrives.
//!
//! The edge is the real one, configured as an operator would. `stand_in` plays
//! the upstream (`reception` reads a request, `decoder`, `intake` and `scanner`
//! its body, `answers` replies), `events` keeps what arrived, `traffic` sends
//! what `samples` makes of the `senders`. What is kept lies in a `place` that goes with the
//! demo, and nothing beyond the machine is spoken to.

mod answers;
mod decoder;
mod event_id;
mod events;
mod intake;
mod place;
mod reception;
mod refused;
mod samples;
mod scanner;
mod senders;
mod stand_in;
mod traffic;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::json;

use crate::config::{self, Env, Loaded};
use crate::server::Edge;
use crate::server::StartError;
use crate::server::admin::Page;

use events::Events;
use place::Place;
use senders::{API, APP, WEB};
use stand_in::StandIn;
use traffic::Traffic;

/// Where the page is that shows what arrives. The dashboard, which leads to it, is at `/`.
const PAGE: &str = "/demo";

/// What the command line can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where the edge takes events; port 0 for any free one.
    pub public: SocketAddr,
    /// Where the page and the metrics are; port 0 for any free one.
    pub admin: SocketAddr,
    /// Whether traffic is made; without it only what others send is seen.
    pub traffic: bool,
}

/// Why the demo does not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stand-in has no port or no thread.
    #[error("cannot start the stand-in Sentry")]
    StandIn(#[source] io::Error),
    /// The demo's own configuration is refused: a mistake of this program.
    #[error("the demo's configuration is refused")]
    Config(#[source] config::Errors),
    /// The edge does not start or does not stop cleanly.
    #[error(transparent)]
    Edge(#[from] StartError),
    /// The traffic has no thread.
    #[error("cannot start the traffic")]
    Traffic(#[source] io::Error),
    /// Nobody reads what is printed.
    #[error("cannot print the addresses")]
    Output(#[source] io::Error),
}

/// Runs the demo until SIGTERM or SIGINT.
///
/// Writes three lines and no more: `dsn: ...`, `admin: ...`, where the dashboard is, which leads to
/// the page of what reached the stand-in, and `ready` once all can be used.
///
/// # Errors
/// What kept it from starting, or the edge from stopping cleanly. All that was
/// started is stopped before this returns.
pub fn run(options: Options, out: &mut dyn Write) -> Result<(), DemoError> {
    let events = Arc::new(Events::default());
    // Declared first, dropped last: the edge drains into a stand-in that still answers.
    let stand_in = StandIn::start(Arc::clone(&events)).map_err(DemoError::StandIn)?;
    let place = Place::within(&std::env::temp_dir());
    let place = place.inspect_err(|error| {
        tracing::warn!(%error, "there is no folder for the demo: it keeps nothing");
    });
    let folder = place.as_ref().ok().map(Place::path);
    let text = configuration(options, stand_in.address(), folder);
    let (config, warnings) =
        config::parse("demo", &text, &Env::empty()).map_err(DemoError::Config)?;
    let loaded = Loaded {
        config,
        file: None,
        digest: 0,
        warnings,
        built_in: true,
    };
    let dsn = Arc::new(OnceLock::new());
    let edge = Edge::start(loaded, pages(&events, &dsn))?;
    let public = reachable(edge.public());
    let dsn = dsn.get_or_init(|| format!("http://{}@{public}/{}", WEB.key, WEB.id));
    announce(out, dsn, reachable(edge.admin())).map_err(DemoError::Output)?;
    let traffic = options.traffic.then(|| Traffic::start(public)).transpose();
    let traffic = traffic.map_err(DemoError::Traffic)?;
    let waited = edge.wait();
    drop(traffic);
    drop(stand_in);
    Ok(waited?)
}

/// The demo's configuration as a file would have it. One worker is plenty for a
/// trickle; loopback is trusted, since the traffic plays a proxy in front. The quota is used up
/// within the hour, and is not of the project that the printed DSN is for.
fn configuration(options: Options, stand_in: SocketAddr, folder: Option<&Path>) -> String {
    let Options { public, admin, .. } = options;
    let within = |name: &str| {
        let path = folder.map(|folder| folder.join(name));
        path.map_or_else(|| json!("off"), |path| json!(path))
    };
    let (state, spool) = (within("state"), within("spool"));
    let projects = json!([
        {"id": WEB.id, "name": "shop-web", "keys": [WEB.key]},
        {"id": API.id, "name": "shop-api", "keys": [API.key], "quotas": [
            {"name": "errors-per-hour", "categories": ["error"], "limit": 500, "per": "1h"},
        ]},
        {"id": APP.id, "name": "shop-app", "keys": [APP.key]},
    ]);
    format!(
        "workers: 1\n\
         listen: {{public: [\"{public}\"], admin: \"{admin}\"}}\n\
         upstream: {{ingest: [\"http://{stand_in}\"]}}\n\
         client_ip: {{trusted_proxies: [loopback]}}\n\
         keys: {{mode: open}}\n\
         static: []\n\
         state: {{path: {state}}}\n\
         spool: {{path: {spool}, max_bytes: 64MiB, free_floor: 0}}\n\
         projects: {projects}\n"
    )
}

/// The page, and what it asks for.
fn pages(events: &Arc<Events>, dsn: &Arc<OnceLock<String>>) -> Vec<Page> {
    let (listed, counted, dsn) = (Arc::clone(events), Arc::clone(events), Arc::clone(dsn));
    vec![
        Page {
            path: PAGE,
            title: Some("What reached the stand-in"),
            content_type: "text/html; charset=utf-8",
            render: Box::new(|| Bytes::from_static(include_bytes!("page.html"))),
        },
        Page {
            path: "/api/v1/demo/events",
            title: None,
            content_type: "application/json",
            render: Box::new(move || listed.json()),
        },
        Page {
            path: "/api/v1/demo/summary",
            title: None,
            content_type: "application/json",
            // Empty only until the edge knows its port.
            render: Box::new(move || counted.summary_json(dsn.get().map_or("", String::as_str))),
        },
    ]
}

fn announce(out: &mut dyn Write, dsn: &str, admin: SocketAddr) -> io::Result<()> {
    writeln!(out, "dsn: {dsn}")?;
    writeln!(out, "admin: http://{admin}/")?;
    writeln!(out, "ready")?;
    out.flush()
}

/// An address that can be connected to: the machine's own where the edge
/// listens on every address.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(public: &str, admin: &str) -> Options {
        let parse = |text: &str| text.parse().expect("an address");
        Options {
            public: parse(public),
            admin: parse(admin),
            traffic: false,
        }
    }

    #[track_caller]
    fn check_config(public: &str, admin: &str, folder: Option<&str>) {
        let options = options(public, admin);
        let stand_in = "127.0.0.1:4711".parse().expect("an address");
        let text = configuration(options, stand_in, folder.map(Path::new));
        let (config, warnings) = config::parse("demo", &text, &Env::empty()).expect("accepted");
        assert_eq!(warnings, [""; 0], "the demo starts without a warning");
        let listening: Vec<_> = config
            .listen
            .public
            .iter()
            .map(|listener| listener.address)
            .collect();
        assert_eq!(
            (listening, config.listen.admin),
            (vec![options.public], options.admin)
        );
        let upstream: Vec<_> = config
            .upstream
            .web
            .iter()
            .map(config::UpstreamUrl::authority)
            .collect();
        assert_eq!(upstream, ["127.0.0.1:4711"]);
        let spool = folder.map(|folder| Path::new(folder).join("spool"));
        assert_eq!(config.spool.path, spool);
    }

    #[test]
    fn its_configuration_is_accepted_for_every_kind_of_address() {
        check_config("127.0.0.1:0", "127.0.0.1:0", Some("/tmp/a demo: \"it\""));
        check_config("0.0.0.0:9000", "127.0.0.1:9001", Some("/tmp"));
        check_config("[::1]:0", "[::]:9001", None);
    }

    #[test]
    fn three_lines_are_printed_and_no_more() {
        let mut out = Vec::new();
        let admin = "127.0.0.1:9001".parse().expect("an address");
        announce(&mut out, "http://k@127.0.0.1:9000/1", admin).expect("memory takes it");
        let want = "dsn: http://k@127.0.0.1:9000/1\nadmin: http://127.0.0.1:9001/\nready\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn what_is_printed_can_be_connected_to() {
        for (listening, want) in [
            ("0.0.0.0:9", "127.0.0.1:9"),
            ("[::]:9", "[::1]:9"),
            ("192.0.2.7:9", "192.0.2.7:9"),
            ("127.0.0.1:9", "127.0.0.1:9"),
        ] {
            let listening: SocketAddr = listening.parse().expect("an address");
            assert_eq!(reachable(listening).to_string(), want);
        }
    }

    #[test]
    fn the_keys_of_the_demo_are_keys() {
        for project in [senders::WEB, senders::API, senders::APP] {
            let key = crate::domain::credentials::Key::parse(project.key.as_bytes());
            assert!(key.is_some(), "project {}", project.id);
        }
    }
}

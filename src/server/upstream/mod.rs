//! The servers behind the edge: their names, the addresses those resolve to,
//! and the connections to them. Never knows what a request means.

pub(crate) mod connect;
pub(crate) mod errand;
pub(crate) mod framing;
mod head;
pub(crate) mod leave;
pub(crate) mod line;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod resolve;
pub(crate) mod send;
pub(crate) mod sending;
pub(crate) mod server;
pub(crate) mod stream;
mod talk;
pub(crate) mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::config::checked::UpstreamUrl;
use crate::policy::breaker::{Breaker, Heard, Pass};
use crate::policy::evidence::Evidence;
use crate::policy::millis::Millis;
use crate::policy::pace::{Bounds, Pace};
use crate::telemetry::labels::{Route, Upstream};

use server::{Address, Server};

/// Until the configuration says how often.
const PROBE_INTERVAL_MS: u64 = 1000;

/// How narrow the window of what is under way may become, and how wide; and how much of
/// what live traffic leaves free is for what was kept.
const BOUNDS: Bounds = Bounds {
    min: 4,
    max: 1024,
    replay_percent: 50,
};

/// The upstream of a route.
pub(crate) fn of_route(route: Route) -> Upstream {
    match route {
        Route::Ingest | Route::Tunnel | Route::Relay => Upstream::Ingest,
        Route::Web | Route::Upload | Route::Static | Route::Local => Upstream::Web,
    }
}

/// One upstream: what it is called, and where it is found now.
#[derive(Debug)]
pub(crate) struct Target {
    /// Which it is.
    pub upstream: Upstream,
    /// What it is called: as that, a mirror by its own name.
    pub name: String,
    /// Its servers as configured.
    pub servers: Vec<Arc<Server>>,
    /// What their names resolve to. Empty until the first answer; an outage of
    /// the resolver leaves the last answer standing.
    addresses: ArcSwap<Vec<Address>>,
    /// Somebody could not connect: look the names up now.
    doubted: AtomicBool,
    /// A connection to it has stood.
    met: AtomicBool,
    /// Connect failures since the last connection that stood.
    failures: AtomicU64,
    /// Whether it is asked at all.
    pub breaker: Breaker,
    /// How much it bears at once.
    pub pace: Pace,
    /// When it was last seen to be well.
    pub evidence: Evidence,
}

impl Target {
    /// A target nothing is known about yet, but for addresses written as such.
    pub(crate) fn new(upstream: Upstream, name: String, urls: Vec<UpstreamUrl>) -> Self {
        let servers: Vec<_> = urls.into_iter().map(Server::new).map(Arc::new).collect();
        let literal = |server: &Arc<Server>| {
            let url = &server.url;
            Some(Address {
                socket: SocketAddr::new(url.host.parse().ok()?, url.port),
                server: Arc::clone(server),
            })
        };
        let literal: Vec<Address> = servers.iter().filter_map(literal).collect();
        Self {
            upstream,
            name,
            servers,
            addresses: ArcSwap::from_pointee(literal),
            doubted: AtomicBool::new(false),
            met: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            breaker: Breaker::new(PROBE_INTERVAL_MS),
            pace: Pace::new(BOUNDS, BOUNDS.max),
            evidence: Evidence::default(),
        }
    }

    /// Takes up what the configuration says of its health.
    pub(crate) fn retune(&self, upstream: &crate::config::checked::Upstream) {
        let interval_ms = u64::try_from(upstream.probe_interval.as_millis()).unwrap_or(u64::MAX);
        self.breaker.retune(interval_ms);
        let max = u16::try_from(upstream.connections).unwrap_or(u16::MAX);
        self.pace.retune(Bounds { max, ..BOUNDS });
    }

    /// What came of an event that was sent to it.
    pub(crate) fn tell(&self, now: Millis, pass: Pass, heard: Heard) {
        if matches!(pass, Pass::Probe(_)) && heard != Heard::Nothing {
            self.evidence.was_tried(now);
        }
        self.breaker.tell(now, pass, heard);
    }

    /// The addresses known now.
    pub(crate) fn addresses(&self) -> arc_swap::Guard<Arc<Vec<Address>>> {
        self.addresses.load()
    }

    /// The resolver's news.
    pub(crate) fn found(&self, addresses: Vec<Address>) {
        self.addresses.store(Arc::new(addresses));
    }

    /// A connection failed: the address may be stale.
    pub(crate) fn doubt(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// A connection stands.
    pub(crate) fn trust(&self) {
        if !self.is_met() {
            self.met.store(true, Ordering::Relaxed);
        }
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a connection to it has ever stood.
    pub(crate) fn is_met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to connect failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    /// Whether a look-up was asked for since the last time this was asked.
    pub(crate) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::Relaxed)
    }

    /// Whether it is configured to be these servers, in this order.
    pub(crate) fn is_at(&self, urls: &[UpstreamUrl]) -> bool {
        let servers = self.servers.iter().map(|server| &server.url);
        servers.eq(urls)
    }

    /// Whether any of its servers is spoken to by TLS.
    pub(crate) fn is_sealed(&self) -> bool {
        self.servers.iter().any(|server| server.name.is_some())
    }

    /// The first configured server, for words.
    pub(crate) fn authority(&self) -> String {
        let first = self.servers.first();
        first.map_or_else(String::new, |server| server.url.authority())
    }
}

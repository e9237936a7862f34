//! Everything a request is judged and sent by: one immutable value, built by the
//! control thread at start and at a reload. Never changes; a reload swaps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;

use crate::config::checked::Config;
use crate::domain::client_ip::Store;
use crate::domain::coding::DecodeLimits;
use crate::domain::endpoint::ProjectId;
use crate::domain::networks::Networks;
use crate::policy::Gate;
use crate::policy::pair::Pair;
use crate::policy::quotas::Counters;
use crate::telemetry::labels::{MirrorPlace, Route, Upstream};

use crate::server::memory::knowledge::{Knowledge, Place};
use crate::server::mirrors::MirrorRules;
use crate::server::passage::statics::Folder;
use crate::server::upstream::Target;
use crate::server::upstream::server::Named;

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The checked configuration they follow from, without its projects: what there is to know
    /// of those is the gate's, and a copy of a million keys would be a hundred megabytes.
    pub config: Config,
    /// Whose word about a client's address is believed.
    pub trusted: Networks,
    /// Who is never blocked.
    pub exempt: Networks,
    /// The header in which they name it.
    pub forwarded: HeaderName,
    /// The headers that carry the one address upstream.
    pub send_as: Vec<HeaderName>,
    /// The checks on ingest requests.
    pub gate: Gate,
    /// Whose word on a project the gate goes by, where it is not the configuration's.
    pub told: BTreeMap<ProjectId, Place>,
    /// What of a client's address goes upstream with an event.
    pub store: Store,
    /// What a body may unpack to.
    pub decode: DecodeLimits,
    /// The most items in one envelope.
    pub items_max: u32,
    /// Where events go.
    pub ingest: Arc<Target>,
    /// Where everything else goes.
    pub web: Arc<Target>,
    /// Who gets copies, in the order of the start.
    pub mirrors: Vec<MirrorRules>,
    /// Whether any of them gets a part only, which is chosen by what line one tells.
    pub mirrors_sample: bool,
    /// Folders served from disk, longest path first.
    pub statics: Vec<Folder>,
}

impl Rules {
    /// The rules that follow from `config`. Upstreams that stay the same keep
    /// what is known about them, so that a reload costs no look-up.
    pub(crate) fn new(
        config: &Config,
        before: Option<&Rules>,
        knowledge: &Knowledge,
        counters: &Counters,
    ) -> Self {
        let keep = |upstream: Upstream, urls: &[_]| {
            let old = before.map(|rules| rules.target(upstream));
            match old {
                Some(old) if old.is_at(urls) => Arc::clone(old),
                Some(_) | None => {
                    let name = upstream.as_str().to_owned();
                    Arc::new(Target::new(upstream, name, urls.to_vec()))
                }
            }
        };
        let ingest = keep(Upstream::Ingest, &config.upstream.ingest);
        let web = keep(Upstream::Web, &config.upstream.web);
        for target in [&ingest, &web] {
            target.retune(&config.upstream);
        }
        let mirrors = MirrorRules::all(config, before);
        let header = |name: &str| {
            HeaderName::from_bytes(name.as_bytes()).expect("checked to be a header's name")
        };
        let (gate, told) = knowledge.gate(config, counters);
        if let Some(before) = before {
            gate.moves.go_on_from(&before.gate.moves);
        }
        let mut statics: Vec<_> = config.statics.iter().map(Folder::new).collect();
        statics.sort_by_key(|folder| std::cmp::Reverse(folder.path.len()));
        Self {
            trusted: config.client_ip.trusted_proxies.hops(),
            exempt: config.limits.block.exempt.hops(),
            forwarded: header(&config.client_ip.header.name),
            send_as: config
                .client_ip
                .send_as
                .iter()
                .map(|name| header(name))
                .collect(),
            gate,
            told,
            store: knowledge.store(config),
            decode: DecodeLimits {
                decoded_bytes: config.limits.decoded_bytes,
                ratio: config.limits.decode_ratio,
            },
            items_max: u32::try_from(config.limits.items).unwrap_or(u32::MAX),
            ingest,
            web,
            mirrors_sample: mirrors.iter().any(MirrorRules::samples),
            mirrors,
            statics,
            config: config.without_projects(),
        }
    }

    /// The target of an upstream.
    pub(crate) fn target(&self, upstream: Upstream) -> &Arc<Target> {
        match upstream {
            Upstream::Ingest => &self.ingest,
            Upstream::Web => &self.web,
            Upstream::Mirror(place) => &self.mirror(place).target,
        }
    }

    /// A mirror's rules.
    ///
    /// # Panics
    /// Never: a mirror has rules from the start to the end.
    pub(crate) fn mirror(&self, place: MirrorPlace) -> &MirrorRules {
        let mirror = self.mirrors.get(place.get());
        mirror.expect("each mirror of the start has its rules from then on")
    }

    /// The mirror of a name, if this process began with one.
    pub(crate) fn mirror_named(&self, name: &str) -> Option<MirrorPlace> {
        let mut mirrors = MirrorPlace::ALL.into_iter().zip(&self.mirrors);
        let found = mirrors.find(|(_, mirror)| mirror.name == name);
        found.map(|(place, _)| place)
    }

    /// Whether old DSNs lead to a mirror's Sentry: then it has events that nobody else has.
    pub(crate) fn is_led_to(&self, place: MirrorPlace) -> bool {
        let name = self.mirror(place).name.as_str();
        let led = self.gate.moves.map().upstreams();
        led.iter().any(|upstream| **upstream == *name)
    }

    /// Which Sentry has the project that a sender's DSN is of: the first, or where that leads.
    pub(crate) fn destination(&self, sender: &Pair) -> Upstream {
        let away = self.gate.moves.away(&sender.key(), sender.project());
        let name = away.and_then(|one| one.to_upstream.as_deref());
        // A configuration is only taken up where each name is known.
        let place = name.and_then(|name| self.mirror_named(name));
        place.map_or(Upstream::Ingest, Upstream::Mirror)
    }

    /// What requests to an upstream call it.
    pub(crate) fn named(&self, upstream: Upstream) -> Named {
        match upstream {
            Upstream::Ingest | Upstream::Web => Named::of(self.config.upstream.host),
            Upstream::Mirror(place) => self.mirror(place).named,
        }
    }

    /// Every target once, by its names: what the resolver looks after.
    pub(crate) fn targets(&self) -> BTreeMap<&str, &Arc<Target>> {
        let own = [&self.ingest, &self.web].into_iter();
        let mirrors = self.mirrors.iter().map(|mirror| &mirror.target);
        let all = own.chain(mirrors);
        all.map(|target| (target.name.as_str(), target)).collect()
    }
}

/// How many workers to run: as configured, else as many as the machine gives
/// this process processors, which honours a container's CPU quota.
pub(crate) fn worker_count(config: &Config) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config
        .workers
        .map_or_else(available, std::num::NonZero::get)
}

impl Rules {
    /// The largest body of a route in bytes, and the key that says so.
    pub(crate) fn body_limit(&self, route: Route) -> (u64, &'static str) {
        let bodies = &self.config.limits.bodies;
        match route {
            Route::Upload => (bodies.upload, "limits.bodies.upload"),
            Route::Ingest | Route::Tunnel => (bodies.ingest, "limits.bodies.ingest"),
            Route::Web | Route::Static | Route::Relay | Route::Local => {
                (bodies.web, "limits.bodies.web")
            }
        }
    }

    /// Whether a normalised path is a tunnel's.
    pub(crate) fn is_tunnel(&self, path: &[u8]) -> bool {
        let bare = |path: &'_ [u8]| path.strip_suffix(b"/").unwrap_or(path).len();
        let paths = &self.config.tunnel.paths;
        paths.iter().any(|tunnel| {
            let tunnel = tunnel.as_bytes();
            path.get(..bare(path)) == tunnel.get(..bare(tunnel))
        })
    }

    /// The number of workers that share the limits.
    pub(crate) fn workers(&self) -> usize {
        worker_count(&self.config)
    }
}

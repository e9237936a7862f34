//! Where a soak plays: the edge's configuration, nginx before it, the upstream behind it, and
//! what all who take part share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::mischief::Try;
use super::operator::Act;
use super::senders::Places;
use super::stage::{Cause, Stage, Windows};
use super::stand_in::{Mood, StandIn};
use super::tally::{SURVIVED, Tally, WAS};
use crate::bugsink::Bugsink;
use crate::edge::{Edge, KEY, Log, configuration, lay_over};
use crate::front::Nginx;
use crate::shared_quotas::pool::Redis;
use crate::spool::trouble::{SYNC_EIO, Trouble, WRITE_EIO};
use crate::tls::NAME;
use crate::tls::authority::Authority;
use crate::tls::client::Trust;
use crate::upstream::Silent;

/// An address that no client connects from: the edge's ports stay its own while it is away.
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);

/// The key of a project that has moved to another Sentry.
pub(super) const MOVED: &str = "11111111111111111111111111111111";

/// A quota that is counted and shared, and refuses nobody.
const AMPLE: u64 = 1_000_000_000;

/// What an edge may say as an error once that was done to it: an operator must act, and does.
const EXPLAINED_ERRORS: &[(&str, Act)] = &[
    ("the configuration was not reloaded", Act::BrokenReload),
    ("the spool is full", Act::NoRoom),
    ("nobody's policy dropped: spool_full", Act::NoRoom),
    ("neither delivers nor keeps", Act::NoRoom),
    ("the spool's disk does not take", Act::DiskFails),
    ("a large body cannot be kept", Act::DiskFails),
    ("nobody's policy dropped: no_upstream", Act::DiskFails),
    ("neither delivers nor keeps", Act::DiskFails),
];

/// And what it may say of its upstream, whatever befell that.
const EXPLAINED_BY_WEATHER: &[&str] = &["kind=\"ingest_errors\"", "kind=\"spool_old\""];

/// Things that each come once before one comes again, in an order drawn by lot.
pub(super) struct Deck<T: 'static> {
    all: &'static [T],
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    pub(super) const fn of(all: &'static [T]) -> Self {
        Self {
            all,
            left: Vec::new(),
        }
    }

    pub(super) fn draw(&mut self, rng: &mut Rng) -> T {
        if self.left.is_empty() {
            self.left = self.all.to_vec();
            rng.shuffle(&mut self.left);
        }
        self.left.pop().unwrap()
    }
}

/// All but the edge itself.
pub(super) struct Scene {
    pub(super) places: Places,
    pub(super) authority: Authority,
    pub(super) front: Nginx,
    pub(super) stand_in: StandIn,
    /// Another Sentry, which nobody here wrote: project 12 has moved there.
    pub(super) other: Bugsink,
    /// What befalls the edge's disk.
    disk: Trouble,
    /// Where quotas are shared: one that never has no room.
    pool: Mutex<Redis>,
    pub(super) windows: Arc<Windows>,
    pub(super) tally: Arc<Tally>,
    /// Who makes trouble.
    pub(super) trouble: Stage,
    /// Who sends events.
    pub(super) load: Stage,
    folder: TempDir,
}

impl Scene {
    pub(super) fn set(seed: u64) -> Self {
        let free = || SocketAddr::from((PLACE, Silent::at((PLACE, 0).into()).port()));
        let (edge, secure) = (free(), free());
        let authority = Authority::new();
        authority.issue("edge", &[NAME, &PLACE.to_string()]);
        let (windows, tally) = (Arc::new(Windows::default()), Arc::new(Tally::default()));
        // nginx asks nobody behind it before it is asked.
        let front = Nginx::in_front_of(edge);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spool")).unwrap();
        Self {
            places: Places {
                front: front.address,
                edge,
                secure,
                trust: Trust::of(&authority),
            },
            authority,
            front,
            stand_in: StandIn::start(&windows, &tally),
            other: Bugsink::start(),
            disk: Trouble::new(seed),
            pool: Mutex::new(Redis::start(&[])),
            windows,
            tally,
            trouble: Stage::default(),
            load: Stage::default(),
            folder,
        }
    }

    fn text_with(&self, changes: &Value) -> String {
        let (place, keys) = (self.folder.path(), self.authority.folder());
        let (places, url) = (&self.places, self.stand_in.url());
        let tls = json!({"cert": keys.join("edge.pem"), "key": keys.join("edge.key")});
        let mut all = json!({
            "workers": 2,
            "listen": {"public": [
                places.edge.to_string(),
                {"name": "secure", "address": places.secure.to_string(), "tls": tls},
            ]},
            "upstream": {
                "ingest_deadline": "1s", "probe_interval": "50ms", "timeouts": {"ingest": "3s"},
            },
            "limits": {"retry_after_max": "1s", "head_timeout": "2s", "body_idle": "2s"},
            "spool": {"path": place.join("spool"), "free_floor": 0},
            "state": {"path": place.join("state")},
            "projects": [{"id": 42, "keys": [KEY], "quotas": [
                {"name": "ample", "limit": AMPLE, "per": "1d"},
            ]}],
            "mirrors": [{"name": "other", "ingest": [&self.other.url], "share": 0}],
            "dsn_map": [
                {"key": MOVED, "project": 12, "to": {"key": KEY, "project": 1, "upstream": "other"}},
            ],
            "shared_quota": {"url": self.pool.lock().unwrap().url(), "timeout": "500ms"},
            "log": {"level": "info"},
        });
        lay_over(&mut all, changes);
        configuration(&url, &url, &all).to_string()
    }

    /// The edge's file; another that does the same.
    pub(super) fn text(&self, another: bool) -> String {
        self.text_with(&json!({"metrics": {"projects_max": if another { 900 } else { 1000 }}}))
    }

    /// The file of an edge that may keep nothing.
    pub(super) fn without_room(&self) -> String {
        self.text_with(&json!({"spool": {"free_floor": "1024TiB"}}))
    }

    /// An edge on this file, whose disk is what befalls it.
    pub(super) fn edge(&self) -> Edge {
        let spool = self.folder.path().join("spool");
        self.disk.run(&self.text(false), &spool)
    }

    /// The disk of its spool writes and syncs now and then only, for a while.
    pub(super) fn disk_fails(&self, lasts: Duration, of_256: u32) {
        self.disk.faults(WRITE_EIO | SYNC_EIO, of_256);
        thread::sleep(lasts);
        self.disk.faults(0, 0);
    }

    /// The Redis that quotas are shared by is killed, and begins again with its data or without.
    pub(super) fn kills_pool(&self, lasts: Duration, with_data: bool) {
        let mut pool = self.pool.lock().unwrap();
        pool.kill();
        thread::sleep(lasts);
        pool.begin_again(with_data);
    }

    /// It stands still for a while.
    pub(super) fn pauses_pool(&self, lasts: Duration) {
        let pool = self.pool.lock().unwrap();
        pool.signal(Signal::STOP);
        thread::sleep(lasts);
        pool.signal(Signal::CONT);
    }

    /// Reads what an edge that is gone has said.
    pub(super) fn reads(&self, log: &Log) {
        for line in log.whole().lines() {
            let is_explained = EXPLAINED_BY_WEATHER.iter().any(|text| line.contains(text))
                || EXPLAINED_ERRORS
                    .iter()
                    .any(|(text, act)| line.contains(text) && self.tally.has(SURVIVED, act.name()));
            let is_bad = line.contains("panicked") || line.contains(" ERROR ");
            if is_bad && !is_explained {
                self.tally.broken(format!("in the edge's log: {line}"));
            }
        }
    }

    /// The upstream falls ill in every way, and gets well again, until nobody plays any more.
    pub(super) fn weather(&self, mut rng: Rng) {
        let mut moods = Deck::of(Mood::ILL);
        while let Some(_turn) = self.trouble.turn() {
            let mood = moods.draw(&mut rng);
            self.tally.did(WAS, mood.name(), 1);
            {
                let _unwell = [Cause::Unwell, mood.cause()].map(|cause| self.windows.open(cause));
                self.stand_in.becomes(mood);
                thread::sleep(Duration::from_millis(rng.u64(300..2500)));
                self.stand_in.becomes(Mood::Well);
            }
            thread::sleep(Duration::from_millis(rng.u64(300..2500)));
        }
    }

    /// One who means harm after the other.
    pub(super) fn mischief(&self, mut rng: Rng) {
        let mut tries = Deck::of(Try::ALL);
        while let Some(_turn) = self.trouble.turn() {
            tries.draw(&mut rng).on(&self.places, &self.tally, &mut rng);
            thread::sleep(Duration::from_millis(rng.u64(..500)));
        }
    }
}

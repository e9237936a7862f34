//! What befalls the edge, and what its operator does to it. Holds the edge; never sends an event.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::scene::Scene;
use super::stage::Cause;
use super::stand_in::Mood;
use super::tally::SURVIVED;
use crate::admin::post as ask_for;
use crate::books::check_equation;
use crate::edge::Edge;
use crate::explained::post;
use crate::hostile::siege::Used;
use crate::shared_quotas::pool::{comes, sharing};
use crate::switches::{delete, switch};
use crate::tls::NAME;
use crate::tls::client::{SecureClient, Trust};
use crate::upstream::HANG;

/// How much more memory may be in use at a later rest than at the first: what an allocator
/// keeps of a crowd's height, and what is known of what is kept.
const GROWTH_KIB_MAX: u64 = 32 << 10;

/// Descriptors that may be open beyond those at the first rest: kept connections, files of the
/// spool.
const DESCRIPTORS_MORE: usize = 24;

/// A rest has come once the edge has used the same descriptors for so long.
const REST: Duration = Duration::from_secs(5);

/// What an operator does while the edge runs, and what else it leans on does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Reload,
    BrokenReload,
    Certificate,
    Maintenance,
    Mute,
    NoRoom,
    DiskFails,
    FrontReload,
    PoolKilled,
    PoolPaused,
}

impl Act {
    pub(super) const ALL: &[Self] = &[
        Self::Reload,
        Self::BrokenReload,
        Self::Certificate,
        Self::Maintenance,
        Self::Mute,
        Self::NoRoom,
        Self::DiskFails,
        Self::FrontReload,
        Self::PoolKilled,
        Self::PoolPaused,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::BrokenReload => "reload of a broken file",
            Self::Certificate => "another certificate",
            Self::Maintenance => "maintenance",
            Self::Mute => "mute",
            Self::NoRoom => "no room on its disk",
            Self::DiskFails => "EIO from its disk",
            Self::FrontReload => "reload of nginx",
            Self::PoolKilled => "Redis killed, and begun anew",
            Self::PoolPaused => "Redis paused",
        }
    }
}

/// How one process takes the place of another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Killed,
    Upgraded,
    Signalled,
    Stopped,
}

impl Change {
    pub(super) const ALL: &[Self] = &[Self::Killed, Self::Upgraded, Self::Signalled, Self::Stopped];

    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "kill -9",
            Self::Upgraded => "--takeover",
            Self::Signalled => "SIGUSR2",
            Self::Stopped => "stop and start",
        }
    }
}

/// Waits until an edge is among those that share, and takes of what they do.
#[track_caller]
fn wait_joined(edge: &Edge) {
    comes("it has joined", || {
        let told = sharing(edge);
        told["state"] == "joined" && told["settling"] == false
    });
}

/// An edge starts its successor by itself. That one has no handle here, and soon gives way to one
/// that has.
#[track_caller]
fn upgraded_twice(scene: &Scene, mut edge: Edge) -> Edge {
    edge.signal(Signal::USR2);
    let log = edge.log.clone();
    log.wait_for_text("a process is started to take over pid=");
    let status = edge.wait_end();
    assert!(status.success(), "{status}");
    wait_joined(&edge);
    let next = edge.successor();
    assert_eq!((next.public, next.admin), (edge.public, edge.admin));
    // Both wrote into one pipe, which ends with the second of them.
    scene.reads(&log);
    next
}

/// The edge, and who looks after it.
pub(super) struct Operator<'a> {
    scene: &'a Scene,
    edge: Edge,
    begin: Option<Used>,
    rests: Vec<Used>,
}

impl<'a> Operator<'a> {
    pub(super) fn starts(scene: &'a Scene) -> Self {
        let edge = scene.edge();
        wait_joined(&edge);
        Self {
            edge,
            scene,
            begin: None,
            rests: Vec::new(),
        }
    }

    /// Does something that lasts a while.
    #[track_caller]
    pub(super) fn does(&self, act: Act, rng: &mut Rng) {
        let (scene, edge) = (self.scene, &self.edge);
        let lasts = Duration::from_millis(rng.u64(500..3000));
        scene.tally.did(SURVIVED, act.name(), 1);
        match act {
            Act::Reload => self.reloads(&scene.text(true), 200),
            Act::BrokenReload => {
                self.reloads("workers: [", 422);
                self.reloads(&scene.text(false), 200);
            }
            Act::Certificate => self.renews(),
            Act::Maintenance => {
                let on = json!({"on": true, "for_s": 60}).to_string();
                let said = post(edge, "/api/v1/maintenance", on.as_bytes());
                assert_eq!(said.status, 200, "{}", said.text());
                thread::sleep(lasts);
                let said = post(edge, "/api/v1/maintenance", b"{\"on\": false}");
                assert_eq!(said.status, 200, "{}", said.text());
            }
            Act::Mute => {
                let _muted = scene.windows.open(Cause::Muted);
                let on = switch(edge, json!({"category": "transaction"}));
                thread::sleep(lasts);
                assert_eq!(delete(edge, &on["id"]).status, 200);
            }
            Act::NoRoom => {
                let _full = scene.windows.open(Cause::NoRoom);
                self.reloads(&scene.without_room(), 200);
                thread::sleep(lasts);
                self.reloads(&scene.text(false), 200);
            }
            Act::DiskFails => {
                let _full = scene.windows.open(Cause::NoRoom);
                scene.disk_fails(lasts, rng.u32(64..=256));
            }
            Act::FrontReload => {
                let _leaves = scene.windows.open(Cause::FrontLeaves);
                scene.front.reload();
                thread::sleep(lasts);
            }
            Act::PoolKilled => scene.kills_pool(lasts, rng.bool()),
            Act::PoolPaused => scene.pauses_pool(lasts),
        }
    }

    /// Has the edge run on this file from now on, or refuse to.
    #[track_caller]
    fn reloads(&self, text: &str, status: u16) {
        self.edge.rewrite(text);
        let said = ask_for(&self.edge, "/api/v1/reload", &[]);
        assert_eq!(said.status, status, "{}", said.text());
    }

    /// Another certificate in the place of the one before.
    #[track_caller]
    fn renews(&self) {
        let (authority, places) = (&self.scene.authority, &self.scene.places);
        let (cert, _) = authority.issue("edge", &[NAME, &places.secure.ip().to_string()]);
        let want = CertificateDer::from_pem_file(cert).unwrap();
        let deadline = Instant::now() + HANG;
        loop {
            // A session that is resumed shows what it was shown when it began.
            let trust = Trust::of(authority);
            let shown = SecureClient::try_connect(places.secure, &trust, NAME);
            if shown.is_ok_and(|client| client.shown() == want) {
                return;
            }
            assert!(Instant::now() < deadline, "the new one is not shown");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Another process takes the place of this one.
    #[track_caller]
    pub(super) fn changes(self, change: Change) -> Self {
        let scene = self.scene;
        scene.tally.did(SURVIVED, change.name(), 1);
        let _unlent = scene.windows.open(Cause::Unlent);
        let edge = match change {
            Change::Upgraded => {
                self.edge.rewrite(&scene.text(false));
                let log = self.edge.log.clone();
                let next = crate::takeover::upgrade(self.edge);
                scene.reads(&log);
                next
            }
            Change::Signalled => {
                self.edge.rewrite(&scene.text(false));
                upgraded_twice(scene, self.edge)
            }
            Change::Killed | Change::Stopped => {
                let _gone = scene.windows.open(Cause::EdgeGone);
                let mut edge = self.edge;
                let is_killed = matches!(change, Change::Killed);
                edge.signal(if is_killed {
                    Signal::KILL
                } else {
                    Signal::TERM
                });
                let status = edge.wait_end();
                assert!(is_killed || status.success(), "{status}");
                scene.reads(&edge.log);
                drop(edge);
                scene.edge()
            }
        };
        wait_joined(&edge);
        Self { edge, ..self }
    }

    /// Waits until nobody does anything, and holds what the edge uses against what it used at the
    /// first rest; its books hold.
    #[track_caller]
    pub(super) fn rests(&mut self) {
        let scene = self.scene;
        scene.trouble.close();
        scene.load.close();
        scene.stand_in.becomes(Mood::Well);
        let used = match &self.begin {
            None => self.settles(),
            Some(begin) => self.returns_to(begin),
        };
        check_equation(&self.edge.admin_get("/api/v1/ledger").json());
        match self.begin.is_none() {
            true => self.begin = Some(used),
            false => self.rests.push(used),
        }
        scene.load.open();
        scene.trouble.open();
    }

    /// What the edge uses once that has been the same for a while.
    #[track_caller]
    fn settles(&self) -> Used {
        let deadline = Instant::now() + HANG;
        let (mut since, mut before) = (Instant::now(), Used::by(&self.edge));
        loop {
            thread::sleep(Duration::from_millis(100));
            let used = Used::by(&self.edge);
            if used.descriptors > before.descriptors + 2
                || used.descriptors + 2 < before.descriptors
            {
                since = Instant::now();
                before = used;
            } else if since.elapsed() >= REST {
                return used;
            }
            assert!(Instant::now() < deadline, "it never rests");
        }
    }

    /// The same once it is what it was.
    #[track_caller]
    fn returns_to(&self, begin: &Used) -> Used {
        let deadline = Instant::now() + HANG;
        loop {
            let used = Used::by(&self.edge);
            let calm = used.resident_kib <= begin.resident_kib + GROWTH_KIB_MAX
                && used.descriptors <= begin.descriptors + DESCRIPTORS_MORE
                && used.threads <= begin.threads;
            if calm {
                return used;
            }
            assert!(
                Instant::now() < deadline,
                "at rest it uses {used:?}, and used {begin:?} at the first"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until all that was kept has been sent and nothing is under way, and closes the books.
    #[track_caller]
    pub(super) fn closes(mut self) -> (Used, Vec<Used>) {
        crate::spool::emptied(&self.edge);
        let books = crate::quotas::settled(&self.edge);
        check_equation(&books);
        assert_eq!(books["in_flight"], 0, "{books}");
        let begin = self.begin.take().unwrap();
        let used = self.returns_to(&begin);
        self.rests.push(used);
        self.edge.signal(Signal::TERM);
        let status = self.edge.wait_end();
        assert!(status.success(), "{status}");
        self.scene.reads(&self.edge.log);
        (begin, std::mem::take(&mut self.rests))
    }
}

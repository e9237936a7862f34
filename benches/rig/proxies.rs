//! Who runs: the upstream's stand-in and each proxy, all proxies on the same core, or on as many
//! as they have workers.
//!
//! They all stay up for a whole question; only the one whose turn it is gets requests.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::answer;
use crate::case::Case;
use crate::child::{Child, ChildError, ScratchFolder};
use crate::estate::Estate;
use crate::load::{Load, LoadError};
use crate::machine::Cores;
use crate::programs::{self, Place};

/// From start to the first good answer; a slow machine under other load needs a second, and nginx
/// some ten for a million keys.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Why the lineup is not complete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineupError {
    #[error("cannot prepare a configuration")]
    Prepare(#[from] io::Error),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("{name} is not ready for {case}: {last}; the end of its log:\n{log}")]
    NotReady {
        name: &'static str,
        case: &'static str,
        last: LoadError,
        log: String,
    },
    #[error("the upstream's stand-in does not say how many requests it has seen")]
    Uncounted,
}

/// Whose cost is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the settings that self-hosted ships.
    Nginx,
    /// The same, but for a pool of upstream connections as large as the load.
    NginxPooled,
    /// The pooled one, with a map of keys that it refuses and a limit for two projects.
    NginxRefusing,
    /// Doing for an event what vidette does, as far as it can.
    HaproxyHttp,
    /// The same, with a key that it refuses and a limit for two projects.
    HaproxyRefusing,
    /// Forwarding requests, one stick table counting each key's, and nothing else.
    HaproxyBare,
    /// Moving bytes: the floor.
    HaproxyTcp,
    Vidette,
}

impl Kind {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 8] = [
        Self::Nginx,
        Self::NginxPooled,
        Self::NginxRefusing,
        Self::HaproxyHttp,
        Self::HaproxyRefusing,
        Self::HaproxyBare,
        Self::HaproxyTcp,
        Self::Vidette,
    ];

    /// As the table names it, and its log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxPooled => "nginx-pooled",
            Self::NginxRefusing => "nginx-refusing",
            Self::HaproxyHttp => "haproxy-http",
            Self::HaproxyRefusing => "haproxy-refusing",
            Self::HaproxyBare => "haproxy-bare",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::Vidette => "vidette",
        }
    }

    /// Of requests over a limit, so many may pass in a turn: nginx knows no limit below one
    /// request in a minute.
    pub(crate) const fn strays_max(self) -> u32 {
        match self {
            Self::NginxRefusing => 2,
            Self::Nginx
            | Self::NginxPooled
            | Self::HaproxyHttp
            | Self::HaproxyRefusing
            | Self::HaproxyBare
            | Self::HaproxyTcp
            | Self::Vidette => 0,
        }
    }
}

/// One running proxy.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// Where it takes TLS.
    tls_port: u16,
    pub(crate) started: Instant,
    child: Child,
}

impl Proxy {
    /// Where it takes such requests.
    pub(crate) const fn port_for(&self, case: Case) -> u16 {
        match case.handshake() {
            Some(_) => self.tls_port,
            None => self.port,
        }
    }

    /// The root of its processes.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Fails once the proxy has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), ChildError> {
        self.child.still_runs()
    }

    /// Waits until one request of each kind that it is measured at is answered as is due. What is
    /// over a limit that lets one pass is asked again, too.
    pub(crate) fn until_ready(&mut self, load: &Load, cases: &[Case]) -> Result<(), LineupError> {
        let deadline = Instant::now() + READY_WITHIN;
        for &case in cases {
            if !case.proxies().contains(&self.kind) {
                continue;
            }
            while let Err(last) = load.probe(self.port_for(case), case) {
                self.still_runs()?;
                if Instant::now() > deadline {
                    let (name, log) = (self.kind.name(), self.child.last_words());
                    let case = case.label();
                    return Err(LineupError::NotReady {
                        name,
                        case,
                        last,
                        log,
                    });
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Waits until it takes connections.
    pub(crate) fn until_listening(&mut self) -> Result<(), LineupError> {
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(refused) = answer::connected(self.port) {
            self.still_runs()?;
            if Instant::now() > deadline {
                return Err(refused.into());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// What every proxy of a run has in common.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) folder: &'a ScratchFolder,
    /// What all of them show, with its key.
    pub(crate) certificate: &'a Path,
    pub(crate) cores: &'a Cores,
    /// `None` leaves vidette out.
    pub(crate) vidette: Option<&'a Path>,
    /// How many workers each of them has.
    pub(crate) workers: u32,
    /// How many connections load it: the size of a pool that is to be large enough.
    pub(crate) connections: u32,
    /// Whose keys are known, where it is more than those of the few kinds of requests.
    pub(crate) estate: Option<Estate>,
}

impl<'a> Setup<'a> {
    fn place(&self, upstream: u16, admin: u16, room: Room) -> Place<'a> {
        Place {
            folder: self.folder,
            certificate: self.certificate,
            upstream,
            admin,
            room,
            workers: self.workers,
            pool: self.connections,
            estate: self.estate,
        }
    }
}

/// How many clients a proxy is set up for.
#[derive(Clone, Copy)]
pub(crate) enum Room {
    /// As nginx is shipped, and HAProxy would be.
    AsShipped,
    /// For many idle ones.
    Crowd,
}

/// Everything that runs. Dropping it ends the proxies first, then what they stand before.
pub(crate) struct Lineup {
    proxies: Vec<Proxy>,
    /// The stand-in, and where it listens.
    _upstream: Option<Child>,
    pub(crate) upstream: u16,
    /// Where vidette's admin server listens.
    pub(crate) admin: u16,
}

impl Lineup {
    /// Starts these proxies before a stand-in of their own.
    pub(crate) fn start(
        setup: &Setup<'_>,
        kinds: &[Kind],
        room: Room,
    ) -> Result<Self, LineupError> {
        let [upstream] = free_ports()?;
        let place = setup.place(upstream, 0, room);
        let backend = programs::backend(&place, upstream)?;
        let backend = backend.start("backend", &setup.cores.load, setup.folder)?;
        let mut lineup = Self::before(setup, kinds, room, upstream)?;
        lineup._upstream = Some(backend);
        Ok(lineup)
    }

    /// Starts them before whoever listens on this port.
    pub(crate) fn before(
        setup: &Setup<'_>,
        kinds: &[Kind],
        room: Room,
        upstream: u16,
    ) -> Result<Self, LineupError> {
        let [admin, ports @ ..] = free_ports::<{ 2 * Kind::ALL.len() + 1 }>()?;
        let place = setup.place(upstream, admin, room);
        let mut proxies = Vec::new();
        for (&kind, ports) in kinds.iter().zip(ports.as_chunks().0) {
            let vidette = match (kind, setup.vidette) {
                (Kind::Vidette, None) => continue,
                (_, vidette) => vidette.unwrap_or(Path::new("vidette")),
            };
            let program = kind.program(vidette, &place, *ports)?;
            let [port, tls_port] = *ports;
            let started = Instant::now();
            let child = program.start(kind.name(), &setup.cores.proxies, setup.folder)?;
            proxies.push(Proxy {
                kind,
                port,
                tls_port,
                started,
                child,
            });
        }
        Ok(Self {
            proxies,
            _upstream: None,
            upstream,
            admin,
        })
    }

    /// The proxies, in the order of their turns.
    pub(crate) fn proxies(&mut self) -> impl Iterator<Item = &mut Proxy> {
        self.proxies.iter_mut()
    }

    /// How many requests the stand-in has seen from proxies; each look is one too, and left out
    /// by whoever takes the difference of two.
    pub(crate) fn upstream_seen(&self) -> Result<u32, LineupError> {
        let mut socket = answer::connected(self.upstream)?;
        socket.write_all(b"GET /seen HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let page = answer::read(&mut socket)?.body;
        let counts = page.lines().nth(2).unwrap_or_default();
        let requests = counts.split_ascii_whitespace().nth(2);
        let requests = requests.and_then(|number| number.parse().ok());
        requests.ok_or(LineupError::Uncounted)
    }
}

/// Ports nobody listens on, all held together before they are let go: so all different.
fn free_ports<const COUNT: usize>() -> io::Result<[u16; COUNT]> {
    let mut held = Vec::new();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

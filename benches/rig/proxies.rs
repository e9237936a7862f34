//! Who runs: the upstream's stand-in and each proxy, one worker each, all proxies on one core.
//!
//! They all stay up for a whole question; only the one whose turn it is gets requests.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer;
use crate::case::Case;
use crate::child::{Child, ChildError, ScratchFolder};
use crate::load::{CONNECTIONS, Load, LoadError};
use crate::machine::Cores;

const BACKEND: &str = include_str!("conf/backend.conf");
const NGINX: &str = include_str!("conf/nginx.conf");
const HAPROXY_HTTP: &str = include_str!("conf/haproxy-http.cfg");
const HAPROXY_BARE: &str = include_str!("conf/haproxy-bare.cfg");
const HAPROXY_TCP: &str = include_str!("conf/haproxy-tcp.cfg");
const VIDETTE: &str = include_str!("conf/vidette.yml");
/// Before each line of a configuration that only a proxy has that is to refuse something.
const REFUSING: &str = "#refusing#";

/// From start to the first good answer; a slow machine under other load needs a second.
const READY_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

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

    fn program<'a>(
        self,
        vidette: &'a Path,
        place: &Place<'_>,
        port: u16,
    ) -> io::Result<Program<'a>> {
        let write = |template: &str| place.write(self.name(), template, port);
        let pool = |size: u32| NGINX.replace("@KEEPALIVE@", &size.to_string());
        Ok(match self {
            Self::Nginx => nginx(write(&pool(2))?),
            Self::NginxPooled => nginx(write(&pool(CONNECTIONS))?),
            Self::NginxRefusing => nginx(write(&pool(CONNECTIONS).replace(REFUSING, ""))?),
            Self::HaproxyHttp => haproxy(write(HAPROXY_HTTP)?),
            Self::HaproxyRefusing => haproxy(write(&HAPROXY_HTTP.replace(REFUSING, ""))?),
            Self::HaproxyBare => haproxy(write(HAPROXY_BARE)?),
            Self::HaproxyTcp => haproxy(write(HAPROXY_TCP)?),
            Self::Vidette => edge(vidette, write(VIDETTE)?),
        })
    }
}

/// One running proxy.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    child: Child,
}

impl Proxy {
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
            while let Err(last) = load.probe(self.port, case) {
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
pub(crate) struct Setup<'a> {
    pub(crate) folder: &'a ScratchFolder,
    pub(crate) cores: &'a Cores,
    /// `None` leaves vidette out.
    pub(crate) vidette: Option<&'a Path>,
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
}

impl Lineup {
    /// Starts these proxies before a stand-in of their own.
    pub(crate) fn start(
        setup: &Setup<'_>,
        kinds: &[Kind],
        room: Room,
    ) -> Result<Self, LineupError> {
        let [upstream] = free_ports()?;
        let place = Place {
            folder: setup.folder,
            upstream,
            admin: 0,
            room,
        };
        let backend = nginx(place.write("backend", BACKEND, upstream)?);
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
        let [admin, ports @ ..] = free_ports::<{ Kind::ALL.len() + 1 }>()?;
        let place = Place {
            folder: setup.folder,
            upstream,
            admin,
            room,
        };
        let mut proxies = Vec::new();
        for (&kind, port) in kinds.iter().zip(ports) {
            let vidette = match (kind, setup.vidette) {
                (Kind::Vidette, None) => continue,
                (_, vidette) => vidette.unwrap_or(Path::new("vidette")),
            };
            let program = kind.program(vidette, &place, port)?;
            let child = program.start(kind.name(), &setup.cores.proxies, setup.folder)?;
            proxies.push(Proxy { kind, port, child });
        }
        Ok(Self {
            proxies,
            _upstream: None,
            upstream,
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

/// A program and what it is told.
struct Program<'a> {
    path: &'a Path,
    arguments: Vec<PathBuf>,
}

impl Program<'_> {
    fn start(
        self,
        name: &'static str,
        cores: &str,
        folder: &ScratchFolder,
    ) -> Result<Child, ChildError> {
        Child::start(name, self.path, &self.arguments, cores, folder)
    }
}

/// nginx opens a log before it reads where to: `-e` keeps that from the system's own.
fn nginx(config: PathBuf) -> Program<'static> {
    let arguments = vec!["-e".into(), "stderr".into(), "-c".into(), config];
    Program {
        path: Path::new("nginx"),
        arguments,
    }
}

/// In the foreground, as one process.
fn haproxy(config: PathBuf) -> Program<'static> {
    Program {
        path: Path::new("haproxy"),
        arguments: vec!["-db".into(), "-f".into(), config],
    }
}

fn edge(binary: &Path, config: PathBuf) -> Program<'_> {
    Program {
        path: binary,
        arguments: vec!["run".into(), "-c".into(), config],
    }
}

/// What every configuration has in common.
struct Place<'a> {
    folder: &'a ScratchFolder,
    upstream: u16,
    admin: u16,
    room: Room,
}

impl Place<'_> {
    /// Fills a template in and writes it beside the others.
    fn write(&self, name: &str, template: &str, listen: u16) -> io::Result<PathBuf> {
        let (nginx_room, haproxy_room) = match self.room {
            Room::AsShipped => ("1024", "4096"),
            Room::Crowd => ("16384", "16384"),
        };
        let filled = template
            .replace("@NGINX_ROOM@", nginx_room)
            .replace("@HAPROXY_ROOM@", haproxy_room)
            .replace("@NAME@", name)
            .replace("@DIRECTORY@", &self.folder.path().to_string_lossy())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@UPSTREAM@", &self.upstream.to_string())
            .replace("@ADMIN@", &self.admin.to_string());
        let path = self.folder.path().join(format!("{name}.conf"));
        fs::write(&path, filled)?;
        Ok(path)
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

//! Who runs: the upstream's stand-in and each proxy, one worker each, all proxies on one core.
//!
//! They all stay up for the whole run; only the one whose turn it is gets requests.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Child, ChildError, ScratchFolder};
use crate::envelope::BODIES;
use crate::load::{CONNECTIONS, Load, LoadError};
use crate::machine::Cores;

const BACKEND: &str = include_str!("conf/backend.conf");
const NGINX: &str = include_str!("conf/nginx.conf");
const HAPROXY_HTTP: &str = include_str!("conf/haproxy-http.cfg");
const HAPROXY_BARE: &str = include_str!("conf/haproxy-bare.cfg");
const HAPROXY_TCP: &str = include_str!("conf/haproxy-tcp.cfg");
const VIDETTE: &str = include_str!("conf/vidette.yml");

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
    #[error("{name} is not ready: {last}; the end of its log:\n{log}")]
    NotReady {
        name: &'static str,
        last: LoadError,
        log: String,
    },
}

/// Whose cost is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the settings that self-hosted ships.
    Nginx,
    /// The same, but for a pool of upstream connections as large as the load.
    NginxPooled,
    /// Doing for an event what vidette does, as far as it can.
    HaproxyHttp,
    /// Forwarding requests, one stick table counting each key's, and nothing else.
    HaproxyBare,
    /// Moving bytes: the floor.
    HaproxyTcp,
    Vidette,
}

impl Kind {
    /// In the order of the table and of the turns.
    pub(crate) const ALL: [Self; 6] = [
        Self::Nginx,
        Self::NginxPooled,
        Self::HaproxyHttp,
        Self::HaproxyBare,
        Self::HaproxyTcp,
        Self::Vidette,
    ];

    /// As the table names it, and its log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxPooled => "nginx-pooled",
            Self::HaproxyHttp => "haproxy-http",
            Self::HaproxyBare => "haproxy-bare",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::Vidette => "vidette",
        }
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

    /// Waits until one envelope of each size gets through whole.
    pub(crate) fn until_ready(&mut self, load: &Load) -> Result<(), LineupError> {
        let deadline = Instant::now() + READY_WITHIN;
        for body in BODIES {
            while let Err(last) = load.probe(self.port, body) {
                self.still_runs()?;
                if Instant::now() > deadline {
                    let (name, log) = (self.kind.name(), self.child.last_words());
                    return Err(LineupError::NotReady { name, last, log });
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }
}

/// Everything that runs. Dropping it ends the proxies first, then what they stand before.
pub(crate) struct Lineup {
    proxies: Vec<Proxy>,
    _upstream: Child,
}

impl Lineup {
    /// Starts all of them; without vidette where there is no binary to run.
    pub(crate) fn start(
        folder: &ScratchFolder,
        cores: &Cores,
        vidette: Option<&Path>,
    ) -> Result<Self, LineupError> {
        let [upstream, admin, ports @ ..] = free_ports::<{ Kind::ALL.len() + 2 }>()?;
        let place = Place {
            folder,
            upstream,
            admin,
        };
        let backend = nginx(place.write("backend", BACKEND, upstream)?);
        let backend = backend.start("backend", &cores.load, folder)?;

        let mut proxies = Vec::new();
        for (kind, port) in Kind::ALL.into_iter().zip(ports) {
            let write = |template: &str| place.write(kind.name(), template, port);
            let program = match (kind, vidette) {
                (Kind::Nginx, _) => nginx(write(&NGINX.replace("@KEEPALIVE@", "2"))?),
                (Kind::NginxPooled, _) => nginx(write(
                    &NGINX.replace("@KEEPALIVE@", &CONNECTIONS.to_string()),
                )?),
                (Kind::HaproxyHttp, _) => haproxy(write(HAPROXY_HTTP)?),
                (Kind::HaproxyBare, _) => haproxy(write(HAPROXY_BARE)?),
                (Kind::HaproxyTcp, _) => haproxy(write(HAPROXY_TCP)?),
                (Kind::Vidette, Some(binary)) => edge(binary, write(VIDETTE)?),
                (Kind::Vidette, None) => continue,
            };
            let child = program.start(kind.name(), &cores.proxies, folder)?;
            proxies.push(Proxy { kind, port, child });
        }
        Ok(Self {
            proxies,
            _upstream: backend,
        })
    }

    /// The proxies, in the order of their turns.
    pub(crate) fn proxies(&mut self) -> impl Iterator<Item = &mut Proxy> {
        self.proxies.iter_mut()
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
}

impl Place<'_> {
    /// Fills a template in and writes it beside the others.
    fn write(&self, name: &str, template: &str, listen: u16) -> io::Result<PathBuf> {
        let filled = template
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

//! What each proxy is started with: its configuration, filled in, and its words. Starts nothing by
//! itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::{Child, ChildError, ScratchFolder, pinned};
use crate::estate::Estate;
use crate::proxies::{Kind, Room, Setup};

const BACKEND: &str = include_str!("conf/backend.conf");
const NGINX: &str = include_str!("conf/nginx.conf");
const HAPROXY_HTTP: &str = include_str!("conf/haproxy-http.cfg");
const HAPROXY_BARE: &str = include_str!("conf/haproxy-bare.cfg");
const HAPROXY_TCP: &str = include_str!("conf/haproxy-tcp.cfg");
const VIDETTE: &str = include_str!("conf/vidette.yml");
const VIDETTE_OF_MANY: &str = include_str!("conf/vidette-many.yml");
/// Before each line of a configuration that only a proxy has that is to refuse something.
const REFUSING: &str = "#refusing#";
/// The same where all keys of many projects are known, and where each has a quota.
const MANY: &str = "#many#";
const COUNTED: &str = "#counted#";
/// A hash of nginx may have so many buckets for each key.
const BUCKETS_EACH: u32 = 2;
/// Fewer counters than that vidette does not take for a limit.
const COUNTERS_MIN: u32 = 100;
/// As many keys as HAProxy counts at a time where there are not more of them.
const STICK_ROOM: u32 = 100_000;

/// The upstream's stand-in, with its configuration written.
pub(crate) fn backend(place: &Place<'_>, port: u16) -> io::Result<Program<'static>> {
    Ok(nginx(place.write("backend", BACKEND, [port; 2])?))
}

impl Kind {
    /// The program of this kind, with its configuration written: where it listens, in clear and
    /// with TLS.
    pub(crate) fn program<'a>(
        self,
        vidette: &'a Path,
        place: &Place<'_>,
        ports: [u16; 2],
    ) -> io::Result<Program<'a>> {
        let write = |template: &str| place.write(self.name(), template, ports);
        let pool = |size: u32| NGINX.replace("@KEEPALIVE@", &size.to_string());
        Ok(match self {
            Self::Nginx => nginx(write(&pool(2))?),
            Self::NginxPooled => nginx(write(&pool(place.pool))?),
            Self::NginxRefusing => nginx(write(&pool(place.pool).replace(REFUSING, ""))?),
            Self::HaproxyHttp => haproxy(write(HAPROXY_HTTP)?),
            Self::HaproxyRefusing => haproxy(write(&HAPROXY_HTTP.replace(REFUSING, ""))?),
            Self::HaproxyBare => haproxy(write(HAPROXY_BARE)?),
            Self::HaproxyTcp => haproxy(write(HAPROXY_TCP)?),
            Self::Vidette => edge(
                vidette,
                write(match place.estate {
                    Some(_) => VIDETTE_OF_MANY,
                    None => VIDETTE,
                })?,
            ),
        })
    }
}

/// How a proxy is told to check the configuration that it was last started with, and to end.
pub(crate) fn check(setup: &Setup<'_>, kind: Kind) -> Command {
    let config = setup.folder.path().join(format!("{}.conf", kind.name()));
    let (program, words): (&Path, &[&str]) = match kind {
        Kind::Nginx | Kind::NginxPooled | Kind::NginxRefusing => {
            (Path::new("nginx"), &["-t", "-q", "-e", "stderr", "-c"])
        }
        Kind::HaproxyHttp | Kind::HaproxyRefusing | Kind::HaproxyBare | Kind::HaproxyTcp => {
            (Path::new("haproxy"), &["-c", "-q", "-f"])
        }
        Kind::Vidette => (setup.vidette.unwrap_or(Path::new("vidette")), &["check"]),
    };
    let mut command = pinned(program, &setup.cores.proxies);
    command.args(words).arg(config);
    command
}

/// A program and what it is told.
pub(crate) struct Program<'a> {
    path: &'a Path,
    arguments: Vec<PathBuf>,
}

impl Program<'_> {
    /// Starts it on these cores.
    pub(crate) fn start(
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
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a ScratchFolder,
    pub(crate) certificate: &'a Path,
    pub(crate) upstream: u16,
    pub(crate) admin: u16,
    pub(crate) room: Room,
    pub(crate) workers: u32,
    pub(crate) pool: u32,
    pub(crate) estate: Option<Estate>,
}

impl Place<'_> {
    /// Fills a template in and writes it beside the others.
    fn write(
        &self,
        name: &str,
        template: &str,
        [listen, listen_tls]: [u16; 2],
    ) -> io::Result<PathBuf> {
        let (nginx_room, haproxy_room) = match self.room {
            Room::AsShipped => ("1024", "4096"),
            Room::Crowd => ("16384", "16384"),
        };
        let keys = self.estate.map_or(0, Estate::keys);
        let template = match self.estate {
            None => template.to_owned(),
            Some(estate) => template
                .replace(MANY, "")
                .replace(COUNTED, if estate.counted { "" } else { COUNTED })
                .replace("@MAP_ROOM@", &(keys * BUCKETS_EACH).to_string())
                .replace("@COUNTERS@", &keys.max(COUNTERS_MIN).to_string())
                .replace("@PROJECTS@", &estate.projects()),
        };
        let filled = template
            .replace("@NGINX_ROOM@", nginx_room)
            .replace("@HAPROXY_ROOM@", haproxy_room)
            .replace("@STICK_ROOM@", &keys.max(STICK_ROOM).to_string())
            .replace("@WORKERS@", &self.workers.to_string())
            .replace("@NAME@", name)
            .replace("@DIRECTORY@", &self.folder.path().to_string_lossy())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@LISTEN_TLS@", &listen_tls.to_string())
            .replace("@CERTIFICATE@", &self.certificate.to_string_lossy())
            .replace("@UPSTREAM@", &self.upstream.to_string())
            .replace("@ADMIN@", &self.admin.to_string());
        let path = self.folder.path().join(format!("{name}.conf"));
        fs::write(&path, filled)?;
        Ok(path)
    }
}

//! Where the numbers were taken: the machine, its cores, and the programs with their versions.
//! Changes nothing on the machine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::child::found;
use crate::host::{Host, allowed_cores};

/// Why this machine cannot run the rig.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    #[error("missing here: {0}; say --install, or on Debian: apt-get install {0}")]
    Missing(String),
    #[error("tests/parts/install did not install what is missing here: {0}")]
    NotInstalled(String),
    #[error("cannot take the cores of the load")]
    Unsettled,
    #[error(
        "no vidette at {}: build it with cargo build --release, or say --without-vidette",
        .0.display()
    )]
    NoVidette(PathBuf),
    #[error("cannot run {name}")]
    Broken {
        name: &'static str,
        source: io::Error,
    },
}

/// Which cores do what, as taskset writes them.
#[derive(Clone)]
pub(crate) struct Cores {
    /// The one core on which every proxy runs, in its turn.
    pub(crate) proxies: String,
    /// The others: wrk and the upstream. The same core again where there is only one.
    pub(crate) load: String,
    all: Vec<u32>,
}

impl Cores {
    /// The first core for the proxies, the rest for the load.
    pub(crate) fn allowed() -> io::Result<Self> {
        let mut all: Vec<u32> = allowed_cores()?.split(',').flat_map(range).collect();
        if all.is_empty() {
            all.push(0);
        }
        Ok(Self::split(all, 1))
    }

    /// A core for each of so many workers, and at least as many for what loads them: where there
    /// are not so many, all have all.
    pub(crate) fn for_workers(&self, workers: usize) -> Self {
        let all = self.all.clone();
        match all.len() >= 2 * workers {
            true => Self::split(all, workers),
            false => Self {
                proxies: listed(&all),
                load: listed(&all),
                all,
            },
        }
    }

    fn split(all: Vec<u32>, proxies: usize) -> Self {
        let (own, rest) = all.split_at_checked(proxies).unwrap_or((&all, &[]));
        Self {
            proxies: listed(own),
            load: listed(if rest.is_empty() { own } else { rest }),
            all,
        }
    }

    /// Whether what loads the proxies has cores that no proxy runs on.
    pub(crate) fn are_apart(&self) -> bool {
        self.proxies != self.load
    }

    /// How many there are in all.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Moves this process there, where some of the load comes from. What it starts is told its
    /// own cores.
    pub(crate) fn settle(&self) -> Result<(), MachineError> {
        let own = std::process::id().to_string();
        let moved = found("taskset")
            .args(["-a", "-c", "-p", &self.load, &own])
            .output();
        match moved {
            Ok(output) if output.status.success() => Ok(()),
            Ok(_) | Err(_) => Err(MachineError::Unsettled),
        }
    }
}

fn listed(cores: &[u32]) -> String {
    let cores: Vec<String> = cores.iter().map(u32::to_string).collect();
    cores.join(",")
}

/// "2-5" or "2", as the kernel writes them.
fn range(part: &str) -> Vec<u32> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) => (first..=last).collect(),
        (Ok(_) | Err(_), _) => Vec::new(),
    }
}

/// What stands beside the numbers.
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) versions: Vec<(&'static str, String)>,
}

/// Each program, the Debian package it comes in, and how to ask for its version.
const PROGRAMS: [(&str, &str, &str); 5] = [
    ("nginx", "nginx", "-v"),
    ("haproxy", "haproxy", "-v"),
    ("wrk", "wrk", "-v"),
    ("taskset", "util-linux", "--version"),
    ("setpriv", "util-linux", "--version"),
];

/// Has tests/parts/install install what is missing; leaves a machine alone that has everything.
pub(crate) fn install_missing() -> Result<(), MachineError> {
    let (_, missing) = programs()?;
    if missing.is_empty() {
        return Ok(());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts/install");
    // Its steps are told on standard error; on standard output it names a folder.
    let ended = found(script).stdout(Stdio::null()).status();
    let source = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(_) => return Err(MachineError::NotInstalled(missing.join(" "))),
        Err(source) => source,
    };
    Err(MachineError::Broken {
        name: "tests/parts/install",
        source,
    })
}

/// The programs with their versions, and the packages of those that are missing.
type Programs = (Vec<(&'static str, String)>, Vec<&'static str>);

fn programs() -> Result<Programs, MachineError> {
    let (mut versions, mut missing) = (Vec::new(), Vec::new());
    for (name, package, flag) in PROGRAMS {
        match version(name, Path::new(name), flag)? {
            Some(version) => versions.push((name, version)),
            None => missing.push(package),
        }
    }
    missing.dedup();
    Ok((versions, missing))
}

impl Machine {
    /// Looks around; fails naming every program that is missing at once.
    pub(crate) fn look(vidette: Option<&Path>) -> Result<Self, MachineError> {
        let (mut versions, missing) = programs()?;
        if !missing.is_empty() {
            return Err(MachineError::Missing(missing.join(" ")));
        }
        if let Some(path) = vidette {
            let found = version("vidette", path, "--version")?;
            versions.push((
                "vidette",
                found.ok_or(MachineError::NoVidette(path.into()))?,
            ));
        }
        versions.retain(|(name, _)| !matches!(*name, "taskset" | "setpriv"));
        Ok(Self {
            host: Host::look(),
            versions,
        })
    }
}

/// The word after the program's name on the first line it says; `None` where there is no program.
fn version(name: &'static str, path: &Path, flag: &str) -> Result<Option<String>, MachineError> {
    let output = match found(path).arg(flag).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(MachineError::Broken { name, source }),
    };
    // nginx answers on standard error, the others on standard output.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let digit = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    let word = said
        .lines()
        .next()
        .and_then(|line| line.split_ascii_whitespace().find(digit));
    let number = word.unwrap_or("unknown").trim_start_matches("nginx/");
    Ok(Some(number.into()))
}

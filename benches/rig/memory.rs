//! The third question: what a proxy takes of memory when nobody is there, for each client that
//! stays connected and says nothing, and under a crowd of large uploads. What the kernel keeps
//! for a connection comes on top, for all alike.
//!
//! Each proxy is started anew for it: memory that was taken once is often kept.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::answer;
use crate::budgets::{self, Budget};
use crate::case::Case;
use crate::cpu;
use crate::kernel;
use crate::load::Load;
use crate::proxies::{Kind, Lineup, Proxy, Room, Setup};
use crate::uploads;

/// Who is looked at.
const ASKED: [Kind; 3] = [Kind::Nginx, Kind::HaproxyHttp, Kind::Vidette];

/// What the first clients of a process make it take is taken once, and by none of them.
const WARM_UP_CLIENTS: u32 = 100;
/// Buffers and pages are given back some seconds after they were needed: memory is as much as it
/// is when it has not shrunk for a while, or after so long at most.
const STEADY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(200);
/// Of the idle ones, each so many-th is used again at the end.
const USED_AGAIN: usize = 100;
/// vidette sets aside two descriptors for each client, the second for an upstream, and so many for
/// itself; it takes no more clients than that. All proxies get as many as it does.
const DESCRIPTORS_EACH: u64 = 2;
const DESCRIPTORS_BESIDE: u64 = 1024 + 200;

/// How many, and how much.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Idle clients: some, then more.
    pub(crate) idle: [u32; 2],
    pub(crate) uploads: uploads::Sizes,
    /// Memory that has not shrunk for so long does not.
    pub(crate) steady_for: Duration,
}

/// One number.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) proxy: Kind,
    pub(crate) unit: &'static str,
    pub(crate) measured: f64,
    pub(crate) budget: Budget,
}

/// All of it, proxy by proxy.
pub(crate) fn measure(setup: &Setup<'_>, load: &Load, sizes: Sizes) -> Result<Vec<Row>> {
    let counts = counts(sizes.idle);
    let mut rows = Vec::new();
    let here = |kind: &Kind| *kind != Kind::Vidette || setup.vidette.is_some();
    for kind in ASKED.into_iter().filter(here) {
        eprintln!("rig: memory of {}", kind.name());
        let idle = idle(setup, load, kind, &counts, sizes.steady_for);
        rows.extend(idle.with_context(|| format!("idle clients of {}", kind.name()))?);
    }
    for (kind, uploads) in uploads::ASKED.into_iter().filter(|(kind, _)| here(kind)) {
        eprintln!("rig: {} uploads through {}", uploads.name(), kind.name());
        let uploads = uploads::measure(setup, kind, uploads, sizes.uploads);
        rows.extend(uploads.with_context(|| format!("uploads through {}", kind.name()))?);
    }
    // By what was measured, for a table in which proxies stand below each other.
    let mut sorted: Vec<Row> = Vec::new();
    for row in rows {
        let after = sorted.iter().rposition(|other| other.what == row.what);
        sorted.insert(after.map_or(sorted.len(), |at| at + 1), row);
    }
    Ok(sorted)
}

/// As many clients as are wanted, or as can be; each number once.
fn counts(wanted: [u32; 2]) -> Vec<u32> {
    let most = wanted.iter().max().copied().map_or(0, u64::from);
    let descriptors = raise_descriptors(most * DESCRIPTORS_EACH + DESCRIPTORS_BESIDE);
    let room = descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH;
    let room = u32::try_from(room / 100 * 100).unwrap_or(u32::MAX);
    let mut counts = wanted.map(|count| count.min(room)).to_vec();
    if wanted.iter().any(|count| *count > room) {
        eprintln!("rig: {room} idle clients at most, since {descriptors} files may be open");
    }
    counts.dedup();
    counts.retain(|count| *count > 0);
    counts
}

/// As many descriptors as this user may have, for the rig and all that it starts: as many as are
/// needed where he may raise his own limit, as root may outside of most containers.
fn raise_descriptors(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let both = |most| Rlimit {
        current: most,
        maximum: most,
    };
    let enough = maximum.is_none_or(|maximum| maximum >= needed);
    if !enough && setrlimit(Resource::Nofile, both(Some(needed))).is_ok() {
        return needed;
    }
    let reached = match setrlimit(Resource::Nofile, both(maximum)) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    reached.unwrap_or(u64::MAX)
}

fn idle(
    setup: &Setup<'_>,
    load: &Load,
    kind: Kind,
    counts: &[u32],
    steady_for: Duration,
) -> Result<Vec<Row>> {
    let mut lineup = Lineup::start(setup, &[kind], Room::Crowd)?;
    let proxy = lineup.proxies().next().context("it does not run")?;
    proxy.until_ready(load, &[Case::Small])?;
    let mut rows = vec![Row {
        what: "at rest".into(),
        proxy: kind,
        unit: "MB",
        measured: steady(proxy, steady_for)? / 1e3,
        budget: Budget::default(),
    }];
    let request = load.request(proxy.port, Case::Small, &Case::Small.target())?;
    let client = |port| served(port, &request);
    for _ in 0..WARM_UP_CLIENTS {
        client(proxy.port)?;
    }
    let before = steady(proxy, steady_for)?;
    let mut clients = Vec::new();
    for &count in counts {
        let held = usize::try_from(count)?;
        while clients.len() < held {
            let client = client(proxy.port);
            clients.push(client.with_context(|| format!("client {}", clients.len()))?);
        }
        let each = (steady(proxy, steady_for)? - before) / f64::from(count);
        rows.push(Row {
            what: format!("each of {count} idle clients"),
            proxy: kind,
            unit: "kB",
            measured: each,
            budget: of_vidette(kind, budgets::IDLE),
        });
    }
    // Still connected, or nothing was measured.
    for client in clients.iter_mut().step_by(USED_AGAIN) {
        post(client, &request).context("an idle client that comes back")?;
    }
    proxy.still_runs()?;
    Ok(rows)
}

/// A budget is vidette's alone.
pub(crate) fn of_vidette(kind: Kind, budget: Budget) -> Budget {
    match kind == Kind::Vidette {
        true => budget,
        false => Budget::default(),
    }
}

/// A client that has sent one event and stays.
pub(crate) fn served(port: u16, request: &[u8]) -> Result<TcpStream> {
    let mut socket = answer::connected(port)?;
    post(&mut socket, request)?;
    Ok(socket)
}

pub(crate) fn post(socket: &mut TcpStream, request: &[u8]) -> Result<()> {
    socket.write_all(request)?;
    let status = answer::read(socket)?.status;
    ensure!(status == 200, "an answer is {status} in place of 200");
    Ok(())
}

/// What a proxy's processes have in memory once they have given back what they will, in kB.
pub(crate) fn steady(proxy: &Proxy, steady_for: Duration) -> Result<f64> {
    let started = Instant::now();
    let (mut least, mut since) = (resident(proxy)?, started);
    while since.elapsed() < steady_for && started.elapsed() < STEADY_WITHIN {
        thread::sleep(POLL);
        let now = resident(proxy)?;
        if now < least {
            (least, since) = (now, Instant::now());
        }
    }
    Ok(least)
}

/// What they have there now, in kB.
pub(crate) fn resident(proxy: &Proxy) -> Result<f64> {
    of_all(proxy, "VmRSS:")
}

/// The most that each of them ever had there, together, in kB.
pub(crate) fn at_most(proxy: &Proxy) -> Result<f64> {
    of_all(proxy, "VmHWM:")
}

fn of_all(proxy: &Proxy, name: &str) -> Result<f64> {
    let processes = cpu::tree(proxy.pid())?;
    let each = processes.iter().map(|process| kilobytes(process.pid, name));
    each.sum()
}

/// A process's memory as its status has it, in kB of a thousand bytes.
fn kilobytes(pid: u32, name: &str) -> Result<f64> {
    let kib = u32::try_from(kernel::says(pid, "status", name)?)?;
    Ok(f64::from(kib) * 1.024)
}

impl Row {
    /// False where the gate is missed.
    pub(crate) fn holds(&self) -> bool {
        self.budget.gate_met(Some(self.measured)) != Some(false)
    }

    /// A row of the table.
    pub(crate) fn markdown(&self) -> String {
        format!(
            "| {} | {} | {:.1} {} | {} |\n",
            self.what,
            self.proxy.name(),
            self.measured,
            self.unit,
            self.budget.cells(Some(self.measured)),
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let measured = Some(self.measured);
        json!({
            "what": self.what, "proxy": self.proxy.name(), "unit": self.unit,
            "measured": self.measured,
            "gate": self.budget.gate, "gate_met": self.budget.gate_met(measured),
            "goal": self.budget.goal, "goal_met": self.budget.goal_met(measured),
        })
    }
}

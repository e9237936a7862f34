//! CPU time of a process and all its descendants, from `/proc`. Measures no wall time.
//!
//! The scheduler's own count of each thread is exact to the nanosecond, but it goes when the
//! thread ends. The process's count keeps the dead, in ticks. So the threads are read where all
//! of them lived through, the process where one did not or the kernel keeps no such count.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// What `/proc` counts in: 100 a second on every Linux that user space has seen since 2.6.
const TICK: Duration = Duration::from_millis(10);

/// Why CPU time could not be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CpuError {
    #[error("cannot read /proc")]
    Unreadable(#[from] io::Error),
    #[error("a process of the proxy ended while it was measured")]
    ProcessEnded,
}

/// The counts of one process tree at one moment.
pub(crate) struct Reading {
    /// By process: user and system time together.
    ticks: BTreeMap<u32, u32>,
    /// By process and thread: nanoseconds on a core.
    nanoseconds: BTreeMap<(u32, u32), u64>,
}

impl Reading {
    /// Reads `root` and everything that descends from it, as nginx's worker does from its master.
    pub(crate) fn of_tree(root: u32) -> Result<Self, CpuError> {
        let mut ticks = BTreeMap::new();
        let mut nanoseconds = BTreeMap::new();
        for Stat { pid, ticks: of, .. } in tree(root)? {
            ticks.insert(pid, of);
            for thread in numbers_in(&format!("/proc/{pid}/task"))? {
                if let Some(on_core) = time_on_core(pid, thread) {
                    nanoseconds.insert((pid, thread), on_core);
                }
            }
        }
        Ok(Self { ticks, nanoseconds })
    }

    /// The CPU time spent since an earlier reading of the same tree.
    pub(crate) fn since(&self, before: &Self) -> Result<Duration, CpuError> {
        if before.ticks.keys().any(|pid| !self.ticks.contains_key(pid)) {
            return Err(CpuError::ProcessEnded);
        }
        let all_lived = before
            .nanoseconds
            .keys()
            .all(|id| self.nanoseconds.contains_key(id));
        if all_lived && !self.nanoseconds.is_empty() {
            return Ok(self.threads_since(before).iter().sum());
        }
        let spent = self
            .ticks
            .iter()
            .map(|(pid, after)| after.saturating_sub(before.ticks.get(pid).copied().unwrap_or(0)));
        Ok(TICK * spent.sum::<u32>())
    }

    /// The same by thread, the busiest first. Of those that have ended it knows nothing.
    pub(crate) fn threads_since(&self, before: &Self) -> Vec<Duration> {
        let spent = self.nanoseconds.iter().map(|(id, after)| {
            let before = before.nanoseconds.get(id).copied().unwrap_or(0);
            Duration::from_nanos(after.saturating_sub(before))
        });
        let mut spent: Vec<Duration> = spent.collect();
        spent.sort_by(|one, other| other.cmp(one));
        spent
    }
}

/// A process and everything that descends from it.
pub(crate) fn tree(root: u32) -> Result<Vec<Stat>, CpuError> {
    let mut all: Vec<Stat> = numbers_in("/proc")?
        .into_iter()
        .filter_map(Stat::read)
        .collect();
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let children = all.iter().filter(|stat| stat.parent == pid);
        waiting.extend(children.map(|stat| stat.pid));
        let at = all.iter().position(|stat| stat.pid == pid);
        found.push(all.swap_remove(at.ok_or(CpuError::ProcessEnded)?));
    }
    Ok(found)
}

/// What one line of `/proc/PID/stat` says.
pub(crate) struct Stat {
    pub(crate) pid: u32,
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// `None` where the process has ended since it was listed.
    fn read(pid: u32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold blanks and parentheses: count from the last one.
        let (_, fields) = line.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        // After the parent come nine fields, then user and system time.
        let user: u32 = fields.nth(9)?.parse().ok()?;
        let system: u32 = fields.next()?.parse().ok()?;
        Some(Self {
            pid,
            parent,
            ticks: user.saturating_add(system),
        })
    }
}

/// Nanoseconds a thread has run; `None` where it has ended or the kernel does not count.
fn time_on_core(pid: u32, thread: u32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn numbers_in(folder: &str) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir(folder)?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

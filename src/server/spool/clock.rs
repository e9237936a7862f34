//! The time by which what is kept grows old: the wall clock's when the spool was last empty
//! at a start, and from then on as much later as time has passed, whatever the wall clock
//! is set to. So a clock that jumps a day ahead costs nothing that is a minute old.
//!
//! While the edge runs, the clock that only moves forward counts. Over its restart, the
//! machine's: how long that has been up, in which run of its kernel, is beside the log in a
//! file. Over a restart of the machine nothing is left to ask but the wall clock. The file
//! is never synced: a machine that loses it has no use for it.

use std::os::unix::fs::FileExt as _;
use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};

use super::log::{Disk, RealDisk};

/// The file's name: no log's.
const FILE: &str = "clock";

/// The same before it is whole: a log's next start removes it.
const UNFINISHED: &str = "clock.tmp";

/// More than its line has.
const LINE_BYTES_MAX: usize = 128;

/// A difference that is told: clocks are slewed by less.
const TOLD_S: u64 = 60;

/// A moment on both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    /// Which run of the kernel: its own random number.
    boot: String,
    /// How long that runs, in milliseconds, asleep or not.
    up_ms: u64,
    /// The spool's time then, in milliseconds of Unix time.
    unix_ms: u64,
}

impl Reading {
    fn line(&self) -> String {
        format!("{} {:016x} {:016x}\n", self.boot, self.up_ms, self.unix_ms)
    }

    /// Reads a line; `None` if it is none of ours.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.split(' ');
        let boot = words.next()?.to_owned();
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (up_ms, unix_ms) = (number()?, number()?);
        words.next().is_none().then_some(Self {
            boot,
            up_ms,
            unix_ms,
        })
    }

    /// The spool's time when this run of the kernel is up for so long; `None`: it is another.
    fn goes_on(&self, boot: &str, up_ms: u64) -> Option<u64> {
        let passed_ms = up_ms.checked_sub(self.up_ms)?;
        (self.boot == boot).then(|| self.unix_ms.saturating_add(passed_ms))
    }
}

/// The spool's time now, and has the next start know it. `keeps`: something is there whose
/// age counts; else the wall clock's is as good as any.
pub(in crate::server) fn take_up(disk: &RealDisk, wall_unix_ms: u64, keeps: bool) -> u64 {
    let Some((boot, up_ms)) = machine() else {
        return wall_unix_ms;
    };
    let earlier = read(disk).and_then(|earlier| earlier.goes_on(&boot, up_ms));
    if let Some(unix_ms) = earlier.filter(|_| keeps) {
        let by_s = unix_ms.abs_diff(wall_unix_ms) / 1000;
        if by_s > TOLD_S {
            tracing::warn!(
                by_s,
                "the wall clock was set since the spool was last empty at a start: what is kept grows old by the time that passed, not by that"
            );
        }
        return unix_ms;
    }
    let begun = Reading {
        boot,
        up_ms,
        unix_ms: wall_unix_ms,
    };
    match write(disk, &begun) {
        Ok(()) => wall_unix_ms,
        Err(error) => {
            tracing::warn!(%error, "the spool's clock cannot be kept: a wall clock that is set before the next start counts");
            // What the next start finds there.
            earlier.unwrap_or(wall_unix_ms)
        }
    }
}

/// Which run of the kernel this is, and how long it is up.
fn machine() -> Option<(String, u64)> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let up = clock_gettime(ClockId::Boottime);
    let up_ms = u64::try_from(up.tv_sec).ok()? * 1000 + u64::try_from(up.tv_nsec).ok()? / 1_000_000;
    Some((boot.trim().to_owned(), up_ms))
}

fn read(disk: &RealDisk) -> Option<Reading> {
    let file = disk.open(FILE).ok()?;
    let mut line = vec![0; LINE_BYTES_MAX];
    let read = disk.read_at(&file, &mut line, 0).ok()?;
    line.truncate(read);
    Reading::parse(&String::from_utf8(line).ok()?)
}

/// Writes a whole line or none.
fn write(disk: &RealDisk, reading: &Reading) -> io::Result<()> {
    // One that a crash left is in the way.
    disk.unlink(UNFINISHED).ok();
    let file = disk.create(UNFINISHED)?;
    file.file().write_all_at(reading.line().as_bytes(), 0)?;
    disk.rename(UNFINISHED, FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn reading(boot: &str) -> Reading {
        Reading {
            boot: boot.to_owned(),
            up_ms: 5_000,
            unix_ms: 1_790_000_000_000,
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let reading = reading("a-b-c");
        assert_eq!(Reading::parse(&reading.line()), Some(reading.clone()));
        let line = reading.line();
        for odd in [
            "",
            "\n",
            "a 1\n",
            "a 1 x\n",
            line.trim_end(),
            &format!("{line}x\n"),
        ] {
            assert_eq!(Reading::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn time_goes_on_within_one_run_of_the_kernel_alone() {
        let earlier = reading("a");
        assert_eq!(earlier.goes_on("a", 7_000), Some(1_790_000_002_000));
        assert_eq!(earlier.goes_on("b", 7_000), None);
        assert_eq!(earlier.goes_on("a", 4_999), None, "no kernel gets younger");
    }

    #[test]
    fn a_wall_clock_that_was_set_counts_only_where_nothing_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(place.path()).unwrap();
        let wall = 1_790_000_000_000;
        assert_eq!(take_up(&disk, wall, true), wall, "the first start");
        let passed = |now: u64| now - wall < 60_000;
        assert!(passed(take_up(&disk, wall + DAY_MS, true)));
        assert!(passed(take_up(&disk, wall - DAY_MS, true)), "set back, too");
        assert_eq!(take_up(&disk, wall + DAY_MS, false), wall + DAY_MS);
        fs::write(place.path().join(FILE), b"no clock").unwrap();
        assert_eq!(take_up(&disk, wall, true), wall);
    }
}

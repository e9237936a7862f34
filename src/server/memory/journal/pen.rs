//! The journal's file, and the thread that writes it: many marks to one sync. Owns how lines are
//! spelled and read; never decides how far a mark reaches.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Builder;

use tokio::sync::Notify;

use crate::config::digest;
use crate::policy::quotas::{Counters, Mark, Moment, Unreserved};
use crate::telemetry::process;

use super::Writer;
use crate::server::memory::state::StateFolder;

/// The file's name.
const QUOTAS: &str = "quotas";

/// The last line of a file whose counts are exact, in an identity's place.
const CLOSED: &str = "closed";

/// A file larger than this was not written here.
const BYTES_MAX: u64 = 256 << 20;

/// The file is written anew when it has grown by so much.
const GROWN_BYTES: u64 = 1 << 20;

/// Marks that wait for the thread. A request whose mark finds no place asks again.
const ORDERS_MAX: usize = 4096;

pub(super) enum Order {
    Reserve(Unreserved),
    /// Write it anew, as counts have come that nobody charged here.
    Anew,
    Close(Told),
}

/// Reads what an earlier run wrote.
pub(super) fn restore(folder: &StateFolder, counters: &Counters) {
    let kept = match folder.read(QUOTAS, BYTES_MAX) {
        Ok(Some(kept)) => kept,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "what was used of quotas cannot be read; counting begins anew");
            return;
        }
    };
    let lines = kept.split(|byte| *byte == b'\n');
    let mut damaged = 0_u64;
    let mut closed = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let said = read(line);
        closed = matches!(said, Some((CLOSED, _)));
        let taken = closed || said.is_some_and(|(identity, mark)| counters.restore(identity, mark));
        damaged += u64::from(!taken);
    }
    tell_restored(counters.marks(wall_time()).len(), closed);
    if damaged > 0 {
        tracing::warn!(
            damaged,
            "lines of used quotas cannot be read; their counts begin at earlier ones"
        );
    }
}

/// Says once what a start begins with, and what a crash may have cost.
fn tell_restored(windows: usize, closed: bool) {
    match closed {
        _ if windows == 0 => {}
        true => tracing::info!(
            windows,
            rounded_up = 0,
            "what was used of quotas is taken up as it was"
        ),
        false => tracing::info!(
            windows,
            rounded_up = windows,
            "what was used of quotas is taken up; the last run was not closed, so each window counts up to a hundredth of its limit too much"
        ),
    }
}

/// Windows need no other time.
fn wall_time() -> Moment {
    Moment {
        since_start_ns: 0,
        unix_s: process::now_s(),
    }
}

pub(super) fn start(folder: StateFolder, counters: &Arc<Counters>) -> io::Result<Writer> {
    let written = Arc::new(Notify::new());
    let (orders, taken) = sync_channel(ORDERS_MAX);
    let failing = Arc::<AtomicBool>::default();
    let mut pen = Pen {
        file: anew(&folder, counters, Told::Reserved)?,
        folder,
        counters: Arc::clone(counters),
        written: Arc::clone(&written),
        grown_bytes: 0,
        failing: Arc::clone(&failing),
    };
    let thread = Builder::new()
        .name("quotas".to_owned())
        .spawn(move || pen.write_all(&taken))?;
    Ok(Writer {
        orders,
        written,
        slow: AtomicBool::new(false),
        failing,
        thread: std::sync::Mutex::new(Some(thread)),
    })
}

/// How much of what is spoken for a new file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All of it: the process goes on.
    Reserved,
    /// What is used: it ends.
    Used,
    /// What was used when it was handed over.
    Written,
}

/// The file written anew, and open at its end.
fn anew(folder: &StateFolder, counters: &Counters, told: Told) -> io::Result<File> {
    let mut text = String::new();
    for live in counters.marks(wall_time()) {
        let used = match told {
            Told::Reserved => live.reserved,
            Told::Used => live.used,
            Told::Written if live.written == 0 => continue,
            Told::Written => live.written,
        };
        let window = live.window;
        spell(
            &mut text,
            &live.identity().to_string(),
            Mark { window, used },
        );
    }
    if told != Told::Reserved {
        spell(&mut text, CLOSED, Mark { window: 0, used: 0 });
    }
    folder.write(QUOTAS, text.as_bytes())?;
    OpenOptions::new().append(true).open(folder.file(QUOTAS))
}

/// The thread's side.
pub(super) struct Pen {
    file: File,
    folder: StateFolder,
    counters: Arc<Counters>,
    written: Arc<Notify>,
    grown_bytes: u64,
    /// Written here alone.
    failing: Arc<AtomicBool>,
}

impl Pen {
    /// Writes until it is told to stop, or nobody is left to tell.
    fn write_all(&mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut wanted = BTreeMap::new();
            let (mut closes, mut anew_wanted) = (None, false);
            for order in std::iter::once(first).chain(orders.try_iter().take(ORDERS_MAX)) {
                match order {
                    Order::Reserve(one) => {
                        let identity = one.identity().to_string();
                        wanted.insert(identity, one);
                    }
                    Order::Anew => anew_wanted = true,
                    Order::Close(told) => closes = Some(told),
                }
            }
            self.write(&wanted);
            if let Some(told) = closes {
                if told == Told::Written {
                    self.counters.settle();
                }
                let ended = anew(&self.folder, &self.counters, told);
                self.heard(ended.map(drop));
                return;
            }
            if anew_wanted {
                self.begin_anew();
            }
        }
    }

    fn write(&mut self, wanted: &BTreeMap<String, Unreserved>) {
        let mut text = String::new();
        let mut marks = Vec::with_capacity(wanted.len());
        for (identity, one) in wanted {
            if let Some(mark) = one.next_mark() {
                spell(&mut text, identity, mark);
                marks.push((one, mark));
            }
        }
        // A disk that failed may have left half a line at the end, which would spoil the next:
        // then only a new file will do.
        if !self.is_failing() {
            let kept = self.file.write_all(text.as_bytes());
            let kept = kept.and_then(|()| self.file.sync_data());
            self.heard(kept);
        }
        // Kept or not: nobody is helped by waiting for a disk that fails.
        for (one, mark) in marks {
            one.reserved(mark);
        }
        self.written.notify_waiters();
        self.grown_bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.grown_bytes > GROWN_BYTES || self.is_failing() {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        match anew(&self.folder, &self.counters, Told::Reserved) {
            Ok(file) => {
                self.file = file;
                self.grown_bytes = 0;
                self.heard(Ok(()));
            }
            Err(error) => self.heard(Err(error)),
        }
    }

    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Says once that the disk fails, and once that it does no more.
    fn heard(&self, kept: io::Result<()>) {
        let failed = self.failing.swap(kept.is_err(), Ordering::Relaxed);
        match kept {
            Ok(()) if failed => tracing::info!("what is used of quotas is kept again"),
            Ok(()) => {}
            Err(error) if !failed => {
                tracing::error!(%error, "what is used of quotas cannot be kept: a restart may admit some twice");
            }
            Err(_) => {}
        }
    }
}

fn spell(text: &mut String, identity: &str, mark: Mark) {
    let line = format!("{identity} {} {}", mark.window, mark.used);
    let checksum = digest(line.as_bytes());
    // Writing into memory cannot fail.
    writeln!(text, "{line} {checksum:016x}").ok();
}

fn read(line: &[u8]) -> Option<(&str, Mark)> {
    let line = str::from_utf8(line).ok()?;
    let (said, checksum) = line.rsplit_once(' ')?;
    if u64::from_str_radix(checksum, 16) != Ok(digest(said.as_bytes())) {
        return None;
    }
    let mut words = said.rsplitn(3, ' ');
    let used = words.next()?.parse().ok()?;
    let window = words.next()?.parse().ok()?;
    Some((words.next()?, Mark { window, used }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_on_a_disk_that_failed_spoils_no_later_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        folder.write(QUOTAS, b"project/42/err").unwrap();
        let limits = crate::policy::quotas::CounterLimits {
            ips: 1,
            counters: 1,
        };
        let file = OpenOptions::new().append(true).open(folder.file(QUOTAS));
        let mut pen = Pen {
            file: file.unwrap(),
            folder: folder.clone(),
            counters: Arc::new(Counters::new(limits)),
            written: Arc::default(),
            grown_bytes: 0,
            failing: Arc::new(true.into()),
        };
        pen.write(&BTreeMap::new());
        assert!(!pen.is_failing(), "the disk is well again");
        let kept = folder.read(QUOTAS, BYTES_MAX).unwrap();
        assert_eq!(
            kept.as_deref(),
            Some(&b""[..]),
            "half a line is still there"
        );
    }

    #[test]
    fn a_line_is_read_back_and_a_damaged_one_is_not() {
        let mut text = String::new();
        let mark = Mark {
            window: 488,
            used: 120,
        };
        spell(&mut text, "project/42/errors/1h/project", mark);
        let line = text.trim_end();
        assert_eq!(
            read(line.as_bytes()),
            Some(("project/42/errors/1h/project", mark))
        );
        for at in 0..line.len() {
            let mut damaged = line.as_bytes().to_vec();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged), None, "byte {at}");
            assert_eq!(read(&line.as_bytes()[..at]), None, "cut at {at}");
        }
    }
}

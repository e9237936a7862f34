//! What was used of quotas, written down before it counts: a restart or a crash admits
//! nothing twice. A thread of its own appends to one file and syncs it, many marks at
//! once; requests wait for it only where they outrun their mark. Never decides how far a
//! mark reaches; and where the disk fails, requests go on unwritten, and the log says so.
//!
//! The file is lines of `identity window used checksum`. Later lines only ever say more,
//! so a torn or damaged one is skipped; at a start, and when it has grown, the file is
//! written anew with what is in use. A run that ends in good order leaves exact counts,
//! and a last line that says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::config::digest;
use crate::policy::quotas::{Counters, Granted, Mark, Moment, Unreserved};
use crate::telemetry::labels::Journal as State;
use crate::telemetry::process;

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

/// How long a request waits for the disk. Then it goes on: a slow disk must not stop events.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where used quotas are written down. Dropped without [`close`](Self::close), what was
/// used is known to the next run up to its last marks.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    writer: Option<Writer>,
    /// There is no writer, and there should be.
    failed: bool,
}

#[derive(Debug)]
struct Writer {
    orders: SyncSender<Order>,
    written: Arc<Notify>,
    /// A request went on unwritten, and none has waited with success since.
    slow: AtomicBool,
    /// The disk takes nothing, as the thread last saw it.
    failing: Arc<AtomicBool>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

enum Order {
    Reserve(Unreserved),
    Close,
}

impl Journal {
    /// Takes up what an earlier run wrote, and writes from now on. Into a folder that
    /// fails nothing is kept: the log says so.
    pub(crate) fn open(folder: StateFolder, counters: &Arc<Counters>) -> Self {
        restore(&folder, counters);
        match start(folder, counters) {
            Ok(writer) => {
                counters.enable_journal();
                Self {
                    writer: Some(writer),
                    failed: false,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what is used of quotas cannot be kept over a restart");
                Self::failed()
            }
        }
    }

    /// The journal of a folder that is of no use.
    pub(crate) fn failed() -> Self {
        Self {
            writer: None,
            failed: true,
        }
    }

    /// How it does.
    pub(crate) fn state(&self) -> State {
        match &self.writer {
            None if self.failed => State::Failing,
            None => State::Off,
            Some(writer) if writer.failing.load(Ordering::Relaxed) => State::Failing,
            Some(writer) if writer.slow.load(Ordering::Relaxed) => State::Slow,
            Some(_) => State::Written,
        }
    }

    /// Waits until what was charged is safe from a crash.
    pub(crate) async fn secure(&self, granted: Granted) {
        let Some(writer) = &self.writer else {
            return;
        };
        for soon in granted.ahead {
            // Without a place it is not asked again: the charge that goes beyond its mark waits.
            writer.orders.try_send(Order::Reserve(soon)).ok();
        }
        let deadline = Instant::now() + PATIENCE;
        let mut asked = false;
        while !granted.unreserved.iter().all(Unreserved::is_covered) {
            let mut written = pin!(writer.written.notified());
            written.as_mut().enable();
            if !asked {
                asked = writer.ask(&granted.unreserved);
            }
            if granted.unreserved.iter().all(Unreserved::is_covered) {
                break;
            }
            if timeout_at(deadline, written).await.is_err() {
                // Told once, not by every request of a flood.
                if !writer.slow.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the disk is slow: requests go on before their quotas are kept (state.path)"
                    );
                }
                return;
            }
        }
        if asked && writer.slow.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk keeps up with quotas again");
        }
    }

    /// Writes down exactly what is used, at the end of a run.
    pub(crate) fn close(&self) {
        let Some(writer) = &self.writer else {
            return;
        };
        let thread = writer.thread.lock().ok().and_then(|mut held| held.take());
        if writer.orders.send(Order::Close).is_ok()
            && let Some(thread) = thread
        {
            thread.join().ok();
        }
    }
}

impl Writer {
    /// Whether all could be asked for.
    fn ask(&self, unreserved: &[Unreserved]) -> bool {
        let ask = |wanted: &Unreserved| {
            let sent = self.orders.try_send(Order::Reserve(wanted.clone()));
            !matches!(sent, Err(TrySendError::Full(_)))
        };
        unreserved.iter().all(ask)
    }
}

/// Reads what an earlier run wrote.
fn restore(folder: &StateFolder, counters: &Counters) {
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

fn start(folder: StateFolder, counters: &Arc<Counters>) -> io::Result<Writer> {
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it: the process goes on.
    Reserved,
    /// What is used: it ends.
    Used,
}

/// The file written anew, and open at its end.
fn anew(folder: &StateFolder, counters: &Counters, told: Told) -> io::Result<File> {
    let mut text = String::new();
    for live in counters.marks(wall_time()) {
        let used = match told {
            Told::Reserved => live.reserved,
            Told::Used => live.used,
        };
        let window = live.window;
        spell(
            &mut text,
            &live.identity().to_string(),
            Mark { window, used },
        );
    }
    if told == Told::Used {
        spell(&mut text, CLOSED, Mark { window: 0, used: 0 });
    }
    folder.write(QUOTAS, text.as_bytes())?;
    OpenOptions::new().append(true).open(folder.file(QUOTAS))
}

/// The thread's side.
struct Pen {
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
            let mut closes = false;
            for order in std::iter::once(first).chain(orders.try_iter().take(ORDERS_MAX)) {
                match order {
                    Order::Reserve(one) => {
                        let identity = one.identity().to_string();
                        wanted.insert(identity, one);
                    }
                    Order::Close => closes = true,
                }
            }
            self.write(&wanted);
            if closes {
                let ended = anew(&self.folder, &self.counters, Told::Used);
                self.heard(ended.map(drop));
                return;
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
            match anew(&self.folder, &self.counters, Told::Reserved) {
                Ok(file) => {
                    self.file = file;
                    self.grown_bytes = 0;
                    self.heard(Ok(()));
                }
                Err(error) => self.heard(Err(error)),
            }
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
    fn a_folder_that_goes_away_is_told_and_so_is_one_that_was_never_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let limits = crate::policy::quotas::CounterLimits {
            ips: 1,
            counters: 1,
        };
        let counters = Arc::new(Counters::new(limits));
        let folder = StateFolder::open(&path).unwrap();
        let journal = Journal::open(folder, &counters);
        assert_eq!(journal.state(), State::Written);
        std::fs::remove_dir_all(&path).unwrap();
        journal.close();
        assert_eq!(journal.state(), State::Failing);
        assert_eq!(Journal::failed().state(), State::Failing);
        assert_eq!(Journal::default().state(), State::Off);
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

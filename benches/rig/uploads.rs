//! What a crowd of uploads takes of a proxy's memory, and of the disk: fast ones, all at once, and
//! slow ones, as from phones and from CI machines far away, that a proxy may wait for.
//!
//! What a proxy keeps on disk it keeps in files without a name, so they are found where it holds
//! them open. The page cache that they lie in meanwhile is the kernel's, and not counted.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::answer;
use crate::budgets::{self, Budget};
use crate::cpu;
use crate::event::envelope_of;
use crate::memory::{self, Row, of_vidette};
use crate::proxies::{Kind, Lineup, Proxy, Room, Setup};
use crate::senders::{self, Enough, Upload};
use crate::upstream::Upstream;

/// Who is sent what. nginx is spared the fast ones: it writes every body to disk before it dials,
/// ten gigabytes of these.
pub(crate) const ASKED: [(Kind, Pace); 5] = [
    (Kind::HaproxyHttp, Pace::Fast),
    (Kind::Vidette, Pace::Fast),
    (Kind::Nginx, Pace::Slow),
    (Kind::HaproxyHttp, Pace::Slow),
    (Kind::Vidette, Pace::Slow),
];

const WARM_UP_EVENTS: u64 = 1_000;
/// How often a slow client sends a piece.
const PIECE_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked what lies on disk.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TARGET: &str = "/api/0/organizations/shop/chunk-upload/";
const MEDIA: &str = "multipart/form-data; boundary=x";

/// How fast uploads come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as they are taken.
    Fast,
    /// At a rate of their own.
    Slow,
}

/// How many, and how much.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) count: u32,
    /// Of each fast one.
    pub(crate) fast_bytes: u64,
    /// Of each slow one, and how long it takes.
    pub(crate) slow_bytes: u64,
    pub(crate) slow_for: Duration,
}

impl Pace {
    /// As people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        }
    }
}

/// Uploads of files, not of events, all of them at once.
pub(crate) fn measure(setup: &Setup<'_>, kind: Kind, pace: Pace, sizes: Sizes) -> Result<Vec<Row>> {
    let mut upstream = Upstream::away()?;
    upstream.open()?;
    let mut lineup = Lineup::before(setup, &[kind], Room::Crowd, upstream.port)?;
    let proxy = lineup.proxies().next().context("it does not run")?;
    proxy.until_listening()?;
    let (port, small) = (proxy.port, envelope_of(1_400));
    senders::post(port, &small, Enough::of(WARM_UP_EVENTS))?;
    let seen = &upstream.seen;
    let (requests_before, bytes_before) = (seen.requests(), seen.bytes());
    let before = memory::resident(proxy)?;
    let (sent, on_disk) = watched(proxy, || match pace {
        Pace::Fast => {
            let file = Upload {
                target: TARGET.into(),
                media: MEDIA,
                front: String::new(),
                bytes: sizes.fast_bytes,
            };
            senders::upload(port, sizes.count, &file)
        }
        Pace::Slow => trickle(port, sizes),
    })?;
    let grown = memory::at_most(proxy)? - before;
    proxy.still_runs()?;
    let (requests, bytes) = (
        seen.requests() - requests_before,
        seen.bytes() - bytes_before,
    );
    ensure!(
        requests == u64::from(sizes.count) && bytes == sent,
        "the upstream saw {requests} uploads and {bytes} bytes of {} and {sent}",
        sizes.count,
    );
    let what = sizes.named(pace);
    let budget = match pace {
        Pace::Fast => budgets::UPLOADS,
        Pace::Slow => Budget::default(),
    };
    let row = |what: String, measured, budget| Row {
        what,
        proxy: kind,
        unit: "MB",
        measured,
        budget: of_vidette(kind, budget),
    };
    let on_disk = row(format!("{what}: on disk"), on_disk, Budget::default());
    Ok(vec![
        row(format!("{what}: more"), grown / 1e3, budget),
        on_disk,
    ])
}

impl Sizes {
    fn named(self, pace: Pace) -> String {
        let count = self.count;
        match pace {
            Pace::Fast => format!(
                "{count} uploads of {} MB at once",
                self.fast_bytes / 1_000_000
            ),
            Pace::Slow => format!(
                "{count} uploads of {} MB in {} s",
                self.slow_bytes / 1_000_000,
                self.slow_for.as_secs()
            ),
        }
    }
}

/// Whatever is done, and the most megabytes that lay on the proxy's disk meanwhile.
fn watched(proxy: &Proxy, done: impl FnOnce() -> Result<u64>) -> Result<(u64, f64)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0_u64;
            while !over.load(Relaxed) {
                most = most.max(nameless_bytes(proxy)?);
                thread::sleep(LOOK_EVERY);
            }
            Ok::<u64, anyhow::Error>(most)
        });
        let done = done();
        over.store(true, Relaxed);
        let most = watching.join();
        let most = most.map_err(|_| anyhow!("the watch broke off"))??;
        let megabytes = u32::try_from(most / 1_000_000)?;
        Ok((done?, f64::from(megabytes)))
    })
}

/// Bytes of files that are open and have no name any more, as the file system has them.
fn nameless_bytes(proxy: &Proxy) -> Result<u64> {
    /// What a file system counts in, whatever its blocks are.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for process in cpu::tree(proxy.pid())? {
        let open = fs::read_dir(format!("/proc/{}/fd", process.pid))?;
        // One that was closed since it was listed has nothing to tell.
        let files = open
            .flatten()
            .filter_map(|file| fs::metadata(file.path()).ok());
        let nameless = files.filter(|file| file.is_file() && file.nlink() == 0);
        bytes += nameless
            .map(|file| file.blocks() * BLOCK_BYTES)
            .sum::<u64>();
    }
    Ok(bytes)
}

/// Sends them all, each from a thread of its own. Yields the bytes of all their bodies.
fn trickle(port: u16, sizes: Sizes) -> Result<u64> {
    let pieces = u32::try_from(sizes.slow_for.as_millis() / PIECE_EVERY.as_millis())?.max(1);
    let piece = vec![b'x'; usize::try_from(sizes.slow_bytes / u64::from(pieces))?];
    let bytes = piece.len() * usize::try_from(pieces)?;
    thread::scope(|scope| {
        let sending = (0..sizes.count).map(|_| scope.spawn(|| slow(port, &piece, pieces)));
        let sending: Vec<_> = sending.collect();
        for sender in sending {
            let sent = sender.join();
            sent.map_err(|_| anyhow!("a sender broke off"))??;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(u64::try_from(bytes)? * u64::from(sizes.count))
}

fn slow(port: u16, piece: &[u8], pieces: u32) -> Result<()> {
    let mut socket = answer::connected(port)?;
    let bytes = piece.len() * usize::try_from(pieces)?;
    let head = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {MEDIA}\r\n\
         Content-Length: {bytes}\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    let start = Instant::now();
    for number in 0..pieces {
        let due = start + PIECE_EVERY * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        socket.write_all(piece)?;
    }
    let status = answer::read(&mut socket)?.status;
    ensure!(status == 200, "an answer is {status} in place of 200");
    Ok(())
}

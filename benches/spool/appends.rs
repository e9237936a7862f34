//! How fast events are kept. Four ways, in turns on the same disk: a sync for each record; the
//! log with 64 senders who wait for its one thread, as the spool's has them wait; the real edge
//! with 64 connections and no upstream; and the disk itself, as fast as 64 who share can use it:
//! a bare write and a sync for each 64 records. And a fifth beside them, which keeps nothing: the
//! same edge and connections with an upstream that takes all, since on a fast disk keeping
//! cannot be faster than the edge answers.

use std::fs;
use std::io::IoSlice;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use vidette::server::spool::log::{Disk as _, Draft, Head, Log, LogLimits, RealDisk, RealFile};

use crate::arguments::Sizes;
use crate::edge::Edge;
use crate::event::envelope_of;
use crate::ground::Ground;
use crate::report::{Gate, Row, count};
use crate::senders::{self, Enough, SENDERS};
use crate::upstream::Upstream;

/// A small error, and one with a deep stack.
const SIZES: [(&str, usize); 2] = [("1.4 KB", 1_400), ("8 KB", 8_000)];

/// What group commit has to be worth.
const GATE: Gate = Gate::AtLeast(10.0);

/// A turn writes no more: a fast disk need not be filled to be known.
const TURN_BYTES_MAX: u64 = 512 << 20;

/// Files as long as the log's own, given their place on the disk at once as those are.
const FILE_BYTES: u64 = 64 << 20;

/// As the spool's thread has them.
const BATCH_MAX: usize = 512;
const ORDERS_MAX: usize = 4096;

/// So many records first, for the breaker to open and for caches; not counted.
const WARM_UP: u64 = 2_000;

/// One way's turn.
#[derive(Clone, Copy)]
struct Turn {
    records: u64,
    syncs: u64,
    wall: Duration,
    cpu: Duration,
}

impl Turn {
    fn records_s(&self) -> f64 {
        count(self.records) / self.wall.as_secs_f64()
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count(self.records)
    }
}

/// All ways, one after another.
struct Round {
    each: Turn,
    log: Turn,
    edge: Turn,
    sent: Turn,
    disk: Turn,
}

/// Both sizes, in turns.
pub(crate) fn measure(ground: &Ground, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (label, bytes) in SIZES {
        let envelope = envelope_of(bytes);
        let mut rounds = Vec::new();
        for round in 1..=sizes.rounds {
            let round = Round {
                each: in_files(ground, &envelope, 1, sizes.turn)?,
                log: in_log(ground, &envelope, sizes.turn)?,
                edge: in_edge(ground, &envelope, sizes.turn, Upstream::away()?)
                    .with_context(|| format!("{label} in round {round}"))?,
                sent: in_edge(ground, &envelope, sizes.turn, Upstream::opened()?)
                    .with_context(|| format!("{label} in round {round}, sent"))?,
                disk: in_files(ground, &envelope, usize::try_from(SENDERS)?, sizes.turn)?,
            };
            eprintln!(
                "spool: {label}: each {:.0}, log {:.0}, edge {:.0}, sent {:.0}, disk {:.0} records/s",
                round.each.records_s(),
                round.log.records_s(),
                round.edge.records_s(),
                round.sent.records_s(),
                round.disk.records_s(),
            );
            rounds.push(round);
        }
        rows.extend(rows_of(label, &rounds));
    }
    Ok(rows)
}

fn rows_of(label: &str, rounds: &[Round]) -> Vec<Row> {
    let of = |number: &dyn Fn(&Round) -> f64| rounds.iter().map(number).collect::<Vec<f64>>();
    let row = |what: &str, unit, number: &dyn Fn(&Round) -> f64| {
        Row::new(format!("{label}: {what}"), unit, of(number))
    };
    let log = format!("the log, {SENDERS} senders");
    let edge = format!("the edge, {SENDERS} connections");
    vec![
        row("a sync for each record", "records/s", &|round| {
            round.each.records_s()
        }),
        row(
            &format!("a sync for each {SENDERS} records"),
            "records/s",
            &|round| round.disk.records_s(),
        ),
        row(&log, "records/s", &|round| round.log.records_s()),
        row(&format!("{log}, to a sync each"), "times", &|round| {
            round.log.records_s() / round.each.records_s()
        })
        .must_be(GATE),
        row(
            &format!("{log}, to a sync for {SENDERS}"),
            "times",
            &|round| round.log.records_s() / round.disk.records_s(),
        ),
        row(&format!("{log}, records to a sync"), "records", &|round| {
            count(round.log.records) / count(round.log.syncs)
        }),
        row(
            &format!("{log}, CPU of its thread"),
            "us/record",
            &|round| round.log.cpu_us(),
        ),
        row(&edge, "records/s", &|round| round.edge.records_s()),
        row(&format!("{edge}, to a sync each"), "times", &|round| {
            round.edge.records_s() / round.each.records_s()
        })
        .must_be(GATE),
        row(
            &format!("{edge}, none kept but all sent"),
            "records/s",
            &|round| round.sent.records_s(),
        ),
        row(&format!("{edge}, kept to sent"), "times", &|round| {
            round.edge.records_s() / round.sent.records_s()
        }),
        row(
            &format!("{edge}, CPU of all of it"),
            "us/record",
            &|round| round.edge.cpu_us(),
        ),
        row(&format!("{edge}, cores busy with it"), "cores", &|round| {
            round.edge.cpu.as_secs_f64() / round.edge.wall.as_secs_f64()
        }),
    ]
}

/// So many records in one write, a sync, the next ones: no thread, no queue, no log.
fn in_files(ground: &Ground, record: &[u8], share: usize, turn: Duration) -> Result<Turn> {
    let folder = ground.spool("files");
    let disk = RealDisk::open(&folder)?;
    let piece = record.repeat(share);
    let bytes = u64::try_from(piece.len())?;
    let mut file: Option<(RealFile, u64)> = None;
    let mut files = 0;
    let mut syncs = 0;
    let started = Instant::now();
    while started.elapsed() < turn && syncs * bytes < TURN_BYTES_MAX {
        let (into, at) = match file.take() {
            Some((into, at)) if at + bytes <= FILE_BYTES => (into, at),
            Some(_) | None => {
                files += 1;
                let new = disk.create(&files.to_string())?;
                disk.preallocate(&new, FILE_BYTES)?;
                disk.sync_dir()?;
                (new, 0)
            }
        };
        let written = disk.write_at(&into, &[IoSlice::new(&piece)], at)?;
        ensure!(written == piece.len(), "the disk takes half a record");
        disk.sync_data(&into)?;
        file = Some((into, at + bytes));
        syncs += 1;
    }
    let wall = started.elapsed();
    drop(disk);
    fs::remove_dir_all(&folder)?;
    Ok(Turn {
        records: syncs * u64::try_from(share)?,
        syncs,
        wall,
        // Nobody asks: it waits.
        cpu: Duration::ZERO,
    })
}

/// The log alone, behind a queue like the spool's.
fn in_log(ground: &Ground, record: &[u8], turn: Duration) -> Result<Turn> {
    let folder = ground.spool("log");
    let stop = AtomicBool::new(false);
    let (orders, taken) = sync_channel(ORDERS_MAX);
    let kept = thread::scope(|scope| {
        let mut tellers = Vec::new();
        for sender in 0..usize::try_from(SENDERS)? {
            let (told, tells) = sync_channel(1);
            let (orders, stop) = (orders.clone(), &stop);
            tellers.push(told);
            scope.spawn(move || {
                while !stop.load(Relaxed) && orders.send(sender).is_ok() && tells.recv().is_ok() {}
            });
        }
        drop(orders);
        // Dropped with its tellers when it fails, so that no sender waits for it.
        keep(&folder, record, turn, &stop, taken, tellers)
    });
    fs::remove_dir_all(&folder)?;
    kept
}

/// Keeps what comes, as many records to a sync as wait for one.
fn keep(
    folder: &Path,
    record: &[u8],
    turn: Duration,
    stop: &AtomicBool,
    taken: Receiver<usize>,
    tellers: Vec<SyncSender<()>>,
) -> Result<Turn> {
    let (mut log, _) = Log::open(RealDisk::open(folder)?, LogLimits::default())?;
    let bytes = u64::try_from(record.len())?;
    let payload = [Bytes::copy_from_slice(record)];
    let (mut records, mut syncs) = (0_u64, 0);
    let (started, cpu_before) = (Instant::now(), cpu_of_this_thread()?);
    while let Ok(first) = taken.recv() {
        let more = taken.try_iter().take(BATCH_MAX - 1);
        let senders: Vec<usize> = std::iter::once(first).chain(more).collect();
        let draft = |order| Draft {
            head: Head {
                order,
                at_unix_ms: 0,
                project: Some(42),
                lane: 0,
                items: 1,
            },
            payload: &payload,
            body: None,
        };
        let mut drafts: Vec<Draft<'_, RealFile>> =
            (records..).take(senders.len()).map(draft).collect();
        for kept in log.append(&mut drafts) {
            kept?;
        }
        syncs += 1;
        records += u64::try_from(senders.len())?;
        if started.elapsed() >= turn || records * bytes >= TURN_BYTES_MAX {
            stop.store(true, Relaxed);
        }
        for sender in senders {
            let teller = tellers.get(sender).context("a sender of no number")?;
            teller.send(()).ok();
        }
    }
    Ok(Turn {
        records,
        syncs,
        wall: started.elapsed(),
        cpu: cpu_of_this_thread()?.saturating_sub(cpu_before),
    })
}

/// The real program, in front of an upstream that is away, or takes all.
fn in_edge(ground: &Ground, record: &[u8], turn: Duration, upstream: Upstream) -> Result<Turn> {
    let folder = ground.spool("appends");
    let edge = Edge::start(ground, upstream.port, &folder)?;
    let bytes = u64::try_from(record.len())?;
    senders::post(edge.port, record, Enough::of(WARM_UP))?;

    let cpu_before = edge.cpu()?;
    let enough = Enough {
        requests: TURN_BYTES_MAX / bytes,
        at: Some(Instant::now() + turn),
    };
    let sent = senders::post(edge.port, record, enough)?;
    let cpu = edge.cpu()?.since(&cpu_before)?;
    drop(edge);
    fs::remove_dir_all(&folder)?;
    Ok(Turn {
        records: sent.requests,
        // How many that were, only its own thread knows.
        syncs: 0,
        wall: sent.wall,
        cpu,
    })
}

/// Time on a core, exact to the nanosecond.
fn cpu_of_this_thread() -> Result<Duration> {
    let line = fs::read_to_string("/proc/thread-self/schedstat").context("asking the scheduler")?;
    let nanoseconds = line.split_ascii_whitespace().next().unwrap_or_default();
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

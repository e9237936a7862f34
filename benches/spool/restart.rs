//! What a restart takes with much to send: once with nothing of it in memory, as after a loss of
//! power, and no upstream; once with all of it in memory, as after an upgrade, and one that is up.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::{Advice, fadvise};

use crate::arguments::Sizes;
use crate::edge::Edge;
use crate::event::envelope_of;
use crate::ground::Ground;
use crate::report::{Row, count, megabytes};
use crate::senders::{self, Enough};
use crate::upstream::Upstream;

const EVENT_BYTES: usize = 10_000;

/// What one start took.
struct Start {
    listens: Duration,
    /// All that was kept is in the books.
    booked: Duration,
    memory_peak_bytes: u64,
    read_bytes: u64,
}

/// One spool, started from twice.
pub(crate) fn measure(ground: &Ground, sizes: &Sizes) -> Result<Vec<Row>> {
    let events = sizes.restart_events;
    let folder = ground.spool("restart");
    let mut upstream = Upstream::away()?;
    let edge = Edge::start(ground, upstream.port, &folder)?;
    let empty_bytes = edge.memory_bytes()?;
    eprintln!("spool: restart: {events} events are kept");
    senders::post(edge.port, &envelope_of(EVENT_BYTES), Enough::of(events))?;
    drop(edge);

    let live_bytes = forget(&folder)?;
    let (edge, cold) = start(ground, &upstream, &folder, events)?;
    drop(edge);
    upstream.open()?;
    let (mut edge, warm) = start(ground, &upstream, &folder, events)?;
    let seen = &upstream.seen;
    let last = edge.until("all is sent", |edge| {
        Ok((seen.requests() >= events).then(|| edge.started.elapsed()))
    })?;
    let first = seen.first().context("nothing was sent")?;
    let first = first.duration_since(edge.started);
    let peak_bytes = edge.memory_peak_bytes()?;
    drop(edge);
    fs::remove_dir_all(&folder)?;

    let what = format!("restart with {events} events of 10 KB");
    let row = |name: &str, unit, value| Row::new(format!("{what}, {name}"), unit, vec![value]);
    let seconds = |after: Duration| after.as_secs_f64();
    Ok(vec![
        row("files", "MB", megabytes(live_bytes)),
        row("cold: until it listens", "s", seconds(cold.listens)),
        row("cold: until all is in the books", "s", seconds(cold.booked)),
        row("cold: read from the disk", "MB", megabytes(cold.read_bytes)),
        row(
            "cold: peak of memory",
            "MB",
            megabytes(cold.memory_peak_bytes),
        ),
        row("warm: until it listens", "s", seconds(warm.listens)),
        row("warm: until all is in the books", "s", seconds(warm.booked)),
        row("warm: until the first is sent", "s", seconds(first)),
        row("warm: read from the disk", "MB", megabytes(warm.read_bytes)),
        row(
            "warm: from the first to the last",
            "events/s",
            count(events) / seconds(last.saturating_sub(first)),
        ),
        row("warm: peak of memory", "MB", megabytes(peak_bytes)),
        row("an empty edge's memory", "MB", megabytes(empty_bytes)),
    ])
}

/// Starts an edge on what another left.
fn start(
    ground: &Ground,
    upstream: &Upstream,
    folder: &Path,
    events: u64,
) -> Result<(Edge, Start)> {
    let mut edge = Edge::start(ground, upstream.port, folder)?;
    let listens = edge.started.elapsed();
    let booked = edge.until("all is in the books", |edge| {
        let all = edge.carried()? == Some(events);
        Ok(all.then(|| edge.started.elapsed()))
    })?;
    let start = Start {
        listens,
        booked,
        memory_peak_bytes: edge.memory_peak_bytes()?,
        read_bytes: edge.read_bytes()?,
    };
    Ok((edge, start))
}

/// Has the system forget what it remembers of files, which are on disk. Yields their length.
fn forget(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let file = File::open(entry?.path())?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
        bytes += file.metadata()?.len();
    }
    Ok(bytes)
}

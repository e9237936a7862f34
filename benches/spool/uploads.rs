//! What a crowd of large envelopes takes of memory while they stream to an upstream that reads
//! them, and a copy of each is kept as long as there is room for copies.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::arguments::Sizes;
use crate::edge::Edge;
use crate::event::envelope_of;
use crate::ground::Ground;
use crate::report::{Gate, Row, megabytes};
use crate::senders::{self, ENVELOPE, Enough, Upload};
use crate::upstream::Upstream;

/// Megabytes more, at most.
const GATE: Gate = Gate::AtMost(64.0);

/// So many small envelopes first: what the first requests of a process make it take is no upload's.
const WARM_UP: u64 = 1_000;

/// All at once.
pub(crate) fn measure(ground: &Ground, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut upstream = Upstream::away()?;
    upstream.open()?;
    let folder = ground.spool("uploads");
    let edge = Edge::start(ground, upstream.port, &folder)?;
    senders::post(edge.port, &envelope_of(1_400), Enough::of(WARM_UP))?;

    let seen_before = upstream.seen.bytes();
    let memory_before = edge.memory_bytes()?;
    let (started, cpu_before) = (Instant::now(), edge.cpu()?);
    let sent = senders::upload(edge.port, sizes.uploads, &envelope(sizes.upload_bytes))?;
    let wall = started.elapsed();
    let cpu = edge.cpu()?.since(&cpu_before)?;
    let grown = edge.memory_peak_bytes()?.saturating_sub(memory_before);
    let seen = upstream.seen.bytes() - seen_before;
    ensure!(seen == sent, "the upstream saw {seen} bytes of {sent}");
    drop(edge);
    fs::remove_dir_all(&folder)?;

    let (uploads, each) = (sizes.uploads, sizes.upload_bytes / 1_000_000);
    let what = format!("{uploads} uploads of {each} MB at once");
    Ok(vec![
        Row::new(format!("{what}: more memory"), "MB", vec![megabytes(grown)]).must_be(GATE),
        Row::new(
            format!("{what}: memory before"),
            "MB",
            vec![megabytes(memory_before)],
        ),
        Row::new(
            format!("{what}: through"),
            "MB/s",
            vec![megabytes(sent) / wall.as_secs_f64()],
        ),
        Row::new(
            format!("{what}: CPU of all of it"),
            "us/MB",
            vec![cpu.as_secs_f64() * 1e6 / megabytes(sent)],
        ),
    ])
}

/// An attachment of so many bytes.
fn envelope(bytes: u64) -> Upload {
    Upload {
        target: senders::envelope_target(),
        media: ENVELOPE,
        front: format!(
            "{{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}}\n\
             {{\"type\":\"attachment\",\"filename\":\"core\",\"length\":{bytes}}}\n"
        ),
        bytes,
    }
}

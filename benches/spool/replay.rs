//! How fast what was kept is sent, from the moment its upstream is back: one that answers at
//! once, so that what is measured is the edge and its pace alone.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::arguments::Sizes;
use crate::edge::Edge;
use crate::event::envelope_of;
use crate::ground::Ground;
use crate::report::{Row, count};
use crate::senders::{self, Enough};
use crate::upstream::Upstream;

const EVENT_BYTES: usize = 1_400;

/// One outage.
struct Round {
    until_first_s: f64,
    events_s: f64,
    cpu_us: f64,
}

/// As many outages as there are rounds.
pub(crate) fn measure(ground: &Ground, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut rounds = Vec::new();
    for _ in 0..sizes.rounds {
        let round = outage(ground, sizes.replay_events)?;
        let (events_s, cpu_us) = (round.events_s, round.cpu_us);
        eprintln!("spool: replay: {events_s:.0} events/s, {cpu_us:.1} us each");
        rounds.push(round);
    }
    let of = |number: fn(&Round) -> f64| rounds.iter().map(number).collect();
    let what = format!("replay of {} events of 1.4 KB", sizes.replay_events);
    Ok(vec![
        Row::new(format!("{what}: until the first"), "s", {
            of(|round| round.until_first_s)
        }),
        Row::new(format!("{what}: from there to the last"), "events/s", {
            of(|round| round.events_s)
        }),
        Row::new(format!("{what}: CPU of all of it"), "us/event", {
            of(|round| round.cpu_us)
        }),
    ])
}

/// Events are kept, and sent once the upstream is back.
fn outage(ground: &Ground, events: u64) -> Result<Round> {
    let mut upstream = Upstream::away()?;
    let folder = ground.spool("replay");
    let mut edge = Edge::start(ground, upstream.port, &folder)?;
    let envelope = envelope_of(EVENT_BYTES);
    senders::post(edge.port, &envelope, Enough::of(events))?;
    edge.until("all is kept", |edge| {
        Ok((edge.kept()? == events).then_some(()))
    })?;

    let before = edge.cpu()?;
    let opened = Instant::now();
    upstream.open()?;
    let seen = &upstream.seen;
    let last = edge.until("all is sent", |_| {
        Ok((seen.requests() >= events).then(Instant::now))
    })?;
    let cpu = edge.cpu()?.since(&before)?;
    edge.until("nothing is kept", |edge| {
        Ok((edge.kept()? == 0).then_some(()))
    })?;
    let first = seen.first().context("nothing was sent")?;
    drop(edge);
    fs::remove_dir_all(&folder)?;
    Ok(Round {
        until_first_s: first.duration_since(opened).as_secs_f64(),
        events_s: count(events) / last.duration_since(first).as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / count(events),
    })
}

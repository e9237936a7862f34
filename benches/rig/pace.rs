//! A load of a fixed rate, and how long each answer takes from the moment at which its request
//! was due: a proxy that stalls is charged for all whom it kept waiting, also for requests that
//! could not be sent yet because the one before was not answered.
//!
//! Each connection has a thread that blocks: a timer of an event loop counts in milliseconds.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::answer;
use crate::load::CONNECTIONS;

/// From the last connection to the first request.
const HEAD_START: Duration = Duration::from_millis(50);
/// What each thread needs is a buffer and a call or two.
const STACK_BYTES: usize = 128 * 1024;
/// The kernel wakes a sleeper so many nanoseconds late, to wake several at once; by default it
/// is fifty times as many. Threads inherit it.
const TIMER_SLACK: &str = "1000";

/// How fast, and how long.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) seconds: u32,
}

/// How long the answers took, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) requests: u32,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Pace {
    fn requests(self) -> u32 {
        self.per_second * self.seconds
    }

    /// When one of them is due, from the first on.
    fn due(self, number: u32) -> Duration {
        Duration::from_secs(1) * number / self.per_second
    }
}

/// Sends a request again and again at this pace, over as many connections as wrk has. Every one
/// must be answered 200, and all of them in time or soon after.
pub(crate) fn send(port: u16, request: &[u8], pace: Pace) -> Result<Waits> {
    // Where it cannot be set all are woken late alike.
    drop(fs::write("/proc/self/timerslack_ns", TIMER_SLACK));
    let sockets = (0..CONNECTIONS).map(|_| answer::connected(port));
    let sockets = sockets.collect::<Result<Vec<TcpStream>, _>>()?;
    let start = Instant::now() + HEAD_START;
    let mut waits = Vec::new();
    thread::scope(|scope| {
        let mut senders = Vec::new();
        for (first, socket) in (0..).zip(sockets) {
            let sender = thread::Builder::new().stack_size(STACK_BYTES);
            let sending = move || one_connection(socket, request, pace, first, start);
            senders.push(sender.spawn_scoped(scope, sending)?);
        }
        for sender in senders {
            let sent = sender.join();
            waits.extend(sent.map_err(|_| anyhow::anyhow!("a sender broke off"))??);
        }
        Ok::<(), anyhow::Error>(())
    })?;
    let (took, planned) = (start.elapsed(), Duration::from_secs(pace.seconds.into()));
    ensure!(
        took < planned * 3 / 2 + Duration::from_secs(1),
        "the rate cannot be kept: {} requests took {took:.1?}",
        pace.requests(),
    );
    ensure!(
        waits.len() == usize::try_from(pace.requests())?,
        "{} of {} requests were answered",
        waits.len(),
        pace.requests(),
    );
    waits.sort();
    let at = |per_mille| percentile(&waits, per_mille).context("no request at all");
    Ok(Waits {
        requests: pace.requests(),
        p50: at(500)?,
        p99: at(990)?,
        p999: at(999)?,
    })
}

/// Each request of a connection, and how long its answer took from when it was due.
fn one_connection(
    mut socket: TcpStream,
    request: &[u8],
    pace: Pace,
    first: u32,
    start: Instant,
) -> Result<Vec<Duration>> {
    let mine = (first..pace.requests()).step_by(usize::try_from(CONNECTIONS)?);
    let mut waits = Vec::with_capacity(mine.len());
    for number in mine {
        let due = start + pace.due(number);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        socket.write_all(request)?;
        let status = answer::read(&mut socket)?.status;
        ensure!(status == 200, "an answer is {status} in place of 200");
        waits.push(due.elapsed());
    }
    Ok(waits)
}

/// The wait that so many of a thousand did not exceed, in microseconds.
fn percentile(sorted: &[Duration], per_mille: usize) -> Option<f64> {
    let at = (sorted.len() * per_mille).div_ceil(1000).saturating_sub(1);
    Some(sorted.get(at)?.as_secs_f64() * 1e6)
}

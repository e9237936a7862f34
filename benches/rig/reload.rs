//! What a reload of vidette takes, and whether a client notices: one that sends one small error
//! after another over one connection, a moment between them, and notes its longest wait.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::answer;
use crate::memory;
use crate::proxies::Lineup;

/// Between two requests of the client.
const MOMENT: Duration = Duration::from_millis(1);
/// Between two looks whether it is in force: each look takes a little of the same core.
const POLL: Duration = Duration::from_millis(20);
/// Nothing takes as long that is to be measured.
const WITHIN: Duration = Duration::from_secs(60);
const APPLIED: &str = "vidette_config_reloads_total{outcome=\"applied\"}";

/// One reload, in milliseconds.
pub(crate) struct Reload {
    pub(crate) took_ms: f64,
    /// The client's longest wait before it, and until it was over.
    pub(crate) waited_before_ms: f64,
    pub(crate) waited_ms: f64,
}

/// Has the lineup's vidette read its file again, for the `nth` time.
pub(crate) fn measure(
    lineup: &mut Lineup,
    request: &[u8],
    nth: u32,
    quiet_for: Duration,
) -> Result<Reload> {
    let admin = lineup.admin;
    let proxy = lineup.proxies().next().context("it does not run")?;
    let pid = Pid::from_raw(i32::try_from(proxy.pid())?).context("a process without an id")?;
    let (waited_before_ms, _) = longest_wait(proxy.port, request, || {
        thread::sleep(quiet_for);
        Ok(0.0)
    })?;
    let (waited_ms, took_ms) = longest_wait(proxy.port, request, || {
        let started = Instant::now();
        kill_process(pid, Signal::HUP)?;
        while metric(admin, APPLIED)? < f64::from(nth) {
            ensure!(started.elapsed() < WITHIN, "it was not reloaded");
            thread::sleep(POLL);
        }
        Ok(started.elapsed().as_secs_f64() * 1e3)
    })?;
    Ok(Reload {
        took_ms,
        waited_before_ms,
        waited_ms,
    })
}

/// The client's longest wait while something is done, in milliseconds, and what came of that.
fn longest_wait(
    port: u16,
    request: &[u8],
    done: impl FnOnce() -> Result<f64>,
) -> Result<(f64, f64)> {
    let over = AtomicBool::new(false);
    let mut socket = memory::served(port, request)?;
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !over.load(Relaxed) {
                let sent = Instant::now();
                memory::post(&mut socket, request)?;
                longest = longest.max(sent.elapsed());
                thread::sleep(MOMENT);
            }
            Ok::<Duration, anyhow::Error>(longest)
        });
        let done = done();
        over.store(true, Relaxed);
        let longest = client
            .join()
            .map_err(|_| anyhow!("the client broke off"))??;
        Ok((longest.as_secs_f64() * 1e3, done?))
    })
}

/// One number of vidette's metrics.
pub(crate) fn metric(admin: u16, name: &str) -> Result<f64> {
    let mut socket = answer::connected(admin)?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let page = answer::read(&mut socket)?.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().parse().ok());
    number.with_context(|| format!("no metric {name}"))
}

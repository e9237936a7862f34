//! `vidette spool drain`: send what is kept, and wait until nothing is left. Never waits for
//! what somebody holds back.

use std::io::{IsTerminal as _, Write as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::telemetry::clock::lasting;

use super::super::{admin, say};
use super::table::moment;
use super::{Maintenance, Overview, overview, steer};

/// How often a drain looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// For how long nothing is sent until that is worth a word.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Ends a pause, and waits until what is kept is sent.
pub(super) fn drain(address: &admin::Address, no_wait: bool) -> anyhow::Result<()> {
    let before = overview(address)?;
    // Nothing is changed then: a pause is for whoever drains when it can be waited for.
    if let Some(held) = before.maintenance.as_ref().filter(|_| !no_wait) {
        bail!(held_back(held));
    }
    steer(address, false)?;
    if before.paused {
        let since = before.paused_since.as_deref().map(moment);
        let since = since.map_or_else(String::new, |since| format!(" since {since}"));
        say(&format!("it was paused{since}; from now on it is not"));
    }
    if no_wait {
        say(&match &before.maintenance {
            Some(held) => held_back(held),
            None => "what is kept is being sent".to_owned(),
        });
        return Ok(());
    }
    wait(address, before.requests)
}

/// Waits until nothing is left of so many.
fn wait(address: &admin::Address, first: u64) -> anyhow::Result<()> {
    let shows = std::io::stderr().is_terminal();
    let began = Instant::now();
    let (mut least, mut moved, mut warned) = (first, began, false);
    loop {
        let now = overview(address)?;
        if now.requests < least {
            (least, moved) = (now.requests, Instant::now());
        } else if moved.elapsed() >= STUCK_AFTER && !warned && end(&now).is_none() {
            warned = true;
            say(&stuck(now.requests));
        }
        let ended = end(&now);
        if shows {
            match ended.is_some() {
                true => eprintln!(),
                false => eprint!("\r\x1b[K{}", progress(first, now.requests, began.elapsed())),
            }
            std::io::stderr().flush().ok();
        }
        match ended {
            Some(Ok(said)) => {
                say(said);
                return Ok(());
            }
            Some(Err(why)) => bail!(why),
            None => sleep(LOOK_EVERY),
        }
    }
}

/// That nobody takes anything.
fn stuck(left: u64) -> String {
    format!(
        "{left} requests wait, and Sentry has taken none for {}: vidette status says why; this \
         waits on, and an interrupt ends no more than the waiting",
        lasting(STUCK_AFTER.as_secs())
    )
}

/// Whether a drain is over, well or not.
fn end(now: &Overview) -> Option<Result<&'static str, String>> {
    if now.requests == 0 {
        return Some(Ok("the spool is empty: all that was kept is sent"));
    }
    if let Some(held) = &now.maintenance {
        return Some(Err(held_back(held)));
    }
    now.paused.then(|| {
        Err(format!(
            "somebody has paused it; {} requests are left, and `vidette spool drain` goes on",
            now.requests
        ))
    })
}

fn held_back(held: &Maintenance) -> String {
    let until = moment(&held.until);
    format!(
        "maintenance holds what is kept until {until}; it is sent then, or after \
         `vidette maintenance off`"
    )
}

/// How far a drain is, and how long it will take if it goes on like this.
pub(super) fn progress(first: u64, left: u64, took: Duration) -> String {
    let done = first.saturating_sub(left);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match (millis.saturating_mul(left)).checked_div(done) {
        Some(left_ms) if done > 0 => {
            format!(
                "{left} requests left, about {}",
                lasting(left_ms.div_ceil(1000))
            )
        }
        _ => format!("{left} requests left"),
    }
}

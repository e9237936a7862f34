//! The canary: an event of the edge's own each minute, sent through its own front door as any
//! client's, and followed as far as can be seen. What is watched otherwise is each hop by itself;
//! this is the way.
//!
//! **Through the door**, over a connection to one of the listeners: what is handed to a worker
//! past its listener would arrive while nobody can connect. At this machine and not by the DSN's
//! name: what stands before the edge is not the edge's to prove, and many a name does not lead
//! back in. One is under way at a time, and no loop of its own sends faster than configured.
//!
//! It is missing once three in a row should have arrived and none has. In maintenance none is
//! sent, since all would be kept and sent later, and none is missed; nor is one that is kept,
//! which waits for Sentry as all events do. One that was missing is until one arrives.

mod flight;

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::config::checked::Canary;
use crate::domain::incident::{Condition, Kind};
use crate::policy::incidents::Looked;
use crate::telemetry::clock::{lasting, rfc3339};
use crate::telemetry::habits::Flown;
use crate::telemetry::process;

use crate::server::admin::Desk;

use flight::Landed;

/// How often the clock and the configuration are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many in a row are missed before it is told.
const MISSED_MAX: u32 = 3;

/// How the last ones fared, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Standing>);

#[derive(Debug, Default, Clone)]
struct Standing {
    /// From when on one should arrive; `None`: none is sent.
    expected_since: Option<Instant>,
    /// How often one is.
    every: Duration,
    last: Option<Last>,
    /// When the last arrived.
    arrived: Option<(Instant, u64)>,
    /// One was missing, and none has arrived since.
    missed: bool,
}

/// How the last one fared.
#[derive(Debug, Clone)]
struct Last {
    flown: Flown,
    /// More of that, in words.
    says: String,
    unix_s: u64,
    took: Duration,
}

impl Board {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long none has arrived, where that is too long.
    fn missing(&self) -> Option<Duration> {
        self.standing().missing(Instant::now())
    }

    /// What is not as it should be, in words.
    pub(crate) fn reasons(&self) -> Option<String> {
        let missing = self.missing()?;
        Some(format!("canary: {}", self.says(missing)))
    }

    /// The same as a condition.
    pub(crate) fn condition(&self) -> Option<Condition> {
        let says = self.says(self.missing()?);
        Some(Condition::new(Kind::CanaryMissing, "canary", &says))
    }

    /// Whether it is looked whether one is missing, while none is.
    pub(crate) fn looked(&self) -> Looked {
        let standing = self.standing();
        match (standing.expected_since, standing.missed) {
            (None, _) => Looked::Unwatched,
            (Some(_), true) => Looked::Suspended,
            (Some(_), false) => Looked::Gone,
        }
    }

    fn says(&self, missing: Duration) -> String {
        let ago = lasting(missing.as_secs());
        let last = self.standing().last.clone();
        let last = last.map_or_else(String::new, |Last { flown, says, .. }| {
            format!("; the last one: {}: {says}", flown.as_str())
        });
        format!("no event of the edge's own has arrived for {ago}{last}")
    }

    /// How it stands, for a program; null where none is sent.
    pub(crate) fn told(&self) -> Value {
        let mut standing = self.standing().clone();
        if standing.expected_since.is_none() {
            return Value::Null;
        }
        let shown = |unix_s: u64| rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s));
        let last = standing.last.as_ref().map(|last| {
            json!({
                "outcome": last.flown.as_str(),
                "says": last.says,
                "at": shown(last.unix_s),
                "took_ms": u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX),
            })
        });
        json!({
            "every_s": standing.every.as_secs(),
            "last": last,
            "last_success": standing.arrived.map(|(_, unix_s)| shown(unix_s)),
            "missing": standing.missing(Instant::now()).is_some(),
        })
    }
}

impl Standing {
    fn missing(&mut self, now: Instant) -> Option<Duration> {
        let since = self.expected_since?;
        let since = self.arrived.map_or(since, |(at, _)| since.max(at));
        let is_kept = self
            .last
            .as_ref()
            .is_some_and(|last| last.flown == Flown::Kept);
        let waited = now.saturating_duration_since(since);
        let missing = !is_kept && waited > self.every.saturating_mul(MISSED_MAX);
        self.missed |= missing;
        missing.then_some(waited)
    }

    /// One has come so far.
    fn lands(&mut self, last: Last, arrived: bool) {
        let now = Instant::now();
        if arrived {
            self.arrived = Some((now, last.unix_s));
            self.missed = false;
        }
        // The next should arrive once Sentry is back.
        if let (Flown::Kept, Some(since)) = (last.flown, &mut self.expected_since) {
            *since = now;
        }
        self.last = Some(last);
    }
}

/// Sends them for as long as it runs, as the configuration in force says.
pub(crate) async fn keep(desk: Rc<Desk>) {
    let shared = &*desk.shared;
    let mut due = Instant::now();
    // What an earlier spell was to bring is not missed.
    *desk.canary.standing() = Standing::default();
    loop {
        let canary = shared.rules.load().config.canary.clone();
        let now = Instant::now();
        let expected = expect(&desk, &canary, now);
        if !expected || now < due {
            if !expected {
                due = now;
            }
            sleep(LOOK_EVERY.min(canary.every)).await;
            continue;
        }
        due = now + canary.every;
        if shared.maintenance.is_on() {
            desk.canary.standing().expected_since = Some(now);
            note(&desk, Landed::skipped(), now);
            continue;
        }
        let landed = followed(&desk, &canary).await;
        if let Some(landed) = landed {
            note(&desk, landed, now);
        }
    }
}

/// Sends one and follows it; `None` where nobody waits for it any more.
async fn followed(desk: &Desk, canary: &Canary) -> Option<Landed> {
    let mut flight = pin!(flight::fly(desk, canary, entrance(desk)));
    loop {
        tokio::select! {
            landed = &mut flight => return Some(landed),
            () = sleep(LOOK_EVERY) => {
                let canary = desk.shared.rules.load().config.canary.clone();
                if !expect(desk, &canary, Instant::now()) {
                    return None;
                }
            }
        }
    }
}

/// Whether one is to be sent at all; notes since when one should arrive, and whether it is missing.
fn expect(desk: &Desk, canary: &Canary, now: Instant) -> bool {
    let shared = &*desk.shared;
    let counts = &desk.metrics.control.canary;
    let mut standing = desk.canary.standing();
    // Who is about to go sends no more.
    let stopping = shared.stopping.load(Ordering::Relaxed) || shared.succession.is_leaving();
    if canary.dsn.is_none() || stopping {
        *standing = Standing::default();
        counts.note_missing(false);
        return false;
    }
    standing.every = canary.every;
    standing.expected_since.get_or_insert(now);
    // One that waits for the end of maintenance is not late.
    if shared.maintenance.is_on() {
        standing.expected_since = Some(now);
    }
    counts.note_missing(standing.missing(now).is_some());
    true
}

/// The listener it goes through, and where that is bound.
fn entrance(desk: &Desk) -> Option<(usize, SocketAddr)> {
    let at = desk.reloader.started().canary_listener()?;
    let mut bound = *desk.public.get(at)?;
    if bound.ip().is_unspecified() {
        bound.set_ip(match bound.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some((at, bound))
}

/// Notes how one fared.
fn note(desk: &Desk, landed: Landed, began: Instant) {
    let counts = &desk.metrics.control.canary;
    let (took, now_s) = (began.elapsed(), process::now_s());
    counts.flown(landed.flown);
    let mut standing = desk.canary.standing();
    if landed.arrived {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        counts.arrived(now_s, took_ms);
    }
    let outcome = landed.flown.as_str();
    let was = standing.last.as_ref().map(|last| last.flown);
    if was != Some(landed.flown) {
        tracing::info!(
            outcome,
            says = landed.says,
            "what becomes of canaries has changed"
        );
    }
    let last = Last {
        flown: landed.flown,
        says: landed.says,
        unix_s: now_s,
        took,
    };
    standing.lands(last, landed.arrived);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_missing_once_three_should_have_arrived() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut standing = Standing {
            every: Duration::from_secs(60),
            ..Standing::default()
        };
        assert_eq!(standing.missing(at(10_000)), None, "none is sent");
        standing.expected_since = Some(start);
        assert_eq!(standing.missing(at(180)), None);
        let missing = standing.missing(at(181));
        assert_eq!(missing, Some(Duration::from_secs(181)));
        standing.arrived = Some((at(100), 0));
        assert_eq!(standing.missing(at(280)), None);
        assert!(standing.missing(at(281)).is_some());
        // A maintenance that ended then.
        standing.expected_since = Some(at(1000));
        assert_eq!(standing.missing(at(1180)), None);
        assert!(standing.missing(at(1181)).is_some());
    }

    #[test]
    fn one_that_is_kept_is_not_missing_and_one_that_was_is_until_one_arrives() {
        let last = |flown| Last {
            flown,
            says: String::new(),
            unix_s: 0,
            took: Duration::ZERO,
        };
        let later = |standing: &Standing| Instant::now() + standing.every * 100;
        let board = Board::default();
        assert_eq!(board.looked(), Looked::Unwatched, "none is sent");
        let mut standing = Standing {
            expected_since: Some(Instant::now()),
            every: Duration::from_secs(60),
            ..Standing::default()
        };
        standing.lands(last(Flown::Kept), false);
        assert_eq!(standing.missing(later(&standing)), None);
        *board.standing() = standing.clone();
        assert_eq!(board.looked(), Looked::Gone);
        standing.lands(last(Flown::Refused), false);
        assert_eq!(standing.missing(Instant::now()), None, "a new beginning");
        assert!(standing.missing(later(&standing)).is_some());
        standing.lands(last(Flown::Kept), false);
        assert_eq!(standing.missing(later(&standing)), None);
        *board.standing() = standing.clone();
        assert_eq!(board.looked(), Looked::Suspended);
        standing.lands(last(Flown::Forwarded), true);
        *board.standing() = standing;
        assert_eq!(board.looked(), Looked::Gone);
    }

    #[test]
    fn what_is_missing_is_said_with_how_the_last_one_fared() {
        let board = Board::default();
        assert_eq!(board.reasons(), None);
        assert_eq!(board.told(), Value::Null);
        let earlier = Instant::now().checked_sub(Duration::from_secs(240));
        *board.standing() = Standing {
            expected_since: earlier,
            every: Duration::from_secs(60),
            last: Some(Last {
                flown: Flown::Dropped,
                says: "quota".to_owned(),
                unix_s: 1_790_000_000,
                took: Duration::from_millis(12),
            }),
            arrived: None,
            missed: false,
        };
        let says = "no event of the edge's own has arrived for 4 min; the last one: dropped: quota";
        assert_eq!(board.reasons().unwrap(), format!("canary: {says}"));
        assert_eq!(board.condition().unwrap().says, says);
        let told = board.told();
        assert_eq!(
            (&told["missing"], &told["last"]["took_ms"]),
            (&json!(true), &json!(12))
        );
        assert_eq!(told["last"]["at"], "2026-09-21T14:13:20.000Z");
    }
}

//! Keeps the states of all keys fresh for as long as it runs, and says how they stand. What
//! fails changes nothing but the standing: old states serve.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep};

use super::Source;
use super::answer::Word;
use super::known::Known;
use super::round::{Desk, Round};
use super::talk::RelayError;
use crate::domain::credentials::Key;
use crate::domain::project_state::ProjectState;
use crate::policy::asking::{Asking, AskingRules, Census, Depth, Rev, Told};
use crate::policy::millis::Millis;
use crate::policy::strangers::Lack;
use crate::server::memory::per_second;
use crate::server::sentry::keep::{RETRY_AFTER_MAX, jittered};
use crate::server::worker::Shared;

/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How often it is forgotten which strangers' keys were noted: one that was turned away, or that
/// Sentry would say nothing of, is noted again then.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Keys that are remembered as withheld, to be counted.
const WITHHELD_MAX: usize = 10_000;

/// States are taken up at most as often as keeps the making of rules to this part of the time.
const MAKING_PART: u32 = 20;

/// How states stand, for the status page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The relay's id.
    pub relay: String,
    /// Whether Sentry knows the relay.
    pub registered: bool,
    /// Whether Sentry keeps quotas from it, since it is none of its own.
    pub limited: bool,
    /// Keys that there is a state of.
    pub states: usize,
    /// Keys that are asked for.
    pub census: Census,
    /// Keys of which Sentry said no more than that they are disabled, to a relay that may be one
    /// that their organization does not trust.
    pub withheld: usize,
    /// Answers for a key that nobody could read.
    pub unreadable: u64,
    /// When Sentry last answered.
    pub last_success: Option<SystemTime>,
    /// Why it was not answered last; `None` when it was.
    pub failing: Option<String>,
    /// Since when it was not.
    pub failing_since: Option<Millis>,
    /// Sentry answers, and refuses: it will not do otherwise by itself.
    pub refused: bool,
    /// It is asked no more.
    pub stopped: bool,
}

/// Keeps states.
pub(crate) struct Keeper {
    source: Source,
    shared: Arc<Shared>,
    standing: Arc<ArcSwap<Standing>>,
    asking: RefCell<Asking>,
    known: RefCell<Known>,
    /// Keys of which Sentry says that they are disabled, and may not mean it.
    withheld: RefCell<BTreeSet<Key>>,
    unreadable: Cell<u64>,
    changed: Cell<bool>,
}

/// How failures stand.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    since: Option<Instant>,
    outage: bool,
    hold_until: Option<Instant>,
}

impl Keeper {
    /// Begins with what is known already, and asks for these keys in any case.
    pub(crate) fn new(
        source: Source,
        shared: Arc<Shared>,
        standing: Arc<ArcSwap<Standing>>,
        known: Known,
        named: &[Key],
    ) -> Self {
        let rules = shared.rules.load();
        let keys = &rules.config.keys;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = shared.millis(Instant::now());
        let mut asking = Asking::new(
            now,
            AskingRules {
                keys_max: named.len().saturating_add(size(keys.proven_max)),
                strangers_max: size(keys.candidates_max),
                strangers_per_s: per_second(keys.unproven_rate),
                fresh_ms: ms(source.interval),
                unknown_ms: ms(source.bounds.unknown),
                pending_ms: ms(source.bounds.pending),
            },
        );
        for (key, state) in &known.states {
            asking.knows(now, key, rev_of(state));
        }
        for key in named {
            asking.name(now, key, None);
        }
        drop(rules);
        Self {
            source,
            shared,
            standing,
            asking: RefCell::new(asking),
            known: RefCell::new(known),
            withheld: RefCell::default(),
            unreadable: Cell::new(0),
            changed: Cell::new(false),
        }
    }

    /// These are asked for in any case, too.
    pub(crate) fn name(&self, named: &[Key]) {
        let now = self.now();
        let mut asking = self.asking.borrow_mut();
        for key in named {
            asking.name(now, key, None);
        }
    }

    fn now(&self) -> Millis {
        self.shared.millis(Instant::now())
    }

    /// Asks, and hands what has changed to `take_up`, as often as [`MAKING_PART`] lets it, and
    /// then and when to `write_down`, which may put it off. Never ends; dropping it closes its connections.
    pub(crate) async fn keep(&self, take_up: impl Fn(Known), write_down: impl Fn() -> bool) {
        self.shared.strangers.first_seen.switch(true);
        let _off = SwitchOff(&self.shared);
        let mut desk = Desk::new(&self.source);
        let mut failures = Failures::default();
        let (mut forgot_at, mut rest_until) = (Instant::now(), Instant::now());
        let (mut unwritten, mut written_at) = (false, None);
        self.tell(&desk, None);
        loop {
            self.look_around(&mut forgot_at);
            let is_due = self
                .asking
                .borrow()
                .next()
                .is_some_and(|at| at <= self.now());
            let held = failures
                .hold_until
                .is_some_and(|until| Instant::now() < until);
            if is_due && !held && !self.standing.load().stopped {
                let asked = self.ask(&mut desk, &mut failures).await;
                self.note(&desk, &mut failures, asked);
            }
            if self.changed.get() && Instant::now() >= rest_until {
                self.changed.set(false);
                let (known, began) = (self.known.borrow().clone(), Instant::now());
                take_up(known);
                rest_until = Instant::now() + began.elapsed() * MAKING_PART;
                unwritten = true;
            }
            let copy = self.source.bounds.copy;
            let is_due = written_at.is_none_or(|at: Instant| at.elapsed() >= copy);
            if unwritten && is_due && write_down() {
                (unwritten, written_at) = (false, Some(Instant::now()));
            }
            sleep(self.source.bounds.batch).await;
        }
    }

    /// Takes up the keys that were seen for the first time.
    fn look_around(&self, forgot_at: &mut Instant) {
        let first_seen = &self.shared.strangers.first_seen;
        let now = self.now();
        let mut asking = self.asking.borrow_mut();
        for key in first_seen.take() {
            asking.sees(now, &key);
        }
        if forgot_at.elapsed() >= FORGET_EVERY {
            *forgot_at = Instant::now();
            first_seen.forget();
        }
    }

    async fn ask(&self, desk: &mut Desk<'_>, failures: &mut Failures) -> Result<(), RelayError> {
        if failures.outage {
            desk.is_alive().await?;
            failures.outage = false;
        }
        let clock = || self.now();
        let hears = |key: &Key, word, depth| self.hears(key, word, depth);
        desk.round(&Round {
            asking: &self.asking,
            clock: &clock,
            hears: &hears,
        })
        .await
    }

    /// What came of asking, and when it is asked again.
    fn note(&self, desk: &Desk<'_>, failures: &mut Failures, asked: Result<(), RelayError>) {
        let Err(error) = asked else {
            if failures.in_a_row > 0 || self.standing.load().last_success.is_none() {
                let census = self.asking.borrow().census();
                let (keys, pending) = (census.keys, census.pending);
                tracing::info!(keys, pending, "Sentry has told of its projects");
            }
            *failures = Failures::default();
            return self.tell(desk, None);
        };
        if failures.in_a_row == 0 {
            tracing::warn!(%error, "Sentry does not tell of its projects; what is known stands");
        } else {
            tracing::debug!(%error, failures.in_a_row, "Sentry still does not tell of its projects");
        }
        let now = Instant::now();
        let since = *failures.since.get_or_insert(now);
        failures.outage = error.is_outage() && now - since >= self.source.bounds.outage;
        let wait = wait_after(error, failures.in_a_row, self.source.bounds.retry);
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.hold_until = Some(now + jittered(wait, fastrand::f64()));
        self.tell(desk, Some(error));
    }

    /// Says how everything stands.
    fn tell(&self, desk: &Desk<'_>, error: Option<RelayError>) {
        let before = self.standing.load();
        let last_success = match (error, desk.is_registered()) {
            (None, true) => Some(SystemTime::now()),
            (None, false) | (Some(_), _) => before.last_success,
        };
        self.standing.store(Arc::new(Standing {
            relay: self.source.credentials.id().to_owned(),
            registered: desk.is_registered(),
            limited: desk.depth == Depth::Limited,
            states: self.known.borrow().states.len(),
            census: self.asking.borrow().census(),
            withheld: self.withheld.borrow().len(),
            unreadable: self.unreadable.get(),
            last_success,
            failing: error.map(|error| error.to_string()),
            failing_since: error.map(|_| before.failing_since.unwrap_or_else(|| self.now())),
            refused: error.is_some_and(RelayError::is_refusal),
            stopped: before.stopped || error == Some(RelayError::Stopped),
        }));
    }

    /// Takes up what was said of a key.
    fn hears(&self, key: &Key, word: Word, depth: Depth) {
        let is_named = self.asking.borrow().is_named(key);
        let is_known = self.known.borrow().states.contains_key(key);
        let told = match word {
            Word::State(state) => {
                let rev = state.rev.clone().map(|word| Rev { word, depth });
                self.knows(key, *state);
                Told::State(rev)
            }
            Word::Unchanged if is_known => Told::Unchanged,
            // It was never told, whatever revision was named.
            Word::Unchanged => Told::State(None),
            Word::Pending => Told::Pending,
            Word::Unreadable => {
                self.unreadable.set(self.unreadable.get() + 1);
                Told::Pending
            }
            Word::Unknown => {
                self.lacks(key, Lack::Unknown);
                Told::Unknown
            }
            // Nobody can tell whether it means that, so that what the upstream says counts.
            Word::Disabled if depth == Depth::Limited => {
                self.forgets(key);
                let mut withheld = self.withheld.borrow_mut();
                if withheld.len() < WITHHELD_MAX {
                    withheld.insert(*key);
                }
                Told::Unknown
            }
            Word::Disabled if is_named || is_known => {
                self.knows(key, ProjectState::disabled(*key));
                Told::State(None)
            }
            Word::Disabled => {
                self.lacks(key, Lack::Disabled);
                Told::Unknown
            }
        };
        let now = self.now();
        self.asking
            .borrow_mut()
            .told(now, key, told, fastrand::f64());
    }

    fn knows(&self, key: &Key, state: ProjectState) {
        self.withheld.borrow_mut().remove(key);
        self.shared.strangers.absent.forget(key);
        let mut known = self.known.borrow_mut();
        if known.states.get(key).is_none_or(|known| **known != state) {
            known.states.insert(*key, Arc::new(state));
            self.changed.set(true);
        }
    }

    fn forgets(&self, key: &Key) {
        if self.known.borrow_mut().states.remove(key).is_some() {
            self.changed.set(true);
        }
    }

    fn lacks(&self, key: &Key, lack: Lack) {
        self.forgets(key);
        self.withheld.borrow_mut().remove(key);
        let for_ms = u64::try_from(self.source.bounds.unknown.as_millis()).unwrap_or(u64::MAX);
        let absent = &self.shared.strangers.absent;
        absent.note(self.now(), key, lack, for_ms);
    }
}

/// Nobody takes keys up any more.
struct SwitchOff<'s>(&'s Shared);

impl Drop for SwitchOff<'_> {
    fn drop(&mut self) {
        self.0.strangers.first_seen.switch(false);
    }
}

/// The revision of a state from an earlier time. Quotas are told with all the rest alone: without
/// them nobody knows how much was told, and no revision is named.
fn rev_of(state: &ProjectState) -> Option<Rev> {
    let word = state.rev.clone().filter(|_| state.quotas.is_some())?;
    let depth = Depth::Full;
    Some(Rev { word, depth })
}

/// How long to leave Sentry alone after so many failures before this one.
fn wait_after(error: RelayError, failures: u32, retry: Duration) -> Duration {
    let longest = u32::try_from(RETRY_MAX.as_secs()).unwrap_or(u32::MAX);
    let growth = 1.5_f64.powi(i32::try_from(failures.min(longest)).unwrap_or(i32::MAX));
    let wait = retry.mul_f64(growth.min(f64::from(longest))).min(RETRY_MAX);
    let asked = match error {
        RelayError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
        RelayError::Line(_)
        | RelayError::Unsigned
        | RelayError::Stopped
        | RelayError::Forbidden
        | RelayError::Missing
        | RelayError::Unexpected(_)
        | RelayError::Foreign => Duration::ZERO,
    };
    wait.max(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, retry_after_s: Option<u64>, want_ms: u128) {
        let error = RelayError::Busy {
            status: 503,
            retry_after: retry_after_s.map(Duration::from_secs),
        };
        let wait = wait_after(error, failures, Duration::from_secs(1));
        assert_eq!(wait.as_millis(), want_ms, "after {failures} failures");
    }

    #[test]
    fn a_copy_has_a_revision_to_name_where_all_was_told() {
        let rev = |text: &str| rev_of(&ProjectState::read(text).unwrap());
        let told = rev(r#"{"rev":"5f1c","config":{"quotas":[]}}"#).unwrap();
        assert_eq!((&*told.word, told.depth), ("5f1c", Depth::Full));
        assert_eq!(
            rev(r#"{"rev":"5f1c","config":{"allowedDomains":[]}}"#),
            None
        );
        assert_eq!(rev(r#"{"config":{"quotas":[]}}"#), None);
    }

    #[test]
    fn each_failure_adds_half_of_the_wait_up_to_a_minute() {
        check(0, None, 1000);
        check(1, None, 1500);
        check(2, None, 2250);
        check(10, None, 57_665);
        check(11, None, 60_000);
        check(u32::MAX, None, 60_000);
    }

    #[test]
    fn sentry_may_ask_to_be_left_alone_for_longer() {
        check(0, Some(7), 7000);
        check(20, Some(7), 60_000);
        check(0, Some(u64::MAX), RETRY_AFTER_MAX.as_millis());
    }
}

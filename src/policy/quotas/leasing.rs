//! Quotas that many edges share: what of each window this one may use. Owns the rule that
//! workers go by and the queue of counters that want more; never talks to whoever keeps the
//! pool (`server::shared_quota` does), and never reads a clock.
//!
//! **Leases.** One place keeps, for each window, what each edge has taken of its limit (its
//! lease) and used; the sum of leases never goes beyond the limit. A worker charges up to the
//! lease, with no word to anybody. What is lent is asked for ahead of need, and given back when
//! it is not needed: [`Lessee`](super::lessee::Lessee).
//!
//! **What holds.** In total never more is admitted than the limit, whatever messages are lost,
//! late or doubled, whoever dies or is cut off, as long as
//! 1. the pool loses nothing of what it confirmed, or else all edges that counted reach it again
//!    before one of them takes more (each waits [`SETTLE_MS`] for that, and who has lost but one
//!    window, [`RELEARN_MS`]), and none that never counted asks for it before they do;
//! 2. clocks are within [`SKEW_S`] of one another;
//! 3. nobody is cut off for [`FORGOTTEN_MS`] while others are not, or starts while it is.
//!
//! **Parts.** Each edge goes by a part, one in so many, that the pool gave it with its reports.
//! All parts together are never more than the whole: who joins has none until those who were
//! there before have said that they go by smaller ones, which is with their next two reports. None
//! is more than a half, as one that is alone may be gone for good.
//!
//! **Cold.** A hundredth of each limit, of small ones up to a tenth ([`reserve`]), is kept for
//! edges that have yet to ask: each may use its part of that before it hears anything, so that the
//! first event of a project that was quiet is not refused; but only in windows that begin after it
//! was given one, as nobody can tell how many come and go within one. With its first question it
//! says by which part it has that, which is its lease from there on: so much less is kept, and
//! nothing once all have asked. Beyond it, one is refused for a second while its lease is asked
//! for: nobody waits.
//!
//! **Away.** Who is cut off goes on with its lease. In windows that begin later, it may use its
//! part of the whole limit: the others leave it that (2. is for this, see [`AWAY_WINDOWS_S`])
//! until it is back, or [`FORGOTTEN_MS`] have passed. Who starts while it cannot reach the pool
//! counts alone after [`PRESENT_MS`], or with its predecessor's part: nobody leaves it that. A
//! counter that an edge meets first while it is cut off has nothing in the window that is on: the
//! others leave an edge no part of what they took while it was there, and may have all of it.
//!
//! **Another limit.** A limit that a reload changes is asked by within half a second, also for
//! counters that are idle. What is lent beyond it is given back with the question after that: the
//! pool says how much that is.
//!
//! **Lowering.** Workers charge while a lease is lowered. A worker swaps the count and then
//! looks at the lease again; who lowers it stores the lease and then looks at the count; between
//! both there is a fence on both sides. So one of them sees the other: either the charge is taken
//! back, or what it took is claimed.

mod unasked;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::quota::{Per, Window};

use super::Moment;
use super::counter::Counter;
use super::counters::Counters;
use super::identity::Named;
use super::measure::{Count, Measure, number_of};

use unasked::Share;

pub use unasked::{Unasked, reserve};

/// An edge that reported no later than so many milliseconds ago is there.
pub const PRESENT_MS: u64 = 5000;

/// An edge that did not report for so long is forgotten: nothing is left for it any more.
pub const FORGOTTEN_MS: u64 = 3_600_000;

/// A pool that may have lost something lends nothing for so long. All edges try to reach it
/// once a second, and report what they have before anything else.
pub const SETTLE_MS: u64 = 5000;

/// A window that the pool has lost while edges reach it is lent to nobody for so long: each of
/// them asks about each of its counters every ten seconds, and says then what it holds.
pub const RELEARN_MS: u64 = 15_000;

/// By so much two edges' clocks may differ.
pub const SKEW_S: u64 = 2;

/// The pool takes no report that reaches it later than so many milliseconds after it was sent.
pub(super) const REPORT_WITHIN_MS: u64 = 2500;

/// Nothing is taken by what the pool said of others longer ago.
pub(super) const ROLL_MS: u64 = 3000;

/// A part is for windows that begin so long after the last report that the pool may have heard
/// (`REPORT_WITHIN_MS`): by then all others leave it to whoever does not report
/// ([`PRESENT_MS`]), by what they have heard (`ROLL_MS`), even those who begin the window
/// earlier by [`SKEW_S`].
pub const AWAY_WINDOWS_S: u64 = 15;

/// A part in so many: the sum of all is at most this.
pub const WHOLE: u64 = 1 << 40;

/// Counters that wait to be looked at. One that finds no place tries again with its next charge.
const QUEUE_MAX: usize = 65_536;

/// For how long a sender is to hold back while more is asked for.
const ASKING_S: u64 = 1;

/// How this edge stands with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// All edges that share, those that are away for a while and this one included: at least 1.
    pub sharers: u64,
    /// What it has without asking while it is cut off.
    pub away: Option<Unasked>,
    /// What it has of that which is never lent.
    pub cold: Option<Unasked>,
}

/// That this edge has no voice in the pool yet.
impl Default for Standing {
    fn default() -> Self {
        Self {
            sharers: 1,
            away: None,
            cold: None,
        }
    }
}

/// The sharing of counters, as their workers see it.
#[derive(Debug)]
pub(super) struct Leasing {
    on: AtomicBool,
    sharers: AtomicU64,
    away: Share,
    cold: Share,
    queue: Mutex<Vec<Arc<Counter>>>,
}

impl Default for Leasing {
    fn default() -> Self {
        Self {
            on: AtomicBool::new(false),
            sharers: AtomicU64::new(1),
            away: Share::default(),
            cold: Share::default(),
            queue: Mutex::default(),
        }
    }
}

impl Leasing {
    pub(super) fn begin(&self) {
        self.on.store(true, Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    fn stand(&self, standing: Standing) {
        self.sharers.store(standing.sharers.max(1), Relaxed);
        self.away.set(standing.away);
        self.cold.set(standing.cold);
        // What is claimed from here on holds all that was used before: as with a lease.
        fence(SeqCst);
    }

    pub(super) fn sharers(&self) -> u64 {
        self.sharers.load(Relaxed)
    }

    /// How far a count of a window may go here. Whether that is lent is for the second.
    pub(super) fn most(
        &self,
        (named, limit): (&Named, u64),
        window: Window,
        counter: Option<&Counter>,
    ) -> (u64, bool) {
        let lease = counter.and_then(|counter| counter.lease(window.number));
        if let Some(lease) = lease {
            return (lease.min(limit), true);
        }
        let Some(per) = named.identity.window_per() else {
            return (0, false);
        };
        let begins_s = per.begins_unix_s(window);
        let reserve = reserve(limit, named.identity.bytes);
        let away = self.away.of(limit, begins_s);
        let most = away.or_else(|| self.cold.of(reserve, begins_s));
        (most.unwrap_or(0), false)
    }

    /// By which part, of [`WHOLE`], a window that begins then is this edge's before it asks.
    pub(super) fn cold_part(&self, begins_s: u64) -> u64 {
        self.cold.of(WHOLE, begins_s).unwrap_or(0)
    }

    /// Has somebody look at a counter.
    pub(super) fn want(&self, counter: &Arc<Counter>) {
        let lent = counter.lent();
        if !lent.queue() {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.len() < QUEUE_MAX {
            true => queue.push(Arc::clone(counter)),
            false => lent.unqueue(),
        }
    }

    /// Those that were queued since.
    pub(super) fn wanting(&self) -> Vec<Arc<Counter>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let wanting = std::mem::take(&mut *queue);
        for counter in &wanting {
            counter.lent().unqueue();
        }
        wanting
    }
}

/// The window that a charge counts in: the one that is on, or the next, where another thread's
/// clock has begun it.
pub(super) fn window_of(per: Per, at: Moment, counter: Option<&Counter>) -> Option<Window> {
    let on = per.window(at.unix_s)?;
    let counted = counter.map(Counter::count);
    let number = counted.and_then(|count| number_of(count, on.number));
    match number {
        Some(number) if number != on.number => per.window(on.ends_unix_s),
        Some(_) | None => Some(on),
    }
}

impl Counters {
    /// The same as [`share`](Self::share), where that is so.
    pub fn share_if(&self, shared: bool) {
        if shared {
            self.share();
        }
    }

    /// From now on windows are shared with other edges: nothing is admitted but what is lent, or
    /// is this edge's without asking. Before anything is compiled or charged.
    pub fn share(&self) {
        self.leasing.begin();
        self.look_whether_sole();
    }

    /// Whether they are.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.leasing.is_on()
    }

    /// Puts in force how this edge stands with the others.
    pub fn stand(&self, standing: Standing) {
        self.leasing.stand(standing);
    }

    /// How many counters wait to be asked for and have nothing but what is kept until they are, or
    /// their window is over: those that this edge met first while it was cut off. Looks at all that
    /// wait.
    #[must_use]
    pub fn without_room(&self, now: Moment) -> usize {
        let holds_nothing = |counter: &&Arc<Counter>| {
            let (named, limit) = (counter.named(), counter.named().limit());
            let per = named.identity.window_per().filter(|_| limit > 0);
            let window = per.and_then(|per| Some((per, window_of(per, now, Some(counter))?)));
            window.is_some_and(|(per, window)| {
                let away = self.leasing.away.of(limit, per.begins_unix_s(window));
                away.unwrap_or(0) == 0 && counter.lease(window.number).is_none()
            })
        };
        let queue = self.leasing.queue.lock();
        let queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.iter().filter(holds_nothing).count()
    }

    /// A measure of a counter that is kept, as it is for this process now.
    #[cold]
    pub(super) fn part(
        &self,
        (measure, named): (Measure, &Named),
        at: Moment,
        counter: Option<&Counter>,
    ) -> Measure {
        let Measure::Window { per, limit } = measure else {
            return measure;
        };
        let Some(window) = window_of(per, at, counter) else {
            return measure;
        };
        let lent = self.leasing.is_on();
        let most = lent.then(|| self.leasing.most((named, limit), window, counter));
        let limit = self.sharing.of((per, limit), most, window, counter);
        Measure::Window { per, limit }
    }

    /// Charges a counter that others charge as well, in this process or elsewhere.
    ///
    /// # Errors
    /// No room here: in how many seconds there may be, at least 1.
    #[cold]
    pub(super) fn charge_part(
        &self,
        measure: Measure,
        at: Moment,
        counter: &Arc<Counter>,
        amount: u64,
    ) -> Result<u64, u64> {
        let whole = (measure, &**counter.named());
        loop {
            let part = self.part(whole, at, Some(counter));
            let after = match counter.charge(&part, at, amount) {
                Ok(after) => after,
                Err(wait_s) => return Err(self.missed(measure, at, counter, amount, wait_s)),
            };
            if !self.leasing.is_on() {
                return Ok(after);
            }
            fence(SeqCst);
            let used = Count::unpacked(after).used;
            let part = self.part(whole, at, Some(counter));
            if matches!(part, Measure::Window { limit, .. } if used > limit) {
                // The lease was lowered meanwhile. The next turn is refused, or finds room.
                counter.change(|word| measure.undone(word, after, amount));
                continue;
            }
            if let Measure::Window { per, .. } = measure
                && let Some(window) = window_of(per, at, Some(counter))
                && counter.lent().is_low(window.number, used)
            {
                self.leasing.want(counter);
            }
            return Ok(after);
        }
    }

    /// Notes that a charge was refused, and yields for how long: a second where that is for want
    /// of a lease that can still be had.
    pub(super) fn missed(
        &self,
        measure: Measure,
        at: Moment,
        counter: &Arc<Counter>,
        amount: u64,
        wait_s: u64,
    ) -> u64 {
        let Measure::Window { per, limit } = measure else {
            return wait_s;
        };
        // What is more than all of it is never lent.
        if !self.leasing.is_on() || amount > limit || limit == 0 {
            return wait_s;
        }
        counter.lent().miss(amount);
        self.leasing.want(counter);
        self.wait_s((per, limit), at, Some(counter), amount, wait_s)
    }

    /// The same without a note.
    pub(super) fn wait_s(
        &self,
        (per, limit): (Per, u64),
        at: Moment,
        counter: Option<&Counter>,
        amount: u64,
        wait_s: u64,
    ) -> u64 {
        let window = window_of(per, at, counter);
        let spent = counter.zip(window).is_some_and(|(counter, window)| {
            let lent = counter.loan();
            lent.is_some_and(|lent| lent.is_spent(window.number))
        });
        match !self.leasing.is_on() || spent || amount > limit || limit == 0 {
            true => wait_s,
            false => ASKING_S,
        }
    }
}

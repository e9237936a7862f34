//! One counter among those that leases are asked for. Owns what it wants and gives back; never
//! says when that is asked.

use std::sync::Arc;
use std::sync::atomic::{Ordering::SeqCst, fence};

use crate::domain::quota::{Per, Window};
use crate::policy::quotas::Moment;
use crate::policy::quotas::counter::Counter;
use crate::policy::quotas::counters::Counters;
use crate::policy::quotas::identity::Whom;
use crate::policy::quotas::leasing::{self, reserve};

use super::{ASK_EVERY_NS, Ask, Lease, Place, SECOND_NS};

/// What comes in so many seconds is wanted ahead.
const AHEAD_S: u64 = 2;

/// A counter that the pool has heard of, or is about to.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) counter: Arc<Counter>,
    pub(super) window: Window,
    /// What was answered last of this window; `None`: nothing.
    pub(super) heard: Option<Lease>,
    /// As last asked.
    pub(super) limit: u64,
    pub(super) used: u64,
    /// Something was refused in its window because too little is lent.
    pub(super) missed: bool,
    /// The largest that was: so much is wanted at once while there is some to lend, as it may come
    /// again, until a window passes in which nothing as large came.
    pub(super) large: u64,
    pub(super) asked_at_ns: u64,
    /// Used or missed in a second, lately.
    pub(super) pace: u64,
    pub(super) rests_ns: u64,
    pub(super) due_at_ns: u64,
}

/// Whether others count the same.
pub(super) fn is_shared(counter: &Counter) -> bool {
    counter.named().identity.is_kept() && !matches!(counter.whom(), Whom::Strangers(_))
}

fn per_of(counter: &Counter) -> Option<Per> {
    counter.named().identity.window_per()
}

/// The window that a counter is in: the one that is on, or the next where a worker has begun it.
pub(super) fn window_of(counter: &Counter, now: Moment) -> Option<Window> {
    leasing::window_of(per_of(counter)?, now, Some(counter))
}

impl Held {
    /// The first second of its window.
    pub(super) fn begins_unix_s(&self) -> u64 {
        let per = per_of(&self.counter);
        per.map_or(0, |per| per.begins_unix_s(self.window))
    }

    /// Whether it is still to be asked for; one whose window is over goes on to the next where a
    /// configuration names it, or somebody used or missed it: who comes but once in each window
    /// would be refused each time.
    pub(super) fn goes_on(&mut self, now: Moment) -> bool {
        let Some(window) = window_of(&self.counter, now) else {
            return false;
        };
        if window.number <= self.window.number {
            return true;
        }
        let used =
            self.counter.used_of(self.window.number) > 0 || self.counter.used_of(window.number) > 0;
        let missed = std::mem::take(&mut self.missed) || self.counter.lent().has_missed();
        if !missed && self.used.max(self.counter.used_of(self.window.number)) < self.large {
            self.large = 0;
        }
        self.window = window;
        self.heard = None;
        self.used = 0;
        self.rests_ns = ASK_EVERY_NS;
        self.due_at_ns = 0;
        used || missed || self.is_named()
    }

    /// Whether a configuration holds it, a project's that it lists as well: beside a table and this
    /// somebody else does. One that only those two hold may be swept.
    fn is_named(&self) -> bool {
        match self.counter.whom() {
            Whom::All | Whom::Rest(None) => Arc::strong_count(&self.counter) > 1,
            Whom::Project(_) => Arc::strong_count(&self.counter) > 2,
            Whom::Key(_) | Whom::Rest(Some(_)) | Whom::Strangers(_) => false,
        }
    }

    /// Whether a configuration has changed its limit since it was asked for.
    pub(super) fn has_another_limit(&self) -> bool {
        self.limit != self.counter.named().limit()
    }

    /// Whether it was last heard that too much is lent.
    pub(super) fn is_over(&self) -> bool {
        self.heard.is_some_and(|lease| lease.over > 0)
    }

    pub(super) fn ask(
        &mut self,
        now: Moment,
        (place, number): (Place, u64),
        sharers: u64,
        counters: &Counters,
    ) -> Ask {
        self.goes_on(now);
        let window = self.window.number;
        let (missed, largest) = self.counter.lent().take_missed();
        self.missed |= missed > 0;
        self.large = self.large.max(largest);
        let used = self.counter.used_of(window);
        let came = self.note_pace(now, used, missed);
        let (lent, named) = (self.counter.lent(), self.counter.named());
        let limit = named.limit();
        let ahead = self.pace.saturating_mul(AHEAD_S).max(missed);
        let all_used = self.heard.map_or(used, |heard| heard.all_used);
        let ahead = match all_used.saturating_add(self.large) <= limit {
            true => ahead.max(self.large),
            // Nobody has as much of it any more.
            false => ahead,
        };
        // Who is idle keeps nothing of what another needs.
        let ahead = ahead.max(u64::from(came > 0)).min(limit);
        let standing = lent.lease(window);
        let held = match (self.heard, standing) {
            (Some(heard), Some(lease)) => {
                let even = limit.saturating_sub(heard.all_used) / 2 / sharers.max(1);
                let enough = used.saturating_add(ahead.max(even));
                let enough = enough.min(lease.saturating_sub(heard.over)).max(used);
                if enough < lease && !counters.is_held_with_another(self.begins_unix_s()) {
                    lent.lower(window, enough);
                    fence(SeqCst);
                    // Whoever charged before it saw that is seen here.
                    enough.max(self.counter.used_of(window))
                } else {
                    lease
                }
            }
            (None, Some(lease)) => lease,
            (_, None) => {
                // What it says it holds is from here on all it has, heard or not.
                let (cold, _) = counters.leasing.most((named, limit), self.window, None);
                lent.lower(window, cold);
                fence(SeqCst);
                cold.max(self.counter.used_of(window))
            }
        };
        (self.limit, self.used) = (limit, used);
        self.asked_at_ns = now.since_start_ns;
        self.due_at_ns = now.since_start_ns.saturating_add(ASK_EVERY_NS);
        Ask {
            name: self.counter.name_of(self.window.number),
            number,
            used,
            held: held.max(used),
            wanted: used.saturating_add(ahead),
            limit,
            reserved: reserve(limit, named.identity.bytes),
            part: counters.leasing.cold_part(self.begins_unix_s()),
            takes: true,
            takes_up: self.heard.is_none(),
            heard: self.heard.is_some(),
            ends_unix_s: self.window.ends_unix_s,
            place,
            window,
        }
    }

    /// What comes in a second: at least half as much as it did. Yields what came since the last
    /// question.
    fn note_pace(&mut self, now: Moment, used: u64, missed: u64) -> u64 {
        let took_ns = now.since_start_ns.saturating_sub(self.asked_at_ns);
        let took_ns = took_ns.max(SECOND_NS / 20);
        let came = used.saturating_sub(self.used).saturating_add(missed);
        let pace = u128::from(came) * u128::from(SECOND_NS) / u128::from(took_ns);
        let pace = u64::try_from(pace).unwrap_or(u64::MAX);
        self.pace = pace.max(self.pace / 2);
        came
    }
}

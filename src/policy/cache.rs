//! Answers of web that are kept for who asks the same (RFC 9111), and for when Sentry is away
//! (RFC 5861): in memory, of all workers together, within their limits. Never sends anything.
//!
//! What was asked for only once has a quarter of the room where others want it: whoever makes up
//! addresses cannot push out what pages load all day. Else what was asked for last stays longest.

mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use super::millis::Millis;

pub use stored::{Stored, insists, may_be_asked, may_be_kept};

/// While one asks anew, for so long the others need not.
const ASKING_MS: u64 = 2_000;

/// After a failure nobody asks for so long: each who did would wait for nothing.
const FAILED_MS: u64 = 10_000;

/// Answers to one address that differ by their requests' headers. More are one client's game.
const VARIANTS_MAX: usize = 16;

/// As many make room for one, each found by a look at all; one that needs more has all of it:
/// others wait for the lock meanwhile.
const LEAVING_MAX: usize = 64;

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all, their heads and places included.
    pub bytes_max: u64,
    /// Answers.
    pub entries_max: usize,
}

/// What there is for a request.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This, and nobody need be asked.
    Fresh(Arc<Stored>),
    /// This, though it is stale: the upstream has just failed, or is asked by another.
    Standby(Arc<Stored>),
    /// This, once the upstream has confirmed it.
    Stale(Arc<Stored>, IfError),
}

/// Whether a stale answer stands in for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfError {
    /// It does.
    Serves,
    /// It is too old, or was said never to.
    Fails,
}

/// The answers that are kept. Each call holds a lock for as long as it takes to find one; one
/// that has to make room looks at all, some times at the most.
#[derive(Debug)]
pub struct Cache(Mutex<Shelf>);

#[derive(Debug)]
struct Shelf {
    limits: Limits,
    /// By address, and there by what else was asked for.
    slots: HashMap<Box<[u8]>, Vec<Slot>>,
    bytes: u64,
    entries: usize,
    /// Counts each use: what was used last has the highest.
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    stored: Arc<Stored>,
    bytes: u64,
    used: u64,
    /// It was asked for again.
    again: bool,
    asked_until: Millis,
    failed_until: Millis,
}

impl Cache {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Mutex::new(Shelf {
            limits,
            slots: HashMap::new(),
            bytes: 0,
            entries: 0,
            uses: 0,
        }))
    }

    /// What there is for a request to `key`. Whoever hears [`Found::Stale`] asks the upstream;
    /// `insists`: nothing else will do.
    #[must_use]
    pub fn find(&self, now: Millis, key: &[u8], request: &HeaderMap, insists: bool) -> Found {
        let mut shelf = self.shelf();
        shelf.uses += 1;
        let uses = shelf.uses;
        let slots = shelf.slots.get_mut(key);
        let suits = |slot: &&mut Slot| slot.stored.suits(request);
        let Some(slot) = slots.and_then(|slots| slots.iter_mut().find(suits)) else {
            return Found::Nothing;
        };
        (slot.used, slot.again) = (uses, true);
        let (stored, standing) = (Arc::clone(&slot.stored), slot.stored.standing(now));
        if standing.fresh && !insists {
            return Found::Fresh(stored);
        }
        let failed = standing.if_error && now < slot.failed_until;
        if failed || standing.while_asked && now < slot.asked_until && !insists {
            return Found::Standby(stored);
        }
        slot.asked_until = now.plus(ASKING_MS);
        let if_error = match standing.if_error {
            true => IfError::Serves,
            false => IfError::Fails,
        };
        Found::Stale(stored, if_error)
    }

    /// Keeps an answer to `key`, in the place of those that the same request chose before.
    pub fn keep(&self, key: &[u8], request: &HeaderMap, stored: Arc<Stored>) {
        let mut shelf = self.shelf();
        let again = shelf.remove(key, request);
        let bytes = stored
            .bytes()
            .saturating_add(u64::try_from(key.len()).unwrap_or(u64::MAX));
        if bytes > shelf.limits.bytes_max || shelf.limits.entries_max == 0 {
            return;
        }
        shelf.uses += 1;
        let slot = Slot {
            stored,
            bytes,
            used: shelf.uses,
            again,
            asked_until: Millis(0),
            failed_until: Millis(0),
        };
        let slots = shelf.slots.entry(key.into()).or_default();
        let beyond = match slots.len() >= VARIANTS_MAX {
            true => Some(slots.remove(0).bytes),
            false => None,
        };
        slots.push(slot);
        shelf.entries += 1;
        shelf.bytes = shelf.bytes.saturating_add(bytes);
        if let Some(bytes) = beyond {
            shelf.lets_go(bytes);
        }
        shelf.make_room();
    }

    /// The upstream could not be asked about this one.
    pub fn fails(&self, now: Millis, key: &[u8], stored: &Arc<Stored>) {
        let mut shelf = self.shelf();
        let slots = shelf.slots.get_mut(key).into_iter().flatten();
        for slot in slots.filter(|slot| Arc::ptr_eq(&slot.stored, stored)) {
            slot.failed_until = now.plus(FAILED_MS);
        }
    }

    /// The upstream says something else to this request now, that is not kept.
    pub fn forget(&self, key: &[u8], request: &HeaderMap) {
        self.shelf().remove(key, request);
    }

    /// Holds other limits from now on.
    pub fn limit(&self, limits: Limits) {
        let mut shelf = self.shelf();
        shelf.limits = limits;
        shelf.make_room();
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.shelf().clear();
    }

    /// How many there are, and the bytes that they take.
    #[must_use]
    pub fn held(&self) -> (usize, u64) {
        let shelf = self.shelf();
        (shelf.entries, shelf.bytes)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A panic in here is a bug; what was counted by then is at worst an answer too many.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Takes out what this request would be given; whether one of these was asked for again.
    fn remove(&mut self, key: &[u8], request: &HeaderMap) -> bool {
        let Some(slots) = self.slots.get_mut(key) else {
            return false;
        };
        let mut again = false;
        let mut gone = Vec::new();
        slots.retain(|slot| {
            let suits = slot.stored.suits(request);
            if suits {
                again |= slot.again;
                gone.push(slot.bytes);
            }
            !suits
        });
        if slots.is_empty() {
            self.slots.remove(key);
        }
        for bytes in gone {
            self.lets_go(bytes);
        }
        again
    }

    fn lets_go(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries = self.entries.saturating_sub(1);
    }

    fn clear(&mut self) {
        self.slots = HashMap::new();
        (self.bytes, self.entries) = (0, 0);
    }

    /// Puts out whatever is least needed until all is within its limits.
    fn make_room(&mut self) {
        let mut left = 0;
        while self.bytes > self.limits.bytes_max || self.entries > self.limits.entries_max {
            let Some((key, at)) = self.least_needed().filter(|_| left < LEAVING_MAX) else {
                return self.clear();
            };
            left += 1;
            let Some(slots) = self.slots.get_mut(&key) else {
                return;
            };
            let bytes = slots.remove(at).bytes;
            if slots.is_empty() {
                self.slots.remove(&key);
            }
            self.lets_go(bytes);
        }
    }

    /// Where what is least needed stands: of what was asked for once, if that has more than its
    /// quarter or there is nothing else, what came first; else what was not asked for longest.
    fn least_needed(&self) -> Option<(Box<[u8]>, usize)> {
        let all = || self.slots.values().flatten();
        let once = all().filter(|slot| !slot.again);
        let (count, bytes) = once.fold((0_usize, 0_u64), |(count, bytes), slot| {
            (count + 1, bytes.saturating_add(slot.bytes))
        });
        let more = count > self.limits.entries_max / 4 || bytes > self.limits.bytes_max / 4;
        let of_once = count > 0 && more || all().all(|slot| !slot.again);
        let each = self.slots.iter().flat_map(|(key, slots)| {
            let slots = slots.iter().enumerate();
            slots.map(move |(at, slot)| (slot, key, at))
        });
        let least = each
            .filter(|(slot, _, _)| slot.again != of_once)
            .min_by_key(|(slot, _, _)| slot.used);
        least.map(|(_, key, at)| (key.clone(), at))
    }
}

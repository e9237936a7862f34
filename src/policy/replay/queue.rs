//! What waits of one project in one lane, by order. Owns its memory and the time of
//! each next try; never knows whose it is.
//!
//! A record that failed lies before all that were never tried, since its order is
//! lower, and rests there until it is due. Those behind it go on meanwhile, or one
//! that the upstream never takes would hold up its project until it expired.

use std::collections::VecDeque;

use super::super::millis::Millis;
use super::Held;
use super::aside::Tried;

/// So many may rest at the front while those behind go on. Where more do, it is not they that are
/// ill, and the lane waits for the first that is due; it also bounds what a look costs.
pub(super) const REST_MAX: usize = 32;

/// The unit of a next try's time: four bytes hold thirteen years of it.
const DUE_UNIT_MS: u64 = 100;

/// Room for so many is the least that is asked for.
const ROOM_MIN: usize = 4;

/// One record, in 32 bytes where its place takes 8: project and lane are its queue's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<P> {
    place: P,
    order: u64,
    /// When it was taken in, and in the two lowest bytes how it fared.
    at_and_tried: u64,
    bytes: u32,
    due: u32,
}

impl<P: Copy> Waiting<P> {
    pub(super) fn new(held: &Held<P>, tried: Tried, due: Millis) -> Self {
        let units = due.0.div_ceil(DUE_UNIT_MS);
        Self {
            place: held.place,
            order: held.order,
            // Six bytes of milliseconds are nine thousand years.
            at_and_tried: held.at << 16 | u64::from(tried.points) << 8 | u64::from(tried.times),
            bytes: held.bytes,
            due: u32::try_from(units).unwrap_or(u32::MAX),
        }
    }

    pub(super) const fn place(&self) -> P {
        self.place
    }

    pub(super) const fn order(&self) -> u64 {
        self.order
    }

    pub(super) const fn at(&self) -> u64 {
        self.at_and_tried >> 16
    }

    pub(super) const fn tried(&self) -> Tried {
        let [.., points, times] = self.at_and_tried.to_be_bytes();
        Tried { times, points }
    }

    pub(super) const fn bytes(&self) -> u32 {
        self.bytes
    }

    fn due(&self) -> Millis {
        Millis(u64::from(self.due) * DUE_UNIT_MS)
    }
}

/// The records, lowest order first. Has room for at most a quarter more than wait.
#[derive(Debug)]
pub(super) struct Queue<P>(VecDeque<Waiting<P>>);

impl<P> Default for Queue<P> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<P: Copy> Queue<P> {
    pub(super) fn front(&self) -> Option<&Waiting<P>> {
        self.0.front()
    }

    /// Puts a record in its place: at the end at once, before the first nearly so, in between at
    /// the price of moving what lies on the nearer side. False: its order is there already.
    #[must_use]
    pub(super) fn add(&mut self, waiting: Waiting<P>) -> bool {
        let place = match self.0.back() {
            Some(last) if last.order >= waiting.order => {
                self.0.partition_point(|other| other.order < waiting.order)
            }
            _ => self.0.len(),
        };
        if self
            .0
            .get(place)
            .is_some_and(|other| other.order == waiting.order)
        {
            return false;
        }
        if self.0.len() == self.0.capacity() {
            // Doubling would leave half of it unused, and there may be millions.
            self.0.reserve_exact((self.0.len() / 8).max(ROOM_MIN));
        }
        self.0.insert(place, waiting);
        true
    }

    /// When the next is due: at once where one was never tried.
    pub(super) fn due(&self) -> Option<Millis> {
        let front = self.0.iter().take(REST_MAX);
        front.map(Waiting::due).min()
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.due_place(now).is_some()
    }

    pub(super) fn take_due(&mut self, now: Millis) -> Option<Waiting<P>> {
        let place = self.due_place(now)?;
        self.take_at(place)
    }

    pub(super) fn take_front(&mut self) -> Option<Waiting<P>> {
        self.take_at(0)
    }

    pub(super) fn take(&mut self, order: u64) -> Option<Waiting<P>> {
        let place = self.0.binary_search_by_key(&order, |other| other.order);
        self.take_at(place.ok()?)
    }

    pub(super) fn into_each(self) -> impl Iterator<Item = Waiting<P>> {
        self.0.into_iter()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.0.capacity()
    }

    fn due_place(&self, now: Millis) -> Option<usize> {
        let mut front = self.0.iter().take(REST_MAX);
        front.position(|waiting| waiting.due() <= now)
    }

    fn take_at(&mut self, place: usize) -> Option<Waiting<P>> {
        let taken = self.0.remove(place)?;
        let waiting = self.0.len();
        if self.0.capacity() > waiting + waiting / 4 + ROOM_MIN {
            self.0.shrink_to(waiting + waiting / 8 + ROOM_MIN);
        }
        Some(taken)
    }
}

//! How the spool stands, told to everybody who asks without an order: numbers beside the clerk,
//! which it alone writes.

use std::sync::atomic::Ordering::Relaxed;

use crate::policy::millis::Millis;
use crate::policy::replay::lane::Lane;

use super::clerk::Clerk;
use super::room::{Asks, COMMON_BYTES, has_room, room_bytes};

/// How often it is looked for what was kept the longest, which takes a walk over all projects.
const AGE_EVERY_MS: u64 = 1000;

impl Clerk {
    /// Tells everybody how much is kept: before the client that it came from is told.
    pub(super) fn publish_count(&self) {
        let requests = self.held.len() + self.uncarried.len() + self.erasing.len();
        let requests = u64::try_from(requests).unwrap_or(u64::MAX);
        self.state.items.store(self.items, Relaxed);
        self.state.requests.store(requests, Relaxed);
        let aside = u64::try_from(self.held.aside()).unwrap_or(u64::MAX);
        self.state.aside.store(aside, Relaxed);
        let destinations = self.held.destinations();
        self.state.destinations.store(destinations, Relaxed);
    }

    /// Tells everybody how it stands.
    pub(super) fn publish(&mut self) {
        self.publish_count();
        self.publish_age(self.now());
        let used = self.used();
        let state = &self.state;
        state.bytes.store(used.live, Relaxed);
        let (rules, room) = (self.rules.load(), self.held.room());
        let config = &rules.config.spool;
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        state.room_requests.store(room, Relaxed);
        state.room_bytes.store(room_bytes(config, used), Relaxed);
        let another = Asks {
            lane: Lane::Error,
            bytes: COMMON_BYTES,
            project_bytes: 0,
            proven: true,
        };
        let full = !has_room(config, used, another);
        if full != state.full.swap(full, Relaxed) {
            match full {
                true => {
                    tracing::error!("the spool is full: what the upstream does not take is lost")
                }
                false => tracing::info!("the spool has room again"),
            }
        }
    }

    /// Tells how long the oldest has been kept: once a second, and at once that nothing is.
    fn publish_age(&mut self, now: Millis) {
        let told = self.age_told.is_some_and(|at| now.since(at) < AGE_EVERY_MS);
        if told && !self.held.is_empty() {
            return;
        }
        self.age_told = Some(now);
        let now_ms = self.now_unix_ms();
        let age_s = |at: u64| now_ms.saturating_sub(at) / 1000;
        let oldest_s = self.held.oldest_at().map_or(0, age_s);
        self.state.oldest_s.store(oldest_s, Relaxed);
    }
}

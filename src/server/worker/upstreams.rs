//! What a worker has for each upstream: its connections there, and how many bodies stream to it.

use std::cell::Cell;

use super::Worker;
use crate::telemetry::labels::{MirrorPlace, Upstream};

use crate::server::rules::Rules;
use crate::server::upstream::pool::Pool;

/// One empty pool for each upstream, by its index.
pub(super) fn pools() -> [Pool; Upstream::COUNT] {
    let [a, b, c, d] = MirrorPlace::ALL.map(|place| Pool::new(Upstream::Mirror(place)));
    [
        Pool::new(Upstream::Ingest),
        Pool::new(Upstream::Web),
        a,
        b,
        c,
        d,
    ]
}

impl Worker {
    /// The pool for an upstream.
    ///
    /// # Panics
    /// Never: there is one for each.
    pub(crate) fn pool(&self, upstream: Upstream) -> &Pool {
        let pool = self.pools.get(upstream.index());
        pool.expect("there is one for each upstream")
    }

    /// Those for upstreams that there are.
    pub(crate) fn pools(&self, rules: &Rules) -> impl Iterator<Item = &Pool> {
        let upstreams = Upstream::OWN.len() + rules.mirrors.len();
        self.pools.iter().take(upstreams)
    }

    /// How many events are on their way to an upstream whose body is still to come.
    ///
    /// # Panics
    /// Never: there is a count for each.
    pub(crate) fn streaming(&self, upstream: Upstream) -> &Cell<u64> {
        let streaming = self.streaming.get(upstream.index());
        streaming.expect("there is a count for each upstream")
    }
}

//! How many connections each client address has open, over all workers. Knows an address
//! no longer than it has one, so it never holds more of them than connections are open.
//! Never decides who is exempt.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use crate::domain::networks::one_client;

/// Workers that open or close connections at the same time seldom meet.
const SHARDS: usize = 16;

type Counts = HashMap<IpAddr, u64, RandomState>;

/// The counts of all workers.
#[derive(Debug)]
pub(crate) struct PerClient {
    shards: [Mutex<Counts>; SHARDS],
    hasher: RandomState,
}

impl Default for PerClient {
    fn default() -> Self {
        // Seeded: strangers choose their addresses.
        let hasher = RandomState::default();
        let shard = |_| Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: std::array::from_fn(shard),
            hasher,
        }
    }
}

impl PerClient {
    /// Takes a place for one more connection; given back when it is dropped. `None`: the
    /// client has `most` open. A lower limit closes none that is open.
    pub(crate) fn enters(self: &Arc<Self>, client: IpAddr, most: u64) -> Option<Place> {
        let client = one_client(client);
        let mut counts = self.shard(client);
        let open = counts.get(&client).copied().unwrap_or(0);
        if open >= most {
            return None;
        }
        counts.insert(client, open + 1);
        Some(Place {
            counts: Arc::clone(self),
            client,
        })
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, Counts> {
        let bits = self.hasher.hash_one(client).to_le_bytes();
        let [first, ..] = bits;
        let [zeroth, ..] = &self.shards;
        let shard = self.shards.get(usize::from(first) % SHARDS);
        // Nothing that runs under the lock leaves a count half written.
        let shard = shard.unwrap_or(zeroth).lock();
        shard.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among those of its client. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<PerClient>,
    client: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.shard(self.client);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enters(counts: &Arc<PerClient>, client: &str) -> Option<Place> {
        counts.enters(client.parse().unwrap(), 2)
    }

    fn held(counts: &PerClient) -> usize {
        let shards = counts.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_client_has_so_many_and_others_as_many() {
        let counts = Arc::new(PerClient::default());
        let first = enters(&counts, "203.0.113.9").unwrap();
        let second = enters(&counts, "::ffff:203.0.113.9").unwrap();
        assert!(enters(&counts, "203.0.113.9").is_none());
        let other = enters(&counts, "203.0.113.10").unwrap();
        drop(first);
        let third = enters(&counts, "203.0.113.9").unwrap();
        assert!(enters(&counts, "203.0.113.9").is_none());
        assert_eq!(held(&counts), 2);
        drop((second, third, other));
        assert_eq!(held(&counts), 0, "an address outlives its connections");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let counts = Arc::new(PerClient::default());
        let _first = enters(&counts, "2001:db8::1").unwrap();
        let _second = enters(&counts, "2001:db8::ffff:2").unwrap();
        assert!(enters(&counts, "2001:db8:0:0:9::").is_none());
        assert!(enters(&counts, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_limit_of_none_leaves_nothing_behind() {
        let counts = Arc::new(PerClient::default());
        assert!(counts.enters("203.0.113.9".parse().unwrap(), 0).is_none());
        assert_eq!(held(&counts), 0, "who was refused is remembered");
    }
}

//! What waits to be written, between the workers and the one thread that writes: so many bytes at
//! most. Whoever puts something down never waits for whoever takes it up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::checked::AccessLog as Plan;

/// Whole lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their bytes, line feeds included.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub lines: u64,
}

impl Batch {
    fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}

/// All that there is to do for whoever writes.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// What is to be written, in its order, before all else is heeded.
    pub batches: Vec<Batch>,
    /// Another plan.
    pub plan: Option<Plan>,
    /// The file is to be opened anew.
    pub reopen: bool,
    /// Nothing will come any more.
    pub closing: bool,
}

impl Orders {
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.plan.is_none() && !self.reopen && !self.closing
    }
}

#[derive(Debug)]
struct State {
    orders: Orders,
    /// Of the batches that wait, and of those that were taken and are not yet written.
    bytes: u64,
    bytes_max: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    /// Empty, and for as much as the plan says.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            state: Mutex::new(State {
                orders: Orders::default(),
                bytes: 0,
                bytes_max: plan.buffer,
            }),
            wake: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False: there is no room for it.
    pub(super) fn put(&self, batch: Batch) -> bool {
        let mut state = self.state();
        let bytes = state.bytes.saturating_add(batch.size());
        if bytes > state.bytes_max || state.orders.closing {
            return false;
        }
        state.bytes = bytes;
        state.orders.batches.push(batch);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Has the writer go by another plan.
    pub(super) fn follow(&self, plan: &Plan) {
        let mut state = self.state();
        state.bytes_max = plan.buffer;
        state.orders.plan = Some(plan.clone());
        drop(state);
        self.wake.notify_one();
    }

    /// Has the writer open its file anew.
    pub(super) fn reopen(&self) {
        self.state().orders.reopen = true;
        self.wake.notify_one();
    }

    /// Has the writer end behind what waits.
    pub(super) fn close(&self) {
        self.state().orders.closing = true;
        self.wake.notify_one();
    }

    /// Takes all there is, or nothing after so long.
    pub(super) fn take(&self, patience: Duration) -> Orders {
        let idle = |state: &mut State| state.orders.is_empty();
        let waited = self
            .wake
            .wait_timeout_while(self.state(), patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = waited;
        let closing = state.orders.closing;
        let orders = std::mem::take(&mut state.orders);
        // Who comes after the end is turned away.
        state.orders.closing = closing;
        orders
    }

    /// Some of what was taken is written, or given up.
    pub(super) fn done(&self, batch: &Batch) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(batch.size());
    }
}

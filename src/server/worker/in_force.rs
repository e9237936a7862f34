//! What one request holds on to while it is under way: its rules, and the stop that waits for it.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::server::rules::Rules;

/// The rules that one request is served by, from its head to its end, whatever
/// is reloaded meanwhile. A clone counts without touching other threads.
#[derive(Debug)]
pub(crate) struct InForce(pub(super) Arc<Rules>);

impl Deref for InForce {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.0
    }
}

/// Something that a stop waits for.
#[derive(Debug)]
pub(crate) struct Finishing(pub(super) Rc<Cell<u64>>);

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

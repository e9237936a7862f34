//! A door between a test and what it holds up. Opens once, and stays open.

use std::sync::{Arc, Condvar, Mutex};

use crate::upstream::HANG;

/// A door that stays shut until its test opens it; once open it stays so.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    /// Lets all who wait through, and all who come later.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, _) = self
            .0
            .1
            .wait_timeout_while(open, HANG, |open| !*open)
            .unwrap();
        assert!(*open, "a door was never opened");
    }
}

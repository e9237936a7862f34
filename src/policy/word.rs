//! One word that all workers change. Owns the loop of compare and swap; never knows
//! what the word says.
//!
//! Who keeps all that belongs together in one word has every change of it happen at
//! one moment: whatever threads do, they did it one after another. So a test that
//! runs one change after another tries all that can happen.

use super::atomic::{AtomicU64, Ordering::Relaxed};

/// Changes a word to what `step` makes of it, and yields what `step` tells beside; `None`, and no
/// change, where `step` wants none.
///
/// Relaxed, since nothing but the word itself is told by it. Each failed turn is another thread's
/// change, so somebody gets on.
pub(super) fn change<T>(word: &AtomicU64, step: impl Fn(u64) -> Option<(u64, T)>) -> Option<T> {
    let mut seen = word.load(Relaxed);
    loop {
        let (next, told) = step(seen)?;
        match word.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
            Ok(_) => return Some(told),
            Err(other) => seen = other,
        }
    }
}

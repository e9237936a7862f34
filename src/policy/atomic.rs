//! The atomics of what all workers share: the standard library's, or those of `loom/`,
//! which tries every way in which threads can meet.

#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

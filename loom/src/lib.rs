//! What all workers share, built on loom's atomics. The files are the program's own.

#![allow(
    dead_code,
    reason = "a part of the program: not all of it is used here"
)]

/// The program's `policy`, as far as it lies in one word or a few.
pub mod policy {
    mod atomic;
    pub mod breaker;
    pub mod millis;
    pub mod pace;
    mod word;
}

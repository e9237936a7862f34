//! What all workers share, built on loom's atomics. The files are the program's own.

/// The program's `policy`, as far as it lies in one word or a few.
pub mod policy {
    mod atomic;
    pub mod breaker;
    pub mod millis;
    pub mod pace;
    mod word;
}

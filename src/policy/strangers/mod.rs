//! Keys that nobody has told of, where Sentry can be asked for them: those that wait for that,
//! and those that it does not know. Shared by all workers; survives a reload.

mod absent;
mod first_seen;

pub use absent::{Absent, Lack, Met};
pub use first_seen::FirstSeen;

/// Both.
#[derive(Debug)]
pub struct Strangers {
    /// Those that Sentry takes nothing under.
    pub absent: Absent,
    /// Those that it is to be asked for.
    pub first_seen: FirstSeen,
}

impl Strangers {
    /// None yet. `absent_max`: how many are remembered as such.
    #[must_use]
    pub fn new(absent_max: usize) -> Self {
        Self {
            absent: Absent::new(absent_max),
            first_seen: FirstSeen::default(),
        }
    }
}

//! What is told of projects that leave their habits, checked.

use super::SpikeMode;

/// Projects that fall silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Whether they are told; default true.
    pub enabled: bool,
}

/// Bursts far above a project's habit.
#[derive(Clone, Debug, PartialEq)]
pub struct Spikes {
    /// What is done about them; default `shadow`.
    pub mode: SpikeMode,
    /// So many times what is expected of an hour is one; default 5, from 2 to 1000.
    pub times: u64,
    /// Items an hour, of a project and category, that never are one; default 1000, from 1 to a
    /// billion.
    pub floor: u64,
}

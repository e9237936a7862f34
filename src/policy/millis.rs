//! The time as policy sees it: an argument. Owns its arithmetic, which never
//! overflows and never goes below zero; never reads a clock.

/// Milliseconds on a clock that only moves forward, from a start that the caller chose. Eight bytes
/// where an `Instant` takes sixteen: the tables hold millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// How long `earlier` is ago; 0 when it is not. Threads read the clock at different moments, so
    /// a time from another one may lie a little ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This long from now.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The same moment in nanoseconds, as [`Gcra`](super::gcra::Gcra) counts.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0.saturating_mul(1_000_000)
    }

    /// Whole seconds since the clock's start.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

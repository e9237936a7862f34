//! How many requests may be under way at once towards an upstream, found by trying.
//! Owns two windows, for live traffic and for replay, and what makes them grow and
//! shrink; never decides what counts as ill, never waits.
//!
//! A window grows by one each round trip that used it fully, and shrinks to seven
//! tenths when an answer is ill, once for all that were under way then: each turn knows
//! how often its window had shrunk, so no clock is needed. So it comes
//! to lie around what the upstream bears, and follows when that changes.
//!
//! Replay yields. It begins with one at a time, has a share of what live traffic
//! leaves free and no more, gives way on what live traffic meets as well, and what it
//! meets itself never narrows live traffic's window. Only a share of nothing is
//! nothing: where anything is free, one may go.
//!
//! A window, what is under way in it and how often it shrank lie in one word that workers compare and swap,
//! so no race lets one more begin than fits. Replay's room depends on live traffic's
//! word too: what begins live at the same moment may find it a few too many.

use super::atomic::{AtomicU64, Ordering::Relaxed};
use super::breaker::Heard;
use super::word;

/// Parts of one in which a window is kept, since it grows by less than one an answer.
const ONE: u64 = 1 << WINDOW_SHIFT;
const WINDOW_SHIFT: u32 = 16;

/// More than the widest window: what is under way lies lowest in the word.
const UNDER_WAY_BITS: u32 = 18;

/// How often it shrank, in a circle: no request outlives sixteen thousand times.
const CUTS_BITS: u32 = 14;

/// What a window shrinks to, in tenths. Halves, the textbook's choice, leave half of the upstream
/// idle after each try for more; nearer to ten, a window takes many round trips to fall.
const KEPT_TENTHS: u64 = 7;

/// Where the windows may lie. Everything is raised to 1 at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The narrowest window of live traffic.
    pub min: u16,
    /// The widest of both windows.
    pub max: u16,
    /// How much of what live traffic leaves free replay may take.
    pub replay_percent: u8,
}

impl Bounds {
    const fn packed(self) -> u64 {
        let [min_high, min_low] = self.min.to_be_bytes();
        let [max_high, max_low] = self.max.to_be_bytes();
        u64::from_be_bytes([
            0,
            0,
            0,
            min_high,
            min_low,
            max_high,
            max_low,
            self.replay_percent,
        ])
    }

    fn unpacked(word: u64) -> Self {
        let [.., min_high, min_low, max_high, max_low, replay_percent] = word.to_be_bytes();
        let min = u16::from_be_bytes([min_high, min_low]).max(1);
        let max = u16::from_be_bytes([max_high, max_low]).max(min);
        Self {
            min,
            max,
            replay_percent: replay_percent.clamp(1, 100),
        }
    }

    fn held(self, window: u64) -> u64 {
        window.clamp(self.min.into(), self.max.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Live,
    Replay,
}

/// Leave for one request to be under way. A plain value: who drops it without
/// [`Pace::end`] leaves a window that much narrower for good.
#[derive(Debug)]
#[must_use = "what is begun must end, or the window stays narrower for good"]
pub struct Turn {
    whose: Whose,
    /// How many were under way with it.
    crowd: u64,
    /// How often each window had shrunk when it began.
    live_cuts: u64,
    replay_cuts: u64,
    /// Replay's: it used its share, and more than live traffic uses.
    filled_share: bool,
}

/// One upstream's, shared by all workers. Without locks, without allocation; survives a reload.
#[derive(Debug)]
pub struct Pace {
    live: Window,
    replay: Window,
    bounds: AtomicU64,
}

impl Pace {
    /// Live traffic's window begins at `start`: wide, since a window that has to be found first
    /// would hold up what the upstream bears easily. Replay's begins at 1.
    #[must_use]
    pub fn new(bounds: Bounds, start: u16) -> Self {
        let bounds = Bounds::unpacked(bounds.packed());
        Self {
            live: Window::new(start.clamp(bounds.min, bounds.max)),
            replay: Window::new(1),
            bounds: AtomicU64::new(bounds.packed()),
        }
    }

    /// Changes the bounds, from the next request on.
    pub fn retune(&self, bounds: Bounds) {
        self.bounds.store(bounds.packed(), Relaxed);
    }

    /// One more live request, if the window has room. Never asks what replay is doing.
    pub fn try_begin(&self) -> Option<Turn> {
        let bounds = self.bounds();
        let (crowd, live_cuts) = self.live.begin(|window| bounds.held(window))?;
        Some(Turn {
            whose: Whose::Live,
            crowd,
            live_cuts,
            replay_cuts: self.replay.cuts(),
            filled_share: false,
        })
    }

    /// One more from the spool, while so many live requests are under way:
    /// [`live_now`](Self::live_now), where they begin here.
    pub fn try_begin_replay(&self, live_now: u64) -> Option<Turn> {
        let share = self.share(live_now);
        let (crowd, replay_cuts) = self.replay.begin(|window| window.min(share))?;
        Some(Turn {
            whose: Whose::Replay,
            crowd,
            live_cuts: self.live.cuts(),
            replay_cuts,
            filled_share: is_full(crowd, share) && live_now <= crowd,
        })
    }

    /// A request is over. `heard` as a [`Breaker`](super::breaker::Breaker) is told, and ill also
    /// when only the deadline was missed.
    pub fn end(&self, turn: Turn, heard: Heard) {
        let bounds = self.bounds();
        let (live_cuts, replay_cuts) = (turn.live_cuts, turn.replay_cuts);
        match turn.whose {
            Whose::Live => self.live.leave(turn.crowd, live_cuts, heard, bounds),
            Whose::Replay => self.replay.leave(turn.crowd, replay_cuts, heard, bounds),
        }
        match (turn.whose, heard) {
            // What is too much for both is replay's to give back first.
            (Whose::Live, Heard::Ill) => {
                self.replay.shrink(replay_cuts, 1);
                self.live.shrink(live_cuts, bounds.min.into());
            }
            (Whose::Replay, Heard::Ill) => self.replay.shrink(replay_cuts, 1),
            // After an outage without live traffic only replay can find out how wide it is again.
            // Where there is as much live traffic, that does.
            (Whose::Replay, Heard::Well) if turn.filled_share => {
                self.live.grow(live_cuts, turn.crowd, bounds);
            }
            (_, Heard::Well | Heard::Nothing) => {}
        }
    }

    /// How many of replay may be under way, while so many live requests are.
    #[must_use]
    pub fn room_for_replay(&self, live_now: u64) -> u64 {
        self.replay.extent().size().min(self.share(live_now))
    }

    /// The live requests that are under way.
    #[must_use]
    pub fn live_now(&self) -> u64 {
        self.live.extent().under_way
    }

    /// The replayed ones that are under way.
    #[must_use]
    pub fn replays_now(&self) -> u64 {
        self.replay.extent().under_way
    }

    /// How many live requests may be under way at once.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.bounds().held(self.live.extent().size())
    }

    fn bounds(&self) -> Bounds {
        Bounds::unpacked(self.bounds.load(Relaxed))
    }

    /// Replay's share of what live traffic leaves free.
    fn share(&self, live_now: u64) -> u64 {
        let free = self.window().saturating_sub(live_now);
        let percent = u64::from(self.bounds().replay_percent);
        (free * percent / 100).max(free.min(1))
    }
}

/// More than half in use is fully used: answers come in bursts, after which the next begin one by
/// one. So a window is at most twice as wide as anybody ever needed.
const fn is_full(crowd: u64, window: u64) -> bool {
    crowd * 2 > window
}

/// Lies on cache lines of its own: each request changes it twice.
#[derive(Debug)]
#[repr(align(128))]
struct Window(AtomicU64);

/// What its word says.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// How wide it is, in parts.
    parts: u64,
    cuts: u64,
    under_way: u64,
}

impl Extent {
    const fn packed(self) -> u64 {
        (self.parts << CUTS_BITS | self.cuts) << UNDER_WAY_BITS | self.under_way
    }

    const fn unpacked(word: u64) -> Self {
        let upper = word >> UNDER_WAY_BITS;
        Self {
            parts: upper >> CUTS_BITS,
            cuts: upper & ((1 << CUTS_BITS) - 1),
            under_way: word & ((1 << UNDER_WAY_BITS) - 1),
        }
    }

    const fn size(self) -> u64 {
        self.parts / ONE
    }

    /// Wider by one in so many answers.
    fn grown(self, answers: u64, bounds: Bounds) -> Self {
        let wider = self.parts + ONE / answers.max(1);
        Self {
            parts: wider.min(u64::from(bounds.max) * ONE),
            ..self
        }
    }

    fn shrunk(self, size_min: u64) -> Self {
        Self {
            parts: (self.parts * KEPT_TENTHS / 10).max(size_min * ONE),
            cuts: (self.cuts + 1) & ((1 << CUTS_BITS) - 1),
            ..self
        }
    }
}

impl Window {
    fn new(size: u16) -> Self {
        let extent = Extent {
            parts: u64::from(size) * ONE,
            cuts: 0,
            under_way: 0,
        };
        Self(AtomicU64::new(extent.packed()))
    }

    fn extent(&self) -> Extent {
        Extent::unpacked(self.0.load(Relaxed))
    }

    fn cuts(&self) -> u64 {
        self.extent().cuts
    }

    fn change<T>(&self, step: impl Fn(Extent) -> Option<(Extent, T)>) -> Option<T> {
        word::change(&self.0, |word| {
            let (next, told) = step(Extent::unpacked(word))?;
            Some((next.packed(), told))
        })
    }

    /// How many are under way with one more, if as many fit as `limit` makes of the window, and how
    /// often it shrank.
    fn begin(&self, limit: impl Fn(u64) -> u64) -> Option<(u64, u64)> {
        self.change(|extent| {
            let under_way = extent.under_way + 1;
            let next = Extent {
                under_way,
                ..extent
            };
            (under_way <= limit(extent.size())).then_some((next, (under_way, extent.cuts)))
        })
    }

    /// One less is under way, and the window wider for it if that used it fully and is told well.
    fn leave(&self, crowd: u64, cuts: u64, heard: Heard, bounds: Bounds) {
        self.change(|extent| {
            let filled = is_full(crowd.max(extent.under_way), extent.size());
            let next = Extent {
                under_way: extent.under_way.saturating_sub(1),
                ..extent
            };
            match heard == Heard::Well && extent.cuts == cuts && filled {
                true => Some((next.grown(extent.size(), bounds), ())),
                false => Some((next, ())),
            }
        });
    }

    /// Wider for another's answers, by one in so many.
    fn grow(&self, cuts: u64, answers: u64, bounds: Bounds) {
        self.change(|extent| {
            let next = extent.grown(answers, bounds);
            (extent.cuts == cuts).then_some((next, ()))
        });
    }

    /// Narrower, unless it has become so since.
    fn shrink(&self, cuts: u64, size_min: u64) {
        self.change(|extent| {
            let next = extent.shrunk(size_min);
            (extent.cuts == cuts).then_some((next, ()))
        });
    }
}

#[cfg(test)]
mod tests;

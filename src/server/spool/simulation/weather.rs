//! What the network and the upstream do with a request, by mood. Draws; remembers nothing else.

use fastrand::Rng;

use super::senders::{Item, Kind};

/// How the upstream, and the way to it, are just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Slow,
    Late,
    Refusing,
    Hung,
    Resetting,
    TakingAndResetting,
    TakingInSilence,
    Busy,
    Failing,
    Limiting,
    Anything,
}

const MOODS: [Mood; 12] = [
    Mood::Well,
    Mood::Slow,
    Mood::Late,
    Mood::Refusing,
    Mood::Hung,
    Mood::Resetting,
    Mood::TakingAndResetting,
    Mood::TakingInSilence,
    Mood::Busy,
    Mood::Failing,
    Mood::Limiting,
    Mood::Anything,
];

/// What its sender hears of a request in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    /// 429: its category waits for so many seconds.
    Limited(u64),
    /// No answer: refused, reset, or silence until the time is over.
    Broken,
}

/// What will become of a request that is sent now, in milliseconds from now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) taken_in: Option<u64>,
    pub(super) replied_in: u64,
    pub(super) reply: Reply,
}

/// An upstream that says nothing for so long is given up.
const TIMEOUT_MS: u64 = 3000;

pub(super) struct Network {
    pub(super) mood: Mood,
    /// Nothing is ill any more.
    pub(super) is_mended: bool,
}

impl Network {
    pub(super) const fn well() -> Self {
        Self {
            mood: Mood::Well,
            is_mended: false,
        }
    }

    /// Another mood; how long it lasts.
    pub(super) fn turns(&mut self, rng: &mut Rng) -> u64 {
        let is_ill = self.mood == Mood::Well;
        self.mood = match is_ill {
            true => rng.choice(MOODS).unwrap(),
            false => Mood::Well,
        };
        // Now and then an outage, mostly a hiccup.
        match rng.u8(..8) {
            0 => rng.u64(5000..40_000),
            _ => rng.u64(50..2500),
        }
    }

    pub(super) fn mend(&mut self) {
        (self.mood, self.is_mended) = (Mood::Well, true);
    }

    pub(super) fn fate(&self, item: &Item, rng: &mut Rng) -> Fate {
        let mood = if self.mood == Mood::Anything {
            rng.choice(MOODS).unwrap()
        } else {
            self.mood
        };
        let soon = rng.u64(1..12);
        let taken = |taken_in: u64, replied_in: u64, reply| Fate {
            taken_in: Some(taken_in),
            replied_in,
            reply,
        };
        let untaken = |replied_in, reply| Fate {
            taken_in: None,
            replied_in,
            reply,
        };
        let ok = Reply::Status(200);
        match mood {
            Mood::Refusing => untaken(1, Reply::Broken),
            Mood::Hung => untaken(TIMEOUT_MS, Reply::Broken),
            Mood::Resetting => untaken(soon, Reply::Broken),
            _ if item.is_ill() && !self.is_mended => untaken(soon, Reply::Status(502)),
            _ if item.kind() == Kind::MadeUp => untaken(soon, Reply::Status(403)),
            Mood::Well | Mood::Anything => taken(soon, 2 * soon, ok),
            Mood::Slow => {
                let late = rng.u64(100..900);
                taken(late, late + soon, ok)
            }
            Mood::Late => {
                let late = rng.u64(900..TIMEOUT_MS);
                taken(soon, late, ok)
            }
            Mood::TakingAndResetting => taken(soon, soon + 1, Reply::Broken),
            Mood::TakingInSilence => taken(soon, TIMEOUT_MS, Reply::Broken),
            Mood::Busy => untaken(soon, Reply::Status(503)),
            Mood::Failing => untaken(soon, Reply::Status(500)),
            Mood::Limiting => untaken(soon, Reply::Limited(rng.u64(1..4))),
        }
    }
}

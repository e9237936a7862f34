//! How full a disk is, and when it will be full. Owns what counts as used, and the look
//! back; says that it does not know rather than guess, and never looks at a disk.

use crate::domain::switch::Share;

use super::lookback::{LookBack, reached_in_s};
use super::millis::Millis;

/// How far back is looked: databases merge and delete in turns of minutes, which are no trend.
const WINDOW_MS: u64 = 3_600_000;

/// A disk that begins to fill must not be judged by the calm hour before: of this look and the
/// long one, the sooner is told.
const SHORT_MS: u64 = 600_000;

/// How often something is noted.
const NOTE_EVERY_MS: u64 = 10_000;

/// Less than this says nothing.
const LEAST_MS: u64 = 10_000;

/// Nothing is foretold for longer than so many times what was seen: what a start writes in its
/// first minute is no trend.
const FORESIGHT: u64 = 100;

/// What takes longer is no forecast.
const FAR_S: u64 = 366 * 86_400;

/// Room that somebody made, in hundredths of the disk: how it filled before says nothing of how
/// it fills now.
const FREED_PERCENT: u64 = 1;

/// How much of something there is, to whoever is not privileged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Used by anybody.
    pub used: u64,
    /// Free for such as write there.
    pub free: u64,
}

impl Amount {
    /// What can be used in all: what is kept for the system alone is not part of it, as in `df`.
    #[must_use]
    pub const fn whole(self) -> u64 {
        self.used.saturating_add(self.free)
    }

    /// The share that is used; `None`: there is nothing to use.
    #[must_use]
    pub fn share(self) -> Option<Share> {
        Share::of(self.used, self.whole())
    }

    /// How much more is used once this share is.
    fn left_to(self, mark: Share) -> u64 {
        mark.part_of(self.whole()).saturating_sub(self.used)
    }
}

/// What a disk may be full of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes.
    Space,
    /// Files.
    Inodes,
}

impl Resource {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Inodes => "inodes",
        }
    }
}

/// A disk at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Its bytes.
    pub bytes: Amount,
    /// Its files; of nothing where it does not count them.
    pub inodes: Amount,
}

impl Seen {
    /// How full it is: a disk without inodes takes nothing, whatever space it has.
    #[must_use]
    pub fn fullest(&self) -> Option<(Share, Resource)> {
        let space = self.bytes.share().map(|share| (share, Resource::Space));
        let inodes = self.inodes.share().map(|share| (share, Resource::Inodes));
        match (space, inodes) {
            (Some(space), Some(inodes)) if inodes.0 > space.0 => Some(inodes),
            (Some(space), _) => Some(space),
            (None, inodes) => inodes,
        }
    }
}

/// When a disk is as full as that, should it go on like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reaches {
    /// Too little was seen.
    #[default]
    Unknown,
    /// Not within a year.
    Never,
    /// By then.
    In {
        /// From now.
        s: u64,
    },
}

impl Reaches {
    /// In seconds from now.
    #[must_use]
    pub const fn in_s(self) -> Option<u64> {
        match self {
            Self::In { s } => Some(s),
            Self::Unknown | Self::Never => None,
        }
    }
}

/// The last hour of a disk.
#[derive(Debug, Default)]
pub struct Filling(LookBack<Seen, WINDOW_MS, NOTE_EVERY_MS>);

impl Filling {
    /// Notes how it stands.
    pub fn note(&mut self, now: Millis, seen: Seen) {
        if let Some((_, last)) = self.0.latest() {
            let freed = last.bytes.used.saturating_sub(seen.bytes.used);
            if freed > seen.bytes.whole() / 100 * FREED_PERCENT {
                self.0.forget();
            }
        }
        self.0.note(now, seen);
    }

    /// Forgets how it went: from now on something else comes in.
    pub fn forget(&mut self) {
        self.0.forget();
    }

    /// When it is as full as a mark, of whichever it is sooner full of.
    #[must_use]
    pub fn reaches(&self, now: Millis, seen: &Seen, mark: Share) -> Reaches {
        let looks = [self.0.oldest(), self.0.within(now, SHORT_MS)];
        let looks = looks.into_iter().flatten();
        let mut looks = looks
            .map(|(at, then)| (now.since(at), then))
            .filter(|(took_ms, _)| *took_ms >= LEAST_MS)
            .peekable();
        if looks.peek().is_none() {
            return Reaches::Unknown;
        }
        let times = looks.flat_map(|(took_ms, then)| {
            let time = |is: Amount, was: Amount| {
                let grew = is.used.saturating_sub(was.used);
                let s = reached_in_s(is.left_to(mark), grew, took_ms);
                Some((s.filter(|_| is.whole() > 0)?, took_ms))
            };
            [time(seen.bytes, then.bytes), time(seen.inodes, then.inodes)]
        });
        let near: Vec<_> = times.flatten().filter(|(s, _)| *s <= FAR_S).collect();
        let told = near
            .iter()
            .filter(|(s, took_ms)| *s <= took_ms / 1000 * FORESIGHT);
        match told.map(|(s, _)| *s).min() {
            Some(s) => Reaches::In { s },
            None if near.is_empty() => Reaches::Never,
            None => Reaches::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;

    fn disk(used: u64) -> Seen {
        Seen {
            bytes: Amount {
                used,
                free: 1_000_000 - used,
            },
            inodes: Amount::default(),
        }
    }

    /// A disk noted each ten seconds up to `ms`, as full then as `used` says.
    fn filled(ms: u64, used: impl Fn(u64) -> u64) -> (Filling, Seen) {
        let mut filling = Filling::default();
        for at in (0..=ms).step_by(10_000) {
            filling.note(Millis(at), disk(used(at)));
        }
        (filling, disk(used(ms)))
    }

    #[track_caller]
    fn check(ms: u64, used: impl Fn(u64) -> u64, mark: &str, want: Reaches) {
        let (filling, seen) = filled(ms, used);
        let mark = Share::read(mark).unwrap();
        assert_eq!(filling.reaches(Millis(ms), &seen, mark), want);
    }

    #[test]
    fn what_is_used_is_what_others_cannot_have() {
        let root_reserve = Amount { used: 90, free: 5 };
        assert_eq!(root_reserve.share().unwrap().short(), "94.7%");
        assert_eq!(Amount::default().share(), None);
        let mut seen = disk(500_000);
        assert_eq!(seen.fullest().unwrap().1, Resource::Space);
        seen.inodes = Amount { used: 9, free: 1 };
        let (share, resource) = seen.fullest().unwrap();
        assert_eq!(
            (share.short().as_str(), resource),
            ("90.0%", Resource::Inodes)
        );
        seen.bytes = Amount::default();
        assert_eq!(seen.fullest().unwrap().1, Resource::Inodes);
        assert_eq!(Seen::default().fullest(), None);
    }

    #[test]
    fn nothing_is_foretold_from_a_moment() {
        check(0, |_| 500_000, "100%", Reaches::Unknown);
        let (filling, seen) = filled(0, |_| 500_000);
        let reaches = |ms| filling.reaches(Millis(ms), &seen, Share::ALL);
        assert_eq!(reaches(LEAST_MS - 1), Reaches::Unknown);
        assert_eq!(reaches(LEAST_MS), Reaches::Never);
    }

    #[test]
    fn a_disk_that_fills_reaches_each_mark_in_its_time() {
        // A hundred a second: 850000 after 8500 s, 120 of which are over.
        let fills = |ms: u64| ms / 10;
        check(2 * MINUTE, fills, "85%", Reaches::In { s: 8380 });
        check(2 * MINUTE, fills, "100%", Reaches::In { s: 9880 });
        check(MINUTE, |_| 500_000, "100%", Reaches::Never);
        check(MINUTE, |ms| 900_000 - ms / 100, "100%", Reaches::Never);
        // One byte in a minute: 500000 minutes are more than a year of them.
        check(MINUTE, |ms| 400_000 + ms / MINUTE, "100%", Reaches::Never);
    }

    #[test]
    fn a_short_look_foretells_a_short_time() {
        // A hundred and a fifth of it a second: 6000 s from now a minute has seen enough.
        let fills = |ms: u64| 1_000_000 - (6060 * SECOND - ms) / 10;
        check(MINUTE, fills, "100%", Reaches::In { s: 6000 });
        let fills = |ms: u64| 1_000_000 - (6070 * SECOND - ms) / 10;
        check(MINUTE, fills, "100%", Reaches::Unknown);
        check(2 * MINUTE, fills, "100%", Reaches::In { s: 5950 });
    }

    #[test]
    fn one_that_begins_to_fill_is_not_judged_by_the_calm_before() {
        let calm = 50 * MINUTE;
        let used = |ms: u64| 100_000 + ms.saturating_sub(calm) / 1000 * 100;
        // A hundred a second for ten minutes: 840000 are left.
        check(60 * MINUTE, used, "100%", Reaches::In { s: 8400 });
    }

    #[test]
    fn a_pause_in_an_hour_of_filling_does_not_calm() {
        let used = |ms: u64| 100_000 + ms.min(50 * MINUTE) / 1000 * 100;
        // 300000 in an hour, 600000 to go.
        check(60 * MINUTE, used, "100%", Reaches::In { s: 7200 });
    }

    #[test]
    fn room_that_was_made_begins_anew() {
        let used = |ms: u64| match ms < 10 * MINUTE {
            true => 800_000 + ms / 10,
            false => 200_000 + (ms - 10 * MINUTE) / 10,
        };
        check(12 * MINUTE, used, "100%", Reaches::In { s: 7880 });
    }

    #[test]
    fn inodes_run_out_as_space_does() {
        let mut filling = Filling::default();
        let seen = |at: u64| Seen {
            inodes: Amount {
                used: at,
                free: 10_000 - at,
            },
            ..disk(10)
        };
        for at in (0..=120).step_by(10) {
            filling.note(Millis(at * SECOND), seen(at));
        }
        let reaches = filling.reaches(Millis(2 * MINUTE), &seen(120), Share::ALL);
        assert_eq!(reaches, Reaches::In { s: 9880 });
        filling.forget();
        let reaches = filling.reaches(Millis(2 * MINUTE), &seen(120), Share::ALL);
        assert_eq!(reaches, Reaches::Unknown);
    }
}

//! Whether there is room for one more request. Owns the order in which a filling spool
//! refuses, and how often the disk is asked what is free; never asks it.

use crate::config::checked::Spool;
use crate::policy::millis::Millis;
use crate::policy::replay::lane::Lane;

use super::log::LogLimits;

/// What senders whose keys nobody vouches for may have of the spool, in hundredths.
const STRANGERS_PERCENT: u64 = 5;

/// A spool, or a share of it, without room for this much is full: most events are smaller.
pub(super) const COMMON_BYTES: u64 = 32 << 10;

/// What is used, all in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// By requests that are kept.
    pub live: u64,
    /// By files, whether or not all of them is kept.
    pub on_disk: u64,
    /// By requests of strangers.
    pub strangers: u64,
    /// Free on the file system.
    pub free: u64,
}

/// A request that asks for room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks {
    /// What it is worth.
    pub lane: Lane,
    /// What it takes.
    pub bytes: u64,
    /// What its project has already.
    pub project_bytes: u64,
    /// Its key is known to be real.
    pub proven: bool,
}

/// How full the spool may be, in hundredths, for one more of this worth.
const fn fills_to(lane: Lane) -> u64 {
    match lane {
        Lane::CheckIn | Lane::Error => 100,
        Lane::Transaction => 90,
        Lane::Attachment | Lane::Other => 80,
        Lane::Replay => 70,
    }
}

/// The size of a segment, for a spool of so many bytes: a sixteenth, so that what is
/// done with is soon free again, and at most 64 MiB.
pub(super) fn segment_bytes(max_bytes: u64) -> u32 {
    const LEAST: u64 = 256 << 10;
    const MOST: u64 = 64 << 20;
    u32::try_from((max_bytes / 16).clamp(LEAST, MOST)).unwrap_or(u32::MAX)
}

/// The sizes of the log's files, for a spool of so many bytes.
pub(in crate::server) fn log_limits(max_bytes: u64) -> LogLimits {
    let segment_bytes = segment_bytes(max_bytes);
    LogLimits {
        segment_bytes,
        inline_bytes_max: (segment_bytes / 4).min(1 << 20),
        ..LogLimits::default()
    }
}

/// How many requests can be kept: a queue in memory holds them, at 48 bytes each.
pub(in crate::server) fn records_max(max_bytes: u64) -> usize {
    usize::try_from((max_bytes >> 10).clamp(1024, 4 << 20)).unwrap_or(usize::MAX)
}

/// A part of the spool, in hundredths.
const fn part(config: &Spool, percent: u64) -> u64 {
    config.max_bytes / 100 * percent
}

/// What senders whose keys nobody vouches for may have, all together.
pub(super) const fn strangers_max(config: &Spool) -> u64 {
    part(config, STRANGERS_PERCENT)
}

/// Whether so much is to stay free that nothing can ever be kept on a file system of that
/// size: a slip, or another disk than was meant.
pub(super) const fn is_floor_beyond(config: &Spool, file_system_bytes: u64) -> bool {
    config.free_floor > 0 && config.free_floor >= file_system_bytes
}

/// Bytes for which there is room, were they of the most important kind. What files take
/// beyond what is kept is moved together before it fills them.
pub(super) fn room_bytes(config: &Spool, used: Used) -> u64 {
    let left = config.max_bytes.saturating_sub(used.live);
    left.min(used.free.saturating_sub(config.free_floor))
}

/// What is free on the disk, as it was last asked. Of a disk with much room that is once a
/// second: with each batch it was two of some four system calls.
///
/// `free_floor` holds all the same. What is kept here is taken off what was seen. Others may
/// write as well, and so do copies of bodies: as much as the floor and 256 MiB more would have
/// to go in one second before what is free could be below the floor unseen. Even then no more
/// goes below it than is kept in that second. With less room each batch asks, as a file of
/// the log, which takes its 64 MiB at once, can bring it there.
#[derive(Debug, Default)]
pub(in crate::server) struct Free {
    seen: Option<(Millis, u64)>,
}

impl Free {
    const EVERY_MS: u64 = 1000;
    const MUCH: u64 = 256 << 20;

    /// What is free now. `None` of a disk that does not say: it is tried.
    pub(in crate::server) fn look(
        &mut self,
        now: Millis,
        floor: u64,
        ask: impl FnOnce() -> Option<u64>,
    ) -> u64 {
        let much = floor.saturating_mul(2).saturating_add(Self::MUCH);
        if let Some((at, bytes)) = self.seen
            && bytes >= much
            && now.since(at) < Self::EVERY_MS
        {
            return bytes;
        }
        let bytes = ask().unwrap_or(u64::MAX);
        self.seen = Some((now, bytes));
        bytes
    }

    /// So much of it is written to.
    pub(in crate::server) fn takes(&mut self, bytes: u64) {
        if let Some((_, seen)) = &mut self.seen {
            *seen = seen.saturating_sub(bytes);
        }
    }
}

/// Whether there is room.
pub(super) fn has_room(config: &Spool, used: Used, asks: Asks) -> bool {
    let fits = |used: u64, most: u64| used.saturating_add(asks.bytes) <= most;
    // A segment more: one is always begun before the last is done with.
    let disk_max = config.max_bytes + u64::from(segment_bytes(config.max_bytes));
    fits(used.live, part(config, fills_to(asks.lane)))
        && fits(used.on_disk, disk_max)
        && fits(asks.project_bytes, config.project_bytes)
        && (asks.proven || fits(used.strangers, strangers_max(config)))
        && used.free >= config.free_floor.saturating_add(asks.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn config() -> Spool {
        Spool {
            max_bytes: 100 * MIB,
            project_bytes: 60 * MIB,
            free_floor: 10 * MIB,
            ..crate::config::Config::in_front_of(Vec::new()).spool
        }
    }

    const ASKS: Asks = Asks {
        lane: Lane::Error,
        bytes: MIB,
        project_bytes: 0,
        proven: true,
    };

    const EMPTY: Used = Used {
        live: 0,
        on_disk: 0,
        strangers: 0,
        free: u64::MAX,
    };

    #[track_caller]
    fn check(used: Used, asks: Asks, want: bool) {
        assert_eq!(has_room(&config(), used, asks), want, "{used:?} {asks:?}");
    }

    #[test]
    fn each_worth_fills_it_to_its_mark() {
        for (lane, percent) in [
            (Lane::CheckIn, 100),
            (Lane::Error, 100),
            (Lane::Transaction, 90),
            (Lane::Attachment, 80),
            (Lane::Other, 80),
            (Lane::Replay, 70),
        ] {
            let asks = Asks { lane, ..ASKS };
            let live = (percent - 1) * MIB;
            check(Used { live, ..EMPTY }, asks, true);
            let live = live + 1;
            check(Used { live, ..EMPTY }, asks, false);
        }
    }

    #[test]
    fn the_directory_stays_within_a_segment_of_its_limit() {
        let segment = u64::from(segment_bytes(100 * MIB));
        let on_disk = 99 * MIB + segment;
        check(Used { on_disk, ..EMPTY }, ASKS, true);
        let on_disk = on_disk + 1;
        check(Used { on_disk, ..EMPTY }, ASKS, false);
    }

    #[test]
    fn no_project_has_more_than_its_share() {
        let asks = |project_bytes| Asks {
            project_bytes,
            ..ASKS
        };
        check(EMPTY, asks(59 * MIB), true);
        check(EMPTY, asks(59 * MIB + 1), false);
    }

    #[test]
    fn strangers_share_a_twentieth() {
        let stranger = Asks {
            proven: false,
            ..ASKS
        };
        let strangers = 4 * MIB;
        check(Used { strangers, ..EMPTY }, stranger, true);
        let strangers = strangers + 1;
        check(Used { strangers, ..EMPTY }, stranger, false);
        check(Used { strangers, ..EMPTY }, ASKS, true);
    }

    #[test]
    fn what_is_left_is_the_spools_or_the_disks() {
        let left = |live, free| {
            let used = Used {
                live,
                free,
                ..EMPTY
            };
            room_bytes(&config(), used)
        };
        assert_eq!(left(30 * MIB, u64::MAX), 70 * MIB);
        assert_eq!(left(30 * MIB, 50 * MIB), 40 * MIB);
        assert_eq!(left(101 * MIB, u64::MAX), 0);
        assert_eq!(left(0, 9 * MIB), 0);
    }

    #[test]
    fn the_smallest_spool_holds_several_segments() {
        // The configuration takes nothing smaller.
        for max_bytes in [MIB, 4 * MIB, 16 * MIB, 1 << 30, 4 << 40] {
            assert!(4 * u64::from(segment_bytes(max_bytes)) <= max_bytes);
        }
    }

    #[test]
    fn a_floor_that_is_all_of_the_disk_is_beyond_it() {
        let config = config();
        assert!(is_floor_beyond(&config, config.free_floor));
        assert!(!is_floor_beyond(&config, config.free_floor + 1));
        let config = Spool {
            free_floor: 0,
            ..config
        };
        assert!(
            !is_floor_beyond(&config, 0),
            "a file system that says nothing"
        );
    }

    #[test]
    fn some_of_the_disk_stays_free() {
        let free = 11 * MIB;
        check(Used { free, ..EMPTY }, ASKS, true);
        let free = free - 1;
        check(Used { free, ..EMPTY }, ASKS, false);
    }

    /// Looks at a disk at these milliseconds, and says how often it was asked.
    fn asked(free: u64, floor: u64, looks: impl IntoIterator<Item = u64>) -> usize {
        let (mut of, mut asked) = (Free::default(), 0);
        for at in looks {
            let seen = of.look(Millis(at), floor, || {
                asked += 1;
                Some(free)
            });
            assert_eq!(seen, free);
        }
        asked
    }

    #[test]
    fn a_disk_with_much_room_is_asked_once_a_second() {
        assert_eq!(asked(1 << 40, 1 << 30, 0..10_000), 10);
        // It does not say: it is tried, and not asked all the time.
        let mut free = Free::default();
        assert_eq!(free.look(Millis(0), 0, || None), u64::MAX);
        assert_eq!(free.look(Millis(9), 0, || panic!("asked")), u64::MAX);
    }

    #[test]
    fn a_disk_near_its_floor_is_asked_at_each_look() {
        assert_eq!(asked((2 << 30) + (255 << 20), 1 << 30, 0..500), 500);
        assert_eq!(asked(255 << 20, 0, 0..500), 500);
    }

    #[test]
    fn what_is_kept_meanwhile_counts_before_the_disk_is_asked_again() {
        let mut free = Free::default();
        let much = (2 << 30) + (256 << 20);
        free.look(Millis(0), 1 << 30, || Some(much + 10));
        free.takes(10);
        assert_eq!(free.look(Millis(1), 1 << 30, || panic!("asked")), much);
        free.takes(1);
        assert_eq!(free.look(Millis(2), 1 << 30, || Some(7)), 7);
    }
}

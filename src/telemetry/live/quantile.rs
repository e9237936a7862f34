//! How long most things took, out of counts below bounds. As exact as the bounds are close.

use crate::telemetry::counts::BUCKETS_US;

/// So many counts: one for each bound, and one above the last.
pub const SLOTS: usize = BUCKETS_US.len() + 1;

/// The time in microseconds within which so many of a thousand observations lie.
///
/// Between two bounds they are taken to be spread evenly, as Prometheus takes them; above the
/// last bound it is that bound. `None`: nothing was observed.
#[must_use]
pub fn quantile_us(counts: &[u64], permille: u64) -> Option<u64> {
    let all: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    if all == 0 {
        return None;
    }
    // In thousandths of an observation, so that nothing is rounded away.
    let wanted = all * u128::from(permille.min(1000));
    let mut below = 0_u128;
    let mut lower_us = 0;
    for (count, bound_us) in counts.iter().zip(BUCKETS_US) {
        let here = u128::from(*count) * 1000;
        if here > 0 && below + here >= wanted {
            let into = u128::from(bound_us - lower_us) * (wanted - below) / here;
            return Some(lower_us + u64::try_from(into).unwrap_or(0));
        }
        below += here;
        lower_us = bound_us;
    }
    Some(lower_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many observations in the slot of that number.
    #[track_caller]
    fn check(filled: &[(usize, u64)], permille: u64, want: Option<u64>) {
        let mut counts = [0; SLOTS];
        for (slot, count) in filled {
            counts[*slot] = *count;
        }
        assert_eq!(
            quantile_us(&counts, permille),
            want,
            "{filled:?} {permille}"
        );
    }

    #[test]
    fn nothing_observed_has_no_quantile() {
        check(&[], 500, None);
    }

    #[test]
    fn observations_are_spread_evenly_between_their_bounds() {
        check(&[(0, 100)], 500, Some(250));
        check(&[(0, 100)], 1000, Some(500));
        check(&[(2, 10)], 500, Some(1_750));
        check(&[(0, 90), (4, 10)], 500, Some(277));
        check(&[(0, 90), (4, 10)], 990, Some(9_500));
        check(&[(0, 99), (4, 1)], 990, Some(500));
    }

    #[test]
    fn above_the_last_bound_it_is_that_bound() {
        check(&[(SLOTS - 1, 3)], 500, Some(120_000_000));
    }

    #[test]
    fn no_count_is_too_large() {
        check(&[(1, u64::MAX), (2, u64::MAX)], 500, Some(1_000));
    }
}

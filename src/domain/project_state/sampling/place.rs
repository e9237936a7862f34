//! Which ids Sentry keeps at a rate: a Relay's own function of them (PROTOCOL 7). Knows no rule.

use crate::domain::sampling::Rate;

/// Whether Sentry keeps what has this id at a rate.
///
/// Newer Relays have one bit more of the same number than older ones: left out is only what
/// either leaves out.
#[must_use]
pub fn sentry_keeps(rate: Rate, id: u128) -> bool {
    place(id) < rate.share()
}

/// Where an id stands between 0 and 1 for Sentry: PCG XSH-RR 64/32, its state from the high half
/// and its stream from the low half of the id.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "halves of 128 bits, 32 of 64 as the generator takes them, and 52 that fit a mantissa"
)]
pub(super) fn place(id: u128) -> f64 {
    const FACTOR: u64 = 6_364_136_223_846_793_005;
    let (start, stream) = ((id >> 64) as u64, id as u64);
    let step = stream.wrapping_mul(2).wrapping_add(1);
    let next = |state: u64| state.wrapping_mul(FACTOR).wrapping_add(step);
    let word =
        |state: u64| (((state >> 18 ^ state) >> 27) as u32).rotate_right((state >> 59) as u32);
    let first = next(start.wrapping_add(step));
    let number = u64::from(word(first)) | u64::from(word(next(first))) << 32;
    // 2^-52.
    (number >> 12) as f64 * (1.0 / 4_503_599_627_370_496.0)
}

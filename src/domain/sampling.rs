//! Which of many are kept, so that everybody who asks about one gets the same answer.
//!
//! Owns the function that every edge shares, and what a sampling rule says. Never knows what
//! an id is the id of: `policy::wanted` does.

use std::fmt;

use super::category::Categories;
use super::glob::Glob;

/// The share that is kept, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// All is kept.
    pub const ALL: Self = Self(1.0);

    /// Nothing is kept.
    pub const NONE: Self = Self(0.0);

    /// `None`: not a number from 0 to 1.
    #[must_use]
    pub fn of(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share.
    #[must_use]
    pub const fn share(self) -> f64 {
        self.0
    }

    /// Whether none is kept, or all: then nobody has to ask which.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.0 <= 0.0 || self.0 >= 1.0
    }

    /// The lower of both: what it keeps, either keeps.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }

    /// Whether what has this id is among those that are kept. What a lower rate keeps, a
    /// higher one keeps too.
    #[must_use]
    pub fn keeps(self, id: u128) -> bool {
        place(id) < self.0
    }
}

/// As a percentage, to the millionth of the whole.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", (self.0 * 1_000_000.0).round() / 10_000.0)
    }
}

/// Where an id stands between 0 and 1: the same on every edge, of every version.
///
/// Two rounds of a mixer over both halves of the id, big end first; ids that differ in one bit
/// stand anywhere. Not Sentry's own function (PROTOCOL 7): what this edge keeps must not be what
/// a sampling rule of the upstream would keep anyway.
#[must_use]
pub fn place(id: u128) -> f64 {
    let [high, low] = halves(id);
    let mixed = mix(mix(high ^ 0x9e37_79b9_7f4a_7c15) ^ low);
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "53 bits fit a double's mantissa exactly"
    )]
    let wide = (mixed >> 11) as f64;
    // 2^-53.
    wide * (1.0 / 9_007_199_254_740_992.0)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "each half is 64 bits of the 128"
)]
const fn halves(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

/// The finaliser of MurmurHash3, 64 bits.
const fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

/// An id as Sentry's protocol writes it: 32 hex digits of either case, with or without dashes.
#[must_use]
pub fn id(text: &str) -> Option<u128> {
    let mut id = 0;
    let mut digits = 0_u32;
    for sign in text.chars().filter(|sign| *sign != '-') {
        id = id << 4 | u128::from(sign.to_digit(16)?);
        digits += 1;
        if digits > 32 {
            return None;
        }
    }
    (digits == 32).then_some(id)
}

/// How much of a project is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// The first that matches decides.
    pub rules: Vec<Rule>,
    /// What holds for a category where no rule matches; all of it where none is named.
    pub categories: Vec<(Categories, Rate)>,
}

/// A share of what is alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Empty: whatever can be sampled.
    pub categories: Categories,
    /// The environment, if that matters.
    pub environment: Option<Glob>,
    /// The release, if that matters.
    pub release: Option<Glob>,
    /// The share that is kept.
    pub rate: Rate,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: f64) {
        assert_eq!(place(id(text).unwrap()).to_bits(), want.to_bits(), "{text}");
    }

    /// Every edge must agree with every other, whatever its version: these never change.
    #[test]
    fn an_id_stands_where_it_always_stood() {
        check("4a106cf6b15144eb9131ae7db1a157a3", 0.410_537_790_940_827_54);
        check("00000000000000000000000000000000", 0.388_974_494_306_943_4);
    }

    #[test]
    fn a_rate_is_a_share() {
        for share in [0.0, 0.5, 1.0] {
            assert_eq!(Rate::of(share).map(Rate::share), Some(share));
        }
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::of(wrong), None, "{wrong}");
        }
        assert!(Rate::ALL.is_certain() && Rate::of(0.0).unwrap().is_certain());
        assert!(!Rate::of(0.5).unwrap().is_certain());
    }

    #[test]
    fn a_rate_is_shown_as_a_percentage() {
        for (share, want) in [
            (0.0, "0%"),
            (0.1, "10%"),
            (0.07, "7%"),
            (1.0 / 3.0, "33.3333%"),
            (1.0, "100%"),
        ] {
            assert_eq!(Rate::of(share).unwrap().to_string(), want);
        }
    }

    #[test]
    fn ids_are_read_as_sdks_write_them() {
        let want = Some(0x4a10_6cf6_b151_44eb_9131_ae7d_b1a1_57a3);
        for text in [
            "4a106cf6b15144eb9131ae7db1a157a3",
            "4A106CF6B15144EB9131AE7DB1A157A3",
            "4a106cf6-b151-44eb-9131-ae7db1a157a3",
        ] {
            assert_eq!(id(text), want, "{text}");
        }
        for text in [
            "",
            "4a106cf6b15144eb9131ae7db1a157a",
            "4a106cf6b15144eb9131ae7db1a157a3a",
            "4a106cf6b15144eb9131ae7db1a157ag",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn none_keeps_none_and_all_keeps_all() {
        for id in [0, 1, u128::MAX, 0x4a10_6cf6_b151_44eb_9131_ae7d_b1a1_57a3] {
            assert!(Rate::ALL.keeps(id) && !Rate::of(0.0).unwrap().keeps(id));
        }
    }

    proptest! {
        #[test]
        fn a_higher_rate_keeps_what_a_lower_one_keeps(
            id in any::<u128>(),
            a in 0.0..=1.0_f64,
            b in 0.0..=1.0_f64,
        ) {
            let (low, high) = (Rate::of(a.min(b)).unwrap(), Rate::of(a.max(b)).unwrap());
            prop_assert!(!low.keeps(id) || high.keeps(id));
            prop_assert!(low.lower(high) == low && high.lower(low) == low);
            prop_assert!((0.0..1.0).contains(&place(id)));
        }
    }
}

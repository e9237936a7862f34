//! Which of many are looked at: one in so many, as many as it takes to stay below a rate. Never
//! reads a clock: whoever keeps it says when a second begins. Chance is the caller's.

use std::cell::Cell;

/// Passes every one while few come, and fewer of more: `most` a second, and some dozens more in
/// a second whose rate is far above that of the one before. Those that pass stand for all that
/// came since the one before them.
///
/// One that does not pass costs a load, a test and a store.
#[derive(Debug)]
pub struct OneIn {
    /// So many a second are to pass.
    most: u64,
    /// One in so many passes, now.
    every: Cell<u64>,
    /// So many go by before the next that passes.
    ahead: Cell<u64>,
    /// For how many the next stands.
    run: Cell<u64>,
    /// All that came up to the last that passed.
    came: Cell<u64>,
    /// All that had come when the second began.
    before: Cell<u64>,
    /// How many passed in this second.
    passed: Cell<u64>,
}

impl OneIn {
    /// Lets the first pass.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self {
            most,
            every: Cell::new(1),
            ahead: Cell::new(0),
            run: Cell::new(1),
            came: Cell::new(0),
            before: Cell::new(0),
            passed: Cell::new(0),
        }
    }

    /// One more comes. `Some`: it passes, and stands for so many, itself among them. `draw` yields
    /// a number from one to its argument by chance: whatever alternates must not be met at the same
    /// beat for ever.
    pub fn takes(&self, draw: impl FnOnce(u64) -> u64) -> Option<u64> {
        match self.ahead.get().checked_sub(1) {
            Some(ahead) => {
                self.ahead.set(ahead);
                None
            }
            None => Some(self.passes(draw)),
        }
    }

    #[cold]
    fn passes(&self, draw: impl FnOnce(u64) -> u64) -> u64 {
        let stands_for = self.run.get();
        self.came.set(self.came.get().saturating_add(stands_for));
        let passed = self.passed.get() + 1;
        self.passed.set(passed);
        let mut every = self.every.get();
        if passed >= self.most {
            // The rate has grown: a few more tell how far.
            every = every.saturating_mul(2).min(EVERY_MAX);
            self.every.set(every);
        }
        // On the average, every so manyth.
        let run = match every {
            1 => 1,
            every => draw(2 * every - 1),
        };
        self.run.set(run);
        self.ahead.set(run - 1);
        stands_for
    }

    /// A second begins, and is taken to be like the one that is over.
    pub fn begins_second(&self) {
        let waited = self.run.get() - 1 - self.ahead.get();
        let came = self.came.get().saturating_add(waited);
        let lately = came.saturating_sub(self.before.get());
        self.before.set(came);
        self.passed.set(0);
        let every = lately.div_ceil(self.most.max(1)).clamp(1, EVERY_MAX);
        self.every.set(every);
        // Of a rate that fell, the next is met as soon as others will be.
        let ahead = self.ahead.get().min(every - 1);
        self.ahead.set(ahead);
        self.run.set(waited + ahead + 1);
    }
}

/// Beyond a thousand million a second nobody has to tell apart.
const EVERY_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of `came` pass, and for how many those stand. Drawn from a small generator.
    fn second(one_in: &OneIn, came: u64, seed: &mut u64) -> (u64, u64) {
        let (mut passed, mut stood) = (0, 0);
        for _ in 0..came {
            if let Some(stands_for) = one_in.takes(|most| drawn(seed, most)) {
                passed += 1;
                stood += stands_for;
            }
        }
        one_in.begins_second();
        (passed, stood)
    }

    /// Marsaglia's xorshift.
    fn drawn(seed: &mut u64, most: u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed % most + 1
    }

    #[test]
    fn all_pass_while_few_come() {
        let one_in = OneIn::new(32);
        let mut seed = 7;
        for came in [1, 31, 5, 0, 31, 31] {
            assert_eq!(second(&one_in, came, &mut seed), (came, came));
        }
    }

    #[test]
    fn of_many_about_as_many_pass_as_may() {
        let one_in = OneIn::new(32);
        let mut seed = 7;
        let (first, _) = second(&one_in, 1_000_000, &mut seed);
        assert!((32..=64).contains(&first), "{first} of the first second");
        for _ in 0..20 {
            let (passed, _) = second(&one_in, 1_000_000, &mut seed);
            assert!((20..=48).contains(&passed), "{passed} of a second");
        }
    }

    #[test]
    fn when_the_rate_falls_the_next_passes_at_once() {
        let one_in = OneIn::new(3);
        let mut seed = 7;
        let (_, stood) = second(&one_in, 1_000, &mut seed);
        one_in.begins_second();
        let stands_for = one_in.takes(|most| drawn(&mut seed, most));
        assert_eq!(stands_for, Some(1_000 - stood + 1), "with all that went by");
        assert_eq!(one_in.takes(|_| unreachable!()), Some(1));
    }

    #[test]
    fn two_that_alternate_are_both_met() {
        let one_in = OneIn::new(50);
        let (mut seed, mut met) = (7, [0_u64; 2]);
        for _ in 0..20 {
            for place in (0..5_000).map(|n| n % 2) {
                met[place] += one_in.takes(|most| drawn(&mut seed, most)).unwrap_or(0);
            }
            one_in.begins_second();
        }
        for met in met {
            assert!((40_000..=60_000).contains(&met), "{met} of 50000");
        }
    }

    proptest! {
        /// Whatever comes is stood for once, but for what the next will stand for.
        #[test]
        fn nothing_is_lost_or_counted_twice(
            most in 1_u64..40, came in prop::collection::vec(0_u64..3_000, 1..12), seed in 1_u64..
        ) {
            let (one_in, mut seed) = (OneIn::new(most), seed);
            let mut stood = 0;
            for came in &came {
                stood += second(&one_in, *came, &mut seed).1;
            }
            let left = one_in.run.get() - 1 - one_in.ahead.get();
            prop_assert_eq!(stood + left, came.iter().sum::<u64>());
        }
    }
}

//! A pattern as steps that lead through a text, several at a time.
//!
//! Owns the walk, which takes each step at most once for each character: no pattern is so made
//! that a text can make it slow. Never reads a pattern: `reading` does.

use super::{PATTERN_BYTES_MAX, TEXT_BYTES_MAX};

/// An alternative takes two, and at least a byte of a pattern for each.
pub(super) const STEPS_MAX: usize = 2 * PATTERN_BYTES_MAX;

/// The place behind the last step is one too.
const WORDS: usize = STEPS_MAX / WORD_BITS + 1;

const WORD_BITS: usize = 64;

/// What a pattern says, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Steps(Box<[Step]>);

/// One step. Those that take no character lead forward only, so that one look over all of them
/// in their order follows every one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// This character; of ASCII letters either case.
    Sign(char),
    /// One character, whichever.
    Any,
    /// One character of a class.
    One(Class),
    /// As many characters as there are.
    Many,
    /// The same, and behind it nothing is asked for.
    Rest,
    /// On to the next step, and to that one too.
    Also(usize),
    /// On to that step.
    Goto(usize),
}

/// Some characters, or all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// First and last of each range.
    pub(super) ranges: Box<[(char, char)]>,
    pub(super) others: bool,
}

impl Class {
    fn has(&self, sign: char) -> bool {
        let named = |sign| {
            let mut ranges = self.ranges.iter();
            ranges.any(|(first, last)| (*first..=*last).contains(&sign))
        };
        let named = named(sign.to_ascii_lowercase()) || named(sign.to_ascii_uppercase());
        named != self.others
    }
}

impl Step {
    fn takes(&self, sign: char) -> bool {
        match self {
            Self::Sign(want) => want.eq_ignore_ascii_case(&sign),
            Self::One(class) => class.has(sign),
            Self::Any => true,
            Self::Many | Self::Rest | Self::Also(_) | Self::Goto(_) => false,
        }
    }
}

impl Steps {
    /// Steps in their order; each leads forward, and there are at most [`STEPS_MAX`].
    pub(super) fn new(mut steps: Vec<Step>) -> Self {
        // From behind: which of them reach the end without a character.
        let mut ends = vec![false; steps.len()];
        ends.push(true);
        for (at, step) in steps.iter_mut().enumerate().rev() {
            let reaches = |at: usize| ends.get(at).copied().unwrap_or(false);
            let end = match step {
                Step::Many | Step::Rest => reaches(at + 1),
                Step::Also(to) => reaches(at + 1) || reaches(*to),
                Step::Goto(to) => reaches(*to),
                Step::Sign(_) | Step::Any | Step::One(_) => false,
            };
            if end && *step == Step::Many {
                *step = Step::Rest;
            }
            if let Some(slot) = ends.get_mut(at) {
                *slot = end;
            }
        }
        Self(steps.into())
    }

    /// Whether they lead from the beginning of a text to its end. `taken` hears of each step.
    pub(super) fn lead_through(&self, text: &str, mut taken: impl FnMut()) -> bool {
        let mut signs = text.chars();
        let mut seen = 0;
        let mut here = Places::default();
        here.add(0);
        loop {
            let sign = signs.next();
            let mut next = Places::default();
            let mut from = 0;
            while let Some(at) = here.at_or_behind(from) {
                from = at + 1;
                taken();
                match (self.0.get(at), sign) {
                    (Some(Step::Rest), _) | (None, None) => return true,
                    (Some(Step::Goto(to)), _) => here.add(*to),
                    (Some(Step::Also(to)), _) => {
                        here.add(at + 1);
                        here.add(*to);
                    }
                    (Some(Step::Many), _) => {
                        here.add(at + 1);
                        next.add(at);
                    }
                    (Some(step), Some(sign)) if step.takes(sign) => next.add(at + 1),
                    (Some(_), _) | (None, Some(_)) => {}
                }
            }
            let Some(sign) = sign else { return false };
            seen += sign.len_utf8();
            if seen > TEXT_BYTES_MAX || next.is_empty() {
                return false;
            }
            here = next;
        }
    }
}

/// Which steps come next, and the end among them.
#[derive(Default)]
struct Places([u64; WORDS]);

impl Places {
    fn add(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / WORD_BITS) {
            *word |= 1 << (at % WORD_BITS);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn at_or_behind(&self, from: usize) -> Option<usize> {
        let mut word_at = from / WORD_BITS;
        let mut word = self.0.get(word_at)? & u64::MAX << (from % WORD_BITS);
        while word == 0 {
            word_at += 1;
            word = *self.0.get(word_at)?;
        }
        let bit = usize::try_from(word.trailing_zeros()).ok()?;
        Some(word_at * WORD_BITS + bit)
    }
}

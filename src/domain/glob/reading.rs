//! Owns how a pattern with classes, alternatives or escapes is read. A text that one reader would
//! take for this and another for that is none.

use std::iter::{Enumerate, Peekable};
use std::str::Chars;

use super::steps::{Class, Step, Steps};
use super::{GlobError, NESTING_MAX};

/// The steps of a pattern.
pub(super) fn steps(text: &str) -> Result<Steps, GlobError> {
    let mut reader = Reader {
        signs: text.chars().enumerate().peekable(),
        steps: Vec::new(),
        open: Vec::new(),
    };
    while let Some((at, sign)) = reader.signs.next() {
        reader.sign(at + 1, sign)?;
    }
    match reader.open.last() {
        Some(Open { at, .. }) => Err(GlobError::OpenAlternatives { at: *at }),
        None => Ok(Steps::new(reader.steps)),
    }
}

struct Reader<'t> {
    signs: Peekable<Enumerate<Chars<'t>>>,
    steps: Vec<Step>,
    /// Alternatives that are not closed yet, the outermost first.
    open: Vec<Open>,
}

/// Alternatives of which some were read.
struct Open {
    /// Of their brace.
    at: usize,
    /// The step before the last one, which leads to the next as well.
    fork: usize,
    /// The steps behind each of the others, which lead to the end of all.
    ends: Vec<usize>,
}

impl Reader<'_> {
    fn sign(&mut self, at: usize, sign: char) -> Result<(), GlobError> {
        let step = match sign {
            '*' => Step::Many,
            '?' => Step::Any,
            '\\' => Step::Sign(self.escaped()?),
            '[' => Step::One(self.class(at)?),
            '{' => return self.open(at),
            ',' if !self.open.is_empty() => {
                self.another();
                return Ok(());
            }
            '}' if !self.open.is_empty() => return self.close(),
            sign => Step::Sign(sign),
        };
        self.steps.push(step);
        Ok(())
    }

    fn escaped(&mut self) -> Result<char, GlobError> {
        let next = self.signs.next();
        next.map(|(_, sign)| sign).ok_or(GlobError::Backslash)
    }

    fn open(&mut self, at: usize) -> Result<(), GlobError> {
        if self.open.len() == NESTING_MAX {
            return Err(GlobError::TooDeep { at });
        }
        let fork = self.fork();
        self.open.push(Open {
            at,
            fork,
            ends: Vec::new(),
        });
        Ok(())
    }

    /// A step that leads to the next one, and where else is not known yet.
    fn fork(&mut self) -> usize {
        let at = self.steps.len();
        self.steps.push(Step::Goto(at + 1));
        at
    }

    fn another(&mut self) {
        let end = self.fork();
        let fork = self.fork();
        if let Some(open) = self.open.last_mut() {
            open.ends.push(end);
            let before = std::mem::replace(&mut open.fork, fork);
            self.lead(before, Step::Also(fork));
        }
    }

    fn close(&mut self) -> Result<(), GlobError> {
        let Some(Open { at, ends, .. }) = self.open.pop() else {
            return Ok(());
        };
        if ends.is_empty() {
            return Err(GlobError::OneAlternative { at });
        }
        let behind = self.steps.len();
        for end in ends {
            self.lead(end, Step::Goto(behind));
        }
        Ok(())
    }

    fn lead(&mut self, at: usize, step: Step) {
        if let Some(slot) = self.steps.get_mut(at) {
            *slot = step;
        }
    }

    /// A class, its bracket being read.
    fn class(&mut self, at: usize) -> Result<Class, GlobError> {
        let others = self.signs.next_if(|(_, sign)| *sign == '!').is_some();
        let mut ranges = Vec::new();
        loop {
            let (place, sign) = self.signs.next().ok_or(GlobError::OpenClass { at })?;
            let first = match sign {
                ']' if ranges.is_empty() => return Err(GlobError::EmptyClass { at }),
                ']' => {
                    let ranges = ranges.into();
                    return Ok(Class { ranges, others });
                }
                '^' if ranges.is_empty() => return Err(GlobError::Caret { at }),
                '[' if self.is_next(&[':', '.', '=']) => {
                    return Err(GlobError::NamedClass { at: place + 1 });
                }
                '\\' => self.escaped().map_err(|_| GlobError::OpenClass { at })?,
                sign => sign,
            };
            let last = self.range(at, first)?;
            if last < first {
                return Err(GlobError::Range { at: place + 1 });
            }
            ranges.push((first, last));
        }
    }

    /// The last character of a range, which is its first where there is none: a `-` at either
    /// end of a class is one itself.
    fn range(&mut self, at: usize, first: char) -> Result<char, GlobError> {
        if !self.is_next(&['-']) {
            return Ok(first);
        }
        let mut ahead = self.signs.clone();
        ahead.next();
        match ahead.next() {
            None => Err(GlobError::OpenClass { at }),
            Some((_, ']')) => Ok(first),
            Some((_, last)) => {
                self.signs = ahead;
                match last {
                    '\\' => self.escaped().map_err(|_| GlobError::OpenClass { at }),
                    last => Ok(last),
                }
            }
        }
    }

    fn is_next(&mut self, any: &[char]) -> bool {
        self.signs
            .peek()
            .is_some_and(|(_, sign)| any.contains(sign))
    }
}

//! The last hour in frames: what was counted between two readings. Two rings, a fine one of ten
//! minutes and a coarse one of an hour, each of a fixed length: some 600 kB when they are full,
//! whatever number of projects there is. Never looks at a counter.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::quantile::{SLOTS, quantile_us};
use super::reading::{Column, Kind, Reading};

/// How often a reading is taken.
pub const FINE_MS: u64 = 2_000;

/// Ten minutes of fine frames.
pub const FINE_MAX: usize = 300;

/// A coarse frame sums so many fine ones: half a minute.
pub const FOLDED: u64 = 15;

/// An hour of coarse frames.
pub const COARSE_MAX: usize = 120;

/// The quantiles that are told of durations, in thousandths.
pub const TOLD_PERMILLE: [u64; 3] = [500, 950, 990];

/// What happened between two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Counts the fine frames since the start; a coarse one has the number of its last.
    pub number: u64,
    /// Its end, in milliseconds of Unix time.
    pub at_ms: u64,
    /// How long it lasted.
    pub span_ms: u64,
    values: Box<[u64]>,
}

/// The rings.
#[derive(Debug)]
pub struct History {
    columns: Vec<Column>,
    /// When the last reading was taken, by a clock that nobody sets, and what it said.
    before: (u64, Vec<u64>),
    fine: VecDeque<Frame>,
    coarse: VecDeque<Frame>,
    /// What will be the next coarse frame.
    folding: Option<Frame>,
    number: u64,
}

impl History {
    /// Empty, from `now_ms` on. What `first` has counted came before: the books may be those of
    /// a process that was taken over from.
    #[must_use]
    pub fn new(now_ms: u64, first: Reading) -> Self {
        Self {
            columns: Vec::new(),
            before: (now_ms, first.values),
            fine: VecDeque::with_capacity(FINE_MAX),
            coarse: VecDeque::with_capacity(COARSE_MAX),
            folding: None,
            number: 0,
        }
    }

    /// Takes a reading. `now_ms` goes on however the wall's clock is set, which shows `unix_ms`.
    pub fn note(&mut self, now_ms: u64, unix_ms: u64, reading: Reading) {
        self.number += 1;
        let Reading { columns, values } = reading;
        let (then_ms, before) = &self.before;
        let frame = Frame {
            number: self.number,
            at_ms: unix_ms,
            span_ms: now_ms.saturating_sub(*then_ms),
            values: since(&columns, before, &values),
        };
        self.before = (now_ms, values);
        self.columns = columns;
        self.fold(&frame);
        push(&mut self.fine, FINE_MAX, frame);
    }

    fn fold(&mut self, frame: &Frame) {
        let folding = match self.folding.take() {
            Some(folding) => folded(&self.columns, folding, frame),
            None => frame.clone(),
        };
        match self.number.is_multiple_of(FOLDED) {
            true => push(&mut self.coarse, COARSE_MAX, folding),
            false => self.folding = Some(folding),
        }
    }

    /// The number of the last frame; 0 before the first.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether every frame behind this one is still here.
    #[must_use]
    pub fn reaches(&self, number: u64) -> bool {
        let first = self.fine.front().map_or(0, |frame| frame.number);
        number <= self.number && number + 1 >= first
    }

    /// What the numbers of a frame are about, as JSON: `[["family","label","kind"], ...]`. Of
    /// durations the quantiles are told, in microseconds.
    #[must_use]
    pub fn columns_json(&self) -> String {
        let mut told = Vec::new();
        for Column {
            family,
            label,
            kind,
        } in &self.columns
        {
            match kind {
                Kind::Sum => told.push(format!("[\"{family}\",\"{label}\",\"sum\"]")),
                Kind::Level => told.push(format!("[\"{family}\",\"{label}\",\"level\"]")),
                Kind::Durations => {
                    for name in ["p50", "p95", "p99"] {
                        told.push(format!("[\"{family}\",\"{label}.{name}\",\"quantile\"]"));
                    }
                }
            }
        }
        format!("[{}]", told.join(","))
    }

    /// The fine frames behind one, as JSON: `[[number, unix_ms, span_ms, ...], ...]`.
    #[must_use]
    pub fn fine_json(&self, behind: u64) -> String {
        self.frames_json(&self.fine, behind)
    }

    /// The coarse frames behind one, in the same form.
    #[must_use]
    pub fn coarse_json(&self, behind: u64) -> String {
        self.frames_json(&self.coarse, behind)
    }

    fn frames_json(&self, frames: &VecDeque<Frame>, behind: u64) -> String {
        let mut text = String::from("[");
        for frame in frames.iter().filter(|frame| frame.number > behind) {
            if text.len() > 1 {
                text.push(',');
            }
            self.write(frame, &mut text);
        }
        text.push(']');
        text
    }

    fn write(&self, frame: &Frame, text: &mut String) {
        let Frame {
            number,
            at_ms,
            span_ms,
            values,
        } = frame;
        // A string takes all that is written.
        write!(text, "[{number},{at_ms},{span_ms}").ok();
        each(&self.columns, values, |kind, values| match kind {
            Kind::Sum | Kind::Level => {
                for value in values {
                    write!(text, ",{value}").ok();
                }
            }
            Kind::Durations => {
                for permille in TOLD_PERMILLE {
                    match quantile_us(values, permille) {
                        Some(us) => write!(text, ",{us}").ok(),
                        None => write!(text, ",null").ok(),
                    };
                }
            }
        });
        text.push(']');
    }
}

fn push(ring: &mut VecDeque<Frame>, most: usize, frame: Frame) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(frame);
}

/// Each column's numbers, in their order.
fn each(columns: &[Column], values: &[u64], mut seen: impl FnMut(Kind, &[u64])) {
    let mut rest = values;
    for column in columns {
        let width = match column.kind {
            Kind::Sum | Kind::Level => 1,
            Kind::Durations => SLOTS,
        };
        let Some((own, behind)) = rest.split_at_checked(width) else {
            return;
        };
        seen(column.kind, own);
        rest = behind;
    }
}

/// What was counted since a reading; levels as they are now. One that went back counts as nothing.
fn since(columns: &[Column], before: &[u64], now: &[u64]) -> Box<[u64]> {
    let mut frame = Vec::with_capacity(now.len());
    each(columns, now, |kind, values| {
        for value in values {
            let then = match kind {
                Kind::Level => 0,
                Kind::Sum | Kind::Durations => before.get(frame.len()).copied().unwrap_or(0),
            };
            frame.push(value.saturating_sub(then));
        }
    });
    frame.into()
}

/// Two frames as one, which ends as the later does.
fn folded(columns: &[Column], earlier: Frame, later: &Frame) -> Frame {
    let mut values = Vec::with_capacity(later.values.len());
    each(columns, &later.values, |kind, own| {
        for value in own {
            let add = match kind {
                Kind::Level => 0,
                Kind::Sum | Kind::Durations => {
                    earlier.values.get(values.len()).copied().unwrap_or(0)
                }
            };
            values.push(value.saturating_add(add));
        }
    });
    Frame {
        number: later.number,
        at_ms: later.at_ms,
        span_ms: earlier.span_ms.saturating_add(later.span_ms),
        values: values.into(),
    }
}

#[cfg(test)]
mod tests;

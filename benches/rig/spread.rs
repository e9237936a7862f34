//! What several rounds of one measurement come to. Pure.

use serde_json::{Value, json};

/// Smallest, middle and largest of the rounds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Sums values up; `None` of nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self {
            min,
            median: f64::midpoint(lower, upper),
            max,
        })
    }

    /// As programs read it.
    pub(crate) fn json(self) -> Value {
        json!({"min": self.min, "median": self.median, "max": self.max})
    }
}

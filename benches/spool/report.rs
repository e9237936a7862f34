//! What was measured, as Markdown for people and JSON for programs. Pure: reads no clock and
//! writes no file.

use serde_json::{Value, json};

use crate::ground::Ground;
use crate::spread::Spread;

/// What a number has to be.
#[derive(Clone, Copy)]
pub(crate) enum Gate {
    AtLeast(f64),
    AtMost(f64),
}

/// One number, over all rounds.
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    spread: Option<Spread>,
    gate: Option<Gate>,
}

impl Row {
    /// What was measured, in which unit, once a round.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Self {
        Self {
            what: what.into(),
            unit,
            spread: Spread::of(rounds),
            gate: None,
        }
    }

    /// What its median has to be.
    pub(crate) fn must_be(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// `None` where nothing is demanded.
    fn met(&self) -> Option<bool> {
        let median = self.spread?.median;
        Some(match self.gate? {
            Gate::AtLeast(least) => median >= least,
            Gate::AtMost(most) => median <= most,
        })
    }

    fn measured(&self) -> String {
        let Some(Spread { min, median, max }) = self.spread else {
            return "-".into();
        };
        let (low, middle, high) = (short(min), short(median), short(max));
        match low == high {
            true => format!("{middle} {}", self.unit),
            false => format!("{middle} {} ({low} to {high})", self.unit),
        }
    }

    fn demanded(&self) -> String {
        let met = match self.met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        match self.gate {
            Some(Gate::AtLeast(least)) => format!("at least {least}, {met}"),
            Some(Gate::AtMost(most)) => format!("at most {most}, {met}"),
            None => String::new(),
        }
    }

    fn json(&self) -> Value {
        let (at_least, at_most) = match self.gate {
            Some(Gate::AtLeast(least)) => (Some(least), None),
            Some(Gate::AtMost(most)) => (None, Some(most)),
            None => (None, None),
        };
        json!({
            "what": self.what, "unit": self.unit, "measured": self.spread.map(Spread::json),
            "at_least": at_least, "at_most": at_most, "met": self.met(),
        })
    }
}

/// Three digits say all that a shared machine can tell.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middling if middling >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All that was measured.
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// In the order of its questions.
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// The table, and under it what a reader needs to believe it.
    pub(crate) fn markdown(&self, ground: &Ground) -> String {
        let mut text =
            String::from("| what | median (min to max of rounds) | gate |\n|---|---|---|\n");
        for row in &self.rows {
            let (measured, demanded) = (row.measured(), row.demanded());
            text.push_str(&format!("| {} | {measured} | {demanded} |\n", row.what));
        }
        let host = &ground.host;
        text.push_str(&format!(
            "\n{}, cores {}; Linux {}; load average before {}; {}; one worker.",
            host.processor, ground.cores, host.kernel, host.load_average, ground.file_system,
        ));
        text
    }

    /// Every row, and where it was taken.
    pub(crate) fn json(&self, ground: &Ground) -> String {
        let host = &ground.host;
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let whole = json!({
            "machine": {
                "processor": host.processor, "kernel": host.kernel, "cores": ground.cores,
                "load_average_before": host.load_average, "file_system": ground.file_system,
            },
            "rows": rows,
        });
        format!("{whole:#}")
    }
}

/// A count as a number to divide by; exact up to four billion.
pub(crate) fn count(of: u64) -> f64 {
    u32::try_from(of).map_or(f64::from(u32::MAX), f64::from)
}

/// Bytes in megabytes; exact to a kilobyte.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    count(bytes / 1000) / 1000.0
}

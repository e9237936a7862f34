//! Owns numbers: counts, sizes, durations, rates, workers, each with its bounds.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value as Json;

use super::text::one_of;
use super::{Kind, Shown, refuse, scalar};
use crate::config::checked::Rate;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::units;

/// A whole number, bounds included.
pub(in crate::config) struct Count {
    pub(in crate::config) min: u64,
    pub(in crate::config) max: u64,
}

impl Kind for Count {
    type Value = u64;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<u64> {
        let Self { min, max } = self;
        let accepted = format!("write a whole number from {min} to {max}");
        let text = scalar(node, faults, &accepted)?;
        match whole(text) {
            Some(count) if (*min..=*max).contains(&count) => Some(count),
            Some(_) => refuse(node, faults, "out of bounds", &accepted),
            None => refuse(node, faults, "not a whole number", &accepted),
        }
    }

    fn show(&self, value: &u64) -> Shown {
        Shown::Number(*value)
    }

    fn shape(&self) -> Json {
        shape::whole(self.min, self.max, "^[0-9]+$")
    }
}

/// A size in bytes, bounds included.
pub(in crate::config) struct Size {
    pub(in crate::config) min: u64,
    pub(in crate::config) max: u64,
}

impl Kind for Size {
    type Value = u64;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<u64> {
        let (min, max) = (units::show_size(self.min), units::show_size(self.max));
        let such = such_as(&SIZES, self.min..=self.max);
        let accepted = format!("write a size from {min} to {max}{such}");
        let text = scalar(node, faults, &accepted)?;
        match units::size(text) {
            Some(bytes) if (self.min..=self.max).contains(&bytes) => Some(bytes),
            Some(_) => refuse(node, faults, "out of bounds", &accepted),
            None => refuse(node, faults, "not a size", &accepted),
        }
    }

    fn show(&self, value: &u64) -> Shown {
        Shown::Text(units::show_size(*value))
    }

    fn shape(&self) -> Json {
        shape::whole(self.min, self.max, &format!("^{}$", shape::SIZE))
    }
}

/// A size in bytes, or `off`.
pub(in crate::config) struct SizeOrOff(pub(in crate::config) Size);

const OFF: &str = "off";

impl Kind for SizeOrOff {
    type Value = Option<u64>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Option<u64>> {
        match matches!(&node.content, Content::Scalar(text) if text == OFF) {
            true => Some(None),
            false => self.0.read(node, faults).map(Some),
        }
    }

    fn show(&self, value: &Option<u64>) -> Shown {
        value.map_or_else(|| Shown::Text(OFF.to_owned()), |bytes| self.0.show(&bytes))
    }

    fn shape(&self) -> Json {
        let Size { min, max } = self.0;
        shape::whole(min, max, &format!("^({OFF}|{})$", shape::SIZE))
    }
}

/// A duration, bounds included.
pub(in crate::config) struct Span {
    pub(in crate::config) min: Duration,
    pub(in crate::config) max: Duration,
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Duration> {
        let (min, max) = (
            units::show_duration(self.min),
            units::show_duration(self.max),
        );
        let such = such_as(&SPANS, self.min..=self.max);
        let accepted = format!("write a duration from {min} to {max}{such}");
        let text = scalar(node, faults, &accepted)?;
        match units::duration(text) {
            Some(span) if (self.min..=self.max).contains(&span) => Some(span),
            Some(_) => refuse(node, faults, "out of bounds", &accepted),
            None if whole(text).is_some() => refuse(node, faults, "no unit", &accepted),
            None => refuse(node, faults, "not a duration", &accepted),
        }
    }

    fn show(&self, value: &Duration) -> Shown {
        Shown::Text(units::show_duration(*value))
    }

    fn shape(&self) -> Json {
        shape::text(&format!("^{}$", shape::DURATION))
    }
}

/// A rate from 1 in its unit up to so many a second.
pub(in crate::config) struct PerTime {
    pub(in crate::config) max_per_second: u64,
}

impl Kind for PerTime {
    type Value = Rate;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Rate> {
        let max = self.max_per_second;
        let accepted = format!(
            "write a rate of at least 1 and at most {max}/s, such as 50/s, 600/m or 1000/h"
        );
        let text = scalar(node, faults, &accepted)?;
        match units::rate(text) {
            Some((count, per)) => {
                let most = max.saturating_mul(per.as_secs());
                match (1..=most).contains(&count) {
                    true => Some(Rate { count, per }),
                    false => refuse(node, faults, "out of bounds", &accepted),
                }
            }
            None if whole(text).is_some() => refuse(node, faults, "no unit", &accepted),
            None => refuse(node, faults, "not a rate", &accepted),
        }
    }

    fn show(&self, value: &Rate) -> Shown {
        Shown::Text(units::show_rate(value.count, value.per))
    }

    fn shape(&self) -> Json {
        shape::text("^[0-9]+ */[smh]$")
    }
}

/// A number of threads, or `auto`.
pub(in crate::config) struct Workers {
    pub(in crate::config) max: usize,
}

impl Kind for Workers {
    type Value = Option<NonZeroUsize>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        let accepted = format!("write auto, or a number from 1 to {}", self.max);
        match scalar(node, faults, &accepted)? {
            "auto" => Some(None),
            text => match whole(text).and_then(|count| usize::try_from(count).ok()) {
                Some(count) if (1..=self.max).contains(&count) => Some(NonZeroUsize::new(count)),
                Some(_) | None => refuse(node, faults, "not a number of workers", &accepted),
            },
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let count = value.map(|count| u64::try_from(count.get()).unwrap_or(u64::MAX));
        count.map_or_else(|| Shown::Text("auto".to_owned()), Shown::Number)
    }

    fn shape(&self) -> Json {
        let max = u64::try_from(self.max).unwrap_or(u64::MAX);
        shape::whole(1, max, "^(auto|[0-9]+)$")
    }
}

const SIZES: [(&str, u64); 3] = [
    ("64KiB", 64 << 10),
    ("10MB", 10_000_000),
    ("4096 (bytes)", 4096),
];

const SPANS: [(&str, Duration); 3] = [
    ("500ms", Duration::from_millis(500)),
    ("30s", Duration::from_secs(30)),
    ("5m", Duration::from_secs(300)),
];

/// `, such as a or b`: those of the examples that would be accepted.
fn such_as<T: PartialOrd>(examples: &[(&str, T)], bounds: RangeInclusive<T>) -> String {
    let within = examples.iter().filter(|(_, value)| bounds.contains(value));
    match one_of(within.map(|(text, _)| *text)) {
        none if none.is_empty() => none,
        some => format!(", such as {some}"),
    }
}

/// Digits alone: no sign, no blank, no underscore.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

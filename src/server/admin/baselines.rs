//! `/api/v1/baselines`: what each project usually sends, who is silent, and what a protection
//! against spikes would have dropped. Reads, never looks at the books.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::policy::baselines::{Expected, Told, ToldKind};
use crate::telemetry::clock::rfc3339;

use super::Desk;

/// The path.
pub(super) const PATH: &str = "/api/v1/baselines";

/// So many projects are listed; of the others the number is enough.
const LISTED_MAX: usize = 1000;

impl Desk {
    /// All that is known.
    pub(super) fn baselines(&self) -> Value {
        let config = self.reloader.config();
        let (minute, told) = self.shared.habits.told(&config);
        let listed = told.iter().take(LISTED_MAX);
        json!({
            "looked_at": shown(minute),
            "silence": config.silence.enabled,
            "spikes": config.spikes.mode.as_str(),
            "count": told.len(),
            "projects": listed.map(project).collect::<Vec<_>>(),
        })
    }
}

/// A minute of Unix time; null for none.
fn shown(minute: u64) -> Option<String> {
    let at = Duration::from_secs(minute.saturating_mul(60));
    (minute > 0).then(|| rfc3339(UNIX_EPOCH + at))
}

fn project(told: &Told) -> Value {
    json!({
        "project": told.project.get(),
        "hours_known": told.hours_known,
        "last_item": shown(told.last_item),
        "silent_since": told.silent_since.and_then(shown),
        "busy_minutes_expected": expected(told.busy),
        "categories": told.kinds.iter().map(kind).collect::<Vec<_>>(),
    })
}

fn kind(told: &ToldKind) -> Value {
    json!({
        "category": told.category.name(),
        "hour": {"expected": expected(told.expected), "limit": told.limit, "so_far": told.so_far},
        "spike_since": told.spike_since.and_then(shown),
        "spike_would_drop": told.spike_dropped,
        "would_drop": told.would_drop,
    })
}

fn expected(expected: Option<Expected>) -> Value {
    expected.map_or(
        Value::Null,
        |it| json!({"low": it.low, "usual": it.usual, "high": it.high}),
    )
}

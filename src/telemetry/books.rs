//! The books as metrics: what became of each item, how full each quota is and what
//! else holds items back. Never counts; it only tells what it was given.

use prometheus::proto::{MetricFamily, MetricType};

use crate::domain::category::Category;

use super::exposition::{QuotaUsed, Readings, counter, family, gauge, ratio};
use super::labels::{Journal, Light};
use super::ledger::{Account, Line, Sum};
use super::metrics::ControlMetrics;

/// `vidette_items_total` and `vidette_item_bytes_total`. Both have the same series.
pub(super) fn items(lines: &[Line]) -> Vec<MetricFamily> {
    let (mut totals, mut bytes) = (Vec::new(), Vec::new());
    let mut tell = |project: &str, category: Category, ended: (&str, &str), sum: Sum| {
        let labels = [
            ("project", project),
            ("category", category.name()),
            ("outcome", ended.0),
            ("reason", ended.1),
        ];
        totals.push(counter(sum.items, &labels));
        bytes.push(counter(sum.bytes, &labels));
    };
    const FORWARDED: (&str, &str) = ("forwarded", "");
    let always = (Account::Unproven, Category::Unread);
    let has_always = |line: &Line| (line.account, line.category) == always;
    if !lines.iter().any(has_always) {
        tell(&always.0.label(), always.1, FORWARDED, Sum::default());
    }
    for line in lines {
        let project = line.account.label();
        if line.forwarded != Sum::default() || has_always(line) {
            tell(&project, line.category, FORWARDED, line.forwarded);
        }
        for (reason, sum) in &line.dropped {
            let dropped = ("dropped", reason.as_str());
            tell(&project, line.category, dropped, *sum);
        }
    }
    vec![
        family(
            "vidette_items_total",
            "Items ended, by project, category, outcome and reason. Beside Sentry's categories: \
             unread (a request nobody looked into, one item), uncounted (Sentry does not count \
             it), unknown (a type not known here). Beside numbers: unproven (its key was not \
             seen to work), other (no room for its number, or none).",
            MetricType::COUNTER,
            totals,
        ),
        family(
            "vidette_item_bytes_total",
            "Their bytes.",
            MetricType::COUNTER,
            bytes,
        ),
    ]
}

/// `vidette_client_reports_total`: of how many dropped items Sentry was told.
pub(super) fn reported(control: &ControlMetrics) -> MetricFamily {
    let counts = control.reported();
    let counts = counts.map(|(reported, items)| counter(items, &[("outcome", reported.as_str())]));
    family(
        "vidette_client_reports_total",
        "Dropped items of which Sentry was told, by what became of that.",
        MetricType::COUNTER,
        counts.collect(),
    )
}

/// `vidette_quota_used_ratio`, and what else there is to know of limits.
pub(super) fn limits(readings: &Readings) -> Vec<MetricFamily> {
    let states = Journal::ALL.iter().map(|state| {
        let is_on = u64::from(*state == readings.journal);
        gauge(is_on, &[("state", state.as_str())])
    });
    let lights = Light::ALL.iter().map(|light| {
        let is_on = u64::from(*light == readings.light);
        gauge(is_on, &[("light", light.as_str())])
    });
    let on = readings.switches.iter();
    let on = on.map(|(action, count)| gauge(*count, &[("action", action)]));
    vec![
        family(
            "vidette_light",
            "1 for the traffic light of vidette status: green, amber (something needs a look) or \
             red (it neither delivers nor keeps).",
            MetricType::GAUGE,
            lights.collect(),
        ),
        quotas(&readings.quotas_used),
        family(
            "vidette_quota_journal",
            "1 for how what is used of quotas is kept over a restart: off as configured, \
             written, slow (requests went on before it was written) or failing.",
            MetricType::GAUGE,
            states.collect(),
        ),
        family(
            "vidette_limits_learned_longest_seconds",
            "How long the longest limit that the upstream announced still stands; \
             the keys with one are in the table limits_learned.",
            MetricType::GAUGE,
            vec![gauge(readings.limits_learned_longest_s, &[])],
        ),
        family(
            "vidette_switches",
            "What operators have switched on for a while, by action: mute, limit or sample.",
            MetricType::GAUGE,
            on.collect(),
        ),
    ]
}

fn quotas(used: &[QuotaUsed]) -> MetricFamily {
    let share =
        |project: &str, quota: &str, used| ratio(used, &[("project", project), ("quota", quota)]);
    let shares = used.iter();
    let mut shares: Vec<_> = shares
        .map(|(project, quota, used)| share(project, quota, *used))
        .collect();
    if shares.is_empty() {
        // A family has a sample from the start.
        shares.push(share("global", "", 0.0));
    }
    family(
        "vidette_quota_used_ratio",
        "The used share of a quota in its window. Where it counts for each key, or is a \
         key's own, the fullest key's; quotas by ip are not measured.",
        MetricType::GAUGE,
        shares,
    )
}

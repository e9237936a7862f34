//! What an operator sees of budgets, and of quotas that are as long: how much is used, at
//! what pace, and when all of it will be. Reads counts, never changes one.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::quota::BUDGET;
use crate::domain::switch::Share;
use crate::domain::units::about_size;
use crate::policy::quotas::{Owner, Spent};
use crate::telemetry::clock::{lasting, rfc3339};

use crate::server::worker::Shared;

/// As many are listed, the fullest.
const ROWS_MAX: usize = 1000;

/// As many are named where a line each is too much.
const NAMED_MAX: usize = 5;

/// From there on a budget is worth a word, in hundredths.
const NEAR_PERCENT: u64 = 80;

/// Shorter windows are over before anybody has read of them.
const LONG_S: u64 = 3600;

/// A budget or a long quota, and whose it is.
#[derive(Debug)]
struct Row {
    owner: Owner,
    name: Arc<str>,
    spent: Spent,
}

/// All of them, at one time.
#[derive(Debug)]
pub(super) struct Budgets {
    rows: Vec<Row>,
    unix_s: u64,
    /// The least that is free on a guarded disk.
    free_bytes: Option<u64>,
}

impl Budgets {
    /// Looks at all of them. Walks all counters.
    pub(super) fn read(shared: &Shared) -> Self {
        let now = shared.moment(Instant::now());
        let rules = shared.rules.load();
        let usage = rules.gate.quotas.usage(now, &shared.counters).into_iter();
        let rows = usage.filter_map(|usage| {
            let spent = usage.spent?;
            let long = spent.ends_unix_s.saturating_sub(spent.begins_unix_s) >= LONG_S;
            let (owner, name) = (usage.owner, usage.name);
            long.then_some(Row { owner, name, spent })
        });
        let mut rows: Vec<Row> = rows.collect();
        // Budgets first, of all of them everybody's; then the fullest.
        rows.sort_by_cached_key(|row| {
            let shared = row.owner != Owner::Global;
            let share = Reverse(row.spent.share());
            (
                !row.is_budget(),
                shared,
                share,
                row.owner,
                Arc::clone(&row.name),
            )
        });
        Self {
            rows,
            unix_s: now.unix_s,
            free_bytes: shared.disks.read().free_bytes(),
        }
    }

    /// `/api/v1/budgets`.
    pub(super) fn told(&self) -> Value {
        let rows = self.rows.iter().take(ROWS_MAX);
        json!({
            "at": moment(self.unix_s),
            "disk_free_bytes": self.free_bytes,
            "budgets": rows.map(|row| self.row(row)).collect::<Vec<_>>(),
            "more": self.rows.len().saturating_sub(ROWS_MAX),
        })
    }

    fn row(&self, Row { owner, name, spent }: &Row) -> Value {
        let project = match owner {
            Owner::Project(project) | Owner::Sentry(project) => Some(project.get()),
            Owner::Global
            | Owner::Defaults
            | Owner::Key(_)
            | Owner::Switch(_)
            | Owner::Organization(_) => None,
        };
        let at = self.unix_s;
        let reached = spent.reached_in_s(at);
        let days = self.free_bytes.and_then(|free| spent.days_of(free, at));
        json!({
            "owner": match owner {
                Owner::Global => "global",
                Owner::Project(_) | Owner::Sentry(_) => "project",
                Owner::Organization(_) => "organization",
                Owner::Defaults | Owner::Key(_) | Owner::Switch(_) => "other",
            },
            "project": project,
            "quota": &**name,
            "unit": if spent.is_bytes { "bytes" } else { "items" },
            "used": spent.used,
            "limit": spent.limit,
            "used_ratio": spent.share().ratio(),
            "spent": spent.is_spent(),
            "per_hour": spent.per_hour(at),
            "reached_in_s": reached,
            "reached_at": reached.map(|in_s| moment(at.saturating_add(in_s))),
            "ends_at": moment(spent.ends_unix_s),
            "days_of_disk": days,
        })
    }

    /// Budgets of which nothing is left.
    pub(super) fn reasons(&self) -> Vec<String> {
        let spent = self.budgets().filter(|row| row.spent.is_spent());
        few(spent.map(|row| {
            let of = row.whose();
            let (limit, left) = (
                about_size(row.spent.limit),
                lasting(row.spent.ends_unix_s.saturating_sub(self.unix_s)),
            );
            format!("{of} is used up ({limit}): nothing more passes for {left}, until midnight UTC")
        }))
    }

    /// Budgets of which little is left: worth knowing, and nothing is wrong yet.
    pub(super) fn notes(&self) -> Vec<String> {
        let near = Share::of(NEAR_PERCENT, 100).unwrap_or(Share::ALL);
        let near = move |row: &&Row| row.spent.share() >= near && !row.spent.is_spent();
        few(self.budgets().filter(near).map(|row| {
            let spent = &row.spent;
            let (of, share) = (row.whose(), spent.share().short());
            let (used, limit) = (about_size(spent.used), about_size(spent.limit));
            let then = match spent.reached_in_s(self.unix_s) {
                Some(in_s) => format!("at today's pace all of it in about {}", lasting(in_s)),
                None => "at today's pace it lasts until midnight UTC".to_owned(),
            };
            format!("{of} is {share} used ({used} of {limit}); {then}")
        }))
    }

    fn budgets(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_budget())
    }
}

impl Row {
    fn is_budget(&self) -> bool {
        &*self.name == BUDGET
    }

    fn whose(&self) -> String {
        match self.owner {
            Owner::Global => "the budget of the installation".to_owned(),
            Owner::Project(project) | Owner::Sentry(project) => {
                format!("the budget of project {project}")
            }
            // No other has one.
            Owner::Defaults | Owner::Key(_) | Owner::Switch(_) | Owner::Organization(_) => {
                "the budget of requests without a project".to_owned()
            }
        }
    }
}

/// The first of many lines, the last of which says how many more there are.
fn few(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(NAMED_MAX);
    lines.truncate(NAMED_MAX);
    if let Some(last) = lines.last_mut().filter(|_| more > 0) {
        last.push_str(&format!("; and {more} more: vidette budget"));
    }
    lines
}

fn moment(unix_s: u64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::ProjectId;

    const DAY_S: u64 = 86_400;
    const GIB: u64 = 1 << 30;

    fn row(project: u64, used: u64) -> Row {
        Row {
            owner: match ProjectId::parse(project.to_string().as_bytes()) {
                Some(project) => Owner::Project(project),
                None => Owner::Global,
            },
            name: Arc::from(BUDGET),
            spent: Spent {
                used,
                limit: 5 * GIB,
                is_bytes: true,
                begins_unix_s: DAY_S,
                ends_unix_s: 2 * DAY_S,
            },
        }
    }

    /// Ten hours into the second of January 1970, with so much room on the disk.
    fn budgets(rows: Vec<Row>) -> Budgets {
        Budgets {
            rows,
            unix_s: DAY_S + 36_000,
            free_bytes: Some(120 * GIB),
        }
    }

    #[test]
    fn a_budget_is_a_note_from_four_fifths_on_and_a_reason_once_it_is_used_up() {
        let told = |used| {
            let budgets = budgets(vec![row(42, used)]);
            (budgets.notes(), budgets.reasons())
        };
        let none = Vec::<String>::new();
        assert_eq!(told(4 * GIB - 1), (none.clone(), none.clone()));
        let near = "the budget of project 42 is 80.0% used (4.0 GiB of 5.0 GiB); \
                    at today's pace all of it in about 2 h";
        assert_eq!(told(4 * GIB), (vec![near.to_owned()], none.clone()));
        let spent = "the budget of project 42 is used up (5.0 GiB): nothing more passes for 14 h, \
                     until midnight UTC";
        assert_eq!(told(5 * GIB), (none, vec![spent.to_owned()]));
    }

    #[test]
    fn five_are_named_and_the_rest_is_a_number() {
        let budgets = budgets((0..9).map(|project| row(project, 5 * GIB)).collect());
        let reasons = budgets.reasons();
        assert_eq!(reasons.len(), 5);
        assert!(
            reasons[0].starts_with("the budget of the installation"),
            "{reasons:?}"
        );
        assert!(
            reasons[4].ends_with("; and 4 more: vidette budget"),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_program_is_told_pace_and_end() {
        let told = budgets(vec![row(42, 4 * GIB)]).told();
        assert_eq!(told["disk_free_bytes"], json!(120 * GIB));
        let row = &told["budgets"][0];
        assert_eq!(
            (&row["project"], &row["unit"]),
            (&json!(42), &json!("bytes"))
        );
        assert_eq!(row["per_hour"], json!(4 * GIB / 10));
        assert_eq!(row["reached_in_s"], json!(9000));
        assert_eq!(row["reached_at"], "1970-01-02T12:30:00.000Z");
        assert_eq!(row["ends_at"], "1970-01-03T00:00:00.000Z");
        assert_eq!(row["days_of_disk"], json!(12));
    }
}

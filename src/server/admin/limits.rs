//! What an operator should know of quotas and limits: how full they are, and in words
//! what is not as it should be. Reads counts, never changes one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::credentials::Key;
use crate::domain::quota::BUDGET;
use crate::domain::units::about_size;
use crate::policy::learned::Held;
use crate::policy::quotas::{Owner, Spent, Usage, reserve};
use crate::telemetry::clock::rfc3339;
use crate::telemetry::exposition::{QuotaUsed, Readings};
use crate::telemetry::labels::{Journal, Light, Table};
use crate::telemetry::metrics::ControlMetrics;
use crate::telemetry::process;

use crate::server::entrance;
use crate::server::rules::Rules;
use crate::server::worker::Shared;

/// As many full quotas are named; of the others a number is enough.
const NAMED_MAX: usize = 5;

/// A table that turned somebody away counts as full for so long: places come and go
/// every second.
const TURNED_AWAY_S: u64 = 60;

/// What the metrics tell of limits.
pub(super) fn readings(
    shared: &Shared,
    light: Light,
    switches: Vec<(&'static str, u64)>,
) -> Readings {
    Readings {
        light,
        switches,
        quotas_used: quotas_used(shared),
        certificates: entrance::readings(shared),
        sealed: {
            let rules = shared.rules.load();
            let targets = rules.targets().into_values();
            let sealed = targets.filter(|target| target.is_sealed());
            sealed.map(|target| target.upstream).collect()
        },
        secured: entrance::secured(shared),
        limits_learned_longest_s: seconds(held(shared)),
        journal: shared.journal.state(),
        spool: super::keeping::reading(shared),
        guard: super::disks::reading(&shared.disks.read()),
        habits: shared.habits.reading(),
        sharing: super::sharing::reading(&shared.shared_quota),
        access: shared.access_log.reading(),
        breakers: shared
            .rules
            .load()
            .targets()
            .values()
            .map(|target| (target.name.clone(), target.breaker.state().as_gauge()))
            .collect(),
    }
}

/// How much of each quota is used, the fullest where several have a project and a name.
pub(super) fn quotas_used(shared: &Shared) -> Vec<QuotaUsed> {
    let rules = shared.rules.load();
    let mut fullest = BTreeMap::<(String, Arc<str>), f64>::new();
    each(shared, &rules, |usage| {
        let project = account(&rules, usage.owner);
        let used = fullest.entry((project, usage.name)).or_default();
        *used = used.max(usage.ratio);
    });
    let used = fullest.into_iter();
    used.map(|((project, name), ratio)| (project, name.to_string(), ratio))
        .collect()
}

/// When the windows of quotas end, in seconds of Unix time, by project and name as above; those
/// that count in no window are left out.
pub(super) fn window_ends(shared: &Shared) -> HashMap<(String, String), u64> {
    let rules = shared.rules.load();
    let mut ends = HashMap::new();
    each(shared, &rules, |usage| {
        let Some(spent) = usage.spent else { return };
        let place = (account(&rules, usage.owner), usage.name.to_string());
        let end = ends.entry(place).or_default();
        *end = spent.ends_unix_s.max(*end);
    });
    ends
}

/// Whose a quota is, as the metrics name it.
fn account(rules: &Rules, owner: Owner) -> String {
    let of_key = |key| rules.gate.directory.find(&Key::unpacked(key))?.project;
    match owner {
        Owner::Global => "global".to_owned(),
        Owner::Project(project) | Owner::Sentry(project) => project.to_string(),
        Owner::Key(key) => of_key(key).map_or_else(|| "other".to_owned(), |id| id.to_string()),
        Owner::Defaults | Owner::Switch(_) | Owner::Organization(_) => "other".to_owned(),
    }
}

fn each(shared: &Shared, rules: &Rules, mut seen: impl FnMut(Usage)) {
    let now = shared.moment(Instant::now());
    let quotas = &rules.gate.quotas;
    for usage in quotas.usage(now, &shared.counters) {
        seen(usage);
    }
    quotas.usage_of_keys(now, seen);
}

fn held(shared: &Shared) -> Held {
    shared.learned.held(shared.millis(Instant::now()))
}

fn seconds(held: Held) -> u64 {
    held.longest_ms.div_ceil(1000)
}

/// All there is to say of limits at one time.
#[derive(Debug)]
pub(super) struct Limits {
    /// Whether there is any quota.
    any: bool,
    /// The first of the full ones, and how many there are.
    named: BTreeMap<(Owner, Arc<str>), Option<Spent>>,
    full: usize,
    by_ip: usize,
    journal: Journal,
    held: Held,
    /// Tables that have no place for newcomers, and their sizes.
    full_tables: Vec<(Table, u64)>,
}

impl Limits {
    /// Looks at everything once.
    pub(super) fn read(shared: &Shared, metrics: &ControlMetrics) -> Self {
        let rules = shared.rules.load();
        let quotas = &rules.gate.quotas;
        let mut limits = Self {
            any: !quotas.is_empty(),
            named: BTreeMap::new(),
            full: 0,
            by_ip: quotas.by_ip(),
            journal: shared.journal.state(),
            held: held(shared),
            full_tables: full_tables(metrics, process::now_s()),
        };
        each(shared, &rules, |usage| {
            // Of budgets more is told elsewhere.
            let told = &*usage.name == BUDGET || quotas.is_switch(usage.owner, &usage.name);
            if is_full(&usage, shared.counters.is_shared()) && !told {
                limits.full(usage);
            }
        });
        limits
    }

    fn full(&mut self, usage: Usage) {
        self.full += 1;
        self.named.insert((usage.owner, usage.name), usage.spent);
        if self.named.len() > NAMED_MAX {
            self.named.pop_last();
        }
    }

    /// What is not as it should be: a line each, and few of them.
    pub(super) fn reasons(&self) -> Vec<String> {
        let reasons = self.named.iter();
        let mut reasons: Vec<String> = reasons.map(full_words).collect();
        let more = self.full - self.named.len();
        if let Some(last) = reasons.last_mut().filter(|_| more > 0) {
            last.push_str(&format!(", and {more} more"));
        }
        for (table, entries_max) in &self.full_tables {
            let (key, who) = match *table == Table::QuotaIps {
                true => ("limits.quota_ips", "addresses"),
                false => ("limits.quota_counters", "keys and projects"),
            };
            reasons.push(format!(
                "{key} is reached ({entries_max}): further {who} share one count"
            ));
        }
        if self.held.pairs > 0 {
            reasons.push(format!(
                "keys held back as Sentry asks (X-Sentry-Rate-Limits): {}, the longest for {} s more",
                self.held.pairs,
                seconds(self.held)
            ));
        }
        // Without quotas there is nothing to write, and the log told of the folder.
        match self.journal {
            Journal::Failing if self.any => reasons.push(
                "state.path cannot be written: a restart admits anew what quotas have counted"
                    .to_owned(),
            ),
            Journal::Slow if self.any => reasons.push(
                "the disk of state.path is slow: requests go on before their quotas are kept"
                    .to_owned(),
            ),
            Journal::Failing | Journal::Slow | Journal::Off | Journal::Written => {}
        }
        reasons
    }

    /// How quotas do; null where there is none.
    pub(super) fn quotas(&self) -> Value {
        match self.any {
            false => Value::Null,
            true => json!({
                "full": self.full,
                "journal": self.journal.as_str(),
                "by_ip": self.by_ip,
            }),
        }
    }

    /// What the upstream's own limits hold back.
    pub(super) fn learned(&self) -> Value {
        json!({"keys": self.held.pairs, "longest_s": seconds(self.held)})
    }
}

/// Whether nothing more passes. Of a window that edges share some is kept for those who have yet to
/// ask.
fn is_full(usage: &Usage, shared: bool) -> bool {
    let lent = usage.spent.filter(|spent| shared && spent.limit > 0);
    let kept = |spent: &Spent| reserve(spent.limit, spent.is_bytes);
    let spent = |spent: Spent| spent.used >= spent.limit.saturating_sub(kept(&spent));
    usage.ratio >= 1.0 || lent.is_some_and(spent)
}

/// That a quota is full, of how much, and until when.
fn full_words(((owner, name), spent): (&(Owner, Arc<str>), &Option<Spent>)) -> String {
    let mut words = whose_words(*owner, name);
    if let Some(spent) = spent {
        let limit = match spent.is_bytes {
            true => about_size(spent.limit),
            false => format!("{} items", spent.limit),
        };
        let ends = rfc3339(UNIX_EPOCH + Duration::from_secs(spent.ends_unix_s));
        // `2026-11-26 14:05:00`.
        let ends = ends.get(..19).unwrap_or_default().replace('T', " ");
        words.push_str(&format!(" ({limit}) until {ends} UTC"));
    }
    words
}

fn whose_words(owner: Owner, name: &str) -> String {
    match owner {
        Owner::Global => format!("quota {name} of everybody is full"),
        Owner::Defaults => format!("quota {name} of the defaults is full"),
        Owner::Project(project) | Owner::Switch(project) => {
            format!("quota {name} of project {project} is full")
        }
        Owner::Sentry(project) => {
            format!("quota {name} of project {project}, which Sentry told of, is full")
        }
        Owner::Organization(number) => {
            format!("quota {name} of organization {number}, which Sentry told of, is full")
        }
        Owner::Key(key) => {
            let key = Key::unpacked(key);
            format!("quota {name} of key {} is full", key.masked())
        }
    }
}

/// The tables of quotas that are full, or were within the last minute.
fn full_tables(metrics: &ControlMetrics, now_s: u64) -> Vec<(Table, u64)> {
    let of_quotas = |table| matches!(table, Table::QuotaCounters | Table::QuotaIps);
    let tables = metrics.tables().filter(|now| of_quotas(now.table));
    let full = tables.filter(|now| {
        let lately = now.evicted_s > 0 && now_s.saturating_sub(now.evicted_s) < TURNED_AWAY_S;
        lately || (now.entries_max > 0 && now.entries >= now.entries_max)
    });
    full.map(|now| (now.table, now.entries_max)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::ProjectId;

    fn well() -> Limits {
        Limits {
            any: true,
            named: BTreeMap::new(),
            full: 0,
            by_ip: 0,
            journal: Journal::Written,
            held: Held::default(),
            full_tables: Vec::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Limits), want: &[&str]) {
        let mut limits = well();
        change(&mut limits);
        assert_eq!(limits.reasons(), want);
    }

    #[test]
    fn what_is_well_gives_no_reason() {
        check(|_| {}, &[]);
        check(|limits| limits.journal = Journal::Off, &[]);
        check(
            |limits| {
                limits.journal = Journal::Failing;
                limits.any = false;
            },
            &[],
        );
    }

    #[track_caller]
    fn check_full(used: u64, limit: u64, alone: bool, shared: bool) {
        let usage = Usage {
            owner: Owner::Global,
            name: Arc::from("q"),
            ratio: if used >= limit { 1.0 } else { 0.5 },
            spent: Some(Spent {
                used,
                limit,
                is_bytes: false,
                begins_unix_s: 0,
                ends_unix_s: 60,
            }),
        };
        let found = [false, true].map(|shared| is_full(&usage, shared));
        assert_eq!(found, [alone, shared], "{used} of {limit}");
    }

    /// Three edges had admitted all that was lent of a limit and refused all else, and their light
    /// was green.
    #[test]
    fn a_window_is_full_when_all_that_is_lent_is_used() {
        check_full(98_999, 100_000, false, false);
        check_full(99_000, 100_000, false, true);
        check_full(983, 1000, false, false);
        check_full(984, 1000, false, true);
        check_full(1000, 1000, true, true);
        check_full(44, 50, false, false);
        check_full(45, 50, false, true);
    }

    #[test]
    fn a_full_window_says_of_how_much_and_until_when() {
        let spent = |is_bytes, limit| Usage {
            owner: Owner::Global,
            name: Arc::from("q"),
            ratio: 1.0,
            spent: Some(Spent {
                used: limit,
                limit,
                is_bytes,
                begins_unix_s: 0,
                ends_unix_s: 1_800_000_000,
            }),
        };
        check(
            |limits| limits.full(spent(false, 200)),
            &["quota q of everybody is full (200 items) until 2027-01-15 08:00:00 UTC"],
        );
        check(
            |limits| limits.full(spent(true, 3 << 20)),
            &["quota q of everybody is full (3.0 MiB) until 2027-01-15 08:00:00 UTC"],
        );
    }

    #[test]
    fn five_full_quotas_are_named_and_the_rest_is_a_number() {
        let fill = |count: u64| {
            move |limits: &mut Limits| {
                for id in (1..=count).rev() {
                    let project = ProjectId::parse(id.to_string().as_bytes()).unwrap();
                    limits.full(Usage {
                        owner: Owner::Project(project),
                        name: Arc::from("errors"),
                        ratio: 1.0,
                        spent: None,
                    });
                }
            }
        };
        check(fill(1), &["quota errors of project 1 is full"]);
        let five = [
            "quota errors of project 1 is full",
            "quota errors of project 2 is full",
            "quota errors of project 3 is full",
            "quota errors of project 4 is full",
            "quota errors of project 5 is full",
        ];
        check(fill(5), &five);
        let last = format!("{}, and 12 more", five[4]);
        check(fill(17), &[five[0], five[1], five[2], five[3], &last]);
    }

    #[test]
    fn a_journal_that_does_badly_is_told() {
        check(
            |limits| limits.journal = Journal::Failing,
            &["state.path cannot be written: a restart admits anew what quotas have counted"],
        );
        check(
            |limits| limits.journal = Journal::Slow,
            &["the disk of state.path is slow: requests go on before their quotas are kept"],
        );
    }

    #[test]
    fn a_table_is_full_at_its_limit_and_a_minute_after_it_turned_somebody_away() {
        let metrics = ControlMetrics::default();
        metrics.limit_table(Table::QuotaIps, 1000);
        metrics.limit_table(Table::QuotaCounters, 100);
        metrics.note_table("quota_ips", 999, 0, 500);
        metrics.note_table("quota_counters", 99, 0, 500);
        assert_eq!(full_tables(&metrics, 501), []);
        metrics.note_table("quota_counters", 100, 0, 502);
        metrics.note_table("quota_ips", 990, 3, 502);
        let both = [(Table::QuotaCounters, 100), (Table::QuotaIps, 1000)];
        assert_eq!(full_tables(&metrics, 503), both);
        metrics.note_table("quota_ips", 990, 3, 561);
        assert_eq!(full_tables(&metrics, 562), both[..1], "nobody since");
    }
}

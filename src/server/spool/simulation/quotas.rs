//! The quotas of the simulation, the journal that outlives a process, and the model that every
//! charge is held against.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::senders::Item;
use crate::domain::category::{Categories, Category};
use crate::domain::quota::{By, Limit, Per, Quota};
use crate::policy::quotas::{
    CounterLimits, Counters, Full, Granted, Load, Mark, Moment, QuotaSpec, Quotas, Trust, Who,
};

const ERROR: Categories = Categories::of(&[Category::Error]);

/// The name, what it counts, the limit, the window's seconds and for whom.
const WINDOWS: [(&str, Categories, u64, u64, By); 3] = [
    ("all", Categories::EMPTY, 9000, 120, By::Project),
    ("minute", ERROR, 500, 60, By::Project),
    ("key", Categories::EMPTY, 1200, 90, By::Key),
];

/// So many errors a second in each project.
const RATE: u64 = 12;

fn quota(name: &str, categories: Categories, limit: u64, per: Per, by: By) -> Quota {
    Quota {
        name: name.into(),
        categories,
        limit: Limit::Items(limit),
        per,
        by,
    }
}

fn spec() -> QuotaSpec {
    let [all, minute, key] = WINDOWS.map(|(name, categories, limit, seconds, by)| {
        quota(name, categories, limit, Per::Window { seconds }, by)
    });
    let rate = Per::Rate(Duration::from_secs(1));
    QuotaSpec {
        global: vec![all],
        defaults: vec![minute, key, quota("rate", ERROR, RATE, rate, By::Project)],
        ..QuotaSpec::default()
    }
}

pub(super) fn who(item: &Item) -> Who {
    Who {
        project: Some(item.project()),
        key: item.key().packed(),
        ip: IpAddr::from([203, 0, 113, 9]),
        trust: Trust::Whole,
    }
}

pub(super) const fn load(item: &Item) -> Load {
    Load {
        categories: Categories::of(&[item.category]),
        items: 1,
        bytes: item.bytes,
    }
}

/// A process's counters.
pub(super) struct Limiter {
    pub(super) quotas: Quotas,
    pub(super) counters: Counters,
}

impl Limiter {
    /// What an earlier process wrote counts again.
    pub(super) fn restored(journal: &Journal) -> Self {
        let counters = Counters::new(CounterLimits {
            ips: 100,
            counters: 1000,
        });
        for (identity, mark) in &journal.0 {
            assert!(counters.restore(identity, *mark), "{identity} has no room");
        }
        counters.enable_journal();
        Self {
            quotas: Quotas::compile(&spec(), &counters),
            counters,
        }
    }
}

/// What is on disk of counts. Written before what it covers goes on, as the edge does.
#[derive(Default)]
pub(super) struct Journal(BTreeMap<String, Mark>);

impl Journal {
    pub(super) fn writes(&mut self, granted: &Granted) {
        for due in granted.unreserved.iter().chain(&granted.ahead) {
            if !due.is_covered()
                && let Some(mark) = due.next_mark()
            {
                self.0.insert(due.identity().to_string(), mark);
                due.reserved(mark);
            }
        }
    }

    /// A stop writes what is used, no more.
    pub(super) fn closes(&mut self, counters: &Counters, now: Moment) {
        for live in counters.marks(now) {
            let (window, used) = (live.window, live.used);
            self.0
                .insert(live.identity().to_string(), Mark { window, used });
        }
    }
}

#[derive(Default)]
struct Use {
    used: u64,
    /// What refuses more than it must: a hundredth for each crash, and what was given back, which
    /// a crash forgets.
    slack: u64,
}

type Window = (usize, Vec<u8>, u64);

/// Every charge that stands.
#[derive(Default)]
pub(super) struct Charges {
    windows: HashMap<Window, Use>,
    /// When the last errors of a project were admitted, within a second.
    rates: HashMap<u64, VecDeque<u64>>,
    refused: u64,
}

fn windows(item: &Item, unix_s: u64) -> impl Iterator<Item = Window> {
    let (category, whom) = (item.categories(), who(item));
    let all = WINDOWS.iter().enumerate();
    let applies = all.filter(move |(_, window)| window.1.is_empty() || window.1.meets(category));
    applies.map(move |(place, (_, _, _, seconds, by))| {
        let shared = match (place, by) {
            (0, _) => Vec::new(),
            (_, By::Key) => whom.key.to_vec(),
            _ => whom.project.map_or(0, |it| it.get()).to_le_bytes().to_vec(),
        };
        (place, shared, unix_s / seconds)
    })
}

impl Charges {
    /// Holds what the limiter said against all that was charged.
    pub(super) fn judge(&mut self, item: &Item, at: Moment, said: &Result<Granted, Full>) {
        match said {
            Ok(_) => {
                for window in windows(item, at.unix_s) {
                    let limit = WINDOWS[window.0].2;
                    let count = self.windows.entry(window.clone()).or_default();
                    count.used += 1;
                    assert!(count.used <= limit, "{window:?} admits {}", count.used);
                }
                if item.category == Category::Error {
                    self.judge_rate(item, at);
                }
            }
            Err(full) => {
                self.refused += 1;
                if let Some(window) =
                    windows(item, at.unix_s).find(|it| WINDOWS[it.0].0 == &*full.name)
                {
                    let limit = WINDOWS[window.0].2;
                    let count = self.windows.entry(window.clone()).or_default();
                    let most = count.used + count.slack;
                    assert!(most >= limit, "{window:?} refuses at {most}");
                }
            }
        }
    }

    /// In any second at most twice the rate: its burst, and what refills meanwhile.
    fn judge_rate(&mut self, item: &Item, at: Moment) {
        let now = at.since_start_ns;
        let times = self.rates.entry(item.project().get()).or_default();
        while times.front().is_some_and(|then| now - then > 1_000_000_000) {
            times.pop_front();
        }
        times.push_back(now);
        let count = u64::try_from(times.len()).unwrap();
        assert!(count <= 2 * RATE, "{count} in a second");
    }

    pub(super) fn given_back(&mut self, item: &Item, charged: Moment) {
        for window in windows(item, charged.unix_s) {
            if let Some(count) = self.windows.get_mut(&window) {
                count.used -= 1;
                count.slack += 1;
            }
        }
        if let Some(times) = self.rates.get_mut(&item.project().get()) {
            times.retain(|then| *then != charged.since_start_ns);
        }
    }

    /// A process is gone, and with it what it had not written; rates begin anew.
    pub(super) fn crashed(&mut self) {
        for (window, count) in &mut self.windows {
            count.slack += WINDOWS[window.0].2 / 100;
        }
        self.rates.clear();
    }

    /// A process has written what it used, and rates begin anew.
    pub(super) fn stopped(&mut self) {
        self.rates.clear();
    }

    /// Windows that are long over decide nothing any more.
    pub(super) fn forget(&mut self, unix_s: u64) {
        self.windows
            .retain(|window, _| window.2 + 2 > unix_s / WINDOWS[window.0].3);
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}

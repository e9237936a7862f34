//! What was gathered and Sentry has yet to hear: by sender and hour, so that what is told late
//! is told of its own time. Never doubles a sum: a report takes it out, and only one that
//! surely did not arrive is put back.

mod untold;

use std::collections::{BTreeMap, HashMap};

use foldhash::quality::RandomState;

use super::{Added, Dropped, Gathered, ROWS_MAX, Row, Rows, Standing};
use crate::domain::client_report::{self, Draft};
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;

pub use untold::{UNTOLD_BYTES_MAX, UntoldError};

const HOUR_MS: u64 = 3_600_000;

/// How long a sum waits to be told.
const AGE_MS_MAX: u64 = 24 * HOUR_MS;

/// What the clock of all moments here shows when the edge starts, at least: what an earlier
/// run dropped has its moment on it too.
pub const START_MS: u64 = AGE_MS_MAX + HOUR_MS;

/// Sums that wait, of all senders and hours: some 2 MB.
const ROWS_WAITING_MAX: usize = 20_000;

/// How many of them may be of senders whom nobody vouched for when they came.
const STRANGERS_ROWS_MAX: usize = 2_000;

/// One sender's sums of an hour.
#[derive(Debug)]
struct Batch {
    /// When the last was added.
    until: Millis,
    rows: Rows,
}

/// One sender's, by the hour.
#[derive(Debug)]
struct Sender {
    /// As it was when it came: whose share of the room it takes.
    standing: Standing,
    batches: BTreeMap<u64, Batch>,
}

/// All that waits.
#[derive(Debug, Default)]
pub struct Pending {
    senders: HashMap<Pair, Sender, RandomState>,
    rows: usize,
    strangers_rows: usize,
    lost: u64,
}

/// What one sender's report tells. Dropped, it is never told.
#[derive(Debug)]
pub struct Report {
    /// Whose it is.
    pub pair: Pair,
    /// How many items it tells of.
    pub items: u64,
    until: Millis,
    rows: Vec<Row>,
    draft: Draft,
}

impl Report {
    /// Its envelope, at a moment on both clocks. Sentry takes nothing from the future.
    #[must_use]
    pub fn envelope(&self, now: Millis, now_unix_s: u64) -> Vec<u8> {
        let ago_s = now.since(self.until) / 1000;
        self.draft.envelope(now_unix_s.saturating_sub(ago_s))
    }
}

impl Pending {
    /// Takes up what a thread has gathered until now.
    pub fn merge(&mut self, now: Millis, gathered: Gathered) {
        self.lost = self.lost.saturating_add(gathered.lost);
        for (pair, (standing, rows)) in gathered.pairs {
            for row in rows.0 {
                self.add(now, pair, standing, row.view());
            }
        }
    }

    /// Takes up what another process had waiting.
    pub fn absorb(&mut self, other: Self) {
        self.lost = self.lost.saturating_add(other.lost);
        for (pair, sender) in other.senders {
            for batch in sender.batches.into_values() {
                for row in batch.rows.0 {
                    self.add(batch.until, pair, sender.standing, row.view());
                }
            }
        }
    }

    /// Takes back a report that did not arrive.
    pub fn put_back(&mut self, report: Report) {
        for row in report.rows {
            self.add(report.until, report.pair, Standing::Vouched, row.view());
        }
    }

    fn add(&mut self, at: Millis, pair: Pair, standing: Standing, more: Dropped<'_>) {
        let sender = self.senders.entry(pair).or_insert_with(|| Sender {
            standing,
            batches: BTreeMap::new(),
        });
        let batch = sender
            .batches
            .entry(at.0 / HOUR_MS)
            .or_insert_with(|| Batch {
                until: at,
                rows: Rows::default(),
            });
        batch.until = batch.until.max(at);
        let stranger = sender.standing == Standing::Stranger;
        let full =
            self.rows >= ROWS_WAITING_MAX || stranger && self.strangers_rows >= STRANGERS_ROWS_MAX;
        match batch.rows.add(more, if full { 0 } else { ROWS_MAX }) {
            Added::Merged => {}
            Added::Placed => {
                self.rows += 1;
                self.strangers_rows += usize::from(stranger);
            }
            Added::Lost => {
                self.lost = self.lost.saturating_add(more.items);
                self.tidy(&pair);
            }
        }
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Millis) {
        let is_old = |batch: &Batch| now.since(batch.until) > AGE_MS_MAX;
        for sender in self.senders.values_mut() {
            let stranger = sender.standing == Standing::Stranger;
            for batch in sender.batches.values().filter(|batch| is_old(batch)) {
                let rows = &batch.rows.0;
                self.rows -= rows.len();
                self.strangers_rows -= if stranger { rows.len() } else { 0 };
                self.lost = rows.iter().fold(self.lost, more);
            }
            sender.batches.retain(|_, batch| !is_old(batch));
        }
        self.senders.retain(|_, sender| !sender.batches.is_empty());
    }

    /// Gives up all of it.
    pub fn clear(&mut self) {
        let senders = self.senders.values();
        let rows = senders.flat_map(|sender| sender.batches.values().flat_map(|it| &it.rows.0));
        *self = Self {
            lost: rows.fold(self.lost, more),
            ..Self::default()
        };
    }

    /// Takes out the reports that are due: of at most so many senders, those first who have
    /// waited longest, and of none whom nobody vouches for now. Most have one; more than one
    /// where they do not fit, or are of different hours.
    pub fn take(&mut self, senders: usize, vouched: impl Fn(&Pair) -> bool) -> Vec<Report> {
        let known = self.senders.iter().filter(|(pair, _)| vouched(pair));
        let mut due: Vec<_> = known
            .map(|(pair, sender)| {
                let oldest = sender.batches.values().map(|batch| batch.until).min();
                (oldest, *pair)
            })
            .collect();
        due.sort_unstable_by_key(|(oldest, _)| *oldest);
        due.truncate(senders);
        let mut reports = Vec::with_capacity(due.len());
        for (_, pair) in due {
            let Some(sender) = self.senders.remove(&pair) else {
                continue;
            };
            for batch in sender.batches.into_values() {
                let rows = batch.rows.0;
                self.rows -= rows.len();
                if sender.standing == Standing::Stranger {
                    self.strangers_rows -= rows.len();
                }
                reports_of(pair, batch.until, rows, &mut reports);
            }
        }
        reports
    }

    /// How many items wait.
    #[must_use]
    pub fn items(&self) -> u64 {
        let senders = self.senders.values();
        let batches = senders.flat_map(|sender| sender.batches.values());
        batches.flat_map(|batch| &batch.rows.0).fold(0, more)
    }

    /// How many items were given up since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Forgets a sender, and an hour, of which there is nothing.
    fn tidy(&mut self, pair: &Pair) {
        if let Some(sender) = self.senders.get_mut(pair) {
            sender.batches.retain(|_, batch| !batch.rows.0.is_empty());
            if sender.batches.is_empty() {
                self.senders.remove(pair);
            }
        }
    }
}

/// An amount and a sum's items.
fn more(items: u64, row: &Row) -> u64 {
    items.saturating_add(row.items)
}

/// As few reports as hold all of it.
fn reports_of(pair: Pair, until: Millis, rows: Vec<Row>, reports: &mut Vec<Report>) {
    let empty = || Report {
        pair,
        items: 0,
        until,
        rows: Vec::new(),
        draft: Draft::default(),
    };
    let mut report = empty();
    for row in rows {
        let Some((list, reason)) = client_report::told(row.reason) else {
            continue;
        };
        let reason = row.limit.as_deref().unwrap_or(reason);
        let amount = (row.items, row.bytes);
        if !report.draft.add(list, reason, row.category, amount) {
            reports.push(std::mem::replace(&mut report, empty()));
            report.draft.add(list, reason, row.category, amount);
        }
        report.items = report.items.saturating_add(row.items);
        report.rows.push(row);
    }
    if !report.draft.is_empty() {
        reports.push(report);
    }
}

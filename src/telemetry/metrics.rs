//! The counters: one set for each worker, written by that worker alone and
//! summed when somebody looks. Never shared between writers, so counting costs
//! a load and a store; never a label that is not in `labels`.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::client_ip::Source;
use crate::domain::dsn_map::MIRRORS_MAX;
use crate::domain::handshake::HandshakeFault;

use super::acme::Orders;
use super::cache::{Kept, Served};
use super::counts::{Count, Durations, Level};
use super::habits::CanaryCounts;
use super::incidents::IncidentCounts;
use super::labels::{
    Attempt, Ending, Handshake, MirrorPlace, Probed, ProxyHeader, Reported, Route, Table, Upstream,
};
use super::ledger::Ledger;
use super::mirrors::{MirrorCounts, upstream_of_mirror};
use super::tls::Reaches;
use super::uploads::Settings;

/// The statuses counted one by one; any other counts as the hundred it is in,
/// so that an upstream that invents statuses cannot grow the table.
pub const STATUSES: [u16; 40] = [
    0, 100, 200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402,
    403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 421, 422, 429, 431, 500, 502,
    503, 504,
];

pub(super) fn status_place(status: u16) -> usize {
    STATUSES
        .binary_search(&status)
        .or_else(|_| STATUSES.binary_search(&(status - status % 100)))
        .unwrap_or(0)
}

/// What one worker has counted since start.
#[derive(Debug)]
pub struct WorkerMetrics {
    requests: Vec<Count>,
    /// Request durations by route.
    pub durations: PerLabel<Durations>,
    /// Body bytes received by route.
    pub request_bytes: PerLabel<Count>,
    /// Attempts at an upstream.
    attempts: Vec<Count>,
    /// How often TLS with upstreams failed.
    pub reaches: Reaches,
    /// Time from the last byte sent to the answer's head, by upstream.
    pub upstream_durations: PerLabel<Durations>,
    /// Open connections by upstream.
    pub upstream_connections: PerLabel<Level>,
    /// Client connections open now, by listener.
    pub connections: Vec<Level>,
    /// Uploads whose answer is not over.
    pub uploads: Level,
    /// What has come of those.
    pub upload_bytes: Level,
    /// Answers to who asked how to upload.
    pub settings: PerLabel<Count>,
    /// Requests for what may be kept.
    pub cache: PerLabel<Count>,
    handshakes: Vec<Vec<Count>>,
    tls: Vec<Vec<Count>>,
    proxy_headers: Vec<Vec<Count>>,
    /// Where the client's address came from.
    pub client_ip: PerLabel<Count>,
}

/// One value for each label of a closed list.
#[derive(Debug)]
pub struct PerLabel<T>(Vec<T>);

impl<T: Default> PerLabel<T> {
    fn new(labels: usize) -> Self {
        Self((0..labels).map(|_| T::default()).collect())
    }

    /// The value at a label's index.
    #[expect(
        clippy::indexing_slicing,
        reason = "as long as the label's ALL, and `index` is dense in it"
    )]
    #[must_use]
    pub fn at(&self, index: usize) -> &T {
        &self.0[index]
    }
}

fn counts(n: usize) -> Vec<Count> {
    (0..n).map(|_| Count::default()).collect()
}

impl WorkerMetrics {
    /// All zero, for a worker that serves `listeners` listeners.
    #[must_use]
    pub fn new(listeners: usize) -> Self {
        Self {
            requests: counts(Route::ALL.len() * Ending::ALL.len() * STATUSES.len()),
            durations: PerLabel::new(Route::ALL.len()),
            request_bytes: PerLabel::new(Route::ALL.len()),
            attempts: counts(Upstream::COUNT * Attempt::ALL.len()),
            reaches: Reaches::default(),
            upstream_durations: PerLabel::new(Upstream::COUNT),
            upstream_connections: PerLabel::new(Upstream::COUNT),
            connections: (0..listeners).map(|_| Level::default()).collect(),
            uploads: Level::default(),
            upload_bytes: Level::default(),
            settings: PerLabel::new(Settings::ALL.len()),
            cache: PerLabel::new(Served::ALL.len()),
            handshakes: (0..listeners)
                .map(|_| counts(Handshake::ALL.len()))
                .collect(),
            tls: (0..listeners)
                .map(|_| counts(1 + HandshakeFault::ALL.len()))
                .collect(),
            proxy_headers: (0..listeners)
                .map(|_| counts(ProxyHeader::ALL.len()))
                .collect(),
            client_ip: PerLabel::new(Source::ALL.len()),
        }
    }

    /// The counter of requests that ended so; `status` 0 when none left.
    #[expect(
        clippy::indexing_slicing,
        reason = "sized as the product of the three closed lists"
    )]
    #[must_use]
    pub fn requests(&self, route: Route, ending: Ending, status: u16) -> &Count {
        let row = route.index() * Ending::ALL.len() + ending.index();
        &self.requests[row * STATUSES.len() + status_place(status)]
    }

    /// The counter of attempts that ended so.
    #[expect(
        clippy::indexing_slicing,
        reason = "sized as the product of the two closed lists"
    )]
    #[must_use]
    pub fn attempts(&self, upstream: Upstream, attempt: Attempt) -> &Count {
        &self.attempts[upstream.index() * Attempt::ALL.len() + attempt.index()]
    }

    /// The counter of connections of a listener that ended so.
    #[expect(
        clippy::indexing_slicing,
        reason = "listeners are numbered when the worker is built"
    )]
    #[must_use]
    pub fn handshakes(&self, listener: usize, outcome: Handshake) -> &Count {
        &self.handshakes[listener][outcome.index()]
    }

    /// The counter of TLS handshakes of a listener that failed so; `None`: that did not.
    #[expect(
        clippy::indexing_slicing,
        reason = "listeners are numbered when the worker is built; one place beside those of the faults"
    )]
    #[must_use]
    pub fn tls(&self, listener: usize, fault: Option<HandshakeFault>) -> &Count {
        &self.tls[listener][fault.map_or(0, |fault| 1 + fault.index())]
    }

    /// The counter of PROXY headers of a listener that ended so.
    #[expect(
        clippy::indexing_slicing,
        reason = "listeners are numbered when the worker is built"
    )]
    #[must_use]
    pub fn proxy_headers(&self, listener: usize, outcome: ProxyHeader) -> &Count {
        &self.proxy_headers[listener][outcome.index()]
    }

    /// The gauge of a listener's open connections.
    #[expect(
        clippy::indexing_slicing,
        reason = "listeners are numbered when the worker is built"
    )]
    #[must_use]
    pub fn open_connections(&self, listener: usize) -> &Level {
        &self.connections[listener]
    }
}

/// What the control thread has counted: reloads, addresses and probes.
#[derive(Debug, Default)]
pub struct ControlMetrics {
    /// Reloads applied.
    pub reloads_applied: AtomicU64,
    /// Reloads refused, with everything left as it was.
    pub reloads_refused: AtomicU64,
    /// When configuration last came into force, in seconds since the epoch.
    pub last_reload_success_s: AtomicU64,
    /// Changed certificate files taken up.
    pub certificates_applied: AtomicU64,
    /// Changed certificate files refused, with the old left in force.
    pub certificates_refused: AtomicU64,
    /// Certificates that were ordered by ACME.
    pub orders: Orders,
    /// Incidents, and the messages on them.
    pub incidents: IncidentCounts,
    /// What is kept of web's answers.
    pub cache: Kept,
    /// Events of our own that were sent to see whether they arrive.
    pub canary: CanaryCounts,
    /// Addresses the ingest upstream's names resolve to.
    pub ingest_addresses: AtomicU64,
    /// Addresses the web upstream's names resolve to.
    pub web_addresses: AtomicU64,
    /// Addresses the names of each mirror resolve to.
    pub mirror_addresses: [AtomicU64; MIRRORS_MAX],
    tables: [TableCounts; Table::ALL.len()],
    probes: [AtomicU64; Upstream::COUNT * Probed::ALL.len()],
    reported: [AtomicU64; Reported::ALL.len()],
}

/// How full a table is.
#[derive(Debug, Default)]
struct TableCounts {
    entries: AtomicU64,
    entries_max: AtomicU64,
    evictions: AtomicU64,
    evicted_s: AtomicU64,
}

/// A table as it was last noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableNow {
    /// Which.
    pub table: Table,
    /// What it holds.
    pub entries: u64,
    /// What it may hold.
    pub entries_max: u64,
    /// All that lost, or did not get, a place so far.
    pub evictions: u64,
    /// When that was seen to grow last, in seconds since the epoch; 0: never.
    pub evicted_s: u64,
}

impl ControlMetrics {
    /// The gauge of addresses that an upstream's names resolve to.
    #[must_use]
    pub fn addresses(&self, upstream: Upstream) -> Option<&AtomicU64> {
        match upstream {
            Upstream::Ingest => Some(&self.ingest_addresses),
            Upstream::Web => Some(&self.web_addresses),
            Upstream::Mirror(place) => self.mirror_addresses.get(place.get()),
        }
    }

    /// The counter of probes of an upstream that ended so.
    #[expect(
        clippy::indexing_slicing,
        reason = "sized as the product of the two closed lists"
    )]
    #[must_use]
    pub fn probes(&self, upstream: Upstream, probed: Probed) -> &AtomicU64 {
        &self.probes[upstream.index() * Probed::ALL.len() + probed.index()]
    }

    /// Counts dropped items of which Sentry was told, or was not.
    pub fn reports(&self, reported: Reported, items: u64) {
        if let Some(count) = self.reported.get(reported.index()) {
            count.fetch_add(items, Ordering::Relaxed);
        }
    }

    /// What became of the reports on dropped items, in items.
    pub fn reported(&self) -> impl Iterator<Item = (Reported, u64)> {
        let counts = self.reported.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Reported::ALL.iter().copied().zip(counts)
    }

    /// Notes what a table may hold.
    pub fn limit_table(&self, table: Table, entries_max: u64) {
        if let Some(counts) = self.tables.get(table.index()) {
            counts.entries_max.store(entries_max, Ordering::Relaxed);
        }
    }

    /// Notes a table's entries and all evictions until `now_s`; a name that is no
    /// label's is passed over.
    pub fn note_table(&self, name: &str, entries: usize, evictions: u64, now_s: u64) {
        let named = Table::ALL.iter().zip(&self.tables);
        for (_, counts) in named.filter(|(table, _)| table.as_str() == name) {
            let entries = u64::try_from(entries).unwrap_or(u64::MAX);
            counts.entries.store(entries, Ordering::Relaxed);
            if counts.evictions.swap(evictions, Ordering::Relaxed) != evictions {
                counts.evicted_s.store(now_s, Ordering::Relaxed);
            }
        }
    }

    /// The tables as last noted.
    pub fn tables(&self) -> impl Iterator<Item = TableNow> {
        let noted = Table::ALL.iter().zip(&self.tables);
        noted.map(|(table, counts)| TableNow {
            table: *table,
            entries: counts.entries.load(Ordering::Relaxed),
            entries_max: counts.entries_max.load(Ordering::Relaxed),
            evictions: counts.evictions.load(Ordering::Relaxed),
            evicted_s: counts.evicted_s.load(Ordering::Relaxed),
        })
    }
}

/// Everything there is to export.
#[derive(Debug)]
pub struct Metrics {
    /// Names of the listeners, in the workers' order.
    pub listeners: Vec<String>,
    /// One set for each worker.
    pub workers: Vec<Arc<WorkerMetrics>>,
    /// What each mirror's thread has counted, and the mirror's own numbers.
    pub mirrors: Vec<(Arc<WorkerMetrics>, Arc<MirrorCounts>)>,
    /// What became of each item.
    pub ledger: Arc<Ledger>,
    /// The control thread's own.
    pub control: ControlMetrics,
}

impl Metrics {
    /// Counters for `workers` workers, each serving all of `listeners`, beside the books.
    #[must_use]
    pub fn new(workers: usize, listeners: Vec<String>, ledger: Arc<Ledger>) -> Self {
        let workers = (0..workers)
            .map(|_| Arc::new(WorkerMetrics::new(listeners.len())))
            .collect();
        Self {
            listeners,
            workers,
            mirrors: Vec::new(),
            ledger,
            control: ControlMetrics::default(),
        }
    }

    /// The same with these mirrors.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: impl Iterator<Item = Arc<MirrorCounts>>) -> Self {
        let own = || Arc::new(WorkerMetrics::new(self.listeners.len()));
        self.mirrors = mirrors.map(|counts| (own(), counts)).collect();
        self
    }

    /// Every upstream that there is, and its name.
    pub fn upstreams(&self) -> impl Iterator<Item = (Upstream, Cow<'_, str>)> {
        let own = Upstream::OWN.iter();
        let own = own.map(|upstream| (*upstream, Cow::Borrowed(upstream.as_str())));
        let mirrors = MirrorPlace::ALL.into_iter().zip(&self.mirrors);
        own.chain(mirrors.map(|(place, (_, counts))| {
            let name = Cow::Owned(upstream_of_mirror(&counts.name));
            (Upstream::Mirror(place), name)
        }))
    }

    /// All that count: workers, and the threads of mirrors.
    pub fn all(&self) -> impl Iterator<Item = &WorkerMetrics> {
        let workers = self.workers.iter().map(|own| &**own);
        workers.chain(self.mirrors.iter().map(|(own, _)| &**own))
    }

    /// The sum of one counter over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerMetrics) -> &Count) -> u64 {
        self.all().map(|w| counter(w).value()).sum()
    }

    /// How many requests' clients were resolved in which way, in the order of
    /// [`Source::ALL`].
    pub fn resolved(&self) -> [u64; Source::ALL.len()] {
        Source::ALL.map(|source| self.sum(|worker| worker.client_ip.at(source.index())))
    }

    /// The sum of one gauge over all workers.
    pub fn sum_level(&self, gauge: impl Fn(&WorkerMetrics) -> &Level) -> i64 {
        self.all().map(|w| gauge(w).value()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_remembers_when_it_last_turned_somebody_away() {
        let control = ControlMetrics::default();
        control.limit_table(Table::QuotaIps, 9);
        let now = |evictions, now_s| {
            control.note_table("quota_ips", 7, evictions, now_s);
            let mut tables = control.tables();
            tables.find(|now| now.table == Table::QuotaIps).unwrap()
        };
        let first = now(0, 100);
        assert_eq!(
            (first.entries, first.entries_max, first.evicted_s),
            (7, 9, 0)
        );
        assert_eq!(now(3, 101).evicted_s, 101);
        assert_eq!(now(3, 102).evicted_s, 101, "nobody since");
        assert_eq!(now(4, 103).evicted_s, 103);
    }

    #[track_caller]
    fn check_status(status: u16, counted_as: u16) {
        assert_eq!(
            STATUSES[status_place(status)],
            counted_as,
            "status {status}"
        );
    }

    #[test]
    fn a_known_status_counts_as_itself_and_an_odd_one_as_its_hundred() {
        check_status(0, 0);
        check_status(200, 200);
        check_status(429, 429);
        check_status(418, 400);
        check_status(599, 500);
        check_status(299, 200);
        check_status(999, 0);
    }

    #[test]
    fn statuses_are_sorted_so_that_the_search_finds_them() {
        assert!(STATUSES.is_sorted());
    }

    #[test]
    fn workers_are_summed() {
        let ledger = Arc::new(Ledger::new(std::time::SystemTime::UNIX_EPOCH, 10));
        let metrics = Metrics::new(2, vec!["public".to_owned()], ledger);
        for (worker, n) in metrics.workers.iter().zip([2, 3]) {
            worker
                .requests(Route::Ingest, Ending::Forwarded, 200)
                .add(n);
        }
        let sum = metrics.sum(|w| w.requests(Route::Ingest, Ending::Forwarded, 200));
        assert_eq!(sum, 5);
    }
}

//! One look at everything that is counted, as columns of numbers. The columns are the same at
//! each look, since all their labels are closed lists. Never keeps a look.

use std::sync::Arc;

use crate::domain::client_ip::Source;
use crate::domain::outcome::Group;
use crate::telemetry::counts::{Count, Durations};
use crate::telemetry::kept::SpoolReading;
use crate::telemetry::labels::{Answered, Attempt, Ending, Handshake, Kin, Route, Upstream};
use crate::telemetry::ledger::Line;
use crate::telemetry::metrics::{Metrics, STATUSES, WorkerMetrics};

/// What a column's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counted since the start.
    Sum,
    /// As it is now.
    Level,
    /// How many took how long since the start: [`SLOTS`](super::quantile::SLOTS) numbers.
    Durations,
}

/// What a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What is counted.
    pub family: &'static str,
    /// Which of it.
    pub label: &'static str,
    /// How to read it.
    pub kind: Kind,
}

/// All columns, and their numbers in the same order.
#[derive(Debug, Default)]
pub struct Reading {
    /// What the numbers are about.
    pub columns: Vec<Column>,
    /// One for each column, several for durations.
    pub values: Vec<u64>,
}

/// What a reading tells besides the counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aside {
    /// What is kept.
    pub spool: SpoolReading,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// The processor's time in nanoseconds.
    pub cpu_ns: u64,
}

/// What routes belong to on a board.
const ROUTES: [(&str, &str, &[Route]); 3] = [
    ("answers", "event", &[Route::Ingest, Route::Tunnel]),
    (
        "pages",
        "page",
        &[Route::Web, Route::Static, Route::Relay, Route::Local],
    ),
    ("uploads", "upload", &[Route::Upload]),
];

impl Reading {
    /// Sums every counter over the workers: some microseconds for each, and some for each
    /// line of the books. Never call it from a worker.
    #[must_use]
    pub fn of(metrics: &Metrics, lines: &[Line], aside: &Aside) -> Self {
        let mut reading = Self::default();
        reading.clients(metrics);
        reading.items(lines);
        reading.upstreams(metrics);
        let Aside { spool, .. } = aside;
        reading.level("spool", "items", spool.items);
        reading.level("spool", "bytes", spool.bytes);
        reading.level("spool", "oldest_s", spool.oldest_s);
        reading.sum("spool", "appended", spool.appended);
        reading.sum("spool", "replayed", spool.replayed);
        reading.sum("spool", "expired", spool.expired);
        reading.level("process", "resident_bytes", aside.resident_bytes);
        reading.sum("process", "cpu_us", aside.cpu_ns / 1000);
        reading
    }

    fn add(&mut self, family: &'static str, label: &'static str, kind: Kind) {
        self.columns.push(Column {
            family,
            label,
            kind,
        });
    }

    fn sum(&mut self, family: &'static str, label: &'static str, value: u64) {
        self.add(family, label, Kind::Sum);
        self.values.push(value);
    }

    fn level(&mut self, family: &'static str, label: &'static str, value: u64) {
        self.add(family, label, Kind::Level);
        self.values.push(value);
    }

    fn durations(
        &mut self,
        family: &'static str,
        label: &'static str,
        workers: &[Arc<WorkerMetrics>],
        of: impl Fn(&WorkerMetrics) -> &Durations,
    ) {
        self.add(family, label, Kind::Durations);
        let first = self.values.len();
        self.values.resize(first + super::quantile::SLOTS, 0);
        for worker in workers {
            let counts = of(worker);
            let counts = counts.buckets.iter().chain([&counts.above]);
            let places = self.values.iter_mut().skip(first);
            for (place, count) in places.zip(counts) {
                *place = place.wrapping_add(count.value());
            }
        }
    }

    /// The side of the clients: what they were answered, how they connect, who they are.
    fn clients(&mut self, metrics: &Metrics) {
        for (family, route, routes) in ROUTES {
            let mut counts = [0; Answered::ALL.len()];
            for route in routes {
                for ending in Ending::ALL {
                    for status in STATUSES {
                        let n = metrics.sum(|worker| worker.requests(*route, *ending, status));
                        if let Some(count) = counts.get_mut(Answered::of(status).index()) {
                            *count += n;
                        }
                    }
                }
            }
            for (answered, count) in Answered::ALL.iter().zip(counts) {
                self.sum(family, answered.as_str(), count);
            }
            let bytes = |route: &Route| metrics.sum(|w| w.request_bytes.at(route.index()));
            self.sum("bytes", route, routes.iter().map(bytes).sum());
        }
        self.durations("took_us", "event", &metrics.workers, |worker| {
            worker.durations.at(Route::Ingest.index())
        });
        for outcome in Handshake::ALL {
            let listeners = 0..metrics.listeners.len();
            let count = |listener| metrics.sum(|worker| worker.handshakes(listener, *outcome));
            self.sum("connections", outcome.as_str(), listeners.map(count).sum());
        }
        let open = 0..metrics.listeners.len();
        let open = open.map(|listener| metrics.sum_level(|w| w.open_connections(listener)));
        self.level("connections", "open", count_of(open.sum()));
        let under_way = [
            ("open", metrics.sum_level(|worker| &worker.uploads)),
            ("bytes", metrics.sum_level(|worker| &worker.upload_bytes)),
        ];
        for (label, level) in under_way {
            self.level("uploads_under_way", label, count_of(level));
        }
        for (source, count) in Source::ALL.iter().zip(metrics.resolved()) {
            self.sum("client_ip", source.as_str(), count);
        }
    }

    /// What came in and what became of it, by kin of categories.
    fn items(&mut self, lines: &[Line]) {
        let mut came = [(0_u64, 0_u64); Kin::ALL.len()];
        let mut left = came;
        let mut dropped = [0_u64; Group::ALL.len()];
        for line in lines {
            let kin = Kin::of(line.category).index();
            for (sums, sum) in [(&mut came, line.received), (&mut left, line.forwarded)] {
                if let Some((items, bytes)) = sums.get_mut(kin) {
                    *items = items.wrapping_add(sum.items);
                    *bytes = bytes.wrapping_add(sum.bytes);
                }
            }
            for (reason, sum) in &line.dropped {
                let groups = Group::ALL.iter().zip(&mut dropped);
                for (_, count) in groups.filter(|(group, _)| **group == reason.group()) {
                    *count = count.wrapping_add(sum.items);
                }
            }
        }
        let kins = || Kin::ALL.iter().map(|kin| kin.as_str());
        for (kin, ((items, bytes), (items_left, bytes_left))) in kins().zip(came.iter().zip(left)) {
            self.sum("items_in", kin, *items);
            self.sum("items_out", kin, items_left);
            self.sum("bytes_in", kin, *bytes);
            self.sum("bytes_out", kin, bytes_left);
        }
        for (group, count) in Group::ALL.iter().zip(dropped) {
            self.sum("dropped", group.name(), count);
        }
    }

    fn upstreams(&mut self, metrics: &Metrics) {
        for upstream in Upstream::OWN {
            let (name, place) = (upstream.as_str(), upstream.index());
            self.durations("upstream_us", name, &metrics.workers, |worker| {
                worker.upstream_durations.at(place)
            });
            let open = metrics.sum_level(|worker| worker.upstream_connections.at(place));
            self.level("upstream_open", name, count_of(open));
            let family = match upstream {
                Upstream::Ingest => "attempts_ingest",
                Upstream::Web | Upstream::Mirror(_) => "attempts_web",
            };
            for attempt in Attempt::ALL {
                let count = |worker: &WorkerMetrics| -> u64 {
                    Count::value(worker.attempts(*upstream, *attempt))
                };
                let all = metrics.workers.iter().map(|worker| count(worker)).sum();
                self.sum(family, attempt.as_str(), all);
            }
        }
    }
}

/// A level that several workers moved may be seen below nothing for a moment.
fn count_of(level: i64) -> u64 {
    u64::try_from(level).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::endpoint::ProjectId;
    use crate::domain::outcome::Reason;
    use crate::telemetry::ledger::Ledger;
    use crate::telemetry::live::quantile::SLOTS;

    fn read(metrics: &Metrics) -> Reading {
        Reading::of(metrics, &metrics.ledger.lines(), &Aside::default())
    }

    #[track_caller]
    fn check(reading: &Reading, family: &str, label: &str, want: u64) {
        let mut place = 0;
        for column in &reading.columns {
            if column.family == family && column.label == label {
                assert_eq!(reading.values[place], want, "{family} {label}");
                return;
            }
            place += match column.kind {
                Kind::Sum | Kind::Level => 1,
                Kind::Durations => SLOTS,
            };
        }
        panic!("there is no {family} {label}");
    }

    #[test]
    fn counts_of_all_workers_stand_in_their_columns() {
        let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
        let metrics = Metrics::new(2, vec!["public".to_owned()], Arc::clone(&ledger));
        for worker in &metrics.workers {
            let ok = worker.requests(Route::Ingest, Ending::Forwarded, 200);
            ok.add(2);
            worker.requests(Route::Tunnel, Ending::Refused, 429).add(1);
            worker.requests(Route::Upload, Ending::Refused, 413).add(1);
            let upstream = worker.upstream_durations.at(Upstream::Ingest.index());
            upstream.observe(Duration::from_micros(400));
            worker.open_connections(0).shift(3);
            worker.uploads.shift(1);
            worker.upload_bytes.shift(500);
        }
        let books = ledger.worker();
        let account = books.account(ProjectId::parse(b"42"), true);
        let row = books.row(account, Category::Error);
        row.received(3, 300);
        row.forwarded(2, 200);
        row.dropped(Reason::Quota, 1, 100);
        let reading = read(&metrics);
        check(&reading, "answers", "ok", 4);
        check(&reading, "answers", "429", 2);
        check(&reading, "uploads", "413", 2);
        check(&reading, "uploads_under_way", "open", 2);
        check(&reading, "uploads_under_way", "bytes", 1_000);
        check(&reading, "upstream_us", "ingest", 2);
        check(&reading, "connections", "open", 6);
        check(&reading, "items_in", "error", 3);
        check(&reading, "items_out", "error", 2);
        check(&reading, "bytes_in", "error", 300);
        check(&reading, "dropped", "limit", 1);
        check(&reading, "dropped", "edge", 0);
    }

    #[test]
    fn the_columns_stay_the_same() {
        let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
        let metrics = Metrics::new(1, vec!["public".to_owned()], ledger);
        let first = read(&metrics);
        metrics.workers[0].client_ip.at(0).add(1);
        let second = read(&metrics);
        assert_eq!(first.columns, second.columns);
        assert_eq!(first.values.len(), second.values.len());
        assert_ne!(first.values, second.values);
    }
}

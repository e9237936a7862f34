//! What a mirror gets of what the first Sentry took, counted apart from the books: a copy is no
//! second event. Owns its numbers and what is compared between the two; never says what is copied.
//!
//! Always: `taken + carried = sent + held + lost`, in requests, where each ends in one of these.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::proto::{MetricFamily, MetricType};

use super::counts::{Count, Durations};
use super::exposition::{counter, family, gauge};
use super::labels::MirrorLoss;
use super::live::quantile::quantile_us;
use super::metrics::{Metrics, STATUSES, status_place};

/// A mirror's name as an upstream.
#[must_use]
pub fn upstream_of_mirror(name: &str) -> String {
    format!("mirror-{name}")
}

/// One mirror's numbers. What workers count is added up atomically, all else by its thread.
#[derive(Debug)]
pub struct MirrorCounts {
    /// What it is called.
    pub name: String,
    /// Requests that were to be copied to it, since the start.
    pub taken: AtomicU64,
    /// Those of them that the first Sentry had yet to take: it was away.
    pub first_kept: AtomicU64,
    /// Requests that were found in its spool at the start.
    pub carried: AtomicU64,
    /// Requests that it has taken.
    pub sent: AtomicU64,
    lost: [AtomicU64; MirrorLoss::ALL.len()],
    /// Requests for it in memory, those under way with them.
    pub in_memory: AtomicU64,
    /// Requests for it on disk.
    pub on_disk: AtomicU64,
    /// The bytes of those.
    pub disk_bytes: AtomicU64,
    /// How long the oldest on disk has been, in seconds.
    pub oldest_s: AtomicU64,
    /// Requests that it never takes while it takes others.
    pub aside: AtomicU64,
    answers: Vec<Count>,
    unanswered: Count,
    first_took: Durations,
    second_took: Durations,
}

/// How long both took for the same requests, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// How many requests these are.
    pub requests: u64,
    /// Half of them, and 95 in a hundred, of the first.
    pub first_us: Option<[u64; 2]>,
    /// The same of the mirror.
    pub mirror_us: Option<[u64; 2]>,
}

impl MirrorCounts {
    /// All at nothing.
    #[must_use]
    pub fn new(name: String) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            name,
            taken: zero(),
            first_kept: zero(),
            carried: zero(),
            sent: zero(),
            lost: std::array::from_fn(|_| zero()),
            in_memory: zero(),
            on_disk: zero(),
            disk_bytes: zero(),
            oldest_s: zero(),
            aside: zero(),
            answers: STATUSES.iter().map(|_| Count::default()).collect(),
            unanswered: Count::default(),
            first_took: Durations::default(),
            second_took: Durations::default(),
        }
    }

    /// Counts requests of which it has no copy.
    pub fn loses(&self, loss: MirrorLoss, requests: u64) {
        if let Some(count) = self.lost.get(loss.index()) {
            count.fetch_add(requests, Relaxed);
        }
    }

    /// Of how many requests it has no copy, for each reason.
    pub fn lost(&self) -> impl Iterator<Item = (MirrorLoss, u64)> {
        let counts = self.lost.iter().map(|count| count.load(Relaxed));
        MirrorLoss::ALL.iter().copied().zip(counts)
    }

    /// Counts an answer of its, or that there was none. Its thread's alone.
    pub fn answers(&self, status: Option<u16>) {
        let count = match status {
            Some(status) => self.answers.get(status_place(status)),
            None => Some(&self.unanswered),
        };
        count.into_iter().for_each(|count| count.add(1));
    }

    /// Its answers so far, by status; 0: there was none.
    pub fn answered(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = STATUSES.iter().copied().zip(&self.answers);
        let counts = counts.map(|(status, count)| (status, count.value()));
        let silent = std::iter::once((0, self.unanswered.value()));
        silent.chain(counts).filter(|(_, count)| *count > 0)
    }

    /// Both have taken the same request at once, and took so long. Its thread's alone.
    pub fn compare(&self, first: Duration, mirror: Duration) {
        self.first_took.observe(first);
        self.second_took.observe(mirror);
    }

    /// How long both took so far.
    #[must_use]
    pub fn compared(&self) -> Compared {
        let counts = |took: &Durations| -> Vec<u64> {
            let all = took.buckets.iter().chain([&took.above]);
            all.map(Count::value).collect()
        };
        let quantiles = |counts: &[u64]| {
            let of = |permille| quantile_us(counts, permille);
            Some([of(500)?, of(950)?])
        };
        let (first, mirror) = (counts(&self.first_took), counts(&self.second_took));
        Compared {
            requests: mirror.iter().sum(),
            first_us: quantiles(&first),
            mirror_us: quantiles(&mirror),
        }
    }
}

/// `vidette_mirror_*`.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut ended = Vec::new();
    let (mut held, mut oldest) = (Vec::new(), Vec::new());
    for (_, counts) in &metrics.mirrors {
        let name = counts.name.as_str();
        let of = |outcome, reason, n| {
            counter(
                n,
                &[("mirror", name), ("outcome", outcome), ("reason", reason)],
            )
        };
        ended.push(of("taken", "", counts.taken.load(Relaxed)));
        ended.push(of("carried", "", counts.carried.load(Relaxed)));
        ended.push(of("sent", "", counts.sent.load(Relaxed)));
        ended.extend(counts.lost().map(|(loss, n)| of("lost", loss.as_str(), n)));
        let waiting =
            |place, n: &AtomicU64| gauge(n.load(Relaxed), &[("mirror", name), ("place", place)]);
        held.push(waiting("memory", &counts.in_memory));
        held.push(waiting("disk", &counts.on_disk));
        oldest.push(gauge(counts.oldest_s.load(Relaxed), &[("mirror", name)]));
    }
    vec![
        family(
            "vidette_mirror_requests_total",
            "Requests to be copied to a mirror, found in its spool at the start, and what became of them.",
            MetricType::COUNTER,
            ended,
        ),
        family(
            "vidette_mirror_held_requests",
            "Requests that a mirror has yet to take.",
            MetricType::GAUGE,
            held,
        ),
        family(
            "vidette_mirror_oldest_seconds",
            "How long the oldest of what lies on disk for a mirror has been there.",
            MetricType::GAUGE,
            oldest,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_status_and_silence_by_itself() {
        let counts = MirrorCounts::new("next".to_owned());
        for status in [Some(200), Some(200), Some(403), None, Some(299)] {
            counts.answers(status);
        }
        let answered: Vec<_> = counts.answered().collect();
        assert_eq!(answered, [(0, 1), (200, 3), (403, 1)]);
    }

    #[test]
    fn both_are_compared_over_the_same_requests() {
        let counts = MirrorCounts::new("next".to_owned());
        assert_eq!(counts.compared().first_us, None);
        for _ in 0..100 {
            counts.compare(Duration::from_micros(400), Duration::from_millis(40));
        }
        let compared = counts.compared();
        assert_eq!(compared.requests, 100);
        assert_eq!(compared.first_us, Some([250, 475]));
        assert_eq!(compared.mirror_us, Some([37_500, 48_750]));
    }

    #[test]
    fn each_loss_has_its_own_count() {
        let counts = MirrorCounts::new("next".to_owned());
        for (n, loss) in (1..).zip(MirrorLoss::ALL) {
            counts.loses(*loss, n);
        }
        let lost: Vec<u64> = counts.lost().map(|(_, n)| n).collect();
        assert_eq!(lost, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
}

//! The counters in Prometheus' text format, every family from the start.
//! Never counts; it only reads.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access;
use super::books;
use super::counts::{BUCKETS_US, Count, Durations};
use super::disks::{self, GuardReading};
use super::habits::{self, HabitsReading};
use super::kept::{self, SpoolReading};
use super::labels::{Attempt, Ending, Journal, Light, Route, Upstream};
use super::metrics::{Metrics, STATUSES, WorkerMetrics};
use super::sharing::{self, SharingReading};
use super::tls::CertificateReading;

/// The content type of what `Exposition::render` writes.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// How full a quota is: its project's label, its name, and the share that is used.
pub type QuotaUsed = (String, String, f64);

/// What nobody counts, and is looked up for each scrape.
#[derive(Debug)]
pub struct Readings {
    /// The traffic light.
    pub light: Light,
    /// How full each quota is now; each project and name once.
    pub quotas_used: Vec<QuotaUsed>,
    /// How long the longest limit that the upstream told still stands.
    pub limits_learned_longest_s: u64,
    /// How what is used of quotas is written down.
    pub journal: Journal,
    /// What is kept.
    pub spool: SpoolReading,
    /// The disk guard.
    pub guard: GuardReading,
    /// What projects usually send.
    pub habits: HabitsReading,
    /// The sharing of quotas with other edges.
    pub sharing: SharingReading,
    /// How many switches of each action are on; every action once.
    pub switches: Vec<(&'static str, u64)>,
    /// Every certificate that is shown to clients.
    pub certificates: Vec<CertificateReading>,
    /// The upstreams that are spoken to by TLS, in whole or in part.
    pub sealed: Vec<Upstream>,
    /// The listeners that speak TLS.
    pub secured: Vec<String>,
    /// How each upstream's breaker stands, by the upstream's name.
    pub breakers: Vec<(String, u8)>,
    /// What became of the lines of the access log.
    pub access: access::Reading,
}

/// The whole exposition: our families, and the process' own on Linux.
#[derive(Debug, Clone)]
pub struct Exposition(Arc<Metrics>);

impl Exposition {
    /// Reads from `metrics` at each call of `render`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }

    /// Sums every counter and writes all families. Some microseconds a series;
    /// never call it from a worker.
    #[must_use]
    pub fn render(&self, readings: impl FnOnce() -> Readings) -> Vec<u8> {
        let mut families = self.collect();
        let readings = readings();
        families.extend(books::limits(&readings));
        families.extend(super::tls::families(
            &self.0,
            &readings.certificates,
            &readings.secured,
            &readings.sealed,
        ));
        families.extend(kept::families(&readings.spool, &readings.breakers));
        families.extend(disks::families(&readings.guard));
        families.extend(habits::families(&readings.habits));
        families.extend(sharing::families(&readings.sharing));
        families.push(access::family_of(readings.access));
        families.push(super::panics::family_of());
        families.extend(super::process::families());
        // The encoder takes no family without a sample.
        let (sampled, empty): (Vec<_>, Vec<_>) = families
            .into_iter()
            .partition(|family| !family.get_metric().is_empty());
        let mut text = Vec::with_capacity(64 * 1024);
        if let Err(error) = TextEncoder::new().encode(&sampled, &mut text) {
            tracing::error!(%error, "the metrics cannot be written as text; this is a bug");
        }
        for family in empty {
            text.extend(announced(&family).into_bytes());
        }
        text
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metrics = &*self.0;
        let mut families = requests(metrics);
        families.extend(books::items(&metrics.ledger.lines()));
        families.extend(upstreams(metrics));
        families.extend(super::mirrors::families(metrics));
        families.push(super::probes::family_of(metrics));
        families.push(books::reported(&metrics.control));
        families.extend(super::incidents::families(&metrics.control.incidents));
        families.extend(super::habits::canary(&metrics.control.canary));
        families.extend(super::clients::families(metrics));
        families.extend(super::uploads::families(metrics));
        families.extend(super::cache::families(metrics));
        families.extend(super::tables::families(&metrics.control));
        families.extend(control(metrics));
        families
    }
}

fn requests(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut totals = Vec::new();
    for &route in Route::ALL {
        for &ending in Ending::ALL {
            for &status in &STATUSES {
                let n = metrics.sum(|w| w.requests(route, ending, status));
                // A thousand zeros would drown the page: one a route stands for all.
                let stands_for_all = ending == Ending::Forwarded && status == 200;
                if n > 0 || stands_for_all {
                    let status = format!("{status:03}");
                    totals.push(counter(
                        n,
                        &[
                            ("route", route.as_str()),
                            ("outcome", ending.as_str()),
                            ("status", &status),
                        ],
                    ));
                }
            }
        }
    }
    let durations = Route::ALL.iter().map(|route| {
        histogram(
            metrics,
            |w| w.durations.at(route.index()),
            &[("route", route.as_str())],
        )
    });
    let bytes = Route::ALL.iter().map(|route| {
        let n = metrics.sum(|w| w.request_bytes.at(route.index()));
        counter(n, &[("route", route.as_str())])
    });
    vec![
        family(
            "vidette_requests_total",
            "Requests ended, by route, outcome and the status that left.",
            MetricType::COUNTER,
            totals,
        ),
        family(
            "vidette_request_duration_seconds",
            "From a request's head to its end.",
            MetricType::HISTOGRAM,
            durations.collect(),
        ),
        family(
            "vidette_request_bytes_total",
            "Body bytes received, as they came.",
            MetricType::COUNTER,
            bytes.collect(),
        ),
    ]
}

fn upstreams(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut attempts = Vec::new();
    for (upstream, name) in metrics.upstreams() {
        for &attempt in Attempt::ALL {
            let n = metrics.sum(|w| w.attempts(upstream, attempt));
            let labels = [("upstream", &*name), ("outcome", attempt.as_str())];
            attempts.push(counter(n, &labels));
        }
    }
    let durations = metrics.upstreams().map(|(upstream, name)| {
        let labels = [("upstream", &*name)];
        histogram(
            metrics,
            |w| w.upstream_durations.at(upstream.index()),
            &labels,
        )
    });
    let open = metrics.upstreams().map(|(upstream, name)| {
        let n = metrics.sum_level(|w| w.upstream_connections.at(upstream.index()));
        gauge(n, &[("upstream", &name)])
    });
    let resolved = metrics.upstreams().filter_map(|(upstream, name)| {
        let n = metrics.control.addresses(upstream)?;
        Some(gauge(n.load(Ordering::Relaxed), &[("upstream", &name)]))
    });
    vec![
        family(
            "vidette_upstream_requests_total",
            "Attempts at an upstream, by how they ended.",
            MetricType::COUNTER,
            attempts,
        ),
        family(
            "vidette_upstream_duration_seconds",
            "From a request handed to the upstream to its answer's head.",
            MetricType::HISTOGRAM,
            durations.collect(),
        ),
        family(
            "vidette_upstream_connections",
            "Connections open to an upstream.",
            MetricType::GAUGE,
            open.collect(),
        ),
        family(
            "vidette_upstream_resolved_addresses",
            "Addresses an upstream's names resolve to.",
            MetricType::GAUGE,
            resolved.collect(),
        ),
    ]
}

fn control(metrics: &Metrics) -> Vec<MetricFamily> {
    let control = &metrics.control;
    let reloads =
        |n: &AtomicU64, outcome| counter(n.load(Ordering::Relaxed), &[("outcome", outcome)]);
    vec![
        family(
            "vidette_config_reloads_total",
            "Reloads of the configuration.",
            MetricType::COUNTER,
            vec![
                reloads(&control.reloads_applied, "applied"),
                reloads(&control.reloads_refused, "refused"),
            ],
        ),
        family(
            "vidette_config_last_reload_success_timestamp_seconds",
            "When a configuration last came into force.",
            MetricType::GAUGE,
            vec![gauge(
                control.last_reload_success_s.load(Ordering::Relaxed),
                &[],
            )],
        ),
        family(
            "vidette_build_info",
            "Always 1; the version is in the label.",
            MetricType::GAUGE,
            vec![gauge(1_u64, &[("version", env!("CARGO_PKG_VERSION"))])],
        ),
    ]
}

/// The two lines that announce a family of which there is nothing to tell yet.
fn announced(family: &MetricFamily) -> String {
    let (name, help) = (family.name(), family.help());
    let kind = format!("{:?}", family.get_field_type()).to_lowercase();
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

pub(super) fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    metrics: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    Metric::from_label(
        labels
            .iter()
            .map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name((*name).to_owned());
                pair.set_value((*value).to_owned());
                pair
            })
            .collect(),
    )
}

pub(super) fn counter(n: u64, labels: &[(&str, &str)]) -> Metric {
    let mut value = Counter::default();
    value.set_value(approximate(n));
    let mut metric = labelled(labels);
    metric.set_counter(value);
    metric
}

pub(super) fn gauge(n: impl TryInto<i64>, labels: &[(&str, &str)]) -> Metric {
    let n = n.try_into().unwrap_or(i64::MAX);
    let size = approximate(n.unsigned_abs());
    ratio(if n < 0 { -size } else { size }, labels)
}

pub(super) fn ratio(n: f64, labels: &[(&str, &str)]) -> Metric {
    let mut value = Gauge::default();
    value.set_value(n);
    let mut metric = labelled(labels);
    metric.set_gauge(value);
    metric
}

fn histogram(
    metrics: &Metrics,
    of: impl Fn(&WorkerMetrics) -> &Durations,
    labels: &[(&str, &str)],
) -> Metric {
    let mut cumulated = 0;
    let mut buckets = Vec::with_capacity(BUCKETS_US.len());
    for (place, bound_us) in BUCKETS_US.iter().enumerate() {
        cumulated += metrics
            .all()
            .filter_map(|w| of(w).buckets.get(place))
            .map(Count::value)
            .sum::<u64>();
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulated);
        bucket.set_upper_bound(approximate(*bound_us) / 1e6);
        buckets.push(bucket);
    }
    let mut value = Histogram::default();
    value.set_sample_count(cumulated + metrics.sum(|w| &of(w).above));
    value.set_sample_sum(approximate(metrics.sum(|w| &of(w).sum_us)) / 1e6);
    value.set_bucket(buckets);
    let mut metric = labelled(labels);
    metric.set_histogram(value);
    metric
}

/// The exposition's numbers are doubles: exact to 2^53, which no counter of
/// ours reaches in a century.
#[expect(clippy::as_conversions, reason = "std has no From<u64> for f64")]
pub(super) fn approximate(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::labels::{Ordered, Reported};
    use super::super::ledger::{Account, Ledger};
    use super::*;
    use crate::domain::category::Category;
    use crate::domain::endpoint::ProjectId;
    use crate::domain::handshake::HandshakeFault;
    use crate::domain::outcome::Reason;
    use crate::domain::reach::ReachFault;

    fn readings(quotas_used: Vec<QuotaUsed>) -> Readings {
        Readings {
            light: Light::Green,
            quotas_used,
            limits_learned_longest_s: 57,
            journal: Journal::Slow,
            spool: SpoolReading::default(),
            guard: GuardReading::default(),
            habits: HabitsReading::default(),
            sharing: SharingReading::default(),
            switches: vec![("mute", 2), ("limit", 0)],
            certificates: [("secure", 60), ("secure", 9), ("another", -1)]
                .map(|(listener, days_left)| CertificateReading {
                    listener: listener.to_owned(),
                    name: "edge.example".to_owned(),
                    days_left,
                })
                .into(),
            secured: vec!["secure".to_owned()],
            breakers: vec![("ingest".to_owned(), 2), ("web".to_owned(), 0)],
            sealed: vec![Upstream::Ingest],
            access: access::Reading {
                written: 3,
                dropped: 2,
            },
        }
    }

    fn rendered(prepare: impl Fn(&Metrics)) -> String {
        let ledger = Arc::new(Ledger::new(std::time::SystemTime::UNIX_EPOCH, 10));
        let metrics = Arc::new(Metrics::new(2, vec!["public".to_owned()], ledger));
        prepare(&metrics);
        let text = Exposition::new(metrics).render(|| readings(Vec::new()));
        String::from_utf8(text).unwrap()
    }

    #[track_caller]
    fn check(prepare: impl Fn(&Metrics), line: &str) {
        let text = rendered(prepare);
        assert!(
            text.lines().any(|l| l == line),
            "no line {line:?} in\n{text}"
        );
    }

    #[test]
    fn tls_with_servers_is_told_where_it_is_spoken() {
        let expired = |metrics: &Metrics| {
            let reaches = &metrics.workers[1].reaches;
            reaches.at(Upstream::Ingest, ReachFault::Expired).add(2);
        };
        let of = |cause, upstream| {
            let labels = format!("upstream=\"{upstream}\",cause=\"{cause}\"");
            format!("vidette_upstream_tls_failures_total{{{labels}}}")
        };
        check(expired, &format!("{} 2", of("expired", "ingest")));
        check(expired, &format!("{} 0", of("wrong_name", "ingest")));
        assert!(!rendered(expired).contains(&of("expired", "web")));
    }

    /// Families that a dashboard may ask for before anything happens.
    const FAMILIES: &[&str] = &[
        "vidette_requests_total",
        "vidette_request_duration_seconds",
        "vidette_request_bytes_total",
        "vidette_items_total",
        "vidette_item_bytes_total",
        "vidette_light",
        "vidette_quota_used_ratio",
        "vidette_quota_journal",
        "vidette_limits_learned_longest_seconds",
        "vidette_switches",
        "vidette_spool_items",
        "vidette_spool_bytes",
        "vidette_spool_bytes_max",
        "vidette_spool_oldest_seconds",
        "vidette_spool_appended_total",
        "vidette_spool_replayed_total",
        "vidette_spool_expired_total",
        "vidette_spool_unprotected_total",
        "vidette_duplicates_total",
        "vidette_disk_guard_stage",
        "vidette_disk_guard_used_ratio",
        "vidette_disk_guard_unseen_disks",
        "vidette_project_silent",
        "vidette_spike",
        "vidette_spike_would_drop_items_total",
        "vidette_canary_total",
        "vidette_canary_last_success_timestamp_seconds",
        "vidette_canary_last_duration_seconds",
        "vidette_canary_missing",
        "vidette_shared_quota_state",
        "vidette_shared_quota_edges",
        "vidette_shared_quota_leases",
        "vidette_shared_quota_exchanges_total",
        "vidette_shared_quota_lost_windows_total",
        "vidette_breaker_state",
        "vidette_access_log_lines_total",
        "vidette_upstream_requests_total",
        "vidette_upstream_probes_total",
        "vidette_upstream_tls_failures_total",
        "vidette_upstream_duration_seconds",
        "vidette_upstream_connections",
        "vidette_upstream_resolved_addresses",
        "vidette_connections",
        "vidette_connections_total",
        "vidette_proxy_headers_total",
        "vidette_client_ip_total",
        "vidette_uploads_active",
        "vidette_uploads_active_bytes",
        "vidette_upload_settings_total",
        "vidette_cache_requests_total",
        "vidette_cache_entries",
        "vidette_cache_bytes",
        "vidette_acme_orders_total",
        "vidette_tls_handshakes_total",
        "vidette_tls_certificate_days_left",
        "vidette_tls_certificate_reloads_total",
        "vidette_table_entries",
        "vidette_table_entries_max",
        "vidette_table_evictions_total",
        "vidette_config_reloads_total",
        "vidette_client_reports_total",
        "vidette_build_info",
        "process_resident_memory_bytes",
    ];

    #[test]
    fn every_family_is_there_from_the_start() {
        let text = rendered(|_| {});
        for name in FAMILIES {
            assert!(
                text.contains(&format!("# TYPE {name} ")),
                "{name} is missing"
            );
        }
    }

    #[test]
    fn panics_are_counted_from_the_start() {
        check(|_| {}, "vidette_panics_total 0");
    }

    #[test]
    fn reports_appear_by_what_became_of_them_from_the_start() {
        let told = |m: &Metrics| m.control.reports(Reported::Unsure, 7);
        check(told, "vidette_client_reports_total{outcome=\"unsure\"} 7");
        for outcome in ["sent", "refused", "unsure", "expired"] {
            let line = format!("vidette_client_reports_total{{outcome=\"{outcome}\"}} 0");
            check(|_| {}, &line);
        }
    }

    #[test]
    fn workers_appear_as_one_sum() {
        check(
            |m| {
                for worker in &m.workers {
                    worker.requests(Route::Web, Ending::Failed, 502).add(2);
                }
            },
            "vidette_requests_total{route=\"web\",outcome=\"failed\",status=\"502\"} 4",
        );
    }

    #[test]
    fn histogram_buckets_cumulate() {
        let observe = |m: &Metrics| {
            for worker in &m.workers {
                let durations = worker.durations.at(Route::Ingest.index());
                durations.observe(std::time::Duration::from_micros(700));
            }
        };
        let bucket = "vidette_request_duration_seconds_bucket{route=\"ingest\",le=";
        check(observe, &format!("{bucket}\"0.0005\"}} 0"));
        check(observe, &format!("{bucket}\"0.001\"}} 2"));
        check(observe, &format!("{bucket}\"+Inf\"}} 2"));
    }
    #[test]
    fn items_have_a_sample_from_the_start() {
        let labels = "{project=\"unproven\",category=\"unread\",outcome=\"forwarded\",reason=\"\"}";
        for name in ["vidette_items_total", "vidette_item_bytes_total"] {
            check(|_| {}, &format!("{name}{labels} 0"));
        }
    }

    #[test]
    fn items_appear_by_project_category_outcome_and_reason() {
        let book = |metrics: &Metrics| {
            for _ in 0..2 {
                let worker = metrics.ledger.worker();
                let account = worker.account(ProjectId::parse(b"42"), true);
                let row = worker.row(account, Category::Error);
                row.received(5, 500);
                row.forwarded(3, 300);
                row.dropped(Reason::Quota, 1, 100);
                let unread = worker.row(Account::Unproven, Category::Unread);
                unread.received(1, 7);
                unread.forwarded(1, 7);
            }
        };
        let error = "project=\"42\",category=\"error\"";
        let forwarded = format!("{{{error},outcome=\"forwarded\",reason=\"\"}}");
        let dropped = format!("{{{error},outcome=\"dropped\",reason=\"quota\"}}");
        check(book, &format!("vidette_items_total{forwarded} 6"));
        check(book, &format!("vidette_item_bytes_total{forwarded} 600"));
        check(book, &format!("vidette_items_total{dropped} 2"));
        check(book, &format!("vidette_item_bytes_total{dropped} 200"));
        let unread = "project=\"unproven\",category=\"unread\"";
        let unread = format!("{{{unread},outcome=\"forwarded\",reason=\"\"}}");
        check(book, &format!("vidette_items_total{unread} 2"));
        let text = rendered(book);
        let samples = text.lines().filter(|line| line.starts_with("vidette_item"));
        assert_eq!(
            samples.count(),
            6,
            "a series stands twice, or for nothing:\n{text}"
        );
    }

    #[test]
    fn the_journal_is_in_one_state_and_the_longest_limit_has_its_time() {
        check(|_| {}, "vidette_quota_journal{state=\"slow\"} 1");
        for other in ["off", "written", "failing"] {
            let line = format!("vidette_quota_journal{{state=\"{other}\"}} 0");
            check(|_| {}, &line);
        }
        check(|_| {}, "vidette_limits_learned_longest_seconds 57");
        check(|_| {}, "vidette_switches{action=\"mute\"} 2");
        check(|_| {}, "vidette_switches{action=\"limit\"} 0");
    }

    #[test]
    fn lines_of_the_access_log_appear_by_what_became_of_them() {
        for (outcome, n) in [("written", 3), ("dropped", 2)] {
            let line = format!("vidette_access_log_lines_total{{outcome=\"{outcome}\"}} {n}");
            check(|_| {}, &line);
        }
    }

    #[test]
    fn orders_appear_by_how_they_ended_from_the_start() {
        let line =
            |ended: &str, n: u64| format!("vidette_acme_orders_total{{outcome=\"{ended}\"}} {n}");
        for ended in Ordered::ALL {
            check(|_| {}, &line(ended.as_str(), 0));
        }
        check(
            |metrics| metrics.control.orders.count(Ordered::RateLimited),
            &line("rate_limited", 1),
        );
    }

    #[test]
    fn certificates_appear_once_a_name_with_the_days_of_the_first_to_end() {
        let left = "vidette_tls_certificate_days_left";
        let named = |listener| format!("{{listener=\"{listener}\",certificate=\"edge.example\"}}");
        check(|_| {}, &format!("{left}{} 9", named("secure")));
        check(|_| {}, &format!("{left}{} -1", named("another")));
        assert!(!rendered(|_| {}).contains(&format!("{left}{} 60", named("secure"))));
    }

    #[test]
    fn handshakes_appear_by_cause_where_there_are_certificates() {
        let ledger = Arc::new(Ledger::new(std::time::SystemTime::UNIX_EPOCH, 10));
        let listeners = vec!["public".to_owned(), "secure".to_owned()];
        let metrics = Arc::new(Metrics::new(2, listeners, ledger));
        for worker in &metrics.workers {
            worker.tls(1, None).add(3);
            worker.tls(1, Some(HandshakeFault::Malformed)).add(1);
        }
        let text = Exposition::new(metrics).render(|| readings(Vec::new()));
        let text = String::from_utf8(text).unwrap();
        let name = "vidette_tls_handshakes_total{listener=\"secure\",outcome=";
        for line in [
            "\"ok\",cause=\"\"} 6",
            "\"tls_failed\",cause=\"malformed\"} 2",
            "\"tls_failed\",cause=\"not_tls\"} 0",
            "\"timeout\",cause=\"timeout\"} 0",
            "\"capped\",cause=\"crowded\"} 0",
        ] {
            assert!(
                text.contains(&format!("\n{name}{line}\n")),
                "{line}\n{text}"
            );
        }
        assert!(!text.contains("vidette_tls_handshakes_total{listener=\"public\""));
    }

    #[test]
    fn quotas_appear_by_project_and_name() {
        let ledger = Arc::new(Ledger::new(std::time::SystemTime::UNIX_EPOCH, 10));
        let metrics = Arc::new(Metrics::new(1, Vec::new(), ledger));
        let used = || readings(vec![("42".to_owned(), "errors/1h".to_owned(), 0.25)]);
        let text = String::from_utf8(Exposition::new(metrics).render(used)).unwrap();
        let line = "vidette_quota_used_ratio{project=\"42\",quota=\"errors/1h\"} 0.25";
        assert!(
            text.lines().any(|l| l == line),
            "no line {line:?} in\n{text}"
        );
        let typed = text
            .lines()
            .filter(|l| *l == "# TYPE vidette_quota_used_ratio gauge");
        assert_eq!(typed.count(), 1, "{text}");
    }
}

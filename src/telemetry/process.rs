//! The process' own numbers, as Linux tells them. Never fails: what cannot be
//! read is left out.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{approximate, family, gauge};

/// `process_*` under the names that every Prometheus client uses.
pub(super) fn families() -> Vec<MetricFamily> {
    let mut families = Vec::new();
    let mut add = |name, help, n: Option<u64>| {
        if let Some(n) = n {
            families.push(family(name, help, MetricType::GAUGE, vec![gauge(n, &[])]));
        }
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    add(
        "process_resident_memory_bytes",
        "Resident memory.",
        field_kib(&status, "VmRSS:").map(|kib| kib * 1024),
    );
    add(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        field_kib(&status, "VmSize:").map(|kib| kib * 1024),
    );
    add(
        "process_threads",
        "Threads.",
        field_kib(&status, "Threads:"),
    );
    let open = std::fs::read_dir("/proc/self/fd")
        .ok()
        .and_then(|dir| u64::try_from(dir.count()).ok());
    add("process_open_fds", "Open descriptors.", open);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    add("process_max_fds", "Descriptors allowed.", limit.current);
    if let Some(spent) = cpu_seconds() {
        let mut metric = prometheus::proto::Metric::default();
        let mut value = prometheus::proto::Counter::default();
        value.set_value(spent);
        metric.set_counter(value);
        families.push(family(
            "process_cpu_seconds_total",
            "Processor time spent, user and system.",
            MetricType::COUNTER,
            vec![metric],
        ));
    }
    families
}

/// The wall clock, in milliseconds of Unix time.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Seconds since the epoch; 0 on a clock before it.
#[must_use]
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn field_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds on a processor, summed over the threads that live.
fn cpu_seconds() -> Option<f64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let spent_ns: u64 = threads
        .filter_map(|thread| {
            let path = thread.ok()?.path().join("schedstat");
            let text = std::fs::read_to_string(path).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    Some(approximate(spent_ns) / 1e9)
}

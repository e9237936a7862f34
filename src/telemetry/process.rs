//! The process' own numbers, as Linux tells them. Never fails: what cannot be
//! read is left out.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{approximate, family, gauge};

/// What the system tells of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Virtual memory in bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors: counted one by one.
    pub open_files: Option<u64>,
    /// Descriptors allowed.
    pub open_files_max: Option<u64>,
}

/// Looks at everything but the processor's time.
#[must_use]
pub fn own() -> Own {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name| field(&status, name).map(|kib| kib * 1024);
    let open = std::fs::read_dir("/proc/self/fd").ok();
    Own {
        resident_bytes: kib("VmRSS:"),
        virtual_bytes: kib("VmSize:"),
        threads: field(&status, "Threads:"),
        open_files: open.and_then(|dir| u64::try_from(dir.count()).ok()),
        open_files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
    }
}

/// Resident memory alone, in bytes: one short file.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    field(&status, "VmRSS:").map(|kib| kib * 1024)
}

/// `process_*` under the names that every Prometheus client uses.
pub(super) fn families() -> Vec<MetricFamily> {
    let mut families = Vec::new();
    let mut add = |name, help, n: Option<u64>| {
        if let Some(n) = n {
            families.push(family(name, help, MetricType::GAUGE, vec![gauge(n, &[])]));
        }
    };
    let own = own();
    add(
        "process_resident_memory_bytes",
        "Resident memory.",
        own.resident_bytes,
    );
    add(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        own.virtual_bytes,
    );
    add("process_threads", "Threads.", own.threads);
    add("process_open_fds", "Open descriptors.", own.open_files);
    add(
        "process_max_fds",
        "Descriptors allowed.",
        own.open_files_max,
    );
    if let Some(spent_ns) = cpu_ns() {
        let mut metric = prometheus::proto::Metric::default();
        let mut value = prometheus::proto::Counter::default();
        value.set_value(approximate(spent_ns) / 1e9);
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

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds on a processor, summed over the threads that live.
#[must_use]
pub fn cpu_ns() -> Option<u64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let spent_ns = threads.filter_map(|thread| {
        let path = thread.ok()?.path().join("schedstat");
        let text = std::fs::read_to_string(path).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(spent_ns.sum())
}

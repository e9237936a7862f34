//! The machine under the numbers: processor, kernel, cores, and what else it was busy with.
//! Changes nothing on it.

use std::fs;
use std::io;

/// What stands beside the numbers.
pub(crate) struct Host {
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// Over the last minute before the run: near zero, or something else was measured too.
    pub(crate) load_average: String,
}

impl Host {
    /// Looks around.
    pub(crate) fn look() -> Self {
        Self {
            processor: processor(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            load_average: first_word(&first_line("/proc/loadavg")),
        }
    }
}

/// The cores this process may use, as the kernel and taskset write them.
pub(crate) fn allowed_cores() -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.unwrap_or("0").trim().into())
}

fn processor() -> String {
    let list = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = list
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    named
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']))
        .into()
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").into()
}

fn first_word(line: &str) -> String {
    line.split_ascii_whitespace()
        .next()
        .unwrap_or("unknown")
        .into()
}

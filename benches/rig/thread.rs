//! What this thread itself has had of a core. Measures no other.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long this thread has run.
pub(crate) fn time_on_core() -> Result<Duration> {
    let line = fs::read_to_string("/proc/thread-self/schedstat").context("reading schedstat")?;
    let number = line.split_ascii_whitespace().next();
    let nanoseconds = number.and_then(|number| number.parse().ok());
    Ok(Duration::from_nanos(
        nanoseconds.context("no number in schedstat")?,
    ))
}

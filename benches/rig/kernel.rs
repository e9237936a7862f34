//! What the kernel says of a process in a file of `/proc` that has a name and a number in each
//! line. Measures nothing by itself.

use std::fs;

use anyhow::{Context as _, Result};

/// The number in the line of this name, in the unit in which it is written.
pub(crate) fn says(pid: u32, file: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let field = text.lines().find_map(|line| line.strip_prefix(name));
    let number = field.and_then(|field| field.split_ascii_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("{path} has no number for {name}"))
}

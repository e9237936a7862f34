//! What is kept of web's answers, checked.

use std::time::Duration;

/// Answers of web that are kept in memory for who asks the same, and for when web is away.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Prefixes of the paths whose answers may be kept; absolute, normalised, unique, with a
    /// slash at both ends; default `/js-sdk-loader/` and `/js-sdk/`; none keeps nothing.
    pub paths: Vec<String>,
    /// Bytes of all of them; default 16 MiB, from 64 KiB to 1 GiB.
    pub max_bytes: u64,
    /// Answers; default 1000, from 1 to 10000.
    pub entries: u64,
    /// Bytes of one body; default 1 MiB, from 1 KiB to 64 MiB.
    pub answer_bytes: u64,
    /// For how long beyond its own time an answer stands in for a failure of web, unless web
    /// itself says less; default 7 days, to 30.
    pub stale_if_error: Duration,
}

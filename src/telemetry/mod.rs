//! What an operator sees from outside: the closed list of metrics, and the log.
//!
//! Owns names and labels; never decides anything, and never sees a payload. Keys,
//! addresses and paths pass through `access` alone, which masks them.

pub mod access;
pub mod acme;
mod books;
pub mod cache;
mod clients;
pub mod clock;
pub mod counts;
pub mod decisions;
pub mod disks;
pub mod exposition;
pub mod habits;
pub mod incidents;
pub mod kept;
pub mod labels;
pub mod ledger;
pub mod live;
pub mod log;
pub mod metrics;
pub mod mirrors;
pub mod panics;
mod probes;
pub mod process;
pub mod sharing;
mod tables;
pub mod tls;
pub mod uploads;

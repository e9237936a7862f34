//! What things are: bytes in, values out.
//!
//! Each file owns one noun of the wire and proves its form once, so that no later layer parses
//! again. Nothing here does IO, reads a clock, draws a random number, logs or awaits; the tests
//! of the tree hold that. `policy` decides on these values, `server` moves them.

pub mod block;
pub mod cache_control;
pub mod category;
pub mod chunk_upload;
pub mod client_ip;
pub mod client_report;
pub mod coding;
pub mod credentials;
pub mod dsn;
pub mod dsn_map;
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod filter;
pub mod glob;
pub mod handshake;
pub mod hash_slot;
pub mod host;
pub mod incident;
pub mod lenient;
pub mod networks;
pub mod origin;
pub mod outcome;
pub mod path;
pub mod project_state;
pub mod proxy_protocol;
pub mod quota;
pub mod rate_limits;
pub mod reach;
pub mod relay;
pub mod repeat;
pub mod resp;
pub mod sampling;
pub mod switch;
pub mod trial_event;
pub mod units;

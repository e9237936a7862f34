//! A request's way to its upstream, and what is done where there is none: its head and body as
//! they are sent, the exchange, what its answer teaches, and what is kept instead. Never decides
//! whether a request may pass.

pub(super) mod body;
pub(super) mod deliver;
pub(super) mod exchange;
pub(super) mod hearing;
pub(super) mod lessons;
pub(super) mod maintenance;
pub(super) mod outages;
pub(super) mod outbound;
pub(super) mod pump;
pub(super) mod rescue;
pub(super) mod spill;
pub(super) mod tee;
pub(super) mod undelivered;
pub(super) mod way;

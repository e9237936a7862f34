//! What a board shows of the last hour: readings of all counters, made into frames that are
//! kept in rings; who sends most; which quotas fill. Everything has a limit, whatever number of
//! projects there is. Never reads a clock, and never talks to anybody.

pub mod filling;
pub mod heavy;
pub mod history;
pub mod leaders;
pub mod loops;
pub mod quantile;
pub mod reading;
pub mod senders;

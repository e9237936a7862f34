//! What keeps an event that a client was answered 200 for while Sentry is away.
//! So far its log alone: nothing here runs a thread, decides or talks to anybody.

pub mod log;

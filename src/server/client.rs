//! The client's side: sockets and connections, a request's head read and routed, and what
//! goes back to whoever asked. Never dials an upstream.

pub(super) mod arrival;
pub(super) mod bad_head;
pub(super) mod blocking;
pub(super) mod client_io;
mod closing;
mod conduct;
mod connection;
pub(super) mod door;
mod introduction;
pub(super) mod listen;
mod multiplexed;
pub(super) mod per_client;
pub(super) mod reception;
pub(super) mod reply;
pub(super) mod respond;
pub(super) mod secure;
pub(super) mod socket;
pub(super) mod stream;
mod streams;
mod wire;

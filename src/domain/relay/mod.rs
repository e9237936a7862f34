//! How a Relay proves to a Sentry who it is (PROTOCOL 9): the form of its credentials and of
//! its signatures. Never reads a file or a clock, and never draws a key: bytes drawn by chance
//! and the time are arguments.

mod credentials;
mod signature;

pub use credentials::{CredentialsFault, RelayCredentials};
pub use signature::{ID_HEADER, SIGNATURE_HEADER, signature};

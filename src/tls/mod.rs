//! TLS: what certificate files hold, what a listener offers its clients, which servers are
//! believed, and why a handshake failed. The one place that knows the library which speaks it, so that another
//! version of that is a change to this folder alone.
//!
//! Owns no task and decides nothing about a request; reads a file where it is told to, and
//! never logs: neither a path nor a name of a client is its to tell.

mod certificate;
mod failure;
mod files;
mod handshake;
mod proof;
mod reach;
mod request;
mod terms;
mod trust;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use certificate::{ENDING_DAYS, Papers, Serial, Standing};
pub use files::{Authorities, Chain, FileFault, Identity, PrivateKey};
pub use handshake::{Protocol, Secured};
pub use proof::{ProofDigest, ProofError, Proofs};
pub use reach::{Name, Reached, Trust, refusal};
pub use request::{Request, RequestError};
pub use terms::{Clients, Terms, TermsError, Tickets};
pub use trust::{TrustError, TrustFiles};

/// The cryptography that everything here stands on, made once.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}

#[cfg(test)]
mod tests;

//! Owns how certificates are had by ACME: from which authority, by which proof, and where
//! they are kept. Which names they are for stands with each listener.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{AcmeChallenge, Secret};

/// An authority, and the edge's account there. Taken up at start only.
#[derive(Clone, Debug, PartialEq)]
pub struct Acme {
    /// Whom the authority may write to, as `mailto:` addresses; default nobody.
    pub contact: Vec<String>,
    /// The authority's directory, an `https` URL; default Let's Encrypt's.
    pub directory: String,
    /// The directory that keeps the account and the certificates; default
    /// `/var/lib/vidette/acme`. It need not exist, nor be writable: nobody looked.
    pub path: PathBuf,
    /// How a name is proved to be ours; default `auto`.
    pub challenge: AcmeChallenge,
    /// Who vouches for a private directory; `None`, the default, is whom the system trusts.
    pub ca: Option<PathBuf>,
    /// What ties the account to one that the authority has already; default nothing.
    pub external_account: Option<ExternalAccount>,
    /// The operator agrees to the authority's terms; default false. True wherever a
    /// listener names a certificate.
    pub agree_to_terms: bool,
}

/// An account that an authority has given out of itself (RFC 8555, section 7.3.4).
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalAccount {
    /// The authority's name for it.
    pub id: String,
    /// Its key in base64url, from `key` or from the file `key_file`.
    pub key: Secret,
    /// The file that `key` was read from; default none.
    pub key_file: Option<PathBuf>,
}

impl ExternalAccount {
    /// The key's bytes. `None`: it is no base64url, which a checked one is.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        let text = self.key.expose().trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }
}

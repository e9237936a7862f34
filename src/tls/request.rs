//! A key of our own making, and the request for a certificate that goes with it. Asks
//! nobody: it is a value that somebody may send.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};

/// A key, and a request that is signed with it. Shown as nothing.
pub struct Request {
    csr: Vec<u8>,
    key_pem: String,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request(***)")
    }
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
#[error("a request for a certificate cannot be made: {0}")]
pub struct RequestError(#[from] rcgen::Error);

impl Request {
    /// A request for this name with a fresh key: ECDSA over P-256, which every client of
    /// TLS 1.2 can verify, and which is the least work for both sides.
    ///
    /// # Errors
    /// The name is none, or the system has no random bytes.
    pub fn new(name: &str) -> Result<Self, RequestError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        Ok(Self {
            csr: request.der().to_vec(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The request (PKCS #10), in DER.
    #[must_use]
    pub fn csr(&self) -> &[u8] {
        &self.csr
    }

    /// The key, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

//! What certificate files hold: chains, keys and authorities in PEM, each bounded. Never
//! says where a file lies, nor shows a byte of it: a path given by mistake may be a secret.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::{Papers, Serial};
use super::provider;

/// A chain is a few kilobytes, the list of all public authorities a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Longer than any that is in use; each is sent with every full handshake.
const CHAIN_MAX: usize = 16;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The system does not give it out.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A path given by mistake may hold anything.
    #[error("is larger than 1 MiB, which no certificate is")]
    TooLarge,
    /// No certificate in it, or it is not PEM.
    #[error("holds no certificate in PEM (BEGIN CERTIFICATE)")]
    NoCertificate,
    /// Certificates without end.
    #[error("holds more than 16 certificates, which is no chain")]
    LongChain,
    /// A certificate that is none inside.
    #[error("holds a certificate that cannot be read")]
    BadCertificate,
    /// No key in it, or it is not PEM.
    #[error("holds no private key in PEM (BEGIN PRIVATE KEY)")]
    NoKey,
    /// Nobody is there to type the password.
    #[error("holds a private key that is encrypted; write it without a password")]
    EncryptedKey,
    /// Neither RSA nor an elliptic curve that we know.
    #[error("holds a private key of a kind that cannot be used; take RSA, ECDSA or Ed25519")]
    BadKey,
    /// It belongs to something else.
    #[error("holds the private key of another certificate")]
    OtherKey,
}

/// A certificate with those between it and its authority.
#[derive(Debug)]
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    papers: Papers,
}

impl Chain {
    /// Reads a chain, the certificate itself first. Blocks on the file system.
    ///
    /// # Errors
    /// Why the file is of no use.
    pub fn read(path: &Path) -> Result<Self, FileFault> {
        Self::parse(&text(path)?)
    }

    /// The same of a text that was read already.
    ///
    /// # Errors
    /// Why the text is of no use.
    pub fn parse(text: &[u8]) -> Result<Self, FileFault> {
        let certificates = certificates(text)?;
        if certificates.len() > CHAIN_MAX {
            return Err(FileFault::LongChain);
        }
        let first = certificates.first().ok_or(FileFault::NoCertificate)?;
        let papers = Papers::of(first).ok_or(FileFault::BadCertificate)?;
        Ok(Self {
            certificates,
            papers,
        })
    }

    /// What its authority knows its certificate by. `None`: it does not say.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        Serial::of(self.certificates.first()?)
    }

    /// What its certificate says of itself.
    #[must_use]
    pub fn papers(&self) -> &Papers {
        &self.papers
    }
}

/// A private key. Shown as nothing.
pub struct PrivateKey(PrivateKeyDer<'static>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

impl PrivateKey {
    /// Reads the first key of a file. Blocks on the file system.
    ///
    /// # Errors
    /// Why the file is of no use.
    pub fn read(path: &Path) -> Result<Self, FileFault> {
        Self::parse(&text(path)?)
    }

    /// The same of a text that was read already.
    ///
    /// # Errors
    /// Why the text is of no use.
    pub fn parse(text: &[u8]) -> Result<Self, FileFault> {
        let encrypted = |text: &[u8]| {
            let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
            let has = |mark: &[u8]| memchr::memmem::find(text, mark).is_some();
            marks.into_iter().any(has)
        };
        match PrivateKeyDer::from_pem_slice(text) {
            Ok(_) | Err(_) if encrypted(text) => Err(FileFault::EncryptedKey),
            Ok(key) => Ok(Self(key)),
            Err(_) => Err(FileFault::NoKey),
        }
    }
}

/// A certificate with its key: what a server shows who it is with. A clone shares both.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) papers: Papers,
}

impl Identity {
    /// Puts the two together.
    ///
    /// # Errors
    /// A key of another certificate, or of no kind that can be used.
    pub fn new(chain: Chain, key: PrivateKey) -> Result<Self, FileFault> {
        let certified = CertifiedKey::from_der(chain.certificates, key.0, provider());
        let certified = certified.map_err(|error| {
            match matches!(error, rustls::Error::InconsistentKeys(_)) {
                true => FileFault::OtherKey,
                false => FileFault::BadKey,
            }
        })?;
        Ok(Self {
            certified: Arc::new(certified),
            papers: chain.papers,
        })
    }

    /// What its certificate says of itself.
    #[must_use]
    pub fn papers(&self) -> &Papers {
        &self.papers
    }
}

/// Authorities whose word about a peer is believed. A clone shares them.
#[derive(Debug, Clone)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

impl Authorities {
    /// Reads every certificate of a file. Blocks on the file system.
    ///
    /// # Errors
    /// Why the file is of no use.
    pub fn read(path: &Path) -> Result<Self, FileFault> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(&text(path)?)? {
            let added = authorities.add(certificate);
            added.map_err(|_| FileFault::BadCertificate)?;
        }
        Ok(Self(Arc::new(authorities)))
    }

    /// What the system believes: the file or the folder that `SSL_CERT_FILE` or
    /// `SSL_CERT_DIR` names, else its own list. `None`: there is not one that can be read.
    /// Blocks on the file system.
    #[must_use]
    pub fn of_system() -> Option<Self> {
        let mut authorities = RootCertStore::empty();
        // Such a list is not ours: an odd certificate among many is no reason to believe none.
        let found = rustls_native_certs::load_native_certs().certs;
        authorities.add_parsable_certificates(found);
        (!authorities.is_empty()).then(|| Self(Arc::new(authorities)))
    }
}

/// Every certificate of a text; at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(FileFault::NoCertificate),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(FileFault::BadCertificate),
    }
}

fn text(path: &Path) -> Result<Vec<u8>, FileFault> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= FILE_BYTES_MAX => Ok(text),
        Ok(_) | Err(_) => Err(FileFault::TooLarge),
    }
}

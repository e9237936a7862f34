//! Certificates by which an authority is shown that a name is ours, while it asks for that
//! (TLS-ALPN-01, RFC 8737). Never shown to who does not ask for them in so many words, and
//! never shown beside HTTP: such a handshake is all there is to the connection.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::provider;

/// What an authority offers, and nothing else, when it wants to see a proof.
const ACME_TLS: &[u8] = b"acme-tls/1";

/// What the proof is made of: a SHA-256 of what the authority knows.
pub type ProofDigest = [u8; 32];

/// Why there is no proof to show.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The name is none, or the system has no random bytes.
    #[error("a certificate that proves the name cannot be made: {0}")]
    Making(#[from] rcgen::Error),
    /// The library refuses.
    #[error("{0}")]
    Library(#[from] rustls::Error),
}

/// The proofs that are being asked for, by name; at most one a name.
#[derive(Debug, Default)]
pub struct Proofs(ArcSwap<HashMap<String, Arc<ServerConfig>>>);

impl Proofs {
    /// Shows the proof for a name until it is hidden.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn show(&self, name: &str, digest: &ProofDigest) -> Result<(), ProofError> {
        let proof = Arc::new(proof(name, digest)?);
        self.0.rcu(|shown| {
            let mut shown = HashMap::clone(shown);
            shown.insert(name.to_owned(), Arc::clone(&proof));
            shown
        });
        Ok(())
    }

    /// Shows it no more.
    pub fn hide(&self, name: &str) {
        self.0.rcu(|shown| {
            let mut shown = HashMap::clone(shown);
            shown.remove(name);
            shown
        });
    }

    /// Whether nobody asks for a proof, as it is nearly always.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// What a handshake is made with that asks for a proof; `None`: it asks for none, or for
    /// one that is not there.
    pub(super) fn asked_for(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut offered = hello.alpn()?;
        let alone = offered.next() == Some(ACME_TLS) && offered.next().is_none();
        let name = hello.server_name().filter(|_| alone)?;
        self.0.load().get(&name.to_ascii_lowercase()).cloned()
    }
}

/// Terms with a certificate that says the digest and is signed by nobody.
fn proof(name: &str, digest: &ProofDigest) -> Result<ServerConfig, ProofError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not checked against each other: what it says is critical, and nobody here can read it.
    let key = provider().key_provider.load_private_key(key)?;
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    // Nobody comes back with it.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_there_until_it_is_hidden() {
        let proofs = Proofs::default();
        assert!(proofs.is_empty());
        proofs.show("a.example", &[7; 32]).unwrap();
        proofs.show("a.example", &[8; 32]).unwrap();
        proofs.show("b.example", &[9; 32]).unwrap();
        proofs.hide("a.example");
        assert!(!proofs.is_empty(), "another name's is still asked for");
        proofs.hide("b.example");
        assert!(proofs.is_empty());
    }

    #[test]
    fn a_proof_speaks_nothing_but_its_own_protocol() {
        let config = proof("a.example", &[7; 32]).unwrap();
        assert_eq!(config.alpn_protocols, [b"acme-tls/1"]);
    }
}

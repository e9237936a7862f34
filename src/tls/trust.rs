//! The terms on which the edge makes handshakes with servers: whose word about them it
//! believes, and who it says it is. There is no way to believe a server unchecked.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use super::files::{Authorities, Chain, FileFault, Identity, PrivateKey};
use super::provider;

/// Why no server could be reached on such terms. Says which file is meant by the name that
/// its path has in the configuration, never by the path.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A slim image has none, as long as nobody puts them there.
    #[error(
        "the system has no list of authorities: install its package (ca-certificates), let \
         SSL_CERT_FILE name a file of them, or set ca"
    )]
    NoAuthorities,
    /// One of the files.
    #[error("the file of {part} {fault}")]
    File {
        /// Which: `ca`, `cert` or `key`.
        part: &'static str,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// The library refuses.
    #[error("TLS cannot be spoken on these terms: {0}")]
    Library(#[from] rustls::Error),
}

/// Where such terms lie, all of them in PEM.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustFiles<'p> {
    /// The authorities whose word about a server is believed; `None`: the system's own.
    pub ca: Option<&'p Path>,
    /// The certificate that is shown to servers which ask for one, and its key.
    pub client: Option<(&'p Path, &'p Path)>,
}

impl TrustFiles<'_> {
    /// Reads them into what handshakes are made with: TLS 1.2 and 1.3, and sessions that are
    /// resumed as long as the value lives. `protocols` are offered inside, the better first;
    /// none offers nothing. Blocks on the file system.
    ///
    /// # Errors
    /// What of it is of no use, and why.
    pub fn read(self, protocols: &[&[u8]]) -> Result<ClientConfig, TrustError> {
        let authorities = match self.ca {
            Some(path) => Authorities::read(path).map_err(of("ca"))?,
            None => Authorities::of_system().ok_or(TrustError::NoAuthorities)?,
        };
        let identity = self.client.map(|(cert, key)| {
            let chain = Chain::read(cert).map_err(of("cert"))?;
            let key = PrivateKey::read(key).map_err(of("key"))?;
            Identity::new(chain, key).map_err(of("key"))
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities.0);
        let mut config = match identity.transpose()? {
            None => builder.with_no_client_auth(),
            Some(Identity { certified, .. }) => {
                let shown = SingleCertAndKey::from(certified);
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn of(part: &'static str) -> impl FnOnce(FileFault) -> TrustError {
    move |fault| TrustError::File { part, fault }
}

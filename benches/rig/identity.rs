//! The certificate that every proxy shows, and how the load knows it. Made anew for each run, of
//! one authority with itself. Sends nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};

/// Certificate and key together, as HAProxy wants them; the others read each their part.
pub(crate) const FILE: &str = "tls.pem";
const NAME: &str = "localhost";
/// Tickets that clients hold at a time; each is used once.
const TICKETS_MAX: usize = 1_024;

/// How a client's handshake begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// As from one who was never here.
    Full,
    /// With a ticket from the time before.
    Resumed,
}

/// What clients know of the proxies.
pub(crate) struct Identity {
    full: Arc<ClientConfig>,
    certificate: CertificateDer<'static>,
}

impl Identity {
    /// Makes a certificate over P-256 and writes it into the folder.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let made = generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
        let CertifiedKey { cert, signing_key } = made;
        let both = format!("{}{}", cert.pem(), signing_key.serialize_pem());
        fs::write(folder.join(FILE), both)?;
        let certificate = cert.der().clone();
        let full = Arc::new(client(&certificate, Resumption::disabled())?);
        Ok(Self { full, certificate })
    }

    /// What the clients of one turn have in common: where they resume, their tickets.
    pub(crate) fn clients(&self, handshake: Handshake) -> io::Result<Arc<ClientConfig>> {
        match handshake {
            Handshake::Full => Ok(Arc::clone(&self.full)),
            Handshake::Resumed => {
                let tickets = Resumption::in_memory_sessions(TICKETS_MAX);
                client(&self.certificate, tickets).map(Arc::new)
            }
        }
    }
}

/// A new client, yet to begin.
pub(crate) fn connection(clients: &Arc<ClientConfig>) -> io::Result<ClientConnection> {
    let name = ServerName::try_from(NAME);
    let name = name.map_err(|error: InvalidDnsNameError| io::Error::other(error))?;
    ClientConnection::new(Arc::clone(clients), name).map_err(io::Error::other)
}

/// TLS 1.3 over X25519 alone: what all of the proxies know, so that all do the same work.
fn client(certificate: &CertificateDer<'static>, tickets: Resumption) -> io::Result<ClientConfig> {
    let mut known = RootCertStore::empty();
    known.add(certificate.clone()).map_err(io::Error::other)?;
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&version::TLS13]);
    let mut config = builder
        .map_err(io::Error::other)?
        .with_root_certificates(known)
        .with_no_client_auth();
    config.resumption = tickets;
    Ok(config)
}

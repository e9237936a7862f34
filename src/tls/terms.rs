//! The terms on which a listener makes its handshakes: which certificates, whose clients,
//! which versions and protocols. One value for all workers; never changed, but exchanged
//! whole.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;

use super::certificate::Papers;
use super::files::{Authorities, Identity};
use super::provider;

/// HTTP/2 by its registered name.
pub(super) const H2: &[u8] = b"h2";

/// What we speak inside, the better first.
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];

/// Why no handshake could be made on such terms.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// There is nothing to show.
    #[error("there is no certificate")]
    NoCertificate,
    /// The authorities of clients cannot be used.
    #[error("the authorities of clients cannot be used: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
    /// The library refuses.
    #[error("{0}")]
    Library(#[from] rustls::Error),
}

/// What a returning client shows instead of a whole handshake. Sealed with keys that live
/// here alone and are changed every six hours, so nothing is kept per client.
///
/// Each listener has its own: a ticket stands for everything that was checked before it was
/// given, and one of a listener that asks nobody for a certificate must not open one that does.
#[derive(Debug, Clone)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Fresh ones: whoever holds an older one makes a whole handshake.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new() -> Result<Self, TermsError> {
        Ok(Self(Ticketer::new()?))
    }
}

/// What is asked of clients. A clone shares the authorities.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Who vouches for them.
    pub authorities: Authorities,
    /// Whether one without a certificate is refused.
    pub required: bool,
}

/// The terms of one listener.
#[derive(Debug)]
pub struct Terms {
    pub(super) config: Arc<ServerConfig>,
    papers: Vec<Papers>,
}

impl Terms {
    /// Terms with these certificates, of which the first is shown to who names none that
    /// another is for. Who asks for a name in `awaited` that none is for is shown none.
    ///
    /// # Errors
    /// No certificate that is there or awaited, or authorities that cannot be used.
    pub fn new(
        identities: Vec<Identity>,
        awaited: &[String],
        clients: Option<Clients>,
        tickets: Tickets,
    ) -> Result<Self, TermsError> {
        let papers = identities.iter().map(|one| one.papers.clone()).collect();
        let shown = Shown::of(identities, awaited).ok_or(TermsError::NoCertificate)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(Clients {
                authorities,
                required,
            }) => {
                let provider = Arc::clone(provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities.0, provider);
                let verifier = match required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        config.ticketer = tickets.0;
        // Tickets do; a table of sessions would be a lock that all workers share.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            config: Arc::new(config),
            papers,
        })
    }

    /// What each of its certificates says of itself, in their order.
    #[must_use]
    pub fn papers(&self) -> &[Papers] {
        &self.papers
    }
}

/// Which certificate a client is shown: one for the name it asks for, of a kind it can
/// verify; the first in the order of the configuration, so that a file can put an ECDSA
/// certificate before an RSA one for old devices.
#[derive(Debug)]
pub(super) struct Shown {
    all: Vec<Arc<CertifiedKey>>,
    named: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// Names whose certificate is still to come.
    awaited: HashSet<String>,
}

impl Shown {
    pub(super) fn of(identities: Vec<Identity>, awaited: &[String]) -> Option<Self> {
        let mut named = HashMap::<String, Vec<_>>::new();
        let mut all = Vec::with_capacity(identities.len());
        for Identity { certified, papers } in identities {
            for name in papers.names {
                let same = named.entry(name).or_default();
                same.push(Arc::clone(&certified));
            }
            all.push(certified);
        }
        let awaited: HashSet<String> = awaited.iter().cloned().collect();
        (!all.is_empty() || !awaited.is_empty()).then_some(Self {
            all,
            named,
            awaited,
        })
    }

    /// Whether a name's certificate is still to come.
    pub(super) fn awaits(&self, name: &str) -> bool {
        self.awaited.contains(&name.to_ascii_lowercase())
    }

    /// Those for a name: its own, else those for all names beside it.
    pub(super) fn for_name(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.named.get(&format!("*.{parent}"))
        };
        let found = self.named.get(&name).or_else(wildcard);
        found.map(Vec::as_slice)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let named = asked.and_then(|name| self.for_name(name));
        // Another name's would be believed by nobody, and hide what is missing.
        if named.is_none() && asked.is_some_and(|name| self.awaits(name)) {
            return None;
        }
        let candidates = named.unwrap_or(&self.all);
        let offered = hello.signature_schemes();
        let verified = |one: &&Arc<CertifiedKey>| one.key.choose_scheme(offered).is_some();
        let found = candidates.iter().find(verified);
        found.or_else(|| self.all.first()).map(Arc::clone)
    }
}

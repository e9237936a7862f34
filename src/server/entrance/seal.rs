//! What one listener speaks TLS with: what its files hold, beside what ACME has brought, and
//! how the one or the other is exchanged under those who connect. Never looks by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::config::checked::{ClientAuth, ListenerTls};
use crate::tls::{
    Authorities, Chain, Clients, FileFault, Identity, PrivateKey, Terms, TermsError, Tickets,
};

use crate::server::acme::Showcase;
use crate::server::stamps::{Stamp, stamp};

/// What a listener speaks TLS with.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(super) files: ListenerTls,
    /// What lay in the files when they were last good.
    given: ArcSwap<Given>,
    terms: ArcSwap<Terms>,
    /// Why the files that lie there now are not in force.
    pub(super) refused: ArcSwapOption<String>,
    tickets: Tickets,
    /// The files as they lay there before they were first read.
    pub(super) first: Vec<Stamp>,
}

/// What a listener's files hold.
#[derive(Debug)]
struct Given {
    identities: Vec<Identity>,
    clients: Option<Clients>,
}

/// Why a listener's files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// One of them.
    #[error("the file of {path} {fault}")]
    File {
        /// Which, below the listener's own entry.
        path: String,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// All of them together.
    #[error("TLS cannot be offered: {0}")]
    Terms(#[from] TermsError),
}

impl Seal {
    pub(super) fn open(files: &ListenerTls, showcase: &Showcase) -> Result<Self, SealError> {
        let tickets = Tickets::new()?;
        // Before they are read: what changes from then on is seen to have changed.
        let first = paths(files).map(stamp).collect();
        let given = Given::read(files)?;
        let terms = given.terms(&files.acme, showcase, &tickets)?;
        Ok(Self {
            files: files.clone(),
            first,
            given: ArcSwap::from_pointee(given),
            terms: ArcSwap::from_pointee(terms),
            refused: ArcSwapOption::empty(),
            tickets,
        })
    }

    /// The terms in force. Whoever holds them ends their handshake on them.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Takes up what lies in the files now, if it is good.
    pub(super) fn renew(&self, showcase: &Showcase) -> Result<(), SealError> {
        let renewed = Given::read(&self.files).and_then(|given| {
            let tickets = match self.files.client_ca {
                None => Ok(self.tickets.clone()),
                // A ticket stands for a certificate that was checked against the authorities
                // of its day, so that these go with them.
                Some(_) => Tickets::new(),
            };
            let terms = given.terms(&self.files.acme, showcase, &tickets?)?;
            Ok((given, terms))
        });
        match renewed {
            Ok((given, terms)) => {
                self.given.store(Arc::new(given));
                self.terms.store(Arc::new(terms));
                self.refused.store(None);
                Ok(())
            }
            Err(error) => {
                self.refused.store(Some(Arc::new(error.to_string())));
                Err(error)
            }
        }
    }

    /// Takes up what ACME has brought, beside what lay in the files when they were last good:
    /// a file that is broken meanwhile keeps no name waiting. Clients keep their tickets.
    pub(super) fn show_issued(&self, showcase: &Showcase) -> Result<(), SealError> {
        let given = self.given.load();
        let terms = given.terms(&self.files.acme, showcase, &self.tickets)?;
        self.terms.store(Arc::new(terms));
        Ok(())
    }

    pub(super) fn stamps(&self) -> Vec<Stamp> {
        paths(&self.files).map(stamp).collect()
    }
}

fn paths(files: &ListenerTls) -> impl Iterator<Item = &Path> {
    let pairs = files.certificates.iter();
    let pairs = pairs.flat_map(|pair| [&pair.cert, &pair.key]);
    pairs.chain(&files.client_ca).map(PathBuf::as_path)
}

impl Given {
    /// What handshakes are made with: what is given goes before what ACME has brought, and who
    /// asks for a name that is still to come is told so.
    fn terms(
        &self,
        acme: &[String],
        showcase: &Showcase,
        tickets: &Tickets,
    ) -> Result<Terms, SealError> {
        let issued = acme.iter().filter_map(|name| showcase.issued(name));
        let identities = self.identities.iter().cloned().chain(issued);
        let (identities, clients) = (identities.collect(), self.clients.clone());
        Ok(Terms::new(identities, acme, clients, tickets.clone())?)
    }

    /// Reads a listener's files.
    fn read(files: &ListenerTls) -> Result<Self, SealError> {
        let several = files.certificates.len() > 1;
        let mut identities = Vec::with_capacity(files.certificates.len());
        for (at, pair) in files.certificates.iter().enumerate() {
            let refused = |part: &str| {
                let path = match several {
                    true => format!("tls.certs[{at}].{part}"),
                    false => format!("tls.{part}"),
                };
                move |fault| SealError::File { path, fault }
            };
            let chain = Chain::read(&pair.cert).map_err(refused("cert"))?;
            let key = PrivateKey::read(&pair.key).map_err(refused("key"))?;
            identities.push(Identity::new(chain, key).map_err(refused("key"))?);
        }
        let clients = match &files.client_ca {
            None => None,
            Some(file) => Some(Clients {
                authorities: Authorities::read(file).map_err(|fault| SealError::File {
                    path: "tls.client_ca".to_owned(),
                    fault,
                })?,
                required: files.client_auth == ClientAuth::Required,
            }),
        };
        Ok(Self {
            identities,
            clients,
        })
    }
}

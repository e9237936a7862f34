//! The public listeners as they run, from the start to the end: whose certificates each
//! shows, and whether it moves pages to https. Takes changed certificate files up without
//! a connection lost; broken ones leave the old in force, and that is said.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::time::sleep;

use crate::config::checked::{ClientAuth, Listener, ListenerTls};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;
use crate::telemetry::tls::CertificateReading;
use crate::tls::{
    Authorities, Chain, Clients, FileFault, Identity, Papers, PrivateKey, Standing, Terms,
    TermsError, Tickets,
};

use crate::server::stamps::{LOOK_EVERY, Stamp, stamp};
use crate::server::worker::Shared;

/// One public listener.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Its name.
    pub name: String,
    /// The port of https that pages asked for in the clear are moved to.
    pub redirect_to_https: Option<u16>,
    /// Where it speaks TLS.
    pub seal: Option<Seal>,
}

/// What a listener speaks TLS with.
#[derive(Debug)]
pub(crate) struct Seal {
    files: ListenerTls,
    terms: ArcSwap<Terms>,
    /// Why the files that lie there now are not in force.
    refused: ArcSwapOption<String>,
    tickets: Tickets,
    /// The files as they lay there before they were first read.
    first: Vec<Stamp>,
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

impl Entrance {
    /// A listener as it is configured.
    ///
    /// # Errors
    /// Files that were good when they were checked, and no longer are.
    pub(crate) fn open(listener: &Listener) -> Result<Self, SealError> {
        Ok(Self {
            name: listener.name.clone(),
            redirect_to_https: listener.redirect_to_https,
            seal: listener.tls.as_ref().map(Seal::open).transpose()?,
        })
    }
}

impl Seal {
    fn open(files: &ListenerTls) -> Result<Self, SealError> {
        let tickets = Tickets::new()?;
        // Before they are read: what changes from then on is seen to have changed.
        let first = paths(files).map(stamp).collect();
        let terms = terms(files, &tickets)?;
        Ok(Self {
            files: files.clone(),
            first,
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
    fn renew(&self) -> Result<(), SealError> {
        // A ticket stands for a certificate that was checked against the authorities of
        // its day, so that these go with them.
        let renewed = match self.files.client_ca {
            None => terms(&self.files, &self.tickets),
            Some(_) => terms(&self.files, &Tickets::new()?),
        };
        match renewed {
            Ok(terms) => {
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

    fn stamps(&self) -> Vec<Stamp> {
        paths(&self.files).map(stamp).collect()
    }
}

fn paths(files: &ListenerTls) -> impl Iterator<Item = &Path> {
    let pairs = files.certificates.iter();
    let pairs = pairs.flat_map(|pair| [&pair.cert, &pair.key]);
    pairs.chain(&files.client_ca).map(PathBuf::as_path)
}

/// Reads a listener's files.
fn terms(files: &ListenerTls, tickets: &Tickets) -> Result<Terms, SealError> {
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
    Ok(Terms::new(identities, clients, tickets.clone())?)
}

/// The wall clock, as certificates count.
pub(crate) fn now_s() -> i64 {
    i64::try_from(process::now_s()).unwrap_or(i64::MAX)
}

/// Every certificate in force, with its listener's name.
pub(crate) fn each(shared: &Shared, mut seen: impl FnMut(&str, &Papers)) {
    for entrance in &shared.entrances {
        let Some(seal) = &entrance.seal else { continue };
        for papers in seal.terms().papers() {
            seen(&entrance.name, papers);
        }
    }
}

/// What the metrics tell of certificates.
pub(crate) fn readings(shared: &Shared) -> Vec<CertificateReading> {
    let now_s = now_s();
    let mut readings = Vec::new();
    each(shared, |listener, papers| {
        readings.push(CertificateReading {
            listener: listener.to_owned(),
            name: papers.name().to_owned(),
            days_left: papers.days_left(now_s),
        });
    });
    readings
}

/// What is not as it should be, in words; and whether anything of it keeps clients out.
pub(crate) fn reasons(shared: &Shared) -> (Vec<String>, bool) {
    let now_s = now_s();
    let (mut reasons, mut over) = (Vec::new(), false);
    each(shared, |listener, papers| {
        if let Some(trouble) = papers.trouble(now_s) {
            let name = papers.name();
            reasons.push(format!(
                "listener {listener}: the certificate for {name} {trouble}"
            ));
        }
        over |= papers.standing(now_s) == Standing::Over;
    });
    for entrance in &shared.entrances {
        let refused = entrance
            .seal
            .as_ref()
            .and_then(|seal| seal.refused.load_full());
        if let Some(refused) = refused {
            let name = &entrance.name;
            reasons.push(format!(
                "listener {name}: its new certificate files are not in force: {refused}"
            ));
        }
    }
    (reasons, over)
}

/// Whoever takes up what changes in the certificate files.
pub(crate) struct Renewing {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl Renewing {
    pub(crate) fn new(shared: Arc<Shared>, metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self { shared, metrics })
    }

    /// Reads all files again, changed or not: somebody asked for it.
    pub(crate) fn all(&self) {
        for entrance in &self.shared.entrances {
            self.one(entrance);
        }
    }

    fn one(&self, entrance: &Entrance) {
        let Some(seal) = &entrance.seal else { return };
        let (listener, control) = (entrance.name.as_str(), &self.metrics.control);
        match seal.renew() {
            Ok(()) => {
                control.certificates_applied.fetch_add(1, Ordering::Relaxed);
                tracing::info!(listener, "certificates read anew");
            }
            Err(error) => {
                control.certificates_refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(listener, %error, "new certificate files are not taken up; the old stay in force");
            }
        }
    }

    /// Looks at the files as long as the control thread runs, and says when a certificate
    /// comes to its end. What the start has warned of already is not said again.
    pub(crate) async fn keep(self: Rc<Self>) {
        let each = |stamps: fn(&Seal) -> Vec<Stamp>| -> Vec<Vec<Stamp>> {
            let seals = self.shared.entrances.iter();
            let seals = seals.map(|entrance| entrance.seal.as_ref());
            seals
                .map(|seal| seal.map_or_else(Vec::new, stamps))
                .collect()
        };
        let mut taken = each(|seal| seal.first.clone());
        if taken.iter().all(Vec::is_empty) {
            return;
        }
        let mut seen = taken.clone();
        let mut told = self.standings();
        loop {
            sleep(LOOK_EVERY).await;
            let now = each(Seal::stamps);
            let places = now.iter().zip(&seen).zip(&mut taken);
            for (entrance, ((now, seen), taken)) in self.shared.entrances.iter().zip(places) {
                if now == seen && now != taken {
                    taken.clone_from(now);
                    self.one(entrance);
                }
            }
            seen = now;
            told = self.tell(&told);
        }
    }

    fn standings(&self) -> Vec<(Papers, Standing)> {
        let now_s = now_s();
        let mut standings = Vec::new();
        each(&self.shared, |_, papers| {
            standings.push((papers.clone(), papers.standing(now_s)));
        });
        standings
    }

    /// Says of each certificate once that it ends soon, and once that it has ended.
    fn tell(&self, told: &[(Papers, Standing)]) -> Vec<(Papers, Standing)> {
        let now = self.standings();
        for one in now.iter().filter(|one| !told.contains(one)) {
            let (papers, standing) = one;
            let Some(trouble) = papers.trouble(now_s()) else {
                continue;
            };
            let certificate = papers.name();
            match standing {
                Standing::Over => tracing::error!(certificate, "a certificate {trouble}"),
                Standing::Good | Standing::Ending | Standing::Early => {
                    tracing::warn!(certificate, "a certificate {trouble}");
                }
            }
        }
        now
    }
}

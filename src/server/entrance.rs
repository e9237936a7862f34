//! The public listeners as they run, from the start to the end: whose certificates each
//! shows, and whether it moves pages to https. Takes changed certificate files up, and what
//! ACME has brought, without a connection lost; broken ones leave the old in force, and that
//! is said.

mod seal;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::sleep;

use crate::config::Config;
use crate::config::checked::Listener;
use crate::domain::incident::Kind;
use crate::policy::renewal::Life;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;
use crate::telemetry::tls::CertificateReading;
use crate::tls::{Papers, Standing};

use crate::server::StartError;
use crate::server::acme::Showcase;
use crate::server::stamps::{LOOK_EVERY, Stamp};
use crate::server::worker::Shared;

pub(crate) use seal::Seal;
pub use seal::SealError;

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

impl Entrance {
    /// Every public listener as it is configured.
    ///
    /// # Errors
    /// Files that were good when they were checked, and no longer are.
    pub(crate) fn open_all(config: &Config, showcase: &Showcase) -> Result<Vec<Self>, StartError> {
        let opened = config.listen.public.iter().map(|listener| {
            Self::open(listener, showcase).map_err(|error| StartError::Certificates {
                listener: listener.name.clone(),
                error,
            })
        });
        opened.collect()
    }

    /// A listener as it is configured.
    ///
    /// # Errors
    /// Files that were good when they were checked, and no longer are.
    pub(crate) fn open(listener: &Listener, showcase: &Showcase) -> Result<Self, SealError> {
        Ok(Self {
            name: listener.name.clone(),
            redirect_to_https: listener.redirect_to_https,
            seal: match &listener.tls {
                Some(tls) => Some(Seal::open(tls, showcase)?),
                None => None,
            },
        })
    }
}

/// The wall clock, as certificates count.
pub(crate) fn now_s() -> i64 {
    i64::try_from(process::now_s()).unwrap_or(i64::MAX)
}

/// When a certificate holds, as renewals count it.
pub(crate) fn life(papers: &Papers) -> Life {
    Life {
        from_s: papers.not_before_s,
        until_s: papers.not_after_s,
    }
}

/// Shows a name's new certificate at every listener that wants it.
pub(crate) fn show_issued(shared: &Shared, name: &str) {
    for entrance in &shared.entrances {
        let Some(seal) = &entrance.seal else { continue };
        if seal.files.acme.iter().any(|wanted| wanted == name)
            && let Err(error) = seal.show_issued(&shared.acme)
        {
            let listener = entrance.name.as_str();
            tracing::error!(listener, %error, "a new certificate is not taken up; the old stays in force");
        }
    }
}

/// The listeners that speak TLS, by name.
pub(crate) fn secured(shared: &Shared) -> Vec<String> {
    let secured = shared.entrances.iter().filter(|one| one.seal.is_some());
    secured.map(|one| one.name.clone()).collect()
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
        let (name, Some(seal)) = (&entrance.name, &entrance.seal) else {
            continue;
        };
        let missing = shared.acme.reasons(&seal.files.acme, now_s);
        let missing = missing.iter();
        reasons.extend(missing.map(|missing| format!("listener {name}: {missing}")));
        if let Some(refused) = seal.refused.load_full() {
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
        match seal.renew(&self.shared.acme) {
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
        if self.shared.entrances.iter().all(|one| one.seal.is_none()) {
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
            let (certificate, kind) = (papers.name(), Kind::Certificate);
            let (name, advice) = (kind.as_str(), kind.advice_on(certificate));
            match standing {
                Standing::Over => {
                    tracing::error!(kind = name, certificate, advice, "a certificate {trouble}");
                }
                Standing::Good | Standing::Ending | Standing::Early => {
                    tracing::warn!(kind = name, certificate, advice, "a certificate {trouble}");
                }
            }
        }
        now
    }
}

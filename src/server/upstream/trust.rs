//! What TLS with servers stands on, as long as the edge runs: read from the files of
//! `upstream.tls`, and again when they change. Broken files leave the old in force; what
//! was agreed on before stays as it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::time::sleep;

use crate::config::checked::{Config, UpstreamTls};
use crate::server::stamps::{LOOK_EVERY, Stamp, stamp};
use crate::server::worker::Shared;
use crate::telemetry::metrics::Metrics;
use crate::tls::{Trust, TrustError};

/// What is in force, and what was read last.
#[derive(Debug, Default)]
pub(crate) struct Trusting {
    in_force: ArcSwapOption<Trust>,
    /// Why what lies there now is not in force.
    refused: ArcSwapOption<String>,
    /// The files as they lay there before they were last read.
    taken: Mutex<Vec<Stamp>>,
}

impl Trusting {
    /// What a configuration asks for: nothing is read where no server is spoken to by TLS.
    ///
    /// # Errors
    /// Files that were good when they were checked, and no longer are.
    pub(crate) fn open(config: &Config) -> Result<Self, TrustError> {
        let trusting = Self::default();
        trusting.renew(config)?;
        Ok(trusting)
    }

    /// What new handshakes are made with. Whoever holds it ends theirs with it.
    pub(crate) fn in_force(&self) -> Option<Arc<Trust>> {
        self.in_force.load_full()
    }

    /// Why the files that lie there now are not in force, if they are not.
    pub(crate) fn refused(&self) -> Option<Arc<String>> {
        self.refused.load_full()
    }

    /// Takes up what a configuration names, if it is good.
    fn renew(&self, config: &Config) -> Result<(), TrustError> {
        let files = &config.upstream.tls;
        // Before they are read: what changes from then on is seen to have changed.
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = stamps(files);
        if !config.reaches_by_tls() {
            self.in_force.store(None);
            self.refused.store(None);
            return Ok(());
        }
        match Trust::read(files.files()) {
            Ok(trust) => {
                self.in_force.store(Some(Arc::new(trust)));
                self.refused.store(None);
                Ok(())
            }
            Err(error) => {
                self.refused.store(Some(Arc::new(error.to_string())));
                Err(error)
            }
        }
    }

    /// The same, and says what came of it.
    pub(crate) fn take_up(&self, config: &Config, metrics: &Metrics) {
        let control = &metrics.control;
        match self.renew(config) {
            Ok(()) if !config.reaches_by_tls() => {}
            Ok(()) => {
                control.certificates_applied.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the files of upstream.tls read anew");
            }
            Err(error) => {
                control.certificates_refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "new files of upstream.tls are not taken up; the old stay in force");
            }
        }
    }

    fn are_taken(&self, now: &[Stamp]) -> bool {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) == now
    }
}

fn stamps(files: &UpstreamTls) -> Vec<Stamp> {
    let UpstreamTls { ca, cert, key } = files;
    let all = [ca, cert, key].into_iter().flatten();
    all.map(|path| stamp(Path::new(path))).collect()
}

/// Looks at the files as long as the control thread runs.
pub(crate) async fn keep_trusting(shared: Arc<Shared>, metrics: Arc<Metrics>) {
    let mut seen = Vec::new();
    loop {
        sleep(LOOK_EVERY).await;
        let rules = shared.rules.load_full();
        let now = stamps(&rules.config.upstream.tls);
        if now == seen && !shared.trust.are_taken(&now) {
            shared.trust.take_up(&rules.config, &metrics);
        }
        seen = now;
    }
}

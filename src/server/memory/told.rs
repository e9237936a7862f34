//! What Sentry says of projects, over a restart. A copy that cannot be read is warned of, and
//! asked for anew.

use std::sync::Arc;

use crate::config::checked::Config;
use crate::server::memory::state::StateFolder;
use crate::server::sentry::states::copy;
use crate::server::sentry::states::known::Known;

/// The file's name.
const STATES: &str = "sentry-states";

/// What Sentry said of projects, if an earlier run kept it.
pub(super) fn recall(folder: Option<&StateFolder>, config: &Config) -> Option<Known> {
    let asks = config.sentry.as_ref()?.credentials_file.is_some();
    let folder = folder.filter(|_| asks)?;
    let read = match folder.read(STATES, copy::FILE_BYTES_MAX) {
        Ok(None) => return None,
        Ok(Some(bytes)) => copy::decode(&bytes).map_err(std::io::Error::other),
        Err(error) => Err(error),
    };
    let warn = |error: &std::io::Error| {
        tracing::warn!(%error, "what Sentry says of projects is asked for anew");
    };
    read.inspect_err(warn).ok()
}

/// Keeps it for the next start, off this thread.
pub(super) fn keep(folder: Option<&StateFolder>, known: &Arc<Known>) {
    let Some(folder) = folder.cloned() else {
        return;
    };
    let known = Arc::clone(known);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = folder.write(STATES, &copy::encode(&known)) {
            tracing::warn!(%error, "a restart will have to wait for Sentry's word on projects");
        }
    });
}

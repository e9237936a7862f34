//! What Sentry says of projects, over a restart. A copy that cannot be read, or is of another
//! Sentry's word, is warned of, and asked for anew.

use std::cell::Cell;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::config::checked::{Config, UpstreamUrl};
use crate::server::memory::state::StateFolder;
use crate::server::sentry::states::copy;
use crate::server::sentry::states::known::Known;

/// The file's name.
const STATES: &str = "sentry-states";

/// What Sentry said of projects, if an earlier run kept it.
pub(super) fn recall(folder: Option<&StateFolder>, config: &Config) -> Option<Known> {
    let sentry = config.sentry.as_ref()?;
    let folder = folder.filter(|_| sentry.credentials_file.is_some())?;
    let read = match folder.read(STATES, copy::FILE_BYTES_MAX) {
        Ok(None) => return None,
        Ok(Some(bytes)) => {
            copy::decode(&sentry.url.to_string(), &bytes).map_err(std::io::Error::other)
        }
        Err(error) => Err(error),
    };
    let warn = |error: &std::io::Error| {
        tracing::warn!(%error, "what Sentry says of projects is asked for anew");
    };
    read.inspect_err(warn).ok()
}

/// Writes copies for the next start, one at a time: all have one draft.
#[derive(Default)]
pub(super) struct Copying(Cell<Option<JoinHandle<()>>>);

impl Copying {
    /// Keeps what the Sentry at the URL `of` says, off this thread. False: the copy before is
    /// still being written, and this one was not begun.
    pub(super) fn keep(
        &self,
        folder: Option<&StateFolder>,
        of: &UpstreamUrl,
        known: &Arc<Known>,
    ) -> bool {
        let Some(folder) = folder.cloned() else {
            return true;
        };
        if let Some(writing) = self.0.take().filter(|writing| !writing.is_finished()) {
            self.0.set(Some(writing));
            return false;
        }
        let (of, known) = (of.to_string(), Arc::clone(known));
        let writing = tokio::task::spawn_blocking(move || {
            if let Err(error) = folder.write(STATES, &copy::encode(&of, &known)) {
                tracing::warn!(%error, "a restart will have to wait for Sentry's word on projects");
            }
        });
        self.0.set(Some(writing));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;
    use crate::config::{self, Env};
    use crate::domain::credentials::Key;
    use crate::domain::project_state::ProjectState;

    fn config(url: &str) -> Config {
        let text = format!(
            "upstream: {{ingest: ['http://relay:3000']}}\n\
             sentry: {{url: '{url}', credentials: /credentials.json}}\n"
        );
        config::parse("v.yml", &text, &Env::empty()).unwrap().0
    }

    fn known() -> Arc<Known> {
        let key = Key::parse(b"0123456789abcdef0123456789abcdef").unwrap();
        let state = Arc::new(ProjectState::disabled(key));
        Arc::new(Known {
            states: [(key, state)].into(),
        })
    }

    #[tokio::test]
    async fn what_was_kept_is_recalled_for_the_sentry_that_said_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let own = config("http://web:9000");
        let copying = Copying::default();
        let url = &own.sentry.as_ref().unwrap().url;
        assert!(copying.keep(Some(&folder), url, &known()));
        copying.0.take().unwrap().await.unwrap();
        assert_eq!(recall(Some(&folder), &own), Some((*known()).clone()));
        let other = config("http://other:9000");
        assert_eq!(recall(Some(&folder), &other), None);
    }

    #[test]
    fn a_copy_is_begun_once_the_one_before_is_written() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.build().unwrap();
        let _entered = runtime.enter();
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let own = config("http://web:9000");
        let keep = |copying: &Copying| {
            let url = &own.sentry.as_ref().unwrap().url;
            copying.keep(Some(&folder), url, &known())
        };
        // A draft that takes nothing until somebody reads it.
        let draft = folder.file(&format!("{STATES}.new"));
        rustix::fs::mknodat(CWD, &draft, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let copying = Copying::default();
        let begun = [keep(&copying), keep(&copying)];
        let wait = || runtime.block_on(copying.0.take().unwrap()).unwrap();
        let mut written = Vec::new();
        let mut reader = std::fs::File::open(&draft).unwrap();
        reader.read_to_end(&mut written).unwrap();
        std::fs::remove_file(&draft).unwrap();
        assert_eq!(begun, [true, false], "the first was under way");
        wait();
        assert_eq!(written, copy::encode("http://web:9000", &known()));
        assert!(keep(&copying), "the first is written");
        wait();
        assert_eq!(recall(Some(&folder), &own), Some((*known()).clone()));
    }
}

//! What a stop could not tell Sentry of, for the next start. The file is there from a stop to
//! the start after it: whoever reads it removes it before anything of it is told, so that a
//! crash loses and never doubles. One that cannot be read is put aside and stops no start.

use crate::policy::millis::Millis;
use crate::policy::reports::{Pending, UNTOLD_BYTES_MAX};

use crate::server::memory::state::StateFolder;

/// The file's name.
const UNTOLD: &str = "untold-reports";

/// The file, where there is a folder.
#[derive(Debug)]
pub(crate) struct Untold(Option<StateFolder>);

impl Untold {
    /// The one in this folder.
    pub(crate) fn at(folder: Option<StateFolder>) -> Self {
        Self(folder)
    }

    /// Takes over what an earlier run left, at a moment on both clocks. The next one will not
    /// find it again. Blocks for as long as the disk takes.
    pub(crate) fn recall(&self, now: Millis, now_unix_s: u64) -> Pending {
        let Some(folder) = &self.0 else {
            return Pending::default();
        };
        let damage = match folder.read(UNTOLD, UNTOLD_BYTES_MAX) {
            Ok(None) => return Pending::default(),
            Ok(Some(bytes)) => match Pending::decode(&bytes, now, now_unix_s) {
                Ok(pending) => return taken_over(folder, pending),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::error!(
            error = damage,
            "what the last run had yet to tell Sentry of cannot be read: it is never told, and the file is put aside as untold-reports.unread"
        );
        if let Err(error) = folder.put_aside(UNTOLD) {
            tracing::warn!(%error, "it cannot be put aside");
        }
        Pending::default()
    }

    /// Leaves it to the next run, at a moment on both clocks, and says so. False: it is lost.
    pub(crate) fn keep(&self, pending: &Pending, now: Millis, now_unix_s: u64) -> bool {
        let items = pending.items();
        if items == 0 {
            return true;
        }
        let Some(folder) = &self.0 else {
            tracing::warn!(
                items,
                "stopped before Sentry was told of all that was dropped here: there is no state.path to keep it, and it is never told"
            );
            return false;
        };
        match folder.write(UNTOLD, &pending.encode(now, now_unix_s)) {
            Ok(()) => {
                tracing::info!(
                    items,
                    "stopped before Sentry was told of all that was dropped here: the next start tells it"
                );
                true
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    items,
                    "stopped before Sentry was told of all that was dropped here: it cannot be kept, and is never told"
                );
                false
            }
        }
    }
}

fn taken_over(folder: &StateFolder, pending: Pending) -> Pending {
    let items = pending.items();
    if let Err(error) = folder.remove(UNTOLD) {
        // Told now, it would be told again by the next run, which finds it as well.
        tracing::error!(
            %error,
            items,
            "what the last run had yet to tell Sentry of is not told: its file cannot be removed"
        );
        return Pending::default();
    }
    tracing::info!(items, "Sentry is told of what the last run could not tell");
    pending
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::endpoint::ProjectId;
    use crate::domain::outcome::Reason;
    use crate::policy::pair::Pair;
    use crate::policy::reports::{Dropped, Gathered, START_MS, Standing};

    const NOW: Millis = Millis(START_MS);

    fn seven() -> Pending {
        let dropped = Dropped {
            reason: Reason::Crawler,
            limit: None,
            category: Category::Error,
            items: 7,
            bytes: 70,
        };
        let (mut gathered, mut pending) = (Gathered::default(), Pending::default());
        let pair = Pair::of([7; 16], ProjectId::parse(b"42"));
        gathered.add(pair, Standing::Vouched, dropped);
        pending.merge(NOW, gathered);
        pending
    }

    fn at(place: &TempDir) -> Untold {
        Untold::at(Some(StateFolder::open(place.path()).unwrap()))
    }

    #[test]
    fn what_was_left_is_taken_over_once() {
        let place = TempDir::new().unwrap();
        assert!(at(&place).keep(&seven(), NOW, 1_000));
        assert_eq!(at(&place).recall(NOW, 2_000).items(), 7);
        assert!(!place.path().join(UNTOLD).exists());
        assert_eq!(at(&place).recall(NOW, 2_000).items(), 0);
    }

    #[test]
    fn a_stop_that_told_everything_leaves_no_file() {
        let place = TempDir::new().unwrap();
        assert!(at(&place).keep(&Pending::default(), NOW, 1_000));
        assert!(!place.path().join(UNTOLD).exists());
    }

    #[test]
    fn without_a_folder_it_is_lost_and_that_is_known() {
        let nowhere = Untold::at(None);
        assert!(!nowhere.keep(&seven(), NOW, 1_000));
        assert!(nowhere.keep(&Pending::default(), NOW, 1_000));
        assert_eq!(nowhere.recall(NOW, 1_000).items(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_that_is_known() {
        let place = TempDir::new().unwrap();
        let untold = at(&place);
        // A folder stands where the draft is to be written.
        fs::create_dir(place.path().join("untold-reports.new")).unwrap();
        assert!(!untold.keep(&seven(), NOW, 1_000));
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_stops_no_start() {
        let place = TempDir::new().unwrap();
        let path = place.path().join(UNTOLD);
        let damages: [fn(Vec<u8>) -> Vec<u8>; 3] = [
            |_| Vec::new(),
            |mut bytes| {
                bytes.truncate(bytes.len() / 2);
                bytes
            },
            |bytes| String::from_utf8(bytes).unwrap().replace("07", "08").into(),
        ];
        for damage in damages {
            assert!(at(&place).keep(&seven(), NOW, 1_000));
            let bytes = damage(fs::read(&path).unwrap());
            fs::write(&path, &bytes).unwrap();
            assert_eq!(at(&place).recall(NOW, 1_000).items(), 0);
            assert!(!path.exists(), "the next run does not meet it again");
            let aside = fs::read(place.path().join("untold-reports.unread"));
            assert_eq!(aside.unwrap(), bytes);
        }
    }

    /// What stays there would be told again.
    #[test]
    fn what_cannot_be_removed_is_not_told() {
        let place = TempDir::new().unwrap();
        assert!(at(&place).keep(&seven(), NOW, 1_000));
        let untold = at(&place);
        let folder = untold.0.as_ref().unwrap();
        fs::remove_file(place.path().join(UNTOLD)).unwrap();
        assert_eq!(taken_over(folder, seven()).items(), 0);
    }
}

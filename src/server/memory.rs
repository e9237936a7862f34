//! What outlives a restart: the proven senders, Sentry's list of keys, the secret
//! that addresses are hashed with, what was used of quotas, what operators switched on,
//! what Sentry has yet to be told of.
//! Read at start, written by the control thread.
//! Without a usable folder the edge runs all the same, and says so once.

pub(super) mod journal;
pub(super) mod knowledge;
pub(super) mod lock;
pub(super) mod state;
pub(super) mod switches;
mod told;
pub(super) mod untold;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::config::checked::{Config, Rate, StorePolicy, UpstreamUrl};
use crate::policy::millis::Millis;
use crate::policy::proven_file;
use crate::policy::quotas::Counters;
use crate::policy::verdicts::{VerdictLimits, Verdicts};
use crate::telemetry::labels::Table;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::metrics::{ControlMetrics, Metrics};
use crate::telemetry::process;

use super::StartError;
use crate::server::delivery::maintenance::Maintenance;
use crate::server::delivery::outages::Outages;
use crate::server::habits::Habits;
use crate::server::memory::journal::Journal;
use crate::server::memory::knowledge::Knowledge;
use crate::server::memory::state::{StateError, StateFolder};
use crate::server::memory::switches::Switchboard;
use crate::server::memory::untold::Untold;
use crate::server::sentry::copy;
use crate::server::sentry::list::KeyList;
use crate::server::sentry::states::{files, known::Known};
use crate::server::spool::pause::Pause;
use crate::server::worker::Shared;

const PROVEN: &str = "proven-keys";
const LISTED: &str = "sentry-keys";
const SECRET: &str = "hash-key";

/// Bytes of a secret that is made here: as many as a 256-bit key.
const SECRET_BYTES: usize = 32;
const SECRET_FILE_BYTES_MAX: u64 = 1024;

/// How often tables are swept and counted, and how often the proven ones are
/// written: what a crash may lose is proven again within minutes.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// What the edge remembers, and where.
pub(crate) struct Memory {
    /// What is known.
    pub knowledge: Knowledge,
    folder: Option<StateFolder>,
    copying: told::Copying,
    /// Whether the configuration names a folder, be it of use or not.
    wants_folder: bool,
}

impl Memory {
    /// What was kept by an earlier run.
    ///
    /// # Errors
    /// Another edge keeps its own there: both would write over what the other has learned.
    pub(crate) fn recall(config: &Config) -> Result<Self, StartError> {
        let folder = match config.state.path.as_deref() {
            None => None,
            Some(path) => match StateFolder::open(path) {
                Ok(folder) => Some(folder),
                Err(StateError::Taken(holder)) => {
                    return Err(StartError::Taken {
                        key: "state.path",
                        path: path.to_path_buf(),
                        by: holder.to_string(),
                    });
                }
                Err(error @ StateError::Io(_)) => {
                    tracing::warn!(
                        %error,
                        "state.path cannot be used: what is learned, and what is used of quotas, is lost at a restart"
                    );
                    None
                }
            },
        };
        let sentry = config.sentry.as_ref();
        let lists = sentry.filter(|sentry| sentry.token.is_some());
        let listed = folder.as_ref().zip(lists).and_then(|(folder, sentry)| {
            copy::load(&folder.file(LISTED), &sentry.url.to_string())
                .inspect_err(|error| tracing::warn!(%error, "it is read from Sentry anew"))
                .ok()?
        });
        Ok(Self {
            knowledge: Knowledge {
                listed: listed.map(Arc::new),
                states: told::recall(folder.as_ref(), config).map(Arc::new),
                files: config.project_files.as_deref().map(|folder| {
                    // The watch says what of it cannot be read.
                    Arc::new(files::read(folder, None))
                }),
                secret: secret(folder.as_ref()).into(),
            },
            folder,
            copying: told::Copying::default(),
            wants_folder: config.state.path.is_some(),
        })
    }

    /// Keeps the secret that addresses are hashed with, where it is in use.
    pub(crate) fn keep_secret(&self, config: &Config) {
        let rules = &config.client_ip;
        if rules.store != StorePolicy::Hash || rules.hash_key.is_some() {
            return;
        }
        let folder = self.folder.as_ref();
        let kept = folder.map(|folder| folder.write(SECRET, &self.knowledge.secret));
        if !matches!(kept, Some(Ok(()))) {
            tracing::warn!(
                "client_ip.store is hash, and its key cannot be kept: a restart makes every client a new one; set client_ip.hash_key"
            );
        }
    }

    /// The verdicts to begin with: nothing but what was proven before.
    pub(crate) fn verdicts(&self, config: &Config, now: Millis) -> Verdicts {
        let keys = &config.keys;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let verdicts = Verdicts::new(VerdictLimits {
            proven_max: size(keys.proven_max),
            candidates_max: size(keys.candidates_max),
            refused_max: size(keys.refused_max),
            unproven_per_second: per_second(keys.unproven_rate),
        });
        if let Some(folder) = &self.folder {
            let pairs_max = size(keys.proven_max);
            let bytes_max = u64::try_from(proven_file::bytes_max(pairs_max)).unwrap_or(u64::MAX);
            match folder.read(PROVEN, bytes_max) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    let now_s = process::now_s();
                    match proven_file::decode(&bytes, pairs_max, now_s) {
                        Ok(pairs) => verdicts.restore(&pairs, now, now_s),
                        Err(error) => {
                            tracing::warn!(%error, "keys have to prove themselves anew");
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "keys have to prove themselves anew"),
            }
        }
        verdicts
    }

    /// Whether the upstream was being worked on when an earlier run ended.
    pub(crate) fn maintenance(&self) -> Maintenance {
        Maintenance::recall(self.folder.as_ref(), process::now_s())
    }

    /// Has the next run know of it.
    pub(crate) fn keep_maintenance(&self, maintenance: &Maintenance) {
        maintenance.keep(self.folder.as_ref());
    }

    /// Whether the spool was paused when an earlier run ended.
    pub(crate) fn pause(&self) -> Pause {
        Pause::recall(self.folder.as_ref())
    }

    /// Has the next run know of it. False: it will not.
    pub(crate) fn keep_pause(&self, pause: &Pause) -> bool {
        pause.keep(self.folder.as_ref())
    }

    /// What was switched on when an earlier run ended.
    pub(crate) fn switchboard(&self, counters: &Arc<Counters>) -> Switchboard {
        Switchboard::recall(self.folder.clone(), counters, process::now_s())
    }

    /// What projects usually send, as an earlier run saw it; the books go on from what they say.
    pub(crate) fn habits(&self, ledger: &Ledger) -> Habits {
        Habits::recall(self.folder.clone(), ledger)
    }

    /// Where a stop leaves what it could not tell Sentry of.
    pub(crate) fn untold(&self) -> Untold {
        Untold::at(self.folder.clone())
    }

    /// Where used quotas are written down from now on.
    pub(crate) fn journal(&self, counters: &Arc<Counters>) -> Journal {
        match &self.folder {
            Some(folder) => Journal::open(folder.clone(), counters),
            None if self.wants_folder => Journal::failed(),
            None => Journal::default(),
        }
    }

    /// Keeps the list of the Sentry at this URL for the next start.
    pub(crate) fn keep_list(&self, of: &UpstreamUrl, list: &Arc<KeyList>) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let (of, list) = (of.to_string(), Arc::clone(list));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = copy::save(&folder.file(LISTED), &of, &list) {
                tracing::warn!(%error, "a restart will have to wait for Sentry's list");
            }
        });
    }

    /// Keeps what the Sentry at this URL says of projects for the next start. False: what was kept
    /// before is still being written, and this has to be kept later.
    pub(crate) fn keep_states(&self, of: &UpstreamUrl, known: &Arc<Known>) -> bool {
        self.copying.keep(self.folder.as_ref(), of, known)
    }

    /// Sweeps the tables and writes down what is proven, for as long as it runs.
    pub(crate) async fn keep(self: Rc<Self>, shared: Arc<Shared>, metrics: Arc<Metrics>) {
        let mut saved_at = Instant::now();
        let mut outages = Outages::default();
        let mut saved = None;
        loop {
            sleep(SWEEP_EVERY).await;
            let now = Instant::now();
            shared.look_at_clock();
            outages.tell(&shared);
            if shared.maintenance.look(process::now_s()) {
                tracing::info!("maintenance is over: what was kept is sent now");
            }
            shared.verdicts.sweep(shared.millis(now));
            shared.learned.sweep(shared.millis(now));
            shared.strangers.absent.sweep(shared.millis(now));
            shared.repeats.sweep(shared.millis(now));
            shared.blocks.sweep(shared.millis(now));
            shared.counters.sweep(shared.moment(now));
            let verdicts = shared.verdicts.tables().into_iter();
            let limits = shared.counters.tables().into_iter();
            let others = [
                shared.learned.table(),
                shared.strangers.absent.table(),
                shared.repeats.table(),
                shared.blocks.table(),
            ];
            for table in verdicts.chain(limits).chain(others) {
                let control = &metrics.control;
                let now_s = process::now_s();
                control.note_table(table.name, table.entries, table.evictions, now_s);
            }
            metrics.control.cache.note(shared.cache.held());
            if now.duration_since(saved_at) >= SAVE_EVERY {
                saved_at = now;
                let (memory, shared) = (self.folder.clone(), Arc::clone(&shared));
                let saving =
                    tokio::task::spawn_blocking(move || save(memory.as_ref(), &shared, saved));
                match saving.await {
                    Ok(digest) => saved = digest,
                    Err(_) => tracing::error!("writing the proven keys panicked; this is a bug"),
                }
            }
        }
    }

    /// Where it is kept.
    pub(crate) fn folder(&self) -> Option<&StateFolder> {
        self.folder.as_ref()
    }

    /// Writes down what another process is to go on from, and lets go of the folder.
    pub(crate) fn hand_over(&self, shared: &Shared) {
        shared.journal.hand_over(&shared.counters);
        shared.habits.save();
        save(self.folder.as_ref(), shared, None);
        if let Some(folder) = &self.folder {
            folder.give_away();
        }
    }

    /// Takes the folder back.
    ///
    /// # Errors
    /// Another process has it still.
    pub(crate) fn take_back(&self, shared: &Shared) -> std::io::Result<()> {
        if let Some(folder) = self.folder.as_ref().filter(|it| it.is_given_away()) {
            folder.take_back().map_err(std::io::Error::other)?;
        }
        shared.journal.take_back(&shared.counters);
        Ok(())
    }

    /// Writes down what is proven, at the end of a run.
    pub(crate) fn close(&self, shared: &Shared) {
        shared.spool.close();
        shared.journal.close();
        shared.habits.save();
        save(self.folder.as_ref(), shared, None);
    }
}

/// Writes down what is proven, unless that is what was `saved` last; yields what is
/// on disk now, as a digest.
fn save(folder: Option<&StateFolder>, shared: &Shared, saved: Option<u64>) -> Option<u64> {
    let folder = folder?;
    if folder.is_given_away() {
        return saved;
    }
    let now = shared.millis(Instant::now());
    let mut pairs = shared.verdicts.proven(now, process::now_s());
    // In one order, so that the same pairs are the same bytes.
    pairs.sort_unstable_by_key(|pair| (pair.key, pair.project));
    let bytes = proven_file::encode(&pairs);
    let digest = crate::config::digest(&bytes);
    if saved == Some(digest) {
        return saved;
    }
    match folder.write(PROVEN, &bytes) {
        Ok(()) => Some(digest),
        Err(error) => {
            tracing::warn!(%error, "the proven keys cannot be kept over a restart");
            None
        }
    }
}

/// Notes what each table may hold, for as long as the process runs.
pub(crate) fn limit_tables(config: &Config, metrics: &ControlMetrics) {
    let (keys, limits) = (&config.keys, &config.limits);
    for (table, entries_max) in [
        (Table::KeysProven, keys.proven_max),
        (Table::KeysUnproven, keys.candidates_max),
        (Table::KeysRefused, keys.refused_max),
        (Table::KeysAbsent, keys.refused_max),
        (Table::LimitsLearned, keys.limited_max),
        (Table::Repeats, limits.repeats),
        (Table::QuotaCounters, limits.quota_counters),
        (Table::QuotaIps, limits.quota_ips),
        (Table::Blocks, limits.block.clients_max),
    ] {
        metrics.limit_table(table, entries_max);
    }
}

/// The unproven rate in whole requests a second, at least one.
pub(crate) fn per_second(rate: Rate) -> u32 {
    let per_s = rate.count / rate.per.as_secs().max(1);
    u32::try_from(per_s).unwrap_or(u32::MAX).max(1)
}

/// The secret to hash addresses with: an earlier run's, else a fresh one. One that
/// is there and cannot be read is put aside, not written over: with it the
/// pseudonyms of all earlier events would be lost.
fn secret(folder: Option<&StateFolder>) -> Vec<u8> {
    let Some(folder) = folder else {
        return random();
    };
    match folder.read(SECRET, SECRET_FILE_BYTES_MAX) {
        Ok(Some(kept)) if kept.len() >= SECRET_BYTES => return kept,
        Ok(None) => return random(),
        Ok(Some(_)) => tracing::warn!("the key of hashed addresses is too short"),
        Err(error) => tracing::warn!(%error, "the key of hashed addresses cannot be read"),
    }
    if let Err(error) = folder.put_aside(SECRET) {
        tracing::warn!(%error, "it cannot be put aside");
    }
    random()
}

fn random() -> Vec<u8> {
    let mut bytes = vec![0; SECRET_BYTES];
    let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if !drawn.is_ok_and(|drawn| drawn == SECRET_BYTES) {
        // Linux fills so few bytes whole, once it has booted. Without them, what is
        // left is a key that cannot be guessed easily and lasts for this run.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_ns = now.map_or(0, |now| now.as_nanos());
        bytes.splice(..16, now_ns.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_and_one_that_cannot_be_one_is_put_aside() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let first = secret(Some(&folder));
        assert_eq!(first.len(), SECRET_BYTES);
        assert_ne!(first, secret(Some(&folder)), "nothing was kept yet");
        folder.write(SECRET, &first).unwrap();
        assert_eq!(secret(Some(&folder)), first);
        folder.write(SECRET, b"short").unwrap();
        assert_ne!(secret(Some(&folder)), b"short");
        assert_eq!(folder.read(SECRET, 64).unwrap(), None, "free for a new one");
        let aside = folder.read("hash-key.unread", 64).unwrap();
        assert_eq!(aside.as_deref(), Some(&b"short"[..]));
    }
}

//! What projects usually send: looks at the books once a minute, keeps what it saw over a restart,
//! and tells who has fallen silent and what a spike would have cost. On the control thread, and of
//! no concern to a request. `policy::baselines` has the rules; never reads a request or a body.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::config::checked::{Config, SpikeMode};
use crate::domain::endpoint::ProjectId;
use crate::domain::incident::{Condition, Kind};
use crate::domain::outcome::{Group, Reason};
use crate::policy::baselines::{self, Baselines, Change, Counted, Spikes, Terms, Told};
use crate::telemetry::clock::lasting;
use crate::telemetry::habits::HabitsReading;
use crate::telemetry::ledger::{Account, Ledger, Line};
use crate::telemetry::process;

use crate::server::memory::state::StateFolder;
use crate::server::worker::Shared;

/// The file's name.
const BASELINES: &str = "baselines";

/// How often the clock is looked at. The books are, once a minute.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a crash may lose is a part of an hour.
const SAVE_EVERY_MINUTES: u64 = 10;

const MINUTE_S: u64 = 60;

/// What is known of projects, for whoever asks.
#[derive(Debug)]
pub(crate) struct Habits {
    baselines: Mutex<Baselines>,
    folder: Option<StateFolder>,
    /// Held while the file is written: two writers share its draft.
    writing: Mutex<()>,
}

impl Habits {
    /// What an earlier run saw; one that cannot be read is put aside, and never stops a start.
    pub(crate) fn recall(folder: Option<StateFolder>, ledger: &Ledger) -> Self {
        let kept = folder.as_ref().map(load);
        let mut baselines = kept.unwrap_or_default();
        // A process that was taken over from has looked at what its books say.
        baselines.begin(&counted(&ledger.lines()));
        Self {
            baselines: Mutex::new(baselines),
            folder,
            writing: Mutex::default(),
        }
    }

    fn baselines(&self) -> MutexGuard<'_, Baselines> {
        // A look that panicked has left some of its minute out.
        self.baselines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes it down, where there is a folder that is ours. Blocks for as long as the disk takes.
    pub(crate) fn save(&self) {
        let ours = |folder: &&StateFolder| !folder.is_given_away();
        let Some(folder) = self.folder.as_ref().filter(ours) else {
            return;
        };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = baselines::encode(&self.baselines());
        if let Err(error) = folder.write(BASELINES, &bytes) {
            tracing::warn!(%error, "what projects usually send cannot be kept over a restart");
        }
    }

    /// Looks at the books, if a minute has passed.
    fn look(&self, shared: &Shared, now_s: u64) -> Option<u64> {
        let minute = now_s / MINUTE_S;
        if self.baselines().minute() == minute {
            return None;
        }
        let counted = counted(&shared.ledger.lines());
        let terms = terms(&shared.rules.load().config);
        let switches = shared.switches.load();
        let changes = self.baselines().look(minute, &counted, &terms, |project| {
            let on = switches.of(Some(project));
            on.is_some_and(|on| !on.mutes_on(now_s).is_empty())
        });
        changes.into_iter().for_each(tell);
        Some(minute)
    }

    /// All that is known, and the minute of Unix time it was seen in.
    pub(crate) fn told(&self, config: &Config) -> (u64, Vec<Told>) {
        let baselines = self.baselines();
        let told = baselines.told(&terms(config)).collect();
        (baselines.minute(), told)
    }

    /// The same for the metrics.
    pub(crate) fn reading(&self) -> HabitsReading {
        let baselines = self.baselines();
        let silent = baselines.silent();
        let spikes = baselines.spikes();
        HabitsReading {
            silent: silent
                .map(|(project, since)| (project.get(), since.is_some()))
                .collect(),
            spikes: spikes
                .map(|(project, category, dropped, since)| {
                    (project.get(), category, dropped, since.is_some())
                })
                .collect(),
        }
    }

    /// Whether it is looked whether this project is silent, or sends too much.
    pub(crate) fn looks(&self, config: &Config, kind: Kind, project: &str) -> bool {
        let terms = terms(config);
        let is_told = match kind == Kind::ProjectSilent {
            true => terms.silence,
            false => terms.spikes.is_some(),
        };
        // One of which nothing came for eight days is forgotten.
        let baselines = self.baselines();
        let mut followed = baselines.silent();
        is_told && followed.any(|(id, _)| id.to_string() == project)
    }

    /// Who is silent, and which spikes there are.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let now = process::now_s() / MINUTE_S;
        let baselines = self.baselines();
        let ago = |minute: u64| lasting(now.saturating_sub(minute) * MINUTE_S);
        let silent = baselines.silent().filter_map(|(project, since)| {
            let ago = ago(since?);
            let says = format!("project {project} has sent nothing for {ago}, and usually does");
            Some(Condition::new(
                Kind::ProjectSilent,
                &project.to_string(),
                &says,
            ))
        });
        let mut holding: Vec<Condition> = silent.collect();
        // A project is one subject, whatever it sends too much of.
        let mut spikes = BTreeMap::<ProjectId, Vec<String>>::new();
        for (project, category, dropped, since) in baselines.spikes() {
            let Some(since) = since else {
                continue;
            };
            let (category, ago) = (category.name(), ago(since));
            let says = format!("{category} for {ago} ({dropped} since the start)");
            spikes.entry(project).or_default().push(says);
        }
        holding.extend(spikes.into_iter().map(|(project, says)| {
            let says = says.join(", ");
            let says = format!(
                "project {project} sends far more than usual; what spike protection would have \
                 dropped: {says}"
            );
            Condition::new(Kind::Spike, &project.to_string(), &says)
        }));
        holding
    }
}

/// Looks at the books for as long as it runs.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut saved = process::now_s() / MINUTE_S;
    loop {
        sleep(LOOK_EVERY).await;
        // While it stops clients go elsewhere: that is no silence.
        if shared.stopping.load(std::sync::atomic::Ordering::Relaxed) {
            continue;
        }
        let Some(minute) = shared.habits.look(&shared, process::now_s()) else {
            continue;
        };
        // A clock that was set back has not waited.
        if minute.abs_diff(saved) >= SAVE_EVERY_MINUTES {
            saved = minute;
            let shared = Arc::clone(&shared);
            let saving = tokio::task::spawn_blocking(move || shared.habits.save());
            if saving.await.is_err() {
                tracing::error!("writing what projects usually send panicked; this is a bug");
            }
        }
    }
}

fn load(folder: &StateFolder) -> Baselines {
    let bytes_max = u64::try_from(baselines::bytes_max()).unwrap_or(u64::MAX);
    let error = match folder.read(BASELINES, bytes_max) {
        Ok(None) => return Baselines::default(),
        Ok(Some(bytes)) => match baselines::decode(&bytes) {
            Ok(baselines) => return baselines,
            Err(error) => std::io::Error::other(error),
        },
        Err(error) => error,
    };
    tracing::warn!(
        %error,
        "what projects usually send has to be learned anew, and the file is put aside as baselines.unread"
    );
    if let Err(error) = folder.put_aside(BASELINES) {
        tracing::warn!(%error, "it cannot be put aside");
    }
    Baselines::default()
}

fn terms(config: &Config) -> Terms {
    let held_s = config.limits.retry_after_max.as_secs();
    Terms {
        silence: config.silence.enabled,
        spikes: match config.spikes.mode {
            SpikeMode::Off => None,
            SpikeMode::Shadow => Some(Spikes {
                times: config.spikes.times,
                floor: config.spikes.floor,
            }),
        },
        // A minute more, since a look is that late.
        held_minutes: held_s.div_ceil(MINUTE_S) + 1,
        projects_max: usize::try_from(config.metrics.projects_max).unwrap_or(usize::MAX),
    }
}

/// The rows of projects that have a number, as baselines are fed.
fn counted(lines: &[Line]) -> Vec<Counted> {
    let rows = lines.iter().filter_map(|line| {
        let Account::Project(project) = line.account else {
            return None;
        };
        let (mut at_the_door, mut held_back) = (0_u64, 0_u64);
        for (reason, sum) in &line.dropped {
            if is_at_the_door(*reason) {
                at_the_door = at_the_door.saturating_add(sum.items);
            }
            if holds_back(*reason) {
                held_back = held_back.saturating_add(sum.items);
            }
        }
        Some(Counted {
            project,
            category: line.category,
            received: line.received.items,
            accepted: line.received.items.saturating_sub(at_the_door),
            held_back,
        })
    });
    rows.collect()
}

/// Whether it is dropped before anybody would have counted it against a habit.
const fn is_at_the_door(reason: Reason) -> bool {
    matches!(
        reason.group(),
        Group::Request | Group::Key | Group::Filter | Group::Limit | Group::Sample
    )
}

/// Whether its sender is told to keep away for a while.
const fn holds_back(reason: Reason) -> bool {
    let limited = matches!(reason.group(), Group::Limit) && !reason.is_silent();
    limited || matches!(reason, Reason::Upstream429)
}

fn tell(change: Change) {
    match change {
        // Incidents tell of these.
        Change::Silent { .. } | Change::Spike { .. } => {}
        Change::Heard { project, minutes } => {
            let silent = lasting(minutes * MINUTE_S);
            tracing::info!(%project, silent, "a project that was silent sends again");
        }
        Change::Forgotten { project } => tracing::info!(
            %project,
            "a project has sent nothing for eight days, which is usual from now on"
        ),
        Change::SpikeOver {
            project,
            category,
            minutes,
            dropped,
        } => {
            let (category, lasted) = (category.name(), lasting(minutes * MINUTE_S));
            tracing::info!(
                %project,
                category,
                lasted,
                would_have_dropped = dropped,
                "a spike is over; nothing was dropped for it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::domain::category::Category;

    #[test]
    fn rows_are_counted_by_what_passed_the_door() {
        let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
        let worker = ledger.worker();
        let project = ProjectId::parse(b"42");
        let row = worker.row(worker.account(project, true), Category::Error);
        row.received(100, 1000);
        row.forwarded(10, 1);
        for (reason, items) in [
            (Reason::Quota, 1),
            (Reason::Repeated, 2),
            (Reason::Localhost, 4),
            (Reason::Upstream429, 8),
            (Reason::SpoolExpired, 16),
        ] {
            row.dropped(reason, items, 1);
        }
        let stranger = worker.account(project, false);
        worker.row(stranger, Category::Unread).received(9, 9);
        let want = Counted {
            project: project.unwrap(),
            category: Category::Error,
            received: 100,
            accepted: 93,
            held_back: 9,
        };
        assert_eq!(counted(&ledger.lines()), [want]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_put_aside_and_one_that_can_is_taken_up() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let ledger = Ledger::new(SystemTime::UNIX_EPOCH, 10);
        folder.write(BASELINES, b"vidette-baselines 1 0\n").unwrap();
        let habits = Habits::recall(Some(folder.clone()), &ledger);
        assert!(habits.baselines().is_empty());
        assert!(folder.file("baselines.unread").exists());
        habits
            .baselines()
            .look(29_000_000, &[], &terms_of_default(), |_| false);
        let news = Counted {
            project: ProjectId::parse(b"42").unwrap(),
            category: Category::Error,
            received: 1,
            accepted: 1,
            held_back: 0,
        };
        habits
            .baselines()
            .look(29_000_001, &[news], &terms_of_default(), |_| false);
        habits.save();
        let again = Habits::recall(Some(folder.clone()), &ledger);
        assert_eq!(again.baselines().len(), 1);
        folder.give_away();
        std::fs::remove_file(folder.file(BASELINES)).unwrap();
        again.save();
        assert!(!folder.file(BASELINES).exists(), "it is another's now");
    }

    fn terms_of_default() -> Terms {
        terms(&Config::in_front_of(Vec::new()))
    }
}

//! The disk guard: looks at the disks of Sentry's now and then, and puts in force what
//! stays here while one is nearly full. The control thread's alone; workers find it in what
//! is switched on. Owns the looks and what is told of each step; `policy::disk_guard` says
//! which stage it is.
//!
//! **It fails open.** Of a disk that cannot be looked at nothing is known, and it holds nothing
//! back. One that only does not answer, as a disk does that is very busy, counts for a minute
//! as it was seen last.

mod look;
mod standing;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::checked::DiskGuard;
use crate::domain::incident::Kind;
use crate::domain::outcome::Reason;
use crate::domain::sampling::Rate;
use crate::domain::switch::Share;
use crate::policy::disk_guard::{Guard, Ladder, Stage};
use crate::policy::filling::{Filling, Seen};
use crate::policy::millis::Millis;
use crate::telemetry::clock::lasting;
use crate::telemetry::ledger::{Ledger, Sum};
use crate::telemetry::process;

use crate::server::memory::switches::Switchboard;
use crate::server::worker::Shared;

pub(crate) use look::Fault;
pub(crate) use standing::{Board, Disk, Standing};

use look::Eye;

/// For how long a disk that does not answer counts as it was seen last.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Who looks at the disks.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    switchboard: Rc<Switchboard>,
    disks: Vec<Watched>,
    stage: Stage,
    in_force: Option<Guard>,
    /// Since the guard keeps anything here.
    began: Option<Began>,
}

/// A disk, and what is known of it.
struct Watched {
    eye: Eye,
    seen: Option<(Seen, Instant)>,
    fault: Option<Fault>,
    filling: Filling,
}

/// How it stood when the guard began to keep something here.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    unix_s: u64,
    dropped: Sum,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, switchboard: Rc<Switchboard>) -> Self {
        Self {
            shared,
            switchboard,
            disks: Vec::new(),
            stage: Stage::Open,
            in_force: None,
            began: None,
        }
    }

    /// Looks at the disks for as long as it runs, as the configuration in force says.
    pub(crate) async fn keep(mut self) {
        loop {
            let config = self.shared.rules.load().config.disk_guard.clone();
            self.turn(&config).await;
            sleep(config.interval).await;
        }
    }

    async fn turn(&mut self, config: &DiskGuard) {
        self.follow(config);
        for disk in &mut self.disks {
            disk.look(self.shared.millis(Instant::now())).await;
        }
        let ladder = ladder(config);
        let uses = self.disks.iter().filter_map(Watched::used);
        let stage = uses.max().map(|used| ladder.stage(self.stage, used));
        let stage = stage.unwrap_or_default();
        let mut standing = self.standing(config, &ladder, stage);
        if stage != self.stage {
            self.step(stage, &standing);
            // What comes in is another from here on.
            for disk in &mut self.disks {
                disk.filling.forget();
            }
        }
        let errors = Rate::of(config.sample_errors.ratio()).unwrap_or(Rate::ALL);
        let guard = Guard::at(stage, errors);
        if guard != self.in_force {
            self.in_force = guard;
            self.switchboard.guards(guard);
        }
        standing.since_unix_s = self.began.map(|began| began.unix_s);
        self.shared.disks.show(standing);
    }

    /// Keeps what is known of disks that are still guarded.
    fn follow(&mut self, config: &DiskGuard) {
        let same = self.disks.iter().map(|disk| disk.eye.path());
        if same.eq(config.paths.iter().map(|path| &**path)) {
            return;
        }
        let mut before = std::mem::take(&mut self.disks);
        self.disks = config
            .paths
            .iter()
            .map(|path| {
                let known = before.iter().position(|disk| disk.eye.path() == path);
                known.map_or_else(|| Watched::new(path.clone()), |at| before.swap_remove(at))
            })
            .collect();
    }

    fn standing(&self, config: &DiskGuard, ladder: &Ladder, stage: Stage) -> Standing {
        let now = self.shared.millis(Instant::now());
        let disks = self.disks.iter().map(|disk| disk.shown(now, ladder, stage));
        Standing {
            stage,
            since_unix_s: None,
            mark: ladder.mark(stage),
            errors: config.sample_errors,
            disks: disks.collect(),
        }
    }

    /// Tells of a step, once.
    fn step(&mut self, stage: Stage, standing: &Standing) {
        let was = std::mem::replace(&mut self.stage, stage);
        let dropped = dropped(&self.shared.ledger);
        let began = *self.began.get_or_insert_with(|| Began {
            at: Instant::now(),
            unix_s: process::now_s(),
            dropped,
        });
        let since = Sum {
            items: dropped.items.wrapping_sub(began.dropped.items),
            bytes: dropped.bytes.wrapping_sub(began.dropped.bytes),
        };
        let lasted = lasting(began.at.elapsed().as_secs());
        let disk = standing.fullest();
        let (path, used, of) = disk.map_or_else(Default::default, Disk::fields);
        let full_in = disk.and_then(|disk| disk.full.in_s()).map(lasting);
        let (step, kept_here) = (stage.name(), stage.words(standing.errors));
        let kind = Kind::DiskGuard;
        if stage > was {
            tracing::warn!(
                kind = kind.as_str(),
                stage = step,
                path,
                used,
                of,
                full_in,
                kept_here,
                advice = kind.advice_on("disks"),
                "a guarded disk is nearly full: the disk guard keeps more here"
            );
        } else if stage == Stage::Open {
            self.began = None;
            tracing::info!(
                kind = kind.as_str(),
                stage = step,
                path,
                used,
                of,
                lasted,
                dropped_items = since.items,
                dropped_bytes = since.bytes,
                "the disk guard lets everything through again"
            );
        } else {
            tracing::info!(
                stage = step,
                path,
                used,
                of,
                full_in,
                kept_here,
                dropped_items = since.items,
                dropped_bytes = since.bytes,
                "there is room again: the disk guard keeps less here"
            );
        }
    }
}

impl Watched {
    fn new(path: std::path::PathBuf) -> Self {
        Self {
            eye: Eye::new(path),
            seen: None,
            fault: None,
            filling: Filling::default(),
        }
    }

    async fn look(&mut self, now: Millis) {
        let path = self.eye.path().display().to_string();
        match self.eye.look().await {
            Ok(seen) => {
                self.filling.note(now, seen);
                self.seen = Some((seen, Instant::now()));
                if self.fault.take().is_some() {
                    tracing::info!(path, "a guarded disk can be looked at again");
                }
            }
            Err(fault) => {
                let recent = |at: Instant| fault == Fault::Silent && at.elapsed() < REMEMBERED;
                self.seen = self.seen.filter(|(_, at)| recent(*at));
                if self.fault.replace(fault) != Some(fault) {
                    tracing::warn!(path, %fault, "a guarded disk cannot be looked at: it holds nothing back");
                }
            }
        }
    }

    fn used(&self) -> Option<Share> {
        let (seen, _) = self.seen?;
        seen.fullest().map(|(share, _)| share)
    }

    fn shown(&self, now: Millis, ladder: &Ladder, stage: Stage) -> Disk {
        let seen = self.seen.map(|(seen, _)| seen);
        let used = seen.and_then(|seen| seen.fullest());
        let reaches = |mark| {
            let seen = seen?;
            Some(self.filling.reaches(now, &seen, mark))
        };
        let next = used.and_then(|(used, _)| ladder.next(stage, used));
        Disk {
            path: self.eye.path().to_path_buf(),
            seen,
            used,
            fault: self.fault,
            next: next.map(|(stage, mark)| (stage, mark, reaches(mark).unwrap_or_default())),
            full: reaches(Share::ALL).unwrap_or_default(),
        }
    }
}

fn ladder(config: &DiskGuard) -> Ladder {
    let stages = &config.stages;
    Ladder::new([stages.large, stages.bulk, stages.errors], config.back)
}

/// What the guard has kept here since the start.
fn dropped(ledger: &Ledger) -> Sum {
    let lines = ledger.lines();
    let sums = lines
        .iter()
        .filter_map(|line| line.dropped.get(&Reason::DiskGuard));
    sums.fold(Sum::default(), |all, more| Sum {
        items: all.items.wrapping_add(more.items),
        bytes: all.bytes.wrapping_add(more.bytes),
    })
}

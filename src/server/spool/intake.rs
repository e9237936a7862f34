//! How requests are taken in: those for which there is room, as many as came at once with
//! one sync of the disk. Never says 200: a worker does, once this has told it to.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config::checked::Spool;
use crate::policy::replay::Held;
use crate::policy::replay::lane::Lane;

use super::clerk::{Clerk, Going};
use super::holds::Stowed;
use super::log::{AppendError, Draft, Head, Log, Place, RealDisk, RealFile};
use super::orders::{Wanted, Whose};
use super::parcel;
use super::room::{Asks, Used, has_room};
use super::{Due, Kept, NotKept, queued_bytes};
use crate::server::delivery::spill::Spill;
use crate::server::delivery::tee::Copied;
use crate::server::ingest::chunks::total_bytes;

/// One for which there is room.
struct Admitted {
    wanted: Wanted,
    head: Head,
    lane: Lane,
    payload: Vec<Bytes>,
    body: Option<RealFile>,
    bytes: u64,
}

impl Clerk {
    /// Keeps requests, and tells each of its end.
    pub(super) fn keep(&mut self, wanted: Vec<Wanted>) {
        if wanted.is_empty() {
            return;
        }
        let mut used = self.used();
        let mut of_projects = HashMap::new();
        let mut admitted = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let queued = queued_bytes(&wanted.parcel);
            self.queued_bytes.fetch_sub(queued, Relaxed);
            match self.admit(wanted, &mut used, &mut of_projects) {
                Ok(one) => admitted.push(one),
                Err((told, why)) => _ = told.send(Err(why)),
            }
        }
        let mut drafts: Vec<Draft<'_, RealFile>> = admitted
            .iter_mut()
            .map(|one| Draft {
                head: one.head,
                payload: &one.payload,
                body: one.body.take(),
            })
            .collect();
        let written = match drafts.is_empty() {
            true => Vec::new(),
            false => self.log.append(&mut drafts),
        };
        drop(drafts);
        for (one, written) in admitted.into_iter().zip(written) {
            self.tell(one, written);
        }
        // Once for all of them: it wakes a thread.
        self.due.notify_one();
    }

    /// Finds room for one, and makes it ready to be written. What was found for others that come
    /// with it is used, though the log does not have them yet: in all, and by project.
    fn admit(
        &mut self,
        mut wanted: Wanted,
        used: &mut Used,
        of_projects: &mut HashMap<u64, u64>,
    ) -> Result<Admitted, (oneshot::Sender<Result<Kept, NotKept>>, NotKept)> {
        let parcel = &mut wanted.parcel;
        let front = parcel::write(parcel, self.log.limits().inline_bytes_max);
        let bytes = length(&front) + parcel.body_bytes() + HEAD_BYTES;
        let lane = parcel.lane();
        let project = parcel.project.map(|id| id.get());
        // None and project 0 share an account, as in the log.
        let of_project = of_projects.entry(project.unwrap_or_default()).or_default();
        let asks = Asks {
            lane,
            bytes,
            project_bytes: self.log.project_bytes(project).saturating_add(*of_project),
            proven: parcel.proven,
        };
        let config = &self.rules.load().config.spool;
        if !has_room(config, *used, asks) || self.held.is_full() {
            self.told_full.tell(&asks, *used, config);
            return Err((wanted.told, NotKept::Full));
        }
        *of_project += bytes;
        used.live += bytes;
        used.on_disk += bytes;
        used.free = used.free.saturating_sub(bytes);
        self.free.takes(bytes);
        used.strangers += if parcel.proven { 0 } else { bytes };
        let body = std::mem::replace(&mut parcel.body, Copied::Chunks(Default::default()));
        let (payload, body) = match lay_out(&self.log, front, body) {
            Ok(laid) => laid,
            Err(error) => {
                tracing::error!(%error, "a large body cannot be kept");
                self.state.failing.store(true, Relaxed);
                return Err((wanted.told, NotKept::Disk));
            }
        };
        let head = Head {
            order: self.next_order,
            at_unix_ms: self.now_unix_ms(),
            project,
            lane: lane.number(),
            items: u32::try_from(wanted.parcel.items()).unwrap_or(u32::MAX),
        };
        self.next_order += 1;
        Ok(Admitted {
            wanted,
            head,
            lane,
            payload,
            body,
            bytes,
        })
    }

    fn tell(&mut self, one: Admitted, written: Result<Place, AppendError>) {
        let Admitted {
            wanted:
                Wanted {
                    parcel,
                    due,
                    whose,
                    told,
                },
            head,
            lane,
            bytes,
            ..
        } = one;
        let place = match written {
            Ok(place) => place,
            Err(error) => {
                let failed = self.state.failing.swap(true, Relaxed);
                if !failed {
                    tracing::error!(%error, "the spool's disk does not take what it should keep");
                }
                let why = match error {
                    AppendError::NoSpace => NotKept::Full,
                    AppendError::TooLarge | AppendError::Io(_) => NotKept::Disk,
                };
                told.send(Err(why)).ok();
                return;
            }
        };
        if self.state.failing.swap(false, Relaxed) {
            tracing::info!("the spool's disk works again");
        }
        let holds = self
            .holds
            .note(head.order, parcel.project, &parcel.holdings);
        let held = Held {
            place: Stowed { lies: place, holds },
            order: head.order,
            at: head.at_unix_ms,
            project: parcel.project,
            lane,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        };
        let going = (due == Due::WhenTold).then_some(Going {
            late: true,
            maybe_sent: parcel.maybe_sent,
            purged: false,
            abroad: whose == Whose::Abroad,
        });
        let to = self.destination(parcel.to.as_deref());
        let kept = self.took(to, held, going);
        if kept && !parcel.proven {
            self.is_strangers(head.order, bytes);
        }
        let answer = if kept {
            Ok(Kept(head.order))
        } else {
            Err(NotKept::Full)
        };
        match (told.send(answer), kept) {
            (Ok(()), true) => {
                self.state.appended.fetch_add(1, Relaxed);
                self.state.appended_bytes.fetch_add(bytes, Relaxed);
            }
            // Nobody waits for it any more, and it stands in no book.
            (Err(_), true) => self.withdraw(&held),
            (_, false) => {}
        }
    }
}

/// What goes into a record, and what into a file of its own.
type Laid = (Vec<Bytes>, Option<RealFile>);

fn lay_out(log: &Log<RealDisk>, front: Bytes, body: Copied) -> std::io::Result<Laid> {
    match body {
        Copied::Chunks(chunks) => lay_out_chunks(log, front, chunks),
        Copied::File(spill) => lay_out_file(front, &spill),
    }
}

/// The same of a body in memory: in the record, unless that would be too long.
pub(in crate::server) fn lay_out_chunks(
    log: &Log<RealDisk>,
    front: Bytes,
    chunks: VecDeque<Bytes>,
) -> std::io::Result<Laid> {
    let inline_max = u64::from(log.limits().inline_bytes_max);
    if length(&front) + total_bytes(&chunks) <= inline_max {
        let payload = std::iter::once(front).chain(chunks).collect();
        return Ok((payload, None));
    }
    let file = log.unnamed()?;
    let mut out = file.file();
    for chunk in &chunks {
        out.write_all(chunk)?;
    }
    Ok((vec![front], Some(file)))
}

/// The same of one in a file, which the log gets by another handle: its own goes with its budget.
pub(in crate::server) fn lay_out_file(front: Bytes, spill: &Spill) -> std::io::Result<Laid> {
    let file = OwnedFd::from(spill.file().0.try_clone()?);
    Ok((vec![front], Some(RealFile::from(file))))
}

/// What the log adds to a record.
pub(in crate::server) const HEAD_BYTES: u64 = 64;

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Tells the log, once a minute at most, whom the spool refuses and why.
#[derive(Debug, Default)]
pub(super) struct ToldFull(Option<Instant>);

impl ToldFull {
    fn tell(&mut self, asks: &Asks, used: Used, config: &Spool) {
        const EVERY: Duration = Duration::from_secs(60);
        if self.0.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.0 = Some(Instant::now());
        tracing::warn!(
            kind = ?asks.lane,
            proven = asks.proven,
            bytes = asks.bytes,
            project_bytes = asks.project_bytes,
            project_bytes_max = config.project_bytes,
            kept_bytes = used.live,
            bytes_max = config.max_bytes,
            strangers_bytes = used.strangers,
            free_bytes = used.free,
            free_floor = config.free_floor,
            "the spool has no room for a request: it is refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::clerk_with;
    use super::super::parcel::Parcel;
    use super::*;
    use crate::domain::endpoint::ProjectId;
    use crate::server::delivery::spill::DiskBudget;

    const KIB: usize = 1 << 10;

    /// What waits for the disk: a project, and a body in memory or in a file.
    type Waiting = (Option<u64>, Copied);

    fn in_memory(bytes: usize) -> Copied {
        Copied::Chunks([Bytes::from(vec![7; bytes])].into())
    }

    fn in_a_file(bytes: usize) -> Copied {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        let bytes = u64::try_from(bytes).unwrap();
        let budget = DiskBudget {
            taken: std::sync::Arc::new(bytes.into()),
            bytes_max: u64::MAX,
            free_floor: 0,
        };
        Copied::File(Spill::of(file, bytes, budget))
    }

    /// Brings them all at once or one by one, to a spool with so many KiB for each project, and
    /// says which were kept.
    fn kept(waiting: Vec<Waiting>, project_kib: usize, at_once: bool) -> Vec<bool> {
        let place = tempfile::tempdir().unwrap();
        let (mut clerk, _) = clerk_with(place.path(), |config| {
            config.spool.project_bytes = u64::try_from(project_kib * KIB).unwrap();
        });
        let (wanted, tells): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|(project, body)| {
                let project = project.map(|number| number.to_string());
                let parcel = Parcel {
                    holdings: Vec::new(),
                    to: None,
                    project: project.and_then(|number| ProjectId::parse(number.as_bytes())),
                    sender: None,
                    proven: true,
                    maybe_sent: false,
                    envelope: None,
                    head: b"POST /api/1/envelope/ HTTP/1.1\r\n\r\n".to_vec(),
                    body,
                };
                let (told, tells) = oneshot::channel();
                let wanted = Wanted {
                    parcel: Box::new(parcel),
                    due: Due::Now,
                    whose: Whose::Own,
                    told,
                };
                (wanted, tells)
            })
            .unzip();
        match at_once {
            true => clerk.keep(wanted),
            false => wanted.into_iter().for_each(|one| clerk.keep(vec![one])),
        }
        let told = tells.into_iter().map(|mut tells| tells.try_recv().unwrap());
        told.map(|told| match told {
            Ok(_) => true,
            Err(NotKept::Full) => false,
            Err(other) => panic!("{other:?}"),
        })
        .collect()
    }

    #[track_caller]
    fn check(waiting: impl Fn() -> Vec<Waiting>, project_kib: usize, want: &[bool]) {
        for at_once in [false, true] {
            let kept = kept(waiting(), project_kib, at_once);
            assert_eq!(kept, want, "all at once: {at_once}");
        }
    }

    #[test]
    fn a_projects_share_is_the_same_for_those_that_come_at_once() {
        let of = |projects: [Option<u64>; 6]| {
            let each = projects.into_iter();
            each.map(|project| (project, in_memory(40 * KIB))).collect()
        };
        let alone = || of([Some(42); 6]);
        check(alone, 100, &[true, true, false, false, false, false]);
        check(alone, 300, &[true; 6]);
        // None stands in another's way.
        let both = || of([42, 42, 42, 7, 7, 7].map(Some));
        check(both, 100, &[true, true, false, true, true, false]);
        let nobodys = || of([None, None, None, Some(7), None, Some(7)]);
        check(nobodys, 100, &[true, true, false, true, false, true]);
    }

    #[test]
    fn a_body_in_a_file_counts_whole_against_it() {
        let large = || {
            let sizes = [2048, 2048, 2048, 40];
            let each = sizes.into_iter();
            each.map(|kib| (Some(42), in_a_file(kib * KIB))).collect()
        };
        check(large, 5000, &[true, true, false, true]);
    }
}

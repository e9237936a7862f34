//! How copies are taken into a mirror's store: those for which there is room, as many as came at
//! once with one sync of the disk.

use std::rc::Rc;

use bytes::Bytes;

use crate::domain::endpoint::ProjectId;
use crate::policy::replay::Held;
use crate::policy::replay::lane::Lane;
use crate::telemetry::labels::MirrorLoss;

use super::{Bounds, Store};
use crate::server::delivery::tee::Copied;
use crate::server::ingest::chunks::total_bytes;
use crate::server::mirrors::{Body, Twin};
use crate::server::spool::intake;
use crate::server::spool::log::{Disk as _, Draft, Head, RealFile};
use crate::server::spool::parcel::{self, Parcel};

impl Store {
    /// Keeps copies, with one sync of the disk; `true` where the mirror may have one already.
    /// Those for which there is no room are lost.
    pub(in crate::server::mirrors) fn keep(
        &mut self,
        twins: Vec<(Rc<Twin>, bool)>,
        bounds: Bounds<'_>,
    ) {
        if twins.is_empty() {
            return;
        }
        let mut laid = Vec::with_capacity(twins.len());
        let mut live_bytes = self.log.usage().live_bytes;
        for (twin, maybe_sent) in twins {
            if twin.dropped.get() {
                self.counts.loses(MirrorLoss::Dropped, 1);
                continue;
            }
            match self.lay(&twin, maybe_sent, &mut live_bytes, bounds) {
                Ok(one) => laid.push(one),
                Err(loss) => self.counts.loses(loss, 1),
            }
        }
        let mut drafts: Vec<Draft<'_, RealFile>> = laid
            .iter_mut()
            .map(|one| Draft {
                head: one.head,
                payload: &one.payload,
                body: one.body.take(),
            })
            .collect();
        let written = self.log.append(&mut drafts);
        drop(drafts);
        for (one, written) in laid.into_iter().zip(written) {
            let place = match written {
                Ok(place) => place,
                Err(error) => {
                    self.fails(&error);
                    self.counts.loses(MirrorLoss::Disk, 1);
                    continue;
                }
            };
            self.failing = false;
            let held = Held {
                place,
                order: one.head.order,
                at: one.head.at_unix_ms,
                project: one.project,
                lane: Lane::read(one.head.lane),
                bytes: u32::try_from(one.bytes).unwrap_or(u32::MAX),
            };
            if self.held.push(held).is_err() {
                self.loses(&held, MirrorLoss::SpoolFull);
            }
        }
        self.publish();
    }

    /// Finds room for one, and makes it ready to be written.
    fn lay(
        &mut self,
        twin: &Twin,
        maybe_sent: bool,
        live_bytes: &mut u64,
        bounds: Bounds<'_>,
    ) -> Result<Laid, MirrorLoss> {
        let chunks = match &twin.body {
            Body::Whole(chunks) => chunks.clone(),
            Body::File(_) => Default::default(),
        };
        let parcel = Parcel {
            holdings: Vec::new(),
            to: None,
            project: twin.project,
            sender: Some(twin.sender),
            proven: true,
            maybe_sent,
            envelope: twin.envelope,
            head: twin.head.to_vec(),
            body: Copied::Chunks(chunks.clone()),
        };
        let (body_bytes, body_crc) = match &twin.body {
            Body::Whole(chunks) => {
                let inline_max = self.log.limits().inline_bytes_max;
                (total_bytes(chunks), parcel.checksum(inline_max))
            }
            Body::File(spill) => (spill.file().1, spill.checksum()),
        };
        let front = parcel::write_with(&parcel, body_crc);
        let front_bytes = u64::try_from(front.len()).unwrap_or(u64::MAX);
        let bytes = front_bytes + body_bytes + intake::HEAD_BYTES;
        let (now, floor) = (self.now(), bounds.free_floor);
        let disk = self.log.disk();
        let free = self.free.look(now, floor, || disk.free_bytes().ok());
        let fits = live_bytes.saturating_add(bytes) <= bounds.spool.max_bytes
            && free >= floor.saturating_add(bytes)
            && !self.held.is_full();
        if !fits {
            return Err(MirrorLoss::SpoolFull);
        }
        let laid = match &twin.body {
            Body::Whole(_) => intake::lay_out_chunks(&self.log, front, chunks),
            Body::File(spill) => intake::lay_out_file(front, spill),
        };
        let (payload, body) = laid.map_err(|error| {
            self.fails(&error);
            MirrorLoss::Disk
        })?;
        *live_bytes += bytes;
        self.free.takes(bytes);
        let taken_ms = u64::try_from(twin.taken.elapsed().as_millis()).unwrap_or(u64::MAX);
        let head = Head {
            order: self.next_order,
            at_unix_ms: self.now_unix_ms().saturating_sub(taken_ms),
            project: twin.project.map(ProjectId::get),
            lane: twin.lane.number(),
            items: 1,
        };
        self.next_order += 1;
        Ok(Laid {
            head,
            payload,
            body,
            bytes,
            project: twin.project,
        })
    }

    /// Told once, until it works again.
    pub(super) fn fails(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            let mirror = &self.counts.name;
            tracing::error!(%error, mirror, "the disk does not take what a mirror should get later");
        }
    }
}

/// One for which there is room.
struct Laid {
    head: Head,
    payload: Vec<Bytes>,
    body: Option<RealFile>,
    bytes: u64,
    project: Option<ProjectId>,
}

//! A request of which mirrors get a copy, while the first Sentry has it: what of it stays at
//! hand, and when it is a mirror's turn. Costs the request its head once more; its body is shared.
//! Never waits for a mirror.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use crate::domain::coding::Coding;
use crate::domain::endpoint::Endpoint;
use crate::policy::replay::lane::Lane;

use super::{Body, COPIES_PART, First, Mirrors, Original};
use crate::server::delivery::exchange::Came;
use crate::server::delivery::tee::{Copied, Keepsake};
use crate::server::ingest::Pass;
use crate::server::ingest::manifest::Manifest;
use crate::server::upstream::send::{Outbound, Sent};
use crate::server::upstream::sending::head_bytes;
use crate::server::worker::{InForce, Worker};

/// One request.
#[derive(Debug)]
pub(crate) struct Copying {
    chosen: u8,
    head: Arc<[u8]>,
    body: AtHand,
    envelope: Option<Coding>,
    manifest: Rc<Manifest>,
}

#[derive(Debug)]
enum AtHand {
    Whole(VecDeque<Bytes>),
    Passing(Keepsake),
    Nowhere,
}

impl Copying {
    /// Sees to it that a request stays at hand, if any mirror is to get it: what may be kept in a
    /// spool, since a mirror may be away. Once whoever keeps it for the first has seen to it.
    pub(crate) fn of(
        rules: &InForce,
        pass: Pass,
        outbound: &mut Outbound,
        manifest: Option<&Rc<Manifest>>,
    ) -> Option<Box<Self>> {
        let manifest = manifest?;
        let endpoint = pass.endpoint;
        let posted = outbound.head.method == Method::POST || endpoint == Endpoint::Cron;
        if !(endpoint.can_wait() && posted) {
            return None;
        }
        let chosen = Mirrors::chosen(rules, manifest.project(), || manifest.id());
        if chosen == 0 {
            return None;
        }
        let body = &mut outbound.body;
        let envelope = match body.is_inflated() {
            true => pass.envelope.map(|_| Coding::Identity),
            false => pass.envelope,
        };
        let body = match body.chunks() {
            Some(chunks) => AtHand::Whole(chunks.clone()),
            None => body.keepsake().map_or(AtHand::Nowhere, AtHand::Passing),
        };
        Some(Box::new(Self {
            chosen,
            head: head_bytes(&outbound.head).into(),
            body,
            envelope,
            manifest: Rc::clone(manifest),
        }))
    }

    /// Copies the request to its mirrors, if the first Sentry has taken it, or it is kept for it.
    pub(crate) fn settle(self, worker: &Rc<Worker>, rules: &InForce, came: &Came) {
        let first = match came {
            // It cannot have taken what it has not seen.
            Came::Answer(answer)
                if answer.head.status.is_success() && answer.sent == Sent::Whole =>
            {
                First::Took(answer.took)
            }
            Came::Kept(_) => First::Kept,
            Came::Answer(_) | Came::Nothing(_) | Came::NoRoom => return,
        };
        let manifest = &self.manifest;
        let original = Original {
            head: self.head,
            body: None,
            envelope: self.envelope,
            project: manifest.project(),
            sender: manifest.pair(),
            lane: Lane::of(manifest.categories()),
            first,
        };
        let (chosen, files) = (self.chosen, rules.config.spool.copies.disk / COPIES_PART);
        let tee = match self.body {
            AtHand::Whole(chunks) => {
                let body = Some(Body::Whole(chunks));
                return offer(worker, chosen, Original { body, ..original }, files);
            }
            AtHand::Passing(keepsake) => keepsake.take(),
            AtHand::Nowhere => None,
        };
        let Some(tee) = tee else {
            return offer(worker, chosen, original, files);
        };
        // Its last piece may still be on its way to the disk: its client's answer is not.
        let (worker, finishing) = (Rc::clone(worker), worker.finishes());
        tokio::task::spawn_local(async move {
            let body = tee.finish().await.map(|copied| match copied {
                Copied::Chunks(chunks) => Body::Whole(chunks),
                Copied::File(spill) => Body::File(Arc::new(spill)),
            });
            offer(&worker, chosen, Original { body, ..original }, files);
            drop(finishing);
        });
    }
}

fn offer(worker: &Worker, chosen: u8, original: Original, file_bytes_max: u64) {
    for mirror in worker.shared.mirrors.of(chosen) {
        mirror.offer(original.clone(), file_bytes_max);
    }
}

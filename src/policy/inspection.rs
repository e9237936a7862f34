//! What becomes of one item: the checks in their order, the first that refuses names
//! the reason. Owns that order and the ties between items; never reads a payload, and
//! never says what the client is answered.

mod guarding;
mod sampling;

use crate::domain::category::Categories;
use crate::domain::endpoint::Endpoint;
use crate::domain::envelope::item::ItemKind;
use crate::domain::envelope::scan::{Flag, ItemHeader};
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::{RateLimit, Scope};
use crate::domain::switch::Share;

use super::learned::{Covered, Learned};
use super::millis::Millis;
use super::pair::Pair;
use super::quotas::{self, Applying, Counters, Full, Granted, Load, Moment};
use super::repeats::{Repeats, Whose};
use super::switches::{Muted, OfProject};
use super::wanted::Wishes;

pub use sampling::Sampling;

/// What a request's items are judged by.
pub struct Room<'a> {
    /// What is switched on for its project, if anything is.
    pub switches: Option<&'a OfProject>,
    /// The quotas on its project, its key and its client, under the limits that are switched on.
    pub quotas: Applying<'a>,
    /// What was used of them.
    pub counters: &'a Counters,
    /// The limits that the upstream's answers taught.
    pub learned: &'a Learned,
    /// Whose limits those are.
    pub pair: &'a Pair,
    /// Now, as quotas count.
    pub at: Moment,
    /// The same, as verdicts count.
    pub now: Millis,
    /// Whether items are charged, or only looked at.
    pub charges: bool,
    /// What its project wants.
    pub wishes: &'a Wishes,
    /// What its line one tells.
    pub trace: &'a Trace,
    /// One even draw for the whole request: stands for an id where an item has none, and says
    /// whether it falls into the share that a mute keeps.
    pub draw: u128,
    /// What was seen of errors that repeat.
    pub repeats: &'a Repeats,
    /// Whose items they are.
    pub whose: Whose,
}

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Kept,
    /// It goes on as the error that it makes, marked so that its bytes are not stored
    /// (PROTOCOL 4.2).
    KeptAsError,
    /// It stays here.
    Dropped(Reason),
}

/// A fate, and what follows from it.
#[derive(Debug)]
pub struct Ruling {
    /// What becomes of the item.
    pub fate: Fate,
    /// What its sender is told to hold back.
    pub limit: Option<RateLimit>,
    /// What was charged for it.
    pub granted: Granted,
}

impl Ruling {
    /// A fate from which nothing follows.
    #[must_use]
    pub fn of(fate: Fate) -> Self {
        Self {
            fate,
            limit: None,
            granted: Granted::default(),
        }
    }

    fn dropped((reason, limit): (Reason, RateLimit)) -> Self {
        Self {
            limit: Some(limit),
            ..Self::of(Fate::Dropped(reason))
        }
    }
}

impl Room<'_> {
    /// Whether nothing here can ever refuse an item.
    #[must_use]
    pub fn is_boundless(&self) -> bool {
        let switched = self.switches.is_some_and(OfProject::judges_any);
        !switched
            && self.quotas.is_empty()
            && self.wishes.is_empty()
            && !self.learned.knows(self.pair)
    }

    /// Judges an item of `bytes`, and charges it to all its quotas or to none.
    ///
    /// `gone`: why the event that it belongs to was dropped, if it was; what belongs to it goes
    /// with it, under the same reason and without a charge. `event`: what its payload tells,
    /// where that was read.
    #[must_use]
    pub fn judge(
        &self,
        item: &ItemHeader,
        bytes: u64,
        gone: Option<Reason>,
        event: Option<&Event<'_>>,
    ) -> Ruling {
        match gone {
            Some(reason) if item.kind.follows_event() => return Ruling::of(Fate::Dropped(reason)),
            Some(_) | None if item.kind.is_free() => return Ruling::of(Fate::Kept),
            Some(_) | None => {}
        }
        let first = first_of_all(item.kind);
        if let Some(muted) = self.mutes(first) {
            return Ruling::dropped(muted);
        }
        if let Some(hit) = event.and_then(|event| self.wishes.filters.event(item.kind, event)) {
            return Ruling::of(Fate::Dropped(hit.reason));
        }
        if let Some(refused) = self.recalls(first.learned()) {
            return Ruling::dropped(refused);
        }
        let sampled = !self.samples_in(item.kind, event);
        if sampled || self.left_out_by_sentry(item.kind, event).is_some() {
            return Ruling::of(Fate::Dropped(Reason::Sampled));
        }
        if !self.is_fresh(item.kind, event) {
            return Ruling::of(Fate::Dropped(Reason::Repeated));
        }
        let ruling = self.charge(item, bytes, event);
        if self.charges && matches!(ruling.fate, Fate::Dropped(_)) {
            self.unsee(item.kind, event);
        }
        ruling
    }

    /// An error that no quota has room for takes nobody's place among those that pass: it never
    /// arrived, and the next may be the first that does.
    fn unsee(&self, kind: ItemKind, event: Option<&Event<'_>>) {
        if let (Some(_), Some(event), ItemKind::Event) = (&self.wishes.repeats, event, kind) {
            self.repeats.takes_back(self.now, self.whose, event);
        }
    }

    /// Whether an error is among those that pass of what repeats.
    fn is_fresh(&self, kind: ItemKind, event: Option<&Event<'_>>) -> bool {
        let (Some(rule), Some(event), ItemKind::Event) = (&self.wishes.repeats, event, kind) else {
            return true;
        };
        match self.charges {
            true => self.repeats.passes(self.now, rule, self.whose, event),
            false => self.repeats.would_pass(self.now, rule, self.whose, event),
        }
    }

    fn charge(&self, item: &ItemHeader, bytes: u64, event: Option<&Event<'_>>) -> Ruling {
        if item.kind != ItemKind::CrashAttachment {
            let load = load(item.kind, item.count, bytes);
            return match self.take_guarded(&load, item.kind, event) {
                Ok(granted) => Ruling {
                    granted,
                    ..Ruling::of(Fate::Kept)
                },
                Err(refused) => Ruling::dropped(refused),
            };
        }
        // It is two things: an error that it makes, and an attachment that is stored.
        let error = load(ItemKind::Event, 1, 0);
        let mut granted = match self.take_guarded(&error, ItemKind::Event, event) {
            Ok(granted) => granted,
            Err(refused) => return Ruling::dropped(refused),
        };
        let stored = match self.holds_back(item.kind) {
            Some(refused) => Err(refused),
            None => self.take_guarded(&load(item.kind, 1, bytes), item.kind, event),
        };
        match stored {
            Ok(more) => {
                granted.merge(more);
                Ruling {
                    granted,
                    ..Ruling::of(Fate::Kept)
                }
            }
            // Who denies that it is limited cannot be marked, and its bytes would be stored.
            Err(refused) if item.flag == Some(Flag::Denied) => {
                if self.charges {
                    self.give_back(self.at, item.kind, Fate::KeptAsError, 1, 0);
                }
                Ruling::dropped(refused)
            }
            Err((_, limit)) => Ruling {
                fate: Fate::KeptAsError,
                limit: Some(limit),
                granted,
            },
        }
    }

    /// More bytes of an item whose length was not announced.
    ///
    /// # Errors
    /// What has no room for them.
    pub fn charge_bytes(&self, kind: ItemKind, bytes: u64) -> Result<Granted, (Reason, RateLimit)> {
        match kind.is_free() {
            true => Ok(Granted::default()),
            false => self.take(&load(kind, 0, bytes)),
        }
    }

    /// Gives back what an item was charged at `charged` that did not arrive after all.
    pub fn give_back(&self, charged: Moment, kind: ItemKind, fate: Fate, count: u64, bytes: u64) {
        let back = |load: Load| {
            self.quotas
                .give_back(self.at, charged, &load, self.counters);
        };
        match (kind, fate) {
            (_, Fate::Dropped(_)) => {}
            (ItemKind::ClientReport, _) => {}
            (ItemKind::CrashAttachment, Fate::KeptAsError) => back(load(ItemKind::Event, count, 0)),
            (ItemKind::CrashAttachment, Fate::Kept) => {
                back(load(ItemKind::Event, count, 0));
                back(load(kind, count, bytes));
            }
            (_, Fate::Kept | Fate::KeptAsError) => back(load(kind, count, bytes)),
        }
    }

    /// What refuses everything from this sender, known before a byte of the body is read.
    #[must_use]
    pub fn full(&self) -> Option<(Reason, RateLimit)> {
        if let Some(muted) = self.muted_all() {
            return Some((Reason::Muted, silence(muted)));
        }
        let learned = self.learned.covers_all(self.now, self.pair);
        if let Some(limit) = learned {
            return Some((Reason::Learned, recalled(limit)));
        }
        let full = match self.charges {
            true => self.quotas.refuses_all(self.at, self.counters),
            false => self.quotas.full_for_all(self.at, self.counters),
        };
        full.map(|full| (full.reason, told(full)))
    }

    /// What has senders wait, for an item of this kind: a mute, or what the upstream told.
    fn holds_back(&self, kind: ItemKind) -> Option<(Reason, RateLimit)> {
        self.mutes(kind).or_else(|| self.recalls(kind.learned()))
    }

    fn mutes(&self, kind: ItemKind) -> Option<(Reason, RateLimit)> {
        Some((Reason::Muted, silence(self.muted(kind)?)))
    }

    fn muted(&self, kind: ItemKind) -> Option<Muted> {
        let of = self.switches?;
        of.mutes(kind.categories(), self.at.unix_s, self.luck())
    }

    /// The mute that leaves nothing of such an item.
    #[must_use]
    pub fn mute_of(&self, kind: ItemKind) -> Option<Muted> {
        let first = self.muted(first_of_all(kind));
        first.or_else(|| self.muted(kind))
    }

    /// The mute that leaves nothing of the request.
    #[must_use]
    pub fn muted_all(&self) -> Option<Muted> {
        self.switches?.mutes_all(self.at.unix_s, self.luck())
    }

    /// Whether the request falls into the share that a mute keeps.
    fn luck(&self) -> u32 {
        let draw = self.draw % u128::from(Share::ALL.millionths());
        u32::try_from(draw).unwrap_or_default()
    }

    /// What the upstream told of such items.
    fn recalls(&self, learned: Categories) -> Option<(Reason, RateLimit)> {
        let limit = self.learned.covers(self.now, self.pair, learned)?;
        Some((Reason::Learned, recalled(limit)))
    }

    fn take(&self, load: &Load) -> Result<Granted, (Reason, RateLimit)> {
        let charged = match self.charges {
            true => self.quotas.charge(self.at, load, self.counters),
            false => match self.quotas.look(self.at, load, self.counters) {
                Some(full) => Err(full),
                None => Ok(Granted::default()),
            },
        };
        charged.map_err(|full| {
            let full = self.quotas.narrowed(self.at, load, full, self.counters);
            (full.reason, told(full))
        })
    }
}

/// First of all a crash is the error that it makes.
fn first_of_all(kind: ItemKind) -> ItemKind {
    let crash = kind == ItemKind::CrashAttachment;
    if crash { ItemKind::Event } else { kind }
}

/// What an item weighs.
fn load(kind: ItemKind, items: u64, bytes: u64) -> Load {
    Load {
        categories: kind.categories(),
        items,
        bytes,
    }
}

/// A full quota as its sender is told of it. Clients know no scope narrower than a key: one
/// address learns only of itself, whatever it is called.
fn told(full: Full) -> RateLimit {
    RateLimit {
        retry_after_s: full.retry_after_s,
        categories: full.categories,
        scope: match full.scope {
            quotas::Scope::Global => Scope::Global,
            quotas::Scope::Organization => Scope::Organization,
            quotas::Scope::Project | quotas::Scope::Ip => Scope::Project,
            quotas::Scope::Key => Scope::Key,
        },
        reason: Some(Box::from(&*full.name)),
    }
}

/// A mute as its sender is told of it.
fn silence(muted: Muted) -> RateLimit {
    RateLimit {
        retry_after_s: muted.retry_after_s,
        categories: muted.categories,
        scope: Scope::Project,
        reason: Some(Box::from(Reason::Muted.as_str())),
    }
}

/// A limit that the upstream told of, for as long as it still stands.
fn recalled(limit: Covered) -> RateLimit {
    RateLimit {
        retry_after_s: limit.left_ms.div_ceil(1000),
        categories: limit.categories,
        scope: limit.scope,
        reason: limit.reason,
    }
}

/// What a request is that is no envelope: one item, by its endpoint.
#[must_use]
pub fn only_item(endpoint: Endpoint, announced: Option<u64>) -> ItemHeader {
    let kind = match endpoint {
        Endpoint::Envelope | Endpoint::Integration | Endpoint::UploadCreate | Endpoint::Unknown => {
            ItemKind::Unknown
        }
        // Of a dump the upstream makes an error; its bytes cannot be told from the report's.
        Endpoint::Store | Endpoint::Minidump | Endpoint::Playstation => ItemKind::Event,
        Endpoint::Security => ItemKind::Security,
        Endpoint::Nel => ItemKind::Nel,
        Endpoint::Unreal => ItemKind::UnrealReport,
        Endpoint::Attachments | Endpoint::UploadChunk => ItemKind::Attachment,
        Endpoint::Cron => ItemKind::CheckIn,
        Endpoint::OtlpTraces => ItemKind::Span,
        Endpoint::OtlpLogs => ItemKind::Log,
    };
    ItemHeader {
        kind,
        length: announced,
        count: 1,
        flag: None,
    }
}

#[cfg(test)]
mod tests;

//! What one request carries, item by item: judged as each is met, kept in the books
//! until it is known what became of it. Never touches a byte; a manifest that is
//! dropped unsettled counts its items as its request's end says.

mod dropped;
mod end;
mod excused;
mod heard;
mod kept;
mod room;
mod told;
mod wanted;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::domain::category::{Categories, Category};
use crate::domain::endpoint::Endpoint;
use crate::domain::envelope::scan::ItemHeader;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::outcome::{Reason, Reasons};
use crate::policy::inspection::{Fate, Ruling};
use crate::policy::millis::Millis;
use crate::policy::pair::Sender;
use crate::policy::quotas::{Granted, Moment, Who};
use crate::policy::switches::OfProject;
use crate::telemetry::ledger::{Account, Row};

use dropped::Names;
use kept::{Charge, Due, Kept, Open};
use told::Told;

use crate::server::client::stream::BodyError;
use crate::server::ingest::Pass;
use crate::server::looks::Look;
use crate::server::ticket::Ticket;
use crate::server::worker::{InForce, Worker};

/// The largest length that is booked as announced, 1 TiB: more is a lie that would carry sums
/// round. No body is as long, so it is never forwarded.
pub(crate) const BOOKED_BYTES_MAX: u64 = 1 << 40;

/// What a request carries, and what was decided of it.
#[derive(Debug)]
pub(crate) struct Manifest {
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    sender: Sender,
    who: Who,
    /// The item under way is excused from the share of those for whom nobody vouches.
    excused: Cell<bool>,
    /// What was switched on for its project when it came, if anything was.
    switches: Option<Arc<OfProject>>,
    /// When the clock was looked at last, on both counts.
    at: Cell<(Moment, Millis)>,
    account: Account,
    /// Whether any item was met at all.
    met: Cell<bool>,
    /// Nothing could refuse an item when the first was met, and nothing will: some of it may
    /// have left by then.
    boundless: Cell<bool>,
    /// Quotas apply to its sender: known once its head was judged, and true to its end.
    limited: Cell<bool>,
    kept: RefCell<Vec<Kept>>,
    /// Why its event was dropped, if it was.
    event: Cell<Option<Reason>>,
    /// What its sender is told to hold back.
    told: RefCell<Told>,
    /// By which name a limit said no.
    names: RefCell<Names>,
    /// What was charged is used up: the upstream has had it, or has said what it thinks of it.
    used: Cell<bool>,
    /// Why items were dropped last.
    dropped: Cell<Option<Reason>>,
    /// Why any was.
    reasons: Cell<Reasons>,
    /// What was met.
    categories: Cell<Categories>,
    /// The item under way whose length was not announced.
    open: RefCell<Option<Open>>,
    /// What must be on disk before anything kept may leave.
    granted: RefCell<Granted>,
    endpoint: Endpoint,
    /// What line one tells, where anybody asks.
    trace: OnceCell<Trace>,
    /// Drawn once, so that all of it goes or stays. By chance, since every hundredth of a
    /// traffic that repeats itself may always be the same thing.
    draw: u128,
    /// A closer look at the request, if it is one that is looked at.
    look: Option<Rc<Look>>,
}

impl Manifest {
    /// Nothing met yet, of a request whose sender was admitted when it came.
    pub(crate) fn new(
        worker: &Rc<Worker>,
        rules: &Rc<InForce>,
        sender: Sender,
        pass: Pass,
        ticket: &Ticket,
    ) -> Self {
        let at = ticket.started;
        let (who, vouched) = {
            let mut here = worker.proven_here.borrow_mut();
            let verdicts = &worker.shared.verdicts;
            rules.gate.who(&sender, pass.client, verdicts, &mut here)
        };
        let wants_all = rules.gate.wanted.of(who.project).is_empty();
        let account = worker.ledger.account(who.project, vouched);
        let switches = worker.switches(who.project);
        let draw = match wants_all && switches.is_none() {
            true => 0,
            false => fastrand::u128(..),
        };
        Self {
            worker: Rc::clone(worker),
            rules: Rc::clone(rules),
            sender,
            who,
            excused: Cell::new(false),
            switches,
            draw,
            at: Cell::new((worker.shared.moment(at), worker.millis(at))),
            account,
            met: Cell::new(false),
            boundless: Cell::new(false),
            limited: Cell::new(false),
            kept: RefCell::default(),
            event: Cell::new(None),
            told: RefCell::default(),
            names: RefCell::default(),
            used: Cell::new(false),
            dropped: Cell::new(None),
            reasons: Cell::default(),
            categories: Cell::default(),
            open: RefCell::default(),
            granted: RefCell::default(),
            endpoint: pass.endpoint,
            trace: OnceCell::new(),
            look: ticket.look().cloned(),
        }
    }

    /// Whose books the request is in.
    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// What it carries, as far as it was met.
    pub(crate) fn categories(&self) -> Categories {
        self.categories.get()
    }

    /// Whether an item was met.
    pub(crate) fn has_met(&self) -> bool {
        self.met.get()
    }

    /// Whether nothing can refuse any of its items, from now on.
    pub(crate) fn is_boundless(&self) -> bool {
        let boundless = !self.limited.get() && self.room().is_boundless();
        self.boundless.set(boundless);
        boundless
    }

    /// Looks at the clock, before every charge behind a wait: an old one begins windows anew.
    /// Where nothing is charged nobody asks the time.
    pub(crate) fn looks_at_clock(&self) {
        if self.boundless.get() {
            return;
        }
        let (now, shared) = (Instant::now(), &self.worker.shared);
        self.at.set((shared.moment(now), shared.millis(now)));
    }

    /// Judges an item as its header is read. `bytes`: its payload's length, if that is known.
    /// `event`: what its payload tells, where that was read.
    pub(crate) fn meet(
        &self,
        item: &ItemHeader,
        bytes: Option<u64>,
        event: Option<&Event<'_>>,
    ) -> Fate {
        let known_bytes = bytes.unwrap_or(0).min(BOOKED_BYTES_MAX);
        let count = item.within(bytes).count;
        self.meet_for(item, bytes, (count, known_bytes), event)
    }

    /// The same, charged for more than itself: for all of a replay's items, which are worth
    /// something together only.
    pub(crate) fn meet_for(
        &self,
        item: &ItemHeader,
        bytes: Option<u64>,
        (count, charged_bytes): (u64, u64),
        event: Option<&Event<'_>>,
    ) -> Fate {
        self.met.set(true);
        if let (Some(look), Some(event)) = (&self.look, event) {
            look.meets(event);
        }
        let item = &item.within(bytes);
        let row = self.row(item.kind.category());
        let known_bytes = bytes.unwrap_or(0).min(BOOKED_BYTES_MAX);
        self.receives(&row, item.count, known_bytes);
        let charged = ItemHeader { count, ..*item };
        let ruling = match self.boundless.get() {
            true => Ruling::of(Fate::Kept),
            false => self.judge(&charged, bytes.map(|_| charged_bytes), event),
        };
        let Ruling {
            fate,
            limit,
            granted,
        } = ruling;
        if !granted.is_empty() {
            self.granted.borrow_mut().merge(granted);
        }
        self.met_by(item.kind, limit);
        match fate {
            Fate::Dropped(reason) => {
                let amount = (item.count, known_bytes);
                self.drops(&row, item.kind.category(), reason, amount);
                self.stays_for(reason);
                if item.kind.is_event() {
                    self.event.set(Some(reason));
                }
            }
            Fate::Kept | Fate::KeptAsError => self.keep(Kept {
                category: item.kind.category(),
                row: Rc::clone(&row),
                items: item.count,
                bytes: known_bytes,
                charge: Some(Charge {
                    kind: item.kind,
                    fate,
                    at: self.at.get().0,
                    count,
                    bytes: charged_bytes,
                }),
            }),
        }
        if bytes.is_none() {
            let open = Open::of(item.kind, fate, row, self.at.get().0);
            *self.open.borrow_mut() = Some(open);
        }
        fate
    }

    /// Meets the whole request as one item into which nobody looks.
    pub(crate) fn pass_unread(&self, bytes: u64) {
        self.pass(Category::Unread, 1, bytes);
    }

    /// Meets an item of a request that is refused: it is in the books, and nothing more.
    pub(crate) fn pass_by(&self, item: &ItemHeader, bytes: u64) {
        self.pass(item.kind.category(), item.within(Some(bytes)).count, bytes);
    }

    /// Meets an item that was charged together with another, and shares its fate.
    pub(crate) fn follow(&self, item: &ItemHeader, bytes: u64, fate: Fate) -> Fate {
        match fate {
            Fate::Kept | Fate::KeptAsError => self.pass_by(item, bytes),
            Fate::Dropped(reason) => {
                let row = self.row(item.kind.category());
                self.receives(&row, item.count, bytes);
                self.names.borrow_mut().of_replay();
                self.drops(&row, item.kind.category(), reason, (item.count, bytes));
            }
        }
        fate
    }

    /// An item that nobody judges or charges.
    fn pass(&self, category: Category, items: u64, bytes: u64) {
        self.met.set(true);
        let row = self.row(category);
        self.receives(&row, items, bytes);
        self.keep(Kept {
            category,
            row,
            items,
            bytes,
            charge: None,
        });
    }

    /// More payload of the item under way, whose length was not announced.
    ///
    /// # Errors
    /// A limit has no room for it; what was charged so far is given back in the end.
    pub(crate) fn passes(&self, bytes: u64) -> Result<(), BodyError> {
        let mut open = self.open.borrow_mut();
        let Some(open) = open.as_mut() else {
            return Ok(());
        };
        self.receives(&open.row, 0, bytes);
        if let Fate::Dropped(reason) = open.fate {
            self.drops(&open.row, open.kind.category(), reason, (0, bytes));
            return Ok(());
        }
        if let Some(kept) = self.kept.borrow_mut().last_mut() {
            kept.bytes = kept.bytes.saturating_add(bytes);
        }
        if open.fate != Fate::Kept || self.boundless.get() {
            return Ok(());
        }
        let Some(Due { least, best }) = open.due(bytes) else {
            open.ahead_bytes -= bytes;
            return Ok(());
        };
        let room = self.room();
        let charge = |bytes| Ok((bytes, room.charge_bytes(open.kind, bytes)?));
        let charged = match charge(best) {
            Err(_) if least < best => charge(least),
            charged => charged,
        };
        let (charged, granted) = charged.map_err(|(reason, limit)| {
            self.note(limit);
            self.dropped.set(Some(reason));
            BodyError::Full
        })?;
        self.granted.borrow_mut().merge(granted);
        self.last_charge(|charge| charge.bytes += charged);
        open.charged_at = self.at.get().0;
        open.ahead_bytes = charged - least;
        Ok(())
    }

    /// The item under way is over: what was charged ahead of it is given back.
    pub(crate) fn ends(&self) {
        if let Some(open) = self.open.take()
            && open.ahead_bytes > 0
        {
            let room = self.room();
            room.give_back(open.charged_at, open.kind, open.fate, 0, open.ahead_bytes);
            self.last_charge(|charge| charge.bytes -= open.ahead_bytes.min(charge.bytes));
        }
    }

    /// Waits until what was charged is safe from a crash.
    pub(crate) async fn secured(&self) {
        let granted = self.granted.take();
        if !granted.is_empty() {
            // Rare, and large: boxed, so that every other request stays small.
            Box::pin(self.worker.shared.journal.secure(granted)).await;
        }
    }

    /// Whether `secured` has anything to wait for.
    pub(crate) fn is_secure(&self) -> bool {
        self.granted.borrow().is_empty()
    }

    /// Changes what was charged for the item under way.
    fn last_charge(&self, change: impl FnOnce(&mut Charge)) {
        let mut kept = self.kept.borrow_mut();
        if let Some(charge) = kept.last_mut().and_then(|kept| kept.charge.as_mut()) {
            change(charge);
        }
    }

    fn row(&self, category: Category) -> Rc<Row> {
        self.categories.set(self.categories.get().with(category));
        self.worker.ledger.row(self.account, category)
    }

    /// Adds to the last line where it is of the same kind: spans and attachments come in rows.
    fn keep(&self, more: Kept) {
        let mut kept = self.kept.borrow_mut();
        let last = kept.last_mut();
        let alike = last.filter(|last| last.is_like(&more));
        match alike {
            Some(last) => last.add(more),
            None => kept.push(more),
        }
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        // Whatever nobody settled was still on its way when its client left.
        self.settle(Err(Reason::ClientGone));
    }
}

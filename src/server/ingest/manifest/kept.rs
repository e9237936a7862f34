//! Items that went on, and what was charged for them: what is given back if they do
//! not arrive. Never asks a quota.

use std::rc::Rc;

use crate::domain::category::Category;
use crate::domain::envelope::item::ItemKind;
use crate::policy::inspection::Fate;
use crate::policy::quotas::Moment;
use crate::telemetry::ledger::Row;

/// Bytes of an item of unknown length are charged ahead by up to so many.
const STEP_BYTES: u64 = 64 * 1024;

/// Items that go on, and wait in the books for the upstream's word.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) category: Category,
    pub(super) row: Rc<Row>,
    pub(super) items: u64,
    pub(super) bytes: u64,
    /// What was charged for them; `None`: nobody judged them.
    pub(super) charge: Option<Charge>,
}

/// What was charged for items of one kind at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charge {
    pub(super) kind: ItemKind,
    pub(super) fate: Fate,
    pub(super) at: Moment,
    /// A container counts what it holds.
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Kept {
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let charged = |kept: &Self| {
            kept.charge
                .map(|charge| (charge.kind, charge.fate, charge.at))
        };
        Rc::ptr_eq(&self.row, &other.row) && charged(self) == charged(other)
    }

    pub(super) fn add(&mut self, more: Self) {
        self.items += more.items;
        self.bytes = self.bytes.saturating_add(more.bytes);
        if let (Some(charge), Some(more)) = (&mut self.charge, more.charge) {
            charge.count = charge.count.saturating_add(more.count);
            charge.bytes = charge.bytes.saturating_add(more.bytes);
        }
    }
}

/// An item of unknown length.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) kind: ItemKind,
    pub(super) fate: Fate,
    pub(super) row: Rc<Row>,
    /// Charged and not yet used.
    pub(super) ahead_bytes: u64,
    /// When that was.
    pub(super) charged_at: Moment,
    /// Some of it came before: it comes in pieces.
    comes_on: bool,
}

/// What is charged for bytes that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// What has come, and was not charged ahead.
    pub(super) least: u64,
    /// The same with what may follow, so that not each piece asks.
    pub(super) best: u64,
}

impl Open {
    pub(super) fn of(kind: ItemKind, fate: Fate, row: Rc<Row>, charged_at: Moment) -> Self {
        Self {
            kind,
            fate,
            row,
            ahead_bytes: 0,
            charged_at,
            comes_on: false,
        }
    }

    /// What is charged for so many bytes more; `None`: it was charged ahead. The first bytes are
    /// charged as they are, for they may be all: what is here whole needs no room beyond itself.
    pub(super) fn due(&mut self, bytes: u64) -> Option<Due> {
        let comes_on = std::mem::replace(&mut self.comes_on, true);
        let least = bytes.checked_sub(self.ahead_bytes).filter(|&due| due > 0)?;
        let best = if comes_on {
            least.max(STEP_BYTES)
        } else {
            least
        };
        Some(Due { least, best })
    }
}

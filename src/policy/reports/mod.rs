//! What the edge dropped, gathered until Sentry is told: whose, why, of what and how much.
//! Owns the sums and their bounds; never decides what is dropped, and never sends anything.
//!
//! Each thread gathers for itself ([`Gathered`]); at each interval its sums go to one heap
//! ([`Pending`]), which makes reports of them, takes back those that did not arrive, and can be
//! had as bytes where the edge stops before.

mod gathered;
mod pending;

use crate::domain::category::Category;
use crate::domain::client_report;
use crate::domain::outcome::Reason;

pub use gathered::{Gathered, Standing};
pub use pending::{Pending, Report, START_MS, UNTOLD_BYTES_MAX, UntoldError};

/// Sums of one sender: a dozen reasons of a few categories each are far fewer.
const ROWS_MAX: usize = 64;

/// Items that were dropped for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: Reason,
    /// The name of the limit that had no room, where one had none.
    pub limit: Option<&'a str>,
    /// What they stand under in the books.
    pub category: Category,
    /// How many.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Dropped<'_> {
    /// Whether Sentry is told of them at all.
    #[must_use]
    pub fn counts(&self) -> bool {
        client_report::told(self.reason).is_some() && client_report::is_counted(self.category)
    }
}

/// A sum of what was dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    reason: Reason,
    limit: Option<Box<str>>,
    category: Category,
    items: u64,
    bytes: u64,
}

impl Row {
    fn view(&self) -> Dropped<'_> {
        Dropped {
            reason: self.reason,
            limit: self.limit.as_deref(),
            category: self.category,
            items: self.items,
            bytes: self.bytes,
        }
    }
}

/// The sums of one sender.
#[derive(Debug, Default)]
struct Rows(Vec<Row>);

/// What became of an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    /// It went into a sum that was there.
    Merged,
    /// It is a sum of its own.
    Placed,
    /// There was no room for another.
    Lost,
}

impl Rows {
    /// Adds to the sum of its like. Allocates for a new one alone, of which there are at most
    /// `most`.
    fn add(&mut self, more: Dropped<'_>, most: usize) -> Added {
        let limit = more.limit.map(client_report::cut);
        let alike = |row: &&mut Row| {
            row.reason == more.reason
                && row.category == more.category
                && row.limit.as_deref() == limit
        };
        if let Some(row) = self.0.iter_mut().find(alike) {
            row.items = row.items.saturating_add(more.items);
            row.bytes = row.bytes.saturating_add(more.bytes);
            return Added::Merged;
        }
        if self.0.len() >= most {
            return Added::Lost;
        }
        self.0.push(Row {
            reason: more.reason,
            limit: limit.map(Box::from),
            category: more.category,
            items: more.items,
            bytes: more.bytes,
        });
        Added::Placed
    }
}

#[cfg(test)]
mod tests;

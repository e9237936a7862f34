//! What an elder leaves, as bytes: its books, what was used of quotas, which requests of the
//! spool are under way. Owns how that is written and read; never sends it. Keys that are not
//! known are left alone: a later version may have written them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Buf as _;
use serde::{Deserialize, Serialize};

use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::policy::quotas::{Mark, Outlay};
use crate::server::spool::parcel;
use crate::server::spool::{Abroad, Kept};
use crate::telemetry::ledger::{Line, Sum};

/// The books of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// When they were opened.
    pub since: SystemTime,
    /// Their rows.
    pub lines: Vec<Line>,
}

/// Items and bytes. Of what is held in a spool that others filled they may have gone round.
type Pair = (u64, u64);

#[derive(Serialize, Deserialize)]
struct Written {
    /// In milliseconds of Unix time.
    since_ms: u64,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    account: String,
    category: String,
    received: Pair,
    carried: Pair,
    forwarded: Pair,
    spooled: Pair,
    dropped: Vec<(String, u64, u64)>,
}

const fn pair(sum: Sum) -> Pair {
    (sum.items, sum.bytes)
}

const fn sum((items, bytes): Pair) -> Sum {
    Sum { items, bytes }
}

impl Books {
    /// As bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let rows = self.lines.iter().map(|line| Row {
            account: line.account.label(),
            category: line.category.name().to_owned(),
            received: pair(line.received),
            carried: pair(line.carried),
            forwarded: pair(line.forwarded),
            spooled: pair(line.spooled),
            dropped: line
                .dropped
                .iter()
                .map(|(reason, sum)| (reason.as_str().to_owned(), sum.items, sum.bytes))
                .collect(),
        });
        let written = Written {
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            rows: rows.collect(),
        };
        // Strings and numbers are always JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads what [`write`](Self::write) wrote. A reason or a category that is not known here
    /// stands as the nearest that is.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let lines: Option<Vec<Line>> = written.rows.into_iter().map(line).collect();
        Some(Self {
            since: UNIX_EPOCH.checked_add(Duration::from_millis(written.since_ms))?,
            lines: lines?,
        })
    }
}

fn line(row: Row) -> Option<Line> {
    let mut categories = Category::ALL.iter();
    let category = categories.find(|known| known.name() == row.category);
    let account = parcel::account(&row.account)?;
    let mut line = Line {
        received: sum(row.received),
        carried: sum(row.carried),
        forwarded: sum(row.forwarded),
        spooled: sum(row.spooled),
        ..Line::empty(account, *category.unwrap_or(&Category::Unknown))
    };
    for (name, items, bytes) in row.dropped {
        let mut reasons = Reason::ALL.iter();
        let reason = reasons.find(|known| known.as_str() == name);
        let sum = line
            .dropped
            .entry(*reason.unwrap_or(&Reason::Internal))
            .or_default();
        sum.items = sum.items.wrapping_add(items);
        sum.bytes = sum.bytes.wrapping_add(bytes);
    }
    Some(line)
}

/// What was used of quotas, some thousand to a piece.
pub(super) fn write_spent(spent: &[Outlay]) -> Vec<Vec<u8>> {
    const AT_ONCE: usize = 10_000;
    let pieces = spent.chunks(AT_ONCE).map(|piece| {
        let piece: Vec<(&str, u64, u64)> = piece
            .iter()
            .map(|one| (one.identity.as_str(), one.mark.window, one.mark.used))
            .collect();
        serde_json::to_vec(&piece).unwrap_or_default()
    });
    pieces.collect()
}

/// Reads one such piece.
pub(super) fn read_spent(bytes: &[u8]) -> Option<Vec<Outlay>> {
    let piece: Vec<(String, u64, u64)> = serde_json::from_slice(bytes).ok()?;
    let spent = piece.into_iter().map(|(identity, window, used)| Outlay {
        identity,
        mark: Mark { window, used },
    });
    Some(spent.collect())
}

/// Requests that are under way, nine bytes each.
pub(super) fn write_going(going: &[(Kept, Abroad)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(going.len() * 9);
    for (kept, abroad) in going {
        bytes.extend_from_slice(&kept.number().to_le_bytes());
        let flags = [abroad.late, abroad.maybe_sent, abroad.purged];
        let flags = (0..).zip(flags).map(|(bit, set)| u8::from(set) << bit);
        bytes.push(flags.fold(0, |all, flag| all | flag));
    }
    bytes
}

/// Reads them.
pub(super) fn read_going(mut bytes: &[u8]) -> Option<Vec<(Kept, Abroad)>> {
    let mut going = Vec::with_capacity(bytes.len() / 9);
    while !bytes.is_empty() {
        let kept = Kept::of(bytes.try_get_u64_le().ok()?);
        let flags = bytes.try_get_u8().ok()?;
        let abroad = Abroad {
            late: flags & 1 != 0,
            maybe_sent: flags & 2 != 0,
            purged: flags & 4 != 0,
        };
        going.push((kept, abroad));
    }
    Some(going)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::ProjectId;
    use crate::telemetry::ledger::Account;

    fn books() -> Books {
        let project = Account::Project(ProjectId::parse(b"42").unwrap());
        let lines = [project, Account::Other, Account::Unproven].map(|account| {
            let mut line = Line::empty(account, Category::Error);
            line.received = sum((9, 900));
            line.carried = sum((1, 1));
            line.forwarded = sum((7, 701));
            // More has left the spool than went into it here.
            line.spooled = sum((0_u64.wrapping_sub(3), 0_u64.wrapping_sub(300)));
            line.dropped.insert(Reason::Quota, sum((2, 200)));
            line
        });
        Books {
            since: UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
            lines: lines.into(),
        }
    }

    #[test]
    fn books_are_read_as_they_were_written() {
        assert_eq!(Books::read(&books().write()).unwrap(), books());
        assert!(Books::read(b"{}").is_none());
        assert!(Books::read(b"").is_none());
    }

    #[test]
    fn a_reason_that_is_not_known_here_still_ends_its_items() {
        let text = String::from_utf8(books().write()).unwrap();
        let read = Books::read(text.replace("quota", "of_tomorrow").as_bytes()).unwrap();
        assert_eq!(read.lines[0].dropped[&Reason::Internal], sum((2, 200)));
        assert_eq!(read.lines[0].in_flight(), books().lines[0].in_flight());
    }

    #[test]
    fn what_was_used_is_read_as_it_was_written() {
        let spent: Vec<Outlay> = (0..10_001)
            .map(|window| Outlay {
                identity: format!("project/{window}/all-1h/1h/project"),
                mark: Mark { window, used: 7 },
            })
            .collect();
        let pieces = write_spent(&spent);
        assert_eq!(pieces.len(), 2);
        let read: Vec<Outlay> = pieces
            .iter()
            .flat_map(|piece| read_spent(piece).unwrap())
            .collect();
        assert_eq!(read, spent);
        assert!(read_spent(b"[[1]]").is_none());
    }

    #[test]
    fn what_is_under_way_is_read_as_it_was_written() {
        let mut going = Vec::new();
        for (number, late, maybe_sent, purged) in [
            (1, false, false, false),
            (u64::MAX, true, false, false),
            (7, true, true, false),
            (8, false, true, true),
            (9, false, false, true),
        ] {
            let abroad = Abroad {
                late,
                maybe_sent,
                purged,
            };
            going.push((Kept::of(number), abroad));
        }
        let bytes = write_going(&going);
        assert_eq!(read_going(&bytes).unwrap(), going);
        assert!(read_going(&bytes[..10]).is_none(), "cut");
    }
}

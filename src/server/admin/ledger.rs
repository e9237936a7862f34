//! `/api/v1/ledger`: what came in and what became of it. Reads the books, never
//! closes them: what is under way is told as in flight.

use serde_json::{Map, Value, json};

use crate::telemetry::clock::rfc3339;
use crate::telemetry::ledger::{Account, Ledger, Line, Sum};

/// The books as DESIGN's contract has them.
pub(super) fn ledger(ledger: &Ledger) -> Value {
    let lines = ledger.lines();
    let in_flight: u64 = lines.iter().map(|line| line.in_flight().items).sum();
    json!({
        "since": rfc3339(ledger.since()),
        "in_flight": in_flight,
        "rows": lines.iter().map(row).collect::<Vec<_>>(),
    })
}

/// A row of the books.
pub(super) fn row(line: &Line) -> Value {
    let project = match line.account {
        Account::Project(id) => json!(id.get()),
        account @ (Account::Other | Account::Unproven) => json!(account.label()),
    };
    json!({
        "project": project,
        "category": line.category.name(),
        "in_flight": line.in_flight().items,
        "items": side(line, |sum| sum.items),
        "bytes": side(line, |sum| sum.bytes),
    })
}

/// One side of the equation, in items or in bytes.
fn side(line: &Line, of: fn(&Sum) -> u64) -> Value {
    let dropped = line.dropped.iter();
    let dropped = dropped.map(|(reason, sum)| (reason.as_str().to_owned(), json!(of(sum))));
    json!({
        "received": of(&line.received),
        "carried": of(&line.carried),
        "forwarded": of(&line.forwarded),
        "spooled": of(&line.spooled),
        "dropped": Map::from_iter(dropped),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::endpoint::ProjectId;
    use crate::domain::outcome::Reason;

    #[test]
    fn the_books_are_told_as_the_contract_has_them() {
        let books = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 1));
        let worker = books.worker();
        let account = worker.account(ProjectId::parse(b"42"), true);
        let row = worker.row(account, Category::Error);
        row.received(9, 900);
        row.forwarded(7, 700);
        row.dropped(Reason::Quota, 1, 150);
        let unread = worker.row(Account::Unproven, Category::Unread);
        unread.received(1, 0);
        unread.dropped(Reason::NoKey, 1, 0);
        let want = json!({"since": "1970-01-01T00:00:00.000Z", "in_flight": 1, "rows": [
            {"project": 42, "category": "error", "in_flight": 1,
             "items": {"received": 9, "carried": 0, "forwarded": 7, "spooled": 0,
                       "dropped": {"quota": 1}},
             "bytes": {"received": 900, "carried": 0, "forwarded": 700, "spooled": 0,
                       "dropped": {"quota": 150}}},
            {"project": "unproven", "category": "unread", "in_flight": 0,
             "items": {"received": 1, "carried": 0, "forwarded": 0, "spooled": 0,
                       "dropped": {"no_key": 1}},
             "bytes": {"received": 0, "carried": 0, "forwarded": 0, "spooled": 0,
                       "dropped": {"no_key": 0}}},
        ]});
        assert_eq!(ledger(&books), want);
    }

    #[test]
    fn books_without_an_entry_have_no_rows() {
        let books = Ledger::new(SystemTime::UNIX_EPOCH, 1);
        let told = ledger(&books);
        assert_eq!(told["rows"], json!([]));
        assert_eq!(told["in_flight"], 0);
    }
}

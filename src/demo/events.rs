//! Owns what reached the stand-in: the last few hundred items, and how many of
//! each type there ever were. Bounded whatever arrives; never holds a payload.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::telemetry::clock;

/// As many as a page can show and a person can look through: some minutes of
/// the demo's own traffic.
const KEPT: usize = 500;

/// Types are named by clients, so that their number needs a limit; Sentry's own
/// are about thirty.
const TYPES_MAX: usize = 64;

/// Where counts go once there are `TYPES_MAX` types.
const OTHER: &str = "other";

/// One item of an envelope, or a whole request of the other endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What Sentry calls it; `error` for an item of type `event`.
    pub(super) kind: Cow<'static, str>,
    /// Its payload's length, decoded.
    pub(super) bytes: u64,
}

/// What all items of one request have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    /// The event they belong to, 32 hex digits.
    pub(super) event_id: Option<String>,
    /// The project in the path; `None` on the path that has none.
    pub(super) project: Option<u64>,
    /// The public key in full: the demo's keys guard nothing.
    pub(super) key: String,
    /// `X-Forwarded-For` as it arrived; `None` without one.
    pub(super) client_ip: Option<String>,
}

/// One row of the list.
#[derive(Debug, Clone, Serialize)]
struct Row {
    seq: u64,
    at: String,
    event_id: Option<String>,
    project: Option<u64>,
    key: String,
    client_ip: Option<String>,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Kept {
    rows: VecDeque<Row>,
    total: u64,
    by_type: BTreeMap<Cow<'static, str>, u64>,
}

/// The list, shared by the stand-in that fills it and the pages that show it.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Kept>);

impl Events {
    /// Adds a request's items in their order; the oldest rows make room.
    pub(super) fn add(&self, now: SystemTime, sender: &Sender, items: Vec<Item>) {
        let at = clock::rfc3339(now);
        let mut kept = self.kept();
        for Item { kind, bytes } in items {
            kept.count(kind.clone());
            if kept.rows.len() == KEPT {
                kept.rows.pop_front();
            }
            let Sender {
                event_id,
                project,
                key,
                client_ip,
            } = sender.clone();
            let row = Row {
                seq: kept.total,
                at: at.clone(),
                event_id,
                project,
                key,
                client_ip,
                kind,
                bytes,
            };
            kept.rows.push_back(row);
        }
    }

    /// The rows as JSON, newest first.
    pub(super) fn json(&self) -> Bytes {
        let kept = self.kept();
        let rows: Vec<&Row> = kept.rows.iter().rev().collect();
        json!(rows).to_string().into()
    }

    /// Counts since the start, and the DSN to send one's own event to.
    pub(super) fn summary_json(&self, dsn: &str) -> Bytes {
        let kept = self.kept();
        json!({"dsn": dsn, "total": kept.total, "by_type": kept.by_type})
            .to_string()
            .into()
    }

    /// A panic while counting leaves at worst one count short: go on.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn count(&mut self, kind: Cow<'static, str>) {
        self.total += 1;
        let known = self.by_type.contains_key(&kind);
        let kind = match known || self.by_type.len() < TYPES_MAX {
            true => kind,
            false => OTHER.into(),
        };
        *self.by_type.entry(kind).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value;

    use super::*;

    fn sender() -> Sender {
        Sender {
            event_id: Some("a94ae32be2584e0bbd7a4cbb95971fee".to_owned()),
            project: Some(42),
            key: "00000000000000000000000000000001".to_owned(),
            client_ip: Some("203.0.113.9".to_owned()),
        }
    }

    fn item(kind: impl Into<Cow<'static, str>>) -> Item {
        Item {
            kind: kind.into(),
            bytes: 7,
        }
    }

    fn parsed(json: &Bytes) -> Value {
        serde_json::from_slice(json).expect("what is served is JSON")
    }

    #[test]
    fn a_row_has_what_the_contract_names() {
        let events = Events::default();
        events.add(
            UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
            &sender(),
            vec![item("error")],
        );
        let want = json!([{
            "seq": 1, "at": "2023-11-14T22:13:20.123Z", "event_id": "a94ae32be2584e0bbd7a4cbb95971fee",
            "project": 42, "key": "00000000000000000000000000000001", "client_ip": "203.0.113.9",
            "type": "error", "bytes": 7,
        }]);
        assert_eq!(parsed(&events.json()), want);
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_make_room() {
        let events = Events::default();
        for _ in 0..KEPT {
            events.add(UNIX_EPOCH, &sender(), vec![item("error")]);
        }
        let before = parsed(&events.json());
        assert_eq!(
            (&before[0]["seq"], &before[KEPT - 1]["seq"]),
            (&json!(KEPT), &json!(1))
        );
        events.add(UNIX_EPOCH, &sender(), vec![item("session")]);
        let after = parsed(&events.json());
        assert_eq!(after.as_array().map(Vec::len), Some(KEPT));
        assert_eq!(
            (&after[0]["type"], &after[KEPT - 1]["seq"]),
            (&json!("session"), &json!(2))
        );
    }

    #[test]
    fn counts_go_on_where_rows_end_and_invented_types_share_one() {
        let events = Events::default();
        for invented in 0..TYPES_MAX + 5 {
            events.add(
                UNIX_EPOCH,
                &sender(),
                vec![item(format!("type-{invented:03}"))],
            );
        }
        events.add(UNIX_EPOCH, &sender(), vec![item("type-000")]);
        let summary = parsed(&events.summary_json("the dsn"));
        assert_eq!(summary["dsn"], "the dsn");
        assert_eq!(summary["total"], json!(TYPES_MAX + 6));
        assert_eq!(summary["by_type"]["type-000"], 2);
        assert_eq!(summary["by_type"][OTHER], 5);
        assert_eq!(
            summary["by_type"].as_object().map(serde_json::Map::len),
            Some(TYPES_MAX + 1)
        );
    }
}

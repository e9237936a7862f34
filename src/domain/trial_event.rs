//! An event of our own, sent to see whether the way to Sentry is open, and what shows how far it
//! came: the answer, the edge's books, and the page on which Sentry says whether it has it.
//!
//! Owns their words. Never sends one, and never asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An event of our own.
#[derive(Debug, Clone, Copy)]
pub struct TrialEvent<'a> {
    /// 32 hex digits.
    pub id: &'a str,
    /// When, as RFC 3339 has it.
    pub at: &'a str,
    /// Who sends it.
    pub logger: &'a str,
    /// What it says.
    pub message: &'a str,
    /// The tag `vidette`.
    pub tag: &'a str,
    /// What makes it one issue with others; `None`: Sentry's own grouping does.
    pub fingerprint: Option<&'a str>,
}

impl TrialEvent<'_> {
    /// The event as an SDK sends it.
    #[must_use]
    pub fn envelope(&self) -> String {
        let Self { id, at, .. } = self;
        let mut event = json!({
            "event_id": id,
            "timestamp": at,
            "platform": "other",
            "level": "info",
            "logger": self.logger,
            "message": self.message,
            "tags": {"vidette": self.tag},
        });
        if let (Some(fingerprint), Value::Object(event)) = (self.fingerprint, &mut event) {
            event.insert("fingerprint".to_owned(), json!([fingerprint]));
        }
        let event = event.to_string();
        let head = json!({"event_id": id, "sent_at": at});
        let length = event.len();
        let item = json!({"type": "event", "length": length, "content_type": "application/json"});
        format!("{head}\n{item}\n{event}\n")
    }
}

/// What an answer to it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It was taken.
    Taken,
    /// It was taken, by something that is no Sentry: it does not say the event's id.
    Foreign,
    /// It was not taken.
    Refused,
}

impl Answered {
    /// Reads an answer to the event with this id.
    #[must_use]
    pub fn of(status: u16, body: &[u8], id: &str) -> Self {
        const OK: u16 = 200;
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match body.get("id").and_then(Value::as_str) {
            Some(back) if status == OK && back == id => Self::Taken,
            Some(_) | None if status == OK => Self::Foreign,
            Some(_) | None => Self::Refused,
        }
    }
}

/// What is said in a refusal's body, by Sentry or by an edge.
#[must_use]
pub fn detail(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get("detail")?.as_str()?.to_owned())
}

/// What the books say of a project's errors: forwarded, kept, and dropped by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Booked {
    /// Items that the upstream took.
    pub forwarded: u64,
    /// Items that lie in the spool.
    pub spooled: u64,
    /// Items that went no further.
    pub dropped: BTreeMap<String, u64>,
}

/// What became of one event, as far as the books tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// Nothing was booked yet.
    Nothing,
    /// The upstream took it.
    Forwarded,
    /// It lies in the spool.
    Kept,
    /// It went no further, for this reason.
    Dropped(String),
    /// It is one of several.
    Among {
        /// Of these, forwarded.
        forwarded: u64,
        /// Kept.
        spooled: u64,
        /// Why some were dropped.
        dropped: Vec<String>,
    },
}

impl Booked {
    /// What has become of whatever came since the books said that.
    #[must_use]
    pub fn since(&self, before: &Self) -> Became {
        let forwarded = self.forwarded.saturating_sub(before.forwarded);
        let spooled = self.spooled.saturating_sub(before.spooled);
        let dropped = self.dropped.iter().filter(|(reason, count)| {
            let was = before.dropped.get(*reason).copied().unwrap_or_default();
            **count > was
        });
        let dropped: Vec<String> = dropped.map(|(reason, _)| reason.clone()).collect();
        match (forwarded, spooled, &*dropped) {
            (0, 0, []) => Became::Nothing,
            (1, 0, []) => Became::Forwarded,
            (0, 1.., []) => Became::Kept,
            (0, 0, [reason, ..]) => Became::Dropped(reason.clone()),
            _ => Became::Among {
                forwarded,
                spooled,
                dropped,
            },
        }
    }
}

/// The page of Sentry's API that knows an event by its id, or does not.
#[must_use]
pub fn stored_path(organization: &str, id: &str) -> String {
    format!("/api/0/organizations/{organization}/eventids/{id}/")
}

/// Whether a text can be an organization's slug.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: TrialEvent<'_> = TrialEvent {
        id: "a1",
        at: "2026-01-02T03:04:05.678Z",
        logger: "vidette.x",
        message: "is \"it\" open?",
        tag: "x",
        fingerprint: Some("one issue"),
    };

    #[test]
    fn an_envelope_holds_one_event_of_the_length_it_says() {
        let envelope = EVENT.envelope();
        let lines: Vec<&str> = envelope.split_terminator('\n').collect();
        let [head, item, event] = lines[..] else {
            panic!("{envelope}");
        };
        let read = |line| serde_json::from_str::<Value>(line).unwrap();
        assert_eq!(read(head)["event_id"], "a1");
        assert_eq!(read(item)["length"], event.len());
        let event = read(event);
        assert_eq!(event["message"], EVENT.message);
        assert_eq!(event["fingerprint"], json!(["one issue"]));
        let plain = TrialEvent {
            fingerprint: None,
            ..EVENT
        };
        assert!(!plain.envelope().contains("fingerprint"));
    }

    #[test]
    fn only_the_events_own_id_says_that_it_was_taken() {
        let check = |status, body: &str, want| {
            assert_eq!(Answered::of(status, body.as_bytes(), "a1"), want, "{body}");
        };
        check(200, r#"{"id":"a1"}"#, Answered::Taken);
        check(200, r#"{"id":"b2"}"#, Answered::Foreign);
        check(200, "<html>", Answered::Foreign);
        check(403, r#"{"id":"a1"}"#, Answered::Refused);
        check(502, "", Answered::Refused);
        assert_eq!(detail(br#"{"detail":"no"}"#).as_deref(), Some("no"));
        assert_eq!(detail(b"<html>"), None);
    }

    /// Books with so many forwarded, kept, and dropped for a quota and for a filter.
    fn booked(forwarded: u64, spooled: u64, quota: u64, filter: u64) -> Booked {
        let dropped = [("quota", quota), ("localhost", filter)];
        let dropped = dropped.into_iter().filter(|(_, count)| *count > 0);
        Booked {
            forwarded,
            spooled,
            dropped: dropped
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
        }
    }

    #[track_caller]
    fn check_since(after: &Booked, want: &Became) {
        assert_eq!(after.since(&booked(5, 2, 1, 0)), *want);
    }

    #[test]
    fn what_one_event_became_is_what_the_books_have_more() {
        check_since(&booked(5, 2, 1, 0), &Became::Nothing);
        check_since(&booked(6, 2, 1, 0), &Became::Forwarded);
        check_since(&booked(5, 3, 1, 0), &Became::Kept);
        check_since(&booked(5, 2, 2, 0), &Became::Dropped("quota".to_owned()));
        check_since(
            &booked(5, 2, 1, 1),
            &Became::Dropped("localhost".to_owned()),
        );
        // What was kept before has left meanwhile.
        check_since(&booked(5, 0, 1, 0), &Became::Nothing);
        let among = Became::Among {
            forwarded: 2,
            spooled: 1,
            dropped: vec!["quota".to_owned()],
        };
        check_since(&booked(7, 3, 2, 0), &among);
    }

    #[test]
    fn a_slug_has_no_character_with_a_meaning_in_a_path() {
        for slug in ["acme", "a-b_9"] {
            assert!(is_slug(slug), "{slug}");
        }
        for slug in ["", "a/b", "..", "a b", "\u{e4}"] {
            assert!(!is_slug(slug), "{slug}");
        }
        assert_eq!(
            stored_path("acme", "a1"),
            "/api/0/organizations/acme/eventids/a1/"
        );
    }
}

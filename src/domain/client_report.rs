//! A client report: how the edge tells Sentry what it dropped, so that Stats counts it
//! (PROTOCOL 8).
//!
//! Owns which list and which reason stand for each of ours, what an item counts as there, and
//! the bytes of the envelope. Never decides what is dropped, and never sends anything.

use super::category::Category;
use super::outcome::{Group, Reason};

/// Sentry passes over longer reasons.
const REASON_CHARS_MAX: usize = 200;

/// A report over this is refused: Relay 23 takes 4 KiB, and a little is left for line ends.
const PAYLOAD_BYTES_MAX: usize = 4_000;

/// A payload without any entries.
const EMPTY_BYTES: usize = 160;

/// One of a report's lists, each of which Stats shows under a heading of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// What a client gave up.
    Discarded,
    /// What an inbound filter matched.
    Filtered,
    /// What sampling left out.
    Sampled,
    /// What a limit had no room for.
    RateLimited,
}

impl List {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [
        Self::Discarded,
        Self::Filtered,
        Self::Sampled,
        Self::RateLimited,
    ];

    /// The payload's key.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discarded => "discarded_events",
            Self::Filtered => "filtered_events",
            Self::Sampled => "filtered_sampling_events",
            Self::RateLimited => "rate_limited_events",
        }
    }
}

/// The filters that Sentry knows under another name (PROTOCOL 10).
const STAT_KEYS: [(Reason, &str); 5] = [
    (Reason::ClientIp, "ip-address"),
    (Reason::UserAgent, "web-crawlers"),
    (Reason::Crawler, "web-crawlers"),
    (Reason::Release, "release-version"),
    (Reason::ErrorMessage, "error-message"),
];

/// The list that a reason is told in, and what it is called there; a limit has a name of its
/// own, which goes before. `None`: it is not told. What is the request's or the key's own
/// fault belongs to nobody's Stats, who left has no part in it, and what the upstream refused
/// it has counted itself.
#[must_use]
pub fn told(reason: Reason) -> Option<(List, &'static str)> {
    let stat_key = || {
        let known = STAT_KEYS.iter().find(|(known, _)| *known == reason);
        known.map_or(reason.as_str(), |(_, key)| *key)
    };
    match reason.group() {
        // No filter of Sentry's: there it is invalid, which only clients can say of their own.
        Group::Filter if reason == Reason::Origin => Some((List::Discarded, "invalid")),
        Group::Filter => Some((List::Filtered, stat_key())),
        Group::Limit => Some((List::RateLimited, reason.as_str())),
        // Behind the colon stand rules by their numbers, and ours have none.
        Group::Sample => Some((List::Sampled, "Sampled:0")),
        Group::Undelivered => Some((List::Discarded, "network_error")),
        Group::Edge => Some((List::Discarded, "backpressure")),
        Group::Request | Group::Key | Group::Client | Group::UpstreamRefused => None,
    }
}

/// The categories of our books that are not one and the same in Stats.
const COMPOSED: [(Category, &[Category]); 10] = {
    use Category as C;
    [
        (
            C::Transaction,
            // Its children are not counted: nobody has read them.
            &[
                C::Transaction,
                C::TransactionIndexed,
                C::Span,
                C::SpanIndexed,
            ],
        ),
        (C::Span, &[C::Span, C::SpanIndexed]),
        (C::Profile, &[C::Profile, C::ProfileIndexed]),
        (C::Attachment, &[C::Attachment, C::AttachmentItem]),
        (C::LogItem, &[C::LogItem, C::LogByte]),
        // It may have been anything.
        (C::Unread, &[C::Default]),
        // Metrics are counted in buckets, which no header tells.
        (C::MetricBucket, &[]),
        (C::ClientReport, &[]),
        (C::Uncounted, &[]),
        (C::Unknown, &[]),
    ]
};

/// What items that stand under a category in our books, and their bytes, count as in Stats.
pub fn quantities(
    category: Category,
    items: u64,
    bytes: u64,
) -> impl Iterator<Item = (Category, u64)> {
    let composed = COMPOSED.iter().find(|(known, _)| *known == category);
    let alone = composed.is_none().then_some(category);
    let parts = composed.into_iter().flat_map(|(_, parts)| parts.iter());
    let all = alone.into_iter().chain(parts.copied());
    // Attachments are the bytes that do not say so in their name.
    let weighs = |category: Category| category.is_bytes() || category == Category::Attachment;
    all.map(move |category| (category, if weighs(category) { bytes } else { items }))
}

/// Whether items under a category count for anything in Stats.
#[must_use]
pub fn is_counted(category: Category) -> bool {
    quantities(category, 1, 1).next().is_some()
}

/// A reason as Sentry takes it.
#[must_use]
pub fn cut(reason: &str) -> &str {
    let end = reason.char_indices().nth(REASON_CHARS_MAX);
    end.and_then(|(end, _)| reason.get(..end)).unwrap_or(reason)
}

/// A report that is being written.
#[derive(Debug, Default)]
pub struct Draft {
    /// Each list's entries, with commas between.
    lists: [String; List::ALL.len()],
    bytes: usize,
}

impl Draft {
    /// Adds what was dropped of a category. `false`: a report must not be so long, and nothing
    /// was added; the first always has room.
    pub fn add(
        &mut self,
        list: List,
        reason: &str,
        category: Category,
        (items, bytes): (u64, u64),
    ) -> bool {
        let reason = serde_json::Value::from(cut(reason));
        let mut entries = String::new();
        for (category, quantity) in quantities(category, items, bytes) {
            if quantity > 0 {
                let category = category.name();
                entries.push_str(if entries.is_empty() { "" } else { "," });
                entries.push_str(&format!(
                    r#"{{"reason":{reason},"category":"{category}","quantity":{quantity}}}"#
                ));
            }
        }
        if self.bytes > 0 && EMPTY_BYTES + self.bytes + entries.len() + 1 > PAYLOAD_BYTES_MAX {
            return false;
        }
        let own = List::ALL.iter().zip(&mut self.lists);
        for (_, text) in own.filter(|(own, _)| **own == list) {
            let comma = !text.is_empty() && !entries.is_empty();
            text.push_str(if comma { "," } else { "" });
            text.push_str(&entries);
            self.bytes += entries.len() + usize::from(comma);
        }
        true
    }

    /// Whether it tells of nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The envelope with the report alone, of a time that ends at this second of Unix time.
    #[must_use]
    pub fn envelope(&self, until_unix_s: u64) -> Vec<u8> {
        let mut payload = format!(r#"{{"timestamp":{until_unix_s}"#);
        for (list, entries) in List::ALL.iter().zip(&self.lists) {
            // Of the four, older readers know the first alone, and expect it.
            if *list == List::Discarded || !entries.is_empty() {
                payload.push_str(&format!(r#","{}":[{entries}]"#, list.name()));
            }
        }
        payload.push('}');
        let length = payload.len();
        format!("{{}}\n{{\"type\":\"client_report\",\"length\":{length}}}\n{payload}\n")
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reason: Reason, want: Option<(List, &str)>) {
        assert_eq!(told(reason), want, "{}", reason.as_str());
    }

    /// One line for each reason: a new one has to be thought of here.
    #[test]
    fn each_reason_has_its_list_or_is_not_told() {
        use List::{Discarded, Filtered, RateLimited, Sampled};
        let want = [
            ("origin", Discarded, "invalid"),
            ("client_ip", Filtered, "ip-address"),
            ("user_agent", Filtered, "web-crawlers"),
            ("crawler", Filtered, "web-crawlers"),
            ("release", Filtered, "release-version"),
            ("environment", Filtered, "environment"),
            ("error_message", Filtered, "error-message"),
            ("localhost", Filtered, "localhost"),
            ("quota", RateLimited, "quota"),
            ("rate", RateLimited, "rate"),
            ("learned", RateLimited, "learned"),
            ("muted", RateLimited, "muted"),
            ("limited", RateLimited, "limited"),
            ("disk_guard", RateLimited, "disk_guard"),
            ("repeated", RateLimited, "repeated"),
            ("spike", RateLimited, "spike"),
            ("sampled", Sampled, "Sampled:0"),
            ("no_upstream", Discarded, "network_error"),
            ("spool_full", Discarded, "network_error"),
            ("spool_expired", Discarded, "network_error"),
            ("spool_damaged", Discarded, "network_error"),
            ("spool_purged", Discarded, "network_error"),
            ("overloaded", Discarded, "backpressure"),
            ("draining", Discarded, "backpressure"),
            ("internal", Discarded, "backpressure"),
        ];
        let mut listed = want.iter();
        for reason in Reason::ALL {
            let named = want.iter().find(|(name, ..)| *name == reason.as_str());
            check(*reason, named.map(|(_, list, text)| (*list, *text)));
        }
        let known = |name: &str| Reason::ALL.iter().any(|reason| reason.as_str() == name);
        assert!(listed.all(|(name, ..)| known(name)));
        for reason in [Reason::Upstream429, Reason::ClientGone, Reason::UnprovenKey] {
            check(reason, None);
        }
    }

    #[track_caller]
    fn check_counts(category: Category, want: &[(&str, u64)]) {
        let told: Vec<_> = quantities(category, 3, 700)
            .map(|(category, quantity)| (category.name(), quantity))
            .collect();
        assert_eq!(told, want, "{}", category.name());
        assert_eq!(is_counted(category), !want.is_empty());
    }

    #[test]
    fn items_count_as_stats_expects_them() {
        check_counts(Category::Error, &[("error", 3)]);
        check_counts(
            Category::Transaction,
            &[
                ("transaction", 3),
                ("transaction_indexed", 3),
                ("span", 3),
                ("span_indexed", 3),
            ],
        );
        check_counts(Category::Span, &[("span", 3), ("span_indexed", 3)]);
        check_counts(
            Category::Attachment,
            &[("attachment", 700), ("attachment_item", 3)],
        );
        check_counts(Category::LogItem, &[("log_item", 3), ("log_byte", 700)]);
        check_counts(Category::Profile, &[("profile", 3), ("profile_indexed", 3)]);
        check_counts(Category::Unread, &[("default", 3)]);
        for plain in [
            Category::Replay,
            Category::Monitor,
            Category::Feedback,
            Category::TraceMetric,
            Category::ProfileChunkUi,
            Category::Session,
        ] {
            check_counts(plain, &[(plain.name(), 3)]);
        }
    }

    #[test]
    fn what_sentry_does_not_count_is_never_named() {
        for category in Category::ALL {
            let mut named = quantities(*category, 1, 1);
            assert!(
                named.all(|(named, _)| named.is_sentrys()),
                "{}",
                category.name()
            );
        }
        for category in [
            Category::ClientReport,
            Category::Uncounted,
            Category::Unknown,
            Category::MetricBucket,
        ] {
            check_counts(category, &[]);
        }
    }

    #[test]
    fn a_report_is_an_envelope_of_one_item() {
        let mut draft = Draft::default();
        assert!(draft.is_empty());
        let limited = (List::RateLimited, "errors \"1h\"\n");
        assert!(draft.add(limited.0, limited.1, Category::Error, (2, 50)));
        assert!(draft.add(limited.0, "rate", Category::Attachment, (1, 9)));
        assert!(draft.add(List::Filtered, "localhost", Category::Error, (1, 1)));
        let envelope = String::from_utf8(draft.envelope(1_700_000_000)).unwrap();
        let lines: Vec<&str> = envelope.split('\n').collect();
        let [line, header, payload, ""] = lines[..] else {
            panic!("{envelope}");
        };
        assert_eq!(line, "{}");
        let length = payload.len();
        assert_eq!(
            header,
            format!(r#"{{"type":"client_report","length":{length}}}"#)
        );
        let read: serde_json::Value = serde_json::from_str(payload).unwrap();
        let want = serde_json::json!({
            "timestamp": 1_700_000_000,
            "discarded_events": [],
            "filtered_events": [{"reason": "localhost", "category": "error", "quantity": 1}],
            "rate_limited_events": [
                {"reason": "errors \"1h\"\n", "category": "error", "quantity": 2},
                {"reason": "rate", "category": "attachment", "quantity": 9},
                {"reason": "rate", "category": "attachment_item", "quantity": 1},
            ],
        });
        assert_eq!(read, want);
    }

    #[test]
    fn no_report_is_longer_than_it_may_be() {
        let mut draft = Draft::default();
        let long = "\u{1}".repeat(500);
        let all = (u64::MAX, u64::MAX);
        assert!(draft.add(List::Discarded, "network_error", Category::Error, all));
        let mut added = 0;
        while draft.add(List::RateLimited, &long, Category::Error, all) {
            added += 1;
        }
        assert!(added > 0, "there is room for some");
        let bytes = draft.envelope(u64::MAX).len();
        assert!(bytes < 4096, "{bytes} bytes");
        let mut widest = Draft::default();
        let transaction = Category::Transaction;
        assert!(
            widest.add(List::RateLimited, &long, transaction, all),
            "the first"
        );
    }

    #[test]
    fn a_reason_is_cut_between_its_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(201)), "ä".repeat(200));
        assert_eq!(cut(&"a".repeat(200)).len(), 200);
    }
}

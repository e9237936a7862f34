//! What an item of an envelope is, by its header: which categories it counts in,
//! and how its fate is tied to others'.
//!
//! Owns the table of item types (PROTOCOL 3.2). Never reads bytes: the scanner does.

use crate::domain::category::{Categories, Category};

/// Declares the kinds once: the enum, and the list of all of them.
macro_rules! kinds {
    ($( $(#[$doc:meta])* $kind:ident, )+) => {
        /// What an item is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ItemKind { $( $(#[$doc])* $kind, )+ }

        impl ItemKind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[ $( Self::$kind, )+ ];
        }
    };
}

kinds! {
    /// `event`.
    Event,
    /// `transaction`.
    Transaction,
    /// `security`, `raw_security`.
    Security,
    /// `unreal_report`.
    UnrealReport,
    /// `attachment` that is only that.
    Attachment,
    /// `attachment` of which the upstream makes an error: a crash dump, or an event's parts.
    CrashAttachment,
    /// `form_data`.
    FormData,
    /// `user_report`, `feedback`.
    Feedback,
    /// `session`, `sessions`.
    Session,
    /// `client_report`.
    ClientReport,
    /// `profile`.
    Profile,
    /// `profile_chunk` of a server.
    ProfileChunk,
    /// `profile_chunk` of a browser or an app.
    ProfileChunkUi,
    /// `replay_event`.
    ReplayEvent,
    /// `replay_recording`, `replay_video`.
    ReplayRecording,
    /// `check_in`.
    CheckIn,
    /// `span`, alone or a container.
    Span,
    /// `log`, `otel_log`.
    Log,
    /// `trace_metric`.
    TraceMetric,
    /// `statsd`, `metric_buckets`.
    Metrics,
    /// `nel`.
    Nel,
    /// Anything else.
    Unknown,
}

/// Platforms whose profiles are a user interface's, not a server's.
const UI_PLATFORMS: [&str; 3] = ["javascript", "android", "cocoa"];

/// The kinds of attachment that become an error of their own.
const CRASHES: [&str; 4] = [
    "event.minidump",
    "event.applecrashreport",
    "event.payload",
    "event.breadcrumbs",
];

impl ItemKind {
    /// The kind that a header's `type`, `attachment_type` and `platform` name.
    ///
    /// `None`: a type that only a Relay may send.
    #[must_use]
    pub fn of(name: &str, attachment_type: Option<&str>, platform: Option<&str>) -> Option<Self> {
        let one_of =
            |known: &[&str], text: Option<&str>| text.is_some_and(|text| known.contains(&text));
        Some(match name {
            "event" => Self::Event,
            "transaction" => Self::Transaction,
            "security" | "raw_security" => Self::Security,
            "unreal_report" => Self::UnrealReport,
            "attachment" if one_of(&CRASHES, attachment_type) => Self::CrashAttachment,
            "attachment" => Self::Attachment,
            "form_data" => Self::FormData,
            "user_report" | "feedback" => Self::Feedback,
            "session" | "sessions" => Self::Session,
            "client_report" => Self::ClientReport,
            "profile" => Self::Profile,
            "profile_chunk" if one_of(&UI_PLATFORMS, platform) => Self::ProfileChunkUi,
            "profile_chunk" => Self::ProfileChunk,
            "profile_chunk_ui" => Self::ProfileChunkUi,
            "replay_event" => Self::ReplayEvent,
            "replay_recording" | "replay_video" => Self::ReplayRecording,
            "check_in" => Self::CheckIn,
            "span" => Self::Span,
            "log" | "otel_log" => Self::Log,
            "trace_metric" => Self::TraceMetric,
            "statsd" | "metric_buckets" => Self::Metrics,
            "nel" => Self::Nel,
            "integration" => return None,
            _ => Self::Unknown,
        })
    }

    /// The category that it stands under in the books.
    #[must_use]
    pub const fn category(self) -> Category {
        match self {
            Self::Event | Self::UnrealReport | Self::CrashAttachment => Category::Error,
            Self::Transaction => Category::Transaction,
            Self::Security => Category::Security,
            Self::Attachment => Category::Attachment,
            Self::Feedback => Category::Feedback,
            Self::Session => Category::Session,
            Self::ClientReport => Category::ClientReport,
            Self::Profile => Category::Profile,
            Self::ProfileChunk => Category::ProfileChunk,
            Self::ProfileChunkUi => Category::ProfileChunkUi,
            Self::ReplayEvent | Self::ReplayRecording => Category::Replay,
            Self::CheckIn => Category::Monitor,
            Self::Span => Category::Span,
            Self::Log => Category::LogItem,
            Self::TraceMetric => Category::TraceMetric,
            Self::Metrics => Category::MetricBucket,
            Self::FormData | Self::Nel => Category::Uncounted,
            Self::Unknown => Category::Unknown,
        }
    }

    /// The categories whose limits it falls under. Empty: only a limit on everything, and for
    /// client reports none at all.
    ///
    /// A crash attachment is two things at once: these are its attachment's, and its error's are
    /// those of [`Event`](Self::Event).
    #[must_use]
    pub const fn categories(self) -> Categories {
        use Category as C;
        match self {
            Self::Event | Self::UnrealReport => Categories::of(&[C::Error]),
            // What the upstream takes from it and what it keeps come in one item: there is no half.
            Self::Transaction => Categories::of(&[C::Transaction, C::TransactionIndexed]),
            Self::Security => Categories::of(&[C::Security]),
            Self::Attachment | Self::CrashAttachment => {
                Categories::of(&[C::Attachment, C::AttachmentItem])
            }
            Self::Feedback => Categories::of(&[C::Feedback]),
            Self::Session => Categories::of(&[C::Session]),
            Self::Profile => Categories::of(&[C::Profile, C::ProfileIndexed]),
            Self::ProfileChunk => Categories::of(&[C::ProfileChunk]),
            Self::ProfileChunkUi => Categories::of(&[C::ProfileChunkUi]),
            Self::ReplayEvent | Self::ReplayRecording => Categories::of(&[C::Replay]),
            Self::CheckIn => Categories::of(&[C::Monitor]),
            Self::Span => Categories::of(&[C::Span, C::SpanIndexed]),
            Self::Log => Categories::of(&[C::LogItem, C::LogByte]),
            Self::TraceMetric => Categories::of(&[C::TraceMetric]),
            Self::Metrics => Categories::of(&[C::MetricBucket]),
            Self::FormData | Self::ClientReport | Self::Nel | Self::Unknown => Categories::EMPTY,
        }
    }

    /// Whether some item counts in both of two categories: what is said of one is said of what
    /// the other counts too.
    #[must_use]
    pub fn counts_in_both(one: Category, other: Category) -> bool {
        let both = |kind: &Self| kind.categories().has(one) && kind.categories().has(other);
        Self::ALL.iter().any(both)
    }

    /// Every category that some item counts in: a limit on any other would never be met.
    #[must_use]
    pub fn all_categories() -> Categories {
        let kinds = Self::ALL.iter();
        kinds.fold(Categories::EMPTY, |all, kind| all.and(kind.categories()))
    }

    /// Those of its categories whose limit, learned from the upstream, leaves nothing of it. Of a
    /// transaction whose kept part is limited the upstream still takes metrics, so it must arrive.
    #[must_use]
    pub const fn learned(self) -> Categories {
        self.categories().without(Categories::KEPT)
    }

    /// Whether no limit ever applies: what clients report on must be heard whatever is full.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(self, Self::ClientReport)
    }

    /// Whether it is an event that others in its envelope belong to: dropped, it takes them along.
    #[must_use]
    pub const fn is_event(self) -> bool {
        matches!(
            self,
            Self::Event | Self::Transaction | Self::Security | Self::UnrealReport
        )
    }

    /// Whether it belongs to the envelope's event (PROTOCOL 4.2, cascades).
    #[must_use]
    pub const fn follows_event(self) -> bool {
        matches!(
            self,
            Self::Attachment
                | Self::CrashAttachment
                | Self::FormData
                | Self::Feedback
                | Self::Profile
                | Self::ReplayEvent
        )
    }

    /// Whether it is part of a replay, which is worth nothing in parts.
    #[must_use]
    pub const fn is_replay(self) -> bool {
        matches!(self, Self::ReplayEvent | Self::ReplayRecording)
    }

    /// Whether its header's `item_count` says how many it holds; all others are one.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Span | Self::Log | Self::TraceMetric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        name: &str,
        attachment: Option<&str>,
        platform: Option<&str>,
        category: &str,
        limits: &[&str],
    ) {
        let kind = ItemKind::of(name, attachment, platform).expect("a client's type");
        let names: Vec<_> = kind.categories().iter().map(Category::name).collect();
        assert_eq!(
            (kind.category().name(), names.as_slice()),
            (category, limits),
            "{name}"
        );
        let learned = kind.learned().iter();
        assert!(
            learned
                .into_iter()
                .all(|learned| kind.categories().has(learned)),
            "{name}"
        );
    }

    #[test]
    fn every_type_of_the_protocol_has_its_categories() {
        for (name, category, limits) in [
            ("event", "error", &["error"][..]),
            (
                "transaction",
                "transaction",
                &["transaction", "transaction_indexed"],
            ),
            ("security", "security", &["security"]),
            ("raw_security", "security", &["security"]),
            ("unreal_report", "error", &["error"]),
            (
                "attachment",
                "attachment",
                &["attachment", "attachment_item"],
            ),
            ("form_data", "uncounted", &[]),
            ("user_report", "feedback", &["feedback"]),
            ("feedback", "feedback", &["feedback"]),
            ("session", "session", &["session"]),
            ("sessions", "session", &["session"]),
            ("client_report", "client_report", &[]),
            ("profile", "profile", &["profile", "profile_indexed"]),
            ("profile_chunk", "profile_chunk", &["profile_chunk"]),
            (
                "profile_chunk_ui",
                "profile_chunk_ui",
                &["profile_chunk_ui"],
            ),
            ("replay_event", "replay", &["replay"]),
            ("replay_recording", "replay", &["replay"]),
            ("replay_video", "replay", &["replay"]),
            ("check_in", "monitor", &["monitor"]),
            ("span", "span", &["span", "span_indexed"]),
            ("log", "log_item", &["log_item", "log_byte"]),
            ("otel_log", "log_item", &["log_item", "log_byte"]),
            ("trace_metric", "trace_metric", &["trace_metric"]),
            ("statsd", "metric_bucket", &["metric_bucket"]),
            ("metric_buckets", "metric_bucket", &["metric_bucket"]),
            ("nel", "uncounted", &[]),
            ("of_tomorrow", "unknown", &[]),
            ("Event", "unknown", &[]),
        ] {
            check(name, None, None, category, limits);
        }
    }

    #[test]
    fn a_header_may_say_more_than_the_type() {
        let attachment = &["attachment", "attachment_item"];
        for crash in CRASHES {
            check("attachment", Some(crash), None, "error", attachment);
            let kind = ItemKind::of("attachment", Some(crash), None);
            assert_eq!(kind, Some(ItemKind::CrashAttachment), "{crash}");
        }
        let kind = ItemKind::of("attachment", Some("event.view_hierarchy"), None);
        assert_eq!(kind, Some(ItemKind::Attachment));
        check(
            "profile_chunk",
            None,
            Some("android"),
            "profile_chunk_ui",
            &["profile_chunk_ui"],
        );
        check(
            "profile_chunk",
            None,
            Some("python"),
            "profile_chunk",
            &["profile_chunk"],
        );
    }

    #[test]
    fn a_category_counts_where_some_item_is_of_it() {
        let counted = ItemKind::all_categories();
        for kind in ItemKind::ALL {
            let own = kind.categories();
            assert!(own.without(counted).is_empty(), "{kind:?}");
        }
        for category in [Category::Default, Category::ReplayVideo, Category::Unread] {
            assert!(!counted.has(category), "{}", category.name());
        }
        assert!(counted.has(Category::LogByte) && counted.has(Category::Error));
    }

    #[test]
    fn what_only_a_relay_sends_is_no_kind() {
        assert_eq!(ItemKind::of("integration", None, None), None);
    }

    #[test]
    fn an_event_never_belongs_to_another_and_only_reports_are_free() {
        for name in [
            "event",
            "transaction",
            "security",
            "unreal_report",
            "session",
            "check_in",
        ] {
            let kind = ItemKind::of(name, None, None).expect("known");
            assert!(!kind.follows_event() && !kind.is_free(), "{name}");
        }
        let report = ItemKind::of("client_report", None, None).expect("known");
        assert!(report.is_free() && !report.follows_event() && !report.is_event());
    }
}

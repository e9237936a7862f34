//! What an item counts as: Sentry's data categories, and a few of our own for the
//! books.
//!
//! Owns their names and sets of them. Never says which item is of which category:
//! `envelope::item` does.

/// Declares the categories once: a variant and its name on every surface.
macro_rules! categories {
    ($( $owner:ident { $( $(#[$doc:meta])* $variant:ident = $name:literal, )+ } )+) => {
        /// What an item counts as. Closed: quotas, ledger and metrics are built on it.
        #[repr(u8)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category { $( $( $(#[$doc])* $variant, )+ )+ }

        impl Category {
            /// Every category, at its own [`index`](Self::index).
            pub const ALL: &[Category] = &[ $( $( Category::$variant, )+ )+ ];

            /// The name in headers, configuration, ledger and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( $( Self::$variant => $name, )+ )+ }
            }

            /// Whether Sentry knows the name; all others never leave this process but in its
            /// own books.
            #[must_use]
            pub const fn is_sentrys(self) -> bool {
                matches!(self.owner(), Owner::Sentry)
            }

            const fn owner(self) -> Owner {
                match self { $( $( Self::$variant => Owner::$owner, )+ )+ }
            }
        }
    };
}

/// Whose name it is.
enum Owner {
    Sentry,
    Edge,
}

categories! {
    Sentry {
        /// Events without a type of their own; limited together with errors.
        Default = "default",
        /// Errors and crashes.
        Error = "error",
        /// Transactions.
        Transaction = "transaction",
        /// Reports about security policies.
        Security = "security",
        /// Attachments, in bytes upstream.
        Attachment = "attachment",
        /// Sessions, alone or aggregated.
        Session = "session",
        /// Profiles of transactions.
        Profile = "profile",
        /// Replays: events, recordings, videos.
        Replay = "replay",
        /// Transactions of which metrics were taken.
        TransactionProcessed = "transaction_processed",
        /// Transactions that are kept, beside those only counted.
        TransactionIndexed = "transaction_indexed",
        /// Check-ins of scheduled jobs.
        Monitor = "monitor",
        /// Profiles that are kept.
        ProfileIndexed = "profile_indexed",
        /// Spans.
        Span = "span",
        /// Places for monitors.
        MonitorSeat = "monitor_seat",
        /// Feedback of users.
        Feedback = "feedback",
        /// Buckets of metrics.
        MetricBucket = "metric_bucket",
        /// Spans that are kept.
        SpanIndexed = "span_indexed",
        /// Milliseconds of profiling.
        ProfileDuration = "profile_duration",
        /// Parts of continuous profiles.
        ProfileChunk = "profile_chunk",
        /// Metrics, in seconds.
        MetricSecond = "metric_second",
        /// Retired: videos of replays count as replays.
        ReplayVideo = "replay_video",
        /// Checks of uptime.
        Uptime = "uptime",
        /// Attachments, counted.
        AttachmentItem = "attachment_item",
        /// Lines of logs.
        LogItem = "log_item",
        /// Logs, in bytes.
        LogByte = "log_byte",
        /// Milliseconds of profiling in a browser or an app.
        ProfileDurationUi = "profile_duration_ui",
        /// Parts of continuous profiles of a browser or an app.
        ProfileChunkUi = "profile_chunk_ui",
        /// Fixes by a machine.
        SeerAutofix = "seer_autofix",
        /// Scans by a machine.
        SeerScanner = "seer_scanner",
        /// Users of a paid feature.
        PreventUser = "prevent_user",
        /// Reviews of a paid feature.
        PreventReview = "prevent_review",
        /// Analyses of an app's size.
        SizeAnalysis = "size_analysis",
        /// Apps offered for installation.
        InstallableBuild = "installable_build",
        /// Metrics of traces.
        TraceMetric = "trace_metric",
        /// Users of a paid feature.
        SeerUser = "seer_user",
        /// Profiles of servers.
        ProfileBackend = "profile_backend",
        /// Profiles of browsers and apps.
        ProfileUi = "profile_ui",
    }
    Edge {
        /// Reports of clients on what they dropped: free, never limited.
        ClientReport = "client_report",
        /// Known items that Sentry does not count: form data, network errors.
        Uncounted = "uncounted",
        /// Items of a type that is not known here: passed on, the upstream may know.
        Unknown = "unknown",
        /// What was refused, or let by, without a look inside.
        Unread = "unread",
    }
}

impl Category {
    /// How many there are: the length of an array that [`index`](Self::index) fits.
    pub const COUNT: usize = Self::ALL.len();

    /// The place in [`ALL`](Self::ALL): dense.
    #[expect(
        clippy::as_conversions,
        reason = "a fieldless repr(u8) enum numbers its variants from 0 without gaps"
    )]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Sentry's category of that name, in the spelling of headers and configuration.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        // The one alias that Sentry keeps (PROTOCOL 3.2).
        let name = match name {
            "user_report_v2" => "feedback",
            name => name,
        };
        let mut sentrys = Self::ALL.iter().filter(|category| category.is_sentrys());
        sentrys.find(|category| category.name() == name).copied()
    }

    /// Whether one of it is a byte, not a thing.
    #[must_use]
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::LogByte)
    }
}

/// A set of categories. Whether the empty one stands for none or for all is its
/// holder's to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Categories(u64);

impl Categories {
    /// None at all.
    pub const EMPTY: Self = Self(0);

    /// What is kept of items of which the upstream takes metrics first: full, it still takes those,
    /// so that the items must arrive (PROTOCOL 4.2).
    pub const KEPT: Self = Self::of(&[
        Category::TransactionIndexed,
        Category::ProfileIndexed,
        Category::SpanIndexed,
    ]);

    /// The set of these.
    #[must_use]
    pub const fn of(categories: &[Category]) -> Self {
        let mut set = Self::EMPTY;
        let mut rest = categories;
        while let [first, others @ ..] = rest {
            set = set.with(*first);
            rest = others;
        }
        set
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, category: Category) -> Self {
        Self(self.0 | 1 << category.index())
    }

    /// The set without those of another.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that both sets have.
    #[must_use]
    pub const fn common(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those of both sets.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether none is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is in it.
    #[must_use]
    pub const fn has(self, category: Category) -> bool {
        self.0 & 1 << category.index() != 0
    }

    /// Whether any is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those that are in it, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        let all = Category::ALL.iter().copied();
        all.filter(move |category| self.has(*category))
    }
}

impl std::fmt::Debug for Categories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Category::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_sits_at_its_index_and_fits_a_set() {
        for (place, category) in Category::ALL.iter().enumerate() {
            assert_eq!(category.index(), place, "{}", category.name());
        }
        let last = Category::ALL.last().expect("not empty");
        assert!(
            Categories::EMPTY.with(*last).has(*last),
            "a set is one word"
        );
    }

    #[test]
    fn names_are_distinct_and_safe_in_headers_and_labels() {
        let mut names: Vec<_> = Category::ALL
            .iter()
            .map(|category| category.name())
            .collect();
        for name in &names {
            let safe = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(safe) && !name.is_empty(), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Category::COUNT, "two share a name");
    }

    #[test]
    fn only_sentrys_own_names_are_read() {
        for category in Category::ALL {
            let read = Category::of_name(category.name());
            assert_eq!(read.is_some(), category.is_sentrys(), "{}", category.name());
        }
        assert_eq!(
            Category::of_name("user_report_v2"),
            Some(Category::Feedback)
        );
        for name in ["", "Error", "errors", "unread", "client_report"] {
            assert_eq!(Category::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Categories::of(&[Category::Unread, Category::Default]);
        let listed: Vec<_> = set.iter().collect();
        assert_eq!(listed, [Category::Default, Category::Unread]);
        assert!(set.has(Category::Unread) && !set.has(Category::Error));
        assert!(set.meets(Categories::EMPTY.with(Category::Default)));
        assert!(!set.meets(Categories::of(&[Category::Error])));
        assert!(Categories::EMPTY.is_empty() && !set.is_empty());
    }
}

//! The label values of every metric: closed lists, so that nothing a client
//! sends can become a label. Never holds a count.

use crate::domain::category::Category;
use crate::domain::handshake::HandshakeFault;

/// Declares one closed list of label values: the enum, the order in which its
/// values are exported, the word each is exported as, and its place in an array.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// Every value, in the order of export.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word in the exposition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }

            /// The place in an array as long as `ALL`.
            #[expect(clippy::as_conversions, reason = "a fieldless repr(u8) enum is its own dense index")]
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use labels;

mod upstreams;

pub use upstreams::{MirrorLoss, MirrorPlace, Upstream};

labels! {
    /// Where a request belongs.
    Route {
        /// Events: `/api/store/` and `/api/<id>/...`.
        Ingest = "ingest",
        /// Events posted to a configured tunnel path.
        Tunnel = "tunnel",
        /// Sentry's pages and its own API.
        Web = "web",
        /// Source maps, debug files and their like.
        Upload = "upload",
        /// Files from this machine's disk.
        Static = "static",
        /// What one Relay asks another: `/api/0/relays/`.
        Relay = "relay",
        /// Requests that belong nowhere and were answered here.
        Local = "local",
    }
}

labels! {
    /// Categories that a board shows as one: a dozen can be told apart, forty cannot.
    Kin {
        /// Errors, and reports about security policies.
        Error = "error",
        /// Transactions, however they are counted.
        Transaction = "transaction",
        /// Sessions.
        Session = "session",
        /// Replays.
        Replay = "replay",
        /// Profiles, whole or in parts.
        Profile = "profile",
        /// Attachments.
        Attachment = "attachment",
        /// Spans.
        Span = "span",
        /// Logs.
        Log = "log",
        /// Check-ins, and checks of uptime.
        Monitor = "monitor",
        /// Metrics.
        Metric = "metric",
        /// Feedback of users.
        Feedback = "feedback",
        /// All else, what nobody looked into among it.
        Other = "other",
    }
}

impl Kin {
    /// The kin of a category.
    #[must_use]
    pub const fn of(category: Category) -> Self {
        match category {
            Category::Default | Category::Error | Category::Security => Self::Error,
            Category::Transaction
            | Category::TransactionProcessed
            | Category::TransactionIndexed => Self::Transaction,
            Category::Session => Self::Session,
            Category::Replay | Category::ReplayVideo => Self::Replay,
            Category::Profile
            | Category::ProfileIndexed
            | Category::ProfileDuration
            | Category::ProfileChunk
            | Category::ProfileDurationUi
            | Category::ProfileChunkUi
            | Category::ProfileBackend
            | Category::ProfileUi => Self::Profile,
            Category::Attachment | Category::AttachmentItem => Self::Attachment,
            Category::Span | Category::SpanIndexed => Self::Span,
            Category::LogItem | Category::LogByte => Self::Log,
            Category::Monitor | Category::MonitorSeat | Category::Uptime => Self::Monitor,
            Category::MetricBucket | Category::MetricSecond | Category::TraceMetric => Self::Metric,
            Category::Feedback => Self::Feedback,
            Category::SeerAutofix
            | Category::SeerScanner
            | Category::SeerUser
            | Category::PreventUser
            | Category::PreventReview
            | Category::SizeAnalysis
            | Category::InstallableBuild
            | Category::ClientReport
            | Category::Uncounted
            | Category::Unknown
            | Category::Unread => Self::Other,
        }
    }
}

labels! {
    /// How the answer that left is counted on a board.
    Answered {
        /// Below 400.
        Ok = "ok",
        /// Too large.
        TooLarge = "413",
        /// Too many.
        TooMany = "429",
        /// Any other 4xx.
        Refused = "4xx",
        /// 5xx.
        Failed = "5xx",
        /// None left: the client was gone.
        Gone = "gone",
    }
}

impl Answered {
    /// As what a status counts; 0: none left.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            0 => Self::Gone,
            413 => Self::TooLarge,
            429 => Self::TooMany,
            1..400 => Self::Ok,
            400..500 => Self::Refused,
            500.. => Self::Failed,
        }
    }
}

labels! {
    /// The bounded tables of live state.
    Table {
        /// Keys seen to work.
        KeysProven = "keys_proven",
        /// Keys on their way there.
        KeysUnproven = "keys_unproven",
        /// Keys that the upstream refused.
        KeysRefused = "keys_refused",
        /// Keys that Sentry was asked for and takes nothing under.
        KeysAbsent = "keys_absent",
        /// Keys whose upstream told what to hold back.
        LimitsLearned = "limits_learned",
        /// Errors of clients that are counted because they may repeat.
        Repeats = "repeats",
        /// What was used of quotas by key, and of projects nobody listed.
        QuotaCounters = "quota_counters",
        /// Client addresses that are counted.
        QuotaIps = "quota_ips",
        /// Clients that misbehaved of late, those that are blocked among them.
        Blocks = "blocks",
    }
}

labels! {
    /// What became of what Sentry was to be told of what was dropped.
    Reported {
        /// It was told.
        Sent = "sent",
        /// It does not want to hear it.
        Refused = "refused",
        /// Nobody knows whether it heard it; it is not told again.
        Unsure = "unsure",
        /// It was given up: too old, too much, or nowhere to be kept at a stop.
        Expired = "expired",
    }
}

labels! {
    /// The answer to "does it work?".
    Light {
        /// All is well.
        Green = "green",
        /// Something is not as it should be.
        Amber = "amber",
        /// It takes nothing, or neither delivers nor keeps.
        Red = "red",
    }
}

labels! {
    /// What became of a line of the access log.
    Logged {
        /// It was written.
        Written = "written",
        /// It was not: there was no room, or the writer could not keep up.
        Dropped = "dropped",
    }
}

labels! {
    /// How what is used of quotas is written down.
    Journal {
        /// Not at all, as configured.
        Off = "off",
        /// Before it counts.
        Written = "written",
        /// Some requests went on before: the disk is slow.
        Slow = "slow",
        /// It cannot be.
        Failing = "failing",
    }
}

impl Route {
    /// Whether its requests carry events, and its answers are read by scripts
    /// of other origins.
    #[must_use]
    pub const fn is_event(self) -> bool {
        match self {
            Self::Ingest | Self::Tunnel => true,
            Self::Web | Self::Upload | Self::Static | Self::Relay | Self::Local => false,
        }
    }
}

labels! {
    /// How a request ended.
    Ending {
        /// The upstream's answer was passed on.
        Forwarded = "forwarded",
        /// Kept on disk and answered.
        Spooled = "spooled",
        /// Refused here, with a reason.
        Refused = "refused",
        /// The upstream could not be reached or did not answer.
        Failed = "failed",
        /// The client left before its request or its answer was complete.
        Aborted = "aborted",
        /// Answered here without the upstream: preflight, files.
        Local = "local",
    }
}

labels! {
    /// How one attempt at an upstream ended.
    Attempt {
        /// Answered below 400.
        Ok = "ok",
        /// Answered with a 4xx.
        Refused = "refused",
        /// Answered with a 5xx, or the connection broke.
        Error = "error",
        /// Silent past its timeout.
        Timeout = "timeout",
        /// A kept-alive connection closed without a byte; tried once more.
        ReusedClosed = "reused_closed",
        /// The connection was gone before anything was sent; tried again.
        Unsent = "unsent",
    }
}

labels! {
    /// What came of asking an upstream that is failing whether it is back.
    Probed {
        /// It answered.
        Ok = "ok",
        /// It answered 502, 503 or 504, or there was no connection, or that broke.
        Error = "error",
        /// It fell silent.
        Timeout = "timeout",
    }
}

impl Handshake {
    /// As what a TLS handshake that failed counts.
    #[must_use]
    pub const fn of(fault: HandshakeFault) -> Self {
        match fault {
            HandshakeFault::Timeout => Self::Timeout,
            HandshakeFault::Crowded => Self::Capped,
            HandshakeFault::NotTls
            | HandshakeFault::NoVersion
            | HandshakeFault::NoCipher
            | HandshakeFault::NoProtocol
            | HandshakeFault::NoCertificate
            | HandshakeFault::CertificateRefused
            | HandshakeFault::NoClientCertificate
            | HandshakeFault::BadClientCertificate
            | HandshakeFault::Alert
            | HandshakeFault::Closed
            | HandshakeFault::Malformed => Self::TlsFailed,
        }
    }
}

labels! {
    /// How a client connection began or ended.
    Handshake {
        /// It carried at least one request head that could be read.
        Ok = "ok",
        /// Its head was not HTTP.
        BadHead = "bad_head",
        /// TLS could not be agreed.
        TlsFailed = "tls_failed",
        /// Its PROXY protocol header was refused.
        ProxyFailed = "proxy_failed",
        /// Closed at once, `limits.connections` was reached; or amid a slow TLS handshake, for
        /// `limits.handshakes`.
        Capped = "capped",
        /// Closed at once: its client's address has `limits.connections_per_client`.
        ClientCapped = "client_capped",
        /// Too slow to send a head, or to agree on TLS.
        Timeout = "timeout",
        /// It broke HTTP/2 or kept to its letter only to be work, and was told to go.
        Abused = "abused",
        /// Closed at once: its client is blocked (`limits.block`).
        Blocked = "blocked",
    }
}

labels! {
    /// How an order of a certificate ended.
    Ordered {
        /// A name has its first certificate.
        Issued = "issued",
        /// A certificate was renewed.
        Renewed = "renewed",
        /// The authority could not see the proof that the name is ours.
        Unproved = "unproved",
        /// The authority refuses for another reason: the account, the name, its own rules.
        Refused = "refused",
        /// The authority has had too many orders.
        RateLimited = "rate_limited",
        /// The authority cannot be reached, or is out of order.
        Unreachable = "unreachable",
        /// It failed here: a file, or an answer that nobody can read.
        Failed = "failed",
    }
}

labels! {
    /// What came of looking for a PROXY header, on listeners that do.
    ProxyHeader {
        /// It named the client.
        Named = "named",
        /// The balancer spoke for itself, as for a health check.
        Local = "local",
        /// The balancer could not name its client; its own address stands.
        Unnamed = "unnamed",
        /// None came, and none has to.
        Absent = "absent",
        /// Refused: the peer is not in `client_ip.trusted_proxies`.
        Untrusted = "untrusted",
        /// Refused: none came where one has to.
        Missing = "missing",
        /// Refused: what began as one breaks the protocol.
        Malformed = "malformed",
        /// Refused: longer than is read.
        TooLong = "too_long",
        /// The connection ended inside.
        Cut = "cut",
        /// It was not whole in `limits.head_timeout`.
        Timeout = "timeout",
    }
}

//! The closed set of reasons for which a request or an item is not forwarded.
//!
//! Owns their names, as ledger, metrics, decisions and explanations print them. Never decides
//! which of them applies, and never counts.

/// Declares the reasons once: a variant, its name on every surface, and the group it belongs to.
macro_rules! reasons {
    ($( $group:ident { $( $(#[$doc:meta])* $variant:ident = $name:literal, )+ } )+) => {
        /// Why something was not forwarded. The set is closed: users' boards are built on it.
        #[repr(u8)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $( $( $(#[$doc])* $variant, )+ )+
        }

        impl Reason {
            /// Every reason, at its own [`index`](Self::index).
            pub const ALL: &[Reason] = &[ $( $( Reason::$variant, )+ )+ ];

            /// The reason's name, the same in metrics, ledger, logs and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $( $( Reason::$variant => $name, )+ )+ }
            }

            /// The group whose rules of status and accounting apply.
            pub const fn group(self) -> Group {
                match self { $( $( Reason::$variant => Group::$group, )+ )+ }
            }
        }
    };
}

/// What kind of reason it is: who is at fault, and how it is reported upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// The request itself is at fault, whoever sent it.
    Request,
    /// The key, or its use for this project, is refused.
    Key,
    /// An inbound filter matched.
    Filter,
    /// A limit, quota or switch has no room.
    Limit,
    /// Sampling left it out.
    Sample,
    /// The client did not finish.
    Client,
    /// The upstream refused it, and counted it.
    UpstreamRefused,
    /// Nobody took it and it could not be kept.
    Undelivered,
    /// The edge itself could not.
    Edge,
}

impl Group {
    /// Every group, in the order in which a request meets them.
    pub const ALL: &[Group] = &[
        Group::Request,
        Group::Key,
        Group::Filter,
        Group::Limit,
        Group::Sample,
        Group::Client,
        Group::UpstreamRefused,
        Group::Undelivered,
        Group::Edge,
    ];

    /// Its name on boards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Group::Request => "request",
            Group::Key => "key",
            Group::Filter => "filter",
            Group::Limit => "limit",
            Group::Sample => "sample",
            Group::Client => "client",
            Group::UpstreamRefused => "upstream_refused",
            Group::Undelivered => "undelivered",
            Group::Edge => "edge",
        }
    }
}

reasons! {
    Request {
        /// No credentials, or none that can be read.
        NoKey = "no_key",
        /// Credentials in more than one place.
        ManyKeys = "many_keys",
        /// A key that is not 32 lower-case hex digits.
        BadKey = "bad_key",
        /// A protocol version above 7, or no number.
        BadVersion = "bad_version",
        /// A project id that is no number a Sentry can have issued.
        BadProject = "bad_project",
        /// The envelope's DSN and the request name different things.
        DsnMismatch = "dsn_mismatch",
        /// A method that the endpoint does not have.
        Method = "method",
        /// A content type that the endpoint does not take.
        ContentType = "content_type",
        /// No body where one is needed.
        Empty = "empty",
        /// A body that breaks its own grammar.
        Malformed = "malformed",
        /// A compressed body that does not decode.
        BadCompression = "bad_compression",
        /// A body over its route's limit.
        TooLarge = "too_large",
        /// A body that decodes to too much for its size.
        Bomb = "bomb",
        /// A length that two readers could understand differently.
        BadFraming = "bad_framing",
        /// A path without a normalised form.
        BadPath = "bad_path",
        /// A route that is closed to this peer, or to all.
        NotPublic = "not_public",
        /// A request head over the limit.
        HeadersTooLarge = "headers_too_large",
    }
    Key {
        /// A key that the upstream or the configuration does not know.
        UnknownKey = "unknown_key",
        /// A key that is switched off.
        DisabledKey = "disabled_key",
        /// A key of another project than the path's.
        WrongProject = "wrong_project",
        /// A key not yet seen to work, beyond the rate that such keys share.
        UnprovenKey = "unproven_key",
    }
    Filter {
        /// An origin that the project does not allow.
        Origin = "origin",
        /// A client address on the block list.
        ClientIp = "client_ip",
        /// A user agent on the block list.
        UserAgent = "user_agent",
        /// A web crawler.
        Crawler = "crawler",
        /// A release on the block list.
        Release = "release",
        /// An environment on the block list.
        Environment = "environment",
        /// An error message on the block list.
        ErrorMessage = "error_message",
        /// An event from a developer's own machine.
        Localhost = "localhost",
    }
    Limit {
        /// A quota's window is used up.
        Quota = "quota",
        /// A rate has no room at this moment.
        Rate = "rate",
        /// A limit that the upstream's answers taught.
        Learned = "learned",
        /// Muted by an operator.
        Muted = "muted",
        /// Limited by an operator's switch.
        Limited = "limited",
        /// Shed so that the disk does not fill.
        DiskGuard = "disk_guard",
        /// The same error of the same client, over and over.
        Repeated = "repeated",
        /// A burst far above the project's habit.
        Spike = "spike",
    }
    Sample {
        /// Left out by server-side sampling.
        Sampled = "sampled",
    }
    Client {
        /// The client left before its request was complete.
        ClientGone = "client_gone",
        /// The client sent too slowly.
        ClientSlow = "client_slow",
        /// The client has only misbehaved of late, and is not heard for a while.
        Blocked = "blocked",
    }
    UpstreamRefused {
        /// The upstream answered 4xx, 429 aside.
        Upstream4xx = "upstream_4xx",
        /// The upstream answered 429.
        Upstream429 = "upstream_429",
        /// The upstream answered 500.
        Upstream500 = "upstream_500",
    }
    Undelivered {
        /// No upstream took it and nothing could keep it.
        NoUpstream = "no_upstream",
        /// The spool had no room for its kind.
        SpoolFull = "spool_full",
        /// Held until its age limit.
        SpoolExpired = "spool_expired",
        /// Held, and unreadable afterwards.
        SpoolDamaged = "spool_damaged",
        /// Held, and dropped by an operator.
        SpoolPurged = "spool_purged",
    }
    Edge {
        /// The edge is at one of its own limits.
        Overloaded = "overloaded",
        /// The edge is stopping.
        Draining = "draining",
        /// A fault of the edge itself.
        Internal = "internal",
    }
}

impl Reason {
    /// How many reasons there are: the length of an array that [`index`](Self::index) fits.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether nobody who sends it hears of it: there is nothing to mend, and a limit that is
    /// told would hold back more than was meant.
    pub const fn is_silent(self) -> bool {
        let unwanted = matches!(self.group(), Group::Filter | Group::Sample);
        // A page that may not send is told so, as by Sentry.
        unwanted && !matches!(self, Self::Origin) || matches!(self, Self::Repeated)
    }

    /// Whether what goes so is lost, though nobody wanted it to be: no policy's decision, no
    /// client's fault, no stop, and not what an operator threw away.
    pub const fn is_loss(self) -> bool {
        matches!(
            self,
            Self::NoUpstream
                | Self::SpoolFull
                | Self::SpoolExpired
                | Self::SpoolDamaged
                | Self::Overloaded
                | Self::Internal
        )
    }

    /// The reason's place in [`ALL`](Self::ALL): dense, so that counters can be arrays.
    #[expect(
        clippy::as_conversions,
        reason = "a fieldless repr(u8) enum numbers its variants from 0 without gaps"
    )]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A set of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons(u64);

/// A set is one word.
const _: () = assert!(Reason::COUNT <= 64);

impl Reasons {
    /// None at all.
    pub const EMPTY: Self = Self(0);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, reason: Reason) -> Self {
        Self(self.0 | 1 << reason.index())
    }

    /// Those that are in it, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        let all = Reason::ALL.iter().copied();
        all.filter(move |reason| self.0 & 1 << reason.index() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_reasons_holds_what_was_put_in() {
        let last = Reason::ALL.last().copied().unwrap();
        let set = Reasons::default().with(last).with(Reason::Quota);
        let set = set.with(Reason::Quota);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Reason::Quota, last]);
        assert_eq!(Reasons::default().iter().count(), 0);
    }

    #[test]
    fn every_reason_sits_at_its_index() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(
                reason.index(),
                place,
                "{} is not where its index says",
                reason.as_str()
            );
        }
        assert_eq!(Reason::ALL.len(), Reason::COUNT);
    }

    #[test]
    fn names_are_distinct_and_safe_as_label_values() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        for name in &names {
            let safe =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(
                !name.is_empty() && name.bytes().all(safe),
                "{name} is no label value"
            );
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::COUNT, "two reasons share a name");
    }

    #[test]
    fn only_what_nobody_can_mend_is_silent() {
        let silent = Reason::ALL.iter().filter(|reason| reason.is_silent());
        let silent: Vec<&str> = silent.map(|reason| reason.as_str()).collect();
        let want = [
            "client_ip",
            "user_agent",
            "crawler",
            "release",
            "environment",
            "error_message",
            "localhost",
            "repeated",
            "sampled",
        ];
        assert_eq!(silent, want);
    }

    #[test]
    fn groups_follow_the_contract() {
        assert_eq!(Reason::NoKey.group(), Group::Request);
        assert_eq!(Reason::HeadersTooLarge.group(), Group::Request);
        assert_eq!(Reason::UnprovenKey.group(), Group::Key);
        assert_eq!(Reason::Localhost.group(), Group::Filter);
        assert_eq!(Reason::Spike.group(), Group::Limit);
        assert_eq!(Reason::Repeated.group(), Group::Limit);
        assert_eq!(Reason::Sampled.group(), Group::Sample);
        assert_eq!(Reason::ClientSlow.group(), Group::Client);
        assert_eq!(Reason::Blocked.group(), Group::Client);
        assert_eq!(Reason::Upstream500.group(), Group::UpstreamRefused);
        assert_eq!(Reason::SpoolPurged.group(), Group::Undelivered);
        assert_eq!(Reason::Internal.group(), Group::Edge);
    }
}

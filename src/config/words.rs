//! Owns the closed lists of words: what a file may say where it has a choice.
//! Reads nothing: `kinds` does, from these lists.

/// Declares an enum together with the one word that each variant has in a file,
/// so that reading, showing and the list in an error message cannot differ.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// Each word that a file may say, with what it means.
            pub const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant),)+];

            /// The word for it in a file.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What the upstream sees as `Host`.
    HostPolicy {
        /// What the client sent, port included.
        Client = "client",
        /// What the client sent, its port cut off, as the shipped nginx does.
        ClientWithoutPort = "client_without_port",
        /// The upstream's own name, for a Sentry that somebody else hosts.
        Target = "target",
    }
}

words! {
    /// What a mirror sees as `Host`.
    MirrorHost {
        /// Its own name.
        Target = "target",
        /// What the first Sentry would see.
        Client = "client",
    }
}

words! {
    /// What is asked of clients where somebody vouches for them.
    ClientAuth {
        /// One without a certificate is refused, as is one whose certificate is no good.
        Required = "required",
        /// One may be without.
        Optional = "optional",
    }
}

words! {
    /// How a name is proved to be ours where its certificate is had by ACME.
    AcmeChallenge {
        /// By HTTP where a listener is without TLS, else by TLS; by the other where one fails.
        Auto = "auto",
        /// By a file under `/.well-known/acme-challenge/`, at port 80.
        Http01 = "http-01",
        /// By a certificate made for it, at port 443.
        TlsAlpn01 = "tls-alpn-01",
    }
}

words! {
    /// What the servers of shared quotas are.
    SharedQuotaMode {
        /// One server.
        Single = "single",
        /// Sentinels, which know the server.
        Sentinel = "sentinel",
        /// A cluster, of which they are some.
        Cluster = "cluster",
    }
}

words! {
    /// Where uploaders are told to send their chunks.
    UploadUrl {
        /// Where Sentry says.
        Sentry = "sentry",
        /// Where they asked: by the same scheme, at the same host.
        Caller = "caller",
    }
}

words! {
    /// Who may reach `/api/0/relays/*`.
    ServeRelays {
        /// Clients on loopback and private addresses.
        Internal = "internal",
        /// Everybody.
        All = "all",
        /// Nobody.
        Off = "off",
    }
}

words! {
    /// Whether connections begin with a header of the PROXY protocol.
    ProxyProtocol {
        /// Never: one is no HTTP.
        Off = "off",
        /// Where a trusted proxy sends one: for the day on which both ends change over.
        Optional = "optional",
        /// Always, and only trusted proxies connect.
        Required = "required",
    }
}

words! {
    /// What a listener serves.
    Serve {
        /// Everything.
        All = "all",
        /// Events, and what pages load to send them.
        Ingest = "ingest",
        /// Sentry's pages, its API and uploads.
        Web = "web",
    }
}

words! {
    /// When an envelope's items are looked at.
    Inspect {
        /// Always: the books say what came.
        Always = "always",
        /// Where somebody's rules need it; else its items count as unread.
        WhenNeeded = "when_needed",
    }
}

words! {
    /// What is kept of a client's address, and sent on.
    StorePolicy {
        /// All of it.
        Full = "full",
        /// Its network, the bits behind it cleared.
        Truncate = "truncate",
        /// A digest that tells one client from another and names none.
        Hash = "hash",
        /// Nothing.
        Drop = "drop",
    }
}

words! {
    /// Which keys are let in.
    KeyMode {
        /// Any well-formed key.
        Open = "open",
        /// Any well-formed key that the upstream has not lately refused.
        Learn = "learn",
        /// Only keys that the operator lists or Sentry knows. As `learn` until Sentry's
        /// list was read once, but for projects that the operator lists keys of.
        Strict = "strict",
    }
}

words! {
    /// How log lines are written.
    LogFormat {
        /// Text on a terminal, as `journald` where stderr is the journal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
        /// For systemd's journal, by the level that stands before each line.
        Journald = "journald",
    }
}

words! {
    /// Which requests have a line in the access log.
    AccessMode {
        /// None.
        Off = "off",
        /// Those that did not end well, up to a rate, and a share of all others.
        Sampled = "sampled",
        /// All.
        All = "all",
    }
}

words! {
    /// How lines of the access log are written.
    AccessFormat {
        /// One JSON object a line.
        Json = "json",
        /// The combined log format of web servers.
        Common = "common",
    }
}

words! {
    /// What is done about a burst far above a project's habit.
    SpikeMode {
        /// Nothing is counted.
        Off = "off",
        /// It is counted and told what would have been dropped; nothing is.
        Shadow = "shadow",
    }
}

words! {
    /// The least grave line that is still logged.
    Level {
        /// An operator must act.
        Error = "error",
        /// An operator should look.
        Warn = "warn",
        /// What the edge does on its own.
        Info = "info",
        /// One line per request, bad clients included.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

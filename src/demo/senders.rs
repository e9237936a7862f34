//! Owns the cast of the demo: three projects, their keys and the people and
//! machines that send. All addresses are from the ranges kept for documentation
//! (RFC 5737, RFC 3849): no one is named by accident.

/// A project of the demo and how its clients speak.
#[derive(Debug)]
pub(super) struct Project {
    /// The number in its DSN.
    pub(super) id: u64,
    /// Its public key.
    pub(super) key: &'static str,
    /// What its SDK calls itself.
    pub(super) client: &'static str,
    /// What the platform is called in an event.
    pub(super) platform: &'static str,
    /// Its release.
    pub(super) release: &'static str,
    /// Where its clients connect from.
    pub(super) clients: &'static [&'static str],
    /// How they show their key and pack their bodies.
    pub(super) manner: Manner,
    /// What goes wrong there: type and text of an exception.
    pub(super) errors: &'static [(&'static str, &'static str)],
    /// What is done there: names of transactions.
    pub(super) transactions: &'static [&'static str],
}

/// The two manners of SDKs that matter to an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The key in the query, so that no preflight is needed; bodies unpacked.
    Browser,
    /// The key in `X-Sentry-Auth`; bodies packed with gzip.
    Server,
}

/// The shop's web pages: the project that the printed DSN names.
pub(super) const WEB: Project = Project {
    id: 1,
    key: "5ed1c0de8f2a4b6c9e3d7a1b0f4c2e68",
    client: "sentry.javascript.browser/9.40.0",
    platform: "javascript",
    release: "shop-web@4.2.0",
    clients: &[
        "203.0.113.9",
        "203.0.113.54",
        "203.0.113.201",
        "2001:db8:7::1f",
        "2001:db8:20:4::a",
    ],
    manner: Manner::Browser,
    errors: &[
        (
            "TypeError",
            "Cannot read properties of undefined (reading 'price')",
        ),
        ("ChunkLoadError", "Loading chunk 17 failed"),
        ("NetworkError", "Failed to fetch /api/cart"),
    ],
    transactions: &["/", "/product/:id", "/checkout"],
};

/// The shop's API.
pub(super) const API: Project = Project {
    id: 2,
    key: "0b7e4f19c2d84a53b6f01e9d8a7c3b25",
    client: "sentry.python/2.30.0",
    platform: "python",
    release: "shop-api@2026.3.1",
    clients: &["198.51.100.10", "198.51.100.11", "198.51.100.12"],
    manner: Manner::Server,
    errors: &[
        (
            "IntegrityError",
            "duplicate key value violates unique constraint",
        ),
        ("TimeoutError", "payment provider did not answer within 5 s"),
        ("KeyError", "'currency'"),
    ],
    transactions: &["POST /api/cart", "GET /api/products", "celery.send_receipt"],
};

/// The shop's app on telephones.
pub(super) const APP: Project = Project {
    id: 3,
    key: "e61f9a03d57b4c8e8c24b0a6f7d3195a",
    client: "sentry.cocoa/8.50.0",
    platform: "cocoa",
    release: "shop-app@7.0.3",
    clients: &["203.0.113.77", "198.51.100.140", "2001:db8:51a::9"],
    manner: Manner::Server,
    errors: &[
        ("EXC_BAD_ACCESS", "attempted to dereference null pointer"),
        ("NSRangeException", "index 3 beyond bounds [0 .. 2]"),
    ],
    transactions: &["CheckoutViewController", "app.start.cold"],
};

//! A request's refusal: its reason, its status, and words for whoever reads the
//! answer. Never repeats what the client sent.

use std::borrow::Cow;

use crate::domain::credentials::CredentialsError;
use crate::domain::outcome::Reason;

/// Why a request does not pass, and what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it counts under.
    pub reason: Reason,
    /// The HTTP status.
    pub status: u16,
    /// One sentence for people: what is wrong and where.
    pub detail: Cow<'static, str>,
    /// The `Allow` header of a 405.
    pub allow: Option<&'static str>,
    /// Seconds after which trying again makes sense.
    pub retry_after_s: Option<u32>,
    /// The connection's framing is in doubt: close it after the answer.
    pub close: bool,
}

impl Refusal {
    /// A refusal with nothing but its reason, status and words.
    #[must_use]
    pub fn of(reason: Reason, status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            status,
            detail: detail.into(),
            allow: None,
            retry_after_s: None,
            close: false,
        }
    }

    /// 405, with the methods that would do.
    #[must_use]
    pub fn method(allow: &'static str) -> Self {
        let mut refusal = Self::of(
            Reason::Method,
            405,
            "this endpoint does not take that method",
        );
        refusal.allow = Some(allow);
        refusal
    }

    /// 413, naming the route and the limit, for the operator who must raise it.
    #[must_use]
    pub fn too_large(route: &str, limit: &str, bytes: u64) -> Self {
        let detail = format!(
            "the body is over this hop's limit for {route} requests of {bytes} bytes ({limit})"
        );
        Self::of(Reason::TooLarge, 413, detail)
    }

    /// 401 for a request that names no key anywhere it could.
    #[must_use]
    pub fn no_key() -> Self {
        let detail = "no sentry_key in X-Sentry-Auth, Authorization, the query or the path";
        Self::of(Reason::NoKey, 401, detail)
    }

    /// 400 for an event without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Reason::Empty, 400, "the body is empty")
    }

    /// Credentials that cannot be read, with PROTOCOL's status.
    #[must_use]
    pub fn credentials(error: CredentialsError) -> Self {
        Self::of(error.reason(), error.status(), error.to_string())
    }

    /// 503: no upstream took it, and a later try may succeed.
    #[must_use]
    pub fn later(reason: Reason, detail: &'static str, retry_after_s: u32) -> Self {
        let mut refusal = Self::of(reason, 503, detail);
        refusal.retry_after_s = Some(retry_after_s);
        refusal
    }

    /// 400, closing the connection, since where the next request begins is in doubt.
    #[must_use]
    pub fn framing(detail: &'static str) -> Self {
        let mut refusal = Self::of(Reason::BadFraming, 400, detail);
        refusal.close = true;
        refusal
    }
}

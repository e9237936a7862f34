//! A request's refusal: its reason, its status, and words for whoever reads the
//! answer. Never repeats what the client sent.

use std::borrow::Cow;

use crate::domain::coding::DecodeError;
use crate::domain::credentials::CredentialsError;
use crate::domain::endpoint::Endpoint;
use crate::domain::envelope::header::HeaderError;
use crate::domain::envelope::scan::ScanError;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;

use super::pair::Sender;

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
    /// The `Accept-Encoding` header of a 415.
    pub accept_encoding: Option<&'static str>,
    /// Seconds after which trying again makes sense.
    pub retry_after_s: Option<u32>,
    /// What its sender is told to hold back (`X-Sentry-Rate-Limits`).
    pub limits: Vec<RateLimit>,
    /// The endpoint whose clients must not see a 429: they are answered with its success.
    pub instead: Option<Endpoint>,
    /// The event's id, for the answer of such a success.
    pub event_id: Option<Box<str>>,
    /// Who sent it, where that was known by then.
    pub sender: Option<Box<Sender>>,
    /// What it was posted to, where its sender is known.
    pub endpoint: Option<Endpoint>,
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
            accept_encoding: None,
            retry_after_s: None,
            limits: Vec::new(),
            instead: None,
            event_id: None,
            sender: None,
            endpoint: None,
            close: false,
        }
    }

    /// Nothing of it is wanted: its sender hears a success, for there is nothing to mend.
    #[must_use]
    pub fn unwanted(reason: Reason, endpoint: Endpoint) -> Self {
        let mut refusal = Self::of(reason, 200, "nothing of this request is wanted");
        refusal.instead = Some(endpoint);
        refusal
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

    /// 431, naming the limit.
    #[must_use]
    pub fn head_too_large() -> Self {
        let detail = "the request's head is over this hop's limit (limits.header_bytes)";
        Self::of(Reason::HeadersTooLarge, 431, detail)
    }

    /// 401 for a request that names no key anywhere it could.
    #[must_use]
    pub fn no_key() -> Self {
        let detail = "no sentry_key in X-Sentry-Auth, Authorization, the query or the path";
        Self::of(Reason::NoKey, 401, detail)
    }

    /// 401 for an envelope that names no key in the head and no DSN in its first line.
    #[must_use]
    pub fn no_dsn() -> Self {
        let detail =
            "line one of the envelope needs a dsn: nothing else in this request says whose it is";
        Self::of(Reason::NoKey, 401, detail)
    }

    /// 400 for an event without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Reason::Empty, 400, "the body is empty")
    }

    /// 400 for an envelope whose first line is no header.
    #[must_use]
    pub fn malformed(error: HeaderError) -> Self {
        Self::of(Reason::Malformed, 400, error.to_string())
    }

    /// For an envelope whose items cannot be told apart: 400, or 413 for more of them than one
    /// envelope may have.
    #[must_use]
    pub fn scan(error: ScanError) -> Self {
        if error == ScanError::TooManyItems {
            let detail = "the envelope has more items than one may have (limits.items)";
            return Self::of(Reason::TooLarge, 413, detail);
        }
        Self::of(Reason::Malformed, 400, error.to_string())
    }

    /// 415 for a body packed in a way that cannot be looked into.
    #[must_use]
    pub fn unknown_coding() -> Self {
        let detail = "the content-encoding is none that is accepted here";
        let mut refusal = Self::of(Reason::BadCompression, 415, detail);
        refusal.accept_encoding = Some("gzip, deflate, br, zstd");
        refusal
    }

    /// A body that does not decode: 400, or 413 where it decodes to too much.
    #[must_use]
    pub fn coding(error: DecodeError) -> Self {
        let (reason, status) = match error {
            DecodeError::Broken | DecodeError::Truncated => (Reason::BadCompression, 400),
            DecodeError::Bomb => (Reason::Bomb, 413),
            DecodeError::TooLarge => (Reason::TooLarge, 413),
        };
        Self::of(reason, status, error.to_string())
    }

    /// Credentials that cannot be read, with PROTOCOL's status.
    #[must_use]
    pub fn credentials(error: CredentialsError) -> Self {
        Self::of(error.reason(), error.status(), error.to_string())
    }

    /// 403 in mode `strict`: nobody names the key.
    #[must_use]
    pub fn unknown_key() -> Self {
        let detail = "this key is in neither the configuration nor Sentry's list";
        Self::of(Reason::UnknownKey, 403, detail)
    }

    /// 403 in mode `learn`: the upstream was seen to refuse this sender.
    #[must_use]
    pub fn refused_upstream() -> Self {
        let detail = "Sentry has refused this key for this project; asked again within a minute";
        Self::of(Reason::UnknownKey, 403, detail)
    }

    /// 403: the key is switched off here or in Sentry.
    #[must_use]
    pub fn disabled_key() -> Self {
        Self::of(Reason::DisabledKey, 403, "this key is switched off")
    }

    /// 403: the key belongs to another project than the path, or a tunnel's DSN, names.
    #[must_use]
    pub fn wrong_project() -> Self {
        let detail = "this key belongs to another project than the request names";
        Self::of(Reason::WrongProject, 403, detail)
    }

    /// 403: too many keys that never worked ask at once.
    #[must_use]
    pub fn unproven() -> Self {
        let detail = "this key has not been seen to work yet, and such keys are over their rate (keys.unproven_rate)";
        let mut refusal = Self::of(Reason::UnprovenKey, 403, detail);
        // The rate is one by the second.
        refusal.retry_after_s = Some(1);
        refusal
    }

    /// 403: a page that the project does not let send.
    #[must_use]
    pub fn origin() -> Self {
        let detail = "this project does not allow the page's origin (allowed_origins)";
        Self::of(Reason::Origin, 403, detail)
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

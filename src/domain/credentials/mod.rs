//! Who a request says it is: key and protocol version, from whichever place carries them.
//!
//! Owns the places of the head, their order and their conflicts, and the form of a key. Never
//! knows whether a key exists. The envelope's own DSN is read elsewhere, and counts only when
//! every place here is empty.

mod exchanged;
mod fields;
mod key;

use std::fmt;

use super::outcome::Reason;

pub use exchanged::{header_with_key, query_with_key};
pub use key::{Key, Masked};

/// The protocol version that all current SDKs speak: the default, and the highest accepted.
pub const VERSION_MAX: u8 = 7;

/// The places of a request's head that may carry credentials, as they stand on the wire.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The value of `X-Sentry-Auth`.
    pub sentry_auth: Option<&'a [u8]>,
    /// The value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The raw query string, without its question mark.
    pub query: Option<&'a str>,
    /// The key segment of an unreal or cron path, already decoded.
    pub path_key: Option<&'a [u8]>,
}

/// Where credentials were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The `X-Sentry-Auth` header.
    SentryAuth,
    /// The `Authorization` header with the scheme `Sentry`.
    Authorization,
    /// The `Authorization` header with the scheme `Basic`: how `https://KEY@host/` arrives.
    Basic,
    /// The query string.
    Query,
    /// A segment of the path.
    Path,
    /// The DSN in an envelope's first line.
    EnvelopeDsn,
}

impl Place {
    /// The place in words that a client's developer can find.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SentryAuth => "the x-sentry-auth header",
            Self::Authorization => "the authorization header",
            Self::Basic => "the basic authorization header",
            Self::Query => "the query string",
            Self::Path => "the path",
            Self::EnvelopeDsn => "the envelope's dsn",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Credentials whose form is sound. Whether the key is known is for others to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The public key.
    pub key: Key,
    /// The protocol version, 0 to 7.
    pub version: u8,
    /// Where they were found.
    pub place: Place,
}

/// Why a request's credentials are refused at its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Two or more places carry credentials, equal ones included: the upstream refuses them too.
    #[error("credentials in more than one place")]
    Many,
    /// A key that is not 32 lower-case hex digits.
    #[error("the key in {place} is not 32 lower-case hex digits")]
    BadKey {
        /// Where it stood.
        place: Place,
    },
    /// A version above 7, or one that is no number.
    #[error("the protocol version in {place} is not a number up to {VERSION_MAX}")]
    BadVersion {
        /// Where it stood.
        place: Place,
    },
    /// A key or a version given twice: of two, each reader could take another.
    #[error("{field} stands twice in {place}")]
    Doubled {
        /// The field's name.
        field: &'static str,
        /// Where both stood.
        place: Place,
    },
    /// Another scheme, or broken base64.
    #[error("the credentials in {place} cannot be read")]
    Unparsable {
        /// Where they stood.
        place: Place,
    },
    /// Credentials without a key among them.
    #[error("there is no key in {place}")]
    NoKey {
        /// Where it was expected.
        place: Place,
    },
}

impl CredentialsError {
    /// The reason to count it under. What cannot be read holds no key that we could name.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Many => Reason::ManyKeys,
            Self::BadKey { .. } => Reason::BadKey,
            Self::BadVersion { .. } => Reason::BadVersion,
            Self::Doubled { .. } | Self::Unparsable { .. } | Self::NoKey { .. } => Reason::NoKey,
        }
    }

    /// The HTTP status that the protocol gives it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Many | Self::Doubled { .. } | Self::Unparsable { .. } | Self::NoKey { .. } => 401,
            Self::BadKey { .. } | Self::BadVersion { .. } => 400,
        }
    }
}

/// Finds the one place that carries credentials and reads it.
///
/// `Ok(None)`: no place does. An `Authorization` of another scheme is not Sentry's and does not
/// count; a query counts as soon as it contains `sentry_`, as the upstream has it. Conflicts are
/// reported before anything is read, so a broken second place does not hide them.
pub fn read(sources: &Sources<'_>) -> Result<Option<Credentials>, CredentialsError> {
    let authorization = sources.authorization.and_then(Authorization::of);
    let query = sources
        .query
        .filter(|query| memchr::memmem::find(query.as_bytes(), b"sentry_").is_some());
    let places = [
        sources.sentry_auth.is_some(),
        authorization.is_some(),
        query.is_some(),
        sources.path_key.is_some(),
    ];
    if places.into_iter().filter(|present| *present).count() > 1 {
        return Err(CredentialsError::Many);
    }
    if let Some(value) = sources.sentry_auth {
        let place = Place::SentryAuth;
        let found = after_scheme(value, b"sentry").ok_or(CredentialsError::Unparsable { place })?;
        return fields::read_header(found, place).map(Some);
    }
    match authorization {
        Some(Authorization::Sentry(found)) => {
            return fields::read_header(found, Place::Authorization).map(Some);
        }
        Some(Authorization::Basic(token)) => return fields::read_basic(token).map(Some),
        None => {}
    }
    if let Some(query) = query {
        return fields::read_query(query).map(Some);
    }
    sources.path_key.map(fields::read_path).transpose()
}

/// An `Authorization` header that is ours to read.
enum Authorization<'a> {
    /// The fields after `Sentry`.
    Sentry(&'a [u8]),
    /// The token after `Basic`.
    Basic(&'a [u8]),
}

impl<'a> Authorization<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        after_scheme(value, b"sentry")
            .map(Self::Sentry)
            .or_else(|| after_scheme(value, b"basic").map(Self::Basic))
    }
}

/// What follows the scheme's word, blanks trimmed, if that is the word; its case does not count.
fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (word, rest) = value.trim_ascii_start().split_at_checked(scheme.len())?;
    let ends_here = rest.first().is_none_or(u8::is_ascii_whitespace);
    (word.eq_ignore_ascii_case(scheme) && ends_here).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;

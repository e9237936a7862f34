//! What an event request's head claims, found in one walk over its headers: a
//! look-up for each name would cost more than the gate's own checks. Judges
//! nothing.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::coding::Coding;
use crate::domain::credentials::{self, CredentialsError, Sources};
use crate::domain::endpoint::{self, Ingest, Project};
use crate::domain::origin::Page;
use crate::policy::Refusal;
use crate::policy::pair::Pair;

use crate::server::client::arrival;

/// The header in which most SDKs send their credentials.
pub(crate) const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// Whose a request claims to be, as far as its head can be read: for whoever is shown what becomes
/// of requests that were refused, which costs a second reading of the head.
#[cold]
pub(crate) fn claimed(head: &Parts) -> Option<Pair> {
    let path = arrival::normalised(head).ok()?;
    let endpoint::Route::Ingest(ingest) = endpoint::route(&path) else {
        return None;
    };
    let project = match ingest.project {
        Project::Number(project) => Some(project),
        Project::OfKey | Project::Unparsable => None,
    };
    let claims = Claims::of(&head.headers);
    let sources = claims.sources(head, ingest).ok()?;
    let credentials = credentials::read(&sources).ok()??;
    Some(Pair::new(&credentials.key, project))
}

/// A header that may stand in a head once.
#[derive(Debug, Default, Clone, Copy)]
enum Once<'h> {
    #[default]
    Absent,
    Single(&'h [u8]),
    Several,
}

impl<'h> Once<'h> {
    fn meets(&mut self, value: &'h HeaderValue) {
        *self = match self {
            Self::Absent => Self::Single(value.as_bytes()),
            Self::Single(_) | Self::Several => Self::Several,
        };
    }
}

/// The first two values of a header, of which only the first is read.
#[derive(Debug, Default, Clone, Copy)]
struct Twice<'h> {
    first: Option<&'h [u8]>,
    second: Option<&'h [u8]>,
}

impl<'h> Twice<'h> {
    fn meets(&mut self, value: &'h HeaderValue) {
        match self.first {
            None => self.first = Some(value.as_bytes()),
            Some(_) => self.second = self.second.or(Some(value.as_bytes())),
        }
    }
}

/// The claims of one head.
#[derive(Debug, Default)]
pub(crate) struct Claims<'h> {
    sentry_auth: Once<'h>,
    authorization: Once<'h>,
    codings: Once<'h>,
    /// The first content type.
    pub content_type: Option<&'h [u8]>,
    origin: Twice<'h>,
    referer: Twice<'h>,
    /// The first user agent, if it is text.
    pub user_agent: Option<&'h str>,
}

impl<'h> Claims<'h> {
    /// Walks over the headers once.
    pub(crate) fn of(headers: &'h HeaderMap) -> Self {
        let mut claims = Self::default();
        for (name, value) in headers {
            if *name == CONTENT_TYPE {
                claims.content_type.get_or_insert(value.as_bytes());
            } else if *name == CONTENT_ENCODING {
                claims.codings.meets(value);
            } else if *name == ORIGIN {
                claims.origin.meets(value);
            } else if *name == REFERER {
                claims.referer.meets(value);
            } else if *name == USER_AGENT {
                claims.user_agent = claims.user_agent.or(value.to_str().ok());
            } else if *name == AUTHORIZATION {
                claims.authorization.meets(value);
            } else if *name == X_SENTRY_AUTH {
                claims.sentry_auth.meets(value);
            }
        }
        claims
    }

    /// Where credentials may stand. Two of one header are two sets of them.
    pub(crate) fn sources<'a>(
        &'a self,
        head: &'a Parts,
        ingest: Ingest<'a>,
    ) -> Result<Sources<'a>, Refusal> {
        let only = |header| match header {
            Once::Absent => Ok(None),
            Once::Single(value) => Ok(Some(value)),
            Once::Several => Err(Refusal::credentials(CredentialsError::Many)),
        };
        Ok(Sources {
            sentry_auth: only(self.sentry_auth)?,
            authorization: only(self.authorization)?,
            query: head.uri.query(),
            path_key: ingest.path_key,
        })
    }

    /// The page that the request speaks for, if a browser says so. A second header
    /// of the same name is not read here, and may be elsewhere.
    pub(crate) fn page(&self) -> Page<'h> {
        let mut page = Page::of_request(self.origin.first, self.referer.first);
        page.odd_origin = page.odd_origin.or(self.origin.second);
        page.odd_referer = page.odd_referer.or(self.referer.second);
        page
    }

    /// How the body is packed. One that cannot be looked into could hide anything.
    pub(crate) fn coding(&self) -> Result<Coding, Refusal> {
        let named = match self.codings {
            Once::Absent => Ok(Coding::Identity),
            Once::Single(value) => Coding::of_header(Some(value)),
            Once::Several => return Err(Refusal::unknown_coding()),
        };
        named.map_err(|_unknown| Refusal::unknown_coding())
    }
}

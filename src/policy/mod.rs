//! May this request pass? Synchronous, in memory, bounded; the time is an
//! argument. Never reads a body's payload, never sends an answer: it yields a
//! proof of admission or a refusal, and the server does the rest.

pub mod directory;
pub mod gcra;
pub mod millis;
pub mod pair;
pub mod proven;
pub mod proven_file;
pub mod refusal;
mod refused;
mod table;
mod unproven;
pub mod verdicts;

use crate::domain::credentials::{self, Credentials, Sources};
use crate::domain::endpoint::{Endpoint, Ingest, Project};
use crate::domain::outcome::Reason;

pub use refusal::Refusal;

/// What the gate looks at: the head of one ingest request. Not to be printed:
/// it holds credentials.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Endpoint, project and key as the path has them.
    pub ingest: Ingest<'a>,
    /// The method's name.
    pub method: &'a str,
    /// Where credentials may stand.
    pub sources: Sources<'a>,
    /// The content type, if any.
    pub content_type: Option<&'a [u8]>,
    /// The body's announced length; `None` when it is chunked.
    pub announced: Option<u64>,
}

/// Proof that a request passed the gate. Only `Gate::admit` makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The key it came with. `None`: only line one of its body may know.
    pub credentials: Option<Credentials>,
    /// Line one must name a DSN, or the request is refused after all.
    pub peek: bool,
    proof: Proof,
}

/// What nobody outside of this module can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Proof;

/// The checks in their order, with the limits they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// The largest ingest body, in bytes as they arrive.
    pub body_bytes_max: u64,
}

impl Gate {
    /// Judges the head of an ingest request. The first check that refuses
    /// names the reason.
    ///
    /// # Errors
    /// The refusal, with the status that Sentry's own relay would give.
    pub fn admit(&self, question: &Question<'_>) -> Result<Admitted, Refusal> {
        let endpoint = question.ingest.endpoint;
        if !endpoint.allows(question.method) {
            return Err(Refusal::method(endpoint.allowed()));
        }
        if question
            .announced
            .is_some_and(|bytes| bytes > self.body_bytes_max)
        {
            return Err(Refusal::too_large(
                "ingest",
                "limits.bodies.ingest",
                self.body_bytes_max,
            ));
        }
        let credentials = known_key(question)?;
        if question.ingest.project == Project::Unparsable {
            return Err(Refusal::of(
                Reason::BadProject,
                400,
                "the project id is not a number",
            ));
        }
        if question.method == "POST" && !endpoint.accepts_content_type(question.content_type) {
            return Err(Refusal::of(
                Reason::ContentType,
                415,
                "this endpoint does not take that content type",
            ));
        }
        let takes_payload = matches!(endpoint, Endpoint::Envelope | Endpoint::Store);
        if takes_payload && question.method == "POST" && question.announced == Some(0) {
            return Err(Refusal::empty());
        }
        let peek = credentials.is_none() && endpoint == Endpoint::Envelope;
        Ok(Admitted {
            credentials,
            peek,
            proof: Proof,
        })
    }
}

fn known_key(question: &Question<'_>) -> Result<Option<Credentials>, Refusal> {
    let credentials = credentials::read(&question.sources).map_err(Refusal::credentials)?;
    if credentials.is_none() && question.ingest.endpoint.needs_key() {
        return Err(Refusal::no_key());
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::{Route, route};

    const KEY: &str = "sentry_key=a94ae32be2584e0bbd7a4cbb95971fee";

    #[track_caller]
    fn check(
        method: &str,
        path: &str,
        query: &str,
        announced: Option<u64>,
        want: Option<(u16, Reason)>,
    ) {
        let Route::Ingest(ingest) = route(path.as_bytes()) else {
            panic!("{path} is not ingest");
        };
        let sources = Sources {
            sentry_auth: None,
            authorization: None,
            query: Some(query),
            path_key: ingest.path_key,
        };
        let question = Question {
            ingest,
            method,
            sources,
            content_type: None,
            announced,
        };
        let gate = Gate {
            body_bytes_max: 1000,
        };
        let refused = gate.admit(&question).err().map(|r| (r.status, r.reason));
        assert_eq!(refused, want, "{method} {path}?{query} {announced:?}");
    }

    #[test]
    fn a_good_key_passes() {
        check("POST", "/api/42/envelope/", KEY, Some(10), None);
        check("POST", "/api/42/store/", KEY, None, None);
        check("GET", "/api/store/", KEY, None, None);
    }

    #[test]
    fn a_key_is_asked_for_where_no_other_place_can_hold_it() {
        check(
            "POST",
            "/api/42/store/",
            "",
            Some(10),
            Some((401, Reason::NoKey)),
        );
        check("POST", "/api/42/envelope/", "", Some(10), None);
        check("PATCH", "/api/42/upload/abc/", "", Some(10), None);
        check("POST", "/api/42/something/new/", "", Some(10), None);
    }

    #[test]
    fn the_limit_itself_still_passes() {
        check("POST", "/api/42/envelope/", KEY, Some(1000), None);
        check(
            "POST",
            "/api/42/envelope/",
            KEY,
            Some(1001),
            Some((413, Reason::TooLarge)),
        );
    }

    #[test]
    fn method_goes_before_size_and_size_before_credentials() {
        check(
            "PUT",
            "/api/42/envelope/",
            "",
            Some(9999),
            Some((405, Reason::Method)),
        );
        check(
            "POST",
            "/api/42/envelope/",
            "sentry_key=x",
            Some(9999),
            Some((413, Reason::TooLarge)),
        );
        check(
            "POST",
            "/api/42/envelope/",
            "sentry_key=x",
            Some(10),
            Some((400, Reason::BadKey)),
        );
    }

    #[test]
    fn an_empty_event_is_refused_and_an_empty_unknown_request_is_not() {
        check(
            "POST",
            "/api/42/envelope/",
            KEY,
            Some(0),
            Some((400, Reason::Empty)),
        );
        check(
            "POST",
            "/api/42/store/",
            KEY,
            Some(0),
            Some((400, Reason::Empty)),
        );
        check("POST", "/api/42/something/new/", KEY, Some(0), None);
    }

    #[test]
    fn a_project_id_beyond_all_numbers_is_refused() {
        let path = "/api/99999999999999999999999/envelope/";
        check("POST", path, KEY, Some(10), Some((400, Reason::BadProject)));
    }
}

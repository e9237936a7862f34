//! Why an order came to nothing: as what it counts, whose fault it is, and what an operator
//! can do. What the authority says of it is told cut short and escaped: it may quote what
//! strangers answered it.

use std::fmt;

use instant_acme::{Error, Problem};

use crate::config::checked::AcmeChallenge;
use crate::telemetry::labels::Ordered;

use super::line::LineError;

/// As much is told of what an authority says.
const SAID_CHARACTERS_MAX: usize = 240;

/// What every problem's name begins with (RFC 8555, section 6.7).
const PROBLEMS: &str = "urn:ietf:params:acme:error:";

/// Why an order came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// As what it counts.
    pub outcome: Ordered,
    /// Whom it concerns.
    pub whose: Whose,
    /// What it is, and what to do.
    advice: String,
    /// What the authority says.
    said: Option<String>,
}

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// All names alike: the next would fail as well.
    Everybody,
    /// The name that was ordered for.
    Name,
    /// Nobody: the authority had forgotten a number that it gave, and asks for another.
    Nobody,
    /// The account is not known any more; another one is to be opened.
    Account,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advice)?;
        match &self.said {
            Some(said) => write!(f, " (it says: {said})"),
            None => Ok(()),
        }
    }
}

impl Failure {
    /// One that concerns a name alone.
    pub(super) fn of_name(outcome: Ordered, advice: impl Into<String>) -> Self {
        Self {
            outcome,
            whose: Whose::Name,
            advice: advice.into(),
            said: None,
        }
    }

    /// One of the edge's own.
    pub(super) fn of_edge(advice: impl Into<String>) -> Self {
        Self {
            whose: Whose::Everybody,
            ..Self::of_name(Ordered::Failed, advice)
        }
    }

    /// A name that could not be proved this way, with what the authority says of it.
    pub(super) fn unproved(challenge: AcmeChallenge, problem: Option<&Problem>) -> Self {
        let advice = match challenge {
            AcmeChallenge::TlsAlpn01 => {
                "the authority could not see the proof: by this name it must reach a listener with \
                 tls at port 443, with nothing in between that ends TLS (tls-alpn-01)"
            }
            AcmeChallenge::Http01 | AcmeChallenge::Auto => {
                "the authority could not see the proof: by this name it must reach a listener \
                 without tls at port 80 (http-01)"
            }
        };
        Self {
            said: problem.map(said),
            ..Self::of_name(Ordered::Unproved, advice)
        }
    }

    /// What a library's error means.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library adds errors with any release; what we do not know is our own failure"
    )]
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Api(problem) => Self::of_problem(problem),
            Error::Other(inner) => match inner.downcast_ref::<LineError>() {
                Some(line) => Self {
                    whose: Whose::Everybody,
                    ..Self::of_name(Ordered::Unreachable, line.to_string())
                },
                None => Self::unreadable(),
            },
            Error::Timeout(_) => Self::of_name(
                Ordered::Unreachable,
                "the authority does not come to an end with the order; it is asked again",
            ),
            Error::Crypto | Error::KeyRejected => Self::of_edge(
                "the account's key cannot be used: move account.json out of acme.path, and a new \
                 account is opened",
            ),
            _ => Self::unreadable(),
        }
    }

    fn unreadable() -> Self {
        Self::of_edge(
            "the authority's answer cannot be read: is acme.directory the URL of an ACME directory?",
        )
    }

    fn of_problem(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let (outcome, whose, advice) = match kind.strip_prefix(PROBLEMS).unwrap_or_default() {
            "badNonce" => (
                Ordered::Unreachable,
                Whose::Nobody,
                "the authority takes none of the numbers that it gives out; it is asked again",
            ),
            "accountDoesNotExist" => (
                Ordered::Refused,
                Whose::Account,
                "the authority does not know the account any more; a new one is opened",
            ),
            "rateLimited" => (
                Ordered::RateLimited,
                Whose::Name,
                "the authority has had too many orders; it is asked again when it lets us",
            ),
            "externalAccountRequired" => (
                Ordered::Refused,
                Whose::Everybody,
                "the authority wants an account of its own: set acme.external_account",
            ),
            "userActionRequired" => (
                Ordered::Refused,
                Whose::Everybody,
                "the authority wants a person to act: its terms may have changed",
            ),
            "invalidContact" | "unsupportedContact" => (
                Ordered::Refused,
                Whose::Everybody,
                "the authority does not take acme.contact",
            ),
            "caa" => (
                Ordered::Refused,
                Whose::Name,
                "a CAA record of the name's domain does not allow this authority",
            ),
            "rejectedIdentifier" | "unsupportedIdentifier" => (
                Ordered::Refused,
                Whose::Name,
                "the authority gives no certificate for this name",
            ),
            "serverInternal" => (
                Ordered::Unreachable,
                Whose::Everybody,
                "the authority is out of order; it is asked again",
            ),
            _ => (
                Ordered::Refused,
                Whose::Name,
                "the authority refuses the order",
            ),
        };
        Self {
            outcome,
            whose,
            advice: advice.to_owned(),
            said: Some(said(problem)),
        }
    }
}

/// What a problem says, as it may be shown.
fn said(problem: &Problem) -> String {
    let detail = problem.detail.as_deref().unwrap_or_default();
    let inner = problem.subproblems.iter();
    let inner = inner.filter_map(|inner| inner.detail.as_deref());
    let whole: Vec<&str> = std::iter::once(detail).chain(inner).collect();
    let whole = whole.join("; ");
    let shown = whole.chars().take(SAID_CHARACTERS_MAX);
    shown.flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, outcome: Ordered, whose: Whose, begins: &str) {
        let problem = Problem {
            r#type: Some(format!("urn:ietf:params:acme:error:{kind}")),
            detail: Some("a\u{1b}[31m\nb".to_owned()),
            status: Some(400),
            subproblems: Vec::new(),
        };
        let failure = Failure::of(&Error::Api(problem));
        assert_eq!((failure.outcome, failure.whose), (outcome, whose), "{kind}");
        let shown = failure.to_string();
        assert!(shown.starts_with(begins), "{shown}");
        assert!(shown.ends_with("(it says: a\\u{1b}[31m\\nb)"), "{shown}");
    }

    #[test]
    fn a_problem_says_whose_it_is_and_what_to_do() {
        check(
            "badNonce",
            Ordered::Unreachable,
            Whose::Nobody,
            "the authority takes none",
        );
        check(
            "rateLimited",
            Ordered::RateLimited,
            Whose::Name,
            "the authority has had",
        );
        check(
            "accountDoesNotExist",
            Ordered::Refused,
            Whose::Account,
            "the authority does not",
        );
        check(
            "externalAccountRequired",
            Ordered::Refused,
            Whose::Everybody,
            "the authority wants an",
        );
        check("caa", Ordered::Refused, Whose::Name, "a CAA record");
        check(
            "somethingNew",
            Ordered::Refused,
            Whose::Name,
            "the authority refuses",
        );
    }

    #[test]
    fn what_cannot_be_reached_concerns_everybody() {
        let failure = Failure::of(&Error::Other(Box::new(LineError::NotBelieved)));
        assert_eq!(failure.whose, Whose::Everybody);
        assert!(failure.to_string().contains("acme.ca"), "{failure}");
    }

    #[test]
    fn a_long_story_is_cut_short() {
        let problem = Problem {
            r#type: None,
            detail: Some("x".repeat(10_000)),
            status: None,
            subproblems: Vec::new(),
        };
        assert_eq!(said(&problem).len(), SAID_CHARACTERS_MAX);
    }
}

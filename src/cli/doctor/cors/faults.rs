//! Why a browser would not hand an answer to its page, or the page not learn from it.
//!
//! Owns the rules, those of the Fetch standard, and the words for each breach.
//! Never asks anybody.

use super::super::super::plain;
use super::super::Mark;
use super::probe::{Answer, Ask};

/// A rule that an answer breaks; the same kind at two places is the same fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    Redirect,
    Page,
    Status,
    Stored,
    Missing,
    Doubled,
    Other,
    Methods,
    Headers,
    Exposed,
}

/// A breach, and what to do about it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) mark: Mark,
    pub(super) seen: String,
    pub(super) why: &'static str,
    pub(super) mend: &'static str,
}

/// The answer's head, which says whether a page may see the rest.
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// What SDKs for browsers set by themselves.
const NEEDED_HEADERS: [&str; 2] = ["content-type", "x-sentry-auth"];

/// What an SDK must read to learn of limits and reasons.
const NEEDED_EXPOSED: [&str; 3] = ["x-sentry-rate-limits", "retry-after", "x-sentry-error"];

/// All breaches of one answer. A redirect or a page comes from somewhere else
/// altogether, so nothing more is said of it.
pub(super) fn of(ask: Ask, answer: &Answer, origin: &str) -> Vec<Fault> {
    if let Some(elsewhere) = redirect(answer).or_else(|| page(answer)) {
        return vec![elsewhere];
    }
    let mut faults = Vec::new();
    faults.extend(status(ask, answer));
    faults.extend(allowed_origin(answer, origin));
    match ask {
        Ask::Preflight => {
            faults.extend(methods(answer));
            faults.extend(headers(answer));
        }
        Ask::Report => faults.extend(exposed(answer)),
    }
    faults
}

fn problem(
    kind: FaultKind,
    seen: impl Into<String>,
    why: &'static str,
    mend: &'static str,
) -> Fault {
    Fault {
        kind,
        mark: Mark::Problem,
        seen: seen.into(),
        why,
        mend,
    }
}

fn redirect(answer: &Answer) -> Option<Fault> {
    answer.status.is_redirection().then(|| {
        let to = answer.values("location").join(",");
        problem(
            FaultKind::Redirect,
            format!("{} to {}", answer.status.as_u16(), plain(&to)),
            "browsers follow no redirect of a preflight, and a POST may arrive as a GET",
            "put the address after the redirect into the DSN, or exempt /api/ from it",
        )
    })
}

fn page(answer: &Answer) -> Option<Fault> {
    let html = answer
        .values("content-type")
        .first()
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    (html || answer.is_page).then(|| {
        problem(
            FaultKind::Page,
            format!(
                "{} with a page of HTML, which is not the edge's",
                answer.status.as_u16()
            ),
            "a proxy, a firewall or a log-in page answers instead",
            "let /api/<project>/ pass to the edge untouched: no log-in, no challenge, no error page",
        )
    })
}

fn status(ask: Ask, answer: &Answer) -> Option<Fault> {
    let status = answer.status;
    let code = status.as_u16();
    match ask {
        Ask::Preflight if status.is_success() => None,
        Ask::Preflight => Some(problem(
            FaultKind::Status,
            format!("{code}, where only 2xx lets the page send"),
            "the browser gives up and the event never leaves the page",
            "pass OPTIONS on to the edge, which answers it without asking anybody",
        )),
        Ask::Report if status.is_success() => Some(Fault {
            kind: FaultKind::Stored,
            mark: Mark::Warn,
            seen: format!("{code} for an empty event, which the edge always refuses"),
            why: "something else answered, and what it does with a whole event is not known",
            mend: "pass /api/<project>/ on to the edge",
        }),
        Ask::Report if status.is_client_error() && answer.headers.contains_key(X_SENTRY_ERROR) => {
            None
        }
        Ask::Report => Some(problem(
            FaultKind::Status,
            format!("{code} without x-sentry-error, so it is not the edge's refusal"),
            "what the edge answers, limits included, does not get to the page",
            "pass /api/<project>/ on to the edge, POST included, and its answers back as they are",
        )),
    }
}

const X_SENTRY_ERROR: &str = "x-sentry-error";

fn allowed_origin(answer: &Answer, origin: &str) -> Option<Fault> {
    let values = answer.values(ALLOW_ORIGIN);
    match values.as_slice() {
        [] => Some(problem(
            FaultKind::Missing,
            "no Access-Control-Allow-Origin",
            "the browser keeps the answer from the page",
            "pass the edge's answers back with all their headers; it sets this on each, refusals \
             included",
        )),
        [one] if one == "*" || one == origin => None,
        [other] => Some(problem(
            FaultKind::Other,
            format!("Access-Control-Allow-Origin is {}", plain(other)),
            "it admits another page, so the browser keeps the answer from this one",
            "do not set it in front of the edge: its own admits every page, and the project's \
             allowed_origins decide",
        )),
        several => Some(problem(
            FaultKind::Doubled,
            format!(
                "{} values in Access-Control-Allow-Origin: {}",
                several.len(),
                plain(&several.join(", "))
            ),
            "browsers take exactly one and refuse the answer",
            "remove the proxy's own (nginx: add_header Access-Control-Allow-Origin); the edge \
             sets it",
        )),
    }
}

fn methods(answer: &Answer) -> Option<Fault> {
    let name = "access-control-allow-methods";
    (!answer.lists(name, "POST")).then(|| {
        problem(
            FaultKind::Methods,
            "Access-Control-Allow-Methods does not name POST",
            "events are sent with POST",
            "pass the edge's preflight back as it is, or add POST where the proxy answers it",
        )
    })
}

fn headers(answer: &Answer) -> Option<Fault> {
    let name = "access-control-allow-headers";
    let missing = NEEDED_HEADERS
        .into_iter()
        .filter(|wanted| !answer.lists(name, wanted));
    let missing: Vec<&str> = missing.collect();
    (!missing.is_empty()).then(|| {
        problem(
            FaultKind::Headers,
            format!(
                "Access-Control-Allow-Headers does not name {}",
                missing.join(", ")
            ),
            "SDKs that set those headers may not send",
            "pass the edge's preflight back as it is, or add them where the proxy answers it",
        )
    })
}

fn exposed(answer: &Answer) -> Option<Fault> {
    let name = "access-control-expose-headers";
    let missing = NEEDED_EXPOSED
        .into_iter()
        .filter(|wanted| !answer.lists(name, wanted));
    let missing: Vec<&str> = missing.collect();
    (!missing.is_empty()).then(|| {
        problem(
            FaultKind::Exposed,
            format!(
                "Access-Control-Expose-Headers does not name {}",
                missing.join(", ")
            ),
            "the SDK cannot read that it is limited, and goes on sending",
            "do not set that header in front of the edge: its own names all three",
        )
    })
}

//! How large a body may be on its way, and whose limit that is. Sends bodies that nobody keeps:
//! to web without a token, to ingest as what is no event.

use std::time::Duration;

use super::super::{Finding, Mark};
use super::Asked;
use super::post::{Answer, Framing, Post, Went};
use super::whose::Who;
use crate::domain::units::show_size;

/// What is tried, as far as the operator lets: nginx's own limit and above, a request of
/// sentry-cli's, Cloudflare's and self-hosted nginx's 100 MB, what Relay takes.
pub(super) const SIZES: [u64; 5] = [1 << 20, 10 << 20, 32 << 20, 101 << 20, 200 << 20];

/// Where bodies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Upload,
    Ingest,
}

impl Route {
    /// Its name among `limits.bodies`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Ingest => "ingest",
        }
    }

    /// A body of so many bytes that nothing is made of.
    pub(super) fn post(self, asked: &Asked, bytes: u64) -> Post {
        let (path, content_type, begins) = match self {
            Self::Upload => (
                asked.path.clone(),
                "multipart/form-data; boundary=vidette",
                &b"--vidette\r\ncontent-disposition: form-data; name=\"file\"; filename=\"doctor\"\r\n\r\n"[..],
            ),
            Self::Ingest => (
                asked.ingest_path.clone(),
                "application/x-sentry-envelope",
                &b"no envelope, but vidette doctor\n"[..],
            ),
        };
        Post {
            path,
            content_type,
            begins,
            bytes,
            framing: Framing::Length,
            encoding: None,
            expects: false,
            pause: Duration::ZERO,
        }
    }
}

/// Larger and larger bodies, until one does not arrive. Up to `needed` bytes each must: so much
/// uploaders send at a time.
pub(super) fn of(asked: &Asked, route: Route, needed: u64) -> Vec<Finding> {
    let key = route.key();
    let mut findings = Vec::new();
    let (mut whole, mut early) = (0, None);
    for bytes in SIZES.into_iter().filter(|bytes| *bytes <= asked.up_to) {
        let size = show_size(bytes);
        let went = match route
            .post(asked, bytes)
            .send(&asked.place, &asked.authorities)
        {
            Ok(went) => went,
            Err(error) => {
                findings.push(Finding::problem(format!(
                    "{key}: a body of {size}: {error:#}"
                )));
                break;
            }
        };
        match fault(asked, route, (bytes, needed), &went) {
            Some(found) => {
                findings.push(found);
                break;
            }
            // What is no event is refused by its first line: a limit that counts what comes
            // could not be seen.
            None if route == Route::Ingest || went.sent < bytes => {
                early = went.answer.map(|answer| (size, answer.status));
            }
            None => whole = bytes,
        }
    }
    if let Some((size, status)) = early {
        findings.insert(
            0,
            Finding::ok(format!(
                "{key}: bodies up to {size} are not refused for their length ({status})"
            )),
        );
    }
    if whole > 0 {
        let seen = format!("{key}: bodies up to {} arrive whole", show_size(whole));
        findings.insert(0, Finding::ok(seen));
    }
    findings
}

/// What is wrong with how a body fared, if anything is.
fn fault(asked: &Asked, route: Route, (bytes, needed): (u64, u64), went: &Went) -> Option<Finding> {
    let (key, size) = (route.key(), show_size(bytes));
    let Some(answer) = &went.answer else {
        let sent = show_size(went.sent);
        return Some(
            Finding::problem(format!(
                "{key}: the connection ends after {sent} of {size}, without an answer"
            ))
            .why(where_else(asked, route, bytes, |own| own.answer.is_none()))
            .mend("look at its log: a limit on bodies or on time may close so"),
        );
    };
    let who = Who::of(answer);
    match answer.status {
        413 => {
            let mark = if bytes <= needed {
                Mark::Problem
            } else {
                Mark::Warn
            };
            Some(too_large(asked, route, bytes, (mark, answer)))
        }
        300..=399 => Some(
            Finding::problem(format!(
                "{key}: {} redirects it ({})",
                who.name(),
                answer.status
            ))
            .why("an SDK loses what it sent, and an upload begins anew or ends")
            .mend("name the address itself in DSNs and in SENTRY_URL"),
        ),
        502..=504 => Some(
            Finding::problem(format!(
                "{key}: {} answers {} to {size}",
                who.name(),
                answer.status
            ))
            .why(where_else(asked, route, bytes, |own| {
                own.answer
                    .as_ref()
                    .is_some_and(|own| own.status == answer.status)
            }))
            .mend("vidette status and vidette doctor dns say whether Sentry is reached"),
        ),
        _ => None,
    }
}

fn too_large(asked: &Asked, route: Route, bytes: u64, (mark, answer): (Mark, &Answer)) -> Finding {
    let (key, size) = (route.key(), show_size(bytes));
    let who = Who::of(answer);
    let (mend, paste) = who.limit(key, &size);
    let found = Finding::new(mark, format!("{key}: {} refuses {size} (413)", who.name()))
        .why(where_else(asked, route, bytes, |own| {
            own.answer.as_ref().is_some_and(|own| own.status == 413)
        }))
        .mend(mend);
    match paste {
        Some(paste) => found.paste(paste),
        None => found,
    }
}

/// Whether the edge, asked without what stands in front, does the same.
fn where_else(
    asked: &Asked,
    route: Route,
    bytes: u64,
    same: impl FnOnce(&Went) -> bool,
) -> &'static str {
    let Some(own) = &asked.own else {
        return "the edge itself could not be asked beside it";
    };
    if *own == asked.place {
        return "the edge itself was asked, with nobody in front of it";
    }
    match route.post(asked, bytes).send(own, &asked.authorities) {
        Ok(went) if same(&went) => "the edge itself does the same",
        Ok(_) => "the edge itself takes it, so whatever stands in front of it does this",
        Err(_) => "the edge itself could not be asked beside it",
    }
}

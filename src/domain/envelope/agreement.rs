//! Whether an envelope's DSN and its request name the same.
//!
//! Owns the comparison, which upstreams make too. Never looks at the host that the DSN names:
//! clients reach one edge under many.

use super::header::EnvelopeHeader;
use crate::domain::credentials::Key;
use crate::domain::dsn;
use crate::domain::endpoint::ProjectId;

/// How an envelope's DSN contradicts its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DsnDisagreement {
    /// It holds another public key.
    #[error("the envelope's dsn has another key than the request")]
    Key,
    /// It names another project.
    #[error("the envelope's dsn has another project than the request")]
    Project,
    /// It is not a DSN.
    #[error("the envelope's dsn cannot be read")]
    Unreadable,
}

/// Compares the DSN in line one, if there is one, with what the request's head says.
///
/// `None` is what the head does not say, and agrees with everything: a request that has no key but
/// the envelope's. Whether its path's project counts then is for the caller to choose, since
/// upstreams differ. A header without a DSN agrees; one that cannot be read never does.
pub fn agrees(
    header: &EnvelopeHeader<'_>,
    key: Option<&Key>,
    project: Option<ProjectId>,
) -> Result<(), DsnDisagreement> {
    let Some(text) = &header.dsn else {
        return Ok(());
    };
    let dsn = dsn::parse(text).map_err(|_| DsnDisagreement::Unreadable)?;
    if key.is_some_and(|key| *key != dsn.key) {
        return Err(DsnDisagreement::Key);
    }
    if project.is_some_and(|project| project != dsn.project) {
        return Err(DsnDisagreement::Project);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::header;
    use super::*;

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
    const OTHER: &str = "b94ae32be2584e0bbd7a4cbb95971fee";
    const LINE: &str = r#"{"dsn":"https://a94ae32be2584e0bbd7a4cbb95971fee:secret@h/prefix/42"}"#;

    #[track_caller]
    fn check(
        line: &str,
        key: Option<&str>,
        project: Option<&str>,
        want: Result<(), DsnDisagreement>,
    ) {
        let header = header::parse(line.as_bytes()).expect("a sound header");
        let key = key.map(|key| Key::parse(key.as_bytes()).expect("a key"));
        let project = project.map(|id| ProjectId::parse(id.as_bytes()).expect("a number"));
        assert_eq!(
            agrees(&header, key.as_ref(), project),
            want,
            "{line} {key:?} {project:?}"
        );
    }

    #[test]
    fn the_same_key_and_project_agree() {
        check(LINE, Some(KEY), Some("42"), Ok(()));
    }

    #[test]
    fn another_key_or_project_disagrees() {
        check(LINE, Some(OTHER), Some("42"), Err(DsnDisagreement::Key));
        check(LINE, Some(OTHER), None, Err(DsnDisagreement::Key));
        check(LINE, Some(OTHER), Some("7"), Err(DsnDisagreement::Key));
        check(LINE, Some(KEY), Some("7"), Err(DsnDisagreement::Project));
        check(LINE, None, Some("7"), Err(DsnDisagreement::Project));
    }

    #[test]
    fn what_the_request_does_not_say_agrees() {
        check(LINE, None, None, Ok(()));
        check(LINE, Some(KEY), None, Ok(()));
        check(LINE, None, Some("42"), Ok(()));
    }

    #[test]
    fn a_header_without_dsn_agrees_with_every_request() {
        for line in ["{}", r#"{"dsn":null}"#, r#"{"event_id":"1"}"#] {
            check(line, Some(KEY), Some("42"), Ok(()));
            check(line, None, None, Ok(()));
        }
    }

    #[test]
    fn a_dsn_that_cannot_be_read_agrees_with_none() {
        for dsn in [
            "",
            "x",
            "https://h/42",
            "https://a94ae32be2584e0bbd7a4cbb95971fee@h/x",
        ] {
            let line = format!(r#"{{"dsn":"{dsn}"}}"#);
            let unreadable = Err(DsnDisagreement::Unreadable);
            check(&line, Some(KEY), Some("42"), unreadable);
            check(&line, None, None, unreadable);
        }
    }
}

//! What line one tells of the program that wrote it: its release and its SDK (PROTOCOL 7).
//!
//! Owns the reading of those few fields. Never checks the line, which was read before, and never
//! fails: what is not there, or is of another type, says nothing. Never cuts or cleans a text.

use crate::domain::lenient::{Object, Text};

/// A program as it names itself; the default is one that does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The release of the service in which the envelope's trace began: mostly its own.
    pub release: Option<Box<str>>,
    /// The SDK, with a slash before its version.
    pub sdk: Option<Box<str>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    sdk: Object<Sdk<'a>>,
    #[serde(borrow)]
    trace: Object<Context<'a>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Sdk<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Context<'a> {
    #[serde(borrow)]
    release: Text<'a>,
}

impl Program {
    /// Reads line one, given without its line feed.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        let Line { sdk, trace } = serde_json::from_slice(line).unwrap_or_default();
        let sdk = match (sdk.0.name.get(), sdk.0.version.get()) {
            (Some(name), Some(version)) => Some(format!("{name}/{version}").into()),
            (Some(name), None) => Some(name.into()),
            (None, _) => None,
        };
        Self {
            release: trace.0.release.get().map(Box::from),
            sdk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, release: Option<&str>, sdk: Option<&str>) {
        let program = Program::read(line.as_bytes());
        let told = (program.release.as_deref(), program.sdk.as_deref());
        assert_eq!(told, (release, sdk), "{line}");
    }

    #[test]
    fn a_program_is_read_where_it_is_named() {
        check(
            r#"{"event_id":"x","sdk":{"name":"sentry.php","version":"4.1"},"trace":{"release":"shop@1"}}"#,
            Some("shop@1"),
            Some("sentry.php/4.1"),
        );
        check(r#"{"sdk":{"name":"sentry.php"}}"#, None, Some("sentry.php"));
        check(r#"{"trace":{"release":"sh\u006fp"}}"#, Some("shop"), None);
    }

    #[test]
    fn what_is_something_else_says_nothing() {
        for line in [
            "",
            "{}",
            "[]",
            "{",
            r#"{"sdk":null,"trace":"x"}"#,
            r#"{"sdk":{"version":"1"},"trace":{"release":5}}"#,
            r#"{"sdk":{"name":""},"trace":{"release":""}}"#,
        ] {
            check(line, None, None);
        }
    }
}

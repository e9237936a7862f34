//! What line one tells of the trace that an envelope is part of (PROTOCOL 7).
//!
//! Owns the reading of those few fields. Never checks the line, which was read before, and never
//! fails: what is not there, or is of another type, says nothing.

use crate::domain::lenient::{Object, Text};
use crate::domain::sampling;

/// What line one tells; the default tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: Option<u128>,
    /// The envelope's own id, mostly that of its event.
    pub event_id: Option<u128>,
    /// The replay in which it happened.
    pub replay_id: Option<u128>,
    /// The release of the service in which the trace began.
    pub release: Option<Box<str>>,
    /// The environment in which it began.
    pub environment: Option<Box<str>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    event_id: Text<'a>,
    #[serde(borrow)]
    trace: Object<Context<'a>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Context<'a> {
    #[serde(borrow)]
    trace_id: Text<'a>,
    #[serde(borrow)]
    replay_id: Text<'a>,
    #[serde(borrow)]
    release: Text<'a>,
    #[serde(borrow)]
    environment: Text<'a>,
}

impl Trace {
    /// What a line tells that tells nothing.
    pub const NOTHING: Self = Self {
        id: None,
        event_id: None,
        replay_id: None,
        release: None,
        environment: None,
    };

    /// Reads line one, given without its line feed; a line that is none says nothing.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        let Line { event_id, trace } = serde_json::from_slice(line).unwrap_or_default();
        let id = |text: &Text<'_>| text.get().and_then(sampling::id);
        let text = |text: &Text<'_>| text.get().map(Box::from);
        let Context {
            trace_id,
            replay_id,
            release,
            environment,
        } = &trace.0;
        Self {
            id: id(trace_id),
            event_id: id(&event_id),
            replay_id: id(replay_id),
            release: text(release),
            environment: text(environment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_where_there_is_one() {
        const ID: &str = "4a106cf6b15144eb9131ae7db1a157a3";
        let line = format!(
            r#"{{"event_id":"{ID}","sdk":{{"name":"x"}},"trace":{{"trace_id":"{ID}","public_key":"k",
               "replay_id":"{ID}","release":"r","environment":"e","sampled":true}}}}"#
        );
        let trace = Trace::read(line.as_bytes());
        let id = sampling::id(ID);
        let want = Trace {
            id,
            event_id: id,
            replay_id: id,
            release: Some("r".into()),
            environment: Some("e".into()),
        };
        assert_eq!(trace, want);
    }

    #[test]
    fn what_is_something_else_says_nothing() {
        for line in [
            "{}",
            "",
            "[]",
            r#"{"trace":null}"#,
            r#"{"trace":"x","event_id":1}"#,
        ] {
            assert_eq!(Trace::read(line.as_bytes()), Trace::default(), "{line}");
        }
    }
}

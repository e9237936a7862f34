//! What line one tells of the trace that an envelope is part of (PROTOCOL 7).
//!
//! Owns the reading of those few fields. Never checks the line, which was read before, and never
//! fails: what is not there, or is of another type, says nothing.

use crate::domain::credentials::Key;
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
    /// What else is told of its beginning, where that was [asked for](Self::read_whole).
    pub root: Option<Box<Root>>,
}

/// What only Sentry's own rules on traces ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root {
    /// The key under which its first service sends.
    pub key: Option<Key>,
    /// The name of the transaction in which it began.
    pub transaction: Option<Box<str>>,
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

/// The rest of a context.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Beginning<'a> {
    #[serde(borrow)]
    public_key: Text<'a>,
    #[serde(borrow)]
    transaction: Text<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Begun<'a> {
    #[serde(borrow)]
    trace: Object<Beginning<'a>>,
}

impl Trace {
    /// What a line tells that tells nothing.
    pub const NOTHING: Self = Self {
        id: None,
        event_id: None,
        replay_id: None,
        release: None,
        environment: None,
        root: None,
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
            root: None,
        }
    }

    /// The same, with its beginning.
    #[must_use]
    pub fn read_whole(line: &[u8]) -> Self {
        let Begun { trace } = serde_json::from_slice(line).unwrap_or_default();
        let Beginning {
            public_key,
            transaction,
        } = &trace.0;
        let root = Root {
            key: public_key.get().and_then(|key| Key::parse(key.as_bytes())),
            transaction: transaction.get().map(Box::from),
        };
        Self {
            root: Some(Box::new(root)),
            ..Self::read(line)
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
            root: None,
        };
        assert_eq!(trace, want);
    }

    #[test]
    fn its_beginning_is_read_where_that_is_asked_for() {
        const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
        let line = format!(
            r#"{{"trace":{{"public_key":"{KEY}","transaction":"/","release":"r","environment":1}}}}"#
        );
        let root = Root {
            key: Key::parse(KEY.as_bytes()),
            transaction: Some("/".into()),
        };
        let want = Trace {
            release: Some("r".into()),
            root: Some(Box::new(root)),
            ..Trace::NOTHING
        };
        assert_eq!(Trace::read_whole(line.as_bytes()), want);
        for line in ["", "{}", r#"{"trace":{"public_key":"k","transaction":[]}}"#] {
            let root = Trace::read_whole(line.as_bytes()).root;
            assert_eq!(root.as_deref(), Some(&Root::default()), "{line}");
        }
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

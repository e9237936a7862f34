//! The few fields of an event that filters and sampling ask for.
//!
//! Owns where they stand in the JSON of an event, a transaction, a replay and a profile's part.
//! Everything else is skipped without a copy. Never decides anything, and never fails: what
//! cannot be read says nothing.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::{Object, Text};
use super::sampling;

/// How many exceptions of one event are looked at: they stand for its causes, a few deep.
const EXCEPTIONS_MAX: usize = 32;

/// What an event says of itself.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Event<'a> {
    #[serde(borrow)]
    event_id: Text<'a>,
    #[serde(borrow)]
    replay_id: Text<'a>,
    #[serde(borrow)]
    profiler_id: Text<'a>,
    #[serde(borrow)]
    release: Text<'a>,
    #[serde(borrow)]
    environment: Text<'a>,
    #[serde(borrow)]
    transaction: Text<'a>,
    #[serde(borrow)]
    message: Words<'a>,
    #[serde(borrow)]
    logentry: Words<'a>,
    #[serde(borrow)]
    exception: Exceptions<'a>,
    #[serde(borrow)]
    request: Object<Request<'a>>,
    #[serde(borrow)]
    user: Object<User<'a>>,
    #[serde(borrow)]
    contexts: Object<Contexts<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Request<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    headers: Headers<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    ip_address: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Contexts<'a> {
    #[serde(borrow)]
    trace: Object<Trace<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Trace<'a> {
    #[serde(borrow)]
    trace_id: Text<'a>,
}

/// One exception.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Exception<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

impl Exception<'_> {
    /// Its type, mostly a class.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.get()
    }

    /// Its message.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.get()
    }
}

impl<'a> Event<'a> {
    /// Reads what is there. `None`: it is no JSON object.
    #[must_use]
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        // Its reader would take a list for an object's fields.
        let object = payload.trim_ascii_start().first() == Some(&b'{');
        object.then(|| serde_json::from_slice(payload).ok())?
    }

    /// Its own id.
    #[must_use]
    pub fn id(&self) -> Option<u128> {
        self.event_id.get().and_then(sampling::id)
    }

    /// The trace that it is part of.
    #[must_use]
    pub fn trace_id(&self) -> Option<u128> {
        let trace = &self.contexts.0.trace.0;
        trace.trace_id.get().and_then(sampling::id)
    }

    /// The replay that it is a part of.
    #[must_use]
    pub fn replay_id(&self) -> Option<u128> {
        self.replay_id.get().and_then(sampling::id)
    }

    /// The run of a profiler that it is a part of.
    #[must_use]
    pub fn profiler_id(&self) -> Option<u128> {
        self.profiler_id.get().and_then(sampling::id)
    }

    /// The name of the transaction that it is, or happened in.
    #[must_use]
    pub fn transaction(&self) -> Option<&str> {
        self.transaction.get()
    }

    /// The version of the program that sent it.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.release.get()
    }

    /// Where that program runs.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.environment.get()
    }

    /// What it says, where it is a message.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        let words = [&self.logentry, &self.message].into_iter();
        words.filter_map(|words| words.0.as_deref().filter(|text| !text.is_empty()))
    }

    /// Its exceptions, the cause first.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception<'a>] {
        &self.exception.0
    }

    /// The address of the page or the call in which it happened.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.request.0.url.get()
    }

    /// The user agent of the request in which it happened.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.request.0.headers.0.as_deref()
    }

    /// The address of the user, as the program knows it.
    #[must_use]
    pub fn user_ip(&self) -> Option<&str> {
        self.user.0.ip_address.get()
    }
}

/// A message: a text, or an object that has it `formatted`, or at least as a template.
#[derive(Debug, Default)]
struct Words<'a>(Option<Cow<'a, str>>);

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct LogEntry<'a> {
    #[serde(borrow)]
    formatted: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

/// Implements the visits of values that say nothing.
macro_rules! nothing_in {
    ($( $visit:ident: $value:ty ),+) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        $( fn $visit<E: serde::de::Error>(self, _: $value) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        } )+

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words<'de>;

    nothing_in!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Words(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Words(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let entry = LogEntry::deserialize(MapAccessDeserializer::new(map))?;
        let (formatted, template) = (entry.formatted.0, entry.message.0);
        Ok(Words(
            formatted.filter(|text| !text.is_empty()).or(template),
        ))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Words::default())
    }
}

/// Exceptions: `{"values": [...]}`, the list alone, or one.
#[derive(Debug, Default)]
struct Exceptions<'a>(Vec<Exception<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Exceptions<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExceptionsVisitor)
    }
}

struct ExceptionsVisitor;

/// An exception alone, or the object around several.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct OneOrMore<'a> {
    #[serde(borrow)]
    values: Exceptions<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

impl<'de> Visitor<'de> for ExceptionsVisitor {
    type Value = Exceptions<'de>;

    nothing_in!(
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str
    );

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let OneOrMore {
            mut values,
            kind,
            value,
        } = OneOrMore::deserialize(MapAccessDeserializer::new(map))?;
        if values.0.is_empty() && (kind.get().is_some() || value.get().is_some()) {
            values.0.push(Exception { kind, value });
        }
        Ok(values)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut exceptions = Vec::new();
        while exceptions.len() < EXCEPTIONS_MAX
            && let Some(Object(exception)) = seq.next_element()?
        {
            exceptions.push(exception);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Exceptions(exceptions))
    }
}

/// The user agent among headers: an object, or a list of pairs.
#[derive(Debug, Default)]
struct Headers<'a>(Option<Cow<'a, str>>);

const USER_AGENT: &str = "user-agent";

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers<'de>;

    nothing_in!(
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str
    );

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut agent = None;
        while let Some(Text(name)) = map.next_key()? {
            match name.is_some_and(|name| name.eq_ignore_ascii_case(USER_AGENT)) {
                true => agent = map.next_value::<Text<'_>>()?.0,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Headers(agent))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut agent = None;
        while let Some(Pair(name, value)) = seq.next_element()? {
            if name.is_some_and(|name| name.eq_ignore_ascii_case(USER_AGENT)) {
                agent = value;
            }
        }
        Ok(Headers(agent))
    }
}

/// The first two texts of a list.
struct Pair<'a>(Option<Cow<'a, str>>, Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Pair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let name = seq.next_element::<Text<'_>>()?.unwrap_or_default();
        let value = seq.next_element::<Text<'_>>()?.unwrap_or_default();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Pair(name.0, value.0))
    }
}

#[cfg(test)]
mod tests;

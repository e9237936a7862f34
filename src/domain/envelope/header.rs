//! The envelope's first line.
//!
//! Owns what the edge reads of it: where its DSN points, the event's id, and whether it has fields
//! that no client may write. Never rewrites it and keeps nothing of what it does not know; the
//! values of unknown keys are skipped without being looked at.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::cleaned::is_relays_own;
use super::skim::skim;

/// What line one says. Borrowed from the line unless it was written with escapes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeHeader<'a> {
    /// The DSN, the only credential of tunnelled envelopes; its form is not checked yet.
    pub dsn: Option<Cow<'a, str>>,
    /// The event's id as the client wrote it; its form is not checked yet.
    pub event_id: Option<Cow<'a, str>>,
    /// Whether it has a key that only a Relay may write, once or more often: the line must not
    /// leave as it came, but through [`without_forged`](super::cleaned::without_forged).
    pub forged: bool,
}

/// Why a line is not an envelope's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Nothing at all.
    #[error("envelope header is empty")]
    Empty,
    /// Something other than `{` comes first: a byte order mark, a blank, another JSON value.
    #[error("envelope header does not begin with '{{'")]
    NotAnObject,
    /// Something follows the closing brace: most often a carriage return.
    #[error("envelope header does not end with '}}'")]
    TrailingBytes,
    /// A line feed inside: this is not one line.
    #[error("envelope header spans lines (byte {at})")]
    LineFeed {
        /// Offset of the line feed.
        at: usize,
    },
    /// A key that the edge reads is there twice, and two readers could take different ones.
    #[error("envelope header has {key:?} twice")]
    Duplicate {
        /// The key, one of ours.
        key: &'static str,
    },
    /// Not JSON, or a key that the edge reads has a value of the wrong type.
    #[error("envelope header is not valid (column {column})")]
    Malformed {
        /// Where reading stopped, counted from 1; 0 when the place is not known.
        column: usize,
    },
}

/// Reads line one, given without its line feed.
///
/// Stricter than JSON at the edges: a reader that takes lines and a reader that takes JSON values
/// must agree on where the header ends, so nothing may stand around the object.
pub fn parse(line: &[u8]) -> Result<EnvelopeHeader<'_>, HeaderError> {
    match (line.first(), line.last()) {
        (None, _) | (_, None) => return Err(HeaderError::Empty),
        (Some(b'{'), Some(b'}')) => {}
        (Some(b'{'), Some(_)) => return Err(HeaderError::TrailingBytes),
        (Some(_), Some(_)) => return Err(HeaderError::NotAnObject),
    }
    if let Some(header) = skim(line) {
        return Ok(header);
    }
    match memchr::memchr(b'\n', line) {
        Some(at) => Err(HeaderError::LineFeed { at }),
        None => read(line),
    }
}

/// Reads a line that begins and ends as a header does, whatever it is made of.
pub(super) fn read(line: &[u8]) -> Result<EnvelopeHeader<'_>, HeaderError> {
    let fields: Fields<'_> =
        serde_json::from_slice(line).map_err(|error| HeaderError::Malformed {
            column: error.column(),
        })?;
    match fields.duplicate {
        Some(key) => Err(HeaderError::Duplicate { key }),
        None => Ok(fields.header),
    }
}

/// The header as it is being read, and the first known key that came twice.
#[derive(Default)]
struct Fields<'a> {
    header: EnvelopeHeader<'a>,
    duplicate: Option<&'static str>,
    seen: Seen,
}

/// Which known keys came already: a null counts, although it leaves the field empty.
#[derive(Default)]
struct Seen {
    dsn: bool,
    event_id: bool,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Text(key)) = map.next_key()? {
            let (name, slot, seen) = match &*key {
                "dsn" => ("dsn", &mut fields.header.dsn, &mut fields.seen.dsn),
                "event_id" => (
                    "event_id",
                    &mut fields.header.event_id,
                    &mut fields.seen.event_id,
                ),
                other => {
                    fields.header.forged |= is_relays_own(other.as_bytes());
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<Option<Text<'de>>>()?;
            if std::mem::replace(seen, true) {
                fields.duplicate.get_or_insert(name);
            }
            *slot = value.map(|Text(text)| text);
        }
        Ok(fields)
    }
}

/// A JSON string, borrowed where it has no escapes. serde's own `Cow` copies inside an `Option`.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &[u8], want: Result<(Option<&str>, Option<&str>), HeaderError>) {
        let got = parse(line);
        let got = got
            .as_ref()
            .map(|header| (header.dsn.as_deref(), header.event_id.as_deref()));
        assert_eq!(
            got.map_err(|error| *error),
            want,
            "{:?}",
            line.escape_ascii().to_string()
        );
    }

    #[test]
    fn known_keys_are_read_and_unknown_ones_skipped() {
        check(b"{}", Ok((None, None)));
        check(
            br#"{"dsn":"https://k@h/1"}"#,
            Ok((Some("https://k@h/1"), None)),
        );
        check(
            br#"{ "event_id" : "12" , "dsn" : "d" }"#,
            Ok((Some("d"), Some("12"))),
        );
        check(br#"{"dsn":null,"event_id":null}"#, Ok((None, None)));
        let line =
            br#"{"sent_at":"x","sdk":{"dsn":"inner","a":[1,{"b":1e999}]},"dsn":"d","trace":{}}"#;
        check(line, Ok((Some("d"), None)));
        check(b"{\"sdk\":\"\xff\",\"dsn\":\"d\"}", Ok((Some("d"), None)));
    }

    #[test]
    fn a_plain_string_is_borrowed_and_an_escaped_one_decoded() {
        let header = parse(br#"{"dsn":"plain","event_id":"\u0031\n"}"#).expect("sound");
        assert!(
            matches!(header.dsn, Some(Cow::Borrowed("plain"))),
            "it was copied"
        );
        assert_eq!(header.event_id.as_deref(), Some("1\n"));
    }

    #[test]
    fn escaped_keys_count_as_what_they_decode_to() {
        check(br#"{"d\u0073n":"d"}"#, Ok((Some("d"), None)));
        check(
            br#"{"dsn":"a","\u0064sn":"b"}"#,
            Err(HeaderError::Duplicate { key: "dsn" }),
        );
    }

    #[test]
    fn known_keys_given_twice_are_refused() {
        check(
            br#"{"dsn":"a","dsn":"a"}"#,
            Err(HeaderError::Duplicate { key: "dsn" }),
        );
        check(
            br#"{"dsn":null,"dsn":"a"}"#,
            Err(HeaderError::Duplicate { key: "dsn" }),
        );
        let twice = Err(HeaderError::Duplicate { key: "event_id" });
        check(br#"{"event_id":"1","dsn":"a","event_id":"2"}"#, twice);
        check(br#"{"x":1,"x":2,"dsn":"a"}"#, Ok((Some("a"), None)));
    }

    #[test]
    fn nothing_may_stand_around_the_object() {
        check(b"", Err(HeaderError::Empty));
        for line in [
            &b"\xef\xbb\xbf{}"[..],
            b" {}",
            b"[]",
            b"[\"a\",\"b\"]",
            b"null",
            b"\"x\"",
            b"\r",
        ] {
            check(line, Err(HeaderError::NotAnObject));
        }
        for line in [
            &b"{}\r"[..],
            b"{} ",
            b"{}\n",
            b"{}x",
            b"{\"dsn\":\"d\"",
            b"{",
        ] {
            check(line, Err(HeaderError::TrailingBytes));
        }
    }

    #[test]
    fn the_header_is_one_line() {
        check(b"{\n}", Err(HeaderError::LineFeed { at: 1 }));
        check(
            b"{\"dsn\":\"a\"}\n{}",
            Err(HeaderError::LineFeed { at: 11 }),
        );
        check(b"{\r\t}", Ok((None, None)));
    }

    #[test]
    fn broken_json_and_wrong_types_are_refused_with_their_column() {
        for (line, column) in [
            (&br#"{"dsn":5}"#[..], 8),
            (br#"{"dsn":["a"]}"#, 7),
            (br#"{"event_id":{}}"#, 12),
            (br#"{dsn:"a"}"#, 2),
            (br#"{"dsn":"a",}"#, 12),
            (br#"{"a":NaN}"#, 6),
            (b"{}}", 3),
            (b"{}{}", 3),
        ] {
            check(line, Err(HeaderError::Malformed { column }));
        }
    }

    #[test]
    fn deep_nesting_is_skipped_without_a_deep_stack() {
        let depth = 100_000;
        let line = format!(
            "{{\"a\":{}{},\"dsn\":\"d\"}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let header = parse(line.as_bytes()).expect("a sound header");
        assert_eq!(header.dsn.as_deref(), Some("d"));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(
            line in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                "\\{[\"dsn:,{}\\[\\]\\\\u0 ]{0,30}\\}".prop_map(String::into_bytes),
            ],
        ) {
            let _outcome = parse(&line);
        }

        #[test]
        fn what_was_written_is_read_back(dsn in any::<String>(), other in any::<String>()) {
            let line = serde_json::json!({"other": other, "dsn": dsn, "x": {"dsn": 1}}).to_string();
            let header = parse(line.as_bytes()).expect("a sound header");
            prop_assert_eq!(header.dsn.as_deref(), Some(dsn.as_str()));
        }
    }
}

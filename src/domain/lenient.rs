//! Values that are read from JSON where they are what was hoped for, and passed over where they
//! are not. What clients send is theirs to shape: a field of another type is a field that is not
//! there, never a reason to refuse or to overlook the rest.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, borrowed where it has no escapes; `None` for any other value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text, where it is one and not empty.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

/// An object that is read as a `T`; the default for any other value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

/// Implements the visits of values that are passed over.
macro_rules! passes_over {
    ($empty:expr, $( $visit:ident: $value:ty ),+) => {
        $( fn $visit<E: serde::de::Error>(self, _: $value) -> Result<Self::Value, E> {
            Ok($empty)
        } )+

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok($empty)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($empty)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    passes_over!(None, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_any(ObjectVisitor(PhantomData));
        read.map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    passes_over!(
        T::default(),
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str
    );

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner<'a> {
        #[serde(borrow)]
        text: Text<'a>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Outer<'a> {
        #[serde(borrow)]
        inner: Object<Inner<'a>>,
        #[serde(borrow)]
        after: Text<'a>,
    }

    #[track_caller]
    fn check(json: &str, inner: Option<&str>) {
        let read: Outer<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(read.inner.0.text.get(), inner, "{json}");
        assert_eq!(read.after.get(), Some("here"), "{json}: the rest was lost");
    }

    #[test]
    fn what_is_of_another_type_is_passed_over_and_the_rest_is_read() {
        check(r#"{"inner":{"text":"a"},"after":"here"}"#, Some("a"));
        check(r#"{"inner":{"text":"\u0061"},"after":"here"}"#, Some("a"));
        for value in ["1", "-1", "1.5", "true", "null", "[1,{}]", "{\"a\":[]}"] {
            check(
                &format!(r#"{{"inner":{{"text":{value}}},"after":"here"}}"#),
                None,
            );
        }
        for value in [
            "1", "-1", "1.5", "true", "null", "[1]", "\"text\"", "\"\\n\"",
        ] {
            check(&format!(r#"{{"inner":{value},"after":"here"}}"#), None);
        }
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let read: Text<'_> = serde_json::from_str("\"plain\"").unwrap();
        assert!(matches!(read.0, Some(Cow::Borrowed("plain"))));
        let read: Text<'_> = serde_json::from_str("\"\"").unwrap();
        assert_eq!(read.get(), None, "empty says nothing");
    }
}

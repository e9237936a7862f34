//! Owns the JSON Schema of single values, in the pieces that kinds are put together from.
//! Knows no key and no kind.
//!
//! A schema sees what YAML made of a value, where the reader sees the text: `1.5` is a number
//! there, and `"5"` none. So texts that may be digits let numbers pass, and numbers may stand in
//! quotes. Wherever a scalar stands, `${VAR}` may, and then only the reader knows what becomes of
//! it.

use serde_json::{Map, Value, json};

/// How a size is written, without what stands around it.
pub(super) const SIZE: &str = "[0-9]+ *(([KkMmGgTt][Ii]?)?[Bb])?";

/// How a duration is written.
pub(super) const DURATION: &str = "[0-9]+ *(ms|s|m|h|d)";

/// A part of a pattern that lets variables pass.
const VARIABLE: &str = r"\$\{";

/// A text of this pattern, which names no place in it: `^...$` if all of it counts.
pub(super) fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": or_variable(pattern)})
}

/// The same where digits alone may be one.
pub(super) fn text_or_digits(pattern: &str) -> Value {
    json!({"type": ["string", "number"], "pattern": or_variable(pattern)})
}

/// Any text.
pub(super) fn any_text() -> Value {
    json!({"type": ["string", "number"]})
}

/// One of these words.
pub(super) fn words<'w>(words: impl Iterator<Item = &'w str>) -> Value {
    let words: Vec<&str> = words.collect();
    json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": VARIABLE}]})
}

/// True or false.
pub(super) fn flag() -> Value {
    json!({"type": ["boolean", "string"], "pattern": or_variable("^(true|false)$")})
}

/// A whole number, bounds included; `pattern` is how it reads in quotes.
pub(super) fn whole(min: u64, max: u64, pattern: &str) -> Value {
    let pattern = or_variable(pattern);
    json!({"type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": pattern})
}

/// A share of one, bounds included, or of a hundred with its sign.
pub(super) fn share(min: f64, max: f64) -> Value {
    let pattern = or_variable("^[0-9]*[.]?[0-9]+ *%?$");
    json!({"type": ["number", "string"], "minimum": min, "maximum": max, "pattern": pattern})
}

/// A list of so many at least and at most.
pub(super) fn list(min: usize, max: usize, element: Value) -> Value {
    let mut list = json!({"type": "array", "items": element});
    if let Some(list) = list.as_object_mut() {
        if min > 0 {
            list.insert("minItems".to_owned(), min.into());
        }
        if max < usize::MAX {
            list.insert("maxItems".to_owned(), max.into());
        }
    }
    list
}

/// Any of these.
pub(super) fn either<const N: usize>(shapes: [Value; N]) -> Value {
    json!({"anyOf": shapes.to_vec()})
}

/// What has keys of its own: these and no other. Each is described, and may be left empty
/// unless it must be there.
pub(super) fn fields(
    known: &[&'static str],
    required: &[&str],
    of: impl Fn(&str) -> (&'static str, Value),
) -> Value {
    let properties = known.iter().map(|key| {
        let (description, shape) = of(key);
        let shape = match required.contains(key) {
            true => shape,
            false => or_empty(shape),
        };
        ((*key).to_owned(), described(shape, description))
    });
    let mut shape = keyed(properties.collect());
    if let Some(shape) = shape.as_object_mut()
        && !required.is_empty()
    {
        shape.insert("required".to_owned(), json!(required));
    }
    shape
}

/// These keys and no other.
pub(super) fn keyed(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// The same shape, and what it means.
pub(super) fn described(mut shape: Value, description: &str) -> Value {
    if let Some(shape) = shape.as_object_mut()
        && !description.is_empty()
    {
        shape.insert("description".to_owned(), description.into());
    }
    shape
}

/// The same shape, or nothing at all, which is as if the key were not there.
pub(super) fn or_empty(mut shape: Value) -> Value {
    let Some(inner) = shape.as_object_mut() else {
        return shape;
    };
    match inner.get_mut("type") {
        Some(Value::Array(types)) => types.push("null".into()),
        Some(one) => *one = json!([*one, "null"]),
        None => {
            if let Some(Value::Array(any)) = inner.get_mut("anyOf") {
                any.push(json!({"type": "null"}));
            }
        }
    }
    shape
}

fn or_variable(pattern: &str) -> String {
    format!("{pattern}|{VARIABLE}")
}

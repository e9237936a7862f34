//! Promises about the schema: it knows what the reader knows, neither more nor less.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::keys::KEYS;
use super::*;

/// A key that nobody has.
const NOBODYS: &str = "zzz_nobodys";

/// Puts a value into its place in a file.
type Wrap = Box<dyn Fn(Value) -> Value>;

/// A place in the schema that has keys, and a file that leads there.
struct Keyed {
    path: String,
    properties: Map<String, Value>,
    wrap: Wrap,
}

/// Every place that has keys.
fn places() -> Vec<Keyed> {
    let mut found = Vec::new();
    let mut left: Vec<(String, Value, Wrap)> =
        vec![(String::new(), schema(), Box::new(|value| value))];
    while let Some((path, shape, wrap)) = left.pop() {
        let wrap: std::rc::Rc<dyn Fn(Value) -> Value> = wrap.into();
        let variants = shape.get("anyOf").and_then(Value::as_array);
        for variant in variants.into_iter().flatten() {
            let wrap = std::rc::Rc::clone(&wrap);
            left.push((
                path.clone(),
                variant.clone(),
                Box::new(move |value| wrap(value)),
            ));
        }
        if let Some(items) = shape.get("items") {
            let wrap = std::rc::Rc::clone(&wrap);
            let path = format!("{path}[0]");
            left.push((
                path,
                items.clone(),
                Box::new(move |value| wrap(json!([value]))),
            ));
        }
        let Some(properties) = shape.get("properties").and_then(Value::as_object) else {
            continue;
        };
        for (key, below) in properties {
            let (wrap, own) = (std::rc::Rc::clone(&wrap), key.clone());
            let wrap = move |value| wrap(json!({ own.clone(): value }));
            left.push((
                super::super::keys::join(&path, key),
                below.clone(),
                Box::new(wrap),
            ));
        }
        found.push(Keyed {
            path,
            properties: properties.clone(),
            wrap: Box::new(move |value| wrap(value)),
        });
    }
    found
}

/// What the reader says of a file in JSON, which is YAML.
fn said(file: &Value) -> String {
    match parse("v.yml", &file.to_string(), &Env::empty()) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn the_reader_knows_every_key_of_the_schema_and_no_other_there() {
    let places = places();
    assert!(places.len() > 30, "{} places only", places.len());
    for Keyed {
        path,
        properties,
        wrap,
    } in &places
    {
        let unknown = said(&wrap(json!({ NOBODYS: 1 })));
        let want = format!("unknown key \"{NOBODYS}\"");
        assert!(unknown.contains(&want), "{path}: {unknown}");
        for key in properties.keys() {
            // No value is a list of lists: what is wrong is the value, if it is known.
            let known = said(&wrap(json!({ key: [[[]]] })));
            let unknown = format!("unknown key \"{key}\"");
            assert!(!known.contains(&unknown), "{path}: {known}");
        }
    }
}

/// What the elements of lists and inner maps have comes from the reader's own lists of keys.
#[test]
fn the_schema_has_every_key_of_the_reader() {
    let paths: BTreeSet<String> = places()
        .iter()
        .flat_map(|place| {
            let keys = place.properties.keys();
            keys.map(|key| super::super::keys::join(&place.path, key))
        })
        .collect();
    for key in KEYS {
        assert!(paths.contains(key.path), "{}", key.path);
    }
}

#[test]
fn every_key_says_what_it_means_and_what_it_is_without_it() {
    for Keyed {
        path, properties, ..
    } in places()
    {
        for (key, shape) in properties {
            let path = super::super::keys::join(&path, &key);
            let is_section = KEYS.iter().any(|known| {
                let below = known.path.strip_prefix(&path);
                below.is_some_and(|below| below.starts_with('.'))
            });
            let described = shape.get("description").is_some();
            assert!(described || is_section, "{path} is not described");
            let of_reader = KEYS.iter().any(|known| known.path == path);
            let without = ["upstream.ingest", "upstream.web"].contains(&path.as_str());
            let has_default = shape.get("default").is_some();
            assert!(!of_reader || has_default != without, "{path}: {shape}");
        }
    }
}

/// One key's schema, by its path.
fn of(path: &str) -> Value {
    let pointer: String = path
        .split('.')
        .map(|part| format!("/properties/{part}"))
        .collect();
    schema().pointer(&pointer).unwrap().clone()
}

#[test]
fn a_key_has_its_bounds_its_words_and_its_default() {
    let items = of("limits.items");
    assert_eq!(
        (&items["minimum"], &items["maximum"], &items["default"]),
        (&json!(1), &json!(100_000), &json!(1000))
    );
    assert_eq!(
        of("keys.mode")["anyOf"][0],
        json!({"enum": ["open", "learn", "strict"]})
    );
    assert_eq!(of("limits.bodies.upload")["default"], "2GiB");
    assert_eq!(of("admin.token")["default"], "");
    assert_eq!(of("acme.challenge")["default"], "auto");
    let drain = of("limits.drain");
    assert_eq!(
        drain["description"],
        "How long a stop waits for requests under way."
    );
}

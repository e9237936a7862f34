//! Owns the JSON Schema of the whole file, for editors: the keys from `keys`, the shape of each
//! value from the kind that reads it, defaults from `defaults`, and what each means from the
//! comments of `config/vidette.yml`. What keys say together it cannot say: `vidette check` does.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::comments;
use super::defaults;
use super::keys::{KEYS, Use, join};
use super::shape;
use super::show::value;

/// The dialect it is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a configuration file.
pub(super) fn schema() -> Value {
    let said = comments::of_keys(comments::SHIPPED);
    let mut root = section(&said, "");
    for key in KEYS {
        let mut parts: Vec<&str> = key.path.split('.').collect();
        let Some(last) = parts.pop() else { continue };
        let mut path = String::new();
        let mut inside = Some(&mut root);
        for part in parts {
            path = join(&path, part);
            inside = inside.and_then(properties).map(|properties| {
                let below = properties.entry(part);
                below.or_insert_with(|| shape::or_empty(section(&said, &path)))
            });
        }
        if let Some(properties) = inside.and_then(properties) {
            properties.insert(last.to_owned(), of_key(&key.used, key.path, &said));
        }
    }
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), DIALECT.into());
        root.insert("title".to_owned(), "vidette.yml".into());
    }
    root
}

/// An empty section, and what is said of it.
fn section(said: &HashMap<String, String>, path: &str) -> Value {
    let description = said.get(path).map(String::as_str).unwrap_or_default();
    shape::described(shape::keyed(Map::new()), description)
}

fn properties(shape: &mut Value) -> Option<&mut Map<String, Value>> {
    shape.get_mut("properties")?.as_object_mut()
}

/// One key's shape; of one that has keys itself, theirs too.
fn of_key(used: &Use, path: &str, said: &HashMap<String, String>) -> Value {
    let mut shape = shape::or_empty((used.shape)());
    let mut default = value((used.show)(&defaults::config()));
    if default.is_null() {
        // What has no default but nothing is written empty.
        default = json!("");
    }
    if let Some(inner) = properties(&mut shape) {
        for (key, shape) in inner {
            let description = said.get(&join(path, key)).map(String::as_str);
            *shape = shape::described(shape.take(), description.unwrap_or_default());
            if let (Some(shape), Some(default)) = (shape.as_object_mut(), default.get(key)) {
                shape.insert("default".to_owned(), default.clone());
            }
        }
    }
    let description = said.get(path).map(String::as_str).unwrap_or_default();
    let mut shape = shape::described(shape, description);
    if let Some(shape) = shape.as_object_mut()
        && !WITHOUT_DEFAULT.contains(&path)
    {
        shape.insert("default".to_owned(), default);
    }
    shape
}

/// The one key that must be set, and the one that follows it.
pub(super) const WITHOUT_DEFAULT: [&str; 2] = ["upstream.ingest", "upstream.web"];

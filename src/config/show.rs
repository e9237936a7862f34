//! Owns showing a checked configuration, as YAML that reads back and as JSON.
//! Shows no secret: the kinds hand over a mask.

use serde_json::{Map, Value};

use super::checked::Config;
use super::keys::KEYS;
use super::kinds::Shown;

/// The whole configuration as a file. Sections are blocks; lists stand in one
/// line, but for those whose elements have keys: each of these has its own.
pub(super) fn yaml(config: &Config) -> String {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for (path, shown) in shown(config) {
        let mut parts: Vec<&str> = path.split('.').collect();
        let Some(key) = parts.pop() else { continue };
        let shared = open
            .iter()
            .zip(&parts)
            .take_while(|(open, part)| open == part)
            .count();
        for (depth, section) in parts.iter().enumerate().skip(shared) {
            out.push_str(&format!("{:indent$}{section}:\n", "", indent = depth * 2));
        }
        let indent = parts.len() * 2;
        match rows(&shown) {
            Some(rows) => {
                out.push_str(&format!("{:indent$}{key}:\n", ""));
                for row in rows {
                    out.push_str(&format!("{:indent$}  - {}\n", "", flow(row)));
                }
            }
            None => out.push_str(&format!("{:indent$}{key}: {}\n", "", flow(&shown))),
        }
        open = parts;
    }
    out
}

/// The whole configuration in JSON, nested as the file is.
pub(super) fn json(config: &Config) -> Value {
    let mut root = Map::new();
    for (path, shown) in shown(config) {
        let mut parts: Vec<&str> = path.split('.').collect();
        let Some(key) = parts.pop() else { continue };
        let section = parts.into_iter().try_fold(&mut root, |section, part| {
            let below = section
                .entry(part)
                .or_insert_with(|| Value::Object(Map::new()));
            below.as_object_mut()
        });
        if let Some(section) = section {
            section.insert(key.to_owned(), value(shown));
        }
    }
    Value::Object(root)
}

fn shown(config: &Config) -> impl Iterator<Item = (&'static str, Shown)> {
    // A secret that was read from a file is shown as that file's name.
    let (sentry, webhook) = (config.sentry.as_ref(), &config.alerts.webhook);
    let hidden = move |path| match path {
        "admin.token" => config.admin.token_file.is_some(),
        "client_ip.hash_key" => config.client_ip.hash_key_file.is_some(),
        "alerts.webhook.url" => webhook.url_file.is_some(),
        "alerts.webhook.token" => webhook.token_file.is_some(),
        "canary.token" => config.canary.token_file.is_some(),
        "shared_quota.password" => config.shared_quota.password_file.is_some(),
        "sentry.token" => sentry.is_some_and(|sentry| sentry.token_file.is_some()),
        _ => false,
    };
    KEYS.iter().map(move |key| match hidden(key.path) {
        true => (key.path, Shown::Absent),
        false => (key.path, (key.used.show)(config)),
    })
}

/// The elements of a list that get a line each.
fn rows(shown: &Shown) -> Option<&[Shown]> {
    let Shown::List(list) = shown else {
        return None;
    };
    let keyed = |element: &Shown| matches!(element, Shown::Map(_));
    (!list.is_empty() && list.iter().all(keyed)).then_some(list)
}

/// A value in one line.
pub(super) fn flow(shown: &Shown) -> String {
    match shown {
        Shown::Absent => "\"\"".to_owned(),
        Shown::Text(text) => quoted(text),
        Shown::Number(number) => number.to_string(),
        Shown::Flag(flag) => flag.to_string(),
        Shown::List(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Shown::Map(map) => {
            let entries = map
                .iter()
                .map(|(key, shown)| format!("{key}: {}", flow(shown)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text so that it reads back, whatever it holds: words bare, all else as
/// JSON strings, which YAML reads, each `$` doubled.
fn quoted(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.".contains(&byte);
    let null = text.is_empty() || text.eq_ignore_ascii_case("null");
    match !null && !text.starts_with(['-', '.']) && text.bytes().all(bare) {
        true => text.to_owned(),
        false => Value::String(text.replace('$', "$$")).to_string(),
    }
}

/// A value in JSON; one that is not set is null.
pub(super) fn value(shown: Shown) -> Value {
    match shown {
        Shown::Absent => Value::Null,
        Shown::Text(text) => Value::String(text),
        Shown::Number(number) => Value::from(number),
        Shown::Flag(flag) => Value::Bool(flag),
        Shown::List(list) => list.into_iter().map(value).collect(),
        Shown::Map(map) => Value::Object(
            map.into_iter()
                .map(|(key, shown)| (key.to_owned(), value(shown)))
                .collect(),
        ),
    }
}

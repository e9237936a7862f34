//! Credentials with another key in the old one's place, in the spelling that they came in.
//!
//! Owns the writing of what `fields` reads. Never judges: what is not sound is left as it is.

use base64::Engine as _;

use super::fields::{BASE64, KEY, is_key, split_at_equals};
use super::{Key, after_scheme};

/// The value of an `X-Sentry-Auth` header, or of an `Authorization` header that is Sentry's, with
/// this key. Its other fields stay byte for byte. `None`: it holds no key.
#[must_use]
pub fn header_with_key(value: &[u8], key: &Key) -> Option<Vec<u8>> {
    if let Some(token) = after_scheme(value, b"basic") {
        return basic(token, key);
    }
    let fields = after_scheme(value, b"sentry")?;
    let before = value.trim_ascii_end().len().checked_sub(fields.len())?;
    let mut out = value.get(..before)?.to_vec();
    let mut found = false;
    for (place, piece) in fields.split(|&byte| byte == b',').enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match split_at_equals(piece).filter(|(name, _)| name.trim_ascii() == KEY.as_bytes()) {
            None => out.extend_from_slice(piece),
            Some((name, _)) => {
                found = true;
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(key.as_str().as_bytes());
            }
        }
    }
    found.then_some(out)
}

/// A raw query string with this key. Its other fields stay byte for byte. `None`: it holds no key.
#[must_use]
pub fn query_with_key(query: &str, key: &Key) -> Option<String> {
    let mut found = false;
    let fields: Vec<String> = query
        .split('&')
        .map(|field| {
            match field
                .split_once('=')
                .filter(|(name, _)| is_key(name.as_bytes()))
            {
                None => field.to_owned(),
                Some((name, _)) => {
                    found = true;
                    format!("{name}={}", key.as_str())
                }
            }
        })
        .collect();
    found.then(|| fields.join("&"))
}

/// `Basic` credentials: the user's name is the key, what follows stays.
fn basic(token: &[u8], key: &Key) -> Option<Vec<u8>> {
    let pair = BASE64.decode(token).ok()?;
    let user = pair.split(|&byte| byte == b':').next()?.len();
    let mut moved = key.as_str().as_bytes().to_vec();
    moved.extend_from_slice(pair.get(user..)?);
    Some(format!("Basic {}", BASE64.encode(moved)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::{Sources, read};

    const OLD: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
    const NEW: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

    fn new() -> Key {
        Key::parse(NEW.as_bytes()).unwrap()
    }

    fn keys(text: &str) -> String {
        text.replace("OLD", OLD).replace("NEW", NEW)
    }

    #[track_caller]
    fn check_header(value: &str, want: Option<&str>) {
        let got = header_with_key(keys(value).as_bytes(), &new());
        let got = got.map(|value| String::from_utf8(value).unwrap());
        assert_eq!(got, want.map(keys), "{value}");
    }

    #[test]
    fn a_header_keeps_all_but_its_key() {
        check_header(
            "Sentry sentry_version=7, sentry_key=OLD, sentry_client=a/1",
            Some("Sentry sentry_version=7, sentry_key=NEW, sentry_client=a/1"),
        );
        check_header(
            " sentry  sentry_key = OLD ,sentry_secret=x",
            Some(" sentry  sentry_key =NEW,sentry_secret=x"),
        );
        check_header("SENTRY sentry_key=OLD  ", Some("SENTRY sentry_key=NEW"));
        check_header("Sentry sentry_version=7", None);
        check_header("Bearer OLD", None);
        check_header("", None);
    }

    #[test]
    fn basic_credentials_keep_what_follows_the_user() {
        for (pair, want) in [("OLD:", "NEW:"), ("OLD:x:y", "NEW:x:y"), ("OLD", "NEW")] {
            let of = |pair: &str| format!("Basic {}", BASE64.encode(keys(pair)));
            check_header(&of(pair), Some(&of(want)));
        }
        check_header("basic ***", None);
    }

    #[track_caller]
    fn check_query(query: &str, want: Option<&str>) {
        let got = query_with_key(&keys(query), &new());
        assert_eq!(got, want.map(keys), "{query}");
    }

    #[test]
    fn a_query_keeps_all_but_its_key() {
        check_query(
            "sentry_version=7&sentry_key=OLD&sentry_client=a%2F1",
            Some("sentry_version=7&sentry_key=NEW&sentry_client=a%2F1"),
        );
        check_query("sentry%5Fkey=%61&&x", Some("sentry%5Fkey=NEW&&x"));
        check_query("sentry_key", None);
        check_query("sentry_version=7&key=OLD", None);
        check_query("", None);
    }

    #[test]
    fn whatever_is_read_is_read_as_the_new_key() {
        let with = |source: &Sources<'_>| read(source).unwrap().map(|found| found.key);
        let basic = format!("Basic {}", BASE64.encode(format!("{OLD}:")));
        for header in [
            format!("Sentry sentry_key={OLD}"),
            format!("sentry sentry_client=x,sentry_key={OLD},"),
            basic,
        ] {
            let moved = header_with_key(header.as_bytes(), &new()).unwrap();
            let authorization = Sources {
                authorization: Some(&moved),
                ..Sources::default()
            };
            assert_eq!(with(&authorization), Some(new()), "{header}");
        }
        for query in [
            format!("sentry_key={OLD}"),
            format!("a=b&%73entry_key={OLD}&sentry_version=7"),
        ] {
            let moved = query_with_key(&query, &new()).unwrap();
            let query = Sources {
                query: Some(&moved),
                ..Sources::default()
            };
            assert_eq!(with(&query), Some(new()), "{moved}");
        }
    }
}

//! A request's head, read as hyper reads it: no input panics; the path that guards look at is
//! the one that a second, plain reading finds, and it leads nowhere else when read again; a
//! host has nothing in it that a link would take for another part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidette::domain::endpoint::{Route, route};
use vidette::domain::host::is_host;
use vidette::domain::path::normalise;

fuzz_target!(|input: &[u8]| {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(_)) = head.parse(input) else {
        return;
    };
    let target = head.path.unwrap_or_default();
    check_path(target.split(['?', '#']).next().unwrap_or_default());
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("host") {
            check_host(field.value);
        }
    }
    let method = head.method.unwrap_or_default();
    if let Ok(path) = normalise(target)
        && let Route::Ingest(ingest) = route(&path)
    {
        let kind = head.headers.iter();
        let mut kind = kind.filter(|field| field.name.eq_ignore_ascii_case("content-type"));
        let kind = kind.next().map(|field| field.value);
        let _allowed = ingest.endpoint.allows(method);
        let _accepted = ingest.endpoint.accepts_content_type(kind);
    }
});

fn check_path(raw: &str) {
    let found = normalise(raw).ok().map(|path| path.into_owned());
    assert_eq!(found, plainly(raw.as_bytes()), "{raw:?}");
    let Some(path) = found else { return };
    // Dots are gone, and what still looks like an escape was escaped itself.
    if let Ok(text) = std::str::from_utf8(&path)
        && !text.contains('%')
    {
        assert_eq!(normalise(text).as_deref(), Ok(&path[..]), "{raw:?}");
    }
}

/// The same from its definition: unescaped, cut at slashes, dots resolved, put together.
fn plainly(raw: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        let digits = digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then_some(digits)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    if raw.first() != Some(&b'/') || bytes.contains(&0) {
        return None;
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = bytes[1..].split(|byte| *byte == b'/').collect();
    for segment in &segments {
        match *segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()?),
            name => kept.push(name),
        }
    }
    let ends_in_a_slash = matches!(segments.last(), Some(&(b"" | b"." | b"..")));
    let mut path: Vec<u8> = kept
        .iter()
        .flat_map(|name| [b"/", *name].concat())
        .collect();
    if ends_in_a_slash || path.is_empty() {
        path.push(b'/');
    }
    Some(path)
}

fn check_host(value: &[u8]) {
    if is_host(value) {
        let parts = b"/\\?#@ \t\"<>^`{|}";
        let strange = |byte: &u8| parts.contains(byte) || !(0x21..0x7f).contains(byte);
        assert!(!value.iter().any(strange), "{value:?}");
    }
}

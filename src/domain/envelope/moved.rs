//! Line one of an envelope whose DSN has moved.
//!
//! Owns what of the line names a key: the `dsn`, and the `public_key` of its trace, which is that
//! of the project where the trace began. Never changes another byte.

use std::ops::Range;

use super::member::{object, string};
use crate::domain::credentials::Key;
use crate::domain::dsn_map::DsnMap;

/// The line as the map has it. `None`: nothing in it has moved, and it is to leave as it is.
///
/// Costs a walk over the line, and a copy of it where it changes.
#[must_use]
pub fn moved(line: &[u8], map: &DsnMap) -> Option<Vec<u8>> {
    let mut edits = [dsn(line, map), trace_key(line, map)];
    edits.sort_by_key(|edit| edit.as_ref().map(|(place, _)| place.start));
    let mut out = Vec::new();
    let mut from = 0;
    for (place, text) in edits.into_iter().flatten() {
        out.extend_from_slice(line.get(from..place.start)?);
        out.extend_from_slice(&serde_json::to_vec(&text).ok()?);
        from = place.end;
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(line.get(from..)?);
    Some(out)
}

/// A string's place, and what stands there instead.
type Edit = (Range<usize>, String);

fn dsn(line: &[u8], map: &DsnMap) -> Option<Edit> {
    let place = string(line, b"dsn")?;
    let text: String = serde_json::from_slice(line.get(place.clone())?).ok()?;
    Some((place, map.dsn(&text)?))
}

fn trace_key(line: &[u8], map: &DsnMap) -> Option<Edit> {
    let trace = object(line, b"trace")?;
    let place = string(line.get(trace.clone())?, b"public_key")?;
    let place = trace.start + place.start..trace.start + place.end;
    let text: String = serde_json::from_slice(line.get(place.clone())?).ok()?;
    let key = map.key(&Key::parse(text.as_bytes())?)?;
    Some((place, key.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::dsn_map::Move;
    use crate::domain::endpoint::ProjectId;
    use crate::domain::envelope::{header, trace::Trace};

    const OLD: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
    const NEW: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

    fn map() -> DsnMap {
        let key = |text: &str| Key::parse(text.as_bytes()).unwrap();
        DsnMap::new(vec![Move {
            key: key(OLD),
            project: ProjectId::parse(b"12"),
            to_key: key(NEW),
            to_project: ProjectId::parse(b"42").unwrap(),
            to_upstream: None,
        }])
    }

    #[track_caller]
    fn check(line: &str, want: Option<&str>) {
        let keys = |text: &str| text.replace("OLD", OLD).replace("NEW", NEW);
        let got = moved(keys(line).as_bytes(), &map());
        let got = got.map(|line| String::from_utf8(line).unwrap());
        assert_eq!(got, want.map(keys), "{line}");
    }

    #[test]
    fn the_dsn_and_the_traces_key_change_and_nothing_else_does() {
        check(
            r#"{"event_id":"a","dsn":"https://OLD@h/12","sent_at":"x"}"#,
            Some(r#"{"event_id":"a","dsn":"https://NEW@h/42","sent_at":"x"}"#),
        );
        check(
            r#"{"dsn":"https://OLD@h/12","trace":{"trace_id":"t","public_key":"OLD","a":[{}]},"z":1}"#,
            Some(
                r#"{"dsn":"https://NEW@h/42","trace":{"trace_id":"t","public_key":"NEW","a":[{}]},"z":1}"#,
            ),
        );
        check(
            r#"{"trace":{"public_key":"OLD"},"dsn":"https://OLD@h/12"}"#,
            Some(r#"{"trace":{"public_key":"NEW"},"dsn":"https://NEW@h/42"}"#),
        );
    }

    #[test]
    fn a_trace_that_began_elsewhere_has_that_projects_key() {
        check(
            r#"{"dsn":"https://NEW@h/42","trace":{"public_key":"OLD"}}"#,
            Some(r#"{"dsn":"https://NEW@h/42","trace":{"public_key":"NEW"}}"#),
        );
        check(
            r#"{ "trace" : { "public\u005fkey" : "OLD" } }"#,
            Some(r#"{ "trace" : { "public\u005fkey" : "NEW" } }"#),
        );
    }

    #[test]
    fn what_has_not_moved_stays() {
        for line in [
            "{}",
            r#"{"dsn":"https://OLD@h/13"}"#,
            r#"{"dsn":"https://NEW@h/42","trace":{"public_key":"NEW"}}"#,
            r#"{"dsn":null,"trace":null}"#,
            r#"{"dsn":1,"trace":[{"public_key":"OLD"}]}"#,
            r#"{"trace":{"inner":{"public_key":"OLD"}}}"#,
            r#"{"sdk":{"dsn":"https://OLD@h/12"}}"#,
            r#"{"trace":{}}"#,
            "not an object",
            "",
        ] {
            check(line, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_rewritten_reads_as_the_new_one(
            before in "[ -~]{0,12}", blank in "[ \t]{0,2}", first: bool, traced: bool,
        ) {
            let other = serde_json::to_string(&before).unwrap();
            let dsn = format!(r#""dsn"{blank}:{blank}"https://{OLD}@h/12""#);
            let trace = if traced {
                let id = "4a106cf6b15144eb9131ae7db1a157a3";
                format!(r#","trace":{blank}{{"x":{other},"trace_id":"{id}","public_key":"{OLD}"{blank}}}{blank}"#)
            } else {
                String::new()
            };
            let line = match first {
                true => format!(r#"{{{dsn},"x":{other}{trace}}}"#),
                false => format!(r#"{{"x":{other}{trace},{dsn}}}"#),
            };
            let got = moved(line.as_bytes(), &map()).expect("it has moved");
            let read = header::parse(&got).expect("it stays sound");
            let want = format!("https://{NEW}@h/42");
            prop_assert_eq!(read.dsn.as_deref(), Some(want.as_str()));
            prop_assert_eq!(Trace::read(&got), Trace::read(line.as_bytes()));
            prop_assert!(!String::from_utf8(got.clone()).unwrap().contains(OLD));
            prop_assert_eq!(moved(&got, &map()), None);
        }

        #[test]
        fn no_line_makes_it_panic(line in "\\{[\"dsn:,{}\\[\\]\\\\u0 trace]{0,40}\\}") {
            let _moved = moved(line.as_bytes(), &map());
        }
    }
}

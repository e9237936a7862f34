//! The `Link` header in which Sentry says whether a page follows. Takes the
//! cursor alone: the URL beside it may name any host and is never looked at.

/// The longest cursor; Sentry's are three numbers, other servers' some base64.
const CURSOR_BYTES_MAX: usize = 256;

/// Where the next page begins: visible ASCII, still to be escaped for a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor(String);

impl Cursor {
    /// The cursor as the server wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let fits =
            (1..=CURSOR_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        let text = str::from_utf8(text).ok().filter(|_| fits)?;
        Some(Self(text.to_owned()))
    }
}

/// A header that does not read as links, or a next page without a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLink;

/// The cursor of the page that follows, if one does; `values` are all the
/// `Link` headers of an answer.
///
/// A header that cannot be read is an error and not an end: a page that goes
/// missing in silence would make its keys unknown.
pub(super) fn next<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<Option<Cursor>, BadLink> {
    for value in values {
        let mut rest = value.trim_ascii_start();
        while !rest.is_empty() {
            let (link, after) = link(rest).ok_or(BadLink)?;
            if link.is_next && link.results == Some(b"true") {
                let cursor = link.cursor.and_then(Cursor::parse);
                return cursor.map(Some).ok_or(BadLink);
            }
            rest = after;
        }
    }
    Ok(None)
}

/// What one link says beside its URL.
#[derive(Default)]
struct Link<'v> {
    is_next: bool,
    results: Option<&'v [u8]>,
    cursor: Option<&'v [u8]>,
}

/// The first link of a list, and what follows its comma.
fn link(text: &[u8]) -> Option<(Link<'_>, &[u8])> {
    let (_, mut rest) = cut(text.strip_prefix(b"<")?, |byte| byte == b'>')?;
    let mut link = Link::default();
    loop {
        rest = rest.trim_ascii_start();
        let after = match rest.split_first() {
            None => return Some((link, rest)),
            Some((b',', after)) => return Some((link, after.trim_ascii_start())),
            Some((b';', after)) => after,
            Some(_) => return None,
        };
        let (name, value, after) = parameter(after)?;
        // The first of a name counts, as RFC 8288 has it for `rel`.
        match name {
            b"rel" => link.is_next |= value.split(|byte| *byte == b' ').any(|rel| rel == b"next"),
            b"results" => link.results = link.results.or(Some(value)),
            b"cursor" => link.cursor = link.cursor.or(Some(value)),
            _ => {}
        }
        rest = after;
    }
}

/// One `name="value"` or `name=value`, and what follows it.
fn parameter(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, after) = cut(text, |byte| byte == b'=')?;
    let (value, rest) = match after.strip_prefix(b"\"") {
        Some(quoted) => cut(quoted, |byte| byte == b'"')?,
        None => {
            let is_end = |byte: &u8| matches!(byte, b';' | b',' | b' ' | b'\t');
            let end = after.iter().position(is_end).unwrap_or(after.len());
            after.split_at_checked(end)?
        }
    };
    // An escaped quote would have ended the value too early.
    (!value.contains(&b'\\')).then_some((name.trim_ascii(), value, rest))
}

/// What precedes the first such byte, and what follows it.
fn cut(text: &[u8], is_border: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| is_border(*byte))?;
    let (before, from) = text.split_at_checked(at)?;
    Some((before, from.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(values: &[&str], want: Result<Option<&str>, BadLink>) {
        let got = next(values.iter().map(|value| value.as_bytes()));
        let got = got
            .as_ref()
            .map(|cursor| cursor.as_ref().map(Cursor::as_str));
        assert_eq!(got, want.as_ref().copied(), "{values:?}");
    }

    const PREVIOUS: &str =
        r#"<http://s.example/?&cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1""#;

    #[test]
    fn the_next_page_is_the_one_with_results() {
        for (results, want) in [("true", Some("0:100:0")), ("false", None), ("", None)] {
            let next = format!(
                r#"{PREVIOUS}, <http://s.example/?&cursor=0:100:0>; rel="next"; results="{results}"; cursor="0:100:0""#
            );
            check(&[&next], Ok(want));
        }
        check(&[PREVIOUS], Ok(None));
        check(&[], Ok(None));
        check(&["", "  "], Ok(None));
    }

    #[test]
    fn a_previous_page_with_results_is_not_gone_back_to() {
        check(
            &[
                r#"<x>; rel="previous"; results="true"; cursor="0:0:1", <x>; rel="next"; results="false"; cursor="0:2:0""#,
            ],
            Ok(None),
        );
    }

    #[test]
    fn order_spaces_quotes_and_several_headers_do_not_matter() {
        let plain = "<>;cursor=0:1:0 ;results=true\t; rel=next";
        check(&[plain], Ok(Some("0:1:0")));
        check(&[PREVIOUS, plain], Ok(Some("0:1:0")));
        check(
            &[r#"<a,b;c>; rel="last next"; title="a, b; c"; results="true"; cursor="x""#],
            Ok(Some("x")),
        );
    }

    #[test]
    fn a_link_that_cannot_be_read_is_no_end() {
        for bad in [
            "http://s.example/",
            "<http://s.example/",
            "<x> rel=next",
            "<x>; rel",
            "<x>; rel=\"next",
            "<x>; rel=\"next\"; results=\"true\"",
            "<x>; rel=\"next\"; results=\"true\"; cursor=\"\"",
            "<x>; rel=\"next\"; results=\"true\"; cursor=\"a b\"",
            "<x>; rel=\"next\"; results=\"true\"; cursor=\"a\\\"b\"",
            "<x>; rel=\"next\"; results=\"true\"; cursor=\"\u{e9}\"",
            ",",
        ] {
            check(&[bad], Err(BadLink));
        }
    }

    #[test]
    fn a_cursor_has_a_longest_length() {
        let with = |bytes: usize| {
            let cursor = "7".repeat(bytes);
            format!("<x>; rel=next; results=true; cursor={cursor}")
        };
        let longest = "7".repeat(CURSOR_BYTES_MAX);
        check(&[&with(CURSOR_BYTES_MAX)], Ok(Some(&longest)));
        check(&[&with(CURSOR_BYTES_MAX + 1)], Err(BadLink));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            next([value.as_slice()]).ok();
        }

        #[test]
        fn anything_of_the_right_letters_is_read_to_an_end(value in "[<>;,=\" a-z]{0,60}") {
            next([value.as_bytes()]).ok();
        }
    }
}

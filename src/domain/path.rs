//! The normalised form of a request's path, the one that routes and guards look at.
//!
//! Owns percent-decoding, the merging of slashes and the resolving of dots. Never changes what is
//! forwarded: the raw path goes upstream byte for byte, and this form is dropped after routing.

use std::borrow::Cow;

use memchr::memrchr;

/// Why a path has no normalised form. nginx answers 400 to each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `%` without two hex digits after it.
    #[error("broken percent escape in the path (byte {at})")]
    BadEscape {
        /// Offset of the `%` in the raw path.
        at: usize,
    },
    /// A NUL, escaped or bare.
    #[error("NUL in the path (byte {at})")]
    Nul {
        /// Offset of the NUL, or of its escape's `%`, in the raw path.
        at: usize,
    },
    /// More `..` than there are segments before it.
    #[error("path leads above the root")]
    AboveRoot,
    /// Empty, `*`, or anything else that does not begin with a slash.
    #[error("path does not begin with a slash")]
    NotAbsolute,
}

/// The path as nginx sees it when it picks a location: percent-decoded once, slashes merged,
/// `.` and `..` resolved, in that order, so that escaped slashes and dots count too.
///
/// `raw` is the path alone, without query and fragment. A path that has nothing to change is
/// borrowed; any other costs one allocation of at most its length. Decoding happens once:
/// `%252e` is the three characters `%2e`, not a dot.
pub fn normalise(raw: &str) -> Result<Cow<'_, [u8]>, PathError> {
    let bytes = raw.as_bytes();
    let Some((b'/', rest)) = bytes.split_first() else {
        return Err(PathError::NotAbsolute);
    };
    if is_normal(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut resolved = Resolved::root(bytes.len());
    let mut left = rest;
    while let Some((&byte, after)) = left.split_first() {
        let at = bytes.len() - left.len();
        let (decoded, after) = match byte {
            b'%' => unescape(after).ok_or(PathError::BadEscape { at })?,
            literal => (literal, after),
        };
        match decoded {
            0 => return Err(PathError::Nul { at }),
            b'/' => resolved.close_segment(true)?,
            ordinary => resolved.bytes.push(ordinary),
        }
        left = after;
    }
    resolved.close_segment(false)?;
    Ok(Cow::Owned(resolved.bytes))
}

/// Whether normalising would change nothing: no escape, no NUL, and after a slash neither a slash
/// nor a dot. A leading dot of an ordinary name fails here too and takes the slow way, unharmed.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        match byte {
            b'%' | 0 => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = byte == b'/',
        }
    }
    true
}

/// The byte that two hex digits stand for, and what follows them.
fn unescape(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = after_percent.split_first_chunk::<2>()?;
    Some((hex_digit(high)? << 4 | hex_digit(low)?, after))
}

/// The value of one hex digit of either case.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The path resolved so far, always beginning with a slash, and where its open segment starts.
struct Resolved {
    bytes: Vec<u8>,
    segment_start: usize,
}

impl Resolved {
    fn root(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(b'/');
        Self {
            bytes,
            segment_start: 1,
        }
    }

    /// Ends the open segment, at a slash or at the path's end: keeps a name, drops an empty one
    /// and `.`, and takes the segment before away for `..`.
    fn close_segment(&mut self, at_slash: bool) -> Result<(), PathError> {
        let segment = self.bytes.get(self.segment_start..).unwrap_or_default();
        match segment {
            b"" => {}
            b"." => self.bytes.truncate(self.segment_start),
            b".." => {
                let parent_end = self.segment_start - 1;
                self.bytes.truncate(parent_end);
                let slash_before_parent = memrchr(b'/', &self.bytes).ok_or(PathError::AboveRoot)?;
                self.bytes.truncate(slash_before_parent + 1);
            }
            _name if at_slash => self.bytes.push(b'/'),
            _name => {}
        }
        self.segment_start = self.bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(raw: &str, want: Result<&str, PathError>) {
        let got = normalise(raw);
        let got = got.as_ref().map(|path| &**path).map_err(|error| *error);
        assert_eq!(got, want.map(str::as_bytes), "{raw:?}");
    }

    #[test]
    fn an_ordinary_path_is_borrowed_as_it_is() {
        for raw in [
            "/",
            "/api/1/envelope/",
            "/a.b/c..d/e.",
            "/caf\u{e9}",
            "/a;b/*'~",
        ] {
            check(raw, Ok(raw));
            assert!(
                matches!(normalise(raw), Ok(Cow::Borrowed(_))),
                "{raw:?} was copied"
            );
        }
    }

    #[test]
    fn slashes_are_merged() {
        check("//api//1///store/", Ok("/api/1/store/"));
        check("//", Ok("/"));
        check("/a//", Ok("/a/"));
        check("/a/%2F/b", Ok("/a/b"));
        check("/a%2fb", Ok("/a/b"));
    }

    #[test]
    fn dots_are_resolved_and_names_with_dots_kept() {
        check("/a/./b", Ok("/a/b"));
        check("/a/.", Ok("/a/"));
        check("/.", Ok("/"));
        check("/a/../b", Ok("/b"));
        check("/a/b/..", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/a//../b", Ok("/b"));
        check("/a/.../b", Ok("/a/.../b"));
        check("/.well-known/..x/x../.x", Ok("/.well-known/..x/x../.x"));
        check("/js-sdk/..%2fetc", Ok("/etc"));
        check("/js-sdk/%2e%2E/%2e/etc", Ok("/etc"));
    }

    #[test]
    fn climbing_over_the_root_is_refused() {
        check("/..", Err(PathError::AboveRoot));
        check("/../a", Err(PathError::AboveRoot));
        check("/a/../..", Err(PathError::AboveRoot));
        check("/%2e%2e%2f", Err(PathError::AboveRoot));
        check("//..", Err(PathError::AboveRoot));
        check("/a/../b/..", Ok("/"));
    }

    #[test]
    fn escapes_are_decoded_once() {
        check("/api/0/%72elays/", Ok("/api/0/relays/"));
        check("/%252e%252e/", Ok("/%2e%2e/"));
        check("/%25", Ok("/%"));
        check("/a%3Fb%23c+d", Ok("/a?b#c+d"));
        assert_eq!(
            normalise("/%fF").as_deref(),
            Ok(&b"/\xff"[..]),
            "bytes need not be UTF-8"
        );
    }

    #[test]
    fn broken_escapes_are_refused_with_their_place() {
        check("/a%", Err(PathError::BadEscape { at: 2 }));
        check("/a%4", Err(PathError::BadEscape { at: 2 }));
        check("/a%41%4g", Err(PathError::BadEscape { at: 5 }));
        check("/%u0041", Err(PathError::BadEscape { at: 1 }));
        check("/a%41", Ok("/aA"));
    }

    #[test]
    fn a_nul_is_refused_with_its_place() {
        check("/a%00", Err(PathError::Nul { at: 2 }));
        check("/%41\0", Err(PathError::Nul { at: 4 }));
        check("/a\0", Err(PathError::Nul { at: 2 }));
        check("/a%01", Ok("/a\u{1}"));
    }

    #[test]
    fn a_path_that_does_not_begin_with_a_slash_is_refused() {
        for raw in ["", "*", "api/1/store/", "%2fapi", "http://a/", "\0"] {
            check(raw, Err(PathError::NotAbsolute));
        }
    }

    /// A path that decodes to these bytes, every byte escaped but the slashes.
    fn encoded(path: &[u8]) -> String {
        let escape = |&byte: &u8| match byte {
            b'/' => "/".to_owned(),
            other => format!("%{other:02X}"),
        };
        path.iter().map(escape).collect()
    }

    proptest! {
        #[test]
        fn a_normal_form_stays_as_it_is(raw in "/(\\.|\\.\\.|/|%2[eEfF]|%25|%7e|[a.%/]|\\PC){0,12}") {
            if let Ok(once) = normalise(&raw) {
                let raw_again = encoded(&once);
                let again = normalise(&raw_again).expect("it has been normalised once");
                prop_assert_eq!(&*again, &*once);
            }
        }

        #[test]
        fn a_normal_form_has_no_dot_segments_and_no_empty_ones(raw in "/[a./%2ef0]{0,24}") {
            if let Ok(path) = normalise(&raw) {
                let mut segments = path.split(|&byte| byte == b'/');
                prop_assert_eq!(segments.next(), Some(&b""[..]), "begins with a slash");
                let segments: Vec<_> = segments.collect();
                let inner = segments.len() - 1;
                prop_assert!(segments[..inner].iter().all(|segment| !segment.is_empty()));
                prop_assert!(segments.iter().all(|segment| *segment != b"." && *segment != b".."));
                prop_assert!(path.len() <= raw.len());
            }
        }

        #[test]
        fn no_string_makes_it_panic(raw in any::<String>()) {
            let _outcome = normalise(&raw);
        }
    }
}

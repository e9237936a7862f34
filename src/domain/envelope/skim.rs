//! Line one in the plain form that SDKs write, read at a glance.
//!
//! Owns a subset of JSON: printable ASCII without escapes, nested a little. What it
//! takes, the JSON library takes with the same result; all else, errors above all,
//! it leaves to that. Every event pays for this look, so it decodes nothing.

use std::borrow::Cow;

use super::cleaned::is_relays_own;
use super::header::EnvelopeHeader;

/// Values nest two or three deep in practice; deeper ones are the library's.
const DEPTH_MAX: u8 = 8;

/// Reads a header in the plain form. `None`: read it properly.
pub(super) fn skim(line: &[u8]) -> Option<EnvelopeHeader<'_>> {
    let mut header = EnvelopeHeader::default();
    object(line, |cursor, key| {
        let known = match key {
            b"dsn" => &mut header.dsn,
            b"event_id" => &mut header.event_id,
            other => {
                header.forged |= is_relays_own(other);
                return cursor.value(0);
            }
        };
        let text = str::from_utf8(cursor.string()?).ok()?;
        // A second one is an error, and those are told elsewhere.
        known.replace(Cow::Borrowed(text)).is_none().then_some(())
    })?;
    Some(header)
}

/// Reads a line that is one plain object, each of whose values `take` takes, given its
/// key. `None`: it is something else, or `take` would not.
pub(super) fn object<'l>(
    line: &'l [u8],
    take: impl FnMut(&mut Cursor<'l>, &'l [u8]) -> Option<()>,
) -> Option<()> {
    if !is_plain(line) {
        return None;
    }
    let mut cursor = Cursor { left: line };
    cursor.object(take)?;
    cursor.left.is_empty().then_some(())
}

/// Printable ASCII without a backslash, tested without a branch for each byte.
fn is_plain(line: &[u8]) -> bool {
    let plain = |byte: u8| byte.wrapping_sub(b' ') < 0x5f && byte != b'\\';
    line.iter().fold(true, |all, &byte| all & plain(byte))
}

/// What is left of the line. Each method takes what it names off its front;
/// `None`: something else stands there.
pub(super) struct Cursor<'l> {
    left: &'l [u8],
}

/// Where the next quote is. Strings in headers are short: eight bytes at a time get there before
/// a search for long texts has begun.
fn quote_in(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    const QUOTES: u64 = ONES * 0x22;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // The lowest byte that is no longer anything is the first that was a quote.
        let differs = u64::from_le_bytes(*word) ^ QUOTES;
        let zeros = differs.wrapping_sub(ONES) & !differs & HIGHS;
        if zeros != 0 {
            return usize::try_from(zeros.trailing_zeros() / 8)
                .map(|byte| at * 8 + byte)
                .ok();
        }
    }
    let rest = rest.iter().position(|byte| *byte == b'"')?;
    Some(words.len() * 8 + rest)
}

impl<'l> Cursor<'l> {
    fn blanks(&mut self) {
        while let [b' ', rest @ ..] = self.left {
            self.left = rest;
        }
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        (*first == byte).then_some(())
    }

    /// A string's text: in a plain line the next quote ends it.
    pub(super) fn string(&mut self) -> Option<&'l [u8]> {
        self.byte(b'"')?;
        let (text, quoted) = self.left.split_at_checked(quote_in(self.left)?)?;
        self.left = quoted.get(1..)?;
        Some(text)
    }

    /// An object, each of whose values `take` takes, given its key.
    fn object(&mut self, mut take: impl FnMut(&mut Self, &'l [u8]) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |cursor| {
            let key = cursor.string()?;
            cursor.blanks();
            cursor.byte(b':')?;
            cursor.blanks();
            take(cursor, key)
        })
    }

    /// Elements with commas between, in a pair of brackets.
    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut take: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.byte(open)?;
        self.blanks();
        if self.left.first() == Some(&close) {
            return self.byte(close);
        }
        loop {
            take(self)?;
            self.blanks();
            let (next, rest) = self.left.split_first()?;
            self.left = rest;
            match *next {
                b',' => self.blanks(),
                next => return (next == close).then_some(()),
            }
        }
    }

    /// Any value, passed over.
    pub(super) fn value(&mut self, depth: u8) -> Option<()> {
        if depth == DEPTH_MAX {
            return None;
        }
        match self.left.first()? {
            b'"' => self.string().map(|_text| ()),
            b'{' => self.object(|cursor, _key| cursor.value(depth + 1)),
            b'[' => self.list(b'[', b']', |cursor| cursor.value(depth + 1)),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Option<()> {
        self.left = self.left.strip_prefix(word)?;
        Some(())
    }

    /// `-`, digits without a leading zero, a fraction; one with an exponent is the
    /// library's, which knows what is too large.
    fn number(&mut self) -> Option<()> {
        if let [b'-', rest @ ..] = self.left {
            self.left = rest;
        }
        let whole = self.digits()?;
        if whole.len() > 1 && whole.first() == Some(&b'0') {
            return None;
        }
        if let [b'.', rest @ ..] = self.left {
            self.left = rest;
            self.digits()?;
        }
        (!matches!(self.left.first(), Some(b'e' | b'E'))).then_some(())
    }

    /// One digit or more.
    pub(super) fn digits(&mut self) -> Option<&'l [u8]> {
        let count = self.left.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.left.split_at_checked(count.count())?;
        self.left = rest;
        (!digits.is_empty()).then_some(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::header;
    use super::*;
    use proptest::prelude::*;

    /// The same answer as the long way, wherever there is one.
    #[track_caller]
    fn check(line: &str, taken: bool) {
        let skimmed = skim(line.as_bytes());
        assert_eq!(skimmed.is_some(), taken, "{line:?}");
        if let Some(skimmed) = skimmed {
            assert_eq!(Ok(skimmed), header::read(line.as_bytes()), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn the_next_quote_is_the_first(text in proptest::collection::vec(0_u8..=255, 0..40)) {
            prop_assert_eq!(quote_in(&text), text.iter().position(|byte| *byte == b'"'));
        }

        /// Neighbours of a quote's value, which a borrow could make look like one.
        #[test]
        fn what_is_almost_a_quote_is_none(text in proptest::collection::vec(0x21_u8..=0x23, 0..40)) {
            prop_assert_eq!(quote_in(&text), text.iter().position(|byte| *byte == b'"'));
        }
    }

    #[test]
    fn what_sdks_write_is_read_at_a_glance() {
        for line in [
            r#"{}"#,
            r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-11-20T10:15:30.250Z","sdk":{"name":"sentry.python","version":"2.43.0"}}"#,
            r#"{"event_id": "9ec7", "dsn": "https://k@h/1", "trace": {"trace_id": "4a10", "sample_rate": "0.1", "sampled": "true", "n": [1, -2.5, null, true, false, []]}}"#,
            r#"{"forwarded_for":"6.6.6.6"}"#,
            r#"{"sdk":{"version":"1"},"version":7}"#,
            r#"{ "a" : 0 , "b" : { } }"#,
        ] {
            check(line, true);
        }
    }

    #[test]
    fn what_is_unusual_or_wrong_is_left_to_the_library() {
        for line in [
            r#"{"d\u0073n":"x"}"#,
            "{\"a\":\"\u{fc}\"}",
            "{\"a\":\t1}",
            r#"{"dsn":null}"#,
            r#"{"dsn":5}"#,
            r#"{"dsn":"a","dsn":"b"}"#,
            r#"{"a":1e9}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":+1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":tru}"#,
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":"b}"#,
            r#"{}}"#,
            r#"{"#,
            "",
            r#"{"a":[[[[[[[[1]]]]]]]]}"#,
        ] {
            check(line, false);
        }
    }

    proptest! {
        #[test]
        fn it_never_disagrees_with_the_library(
            line in "\\{(\"(dsn|event_id|version|a|)\" ?: ?(\"[a-z]{0,3}\"|-?[0-9]{1,3}(\\.[0-9])?|true|null|\\[1, ?\"x\"\\]|\\{\"dsn\":1\\})(, ?)?){0,4}\\}",
        ) {
            let skimmed = skim(line.as_bytes());
            if let Some(skimmed) = skimmed {
                prop_assert_eq!(Ok(skimmed), header::read(line.as_bytes()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_disagree(line in "[\\{\\}\\[\\]\",:a-d0-9 .\\\\-]{0,24}") {
            if let Some(skimmed) = skim(line.as_bytes()) {
                prop_assert_eq!(Ok(skimmed), header::read(line.as_bytes()));
            }
        }
    }
}

//! Patterns as Sentry's pages take them: `*` for anything, `?` for one character.
//!
//! Owns their form and the match. Case does not count, and a pattern is about the whole text:
//! what may stand around it takes a `*` on either side.

/// The longest pattern, in bytes: with what is matched bounded too, so is a match.
pub const PATTERN_BYTES_MAX: usize = 256;

/// How much of a text is looked at, in bytes; what lies beyond only a `*` matches.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    written: Box<str>,
    /// The same in lower case.
    folded: Box<[u8]>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It would match nothing but an empty text.
    #[error("empty")]
    Empty,
    /// Beyond [`PATTERN_BYTES_MAX`].
    #[error("over {PATTERN_BYTES_MAX} bytes")]
    TooLong,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// An empty one, or one beyond [`PATTERN_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        match text.len() {
            0 => Err(GlobError::Empty),
            1..=PATTERN_BYTES_MAX => Ok(Self {
                written: text.into(),
                folded: text.to_ascii_lowercase().into_bytes().into(),
            }),
            _ => Err(GlobError::TooLong),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether all of the text is as the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let (mut pattern_at, mut text_at) = (0, 0);
        // Where the last `*` may give way: behind it, and from where in the text.
        let mut star = None;
        let seen = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
        loop {
            match (self.folded.get(pattern_at), seen.get(text_at)) {
                (Some(b'*'), _) => {
                    pattern_at += 1;
                    if pattern_at == self.folded.len() {
                        return true;
                    }
                    star = Some((pattern_at, text_at));
                }
                (Some(b'?'), Some(_)) => {
                    pattern_at += 1;
                    text_at += character_bytes(seen, text_at);
                }
                (Some(want), Some(is)) if *want == is.to_ascii_lowercase() => {
                    pattern_at += 1;
                    text_at += 1;
                }
                (None, None) => return text.len() == seen.len(),
                (Some(_), Some(_)) | (None, Some(_)) => match &mut star {
                    Some((behind, from)) => {
                        *from += 1;
                        (pattern_at, text_at) = (*behind, *from);
                    }
                    None => return false,
                },
                // The text is over, and the pattern is not.
                (Some(_), None) => return false,
            }
        }
    }
}

/// The length of the character that begins here.
fn character_bytes(text: &[u8], at: usize) -> usize {
    let behind = text.get(at + 1..).unwrap_or_default();
    let more = behind.iter().take_while(|byte| **byte & 0xc0 == 0x80);
    1 + more.count()
}

/// Whether any of the patterns matches.
#[must_use]
pub fn any(patterns: &[Glob], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matched: &[&str], missed: &[&str]) {
        let glob = Glob::parse(pattern).unwrap();
        for text in matched {
            assert!(glob.matches(text), "{pattern} misses {text}");
        }
        for text in missed {
            assert!(!glob.matches(text), "{pattern} matches {text}");
        }
    }

    #[test]
    fn a_pattern_is_about_the_whole_text() {
        check("prod", &["prod", "PROD"], &["", "production", "a prod"]);
        check("prod*", &["prod", "production"], &["a prod"]);
        check("*prod", &["prod", "a prod"], &["production"]);
        check("*prod*", &["prod", "a production"], &["pro d", "rod"]);
        check("*", &["", "anything"], &[]);
        check("a*b*c", &["abc", "a1b2c", "abbcbc"], &["ab", "acb", "abcd"]);
        check("**a", &["a", "ba"], &["ab"]);
    }

    #[test]
    fn a_question_mark_is_one_character_of_any_length() {
        check("a?c", &["abc", "aéc", "a\u{1f600}c"], &["ac", "abbc"]);
        check("?", &["é"], &["", "ab"]);
        check("*?", &["a", "éé"], &[""]);
    }

    #[test]
    fn what_is_not_ascii_is_matched_as_it_is() {
        check("größe*", &["größe 4", "GRößE"], &["grÖße"]);
    }

    #[test]
    fn patterns_and_texts_have_a_limit() {
        let longest = "a".repeat(PATTERN_BYTES_MAX);
        assert!(Glob::parse(&longest).is_ok());
        assert_eq!(Glob::parse(&format!("{longest}a")), Err(GlobError::TooLong));
        assert_eq!(Glob::parse(""), Err(GlobError::Empty));
        let seen = "b".repeat(TEXT_BYTES_MAX);
        let beyond = format!("{seen}b");
        check("b*", &[&seen, &beyond], &[]);
        check("*b", &[&seen], &[&beyond]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_definition(
            pattern in "[ab*?]{1,6}",
            text in "[abAé]{0,7}",
        ) {
            fn plain(pattern: &[char], text: &[char]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    (['*', rest @ ..], _) => {
                        plain(rest, text) || !text.is_empty() && plain(pattern, &text[1..])
                    }
                    (['?', rest @ ..], [_, left @ ..]) => plain(rest, left),
                    ([want, rest @ ..], [is, left @ ..]) => {
                        *want == is.to_ascii_lowercase() && plain(rest, left)
                    }
                    ([], [_, ..]) | ([_, ..], []) => false,
                }
            }
            let glob = Glob::parse(&pattern).unwrap();
            let signs = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob.matches(&text), plain(&signs(&pattern), &signs(&text)));
        }
    }
}

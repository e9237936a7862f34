//! Patterns as Sentry's page of inbound filters takes them.
//!
//! `*` is anything, `?` one character, `[ab0-9]` one of these and `[!ab0-9]` one of all others,
//! `{one,other}` either, and `\` takes the next character as it is. Owns their form and the
//! match. Case does not count, and a pattern is about the whole text: what may stand around it
//! takes a `*` on either side.

mod reading;
mod steps;

use steps::Steps;

/// The longest pattern, in bytes: with what is matched bounded too, so is a match.
pub const PATTERN_BYTES_MAX: usize = 256;

/// How much of a text is looked at, in bytes; what lies beyond only a `*` matches.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// How deep alternatives may stand in each other: deeper is a slip, or made to be one.
pub const NESTING_MAX: usize = 4;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    written: Box<str>,
    form: Form,
}

/// What a text is held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    /// Nothing but `*`, `?` and characters, in lower case: nearly all are so.
    Plain(Box<[u8]>),
    /// All others.
    Steps(Steps),
}

/// Why a text is no pattern. Characters are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It would match nothing but an empty text.
    #[error("an empty pattern")]
    Empty,
    /// Beyond [`PATTERN_BYTES_MAX`].
    #[error("too long a pattern")]
    TooLong,
    /// `[a`.
    #[error("a [ that is never closed (character {at})")]
    OpenClass {
        /// Of the bracket.
        at: usize,
    },
    /// `[]` or `[!]`, which some read as a class that begins with a bracket.
    #[error("a class of nothing (character {at})")]
    EmptyClass {
        /// Of the bracket.
        at: usize,
    },
    /// `[^a]`, which some read as `[!a]` and others as it stands.
    #[error("a class that begins with ^ (character {at}): write [! for all others, [\\^ for a ^")]
    Caret {
        /// Of the bracket.
        at: usize,
    },
    /// `[[:digit:]]`, which Sentry does not name.
    #[error("a class by name (character {at}): write such as [0-9]")]
    NamedClass {
        /// Of the inner bracket.
        at: usize,
    },
    /// `[z-a]`.
    #[error("a range that ends before it begins (character {at})")]
    Range {
        /// Of its beginning.
        at: usize,
    },
    /// `{a,b`.
    #[error("a {{ that is never closed (character {at})")]
    OpenAlternatives {
        /// Of the brace.
        at: usize,
    },
    /// `{a}`, which some read as `a` and others as it stands.
    #[error("only one between braces (character {at})")]
    OneAlternative {
        /// Of the brace.
        at: usize,
    },
    /// Beyond [`NESTING_MAX`].
    #[error("more than {NESTING_MAX} braces in each other (character {at})")]
    TooDeep {
        /// Of the innermost brace.
        at: usize,
    },
    /// A `\` at the end.
    #[error("a \\ with nothing behind it")]
    Backslash,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// An empty one, one beyond [`PATTERN_BYTES_MAX`], or one that could mean two things.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let form = match text.len() {
            0 => return Err(GlobError::Empty),
            1..=PATTERN_BYTES_MAX => match text.contains(['[', '{', '\\']) {
                true => Form::Steps(reading::steps(text)?),
                false => Form::Plain(text.to_ascii_lowercase().into_bytes().into()),
            },
            _ => return Err(GlobError::TooLong),
        };
        Ok(Self {
            written: text.into(),
            form,
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether all of the text is as the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.form {
            Form::Plain(pattern) => is_as_plain(pattern, text),
            Form::Steps(steps) => steps.lead_through(text, || {}),
        }
    }
}

fn is_as_plain(pattern: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let (mut pattern_at, mut text_at) = (0, 0);
    // Where the last `*` may give way: behind it, and from where in the text.
    let mut star = None;
    let seen = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
    loop {
        match (pattern.get(pattern_at), seen.get(text_at)) {
            (Some(b'*'), _) => {
                pattern_at += 1;
                if pattern_at == pattern.len() {
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

/// The length of the character that begins here.
fn character_bytes(text: &[u8], at: usize) -> usize {
    let behind = text.get(at + 1..).unwrap_or_default();
    let more = behind.iter().take_while(|byte| **byte & 0xc0 == 0x80);
    1 + more.count()
}

#[cfg(test)]
mod tests;

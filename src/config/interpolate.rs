//! Owns `${VAR}` and `${VAR:-default}` in a file's values.
//!
//! Substitution happens after YAML was read, in each value alone: whatever a
//! variable holds, it cannot add a key, an element or a comment. Keys are not
//! substituted, nor is what a variable brought in. `$$` is a `$`; a `$` before
//! anything else stays one.

use std::borrow::Cow;

use super::env::Env;
use super::errors::shown;

/// Why a value's `${...}` cannot be substituted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the variable {} is not set", shown(.0))]
    Unset(String),
    #[error("no name in ${{...}}")]
    NotAName,
    #[error("no end to ${{")]
    NoEnd,
}

impl Refused {
    /// What to do instead.
    pub(super) fn accepted(&self) -> &'static str {
        match self {
            Self::Unset(_) => "set it, or write ${NAME:-default}",
            Self::NotAName | Self::NoEnd => "write ${NAME} or ${NAME:-default}, and $$ for a $",
        }
    }
}

/// Puts the environment into one value.
pub(super) fn expand<'t>(text: &'t str, env: &Env) -> Result<Cow<'t, str>, Refused> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = match after.strip_prefix('{') {
            Some(inside) => {
                let (inside, after) = inside.split_once('}').ok_or(Refused::NoEnd)?;
                out.push_str(lookup(inside, env)?);
                after
            }
            None => {
                out.push('$');
                after.strip_prefix('$').unwrap_or(after)
            }
        };
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// An unset variable and an empty one both take the default, as in Compose.
fn lookup<'a>(inside: &'a str, env: &'a Env) -> Result<&'a str, Refused> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    match (is_name, default) {
        (false, _) => Err(Refused::NotAName),
        (true, Some(default)) => Ok(env.value(name).unwrap_or(default)),
        (true, None) => env.set(name).ok_or_else(|| Refused::Unset(name.to_owned())),
    }
}

/// What YAML would take for structure inside `${...}`, and stand-ins from
/// Unicode's private use area that it takes for letters.
const STAND_INS: [(char, char); 5] = [
    ('{', '\u{E000}'),
    ('}', '\u{E001}'),
    ('[', '\u{E002}'),
    (']', '\u{E003}'),
    (',', '\u{E004}'),
];

/// Hides the structure inside `${...}`, so that it may stand unquoted in
/// `{a: ${B}}`. Each character is replaced by one, so every place in the text
/// keeps its line and column. A text that uses the stand-ins itself stays as it is.
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    let foreign = |c: char| STAND_INS.iter().any(|(_, stand_in)| *stand_in == c);
    if !text.contains("${") || text.contains(foreign) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        out.push('$');
        rest = match (after.strip_prefix('$'), reference(after)) {
            (Some(after), _) => {
                out.push('$');
                after
            }
            (None, Some((inside, after))) => {
                out.extend(inside.chars().map(stand_in));
                after
            }
            (None, None) => after,
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Splits `{NAME}` or `{NAME:-default}` off, if it ends in its line; also what
/// Compose knows and we refuse, so that the error is about that.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    let after_name = inside.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    // Never looks further than the brace: a line may hold a whole configuration.
    let (default, _) = after_name.split_once(['}', '\n'])?;
    let name = inside.len() - after_name.len();
    let end = 1 + name + default.len();
    let ended = text.get(end..)?.starts_with('}');
    let whole =
        ended && name > 0 && (default.is_empty() || default.starts_with([':', '-', '?', '+']));
    whole.then(|| text.split_at_checked(end + 1)).flatten()
}

/// Undoes [`mask`] in one value.
pub(super) fn unmask(text: &str) -> String {
    let back = |c| {
        STAND_INS
            .iter()
            .find(|(_, stand_in)| *stand_in == c)
            .map_or(c, |(c, _)| *c)
    };
    text.chars().map(back).collect()
}

fn stand_in(c: char) -> char {
    STAND_INS
        .iter()
        .find(|(structure, _)| *structure == c)
        .map_or(c, |(_, stand_in)| *stand_in)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: Result<&str, Refused>) {
        let env = Env::from([
            ("HOST", "relay"),
            ("EMPTY", ""),
            ("NESTED", "${HOST}"),
            ("_1", "one"),
        ]);
        assert_eq!(expand(text, &env).as_deref(), want.as_deref(), "{text}");
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        check("http://${HOST}:3000", Ok("http://relay:3000"));
        check("${HOST}${_1}", Ok("relayone"));
        check("${HOST:-web}", Ok("relay"));
        check("${MISSING:-web}", Ok("web"));
        check("${EMPTY:-web}", Ok("web"));
        check("${MISSING:-}", Ok(""));
        check("${EMPTY}", Ok(""));
        check("${MISSING:-[::1]:80}", Ok("[::1]:80"));
    }

    #[test]
    fn a_dollar_can_be_written() {
        check("a$b", Ok("a$b"));
        check("a$", Ok("a$"));
        check("a$$b", Ok("a$b"));
        check("$${HOST}", Ok("${HOST}"));
        check("$$${HOST}", Ok("$relay"));
    }

    #[test]
    fn what_a_variable_holds_is_not_read_again() {
        check("${NESTED}", Ok("${HOST}"));
    }

    #[test]
    fn what_cannot_be_substituted_is_refused() {
        check("${MISSING}", Err(Refused::Unset("MISSING".to_owned())));
        check("${}", Err(Refused::NotAName));
        check("${1A}", Err(Refused::NotAName));
        check("${HOST-web}", Err(Refused::NotAName));
        check("${HOST:?no}", Err(Refused::NotAName));
        check("${A B}", Err(Refused::NotAName));
        check("${HOST", Err(Refused::NoEnd));
    }

    #[track_caller]
    fn check_mask(text: &str, hidden: &str) {
        let masked = mask(text).replace(|c| ('\u{E000}'..='\u{E004}').contains(&c), "_");
        assert_eq!(masked, hidden, "{text}");
    }

    #[test]
    fn only_whole_variables_are_hidden() {
        check_mask("{a: ${B}, c: ${D:-[::1],{}}", "{a: $_B_, c: $_D:-_::1____}");
        check_mask("{a: \"${\", b: c}", "{a: \"${\", b: c}");
        check_mask("{a: \"$${B\", c: d}", "{a: \"$${B\", c: d}");
        check_mask("{a: ${B\n}", "{a: ${B\n}");
        check_mask("{a: ${B c}, d: ${E}}", "{a: ${B c}, d: $_E_}");
    }

    proptest! {
        /// Also where the text is full of what looks like a variable.
        #[test]
        fn masking_keeps_every_place_and_comes_off(text in "[${}\\[\\],:a\\n -]{0,40}") {
            let masked = mask(&text);
            prop_assert_eq!(masked.chars().count(), text.chars().count());
            prop_assert_eq!(unmask(&masked), text);
        }

        #[test]
        fn no_value_panics(text in ".{0,60}") {
            let env = Env::empty();
            let opened = text.contains("${");
            prop_assert!(opened || expand(&text, &env).is_ok());
        }
    }
}

//! Owns what is said about a configuration that cannot be used: where, what,
//! and what would be accepted. Never shows a value, since it may be a secret;
//! keys are shown, cut short and escaped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::tree::Node;

/// Everything that is wrong with a configuration, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<ConfigError>);

/// One thing that is wrong, shown as `FILE:LINE:COL: error: ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct ConfigError {
    /// Where to look.
    pub place: Place,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// Where a key or a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file as a whole.
    File(String),
    /// A place in a file.
    At {
        /// The file as it was named to us; shared, since every value has a place.
        file: Arc<str>,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// The environment as a whole.
    Environment,
    /// An environment variable, by name.
    Variable(String),
}

impl Place {
    /// Says that what a variable sets here stands in the place of what a file has of `path`.
    pub(super) fn over(&self, path: &str, before: Option<&Self>) -> Option<String> {
        match (self, before) {
            (Self::Variable(name), Some(Self::At { file, line, .. })) => {
                Some(format!("{name} overrides {path} of {file}:{line}"))
            }
            (_, _) => None,
        }
    }
}

impl ConfigError {
    fn line(&self) -> String {
        let message = &self.message;
        match &self.place {
            Place::File(file) => format!("{file}: error: {message}"),
            Place::At { file, line, column } => format!("{file}:{line}:{column}: error: {message}"),
            Place::Environment => format!("environment: error: {message}"),
            Place::Variable(name) => format!("environment: error: {name}: {message}"),
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<ConfigError> for Errors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Collects errors and warnings, so that one run names them all.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
    /// Where files are named that are still to be looked into, by the path of the value.
    pub(super) files: BTreeMap<String, Place>,
    /// Where values stand that are judged beside others, by the path of the value.
    pub(super) noted: BTreeMap<String, Place>,
}

impl Faults {
    pub(super) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.errors.push(ConfigError {
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Notes that a value names a file.
    pub(super) fn names_file(&mut self, node: &Node) {
        self.files.insert(node.path.clone(), node.place.clone());
    }

    /// Notes where a value stands that is judged beside others.
    pub(super) fn notes(&mut self, node: &Node) {
        self.noted.insert(node.path.clone(), node.place.clone());
    }

    /// A value that cannot be used: `wrong` says what it is not, `accepted`
    /// what to write.
    pub(super) fn value(&mut self, node: &Node, wrong: &str, accepted: &str) {
        self.value_at(&node.place, &node.path, wrong, accepted);
    }

    /// The same for a value that is no node yet.
    pub(super) fn value_at(&mut self, place: &Place, path: &str, wrong: &str, accepted: &str) {
        self.error(place, format!("{wrong} in {path}; {accepted}"));
    }

    /// A key that nobody knows among `known`. `path` is where it stands, empty at the top.
    pub(super) fn unknown_key<'k>(
        &mut self,
        place: &Place,
        key: &str,
        path: &str,
        known: impl Iterator<Item = &'k str>,
    ) {
        self.unknown_key_near(place, key, path, nearest(key, known));
    }

    /// The same, where it is known already what was meant.
    pub(super) fn unknown_key_near<'k>(
        &mut self,
        place: &Place,
        key: &str,
        path: &str,
        near: impl IntoIterator<Item = &'k str>,
    ) {
        let shown = shown(key);
        let at = match path {
            "" => "at the top".to_owned(),
            path => format!("in {path}"),
        };
        let near: Vec<String> = near.into_iter().map(|near| format!("\"{near}\"")).collect();
        let hint = match near.is_empty() {
            true => String::new(),
            false => format!("; did you mean {}?", near.join(" or ")),
        };
        self.error(place, format!("unknown key \"{shown}\" {at}{hint}"));
    }

    /// A key or a word of the documented configuration that this version lacks.
    pub(super) fn later(&mut self, place: &Place, what: &str) {
        self.error(
            place,
            format!("\"{what}\" is not in this version yet; remove it"),
        );
    }
}

/// The nearest of `known`, if a slip of the fingers can explain the difference:
/// one edit in three characters, case and dashes aside, or one where many are meant.
pub(super) fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const CHARACTERS_PER_EDIT: usize = 3;
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let written = folded(written);
    let edits_max = (written.chars().count() / CHARACTERS_PER_EDIT).max(1);
    let edits = |name: &str| match is_one_of_many(&written, name) || is_one_of_many(name, &written)
    {
        true => 1,
        false => strsim::damerau_levenshtein(&written, &folded(name)),
    };
    known
        .map(|name| (edits(name), name))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Whether a word is the singular of another.
fn is_one_of_many(one: &str, many: &str) -> bool {
    match one.strip_suffix('y') {
        Some(stem) => many.strip_prefix(stem) == Some("ies"),
        None => many.strip_prefix(one) == Some("s"),
    }
}

/// A key as an error may show it: escaped, and cut at a length no real key has.
pub(super) fn shown(key: &str) -> String {
    const CHARACTERS_MAX: usize = 48;
    key.chars()
        .take(CHARACTERS_MAX)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, want: Option<&str>) {
        let known = ["upstream", "listen", "limits", "log", "client_ip"];
        assert_eq!(nearest(written, known.into_iter()), want, "{written}");
    }

    #[test]
    fn a_slip_names_the_key_that_was_meant() {
        check("upstrem", Some("upstream"));
        check("upstraem", Some("upstream"));
        check("Client-IP", Some("client_ip"));
        check("lgo", Some("log"));
    }

    #[test]
    fn one_and_many_are_told_apart_by_no_slip() {
        let known = || ["categories", "rate", "releases"].into_iter();
        assert_eq!(nearest("category", known()), Some("categories"));
        assert_eq!(nearest("Rates", known()), Some("rate"));
        assert_eq!(nearest("release", known()), Some("releases"));
        assert_eq!(nearest("categ", known()), None);
    }

    #[test]
    fn another_word_names_none() {
        check("volumes", None);
        check("x", None);
        check("", None);
    }

    #[test]
    fn errors_show_one_a_line() {
        let at = |line| Place::At {
            file: "v.yml".into(),
            line,
            column: 3,
        };
        let mut faults = Faults::default();
        faults.unknown_key(&at(1), "quotaz", "projects[0]", ["quotas"].into_iter());
        faults.unknown_key(&at(2), "a\u{1b}[31m", "", ["quotas"].into_iter());
        faults.later(
            &Place::Variable("VIDETTE_SPOOL_PATH".to_owned()),
            "spool.path",
        );
        faults.error(&Place::File("w.yml".to_owned()), "cannot be read");
        faults.error(&Place::Environment, "no upstream");
        assert_eq!(
            Errors(faults.errors).to_string(),
            "v.yml:1:3: error: unknown key \"quotaz\" in projects[0]; did you mean \"quotas\"?\n\
             v.yml:2:3: error: unknown key \"a\\u{1b}[31m\" at the top\n\
             environment: error: VIDETTE_SPOOL_PATH: \"spool.path\" is not in this version yet; remove it\n\
             w.yml: error: cannot be read\n\
             environment: error: no upstream"
        );
    }
}

//! Owns plain text: words from a closed list, names, paths and tokens.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{Kind, Shown, Variable, each, refuse, scalar};
use crate::config::checked::{AccessTarget, Secret};
use crate::config::errors::{Faults, nearest};
use crate::config::shape;
use crate::config::tree::Node;

/// One word of a closed list.
pub(in crate::config) struct Word<T: 'static> {
    pub(in crate::config) words: &'static [(&'static str, T)],
    /// Words of the documented configuration that this version lacks.
    pub(in crate::config) later: &'static [&'static str],
}

impl<T> Word<T> {
    /// One of these, all of which this version has.
    pub(in crate::config) const fn of(words: &'static [(&'static str, T)]) -> Self {
        Self { words, later: &[] }
    }
}

impl<T: Copy + PartialEq> Kind for Word<T> {
    type Value = T;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<T> {
        let accepted = format!("write {}", one_of(self.words.iter().map(|(word, _)| *word)));
        let text = scalar(node, faults, &accepted)?;
        if let Some((_, value)) = self.words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        if let Some(word) = self.later.iter().find(|word| **word == text) {
            let message = format!(
                "\"{word}\" in {} is not in this version yet; {accepted}",
                node.path
            );
            faults.error(&node.place, message);
            return None;
        }
        let near = meant(text, self.words.iter().map(|(word, _)| *word));
        refuse(
            node,
            faults,
            "an unknown word",
            &format!("{accepted}{near}"),
        )
    }

    fn show(&self, value: &T) -> Shown {
        let word = self.words.iter().find(|(_, known)| known == value);
        word.map_or(Shown::Absent, |(word, _)| Shown::Text((*word).to_owned()))
    }

    fn shape(&self) -> Json {
        shape::words(self.words.iter().map(|(word, _)| *word))
    }
}

/// `a, b or c`.
pub(super) fn one_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

/// A path, or nothing, written empty.
pub(in crate::config) struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write a path";
        match scalar(node, faults, ACCEPTED)? {
            "" => Some(None),
            text if text.contains('\0') => refuse(node, faults, "a NUL", ACCEPTED),
            text => Some(Some(PathBuf::from(text))),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let path = value.as_ref().map(|path| path.display().to_string());
        path.map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::any_text()
    }
}

/// A directory, or nothing, written `off`. It must have a slash: a word that means
/// no would else become one.
pub(in crate::config) struct PathOrOff;

/// The word for no directory.
const OFF: &str = "off";

impl Kind for PathOrOff {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write a directory such as /var/lib/vidette, or off";
        match scalar(node, faults, ACCEPTED)? {
            OFF => Some(None),
            text if text.contains('/') && !text.contains('\0') => Some(Some(PathBuf::from(text))),
            _ => refuse(node, faults, "not a directory's path", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let path = value.as_ref().map(|path| path.display().to_string());
        Shown::Text(path.unwrap_or_else(|| OFF.to_owned()))
    }

    fn shape(&self) -> Json {
        shape::text("^off$|/")
    }
}

/// A file, or standard output, written `stdout`. A file must have a slash, as a directory must.
pub(in crate::config) struct StdoutOrPath;

/// The word for no file.
const STDOUT: &str = "stdout";

impl Kind for StdoutOrPath {
    type Value = AccessTarget;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write stdout, or a file such as /var/log/vidette/access.log";
        let file = |text: &str| text.contains('/') && !text.ends_with('/') && !text.contains('\0');
        match scalar(node, faults, ACCEPTED)? {
            STDOUT => Some(AccessTarget::Stdout),
            text if file(text) => Some(AccessTarget::File(PathBuf::from(text))),
            _ => refuse(node, faults, "not a file's path", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        Shown::Text(match value {
            AccessTarget::Stdout => STDOUT.to_owned(),
            AccessTarget::File(path) => path.display().to_string(),
        })
    }

    fn shape(&self) -> Json {
        shape::text("^stdout$|/.*[^/]$")
    }
}

/// A secret that a header can carry, or nothing, written empty.
pub(in crate::config) struct Token {
    /// What errors call it.
    pub(in crate::config) what: &'static str,
    /// The key that names a file which may hold it instead.
    pub(in crate::config) file: &'static str,
}

impl Kind for Token {
    type Value = Option<Secret>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        let Self { what, file } = self;
        let accepted = format!("write visible ASCII without blanks, or name a file in {file}");
        match scalar(node, faults, &accepted)? {
            "" => Some(None),
            Secret::MASK => {
                let wrong = format!("the mask that stands for a {what} where one is shown");
                refuse(node, faults, &wrong, &accepted)
            }
            text => match token(text) {
                Some(secret) => Some(Some(secret)),
                None => refuse(node, faults, &format!("not a {what}"), &accepted),
            },
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        value
            .as_ref()
            .map_or(Shown::Absent, |secret| Shown::Text(secret.to_string()))
    }

    fn shape(&self) -> Json {
        shape::text_or_digits("^ *[!-~]* *$")
    }
}

/// A token as `Authorization: Bearer` can carry it, blanks around it cut off.
pub(in crate::config) fn token(text: &str) -> Option<Secret> {
    let text = text.trim();
    let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    visible.then(|| Secret::new(text))
}

/// A user of this system, or nobody, written empty.
pub(in crate::config) struct UserName;

impl Kind for UserName {
    type Value = Option<String>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        /// The longest that Linux lets one be.
        const CHARACTERS_MAX: usize = 32;
        const ACCEPTED: &str = "write a user's name, such as vidette";
        let text = scalar(node, faults, ACCEPTED)?;
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let name = text.as_bytes().first().is_some_and(begins)
            && text.bytes().all(inner)
            && text.len() <= CHARACTERS_MAX;
        match text {
            "" => Some(None),
            _ if name => Some(Some(text.to_owned())),
            _ => refuse(node, faults, "not a user's name", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        value.clone().map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::text("^([A-Za-z_][A-Za-z0-9_.-]{0,31})?$")
    }
}

/// Names accepted in `Host`.
pub(in crate::config) struct Hosts;

impl Kind for Hosts {
    type Value = Vec<String>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        each(
            node,
            faults,
            "write a list such as [localhost, edge.example.org]",
            |node, faults| {
                const ACCEPTED: &str = "write a name or an address without a port";
                let text = scalar(node, faults, ACCEPTED)?;
                match host(text) {
                    Some(host) => Some(host),
                    None => refuse(node, faults, "not a host name", ACCEPTED),
                }
            },
        )
    }

    fn show(&self, value: &Self::Value) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, usize::MAX, shape::text("^[A-Za-z0-9_.:-]+$"))
    }
}

/// A host in lower case: a name, an IPv4 address, or an IPv6 one without brackets.
pub(super) fn host(text: &str) -> Option<String> {
    /// The longest name that the DNS can hold.
    const CHARACTERS_MAX: usize = 253;
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(address.to_string());
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    // A last label of digits is an address that went wrong, such as 10.0.0.256.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let address = last.bytes().all(|byte| byte.is_ascii_digit());
    let name = text.len() <= CHARACTERS_MAX && labels.split('.').all(label) && !address;
    name.then(|| text.to_ascii_lowercase())
}

/// `; did you mean "..."?`, where one of the words is near.
pub(super) fn meant<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> String {
    nearest(text, words).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"))
}

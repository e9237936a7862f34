//! Owns laying sources over each other: defaults, then the file, then the
//! environment, each through the same table. Decides what is an error and what a
//! warning; what keys say together is judged in `across`.

use std::collections::BTreeMap;

use super::checked::Config;
use super::draft::Draft;
use super::env::Env;
use super::errors::{Errors, Faults, Place, nearest, shown};
use super::keys::{COMMAND_LINE_VARIABLES, KEYS, Key, State, VARIABLES, join};
use super::kinds::Variable;
use super::tree::{self, Content, Entry, Node};

/// A configuration without the secrets that other files hold.
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
    /// Where each key that was set was set last.
    pub(super) places: BTreeMap<&'static str, Place>,
    /// Where files are named that nobody has looked into.
    pub(super) files: BTreeMap<String, Place>,
}

/// Checks a file's text with the environment laid over it.
pub(super) fn file(name: &str, text: &str, env: &Env) -> Result<Checked, Errors> {
    let mut reading = Reading::new();
    match tree::read(name, text, env, &mut reading.faults) {
        Some(root) => reading.section(&root, ""),
        // What else is missing cannot be said of a text that was not read to its end.
        None if !reading.faults.errors.is_empty() => return Err(Errors(reading.faults.errors)),
        None => {}
    }
    let end = Place::At {
        file: name.into(),
        line: 1,
        column: 1,
    };
    reading.variables(env);
    reading.finish(&end)
}

/// Checks the environment alone.
pub(super) fn environment(env: &Env) -> Result<Checked, Errors> {
    let mut reading = Reading::new();
    reading.variables(env);
    reading.finish(&Place::Environment)
}

/// What was read so far, and what was wrong with it.
pub(super) struct Reading {
    pub(super) draft: Draft,
    pub(super) faults: Faults,
    /// Which keys were set, well or badly, and where last.
    pub(super) places: BTreeMap<&'static str, Place>,
}

impl Reading {
    fn new() -> Self {
        Self {
            draft: Draft::new(),
            faults: Faults::default(),
            places: BTreeMap::new(),
        }
    }

    fn section(&mut self, node: &Node, path: &str) {
        let entries = match &node.content {
            Content::Map(entries) => entries,
            Content::Empty | Content::Reported => return,
            Content::Scalar(_) | Content::List(_) if path.is_empty() => {
                return self
                    .faults
                    .error(&node.place, "no keys at the top; write key: value lines");
            }
            Content::Scalar(_) | Content::List(_) => {
                let known: Vec<&str> = below(path).collect();
                let accepted = match known.as_slice() {
                    // Whoever writes its one value right here is told the whole line.
                    [only] => format!("write {path}: {{{only}: ...}}"),
                    several => format!("it takes {}", several.join(", ")),
                };
                return self.faults.value(node, "no keys", &accepted);
            }
        };
        for entry in entries {
            self.entry(entry, path);
        }
    }

    fn entry(&mut self, Entry { key, place, value }: &Entry, section: &str) {
        // A dot in a key would name a path that is not written as one.
        let path = join(section, key);
        let known = (!key.contains('.')).then_some(path.as_str());
        match known.and_then(|path| KEYS.iter().find(|key| key.path == path)) {
            Some(Key {
                path,
                state: State::Later,
            }) => self.faults.later(place, path),
            Some(key) => self.set(key, value),
            None if known.is_some_and(|path| below(path).next().is_some()) => {
                self.section(value, &path)
            }
            None => self.faults.unknown_key(place, key, section, below(section)),
        }
    }

    fn set(&mut self, key: &Key, node: &Node) {
        let State::Here(used) = &key.state else {
            return;
        };
        if node.content != Content::Empty {
            self.places.insert(key.path, node.place.clone());
            (used.read)(node, &mut self.draft, &mut self.faults);
        }
    }

    fn variables(&mut self, env: &Env) {
        for name in env.names(VARIABLES) {
            let key = KEYS.iter().find(|key| key.variable() == name);
            let place = Place::Variable(name.to_owned());
            match key.map(|key| (key, &key.state)) {
                Some((key, State::Later)) => self.faults.later(&place, key.path),
                Some((key, State::Here(used))) => {
                    let Some(text) = env.value(name) else {
                        continue;
                    };
                    match node(text, key.path, &place, used.variable) {
                        Some(node) => self.set(key, &node),
                        None => self.faults.error(
                            &place,
                            format!("{} cannot be set here; write it in a file", key.path),
                        ),
                    }
                }
                None if COMMAND_LINE_VARIABLES.contains(&name) => {}
                None => self.warn_of(name),
            }
        }
    }

    /// Only a warning: Kubernetes sets `VIDETTE_SERVICE_HOST` and others for a
    /// service of our name.
    fn warn_of(&mut self, name: &str) {
        let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
        let known = known
            .iter()
            .map(String::as_str)
            .chain(COMMAND_LINE_VARIABLES);
        let hint =
            nearest(name, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        let name = shown(name);
        self.faults
            .warnings
            .push(format!("the environment's {name} sets nothing{hint}"));
    }

    /// `end` is where something that is missing is said to be missing.
    fn finish(mut self, end: &Place) -> Result<Checked, Errors> {
        self.across(end);
        let Faults {
            mut errors,
            mut warnings,
            files,
        } = self.faults;
        // Stable: what stands at one place stays in the order it was found.
        errors.sort_by(|one, other| one.place.cmp(&other.place));
        errors.dedup();
        warnings.dedup();
        match errors.is_empty() {
            true => Ok(Checked {
                config: self.draft.config,
                warnings,
                places: self.places,
                files,
            }),
            false => Err(Errors(errors)),
        }
    }
}

/// The keys right below a path, each once.
fn below(path: &str) -> impl Iterator<Item = &'static str> {
    let prefix = join(path, "");
    let mut last = "";
    KEYS.iter().filter_map(move |key| {
        let next = key.path.strip_prefix(&prefix)?.split('.').next()?;
        let new = next != last;
        last = next;
        new.then_some(next)
    })
}

/// A variable's text as the node it would be in a file.
fn node(text: &str, path: &str, place: &Place, variable: Variable) -> Option<Node> {
    let scalar = |text: &str, path: String| {
        let content = Content::Scalar(text.trim().to_owned());
        Node {
            place: place.clone(),
            path,
            content,
        }
    };
    match variable {
        Variable::One => Some(scalar(text, path.to_owned())),
        Variable::List => {
            let each = text.split(',').enumerate();
            let nodes = each
                .map(|(at, text)| scalar(text, format!("{path}[{at}]")))
                .collect();
            let content = Content::List(nodes);
            Some(Node {
                place: place.clone(),
                path: path.to_owned(),
                content,
            })
        }
        Variable::Never => None,
    }
}

//! Owns laying sources over each other: defaults, then the file, then the
//! environment, each through the same table. Decides what is an error and what a
//! warning; what keys say together is judged in `across`.

use std::collections::BTreeMap;

use super::checked::Config;
use super::draft::Draft;
use super::env::Env;
use super::errors::{Errors, Faults, Place, nearest, shown};
use super::keys::{COMMAND_LINE_VARIABLES, KEYS, Key, VARIABLES, join};
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
    /// Keys whose own keys have variables: read once these are laid over them.
    held: Vec<(&'static Key, Node)>,
}

impl Reading {
    fn new() -> Self {
        Self {
            draft: Draft::new(),
            faults: Faults::default(),
            places: BTreeMap::new(),
            held: Vec::new(),
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
            Some(key) => self.set(key, value),
            None if known.is_some_and(|path| below(path).next().is_some()) => {
                self.section(value, &path)
            }
            None => {
                let near = nearest(key, below(section)).map(str::to_owned);
                let near = near.map_or_else(|| elsewhere(key), |near| vec![near]);
                let near = near.iter().map(String::as_str);
                self.faults.unknown_key_near(place, key, section, near);
            }
        }
    }

    fn set(&mut self, key: &'static Key, node: &Node) {
        match key.used.variable {
            _ if node.content == Content::Empty => {}
            Variable::Keys { .. } => {
                let at = self.held.iter().position(|(held, _)| held.path == key.path);
                let before = at.map(|at| self.held.remove(at).1.place);
                self.warn_over(&node.place, key.path, before.as_ref());
                self.held.push((key, node.clone()));
            }
            Variable::One | Variable::List | Variable::Never => self.take(key, node),
        }
    }

    fn take(&mut self, key: &'static Key, node: &Node) {
        let before = self.places.insert(key.path, node.place.clone());
        self.warn_over(&node.place, key.path, before.as_ref());
        (key.used.read)(node, &mut self.draft, &mut self.faults);
    }

    fn variables(&mut self, env: &Env) {
        for name in env.names(VARIABLES) {
            let key = KEYS.iter().find(|key| key.variable() == name);
            let place = Place::Variable(name.to_owned());
            match key.map(|key| (key, &key.used)) {
                Some((key, used)) => {
                    let Some(text) = env.value(name) else {
                        continue;
                    };
                    match node(text, key.path, &place, used.variable) {
                        Some(node) => self.set(key, &node),
                        None => self.refuse_variable(&place, key.path, used.variable),
                    }
                }
                None if COMMAND_LINE_VARIABLES.contains(&name) => {}
                None => match (inner(name), env.value(name)) {
                    (Some(inner), Some(text)) => self.set_inner(&inner, text, &place),
                    (Some(_), None) | (None, _) => self.warn_of(name),
                },
            }
        }
        for (key, node) in std::mem::take(&mut self.held) {
            self.take(key, &node);
        }
    }

    fn refuse_variable(&mut self, place: &Place, path: &str, variable: Variable) {
        let message = match variable {
            Variable::Keys { .. } => {
                format!("{path} cannot be set here; set its keys, or write it in a file")
            }
            Variable::One | Variable::List | Variable::Never => {
                format!("{path} cannot be set here; write it in a file")
            }
        };
        self.faults.error(place, message);
    }

    /// Lays a variable over one key of what is held.
    fn set_inner(&mut self, Inner { key, name, held }: &Inner, text: &str, place: &Place) {
        let path = join(key.path, name);
        let Some(value) = node(text, &path, place, *held) else {
            return self.refuse_variable(place, &path, *held);
        };
        let entry = Entry {
            key: (*name).to_owned(),
            place: place.clone(),
            value,
        };
        let at = self.held.iter().position(|(held, _)| held.path == key.path);
        let before = at.map(|at| self.held.remove(at).1);
        let mut whole = match before {
            Some(whole) if matches!(whole.content, Content::Map(_)) => whole,
            Some(whole) => {
                if matches!(whole.place, Place::Variable(_)) {
                    let message = format!("both {} and {path} are set; keep one", key.path);
                    self.faults.error(place, message);
                }
                self.warn_over(place, key.path, Some(&whole.place));
                // For what may be wrong with it: else it is as if it were not there.
                self.take(key, &whole);
                map_at(place, key.path)
            }
            None => map_at(place, key.path),
        };
        if let Content::Map(entries) = &mut whole.content {
            match entries.iter_mut().find(|earlier| earlier.key == *name) {
                Some(earlier) => {
                    let before = std::mem::replace(earlier, entry).place;
                    self.warn_over(place, &path, Some(&before));
                }
                None => entries.push(entry),
            }
        }
        self.held.push((key, whole));
    }

    /// Whoever changes the file, and nothing by it, hears why.
    fn warn_over(&mut self, place: &Place, path: &str, before: Option<&Place>) {
        self.faults.warnings.extend(place.over(path, before));
    }

    /// Only a warning: Kubernetes sets `VIDETTE_SERVICE_HOST` and others for a
    /// service of our name.
    fn warn_of(&mut self, name: &str) {
        let known = KEYS.iter().flat_map(settable).map(|(name, _)| name);
        let known: Vec<String> = known.collect();
        let known = known
            .iter()
            .map(String::as_str)
            .chain(COMMAND_LINE_VARIABLES);
        // What all have in common makes none of them near.
        let known = known.filter_map(|known| known.strip_prefix(VARIABLES));
        let written = name.strip_prefix(VARIABLES).unwrap_or(name);
        let hint = nearest(written, known).map_or_else(String::new, |near| {
            format!("; did you mean {VARIABLES}{near}?")
        });
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
            noted: _,
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

/// Where else a key of that name stands, unless it stands all over the place.
fn elsewhere(name: &str) -> Vec<String> {
    const PLACES_MAX: usize = 2;
    let mut places: Vec<String> = Vec::new();
    for Key { path, used } in KEYS {
        let ends = path.match_indices('.').map(|(at, _)| at);
        let sections = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        let inner = inner_keys(used.variable).into_iter();
        let inner = inner.map(|(name, _)| join(path, name));
        let named = sections.map(str::to_owned).chain(inner);
        // At the top it would be shown as what was written.
        let named =
            named.filter(|path| path.rsplit_once('.').is_some_and(|(_, last)| last == name));
        places.extend(named);
    }
    places.dedup();
    match places.len() <= PLACES_MAX {
        true => places,
        false => Vec::new(),
    }
}

/// A key of a key, by its variable.
struct Inner {
    key: &'static Key,
    name: &'static str,
    held: Variable,
}

fn inner(variable: &str) -> Option<Inner> {
    KEYS.iter().find_map(|key| {
        let below = variable.strip_prefix(&key.variable())?.strip_prefix('_')?;
        let mut inner = inner_keys(key.used.variable).into_iter();
        let found = inner.find(|(name, _)| name.to_ascii_uppercase() == below);
        found.map(|(name, held)| Inner { key, name, held })
    })
}

fn inner_keys(variable: Variable) -> Vec<(&'static str, Variable)> {
    match variable {
        Variable::Keys { each, .. } => each(),
        Variable::One | Variable::List | Variable::Never => Vec::new(),
    }
}

/// The variables that a key or a part of it can be set by, each with the path of what it sets.
pub(super) fn settable(key: &Key) -> Vec<(String, String)> {
    let own = match key.used.variable {
        Variable::One | Variable::List | Variable::Keys { whole: true, .. } => {
            Some((key.variable(), key.path.to_owned()))
        }
        Variable::Never | Variable::Keys { whole: false, .. } => None,
    };
    let inner = inner_keys(key.used.variable).into_iter();
    let inner = inner.filter(|(_, held)| !matches!(held, Variable::Never));
    let inner = inner.map(|(name, _)| {
        let variable = format!("{}_{}", key.variable(), name.to_ascii_uppercase());
        (variable, join(key.path, name))
    });
    own.into_iter().chain(inner).collect()
}

fn map_at(place: &Place, path: &str) -> Node {
    Node {
        place: place.clone(),
        path: path.to_owned(),
        content: Content::Map(Vec::new()),
    }
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
        Variable::One | Variable::Keys { whole: true, .. } => Some(scalar(text, path.to_owned())),
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
        Variable::Never | Variable::Keys { whole: false, .. } => None,
    }
}

//! Owns laying sources over each other: defaults, then the file, then the
//! environment, each through the same table; and the checks that look at more
//! than one key. Decides what is an error and what a warning.

use std::collections::BTreeMap;

use super::checked::{Config, Listener};
use super::defaults;
use super::env::Env;
use super::errors::{ConfigError, Errors, Faults, Place, nearest, shown};
use super::keys::{COMMAND_LINE_VARIABLES, KEYS, Key, State, VARIABLES, join};
use super::kinds::Variable;
use super::tree::{self, Content, Entry, Node};

/// Checks a file's text with the environment laid over it.
pub(super) fn file(name: &str, text: &str, env: &Env) -> Result<(Config, Vec<String>), Errors> {
    let mut reading = Reading::new();
    match tree::read(name, text, env, &mut reading.faults) {
        Some(root) => reading.section(&root, ""),
        // What else is missing cannot be said of a text that was not read to its end.
        None if !reading.faults.errors.is_empty() => return Err(Errors(reading.faults.errors)),
        None => {}
    }
    let end = Place::At {
        file: name.to_owned(),
        line: 1,
        column: 1,
    };
    reading.variables(env);
    reading.finish(&end)
}

/// Checks the environment alone.
pub(super) fn environment(env: &Env) -> Result<(Config, Vec<String>), Errors> {
    let mut reading = Reading::new();
    reading.variables(env);
    reading.finish(&Place::Environment)
}

struct Reading {
    config: Config,
    faults: Faults,
    /// Which keys were set, well or badly, and where last.
    places: BTreeMap<&'static str, Place>,
}

impl Reading {
    fn new() -> Self {
        Self {
            config: defaults::config(),
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
                let known = below(path).collect::<Vec<_>>().join(", ");
                return self
                    .faults
                    .value(node, "no keys", &format!("it takes {known}"));
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
            (used.read)(node, &mut self.config, &mut self.faults);
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

    /// The checks that look at more than one key. `end` is where something
    /// that is missing is said to be missing.
    fn finish(mut self, end: &Place) -> Result<(Config, Vec<String>), Errors> {
        self.tokens();
        self.sockets();
        self.upstreams(end);
        let Faults {
            mut errors,
            mut warnings,
        } = self.faults;
        // Stable: what stands at one place stays in the order it was found.
        errors.sort_by(|one, other| one.place.cmp(&other.place));
        errors.dedup();
        warnings.dedup();
        match errors.is_empty() {
            true => Ok((self.config, warnings)),
            false => Err(Errors(errors)),
        }
    }

    /// One token: the environment's, whichever way it is given, goes before the file's.
    fn tokens(&mut self) {
        let (Some(_), Some(_)) = (&self.config.admin.token, &self.config.admin.token_file) else {
            return;
        };
        let variable = |path| match self.places.get(path) {
            Some(Place::Variable(_)) => true,
            Some(Place::File(_) | Place::At { .. } | Place::Environment) | None => false,
        };
        match (variable("admin.token"), variable("admin.token_file")) {
            (true, false) => self.config.admin.token_file = None,
            (false, true) => self.config.admin.token = None,
            (true, true) | (false, false) => {
                self.at(
                    "admin.token_file",
                    "both admin.token and admin.token_file are set; keep one",
                );
            }
        }
    }

    fn sockets(&mut self) {
        let admin = self.config.listen.admin;
        let taken = |listener: &Listener| listener.address == admin && admin.port() != 0;
        if self.config.listen.public.iter().any(taken) {
            let path = if self.places.contains_key("listen.admin") {
                "listen.admin"
            } else {
                "listen.public"
            };
            self.at(
                path,
                "listen.public and listen.admin share an address; each needs its own",
            );
        }
    }

    fn upstreams(&mut self, end: &Place) {
        if !self.places.contains_key("upstream.web") {
            self.config
                .upstream
                .web
                .clone_from(&self.config.upstream.ingest);
        }
        // One that was set and could not be read is an error already.
        if !self.places.contains_key("upstream.ingest") {
            let message = match end {
                Place::Environment => {
                    "no upstream; set VIDETTE_UPSTREAM_INGEST=http://HOST:PORT, or name a file with -c"
                }
                Place::File(_) | Place::At { .. } | Place::Variable(_) => {
                    "no upstream.ingest; write upstream: {ingest: [\"http://HOST:PORT\"]}"
                }
            };
            self.faults.error(end, message);
        }
    }

    fn at(&mut self, path: &str, message: &str) {
        let place = self.places.get(path).cloned().unwrap_or(Place::Environment);
        self.faults.errors.push(ConfigError {
            place,
            message: message.to_owned(),
        });
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

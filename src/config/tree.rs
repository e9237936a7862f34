//! Owns reading YAML: text in, nodes out that know where they stand. Knows no
//! key and no type: every scalar is the text that was written, so that `010`
//! and `1.50` stay what the operator sees.
//!
//! Aliases and tags are refused: a configuration that must be expanded in the
//! head is not one that can be checked at a glance.

use std::borrow::Cow;
use std::sync::Arc;

use serde_saphyr::granit_parser::{
    Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag,
};

use super::env::Env;
use super::errors::{Faults, Place};
use super::interpolate;

/// Deeper nesting is refused; the deepest real key lies four deep.
const NESTING_MAX: usize = 16;

/// Keys in one place; the place with most has some twenty, and each is compared
/// with those before it.
const KEYS_MAX: usize = 256;

/// Values in one file, which bounds the memory that reading takes: a million
/// keys, each with a name, in a hundred thousand projects stay below.
const VALUES_MAX: usize = 5_000_000;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    /// From the top, such as `client_ip.trusted_proxies[1]`.
    pub(super) path: String,
    pub(super) content: Content,
}

/// What a value is, as far as YAML can say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Nothing, `~` or `null`: as if the key were not there.
    Empty,
    /// Cannot be read; the fault is already named.
    Reported,
    /// Any scalar, quoted or not, its variables substituted.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands; the value knows its own place.
    pub(super) place: Place,
    pub(super) value: Node,
}

/// Reads a text. What is no YAML at all is one error and no node; else each
/// value that cannot be used is an error and left out.
pub(super) fn read(file: &str, text: &str, env: &Env, faults: &mut Faults) -> Option<Node> {
    let masked = interpolate::mask(text);
    let mut options = Options::default();
    options.flow_nesting_limit = NESTING_MAX;
    options.block_nesting_limit = NESTING_MAX;
    options.set_emit_comments(false);
    let mut reader = Reader {
        file: file.into(),
        env,
        faults,
        values: 0,
        events: Parser::new_from_str_with_options(&masked, options),
    };
    match reader.document() {
        Ok(node) => node,
        Err(Stop::Yaml(error)) => {
            let place = reader.place(error.marker());
            let message = match asterisk_at(&masked, error.marker()) {
                true => BARE_ASTERISK.to_owned(),
                false => format!("not YAML: {}", interpolate::unmask(&error.info())),
            };
            reader.faults.error(&place, message);
            None
        }
        Err(Stop::Said) => None,
    }
}

/// What is said of `[*]` and `[*.example.org]`: patterns of origins begin with the sign
/// of an alias, and the parser speaks of anchors there.
const BARE_ASTERISK: &str = "a * that begins an alias; if it begins a value, quote it: \"*\"";

/// Whether an asterisk stands where the parser points.
fn asterisk_at(text: &str, marker: &Marker) -> bool {
    let line = text.lines().nth(marker.line().saturating_sub(1));
    line.and_then(|line| line.chars().nth(marker.col())) == Some('*')
}

/// Why reading ends before the text does.
enum Stop {
    Yaml(ScanError),
    /// The error is among the faults already.
    Said,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Yaml(error)
    }
}

struct Reader<'t, I> {
    file: Arc<str>,
    env: &'t Env,
    faults: &'t mut Faults,
    /// How many were read.
    values: usize,
    events: I,
}

impl<'t, I: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Reader<'t, I> {
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some(next) = self.events.next() {
            let (event, span) = next?;
            if event.is_node() && root.is_some() {
                return Err(self.stop(&span, "a second document; one file is one configuration"));
            } else if event.is_node() {
                root = Some(self.node(event, &span, String::new())?);
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next() {
            Some(next) => Ok(next?),
            None => Err(self.stop(&Span::default(), "the text ends too early")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, path: String) -> Result<Node, Stop> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.stop(span, &format!("more than {VALUES_MAX} values")));
        }
        let place = self.place(&span.start);
        let content = match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse(tag.as_deref(), &place);
                self.scalar(&text, style, &place, &path)
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse(tag.as_deref(), &place);
                self.list(&path)?
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse(tag.as_deref(), &place);
                self.map(&path)?
            }
            Event::Alias(_) => {
                self.faults.error(
                    &place,
                    "an alias; write the value out, or quote it if the * is its own",
                );
                Content::Reported
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::SequenceEnd
            | Event::MappingEnd
            | _ => return Err(self.stop(span, "a value is missing")),
        };
        Ok(Node {
            place,
            path,
            content,
        })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: &Place, path: &str) -> Content {
        if style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Content::Empty;
        }
        let text = interpolate::unmask(text);
        match interpolate::expand(&text, self.env).map(Cow::into_owned) {
            Ok(expanded) => Content::Scalar(expanded),
            Err(refused) => {
                self.faults
                    .value_at(place, path, &refused.to_string(), refused.accepted());
                Content::Reported
            }
        }
    }

    fn list(&mut self, path: &str) -> Result<Content, Stop> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Content::List(nodes));
            }
            let path = format!("{path}[{}]", nodes.len());
            nodes.push(self.node(event, &span, path)?);
        }
    }

    fn map(&mut self, path: &str) -> Result<Content, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Content::Map(entries));
            }
            if entries.len() == KEYS_MAX {
                return Err(self.stop(&span, &format!("more than {KEYS_MAX} keys in one place")));
            }
            let key = self.key(&event, &span)?;
            let place = self.place(&span.start);
            let (event, span) = self.next()?;
            let value = self.node(event, &span, super::keys::join(path, &key))?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message = format!(
                    "\"{}\" is written twice; first {}",
                    super::errors::shown(&key),
                    line(&first.place)
                );
                self.faults.error(&place, message);
                continue;
            }
            entries.push(Entry { key, place, value });
        }
    }

    fn key(&mut self, event: &Event<'t>, span: &Span) -> Result<String, Stop> {
        match event.scalar() {
            Some((text, _)) => Ok(interpolate::unmask(text)),
            None => Err(self.stop(span, "a key must be a word")),
        }
    }

    fn refuse(&mut self, tag: Option<&Tag>, place: &Place) {
        if tag.is_some() {
            self.faults.error(place, "a tag; write the value alone");
        }
    }

    fn stop(&mut self, span: &Span, message: &str) -> Stop {
        let place = self.place(&span.start);
        self.faults.error(&place, message);
        Stop::Said
    }

    fn place(&self, marker: &Marker) -> Place {
        Place::At {
            file: Arc::clone(&self.file),
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

fn line(place: &Place) -> String {
    match place {
        Place::At { line, .. } => format!("in line {line}"),
        Place::File(_) | Place::Environment | Place::Variable(_) => "elsewhere".to_owned(),
    }
}

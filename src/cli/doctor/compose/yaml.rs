//! YAML as Compose reads it: anchors, `<<` and the tags of overrides. Knows no key of Compose,
//! and reads no file.
//!
//! The configuration's own reader refuses aliases and tags, which these files live by.

use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScanError, Span, Tag};

/// Deeper nesting is refused; Compose's own lies six deep.
const NESTING_MAX: usize = 32;

/// Values, those that aliases repeat included: a few lines could else become millions.
const VALUES_MAX: usize = 200_000;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) file: Rc<str>,
    pub(super) line: usize,
    pub(super) tag: Mode,
    pub(super) content: Content,
}

/// What Compose's tags do with what stands below an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is merged.
    Merge,
    /// `!override`: this goes in its place.
    Override,
    /// `!reset`: nothing goes in its place.
    Reset,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let mut entries = self.entries().iter();
        let (_, value) = entries.find(|(known, _)| known == key)?;
        (!matches!(value.content, Content::Nothing)).then_some(value)
    }

    /// The value of a key of a key, and so on.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            Content::Nothing | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// A list's elements; none of what is no list.
    pub(super) fn list(&self) -> &[Self] {
        match &self.content {
            Content::List(nodes) => nodes,
            Content::Nothing | Content::Scalar(_) | Content::Map(_) => &[],
        }
    }

    /// A map's entries; none of what is no map.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.content {
            Content::Map(entries) => entries,
            Content::Nothing | Content::Scalar(_) | Content::List(_) => &[],
        }
    }

    /// `FILE:LINE`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Reads a text, or says where it is no YAML and why.
pub(super) fn read(file: &str, text: &str) -> Result<Node, String> {
    let mut options = Options::default();
    options.flow_nesting_limit = NESTING_MAX;
    options.block_nesting_limit = NESTING_MAX;
    options.set_emit_comments(false);
    let mut reader = Reader {
        file: file.into(),
        values: 0,
        anchors: HashMap::new(),
        events: Parser::new_from_str_with_options(text, options),
    };
    reader.document()
}

struct Reader<I> {
    file: Rc<str>,
    values: usize,
    anchors: HashMap<usize, Node>,
    events: I,
}

impl<'t, I: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Reader<I> {
    fn document(&mut self) -> Result<Node, String> {
        loop {
            let (event, span) = self.next()?;
            if event.is_node() {
                return self.node(event, &span);
            }
            if event == Event::StreamEnd {
                return Err(self.fault(&span.start, "nothing in it"));
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), String> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let said = format!("no YAML: {}", error.info());
                Err(self.fault(error.marker(), &said))
            }
            None => Err(self.fault(&Span::default().start, "it ends too early")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, String> {
        self.count(1, span)?;
        let (content, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == serde_saphyr::granit_parser::ScalarStyle::Plain;
                let content = match &*text {
                    "" | "~" | "null" if plain => Content::Nothing,
                    text => Content::Scalar(text.to_owned()),
                };
                (content, anchor, mode(tag.as_deref()))
            }
            Event::SequenceStart(_, anchor, tag) => {
                let mode = mode(tag.as_deref());
                (self.list()?, anchor, mode)
            }
            Event::MappingStart(_, anchor, tag) => {
                let mode = mode(tag.as_deref());
                (self.map()?, anchor, mode)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let node = known.ok_or_else(|| self.fault(&span.start, "an unknown alias"))?;
                self.count(size(&node), span)?;
                return Ok(node);
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::SequenceEnd
            | Event::MappingEnd
            | _ => return Err(self.fault(&span.start, "a value is missing")),
        };
        let node = Node {
            file: Rc::clone(&self.file),
            line: span.start.line().max(1),
            tag,
            content,
        };
        if anchor != 0 {
            self.count(size(&node), span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Content, String> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Content::List(nodes));
            }
            nodes.push(self.node(event, &span)?);
        }
    }

    fn map(&mut self) -> Result<Content, String> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = match event.scalar() {
                Some((key, _)) => key.to_owned(),
                None => return Err(self.fault(&span.start, "a key must be a word")),
            };
            let (event, inner) = self.next()?;
            let mut value = self.node(event, &inner)?;
            match key.as_str() {
                "<<" => match value.content {
                    Content::List(nodes) => merged.extend(nodes),
                    Content::Map(_) | Content::Nothing | Content::Scalar(_) => merged.push(value),
                },
                _ => {
                    // A section is found at its key, not at the first line in it.
                    value.line = span.start.line().max(1);
                    entries.push((key, value));
                }
            }
        }
        for (key, value) in merged.iter().flat_map(Node::entries) {
            if !entries.iter().any(|(known, _)| known == key) {
                entries.push((key.clone(), value.clone()));
            }
        }
        Ok(Content::Map(entries))
    }

    fn count(&mut self, values: usize, span: &Span) -> Result<(), String> {
        self.values += values;
        match self.values > VALUES_MAX {
            true => Err(self.fault(&span.start, "more values than any Compose file has")),
            false => Ok(()),
        }
    }

    fn fault(&self, marker: &Marker, said: &str) -> String {
        format!("{}:{}: {said}", self.file, marker.line().max(1))
    }
}

fn mode(tag: Option<&Tag>) -> Mode {
    match tag.map(Tag::suffix) {
        Some("override") => Mode::Override,
        Some("reset") => Mode::Reset,
        Some(_) | None => Mode::Merge,
    }
}

fn size(node: &Node) -> usize {
    let below: usize = match &node.content {
        Content::Nothing | Content::Scalar(_) => 0,
        Content::List(nodes) => nodes.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
    };
    1 + below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_merge_keys_and_tags_are_read_with_their_lines() {
        let text = "x: &a\n  one: 1\n  two: 2\nb:\n  <<: *a\n  two: three\nc: !override\n  - d\n";
        let root = read("f.yml", text).unwrap();
        let text = |path: &[&str]| root.at(path).and_then(Node::text).map(str::to_owned);
        assert_eq!(text(&["b", "one"]).as_deref(), Some("1"));
        assert_eq!(text(&["b", "two"]).as_deref(), Some("three"));
        let c = root.get("c").unwrap();
        assert_eq!((c.tag, c.place()), (Mode::Override, "f.yml:7".to_owned()));
        assert_eq!(c.list()[0].place(), "f.yml:8");
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_line() {
        let error = read("f.yml", "a: 1\nb: [1\n").unwrap_err();
        assert!(
            error.starts_with("f.yml:") && error.contains("no YAML"),
            "{error}"
        );
        assert!(read("f.yml", "").is_err());
    }

    #[test]
    fn a_few_lines_cannot_become_millions() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{before}x]\n"));
        }
        let error = read("f.yml", &text).unwrap_err();
        assert!(error.contains("more values"), "{error}");
    }
}

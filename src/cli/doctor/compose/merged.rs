//! One Compose file laid over another. Owns the rules, as far as what is looked at here needs
//! them: maps by key, lists one behind the other, commands and checks whole.

use super::yaml::{Content, Mode, Node};

/// Lists that replace what lies below them.
const WHOLE: [&str; 3] = ["command", "entrypoint", "test"];

/// `top` over `base`; the place of what both have is `top`'s.
pub(super) fn over(base: Node, top: Node) -> Node {
    laid("", base, top)
}

fn laid(key: &str, base: Node, top: Node) -> Node {
    match top.tag {
        Mode::Override => return top,
        Mode::Reset => {
            return Node {
                content: Content::Nothing,
                ..top
            };
        }
        Mode::Merge => {}
    }
    let content = match (base.content, top.content) {
        (below, Content::Nothing) => below,
        (Content::Map(mut below), Content::Map(above)) => {
            for (key, value) in above {
                let at = below.iter().position(|(known, _)| *known == key);
                let merged = match at.map(|at| below.remove(at).1) {
                    Some(earlier) => laid(&key, earlier, value),
                    None => laid(&key, nothing(&value), value),
                };
                below.push((key, merged));
            }
            Content::Map(below)
        }
        (Content::List(mut below), Content::List(above)) if !WHOLE.contains(&key) => {
            below.extend(above);
            Content::List(below)
        }
        (Content::List(below), Content::Map(above)) if key == "environment" => {
            Content::List([below, pairs(above)].concat())
        }
        (Content::Map(below), Content::List(above)) if key == "environment" => {
            Content::List([pairs(below), above].concat())
        }
        (_, above) => above,
    };
    Node { content, ..top }
}

/// Nothing, where something stands.
fn nothing(place: &Node) -> Node {
    Node {
        file: place.file.clone(),
        line: place.line,
        tag: Mode::Merge,
        content: Content::Nothing,
    }
}

/// `{NAME: value}` as `NAME=value`.
fn pairs(entries: Vec<(String, Node)>) -> Vec<Node> {
    let pair = |(name, node): (String, Node)| {
        let text = node.text().unwrap_or_default();
        let content = Content::Scalar(format!("{name}={text}"));
        Node { content, ..node }
    };
    entries.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::yaml::read;
    use super::*;

    fn merged(base: &str, top: &str) -> Node {
        over(read("a.yml", base).unwrap(), read("b.yml", top).unwrap())
    }

    fn texts(node: &Node) -> Vec<&str> {
        node.list().iter().filter_map(Node::text).collect()
    }

    #[test]
    fn lists_are_joined_commands_are_not_and_tags_clear_what_is_below() {
        let base = "ports: [a]\ncommand: [x]\nvolumes: [v]\ndepends_on: {web: 1}\n";
        let top = "ports: [b]\ncommand: [y]\nvolumes: !override [w]\ndepends_on: !reset {}\n";
        let node = merged(base, top);
        assert_eq!(texts(node.get("ports").unwrap()), ["a", "b"]);
        assert_eq!(texts(node.get("command").unwrap()), ["y"]);
        assert_eq!(texts(node.get("volumes").unwrap()), ["w"]);
        assert!(node.get("depends_on").is_none());
        assert_eq!(node.get("command").unwrap().place(), "b.yml:2");
    }

    #[test]
    fn maps_are_joined_and_an_environment_in_both_forms_too() {
        let node = merged("a: {b: 1, c: 2}\n", "a: {c: 3, d: !reset x}\n");
        let a = node.get("a").unwrap();
        let text = |key| a.get(key).and_then(Node::text);
        assert_eq!(
            (text("b"), text("c"), text("d")),
            (Some("1"), Some("3"), None)
        );
        let node = merged("environment: [A=1]\n", "environment: {A: 2, B: 3}\n");
        assert_eq!(
            texts(node.get("environment").unwrap()),
            ["A=1", "A=2", "B=3"]
        );
        let node = merged("environment: {A: 2}\n", "environment: [A=1]\n");
        assert_eq!(texts(node.get("environment").unwrap()), ["A=2", "A=1"]);
    }
}

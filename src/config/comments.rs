//! Owns what `config/vidette.yml` says of each key: the comment above it. Reads no YAML but the
//! form that this one file has, with a key on each line.

use std::collections::HashMap;

/// The file that we ship: every key, its default and why.
pub(super) const SHIPPED: &str = include_str!("../../config/vidette.yml");

/// The comment of each key and section that has one, by path. Keys that stand right below
/// another, in its section or under it, share its comment unless they have their own.
pub(super) fn of_keys(text: &str) -> HashMap<String, String> {
    let mut said = HashMap::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut before = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if trimmed.is_empty() {
            comment.clear();
            before.clear();
        } else if let Some(words) = trimmed.strip_prefix('#') {
            comment.push(words.strip_prefix(' ').unwrap_or(words));
        } else if let Some((key, _)) = trimmed.split_once(':')
            && !trimmed.starts_with('-')
        {
            // Behind the end of a section the comment in it is about something else.
            if open.last().is_some_and(|(inner, _)| *inner > indent) {
                before.clear();
            }
            open.retain(|(outer, _)| *outer < indent);
            open.push((indent, key));
            if !comment.is_empty() {
                before = comment.join("\n");
                comment.clear();
            }
            let names: Vec<&str> = open.iter().map(|(_, name)| *name).collect();
            said.insert(names.join("."), before.clone());
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# The head of the file.

# One.
a: 1

b:
  # Two.
  # Lines.
  c: 1
  d: 1
  # Five.
  e:
    f: 1
g: 1

h: 1
";

    #[track_caller]
    fn check(path: &str, want: &str) {
        let said = of_keys(TEXT);
        assert_eq!(said.get(path).map(String::as_str), Some(want), "{path}");
    }

    #[test]
    fn a_key_says_what_stands_above_it_or_above_its_neighbour() {
        check("a", "One.");
        check("b", "");
        check("b.c", "Two.\nLines.");
        check("b.d", "Two.\nLines.");
        check("b.e", "Five.");
        check("b.e.f", "Five.");
        check("g", "");
        check("h", "");
    }
}

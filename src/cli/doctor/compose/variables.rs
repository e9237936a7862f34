//! `${NAME}` as Compose puts it in: the environment of whoever runs it, then `.env.custom` and
//! `.env` beside the file, as self-hosted names them. Runs nothing.

use std::collections::HashMap;
use std::path::Path;

use super::yaml::{Content, Node};

/// Files of variables, the later over the earlier.
const FILES: [&str; 2] = [".env", ".env.custom"];

/// A default may hold a variable with a default; no file goes deeper.
const DEPTH_MAX: usize = 8;

/// What stands for names.
#[derive(Debug, Default)]
pub(super) struct Variables(HashMap<String, String>);

impl Variables {
    /// Those of the process over those of the folder's files.
    pub(super) fn of(folder: &Path) -> Self {
        let mut known = HashMap::new();
        for file in FILES {
            let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            known.extend(lines(&text));
        }
        let process = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        known.extend(process);
        Self(known)
    }

    /// Puts them into every value below.
    pub(super) fn fill(&self, node: &mut Node) {
        match &mut node.content {
            Content::Nothing => {}
            Content::Scalar(text) => *text = self.expand(text, 0),
            Content::List(nodes) => nodes.iter_mut().for_each(|node| self.fill(node)),
            Content::Map(entries) => entries.iter_mut().for_each(|(_, node)| self.fill(node)),
        }
    }

    /// What is not set is empty, as with Compose.
    fn expand(&self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((inside, after)) = braced(after).filter(|_| depth < DEPTH_MAX) {
                out.push_str(&self.lookup(inside, depth));
                rest = after;
            } else {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let (name, after) = after.split_at(end.unwrap_or(after.len()));
                match name {
                    "" => out.push('$'),
                    name => out.push_str(self.0.get(name).map_or("", String::as_str)),
                }
                rest = after;
            }
        }
        out.push_str(rest);
        out
    }

    fn lookup(&self, inside: &str, depth: usize) -> String {
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = inside.split_at(end.unwrap_or(inside.len()));
        let set = self.0.get(name).map(String::as_str);
        let full = set.filter(|value| !value.is_empty());
        let (value, other) = match rest.split_at_checked(2) {
            Some((":-", other)) => {
                return full.map_or_else(|| self.expand(other, depth + 1), str::to_owned);
            }
            Some((":+", other)) => (full, other),
            Some(_) | None => match rest.split_at_checked(1) {
                Some(("-", other)) => {
                    return set.map_or_else(|| self.expand(other, depth + 1), str::to_owned);
                }
                Some(("+", other)) => (set, other),
                Some(_) | None => return set.unwrap_or_default().to_owned(),
            },
        };
        value.map_or_else(String::new, |_| self.expand(other, depth + 1))
    }
}

/// What stands between braces, those in it in pairs, and what follows.
fn braced(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    let mut open = 1_usize;
    for (at, ch) in inside.char_indices() {
        match ch {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            let (inside, rest) = inside.split_at_checked(at)?;
            return Some((inside, rest.strip_prefix('}')?));
        }
    }
    None
}

/// The pairs of a file of variables.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?;
            Some(inner.split_once(*quote)?.0)
        });
        let bare = || {
            value
                .split_once(" #")
                .map_or(value, |(value, _)| value.trim_end())
        };
        Some((
            name.trim().to_owned(),
            quoted.unwrap_or_else(bare).to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let known = [("BIND", "9000"), ("EMPTY", "")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Variables(known.into()).expand(text, 0), want, "{text}");
    }

    #[test]
    fn variables_are_put_in_as_compose_does() {
        check("$BIND:80/tcp", "9000:80/tcp");
        check("${BIND}:80", "9000:80");
        check("${NONE:-127.0.0.1:9000}:80", "127.0.0.1:9000:80");
        check("${EMPTY:-a} ${EMPTY-a}", "a ");
        check("${BIND:+b} ${NONE:+b}|${NONE+c}${EMPTY+c}", "b |c");
        check("${NONE:-${BIND:-1}}", "9000");
        check("${NONE}:80 $NONE", ":80 ");
        check("a$$b $ ${BIND:?no}", "a$b $ 9000");
        check("${BIND", "${BIND");
    }

    #[test]
    fn a_file_of_variables_is_read_with_its_quotes_and_comments() {
        let read: Vec<(String, String)> =
            lines("# a\nA=1\nexport B = 'two # 2'\nC=three # 3\nD=\"\"\n\nnothing\n").collect();
        let want = [("A", "1"), ("B", "two # 2"), ("C", "three"), ("D", "")];
        let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, want);
    }
}

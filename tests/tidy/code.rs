//! Rust text told apart: code, comments, literals. Knows just enough of the
//! language to blank what is not code, line by line.

/// Rust text with comments and the insides of literals blanked, line by line as it was.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        out.extend(
            rest[..length]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &rest[length..];
    }
    out
}

/// The length of the comment or literal that `rest` begins with; 0 if it begins with neither.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if let Some(length) = raw_string(rest).filter(|_| !before.is_some_and(is_word)) {
        return length;
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // A quote that closes within two characters, or after a backslash, is a character; else a lifetime.
    let character = rest
        .strip_prefix('\'')
        .is_some_and(|inside| inside.starts_with('\\') || inside.chars().nth(1) == Some('\''));
    if character { quoted(rest, '\'') } else { 0 }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inside.len() - inside.trim_start_matches('#').len();
    inside[hashes..].strip_prefix('"')?;
    let open = rest.len() - inside.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open..].find(&close).map(|at| open + at + close.len())
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let blank = |text: &str| code(text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(blank("a /* b /* c */ d */ e // f\ng"), "a e g");
        assert_eq!(
            blank(r##"x("a\"b", r#"c"d"#, br"e", 'f', '"', '\'', b'g')"##),
            "x( , , , , , , b )"
        );
        assert_eq!(
            blank("fn f<'a>(x: &'a str) -> &'a str"),
            "fn f<'a>(x: &'a str) -> &'a str"
        );
        assert_eq!(code("\"a\nb\"\nc").lines().count(), 3);
    }
}

//! nginx's own syntax: directives with arguments, some with a block, some of other files. Knows
//! no directive but `include`.

use std::fs;
use std::path::{Path, PathBuf};

/// A configuration is written by hand: more is another file, or an `include` in a circle.
const FILES_MAX: usize = 256;
const FILE_BYTES_MAX: u64 = 4 << 20;
const DEPTH_MAX: usize = 16;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub file: PathBuf,
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub name: String,
    pub arguments: Vec<String>,
    /// What stands between its braces.
    pub block: Option<Vec<Directive>>,
    pub place: Place,
}

impl Directive {
    /// Its argument at this place, or nothing.
    pub(super) fn argument(&self, place: usize) -> &str {
        self.arguments.get(place).map_or("", String::as_str)
    }

    /// What stands in it.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Why a file could not be read as nginx would.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("{0}: {1}")]
    File(PathBuf, String),
    #[error("{0}: a quote is not closed")]
    Quote(Place),
    #[error("{0}: a block is not closed")]
    Open(Place),
    #[error("{0}: nothing is open that this brace could close")]
    Closed(Place),
    #[error("{0}: a directive ends without ';'")]
    Unended(Place),
    #[error("{0}: blocks within blocks, deeper than {DEPTH_MAX}")]
    Deep(Place),
    #[error("more than {FILES_MAX} files: is one included in itself?")]
    Files,
}

/// What was read, and files that it names and that are not here.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub directives: Vec<Directive>,
    pub absent: Vec<Directive>,
}

/// Reads a file and all that it includes. A path that is not absolute is looked for beside the
/// file that was named first, as nginx does beside its own.
pub(super) fn read(file: &Path) -> Result<Tree, Unread> {
    let mut reader = Reader {
        home: file.parent().unwrap_or(Path::new("")).to_owned(),
        files: 0,
        absent: Vec::new(),
    };
    let directives = reader.file(file)?;
    Ok(Tree {
        directives,
        absent: reader.absent,
    })
}

struct Reader {
    home: PathBuf,
    files: usize,
    absent: Vec<Directive>,
}

impl Reader {
    fn file(&mut self, file: &Path) -> Result<Vec<Directive>, Unread> {
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(Unread::Files);
        }
        let unread = |why: String| Unread::File(file.to_owned(), why);
        let size = fs::metadata(file).map_err(|error| unread(error.to_string()))?;
        if size.len() > FILE_BYTES_MAX {
            return Err(unread(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(file).map_err(|error| unread(error.to_string()))?;
        let mut tokens = Tokens::new(file, &text);
        let directives = block(&mut tokens, 0)?;
        self.included(directives)
    }

    /// The same with what `include` names in its place.
    fn included(&mut self, directives: Vec<Directive>) -> Result<Vec<Directive>, Unread> {
        let mut all = Vec::new();
        for mut directive in directives {
            if directive.name == "include" {
                let files = self.named(directive.argument(0));
                if files.is_empty() && !directive.argument(0).ends_with("mime.types") {
                    self.absent.push(directive);
                    continue;
                }
                for file in files {
                    all.extend(self.file(&file)?);
                }
                continue;
            }
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.included(block)?);
            }
            all.push(directive);
        }
        Ok(all)
    }

    /// The files of a path whose last part may hold one `*`, in their order.
    fn named(&self, path: &str) -> Vec<PathBuf> {
        let path = self.home.join(path);
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((before, after)) = name.and_then(|name| name.split_once('*')) else {
            return if path.is_file() {
                vec![path]
            } else {
                Vec::new()
            };
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                let long = name.len() >= before.len() + after.len();
                long && name.starts_with(before) && name.ends_with(after)
            })
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Tokens<'t> {
    file: &'t Path,
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl<'t> Tokens<'t> {
    fn new(file: &'t Path, text: &'t str) -> Self {
        Self {
            file,
            rest: text.chars().peekable(),
            line: 1,
        }
    }

    fn place(&self) -> Place {
        Place {
            file: self.file.to_owned(),
            line: self.line,
        }
    }

    fn step(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn token(&mut self) -> Result<Option<Token>, Unread> {
        loop {
            match self.rest.peek() {
                None => return Ok(None),
                Some('#') => while self.rest.next_if(|ch| *ch != '\n').is_some() {},
                Some(ch) if ch.is_whitespace() => {
                    self.step();
                }
                Some(_) => break,
            }
        }
        let place = self.place();
        Ok(match self.step() {
            None => None,
            Some(';') => Some(Token::End),
            Some('{') => Some(Token::Open),
            Some('}') => Some(Token::Close),
            Some(quote @ ('"' | '\'')) => Some(Token::Word(self.quoted(quote, place)?)),
            Some(first) => Some(Token::Word(self.word(first))),
        })
    }

    fn quoted(&mut self, quote: char, place: Place) -> Result<String, Unread> {
        let mut word = String::new();
        loop {
            match self.step() {
                None => return Err(Unread::Quote(place)),
                Some(ch) if ch == quote => return Ok(word),
                Some('\\') => match self.step() {
                    Some(ch @ ('"' | '\'' | '\\')) => word.push(ch),
                    Some(ch) => word.extend(['\\', ch]),
                    None => return Err(Unread::Quote(place)),
                },
                Some(ch) => word.push(ch),
            }
        }
    }

    /// A word goes on to a blank, a `;` or a block; `${name}` is part of it.
    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        loop {
            let named = word.ends_with('$');
            let ends = |ch: &char| ch.is_whitespace() || *ch == ';' || (*ch == '{' && !named);
            match self.rest.peek() {
                None => return word,
                Some(ch) if ends(ch) => return word,
                Some('\\') => {
                    word.extend(self.step());
                    word.extend(self.step());
                }
                Some(_) => word.extend(self.step()),
            }
        }
    }
}

/// The directives up to the end of a block, or of the file at depth 0.
fn block(tokens: &mut Tokens<'_>, depth: usize) -> Result<Vec<Directive>, Unread> {
    if depth > DEPTH_MAX {
        return Err(Unread::Deep(tokens.place()));
    }
    let opened = tokens.place();
    let mut directives = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut place = tokens.place();
    loop {
        let token = tokens.token()?;
        if words.is_empty() {
            place = tokens.place();
        }
        let ended = match token {
            Some(Token::Word(word)) => {
                words.push(word);
                continue;
            }
            Some(Token::End) => None,
            Some(Token::Open) => Some(block(tokens, depth + 1)?),
            Some(Token::Close) | None if !words.is_empty() => return Err(Unread::Unended(place)),
            Some(Token::Close) if depth == 0 => return Err(Unread::Closed(place)),
            None if depth > 0 => return Err(Unread::Open(opened)),
            Some(Token::Close) | None => return Ok(directives),
        };
        let mut words = std::mem::take(&mut words).into_iter();
        if let Some(name) = words.next() {
            directives.push(Directive {
                name,
                arguments: words.collect(),
                block: ended,
                place: place.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Directive>, Unread> {
        block(&mut Tokens::new(Path::new("nginx.conf"), text), 0)
    }

    fn shown(directives: &[Directive]) -> String {
        let one = |directive: &Directive| {
            let mut text = format!("{}:{}", directive.place.line, directive.name);
            for argument in &directive.arguments {
                text += &format!(" <{argument}>");
            }
            match &directive.block {
                Some(block) => format!("{text} {{{}}}", shown(block)),
                None => text,
            }
        };
        directives.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(shown(&parsed(text).unwrap()), want, "{text:?}");
    }

    #[test]
    fn directives_are_read_with_their_arguments_and_blocks() {
        check("", "");
        check("gzip off;", "1:gzip <off>");
        check("a;\n\n b c;", "1:a 3:b <c>");
        check(
            "http{server{listen 80;}}",
            "1:http {1:server {1:listen <80>}}",
        );
        check(
            "location ~ ^/api/[1-9]\\d*/ { }",
            "1:location <~> <^/api/[1-9]\\d*/> {}",
        );
    }

    #[test]
    fn quotes_comments_and_variables_are_nginxs() {
        check("a \"b;c\" 'd {';", "1:a <b;c> <d {>");
        check("a \"say \\\"hi\\\" \\d\";", "1:a <say \"hi\" \\d>");
        check("# all; of { this\na b#c; # rest", "2:a <b#c>");
        check(
            "proxy_pass http://${name}:80;",
            "1:proxy_pass <http://${name}:80>",
        );
        check("a ''; b;", "1:a <> 1:b");
        check(
            "log_format main '$a'\n  '$b';",
            "1:log_format <main> <$a> <$b>",
        );
    }

    #[track_caller]
    fn refused(text: &str, want: &str) {
        assert_eq!(parsed(text).unwrap_err().to_string(), want, "{text:?}");
    }

    #[test]
    fn what_nginx_would_not_read_is_refused_with_its_place() {
        refused("a;\nb", "nginx.conf:2: a directive ends without ';'");
        refused("a { b }", "nginx.conf:1: a directive ends without ';'");
        refused(
            "a;\n}",
            "nginx.conf:2: nothing is open that this brace could close",
        );
        refused("a {\n b;\n", "nginx.conf:1: a block is not closed");
        refused("a 'b;", "nginx.conf:1: a quote is not closed");
        let (open, close) = ("a {".repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX));
        assert!(parsed(&format!("{open}{close}")).is_ok());
        refused(
            &format!("a {{{open}{close}}}"),
            "nginx.conf:1: blocks within blocks, deeper than 16",
        );
    }

    #[test]
    fn included_files_stand_where_they_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("conf.d")).unwrap();
        fs::write(at("conf.d/b.conf"), "two;").unwrap();
        fs::write(at("conf.d/a.conf"), "one;").unwrap();
        fs::write(at("conf.d/c.off"), "three;").unwrap();
        let main = at("nginx.conf");
        fs::write(
            &main,
            "include mime.types; http { include conf.d/*.conf; } include gone.conf;",
        )
        .unwrap();
        let tree = read(&main).unwrap();
        let http = tree.directives.first().unwrap().inside();
        let names: Vec<&str> = http.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(tree.absent.len(), 1);
        fs::write(&main, "include nginx.conf;").unwrap();
        assert_eq!(read(&main).unwrap_err(), Unread::Files);
    }
}

//! Requests taken out of raw bytes as three readers see them: one that takes nothing but
//! the grammar, and two that forgive everything, each trusting another of the two
//! framings. Where they do not agree, one of them can be smuggled past.

/// How a reader takes what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// RFC 9112 to the letter.
    Strict,
    /// Forgives all, and believes `Transfer-Encoding`, else the first length.
    TransferFirst,
    /// Forgives all, and believes the last length, else `Transfer-Encoding`.
    LengthFirst,
}

/// A request as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) framing: &'static str,
    /// `None`: it ends before its body does.
    pub(super) body: Option<Vec<u8>>,
    /// Whether its sender names itself as the edge that asks after a server's health.
    pub(super) is_probe: bool,
}

/// What comes next in a stream of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A request, and how many bytes it is.
    Whole(Read, usize),
    /// One whose head is here and whose body is not.
    Begun(Read),
    /// Not even a head.
    Unheaded,
    /// Nothing that this reader takes.
    Bad(&'static str),
}

/// A head's first line and its fields.
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    /// HTTP/1.0, which knows no chunks.
    is_old: bool,
    bytes: usize,
}

impl Head {
    fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(is, _)| is == name);
        named.map(|(_, value)| value.as_slice()).collect()
    }
}

/// Where a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
}

impl Framing {
    fn name(self) -> &'static str {
        match self {
            Self::None => "bare",
            Self::Length(_) => "length",
            Self::Chunked => "chunks",
        }
    }
}

impl Reader {
    pub(super) const ALL: [Self; 3] = [Self::Strict, Self::TransferFirst, Self::LengthFirst];

    fn forgives(self) -> bool {
        self != Self::Strict
    }

    /// All requests of a connection in their order; `Err` names what stands behind them.
    pub(super) fn requests(self, bytes: &[u8]) -> Result<Vec<Read>, &'static str> {
        let (mut left, mut requests) = (bytes, Vec::new());
        loop {
            match self.next(left) {
                Next::Unheaded if left.is_empty() => return Ok(requests),
                Next::Unheaded => return Err("a head without an end"),
                Next::Bad(why) => return Err(why),
                Next::Whole(read, count) => {
                    requests.push(read);
                    left = &left[count..];
                }
                Next::Begun(read) => {
                    requests.push(read);
                    return Ok(requests);
                }
            }
        }
    }

    /// The next request.
    pub(super) fn next(self, bytes: &[u8]) -> Next {
        let head = match self.head(bytes) {
            Ok(Some(head)) => head,
            Ok(None) => return Next::Unheaded,
            Err(why) => return Next::Bad(why),
        };
        let framing = match self.framing(&head) {
            Ok(framing) => framing,
            Err(why) => return Next::Bad(why),
        };
        let behind = &bytes[head.bytes..];
        let body = match framing {
            Framing::None => Ok(Some((Vec::new(), 0))),
            Framing::Length(length) => Ok(behind.get(..length).map(|it| (it.to_vec(), length))),
            Framing::Chunked => self.chunks(behind),
        };
        let agents = head.all("user-agent");
        let mut read = Read {
            is_probe: agents.iter().any(|agent| agent.ends_with(b" (probe)")),
            method: head.method,
            target: head.target,
            framing: framing.name(),
            body: None,
        };
        match body {
            Err(why) => Next::Bad(why),
            Ok(None) => Next::Begun(read),
            Ok(Some((body, count))) => {
                read.body = Some(body);
                Next::Whole(read, head.bytes + count)
            }
        }
    }

    fn head(self, bytes: &[u8]) -> Result<Option<Head>, &'static str> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut at = 0;
        loop {
            let Some((line, next)) = self.line(&bytes[at..])? else {
                return Ok(None);
            };
            at += next;
            match line.is_empty() {
                // Blank lines before a head are for whoever forgives.
                true if lines.is_empty() && self.forgives() => {}
                true => break,
                false => lines.push(line),
            }
        }
        let Some((first, lines)) = lines.split_first() else {
            return Err("a blank line before a request");
        };
        let words: Vec<&[u8]> = first.split(|&byte| byte == b' ').collect();
        let (method, target) = match (words.as_slice(), self.forgives()) {
            ([method, target, version], false)
                if is_token(method)
                    && is_target(target)
                    && matches!(*version, b"HTTP/1.1" | b"HTTP/1.0") =>
            {
                (*method, *target)
            }
            (_, false) => return Err("a first line that is none"),
            (words, true) => match words {
                [method, target, ..] => (*method, *target),
                _ => return Err("a first line that is none"),
            },
        };
        Ok(Some(Head {
            method: method.escape_ascii().to_string(),
            target: target.escape_ascii().to_string(),
            fields: self.fields(lines)?,
            is_old: first.ends_with(b"HTTP/1.0"),
            bytes: at,
        }))
    }

    fn fields(self, lines: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, &'static str> {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                if !self.forgives() {
                    return Err("a folded line");
                }
                if let Some((_, value)) = fields.last_mut() {
                    value.extend_from_slice(line);
                }
                continue;
            }
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                match self.forgives() {
                    true => continue,
                    false => return Err("a line without a colon"),
                }
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if !(self.forgives() || is_token(name) && is_value(value)) {
                return Err("a field that is none");
            }
            let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
            fields.push((name, value.to_vec()));
        }
        Ok(fields)
    }

    fn framing(self, head: &Head) -> Result<Framing, &'static str> {
        let (codings, lengths) = (head.all("transfer-encoding"), head.all("content-length"));
        let chunked = codings.iter().any(|coding| holds_chunked(coding));
        let length = match self {
            Self::Strict => {
                if head.all("host").len() != 1 && !head.is_old {
                    return Err("not exactly one host");
                }
                return match (codings.as_slice(), lengths.as_slice()) {
                    ([], []) => Ok(Framing::None),
                    ([], [length]) => {
                        let digits = length.iter().all(u8::is_ascii_digit);
                        let length = number(length, 10).filter(|_| digits);
                        length.map(Framing::Length).ok_or("a length that is none")
                    }
                    ([coding], []) if !head.is_old && coding.eq_ignore_ascii_case(b"chunked") => {
                        Ok(Framing::Chunked)
                    }
                    _ => Err("a framing that can be read in two ways"),
                };
            }
            Self::TransferFirst if chunked => None,
            Self::TransferFirst => lengths.first(),
            Self::LengthFirst => lengths.last(),
        };
        Ok(match length {
            Some(length) => Framing::Length(number(length, 10).unwrap_or(0)),
            None if chunked => Framing::Chunked,
            None => Framing::None,
        })
    }

    /// A chunked body, and how many bytes it took.
    fn chunks(self, bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let Some((line, next)) = self.line(&bytes[at..])? else {
                return Ok(None);
            };
            at += next;
            let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
            let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
            if !plain && !self.forgives() {
                return Err("a chunk's size that is none");
            }
            let size = number(digits, 16).ok_or("a chunk's size that is none")?;
            if size == 0 {
                break;
            }
            let Some(piece) = bytes.get(at..at + size) else {
                return Ok(None);
            };
            body.extend_from_slice(piece);
            at += size;
            let Some((line, next)) = self.line(&bytes[at..])? else {
                return Ok(None);
            };
            if !line.is_empty() && !self.forgives() {
                return Err("a chunk longer than its size");
            }
            // Whoever forgives finds the next size where it looks for it.
            at += if line.is_empty() { next } else { 0 };
        }
        loop {
            let Some((line, next)) = self.line(&bytes[at..])? else {
                return Ok(None);
            };
            at += next;
            if line.is_empty() {
                return Ok(Some((body, at)));
            }
            self.fields(&[line])?;
        }
    }

    /// A line without its end, and how many bytes it took with it.
    fn line(self, bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let line = &bytes[..end];
        if self.forgives() {
            // A bare CR or a NUL ends a line for somebody.
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let ends = |byte: &u8| matches!(byte, b'\r' | 0);
            return Ok(Some(match line.iter().position(ends) {
                Some(cut) => (line[..cut].to_vec(), cut + 1),
                None => (line.to_vec(), end + 1),
            }));
        }
        match line.strip_suffix(b"\r") {
            Some(line) if !line.iter().any(|byte| matches!(byte, b'\r' | 0)) => {
                Ok(Some((line.to_vec(), end + 1)))
            }
            _ => Err("a line with another end than CRLF"),
        }
    }
}

/// Whether a coding looks chunked to somebody.
fn holds_chunked(coding: &[u8]) -> bool {
    let mut windows = coding.windows(7);
    windows.any(|word| word.eq_ignore_ascii_case(b"chunked"))
}

/// The digits that a text begins with, behind what some skip.
fn number(text: &[u8], radix: u32) -> Option<usize> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let text = text.strip_prefix('+').unwrap_or(text);
    let text = text.strip_prefix("0x").unwrap_or(text);
    let end = text.find(|c: char| !c.is_digit(radix));
    usize::from_str_radix(&text[..end.unwrap_or(text.len())], radix).ok()
}

fn is_token(name: &[u8]) -> bool {
    let in_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(in_token)
}

/// Wider than RFC 3986: what is not ASCII ends nothing, and passes everywhere.
fn is_target(target: &[u8]) -> bool {
    let in_target = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
    !target.is_empty() && target.iter().all(in_target)
}

fn is_value(value: &[u8]) -> bool {
    let in_value = |&byte: &u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    value.iter().all(in_value)
}

//! Frames of HTTP/2 as bytes, good and bad ones alike, and what is to be read in those that
//! come back. Its header blocks use nothing of HPACK but literals.

use std::collections::BTreeMap;

/// What opens a connection.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// A stream's last frame; of settings and pings, that they are an answer.
pub(super) const END: u8 = 1;
/// A header block's last frame.
pub(super) const WHOLE: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// A frame as it stands on the wire.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Settings by their numbers.
pub(super) fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let pairs = all.iter();
    let pairs =
        pairs.flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>())
}

/// A header block.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // Lengths from 127 on go on in groups of seven bits.
            match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
                Some(length) => bytes.push(length),
                None => {
                    bytes.push(127);
                    let mut left = text.len() - 127;
                    while left >= 128 {
                        bytes.push(u8::try_from(left % 128).unwrap() | 128);
                        left /= 128;
                    }
                    bytes.push(u8::try_from(left).unwrap());
                }
            }
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// A request's head with nothing but these fields.
pub(super) fn fields(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE | flags, stream, &block(fields))
}

/// The fields of a request for a page.
pub(super) const PAGE: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/web"),
];

/// The fields of one with a body.
pub(super) const FORM: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/web"),
];

/// A page asked for, with more fields.
pub(super) fn page(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    fields(stream, END, &[&PAGE[..], more].concat())
}

/// The same with other values in the place of the usual ones.
pub(super) fn page_but(stream: u32, others: &[(&str, &str)]) -> Vec<u8> {
    let all = PAGE.map(|(name, value)| {
        let other = others.iter().find(|(other, _)| *other == name);
        (name, other.map_or(value, |(_, value)| *value))
    });
    fields(stream, END, &all)
}

/// The same without one of the usual fields.
pub(super) fn page_without(stream: u32, name: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let all = PAGE.into_iter().filter(|(other, _)| *other != name);
    let all: Vec<(&str, &str)> = all.chain(more.iter().copied()).collect();
    fields(stream, END, &all)
}

/// The head of a request whose body follows.
pub(super) fn form(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    fields(stream, 0, &[&FORM[..], more].concat())
}

/// A piece of a body.
pub(super) fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

/// A page asked for in two frames.
pub(super) fn split(stream: u32) -> [Vec<u8>; 2] {
    let block = block(&PAGE);
    let (first, rest) = block.split_at(20);
    let first = frame(HEADERS, END, stream, first);
    [first, frame(CONTINUATION, WHOLE, stream, rest)]
}

/// A page asked for with a field of so many bytes, in as many frames as that takes.
pub(super) fn large(stream: u32, bytes: usize) -> Vec<u8> {
    const FRAME_BYTES_MAX: usize = 16 << 10;
    let value = "x".repeat(bytes);
    let block = block(&[&PAGE[..], &[("x", &value)]].concat());
    let (first, rest) = block.split_at(FRAME_BYTES_MAX);
    let mut all = frame(HEADERS, END, stream, first);
    let mut pieces = rest.chunks(FRAME_BYTES_MAX).peekable();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { WHOLE } else { 0 };
        all.extend(frame(CONTINUATION, flags, stream, piece));
    }
    all
}

/// What was heard on a connection.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Of each stream: its status, or the error it was reset with.
    pub(super) streams: BTreeMap<u32, String>,
    /// What is said of the connection: `pong`, `goaway ERROR`.
    pub(super) connection: Vec<String>,
}

impl Heard {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let (mut heard, mut left) = (Self::default(), bytes);
        while let Some((head, behind)) = left.split_at_checked(9) {
            let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
            let Some((payload, behind)) = behind.split_at_checked(length.unwrap()) else {
                break;
            };
            left = behind;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            heard.take(head[3], head[4], stream, payload);
        }
        if !left.is_empty() {
            heard.connection.push(format!("and {} bytes", left.len()));
        }
        heard
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            HEADERS => {
                let status = status(payload).unwrap_or("?".to_owned());
                self.streams.entry(stream).or_insert(status);
            }
            RST_STREAM => {
                let reset = format!("reset {}", error(payload));
                let said = self.streams.entry(stream).or_default();
                *said = format!("{said} {reset}").trim().to_owned();
            }
            PING if flags & END != 0 => self.connection.push("pong".to_owned()),
            GOAWAY => {
                let why = error(payload.get(4..).unwrap_or_default());
                self.connection.push(format!("goaway {why}"));
            }
            _ => {}
        }
    }
}

fn error(payload: &[u8]) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let number = payload.get(3).copied().unwrap_or(u8::MAX);
    let name = NAMES.get(usize::from(number));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// The status that a header block begins with.
fn status(block: &[u8]) -> Option<String> {
    const KNOWN: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let (first, rest) = block[start..].split_first()?;
    if let Some(known) = KNOWN.get(usize::from(first.wrapping_sub(0x88))) {
        return Some((*known).to_owned());
    }
    // A literal under the name of field 8 of HPACK's table, indexed or not.
    if !matches!(first, 0x08 | 0x18 | 0x48..=0x4e) {
        return None;
    }
    let (length, value) = rest.split_first()?;
    let value = value.get(..usize::from(length & 0x7f))?;
    match length & 0x80 {
        0 => String::from_utf8(value.to_vec()).ok(),
        _ => Some(digits(value)),
    }
}

/// Digits in HPACK's Huffman code: 0 to 2 are five bits, the others six.
fn digits(coded: &[u8]) -> String {
    let bits: Vec<u8> = coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let (mut at, mut out) = (0, String::new());
    let read = |at: usize, count: usize| {
        let bits = bits.get(at..at + count)?;
        Some(bits.iter().fold(0, |number, bit| number << 1 | bit))
    };
    while let Some(five) = read(at, 5) {
        if five < 3 {
            out.push(char::from(b'0' + five));
            at += 5;
        } else if let Some(six @ 25..=31) = read(at, 6) {
            out.push(char::from(b'3' + (six - 25)));
            at += 6;
        } else {
            break;
        }
    }
    out
}

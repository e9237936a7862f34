//! Owns the stand-in's reading of an envelope as it arrives: which items, how
//! long each. Payloads are counted and let go; only header lines are held, and
//! those only up to a limit. Lines end at LF, as the protocol's text has it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::domain::envelope::header;

use super::event_id;
use super::events::Item;
use super::refused::Refused;

/// Header lines are a few KiB at most; this is what one may cost us.
const HEADER_BYTES_MAX: usize = 256 * 1024;

/// No SDK comes near it; each item is a row in memory.
const ITEMS_MAX: usize = 1000;

/// Types are shown to people, and clients may write anything.
const TYPE_CHARS_MAX: usize = 64;

/// What an envelope turned out to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The id in its header.
    pub(super) event_id: Option<String>,
    /// The DSN in its header, its form not checked.
    pub(super) dsn: Option<String>,
    /// Its items in their order.
    pub(super) items: Vec<Item>,
}

/// Reads an envelope chunk by chunk, wherever the chunks are cut.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    place: Place,
    line: Vec<u8>,
    contents: Contents,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    EnvelopeHeader,
    ItemHeader,
    /// A payload of announced length.
    Counted {
        left: u64,
    },
    /// A payload that ends with its line.
    Line,
    /// A counted payload is over: LF must follow.
    AfterPayload,
}

#[derive(Deserialize)]
struct ItemHeader<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    length: Option<u64>,
}

impl Scanner {
    /// Reads on. After an error the scanner is of no further use.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = self.step(rest)?;
        }
        Ok(())
    }

    /// The end of the envelope: what it held, if it may end here.
    pub(super) fn finish(mut self) -> Result<Contents, Refused> {
        match self.place {
            Place::EnvelopeHeader if self.line.is_empty() => return Err(Refused::Empty),
            Place::EnvelopeHeader => self.read_line()?,
            Place::ItemHeader if !self.line.is_empty() => self.read_line()?,
            Place::ItemHeader | Place::Counted { .. } | Place::Line | Place::AfterPayload => {}
        }
        match self.place {
            Place::Counted { left: 1.. } => {
                Err(Refused::Malformed("an item is shorter than its length"))
            }
            Place::EnvelopeHeader
            | Place::ItemHeader
            | Place::Counted { left: 0 }
            | Place::Line
            | Place::AfterPayload => Ok(self.contents),
        }
    }

    /// Takes some bytes, or a change of place, and gives back the rest.
    fn step<'c>(&mut self, rest: &'c [u8]) -> Result<&'c [u8], Refused> {
        match self.place {
            Place::EnvelopeHeader | Place::ItemHeader => {
                let (line, after) = to_line_end(rest);
                if self.line.len() + line.len() > HEADER_BYTES_MAX {
                    return Err(Refused::TooLarge("a header line"));
                }
                self.line.extend_from_slice(line);
                if after.is_some() {
                    self.read_line()?;
                }
                Ok(after.unwrap_or_default())
            }
            Place::Counted { left } => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let (payload, after) = rest.split_at_checked(most).unwrap_or((rest, &[]));
                self.grow(count(payload));
                self.place = match left.saturating_sub(count(payload)) {
                    0 => Place::AfterPayload,
                    left => Place::Counted { left },
                };
                Ok(after)
            }
            Place::Line => {
                let (payload, after) = to_line_end(rest);
                self.grow(count(payload));
                if after.is_some() {
                    self.place = Place::ItemHeader;
                }
                Ok(after.unwrap_or_default())
            }
            Place::AfterPayload => {
                self.place = Place::ItemHeader;
                let refused = Refused::Malformed("an item is longer than its length");
                rest.strip_prefix(b"\n").ok_or(refused)
            }
        }
    }

    /// A header line is whole: reads it and moves to what it announces.
    fn read_line(&mut self) -> Result<(), Refused> {
        let line = std::mem::take(&mut self.line);
        if self.place == Place::EnvelopeHeader {
            let header =
                header::parse(&line).map_err(|_| Refused::Malformed("the envelope header"))?;
            let id = |text: Cow<'_, str>| {
                event_id::parse(&text).ok_or(Refused::Malformed("the event id"))
            };
            self.contents.event_id = header.event_id.map(id).transpose()?;
            self.contents.dsn = header.dsn.map(Cow::into_owned);
            self.place = Place::ItemHeader;
            return Ok(());
        }
        if self.contents.items.len() == ITEMS_MAX {
            return Err(Refused::TooLarge("the number of items"));
        }
        let header = item_header(&line).ok_or(Refused::Malformed("an item header"))?;
        self.contents.items.push(Item {
            kind: kind(&header.kind),
            bytes: 0,
        });
        self.place = header
            .length
            .map_or(Place::Line, |left| Place::Counted { left });
        Ok(())
    }

    fn grow(&mut self, bytes: u64) {
        if let Some(item) = self.contents.items.last_mut() {
            item.bytes += bytes;
        }
    }
}

/// The bytes up to the line's end, and what follows that end if it is here.
fn to_line_end(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at)) {
        Some((line, end)) => (line, end.get(1..)),
        None => (rest, None),
    }
}

fn item_header(line: &[u8]) -> Option<ItemHeader<'_>> {
    // serde would read an array as the same fields, and blanks around the object.
    let is_object = line.starts_with(b"{") && line.ends_with(b"}");
    is_object
        .then(|| serde_json::from_slice(line).ok())
        .flatten()
}

fn kind(name: &str) -> Cow<'static, str> {
    match name {
        "event" => "error".into(),
        _ => name.chars().take(TYPE_CHARS_MAX).collect::<String>().into(),
    }
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn scan(envelope: &[u8], chunk_bytes: usize) -> Result<Contents, Refused> {
        let mut scanner = Scanner::default();
        for chunk in envelope.chunks(chunk_bytes) {
            scanner.write(chunk)?;
        }
        scanner.finish()
    }

    #[track_caller]
    fn check(envelope: &[u8], want: Result<&[(&str, u64)], Refused>) {
        let shown = envelope.escape_ascii();
        let whole = scan(envelope, usize::MAX);
        assert_eq!(
            scan(envelope, 1),
            whole,
            "byte by byte reads otherwise: {shown}"
        );
        let items = whole.map(|contents| contents.items);
        let got: Result<Vec<_>, _> = match &items {
            Ok(items) => Ok(items.iter().map(|item| (&*item.kind, item.bytes)).collect()),
            Err(refused) => Err(*refused),
        };
        assert_eq!(got, want.map(<[_]>::to_vec), "{shown}");
    }

    fn malformed(what: &'static str) -> Result<&'static [(&'static str, u64)], Refused> {
        Err(Refused::Malformed(what))
    }

    #[test]
    fn items_with_a_length_are_taken_by_it() {
        check(
            b"{}\n{\"type\":\"event\",\"length\":2}\n{}",
            Ok(&[("error", 2)]),
        );
        check(
            b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n",
            Ok(&[("error", 2)]),
        );
        check(
            b"{}\n{\"type\":\"session\",\"length\":0}\n",
            Ok(&[("session", 0)]),
        );
        check(
            b"{}\n{\"type\":\"session\",\"length\":0}\n\n",
            Ok(&[("session", 0)]),
        );
        check(
            b"{}\n{\"type\":\"session\",\"length\":0}",
            Ok(&[("session", 0)]),
        );
    }

    #[test]
    fn items_without_a_length_end_with_their_line() {
        check(
            b"{}\n{\"type\":\"transaction\"}\n{\"a\":1}",
            Ok(&[("transaction", 7)]),
        );
        check(
            b"{}\n{\"type\":\"transaction\"}\n{\"a\":1}\n",
            Ok(&[("transaction", 7)]),
        );
        check(b"{}\n{\"type\":\"transaction\"}", Ok(&[("transaction", 0)]));
        check(
            b"{}\n{\"type\":\"a\",\"length\":null}\nxy\r\n",
            Ok(&[("a", 3)]),
        );
    }

    #[test]
    fn line_feeds_inside_a_counted_payload_are_payload() {
        let envelope = b"{}\n{\"type\":\"attachment\",\"length\":7}\n\n\x00\n{}\n\xff\n{\"type\":\"event\"}\n{}\n";
        check(envelope, Ok(&[("attachment", 7), ("error", 2)]));
    }

    #[test]
    fn several_items_are_told_apart() {
        let envelope = b"{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n{\"type\":\"session\"}\n{}\n{\"type\":\"x_new\",\"length\":1}\n?";
        check(
            envelope,
            Ok(&[
                ("error", 2),
                ("attachment", 3),
                ("session", 2),
                ("x_new", 1),
            ]),
        );
    }

    #[test]
    fn an_envelope_may_be_its_header_alone_but_not_nothing() {
        check(b"{}", Ok(&[]));
        check(b"{}\n", Ok(&[]));
        check(b"", Err(Refused::Empty));
        check(b"\n", malformed("the envelope header"));
    }

    #[test]
    fn a_second_line_feed_at_the_end_is_one_too_many() {
        check(b"{}\n\n", malformed("an item header"));
        check(
            b"{}\n{\"type\":\"a\",\"length\":1}\n1\n\n",
            malformed("an item header"),
        );
        check(b"{}\n{\"type\":\"a\"}\n1\n\n", malformed("an item header"));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        check(
            b"{}\n{\"type\":\"a\",\"length\":2}\n1",
            malformed("an item is shorter than its length"),
        );
        check(
            b"{}\n{\"type\":\"a\",\"length\":1}",
            malformed("an item is shorter than its length"),
        );
        check(
            b"{}\n{\"type\":\"a\",\"length\":1}\n12",
            malformed("an item is longer than its length"),
        );
        check(
            b"{}\n{\"type\":\"a\",\"length\":1}\n1\r\n",
            malformed("an item is longer than its length"),
        );
        for length in ["-1", "1.0", "\"1\"", "18446744073709551616"] {
            let envelope = format!("{{}}\n{{\"type\":\"a\",\"length\":{length}}}\n1");
            check(envelope.as_bytes(), malformed("an item header"));
        }
    }

    #[test]
    fn header_lines_are_objects_and_nothing_else() {
        check(b"{}\r\n", malformed("the envelope header"));
        check(b"[]\n", malformed("the envelope header"));
        for line in [
            "{}",
            "{\"length\":1}",
            "[\"a\",1]",
            "{\"type\":\"a\"}\r",
            " {\"type\":\"a\"}",
            "x",
        ] {
            check(
                format!("{{}}\n{line}\n1").as_bytes(),
                malformed("an item header"),
            );
        }
    }

    #[test]
    fn the_header_names_the_event_and_the_dsn() {
        let line = format!("{{\"event_id\":\"{ID}\",\"dsn\":\"http://k@h/1\"}}");
        let contents = scan(line.as_bytes(), 5).expect("sound");
        let want = Contents {
            event_id: Some(ID.to_owned()),
            dsn: Some("http://k@h/1".to_owned()),
            items: vec![],
        };
        assert_eq!(contents, want);
        check(b"{\"event_id\":\"5\"}\n", malformed("the event id"));
    }

    #[test]
    fn header_lines_and_items_have_their_limits() {
        let line = |bytes: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(bytes - 8));
        check(line(HEADER_BYTES_MAX).as_bytes(), Ok(&[]));
        check(
            line(HEADER_BYTES_MAX + 1).as_bytes(),
            Err(Refused::TooLarge("a header line")),
        );
        let many = |items: usize| format!("{{}}\n{}", "{\"type\":\"a\"}\n\n".repeat(items));
        check(many(ITEMS_MAX).as_bytes(), Ok(&[("a", 0); ITEMS_MAX]));
        check(
            many(ITEMS_MAX + 1).as_bytes(),
            Err(Refused::TooLarge("the number of items")),
        );
        let long = format!(
            "{{}}\n{{\"type\":\"{}\"}}\n",
            "\u{e9}".repeat(TYPE_CHARS_MAX + 1)
        );
        check(
            long.as_bytes(),
            Ok(&[(&"\u{e9}".repeat(TYPE_CHARS_MAX), 0)]),
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_wherever_it_is_cut(
            payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..8),
            chunk_bytes in 1_usize..50,
        ) {
            let mut envelope = b"{}".to_vec();
            let mut want = Vec::new();
            for (payload, announced) in &payloads {
                let announced = *announced || payload.contains(&b'\n');
                let length = if announced { format!(",\"length\":{}", payload.len()) } else { String::new() };
                envelope.extend(format!("\n{{\"type\":\"a\"{length}}}\n").into_bytes());
                envelope.extend(payload);
                want.push(count(payload));
            }
            let contents = scan(&envelope, chunk_bytes).expect("a sound envelope");
            let got: Vec<u64> = contents.items.iter().map(|item| item.bytes).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn no_bytes_make_it_panic_or_read_otherwise_in_pieces(
            tail in "[{}\"typelngh:0-9,\\n\\r a]{0,60}",
            chunk_bytes in 1_usize..20,
        ) {
            let envelope = format!("{{}}\n{tail}");
            prop_assert_eq!(scan(envelope.as_bytes(), chunk_bytes), scan(envelope.as_bytes(), usize::MAX));
        }
    }
}

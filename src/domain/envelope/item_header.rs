//! An item's header: what the edge reads of it. Never rewrites it; the values of keys it
//! does not know are skipped without being looked at.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::header::Text;
use super::item::ItemKind;
use super::scan::ScanError;
use super::skim::Cursor;

/// What an item's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemHeader {
    /// What the item is.
    pub kind: ItemKind,
    /// Its payload's length in bytes; `None`: it ends with its line.
    pub length: Option<u64>,
    /// How many things it holds: what a container says, else one.
    pub count: u64,
    /// What its key `rate_limited` says, if it has one.
    pub flag: Option<Flag>,
}

/// The fewest bytes that one of many things in a container can have: `{},`.
const THING_BYTES: u64 = 3;

/// How long a container of unknown length is taken to be until it is here.
const UNTOLD_BYTES: u64 = 64 * 1024;

impl ItemHeader {
    /// The header of an item of `bytes`, which holds no more things than that has room for:
    /// `item_count` is whatever its sender likes to write. `None`: it is not known yet how long it
    /// is, and 64 KiB are taken for granted.
    #[must_use]
    pub fn within(self, bytes: Option<u64>) -> Self {
        let room = bytes.unwrap_or(UNTOLD_BYTES) / THING_BYTES;
        Self {
            count: self.count.min(room.max(1)),
            ..self
        }
    }
}

/// What a header says of itself under `rate_limited`, which is a Relay's to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `true`.
    Set,
    /// Anything else: a second such key cannot be put beside it.
    Denied,
}

/// The fields as they are being read.
#[derive(Debug, Default)]
struct Fields<'h> {
    kind: Option<Cow<'h, str>>,
    length: Option<u64>,
    count: Option<u64>,
    attachment: Option<Cow<'h, str>>,
    platform: Option<Cow<'h, str>>,
    flag: Option<Flag>,
    seen: Seen,
}

/// Which of the keys that are read came already.
#[derive(Debug, Default)]
struct Seen {
    kind: bool,
    length: bool,
    count: bool,
    attachment: bool,
    platform: bool,
    flag: bool,
}

impl Fields<'_> {
    fn header(self) -> Result<ItemHeader, ScanError> {
        let name = self.kind.ok_or(ScanError::NoType)?;
        let kind = ItemKind::of(&name, self.attachment.as_deref(), self.platform.as_deref());
        let kind = kind.ok_or(ScanError::RelaysOwn)?;
        let said = self.count.filter(|count| *count > 0 && kind.is_container());
        Ok(ItemHeader {
            kind,
            length: self.length,
            count: said.unwrap_or(1),
            flag: self.flag,
        })
    }
}

/// Reads a header in the plain form that SDKs write. `None`: read it properly.
pub(super) fn skim(line: &[u8]) -> Option<ItemHeader> {
    let mut fields = Fields::default();
    super::skim::object(line, |cursor, key| {
        let seen = &mut fields.seen;
        let first = match key {
            b"type" => {
                fields.kind = Some(Cow::Borrowed(text(cursor)?));
                &mut seen.kind
            }
            b"length" => {
                fields.length = Some(number(cursor)?);
                &mut seen.length
            }
            b"item_count" => {
                fields.count = Some(number(cursor)?);
                &mut seen.count
            }
            b"attachment_type" => {
                fields.attachment = Some(Cow::Borrowed(text(cursor)?));
                &mut seen.attachment
            }
            b"platform" => {
                fields.platform = Some(Cow::Borrowed(text(cursor)?));
                &mut seen.platform
            }
            b"rate_limited" => {
                // Any other value is read properly.
                cursor.word(b"true")?;
                fields.flag = Some(Flag::Set);
                &mut seen.flag
            }
            _ => return cursor.value(0),
        };
        // A second one is an error, and those are told elsewhere.
        (!std::mem::replace(first, true)).then_some(())
    })?;
    fields.header().ok()
}

fn text<'l>(cursor: &mut Cursor<'l>) -> Option<&'l str> {
    str::from_utf8(cursor.string()?).ok()
}

/// A whole number; what follows it must be the object's.
fn number(cursor: &mut Cursor<'_>) -> Option<u64> {
    let digits = cursor.digits()?;
    let odd = digits.len() > 1 && digits.first() == Some(&b'0');
    // Nineteen always fit.
    if odd || digits.len() > 19 {
        return None;
    }
    let add = |number: u64, digit: &u8| number * 10 + u64::from(digit - b'0');
    Some(digits.iter().fold(0, add))
}

/// Reads a header of whatever form.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &[u8]) -> Result<ItemHeader, ScanError> {
    let read: Read<'_> = serde_json::from_slice(text).map_err(|_| ScanError::Malformed)?;
    read.0?.header()
}

/// The fields, or why they cannot be taken although the JSON is sound.
struct Read<'h>(Result<Fields<'h>, ScanError>);

impl<'de> Deserialize<'de> for Read<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor)
    }
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        let mut wrong = None;
        while let Some(Text(key)) = map.next_key()? {
            let (name, seen) = match &*key {
                "type" => ("type", &mut fields.seen.kind),
                "length" => ("length", &mut fields.seen.length),
                "item_count" => ("item_count", &mut fields.seen.count),
                "attachment_type" => ("attachment_type", &mut fields.seen.attachment),
                "platform" => ("platform", &mut fields.seen.platform),
                "rate_limited" => ("rate_limited", &mut fields.seen.flag),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<&'de RawValue>()?.get();
            if std::mem::replace(seen, true) {
                wrong.get_or_insert(ScanError::Duplicate { key: name });
            }
            match name {
                "type" => match words(value) {
                    Some(text) => fields.kind = Some(text),
                    None => {
                        wrong.get_or_insert(ScanError::NoType);
                    }
                },
                "length" => match value.parse() {
                    Ok(length) if !value.starts_with('+') => fields.length = Some(length),
                    _ => {
                        wrong.get_or_insert(ScanError::BadLength);
                    }
                },
                "item_count" => fields.count = value.parse().ok(),
                "attachment_type" => fields.attachment = words(value),
                "platform" => fields.platform = words(value),
                "rate_limited" => {
                    fields.flag = Some(match value {
                        "true" => Flag::Set,
                        _ => Flag::Denied,
                    });
                }
                _ => {}
            }
        }
        Ok(Read(wrong.map_or(Ok(fields), Err)))
    }
}

/// A JSON string's text.
fn words(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(value)
        .ok()
        .map(|Text(text)| text)
}

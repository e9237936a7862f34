//! What follows line one, read the plain way: the whole body at once, headers delimited
//! by the JSON library, payloads by counting. Slow, and nothing the edge runs: the scanner
//! is held against it.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An item: its type, and its payload's length.
pub(super) type Item = (String, usize);

/// All items, or why there are none.
pub(super) fn read(body: &[u8]) -> Result<Vec<Item>, &'static str> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let mut headers = serde_json::Deserializer::from_slice(&body[at..]).into_iter::<Header>();
        let header = match headers.next() {
            None => return Err("blanks at the end"),
            Some(Err(_)) => return Err("no header"),
            Some(Ok(header)) => header,
        };
        at += headers.byte_offset();
        match body.get(at) {
            None => {}
            Some(b'\n') => at += 1,
            Some(_) => return Err("no line feed behind a header"),
        }
        let (name, length) = header.said()?;
        let rest = &body[at..];
        let line = rest.iter().position(|byte| *byte == b'\n');
        let length = length.unwrap_or(line.unwrap_or(rest.len()));
        if length > rest.len() {
            return Err("cut short");
        }
        at += length;
        match body.get(at) {
            None => {}
            Some(b'\n') => at += 1,
            Some(_) => return Err("no line feed behind a payload"),
        }
        items.push((name, length));
    }
    Ok(items)
}

/// The keys that decide what an item is, with their values as they stand.
struct Header(Vec<(String, String)>);

impl Header {
    fn said(self) -> Result<(String, Option<usize>), &'static str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a key twice");
        }
        let value = |wanted: &str| {
            let mut found = self.0.iter();
            found
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value)
        };
        let name = value("type").ok_or("no type")?;
        let name: String = serde_json::from_str(name).map_err(|_| "a type that is no text")?;
        if name == "integration" {
            return Err("a relay's own");
        }
        let length = match value("length") {
            None => None,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(text.parse().map_err(|_| "a length beyond all bounds")?)
            }
            Some(_) => return Err("a length that is no whole number"),
        };
        Ok((name, length))
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                const READ: [&str; 6] = [
                    "type",
                    "length",
                    "item_count",
                    "attachment_type",
                    "platform",
                    "rate_limited",
                ];
                let mut read = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if READ.contains(&name.as_str()) {
                        let value = map.next_value::<Box<RawValue>>()?;
                        read.push((name, value.get().to_owned()));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Header(read))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

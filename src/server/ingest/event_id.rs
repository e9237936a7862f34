//! The id that a client gave its event, as far as it is told back. Read only where the
//! edge answers in the upstream's place; never trusted for anything.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::domain::coding::{Coding, DecodeLimits, Decoder, Peek, Sight};
use crate::domain::endpoint::Endpoint;
use crate::domain::envelope::header;

/// As long as an envelope's line one may be.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What of a single event is unpacked to look for its id.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

const LIMITS: DecodeLimits = DecodeLimits {
    decoded_bytes: 2 * 1024 * 1024,
    ratio: 1000,
};

/// The id of the event in a body that begins like this; a fresh one where a single event
/// shows none. `None`: it is no event, or an envelope without one.
pub(crate) fn of(endpoint: Endpoint, coding: Option<Coding>, body: Bytes) -> Option<String> {
    match (endpoint, coding) {
        (Endpoint::Envelope | Endpoint::Store, Some(coding)) => of_envelope(coding, &body),
        (Endpoint::Store, None) => Some(of_event(&body).unwrap_or_else(fresh)),
        (_, _) => None,
    }
}

/// The id that a body shows which begins like this: an envelope packed so, or else a single event.
pub(crate) fn shown_in(envelope: Option<Coding>, body: &[u8]) -> Option<String> {
    match envelope {
        Some(coding) => of_envelope(coding, body),
        None => of_event(body),
    }
}

fn fresh() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn of_envelope(coding: Coding, body: &[u8]) -> Option<String> {
    let mut peek = Peek::new(Decoder::new(coding, LIMITS), LINE_BYTES_MAX);
    let looked = peek.push(body).ok()?;
    if looked.sight == Sight::TooLong {
        return None;
    }
    let header = header::parse(peek.line()).ok()?;
    header.event_id.as_deref().and_then(shown)
}

/// The id in the form that is told back: 32 hex digits, whatever dashes it came with.
fn shown(id: &str) -> Option<String> {
    let digits: String = id.chars().filter(|sign| *sign != '-').collect();
    let hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| digits.to_ascii_lowercase())
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

fn of_event(body: &[u8]) -> Option<String> {
    let text = text(body)?;
    let event: Event<'_> = serde_json::from_slice(&text).ok()?;
    event.event_id.as_deref().and_then(shown)
}

/// The JSON of a single event, which comes as it is, or packed by zlib, or that in base64
/// (PROTOCOL 1.1). `None`: it is none, or one beyond what is unpacked.
pub(crate) fn text(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let body = body.trim_ascii();
    if body.first() == Some(&b'{') {
        return Some(Cow::Borrowed(body));
    }
    let decoded = STANDARD.decode(body).ok();
    let packed = decoded.as_deref().unwrap_or(body);
    if packed.first() == Some(&b'{') {
        return decoded.map(Cow::Owned);
    }
    let coding = match packed {
        [0x1f, 0x8b, ..] => Coding::Gzip,
        _ => Coding::Deflate,
    };
    let mut decoder = Decoder::new(coding, LIMITS);
    let mut event = vec![0; EVENT_BYTES_MAX];
    let (mut rest, mut written) = (packed, 0);
    loop {
        let room = event.get_mut(written..)?;
        let progress = decoder.push(rest, room).ok()?;
        written += progress.written;
        rest = rest.get(progress.read..)?;
        if !progress.more || written == EVENT_BYTES_MAX {
            break;
        }
    }
    event.truncate(written);
    let event = Vec::from(event.trim_ascii());
    (event.first() == Some(&b'{')).then_some(Cow::Owned(event))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[track_caller]
    fn check(endpoint: Endpoint, coding: Option<Coding>, body: &[u8], want: Option<&str>) {
        let id = of(endpoint, coding, Bytes::copy_from_slice(body));
        assert_eq!(id.as_deref(), want);
    }

    #[test]
    fn an_envelopes_id_is_in_its_first_line() {
        let line = format!("{{\"event_id\":\"{ID}\"}}\n{{}}\n");
        let plain = Some(Coding::Identity);
        check(Endpoint::Envelope, plain, line.as_bytes(), Some(ID));
        check(Endpoint::Store, plain, line.as_bytes(), Some(ID));
        let packed = zlib(line.as_bytes());
        check(Endpoint::Envelope, Some(Coding::Deflate), &packed, Some(ID));
        check(Endpoint::Envelope, plain, b"{}\n", None);
        check(Endpoint::Envelope, plain, b"{\"event_id\":\"<b>\"}\n", None);
    }

    #[test]
    fn a_single_events_id_is_in_it_however_it_is_packed() {
        let dashed = "FC6D8C0C-43fc-4630-ad85-0ee518f1b9d0";
        let event = format!("{{\"a\":{{\"event_id\":\"1\"}},\"event_id\":\"{dashed}\"}}");
        let store = Endpoint::Store;
        check(store, None, event.as_bytes(), Some(ID));
        check(store, None, &zlib(event.as_bytes()), Some(ID));
        let text = STANDARD.encode(&event);
        check(store, None, text.as_bytes(), Some(ID));
        let packed = STANDARD.encode(zlib(event.as_bytes()));
        check(store, None, packed.as_bytes(), Some(ID));
    }

    #[test]
    fn a_single_event_without_an_id_gets_one_and_others_need_none() {
        for body in [
            &b"{}"[..],
            b"",
            b"nothing",
            b"{\"event_id\":7}",
            &[0x78, 0x9c, 1],
        ] {
            let id = of(Endpoint::Store, None, Bytes::copy_from_slice(body)).unwrap();
            assert_eq!(shown(&id).as_deref(), Some(&*id), "{body:?}");
        }
        check(Endpoint::Minidump, None, b"{}", None);
        check(Endpoint::Cron, None, b"", None);
    }
}

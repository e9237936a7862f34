//! Owns what a request's body is read as: an envelope, one event, or bytes to
//! count. Holds an event's body and no other; knows nothing of encodings.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use serde::Deserialize;

use crate::domain::endpoint::Endpoint;

use super::event_id;
use super::events::Item;
use super::refused::Refused;
use super::scanner::{Contents, Scanner};

/// What Sentry takes as one event (PROTOCOL 3.3), and room for its base64.
const EVENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A body being read.
#[derive(Debug)]
pub(super) enum Intake {
    /// An envelope; nothing of its payloads is held.
    Envelope(Scanner),
    /// One event of an old client, held whole since its id is inside.
    Event(Vec<u8>),
    /// Anything else: one item of that type.
    Counted {
        /// What the item is called.
        kind: &'static str,
        /// Its length so far.
        bytes: u64,
    },
}

impl Intake {
    /// How the endpoint's bodies are read. `None`: the stand-in has no such endpoint.
    pub(super) fn of(endpoint: Endpoint, content_type: Option<&[u8]>) -> Option<Self> {
        let counted = |kind| Some(Self::Counted { kind, bytes: 0 });
        match endpoint {
            Endpoint::Envelope => Some(Self::Envelope(Scanner::default())),
            Endpoint::Store if content_type == Some(b"application/x-sentry-envelope") => {
                Some(Self::Envelope(Scanner::default()))
            }
            Endpoint::Store => Some(Self::Event(Vec::new())),
            Endpoint::Security => counted("security"),
            Endpoint::Nel => counted("nel"),
            Endpoint::Minidump => counted("minidump"),
            Endpoint::Unreal => counted("unreal_report"),
            Endpoint::Attachments => counted("attachment"),
            Endpoint::Cron => counted("check_in"),
            Endpoint::OtlpTraces | Endpoint::OtlpLogs => counted("otlp"),
            Endpoint::UploadCreate
            | Endpoint::UploadChunk
            | Endpoint::Integration
            | Endpoint::Playstation
            | Endpoint::Unknown => None,
        }
    }

    /// Reads on.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Envelope(scanner) => scanner.write(chunk),
            Self::Event(body) if body.len() + chunk.len() > EVENT_BYTES_MAX => {
                Err(Refused::TooLarge("an event"))
            }
            Self::Event(body) => {
                body.extend_from_slice(chunk);
                Ok(())
            }
            Self::Counted { bytes, .. } => {
                *bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                Ok(())
            }
        }
    }

    /// The body's end: what it held.
    pub(super) fn finish(self) -> Result<Contents, Refused> {
        match self {
            Self::Envelope(scanner) => scanner.finish(),
            Self::Event(body) => event(&body),
            Self::Counted { kind, bytes } => {
                let items = vec![Item {
                    kind: kind.into(),
                    bytes,
                }];
                Ok(Contents {
                    items,
                    ..Contents::default()
                })
            }
        }
    }
}

/// What is read of an event's JSON.
#[derive(Deserialize)]
struct EventHead<'a> {
    #[serde(borrow, default)]
    event_id: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
}

/// Reads an event as JSON, as base64 of JSON, or as base64 of zlib of JSON: the
/// three forms in which old clients post one.
fn event(body: &[u8]) -> Result<Contents, Refused> {
    let body = body.trim_ascii();
    if body.is_empty() {
        return Err(Refused::Empty);
    }
    let json = match body.first() {
        Some(b'{') => Cow::Borrowed(body),
        Some(_) | None => Cow::Owned(unwrapped(body)?),
    };
    let head: EventHead<'_> =
        serde_json::from_slice(&json).map_err(|_| Refused::Malformed("the event's JSON"))?;
    let id = |text: Cow<'_, str>| event_id::parse(&text).ok_or(Refused::Malformed("the event id"));
    let event_id = head.event_id.map(id).transpose()?;
    let kind = match head.kind.as_deref() {
        Some("transaction") => "transaction",
        Some("csp" | "hpkp" | "expectct" | "expectstaple") => "security",
        Some(_) | None => "error",
    };
    let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
    Ok(Contents {
        event_id,
        dsn: None,
        items: vec![Item {
            kind: kind.into(),
            bytes,
        }],
    })
}

fn unwrapped(body: &[u8]) -> Result<Vec<u8>, Refused> {
    let bytes = STANDARD
        .decode(body)
        .map_err(|_| Refused::Malformed("the event's base64"))?;
    if bytes.first() == Some(&b'{') {
        return Ok(bytes);
    }
    let most = u64::try_from(EVENT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut json = Vec::new();
    let inflated = ZlibDecoder::new(&*bytes)
        .take(most + 1)
        .read_to_end(&mut json);
    match inflated {
        Ok(length) if length <= EVENT_BYTES_MAX => Ok(json),
        Ok(_) => Err(Refused::TooLarge("an event")),
        Err(_) => Err(Refused::BadCompression),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    const ID: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    #[track_caller]
    fn check(body: &[u8], want: Result<(Option<&str>, &str, u64), Refused>) {
        let mut intake = Intake::of(Endpoint::Store, None).expect("store is an endpoint here");
        let contents = intake.write(body).and_then(|()| intake.finish());
        let want = want.map(|(event_id, kind, bytes)| Contents {
            event_id: event_id.map(str::to_owned),
            dsn: None,
            items: vec![Item {
                kind: kind.to_owned().into(),
                bytes,
            }],
        });
        assert_eq!(contents, want);
    }

    #[test]
    fn an_event_is_read_in_all_three_forms() {
        let json = format!("{{\"event_id\":\"{ID}\",\"message\":\"x\"}}");
        check(json.as_bytes(), Ok((Some(ID), "error", 61)));
        check(
            STANDARD.encode(&json).as_bytes(),
            Ok((Some(ID), "error", 61)),
        );
        check(
            STANDARD.encode(zlib(json.as_bytes())).as_bytes(),
            Ok((Some(ID), "error", 61)),
        );
    }

    #[test]
    fn the_types_of_old_clients_are_told_apart() {
        check(b"{}", Ok((None, "error", 2)));
        check(b"{\"type\":\"transaction\"}", Ok((None, "transaction", 22)));
        check(b"{\"type\":\"csp\"}", Ok((None, "security", 14)));
        check(b"{\"type\":null}", Ok((None, "error", 13)));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        check(b"", Err(Refused::Empty));
        check(b" \n", Err(Refused::Empty));
        check(b"{", Err(Refused::Malformed("the event's JSON")));
        check(b"?", Err(Refused::Malformed("the event's base64")));
        check(
            b"{\"event_id\":\"1\"}",
            Err(Refused::Malformed("the event id")),
        );
        check(
            STANDARD.encode("xx").as_bytes(),
            Err(Refused::BadCompression),
        );
    }

    #[test]
    fn an_event_ends_at_its_limit_packed_or_not() {
        let event = |bytes: usize| format!("{{\"m\":\"{}\"}}", "a".repeat(bytes - 8));
        let most = u64::try_from(EVENT_BYTES_MAX).expect("2 MiB");
        let sound = Ok((None, "error", most));
        check(event(EVENT_BYTES_MAX).as_bytes(), sound);
        check(
            event(EVENT_BYTES_MAX + 1).as_bytes(),
            Err(Refused::TooLarge("an event")),
        );
        let packed = |bytes| STANDARD.encode(zlib(event(bytes).as_bytes()));
        check(packed(EVENT_BYTES_MAX).as_bytes(), sound);
        check(
            packed(EVENT_BYTES_MAX + 1).as_bytes(),
            Err(Refused::TooLarge("an event")),
        );
    }

    #[test]
    fn other_bodies_are_counted_and_not_held() {
        let mut intake = Intake::of(Endpoint::Minidump, None).expect("an endpoint here");
        intake.write(b"MDMP").expect("anything goes");
        intake.write(b"\n\x00").expect("anything goes");
        let items = vec![Item {
            kind: "minidump".into(),
            bytes: 6,
        }];
        assert_eq!(
            intake.finish(),
            Ok(Contents {
                items,
                ..Contents::default()
            })
        );
        assert!(Intake::of(Endpoint::Unknown, None).is_none());
    }

    #[test]
    fn store_takes_an_envelope_that_says_so() {
        let mut intake = Intake::of(Endpoint::Store, Some(b"application/x-sentry-envelope"))
            .expect("store is an endpoint here");
        intake
            .write(b"{}\n{\"type\":\"session\"}\n{}")
            .expect("sound");
        let items = vec![Item {
            kind: "session".into(),
            bytes: 2,
        }];
        assert_eq!(
            intake.finish(),
            Ok(Contents {
                items,
                ..Contents::default()
            })
        );
    }
}

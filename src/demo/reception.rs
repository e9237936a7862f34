//! Owns what the stand-in makes of one request: key, project and client address
//! read as a Sentry reads them, the body's items listed, the endpoint's own
//! answer given. Never decides who may send: any key of sound form is known.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::domain::credentials::{self, Sources};
use crate::domain::dsn;
use crate::domain::endpoint::{self, Endpoint, Ingest, Project, Route};
use crate::domain::path;

use super::answers::{self, Accepted};
use super::decoder::{BODY_BYTES_MAX, Decoder};
use super::event_id;
use super::events::{Events, Item, Sender};
use super::intake::Intake;
use super::refused::Refused;
use super::scanner::Contents;

/// A sender that stands still for so long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is decoded before other connections have their turn.
const STEP_BYTES: usize = 16 * 1024;

/// What is read on of a refused body, and for how long.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(2);

/// An address is at most 45 characters; what comes instead is shown this far.
const CLIENT_IP_CHARS_MAX: usize = 100;

/// Answers one request, whatever it is.
pub(super) async fn receive(events: &Events, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, mut body) = request.into_parts();
    let Ok(path) = path::normalise(head.uri.path()) else {
        return answers::refusal(Refused::Malformed("the path"));
    };
    let accepted = match endpoint::route(&path) {
        // The edge answers preflights; whoever asks here gets the least there is.
        Route::Ingest(_) if head.method == Method::OPTIONS => {
            return answers::empty(StatusCode::OK);
        }
        Route::Ingest(ingest) => take(events, &head, &ingest, &path, &mut body).await,
        Route::Relays => return answers::relays(&path),
        Route::RelayInternal
        | Route::Assets { .. }
        | Route::Static
        | Route::Upload
        | Route::Web => return answers::web(&head.method, &path),
    };
    match accepted {
        Ok(accepted) => answers::success(&accepted),
        Err(refused) => {
            discard(&mut body).await;
            let mut response = answers::refusal(refused);
            if refused == Refused::Encoding {
                let known = HeaderValue::from_static("gzip, deflate, br, identity");
                response.headers_mut().insert(ACCEPT_ENCODING, known);
            }
            response
        }
    }
}

/// Reads an ingest request to its end and lists what it brought.
async fn take(
    events: &Events,
    head: &Parts,
    ingest: &Ingest<'_>,
    path: &[u8],
    body: &mut Incoming,
) -> Result<Accepted, Refused> {
    let endpoint = ingest.endpoint;
    if !endpoint.allows(head.method.as_str()) {
        return Err(Refused::Method);
    }
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !endpoint.accepts_content_type(content_type) && head.method == Method::POST {
        return Err(Refused::ContentType);
    }
    let project = match ingest.project {
        Project::Number(project) => Some(project.get()),
        Project::OfKey => None,
        Project::Unparsable => return Err(Refused::BadProject),
    };
    let mut intake = Intake::of(endpoint, content_type).ok_or(Refused::NotFound)?;
    let shown = credentials(head, ingest)?;
    let mut contents = if endpoint == Endpoint::Store && head.method == Method::GET {
        intake.write(&sentry_data(head.uri.query().unwrap_or_default()))?;
        intake.finish()?
    } else {
        let encoding = head
            .headers
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes);
        read(body, Decoder::new(encoding, intake)?).await?
    };
    let key = proven(shown, &contents, project)?;
    contents.event_id = id_of(endpoint, path, contents.event_id, &contents.items);
    let Contents {
        event_id, items, ..
    } = contents;
    let sender = Sender {
        event_id: event_id.clone(),
        project,
        key,
        client_ip: client_ip(&head.headers),
    };
    events.add(SystemTime::now(), &sender, items);
    Ok(Accepted {
        endpoint,
        pixel: head.method == Method::GET,
        event_id,
    })
}

/// The key in the request's head, if it has one.
fn credentials(head: &Parts, ingest: &Ingest<'_>) -> Result<Option<String>, Refused> {
    let header = |name: &HeaderName| head.headers.get(name).map(HeaderValue::as_bytes);
    let sources = Sources {
        sentry_auth: header(&HeaderName::from_static("x-sentry-auth")),
        authorization: header(&AUTHORIZATION),
        query: head.uri.query(),
        path_key: ingest.path_key,
    };
    match credentials::read(&sources) {
        Ok(Some(found)) => Ok(Some(found.key.as_str().to_owned())),
        Ok(None) if ingest.endpoint == Endpoint::Envelope => Ok(None),
        Ok(None) => Err(Refused::Credentials(401)),
        Err(error) => Err(Refused::Credentials(error.status())),
    }
}

/// The key that the request stands on. With both a key in its head and a DSN in
/// its envelope the two must agree; with neither it has none.
fn proven(
    shown: Option<String>,
    contents: &Contents,
    project: Option<u64>,
) -> Result<String, Refused> {
    let Some(text) = &contents.dsn else {
        return shown.ok_or(Refused::Credentials(401));
    };
    let dsn = dsn::parse(text).map_err(|_| Refused::Credentials(401))?;
    match shown {
        None => Ok(dsn.key.as_str().to_owned()),
        Some(key) if key == dsn.key.as_str() && project == Some(dsn.project.get()) => Ok(key),
        Some(_) => Err(Refused::DsnMismatch),
    }
}

async fn read(body: &mut Incoming, mut decoder: Decoder) -> Result<Contents, Refused> {
    let mut left = BODY_BYTES_MAX;
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, body.frame()).await;
        let frame = match next.map_err(|_| Refused::Gone)? {
            Some(frame) => frame.map_err(|_| Refused::Gone)?,
            None => return decoder.finish(),
        };
        // Trailers carry nothing that is read here.
        let Some(chunk) = frame.data_ref() else {
            continue;
        };
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        left = left
            .checked_sub(length)
            .ok_or(Refused::TooLarge("the body"))?;
        for step in chunk.chunks(STEP_BYTES) {
            decoder.write(step)?;
            // A packed chunk can hold a thousand times its length: others wait too.
            tokio::task::yield_now().await;
        }
    }
}

/// Reads on after a refusal: closing on a sender that still sends would destroy
/// the answer before it is read. One with more than this to send is not waited for.
async fn discard(body: &mut Incoming) {
    let mut left = DISCARDED_BYTES_MAX;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(after) => left = after,
                None => return,
            }
        }
    };
    if tokio::time::timeout(DISCARD_MAX, rest).await.is_err() {
        tracing::debug!("a refused sender took too long to end");
    }
}

/// The event id of an upload: its header's, the path's, or a fresh one where an
/// item cannot be without.
fn id_of(endpoint: Endpoint, path: &[u8], named: Option<String>, items: &[Item]) -> Option<String> {
    let in_path = || {
        let segment = path.split(|byte| *byte == b'/').nth(4)?;
        event_id::parse(str::from_utf8(segment).ok()?)
    };
    let named = if endpoint == Endpoint::Attachments {
        in_path()
    } else {
        named
    };
    let needed = items.iter().any(|item| needs_event(&item.kind));
    named.or_else(|| needed.then(|| event_id::from_bits(fastrand::u128(..))))
}

/// The item types that belong to an event (PROTOCOL 3.2).
fn needs_event(kind: &str) -> bool {
    matches!(
        kind,
        "error"
            | "transaction"
            | "security"
            | "raw_security"
            | "unreal_report"
            | "minidump"
            | "attachment"
            | "form_data"
            | "user_report"
            | "feedback"
            | "profile"
            | "replay_event"
    )
}

/// What the edge said about the client: every line of the header, as it came.
fn client_ip(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<Cow<'_, str>> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    let joined: String = lines.join(", ").chars().take(CLIENT_IP_CHARS_MAX).collect();
    (!lines.is_empty()).then_some(joined)
}

/// The value of `sentry_data`, percent-decoded; the oldest clients send their
/// event so.
fn sentry_data(query: &str) -> Vec<u8> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("sentry_data="));
    let mut decoded = Vec::new();
    let mut rest = value.unwrap_or_default().as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            _ => (*first, after),
        };
        decoded.push(byte);
        rest = after;
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_data(query: &str, want: &[u8]) {
        assert_eq!(sentry_data(query), want, "{query:?}");
    }

    #[test]
    fn sentry_data_is_found_and_decoded() {
        check_data("sentry_key=a&sentry_data=e30%3D&x=1", b"e30=");
        check_data("sentry_data=a%2Bb%2fc", b"a+b/c");
        check_data("sentry_data=%7", b"%7");
        check_data("sentry_data=%zz%", b"%zz%");
        check_data("x_sentry_data=1", b"");
    }

    #[track_caller]
    fn check_ip(lines: &[&'static str], want: Option<&str>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        assert_eq!(client_ip(&headers).as_deref(), want);
    }

    #[test]
    fn the_client_is_shown_as_the_edge_named_it() {
        check_ip(&[], None);
        check_ip(&["203.0.113.9"], Some("203.0.113.9"));
        check_ip(&["6.6.6.6", "203.0.113.9"], Some("6.6.6.6, 203.0.113.9"));
    }

    #[test]
    fn a_dsn_in_the_envelope_must_agree_with_the_head() {
        let contents = |dsn: &str| Contents {
            dsn: Some(dsn.to_owned()),
            ..Contents::default()
        };
        let key = "a94ae32be2584e0bbd7a4cbb95971fee";
        let sound = contents("http://a94ae32be2584e0bbd7a4cbb95971fee@h/7");
        let shown = || Some(key.to_owned());
        assert_eq!(proven(None, &sound, Some(7)), Ok(key.to_owned()));
        assert_eq!(proven(shown(), &sound, Some(7)), Ok(key.to_owned()));
        assert_eq!(proven(shown(), &sound, Some(8)), Err(Refused::DsnMismatch));
        assert_eq!(
            proven(Some(String::new()), &sound, Some(7)),
            Err(Refused::DsnMismatch)
        );
        assert_eq!(
            proven(shown(), &Contents::default(), Some(7)),
            Ok(key.to_owned())
        );
        let nobody = Err(Refused::Credentials(401));
        assert_eq!(proven(None, &Contents::default(), Some(7)), nobody);
        assert_eq!(proven(None, &contents("x"), Some(7)), nobody);
    }
}

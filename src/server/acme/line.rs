//! The way to an authority: one question at a time over TLS, each on a connection of its own,
//! since there are a dozen to an order and weeks between orders. Bounds the time and the bytes
//! of an answer. Follows no redirect, and believes nobody unchecked.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::fmt::rfc2822;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For one question, from the look-up of the name to the last byte of the answer. Authorities
/// sign while they are waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer's body; a chain is a few kilobytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What the edge calls itself, as RFC 8555 has it (section 6.1).
const NAME: HeaderValue = HeaderValue::from_static(concat!("vidette/", env!("CARGO_PKG_VERSION")));

/// What every answer of ACME is in, refusals among them; chains are text.
const READABLE: [&str; 3] = [
    "application/json",
    "application/problem+json",
    "application/pem-certificate-chain",
];

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// Its URL is not one that is asked.
    #[error("the authority names a URL that is not https")]
    BadUrl,
    /// The resolver knows no address.
    #[error("the authority's name does not resolve: is acme.directory right, and is there a DNS?")]
    Unresolved,
    /// No address took a connection.
    #[error(
        "the authority takes no connection ({0}): is acme.directory right, and may the edge connect there?"
    )]
    Unreachable(io::ErrorKind),
    /// Its certificate is believed by nobody here.
    #[error(
        "the authority's own certificate is not believed: for a private authority, name its file in acme.ca"
    )]
    NotBelieved,
    /// Not all of the answer came in time.
    #[error("the authority does not answer in time")]
    Timeout,
    /// Closed or garbled before the answer was whole.
    #[error("the connection to the authority broke")]
    Broken,
    /// Over a bound.
    #[error("the authority's answer is larger than any of ACME: is acme.directory right?")]
    TooLarge,
    /// A page that no ACME server sends, as balancers have them.
    #[error("the authority is out of order, or acme.directory is not one (status {0})")]
    Status(u16),
}

/// A way to ask; clones share what the authority has asked for.
#[derive(Debug, Clone)]
pub(super) struct Line {
    terms: Arc<ClientConfig>,
    /// The seconds that the last refusal asked to be left alone for; 0: none.
    asked_s: Arc<AtomicU64>,
}

impl Line {
    /// A line on which servers are believed on these terms.
    pub(super) fn new(terms: ClientConfig) -> Self {
        Self {
            terms: Arc::new(terms),
            asked_s: Arc::default(),
        }
    }

    /// How long the authority has asked to be left alone since this was last called.
    pub(super) fn take_asked_s(&self) -> Option<u64> {
        Some(self.asked_s.swap(0, Ordering::Relaxed)).filter(|asked_s| *asked_s > 0)
    }

    async fn ask(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Bytes>, LineError> {
        let (server, request) = addressed(request)?;
        let host = server.host().trim_matches(['[', ']']).to_owned();
        let port = server.port_u16().unwrap_or(HTTPS_PORT);
        let addresses = lookup_host((host.as_str(), port)).await;
        let addresses: Vec<_> = addresses.map_err(|_| LineError::Unresolved)?.collect();
        let socket = TcpStream::connect(addresses.as_slice()).await;
        let socket = socket.map_err(|error| LineError::Unreachable(error.kind()))?;
        let name = ServerName::try_from(host).map_err(|_| LineError::BadUrl)?;
        let secured = TlsConnector::from(Arc::clone(&self.terms)).connect(name, socket);
        let secured = secured.await.map_err(|error| of_handshake(&error))?;
        let mut builder = Builder::new();
        let shaken = builder.max_buf_size(HEAD_BYTES_MAX);
        let shaken = shaken.handshake(TokioIo::new(secured)).await;
        let (mut sender, connection) = shaken.map_err(|_| LineError::Broken)?;
        let mut exchange = pin!(async {
            let answer = sender.send_request(request).await;
            let (head, body) = answer.map_err(|_| LineError::Broken)?.into_parts();
            Ok(Response::from_parts(head, whole(body).await?))
        });
        tokio::select! {
            answer = &mut exchange => answer,
            // It has closed behind an answer of which not all is taken yet.
            _ = connection => exchange.await,
        }
    }

    /// Hands on what ACME knows to read.
    fn read(&self, answer: Response<Bytes>) -> Result<BytesResponse, LineError> {
        let status = answer.status();
        let refused = status.is_client_error() || status.is_server_error();
        if refused && let Some(asked_s) = retry_after_s(answer.headers(), SystemTime::now()) {
            self.asked_s.store(asked_s, Ordering::Relaxed);
        }
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let readable = READABLE
            .iter()
            .any(|known| known.eq_ignore_ascii_case(kind));
        match refused && !readable {
            true => Err(LineError::Status(status.as_u16())),
            false => Ok(BytesResponse::from(answer.map(Full::new))),
        }
    }
}

impl HttpClient for Line {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let line = self.clone();
        Box::pin(async move {
            let answer = timeout(ANSWER_WITHIN, line.ask(request)).await;
            let answer = answer.unwrap_or(Err(LineError::Timeout));
            let read = answer.and_then(|answer| line.read(answer));
            read.map_err(|error| Error::Other(Box::new(error)))
        })
    }
}

const HTTPS_PORT: u16 = 443;

/// The request as it goes over the wire, and to whom.
fn addressed<B>(request: Request<B>) -> Result<(Authority, Request<B>), LineError> {
    let (mut head, body) = request.into_parts();
    let url = std::mem::take(&mut head.uri).into_parts();
    let server = match (url.scheme, url.authority) {
        (Some(scheme), Some(server)) if scheme == Scheme::HTTPS => server,
        _ => return Err(LineError::BadUrl),
    };
    let path = url.path_and_query;
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let host = HeaderValue::from_str(server.as_str()).map_err(|_| LineError::BadUrl)?;
    head.headers.insert(HOST, host);
    head.headers.insert(USER_AGENT, NAME);
    Ok((server, Request::from_parts(head, body)))
}

async fn whole(mut body: Incoming) -> Result<Bytes, LineError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| LineError::Broken)?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if chunk.len() > BODY_BYTES_MAX - whole.len() {
            return Err(LineError::TooLarge);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// A socket that connects may still lead to what speaks no TLS.
fn of_handshake(error: &io::Error) -> LineError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => LineError::NotBelieved,
        Some(_) | None => LineError::Broken,
    }
}

/// The seconds from `now` that a refusal asks for: a number, or a moment of HTTP.
fn retry_after_s(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let at = SystemTime::from(rfc2822::parse(value).ok()?.timestamp());
    Some(at.duration_since(now).map_or(0, |left| left.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, want: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(retry_after_s(&headers, now), want, "{value}");
    }

    #[test]
    fn a_wait_is_read_in_both_its_forms() {
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Tue, 14 Nov 2023 22:15:20 GMT", Some(120));
        check("Tue, 14 Nov 2023 22:00:00 GMT", Some(0));
        check("soon", None);
        check("-5", None);
        check("", None);
    }

    #[test]
    fn a_request_goes_to_its_server_under_our_own_name() {
        let check = |url: &str, want: Result<(&str, &str), LineError>| {
            let request = Request::get(url).body(()).unwrap();
            let got = addressed(request).map(|(server, request)| {
                assert_eq!(request.headers()[HOST], server.as_str());
                assert!(
                    request.headers()[USER_AGENT]
                        .to_str()
                        .unwrap()
                        .starts_with("vidette/")
                );
                (server.to_string(), request.uri().to_string())
            });
            let want = want.map(|(server, target)| (server.to_owned(), target.to_owned()));
            assert_eq!(got, want, "{url}");
        };
        check("https://a.example/dir?x=y", Ok(("a.example", "/dir?x=y")));
        check("https://[::1]:14000", Ok(("[::1]:14000", "/")));
        check("http://a.example/dir", Err(LineError::BadUrl));
        check("/dir", Err(LineError::BadUrl));
    }
}

//! A way to ask a Sentry, one question at a time: dialled when it is needed, kept between
//! questions, bounded in bytes. Follows no redirect and goes to no host but the configured one;
//! never knows what is asked.

use std::io;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::AbortHandle;

use crate::config::checked::{Scheme, UpstreamUrl};
use crate::domain::reach::ReachFault;
use crate::server::upstream::stream::Stream;
use crate::server::upstream::trust::Trusting;
use crate::tls::Name;

/// Bytes of an answer's head, and of one read of its body.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What the edge calls itself in Sentry's access log.
pub(in crate::server) const NAME: &str = concat!("vidette/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer, or none that can be used. Names no host and quotes nothing that came
/// over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// The resolver knows no address.
    #[error("the name in sentry.url does not resolve")]
    Unresolved,
    /// No address took a connection.
    #[error("Sentry takes no connection: {0}")]
    Unreachable(io::ErrorKind),
    /// There was a connection, and no TLS on it.
    #[error("TLS with Sentry fails: {0}")]
    Tls(ReachFault),
    /// Not all of an answer came in time.
    #[error("Sentry did not answer in time")]
    Timeout,
    /// Closed or garbled before the answer was whole.
    #[error("the connection to Sentry broke before its answer was complete")]
    Broken,
    /// Over the bytes that were allowed it.
    #[error("an answer is larger than a page can be")]
    TooLarge,
    /// The request cannot be put into words.
    #[error("sentry.url or sentry.token holds a character that no request may carry")]
    Unaskable,
}

/// One line to one server. Dropping it closes its connection at once.
#[derive(Debug)]
pub(super) struct Line<'s> {
    server: &'s UpstreamUrl,
    trust: &'s Trusting,
    open: Option<Open>,
}

/// An answer whose body is still to come. Dropping it closes the connection.
pub(super) struct Answer<'l, 's> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    open: Open,
    line: &'l mut Line<'s>,
}

impl<'s> Line<'s> {
    /// A line that has not been dialled.
    pub(super) const fn new(server: &'s UpstreamUrl, trust: &'s Trusting) -> Self {
        Self {
            server,
            trust,
            open: None,
        }
    }

    /// Asks. Waits as long as the server does: the caller bounds it, and dropping the future
    /// drops the connection. What was asked over a connection that had been closed meanwhile is
    /// asked again, so that nothing may be asked which must not be done twice.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer<'_, 's>, LineError> {
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
            && let Ok(answer) = open.sender.send_request(request.clone()).await
        {
            return Ok(self.answer(open, answer));
        }
        let mut open = Open::dial(self.server, self.trust).await?;
        let answer = open.sender.send_request(request).await;
        let answer = answer.map_err(|_| LineError::Broken)?;
        Ok(self.answer(open, answer))
    }

    fn answer(&mut self, open: Open, answer: Response<Incoming>) -> Answer<'_, 's> {
        let (head, body) = answer.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
            open,
            line: self,
        }
    }
}

impl Answer<'_, '_> {
    /// All of its body. The connection is kept for the next question.
    pub(super) async fn whole(mut self, bytes_max: usize) -> Result<Bytes, LineError> {
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(LineError::TooLarge);
        }
        let mut whole = BytesMut::with_capacity(announced);
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| LineError::Broken)?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if chunk.len() > bytes_max - whole.len() {
                return Err(LineError::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        self.line.open = Some(self.open);
        Ok(whole.freeze())
    }
}

/// A connection, and the task that drives it.
#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Open {
    async fn dial(server: &UpstreamUrl, trust: &Trusting) -> Result<Self, LineError> {
        let addresses: Vec<_> = lookup_host((server.host.as_str(), server.port))
            .await
            .map_err(|_| LineError::Unresolved)?
            .collect();
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| LineError::Unreachable(error.kind()))?;
        let stream = match server.scheme {
            Scheme::Http => Stream::Clear(stream),
            Scheme::Https => {
                let trust = trust.in_force();
                let trust = trust.ok_or(LineError::Tls(ReachFault::Unready))?;
                let name = Name::parse(&server.host).ok_or(LineError::Unaskable)?;
                let reached = trust.reach(&name, stream).await.map_err(LineError::Tls)?;
                Stream::Sealed(Box::new(reached))
            }
        };
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| LineError::Broken)?;
        let driver = tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to Sentry's API broke");
            }
        });
        Ok(Self {
            sender,
            driver: driver.abort_handle(),
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

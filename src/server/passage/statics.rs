//! Files from this machine's disk, under configured paths. Never leaves its
//! folder, never lists one, never runs anything.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, SizeHint};
use http_body_util::Empty;
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody;
use tower_service::Service as _;

use crate::config::checked::StaticRoot;
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::telemetry::labels::Ending;

use crate::server::client::reply::{Reply, ReplyError};
use crate::server::client::respond;
use crate::server::ticket::Ticket;

/// A folder and the path it is served under.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The path's prefix, with both slashes.
    pub path: String,
    cors: bool,
    files: ServeDir,
}

impl Folder {
    /// The folder as configured; it need not exist yet.
    pub(crate) fn new(root: &StaticRoot) -> Self {
        let files = ServeDir::new(&root.root).append_index_html_on_directories(false);
        Self {
            path: root.path.clone(),
            cors: root.cors,
            files,
        }
    }

    /// Serves one file. `normalised` is the request's path in the form that
    /// guards look at, so that no spelling of `..` reaches the disk.
    pub(crate) async fn serve(
        &self,
        head: Parts,
        normalised: &[u8],
        mut ticket: Ticket,
    ) -> Response<Reply> {
        let head_only = head.method == Method::HEAD;
        let response = match self.find(head, normalised).await {
            Ok(response) => response,
            Err(refusal) => return respond::refuse(refusal, &mut ticket),
        };
        ticket.judge(Ending::Local, response.status().as_u16(), None);
        let (mut parts, body) = response.into_parts();
        if self.cors {
            parts
                .headers
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        if head_only {
            return Response::from_parts(parts, Reply::empty());
        }
        let left = length(&parts.headers);
        let body = FileBody {
            body: Box::pin(body),
            left,
            ticket,
        };
        Response::from_parts(parts, Reply::File(Box::new(body)))
    }

    /// The file that a request asks for, opened and not read yet.
    ///
    /// # Errors
    /// Another method than those that read, or nothing that can be served.
    pub(crate) async fn find(
        &self,
        head: Parts,
        normalised: &[u8],
    ) -> Result<Response<ServeFileSystemResponseBody>, Refusal> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(Refusal::method("GET, HEAD"));
        }
        let request = self.request(head, normalised).ok_or_else(not_found)?;
        let Ok(response) = self.files.clone().call(request).await;
        let status = response.status();
        // A range that cannot be served keeps its own status; all else is "not here".
        let is_here = status.is_success()
            || status.is_redirection()
            || status == http::StatusCode::RANGE_NOT_SATISFIABLE;
        is_here.then_some(response).ok_or_else(not_found)
    }

    /// The request as the folder sees it: its own path, and the head's conditions.
    fn request(&self, head: Parts, normalised: &[u8]) -> Option<Request<Empty<Bytes>>> {
        let rest = normalised.strip_prefix(self.path.as_bytes())?;
        let mut path = String::with_capacity(rest.len() + 1);
        path.push('/');
        for byte in rest {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                    path.push(char::from(*byte));
                }
                byte => path.push_str(&format!("%{byte:02X}")),
            }
        }
        let mut request = Request::new(Empty::new());
        *request.method_mut() = head.method;
        *request.uri_mut() = path.parse().ok()?;
        *request.headers_mut() = head.headers;
        Some(request)
    }
}

/// The bytes that the answer's head promises.
fn length(headers: &HeaderMap) -> u64 {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn not_found() -> Refusal {
    Refusal::of(Reason::NotPublic, 404, "there is no such file")
}

/// A file's bytes, with the request's ticket. Dropped before its end it counts
/// as aborted.
pub(crate) struct FileBody {
    body: Pin<Box<ServeFileSystemResponseBody>>,
    left: u64,
    ticket: Ticket,
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl FileBody {
    /// The next piece of the file.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ReplyError>>> {
        let Some(frame) = ready!(self.body.as_mut().poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let chunk = frame.map_err(ReplyError::from).and_then(|frame| {
            frame
                .into_data()
                .map_err(|_| io::Error::other("a file has no trailers").into())
        });
        if let Ok(chunk) = &chunk {
            let n = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(n);
        }
        Poll::Ready(Some(chunk))
    }

    /// Nothing more to read.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    /// The length of what is left.
    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        if self.left > 0 {
            self.ticket.aborted();
        }
    }
}

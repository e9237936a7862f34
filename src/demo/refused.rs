//! Owns the ways in which the stand-in refuses, each with the status that a
//! Sentry gives it. Never says what the refused bytes were.

use http::StatusCode;

/// Why the stand-in does not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// An envelope or event of no bytes.
    #[error("empty body")]
    Empty,
    /// The grammar is broken; the text says where.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The body is not in the encoding it names.
    #[error("the body does not decode")]
    BadCompression,
    /// An encoding that the stand-in does not read.
    #[error("unsupported content encoding")]
    Encoding,
    /// A content type that the endpoint does not take.
    #[error("unsupported content type")]
    ContentType,
    /// More than a limit allows; the text names what.
    #[error("too large: {0}")]
    TooLarge(&'static str),
    /// No key, or one that cannot be read; the status is that of the form.
    #[error("missing or malformed credentials")]
    Credentials(u16),
    /// The envelope's own DSN names another key or project than the request.
    #[error("the envelope's dsn is not the request's")]
    DsnMismatch,
    /// The project in the path is no number.
    #[error("bad project id")]
    BadProject,
    /// Not a method of this endpoint.
    #[error("method not allowed")]
    Method,
    /// No such endpoint here.
    #[error("no such endpoint on the stand-in")]
    NotFound,
    /// The body ended early or stood still.
    #[error("the body did not end")]
    Gone,
}

impl Refused {
    /// The status to answer with.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Empty
            | Self::Malformed(_)
            | Self::BadCompression
            | Self::DsnMismatch
            | Self::BadProject
            | Self::Gone => StatusCode::BAD_REQUEST,
            Self::Encoding | Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Credentials(status) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED)
            }
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }
}

//! What is sent, on what kind of connection, through whom, and what answer is an honest one.
//! Sends nothing.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::event::{KEY, envelope_of};
use crate::identity::Handshake;
use crate::proxies::Kind;

/// The keys of projects 43, 44 and 45, as the configurations have them.
const REFUSED_KEY: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const OVER_ERRORS_KEY: &str = "cccccccccccccccccccccccccccccccc";
const OVER_ALL_KEY: &str = "dddddddddddddddddddddddddddddddd";

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// A small error.
    Small,
    /// One with a deep stack.
    Large,
    /// An attachment, too large to be judged whole.
    Attachment,
    /// The small error as SDKs pack it.
    Packed,
    /// The small error under a key that is switched off.
    Refused,
    /// The small error of a project that may send nothing any more.
    Spent,
    /// The small error; each tenth is of a project that has used up its errors.
    Tenth,
    /// The small error on a connection of its own.
    Alone,
    /// The same, each after a TLS handshake, as from a client that was never here.
    TlsFull,
    /// The same from one who comes back.
    TlsResumed,
}

/// The bytes of a request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Small,
    Large,
    Attachment,
    Packed,
}

/// What a proxy has to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// 200 to all, from the upstream.
    Forwarded,
    /// This to all, and the upstream hears of none.
    Refused(u16),
    /// 429 to each tenth, 200 from the upstream to all others.
    TenthRefused,
}

impl Case {
    /// In the order of the tables and of the turns.
    pub(crate) const ALL: [Self; 10] = [
        Self::Small,
        Self::Large,
        Self::Attachment,
        Self::Packed,
        Self::Refused,
        Self::Spent,
        Self::Tenth,
        Self::Alone,
        Self::TlsFull,
        Self::TlsResumed,
    ];

    /// As it is typed, and as programs read it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Attachment => "attachment",
            Self::Packed => "packed",
            Self::Refused => "refused",
            Self::Spent => "spent",
            Self::Tenth => "tenth",
            Self::Alone => "alone",
            Self::TlsFull => "tls-full",
            Self::TlsResumed => "tls-resumed",
        }
    }

    /// As people read it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Small => "1.4 KB",
            Self::Large => "20 KB",
            Self::Attachment => "1 MB attachment",
            Self::Packed => "1.4 KB, gzip",
            Self::Refused => "1.4 KB, refused key: 403",
            Self::Spent => "1.4 KB, nothing left: 429",
            Self::Tenth => "1.4 KB, a tenth over quota",
            Self::Alone => "1.4 KB, a connection each",
            Self::TlsFull => "1.4 KB, a full TLS handshake each",
            Self::TlsResumed => "1.4 KB, a resumed TLS handshake each",
        }
    }

    /// What is sent.
    pub(crate) const fn body(self) -> Body {
        match self {
            Self::Large => Body::Large,
            Self::Attachment => Body::Attachment,
            Self::Packed => Body::Packed,
            Self::Small
            | Self::Refused
            | Self::Spent
            | Self::Tenth
            | Self::Alone
            | Self::TlsFull
            | Self::TlsResumed => Body::Small,
        }
    }

    /// What has to come back.
    pub(crate) const fn answers(self) -> Answers {
        match self {
            Self::Refused => Answers::Refused(403),
            Self::Spent => Answers::Refused(429),
            Self::Tenth => Answers::TenthRefused,
            Self::Small
            | Self::Large
            | Self::Attachment
            | Self::Packed
            | Self::Alone
            | Self::TlsFull
            | Self::TlsResumed => Answers::Forwarded,
        }
    }

    /// Where it goes.
    pub(crate) fn target(self) -> String {
        match self {
            Self::Refused => target(43, REFUSED_KEY),
            Self::Spent => target(45, OVER_ALL_KEY),
            Self::Small
            | Self::Large
            | Self::Attachment
            | Self::Packed
            | Self::Tenth
            | Self::Alone
            | Self::TlsFull
            | Self::TlsResumed => target(42, KEY),
        }
    }

    /// Where each tenth goes instead.
    pub(crate) fn tenth_target(self) -> Option<String> {
        (self == Self::Tenth).then(|| target(44, OVER_ERRORS_KEY))
    }

    /// Header lines beside those of its body and of all requests.
    pub(crate) const fn connection(self) -> Option<&'static str> {
        match self {
            Self::Alone | Self::TlsFull | Self::TlsResumed => Some("Connection: close"),
            Self::Small
            | Self::Large
            | Self::Attachment
            | Self::Packed
            | Self::Refused
            | Self::Spent
            | Self::Tenth => None,
        }
    }

    /// How its connection is made safe first, where it is.
    pub(crate) const fn handshake(self) -> Option<Handshake> {
        match self {
            Self::TlsFull => Some(Handshake::Full),
            Self::TlsResumed => Some(Handshake::Resumed),
            Self::Small
            | Self::Large
            | Self::Attachment
            | Self::Packed
            | Self::Refused
            | Self::Spent
            | Self::Tenth
            | Self::Alone => None,
        }
    }

    /// Whose cost it is measured at, vidette last.
    pub(crate) const fn proxies(self) -> &'static [Kind] {
        match self {
            Self::Small | Self::Large | Self::Attachment => &[
                Kind::Nginx,
                Kind::NginxPooled,
                Kind::HaproxyHttp,
                Kind::HaproxyBare,
                Kind::HaproxyTcp,
                Kind::Vidette,
            ],
            Self::Packed | Self::TlsFull | Self::TlsResumed => &[
                Kind::Nginx,
                Kind::NginxPooled,
                Kind::HaproxyHttp,
                Kind::Vidette,
            ],
            Self::Refused | Self::Spent | Self::Tenth => {
                &[Kind::NginxRefusing, Kind::HaproxyRefusing, Kind::Vidette]
            }
            Self::Alone => &[
                Kind::Nginx,
                Kind::NginxPooled,
                Kind::HaproxyHttp,
                Kind::HaproxyTcp,
                Kind::Vidette,
            ],
        }
    }
}

impl Body {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Small, Self::Large, Self::Attachment, Self::Packed];

    /// The file that wrk reads it from.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Small => "small.envelope",
            Self::Large => "large.envelope",
            Self::Attachment => "attachment.envelope",
            Self::Packed => "packed.envelope",
        }
    }

    /// What says how it is packed.
    pub(crate) const fn encoding(self) -> Option<&'static str> {
        match self {
            Self::Packed => Some("Content-Encoding: gzip"),
            Self::Small | Self::Large | Self::Attachment => None,
        }
    }

    /// The same bytes on every machine and in every run.
    pub(crate) fn bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Small => Ok(envelope_of(1_400)),
            Self::Large => Ok(envelope_of(20_000)),
            Self::Attachment => Ok(attachment(1_000_000)),
            Self::Packed => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(&envelope_of(1_400))?;
                packed.finish()
            }
        }
    }
}

/// An envelope with an attachment of so many bytes, and nothing else.
fn attachment(bytes: usize) -> Vec<u8> {
    let mut envelope = format!(
        "{{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}}\n\
         {{\"type\":\"attachment\",\"filename\":\"core\",\"length\":{bytes}}}\n"
    )
    .into_bytes();
    envelope.resize(envelope.len() + bytes, b'x');
    envelope
}

fn target(project: u32, key: &str) -> String {
    format!("/api/{project}/envelope/?sentry_key={key}&sentry_version=7")
}

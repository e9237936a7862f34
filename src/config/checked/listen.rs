//! Owns what is listened on: sockets, and the files that make them speak TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ClientAuth, Door};

/// The sockets that are listened on.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Where SDKs, browsers and tools connect; at least one; default
    /// `0.0.0.0:9000`. Names are unique.
    pub public: Vec<Listener>,
    /// The admin server's socket; default `127.0.0.1:9001`; port 0 lets the
    /// system choose.
    pub admin: SocketAddr,
}

/// One public socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// The `listener` label of the metrics; default `public`, then `public-2`,
    /// `public-3` by position.
    pub name: String,
    /// Port 0 lets the system choose.
    pub address: SocketAddr,
    /// Who may come in by it, and for what.
    pub door: Door,
    /// What it speaks TLS with; `None`, the default, speaks in the clear.
    pub tls: Option<ListenerTls>,
    /// The port of `https://` that pages asked for in the clear are moved to; `None`, the
    /// default, serves them as they are. Never beside `tls`.
    pub redirect_to_https: Option<u16>,
}

/// What a socket speaks TLS with.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    /// At least one, unless `acme` names some; the first is shown to who names none that
    /// another is for. The files were there and fitted each other when they were looked at.
    pub certificates: Vec<CertificateFiles>,
    /// Names that certificates are had for by ACME, behind those of `certificates`; in lower
    /// case, unique; default none.
    pub acme: Vec<String>,
    /// Who vouches for clients; `None`, the default, asks them for nothing.
    pub client_ca: Option<PathBuf>,
    /// What is asked of them where somebody vouches; default `required`.
    pub client_auth: ClientAuth,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFiles {
    /// The certificate, and behind it those between it and its authority, in PEM.
    pub cert: PathBuf,
    /// The key, in PEM, without a password.
    pub key: PathBuf,
}

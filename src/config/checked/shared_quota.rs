//! Where quotas are shared with other edges, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Secret, SharedQuotaMode};

/// The Redis or Valkey by which many edges count as one.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedQuota {
    /// Its servers, or its sentinels, or some of its cluster; default none, which shares nothing.
    pub url: Vec<PoolUrl>,
    /// What they are; default `single`, which is one.
    pub mode: SharedQuotaMode,
    /// The name under which sentinels know the server; default `mymaster`.
    pub master: String,
    /// The database's number; default 0, up to 1023, and 0 in a cluster.
    pub database: u64,
    /// Whom to log in as; default none, which is the default user.
    pub username: Option<String>,
    /// The password, from `password` or from the file `password_file`; default none.
    pub password: Option<Secret>,
    /// The file that `password` was read from; default none.
    pub password_file: Option<PathBuf>,
    /// What every key begins with; default `vidette`. Edges with the same one count together.
    pub prefix: String,
    /// How long one answer may take; default 1 s, from 50 ms to 2 s: an edge must know that it
    /// is cut off before others believe it is not.
    pub timeout: Duration,
    /// What TLS stands on.
    pub tls: SharedQuotaTls,
}

/// What TLS with the servers stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedQuotaTls {
    /// The authorities that are believed, in PEM; default none, which is the system's.
    pub ca: Option<PathBuf>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolUrl {
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// A name or an address, of IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl SharedQuota {
    /// Whether anything is shared.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Whether its servers are spoken to by TLS: all of them are, or none.
    #[must_use]
    pub fn is_by_tls(&self) -> bool {
        self.url.iter().any(|url| url.tls)
    }
}

/// As it is written.
impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

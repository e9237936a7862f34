//! An event of the edge's own each minute, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::{ClientAuth, Config, Listener, ProxyProtocol, Secret, Serve};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// An event of the edge's own, sent through it again and again, and followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Whose event it is; default none, which sends none.
    pub dsn: Option<CanaryDsn>,
    /// From one to the next; default a minute, from 1 s to an hour.
    pub every: Duration,
    /// The organization's slug in Sentry's own addresses, where Sentry is asked whether it has
    /// the event; there where the token is.
    pub org: Option<String>,
    /// A token that may read events, from `token` or from the file `token_file`; default none,
    /// which asks nobody.
    pub token: Option<Secret>,
    /// The file that `token` was read from; default none.
    pub token_file: Option<PathBuf>,
}

/// What of a DSN the canary goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryDsn {
    /// As it was written, without a secret.
    pub text: String,
    /// The public key.
    pub key: Key,
    /// The project.
    pub project: ProjectId,
    /// What `Host` says: `host[:port]`.
    pub authority: String,
}

impl CanaryDsn {
    /// The host alone, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority.as_str();
        match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }
}

impl Config {
    /// The place of the listener that a canary goes through: the first that takes events from
    /// this machine in the clear, else by TLS. `None`: there is none.
    pub fn canary_listener(&self) -> Option<usize> {
        let takes = |listener: &Listener| {
            let asked = listener.tls.as_ref().is_some_and(|tls| {
                tls.client_ca.is_some() && tls.client_auth == ClientAuth::Required
            });
            listener.door.serve != Serve::Web
                && listener.door.proxy_protocol != ProxyProtocol::Required
                && !asked
        };
        let listeners = &self.listen.public;
        let clear = listeners
            .iter()
            .position(|one| takes(one) && one.tls.is_none());
        clear.or_else(|| listeners.iter().position(takes))
    }

    /// Whether a canary goes by TLS.
    pub(in crate::config) fn canary_is_sealed(&self) -> bool {
        let listener = self.canary_listener();
        let listener = listener.and_then(|at| self.listen.public.get(at));
        self.canary.dsn.is_some() && listener.is_some_and(|one| one.tls.is_some())
    }
}

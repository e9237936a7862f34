//! Owns what a public socket is for: who may come in by it, how they are introduced,
//! and what they may ask for.

use super::{ProxyProtocol, Serve, TrustedProxies};

/// Who may come in by a listener, and for what. The default lets everybody in for
/// everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Door {
    /// Whether connections begin with a header of the PROXY protocol; default `off`.
    pub proxy_protocol: ProxyProtocol,
    /// What is served; default `all`.
    pub serve: Serve,
    /// The networks that may use web, never empty; default `None`: all. Absent where
    /// `serve` is `ingest`.
    pub allow: Option<TrustedProxies>,
    /// Whether search engines are told to keep web's answers out; default false. False
    /// where `serve` is `ingest`.
    pub noindex: bool,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            proxy_protocol: ProxyProtocol::Off,
            serve: Serve::All,
            allow: None,
            noindex: false,
        }
    }
}

//! One server of an upstream as it is configured, and the addresses that lead to it: an
//! address knows whose it is, so that one list may hold several names. Never resolves one.

use std::cmp::Ordering;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use http::HeaderValue;

use crate::config::checked::{HostPolicy, Scheme, UpstreamUrl};
use crate::domain::reach::ReachFault;
use crate::tls::Name;

/// A configured server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it is, by name.
    pub url: UpstreamUrl,
    /// What it is called in a `Host` header.
    pub host: HeaderValue,
    /// The name that its certificate has to be for; `None`: it is spoken to in the clear.
    pub name: Option<Name>,
    /// Why TLS with it failed last, by place and one more; 0 while it works.
    fault: AtomicUsize,
}

impl Server {
    /// The server of a URL.
    ///
    /// # Panics
    /// Never: a host that was checked is visible ASCII.
    pub(crate) fn new(url: UpstreamUrl) -> Self {
        let host = HeaderValue::try_from(url.host_header());
        let host = host.expect("a checked host is visible ASCII");
        let name = match url.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Name::parse(&url.host).expect("checked to be a name")),
        };
        Self {
            url,
            host,
            name,
            fault: AtomicUsize::new(0),
        }
    }

    /// TLS with it failed: said once for each cause, until it works again.
    pub(crate) fn fails(&self, socket: SocketAddr, fault: ReachFault) {
        let before = self.fault.swap(fault.index() + 1, Relaxed);
        let (server, cause) = (&self.url, fault.as_str());
        match before == fault.index() + 1 {
            true => tracing::debug!(%server, %socket, cause, "TLS with an upstream fails: {fault}"),
            false => {
                tracing::error!(%server, %socket, cause, "TLS with an upstream fails: {fault}")
            }
        }
    }

    /// It has answered: whatever was wrong with its TLS is not any more.
    pub(crate) fn answers(&self) {
        if self.fault.load(Relaxed) != 0 && self.fault.swap(0, Relaxed) != 0 {
            tracing::info!(server = %self.url, "TLS with an upstream works again");
        }
    }

    /// Why TLS with it fails, if it does.
    pub(crate) fn fault(&self) -> Option<ReachFault> {
        let place = self.fault.load(Relaxed).checked_sub(1)?;
        ReachFault::ALL.get(place).copied()
    }
}

// Two are one where their URLs are: what was learned of it tells none apart.
impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Server {}

/// Where a server was found. Comparing two costs a glance as long as they are of one reading
/// of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// What is dialled.
    pub socket: SocketAddr,
    /// Who is expected there.
    pub server: Arc<Server>,
}

impl Address {
    /// The order in which they are listed, whatever the resolver says first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |address: &Self| (address.socket, address.server.url.clone());
        key(self).cmp(&key(other))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// What a request's `Host` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// What stands in its head.
    AsAsked,
    /// The server that it goes to, whichever that turns out to be.
    AsServer,
}

impl Named {
    /// As configured.
    pub(crate) fn of(policy: HostPolicy) -> Self {
        match policy {
            HostPolicy::Client | HostPolicy::ClientWithoutPort => Self::AsAsked,
            HostPolicy::Target => Self::AsServer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        let scheme = match port {
            443 => Scheme::Https,
            _ => Scheme::Http,
        };
        let url = UpstreamUrl {
            scheme,
            host: host.to_owned(),
            port,
        };
        Address {
            socket: ([10, 0, 0, 1], 3000).into(),
            server: Arc::new(Server::new(url)),
        }
    }

    #[test]
    fn an_address_is_another_where_another_server_is_expected() {
        let relay = address("relay.example", 3000);
        assert_eq!(relay, relay.clone());
        assert_eq!(relay, address("relay.example", 3000), "read once more");
        assert_ne!(relay, address("relay.example", 3001));
        assert_ne!(relay, address("other.example", 3000));
    }

    #[test]
    fn a_host_header_leaves_out_the_port_that_goes_without_saying() {
        let check = |host: &str, port, want: &str| {
            assert_eq!(address(host, port).server.host, want);
        };
        check("relay.example", 3000, "relay.example:3000");
        check("relay.example", 80, "relay.example");
        check("::1", 80, "[::1]");
        check("sentry.example", 443, "sentry.example");
        check("::1", 9000, "[::1]:9000");
    }
    #[test]
    fn a_server_says_what_is_wrong_with_its_tls_until_it_answers() {
        let Address { socket, server } = address("sentry.example", 443);
        assert!(server.name.is_some());
        assert_eq!(server.fault(), None);
        for fault in ReachFault::ALL {
            server.fails(socket, *fault);
            assert_eq!(server.fault(), Some(*fault));
        }
        server.answers();
        assert_eq!(server.fault(), None);
        assert!(address("relay.example", 3000).server.name.is_none());
    }
}

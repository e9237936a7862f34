//! Where a command plays a client's part: a front by its URL, or the edge's own listener.
//!
//! Owns the reading of both, and how each is spoken to. Never dials by itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use serde::Deserialize;

use super::admin;
use super::exchange::{Line, PATIENCE, Seal, converse, exchange, reach};
use crate::domain::dsn::Scheme;
use crate::domain::reach::ReachFault;
use crate::tls::{Name, Trust, TrustFiles};

/// Something that speaks HTTP, and the path that Sentry's own begins below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// How it is spoken to.
    pub(super) scheme: Scheme,
    /// What `Host` says: `host[:port]`.
    pub(super) authority: String,
    /// Without its port, and without brackets.
    host: String,
    /// What is dialled: the same with its port.
    pub(super) dialled: String,
    /// Empty, or a path without a slash at its end.
    pub(super) prefix: String,
}

/// Whose word about a server is believed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Authorities {
    /// With https: a PEM file of the authorities to believe, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Place {
    /// Reads an `http` or `https` URL; a path before Sentry's own is kept, a query is cut.
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url
            .trim()
            .parse()
            .context("no URL such as https://sentry.example.com")?;
        let (scheme, usual) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, 80),
            Some("https") => (Scheme::Https, 443),
            Some(_) | None => bail!("it begins with http:// or https://"),
        };
        let authority = uri.authority().context("it names no host")?;
        let host = authority.host();
        if host.is_empty() || authority.as_str().contains('@') {
            bail!("it names no host, or a user before it");
        }
        let port = authority.port_u16().unwrap_or(usual);
        Ok(Self {
            scheme,
            authority: authority.as_str().to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            dialled: format!("{host}:{port}"),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    fn of(address: SocketAddr) -> Self {
        Self {
            scheme: Scheme::Http,
            authority: address.to_string(),
            host: address.ip().to_string(),
            dialled: address.to_string(),
            prefix: String::new(),
        }
    }

    /// Sends the request there and reads the answer; a redirect is not followed.
    pub(super) fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        authorities: &Authorities,
    ) -> anyhow::Result<Response<Bytes>> {
        let seal = self.sealed(authorities)?;
        exchange(&self.dialled, seal.as_ref(), request, PATIENCE)
    }

    /// Lets `talk` have a connection there: for what is no plain exchange.
    pub(super) fn converse<T>(
        &self,
        authorities: &Authorities,
        patience: Duration,
        talk: impl AsyncFnOnce(Box<dyn Line>) -> T,
    ) -> anyhow::Result<T> {
        let seal = self.sealed(authorities)?;
        converse(&self.dialled, seal.as_ref(), patience, talk)
    }

    fn sealed(&self, authorities: &Authorities) -> anyhow::Result<Option<Seal>> {
        match self.scheme {
            Scheme::Http => Ok(None),
            Scheme::Https => self.seal(authorities.ca.as_deref()).map(Some),
        }
    }

    /// Whether TLS can be agreed on there; nothing is asked.
    pub(super) fn reach(
        &self,
        authorities: &Authorities,
    ) -> anyhow::Result<Result<(), ReachFault>> {
        reach(&self.dialled, &self.seal(authorities.ca.as_deref())?)
    }

    fn seal(&self, ca: Option<&Path>) -> anyhow::Result<Seal> {
        let trust = Trust::read(TrustFiles { ca, client: None })?;
        let name = Name::parse(&self.host).context("no certificate can be for that name")?;
        Ok(Seal { trust, name })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.as_str();
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

/// The part of the edge's status that says where it listens.
#[derive(Deserialize)]
struct Status {
    public: Vec<String>,
}

/// The edge's own first listener, as it is reached from here.
pub(super) fn of_edge(edge: &admin::Address) -> anyhow::Result<Place> {
    let status: Status = edge.ask(&Method::GET, "/api/v1/status")?.json()?;
    let listener = status
        .public
        .iter()
        .find_map(|listener| listener.parse::<SocketAddr>().ok())
        .context("the edge names no address that it listens on; name one with --url")?;
    Ok(Place::of(reachable(listener, edge.ip())))
}

/// One that listens everywhere is asked on loopback, or where its admin side is.
fn reachable(listener: SocketAddr, admin: IpAddr) -> SocketAddr {
    let ip = match listener.ip() {
        ip if !ip.is_unspecified() => ip,
        _ if !admin.is_loopback() && !admin.is_unspecified() => admin,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, want: Result<(&str, &str, &str), &str>) {
        match (Place::parse(url), want) {
            (Ok(place), Ok((authority, dialled, prefix))) => {
                let got = (&*place.authority, &*place.dialled, &*place.prefix);
                assert_eq!(got, (authority, dialled, prefix), "{url}");
            }
            (Err(error), Err(want)) => {
                assert!(format!("{error:#}").contains(want), "{url}: {error:#}");
            }
            (got, want) => panic!("{url}: wants {want:?}, got {got:?}"),
        }
    }

    #[test]
    fn a_url_of_http_or_https_is_a_place() {
        check("http://a.b", Ok(("a.b", "a.b:80", "")));
        check("https://a.b", Ok(("a.b", "a.b:443", "")));
        check("https://a.b:8443/x/", Ok(("a.b:8443", "a.b:8443", "/x")));
        check("http://a.b:9000/", Ok(("a.b:9000", "a.b:9000", "")));
        check("http://a.b/sentry/?x=1", Ok(("a.b", "a.b:80", "/sentry")));
        check("http://[::1]:81/", Ok(("[::1]:81", "[::1]:81", "")));
        check("a.b/x", Err("no URL"));
        check("a.b", Err("begins with http://"));
        check("ftp://a.b", Err("begins with http://"));
        check("http://me@a.b/", Err("a user before it"));
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_where_it_can_be_reached() {
        for (listener, admin, want) in [
            ("0.0.0.0:9000", "127.0.0.1", "127.0.0.1:9000"),
            ("[::]:9000", "127.0.0.1", "[::1]:9000"),
            ("0.0.0.0:9000", "192.0.2.7", "192.0.2.7:9000"),
            ("192.0.2.1:80", "127.0.0.1", "192.0.2.1:80"),
        ] {
            let got = reachable(listener.parse().unwrap(), admin.parse().unwrap());
            assert_eq!(got.to_string(), want, "{listener} beside {admin}");
        }
    }
}

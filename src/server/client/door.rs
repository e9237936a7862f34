//! What a listener is for: who may ask for what through it. Its facts are those of the
//! start, as its socket is. Never reads a byte: `introduction` does.

use std::net::IpAddr;

use crate::config::checked::{self, ProxyProtocol, Serve};
use crate::domain::networks::Networks;
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::telemetry::labels::Route;

/// What pages load to send events at all: Sentry's web makes it, and whoever may send
/// events may have it.
const LOADER: &[u8] = b"/js-sdk-loader/";

/// A listener's rules.
#[derive(Debug)]
pub(crate) struct Door {
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    serve: Serve,
    allow: Option<Networks>,
    noindex: bool,
}

impl Door {
    /// The rules as the configuration writes them.
    pub(crate) fn new(door: &checked::Door) -> Self {
        Self {
            proxy_protocol: door.proxy_protocol,
            serve: door.serve,
            allow: door.allow.as_ref().map(|networks| networks.hops()),
            noindex: door.noindex,
        }
    }

    /// Refuses what this listener does not serve, or not to this client. `path` is
    /// normalised.
    ///
    /// Files from disk are served everywhere: they are there for pages that send events.
    pub(crate) fn lets_in(&self, route: Route, path: &[u8], client: IpAddr) -> Result<(), Refusal> {
        match route {
            Route::Static | Route::Local => Ok(()),
            // A Relay of an operator's own speaks both, and has a switch of its own.
            Route::Ingest | Route::Tunnel | Route::Relay => match self.serve {
                Serve::All | Serve::Ingest => Ok(()),
                Serve::Web => Err(elsewhere(
                    "this listener takes no events (listen.public, serve)",
                )),
            },
            Route::Web | Route::Upload => match self.serve {
                Serve::All | Serve::Ingest if path.starts_with(LOADER) => Ok(()),
                Serve::All | Serve::Web => self.lets_into_web(client),
                Serve::Ingest => Err(elsewhere(
                    "this listener takes events only (listen.public, serve)",
                )),
            },
        }
    }

    fn lets_into_web(&self, client: IpAddr) -> Result<(), Refusal> {
        match &self.allow {
            Some(allowed) if !allowed.contains(client) => Err(Refusal::of(
                Reason::NotPublic,
                403,
                "web is open to listed networks only (listen.public, allow)",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether search engines are to be told to keep an answer out.
    pub(crate) fn hides(&self, route: Route) -> bool {
        self.noindex && matches!(route, Route::Web | Route::Upload)
    }
}

/// 404 rather than 421: that would have clients of HTTP/2 ask once more on a connection of
/// its own, and say to everybody that the other listener is there.
fn elsewhere(detail: &'static str) -> Refusal {
    Refusal::of(Reason::NotPublic, 404, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::TrustedProxies;

    fn door(serve: Serve, allow: Option<&str>) -> Door {
        let networks = |text: &str| TrustedProxies {
            written: vec![text.to_owned()],
            nets: vec![text.parse().unwrap()],
        };
        Door::new(&checked::Door {
            serve,
            allow: allow.map(networks),
            noindex: true,
            ..checked::Door::default()
        })
    }

    #[track_caller]
    fn check(door: &Door, route: Route, path: &str, client: &str, status: Option<u16>) {
        let refused = door
            .lets_in(route, path.as_bytes(), client.parse().unwrap())
            .err();
        assert_eq!(
            refused.map(|refusal| refusal.status),
            status,
            "{route:?} {path} from {client}"
        );
    }

    #[test]
    fn a_listener_for_events_serves_them_and_what_pages_load_to_send_them() {
        let door = door(Serve::Ingest, None);
        for (route, path, status) in [
            (Route::Ingest, "/api/42/envelope/", None),
            (Route::Tunnel, "/t", None),
            (Route::Relay, "/api/0/relays/live/", None),
            (Route::Static, "/js-sdk/8.0.0/bundle.js", None),
            (Route::Web, "/js-sdk-loader/a94a.min.js", None),
            (Route::Web, "/js-sdk-loader", Some(404)),
            (Route::Web, "/auth/login/", Some(404)),
            (Route::Web, "/_static/x.js", Some(404)),
            (
                Route::Upload,
                "/api/0/organizations/o/chunk-upload/",
                Some(404),
            ),
        ] {
            check(&door, route, path, "203.0.113.9", status);
        }
    }

    #[test]
    fn a_listener_for_web_serves_all_but_events() {
        let door = door(Serve::Web, None);
        for (route, path, status) in [
            (Route::Ingest, "/api/42/envelope/", Some(404)),
            (Route::Tunnel, "/t", Some(404)),
            (Route::Relay, "/api/0/relays/live/", Some(404)),
            (Route::Static, "/js-sdk/8.0.0/bundle.js", None),
            (Route::Web, "/auth/login/", None),
            (Route::Upload, "/api/0/organizations/o/chunk-upload/", None),
        ] {
            check(&door, route, path, "203.0.113.9", status);
        }
    }

    #[test]
    fn an_allow_list_is_about_web_alone() {
        for serve in [Serve::All, Serve::Web] {
            let door = door(serve, Some("10.0.0.0/8"));
            check(&door, Route::Web, "/auth/login/", "10.1.2.3", None);
            check(&door, Route::Web, "/auth/login/", "::ffff:10.1.2.3", None);
            check(&door, Route::Web, "/auth/login/", "203.0.113.9", Some(403));
            check(&door, Route::Web, "/auth/login/", "2001:db8::1", Some(403));
            check(&door, Route::Upload, "/api/0/x/", "203.0.113.9", Some(403));
            check(&door, Route::Static, "/js-sdk/x.js", "203.0.113.9", None);
        }
        let door = door(Serve::All, Some("10.0.0.0/8"));
        check(
            &door,
            Route::Ingest,
            "/api/42/envelope/",
            "203.0.113.9",
            None,
        );
        check(
            &door,
            Route::Web,
            "/js-sdk-loader/a.js",
            "203.0.113.9",
            None,
        );
    }

    #[test]
    fn web_alone_is_hidden_from_search_engines() {
        let door = door(Serve::All, None);
        let hidden: Vec<Route> = Route::ALL
            .iter()
            .copied()
            .filter(|route| door.hides(*route))
            .collect();
        assert_eq!(hidden, [Route::Web, Route::Upload]);
    }
}

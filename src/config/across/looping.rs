//! Owns that an edge is not its own upstream: one request would go round until all connections
//! are used.

use std::net::{IpAddr, SocketAddr};

use crate::config::checked::UpstreamUrl;
use crate::config::read::Reading;

impl Reading {
    /// An upstream that is one of the addresses which are listened on.
    pub(super) fn loops(&mut self) {
        let config = &self.draft.config;
        let listeners = config.listen.public.iter();
        let listening: Vec<SocketAddr> = listeners.map(|listener| listener.address).collect();
        let mirrors = config.mirrors.iter().enumerate();
        let mirrors = mirrors.map(|(at, mirror)| (format!("mirrors[{at}].ingest"), &mirror.ingest));
        let own = [
            ("upstream.ingest".to_owned(), &config.upstream.ingest),
            ("upstream.web".to_owned(), &config.upstream.web),
        ];
        let all = own.into_iter().chain(mirrors);
        // Web that is not set is ingest, of which that is said.
        let set = all
            .filter(|(path, _)| path != "upstream.web" || self.places.contains_key(path.as_str()));
        let found = set.filter_map(|(path, urls)| {
            let round = |url: &&UpstreamUrl| listening.iter().any(|own| leads_to(url, *own));
            let url = urls.iter().find(round)?;
            let message = format!(
                "{path} is {url}, where this edge listens itself (listen.public): requests \
                 would go round; name Relay's or Sentry's own address"
            );
            Some((path, message))
        });
        let found: Vec<(String, String)> = found.collect();
        for (path, message) in found {
            // A list's place is its own, or that of the section.
            let path = match path.split_once('[') {
                Some((section, _)) if !self.places.contains_key(path.as_str()) => {
                    section.to_owned()
                }
                _ => path,
            };
            self.at(&path, &message);
        }
    }
}

/// Whether a URL surely leads to a listener on this machine. Names but `localhost` lead where
/// only the start knows.
fn leads_to(url: &UpstreamUrl, listener: SocketAddr) -> bool {
    if url.port != listener.port() {
        return false;
    }
    let ip = match url.host.as_str() {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical(),
            Err(_) => return false,
        },
    };
    let own = listener.ip();
    // Whoever listens on all addresses listens on each of the machine's own; of others than
    // loopback nobody knows here whose they are.
    ip == own || own.is_unspecified() && (ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use crate::config::{Env, parse};

    #[track_caller]
    fn check(listen: &str, upstream: &str, loops: bool) {
        let text =
            format!("listen: {{public: [\"{listen}\"]}}\nupstream: {{ingest: [\"{upstream}\"]}}\n");
        let refused = parse("v.yml", &text, &Env::empty()).err();
        let said = refused.map(|errors| errors.to_string()).unwrap_or_default();
        let want = "where this edge listens itself";
        assert_eq!(said.contains(want), loops, "{listen} {upstream}: {said}");
    }

    #[test]
    fn an_edge_is_not_its_own_upstream() {
        check("0.0.0.0:9000", "http://127.0.0.1:9000", true);
        check("0.0.0.0:9000", "http://localhost:9000", true);
        check("[::]:9000", "http://127.0.0.1:9000", true);
        check("[::]:9000", "http://[::1]:9000", true);
        check("192.0.2.1:9000", "http://192.0.2.1:9000", true);
        check("0.0.0.0:80", "http://127.0.0.1", true);
    }

    #[test]
    fn another_port_address_or_name_is_another() {
        check("0.0.0.0:9000", "http://127.0.0.1:3000", false);
        check("192.0.2.1:9000", "http://127.0.0.1:9000", false);
        check("127.0.0.1:9000", "http://127.0.0.2:9000", false);
        check("0.0.0.0:9000", "http://192.0.2.1:9000", false);
        check("0.0.0.0:9000", "http://web:9000", false);
    }
}

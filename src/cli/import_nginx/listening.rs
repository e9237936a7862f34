//! Where nginx listens, by which certificates, and who may come.

use std::net::IpAddr;

use super::admitted;
use super::grammar::Directive;
use super::sheet::{Entry, Serves, Sheet};
use super::site::Scope;

/// Carries over where a server listens; `moves` is the port of https that it only moves to.
pub(super) fn carry(
    sheet: &mut Sheet,
    outer: &Scope<'_>,
    server: &Directive,
    serves: Serves,
    moves: Option<u16>,
) {
    let scope = outer.within(server);
    let own: Vec<&Directive> = server
        .inside()
        .iter()
        .filter(|one| one.name == "listen")
        .collect();
    let certificates = certificates(&scope);
    let verify = scope
        .one("ssl_verify_client")
        .map_or("off", |one| one.argument(0));
    let client_ca = scope
        .one("ssl_client_certificate")
        .filter(|_| verify != "off");
    let mut entries: Vec<Entry> = own
        .iter()
        .filter_map(|listen| entry(sheet, listen))
        .collect();
    if own.is_empty() {
        entries.push(Entry {
            address: "0.0.0.0:80".to_owned(),
            ..Entry::default()
        });
    }
    let allow = match (serves, moves) {
        (Serves::All, None) => admitted::networks(sheet, &scope, server),
        (Serves::Ingest, _) | (_, Some(_)) => Vec::new(),
    };
    for (place, mut entry) in entries.into_iter().enumerate() {
        let listen = own.get(place);
        let speaks_tls =
            listen.is_some_and(|listen| listen.arguments.iter().any(|one| one == "ssl"));
        if speaks_tls {
            entry.certificates.clone_from(&certificates);
            entry.client_ca = client_ca.map(|one| one.argument(0).to_owned());
            entry.client_auth_optional = verify != "on";
        } else {
            entry.redirect_to_https = moves;
        }
        entry.serves = serves;
        entry.allow.clone_from(&allow);
        add(sheet, server, entry);
    }
}

/// One `listen`; with a file's socket it is none of ours.
fn entry(sheet: &mut Sheet, listen: &Directive) -> Option<Entry> {
    let written = listen.argument(0);
    let address = if written.starts_with("unix:") {
        let why = "clients come over TCP";
        sheet.leaves(&listen.place, format!("listen {written}"), why);
        return None;
    } else if written.parse::<u16>().is_ok() {
        format!("0.0.0.0:{written}")
    } else if let Some(port) = written.strip_prefix("*:") {
        format!("0.0.0.0:{port}")
    } else if let Some(port) = written.strip_prefix("localhost:") {
        format!("127.0.0.1:{port}")
    } else if written.parse::<std::net::SocketAddr>().is_ok() {
        written.to_owned()
    } else if written.parse::<IpAddr>().is_ok() || written.starts_with('[') {
        format!("{written}:80")
    } else {
        let why = "an address to listen on is an IP address and a port";
        sheet.leaves(&listen.place, format!("listen {written}"), why);
        return None;
    };
    let proxy_protocol = listen.arguments.iter().any(|one| one == "proxy_protocol");
    if listen.arguments.iter().any(|one| one == "quic") {
        let why = "HTTP/3 is not spoken; clients go on over HTTP/2";
        sheet.leaves(&listen.place, format!("listen {written} quic"), why);
        return None;
    }
    Some(Entry {
        address,
        proxy_protocol,
        ..Entry::default()
    })
}

fn certificates(scope: &Scope<'_>) -> Vec<(String, String)> {
    let (certs, keys) = (
        scope.all("ssl_certificate"),
        scope.all("ssl_certificate_key"),
    );
    let pairs = certs.iter().zip(&keys);
    pairs
        .map(|(cert, key)| (cert.argument(0).to_owned(), key.argument(0).to_owned()))
        .collect()
}

/// What two servers of one address are where only one of them has pages.
const ONE_SITE: &str = "of two servers on one address, one for events and one for pages, one site was made: what is an event goes to Relay and all else to web, whichever name it is asked for by";

/// Adds an entry; of one address, certificates of all that listen there.
fn add(sheet: &mut Sheet, server: &Directive, entry: Entry) {
    let Some(there) = sheet
        .public
        .iter_mut()
        .find(|there| there.address == entry.address)
    else {
        sheet.public.push(entry);
        return;
    };
    for pair in entry.certificates {
        if !there.certificates.contains(&pair) {
            there.certificates.push(pair);
        }
    }
    // Of two servers on one port the one that takes requests is the site.
    match (there.redirect_to_https, entry.redirect_to_https) {
        (Some(_), None) => {
            there.redirect_to_https = None;
            (there.serves, there.allow) = (entry.serves, entry.allow);
        }
        (_, Some(_)) => {}
        (None, None) => match (there.serves, entry.serves) {
            (Serves::Ingest, Serves::Ingest) => {}
            (Serves::All, Serves::Ingest) => sheet.leaves(&server.place, "server", ONE_SITE),
            (Serves::Ingest, Serves::All) => {
                (there.serves, there.allow) = (Serves::All, entry.allow);
                sheet.leaves(&server.place, "server", ONE_SITE);
            }
            (Serves::All, Serves::All) if there.allow == entry.allow => {}
            (Serves::All, Serves::All) => {
                there.allow.clear();
                let why = "of two servers on one address each has a list of its own: a listener has one (allow), and got none";
                sheet.leaves(&server.place, "allow", why);
            }
        },
    }
}

/// One address of every family takes the other's too: ours of IPv6 do. Where pages are moved to
/// https, uploads are taken all the same: from whom https takes them.
pub(super) fn settle(sheet: &mut Sheet) {
    let six: Vec<String> = sheet
        .public
        .iter()
        .filter_map(|entry| {
            entry
                .address
                .strip_prefix("[::]:")
                .map(|port| format!("0.0.0.0:{port}"))
        })
        .collect();
    sheet.public.retain(|entry| !six.contains(&entry.address));
    let mut lists = sheet.public.iter().map(|entry| &entry.allow);
    let listed = lists.find(|allow| !allow.is_empty()).cloned();
    let moves = |entry: &&mut Entry| entry.redirect_to_https.is_some();
    for entry in sheet.public.iter_mut().filter(moves) {
        entry.allow = listed.clone().unwrap_or_default();
    }
}

//! Where nginx listens, by which certificates, and who may come.

use std::net::IpAddr;

use super::grammar::Directive;
use super::held::Side;
use super::sheet::{Entry, Sheet};
use super::site::Scope;

/// Carries over where a server listens; `moves` is the port of https that it only moves to.
pub(super) fn carry(sheet: &mut Sheet, outer: &Scope<'_>, server: &Directive, moves: Option<u16>) {
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
    let allow = allowed(sheet, &scope, server);
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
        entry.allow.clone_from(&allow);
        add(sheet, entry);
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

/// The networks that may see pages, where a server or its `/` ends with `deny all`.
fn allowed(sheet: &mut Sheet, scope: &Scope<'_>, server: &Directive) -> Vec<String> {
    let root = server
        .inside()
        .iter()
        .find(|one| one.name == "location" && one.argument(0) == "/");
    let scope = root.map_or_else(|| scope.clone(), |root| scope.within(root));
    let denied = scope.all("deny");
    // Any other list is named with the locations in which it holds.
    let [all] = denied.as_slice() else {
        return Vec::new();
    };
    if all.argument(0) != "all" {
        return Vec::new();
    }
    let allowed = scope.all("allow");
    let networks: Vec<String> = allowed
        .iter()
        .map(|one| one.argument(0).to_owned())
        .filter(|one| one.parse::<ipnet::IpNet>().is_ok() || one.parse::<IpAddr>().is_ok())
        .collect();
    // An empty list would let in everybody.
    if networks.is_empty() || networks.len() < allowed.len() {
        return Vec::new();
    }
    for one in allowed.iter().chain([all]) {
        sheet.held.note(&[Side::Web, Side::Uploads], one);
    }
    networks
}

/// Adds an entry; of one address, certificates of all that listen there.
fn add(sheet: &mut Sheet, entry: Entry) {
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
    if entry.redirect_to_https.is_none() {
        there.redirect_to_https = None;
    }
}

/// One address of every family takes the other's too: ours of IPv6 do.
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
}

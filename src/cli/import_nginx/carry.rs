//! From nginx's tree to our sheet. Each part has its function; none reads a file.

mod rates;

use crate::domain::endpoint::{Route, route};
use crate::domain::units::{show_duration, show_size};

use super::amounts;
use super::grammar::{Directive, Tree};
use super::listening;
use super::sheet::Sheet;
use super::site::{Purpose, Scope, moves_to_https, purpose};
use super::upstreams::{self, Upstreams};
use super::words::{Standing, standing};

/// `client_max_body_size 0` has no limit; this is the most that ours takes.
const UNLIMITED: u64 = 1 << 40;

/// Carries over what can be.
pub(super) fn carry(tree: &Tree) -> Sheet {
    let mut sheet = Sheet::default();
    for absent in &tree.absent {
        let why = "there is no such file here, so nothing of it was looked at";
        sheet.leaves(
            &absent.place,
            format!("include {}", absent.argument(0)),
            why,
        );
    }
    leave(&mut sheet, &tree.directives);
    let top = Scope::of(&tree.directives);
    sheet.workers = top
        .one("worker_processes")
        .and_then(|one| one.argument(0).parse().ok());
    let https = tree.directives.iter().filter(|one| one.name == "http");
    let servers: Vec<(Scope<'_>, &Directive)> = https
        .flat_map(|http| {
            let scope = top.within(http);
            let servers = http.inside().iter().filter(|one| one.name == "server");
            servers.map(move |server| (scope.clone(), server))
        })
        .collect();
    let upstreams = Upstreams::of(&tree.directives);
    let Some(main) = main_site(&servers) else {
        let place = tree.directives.first().map(|first| &first.place);
        if let Some(place) = place {
            let why = "no server passes anything on, so there is no Sentry behind this";
            sheet.leaves(place, "http", why);
        }
        return sheet;
    };
    let (scope, server) = main;
    carry_site(&mut sheet, &upstreams, scope, server);
    let own = (sheet.ingest.clone(), sheet.web.clone());
    for (scope, other) in &servers {
        if let Some(port) = moves_to_https(other) {
            listening::carry(&mut sheet, scope, other, Some(port));
        } else if std::ptr::eq(*other, server) {
            listening::carry(&mut sheet, scope, other, None);
        } else {
            let mut same = Sheet::default();
            carry_site(&mut same, &upstreams, scope, other);
            if (same.ingest, same.web) == own {
                listening::carry(&mut sheet, scope, other, None);
            } else {
                let why = "another site than the Sentry's: keep nginx for it, or another edge";
                sheet.leaves(&other.place, "server", why);
            }
        }
    }
    listening::settle(&mut sheet);
    sheet
}

/// Notes every directive that has no place here.
fn leave(sheet: &mut Sheet, directives: &[Directive]) {
    for directive in directives {
        if matches!(directive.name.as_str(), "types" | "events") {
            continue;
        }
        let moved = directive.name == "server" && moves_to_https(directive).is_some();
        if let Standing::Left(why) = standing(&directive.name, &directive.arguments) {
            let first = directive.argument(0);
            sheet.leaves(
                &directive.place,
                format!("{} {first}", directive.name).trim_end(),
                why,
            );
        } else if !moved {
            leave(sheet, directive.inside());
        }
    }
}

/// The server that is the Sentry's: the first that tells events apart, else the first that passes
/// anything on.
fn main_site<'d>(
    servers: &'d [(Scope<'d>, &'d Directive)],
) -> Option<(&'d Scope<'d>, &'d Directive)> {
    let has = |server: &Directive, wanted: Purpose| {
        let mut locations = server.inside().iter().filter(|one| one.name == "location");
        locations.any(|location| purpose(location) == wanted)
    };
    let find = |wanted| servers.iter().find(|(_, server)| has(server, wanted));
    let found = find(Purpose::Events).or_else(|| find(Purpose::Web));
    found.map(|(scope, server)| (scope, *server))
}

/// What the locations of a server are, and what holds in them.
fn carry_site(sheet: &mut Sheet, upstreams: &Upstreams<'_>, scope: &Scope<'_>, server: &Directive) {
    let scope = scope.within(server);
    let mut locations = Vec::new();
    gather(&scope, server.inside(), &mut locations);
    let of = |wanted: Purpose| {
        let found = locations
            .iter()
            .find(|(_, location)| purpose(location) == wanted);
        found.map(|(scope, _)| scope)
    };
    let (events, web) = (of(Purpose::Events), of(Purpose::Web));
    let pass = |sheet: &mut Sheet, scope: Option<&Scope<'_>>| {
        let pass = scope.and_then(|scope| scope.one("proxy_pass"));
        pass.map(|pass| upstreams.urls(sheet, pass))
            .unwrap_or_default()
    };
    sheet.ingest = pass(sheet, events);
    sheet.web = pass(sheet, web);
    if sheet.ingest.is_empty() {
        sheet.ingest = std::mem::take(&mut sheet.web);
    } else if sheet.web == sheet.ingest {
        sheet.web.clear();
    }
    let both = [events, web];
    let anywhere = both.into_iter().flatten().next().unwrap_or(&scope);
    carry_limits(
        sheet,
        &scope,
        events.unwrap_or(anywhere),
        web.unwrap_or(anywhere),
    );
    if let Some(uploads) = of(Purpose::Uploads) {
        sheet.body_upload = body(uploads).or(sheet.body_upload.take());
    }
    carry_headers(sheet, anywhere);
    carry_addresses(sheet, &scope);
    rates::carry(sheet, anywhere);
    for (scope, location) in &locations {
        match purpose(location) {
            Purpose::Folder => carry_folder(sheet, scope, location),
            Purpose::Part | Purpose::Events | Purpose::Relays | Purpose::Uploads | Purpose::Web => {
                check_part(sheet, upstreams, scope, location);
            }
            // What it does instead has been noted.
            Purpose::Other => {}
        }
    }
}

fn gather<'d>(
    scope: &Scope<'d>,
    block: &'d [Directive],
    all: &mut Vec<(Scope<'d>, &'d Directive)>,
) {
    for location in block.iter().filter(|one| one.name == "location") {
        let inner = scope.within(location);
        gather(&inner, location.inside(), all);
        all.push((inner, location));
    }
}

/// A part of the site must lead where we would send it, and by the same path.
fn check_part(
    sheet: &mut Sheet,
    upstreams: &Upstreams<'_>,
    scope: &Scope<'_>,
    location: &Directive,
) {
    let Some(pass) = scope.one("proxy_pass") else {
        return;
    };
    let urls = upstreams.urls(sheet, pass);
    let path = location.arguments.last().map_or("", String::as_str);
    let web = match sheet.web.is_empty() {
        true => &sheet.ingest,
        false => &sheet.web,
    };
    let ours = match is_of_ingest(location) {
        true => &sheet.ingest,
        false => web,
    };
    let why = match () {
        () if urls.is_empty() || urls == *ours => None,
        () if urls == *web => Some("it leads to web: events and relays go to upstream.ingest"),
        () if urls == sheet.ingest => {
            Some("it leads to Relay: all but events and relays goes to upstream.web")
        }
        () => Some("it leads to neither of the two upstreams, and there is no third"),
    };
    if let Some(why) = why {
        sheet.leaves(&location.place, format!("location {path}"), why);
    }
    let moved = upstreams::path_of(pass).filter(|moved| *moved != path);
    // The one that is moved here too.
    let assets = (path, moved) == ("/_assets/", Some("/_static/dist/sentry/"));
    if let Some(moved) = moved.filter(|_| !assets) {
        let why = format!("{path} is {moved} behind it: paths leave as they came");
        sheet.leaves(&pass.place, format!("proxy_pass {}", pass.argument(0)), why);
    }
}

/// Whether what a location is for goes to Relay here.
fn is_of_ingest(location: &Directive) -> bool {
    match purpose(location) {
        Purpose::Events | Purpose::Relays => true,
        Purpose::Web | Purpose::Uploads | Purpose::Folder | Purpose::Other => false,
        Purpose::Part => {
            let path = location.arguments.last().map_or("", String::as_str);
            matches!(route(path.as_bytes()), Route::Ingest(_) | Route::Relays)
        }
    }
}

fn body(scope: &Scope<'_>) -> Option<String> {
    let bytes = amounts::bytes(scope.one("client_max_body_size")?.argument(0))?;
    Some(show_size(if bytes == 0 {
        UNLIMITED
    } else {
        bytes.min(UNLIMITED)
    }))
}

fn span(scope: &Scope<'_>, name: &str) -> Option<String> {
    let time = amounts::time(scope.one(name)?.argument(0))?;
    (!time.is_zero()).then(|| show_duration(time))
}

fn carry_limits(sheet: &mut Sheet, server: &Scope<'_>, events: &Scope<'_>, web: &Scope<'_>) {
    sheet.body_ingest = body(events);
    sheet.body_web = body(web);
    sheet.body_upload = body(web);
    sheet.connect = span(web, "proxy_connect_timeout");
    sheet.read_ingest = span(events, "proxy_read_timeout");
    sheet.read_web = span(web, "proxy_read_timeout");
    sheet.head_timeout = span(server, "client_header_timeout");
    sheet.body_idle = span(web, "client_body_timeout");
    sheet.keep_alive = span(server, "keepalive_timeout");
}

/// What upstreams are told by headers of nginx's.
fn carry_headers(sheet: &mut Sheet, scope: &Scope<'_>) {
    let set = scope.all("proxy_set_header");
    // Without a word of its own nginx names the upstream.
    sheet.host = Some("target");
    for header in set {
        let (name, value) = (header.argument(0).to_ascii_lowercase(), header.argument(1));
        match (name.as_str(), value) {
            ("host", "$host") => sheet.host = Some("client_without_port"),
            ("host", "$http_host" | "$host:$server_port") => sheet.host = Some("client"),
            ("host", _) => sheet.host = Some("target"),
            ("x-real-ip", "$remote_addr") => {
                sheet.send_as = vec!["x-forwarded-for".to_owned(), "x-real-ip".to_owned()];
            }
            ("x-forwarded-for", "$proxy_add_x_forwarded_for") => {
                let why = "one address is sent, the client's: nothing that others say before it";
                sheet.leaves(&header.place, "proxy_set_header X-Forwarded-For", why);
            }
            ("x-forwarded-for", "$remote_addr")
            | ("x-forwarded-proto", "$scheme" | "$http_x_forwarded_proto")
            | (
                "connection" | "x-request-id" | "upgrade" | "x-forwarded-host" | "x-forwarded-port",
                _,
            ) => {}
            (_, "") => {}
            ("x-forwarded-proto", _) => {
                let why = "believed from client_ip.trusted_proxies: have the proxy that ends TLS send it, or end TLS here";
                sheet.leaves(&header.place, "proxy_set_header X-Forwarded-Proto", why);
            }
            (name, _) => {
                let why = "no headers are made up here: what clients send goes on";
                sheet.leaves(&header.place, format!("proxy_set_header {name}"), why);
            }
        }
    }
    sheet.ca = scope
        .one("proxy_ssl_trusted_certificate")
        .map(|one| one.argument(0).to_owned());
    let pair = (
        scope.one("proxy_ssl_certificate"),
        scope.one("proxy_ssl_certificate_key"),
    );
    if let (Some(cert), Some(key)) = pair {
        sheet.certificate = Some((cert.argument(0).to_owned(), key.argument(0).to_owned()));
    }
}

/// Whose word on the client's address is believed.
fn carry_addresses(sheet: &mut Sheet, scope: &Scope<'_>) {
    for from in scope.all("set_real_ip_from") {
        let network = from.argument(0);
        let known =
            network.parse::<ipnet::IpNet>().is_ok() || network.parse::<std::net::IpAddr>().is_ok();
        if known {
            sheet.trusted.push(network.to_owned());
        } else {
            let why = "a trusted proxy is an address or a network";
            sheet.leaves(&from.place, format!("set_real_ip_from {network}"), why);
        }
    }
    let named = scope.one("real_ip_header");
    let mut header = named.map(|one| one.argument(0).to_ascii_lowercase());
    if let Some(first) = scope.all("set_real_ip_from").first() {
        // As nginx has it where nobody says otherwise.
        let header = header.get_or_insert_with(|| "x-real-ip".to_owned());
        let all = scope.one("real_ip_recursive");
        let last_only = all.is_none_or(|one| one.argument(0) != "on");
        if last_only && header == "x-forwarded-for" {
            let place = all.map_or(&first.place, |one| &one.place);
            let why = "of several trusted proxies in a row the client behind all is found, not the last of them";
            sheet.leaves(place, "real_ip_recursive off", why);
        }
    }
    // A PROXY header is the listener's, which says so itself.
    sheet.header = header.filter(|header| header != "proxy_protocol");
}

/// A folder: nginx's `root` has the location's path below it, ours has not.
fn carry_folder(sheet: &mut Sheet, scope: &Scope<'_>, location: &Directive) {
    let path = location.arguments.last().map_or("", String::as_str);
    if path.starts_with("/.well-known/acme-challenge") {
        let why = "certificates come by themselves: tls: {acme: [NAME]} in listen.public";
        return sheet.leaves(&location.place, format!("location {path}"), why);
    }
    let exact =
        matches!(location.argument(0), "=" | "~" | "~*") || !path.ends_with('/') || path == "/";
    let folder = match (scope.one("alias"), scope.one("root")) {
        (Some(alias), _) => alias.argument(0).to_owned(),
        (None, Some(root)) => format!("{}{path}", root.argument(0).trim_end_matches('/')),
        (None, None) => String::new(),
    };
    if exact || !folder.starts_with('/') {
        let why = "a folder is served below a path that begins and ends with /, and has an absolute path itself";
        return sheet.leaves(&location.place, format!("location {path}"), why);
    }
    let cors = scope.all("add_header").iter().any(|header| {
        header
            .argument(0)
            .eq_ignore_ascii_case("access-control-allow-origin")
    });
    let folder = folder.trim_end_matches('/').to_owned();
    let one = (path.to_owned(), folder, cors);
    if !sheet.statics.contains(&one) {
        sheet.statics.push(one);
    }
}

#[cfg(test)]
mod tests;

//! What holds in a location and was not carried over for such: named, whatever it is.

use super::super::grammar::Directive;
use super::super::held::Side;
use super::super::sheet::Sheet;
use super::super::site::{Purpose, Scope, purpose};
use super::super::words::{Standing, standing};
use super::{gather, headers, is_of_ingest};

/// What was read, or named, where it belongs: it is not a location's.
const ELSEWHERE: &[&str] = &[
    "alias",
    "limit_conn_zone",
    "limit_req_zone",
    "listen",
    "location",
    "proxy_pass",
    "root",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_verify_client",
    "worker_processes",
];

/// What means anything where nothing is passed on.
const OF_FOLDERS: &[&str] = &["allow", "deny", "limit_conn", "limit_req"];

/// The side that a location is on.
pub(in crate::cli::import_nginx) fn side(location: &Directive) -> Side {
    match purpose(location) {
        Purpose::Folder | Purpose::Other => Side::Folder,
        Purpose::Uploads => Side::Uploads,
        Purpose::Events | Purpose::Relays | Purpose::Web | Purpose::Part => {
            match is_of_ingest(location) {
                true => Side::Ingest,
                false => Side::Web,
            }
        }
    }
}

/// Whether a server that does not tell events apart takes them all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Events {
    Here,
    /// They have a server of their own.
    Elsewhere,
}

/// Names what holds in a server's locations and was not carried over. What each location
/// overrules holds nowhere, and nothing is said of it.
pub(super) fn name(sheet: &mut Sheet, outer: &Scope<'_>, server: &Directive, events: Events) {
    let scope = outer.within(server);
    let mut locations = Vec::new();
    gather(&scope, server.inside(), &mut locations);
    let told_apart = locations
        .iter()
        .any(|(_, location)| purpose(location) == Purpose::Events);
    for (scope, location) in &locations {
        let of = side(location);
        let before = sheet.left.len();
        name_in(sheet, scope, location, of);
        if of != Side::Folder && headers::cancels_host(sheet, scope) {
            let path = location.arguments.last().map_or("", String::as_str);
            let why = "headers of its own cancel those around it in nginx, so Host is the upstream's name there; here it is one for all of the site: upstream.host";
            sheet.leaves(&location.place, format!("location {path}"), why);
        }
        if purpose(location) == Purpose::Web && !told_apart && events == Events::Here {
            // Events come this way too.
            name_in(sheet, scope, location, Side::Ingest);
        }
        if purpose(location) == Purpose::Other && sheet.left.len() == before {
            name_unserved(sheet, location);
        }
    }
}

fn name_in(sheet: &mut Sheet, scope: &Scope<'_>, location: &Directive, side: Side) {
    for directive in scope.every() {
        let name = directive.name.as_str();
        let read = standing(name, &directive.arguments) == Standing::Carried;
        if !read || ELSEWHERE.contains(&name) {
            continue;
        }
        if side == Side::Folder && !OF_FOLDERS.contains(&name) {
            continue;
        }
        let why = match name {
            "proxy_set_header" => headers::why_left(sheet, directive),
            "proxy_hide_header" if hides_as_here(location, directive) => None,
            _ if sheet.held.has(side, directive) => None,
            // Folders are open to all here.
            "allow" if side == Side::Folder && directive.argument(0) == "all" => None,
            // A page apart that goes by what is said for all: another value than `/` has.
            _ if side == Side::Web
                && !is_own(location, directive)
                && sheet.held.knows(directive) =>
            {
                None
            }
            _ => Some(what_helps(name, side)),
        };
        if let Some(why) = why {
            leave(sheet, directive, why);
        }
    }
}

fn is_own(location: &Directive, directive: &Directive) -> bool {
    let mut inside = location.inside().iter();
    inside.any(|one| std::ptr::eq(one, directive))
}

/// The one header that is taken off here too, and where.
fn hides_as_here(location: &Directive, hides: &Directive) -> bool {
    let path = location.arguments.last().map_or("", String::as_str);
    matches!(path, "/_assets/" | "/_static/")
        && hides
            .argument(0)
            .eq_ignore_ascii_case("content-disposition")
}

/// What to do instead of a directive whose value on this side was not carried over.
fn what_helps(name: &str, side: Side) -> &'static str {
    match (name, side) {
        ("limit_req", Side::Ingest) => {
            "what holds in a part of ingest alone is not carried over: `quotas: [{limit: N, per: 1s, by: ip}]`, in defaults or of a project, counts each client's events, and limits.block shuts out who overdoes it"
        }
        ("limit_req", _) => {
            "quotas count events: clients of pages are held back by limits.connections_per_client and limits.block"
        }
        ("limit_conn", _) => {
            "connections are counted by client and for all of the site: limits.connections_per_client"
        }
        ("allow" | "deny", Side::Ingest) => {
            "`allow` of a listener is for pages, and events come from everywhere: filters.client_ips refuses addresses, and `serve: ingest` gives events a listener of their own"
        }
        ("allow" | "deny", _) => {
            "`allow` of a listener is one list for all pages, the API (/api/0/) and uploads, and this is none: it was not carried over where another holds for a part of them. List all who may use any of these there, CI with sentry-cli too, or keep others out before they come here"
        }
        ("client_max_body_size", Side::Ingest) => {
            "limits.bodies.ingest is one for all of ingest: the largest of its locations'"
        }
        ("client_max_body_size", _) => {
            "limits.bodies has one size for all pages (web) and one for uploads (upload)"
        }
        ("proxy_hide_header", _) => {
            "answers pass with the headers that Sentry gives them: have it not send this one"
        }
        ("proxy_read_timeout" | "proxy_connect_timeout", _) => {
            "upstream.timeouts has one for each upstream (ingest, web), and one connect"
        }
        ("client_body_timeout" | "client_header_timeout" | "keepalive_timeout", _) => {
            "one for all of the site, and never 0: limits.body_idle, head_timeout and keep_alive"
        }
        ("real_ip_header" | "set_real_ip_from", _) => {
            "clients are told by one rule in all of the site: client_ip"
        }
        (name, _) if name.starts_with("proxy_ssl_") => {
            "upstreams are spoken to by one set of certificates: upstream.tls"
        }
        _ => "nothing of it was carried over from here",
    }
}

/// A location that passes nothing on, of which nothing else tells.
fn name_unserved(sheet: &mut Sheet, location: &Directive) {
    let says = |one: &Directive| {
        one.name == "location" || matches!(standing(&one.name, &one.arguments), Standing::Left(_))
    };
    if !location.inside().iter().any(says) {
        let path = location.arguments.last().map_or("", String::as_str);
        let why = "nothing is passed on there: its path goes where all others go, or to a folder of static";
        sheet.leaves(&location.place, format!("location {path}"), why);
    }
}

/// Names zones by which nothing counts that was carried over.
pub(super) fn name_zones(sheet: &mut Sheet, directives: &[Directive]) {
    for one in directives {
        let is_zone = matches!(one.name.as_str(), "limit_req_zone" | "limit_conn_zone");
        if is_zone && !sheet.held.has(Side::Ingest, one) {
            let why = "no limit that was carried over counts by it: see quotas (by: ip) and limits";
            leave(sheet, one, why);
        }
        name_zones(sheet, one.inside());
    }
}

fn leave(sheet: &mut Sheet, directive: &Directive, why: &str) {
    let what = format!("{} {}", directive.name, directive.argument(0));
    sheet.leaves(&directive.place, what.trim_end(), why);
}

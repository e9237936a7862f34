//! From nginx's tree to our sheet. Each part has its function; none reads a file.

mod headers;
mod rates;
mod rest;

use crate::domain::endpoint::{Route, route};
use crate::domain::units::{show_duration, show_size};

use super::amounts;
use super::grammar::{Directive, Tree};
use super::held::Side;
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
    let mut sites = vec![main];
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
                sheet.adds(same.statics, same.left);
                sites.push((scope, other));
            } else {
                let why = "another site than the Sentry's: keep nginx for it, or another edge";
                sheet.leaves(&other.place, "server", why);
            }
        }
    }
    listening::settle(&mut sheet);
    for (scope, server) in sites {
        rest::name(&mut sheet, scope, server);
    }
    rest::name_zones(&mut sheet, &tree.directives);
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
    // A part of events comes with rules that may be its own alone.
    let all_events = locations
        .iter()
        .find(|(_, location)| purpose(location) == Purpose::Events && !is_one_path(location));
    let events = all_events
        .map(|(scope, _)| scope)
        .or_else(|| of(Purpose::Events));
    let web = of(Purpose::Web);
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
    let of_ingest = locations
        .iter()
        .filter(|(_, location)| rest::side(location) == Side::Ingest)
        .map(|(scope, _)| scope)
        .chain(events.or(web));
    carry_bodies(
        sheet,
        of_ingest,
        web.unwrap_or(anywhere),
        of(Purpose::Uploads),
    );
    headers::carry(sheet, anywhere);
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

/// Whether a location of events is one path alone, of all that there are.
fn is_one_path(location: &Directive) -> bool {
    let path = location.arguments.last().map_or("", String::as_str);
    location.argument(0) == "=" || path.trim_start_matches('^').starts_with("/api/store")
}

/// Whether what a location is for goes to Relay here.
fn is_of_ingest(location: &Directive) -> bool {
    match purpose(location) {
        Purpose::Events | Purpose::Relays => true,
        Purpose::Web | Purpose::Uploads | Purpose::Folder | Purpose::Other => false,
        Purpose::Part => {
            let path = location.arguments.last().map_or("", String::as_str);
            // A project's own, whole or in part.
            let of_project = path.trim_start_matches('^').strip_prefix("/api/");
            of_project.is_some_and(|rest| rest.starts_with(|ch| matches!(ch, '1'..='9')))
                || matches!(route(path.as_bytes()), Route::Ingest(_) | Route::Relays)
        }
    }
}

/// How much a body may have, and the directive that says so.
fn body<'d>(scope: &Scope<'d>) -> Option<(u64, &'d Directive)> {
    let said = scope.one("client_max_body_size")?;
    let bytes = match amounts::bytes(said.argument(0))? {
        0 => UNLIMITED,
        bytes => bytes.min(UNLIMITED),
    };
    Some((bytes, said))
}

/// There is one size for all of ingest: where its locations differ it is the largest.
fn carry_bodies<'s, 'd: 's>(
    sheet: &mut Sheet,
    ingest: impl Iterator<Item = &'s Scope<'d>>,
    web: &Scope<'_>,
    uploads: Option<&Scope<'_>>,
) {
    let largest = ingest.filter_map(body);
    let largest = largest.max_by_key(|(bytes, _)| *bytes);
    let web = body(web);
    let uploads = uploads.and_then(body).or(web);
    let mut held = |side, found: Option<(u64, &Directive)>| {
        let (bytes, said) = found?;
        sheet.held.note(&[side], said);
        Some(show_size(bytes))
    };
    let sizes = (
        held(Side::Ingest, largest),
        held(Side::Web, web),
        held(Side::Uploads, uploads),
    );
    (sheet.body_ingest, sheet.body_web, sheet.body_upload) = sizes;
}

fn span(sheet: &mut Sheet, sides: &[Side], scope: &Scope<'_>, name: &str) -> Option<String> {
    let said = scope.one(name)?;
    let time = amounts::time(said.argument(0)).filter(|time| !time.is_zero())?;
    sheet.held.note(sides, said);
    Some(show_duration(time))
}

fn carry_limits(sheet: &mut Sheet, server: &Scope<'_>, events: &Scope<'_>, web: &Scope<'_>) {
    let (all, pages) = (Side::ALL, &[Side::Web, Side::Uploads]);
    sheet.connect = span(sheet, all, web, "proxy_connect_timeout");
    sheet.read_ingest = span(sheet, &[Side::Ingest], events, "proxy_read_timeout");
    sheet.read_web = span(sheet, pages, web, "proxy_read_timeout");
    sheet.head_timeout = span(sheet, all, server, "client_header_timeout");
    sheet.body_idle = span(sheet, all, web, "client_body_timeout");
    sheet.keep_alive = span(sheet, all, server, "keepalive_timeout");
}

/// Whose word on the client's address is believed.
fn carry_addresses(sheet: &mut Sheet, scope: &Scope<'_>) {
    for from in scope.all("set_real_ip_from") {
        let network = from.argument(0);
        let known =
            network.parse::<ipnet::IpNet>().is_ok() || network.parse::<std::net::IpAddr>().is_ok();
        if known {
            sheet.held.note(Side::ALL, from);
            sheet.trusted.push(network.to_owned());
        } else {
            let why = "a trusted proxy is an address or a network";
            sheet.leaves(&from.place, format!("set_real_ip_from {network}"), why);
        }
    }
    let named = scope.one("real_ip_header");
    if let Some(named) = named {
        sheet.held.note(Side::ALL, named);
    }
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

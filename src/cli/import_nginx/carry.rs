//! From nginx's tree to our sheet. Each part has its function; none reads a file.

mod addresses;
mod folders;
mod headers;
mod rates;
pub(super) mod rest;
mod sites;

use crate::domain::endpoint::{Route, route};
use crate::domain::units::{show_duration, show_size};

use super::amounts;
use super::grammar::{Directive, Tree};
use super::held::Side;
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
    if let Some(halves) = sites::halves(&upstreams, &servers) {
        sites::carry(&mut sheet, &upstreams, &servers, &halves);
    } else if let Some(first) = tree.directives.first() {
        let why = "no server passes anything on, so there is no Sentry behind this";
        sheet.leaves(&first.place, "http", why);
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
        let what = format!("{} {}", directive.name, directive.argument(0));
        let what = what.trim_end();
        match standing(&directive.name, &directive.arguments) {
            Standing::Left(why) => sheet.leaves(&directive.place, what, why),
            Standing::Otherwise(why) => sheet.does_otherwise(&directive.place, what, why),
            // What a server that only moves requests holds is looked at with it.
            Standing::Needless | Standing::Carried if moved => {}
            Standing::Needless | Standing::Carried => leave(sheet, directive.inside()),
        }
    }
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
        let passes = scope.and_then(|scope| Some((scope, scope.one("proxy_pass")?)));
        passes.map_or_else(Vec::new, |(scope, pass)| {
            let urls = upstreams.urls(sheet, scope, pass);
            name_unchecked(sheet, scope, pass, &urls);
            urls
        })
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
    addresses::carry(sheet, &scope);
    rates::carry(sheet, anywhere);
    for (scope, location) in &locations {
        match purpose(location) {
            Purpose::Folder => folders::carry(sheet, scope, location),
            Purpose::Part | Purpose::Events | Purpose::Relays | Purpose::Uploads | Purpose::Web => {
                check_part(sheet, upstreams, scope, location);
            }
            // What it does instead has been noted.
            Purpose::Other => {}
        }
    }
}

/// nginx believes any certificate of an upstream unless it is told not to.
fn name_unchecked(sheet: &mut Sheet, scope: &Scope<'_>, pass: &Directive, urls: &[String]) {
    let by_tls = urls.iter().any(|url| url.starts_with("https://"));
    if by_tls && scope.one("proxy_ssl_verify").is_none() {
        let why = "nginx does not look at the certificate there (proxy_ssl_verify is off unless it is said); here it is checked, and for that host: upstream.tls.ca names who vouches for it";
        sheet.leaves(&pass.place, format!("proxy_pass {}", pass.argument(0)), why);
    }
}

pub(super) fn gather<'d>(
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
    let path = location.arguments.last().map_or("", String::as_str);
    if path.starts_with('@') {
        let why = "where error_page and try_files lead: there are neither, and what an upstream does not take goes to the next, or is kept (spool)";
        return sheet.leaves(&location.place, format!("location {path}"), why);
    }
    let urls = upstreams.urls(sheet, scope, pass);
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

#[cfg(test)]
mod tests;

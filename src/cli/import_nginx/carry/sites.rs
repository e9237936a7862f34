//! Which servers are the Sentry's, which of them has its pages where events have a server of
//! their own, and what becomes of all others.

use super::super::grammar::Directive;
use super::super::listening;
use super::super::sheet::{Serves, Sheet};
use super::super::site::{Purpose, Scope, moves_to_https, purpose};
use super::super::upstreams::Upstreams;
use super::{carry_site, folders, rest};

/// A server and the blocks around it.
pub(super) type Site<'d> = (Scope<'d>, &'d Directive);

/// The servers of one Sentry.
pub(super) struct Halves<'s, 'd> {
    /// The one that takes events, and mostly everything.
    main: &'s Site<'d>,
    /// The one that has the pages, where `main` has none.
    pages: Option<&'s Site<'d>>,
}

/// What a server that passes everything to one place passes it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Relay,
    Web,
    Unclear,
}

/// The servers that are the Sentry's: the first that tells events apart, else the first that
/// passes anything on. Where that one passes all to Relay, or all to web, the other half is
/// another server's.
pub(super) fn halves<'s, 'd>(
    upstreams: &Upstreams<'d>,
    servers: &'s [Site<'d>],
) -> Option<Halves<'s, 'd>> {
    let find = |wanted| servers.iter().find(|(_, server)| has(server, wanted));
    let main = find(Purpose::Events).or_else(|| find(Purpose::Web))?;
    let other = |wanted| {
        let others = servers.iter().filter(|(_, server)| {
            !std::ptr::eq(*server, main.1) && moves_to_https(server).is_none()
        });
        let mut known = others.filter(|other| behind(upstreams, other) == wanted);
        known.next()
    };
    Some(match behind(upstreams, main) {
        Behind::Relay => Halves {
            main,
            pages: other(Behind::Web),
        },
        Behind::Web => match other(Behind::Relay) {
            Some(relay) => Halves {
                main: relay,
                pages: Some(main),
            },
            None => Halves { main, pages: None },
        },
        Behind::Unclear => Halves { main, pages: None },
    })
}

fn has(server: &Directive, wanted: Purpose) -> bool {
    let mut locations = server.inside().iter().filter(|one| one.name == "location");
    locations.any(|location| purpose(location) == wanted)
}

/// What stands behind a server, by the names of its upstream and of itself. One that passes
/// events and pages to two places is unclear: it needs no other half.
fn behind(upstreams: &Upstreams<'_>, (scope, server): &Site<'_>) -> Behind {
    let mut alone = Sheet::default();
    carry_site(&mut alone, upstreams, scope, server);
    if !alone.web.is_empty() || alone.ingest.is_empty() {
        return Behind::Unclear;
    }
    if has(server, Purpose::Events) && !has(server, Purpose::Web) {
        return Behind::Relay;
    }
    let names = scope.within(server).all("server_name");
    let is_sentrys = names
        .iter()
        .any(|names| names.arguments.iter().any(|name| name.contains("sentry")));
    let of = |url: &String| {
        let host = url.split_once("://").map_or("", |(_, authority)| authority);
        let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
        match () {
            () if host.contains("relay") => Behind::Relay,
            () if host.contains("sentry") || host == "web" => Behind::Web,
            // What Sentry's web listens on.
            () if port == "9000" && (is_sentrys || host.contains("web")) => Behind::Web,
            () => Behind::Unclear,
        }
    };
    let mut all = alone.ingest.iter().map(of);
    let first = all.next().unwrap_or(Behind::Unclear);
    match all.all(|other| other == first) {
        true => first,
        false => Behind::Unclear,
    }
}

/// Carries over what the servers of the Sentry are, and names all others.
pub(super) fn carry(
    sheet: &mut Sheet,
    upstreams: &Upstreams<'_>,
    servers: &[Site<'_>],
    halves: &Halves<'_, '_>,
) {
    let (scope, server) = halves.main;
    carry_site(sheet, upstreams, scope, server);
    let own = (sheet.ingest.clone(), sheet.web.clone());
    let mut sites: Vec<&Site<'_>> = vec![halves.main];
    let is = |half: &Site<'_>, other: &Directive| std::ptr::eq(half.1, other);
    let mains = match halves.pages {
        Some(pages) => {
            adopt_pages(sheet, upstreams, pages);
            sites.push(pages);
            Serves::Ingest
        }
        None => Serves::All,
    };
    if sheet.web.is_empty() && !has(server, Purpose::Web) {
        let why = "pages have no upstream there: write upstream.web (http://web:9000), or serve: ingest for each of listen.public; as it is they go where events go";
        sheet.leaves(&server.place, "server", why);
    }
    for site in servers {
        let (scope, other) = site;
        if let Some(port) = moves_to_https(other) {
            listening::carry(sheet, scope, other, Serves::All, Some(port));
            folders::carry_challenge(sheet, scope, other);
        } else if is(halves.main, other) {
            listening::carry(sheet, scope, other, mains, None);
        } else if halves.pages.is_some_and(|pages| is(pages, other)) {
            listening::carry(sheet, scope, other, Serves::All, None);
        } else {
            let mut same = Sheet::default();
            carry_site(&mut same, upstreams, scope, other);
            if (&same.ingest, &same.web) == (&own.0, &own.1) {
                listening::carry(sheet, scope, other, mains, None);
                sheet.adds(same);
                sites.push(site);
            } else {
                let why = match sheet.web.is_empty() && !same.ingest.is_empty() {
                    true => {
                        "another site than the Sentry's, as it seems: where its upstream is Sentry's web, write that as upstream.web; else keep nginx for it, or another edge"
                    }
                    false => "another site than the Sentry's: keep nginx for it, or another edge",
                };
                sheet.leaves(&other.place, "server", why);
            }
        }
    }
    listening::settle(sheet);
    for (scope, server) in sites {
        let events = match halves.pages.is_some_and(|pages| is(pages, server)) {
            true => rest::Events::Elsewhere,
            false => rest::Events::Here,
        };
        rest::name(sheet, scope, server, events);
    }
}

/// Takes from the server of the pages what is one for all pages.
fn adopt_pages(sheet: &mut Sheet, upstreams: &Upstreams<'_>, (scope, server): &Site<'_>) {
    let mut pages = Sheet::default();
    carry_site(&mut pages, upstreams, scope, server);
    sheet.web = std::mem::take(&mut pages.ingest);
    sheet.read_web = pages.read_web.take();
    sheet.body_web = pages.body_web.take();
    sheet.body_upload = pages.body_upload.take();
    let held = std::mem::take(&mut pages.held);
    let names = ["client_max_body_size", "proxy_read_timeout"];
    sheet.held.adopt_pages(held, &names);
    sheet.adds(pages);
}

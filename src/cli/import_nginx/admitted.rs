//! Who may see pages: nginx's `allow` and `deny`, where they are one list for all that a
//! listener's `allow` holds for, which is pages, the API and uploads.

use std::net::IpAddr;

use super::carry::{gather, rest};
use super::grammar::Directive;
use super::held::Side;
use super::sheet::Sheet;
use super::site::{Purpose, Scope, purpose};

/// What pages are made of, and of use to nobody who may not see them.
const OF_PAGES: &[&str] = &["/_static/", "/_assets/"];

/// The networks that may see pages, where one list that ends with `deny all` holds for all of
/// them. Empty: there is none, or it holds for a part alone, which is then named with its lines.
pub(super) fn networks(sheet: &mut Sheet, scope: &Scope<'_>, server: &Directive) -> Vec<String> {
    let mut locations = Vec::new();
    gather(scope, server.inside(), &mut locations);
    locations.retain(|(_, location)| {
        let passes = !matches!(purpose(location), Purpose::Folder | Purpose::Other);
        passes && matches!(rest::side(location), Side::Web | Side::Uploads)
    });
    let root = locations
        .iter()
        .find(|(_, location)| purpose(location) == Purpose::Web);
    let access = root.map_or_else(|| scope.access(), |(scope, _)| scope.access());
    let Some(networks) = listed(&access) else {
        return Vec::new();
    };
    let path = |location: &Directive| location.arguments.last().cloned().unwrap_or_default();
    let (of_pages, others): (Vec<_>, Vec<_>) = locations
        .iter()
        .filter(|(scope, _)| listed(&scope.access()).as_ref() != Some(&networks))
        .partition(|(_, location)| OF_PAGES.contains(&path(location).as_str()));
    // A password, or whatever else is enough there, is asked for nowhere here.
    let satisfied = |scope: &Scope<'_>| {
        scope
            .one("satisfy")
            .is_some_and(|one| one.argument(0) == "any")
    };
    if !others.is_empty() || satisfied(scope) || locations.iter().any(|(scope, _)| satisfied(scope))
    {
        return Vec::new();
    }
    for (_, location) in of_pages {
        let why = "it is a part of pages here, and from whom they are kept it is too (allow)";
        sheet.does_otherwise(&location.place, format!("location {}", path(location)), why);
    }
    for one in access {
        sheet.held.note(&[Side::Web, Side::Uploads], one);
    }
    networks
}

/// Networks that are let in before all others are refused. nginx obeys what matches first.
fn listed(access: &[&Directive]) -> Option<Vec<String>> {
    let (last, before) = access.split_last()?;
    let refuses_all = last.name == "deny" && last.argument(0) == "all";
    let networks = before.iter().map(|one| {
        let network = one.argument(0);
        let known = network.parse::<ipnet::IpNet>().is_ok() || network.parse::<IpAddr>().is_ok();
        (one.name == "allow" && known).then(|| network.to_owned())
    });
    let networks: Option<Vec<String>> = networks.collect();
    // An empty list would let in everybody.
    networks.filter(|networks| refuses_all && !networks.is_empty())
}

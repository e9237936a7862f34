//! Folders that nginx serves by itself, the one among them where authorities look for proofs.

use super::super::grammar::Directive;
use super::super::sheet::Sheet;
use super::super::site::{Purpose, Scope, is_challenge, purpose};

/// Why one is left.
const NO_FOLDER: &str =
    "a folder is served below a path that begins and ends with /, and has an absolute path itself";

/// A folder: nginx's `root` has the location's path below it, ours has not.
pub(super) fn carry(sheet: &mut Sheet, scope: &Scope<'_>, location: &Directive) {
    let written = location.arguments.last().map_or("", String::as_str);
    let what = format!("location {written}");
    let is_regex = matches!(location.argument(0), "~" | "~*");
    let mut path = written.to_owned();
    if is_challenge(location) && !path.ends_with('/') && !is_regex {
        // Authorities ask for what is below it, and for nothing else.
        path.push('/');
    }
    let exact = is_regex || location.argument(0) == "=" || !path.ends_with('/') || path == "/";
    let folder = match (scope.one("alias"), scope.one("root")) {
        (Some(alias), _) => alias.argument(0).to_owned(),
        (None, Some(root)) => format!("{}{path}", root.argument(0).trim_end_matches('/')),
        (None, None) => String::new(),
    };
    if exact || !folder.starts_with('/') || folder.contains('$') {
        return sheet.leaves(&location.place, what, NO_FOLDER);
    }
    let cors = scope.all("add_header").iter().any(|header| {
        header
            .argument(0)
            .eq_ignore_ascii_case("access-control-allow-origin")
    });
    let folder = folder.trim_end_matches('/').to_owned();
    match sheet.statics.iter().find(|(there, _, _)| *there == path) {
        None => sheet.statics.push((path, folder, cors)),
        Some(there) if *there == (path, folder, cors) => {}
        Some(_) => {
            let why = "another folder is served by this path already, and it is one for all names";
            sheet.leaves(&location.place, what, why);
        }
    }
}

/// What a server that only moves requests to https serves all the same: the proofs that its
/// names are ours, without which certificates end some weeks later. Folders are served here
/// before anything is moved.
pub(super) fn carry_challenge(sheet: &mut Sheet, outer: &Scope<'_>, server: &Directive) {
    let scope = outer.within(server);
    for one in server.inside() {
        if one.name == "if" {
            let why = "who asks by another name is moved to https too";
            sheet.does_otherwise(&one.place, format!("if {}", one.argument(0)), why);
        }
        if one.name != "location" || !is_challenge(one) {
            continue;
        }
        match purpose(one) {
            Purpose::Folder => carry(sheet, &scope.within(one), one),
            // The server's own.
            Purpose::Other if scope.one("root").is_some() => {
                carry(sheet, &scope.within(one), one);
            }
            Purpose::Other
            | Purpose::Events
            | Purpose::Relays
            | Purpose::Web
            | Purpose::Part
            | Purpose::Uploads => {
                let path = one.arguments.last().map_or("", String::as_str);
                let why = "without it certificates are not renewed: let tls: {acme: [NAME]} of listen.public get them, write the proofs to a folder of static (certbot --webroot), or keep nginx for port 80";
                sheet.leaves(&one.place, format!("location {path}"), why);
            }
        }
    }
}

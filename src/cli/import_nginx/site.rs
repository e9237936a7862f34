//! The parts of nginx's configuration that are a site: which servers are the Sentry's, and what
//! holds where in them. Writes nothing down.

use super::grammar::Directive;

/// A directive's blocks from the outside in, down to one.
#[derive(Debug, Clone)]
pub(super) struct Scope<'d>(Vec<&'d [Directive]>);

impl<'d> Scope<'d> {
    pub(super) fn of(outermost: &'d [Directive]) -> Self {
        Self(vec![outermost])
    }

    /// The same and one block more.
    pub(super) fn within(&self, directive: &'d Directive) -> Self {
        let mut blocks = self.0.clone();
        blocks.push(directive.inside());
        Self(blocks)
    }

    /// The directives of this name that hold here: those of the innermost block that has any.
    pub(super) fn all(&self, name: &str) -> Vec<&'d Directive> {
        let of = |block: &&'d [Directive]| {
            let block: &'d [Directive] = block;
            let named = block.iter().filter(|directive| directive.name == name);
            named.collect::<Vec<_>>()
        };
        self.0
            .iter()
            .rev()
            .map(of)
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    /// All that hold here, the innermost first.
    pub(super) fn every(&self) -> Vec<&'d Directive> {
        let mut names: Vec<&str> = Vec::new();
        for directive in self.0.iter().rev().flat_map(|block| block.iter()) {
            if !names.contains(&directive.name.as_str()) {
                names.push(&directive.name);
            }
        }
        names.into_iter().flat_map(|name| self.all(name)).collect()
    }

    /// Who may come, in the order in which nginx looks: `allow` and `deny` of the innermost block
    /// that has any of both.
    pub(super) fn access(&self) -> Vec<&'d Directive> {
        let of = |block: &&'d [Directive]| {
            let block: &'d [Directive] = block;
            let access = block
                .iter()
                .filter(|one| matches!(one.name.as_str(), "allow" | "deny"));
            access.collect::<Vec<_>>()
        };
        let mut blocks = self.0.iter().rev().map(of);
        blocks.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// What `set` makes of a variable here: the innermost block's last word.
    pub(super) fn variable(&self, name: &str) -> Option<&'d str> {
        let of = |block: &&'d [Directive]| {
            let block: &'d [Directive] = block;
            let mut sets = block.iter().rev().filter(|one| one.name == "set");
            sets.find(|set| set.argument(0).strip_prefix('$') == Some(name))
        };
        let set = self.0.iter().rev().find_map(of);
        set.map(|set| set.argument(1))
    }

    /// The last of those of this name.
    pub(super) fn one(&self, name: &str) -> Option<&'d Directive> {
        self.all(name).pop()
    }
}

/// What a location is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Events, or a part of them.
    Events,
    /// Where Relays register.
    Relays,
    /// Everything else.
    Web,
    /// A part of what web serves, with rules of its own.
    Part,
    /// Uploads, to web.
    Uploads,
    /// A folder.
    Folder,
    /// Nothing that is passed on.
    Other,
}

/// What a location is for, by its path and by what is done there.
pub(super) fn purpose(location: &Directive) -> Purpose {
    let path = location.arguments.last().map_or("", String::as_str);
    let inside = |name: &str| location.inside().iter().any(|one| one.name == name);
    if !inside("proxy_pass") {
        return match inside("root") || inside("alias") {
            true => Purpose::Folder,
            false => Purpose::Other,
        };
    }
    let path = path.trim_start_matches('^');
    let uploads = ["chunk-upload", "files/dsyms", "/files/"];
    if path.starts_with("/api/store")
        || path.starts_with("/api/[1-9]")
        || path.starts_with("/api/\\d")
        || path.starts_with("/api/[0-9]")
        || path.starts_with("/api/(")
    {
        Purpose::Events
    } else if path.starts_with("/api/0/relays") {
        Purpose::Relays
    } else if uploads.iter().any(|upload| path.contains(upload)) {
        Purpose::Uploads
    } else if path == "/" {
        Purpose::Web
    } else {
        Purpose::Part
    }
}

/// Whether a location is where authorities look for the proof that a name is ours.
pub(super) fn is_challenge(location: &Directive) -> bool {
    let path = location.arguments.last().map_or("", String::as_str);
    path.starts_with("/.well-known/acme-challenge") || path == "/.well-known/"
}

/// Where a request is moved that a server only moves to https: the port. The body of a server
/// that does anything else is none.
pub(super) fn moves_to_https(server: &Directive) -> Option<u16> {
    let mut moved = None;
    let mut look = |directive: &Directive| match directive.name.as_str() {
        // Whoever asks by a name that is none of its own, as certbot has it.
        "return" if matches!(directive.argument(0), "403" | "404" | "444") => true,
        "return" => {
            let target = directive.arguments.last().map_or("", String::as_str);
            let rest = target.strip_prefix("https://");
            let authority =
                rest.and_then(|rest| rest.split(['/', '$']).find(|part| !part.is_empty()));
            let port = rest.and_then(|rest| {
                let after = rest.split_once(':')?.1;
                let digits = after.split(|ch: char| !ch.is_ascii_digit()).next()?;
                digits.parse().ok()
            });
            moved = authority.map(|_| port.unwrap_or(443));
            moved.is_some()
        }
        "listen" | "server_name" | "access_log" | "server_tokens" | "error_log" => true,
        _ => false,
    };
    let whole = server
        .inside()
        .iter()
        .all(|directive| match directive.name.as_str() {
            // What is asked for by an authority stays in the clear.
            "location" if is_challenge(directive) => true,
            "location" if directive.argument(0) == "/" => directive.inside().iter().all(&mut look),
            "if" if directive.argument(0) == "($host" => directive.inside().iter().all(&mut look),
            _ => look(directive),
        });
    moved.filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::super::grammar::read;
    use super::*;

    fn parsed(text: &str) -> Vec<Directive> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        read(&file).unwrap().directives
    }

    #[test]
    fn a_location_is_known_by_its_path_and_by_what_it_does() {
        for (location, want) in [
            ("/api/store/ { proxy_pass http://relay; }", Purpose::Events),
            (
                "~ ^/api/[1-9]\\d*/ { proxy_pass http://relay; }",
                Purpose::Events,
            ),
            (
                "~ ^/api/\\d+/envelope/ { proxy_pass http://relay; }",
                Purpose::Events,
            ),
            (
                "^~ /api/0/relays/ { proxy_pass http://relay; }",
                Purpose::Relays,
            ),
            ("/ { proxy_pass http://web; }", Purpose::Web),
            ("/_static/ { proxy_pass http://web; }", Purpose::Part),
            (
                "~ /chunk-upload/$ { proxy_pass http://web; }",
                Purpose::Uploads,
            ),
            ("^~ /js-sdk/ { root /var/www/; }", Purpose::Folder),
            ("= /api/store/ { return 403; }", Purpose::Other),
        ] {
            let text = format!("location {location}");
            assert_eq!(purpose(&parsed(&text)[0]), want, "{location}");
        }
    }

    #[test]
    fn a_server_that_only_moves_to_https_is_told_from_others() {
        for (body, want) in [
            (
                "listen 80; return 301 https://$host$request_uri;",
                Some(443),
            ),
            (
                "listen 80; location / { return 301 https://s.example$request_uri; }",
                Some(443),
            ),
            ("return 308 https://$host:8443$request_uri;", Some(8443)),
            (
                "location /.well-known/acme-challenge/ { root /x; } return 301 https://$host/;",
                Some(443),
            ),
            (
                "location ^~ /.well-known/acme-challenge/ { root /x; } location / { return 301 https://$host$request_uri; }",
                Some(443),
            ),
            (
                "if ($host = s.example) { return 301 https://$host$request_uri; } listen 80; return 404;",
                Some(443),
            ),
            (
                "if ($http_x = 1) { return 301 https://$host$request_uri; } return 404;",
                None,
            ),
            ("return 301 http://$host$request_uri;", None),
            ("return 404;", None),
            ("return 301 https://$host/; location /x { root /y; }", None),
        ] {
            let text = format!("server {{ {body} }}");
            assert_eq!(moves_to_https(&parsed(&text)[0]), want, "{body}");
        }
    }

    #[test]
    fn the_innermost_block_that_says_anything_holds() {
        let all = parsed("a 1; a 2; http { b 1; server { a 3; } }");
        let scope = Scope::of(&all);
        let http = scope.within(&all[2]);
        let server = http.within(&all[2].inside()[1]);
        let arguments = |scope: &Scope<'_>, name: &str| {
            let found = scope.all(name);
            found
                .iter()
                .map(|one| one.argument(0).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(arguments(&http, "a"), ["1", "2"]);
        assert_eq!(arguments(&server, "a"), ["3"]);
        assert_eq!(arguments(&server, "b"), ["1"]);
        assert!(server.one("c").is_none());
    }

    #[test]
    fn a_variable_is_what_the_innermost_block_made_of_it_last() {
        let all = parsed("set $a 1; set $a 2; set $ab 3; http { set $b 4; server { set $a 5; } }");
        let http = Scope::of(&all).within(&all[3]);
        let server = http.within(&all[3].inside()[1]);
        assert_eq!(http.variable("a"), Some("2"));
        assert_eq!(server.variable("a"), Some("5"));
        assert_eq!(server.variable("ab"), Some("3"));
        assert_eq!(server.variable("b"), Some("4"));
        assert_eq!(server.variable("c"), None);
    }
}

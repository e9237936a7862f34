//! Where nginx passes requests on to: its `upstream` blocks, and `proxy_pass` by them.

use super::grammar::Directive;
use super::sheet::Sheet;
use super::site::Scope;

/// Variables are made up of variables, but not without end.
const DEPTH_MAX: usize = 8;

/// Longer is no address.
const TARGET_BYTES_MAX: usize = 1024;

/// The `upstream` blocks, by name.
pub(super) struct Upstreams<'d> {
    blocks: Vec<&'d Directive>,
}

/// The path that a `proxy_pass` puts in its location's place, if it names one.
pub(super) fn path_of(pass: &Directive) -> Option<&str> {
    let (_scheme, rest) = pass.argument(0).split_once("://")?;
    let path = rest.get(rest.find('/')?..)?;
    // What is made up of variables is no path of its own.
    (!path.contains('$')).then_some(path)
}

impl<'d> Upstreams<'d> {
    pub(super) fn of(directives: &'d [Directive]) -> Self {
        let mut found = Self { blocks: Vec::new() };
        found.gather(directives);
        found
    }

    fn gather(&mut self, directives: &'d [Directive]) {
        for directive in directives {
            match directive.name.as_str() {
                "upstream" => self.blocks.push(directive),
                _ => self.gather(directive.inside()),
            }
        }
    }

    /// The URLs that a `proxy_pass` leads to, by the variables of the place where it holds.
    pub(super) fn urls(
        &self,
        sheet: &mut Sheet,
        scope: &Scope<'_>,
        pass: &Directive,
    ) -> Vec<String> {
        let written = pass.argument(0);
        let target = expanded(scope, written);
        let Some((scheme, authority)) = parts(&target) else {
            let why = match target == written {
                true => "an upstream is a name or an address, with a port".to_owned(),
                false => {
                    format!("that is {target}, and no upstream: a name or an address, with a port")
                }
            };
            sheet.leaves(&pass.place, format!("proxy_pass {written}"), why);
            return Vec::new();
        };
        let block = self
            .blocks
            .iter()
            .find(|block| block.argument(0) == authority);
        let Some(block) = block else {
            return vec![format!("{scheme}://{authority}")];
        };
        let servers = block.inside().iter().filter(|one| one.name == "server");
        servers
            .filter_map(|server| {
                let address = address(sheet, server)?;
                let port = if address.contains(':') { "" } else { ":80" };
                Some(format!("{scheme}://{address}{port}"))
            })
            .collect()
    }
}

/// One server of a block, unless it is none that is used in turn; what else is said of it is
/// named.
fn address<'d>(sheet: &mut Sheet, server: &'d Directive) -> Option<&'d str> {
    let address = server.argument(0);
    let mut words = server.arguments.iter().skip(1);
    let spare = words.any(|one| one == "backup" || one == "down");
    if spare || address.starts_with("unix:") {
        let why = "all servers of an upstream are used in turn: there are no spares, and no sockets of files";
        sheet.leaves(&server.place, format!("server {address}"), why);
        return None;
    }
    for word in server.arguments.iter().skip(1) {
        let what = format!("server {address} {word}");
        match word.split_once('=') {
            Some(("weight", weight)) if weight != "1" => {
                let why = "all servers of an upstream are used in turn, each as often as any other";
                sheet.leaves(&server.place, what, why);
            }
            Some(("max_conns", most)) if most != "0" => {
                let why = "one for all of them: upstream.connections";
                sheet.leaves(&server.place, what, why);
            }
            Some(("max_fails" | "fail_timeout" | "slow_start", _)) => {
                let why = "one that fails is left out, and asked every upstream.probe_interval whether it is back";
                sheet.does_otherwise(&server.place, what, why);
            }
            Some(_) | None => {}
        }
    }
    Some(address)
}

/// A text with each variable that `set` made in these blocks in its place.
fn expanded(scope: &Scope<'_>, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..DEPTH_MAX {
        let next = expanded_once(scope, &text);
        if next == text || next.len() > TARGET_BYTES_MAX {
            break;
        }
        text = next;
    }
    text
}

fn expanded_once(scope: &Scope<'_>, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, left) = match after
            .strip_prefix('{')
            .and_then(|in_braces| in_braces.split_once('}'))
        {
            Some(found) => found,
            None => {
                let ends = after.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
                after.split_at(ends.unwrap_or(after.len()))
            }
        };
        match scope.variable(name) {
            Some(value) => {
                out.push_str(value);
                rest = left;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The scheme and the authority of a URL. What stands behind these rewrites paths, of which one
/// is nginx's own affair.
fn parts(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    // The path as it came, without a slash of its own.
    let authority = ["$request_uri", "$uri"]
        .iter()
        .find_map(|path| authority.strip_suffix(path))
        .unwrap_or(authority);
    let port_after = match authority.rfind(']') {
        Some(end) => authority.get(end + 1..)?,
        None => authority,
    };
    let good_port = match port_after.rsplit_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    };
    let good_name = !authority.is_empty()
        && authority
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte));
    let known = matches!(scheme, "http" | "https");
    (known && good_port && good_name && !authority.starts_with(':')).then_some((scheme, authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_with_a_name_and_a_port() {
        for (target, want) in [
            ("http://web:9000", Some(("http", "web:9000"))),
            ("https://web", Some(("https", "web"))),
            ("http://web:9000/other/", Some(("http", "web:9000"))),
            ("http://web:9000$request_uri", Some(("http", "web:9000"))),
            ("http://[::1]:9000", Some(("http", "[::1]:9000"))),
            ("http://[::1]", Some(("http", "[::1]"))),
            ("http://http://web:9000", None),
            ("http://$web:9000", None),
            ("http://web$tail:9000", None),
            ("http://web:0", None),
            ("http://web:port", None),
            ("http://unix:/run/web", None),
            ("http://:9000", None),
            ("http://", None),
            ("ftp://web", None),
            ("web:9000", None),
            ("", None),
        ] {
            assert_eq!(parts(target), want, "{target}");
        }
    }
}

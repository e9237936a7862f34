//! Where nginx passes requests on to: its `upstream` blocks, and `proxy_pass` by them.

use super::grammar::Directive;
use super::sheet::Sheet;

/// The `upstream` blocks, by name, and what `set` says.
pub(super) struct Upstreams<'d> {
    blocks: Vec<&'d Directive>,
    variables: Vec<&'d Directive>,
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
        let mut found = Self {
            blocks: Vec::new(),
            variables: Vec::new(),
        };
        found.gather(directives);
        found
    }

    fn gather(&mut self, directives: &'d [Directive]) {
        for directive in directives {
            match directive.name.as_str() {
                "upstream" => self.blocks.push(directive),
                "set" => self.variables.push(directive),
                _ => self.gather(directive.inside()),
            }
        }
    }

    /// The URLs that a `proxy_pass` leads to.
    pub(super) fn urls(&self, sheet: &mut Sheet, pass: &Directive) -> Vec<String> {
        let mut target = pass.argument(0).to_owned();
        for variable in &self.variables {
            let name = variable.argument(0).trim_start_matches('$');
            for written in [format!("${{{name}}}"), format!("${name}")] {
                target = target.replace(&written, variable.argument(1));
            }
        }
        let Some((scheme, rest)) = target.split_once("://") else {
            sheet.leaves(&pass.place, format!("proxy_pass {target}"), "it is no URL");
            return Vec::new();
        };
        // What stands behind the host rewrites paths, of which one is nginx's own affair.
        let authority = rest.split(['/', '$', '?']).next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with("unix:") {
            let why = "an upstream is a name or an address, with a port";
            sheet.leaves(&pass.place, format!("proxy_pass {}", pass.argument(0)), why);
            return Vec::new();
        }
        let block = self
            .blocks
            .iter()
            .find(|block| block.argument(0) == authority);
        let Some(block) = block else {
            return vec![format!("{scheme}://{authority}")];
        };
        let mut urls = Vec::new();
        for server in block.inside().iter().filter(|one| one.name == "server") {
            let address = server.argument(0);
            let spare = server
                .arguments
                .iter()
                .any(|one| one == "backup" || one == "down");
            if spare || address.starts_with("unix:") {
                let why = "all servers of an upstream are used in turn: there are no spares, and no sockets of files";
                sheet.leaves(&server.place, format!("server {address}"), why);
                continue;
            }
            let port = if address.contains(':') { "" } else { ":80" };
            urls.push(format!("{scheme}://{address}{port}"));
        }
        urls
    }
}

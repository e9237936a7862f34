//! Owns the paths that take envelopes on a site's own name.

use serde_json::Value as Json;

use super::{Kind, Shown, Variable, at_most, each, refuse, refuse_repeats, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;

/// A list of absolute paths.
pub(in crate::config) struct TunnelPaths;

/// Each request's path is compared with every one.
const PATHS_MAX: usize = 100;

impl Kind for TunnelPaths {
    type Value = Vec<String>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        at_most(node, faults, PATHS_MAX, "paths")?;
        let paths = each(node, faults, "write a list such as [/t]", path)?;
        refuse_repeats(node, &paths, faults, "path", |path| Some(path.clone()))?;
        Some(paths)
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, PATHS_MAX, shape::text("^/[^%?#]+$"))
    }
}

/// A path in the normalised form that requests are compared in. `/` alone is
/// none: every other path lies below it.
fn path(node: &Node, faults: &mut Faults) -> Option<String> {
    const ACCEPTED: &str = "write it as /t or /t/, as it reads decoded";
    let text = scalar(node, faults, ACCEPTED)?;
    let inner = text.strip_prefix('/');
    let inner = inner.map(|inner| inner.strip_suffix('/').unwrap_or(inner));
    let part = |part: &str| !matches!(part, "" | "." | "..");
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"%?#\\".contains(&byte));
    match inner.filter(|inner| inner.split('/').all(part) && plain) {
        // A tunnel there would hide events and the API from Sentry.
        Some(inner) if inner == "api" || inner.starts_with("api/") => {
            refuse(node, faults, "Sentry's own path", ACCEPTED)
        }
        Some(_) => Some(text.to_owned()),
        None => refuse(node, faults, "not a path", ACCEPTED),
    }
}

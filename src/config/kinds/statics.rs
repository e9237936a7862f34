//! Owns the folders served from disk, and prefixes of paths like theirs.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{Fields, Kind, Shown, Variable, at_most, each, flag, refuse, refuse_repeats, scalar};
use crate::config::checked::StaticRoot;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};

const KNOWN: [&str; 3] = ["path", "root", "cors"];

/// A list of `{path, root, cors}`.
pub(in crate::config) struct Statics;

impl Kind for Statics {
    type Value = Vec<StaticRoot>;
    const VARIABLE: Variable = Variable::Never;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str =
            "write a list such as [{path: /js-sdk/, root: /var/www/js-sdk, cors: true}]";
        let roots = each(node, faults, ACCEPTED, |node, faults| match &node.content {
            Content::Map(_) => root(node, faults),
            Content::Reported => None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => refuse(
                node,
                faults,
                "no path and root",
                "write {path: /files/, root: /folder}",
            ),
        })?;
        refuse_repeats(node, &roots, faults, "path", |root| Some(root.path.clone()))?;
        Some(roots)
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let shown = value.iter().map(|StaticRoot { path, root, cors }| {
            Shown::Map(vec![
                ("path", Shown::Text(path.clone())),
                ("root", Shown::Text(root.display().to_string())),
                ("cors", Shown::Flag(*cors)),
            ])
        });
        Shown::List(shown.collect())
    }

    fn shape(&self) -> Json {
        let root = shape::fields(&KNOWN, &["path", "root"], |key| match key {
            "path" => (
                "The path's prefix, with a slash at both ends.",
                shape::text("^/.*/$"),
            ),
            "root" => ("The folder that holds the files.", shape::text("^.+$")),
            "cors" => (
                "Lets any origin read them, as a browser SDK must be. Default false.",
                shape::flag(),
            ),
            _ => ("", Json::Bool(false)),
        });
        shape::list(0, usize::MAX, root)
    }
}

/// A list of prefixes of paths.
pub(in crate::config) struct PathPrefixes;

/// Each request to web is compared with every one.
const PREFIXES_MAX: usize = 100;

impl Kind for PathPrefixes {
    type Value = Vec<String>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        at_most(node, faults, PREFIXES_MAX, "paths")?;
        let paths = each(
            node,
            faults,
            "write a list such as [/js-sdk-loader/]",
            prefix,
        )?;
        refuse_repeats(node, &paths, faults, "path", |path| Some(path.clone()))?;
        Some(paths)
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, PREFIXES_MAX, shape::text("^/[^%?#]+/$"))
    }
}

fn root(node: &Node, faults: &mut Faults) -> Option<StaticRoot> {
    let fields = Fields::of(node, faults, &KNOWN, &[])?;
    let path = fields
        .required("path", faults)
        .and_then(|node| prefix(node, faults));
    let root = fields
        .required("root", faults)
        .and_then(|node| folder(node, faults));
    let cors = match fields.optional("cors") {
        Some(node) => flag(node, faults),
        None => Some(false),
    };
    Some(StaticRoot {
        path: path?,
        root: root?,
        cors: cors?,
    })
}

/// A prefix in the normalised form that requests are compared in.
fn prefix(node: &Node, faults: &mut Faults) -> Option<String> {
    const ACCEPTED: &str = "write it as /files/, with a slash at both ends, as it reads decoded";
    let text = scalar(node, faults, ACCEPTED)?;
    let inner = text
        .strip_prefix('/')
        .and_then(|text| text.strip_suffix('/'));
    let part = |part: &str| !matches!(part, "" | "." | "..");
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"%?#\\".contains(&byte));
    match inner.is_some_and(|inner| inner.split('/').all(part)) && plain {
        // A folder there would hide events and the API from Sentry.
        true if text.starts_with("/api/") => refuse(node, faults, "Sentry's own path", ACCEPTED),
        true => Some(text.to_owned()),
        false => refuse(node, faults, "not a path's prefix", ACCEPTED),
    }
}

fn folder(node: &Node, faults: &mut Faults) -> Option<PathBuf> {
    const ACCEPTED: &str = "write a folder such as /var/www/js-sdk";
    match scalar(node, faults, ACCEPTED)? {
        text if text.is_empty() || text.contains('\0') => {
            refuse(node, faults, "not a folder", ACCEPTED)
        }
        text => Some(PathBuf::from(text)),
    }
}

//! Owns other Sentrys that get copies.

use std::time::Duration;

use serde_json::Value as Json;

use super::address::label;
use super::projects::{number, number_shape};
use super::{
    Fields, Kind, Moves, Share, Shown, Urls, Variable, Word, at_most, each, map, refuse,
    refuse_repeats,
};
use crate::config::bounds::{KEPT, SPOOL};
use crate::config::checked::{Mirror, MirrorHost, MirrorSpool};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::dsn_map::{DsnMap, MIRRORS_MAX};
use crate::domain::endpoint::ProjectId;
use crate::domain::sampling::Rate;

/// Each request's project is looked for among them.
const PROJECTS_MAX: usize = 100_000;

const KNOWN: [&str; 7] = [
    "name", "ingest", "host", "share", "projects", "dsn_map", "spool",
];

const KNOWN_SPOOL: [&str; 2] = ["max_bytes", "max_age"];

const HOST: Word<MirrorHost> = Word::of(MirrorHost::WORDS);

const DEFAULT_SPOOL: MirrorSpool = MirrorSpool {
    max_bytes: 1 << 30,
    max_age: Duration::from_secs(86_400),
};

/// A list of `{name, ingest, host, share, projects, dsn_map, spool: {max_bytes, max_age}}`.
pub(in crate::config) struct Mirrors;

impl Kind for Mirrors {
    type Value = Vec<Mirror>;
    const VARIABLE: Variable = Variable::Never;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<Mirror>> {
        const ACCEPTED: &str =
            "write a list such as [{name: next, ingest: [\"http://next:3000\"]}]";
        at_most(node, faults, MIRRORS_MAX, "mirrors")?;
        let mirrors = each(node, faults, ACCEPTED, |node, faults| match &node.content {
            Content::Map(_) => mirror(node, faults),
            Content::Reported => None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => refuse(
                node,
                faults,
                "no name",
                "write {name: next, ingest: [\"http://next:3000\"]}",
            ),
        })?;
        refuse_repeats(node, &mirrors, faults, "name", |one| Some(one.name.clone()))?;
        Some(mirrors)
    }

    fn show(&self, value: &Vec<Mirror>) -> Shown {
        Shown::List(value.iter().map(show).collect())
    }

    fn shape(&self) -> Json {
        let mirror = shape::fields(&KNOWN, &["name", "ingest"], field);
        shape::list(0, MIRRORS_MAX, mirror)
    }
}

fn field(key: &str) -> (&'static str, Json) {
    match key {
        "name" => (
            "A label of the metrics, as mirror-NAME, and the folder of its spool. A new one counts \
             at the next start.",
            shape::text_or_digits("^[a-z0-9_-]{1,32}$"),
        ),
        "ingest" => ("Its servers.", Urls.shape()),
        "host" => ("What it sees as Host. Default target.", HOST.shape()),
        "share" => (
            "The share that it gets, by the trace's id. Default all.",
            Share.shape(),
        ),
        "projects" => (
            "The projects that it gets. Default all.",
            shape::list(0, PROJECTS_MAX, number_shape()),
        ),
        "dsn_map" => (
            "Where DSNs of the first lead in this one.",
            Moves::OF_MIRROR.shape(),
        ),
        "spool" => (
            "What is kept for it while it is away.",
            shape::fields(&KNOWN_SPOOL, &[], |key| match key {
                "max_bytes" => ("Default 1GiB.", SPOOL.shape()),
                "max_age" => ("Default a day.", KEPT.shape()),
                _ => ("", Json::Bool(false)),
            }),
        ),
        _ => ("", Json::Bool(false)),
    }
}

fn mirror(node: &Node, faults: &mut Faults) -> Option<Mirror> {
    let fields = Fields::of(node, faults, &KNOWN, &[])?;
    let name = fields.required("name", faults);
    let name = name.and_then(|node| label(node, faults));
    let ingest = fields.required("ingest", faults);
    let ingest = ingest.and_then(|node| Urls.read(node, faults));
    let host = match fields.optional("host") {
        Some(node) => HOST.read(node, faults),
        None => Some(MirrorHost::Target),
    };
    let share = match fields.optional("share") {
        Some(node) => Share.read(node, faults),
        None => Some(Rate::ALL),
    };
    let projects = match fields.optional("projects") {
        Some(node) => projects(node, faults),
        None => Some(Vec::new()),
    };
    let dsn_map = match fields.optional("dsn_map") {
        Some(node) => Moves::OF_MIRROR.read(node, faults),
        None => Some(DsnMap::default()),
    };
    let spool = match fields.optional("spool") {
        Some(node) => spool(node, faults),
        None => Some(DEFAULT_SPOOL),
    };
    Some(Mirror {
        name: name?,
        ingest: ingest?,
        host: host?,
        share: share?,
        projects: projects?,
        dsn_map: dsn_map?,
        spool: spool?,
    })
}

fn projects(node: &Node, faults: &mut Faults) -> Option<Vec<ProjectId>> {
    at_most(node, faults, PROJECTS_MAX, "projects")?;
    let mut projects = each(node, faults, "write a list such as [42]", number)?;
    refuse_repeats(node, &projects, faults, "project", |project| Some(*project))?;
    projects.sort_unstable();
    Some(projects)
}

fn spool(node: &Node, faults: &mut Faults) -> Option<MirrorSpool> {
    let Content::Map(_) = &node.content else {
        return match node.content == Content::Reported {
            true => None,
            false => refuse(
                node,
                faults,
                "no keys",
                "write {max_bytes: 1GiB, max_age: 24h}",
            ),
        };
    };
    let fields = Fields::of(node, faults, &KNOWN_SPOOL, &[])?;
    let max_bytes = match fields.optional("max_bytes") {
        Some(node) => SPOOL.read(node, faults),
        None => Some(DEFAULT_SPOOL.max_bytes),
    };
    let max_age = match fields.optional("max_age") {
        Some(node) => KEPT.read(node, faults),
        None => Some(DEFAULT_SPOOL.max_age),
    };
    Some(MirrorSpool {
        max_bytes: max_bytes?,
        max_age: max_age?,
    })
}

fn show(mirror: &Mirror) -> Shown {
    let Mirror {
        name,
        ingest,
        host,
        share,
        projects,
        dsn_map,
        spool,
    } = mirror;
    let numbers = projects.iter().map(|project| Shown::Number(project.get()));
    let own = (!projects.is_empty()).then(|| Shown::List(numbers.collect()));
    map([
        ("name", Some(Shown::Text(name.clone()))),
        ("ingest", Some(Urls.show(ingest))),
        ("host", Some(HOST.show(host))),
        ("share", Some(Share.show(share))),
        ("projects", own),
        (
            "dsn_map",
            (!dsn_map.is_empty()).then(|| Moves::OF_MIRROR.show(dsn_map)),
        ),
        (
            "spool",
            Some(map([
                ("max_bytes", Some(SPOOL.show(&spool.max_bytes))),
                ("max_age", Some(KEPT.show(&spool.max_age))),
            ])),
        ),
    ])
}

//! Owns where old DSNs lead.

use serde_json::Value as Json;

use super::address::label;
use super::projects::{digits, digits_shape, number, number_shape};
use super::{Fields, Kind, Shown, Variable, at_most, each, map, refuse, refuse_repeats};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::dsn_map::{DsnMap, Move};

/// More than any Sentry has keys in apps that somebody remembers; each takes a hundred bytes.
const MOVES_MAX: usize = 100_000;

const FROM: [&str; 3] = ["key", "project", "to"];

const TO: [&str; 3] = ["key", "project", "upstream"];

/// The same within another Sentry, which leads nobody further.
const TO_HERE: [&str; 2] = ["key", "project"];

const MOVE: &str = "write {key: OLD, project: 12, to: {key: NEW, project: 42}}";

/// A list of `{key, project, to: {key, project, upstream}}`.
pub(in crate::config) struct Moves {
    to: &'static [&'static str],
}

impl Moves {
    /// Where the first Sentry's lead.
    pub(in crate::config) const OF_FIRST: Self = Self { to: &TO };

    /// Where they lead in another one.
    pub(in crate::config) const OF_MIRROR: Self = Self { to: &TO_HERE };
}

impl Kind for Moves {
    type Value = DsnMap;
    const VARIABLE: Variable = Variable::Never;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<DsnMap> {
        const ACCEPTED: &str =
            "write a list such as [{key: OLD, project: 12, to: {key: NEW, project: 42}}]";
        at_most(node, faults, MOVES_MAX, "DSNs")?;
        let moves = each(node, faults, ACCEPTED, |node, faults| {
            one(node, faults, self.to)
        })?;
        // Sentry gives no key to two projects.
        refuse_repeats(node, &moves, faults, "key", |one| Some(one.key))?;
        let map = DsnMap::new(moves);
        refuse_chains(node, &map, faults)?;
        Some(map)
    }

    fn show(&self, value: &DsnMap) -> Shown {
        Shown::List(value.moves().iter().map(show).collect())
    }

    fn shape(&self) -> Json {
        let to = || {
            shape::fields(self.to, &TO_HERE, |key| match key {
                "key" => ("The new key.", digits_shape()),
                "project" => ("The new project.", number_shape()),
                "upstream" => (
                    "The mirror whose Sentry has it, by its name. Default: the same Sentry.",
                    shape::text_or_digits("^[a-z0-9_-]{1,32}$"),
                ),
                _ => ("", Json::Bool(false)),
            })
        };
        let one = shape::fields(&FROM, &["key", "to"], |key| match key {
            "key" => ("The old key.", digits_shape()),
            "project" => (
                "The old project. Default: whichever the key is used for.",
                number_shape(),
            ),
            "to" => ("Where it leads.", to()),
            _ => ("", Json::Bool(false)),
        });
        shape::list(0, MOVES_MAX, one)
    }
}

fn one(node: &Node, faults: &mut Faults, known: &[&'static str]) -> Option<Move> {
    let Content::Map(_) = &node.content else {
        return match node.content == Content::Reported {
            true => None,
            false => refuse(node, faults, "no key", MOVE),
        };
    };
    let fields = Fields::of(node, faults, &FROM, &[])?;
    let key = fields.required("key", faults);
    let key = key.and_then(|node| digits(node, faults));
    let project = match fields.optional("project") {
        Some(node) => number(node, faults).map(Some),
        None => Some(None),
    };
    let to = fields.required("to", faults);
    let to = to.and_then(|node| match &node.content {
        Content::Map(_) => Fields::of(node, faults, known, &[]),
        Content::Reported => None,
        Content::Empty | Content::Scalar(_) | Content::List(_) => {
            refuse(node, faults, "no key and project", MOVE)
        }
    });
    let to = to.and_then(|to| {
        let key = to.required("key", faults);
        let key = key.and_then(|node| digits(node, faults));
        let project = to.required("project", faults);
        let project = project.and_then(|node| number(node, faults));
        let upstream = match to.optional("upstream") {
            Some(node) => label(node, faults).map(|name| Some(name.into_boxed_str())),
            None => Some(None),
        };
        Some((key?, project?, upstream?))
    });
    let (key, project, (to_key, to_project, to_upstream)) = (key?, project?, to?);
    if key == to_key && project == Some(to_project) && to_upstream.is_none() {
        return refuse(node, faults, "the same DSN twice", "leave it out");
    }
    Some(Move {
        key,
        project,
        to_key,
        to_project,
        to_upstream,
    })
}

/// Each leads one step: who writes two of them means the second. What leads to another Sentry
/// has no second here.
fn refuse_chains(node: &Node, map: &DsnMap, faults: &mut Faults) -> Option<()> {
    let moves = map.moves().iter().enumerate();
    let chained = moves.filter(|(_, one)| !one.leads_away());
    let chained = chained.filter_map(|(at, one)| {
        let (next, _) = map.find(&one.to_key, Some(one.to_project))?;
        (next != at).then_some((at, next))
    });
    let (path, mut sound) = (&node.path, Some(()));
    for (at, next) in chained {
        let place = match &node.content {
            Content::List(nodes) => nodes.get(at).map_or(&node.place, |node| &node.place),
            Content::Empty | Content::Reported | Content::Scalar(_) | Content::Map(_) => {
                &node.place
            }
        };
        let message = format!(
            "{path}[{at}] leads to a DSN that {path}[{next}] moves on; write where that leads"
        );
        faults.error(place, message);
        sound = None;
    }
    sound
}

fn show(one: &Move) -> Shown {
    let key = |key: &crate::domain::credentials::Key| Shown::Text(key.as_str().to_owned());
    let to = map([
        ("key", Some(key(&one.to_key))),
        ("project", Some(Shown::Number(one.to_project.get()))),
        (
            "upstream",
            one.to_upstream
                .as_deref()
                .map(|name| Shown::Text(name.to_owned())),
        ),
    ]);
    map([
        ("key", Some(key(&one.key))),
        ("project", one.project.map(|id| Shown::Number(id.get()))),
        ("to", Some(to)),
    ])
}

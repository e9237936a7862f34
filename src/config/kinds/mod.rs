//! Owns the ways a value can be written: each kind reads a node and shows what
//! it read, so that the two cannot differ. Knows no key by name: `keys` says
//! which kind stands where.

mod acme;
mod address;
mod canary;
pub(super) mod categories;
mod disks;
mod door;
mod filters;
mod header;
mod mirrors;
mod moves;
mod number;
mod origins;
mod patterns;
mod pool;
mod projects;
mod proxies;
mod quotas;
mod repeats;
mod sample;
mod slips;
mod statics;
mod text;
mod tls;
mod tunnel;
mod webhook;

use std::collections::HashMap;
use std::hash::Hash;

pub(super) use acme::{Authority, CHALLENGE_PATH};
pub(super) use address::{Address, Listeners, OneUrl, Urls};
pub(super) use canary::{SentryDsn, Slug};
pub(super) use disks::{Budget, GuardedPaths, Portion};
pub(super) use filters::InboundFilters;
pub(super) use header::{HeaderNames, OneHeader};
pub(super) use mirrors::Mirrors;
pub(super) use moves::Moves;
pub(super) use number::{Count, PerTime, Size, SizeOrOff, Span, Workers};
pub(super) use origins::Origins;
pub(super) use pool::{PoolName, PoolUrls, PoolWord};
pub(super) use projects::Projects;
pub(super) use proxies::{Networks, Proxies};
pub(super) use quotas::Quotas;
pub(super) use repeats::Repeats;
pub(super) use sample::{Samples, Share};
pub(super) use statics::{PathPrefixes, Statics};
pub(super) use text::{Hosts, OptionalPath, PathOrOff, StdoutOrPath, Token, UserName, Word, token};
pub(super) use tls::PemFile;
pub(super) use tunnel::TunnelPaths;
pub(super) use webhook::{WebhookAddress, webhook};

use serde_json::Value as Json;

use super::errors::Faults;
use super::shape;
use super::tree::{Content, Entry, Node};

/// A way to write a value.
pub(super) trait Kind {
    /// What it becomes.
    type Value;

    /// How an environment variable holds it.
    const VARIABLE: Variable = Variable::One;

    /// Reads a node that is not empty. `None`: the fault has been named.
    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value>;

    /// Shows a value so that [`Kind::read`] reads the same.
    fn show(&self, value: &Self::Value) -> Shown;

    /// The JSON Schema of what [`Kind::read`] takes, as far as one can say.
    fn shape(&self) -> Json;
}

/// How an environment variable holds a kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Variable {
    /// As one scalar.
    One,
    /// As scalars with commas between.
    List,
    /// Not at all: its elements have keys of their own.
    Never,
    /// Each of its keys has one of its own.
    Keys {
        /// As one scalar, instead of its keys.
        whole: bool,
        /// What they are called, and how each is held.
        each: fn() -> Vec<(&'static str, Variable)>,
    },
}

/// A value as it is shown, in YAML or JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Not set, without a default.
    Absent,
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Shown>),
    Map(Vec<(&'static str, Shown)>),
}

/// What is set, in this order.
fn map<const N: usize>(fields: [(&'static str, Option<Shown>); N]) -> Shown {
    let set = fields
        .into_iter()
        .filter_map(|(key, shown)| Some((key, shown?)));
    Shown::Map(set.collect())
}

/// A key that is true or false.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<bool> {
        flag(node, faults)
    }

    fn show(&self, value: &bool) -> Shown {
        Shown::Flag(*value)
    }

    fn shape(&self) -> Json {
        shape::flag()
    }
}

/// A boolean, wherever one stands.
pub(super) fn flag(node: &Node, faults: &mut Faults) -> Option<bool> {
    const ACCEPTED: &str = "write true or false";
    match scalar(node, faults, ACCEPTED)? {
        "true" => Some(true),
        "false" => Some(false),
        _ => refuse(node, faults, "not true or false", ACCEPTED),
    }
}

/// The text of a scalar; anything else is a fault that says what is accepted.
fn scalar<'n>(node: &'n Node, faults: &mut Faults, accepted: &str) -> Option<&'n str> {
    let wrong = match &node.content {
        Content::Scalar(text) => return Some(text),
        Content::Reported => return None,
        Content::Empty => "nothing",
        Content::List(_) => "a list",
        Content::Map(_) => "keys",
    };
    refuse(node, faults, wrong, accepted)
}

/// Each element of a list; every bad one is named, and one is enough for `None`.
fn each<'n, T>(
    node: &'n Node,
    faults: &mut Faults,
    accepted: &str,
    mut read: impl FnMut(&'n Node, &mut Faults) -> Option<T>,
) -> Option<Vec<T>> {
    let wrong = match &node.content {
        Content::List(nodes) => {
            let read: Vec<Option<T>> = nodes.iter().map(|node| read(node, faults)).collect();
            return read.into_iter().collect();
        }
        Content::Reported => return None,
        Content::Empty => "nothing",
        Content::Scalar(_) => "no list",
        Content::Map(_) => "keys",
    };
    refuse(node, faults, wrong, accepted)
}

/// Refuses a list that is longer, before any element is read.
fn at_most(node: &Node, faults: &mut Faults, max: usize, what: &str) -> Option<()> {
    match &node.content {
        Content::List(nodes) if nodes.len() > max => {
            refuse(node, faults, &format!("more than {max} {what}"), FEWER)
        }
        Content::List(_)
        | Content::Reported
        | Content::Empty
        | Content::Scalar(_)
        | Content::Map(_) => Some(()),
    }
}

/// What to do about an element that repeats another.
const ITS_OWN: &str = "each must be its own";

/// What to do about a list that is too long.
const FEWER: &str = "leave some out";

/// The keys of an element that has some: unknown ones are named, and those of
/// later versions.
struct Fields<'n> {
    node: &'n Node,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// `None` unless the node has keys, all of them known.
    fn of(
        node: &'n Node,
        faults: &mut Faults,
        known: &[&'static str],
        later: &[&'static str],
    ) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            return None;
        };
        let before = faults.errors.len();
        for Entry { key, place, .. } in entries {
            match key.as_str() {
                key if known.contains(&key) => {}
                key if later.contains(&key) => faults.later(place, key),
                key => {
                    let all = known.iter().chain(later).copied();
                    faults.unknown_key(place, key, &node.path, all);
                }
            }
        }
        (faults.errors.len() == before).then_some(Self { node, entries })
    }

    fn optional(&self, key: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (entry.value.content != Content::Empty).then_some(&entry.value)
    }

    fn required(&self, key: &str, faults: &mut Faults) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            let Node { place, path, .. } = self.node;
            faults.error(place, format!("no \"{key}\" in {path}; it must be there"));
        }
        found
    }
}

fn refuse<T>(node: &Node, faults: &mut Faults, wrong: &str, accepted: &str) -> Option<T> {
    faults.value(node, wrong, accepted);
    None
}

/// Names an element that repeats an earlier one; `same` tells what must differ.
fn refuse_repeats<T, K: Hash + Eq>(
    node: &Node,
    values: &[T],
    faults: &mut Faults,
    what: &str,
    same: impl Fn(&T) -> Option<K>,
) -> Option<()> {
    refuse_repeats_of(node, values, faults, (what, ITS_OWN), same)
}

/// The same, and says how to mend it.
fn refuse_repeats_of<T, K: Hash + Eq>(
    node: &Node,
    values: &[T],
    faults: &mut Faults,
    (what, mend): (&str, &str),
    same: impl Fn(&T) -> Option<K>,
) -> Option<()> {
    let mut seen = HashMap::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let Some(key) = same(value) else { continue };
        let Some(earlier) = seen.insert(key, at) else {
            continue;
        };
        let place = match &node.content {
            Content::List(nodes) => nodes.get(at).map_or(&node.place, |node| &node.place),
            Content::Empty | Content::Reported | Content::Scalar(_) | Content::Map(_) => {
                &node.place
            }
        };
        let path = &node.path;
        let message = format!("the same {what} in {path}[{earlier}] and {path}[{at}]; {mend}");
        faults.error(place, message);
        return None;
    }
    Some(())
}

fn repeat(what: &str, earlier: &str, path: &str) -> String {
    format!("the same {what} in {earlier} and {path}; {ITS_OWN}")
}

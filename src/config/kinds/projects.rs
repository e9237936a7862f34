//! Owns the projects that the operator lists, with their keys.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{
    Budget, FEWER, Fields, InboundFilters, Kind, Origins, Quotas, Repeats, Samples, Shown,
    Variable, at_most, each, flag, map, refuse, refuse_repeats, repeat, scalar,
};
use crate::config::checked::{Project, ProjectKey};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// A list of `{id, name, keys, allowed_origins, quotas, budget, sample, filters, repeats}`.
pub(in crate::config) struct Projects {
    pub(in crate::config) max: usize,
    /// Of all projects together.
    pub(in crate::config) keys_max: usize,
}

const PROJECT: [&str; 9] = [
    "id",
    "name",
    "keys",
    "allowed_origins",
    "quotas",
    "budget",
    "sample",
    "filters",
    "repeats",
];

const KEY: [&str; 4] = ["key", "name", "enabled", "quotas"];

/// Where each key was first seen.
type Seen<'n> = HashMap<Key, &'n str>;

impl Kind for Projects {
    type Value = Vec<Project>;
    const VARIABLE: Variable = Variable::Never;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<Project>> {
        const ACCEPTED: &str =
            "write a list such as [{id: 42, keys: [a94ae32be2584e0bbd7a4cbb95971fee]}]";
        at_most(node, faults, self.max, "projects")?;
        let mut seen = Seen::new();
        let projects = each(node, faults, ACCEPTED, |node, faults| match &node.content {
            Content::Map(_) => project(node, faults, &mut seen),
            Content::Reported => None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => {
                refuse(node, faults, "no id", "write {id: 42}")
            }
        })?;
        refuse_repeats(node, &projects, faults, "id", |project| Some(project.id))?;
        match seen.len() > self.keys_max {
            true => refuse(
                node,
                faults,
                &format!("more than {} keys", self.keys_max),
                FEWER,
            ),
            false => Some(projects),
        }
    }

    fn show(&self, value: &Vec<Project>) -> Shown {
        Shown::List(value.iter().map(show_project).collect())
    }

    fn shape(&self) -> Json {
        let project = shape::fields(&PROJECT, &["id"], field);
        shape::list(0, self.max, project)
    }
}

fn project<'n>(node: &'n Node, faults: &mut Faults, seen: &mut Seen<'n>) -> Option<Project> {
    const KEYS: &str = "write a list such as [a94ae32be2584e0bbd7a4cbb95971fee]";
    let fields = Fields::of(node, faults, &PROJECT, &[])?;
    let id = fields
        .required("id", faults)
        .and_then(|node| number(node, faults));
    let name = match fields.optional("name") {
        Some(node) => name(node, faults),
        None => Some(None),
    };
    let keys = match fields.optional("keys") {
        Some(node) => each(node, faults, KEYS, |node, faults| key(node, faults, seen)),
        None => Some(Vec::new()),
    };
    let allowed_origins = match fields.optional("allowed_origins") {
        Some(node) => Origins.read(node, faults).map(Some),
        None => Some(None),
    };
    let quotas = match fields.optional("quotas") {
        Some(node) => Quotas::OfProject.read(node, faults).map(Some),
        None => Some(None),
    };
    let budget = match fields.optional("budget") {
        Some(node) => Budget.read(node, faults).map(Some),
        None => Some(None),
    };
    let sample = match fields.optional("sample") {
        Some(node) => Samples.read(node, faults).map(Some),
        None => Some(None),
    };
    let filters = match fields.optional("filters") {
        Some(node) => InboundFilters.read(node, faults).map(Some),
        None => Some(None),
    };
    let repeats = match fields.optional("repeats") {
        Some(node) => Repeats.read(node, faults).map(Some),
        None => Some(None),
    };
    Some(Project {
        id: id?,
        name: name?,
        keys: keys?,
        allowed_origins: allowed_origins?,
        quotas: quotas?,
        budget: budget?,
        sample: sample?,
        filters: filters?,
        repeats: repeats?,
    })
}

fn field(key: &str) -> (&'static str, Json) {
    match key {
        "id" => ("The number at the end of a DSN.", number_shape()),
        "name" => ("For people.", shape::any_text()),
        "keys" => (
            "The keys that may send to it: what stands before the @ of a DSN.",
            shape::list(
                0,
                usize::MAX,
                shape::either([digits_shape(), shape::fields(&KEY, &["key"], key_field)]),
            ),
        ),
        "allowed_origins" => ("In place of the default.", Origins.shape()),
        "quotas" => (
            "In place of the defaults, all of them; [] is none.",
            Quotas::OfProject.shape(),
        ),
        "budget" => ("In place of the default; off is none.", Budget.shape()),
        "sample" => ("In place of the default, all of it.", Samples.shape()),
        "filters" => (
            "In place of the defaults, all of them.",
            InboundFilters.shape(),
        ),
        "repeats" => ("In place of the default; off is none.", Repeats.shape()),
        _ => ("", Json::Bool(false)),
    }
}

fn key_field(key: &str) -> (&'static str, Json) {
    match key {
        "key" => ("What stands before the @ of a DSN.", digits_shape()),
        "name" => ("For people.", shape::any_text()),
        "enabled" => ("false refuses what carries it.", shape::flag()),
        "quotas" => ("Beside the project's.", Quotas::OfKey.shape()),
        _ => ("", Json::Bool(false)),
    }
}

/// The shape of what [`number`] reads.
pub(super) fn number_shape() -> Json {
    shape::whole(1, u64::MAX, "^[0-9]+$")
}

pub(super) fn number(node: &Node, faults: &mut Faults) -> Option<ProjectId> {
    const ACCEPTED: &str = "write it as 42, as it stands at the end of a DSN";
    let text = scalar(node, faults, ACCEPTED)?;
    match ProjectId::parse(text.as_bytes()) {
        Some(id) => Some(id),
        None => refuse(node, faults, "not a project's number", ACCEPTED),
    }
}

/// A key alone, or with what is said of it.
fn key<'n>(node: &'n Node, faults: &mut Faults, seen: &mut Seen<'n>) -> Option<ProjectKey> {
    let found = match &node.content {
        Content::Map(_) => {
            let fields = Fields::of(node, faults, &KEY, &[])?;
            let key = fields
                .required("key", faults)
                .and_then(|node| digits(node, faults));
            let name = match fields.optional("name") {
                Some(node) => name(node, faults),
                None => Some(None),
            };
            let enabled = match fields.optional("enabled") {
                Some(node) => flag(node, faults),
                None => Some(true),
            };
            let quotas = match fields.optional("quotas") {
                Some(node) => Quotas::OfKey.read(node, faults),
                None => Some(Vec::new()),
            };
            ProjectKey {
                key: key?,
                name: name?,
                enabled: enabled?,
                quotas: quotas?,
            }
        }
        Content::Empty | Content::Reported | Content::Scalar(_) | Content::List(_) => ProjectKey {
            key: digits(node, faults)?,
            name: None,
            enabled: true,
            quotas: Vec::new(),
        },
    };
    match seen.insert(found.key, &node.path) {
        // Two owners of one key would each be right about whom it lets in.
        Some(earlier) => {
            faults.error(&node.place, repeat("key", earlier, &node.path));
            None
        }
        None => Some(found),
    }
}

/// A public key.
const DIGITS: &str = "^[0-9a-f]{32}$";

/// The shape of what [`digits`] reads.
pub(super) fn digits_shape() -> Json {
    shape::text_or_digits(DIGITS)
}

pub(super) fn digits(node: &Node, faults: &mut Faults) -> Option<Key> {
    const ACCEPTED: &str = "write the 32 digits of 0-9 and a-f that stand before the @ of a DSN";
    let text = scalar(node, faults, ACCEPTED)?;
    match Key::parse(text.as_bytes()) {
        Some(key) => Some(key),
        None => refuse(node, faults, "not a key", ACCEPTED),
    }
}

/// A name for people, or nothing, written empty.
fn name(node: &Node, faults: &mut Faults) -> Option<Option<String>> {
    const CHARACTERS_MAX: usize = 200;
    const ACCEPTED: &str = "write up to 200 characters in one line";
    let text = scalar(node, faults, ACCEPTED)?;
    if text.chars().count() > CHARACTERS_MAX {
        return refuse(node, faults, "too long a name", ACCEPTED);
    }
    match text.contains(char::is_control) {
        true => refuse(node, faults, "a control character", ACCEPTED),
        false => Some((!text.is_empty()).then(|| text.to_owned())),
    }
}

fn show_project(project: &Project) -> Shown {
    let Project {
        id,
        name,
        keys,
        allowed_origins,
        quotas,
        budget,
        sample,
        filters,
        repeats,
    } = project;
    let name = name.as_ref().map(|name| Shown::Text(name.clone()));
    let keys = (!keys.is_empty()).then(|| Shown::List(keys.iter().map(show_key).collect()));
    let origins = allowed_origins.as_ref().map(|own| Origins.show(own));
    let quotas = quotas.as_ref().map(|own| Quotas::OfProject.show(own));
    map([
        ("id", Some(Shown::Number(id.get()))),
        ("name", name),
        ("keys", keys),
        ("allowed_origins", origins),
        ("quotas", quotas),
        ("budget", budget.as_ref().map(|own| Budget.show(own))),
        ("sample", sample.as_ref().map(|own| Samples.show(own))),
        (
            "filters",
            filters.as_ref().map(|own| InboundFilters.show(own)),
        ),
        ("repeats", repeats.as_ref().map(|own| Repeats.show(own))),
    ])
}

fn show_key(key: &ProjectKey) -> Shown {
    let ProjectKey {
        key,
        name,
        enabled,
        quotas,
    } = key;
    let key = Shown::Text(key.as_str().to_owned());
    if name.is_none() && *enabled && quotas.is_empty() {
        return key;
    }
    let own = (!quotas.is_empty()).then(|| Quotas::OfKey.show(quotas));
    map([
        ("key", Some(key)),
        ("name", name.clone().map(Shown::Text)),
        ("enabled", (!enabled).then_some(Shown::Flag(false))),
        ("quotas", own),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;
    use crate::config::tree;

    /// With two projects and three keys at most.
    #[track_caller]
    fn check(text: &str, wrong: &str) {
        let limits = Projects {
            max: 2,
            keys_max: 3,
        };
        let mut faults = Faults::default();
        let text = text.replace("KEY", "a94ae32be2584e0bbd7a4cbb95971fe");
        let node = tree::read("v.yml", &text, &Env::empty(), &mut faults).unwrap();
        let read = limits.read(&node, &mut faults);
        let errors: Vec<String> = faults.errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.join("\n"), wrong, "{text}");
        assert_eq!(read.is_some(), wrong.is_empty(), "{text}");
    }

    #[test]
    fn projects_and_keys_have_a_limit_of_their_own() {
        check("[{id: 1, keys: [KEY1, KEY2]}, {id: 2, keys: [KEY3]}]", "");
        check(
            "[{id: 1, keys: [KEY1, KEY2]}, {id: 2, keys: [KEY3, KEY4]}]",
            "v.yml:1:1: error: more than 3 keys in ; leave some out",
        );
        check(
            "[{id: 1}, {id: 2}, {id: bad}]",
            "v.yml:1:1: error: more than 2 projects in ; leave some out",
        );
    }
}

//! Owns how much of a project is kept: shares by category, and rules before them.

use serde_json::Value as Json;

use super::categories::{self, Asked};
use super::patterns;
use super::{Fields, Kind, Shown, Variable, at_most, each, map, refuse, scalar};
use crate::config::errors::{Faults, Place};
use crate::config::keys::join;
use crate::config::shape;
use crate::config::tree::{Content, Entry, Node};
use crate::domain::category::{Categories, Category};
use crate::domain::envelope::item::ItemKind;
use crate::domain::sampling::{Rate, Rule, Sample};

/// `{transaction: 0.1, replay: 0.05, rules: [{categories, environment, release, rate}]}`.
pub(in crate::config) struct Samples;

/// Each item is compared with every one.
const RULES_MAX: usize = 50;

const RULES: &str = "rules";

const RULE: [&str; 4] = ["categories", "environment", "release", "rate"];

/// A switch counts in millionths too; less than one keeps nothing that anybody would find.
const SHARE_MIN: f64 = 0.000_001;

const SHARE: &str = "write a share from 0 to 1, or of a hundred, such as 0.1 or 10%";

impl Kind for Samples {
    type Value = Sample;
    const VARIABLE: Variable = Variable::Keys {
        whole: false,
        each: || {
            let shares = Asked::SAMPLED.names().map(|name| (name, Variable::One));
            shares.chain([(RULES, Variable::Never)]).collect()
        },
    };

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Sample> {
        const ACCEPTED: &str = "write shares such as {transaction: 0.1, replay: 5%}";
        let Content::Map(entries) = &node.content else {
            return match node.content == Content::Reported {
                true => None,
                false => refuse(node, faults, "no shares", ACCEPTED),
            };
        };
        let before = faults.errors.len();
        let mut sample = Sample::default();
        let mut named = Vec::new();
        for Entry { key, place, value } in entries {
            if key == RULES {
                sample.rules = rules(value, faults).unwrap_or_default();
                continue;
            }
            if Category::of_name(key).is_none() && Asked::SAMPLED.spared(key).is_none() {
                let meant = Asked::SAMPLED.meant(key, &[RULES]);
                faults.unknown_key_near(place, key, &node.path, meant);
                continue;
            }
            let name = Node {
                place: place.clone(),
                path: join(&node.path, key),
                content: Content::Empty,
            };
            let category = Asked::SAMPLED.named(&name, key, faults);
            let rate = share(value, faults);
            if let Some(category) = category {
                refuse_same(&named, (key, category), (place, &node.path), faults);
                named.push((key, category));
            }
            if let (Some(category), Some(rate)) = (category, rate) {
                sample.categories.push((Categories::of(&[category]), rate));
            }
        }
        (faults.errors.len() == before).then_some(sample)
    }

    fn show(&self, value: &Sample) -> Shown {
        let shares = value.categories.iter().flat_map(|(categories, rate)| {
            let names = categories.iter().map(Category::name);
            names.map(|name| (name, show_share(*rate)))
        });
        let rules = value.rules.iter().map(show_rule).collect();
        let rules = (!value.rules.is_empty()).then_some((RULES, Shown::List(rules)));
        Shown::Map(shares.chain(rules).collect())
    }

    fn shape(&self) -> Json {
        let rule = shape::fields(&RULE, &["rate"], |key| match key {
            "categories" => (
                "What it is about. Default, and []: all that may be sampled.",
                Asked::SAMPLED.shape_of_list(),
            ),
            "environment" => ("A pattern of the environment.", patterns::shape_of_one()),
            "release" => ("A pattern of the release.", patterns::shape_of_one()),
            "rate" => ("How much is kept.", Share.shape()),
            _ => ("", Json::Bool(false)),
        });
        let known: Vec<&str> = Asked::SAMPLED.names().chain([RULES]).collect();
        shape::fields(&known, &[], |key| match key {
            RULES => (
                "Go before the categories; the first that matches decides.",
                shape::list(0, RULES_MAX, rule.clone()),
            ),
            _ => ("How much of this category is kept.", Share.shape()),
        })
    }
}

/// Refuses a category whose items an earlier one names already: keys have no order, so neither
/// could go before the other.
fn refuse_same(
    earlier: &[(&String, Category)],
    (key, category): (&str, Category),
    (place, path): (&Place, &str),
    faults: &mut Faults,
) {
    let mut earlier = earlier.iter();
    let same = earlier.find(|(_, other)| ItemKind::counts_in_both(category, *other));
    if let Some((other, _)) = same {
        let message =
            format!("\"{other}\" and \"{key}\" in {path} are of the same items; keep one");
        faults.error(place, message);
    }
}

fn rules(node: &Node, faults: &mut Faults) -> Option<Vec<Rule>> {
    const LIST: &str = "write a list such as [{categories: [transaction], rate: 0.01}]";
    at_most(node, faults, RULES_MAX, "rules")?;
    each(node, faults, LIST, |node, faults| match &node.content {
        Content::Map(_) => rule(node, faults),
        Content::Reported => None,
        Content::Empty | Content::Scalar(_) | Content::List(_) => {
            refuse(node, faults, "no rate", "write {rate: 0.1}")
        }
    })
}

fn rule(node: &Node, faults: &mut Faults) -> Option<Rule> {
    let fields = Fields::of(node, faults, &RULE, &[])?;
    let categories = match fields.optional("categories") {
        Some(node) => categories::read(node, faults, Asked::SAMPLED),
        None => Some(Categories::EMPTY),
    };
    let mut pattern = |key| match fields.optional(key) {
        Some(node) => patterns::one(node, faults).map(Some),
        None => Some(None),
    };
    let (environment, release) = (pattern("environment"), pattern("release"));
    let rate = fields
        .required("rate", faults)
        .and_then(|node| share(node, faults));
    Some(Rule {
        categories: categories?,
        environment: environment?,
        release: release?,
        rate: rate?,
    })
}

/// A share by itself.
pub(in crate::config) struct Share;

impl Kind for Share {
    type Value = Rate;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Rate> {
        share(node, faults)
    }

    fn show(&self, value: &Rate) -> Shown {
        show_share(*value)
    }

    fn shape(&self) -> Json {
        shape::share(0.0, 1.0)
    }
}

fn share(node: &Node, faults: &mut Faults) -> Option<Rate> {
    let text = scalar(node, faults, SHARE)?;
    let (number, of) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    // Nothing but digits and a point: a double reads much that nobody means.
    let plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = number.parse::<f64>().ok().filter(|_| plain);
    match number.map(|number| Rate::of(number / of)) {
        Some(Some(rate)) if rate.share() > 0.0 && rate.share() < SHARE_MIN => {
            refuse(node, faults, "under a millionth", SHARE)
        }
        Some(Some(rate)) => Some(rate),
        Some(None) => refuse(node, faults, "out of bounds", SHARE),
        None => refuse(node, faults, "not a share", SHARE),
    }
}

fn show_share(rate: Rate) -> Shown {
    Shown::Text(rate.share().to_string())
}

fn show_rule(rule: &Rule) -> Shown {
    let Rule {
        categories,
        environment,
        release,
        rate,
    } = rule;
    let names = categories.iter().map(|category| category.name().to_owned());
    let names = Shown::List(names.map(Shown::Text).collect());
    let pattern = |glob: &Option<_>| glob.as_ref().map(patterns::show);
    map([
        ("categories", (!categories.is_empty()).then_some(names)),
        ("environment", pattern(environment)),
        ("release", pattern(release)),
        ("rate", Some(show_share(*rate))),
    ])
}

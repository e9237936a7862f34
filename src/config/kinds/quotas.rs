//! Owns the lists of quotas. How one counts is not its business, nor what it is
//! called when it has no name: the domain says that.

use serde_json::Value as Json;

use super::categories::{self, Asked};
use super::number::whole;
use super::slips;
use super::{
    Fields, Kind, Shown, Variable, Word, at_most, each, map, refuse, refuse_repeats_of, scalar,
};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::category::Categories;
use crate::domain::quota::{BUDGET, By, COUNTED_MAX, Limit, PER_MAX, PER_MIN, Per, Quota};
use crate::domain::units;

/// A list of `{name, categories, limit, per, by}`.
#[derive(Clone, Copy)]
pub(in crate::config) enum Quotas {
    /// Of a project, of those that follow the default, or of all together.
    OfProject,
    /// Of one key, which has no say over the rest of its project.
    OfKey,
}

/// Each item is charged to every one that applies.
const QUOTAS_MAX: usize = 50;

const KNOWN: [&str; 5] = ["name", "categories", "limit", "per", "by"];

/// A calendar month, the one time that is no fixed number of seconds.
const MONTH: &str = "1mo";

/// It stands in a header, a metric's label and the journal.
const NAME_MAX: usize = 64;

const BY: Word<By> = Word {
    words: &[("project", By::Project), ("key", By::Key), ("ip", By::Ip)],
    later: &[],
};

impl Kind for Quotas {
    type Value = Vec<Quota>;
    const VARIABLE: Variable = Variable::Never;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<Quota>> {
        const ACCEPTED: &str =
            "write a list such as [{categories: [error], limit: 10000, per: 1h}]";
        at_most(node, faults, QUOTAS_MAX, "quotas")?;
        let quotas = each(node, faults, ACCEPTED, |node, faults| match &node.content {
            Content::Map(_) => self.quota(node, faults),
            Content::Reported => None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => refuse(
                node,
                faults,
                "no limit and time",
                "write {limit: 10000, per: 1h}",
            ),
        })?;
        let repeat = ("name", "give one a name: of its own");
        refuse_repeats_of(node, &quotas, faults, repeat, |quota| {
            Some(quota.name.clone())
        })?;
        Some(quotas)
    }

    fn show(&self, value: &Vec<Quota>) -> Shown {
        Shown::List(value.iter().map(show_quota).collect())
    }

    fn shape(&self) -> Json {
        let quota = shape::fields(&KNOWN, &["limit", "per"], |key| match key {
            "name" => (
                "What clients and metrics see; unique in its list. Default: categories, per and \
                 by, as in error-1h.",
                shape::text_or_digits("^[A-Za-z0-9_.+-]{1,64}$"),
            ),
            "categories" => (
                "What items count in. Default, and []: all but the reports of clients.",
                Asked::COUNTED.shape_of_list(),
            ),
            "limit" => (
                "A number alone is items; a size with its unit is bytes. 0 lets nothing in.",
                shape::whole(0, COUNTED_MAX, &format!("^{}$", shape::SIZE)),
            ),
            "per" => (
                "100ms to 366d, or 1mo. Below a minute it is a rate, else a window in UTC.",
                shape::text(&format!("^{MONTH}$|^{}$", shape::DURATION)),
            ),
            "by" => ("Whose count it is.", self.shape_of_by()),
            _ => ("", Json::Bool(false)),
        });
        shape::list(0, QUOTAS_MAX, quota)
    }
}

impl Quotas {
    fn quota(self, node: &Node, faults: &mut Faults) -> Option<Quota> {
        let fields = Fields::of(node, faults, &KNOWN, &[])?;
        let given = match fields.optional("name") {
            Some(node) => name(node, faults).map(Some),
            None => Some(None),
        };
        let categories = match fields.optional("categories") {
            Some(node) => categories::read(node, faults, Asked::COUNTED),
            None => Some(Categories::EMPTY),
        };
        let limit = fields
            .required("limit", faults)
            .and_then(|node| limit(node, faults, categories.unwrap_or_default()));
        let per = fields
            .required("per", faults)
            .and_then(|node| per(node, faults));
        let by = match fields.optional("by") {
            Some(node) => self.by(node, faults),
            None => Some(self.default_by()),
        };
        let (given, categories, limit, per, by) = (given?, categories?, limit?, per?, by?);
        let name = match given {
            Some(name) => name,
            None => default_name(node, faults, categories, per, by)?,
        };
        Some(Quota {
            name,
            categories,
            limit,
            per,
            by,
        })
    }

    const fn default_by(self) -> By {
        match self {
            Self::OfProject => By::Project,
            Self::OfKey => By::Key,
        }
    }

    /// Whom a count may be of here.
    fn shape_of_by(self) -> Json {
        let here = |by: By| self.default_by() == By::Project || by != By::Project;
        let words = BY.words.iter().filter(|(_, by)| here(*by));
        shape::words(words.map(|(word, _)| *word))
    }

    fn by(self, node: &Node, faults: &mut Faults) -> Option<By> {
        match (self, BY.read(node, faults)?) {
            (Self::OfKey, By::Project) => refuse(
                node,
                faults,
                "a project's count for a key's quota",
                "write key or ip",
            ),
            (Self::OfProject | Self::OfKey, by) => Some(by),
        }
    }
}

/// Items where it is a number alone, else bytes: so nobody gets one for the other
/// by leaving out a unit.
fn limit(node: &Node, faults: &mut Faults, categories: Categories) -> Option<Limit> {
    const SIZE: &str = "write a size such as 1GiB";
    let accepted = format!(
        "write a number of items up to {COUNTED_MAX}, or a size below 256TiB, such as 10000 or 1GiB"
    );
    let text = scalar(node, faults, &accepted)?;
    // A unit is a word: a number with a blank behind it has none.
    let unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let limit = match whole(text) {
        Some(items) => Some(Limit::Items(items)),
        None => units::size(text).filter(|_| unit).map(Limit::Bytes),
    };
    let bytes = categories.iter().find(|category| category.is_bytes());
    match (limit, bytes) {
        (None, _) => match slips::rate(text) {
            Some((limit, per)) => {
                let apart = format!("write limit: {limit}, per: {per}");
                refuse(node, faults, "a rate", &apart)
            }
            None => refuse(node, faults, "not a number or a size", &accepted),
        },
        (Some(limit), _) if limit.number() > COUNTED_MAX => {
            refuse(node, faults, "out of bounds", &accepted)
        }
        (Some(Limit::Items(_)), Some(category)) => {
            let wrong = format!("{} counts bytes: no unit", category.name());
            refuse(node, faults, &wrong, SIZE)
        }
        (Some(limit), _) => Some(limit),
    }
}

fn per(node: &Node, faults: &mut Faults) -> Option<Per> {
    let (min, max) = (units::show_duration(PER_MIN), units::show_duration(PER_MAX));
    let accepted = format!(
        "write a duration from {min} to {max}, such as 1s, 1h or 1d, or {MONTH} for a calendar month"
    );
    let text = scalar(node, faults, &accepted)?;
    if text == MONTH {
        return Some(Per::Month);
    }
    match units::duration(text) {
        Some(time) if !(PER_MIN..=PER_MAX).contains(&time) => {
            refuse(node, faults, "out of bounds", &accepted)
        }
        Some(time) => match Per::of(time) {
            Some(per) => Some(per),
            None => refuse(
                node,
                faults,
                "a part of a second beyond a minute",
                "write whole seconds",
            ),
        },
        None if whole(text).is_some() => refuse(node, faults, "no unit", &accepted),
        None => {
            let bounds = PER_MIN..=PER_MAX;
            let fits = |meant: &String| {
                meant == MONTH || units::duration(meant).is_some_and(|time| bounds.contains(&time))
            };
            let meant = slips::duration(text).filter(fits);
            let accepted = meant.map_or(accepted, |meant| format!("write {meant}"));
            refuse(node, faults, "not a duration", &accepted)
        }
    }
}

fn name(node: &Node, faults: &mut Faults) -> Option<Box<str>> {
    let accepted = format!("write up to {NAME_MAX} of letters, digits, _ . + and -");
    let text = scalar(node, faults, &accepted)?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    if text == BUDGET {
        let mend = "write another; budget: 5GiB beside quotas is one by the day";
        return refuse(node, faults, "the name of a budget", mend);
    }
    match text.len() {
        1..=NAME_MAX if text.bytes().all(safe) => Some(text.into()),
        _ => refuse(node, faults, "not a quota's name", &accepted),
    }
}

fn default_name(
    node: &Node,
    faults: &mut Faults,
    categories: Categories,
    per: Per,
    by: By,
) -> Option<Box<str>> {
    let name = Quota::default_name(categories, per, by);
    match name.len() <= NAME_MAX {
        true => Some(name.into()),
        false => refuse(
            node,
            faults,
            "too many categories for a default name",
            "write a name",
        ),
    }
}

/// All that there is, so that it reads back whatever the defaults become.
fn show_quota(quota: &Quota) -> Shown {
    let Quota {
        name,
        categories,
        limit,
        per,
        by,
    } = quota;
    let names = categories.iter().map(|category| category.name().to_owned());
    let names = Shown::List(names.map(Shown::Text).collect());
    let limit = match limit {
        Limit::Items(items) => Shown::Number(*items),
        Limit::Bytes(bytes) => Shown::Text(units::show_size_with_unit(*bytes)),
    };
    map([
        ("name", Some(Shown::Text(name.to_string()))),
        ("categories", (!categories.is_empty()).then_some(names)),
        ("limit", Some(limit)),
        ("per", Some(Shown::Text(per.to_string()))),
        ("by", Some(BY.show(by))),
    ])
}

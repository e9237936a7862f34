//! Owns how categories are named, one or a list of them.

use serde_json::Value as Json;

use super::slips;
use super::text::one_of;
use super::{each, refuse, scalar};
use crate::config::errors::{Faults, nearest};
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::category::{Categories, Category};
use crate::domain::envelope::item::ItemKind;

/// Which categories make sense in a place.
pub(in crate::config) struct Asked {
    /// Those that make none there, though items are of them.
    without: Categories,
    /// What such a one is, and what tells of others, in words behind its name.
    never: &'static str,
}

impl Asked {
    /// Every one that items count in: a limit on another would never be met.
    pub(in crate::config) const COUNTED: Self = Self {
        without: Categories::EMPTY,
        never: "is never limited",
    };

    /// Those of items that may be left out: others count, or tell of others.
    pub(super) const SAMPLED: Self = Self {
        without: Categories::of(&[Category::Session, Category::Monitor]),
        never: "is never sampled",
    };

    fn all(&self) -> Categories {
        ItemKind::all_categories().without(self.without)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let all = ItemKind::all_categories().without(self.without);
        let each = Category::ALL
            .iter()
            .filter(move |category| all.has(**category));
        each.map(|category| category.name())
    }

    /// The schema of a list of them.
    pub(super) fn shape_of_list(&self) -> Json {
        shape::list(0, usize::MAX, shape::words(self.names()))
    }

    /// The category that a text names.
    pub(super) fn named(&self, node: &Node, text: &str, faults: &mut Faults) -> Option<Category> {
        match self.category(text) {
            Ok(category) => Some(category),
            Err(fault) => refuse(node, faults, &fault.wrong, &fault.accepted),
        }
    }

    /// The same, wherever the text comes from.
    pub(in crate::config) fn category(&self, text: &str) -> Result<Category, NoCategory> {
        let named = Category::of_name(text);
        if let Some(category) = named.filter(|category| self.all().has(*category)) {
            return Ok(category);
        }
        let wrong = match (self.spared(text), named) {
            (Some(spared), _) => format!("{} {}", spared.name(), self.never),
            // Sentry has it, and no item is ever of it: it would match nothing.
            (None, Some(category)) => format!("{} counts nothing", category.name()),
            (None, None) => "an unknown category".to_owned(),
        };
        let meant = self.meant(text, &[]);
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean \"{meant}\"?"));
        let accepted = format!("write {}{hint}", one_of(self.names()));
        Err(NoCategory { wrong, accepted })
    }

    /// The category that a text means and that makes no sense here, if it is of items.
    pub(super) fn spared(&self, text: &str) -> Option<Category> {
        if text == Category::ClientReport.name() {
            return Some(Category::ClientReport);
        }
        let meant = Category::of_name(text).or_else(|| slips::category(text));
        meant.filter(|category| self.without.has(*category))
    }

    /// The category that a text stands for elsewhere, or the nearest name, `more` among them.
    pub(super) fn meant(&self, text: &str, more: &[&'static str]) -> Option<&'static str> {
        let meant = slips::category(text).filter(|meant| self.all().has(*meant));
        let near = || nearest(text, self.names().chain(more.iter().copied()));
        meant.map(Category::name).or_else(near)
    }
}

/// Why a text is no category that makes sense in its place.
pub(in crate::config) struct NoCategory {
    /// What it is.
    pub(in crate::config) wrong: String,
    /// What to write.
    pub(in crate::config) accepted: String,
}

/// A list of them.
pub(super) fn read(node: &Node, faults: &mut Faults, asked: Asked) -> Option<Categories> {
    const LIST: &str = "write a list such as [error, transaction]";
    let each = each(node, faults, LIST, |node, faults| {
        let accepted = format!("write {}", one_of(asked.names()));
        let text = scalar(node, faults, &accepted)?;
        asked.named(node, text, faults)
    })?;
    Some(Categories::of(&each))
}

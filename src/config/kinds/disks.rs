//! Owns what is said of disks: where they are, how full they are, and how much a day may
//! bring.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::number::whole;
use super::{Kind, Shown, Variable, at_most, each, refuse, refuse_repeats, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::quota::COUNTED_MAX;
use crate::domain::switch::Share;
use crate::domain::units;

/// More disks than a machine has volumes; each is asked in turn.
const PATHS_MAX: usize = 16;

/// Paths on disks that are guarded.
pub(in crate::config) struct GuardedPaths;

impl Kind for GuardedPaths {
    type Value = Vec<PathBuf>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<PathBuf>> {
        const LIST: &str = "write a list such as [/var/lib/docker]";
        at_most(node, faults, PATHS_MAX, "paths")?;
        let paths = each(node, faults, LIST, |node, faults| {
            const ACCEPTED: &str = "write one such as /var/lib/docker";
            let text = scalar(node, faults, ACCEPTED)?;
            match text.starts_with('/') && !text.contains('\0') {
                true => Some(PathBuf::from(text)),
                false => refuse(node, faults, "not an absolute path", ACCEPTED),
            }
        })?;
        refuse_repeats(node, &paths, faults, "path", |path| Some(path.clone()))?;
        Some(paths)
    }

    fn show(&self, value: &Vec<PathBuf>) -> Shown {
        let paths = value.iter().map(|path| path.display().to_string());
        Shown::List(paths.map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, PATHS_MAX, shape::text("^/"))
    }
}

/// A share of a whole, bounds included, in millionths.
pub(in crate::config) struct Portion {
    pub(in crate::config) min: u32,
    pub(in crate::config) max: u32,
    /// What one may look like.
    pub(in crate::config) such: &'static str,
}

impl Kind for Portion {
    type Value = Share;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Share> {
        let percent = |millionths: u32| millionths / 10_000;
        let accepted = format!(
            "write a share from {}% to {}%, such as {}",
            percent(self.min),
            percent(self.max),
            self.such
        );
        let text = scalar(node, faults, &accepted)?;
        match Share::read(text) {
            Some(share) if (self.min..=self.max).contains(&share.millionths()) => Some(share),
            Some(_) => refuse(node, faults, "out of bounds", &accepted),
            // 85 for 85%: half its readers would take it for a part of one.
            None => match whole(text).filter(|number| *number <= 100) {
                Some(number) => refuse(node, faults, "no unit", &format!("write {number}%")),
                None => refuse(node, faults, "not a share", &accepted),
            },
        }
    }

    fn show(&self, value: &Share) -> Shown {
        Shown::Text(value.to_string())
    }

    fn shape(&self) -> Json {
        let of_one = |millionths: u32| f64::from(millionths) / 1e6;
        shape::share(of_one(self.min), of_one(self.max))
    }
}

/// So many bytes a day, or `off`.
pub(in crate::config) struct Budget;

const OFF: &str = "off";

impl Kind for Budget {
    type Value = Option<u64>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Option<u64>> {
        const ACCEPTED: &str = "write a size below 256TiB for a day, such as 5GiB, or off";
        let text = scalar(node, faults, ACCEPTED)?;
        if text == OFF {
            return Some(None);
        }
        let unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        match units::size(text) {
            Some(_) if !unit => refuse(node, faults, "no unit", ACCEPTED),
            Some(bytes @ 1..=COUNTED_MAX) => Some(Some(bytes)),
            Some(0) => refuse(node, faults, "nothing at all", ACCEPTED),
            Some(_) => refuse(node, faults, "out of bounds", ACCEPTED),
            None => match text.split_once('/') {
                Some((size, _)) if units::size(size).is_some() => refuse(
                    node,
                    faults,
                    "a rate",
                    &format!("it is for a day; {ACCEPTED}"),
                ),
                Some(_) | None => refuse(node, faults, "not a size", ACCEPTED),
            },
        }
    }

    fn show(&self, value: &Option<u64>) -> Shown {
        Shown::Text(value.map_or_else(|| OFF.to_owned(), units::show_size_with_unit))
    }

    fn shape(&self) -> Json {
        // A unit must be there: a number alone is none.
        shape::text(&format!("^{OFF}$|^{}$", "[0-9]+ *([KkMmGgTt][Ii]?)?[Bb]"))
    }
}

//! Owns patterns for texts, one or a list of them. What one matches is the domain's business.

use serde_json::Value as Json;

use super::{Shown, at_most, each, refuse, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::glob::{Glob, PATTERN_BYTES_MAX};

/// Each event is compared with every one.
const PATTERNS_MAX: usize = 1_000;

/// One pattern.
pub(super) fn one(node: &Node, faults: &mut Faults) -> Option<Glob> {
    let accepted = format!(
        "write up to {PATTERN_BYTES_MAX} bytes: * is anything, ? one character, [a-z] one of \
         these, [!a-z] of others, {{a,b}} either, \\ takes the next as it is"
    );
    let text = scalar(node, faults, &accepted)?;
    match Glob::parse(text) {
        Ok(glob) => Some(glob),
        Err(error) => refuse(node, faults, &error.to_string(), &accepted),
    }
}

/// A list of them.
pub(super) fn list(node: &Node, faults: &mut Faults) -> Option<Vec<Glob>> {
    at_most(node, faults, PATTERNS_MAX, "patterns")?;
    each(node, faults, "write a list such as [\"dev*\"]", one)
}

/// The schema of one.
pub(super) fn shape_of_one() -> Json {
    shape::any_text()
}

/// The schema of a list of them.
pub(super) fn shape_of_list() -> Json {
    shape::list(0, PATTERNS_MAX, shape_of_one())
}

/// A pattern as it was written.
pub(super) fn show(glob: &Glob) -> Shown {
    Shown::Text(glob.as_str().to_owned())
}

/// A list of them.
pub(super) fn show_list(globs: &[Glob]) -> Option<Shown> {
    (!globs.is_empty()).then(|| Shown::List(globs.iter().map(show).collect()))
}

//! Owns the patterns of the origins that pages may send from. Says whether one
//! can be a pattern at all; what it matches is not its business.

use super::{Kind, Shown, Variable, at_most, each, refuse, scalar};
use crate::config::errors::Faults;
use crate::config::tree::Node;

/// A list of patterns.
pub(in crate::config) struct Origins;

/// Each request of a page is compared with every one.
const PATTERNS_MAX: usize = 1_000;

impl Kind for Origins {
    type Value = Vec<String>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        const LIST: &str = "write a list such as [\"*.example.org\"]";
        const ACCEPTED: &str =
            "write *, a host such as *.example.org, or an origin such as https://example.org:8443";
        at_most(node, faults, PATTERNS_MAX, "patterns")?;
        each(node, faults, LIST, |node, faults| {
            let text = scalar(node, faults, ACCEPTED)?;
            match check_pattern(text) {
                Ok(()) => Some(text.to_owned()),
                Err(wrong) => refuse(node, faults, wrong, ACCEPTED),
            }
        })
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }
}

/// Whether a text can be a pattern; the one place that knows what a pattern is.
/// Hosts may be written in their own script: nothing here is compared.
fn check_pattern(text: &str) -> Result<(), &'static str> {
    /// A host of 253 characters, with a scheme and a port around it.
    const BYTES_MAX: usize = 300;
    match text {
        "" => Err("an empty pattern"),
        text if text.len() > BYTES_MAX => Err("a pattern of more than 300 bytes"),
        text if text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err("a pattern with a blank")
        }
        _ => Ok(()),
    }
}

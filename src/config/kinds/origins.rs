//! Owns the lists of the origins that pages may send from. What a pattern is and
//! what it matches is the domain's business.

use serde_json::Value as Json;

use super::{Kind, Shown, Variable, at_most, each, refuse, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::origin::{AllowedOrigins, OriginPatternFault};

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
            match AllowedOrigins::parse([text]) {
                Ok(_) => Some(text.to_owned()),
                Err(error) => refuse(node, faults, words(error.fault), ACCEPTED),
            }
        })
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, PATTERNS_MAX, shape::text("^[^ ]+$"))
    }
}

/// What a text is that is no pattern, as the configuration names faults.
const fn words(fault: OriginPatternFault) -> &'static str {
    match fault {
        OriginPatternFault::Empty => "an empty pattern",
        OriginPatternFault::Blank => "a pattern with a blank",
        OriginPatternFault::TooLong => "too long a pattern",
        OriginPatternFault::SecondScheme => "a pattern with a second scheme",
        OriginPatternFault::BadScheme => "a pattern for neither http nor https",
        OriginPatternFault::BadHost => "a pattern without a sound host",
        OriginPatternFault::BadPort => "a pattern with a port that is none",
        OriginPatternFault::TooMany => "one pattern too many",
    }
}

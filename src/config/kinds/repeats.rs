//! Owns how many of the same error of the same client are let through.

use std::time::Duration;

use serde_json::Value as Json;

use super::number::whole;
use super::{Fields, Kind, Shown, Variable, map, refuse, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::repeat::Repeat;
use crate::domain::units;

/// `{first: 100, then: 100, per: 1m}`, or `off`.
pub(in crate::config) struct Repeats;

const PER_MIN: Duration = Duration::from_secs(1);
const PER_MAX: Duration = Duration::from_secs(86_400);

/// Beyond, it would let through what no loop sends in a window.
const COUNT_MAX: u64 = 1_000_000;

const OFF: &str = "off";

const KNOWN: [&str; 3] = ["first", "then", "per"];

impl Kind for Repeats {
    type Value = Option<Repeat>;
    const VARIABLE: Variable = Variable::Keys {
        whole: true,
        each: || KNOWN.map(|key| (key, Variable::One)).to_vec(),
    };

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Option<Repeat>> {
        const ACCEPTED: &str = "write {first: 100, then: 100, per: 1m}, or off";
        match &node.content {
            Content::Map(_) => repeat(node, faults).map(Some),
            Content::Scalar(text) if text == OFF => Some(None),
            Content::Reported => None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => {
                refuse(node, faults, "no counts", ACCEPTED)
            }
        }
    }

    fn show(&self, value: &Option<Repeat>) -> Shown {
        let Some(Repeat { first, then, per }) = value else {
            return Shown::Text(OFF.to_owned());
        };
        map([
            ("first", Some(Shown::Number(*first))),
            ("then", Some(Shown::Number(*then))),
            ("per", Some(Shown::Text(units::show_duration(*per)))),
        ])
    }

    fn shape(&self) -> Json {
        let counts = shape::fields(&KNOWN, &KNOWN, |key| match key {
            "first" => (
                "So many in each window pass.",
                shape::whole(1, COUNT_MAX, "^[0-9]+$"),
            ),
            "then" => (
                "Then one in so many.",
                shape::whole(2, COUNT_MAX, "^[0-9]+$"),
            ),
            "per" => (
                "The window, from 1s to 1d.",
                shape::text(&format!("^{}$", shape::DURATION)),
            ),
            _ => ("", Json::Bool(false)),
        });
        shape::either([shape::words([OFF].into_iter()), counts])
    }
}

fn repeat(node: &Node, faults: &mut Faults) -> Option<Repeat> {
    let fields = Fields::of(node, faults, &KNOWN, &[])?;
    let mut number = |key, min: u64| {
        let node = fields.required(key, faults)?;
        let accepted = format!("write a number from {min} to {COUNT_MAX}");
        let text = scalar(node, faults, &accepted)?;
        match whole(text) {
            Some(number) if (min..=COUNT_MAX).contains(&number) => Some(number),
            Some(_) => refuse(node, faults, "out of bounds", &accepted),
            None => refuse(node, faults, "not a number", &accepted),
        }
    };
    // One in one would be all of them.
    let (first, then) = (number("first", 1), number("then", 2));
    let per = fields.required("per", faults).and_then(|node| {
        let accepted = "write a duration from 1s to 1d, such as 1m";
        let text = scalar(node, faults, accepted)?;
        match units::duration(text) {
            Some(per) if (PER_MIN..=PER_MAX).contains(&per) => Some(per),
            Some(_) => refuse(node, faults, "out of bounds", accepted),
            None => refuse(node, faults, "not a duration", accepted),
        }
    });
    Some(Repeat {
        first: first?,
        then: then?,
        per: per?,
    })
}

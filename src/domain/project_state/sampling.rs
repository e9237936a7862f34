//! A state's `sampling` (PROTOCOL 7): the rules by which Sentry keeps a share of transactions, gone
//! through as a Relay does: what is left out by them here would be left out behind it.
//!
//! Owns the form of the rules and their order. Of a set with anything in it that is not known for
//! certain nothing counts, and nobody else's rules in its place: Sentry goes through it again, so
//! that to keep too much is mended there, and to keep too little nowhere. Never knows whose rules
//! count.

mod place;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::value;
use crate::domain::glob::Glob;
use crate::domain::sampling::Rate;

pub use place::sentry_keeps;

/// Rules of one set, texts of one condition, and conditions in each other.
const RULES_MAX: usize = 1_000;
const TEXTS_MAX: usize = 1_000;
const NESTING_MAX: u32 = 8;

/// What one project says of how many transactions are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum StateSampling {
    /// Nothing: it has no rules.
    #[default]
    Silent,
    /// These rules.
    Certain(Arc<SentrySampling>),
    /// It has rules of which nobody knows here what they keep.
    Uncertain,
}

impl StateSampling {
    /// The rules, where they are known.
    #[must_use]
    pub const fn rules(&self) -> Option<&Arc<SentrySampling>> {
        match self {
            Self::Certain(rules) => Some(rules),
            Self::Silent | Self::Uncertain => None,
        }
    }
}

/// The rules of one project that are known for certain.
#[derive(Debug, Clone, PartialEq)]
pub struct SentrySampling(Vec<Rule>);

/// What a rule is about, and whose rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The transaction alone: rules of its own project.
    Transaction,
    /// The trace: rules of the project in which it began.
    Trace,
}

/// What is known of where something happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// The version of the program.
    pub release: Option<&'a str>,
    /// The environment.
    pub environment: Option<&'a str>,
    /// The transaction's name.
    pub transaction: Option<&'a str>,
}

/// What rules go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// What the service says in which the trace began.
    pub trace: Words<'a>,
    /// What the transaction says of itself.
    pub event: Words<'a>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    level: Level,
    effect: Effect,
    value: f64,
    /// What the value has become at the end of its time.
    decayed: Option<f64>,
    /// In milliseconds after 1970.
    from_ms: Option<i64>,
    until_ms: Option<i64>,
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Rate,
    Factor,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Equals {
        field: Field,
        texts: Vec<String>,
        ignores_case: bool,
    },
    Matches {
        field: Field,
        patterns: Vec<Glob>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    of: Level,
    word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Release,
    Environment,
    Transaction,
}

/// Reads the rules.
pub(super) fn read(sampling: &RawValue, left_out: &mut BTreeSet<&'static str>) -> StateSampling {
    let Some(sampling) = value::<Value>(Some(sampling)) else {
        return StateSampling::Silent;
    };
    let some = |key: &str| {
        let rules = sampling.get(key).and_then(Value::as_array);
        rules.filter(|rules| !rules.is_empty())
    };
    let (rules, older) = (some("rules"), some("rulesV2"));
    if rules.or(older).is_none() {
        return StateSampling::Silent;
    }
    let is_known = sampling.get("version").and_then(Value::as_u64) == Some(2);
    let read = rules.filter(|rules| is_known && rules.len() <= RULES_MAX);
    let read = read.and_then(|rules| rules.iter().map(rule).collect::<Option<Vec<Rule>>>());
    match read {
        Some(rules) => StateSampling::Certain(Arc::new(SentrySampling(rules))),
        None => {
            left_out.insert("sampling");
            StateSampling::Uncertain
        }
    }
}

fn rule(rule: &Value) -> Option<Rule> {
    let level = match rule.get("type")?.as_str()? {
        "transaction" => Level::Transaction,
        "trace" => Level::Trace,
        _ => return None,
    };
    let share = rule.get("samplingValue")?;
    let effect = match share.get("type")?.as_str()? {
        "sampleRate" => Effect::Rate,
        "factor" => Effect::Factor,
        // A reservoir's count is Sentry's own, and what a minimum is the least of was not found
        // out.
        _ => return None,
    };
    let number = |of: &Value, key: &str| {
        let number = of.get(key)?.as_f64()?;
        (number >= 0.0).then_some(number)
    };
    let time = |key: &str| match rule.get("timeRange").and_then(|range| range.get(key)) {
        None | Some(Value::Null) => Some(None),
        Some(at) => Some(Some(
            at.as_str()?.parse::<Timestamp>().ok()?.as_millisecond(),
        )),
    };
    let (from_ms, until_ms) = (time("start")?, time("end")?);
    let decaying = rule
        .get("decayingFn")
        .filter(|decaying| !decaying.is_null());
    let decayed = match decaying.map(|decaying| Some((decaying, decaying.get("type")?.as_str()?))) {
        None | Some(Some((_, "constant"))) => None,
        Some(Some((decaying, "linear"))) if from_ms < until_ms && from_ms.is_some() => {
            Some(number(decaying, "decayedValue")?)
        }
        Some(_) => return None,
    };
    Some(Rule {
        level,
        effect,
        value: number(share, "value")?,
        decayed,
        from_ms,
        until_ms,
        condition: condition(rule.get("condition")?, NESTING_MAX)?,
    })
}

fn condition(of: &Value, depth: u32) -> Option<Condition> {
    let depth = depth.checked_sub(1)?;
    let inner = || {
        let inner = of.get("inner")?.as_array()?;
        let inner = inner.iter().map(|one| condition(one, depth));
        inner.collect::<Option<Vec<Condition>>>()
    };
    match of.get("op")?.as_str()? {
        "and" => Some(Condition::All(inner()?)),
        "or" => Some(Condition::Any(inner()?)),
        "not" => Some(Condition::Not(Box::new(condition(
            of.get("inner")?,
            depth,
        )?))),
        "eq" => Some(Condition::Equals {
            field: field(of)?,
            texts: texts(of.get("value")?)?,
            ignores_case: match of
                .get("options")
                .and_then(|options| options.get("ignoreCase"))
            {
                None => false,
                Some(ignores) => ignores.as_bool()?,
            },
        }),
        "glob" => {
            let texts = texts(of.get("value")?)?;
            let patterns = texts.iter().map(|text| Glob::parse(text).ok());
            Some(Condition::Matches {
                field: field(of)?,
                patterns: patterns.collect::<Option<_>>()?,
            })
        }
        _ => None,
    }
}

fn field(of: &Value) -> Option<Field> {
    let (of, word) = of.get("name")?.as_str()?.split_once('.')?;
    Some(Field {
        of: match of {
            "trace" => Level::Trace,
            "event" => Level::Transaction,
            _ => return None,
        },
        word: match word {
            "release" => Word::Release,
            "environment" => Word::Environment,
            "transaction" => Word::Transaction,
            _ => return None,
        },
    })
}

/// One text or several, and nothing else.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value.as_array() {
        None => Some(vec![text(value)?]),
        Some(several) if several.len() <= TEXTS_MAX => several.iter().map(text).collect(),
        Some(_) => None,
    }
}

impl SentrySampling {
    /// Whether there is any rule of a level.
    #[must_use]
    pub fn has(&self, level: Level) -> bool {
        self.0.iter().any(|rule| rule.level == level)
    }

    /// Whether a rule of a level goes by what the transaction says of itself.
    #[must_use]
    pub fn reads(&self, level: Level) -> bool {
        let mut rules = self.0.iter().filter(|rule| rule.level == level);
        rules.any(|rule| rule.condition.reads())
    }

    /// Goes through the rules of a level: the first with a rate ends it, and what factors on the
    /// way have made of `factor` counts.
    pub fn ask(
        &self,
        level: Level,
        factor: f64,
        facts: &Facts<'_>,
        now_ms: i64,
    ) -> ControlFlow<Rate, f64> {
        let mut factor = factor;
        for rule in self.0.iter().filter(|rule| rule.level == level) {
            let Some(value) = rule
                .value_at(now_ms)
                .filter(|_| rule.condition.holds(facts))
            else {
                continue;
            };
            let share = value * factor;
            match rule.effect {
                Effect::Factor => factor = share,
                Effect::Rate => {
                    let rate = Rate::of(share.clamp(0.0, 1.0)).unwrap_or(Rate::ALL);
                    return ControlFlow::Break(rate);
                }
            }
        }
        ControlFlow::Continue(factor)
    }
}

impl Rule {
    /// What its value is now; `None`: its time has not come, or is over.
    fn value_at(&self, now_ms: i64) -> Option<f64> {
        let early = self.from_ms.is_some_and(|from| now_ms < from);
        let late = self.until_ms.is_some_and(|until| now_ms > until);
        if early || late {
            return None;
        }
        let Some(decayed) = self.decayed else {
            return Some(self.value);
        };
        let (from, until) = (self.from_ms?, self.until_ms?);
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "a share of a time: milliseconds of it do not matter"
        )]
        let part = (now_ms.saturating_sub(from)) as f64 / (until.saturating_sub(from)) as f64;
        Some(self.value + (decayed - self.value) * part)
    }
}

impl Condition {
    fn reads(&self) -> bool {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::reads),
            Self::Not(inner) => inner.reads(),
            Self::Equals { field, .. } | Self::Matches { field, .. } => {
                field.of == Level::Transaction
            }
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(inner) => inner.iter().all(|one| one.holds(facts)),
            Self::Any(inner) => inner.iter().any(|one| one.holds(facts)),
            Self::Not(inner) => !inner.holds(facts),
            Self::Equals {
                field,
                texts,
                ignores_case,
            } => field.of(facts).is_some_and(|text| {
                texts.iter().any(|one| match ignores_case {
                    true => one.to_lowercase() == text.to_lowercase(),
                    false => one == text,
                })
            }),
            Self::Matches { field, patterns } => field
                .of(facts)
                .is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text))),
        }
    }
}

impl Field {
    fn of<'a>(self, facts: &Facts<'a>) -> Option<&'a str> {
        let words = match self.of {
            Level::Trace => &facts.trace,
            Level::Transaction => &facts.event,
        };
        match self.word {
            Word::Release => words.release,
            Word::Environment => words.environment,
            Word::Transaction => words.transaction,
        }
    }
}

#[cfg(test)]
mod tests;

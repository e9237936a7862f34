//! What Sentry tells its relays of a project (PROTOCOL 9 and 10), and what a Relay's own
//! `projects/<id>.json` says: JSON in, values out.
//!
//! Owns which of its fields mean something here. Every one may be absent or of an unknown form:
//! then it says nothing. What is understood but cannot be done here is named, for people; Sentry
//! does it, as it repeats everything that is done here. Never decides whose word counts.

mod filters;
mod quotas;
mod sampling;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::credentials::Key;
use super::endpoint::ProjectId;
use super::filter::Filters;
use super::origin::AllowedOrigins;
use super::quota::Quota;

pub use sampling::{Facts, Level, SentrySampling, StateSampling, Words, sentry_keeps};

/// The largest state, of what is read of one: beyond lists of ten thousand addresses and a
/// thousand patterns there is nothing to say.
pub const STATE_BYTES_MAX: usize = 1 << 20;

/// Keys that one state may name. Sentry names the one that was asked for, and a file of Relay's
/// all of a project.
pub const KEYS_MAX: usize = 1_000;

/// The longest short name and revision.
const WORD_BYTES_MAX: usize = 200;

/// Why a state is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// No JSON object.
    #[error("is no JSON object")]
    Form,
    /// Over [`STATE_BYTES_MAX`].
    #[error("says more than {STATE_BYTES_MAX} bytes")]
    TooLarge,
    /// More keys than [`KEYS_MAX`].
    #[error("names more than {KEYS_MAX} keys")]
    TooManyKeys,
}

/// One project, or of a project what belongs to one of its keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectState {
    /// The project.
    pub project: Option<ProjectId>,
    /// Its short name.
    pub slug: Option<Box<str>>,
    /// The organization that owns it.
    pub organization: Option<u64>,
    /// Nothing is taken for it.
    pub disabled: bool,
    /// Which revision it is, to be named when it is asked for again.
    pub rev: Option<Box<str>>,
    /// Its keys.
    pub keys: Vec<StateKey>,
    /// Which pages may send; `None`: not told.
    pub allowed_domains: Option<AllowedOrigins>,
    /// How much may come; `None`: not told, as Sentry does with relays that it does not trust.
    pub quotas: Option<StateQuotas>,
    /// What is not wanted; `None`: not told.
    pub filters: Option<Filters>,
    /// How many transactions are kept.
    pub sampling: StateSampling,
    /// What it says that is not done here, each word once.
    pub left_out: BTreeSet<&'static str>,
    /// What it was read from: as JSON, without what means nothing here.
    text: Box<str>,
}

/// A key of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKey {
    /// What clients show.
    pub key: Key,
    /// Whether events are taken under it.
    pub enabled: bool,
    /// What quotas call it.
    numeric: Option<u64>,
}

/// The limits of a state, by what they are counted for. Names are unique among those of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateQuotas {
    /// For all projects of the organization together.
    pub organization: Vec<Quota>,
    /// For the project.
    pub project: Vec<Quota>,
    /// For single keys.
    pub keys: Vec<(Key, Vec<Quota>)>,
}

/// The fields that mean something here, as they stand. Written again, they are what is kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'r> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    project_id: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    slug: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    organization_id: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    disabled: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    rev: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    public_keys: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    config: Option<&'r RawValue>,
}

/// The same of `config`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFields<'r> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    allowed_domains: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    quotas: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    filter_settings: Option<&'r RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    sampling: Option<&'r RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyFields<'r> {
    #[serde(borrow)]
    public_key: Option<&'r RawValue>,
    #[serde(borrow)]
    numeric_id: Option<&'r RawValue>,
    #[serde(borrow)]
    is_enabled: Option<&'r RawValue>,
}

impl ProjectState {
    /// Reads a state.
    ///
    /// # Errors
    /// It is no object, or says too much to be one's.
    pub fn read(text: &str) -> Result<Self, StateFault> {
        Self::read_of(None, text)
    }

    /// The same of a project that is known, whatever the state says.
    ///
    /// # Errors
    /// As above.
    pub fn read_of(of: Option<ProjectId>, text: &str) -> Result<Self, StateFault> {
        let fields: Fields<'_> = object(text).ok_or(StateFault::Form)?;
        let config: ConfigFields<'_> = fields
            .config
            .and_then(|config| object(config.get()))
            .unwrap_or_default();
        let kept = kept(&fields, &config);
        if kept.len() > STATE_BYTES_MAX {
            return Err(StateFault::TooLarge);
        }
        let rows: Vec<&RawValue> = value(fields.public_keys).unwrap_or_default();
        if rows.len() > KEYS_MAX {
            return Err(StateFault::TooManyKeys);
        }
        let mut left_out = BTreeSet::new();
        let mut state = Self {
            project: of.or_else(|| fields.project_id.and_then(project)),
            slug: word(fields.slug),
            organization: number(fields.organization_id),
            disabled: value(fields.disabled).unwrap_or(false),
            rev: word(fields.rev),
            keys: rows.into_iter().filter_map(key).collect(),
            text: kept.into(),
            ..Self::default()
        };
        state.allowed_domains = config
            .allowed_domains
            .and_then(|listed| origins(listed, &mut left_out));
        state.filters = config
            .filter_settings
            .and_then(|settings| filters::read(settings, &mut left_out));
        state.quotas = config
            .quotas
            .and_then(|listed| quotas::read(listed, &state, &mut left_out));
        state.sampling = config
            .sampling
            .map(|rules| sampling::read(rules, &mut left_out))
            .unwrap_or_default();
        state.left_out = left_out;
        Ok(state)
    }

    /// The state of a key of which nothing is told but that nothing is taken for it.
    #[must_use]
    pub fn disabled(key: Key) -> Self {
        let text = format!(
            r#"{{"disabled":true,"publicKeys":[{{"publicKey":"{}"}}]}}"#,
            key.as_str()
        );
        Self::read(&text).unwrap_or_default()
    }

    /// Whether it says nothing but that it is disabled: as Sentry answers those, too, that may
    /// not know.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.disabled && self.project.is_none() && self.keys.is_empty()
    }

    /// What to write down to [`read`](Self::read) the same again.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is kept of a state, as text. `config` replaces its own.
fn kept(fields: &Fields<'_>, config: &ConfigFields<'_>) -> String {
    let config = serde_json::value::to_raw_value(config).ok();
    let fields = Fields {
        config: config.as_deref().filter(|_| fields.config.is_some()),
        ..*fields
    };
    serde_json::to_string(&fields).unwrap_or_default()
}

fn origins(listed: &RawValue, left_out: &mut BTreeSet<&'static str>) -> Option<AllowedOrigins> {
    let patterns: Vec<&RawValue> = value(Some(listed))?;
    let patterns = patterns.into_iter().map(|pattern| value(Some(pattern)));
    let Some(patterns) = patterns.collect::<Option<Vec<String>>>() else {
        // Without what it means the list would refuse more than it says.
        left_out.insert("allowedDomains");
        return None;
    };
    // One that cannot be an origin's, such as an extension's page, matches none that is asked
    // about: without it the list says the same.
    let sound = |pattern: &&str| AllowedOrigins::parse([*pattern]).is_ok();
    let patterns = patterns.iter().map(String::as_str);
    let read = AllowedOrigins::parse(patterns.filter(sound)).ok();
    if read.is_none() {
        left_out.insert("allowedDomains");
    }
    read
}

fn key(row: &RawValue) -> Option<StateKey> {
    let row: KeyFields<'_> = object(row.get())?;
    let public: String = value(row.public_key)?;
    Some(StateKey {
        key: Key::parse(public.as_bytes())?,
        enabled: value(row.is_enabled).unwrap_or(true),
        numeric: number(row.numeric_id),
    })
}

/// An object. Its reader would take a list for an object's fields.
fn object<'r, T: Deserialize<'r>>(text: &'r str) -> Option<T> {
    let text = text.trim_ascii_start();
    let object = text.starts_with('{');
    object.then(|| serde_json::from_str(text).ok())?
}

/// A field, unless it is absent or of another form.
fn value<'r, T: Deserialize<'r>>(field: Option<&'r RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// A number, written as one or as a string of digits.
fn number(field: Option<&RawValue>) -> Option<u64> {
    field?.get().trim_matches('"').parse().ok()
}

fn project(field: &RawValue) -> Option<ProjectId> {
    ProjectId::parse(field.get().trim_matches('"').as_bytes())
}

/// A text that is no longer than a word.
fn word(field: Option<&RawValue>) -> Option<Box<str>> {
    let text: String = value(field)?;
    let fits = (1..=WORD_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.into())
}

#[cfg(test)]
mod tests;

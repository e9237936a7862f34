//! The rows of one page: JSON in, values out. Every field may be absent or of an
//! unknown form; a row that lacks what it is listed for is skipped and counted.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

use super::api::ApiError;
use super::list::{ListedKey, ListedProject, NAME_CHARS_MAX, RateLimit};

/// The longest short name; Sentry's hold 50.
const SLUG_BYTES_MAX: usize = 200;

/// What a page held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows<T> {
    pub read: Vec<T>,
    pub skipped: u64,
}

/// A page of projects.
pub(super) fn projects(body: &[u8]) -> Result<Rows<ListedProject>, ApiError> {
    rows(body, project)
}

/// A page of the keys of the project that was `asked` for.
pub(super) fn keys(body: &[u8], asked: ProjectId) -> Result<Rows<ListedKey>, ApiError> {
    rows(body, |row| key(row, asked))
}

fn rows<T>(body: &[u8], read: impl Fn(&RawValue) -> Option<T>) -> Result<Rows<T>, ApiError> {
    let listed: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| ApiError::NotAList)?;
    let mut rows = Rows {
        read: Vec::with_capacity(listed.len()),
        skipped: 0,
    };
    for row in listed {
        match read(row) {
            Some(row) => rows.read.push(row),
            None => rows.skipped += 1,
        }
    }
    Ok(rows)
}

#[derive(Deserialize)]
struct ProjectRow<'r> {
    #[serde(borrow)]
    id: Option<&'r RawValue>,
    slug: Option<&'r RawValue>,
    status: Option<&'r RawValue>,
    organization: Option<&'r RawValue>,
}

#[derive(Deserialize)]
struct OrganizationRow<'r> {
    #[serde(borrow)]
    slug: Option<&'r RawValue>,
}

fn project(row: &RawValue) -> Option<ListedProject> {
    let row: ProjectRow<'_> = serde_json::from_str(row.get()).ok()?;
    let organization: OrganizationRow<'_> = read(row.organization)?;
    let status: Option<String> = read(row.status);
    Some(ListedProject {
        id: number(row.id)?,
        organization: slug(organization.slug)?,
        slug: slug(row.slug)?,
        active: status.is_none_or(|status| status == "active"),
    })
}

#[derive(Deserialize)]
struct KeyRow<'r> {
    #[serde(borrow)]
    public: Option<&'r RawValue>,
    #[serde(rename = "isActive")]
    is_active: Option<&'r RawValue>,
    #[serde(rename = "projectId")]
    project_id: Option<&'r RawValue>,
    name: Option<&'r RawValue>,
    label: Option<&'r RawValue>,
    #[serde(rename = "rateLimit")]
    rate_limit: Option<&'r RawValue>,
}

#[derive(Deserialize)]
struct RateLimitRow {
    window: u64,
    count: u64,
}

fn key(row: &RawValue, asked: ProjectId) -> Option<ListedKey> {
    let row: KeyRow<'_> = serde_json::from_str(row.get()).ok()?;
    let public: String = read(row.public)?;
    let name: Option<String> = read(row.name).or_else(|| read(row.label));
    let limit: Option<RateLimitRow> = read(row.rate_limit);
    Some(ListedKey {
        key: Key::parse(public.as_bytes())?,
        // The row's own number counts: a short name may have passed to another
        // project since the projects were listed.
        project: number(row.project_id).unwrap_or(asked),
        enabled: read(row.is_active).unwrap_or(true),
        name: name
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME_CHARS_MAX)
            .collect(),
        rate_limit: limit
            .filter(|limit| limit.window > 0 && limit.count > 0)
            .map(|limit| RateLimit {
                count: limit.count,
                window_s: limit.window,
            }),
    })
}

/// A field, unless it is absent or of another form.
fn read<'r, T: Deserialize<'r>>(field: Option<&'r RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// A project's number, written as a string of digits or as a number.
fn number(field: Option<&RawValue>) -> Option<ProjectId> {
    ProjectId::parse(field?.get().trim_matches('"').as_bytes())
}

/// A short name that may stand as a part of a path.
fn slug(field: Option<&RawValue>) -> Option<String> {
    let slug: String = read(field)?;
    let fits = (1..=SLUG_BYTES_MAX).contains(&slug.len()) && slug != "." && slug != "..";
    fits.then_some(slug)
}

#[cfg(test)]
mod tests;

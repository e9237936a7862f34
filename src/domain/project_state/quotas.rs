//! A state's `quotas` (PROTOCOL 4.3) as our own. One that is counted otherwise than anything here
//! is left to Sentry, which counts it anyway; and so is one of what is kept of items of which
//! Sentry takes metrics when it keeps nothing of them (PROTOCOL 4.2).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ProjectState, StateQuotas, number, object, value};
use crate::domain::category::{Categories, Category};
use crate::domain::quota::{BUDGET, By, COUNTED_MAX, Limit, PER_MAX, Per, Quota, SHORTEST_WINDOW};

/// Quotas of one state, as many as a project of the configuration may have.
const QUOTAS_MAX: usize = 50;

/// The longest name; of Sentry's own reason codes the longest has 30.
const NAME_BYTES_MAX: usize = 64;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QuotaFields<'r> {
    #[serde(borrow)]
    id: Option<&'r RawValue>,
    #[serde(borrow)]
    categories: Option<&'r RawValue>,
    #[serde(borrow)]
    scope: Option<&'r RawValue>,
    #[serde(borrow)]
    scope_id: Option<&'r RawValue>,
    #[serde(borrow)]
    limit: Option<&'r RawValue>,
    #[serde(borrow)]
    window: Option<&'r RawValue>,
    #[serde(borrow)]
    namespace: Option<&'r RawValue>,
    #[serde(borrow)]
    reason_code: Option<&'r RawValue>,
}

/// For whom a quota is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Organization,
    Project,
    Key,
}

/// What one is counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Items,
    Bytes,
    /// Of which nothing here knows how many there are.
    Time,
}

/// Reads the list for the project and the keys of `state`.
pub(super) fn read(
    listed: &RawValue,
    state: &ProjectState,
    left_out: &mut BTreeSet<&'static str>,
) -> Option<StateQuotas> {
    let rows: Vec<&RawValue> = value(Some(listed))?;
    let mut read = StateQuotas::default();
    for (place, row) in rows.iter().enumerate() {
        let quota = match place < QUOTAS_MAX {
            true => object(row.get()).map_or(Err(UNKNOWN), quota),
            false => Err(UNKNOWN),
        };
        let Found(scope, id, quota) = match quota {
            Ok(found) => found,
            Err(words) => {
                left_out.insert(words);
                continue;
            }
        };
        // Without a limit it only counts.
        let Some(quota) = quota else { continue };
        let meant = |own: Option<u64>| match id {
            Id::Every => true,
            Id::One(id) => own == Some(id),
            Id::Nobody => false,
        };
        match scope {
            Scope::Organization if meant(state.organization) => put(&mut read.organization, quota),
            Scope::Project if meant(state.project.map(|own| own.get())) => {
                put(&mut read.project, quota);
            }
            Scope::Organization | Scope::Project => {}
            Scope::Key => {
                for own in state.keys.iter().filter(|own| meant(own.numeric)) {
                    match read.keys.iter_mut().find(|(key, _)| *key == own.key) {
                        Some((_, quotas)) => put(quotas, quota.clone()),
                        None => read.keys.push((own.key, vec![quota.clone()])),
                    }
                }
            }
        }
    }
    Some(read)
}

/// Whose quota it is.
enum Id {
    Every,
    One(u64),
    Nobody,
}

/// A quota with its scope; `None` for one without a limit.
struct Found(Scope, Id, Option<Quota>);

/// What is left out of it: something that nothing here can do, or all of it that is met here.
const UNKNOWN: &str = "quotas";
const KEPT: &str = "quotas of transaction_indexed, profile_indexed or span_indexed";

/// The error: what to say of one that nothing here can do.
fn quota(row: QuotaFields<'_>) -> Result<Found, &'static str> {
    let listed: Vec<String> = match row.categories {
        // Without a limit it only counts, whatever that is.
        Some(listed) if row.limit.is_some() => value(Some(listed)).ok_or(UNKNOWN)?,
        Some(_) | None => Vec::new(),
    };
    let known = listed.iter().filter_map(|name| Category::of_name(name));
    let (kept, whole): (Vec<Category>, Vec<Category>) =
        known.partition(|category| Categories::KEPT.has(*category));
    match (listed.is_empty(), whole.is_empty(), kept.is_empty()) {
        (false, true, false) => Err(KEPT),
        (false, true, true) => Err(UNKNOWN),
        (true, _, _) | (false, false, _) => of_categories(row, &whole).ok_or(UNKNOWN),
    }
}

/// One on these categories; without any it is on all. `None`: nothing here can do it.
fn of_categories(row: QuotaFields<'_>, on: &[Category]) -> Option<Found> {
    let scope = match value::<String>(row.scope).as_deref() {
        None | Some("organization") => Scope::Organization,
        Some("project") => Scope::Project,
        Some("key") => Scope::Key,
        Some(_) => return None,
    };
    let id = match row.scope_id {
        None => Id::Every,
        some => number(some).map_or(Id::Nobody, Id::One),
    };
    // A namespace is one of metrics.
    if row.namespace.is_some() {
        return None;
    }
    let Some(limit) = row.limit else {
        return Some(Found(scope, id, None));
    };
    let limit = number(Some(limit)).filter(|limit| *limit <= COUNTED_MAX)?;
    let time = match row.window {
        // Whatever comes is refused: how long it counts does not matter.
        None if limit == 0 => SHORTEST_WINDOW,
        window => Duration::from_secs(number(window)?),
    };
    let per = Per::of(time).filter(|_| time <= PER_MAX)?;
    let (categories, unit) = (Categories::of(on), unit_of(on)?);
    let limit = match unit {
        Unit::Items => Limit::Items(limit),
        Unit::Bytes => Limit::Bytes(limit),
        // Nothing at all is as much time as no time.
        Unit::Time if limit == 0 => Limit::Items(0),
        Unit::Time => return None,
    };
    let by = match scope {
        Scope::Organization | Scope::Project => By::Project,
        Scope::Key => By::Key,
    };
    let name = name(row.reason_code).or_else(|| name(row.id));
    let name = name.unwrap_or_else(|| Quota::default_name(categories, per, by));
    Some(Found(
        scope,
        id,
        Some(Quota {
            name: name.into(),
            categories,
            limit,
            per,
            by,
        }),
    ))
}

/// What is counted of categories; of all of them items. `None`: of one otherwise than of another.
fn unit_of(categories: &[Category]) -> Option<Unit> {
    let mut units = categories.iter().map(|category| unit(*category));
    let first = units.next().unwrap_or(Unit::Items);
    let same = units.all(|unit| unit == first);
    same.then_some(first)
}

/// What Sentry counts of a category: an attachment in bytes, a profile's duration in time.
fn unit(category: Category) -> Unit {
    if category.is_bytes() || category == Category::Attachment {
        return Unit::Bytes;
    }
    let time = [
        Category::ProfileDuration,
        Category::ProfileDurationUi,
        Category::MetricSecond,
    ];
    match time.contains(&category) {
        true => Unit::Time,
        false => Unit::Items,
    }
}

/// A name of ours: it goes into headers, labels and the journal.
fn name(field: Option<&RawValue>) -> Option<String> {
    let name: String = value(field)?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(safe);
    (fits && name != BUDGET).then_some(name)
}

/// Adds one under a name that no other has.
fn put(quotas: &mut Vec<Quota>, mut quota: Quota) {
    let plain = quota.name.clone();
    let mut count = 1;
    while quotas.iter().any(|other| other.name == quota.name) {
        count += 1;
        quota.name = format!("{plain}-{count}").into();
    }
    quotas.push(quota);
}

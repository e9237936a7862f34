//! What is kept, as a person reads it. Asks nobody.

use crate::domain::units::about_size as size;
use crate::telemetry::clock::lasting;

use super::super::plain;
use super::{FullShare, KeptFor, Overview};

/// What is kept, line by line.
pub(super) fn table(overview: &Overview) -> Vec<String> {
    let mut lines = vec![format!(
        "{} items in {} requests, {} of {}, oldest {}{}{}{}",
        overview.items,
        overview.requests,
        size(overview.bytes),
        size(overview.bytes_max),
        oldest(overview),
        aside(overview),
        paused(overview),
        maintained(overview),
    )];
    lines.extend(foretold(overview));
    lines.extend(waits_for(overview));
    lines.extend(overview.full_shares.iter().map(full));
    if overview.more_full_shares > 0 {
        lines.push(format!(
            "{} more shares are full",
            overview.more_full_shares
        ));
    }
    if overview.projects.is_empty() {
        return lines;
    }
    lines.push(format!(
        "{:>12}  {:>10}  {:>10}  {:>8}",
        "project", "requests", "size", "oldest"
    ));
    lines.extend(overview.projects.iter().map(|held| {
        let project = held.project.map_or("none".to_owned(), |id| id.to_string());
        let (size, age) = (size(held.bytes), lasting(held.oldest_s));
        format!("{project:>12}  {:>10}  {size:>10}  {age:>8}", held.requests)
    }));
    if overview.more_projects > 0 {
        lines.push(format!("and {} more", overview.more_projects));
    }
    lines
}

/// How old the oldest is, how old it may become, and when the first are given up if that is
/// near.
fn oldest(overview: &Overview) -> String {
    let most = overview.max_age_s.map(lasting);
    let most = most.map_or_else(String::new, |most| format!(" of {most}"));
    let left = overview.forecast.as_ref();
    let left = left.and_then(|forecast| forecast.expires_in_s).map(lasting);
    let left = left.map_or_else(String::new, |left| format!("; the first expire in {left}"));
    format!("{}{most}{left}", lasting(overview.oldest_s))
}

/// What the upstream never takes while it takes others.
fn aside(overview: &Overview) -> String {
    match overview.aside {
        0 => String::new(),
        aside => format!("; {aside} set aside"),
    }
}

/// What becomes of what is kept, if anything is.
fn foretold(overview: &Overview) -> Option<String> {
    let forecast = overview.forecast.as_ref();
    let forecast = forecast.filter(|_| overview.requests > 0)?;
    let time = lasting(forecast.in_s.unwrap_or(0));
    Some(match &*forecast.course {
        "empties" => format!("at this rate all of it is sent in about {time}"),
        "fills" => format!("at this rate there is no room left in about {time}"),
        "steady" => "at this rate it is neither sent nor full before the first expire".to_owned(),
        _ => "when it is sent, or full, is not known yet".to_owned(),
    })
}

/// Who is to have it, where that is not the one Sentry that every edge has.
fn waits_for(overview: &Overview) -> Vec<String> {
    let elsewhere = |to: &KeptFor| to.name.as_deref() != Some("ingest");
    if !overview.upstreams.iter().any(elsewhere) {
        return Vec::new();
    }
    let lines = overview.upstreams.iter().map(|to| {
        let whom = to
            .name
            .as_deref()
            .map_or("a mirror that is not configured any more".to_owned(), plain);
        let (requests, oldest) = (to.requests, lasting(to.oldest_s));
        format!("for {whom}: {requests} requests, oldest {oldest}")
    });
    lines.collect()
}

/// That a share is full.
fn full(share: &FullShare) -> String {
    let whose = match (&*share.share, share.project) {
        ("project", Some(project)) => format!("project {project}"),
        ("project", None) => "requests of no project".to_owned(),
        _ => "keys that nobody vouches for".to_owned(),
    };
    let (has, may) = (size(share.bytes), size(share.bytes_max));
    format!("full: {whose}, {has} of {may}; nothing more of it is kept")
}

/// That it is paused, and since when.
fn paused(overview: &Overview) -> String {
    match (overview.paused, &overview.paused_since) {
        (false, _) => String::new(),
        (true, None) => "; paused".to_owned(),
        (true, Some(since)) => format!("; paused since {}", moment(since)),
    }
}

/// That maintenance holds it, and until when.
fn maintained(overview: &Overview) -> String {
    let until = overview.maintenance.as_ref();
    until.map_or_else(String::new, |held| {
        format!("; held by maintenance until {}", moment(&held.until))
    })
}

/// A moment of the edge's as a person reads it: `2026-11-26 14:05 UTC`.
pub(super) fn moment(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(time)) => plain(&format!("{day} {time} UTC")),
        _ => plain(rfc3339),
    }
}

//! What an operator sees and steers of what is kept: the spool, and maintenance.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, UNIX_EPOCH};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::endpoint::ProjectId;
use crate::domain::units::about_size;
use crate::policy::outlook::Forecast;
use crate::telemetry::clock::{lasting, rfc3339};
use crate::telemetry::kept::SpoolReading;
use crate::telemetry::process;

use super::{Answer, Desk, error_answer, get, json_answer, not_allowed};
use crate::server::spool::Overview;
use crate::server::spool::prospect::Prospect;
use crate::server::spool::shares::{FullShare, FullShares, Whose};
use crate::server::worker::Shared;

/// The longest maintenance: longer is a slip of the unit, and fills any disk.
const MAINTENANCE_S_MAX: u64 = 7 * 86_400;

const NO_SPOOL: &str = "there is no spool: spool.path is off, or cannot be used";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
    for_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steer {
    paused: bool,
}

impl Desk {
    /// `/api/v1/maintenance`.
    pub(super) fn maintenance(&self, method: &Method, body: &[u8]) -> Answer {
        if method != Method::POST {
            return match get(method, || told(&self.shared)) {
                answer if answer.status() == StatusCode::METHOD_NOT_ALLOWED => {
                    not_allowed("GET, HEAD, POST")
                }
                answer => answer,
            };
        }
        let Ok(switch) = serde_json::from_slice::<Switch>(body) else {
            let detail = "write {\"on\": true, \"for_s\": 2400} or {\"on\": false}";
            return error_answer(StatusCode::BAD_REQUEST, detail);
        };
        let now_s = process::now_s();
        let until = match (switch.on, switch.for_s) {
            (false, _) => None,
            (true, Some(for_s @ 1..=MAINTENANCE_S_MAX)) => Some(now_s + for_s),
            (true, _) => {
                let detail = "for_s says for how long, in seconds: from 1 to 604800 (7 days)";
                return error_answer(StatusCode::BAD_REQUEST, detail);
            }
        };
        if until.is_some() && !self.shared.spool.is_open() {
            return error_answer(StatusCode::CONFLICT, NO_SPOOL);
        }
        self.shared.maintenance.set(until, now_s);
        self.reloader.keep_maintenance();
        match until {
            Some(_) => tracing::info!("maintenance is on: every event is kept"),
            None => tracing::info!("maintenance is off"),
        }
        told(&self.shared)
    }

    /// `/api/v1/spool`.
    pub(super) async fn spool(&self, method: &Method, query: Option<&str>, body: &[u8]) -> Answer {
        let spool = &self.shared.spool;
        if !spool.is_open() {
            return error_answer(StatusCode::NOT_FOUND, NO_SPOOL);
        }
        match *method {
            Method::GET | Method::HEAD => match spool.overview().await {
                Some(overview) => json_answer(StatusCode::OK, &shown(&self.shared, &overview)),
                None => busy(),
            },
            Method::POST => {
                let Ok(steer) = serde_json::from_slice::<Steer>(body) else {
                    let detail = "write {\"paused\": true} or {\"paused\": false}";
                    return error_answer(StatusCode::BAD_REQUEST, detail);
                };
                spool.pause(steer.paused, process::now_s());
                let told = json!({
                    "paused": steer.paused,
                    "paused_since": spool.state().pause.since_unix_s().map(moment),
                    "outlives_restart": self.reloader.keep_pause(),
                });
                json_answer(StatusCode::OK, &told)
            }
            Method::DELETE => {
                let project = match query.map(project) {
                    None => None,
                    Some(Some(project)) => Some(project),
                    Some(None) => {
                        let detail = "DELETE takes ?project=<number>, or nothing for all";
                        return error_answer(StatusCode::BAD_REQUEST, detail);
                    }
                };
                self.drop_kept(project).await
            }
            _ => not_allowed("GET, HEAD, POST, DELETE"),
        }
    }
}

impl Desk {
    /// Drops what is kept of a project, or of all: for the first Sentry, and then its copies, of
    /// which no more are made meanwhile.
    async fn drop_kept(&self, project: Option<ProjectId>) -> Answer {
        let Some(dropped) = self.shared.spool.purge(project).await else {
            return busy();
        };
        let copies = self.shared.mirrors.drop_copies(project).await;
        tracing::warn!(dropped, copies, "what was kept was dropped by an operator");
        match copies {
            Some(copies) => {
                let told = json!({"dropped": dropped, "copies": copies});
                json_answer(StatusCode::OK, &told)
            }
            None => {
                let detail = "what was kept is dropped, but a mirror's thread does not answer: \
                              its copies may stay";
                error_answer(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

fn busy() -> Answer {
    let detail = "the spool's thread does not answer";
    error_answer(StatusCode::SERVICE_UNAVAILABLE, detail)
}

fn project(query: &str) -> Option<ProjectId> {
    ProjectId::parse(query.strip_prefix("project=")?.as_bytes())
}

fn told(shared: &Shared) -> Answer {
    json_answer(StatusCode::OK, &json!({"maintenance": maintenance(shared)}))
}

/// Maintenance, as `status` has it too.
pub(super) fn maintenance(shared: &Shared) -> Value {
    let until = shared.maintenance.until_unix_s();
    until.map_or(Value::Null, |until_s| {
        json!({"until": moment(until_s), "left_s": until_s.saturating_sub(process::now_s())})
    })
}

/// A moment of Unix time, as the API writes it.
fn moment(unix_s: u64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s))
}

/// The spool in the metrics.
pub(super) fn reading(shared: &Shared) -> SpoolReading {
    let state = shared.spool.state();
    SpoolReading {
        items: state.items.load(Relaxed),
        bytes: state.bytes.load(Relaxed),
        bytes_max: if shared.spool.is_open() {
            shared.rules.load().config.spool.max_bytes
        } else {
            0
        },
        oldest_s: state.oldest_s.load(Relaxed),
        appended: state.appended.load(Relaxed),
        replayed: state.replayed.load(Relaxed),
        expired: state.expired.load(Relaxed),
        damaged: state.damaged.load(Relaxed),
        duplicates: state.duplicates.load(Relaxed),
        unprotected: shared.spool.unprotected(),
    }
}

/// What of it is not as it should be, in words.
pub(super) fn reasons(shared: &Shared) -> Vec<String> {
    let mut reasons = Vec::new();
    let (spool, state) = (&shared.spool, shared.spool.state());
    let prospect = prospect(shared);
    if spool.has_failed() {
        let detail = "spool: spool.path cannot be used; what the upstream does not take is lost";
        reasons.push(detail.to_owned());
    } else if state.failing.load(Relaxed) {
        reasons.push("spool: its disk fails; what the upstream does not take is lost".to_owned());
    } else if state.full.load(Relaxed) {
        reasons.push("spool: it is full; what the upstream does not take is lost".to_owned());
    } else if !state.is_empty() {
        let items = state.items.load(Relaxed);
        let bytes = about_size(state.bytes.load(Relaxed));
        let most = about_size(shared.rules.load().config.spool.max_bytes);
        let oldest = lasting(state.oldest_s.load(Relaxed));
        let then = foretold(prospect.forecast);
        reasons.push(format!(
            "spool: {items} items wait for the upstream, {bytes} of {most}, the oldest for {oldest}{then}"
        ));
    }
    let aside = state.aside.load(Relaxed);
    if aside > 0 {
        reasons.push(format!(
            "spool: {aside} requests are set aside: the upstream takes others and never them"
        ));
    }
    if state.holds_for_nobody() {
        let detail = "spool: some of it waits for a mirror that is not configured any more: add \
                      it again and restart, or vidette spool drop";
        reasons.push(detail.to_owned());
    }
    reasons.extend(growing_old(&prospect));
    reasons.extend(full_shares(&state.full_shares()));
    if let Some(since_s) = state.pause.since_unix_s() {
        let since = moment(since_s);
        reasons.push(format!(
            "spool: paused since {since}; vidette spool drain goes on"
        ));
    }
    if shared.maintenance.is_on() {
        let left_s = shared.maintenance.until_unix_s().unwrap_or(0);
        let left_min = left_s.saturating_sub(process::now_s()).div_ceil(60);
        let away = !shared.rules.load().gate.moves.map().upstreams().is_empty();
        reasons.push(worked_on(left_min, away));
    }
    reasons
}

/// That Sentry is worked on; `away`: `dsn_map` leads some to another one, which goes on.
fn worked_on(left_min: u64, away: bool) -> String {
    let but = match away {
        true => " but those that dsn_map leads to another upstream: they are sent",
        false => "",
    };
    format!("maintenance is on for {left_min} min more: every event is kept{but}")
}

fn prospect(shared: &Shared) -> Prospect {
    let now = shared.millis(Instant::now());
    let rules = shared.rules.load();
    shared.spool.prospect(now, &rules.config.spool)
}

/// What becomes of what is kept, behind how much that is.
fn foretold(forecast: Forecast) -> String {
    match forecast {
        Forecast::Unknown => "; for how long is not known yet".to_owned(),
        Forecast::Empty { in_s } => format!("; all are sent in about {}", lasting(in_s)),
        Forecast::Full { in_s } => format!("; it fills in about {} at this rate", lasting(in_s)),
        Forecast::Steady => String::new(),
    }
}

/// That the first of it is soon given up, if it is.
fn growing_old(prospect: &Prospect) -> Option<String> {
    let oldest = lasting(prospect.standing.oldest_s);
    let most = lasting(prospect.standing.max_age_ms / 1000);
    let left = lasting(prospect.expires_in_s?);
    Some(format!(
        "spool: the oldest has waited {oldest} of {most} (spool.max_age); the first expire in {left}"
    ))
}

/// What becomes of what is kept, for a program.
fn told_prospect(prospect: &Prospect) -> Value {
    let forecast = prospect.forecast;
    json!({
        "course": forecast.name(),
        "in_s": forecast.in_s(),
        "expires_in_s": prospect.expires_in_s,
    })
}

/// Whose share is full, in one line.
fn full_shares(full: &FullShares) -> Option<String> {
    // Small shares are told in the unit in which they differ.
    let of = |share: &FullShare| match share.bytes_max >> 20 {
        0..10 => format!(
            "{} of {} KiB",
            share.bytes.div_ceil(1 << 10),
            share.bytes_max >> 10
        ),
        most => format!("{} of {most} MiB", share.bytes.div_ceil(1 << 20)),
    };
    let mut named: Vec<String> = full
        .shown
        .iter()
        .map(|share| match share.whose {
            Whose::Strangers => format!("keys that nobody vouches for ({})", of(share)),
            Whose::Project(Some(project)) => format!("project {project} ({})", of(share)),
            Whose::Project(None) => format!("requests of no project ({})", of(share)),
        })
        .collect();
    if full.more > 0 {
        named.push(format!("{} more", full.more));
    }
    let named = named.join(", ");
    (!named.is_empty())
        .then(|| format!("spool: shares are full, of which nothing more is kept: {named}"))
}

/// Whose share is full, for a program.
fn told_shares(full: &FullShares) -> Value {
    let shares = full.shown.iter().map(|share| {
        let (whose, project) = match share.whose {
            Whose::Strangers => ("strangers", None),
            Whose::Project(project) => ("project", project),
        };
        json!({
            "share": whose,
            "project": project.map(ProjectId::get),
            "bytes": share.bytes,
            "bytes_max": share.bytes_max,
        })
    });
    shares.collect()
}

/// The spool in `status`.
pub(super) fn spool(shared: &Shared) -> Value {
    let state = shared.spool.state();
    let full = state.full_shares();
    json!({
        "full_shares": told_shares(&full),
        "forecast": told_prospect(&prospect(shared)),
        "more_full_shares": full.more,
        "items": state.items.load(Relaxed),
        "bytes": state.bytes.load(Relaxed),
        "oldest_s": state.oldest_s.load(Relaxed),
        "aside": state.aside.load(Relaxed),
        "paused": state.pause.is_on(),
        "paused_since": state.pause.since_unix_s().map(moment),
    })
}

fn shown(shared: &Shared, overview: &Overview) -> Value {
    let prospect = prospect(shared);
    let projects = overview.projects.iter().map(|held| {
        json!({
            "project": held.project.map(ProjectId::get),
            "requests": held.requests,
            "bytes": held.bytes,
            "oldest_s": held.oldest_s,
        })
    });
    let rules = shared.rules.load();
    let destinations = overview.destinations.iter().map(|held| {
        json!({
            "name": held.to.map(|to| rules.target(to).name.clone()),
            "requests": held.requests,
            "oldest_s": held.oldest_s,
        })
    });
    json!({
        "items": overview.items,
        "requests": overview.requests,
        "bytes": overview.bytes,
        "bytes_max": overview.bytes_max,
        "oldest_s": overview.oldest_s,
        "aside": overview.aside,
        "paused": overview.paused_since_unix_s.is_some(),
        "paused_since": overview.paused_since_unix_s.map(moment),
        "maintenance": maintenance(shared),
        "projects": projects.collect::<Vec<_>>(),
        "more_projects": overview.more_projects,
        "upstreams": destinations.collect::<Vec<_>>(),
        "full_shares": told_shares(&overview.full),
        "max_age_s": prospect.standing.max_age_ms / 1000,
        "forecast": told_prospect(&prospect),
        "more_full_shares": overview.full.more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: &[(Whose, u64, u64)], more: u64, want: Option<&str>) {
        let shown = shown.iter().map(|(whose, bytes, bytes_max)| FullShare {
            whose: *whose,
            bytes: *bytes,
            bytes_max: *bytes_max,
        });
        let full = FullShares {
            shown: shown.collect(),
            more,
        };
        let want = want
            .map(|want| format!("spool: shares are full, of which nothing more is kept: {want}"));
        assert_eq!(full_shares(&full), want);
    }

    #[test]
    fn full_shares_are_one_line_with_used_and_allowed() {
        let project = |text: &[u8]| Whose::Project(ProjectId::parse(text));
        check(&[], 0, None);
        check(
            &[(project(b"42"), (2 << 30) - 9, 2 << 30)],
            0,
            Some("project 42 (2048 of 2048 MiB)"),
        );
        check(
            &[
                (Whose::Strangers, 40 << 10, 52_420),
                (Whose::Project(None), 10 << 20, 10 << 20),
            ],
            3,
            Some(
                "keys that nobody vouches for (40 of 51 KiB), requests of no project (10 of 10 MiB), 3 more",
            ),
        );
    }

    #[test]
    fn maintenance_keeps_no_event_of_another_sentry() {
        let kept = "maintenance is on for 5 min more: every event is kept";
        assert_eq!(worked_on(5, false), kept);
        let but = " but those that dsn_map leads to another upstream: they are sent";
        assert_eq!(worked_on(5, true), format!("{kept}{but}"));
    }

    #[test]
    fn what_is_to_come_is_said_as_far_as_it_is_known() {
        for (forecast, want) in [
            (Forecast::Unknown, "; for how long is not known yet"),
            (
                Forecast::Empty { in_s: 240 },
                "; all are sent in about 4 min",
            ),
            (
                Forecast::Full { in_s: 10_900 },
                "; it fills in about 3 h at this rate",
            ),
            (Forecast::Steady, ""),
        ] {
            assert_eq!(foretold(forecast), want);
        }
    }

    #[test]
    fn an_age_near_its_end_is_said_with_what_is_left() {
        let prospect = |expires_in_s| Prospect {
            standing: crate::policy::outlook::Standing {
                oldest_s: 64_800,
                max_age_ms: 86_400_000,
                ..Default::default()
            },
            forecast: Forecast::Unknown,
            expires_in_s,
        };
        assert_eq!(growing_old(&prospect(None)), None);
        let want =
            "spool: the oldest has waited 18 h of 24 h (spool.max_age); the first expire in 6 h";
        assert_eq!(growing_old(&prospect(Some(21_600))).as_deref(), Some(want));
    }
}

//! What Sentry and Relay's files tell of projects, for whoever asks: how far they do, and what of
//! one project is in force here. Reads, never asks Sentry.

use serde_json::{Value, json};

use crate::config::{Config, KeyMode};
use crate::domain::endpoint::ProjectId;
use crate::domain::incident::{Condition, Kind};
use crate::domain::project_state::ProjectState;
use crate::policy::Mode;
use crate::policy::millis::Millis;
use crate::server::sentry::states::keep::Standing;
use crate::server::sentry::states::known::Teller;
use crate::telemetry::clock::{lasting, rfc3339};

use super::{Desk, STRICT_READS};

/// For how long Sentry may be away until somebody should know: it is upgraded in less.
const STALE_S: u64 = 600;

/// Why the light is amber where `strict` is not kept.
const LAX: &str = "keys.mode strict is not in force: Sentry does not say which keys are good, and \
                   who is not known passes meanwhile, as with learn";

/// That Sentry says no more how its projects are set: at once where it refuses to, after ten
/// minutes where it is away.
pub(in crate::server) fn untold(desk: &Desk, now: Millis) -> Option<Condition> {
    trouble(&*desk.reloader.states()?, now)
}

fn trouble(standing: &Standing, now: Millis) -> Option<Condition> {
    let (failing, since) = (standing.failing.as_deref()?, standing.failing_since?);
    let for_s = now.since(since) / 1000;
    if !standing.refused && for_s < STALE_S {
        return None;
    }
    let says = match standing.refused {
        true => failing.to_owned(),
        false => format!(
            "nothing was heard of projects for {}: {failing}",
            lasting(for_s)
        ),
    };
    Some(Condition::new(Kind::StatesStale, "sentry", &says))
}

/// What is not as it should be, in words.
pub(super) fn reasons(desk: &Desk) -> Vec<String> {
    let states = desk.reloader.states();
    let lax = is_lax(desk, states.as_deref()).then(|| LAX.to_owned());
    let failing = states.and_then(|standing| standing.failing.clone());
    let failing = failing.map(|failing| format!("what Sentry says of projects: {failing}"));
    let files = desk.reloader.file_faults().into_iter();
    let awaits = desk.reloader.awaits_files();
    failing
        .into_iter()
        .chain(files.map(|fault| format!("sentry.projects: {fault}")))
        .chain(lax)
        .chain(awaits.then(|| STRICT_READS.to_owned()))
        .collect()
}

/// Whether `strict` lets in whom nobody knows: Sentry is to say of each key whether it is good,
/// and does not.
fn is_lax(desk: &Desk, states: Option<&Standing>) -> bool {
    let rules = desk.shared.rules.load();
    let learns = rules.gate.mode == Mode::Learn && !rules.gate.awaits_list;
    let strict = desk.reloader.config().keys.mode == KeyMode::Strict;
    // Where it is asked for none, `strict` waits for files.
    let says = states.is_none_or(|standing| standing.registered && standing.failing.is_none());
    strict && learns && !says
}

/// What Sentry does not tell, and what counts instead: worth knowing, and nothing is wrong.
pub(super) fn notes(desk: &Desk) -> Vec<String> {
    let Some(standing) = desk.reloader.states() else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if standing.limited {
        notes.push(
            "Sentry keeps quotas from this relay, which is none of its own: they are learned from \
             its answers to events"
                .to_owned(),
        );
    }
    if standing.withheld > 0 {
        let keys = standing.withheld;
        notes.push(format!(
            "of {keys} keys Sentry says no more than that they are disabled, as it does to a relay \
             that their organization does not trust: what it answers to their events counts"
        ));
    }
    notes
}

/// How far Sentry is asked and tells, and what of files cannot be read.
pub(super) fn summary(desk: &Desk) -> (Value, Value) {
    let states = desk.reloader.states();
    let files = desk.reloader.config().project_files.is_some();
    let faults = desk.reloader.file_faults();
    (
        states.map_or(Value::Null, |standing| told(&standing)),
        match files {
            true => json!({"faults": faults}),
            false => Value::Null,
        },
    )
}

fn told(standing: &Standing) -> Value {
    let census = &standing.census;
    json!({
        "relay": standing.relay,
        "registered": standing.registered,
        "quotas_given": !standing.limited,
        "keys": standing.states,
        "asked_for": census.keys,
        "waiting": census.waiting,
        "pending": census.pending,
        "turned_away": census.turned_away,
        "withheld": standing.withheld,
        "unreadable": standing.unreadable,
        "last_success": standing.last_success.map(rfc3339),
        "failing": standing.failing,
        "stopped": standing.stopped,
    })
}

/// What is told of one project, and whose word on it is in force; `None`: nothing is told.
pub(super) fn project(desk: &Desk, project: ProjectId) -> Value {
    let config = desk.reloader.config();
    let told = desk.reloader.told_of(project, |teller, state| {
        one(&config, project, teller, state)
    });
    told.unwrap_or(Value::Null)
}

fn one(config: &Config, project: ProjectId, teller: Teller, state: &ProjectState) -> Value {
    let teller = match teller {
        Teller::File => "file",
        Teller::Sentry => "sentry",
    };
    let own = config.projects.iter().find(|own| own.id == project);
    let origins = own.is_some_and(|own| own.allowed_origins.is_some());
    let filters = own.is_some_and(|own| own.filters.is_some());
    let samples = own.is_some_and(|own| own.sample.is_some());
    let from = |own: bool, told: bool| match (own, told) {
        (true, _) => "configuration",
        (false, true) => teller,
        (false, false) => "defaults",
    };
    let allowed = state.allowed_domains.as_ref();
    let named = |quotas: &[crate::domain::quota::Quota]| {
        let names = quotas.iter().map(|quota| quota.name.to_string());
        names.collect::<Vec<_>>()
    };
    let quotas = state.quotas.as_ref().map(|quotas| {
        json!({
            "organization": named(&quotas.organization),
            "project": named(&quotas.project),
            "keys": quotas.keys.iter().map(|(_, own)| own.len()).sum::<usize>(),
        })
    });
    json!({
        "by": teller,
        "slug": state.slug,
        "organization": state.organization,
        "rev": state.rev,
        "allowed_origins": from(origins, allowed.is_some_and(|allowed| !allowed.is_any())),
        "filters": from(filters, state.filters.as_ref().is_some_and(|told| *told != Default::default())),
        "sampling": from(samples, state.sampling.rules().is_some()),
        "quotas": quotas,
        "left_to_sentry": state.left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refused: bool, failing: Option<&str>, for_ms: u64, want: Option<&str>) {
        let since = Millis(5_000);
        let standing = Standing {
            failing: failing.map(str::to_owned),
            failing_since: failing.map(|_| since),
            refused,
            ..Standing::default()
        };
        let holds = trouble(&standing, since.plus(for_ms));
        let says = holds.as_ref().map(|one| one.says.as_str());
        assert_eq!(says, want, "after {for_ms} ms, refused: {refused}");
        assert!(holds.is_none_or(|one| one.kind == Kind::StatesStale));
    }

    #[test]
    fn a_sentry_that_refuses_is_told_of_at_once_and_one_that_is_away_after_ten_minutes() {
        check(false, None, 3_600_000, None);
        check(true, Some("no"), 0, Some("no"));
        check(false, Some("away"), 0, None);
        check(false, Some("away"), 599_999, None);
        let away = "nothing was heard of projects for 10 min: away";
        check(false, Some("away"), 600_000, Some(away));
    }
}

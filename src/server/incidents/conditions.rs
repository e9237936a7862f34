//! What is the matter now, by the state of the edge and by its counters. Reads what is there
//! already; never probes, and never waits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use crate::domain::client_ip::Source;
use crate::domain::incident::{Condition, Kind, Severity};
use crate::domain::outcome::Reason;
use crate::policy::breaker::State;
use crate::policy::disk_guard::Stage;
use crate::policy::incidents::signs::Reading;
use crate::policy::incidents::{Looked, Loss};
use crate::policy::millis::Millis;
use crate::telemetry::clock::lasting;
use crate::telemetry::labels::{Ending, Route, Upstream};
use crate::telemetry::ledger::Line;
use crate::telemetry::metrics::{Metrics, STATUSES};
use crate::tls::Standing;

use crate::server::admin::{self, Desk};
use crate::server::entrance;
use crate::server::worker::Shared;

/// What is kept has waited long, as for the alert.
const OLD_S: u64 = 600;

/// Names that do not resolve yet are looked up still.
const LOOKED_UP_MS: u64 = 10_000;

/// What holds by the state of the edge, pages first.
pub(super) fn states(desk: &Desk, now: Millis) -> Vec<Condition> {
    let shared = &*desk.shared;
    let mut holding = Vec::new();
    if !admin::is_safe(shared) {
        let says = "the edge neither delivers nor keeps: events are refused";
        holding.push(Condition::new(Kind::NotAccepting, "edge", says));
    }
    holding.extend(spool(shared));
    let guarded = shared.disks.read();
    if guarded.stage != Stage::Open {
        let kept_here = guarded.stage.words(guarded.errors);
        let disk = guarded
            .fullest()
            .map_or_else(String::new, |disk| disk.words());
        let says = format!("{disk}; the disk guard keeps here: {kept_here}");
        holding.push(Condition::new(Kind::DiskGuard, "disks", &says));
    }
    holding.extend(upstreams(shared, now));
    if let Some(says) = admin::sharing_reasons(&shared.shared_quota) {
        holding.push(Condition::new(Kind::SharedQuotaAway, "edge", &says));
    }
    certificates(shared, &mut holding);
    if let Some(error) = desk.reloader.refused() {
        let says = format!("the changed configuration was refused: {error}");
        holding.push(Condition::new(Kind::ReloadRefused, "configuration", &says));
    }
    holding
}

/// Whether what does not hold was looked for: of the sources that look only at times, or may end.
pub(super) fn looked(desk: &Desk, kind: Kind, subject: &str) -> Looked {
    let shared = &*desk.shared;
    let in_maintenance = shared.maintenance.is_on();
    let (is_held, is_watched) = match kind {
        // Nobody asks it for anything in maintenance.
        Kind::NotDelivering => {
            let rules = shared.rules.load();
            let mut targets = rules.targets().into_values();
            (in_maintenance, targets.any(|target| target.name == subject))
        }
        Kind::SpoolOld => {
            let is_old = shared.spool.state().oldest_s.load(Relaxed) > OLD_S;
            (in_maintenance && is_old, true)
        }
        Kind::CanaryMissing => return desk.canary.looked(),
        Kind::ProjectSilent | Kind::Spike => {
            let rules = shared.rules.load();
            (false, shared.habits.looks(&rules.config, kind, subject))
        }
        Kind::StatesStale => (false, desk.reloader.states().is_some()),
        Kind::SharedQuotaAway => (false, shared.shared_quota.read().is_some()),
        Kind::NotAccepting
        | Kind::Loss
        | Kind::SpoolFilling
        | Kind::IngestErrors
        | Kind::DiskGuard
        | Kind::ProjectLimited
        | Kind::ClientLoop
        | Kind::UnknownKeys
        | Kind::PrivateClients
        | Kind::Certificate
        | Kind::ReloadRefused => (false, true),
    };
    match (is_watched, is_held) {
        (false, _) => Looked::Unwatched,
        (true, true) => Looked::Suspended,
        (true, false) => Looked::Gone,
    }
}

fn spool(shared: &Shared) -> Vec<Condition> {
    let mut holding = Vec::new();
    let (spool, state) = (&shared.spool, shared.spool.state());
    if !spool.is_open() {
        return holding;
    }
    let oldest_s = state.oldest_s.load(Relaxed);
    // What waits in maintenance is meant to.
    if oldest_s > OLD_S && !shared.maintenance.is_on() {
        let oldest = lasting(oldest_s);
        let says = format!("an event has been kept for {oldest}, and is not sent");
        holding.push(Condition::new(Kind::SpoolOld, "spool", &says));
    }
    let (bytes, most) = (
        state.bytes.load(Relaxed),
        shared.rules.load().config.spool.max_bytes,
    );
    if u128::from(bytes) * 10 > u128::from(most) * 7 {
        let (used, most) = (bytes.div_ceil(1 << 20), most >> 20);
        let says = format!("{used} of {most} MiB that may be kept are");
        holding.push(Condition::new(Kind::SpoolFilling, "spool", &says));
    }
    holding
}

fn upstreams(shared: &Shared, now: Millis) -> Vec<Condition> {
    let rules = shared.rules.load();
    // Nobody asks it for anything then.
    if shared.maintenance.is_on() {
        return Vec::new();
    }
    let keeps = admin::keeps(shared);
    let targets = rules.targets().into_values();
    let holding = targets.filter_map(|target| {
        let unknown = target.addresses().is_empty() && now.0 > LOOKED_UP_MS;
        if target.breaker.state() == State::Closed && !unknown {
            return None;
        }
        let takes_events = match target.upstream {
            Upstream::Ingest => true,
            Upstream::Web => false,
            Upstream::Mirror(place) => rules.is_led_to(place),
        };
        let says = match (target.upstream, unknown, keeps) {
            (_, true, _) => "the upstream's name does not resolve",
            (_, false, true) if takes_events => "the upstream does not take events: they are kept",
            (_, false, false) if takes_events => "the upstream does not take events: they are lost",
            (Upstream::Web, false, _) => "the upstream does not answer: pages and uploads fail",
            (Upstream::Ingest | Upstream::Mirror(_), false, _) => {
                "the mirror does not take its copies: they wait"
            }
        };
        let condition = Condition::new(Kind::NotDelivering, &target.name, says);
        Some(match target.upstream {
            // Nobody loses an event by it.
            Upstream::Mirror(_) if !takes_events => condition.graded(Severity::Ticket),
            Upstream::Ingest | Upstream::Web | Upstream::Mirror(_) => condition,
        })
    });
    holding.collect()
}

/// A certificate that has ended, or does not hold yet, keeps clients out.
fn certificates(shared: &Shared, holding: &mut Vec<Condition>) {
    let now_s = entrance::now_s();
    entrance::each(shared, |listener, papers| {
        let Some(trouble) = papers.trouble(now_s) else {
            return;
        };
        let name = papers.name();
        let says = format!("listener {listener}: the certificate for {name} {trouble}");
        let severity = match papers.standing(now_s) {
            Standing::Good | Standing::Ending => Severity::Ticket,
            Standing::Early | Standing::Over => Severity::Page,
        };
        holding.push(Condition::new(Kind::Certificate, name, &says).graded(severity));
    });
}

/// What the counters say at this moment.
pub(super) fn reading(metrics: &Metrics, lines: &[Line]) -> Reading {
    let [mut events, mut failed] = [0_u64; 2];
    for route in Route::ALL.iter().filter(|route| route.is_event()) {
        for ending in Ending::ALL {
            for status in STATUSES {
                let count = metrics.sum(|worker| worker.requests(*route, *ending, status));
                events += count;
                if status >= 500 {
                    failed += count;
                }
            }
        }
    }
    let resolved = metrics.resolved();
    let mut reading = Reading {
        events,
        failed,
        clients: resolved.iter().sum(),
        private: resolved.get(Source::Private.index()).copied().unwrap_or(0),
        unknown: 0,
        lost: Loss::default(),
        limited: BTreeMap::new(),
    };
    for line in lines {
        for (reason, sum) in &line.dropped {
            reading.lost.add(*reason, sum.items, sum.bytes);
            if is_unknown(*reason) {
                reading.unknown = reading.unknown.wrapping_add(sum.items);
            }
            if is_limited(*reason) {
                let limited = reading.limited.entry(line.account.label()).or_default();
                *limited = limited.wrapping_add(sum.items);
            }
        }
    }
    reading
}

/// A key that nobody knows, as for the alert.
fn is_unknown(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnknownKey | Reason::UnprovenKey | Reason::WrongProject
    )
}

/// No room, as for the alert.
fn is_limited(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Quota | Reason::Rate | Reason::Limited | Reason::Learned | Reason::DiskGuard
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::SystemTime;

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::endpoint::ProjectId;
    use crate::telemetry::ledger::Ledger;

    const ALERTS: &str = include_str!("../../../config/prometheus/alerts.yml");

    #[track_caller]
    fn check_named(is: fn(Reason) -> bool) {
        let reasons = Reason::ALL.iter().filter(|reason| is(**reason));
        let ours: BTreeSet<&str> = reasons.map(|reason| reason.as_str()).collect();
        let named = ALERTS.split("reason=~\"").skip(1);
        let mut named = named.filter_map(|text| text.split('"').next());
        let same = named.any(|names| names.split('|').collect::<BTreeSet<_>>() == ours);
        assert!(same, "no alert goes by {ours:?}");
    }

    #[test]
    fn the_alerts_go_by_the_same_reasons() {
        check_named(is_unknown);
        check_named(is_limited);
    }

    #[test]
    fn counters_are_read_where_they_are() {
        let ledger = std::sync::Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
        let metrics = Metrics::new(2, vec!["public".to_owned()], std::sync::Arc::clone(&ledger));
        for worker in &metrics.workers {
            worker
                .requests(Route::Ingest, Ending::Forwarded, 200)
                .add(5);
            worker.requests(Route::Tunnel, Ending::Failed, 503).add(1);
            worker.requests(Route::Web, Ending::Failed, 502).add(9);
            worker.client_ip.at(Source::Private.index()).add(3);
            worker.client_ip.at(Source::Peer.index()).add(1);
        }
        let books = ledger.worker();
        let project = books.account(ProjectId::parse(b"42"), true);
        let row = books.row(project, Category::Error);
        row.dropped(Reason::Quota, 2, 20);
        row.dropped(Reason::NoUpstream, 3, 30);
        let stranger = books.account(ProjectId::parse(b"42"), false);
        let row = books.row(stranger, Category::Unread);
        row.dropped(Reason::UnprovenKey, 4, 40);
        let reading = reading(&metrics, &ledger.lines());
        assert_eq!((reading.events, reading.failed), (12, 2));
        assert_eq!((reading.clients, reading.private), (8, 6));
        assert_eq!(reading.unknown, 4);
        assert_eq!(reading.limited, BTreeMap::from([("42".to_owned(), 2)]));
        let lost = reading.lost.total();
        assert_eq!((lost.items, lost.bytes), (3, 30));
    }
}

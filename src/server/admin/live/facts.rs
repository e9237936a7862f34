//! How everything is at this moment, for the dashboard: what no frame of numbers tells. Its
//! size has a limit, however many projects, quotas and switches there are.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::domain::handshake::HandshakeFault;
use crate::telemetry::clock::rfc3339;
use crate::telemetry::live::leaders::By;
use crate::telemetry::process;

use super::Kept;
use crate::server::admin::{Desk, clients, projects};
use crate::server::entrance;

/// Projects that are named in each order.
const LEADERS_MAX: usize = 10;

/// Quotas that are named.
const QUOTAS_MAX: usize = 20;

/// Incidents that are named, of those that go on and of those that are over.
const INCIDENTS_MAX: usize = 10;

/// The windows of the board.
const WINDOWS: [(&str, u64); 2] = [("10m", 600_000), ("1h", 3_600_000)];

/// All of it.
pub(super) fn facts(desk: &Desk, kept: &Kept) -> Value {
    let control = &desk.metrics.control;
    let reloaded_s = control.last_reload_success_s.load(Relaxed);
    let pages = desk.pages.iter();
    let pages = pages.filter_map(|page| Some(json!({"path": page.path, "title": page.title?})));
    json!({
        "at": rfc3339(UNIX_EPOCH + Duration::from_millis(process::now_ms())),
        "version": env!("CARGO_PKG_VERSION"),
        "since": rfc3339(desk.metrics.ledger.since()),
        "workers": desk.metrics.workers.len(),
        "status": desk.status(),
        "incidents": desk.incidents.foremost(INCIDENTS_MAX, INCIDENTS_MAX),
        "spool_max_bytes": spool_max_bytes(desk),
        "leaders": leaders(desk, kept),
        "quotas": quotas(desk, kept),
        "clients": clients::summary(&desk.shared, &desk.metrics),
        "tls_faults": tls_faults(desk),
        "process": own(),
        "reloads": {
            "applied": control.reloads_applied.load(Relaxed),
            "refused": control.reloads_refused.load(Relaxed),
            "last_success": rfc3339(UNIX_EPOCH + Duration::from_secs(reloaded_s)),
        },
        "certificate_days": entrance::readings(&desk.shared)
            .iter()
            .map(|certificate| certificate.days_left)
            .min(),
        "pages": pages.collect::<Vec<_>>(),
    })
}

/// How much may be kept; null where nothing is.
fn spool_max_bytes(desk: &Desk) -> Option<u64> {
    let open = desk.shared.spool.is_open();
    open.then(|| desk.shared.rules.load().config.spool.max_bytes)
}

fn leaders(desk: &Desk, kept: &Kept) -> Value {
    let now_ms = desk.shared.millis(Instant::now()).0;
    let config = desk.reloader.config();
    let windows = WINDOWS.iter().map(|(name, window_ms)| {
        let order = |by| {
            let top = kept
                .leaders
                .top(now_ms, *window_ms, &kept.tallies, by, LEADERS_MAX);
            let first = top.first.iter();
            let first = first.map(|(account, tally)| projects::tallied(&config, *account, *tally));
            json!({
                "span_s": top.span_ms / 1000,
                "first": first.collect::<Vec<_>>(),
                "others": {
                    "count": top.others_count,
                    "items": top.others.items,
                    "bytes": top.others.bytes,
                    "dropped": top.others.dropped,
                },
            })
        };
        let orders = json!({"bytes": order(By::Bytes), "items": order(By::Items)});
        ((*name).to_owned(), orders)
    });
    Value::Object(Map::from_iter(windows))
}

fn quotas(desk: &Desk, kept: &Kept) -> Value {
    let now_ms = desk.shared.millis(Instant::now()).0;
    let fills = kept.filling.fullest(now_ms, &kept.quotas, QUOTAS_MAX);
    let now_s = process::now_s();
    let named = fills.into_iter().map(|fill| {
        let place = (fill.project, fill.name);
        let end_s = kept.window_ends.get(&place);
        let (project, name) = place;
        json!({
            "project": project,
            "name": name,
            "ratio": fill.ratio,
            "full_in_s": fill.full_in_s.map(f64::round),
            "resets_in_s": end_s.map(|end_s| end_s.saturating_sub(now_s)),
        })
    });
    json!({"count": kept.quotas.len(), "fullest": named.collect::<Vec<_>>()})
}

/// Handshakes that failed since the start, by cause; causes without any are left out.
fn tls_faults(desk: &Desk) -> Value {
    let metrics = &desk.metrics;
    let listeners = metrics.listeners.len();
    let faults = HandshakeFault::ALL.iter().map(|fault| {
        let count = |listener| metrics.sum(|worker| worker.tls(listener, Some(*fault)));
        let all: u64 = (0..listeners).map(count).sum();
        (fault.as_str().to_owned(), all)
    });
    let seen = faults.filter(|(_, count)| *count > 0);
    Value::Object(seen.map(|(cause, count)| (cause, count.into())).collect())
}

fn own() -> Value {
    let own = process::own();
    json!({
        "threads": own.threads,
        "open_files": own.open_files,
        "open_files_max": own.open_files_max,
    })
}

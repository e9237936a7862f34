//! The traffic light: one answer to "does it work?". Reads, never probes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::endpoint::ProjectId;
use crate::domain::reach::ReachFault;
use crate::policy::Mode;
use crate::policy::breaker::State;
use crate::telemetry::clock::rfc3339;
use crate::telemetry::labels::Light;
use crate::telemetry::panics;

use super::budgets::Budgets;
use super::limits::Limits;
use super::{Desk, disks, keeping, mirrors, sharing, switches, told};
use crate::server::disk_guard::Standing as Guarded;
use crate::server::entrance;
use crate::server::rules::Rules;
use crate::server::sentry::keep::Standing;
use crate::server::upstream::Target;
use crate::server::upstream::server::Server;
use crate::server::worker::Shared;

/// Why the light is amber after a reload that came to nothing.
const REFUSED: &str = "the changed configuration was refused, and the old one is in force: vidette \
                       check says where it is wrong; a restart would not start";

/// Why the light is red where nothing is kept.
const LOST: &str = "what the upstream does not take is lost, and it does not take everything now: \
                    spool.path would keep it (vidette doctor dns says whether it is reached)";

/// Why it is amber where nobody can send.
const STRICT_OF_NONE: &str = "keys.mode is strict, and neither the configuration nor Sentry names \
                              a key: every event is refused";

/// The light, and why it is not green.
struct Judged {
    light: Light,
    reasons: Vec<String>,
    notes: Vec<String>,
    guard: Arc<Guarded>,
    accepting: bool,
    delivering: bool,
}

/// The light alone.
pub(super) fn light(desk: &Desk) -> Light {
    let limits = Limits::read(&desk.shared, &desk.metrics.control);
    judge(desk, &limits).light
}

fn judge(desk: &Desk, limits: &Limits) -> Judged {
    let shared = &*desk.shared;
    let rules = shared.rules.load();
    let accepting = !shared.stopping.load(Ordering::Relaxed);
    let standing = desk.reloader.standing();
    // What was changed and waits for a restart.
    let pending = desk.reloader.needs_restart();
    let mut reasons = reasons(&rules, accepting, standing.as_deref(), &pending);
    if desk.reloader.is_refused() {
        reasons.push(REFUSED.to_owned());
    }
    let (untrusted, over) = entrance::reasons(shared);
    reasons.extend(untrusted);
    if let Some(refused) = shared.trust.refused() {
        let refused = format!("the new files of upstream.tls are not in force: {refused}");
        reasons.push(refused);
    }
    reasons.extend(told::reasons(desk));
    reasons.extend(limits.reasons());
    let (budgets, guard) = (Budgets::read(shared), shared.disks.read());
    reasons.extend(budgets.reasons());
    reasons.extend(disks::reasons(&guard));
    reasons.extend(sharing::reasons(&shared.shared_quota));
    reasons.extend(sharing::settling(&shared.shared_quota));
    reasons.extend(keeping::reasons(shared));
    reasons.extend(shared.mirrors.left());
    reasons.extend(switches::reasons(&desk.switchboard));
    reasons.extend(shared.access_log.reasons());
    reasons.extend(desk.incidents.reasons());
    reasons.extend(desk.canary.reasons());
    let delivering = delivers(shared);
    if !is_safe(shared) {
        reasons.push(LOST.to_owned());
    }
    // Whose certificate has ended is believed by nobody.
    let serving = accepting && !over && is_safe(shared);
    let light = match (serving, reasons.is_empty()) {
        (false, _) => Light::Red,
        (true, false) => Light::Amber,
        (true, true) => Light::Green,
    };
    Judged {
        light,
        reasons,
        notes: budgets
            .notes()
            .into_iter()
            .chain(told::notes(desk))
            .chain(predecessor(shared))
            .chain(panicked(panics::seen()))
            .collect(),
        guard,
        accepting,
        delivering,
    }
}

/// `/api/v1/status` as DESIGN's contract has it.
pub(super) fn status(desk: &Desk) -> Value {
    let shared = &*desk.shared;
    let limits = Limits::read(shared, &desk.metrics.control);
    let judged = judge(desk, &limits);
    let rules = shared.rules.load();
    let standing = desk.reloader.standing();
    let targets = rules.targets();
    let upstreams: Vec<Value> = targets
        .values()
        .map(|target| {
            let addresses: Vec<String> =
                target.addresses().iter().map(ToString::to_string).collect();
            json!({
                "name": target.name,
                "state": state(target),
                "addresses": addresses,
                "breaker": target.breaker.state().name(),
                "tls_failing": failing(target).map(|(server, fault)| json!({
                    "server": server.url.to_string(),
                    "cause": fault.as_str(),
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "light": judged.light.as_str(),
        "reasons": judged.reasons,
        "notes": judged.notes,
        "accepting": judged.accepting,
        "delivering": judged.delivering,
        "upstreams": upstreams,
        "mirrors": mirrors::told(shared),
        "spool": keeping::spool(shared),
        "disk_guard": disks::told(&judged.guard),
        "shared_quota": sharing::told(&shared.shared_quota),
        "maintenance": keeping::maintenance(shared),
        "switches": switches::summary(&desk.switchboard),
        "keys": keys(desk, &rules, standing.as_deref()),
        "dsn_map": moves(&rules),
        "quotas": limits.quotas(),
        "limits_learned": limits.learned(),
        "certificates": certificates(shared),
        "access_log": shared.access_log.summary(),
        "incidents": desk.incidents.summary(),
        "canary": desk.canary.told(),
        "clients_blocked": shared.blocks.blocked(shared.millis(Instant::now())).len(),
        "public": desk.public.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// That the process before this one still finishes, which is as it should be.
fn predecessor(shared: &Shared) -> Option<String> {
    shared.succession.elder().map(|elder| {
        let seconds = elder.since.elapsed().as_secs();
        format!(
            "process {}, which this one took over from {seconds} s ago, still finishes what it had begun",
            elder.pid
        )
    })
}

/// That there is a bug, which ended some of the work.
fn panicked(times: u64) -> Option<String> {
    (times > 0).then(|| {
        format!(
            "something in vidette panicked ({times} since the start), which is a bug: what it had \
             in hand was given up. Please report the log's lines with \"panicked\""
        )
    })
}

/// All that is not as it should be, in words.
fn reasons(
    rules: &Rules,
    accepting: bool,
    standing: Option<&Standing>,
    pending: &[&str],
) -> Vec<String> {
    let mut reasons = Vec::new();
    if !accepting {
        reasons.push("the edge is stopping".to_owned());
    }
    for target in rules.targets().values() {
        match state(target) {
            "down" if target.addresses().is_empty() => reasons.push(format!(
                "upstream {}: its name does not resolve",
                target.name
            )),
            "down" => reasons.push(format!(
                "upstream {}: it fails, and is asked now and then whether it is back",
                target.name
            )),
            "degraded" if target.breaker.state() == State::HalfOpen => {
                reasons.push(format!("upstream {}: it is coming back", target.name))
            }
            "degraded" => reasons.push(format!(
                "upstream {}: the last attempt to connect failed",
                target.name
            )),
            _ => {}
        }
        for (server, fault) in failing(target) {
            let (name, url) = (&target.name, &server.url);
            reasons.push(format!("upstream {name}: TLS with {url} fails: {fault}"));
        }
    }
    if let Some(failing) = standing.and_then(|standing| standing.failing.as_deref()) {
        reasons.push(format!("Sentry's list of keys: {failing}"));
    }
    if rules.gate.awaits_list {
        reasons.push(super::STRICT_WAITS.to_owned());
    } else if rules.gate.mode == Mode::Strict && rules.gate.directory.is_empty() {
        reasons.push(STRICT_OF_NONE.to_owned());
    }
    if !pending.is_empty() {
        reasons.push(format!(
            "changed since the start, and waiting for a restart: {}",
            pending.join(", ")
        ));
    }
    reasons
}

/// The servers of an upstream with which TLS fails, and why.
fn failing(target: &Target) -> impl Iterator<Item = (&Server, ReachFault)> {
    let servers = target.servers.iter();
    servers.filter_map(|server| Some((&**server, server.fault()?)))
}

/// Every certificate that is shown to clients, and until when.
fn certificates(shared: &Shared) -> Vec<Value> {
    let now_s = entrance::now_s();
    let mut certificates = Vec::new();
    entrance::each(shared, |listener, papers| {
        let end = Duration::from_secs(u64::try_from(papers.not_after_s).unwrap_or_default());
        certificates.push(json!({
            "listener": listener,
            "names": papers.names,
            "not_after": rfc3339(UNIX_EPOCH + end),
            "days_left": papers.days_left(now_s),
        }));
    });
    certificates
}

/// Which keys are let in, and how fresh Sentry's list of them is.
fn keys(desk: &Desk, rules: &Rules, standing: Option<&Standing>) -> Value {
    let (states, files) = told::summary(desk);
    let sentry = standing.map(|standing| {
        json!({
            "projects": standing.projects,
            "keys": standing.keys,
            "last_success": standing.last_success.map(rfc3339),
            "failing": standing.failing,
        })
    });
    json!({
        "mode": rules.config.keys.mode.as_str(),
        "named": rules.gate.directory.len(),
        "sentry": sentry,
        "states": states,
        "files": files,
    })
}

/// Whether what the upstream does not take is kept.
pub(in crate::server) fn keeps(shared: &Shared) -> bool {
    shared.spool.is_open() && !shared.spool.state().takes_nothing()
}

fn delivers(shared: &Shared) -> bool {
    state(&shared.rules.load().ingest) == "up"
}

/// Whether what comes in is delivered, or kept.
pub(in crate::server) fn is_safe(shared: &Shared) -> bool {
    delivers(shared) || keeps(shared)
}

/// Where old DSNs lead, the most used first, and how many requests have come by each.
fn moves(rules: &Rules) -> Value {
    const SHOWN: usize = 100;
    let moves = &rules.gate.moves;
    let mut met: Vec<_> = moves.met().collect();
    met.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
    let shown = met.iter().take(SHOWN).map(|(one, requests)| {
        json!({
            "key": one.key.masked().to_string(),
            "project": one.project.map(ProjectId::get),
            "to": {
                "key": one.to_key.masked().to_string(),
                "project": one.to_project.get(),
                "upstream": one.to_upstream,
            },
            "requests": requests,
        })
    });
    json!({
        "dsns": met.len(),
        "unused": met.iter().filter(|(_, requests)| *requests == 0).count(),
        "shown": shown.collect::<Vec<_>>(),
    })
}

/// What is known of an upstream without asking it.
fn state(target: &Target) -> &'static str {
    if target.addresses().is_empty() {
        return "down";
    }
    match target.breaker.state() {
        State::Open => "down",
        State::HalfOpen => "degraded",
        State::Closed if target.is_failing() => "degraded",
        State::Closed => "up",
    }
}

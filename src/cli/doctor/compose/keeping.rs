//! Whether what the edge keeps outlives its container, and how that stops, starts and fills.

use std::path::Path;
use std::time::Duration;

use super::service::{Mount, duration};
use super::{Edge, Finding, Node};
use crate::config::AccessTarget;
use crate::domain::units::show_duration;

/// What Compose waits where a file says nothing.
const GRACE: Duration = Duration::from_secs(10);

/// Beside the drain: the spool is closed, and what Sentry was not told is written down.
const BESIDE_DRAIN: Duration = Duration::from_secs(5);

/// Fewer descriptors than a few thousand clients take, at two for each request under way.
const FILES_MIN: u64 = 16_384;

/// What the image that we ship keeps its state below.
const KEEP: &str = "volumes: [\"vidette-state:/var/lib/vidette\"]";

pub(super) fn of(edge: &Edge<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(folders(edge));
    findings.push(grace(edge));
    findings.extend(files(edge));
    findings.extend(restart(edge));
    findings.extend(health(edge));
    findings.extend(waits(edge));
    findings.extend(lines(edge));
    findings
}

/// The mount that a path lies on.
fn below<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let holds = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.target));
    holds.max_by_key(|mount| mount.target.len())
}

fn folders(edge: &Edge<'_>) -> Vec<Finding> {
    let (config, mounts) = (&edge.config, edge.service.mounts());
    let acme = config.listen.public.iter().any(|listener| {
        listener
            .tls
            .as_ref()
            .is_some_and(|tls| !tls.acme.is_empty())
    });
    let spool = (
        &config.spool.path,
        "spool.path",
        "events that Sentry has not taken yet are gone",
    );
    let state = (
        &config.state.path,
        "state.path",
        "keys prove themselves anew, and quotas begin anew",
    );
    let acme_path = acme.then(|| config.acme.path.clone());
    let acme = (
        &acme_path,
        "acme.path",
        "certificates are ordered anew, which authorities limit",
    );
    let mut findings = Vec::new();
    for (path, key, why) in [spool, state, acme] {
        let Some(path) = path else { continue };
        findings.push(folder(edge, &mounts, path, (key, why)));
    }
    let off = config.spool.path.is_none();
    findings.extend(off.then(|| {
        Finding::warn(format!(
            "{}: spool.path is off",
            edge.service.place("environment")
        ))
        .why("while Sentry is away or upgraded, events are lost")
        .mend("leave it out, and mount a volume:")
        .paste(KEEP)
    }));
    findings
}

fn folder(edge: &Edge<'_>, mounts: &[Mount], path: &Path, (key, why): (&str, &str)) -> Finding {
    let shown = path.display();
    match below(mounts, path) {
        Some(mount) if mount.in_memory => Finding::problem(format!(
            "{}: {key} is {shown}, which is memory there",
            mount.place
        ))
        .why(format!("when the container stops, {why}"))
        .mend("mount a volume in its place:")
        .paste(KEEP),
        Some(mount) if mount.read_only => Finding::problem(format!(
            "{}: {key} is {shown}, which cannot be written there",
            mount.place
        ))
        .mend("take ro or read_only out"),
        Some(mount) => Finding::ok(format!("{}: {key} is {shown}, on a volume", mount.place)),
        None => Finding::problem(format!(
            "{}: {key} is {shown}, and no volume is mounted there",
            edge.service.place("volumes")
        ))
        .why(format!("each new container begins empty: {why}"))
        .mend("mount one, and name it under volumes: at the end of the file:")
        .paste(KEEP),
    }
}

fn grace(edge: &Edge<'_>) -> Finding {
    let written = edge.service.text("stop_grace_period");
    let grace = written.and_then(duration).unwrap_or(GRACE);
    let drain = edge.config.limits.drain;
    let place = edge.service.place("stop_grace_period");
    let (shown, least) = (show_duration(grace), drain + BESIDE_DRAIN);
    if grace >= least {
        return Finding::ok(format!(
            "{place} has {shown} to stop, and drains for {}",
            show_duration(drain)
        ));
    }
    Finding::problem(format!(
        "{place} is killed after {shown}, and drains for {}",
        show_duration(drain)
    ))
    .why("requests under way are cut off, and what Sentry was not told is forgotten")
    .paste(format!("stop_grace_period: {}s", least.as_secs() + 5))
}

fn files(edge: &Edge<'_>) -> Option<Finding> {
    const PASTE: &str = "ulimits: {nofile: {soft: 262144, hard: 262144}}";
    let place = edge.service.place("ulimits");
    let Some(nofile) = edge.service.node.at(&["ulimits", "nofile"]) else {
        return Some(
            Finding::warn(format!("{place} has the engine's limit of open files"))
                .why("that is 1024 with newer engines, some 500 requests at a time")
                .paste(PASTE),
        );
    };
    let soft = nofile.text().or_else(|| nofile.get("soft")?.text());
    let soft: Option<u64> = soft.and_then(|soft| soft.parse().ok());
    let few = soft.filter(|soft| *soft < FILES_MIN)?;
    let connections = edge.config.limits.connections;
    Some(
        Finding::problem(format!("{place} may open {few} files"))
            .why(format!(
                "two for each request under way: far from limits.connections, {connections}"
            ))
            .paste(PASTE),
    )
}

fn restart(edge: &Edge<'_>) -> Option<Finding> {
    let policy = edge.service.text("restart");
    let place = edge.service.place("restart");
    let found = match policy {
        Some("always" | "unless-stopped") => return None,
        Some(failure) if failure.starts_with("on-failure") => {
            Finding::warn(format!("{place} is not started again with the machine"))
        }
        Some(_) | None
            if edge
                .service
                .node
                .at(&["deploy", "restart_policy"])
                .is_some() =>
        {
            return None;
        }
        Some(_) | None => Finding::problem(format!("{place} is not started again when it ends")),
    };
    Some(
        found
            .why("and nobody takes events then")
            .paste("restart: unless-stopped"),
    )
}

fn health(edge: &Edge<'_>) -> Option<Finding> {
    const PASTE: &str = "healthcheck: {test: [\"CMD\", \"vidette\", \"healthcheck\"]}";
    // Without one the image's own is in force.
    let check = edge.service.node.get("healthcheck")?;
    let place = edge.service.place("healthcheck");
    let words = edge.service.words(&["healthcheck", "test"]);
    let disabled = check.get("disable").and_then(Node::text) == Some("true");
    if disabled || words.first() == Some(&"NONE") {
        let seen = format!("{place} is not checked");
        return Some(
            Finding::warn(seen)
                .why("nobody sees when it is not ready")
                .paste(PASTE),
        );
    }
    let asks = words
        .iter()
        .any(|word| word.contains("vidette") || word.contains("/health/"));
    (!asks && !words.is_empty()).then(|| {
        Finding::problem(format!("{place} is checked by Sentry's own front page"))
            .why("so it counts as broken whenever Sentry is away, which is when it is needed")
            .paste(PASTE)
    })
}

fn waits(edge: &Edge<'_>) -> Option<Finding> {
    let depends = edge.service.node.get("depends_on")?;
    let (name, _) = depends.entries().iter().find(|(_, how)| {
        let condition = how.get("condition").and_then(Node::text);
        condition == Some("service_healthy")
    })?;
    Some(
        Finding::warn(format!(
            "{} starts only once {name} is healthy",
            edge.service.place("depends_on")
        ))
        .why("the edge needs nobody to start: until then nobody takes events")
        .mend("in the override:")
        .paste("depends_on: !reset {}"),
    )
}

/// A log that grows for ever: the engine's own driver has no bound unless told.
fn lines(edge: &Edge<'_>) -> Option<Finding> {
    let log = &edge.config.access_log;
    if !log.is_on() || log.to != AccessTarget::Stdout {
        return None;
    }
    let logging = edge.service.node.get("logging");
    let driver = logging
        .and_then(|logging| logging.get("driver"))
        .and_then(Node::text);
    let bounded = logging.is_some_and(|logging| logging.at(&["options", "max-size"]).is_some());
    (matches!(driver, None | Some("json-file")) && !bounded).then(|| {
        Finding::warn(format!(
            "{} writes a line for requests into a log without a bound",
            edge.service.place("logging")
        ))
        .why("the engine keeps all of it, on the disk that Sentry fills too")
        .paste("logging: {driver: json-file, options: {max-size: 50m, max-file: \"5\"}}")
    })
}

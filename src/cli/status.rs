//! `vidette status`: does it work?

use std::process::ExitCode;

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::telemetry::clock::lasting;

use super::{admin, fail, plain, say};

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer unchanged.
    #[arg(long)]
    json: bool,
}

/// The one thing that each answer has: what has none is no edge's.
#[derive(Deserialize)]
struct Light {
    light: String,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match show(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn show(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let answer = arguments.address.ask(&Method::GET, "/api/v1/status")?;
    let Light { light } = answer.json()?;
    let status: Value = answer.read()?;
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if arguments.json {
        say(&answer.body);
    } else {
        say(&plain(&light));
        for reason in list(&status, "reasons") {
            say(&format!("  {}", plain(&text(reason))));
        }
        for note in list(&status, "notes") {
            // It may name what a client calls itself.
            say(&format!("  (note) {}", plain(&text(note))));
        }
        for incident in list(&status, "incidents") {
            say(&incident_line(incident));
        }
        for disk in list(&status, "/disk_guard/disks") {
            say(&disk_line(disk));
        }
        for upstream in list(&status, "upstreams") {
            let field = |name| upstream.get(name).map_or_else(|| "?".to_owned(), text);
            let addresses: Vec<String> = list(upstream, "addresses").iter().map(text).collect();
            say(&format!(
                "upstream {:8} {:10} {}",
                field("name"),
                field("state"),
                addresses.join(" ")
            ));
        }
        for mirror in list(&status, "mirrors") {
            say(&mirror_line(mirror));
        }
        let switches = status.pointer("/switches/count").and_then(Value::as_u64);
        if let Some(count) = switches.filter(|count| *count > 0) {
            say(&format!("switches {count} on: vidette mute --list"));
        }
        let blocked = status.get("clients_blocked").and_then(Value::as_u64);
        if let Some(count) = blocked.filter(|count| *count > 0) {
            say(&format!("blocked  {count}: vidette blocks ls"));
        }
        if let Some(canary) = status.get("canary").filter(|canary| canary.is_object()) {
            say(&canary_line(canary));
        }
        if let Some(quotas) = status.get("quotas").filter(|quotas| quotas.is_object()) {
            say(&quotas_line(quotas));
        }
        let sharing = status.get("shared_quota");
        if let Some(sharing) = sharing.filter(|sharing| sharing.is_object()) {
            say(&sharing_line(sharing));
        }
    }
    Ok(if light == "red" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What is the matter, and since when.
fn incident_line(incident: &Value) -> String {
    let text = |name| plain(incident.get(name).and_then(Value::as_str).unwrap_or("?"));
    format!(
        "{:8} {} {}: {} (since {})",
        text("severity"),
        text("kind"),
        text("subject"),
        text("says"),
        text("started_at"),
    )
}

/// How far the last event of the edge's own came.
fn canary_line(canary: &Value) -> String {
    let last = canary.get("last");
    let text = |name| {
        plain(
            last.and_then(|last| last.get(name)?.as_str())
                .unwrap_or("?"),
        )
    };
    let missing = canary.get("missing").and_then(Value::as_bool) == Some(true);
    let missing = if missing { ", MISSING" } else { "" };
    match last.filter(|last| last.is_object()) {
        None => format!("canary   none yet{missing}"),
        Some(_) => format!(
            "canary   {}: {} (at {}){missing}",
            text("outcome"),
            text("says"),
            text("at")
        ),
    }
}

/// How full a disk is, and when it will be fuller.
fn disk_line(disk: &Value) -> String {
    let text = |name| disk.get(name).and_then(Value::as_str);
    let path = plain(text("path").unwrap_or("?"));
    let percent = |ratio: f64| format!("{:.1}%", ratio * 100.0);
    let Some(used) = disk.get("used_ratio").and_then(Value::as_f64) else {
        let fault = plain(text("fault").unwrap_or("is unknown"));
        return format!("disk     {path} {fault}");
    };
    let mut line = format!("disk     {path} {} used", percent(used));
    if text("of") == Some("inodes") {
        line.push_str(", by inodes");
    }
    let seconds = |value: Option<&Value>| value.and_then(Value::as_u64).map(lasting);
    let next = disk.get("next");
    let stage = next.and_then(|next| next.get("stage")?.as_str());
    let mark = next.and_then(|next| next.get("at_ratio")?.as_f64());
    if let (Some(stage), Some(mark)) = (stage, mark) {
        let (stage, mark) = (plain(stage), percent(mark));
        match seconds(next.and_then(|next| next.get("in_s"))) {
            Some(time) => line.push_str(&format!("; {stage} ({mark}) in about {time}")),
            None => line.push_str(&format!("; {stage} at {mark}")),
        }
    }
    match (seconds(disk.get("full_in_s")), text("course")) {
        (Some(time), _) => line.push_str(&format!("; full in about {time}")),
        (None, Some("steady")) => line.push_str("; it does not fill"),
        (None, _) => {}
    }
    line
}

/// What a mirror has got, and how it compares.
fn mirror_line(mirror: &Value) -> String {
    let number = |way: &str| mirror.pointer(way).and_then(Value::as_u64).unwrap_or(0);
    let name = mirror.get("name").and_then(Value::as_str);
    let lost = mirror.get("lost").and_then(Value::as_object);
    let lost: u64 = lost.map_or(0, |lost| lost.values().filter_map(Value::as_u64).sum());
    let mut line = format!(
        "mirror   {} {} of {} sent, {} held, {lost} lost",
        plain(name.unwrap_or("?")),
        number("/sent"),
        number("/taken") + number("/carried"),
        number("/held"),
    );
    if number("/waiting/oldest_s") > 0 {
        let oldest = lasting(number("/waiting/oldest_s"));
        line.push_str(&format!(" (the oldest for {oldest})"));
    }
    let took = |whose: &str| {
        mirror
            .pointer(&format!("/compared/{whose}/p95_ms"))?
            .as_f64()
    };
    if let (Some(first), Some(second)) = (took("first"), took("mirror")) {
        line.push_str(&format!(
            "; 95% within {second} ms, the first within {first} ms"
        ));
    }
    line
}

/// How quotas do. Those by ip are told of here, since no metric says how full they are.
fn quotas_line(quotas: &Value) -> String {
    let number = |name| quotas.get(name).and_then(Value::as_u64).unwrap_or_default();
    let journal = quotas.get("journal").and_then(Value::as_str);
    let by_ip = match number("by_ip") {
        0 => String::new(),
        count => format!(", {count} by ip (how full those are is not measured)"),
    };
    let full = number("full");
    format!(
        "quotas   {full} full, journal {}{by_ip}",
        journal.unwrap_or("?")
    )
}

/// With how many others quotas are shared.
fn sharing_line(sharing: &Value) -> String {
    let number = |name| {
        sharing
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let state = sharing.get("state").and_then(Value::as_str).unwrap_or("?");
    let settling = sharing.get("settling").and_then(Value::as_bool) == Some(true);
    let settling = if settling {
        ", settling: nothing is lent yet"
    } else {
        ""
    };
    let (edges, leases) = (number("edges"), number("leases"));
    let edges = match edges {
        1 => "this edge alone".to_owned(),
        edges => format!("{edges} edges"),
    };
    format!(
        "sharing  {}, {edges}, {leases} counters{settling}",
        plain(state)
    )
}

/// A list by its name, or by its way to it.
fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let found = match name.starts_with('/') {
        true => value.pointer(name),
        false => value.get(name),
    };
    found.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(disk: &Value, want: &str) {
        assert_eq!(disk_line(disk), want);
    }

    #[test]
    fn an_incident_is_one_line_that_begins_with_how_grave_it_is() {
        let incident = json!({"id": "1-2", "kind": "loss", "severity": "page",
            "subject": "spool_full", "started_at": "2026-01-02T03:04:05.678Z",
            "says": "events are lost\u{1b}[2J"});
        let line = incident_line(&incident);
        assert!(
            line.starts_with("page     loss spool_full: events are lost"),
            "{line}"
        );
        assert!(line.ends_with("(since 2026-01-02T03:04:05.678Z)"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }

    #[test]
    fn sharing_is_one_line_with_how_many_share() {
        let mut sharing = json!({"state": "joined", "settling": false, "edges": 3, "leases": 12});
        assert_eq!(
            sharing_line(&sharing),
            "sharing  joined, 3 edges, 12 counters"
        );
        sharing["edges"] = 1.into();
        sharing["settling"] = true.into();
        let want = "sharing  joined, this edge alone, 12 counters, settling: nothing is lent yet";
        assert_eq!(sharing_line(&sharing), want);
    }

    #[test]
    fn the_canary_is_one_line_with_how_far_the_last_one_came() {
        let canary = |last: Value, missing: bool| {
            canary_line(&json!({"every_s": 60, "last": last,
            "last_success": null, "missing": missing}))
        };
        assert_eq!(canary(Value::Null, false), "canary   none yet");
        let last = json!({"outcome": "refused", "says": "403: \u{1b}[2J", "took_ms": 7,
            "at": "2026-01-02T03:04:05.678Z"});
        let line = canary(last, true);
        assert!(line.starts_with("canary   refused: 403: "), "{line}");
        assert!(
            line.ends_with("(at 2026-01-02T03:04:05.678Z), MISSING"),
            "{line}"
        );
        assert!(!line.contains('\u{1b}'), "{line}");
    }

    #[test]
    fn a_mirror_is_one_line_with_what_it_lacks() {
        let mut mirror = json!({"name": "next", "taken": 10, "carried": 2, "sent": 8, "held": 3,
            "lost": {"refused": 1}, "waiting": {"oldest_s": 0},
            "compared": {"first": null, "mirror": null}});
        assert_eq!(
            mirror_line(&mirror),
            "mirror   next 8 of 12 sent, 3 held, 1 lost"
        );
        mirror["waiting"]["oldest_s"] = json!(120);
        mirror["compared"] = json!({"first": {"p95_ms": 4.5}, "mirror": {"p95_ms": 20.0}});
        assert_eq!(
            mirror_line(&mirror),
            "mirror   next 8 of 12 sent, 3 held, 1 lost (the oldest for 2 min); 95% within 20 ms, the first within 4.5 ms"
        );
    }

    #[test]
    fn a_disk_is_one_line_with_what_is_to_come() {
        check(
            &json!({"path": "/var/lib/docker", "used_ratio": 0.712, "of": "space", "course": "fills",
                "next": {"stage": "large", "at_ratio": 0.85, "in_s": 10_800}, "full_in_s": 32_400}),
            "disk     /var/lib/docker 71.2% used; large (85.0%) in about 3 h; full in about 9 h",
        );
        check(
            &json!({"path": "/d", "used_ratio": 0.96, "of": "inodes", "course": "steady",
                "next": null, "full_in_s": null}),
            "disk     /d 96.0% used, by inodes; it does not fill",
        );
        check(
            &json!({"path": "/d", "used_ratio": 0.5, "of": "space", "course": "unknown",
                "next": {"stage": "large", "at_ratio": 0.85, "in_s": null}}),
            "disk     /d 50.0% used; large at 85.0%",
        );
        check(
            &json!({"path": "/d", "used_ratio": null, "fault": "does not exist"}),
            "disk     /d does not exist",
        );
    }
}

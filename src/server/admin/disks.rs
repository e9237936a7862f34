//! What an operator sees of guarded disks: how full they are, when they will be, and what
//! stays here meanwhile. Reads what the keeper has shown, and looks at no disk.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::domain::switch::Share;
use crate::policy::disk_guard::Stage;
use crate::policy::filling::Reaches;
use crate::telemetry::clock::{lasting, rfc3339};
use crate::telemetry::disks::GuardReading;

use crate::server::disk_guard::{Disk, Standing};

/// The disk guard in the metrics.
pub(super) fn reading(standing: &Standing) -> GuardReading {
    let used = standing.fullest().and_then(|disk| disk.used);
    GuardReading {
        stage: standing.stage.number(),
        used_ratio: used.map_or(0.0, |(share, _)| share.ratio()),
        unseen: standing
            .disks
            .iter()
            .filter(|disk| disk.fault.is_some())
            .count(),
    }
}

/// What is not as it should be, in words.
pub(super) fn reasons(standing: &Standing) -> Vec<String> {
    let mut reasons = Vec::new();
    if standing.stage != Stage::Open {
        let disk = standing.fullest();
        let use_of = disk.map_or_else(|| "a disk is nearly full".to_owned(), Disk::words);
        let kept_here = standing.stage.words(standing.errors);
        let then = match disk.map(|disk| disk.full) {
            Some(Reaches::In { s }) => format!("; it is full in about {}", lasting(s)),
            Some(Reaches::Unknown | Reaches::Never) | None => String::new(),
        };
        let stage = standing.stage.name();
        reasons.push(format!(
            "disk guard ({stage}): {use_of}: kept out {} {kept_here}{then}",
            if standing.stage == Stage::Errors {
                "is"
            } else {
                "are"
            }
        ));
    }
    for disk in &standing.disks {
        if let Some(fault) = disk.fault {
            let path = disk.path.display();
            reasons.push(format!("disk guard: {path} {fault}: it holds nothing back"));
        }
    }
    reasons
}

/// The disks in `status`; null where none is guarded.
pub(super) fn told(standing: &Standing) -> Value {
    if standing.disks.is_empty() {
        return Value::Null;
    }
    let since = standing.since_unix_s;
    let keeps = standing.stage != Stage::Open;
    json!({
        "stage": standing.stage.name(),
        "number": standing.stage.number(),
        "since": since.map(|unix_s| rfc3339(UNIX_EPOCH + Duration::from_secs(unix_s))),
        "keeps_out": keeps.then(|| standing.stage.words(standing.errors)),
        "disks": standing.disks.iter().map(disk).collect::<Vec<_>>(),
    })
}

fn disk(disk: &Disk) -> Value {
    let next = disk.next.map(|(stage, mark, reaches)| {
        json!({
            "stage": stage.name(),
            "at_ratio": mark.ratio(),
            "in_s": reaches.in_s(),
        })
    });
    json!({
        "path": disk.path.display().to_string(),
        "used_ratio": disk.used.map(|(share, _)| share.ratio()),
        "of": disk.used.map(|(_, of)| of.name()),
        "free_bytes": disk.seen.map(|seen| seen.bytes.free),
        "fault": disk.fault.map(|fault| fault.to_string()),
        "course": match disk.full {
            Reaches::Unknown => "unknown",
            Reaches::Never => "steady",
            Reaches::In { .. } => "fills",
        },
        "next": next,
        "full_in_s": disk.full.in_s(),
    })
}

/// Why something stays here, for whoever asks about one item.
pub(super) fn because(standing: &Standing) -> String {
    let disk = standing.fullest();
    let use_of = disk.map_or_else(|| "a disk is nearly full".to_owned(), Disk::words);
    let mark = standing.mark.unwrap_or(Share::ALL);
    let stage = standing.stage.name();
    format!("{use_of}; disk_guard.stages.{stage} began at {mark}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::policy::filling::{Amount, Resource, Seen};
    use crate::server::disk_guard::Fault;

    fn share(text: &str) -> Share {
        Share::read(text).unwrap()
    }

    fn standing(stage: Stage, full: Reaches, fault: Option<Fault>) -> Standing {
        let disk = Disk {
            path: PathBuf::from("/var/lib/docker"),
            seen: Some(Seen {
                bytes: Amount {
                    used: 912,
                    free: 88,
                },
                ..Seen::default()
            }),
            used: Some((share("91.2%"), Resource::Space)),
            fault,
            next: Some((Stage::Errors, share("95%"), Reaches::In { s: 60 })),
            full,
        };
        Standing {
            stage,
            since_unix_s: None,
            mark: Some(share("90%")),
            errors: share("10%"),
            disks: vec![disk],
        }
    }

    #[test]
    fn a_stage_is_a_reason_with_its_numbers() {
        assert_eq!(
            reasons(&standing(Stage::Open, Reaches::Never, None)),
            [""; 0]
        );
        let full = Reaches::In { s: 10_800 };
        let want = "disk guard (bulk): /var/lib/docker is 91.2% used: kept out are replays, \
                    profiles, attachments, transactions, spans, logs and metrics; it is full in \
                    about 3 h";
        assert_eq!(reasons(&standing(Stage::Bulk, full, None)), [want]);
        let gone = standing(Stage::Open, Reaches::Unknown, Some(Fault::Gone));
        let want = "disk guard: /var/lib/docker does not exist: it holds nothing back";
        assert_eq!(reasons(&gone), [want]);
        assert_eq!(reading(&gone).unseen, 1);
    }

    #[test]
    fn a_program_is_told_the_same() {
        assert_eq!(told(&Standing::default()), Value::Null);
        let told = told(&standing(Stage::Bulk, Reaches::In { s: 9 }, None));
        assert_eq!(
            (&told["stage"], &told["number"]),
            (&json!("bulk"), &json!(2))
        );
        let disk = &told["disks"][0];
        assert_eq!(
            (&disk["course"], &disk["full_in_s"]),
            (&json!("fills"), &json!(9))
        );
        assert_eq!(
            disk["next"],
            json!({"stage": "errors", "at_ratio": 0.95, "in_s": 60})
        );
        assert_eq!(
            (&disk["used_ratio"], &disk["free_bytes"]),
            (&json!(0.912), &json!(88))
        );
    }

    #[test]
    fn an_item_that_stays_here_is_told_which_mark_is_passed() {
        let standing = standing(Stage::Bulk, Reaches::Never, None);
        let want = "/var/lib/docker is 91.2% used; disk_guard.stages.bulk began at 90%";
        assert_eq!(because(&standing), want);
    }
}

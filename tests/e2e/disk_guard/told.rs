//! What senders and operators are told: SDKs hold back, `explain` knows the mark, a disk
//! that cannot be seen is no secret, and when one is full is foretold.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::explained::envelope_explained;
use crate::parts::{Part, promises, python};
use crate::quotas::Sdk;
use crate::upstream::{Fake, HANG};

use super::{Guarded, one, reasons, says, told_once};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Mounts];
        an_explanation_names_the_disk_and_the_mark,
        it_is_foretold_when_a_disk_is_full,
    ];
    trials.extend(promises![&[]; a_path_that_is_gone_holds_nothing_back]);
    trials.extend(promises![&[Part::Mounts, Part::Python];
        sentry_sdk_holds_back_what_a_full_disk_keeps_out,
    ]);
    trials
}

fn an_explanation_names_the_disk_and_the_mark() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({}));
    let edge = &guarded.edge;
    let told = envelope_explained(edge, &one("attachment"));
    assert_eq!(told["verdict"], "forwarded");
    assert!(!told["steps"].to_string().contains("disk guard"), "{told}");
    guarded.uses(86.0);
    let told = envelope_explained(edge, &one("attachment"));
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!(429), &json!("disk_guard"))
    );
    let steps = told["steps"].to_string();
    let path = guarded.place.path().display();
    for words in [
        "\"step\":\"disk guard\"",
        &format!("{path} is 86.0% used; disk_guard.stages.large began at 85%"),
        "kept out: replays, profiles and attachments",
        "stays here: disk_guard, ",
    ] {
        assert!(steps.contains(words), "no {words} in {steps}");
    }
    assert_eq!(
        envelope_explained(edge, &one("event"))["verdict"],
        "forwarded"
    );
    guarded.uses(96.0);
    let told = envelope_explained(edge, &one("check_in"));
    assert_eq!(told["verdict"], "forwarded");
    // It names no trace, so that it is of no share for sure.
    let told = envelope_explained(edge, &one("event"));
    assert_eq!(told["reason"], "disk_guard", "{told}");
    let steps = told["steps"].to_string();
    assert!(
        steps.contains("10% of its kind pass, by their trace"),
        "{steps}"
    );
    assert!(fake.requests().is_empty(), "nothing is sent to explain");
}

fn it_is_foretold_when_a_disk_is_full() {
    let fake = Fake::start();
    let guarded = Guarded::before(&fake, &json!({}));
    let edge = &guarded.edge;
    let path = guarded.place.path().display().to_string();
    let said = says(edge, &["status"]);
    assert!(said.contains(&format!("disk     {path} ")), "{said}");
    assert!(said.contains("; large at 85.0%"), "{said}");
    let began = Instant::now();
    let mut percent = 10.0;
    let disk = loop {
        percent += 1.0;
        let disk = guarded.uses(percent)["disks"][0].clone();
        if disk["course"] == "fills" {
            break disk;
        }
        assert!(began.elapsed() < HANG && percent < 80.0, "{disk}");
        thread::sleep(Duration::from_millis(900));
    };
    // About a hundredth a second.
    let (full, large) = (&disk["full_in_s"], &disk["next"]["in_s"]);
    let (full, large) = (full.as_u64().unwrap(), large.as_u64().unwrap());
    assert!((20..300).contains(&full) && large < full, "{disk}");
    let said = says(edge, &["status"]);
    assert!(
        said.contains("large (85.0%) in about ") && said.contains("; full in about "),
        "{said}"
    );
    guarded.uses(86.0);
    let line = edge.log.wait_for("the step", |line| {
        line.contains("keeps more here").then(|| line.to_owned())
    });
    assert!(line.contains("full_in=\""), "{line}");
}

fn a_path_that_is_gone_holds_nothing_back() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let later = place.path().join("later");
    let changes = json!({"disk_guard": {
        "paths": [later],
        "interval": "100ms",
        // Whatever the disk of the machine has.
        "stages": {"large": "99.8%", "bulk": "99.9%", "errors": "100%"},
        "back": "0%",
    }});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let told = told_once(&edge, |told| !told.is_null());
    assert_eq!(
        (&told["stage"], &told["disks"][0]["fault"]),
        (&json!("open"), &json!("does not exist"))
    );
    assert!(
        reasons(&edge).contains("does not exist: it holds nothing back"),
        "{}",
        reasons(&edge)
    );
    assert_eq!(edge.admin_get("/api/v1/status").json()["light"], "amber");
    let unseen = edge.metric("vidette_disk_guard_unseen_disks", &[]);
    assert!((unseen - 1.0).abs() < 0.1, "{unseen}");
    let said = says(&edge, &["status"]);
    assert!(said.contains("/later does not exist"), "{said}");
    assert_eq!(edge.post_envelope(&[], &one("replay_event")).status, 200);
    let warned = || {
        edge.log
            .text()
            .matches("a guarded disk cannot be looked at")
            .count()
    };
    thread::sleep(Duration::from_millis(500));
    assert_eq!(warned(), 1, "{}", edge.log.text());
    fs::create_dir(&later).unwrap();
    told_once(&edge, |told| told["disks"][0]["fault"].is_null());
    edge.log
        .wait_for_text("a guarded disk can be looked at again");
    fs::remove_dir(&later).unwrap();
    told_once(&edge, |told| told["disks"][0]["fault"] == "does not exist");
    assert_eq!(warned(), 2);
    let check = crate::edge::program()
        .arg("check")
        .arg(edge.folder().join("vidette.yml"))
        .output()
        .unwrap();
    let said = String::from_utf8(check.stderr).unwrap();
    assert!(
        said.contains("warning: disk_guard.paths[0] cannot be looked at"),
        "{said}"
    );
    assert!(check.status.success());
}

fn sentry_sdk_holds_back_what_a_full_disk_keeps_out() {
    let fake = Fake::start();
    let guarded = Guarded::filled(&fake, &json!({}), 91);
    let edge = &guarded.edge;
    told_once(edge, |told| told["stage"] == "bulk");
    let dsn = format!("http://{KEY}@{}/42", edge.public);
    let mut sdk = Sdk::start(&python().unwrap(), "obey.py", &dsn, &[]);
    let received = |category: &str| -> u64 {
        let ledger = crate::quotas::settled(edge);
        let rows = ledger["rows"].as_array().unwrap();
        let of = rows.iter().filter(|row| row["category"] == category);
        of.map(|row| row["items"]["received"].as_u64().unwrap())
            .sum()
    };
    for _ in 0..3 {
        sdk.captures("transaction");
    }
    assert_eq!(received("transaction"), 1, "it went on sending");
    sdk.captures("error");
    sdk.captures("session");
    assert_eq!((received("error"), received("session")), (1, 1));
    assert!(fake.requests().len() >= 2);
}

//! Mode `strict` before Sentry's list was read for the first time.

use libtest_mimic::Trial;
use serde_json::json;

use super::{strict, wait_failing};
use crate::client::ask;
use crate::edge::{Edge, KEY};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::senders::{STRANGE, check_refused, target};
use crate::upstream::{Fake, Silent};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        strict_that_waits_for_its_list_says_so,
    ]
}

/// Every key passed while the list was away, and nothing said so.
fn strict_that_waits_for_its_list_says_so() {
    let fake = Fake::start();
    let mut changes = strict(&Silent::reserve().url());
    changes["projects"] = json!([{"id": 42, "keys": [KEY]}]);
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let sent = |target: &str| edge.ask("POST", target, &[], ENVELOPE);
    for passes in [target(42, KEY), target(7, STRANGE)] {
        assert_eq!(sent(&passes).status, 200, "{passes}");
    }
    let (stranger, astray) = (target(42, STRANGE), target(7, KEY));
    check_refused("a stranger's key", &sent(&stranger), 403, "unknown_key");
    check_refused("another project", &sent(&astray), 403, "wrong_project");
    let status = wait_failing(&edge);
    assert_eq!(status["light"], "amber", "{status}");
    let said = "strict is not in force yet";
    assert!(status["reasons"].to_string().contains(said), "{status}");
    let question = json!({
        "method": "POST",
        "path": target(7, STRANGE),
        "headers": [],
        "peer": "127.0.0.1",
        "body_base64": "",
    });
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    let question = question.to_string();
    let told = ask(
        edge.admin,
        "POST",
        "/api/v1/explain",
        &headers,
        question.as_bytes(),
    );
    assert!(told.text().contains(said), "{}", told.text());
    edge.log.wait_for("what holds until then", |line| {
        (line.contains("cannot be read from Sentry") && line.contains("acts as learn"))
            .then_some(())
    });
}

//! The canary where every listener speaks TLS: it believes whom other clients would.

use libtest_mimic::Trial;
use serde_json::json;

use super::authority::Authority;
use super::{NAME, pair, secured};
use crate::canary::{flown, flying};
use crate::parts::promises;
use crate::send_test::sentry;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_canary_goes_by_tls_where_nothing_else_is_spoken,
        a_canary_does_not_believe_a_certificate_for_another_name,
    ]
}

fn a_canary_goes_by_tls_where_nothing_else_is_spoken() {
    let (fake, authority) = (sentry(0), Authority::new());
    let files = authority.issue("edge", &[NAME]);
    let mut changes = flying(&json!({}));
    let believed = json!({"upstream": {"tls": {"ca": authority.file()}}});
    crate::edge::lay_over(&mut changes, &believed);
    let edge = secured(&fake, &pair(&files), &changes);
    flown(&edge, "forwarded", 2.0);
}

fn a_canary_does_not_believe_a_certificate_for_another_name() {
    let (fake, authority) = (sentry(0), Authority::new());
    let files = authority.issue("edge", &["another.example.com"]);
    let mut changes = flying(&json!({}));
    let believed = json!({"upstream": {"tls": {"ca": authority.file()}}});
    crate::edge::lay_over(&mut changes, &believed);
    let edge = secured(&fake, &pair(&files), &changes);
    flown(&edge, "failed", 1.0);
    let status = edge.admin_get("/api/v1/status").json();
    let says = status["canary"]["last"]["says"].to_string();
    assert!(
        says.contains("TLS with the listener, by the DSN's host, fails"),
        "{says}"
    );
    assert!(fake.requests().is_empty());
}

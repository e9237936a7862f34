//! Promises about what Sentry is told of what was dropped.

use std::time::Duration;

use super::*;

#[track_caller]
fn check(text: &str, enabled: bool, seconds: u64) {
    let config = accepted(text, &Env::empty());
    let want = checked::ClientReports {
        enabled,
        interval: Duration::from_secs(seconds),
    };
    assert_eq!(config.client_reports, want, "{text}");
}

#[track_caller]
fn check_refused(text: &str, want: &str) {
    let errors = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
    assert!(errors.contains(want), "{errors}");
}

#[test]
fn they_are_on_unless_switched_off() {
    check("", true, 30);
    check("client_reports: {enabled: false}\n", false, 30);
    check("client_reports: {interval: 1s}\n", true, 1);
    check(
        "client_reports: {enabled: true, interval: 1h}\n",
        true,
        3600,
    );
}

/// The example was out of the bounds before it.
#[test]
fn an_example_is_one_that_would_be_accepted() {
    check_refused(
        "client_reports: {interval: 2h}\n",
        "out of bounds in client_reports.interval; write a duration from 1s to 1h, such as 30s or 5m",
    );
}

#[test]
fn what_is_neither_on_nor_off_and_odd_intervals_are_refused() {
    check_refused("client_reports: {enabled: maybe}\n", "not true or false");
    for interval in ["999ms", "61m", "0s"] {
        let text = format!("client_reports: {{interval: {interval}}}\n");
        check_refused(&text, "client_reports.interval");
    }
    check_refused("client_reports: {every: 1s}\n", "unknown key \"every\"");
}

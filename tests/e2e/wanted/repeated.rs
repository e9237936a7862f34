//! One client with one error in a loop: its first arrive, then samples; nobody else notices.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::request;
use crate::parts::promises;
use crate::upstream::Fake;

use super::{check_dropped, envelope, target, wanting};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[]; a_loop_is_thinned_and_a_thousand_others_are_untouched]
}

fn a_loop_is_thinned_and_a_thousand_others_are_untouched() {
    const OTHERS: usize = 999;
    let fake = Fake::start();
    let repeats = json!({"first": 10, "then": 50, "per": "1h"});
    let quotas = json!([{"categories": ["error"], "limit": 3000, "per": "1h"}]);
    let edge = wanting(&fake, json!({"repeats": repeats, "quotas": quotas}));
    let mut client = edge.connect();
    let mut post = |ip: &str, body: &[u8]| {
        let from = [("X-Forwarded-For", ip)];
        client.send(&request("POST", &target(42, "envelope"), &from, body));
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-sentry-rate-limits"), None);
    };
    let error = |value: &str| {
        let error = json!({"exception": {"values": [{"type": "Error", "value": value}]}});
        envelope(&json!({}), "event", &error.to_string())
    };
    for nth in 0..OTHERS {
        // The same error as the loop's, and the loop's client with errors of its own.
        post(
            &format!("198.51.{}.{}", nth / 200, nth % 200),
            &error("item 1 is gone"),
        );
        post(
            "203.0.113.9",
            &error(&format!("item 1 is gone{}", "!".repeat(nth % 200))),
        );
        post("203.0.113.9", &envelope(&json!({}), "session", "{}"));
    }
    let before = fake.requests().len();
    let own = 200 * 5 - 1;
    assert_eq!(
        before,
        OTHERS + own + OTHERS,
        "nobody repeated more than was let through"
    );
    for nth in 0..1000 {
        post("203.0.113.77", &error(&format!("item {nth} is gone")));
    }
    // Ten, and of the 990 others each fiftieth.
    assert_eq!(fake.requests().len() - before, 10 + 19);
    check_dropped(&edge, "error", "repeated", 1000 - 29);
    // None of what was dropped was charged.
    let used_up = OTHERS + own + 29;
    let used = edge.metric("vidette_quota_used_ratio", &["project=\"42\""]);
    let want = used_up as f64 / 3000.0;
    assert!((used - want).abs() < 1e-6, "{used} for {want}");
}

//! What Relay and web make of what they are sent: the reason for one bare address in one header.

use super::*;

#[track_caller]
fn check(sent: &[(&str, &str)], relay: &str, web: &str) {
    let bytes: Vec<(&str, &[u8])> = sent
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let got = conclusions(&bytes);
    let shown = |address: Option<IpAddr>| address.map_or("none".into(), |found| found.to_string());
    assert_eq!(
        (shown(got.relay).as_str(), shown(got.web).as_str()),
        (relay, web),
        "{sent:?}"
    );
}

const VISITOR: &str = "203.0.113.9";

#[test]
fn one_bare_address_in_one_header_leaves_no_two_opinions() {
    check(&[("x-forwarded-for", VISITOR)], VISITOR, VISITOR);
    check(&[("X-Forwarded-For", VISITOR)], VISITOR, VISITOR);
    check(
        &[("x-forwarded-for", "2001:db8::5")],
        "2001:db8::5",
        "2001:db8::5",
    );
}

#[test]
fn nothing_sent_is_nobody() {
    check(&[], "none", "none");
    check(&[("x-forwarded-for", " ")], "none", "none");
    check(
        &[("x-real-ip", VISITOR), ("forwarded", "for=203.0.113.9")],
        "none",
        "none",
    );
}

#[test]
fn the_first_element_is_taken_and_must_be_bare() {
    check(
        &[("x-forwarded-for", "6.6.6.6, 203.0.113.9")],
        "6.6.6.6",
        "6.6.6.6",
    );
    for decorated in [
        "203.0.113.9:55123",
        "[2001:db8::5]",
        "[2001:db8::5]:443",
        "fe80::1%eth0",
        "\"203.0.113.9\"",
        "unknown",
        ", 203.0.113.9",
    ] {
        check(&[("x-forwarded-for", decorated)], "none", "none");
    }
}

#[test]
fn relay_believes_three_vendors_before_the_common_header() {
    let all = [
        ("x-forwarded-for", VISITOR),
        ("x-sentry-forwarded-for", "192.0.2.3"),
        ("x-vercel-forwarded-for", "192.0.2.2"),
        ("cf-connecting-ip", "192.0.2.1"),
    ];
    check(&all, "192.0.2.1", VISITOR);
    check(&all[..3], "192.0.2.2", VISITOR);
    check(&all[..2], "192.0.2.3", VISITOR);
    check(&[("cf-connecting-ip", ""), all[0]], VISITOR, VISITOR);
    check(&[("cf-connecting-ip", "unknown"), all[0]], "none", VISITOR);
    check(&all[1..2], "192.0.2.3", "none");
}

//! What nginx does without a word, and where a location leads: carried over, or named.

use super::check;

/// nginx reads another header where nobody names one, and only the last of a list.
#[test]
fn what_nginx_does_unsaid_is_said() {
    check(
        "real_ip_header X-Forwarded-For;",
        "",
        &["-header: x-forwarded-for", "+header: x-real-ip"],
        &[],
    );
    for last_only in ["", "real_ip_recursive off;"] {
        check(
            "real_ip_recursive on;",
            last_only,
            &[],
            &["real_ip_recursive off"],
        );
    }
    check(
        "X-Forwarded-For $remote_addr;",
        "X-Forwarded-For $proxy_add_x_forwarded_for;",
        &[],
        &["proxy_set_header X-Forwarded-For"],
    );
}

#[test]
fn a_location_that_leads_elsewhere_than_here_is_named() {
    let with = |location: &str| format!("location {location}\n    location / {{");
    for (location, left) in [
        ("/custom/ { proxy_pass http://sentry; }", None),
        ("/custom/ { proxy_pass http://sentry/custom/; }", None),
        (
            "/custom/ { proxy_pass http://relay; }",
            Some("location /custom/"),
        ),
        ("= /api/42/envelope/ { proxy_pass http://relay; }", None),
        (
            "= /api/42/envelope/ { proxy_pass http://sentry; }",
            Some("location /api/42/envelope/"),
        ),
        (
            "/custom/ { proxy_pass http://sentry/other/; }",
            Some("proxy_pass http://sentry/other/"),
        ),
    ] {
        check("location / {", &with(location), &[], left.as_slice());
    }
}

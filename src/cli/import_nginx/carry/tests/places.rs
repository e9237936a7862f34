//! What holds in one place alone: a location's headers, its folder, its variables.

use super::{CARRIED, SHIPPED, carried, check, keys};

/// Headers of a location's own cancel all that stand around it.
#[test]
fn a_location_without_the_others_host_is_named() {
    let own = "location /_static/ { proxy_set_header X-Request-Id $request_id;";
    check("location /_static/ {", own, &[], &["location /_static/"]);
}

#[test]
fn the_folder_of_proofs_is_carried_over() {
    for challenge in [
        "location ^~ /.well-known/acme-challenge/ { root /var/www; }",
        "location /.well-known/acme-challenge { allow all; root /var/www; }",
        "location /.well-known/acme-challenge/ { alias /var/www/.well-known/acme-challenge/; }",
    ] {
        check(
            "location / {",
            &format!("{challenge}\n    location / {{"),
            &["+- {path: /.well-known/acme-challenge/, root: /var/www/.well-known/acme-challenge}"],
            &[],
        );
    }
}

#[test]
fn variables_are_those_of_the_place_where_they_hold() {
    let web = "location / { proxy_pass http://sentry; }";
    check(
        web,
        "set $up http://web:9000; location / { proxy_pass $up; }",
        &[],
        &[],
    );
    check(
        "location / {",
        "set $upstream web; set $up http://${upstream}:9000;\n    location / { proxy_pass $up$request_uri; }\n    location /other {",
        &[],
        &[],
    );
    // nginx answers 500 there.
    check(
        web,
        "set $up http://web:9000; location / { proxy_pass http://$up; }",
        &["-web: [\"http://web:9000\"]"],
        &[
            "proxy_pass http://$up",
            "location /_assets/",
            "location /_static/",
        ],
    );
    // What another location says does not count.
    let two = SHIPPED
        .replacen(
            "location ~ ^/api/[1-9]\\d*/ { proxy_pass http://relay; }",
            "location ~ ^/api/[1-9]\\d*/ { set $up relay:3000; proxy_pass http://$up; }",
            1,
        )
        .replacen(
            web,
            "location / { set $up web:9000; proxy_pass http://$up; }",
            1,
        );
    assert_ne!(two, SHIPPED);
    let sheet = carried(&two);
    assert_eq!(sheet.left, []);
    assert_eq!(keys(&sheet), CARRIED);
}

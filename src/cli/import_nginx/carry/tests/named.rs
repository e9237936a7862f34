//! No directive is dropped in silence, wherever it stands: it is carried over, or named.

use super::{CARRIED, SHIPPED, carried, check, keys};

const ROOT: &str = "location / {";

/// Where a directive can stand: what is there in the shipped file, and what is instead. `@` is
/// where the directive goes.
const PLACES: &[(&str, &str)] = &[
    ("gzip off;", "gzip off;\n@\n"),
    ("listen 80;", "listen 80;\n@\n"),
    ("location /api/store/ {", "location /api/store/ {\n@\n"),
    (
        r"location ~ ^/api/[1-9]\d*/ {",
        "location ~ ^/api/[1-9]\\d*/ {\n@\n",
    ),
    (
        "location ^~ /api/0/relays/ {",
        "location ^~ /api/0/relays/ {\n@\n",
    ),
    (
        ROOT,
        "location /api/5/ {\n@\nproxy_pass http://relay; }\nlocation / {",
    ),
    (
        ROOT,
        "location = /api/5/envelope/ {\n@\nproxy_pass http://relay; }\nlocation / {",
    ),
    (ROOT, "location / {\n@\n"),
    (
        ROOT,
        "location /custom/ {\n@\nproxy_pass http://sentry; }\nlocation / {",
    ),
    (
        ROOT,
        "location ~ /chunk-upload/$ {\n@\nproxy_pass http://sentry; }\nlocation / {",
    ),
    ("location /_static/ {", "location /_static/ {\n@\n"),
];

/// Also where nothing is passed on.
const FOLDERS: &[(&str, &str)] = &[
    ("location ^~ /js-sdk/ {", "location ^~ /js-sdk/ {\n@\n"),
    (ROOT, "location = /own {\n@\n}\nlocation / {"),
];

/// Sees that each directive in each of these places changes what is carried over, or is named
/// with its line.
#[track_caller]
fn check_everywhere(directive: &str, places: &[(&str, &str)]) {
    for (there, instead) in places {
        assert!(SHIPPED.contains(there), "{there}");
        let zones = "limit_req_zone $binary_remote_addr zone=own:10m rate=10r/s; limit_conn_zone $binary_remote_addr zone=open:1m;\nsendfile on;";
        let text = SHIPPED.replacen("sendfile on;", zones, 1);
        let text = text.replacen(there, &instead.replace('@', directive), 1);
        let before = text.split(&format!("\n{directive}\n")).next().unwrap();
        let line = before.lines().count() + 1;
        let sheet = carried(&text);
        let mut words = directive.trim_end_matches(';').split(' ');
        let what = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let named = sheet
            .left
            .iter()
            .chain(&sheet.otherwise)
            .any(|(place, left, why)| place.line == line && *left == what && !why.is_empty());
        assert!(
            named || keys(&sheet) != CARRIED,
            "{directive} in {instead}: {:?}",
            sheet.left
        );
    }
}

#[test]
fn each_directive_is_carried_or_named_wherever_it_stands() {
    for directive in [
        "client_body_timeout 7s;",
        "client_max_body_size 70m;",
        "client_max_body_size 500m;",
        "keepalive_timeout 7s;",
        "proxy_connect_timeout 7s;",
        "proxy_hide_header X-Powered-By;",
        "proxy_next_upstream http_500;",
        "proxy_next_upstream_tries 5;",
        "proxy_read_timeout 7s;",
        "proxy_set_header Accept-Encoding '';",
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Foo bar;",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_ssl_trusted_certificate /ca.pem;",
        "set_real_ip_from 192.0.2.7;",
        "real_ip_header CF-Connecting-IP;",
    ] {
        check_everywhere(directive, PLACES);
    }
    for directive in [
        "allow 10.0.0.0/8;",
        "deny 192.0.2.7;",
        "deny all;",
        "limit_conn open 5;",
        "limit_req zone=own burst=20;",
        "limit_req zone=gone;",
        "return 403;",
        "auth_basic on;",
    ] {
        check_everywhere(directive, PLACES);
        check_everywhere(directive, FOLDERS);
    }
}

#[test]
fn of_the_sizes_of_ingest_the_largest_is_taken_and_the_others_are_named() {
    let store = "location /api/store/ {";
    let with = |size: &str| format!("{store} client_max_body_size {size};");
    let larger = ["-ingest: 100MiB", "+ingest: 500MiB"];
    check(
        store,
        &with("500m"),
        &larger,
        &["client_max_body_size 100m"],
    );
    check(store, &with("50m"), &[], &["client_max_body_size 50m"]);
    check(store, &with("100m"), &[], &[]);
    check(
        store,
        &with("0"),
        &["-ingest: 100MiB", "+ingest: 1TiB"],
        &["client_max_body_size 100m"],
    );
}

#[test]
fn what_each_location_overrules_holds_nowhere_and_is_not_named() {
    let server = "listen 80; client_max_body_size 100m;";
    let text = SHIPPED
        .replacen("client_max_body_size 100m;", "client_max_body_size 1m;", 1)
        .replacen("listen 80;", server, 1);
    let sheet = carried(&text);
    assert_eq!(sheet.left, []);
    assert_eq!(keys(&sheet), CARRIED);
}

#[test]
fn a_limit_of_a_part_of_ingest_is_named_with_the_quota_that_helps() {
    let zone = "limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;\n  sendfile on;";
    let with = |location: &str| {
        let limited = format!("{location} limit_req zone=one burst=20;");
        carried(
            &SHIPPED
                .replacen("sendfile on;", zone, 1)
                .replacen(location, &limited, 1),
        )
    };
    let all = with(r"location ~ ^/api/[1-9]\d*/ {");
    assert_eq!(all.by_ip, Some((20, "2s".to_owned())));
    let [(_, items, why)] = all.left.as_slice() else {
        panic!("{:?}", all.left);
    };
    assert_eq!(items, "limit_req zone=one");
    assert!(why.contains("each item in it"), "{why}");
    let part = with("location /api/store/ {");
    assert_eq!(part.by_ip, None);
    let [(_, limit, why), (_, zone, _)] = part.left.as_slice() else {
        panic!("{:?}", part.left);
    };
    assert_eq!(
        (limit.as_str(), zone.as_str()),
        ("limit_req zone=one", "limit_req_zone $binary_remote_addr")
    );
    assert!(
        why.contains("quotas: [{limit: N, per: 1s, by: ip}]"),
        "{why}"
    );
}

#[test]
fn what_is_refused_in_a_location_is_named_once() {
    for refused in [
        "/api/7/ { return 403; }",
        "= /x { deny all; }",
        "= /y { log_not_found off; }",
    ] {
        let text = SHIPPED.replacen(ROOT, &format!("location {refused}\n{ROOT}"), 1);
        let left = carried(&text).left;
        assert_eq!(left.len(), 1, "{refused}: {left:?}");
    }
}

#[test]
fn another_server_of_the_same_site_is_looked_at_too() {
    let other = "server { listen 81; location /api/store/ { proxy_pass http://relay; proxy_read_timeout 5s; }
        location / { proxy_pass http://sentry; proxy_set_header X-Foo bar; } }\n  server {\n    listen 80;";
    let text = SHIPPED.replacen("server {\n    listen 80;", other, 1);
    let left = carried(&text).left;
    let named = |what: &str| left.iter().any(|(_, named, _)| named == what);
    assert!(
        named("proxy_read_timeout 5s") || named("proxy_read_timeout 90s"),
        "{left:?}"
    );
    assert!(named("proxy_set_header X-Foo"), "{left:?}");
}

#[test]
fn a_file_without_a_sentry_says_so() {
    let sheet = carried("http { server { listen 80; return 404; } }");
    assert!(
        sheet
            .left
            .iter()
            .any(|(_, what, why)| what == "http" && why.contains("no Sentry"))
    );
    assert_eq!(carried("").left, []);
}

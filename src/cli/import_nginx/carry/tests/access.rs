//! Who may see pages: one list for all that a listener's is for, or named with its lines.

use super::{SHIPPED, carried, check};

const ROOT: &str = "location / {";

/// A list for `/` alone shut sentry-cli out, which asks below /api/0/.
#[test]
fn a_list_that_holds_for_a_part_of_pages_alone_is_named() {
    let limited = "location / { allow 203.0.113.0/24; deny all;";
    let both = ["allow 203.0.113.0/24", "deny all"];
    let api = "location /api/0/ { proxy_pass http://sentry; }";
    check(ROOT, &format!("{api}\n{limited}"), &[], &both);
    let uploads = "location ~ /chunk-upload/$ { allow all; proxy_pass http://sentry; }";
    let named = ["allow all", "allow 203.0.113.0/24", "deny all"];
    check(ROOT, &format!("{uploads}\n{limited}"), &[], &named);
    // A password is enough, too.
    let any = format!("satisfy any; {limited}");
    check(ROOT, &any, &[], &["satisfy any", both[0], both[1]]);
    // nginx obeys what matches first.
    let nobody = "location / { deny all; allow 203.0.113.0/24;";
    check(ROOT, nobody, &[], &[both[1], both[0]]);
    let but_one = "location / { deny 203.0.113.7; allow 203.0.113.0/24; deny all;";
    let named = ["deny 203.0.113.7", "allow 203.0.113.0/24", "deny all"];
    let sheet = carried(&SHIPPED.replacen(ROOT, but_one, 1));
    for one in named {
        assert!(sheet.left.iter().any(|(_, what, _)| what == one), "{one}");
    }
    assert!(sheet.public.iter().all(|entry| entry.allow.is_empty()));
}

#[test]
fn a_list_that_holds_for_all_pages_is_a_listeners() {
    let address = "-- {address: \"0.0.0.0:80\"}";
    let listed = "+- {address: \"0.0.0.0:80\", allow: [203.0.113.0/24]}";
    let limited = "allow 203.0.113.0/24; deny all;";
    let root = format!("{ROOT} {limited}");
    // Of what pages are made of it is said that it is kept from others too.
    check(ROOT, &root, &[address, listed], &[]);
    let text = SHIPPED.replacen(ROOT, &root, 1);
    let of_pages = carried(&text).otherwise;
    for path in ["location /_static/", "location /_assets/"] {
        assert!(of_pages.iter().any(|(_, what, _)| what == path), "{path}");
    }
    let api = format!("location /api/0/ {{ {limited} proxy_pass http://sentry; }}\n{root}");
    check(ROOT, &api, &[address, listed], &[]);
}

/// Uploads are taken where pages are moved to https: from the same.
#[test]
fn who_may_not_see_pages_does_not_get_round_that_in_the_clear() {
    let server = "  server {\n    listen 80;";
    let both = "  server { listen 80; return 301 https://$host$request_uri; }
      server { listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem;";
    let text = SHIPPED.replacen(server, both, 1);
    let text = text.replacen(ROOT, "location / { allow 203.0.113.0/24; deny all;", 1);
    let sheet = carried(&text);
    let lists: Vec<_> = sheet.public.iter().map(|entry| &entry.allow).collect();
    assert_eq!(lists, [&["203.0.113.0/24"], &["203.0.113.0/24"]]);
}

//! Several servers of one Sentry: what each has, and what becomes of their addresses.

use super::{SHIPPED, Sheet, carried, keys};
use crate::config::{self, Env};

const RELAY: &str =
    "server { listen 80; server_name o1.ingest.example.com; client_max_body_size 50m;
    location / { proxy_pass http://relay:3000; } }";
const WEB: &str = "server { listen 80; server_name sentry.example.com; client_max_body_size 90m;
    location / { proxy_read_timeout 7m; proxy_pass http://web:9000; } }";

fn of(servers: &[&str]) -> Sheet {
    let sheet = carried(&format!("http {{ {} }}", servers.join("\n")));
    let yaml = keys(&sheet);
    config::parse("vidette.yml", &yaml, &Env::empty()).unwrap();
    sheet
}

fn named(sheet: &Sheet) -> Vec<&str> {
    sheet
        .left
        .iter()
        .map(|(_, what, _)| what.as_str())
        .collect()
}

/// Pages went to Relay.
#[test]
fn pages_of_a_server_of_their_own_go_to_web() {
    for servers in [[RELAY, WEB], [WEB, RELAY]] {
        let sheet = of(&servers);
        assert_eq!(sheet.ingest, ["http://relay:3000"]);
        assert_eq!(sheet.web, ["http://web:9000"]);
        assert_eq!(sheet.body_ingest.as_deref(), Some("50MiB"));
        assert_eq!(sheet.body_web.as_deref(), Some("90MiB"));
        assert_eq!(sheet.body_upload.as_deref(), Some("90MiB"));
        assert_eq!(sheet.read_web.as_deref(), Some("7m"));
        // By the other name there are pages now.
        assert_eq!(named(&sheet), ["server"], "{:?}", sheet.left);
        assert_eq!(sheet.public.len(), 1);
    }
}

#[test]
fn events_of_an_address_of_their_own_stay_alone_there() {
    let web = WEB.replace("listen 80;", "listen 8080; allow 192.0.2.0/24; deny all;");
    let sheet = of(&[RELAY, &web]);
    assert!(named(&sheet).is_empty(), "{:?}", sheet.left);
    let yaml = keys(&sheet);
    for line in [
        "- {address: \"0.0.0.0:80\", serve: ingest}",
        "- {address: \"0.0.0.0:8080\", allow: [192.0.2.0/24]}",
    ] {
        assert!(yaml.contains(line), "{yaml}");
    }
    // On one address the list is that of the server that has pages.
    let together = web.replace("listen 8080;", "listen 80;");
    for servers in [[RELAY, &together], [&together, RELAY]] {
        let yaml = keys(&of(&servers));
        let line = "- {address: \"0.0.0.0:80\", allow: [192.0.2.0/24]}";
        assert!(yaml.contains(line), "{yaml}");
    }
}

#[test]
fn where_it_is_unclear_whose_pages_they_are_it_is_said() {
    let wiki = "server { listen 81; location / { proxy_pass http://wiki:8080; } }";
    let sheet = of(&[RELAY, wiki]);
    assert!(sheet.web.is_empty());
    let [(_, what, why)] = sheet.left.as_slice() else {
        panic!("{:?}", sheet.left);
    };
    assert_eq!(what, "server");
    assert!(why.contains("upstream.web"), "{why}");
    // Nothing at all has pages.
    let events = RELAY.replace("location / {", "location ~ ^/api/[1-9]\\d*/ {");
    let sheet = of(&[&events]);
    let [(_, what, why)] = sheet.left.as_slice() else {
        panic!("{:?}", sheet.left);
    };
    assert_eq!(what, "server");
    assert!(why.contains("pages have no upstream"), "{why}");
}

#[test]
fn a_dashboard_beside_sentry_is_no_half_of_it() {
    let grafana = "server { listen 81; location / { proxy_pass http://grafana:3000; } }";
    let sheet = of(&[WEB, grafana]);
    assert_eq!(sheet.ingest, ["http://web:9000"]);
    assert_eq!(named(&sheet), ["server"]);
}

/// Without them certificates end some weeks later.
#[test]
fn proofs_are_served_beside_a_move_to_https() {
    let server = "  server {\n    listen 80;";
    let with = |proofs: &str, moves: &str| {
        let both = format!(
            "  server {{ listen 80;\n{proofs}\n{moves} }}
      server {{ listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem;"
        );
        carried(&SHIPPED.replacen(server, &both, 1))
    };
    let folder = "/var/www/certbot/.well-known/acme-challenge";
    let root = "location /.well-known/acme-challenge/ { root /var/www/certbot; }";
    for moves in [
        "location / { return 301 https://$host$request_uri; }",
        "return 301 https://$host$request_uri;",
    ] {
        let sheet = with(root, moves);
        assert_eq!(sheet.left, []);
        let proofs = (
            "/.well-known/acme-challenge/".to_owned(),
            folder.to_owned(),
            false,
        );
        assert!(sheet.statics.contains(&proofs), "{:?}", sheet.statics);
        let moved: Vec<_> = sheet
            .public
            .iter()
            .map(|entry| entry.redirect_to_https)
            .collect();
        assert_eq!(moved, [Some(443), None]);
    }
    let proxied = "location ^~ /.well-known/acme-challenge/ { proxy_pass http://certbot:80; }";
    let sheet = with(
        proxied,
        "location / { return 301 https://$host$request_uri; }",
    );
    let [(place, what, why)] = sheet.left.as_slice() else {
        panic!("{:?}", sheet.left);
    };
    assert_eq!(what, "location /.well-known/acme-challenge/");
    let line = SHIPPED.split(server).next().unwrap().lines().count() + 2;
    assert_eq!(place.line, line);
    assert!(why.contains("acme: [NAME]"), "{why}");
}

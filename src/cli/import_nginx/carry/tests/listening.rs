//! Where nginx listens, and what moves to https there.

use super::check;

#[test]
fn where_nginx_listens_is_carried_over() {
    let here = "listen 80;";
    check(
        here,
        "listen 127.0.0.1:8080;",
        &[
            "-- {address: \"0.0.0.0:80\"}",
            "+- {address: \"127.0.0.1:8080\"}",
        ],
        &[],
    );
    check(
        here,
        "listen 80; listen [::]:80;",
        &["-- {address: \"0.0.0.0:80\"}", "+- {address: \"[::]:80\"}"],
        &[],
    );
    check(
        here,
        "listen 80 proxy_protocol;",
        &[
            "-- {address: \"0.0.0.0:80\"}",
            "+- {address: \"0.0.0.0:80\", proxy_protocol: required}",
        ],
        &[],
    );
    check(here, "", &[], &[]);
    check(
        here,
        "listen 80; listen unix:/run/nginx;",
        &[],
        &["listen unix:/run/nginx"],
    );
    let tls = "listen 443 ssl http2; ssl_certificate /t/c.pem; ssl_certificate_key /t/k.pem; ssl_protocols TLSv1.2;";
    check(
        here,
        tls,
        &[
            "-- {address: \"0.0.0.0:80\"}",
            "+- {address: \"0.0.0.0:443\", tls: {cert: /t/c.pem, key: /t/k.pem}}",
        ],
        &[],
    );
    check(
        here,
        "listen 80; allow 10.0.0.0/8; deny all;",
        &[
            "-- {address: \"0.0.0.0:80\"}",
            "+- {address: \"0.0.0.0:80\", allow: [10.0.0.0/8]}",
        ],
        // Of pages: events come from everywhere.
        &["allow 10.0.0.0/8", "deny all"],
    );
    check(here, "listen 80; deny 10.0.0.1;", &[], &["deny 10.0.0.1"]);
}

#[test]
fn a_server_that_moves_to_https_is_a_listener() {
    let server = "  server {\n    listen 80;";
    let both = "  server { listen 80; return 301 https://$host$request_uri; }
      server { listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem;";
    check(
        server,
        both,
        &[
            "-- {address: \"0.0.0.0:80\"}",
            "+- {address: \"0.0.0.0:80\", redirect_to_https: true}",
            "+- {address: \"0.0.0.0:443\", tls: {cert: c.pem, key: k.pem}}",
        ],
        &[],
    );
    check(
        server,
        "  server { listen 8000; location / { proxy_pass http://wiki; } }\n  server {\n    listen 80;",
        &[],
        &["server"],
    );
    check(
        server,
        "  server { location /x { return 404; } }\n  server {\n    listen 80;",
        &[],
        &["return 404", "server"],
    );
}

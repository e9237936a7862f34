//! Files that are the shipped one but for a change, and what of the outcome is other.

mod access;
mod listening;
mod named;
mod otherwise;
mod places;
mod servers;
mod unsaid;

use super::super::grammar::read;
use super::*;
use crate::config::{self, Env};

/// What self-hosted's nginx is told, by its documented settings.
const SHIPPED: &str = r"
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log warn;
events { worker_connections 1024; }
http {
  default_type application/octet-stream;
  access_log /var/log/nginx/access.log;
  sendfile on;
  reset_timedout_connection on;
  keepalive_timeout 75s;
  gzip off;
  server_tokens off;
  set_real_ip_from 172.16.0.0/12;
  set_real_ip_from 10.0.0.0/8;
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;
  client_max_body_size 100m;
  client_body_buffer_size 64k;
  proxy_http_version 1.1;
  proxy_redirect off;
  proxy_read_timeout 90s;
  proxy_send_timeout 5s;
  proxy_set_header Connection '';
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-Id $request_id;
  upstream relay { server relay:3000; keepalive 2; }
  upstream sentry { server web:9000; keepalive 2; }
  server {
    listen 80;
    location /api/store/ { proxy_pass http://relay; }
    location ~ ^/api/[1-9]\d*/ { proxy_pass http://relay; }
    location ^~ /api/0/relays/ { proxy_pass http://relay; }
    location ^~ /js-sdk/ { root /var/www/; add_header Access-Control-Allow-Origin *; }
    location / { proxy_pass http://sentry; }
    location /_assets/ { proxy_pass http://sentry/_static/dist/sentry/; proxy_hide_header Content-Disposition; }
    location /_static/ { proxy_pass http://sentry; proxy_hide_header Content-Disposition; }
  }
}
";

const CARRIED: &str = r#"# From nginx.conf, by vidette import-nginx. What is not here has vidette's default;
# `vidette check --print` shows all of it.
listen:
  public:
    - {address: "0.0.0.0:80"}
upstream:
  ingest: ["http://relay:3000"]
  web: ["http://web:9000"]
  host: client_without_port
  timeouts:
    ingest: 90s
    web: 90s
client_ip:
  trusted_proxies: [172.16.0.0/12, 10.0.0.0/8]
  header: x-forwarded-for
static:
  - {path: /js-sdk/, root: /var/www/js-sdk, cors: true}
limits:
  bodies:
    ingest: 100MiB
    web: 100MiB
    upload: 100MiB
  keep_alive: 75s
"#;

fn carried(text: &str) -> Sheet {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    carry(&read(&file).unwrap())
}

#[test]
fn the_shipped_file_is_carried_over_whole() {
    let sheet = carried(SHIPPED);
    assert_eq!(sheet.left, []);
    assert_eq!(keys(&sheet), CARRIED);
    config::parse("vidette.yml", CARRIED, &Env::empty()).unwrap();
}

/// The file without what is listed at its end.
fn keys(sheet: &Sheet) -> String {
    let yaml = sheet.to_yaml("nginx.conf");
    let lists = ["\n# Not carried over:", "\n# Done here in another way"];
    let ends = lists.iter().filter_map(|list| yaml.find(list)).min();
    let end = ends.unwrap_or(yaml.len());
    yaml.get(..end)
        .expect("a place between characters")
        .to_owned()
}

/// The shipped file with a change: what of the outcome is other, `+` and `-` as in a patch,
/// and what is left, by its line and its first word.
#[track_caller]
fn check(there: &str, instead: &str, differs: &[&str], left: &[&str]) {
    assert!(SHIPPED.contains(there), "{there}");
    let sheet = carried(&SHIPPED.replacen(there, instead, 1));
    let notes: Vec<&str> = sheet
        .left
        .iter()
        .map(|(_, what, _)| what.as_str())
        .collect();
    assert_eq!(notes, left, "{instead}");
    let yaml = &keys(&sheet);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(CARRIED), lines(yaml));
    let gone = before
        .iter()
        .filter(|line| !after.contains(line))
        .map(|line| format!("-{}", line.trim()));
    let new = after
        .iter()
        .filter(|line| !before.contains(line))
        .map(|line| format!("+{}", line.trim()));
    let found: Vec<String> = gone.chain(new).collect();
    assert_eq!(found, differs, "{instead}");
    // Certificates are of another machine; all else is a configuration.
    if !yaml.contains("tls:") {
        config::parse("vidette.yml", yaml, &Env::empty()).unwrap();
    }
}

#[test]
fn upstreams_are_carried_over() {
    check(
        "server relay:3000;",
        "server relay-1:3000; server relay-2:3000 weight=2;",
        &[
            "-ingest: [\"http://relay:3000\"]",
            "+ingest: [\"http://relay-1:3000\", \"http://relay-2:3000\"]",
        ],
        &["server relay-2:3000 weight=2"],
    );
    check(
        "server relay:3000;",
        "server relay:3000 max_conns=8 max_fails=3;",
        &[],
        &["server relay:3000 max_conns=8"],
    );
    check(
        "server relay:3000;",
        "server relay:3000; server spare:3000 backup;",
        &[],
        &["server spare:3000"],
    );
    check(
        "proxy_pass http://sentry; }\n    location /_assets",
        "set $w web; proxy_pass https://$w:9443; }\n    location /_assets",
        &[
            "-web: [\"http://web:9000\"]",
            "+web: [\"https://web:9443\"]",
        ],
        // Its certificate is looked at from now on.
        &[
            "proxy_pass https://$w:9443",
            "location /_assets/",
            "location /_static/",
        ],
    );
    check(
        "Host $host;",
        "Host $http_host;",
        &["-host: client_without_port", "+host: client"],
        &[],
    );
    check(
        "Host $host;",
        "Host sentry.example.com;",
        &["-host: client_without_port", "+host: target"],
        &[],
    );
    check(
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Forwarded-Proto https;",
        &[],
        &["proxy_set_header X-Forwarded-Proto"],
    );
    check(
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Real-IP $remote_addr;",
        &["+send_as: [x-forwarded-for, x-real-ip]"],
        &[],
    );
    check(
        "proxy_read_timeout 90s;",
        "proxy_read_timeout 5m; proxy_connect_timeout 3;",
        &[
            "-ingest: 90s",
            "-web: 90s",
            "+connect: 3s",
            "+ingest: 5m",
            "+web: 5m",
        ],
        &[],
    );
}

#[test]
fn sizes_are_those_of_the_place_that_they_hold_in() {
    check(
        "client_max_body_size 100m;",
        "client_max_body_size 0;",
        &[
            "-ingest: 100MiB",
            "-web: 100MiB",
            "-upload: 100MiB",
            "+ingest: 1TiB",
            "+web: 1TiB",
            "+upload: 1TiB",
        ],
        &[],
    );
    let uploads = "location ~ /chunk-upload/$ { client_max_body_size 2g; proxy_pass http://sentry; }\n    location / {";
    check(
        "location / {",
        uploads,
        &["-upload: 100MiB", "+upload: 2GiB"],
        &[],
    );
}

#[test]
fn trusted_proxies_are_networks() {
    check(
        "set_real_ip_from 10.0.0.0/8;",
        "set_real_ip_from balancer.local;",
        &[
            "-trusted_proxies: [172.16.0.0/12, 10.0.0.0/8]",
            "+trusted_proxies: [172.16.0.0/12]",
        ],
        &["set_real_ip_from balancer.local"],
    );
    check(
        "real_ip_header X-Forwarded-For;",
        "real_ip_header CF-Connecting-IP;",
        &["-header: x-forwarded-for", "+header: cf-connecting-ip"],
        &[],
    );
}

#[test]
fn rates_are_quotas() {
    let zone = "gzip off; limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s; limit_req zone=one burst=20 nodelay;";
    check(
        "gzip off;",
        zone,
        &[
            "+defaults:",
            "+quotas:",
            "+- {limit: 20, per: 2s, by: ip, categories: [error, transaction]}",
        ],
        // Of items, of which a request may have hundreds.
        &["limit_req zone=one"],
    );
    let all = "gzip off; limit_req_zone $server_name zone=one:10m rate=100r/s; limit_req zone=one;";
    check(
        "gzip off;",
        all,
        &[
            "+global:",
            "+quotas:",
            "+- {limit: 100, per: 1s, categories: [error, transaction]}",
        ],
        &["limit_req zone=one"],
    );
    let other = "gzip off; limit_req_zone $uri zone=one:10m rate=1r/s; limit_req zone=one;";
    check(
        "gzip off;",
        other,
        &[],
        &["limit_req zone=one", "limit_req_zone $uri"],
    );
    check(
        "gzip off;",
        "limit_req zone=gone;",
        &[],
        &["limit_req zone=gone"],
    );
    let open = "gzip off; limit_conn_zone $binary_remote_addr zone=c:1m; limit_conn c 32;";
    // Whom the trusted proxies bring, of which there are two, is not counted.
    check(
        "gzip off;",
        open,
        &["+connections_per_client: 32"],
        &["limit_conn c"],
    );
    let direct = SHIPPED
        .replace("set_real_ip_from", "# set_real_ip_from")
        .replacen("gzip off;", open, 1);
    let sheet = carried(&direct);
    assert_eq!(sheet.per_client, Some(32));
    assert_eq!(sheet.left, []);
}

#[test]
fn what_has_no_place_here_is_named() {
    check("gzip off;", "gzip on;", &[], &["gzip on"]);
    check(
        "gzip off;",
        "add_header X-Frame-Options DENY;",
        &[],
        &["add_header X-Frame-Options"],
    );
    check(
        "location / {",
        "location = /robots.txt { return 200; }\n    location / {",
        &[],
        &["return 200"],
    );
    check(
        "gzip off;",
        "include conf.d/gone.conf;",
        &[],
        &["include conf.d/gone.conf"],
    );
    check(
        "location / {",
        "location /grafana/ { proxy_pass http://grafana:3000; }\n    location / {",
        &[],
        &["location /grafana/"],
    );
    check(
        "location / {",
        "location @fallback { proxy_pass http://sentry; }\n    location / {",
        &[],
        &["location @fallback"],
    );
    check(
        "location / {",
        "location /live/ { proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; proxy_set_header Host $host; proxy_pass http://sentry; }\n    location / {",
        &[],
        &["proxy_set_header Upgrade", "proxy_set_header Connection"],
    );
}

//! `vidette import-nginx`: nginx itself by self-hosted's file and by common edits of it, and an
//! edge by what was carried over, before the same Relay and web. What reaches these and what comes
//! back is the same, or the import has named what is not.

mod requests;

use std::fs;
use std::net::{SocketAddr, TcpListener};

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::client::{Answer, Client, request};
use crate::command_line::ran;
use crate::edge::{Edge, program};
use crate::front::{Nginx, open_to_workers, self_hosted};
use crate::parts::{Part, promises};
use crate::tls::authority::Authority;
use crate::tls::client::{SecureClient, Trust};
use crate::upstream::{Ended, Fake};

use requests::{BUNDLE, CAP, PROXY, Row, rows};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Nginx];
        the_shipped_file_leads_everywhere_it_led,
        sizes_hold_where_they_held,
        addresses_are_believed_as_before,
        headers_to_sentry_are_those_of_before,
        a_location_that_leads_elsewhere_is_named,
        what_is_answered_in_sentrys_place_is_named,
        a_server_with_certificates_shows_the_same,
        an_authority_finds_its_proof_beside_a_move_to_https,
    ]
}

/// What a request led to: who got it and as what, and what came back.
#[derive(Debug, PartialEq, Eq)]
struct Led {
    upstream: &'static str,
    seen: Vec<String>,
    status: u16,
    body: Option<Vec<u8>>,
    headers: Vec<Option<String>>,
}

struct Sides {
    relay: Fake,
    web: Fake,
    nginx: Nginx,
    edge: Edge,
    /// What the import printed of what it could not carry, and of what is done otherwise.
    told: String,
    /// Its exit code.
    code: Option<i32>,
    _files: TempDir,
}

impl Sides {
    /// Both by the shipped file with one change.
    #[track_caller]
    fn with(shipped: &str, edit: &str) -> Self {
        Self::over(None, |text| {
            assert!(text.contains(shipped), "nothing to change: {shipped}");
            text.replacen(shipped, edit, 1)
        })
    }

    #[track_caller]
    fn over(second: Option<TcpListener>, change: impl Fn(String) -> String) -> Self {
        let answering = |name: &'static str| {
            Fake::with(move |exchange| {
                exchange.read_body()?;
                let headers = [
                    ("content-type", "text/javascript"),
                    ("content-disposition", "attachment"),
                    ("x-from", name),
                ];
                let body = format!("{name} {}", exchange.request.target_text());
                exchange.answer(200, &headers, body.as_bytes())
            })
        };
        let (relay, web) = (answering("relay"), answering("web"));
        let files = tempfile::tempdir().unwrap();
        open_to_workers(files.path());
        let bundle = files.path().join(&BUNDLE[1..]);
        fs::create_dir_all(bundle.parent().unwrap()).unwrap();
        fs::write(&bundle, "bundle").unwrap();
        let text = change(self_hosted(relay.address(), web.address(), files.path()));
        let nginx = Nginx::running(&text, second);
        let imported = ran(program().arg("import-nginx").arg(nginx.file()));
        // nginx has the ports.
        let yaml: String = imported
            .stdout
            .lines()
            .map(|line| match line.trim_start().starts_with("- {address:") {
                true => free_port(line) + "\n",
                false => format!("{line}\n"),
            })
            .collect();
        let edge = Edge::run(
            &yaml,
            &[
                ("VIDETTE_WORKERS", "1"),
                ("VIDETTE_LISTEN_ADMIN", "127.0.0.1:0"),
                ("VIDETTE_KEYS_MODE", "open"),
                ("VIDETTE_STATE_PATH", "off"),
                ("VIDETTE_SPOOL_PATH", "off"),
                ("VIDETTE_CLIENT_REPORTS_ENABLED", "false"),
            ],
        );
        Self {
            relay,
            web,
            nginx,
            edge,
            told: imported.stderr,
            code: imported.code,
            _files: files,
        }
    }

    fn lead(&self, door: SocketAddr, row: &Row) -> Led {
        let mut client = Client::connect_from(row.from, door);
        client.send(&request(row.method, &row.target, &row.headers, &row.body));
        self.led(client.answer_to(row.method))
    }

    /// What has just reached whom.
    fn led(&self, answer: Answer) -> Led {
        let last = |fake: &Fake| {
            let seen = fake.requests();
            seen.last().cloned().filter(|_| answer.status == 200)
        };
        let upstream = match answer.header("x-from").as_deref() {
            Some("relay") => "relay",
            Some(_) => "web",
            None => "none",
        };
        let seen = match upstream {
            "relay" => last(&self.relay),
            "web" => last(&self.web),
            _ => None,
        };
        let seen = seen.map(|seen| {
            assert_eq!(seen.ended, Ended::Whole);
            let mut told = vec![seen.method.clone(), seen.target_text()];
            for name in ["host", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"] {
                told.push(format!("{name}: {:?}", seen.headers.all(name)));
            }
            told.push(format!("{} bytes", seen.body_bytes));
            told
        });
        // Each refuses in its own words.
        let body = (answer.status < 400).then(|| answer.body.clone());
        let header = |name| answer.header(name).filter(|_| answer.status < 400);
        let headers = match upstream {
            // What an event's answer says of CORS is ours.
            "relay" => Vec::new(),
            _ => vec![
                // nginx goes by its own list of types, in which JavaScript has an older name.
                header("content-type").map(|kind| kind.replace("application/j", "text/j")),
                header("content-disposition"),
                header("access-control-allow-origin"),
            ],
        };
        Led {
            upstream,
            seen: seen.unwrap_or_default(),
            status: answer.status,
            body,
            headers,
        }
    }

    /// Sends every row through both: those that differ are these, and the import has named each
    /// by these words.
    #[track_caller]
    fn check(&self, differing: &[(&str, &str)]) {
        let mut other = Vec::new();
        for row in rows() {
            let by_nginx = self.lead(self.nginx.address, &row);
            let by_edge = self.lead(self.edge.public, &row);
            if by_nginx != by_edge {
                println!("{}:\n  nginx {by_nginx:?}\n  edge  {by_edge:?}", row.name);
                other.push(row.name);
            }
        }
        let want: Vec<_> = differing.iter().map(|(name, _)| *name).collect();
        assert_eq!(other, want, "{}", self.told);
        for (name, words) in differing {
            assert!(
                self.told.contains(words),
                "{name} is not named:\n{}",
                self.told
            );
        }
        assert_eq!(
            self.code,
            Some(i32::from(!differing.is_empty())),
            "{}",
            self.told
        );
    }
}

/// An entry of listen.public, at a port that is free.
fn free_port(line: &str) -> String {
    let (before, address) = line.split_once(": \"").unwrap();
    let (address, after) = address.split_once('"').unwrap();
    let (host, _) = address.rsplit_once(':').unwrap();
    format!("{before}: \"{host}:0\"{after}")
}

fn the_shipped_file_leads_everywhere_it_led() {
    Sides::with("", "").check(&[]);
}

fn sizes_hold_where_they_held() {
    let everywhere = Sides::with("client_max_body_size 100m;", "client_max_body_size 64k;");
    everywhere.check(&[]);
    let over = rows().into_iter().filter(|row| row.body.len() > CAP);
    for row in over {
        let led = everywhere.lead(everywhere.edge.public, &row);
        assert_eq!(led.status, 413, "{}", row.name);
    }
    let cap = "client_max_body_size 64k; proxy_pass http://web;";
    let pages = format!("location / {{ {cap} }}");
    Sides::with("location / { proxy_pass http://web; }", &pages).check(&[]);
    let own = format!(
        "location ~ /chunk-upload/$ {{ {cap} }}\n                location / {{ proxy_pass http://web; }}"
    );
    Sides::with("location / { proxy_pass http://web; }", &own).check(&[]);
}

fn addresses_are_believed_as_before() {
    Sides::with(
        "set_real_ip_from 127.0.0.0/8;",
        "set_real_ip_from 127.0.0.1;",
    )
    .check(&[]);
    Sides::with(
        "real_ip_header X-Forwarded-For;",
        "real_ip_header CF-Connecting-IP;",
    )
    .check(&[]);
    let one_hop = "real_ip_recursive";
    Sides::with("real_ip_recursive on;", "real_ip_recursive off;")
        .check(&[("two hops, one trusted", one_hop)]);
    Sides::with("real_ip_recursive on;", "").check(&[("two hops, one trusted", one_hop)]);
}

fn headers_to_sentry_are_those_of_before() {
    Sides::with(
        "proxy_set_header Host $host;",
        "proxy_set_header Host $http_host;",
    )
    .check(&[]);
    Sides::with(
        "proxy_set_header Host $host;",
        "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;",
    )
    .check(&[]);
    // Who sent what claims to be a client's address is known here, and said once.
    let claimed = Sides::with(
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    );
    let named = "proxy_set_header X-Forwarded-For";
    claimed.check(&[
        ("one hop", named),
        ("two hops, one trusted", named),
        ("a forged hop", named),
        ("an IPv6 hop", named),
        ("a stranger's hop", named),
    ]);
}

fn a_location_that_leads_elsewhere_is_named() {
    let root = "location / { proxy_pass http://web; }";
    let same = format!("location /custom/ {{ proxy_pass http://web; }} {root}");
    Sides::with(root, &same).check(&[]);
    let other = format!("location /custom/ {{ proxy_pass http://relay; }} {root}");
    Sides::with(root, &other).check(&[("custom", "location /custom/")]);
    let moved = format!("location /custom/ {{ proxy_pass http://web/other/; }} {root}");
    Sides::with(root, &moved).check(&[("custom", "/custom/")]);
}

fn what_is_answered_in_sentrys_place_is_named() {
    let root = "location / { proxy_pass http://web; }";
    let robots = format!("location = /robots.txt {{ return 200 \"no\"; }} {root}");
    Sides::with(root, &robots).check(&[("robots", "return 200")]);
}

fn a_server_with_certificates_shows_the_same() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("edge", &["sentry.example.com", "127.0.0.1"]);
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let secure = second.local_addr().unwrap();
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let both = Sides::over(Some(second), |text| {
        let tls = format!(
            "listen ADDRESS; listen {secure} ssl; ssl_certificate {cert}; ssl_certificate_key {key};"
        );
        text.replacen("listen ADDRESS;", &tls, 1)
    });
    both.check(&[]);
    let status = both.edge.admin_get("/api/v1/status").json();
    let edge = status["public"][1].as_str().unwrap().parse().unwrap();
    let trust = Trust::of(&authority);
    let ask = |door: SocketAddr| {
        let mut client = SecureClient::connect(door, &trust);
        both.led(client.ask("GET", "/auth/login/", &[], b""))
    };
    let by_nginx = ask(secure);
    assert!(
        by_nginx.seen.iter().any(|told| told.contains("https")),
        "{by_nginx:?}"
    );
    assert_eq!(ask(edge), by_nginx);
}

/// As certbot has it: without the folder certificates are not renewed.
fn an_authority_finds_its_proof_beside_a_move_to_https() {
    let proofs = tempfile::tempdir().unwrap();
    open_to_workers(proofs.path());
    let folder = proofs.path().join(".well-known/acme-challenge");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("token"), "token.thumbprint").unwrap();
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = second.local_addr().unwrap();
    let root = proofs.path().display();
    let both = Sides::over(Some(second), |text| {
        let moves = format!(
            "server {{ listen ADDRESS;
                location /.well-known/acme-challenge/ {{ root {root}; }}
                location / {{ return 301 https://$host$request_uri; }} }}
            server {{"
        );
        text.replacen("listen ADDRESS;", &format!("listen {site};"), 1)
            .replacen("server {", &moves, 1)
    });
    assert_eq!(both.code, Some(0), "{}", both.told);
    for door in [both.nginx.address, both.edge.public] {
        let ask = |target: &str| {
            let mut client = Client::connect_from(PROXY, door);
            client.send(&request(
                "GET",
                target,
                &[("host", "sentry.example.com")],
                b"",
            ));
            client.answer_to("GET")
        };
        let proof = ask("/.well-known/acme-challenge/token");
        assert_eq!(
            (proof.status, &proof.body[..]),
            (200, &b"token.thumbprint"[..])
        );
        assert_eq!(ask("/.well-known/acme-challenge/none").status, 404);
        let moved = ask("/auth/login/");
        assert!(matches!(moved.status, 301 | 308), "{}", moved.status);
        let place = moved.header("location").unwrap();
        assert_eq!(place, "https://sentry.example.com/auth/login/");
    }
}

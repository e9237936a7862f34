//! `vidette doctor compose`: our own overrides are well, and each fault that is met in the field
//! is named where it stands, with what mends it.

mod refused;

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::{Ran, ran};
use crate::edge::program;
use crate::parts::{checkout, promises};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        our_own_overrides_are_well,
        an_nginx_that_is_left_in_place_is_named,
        a_port_that_leads_nowhere_is_named,
        a_relay_that_cannot_be_reached_is_named,
        what_would_not_outlive_a_container_is_named,
        how_it_stops_starts_and_is_checked_is_judged,
        a_log_without_a_bound_is_named,
        a_lost_address_is_named,
    ];
    trials.extend(refused::trials());
    trials
}

const OURS: &str = "config/compose/docker-compose.override.yml";

/// A self-hosted folder with this override in it.
fn folder(base: &str, over: &str, env: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let base = fs::read_to_string(checkout(base)).unwrap();
    put("docker-compose.yml", &base);
    put("docker-compose.override.yml", over);
    put(".env", env);
    folder
}

fn doctor(folder: &Path, arguments: &[&str]) -> Ran {
    ran(program()
        .args(["doctor", "compose"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("SENTRY_BIND"))
}

const BASE: &str = "tests/compose/26/docker-compose.yml";
const BIND: &str = "SENTRY_BIND=9000\n";

fn ours() -> String {
    fs::read_to_string(checkout(OURS)).unwrap()
}

/// Our override with one thing changed, and what is said of it: its mark, and parts of its words.
#[track_caller]
fn check(from: &str, to: &str, mark: &str, parts: &[&str]) {
    let ours = ours();
    assert!(ours.contains(from), "our override has no {from}");
    check_files(&ours.replace(from, to), BIND, mark, parts);
}

#[track_caller]
fn check_files(over: &str, env: &str, mark: &str, parts: &[&str]) {
    let folder = folder(BASE, over, env);
    let told = doctor(folder.path(), &[]);
    let code = i32::from(mark == "problem");
    assert_eq!(told.code, Some(code), "{}{}", told.stdout, told.stderr);
    // What is said of one fault stands together, below its mark.
    let said = told
        .stdout
        .lines()
        .fold(Vec::<String>::new(), |mut said, line| {
            match line.starts_with("         ") {
                true => said.last_mut().unwrap().push_str(line),
                false => said.push(line.to_owned()),
            }
            said
        });
    let found = said.iter().any(|said| {
        said.starts_with(&format!("{mark} ")) && parts.iter().all(|part| said.contains(part))
    });
    assert!(found, "no {mark} with {parts:?} in\n{}", told.stdout);
}

fn our_own_overrides_are_well() {
    for (base, over) in [
        (BASE, OURS),
        (
            "tests/compose/21.4.1/docker-compose.yml",
            "config/compose/docker-compose.override.21.4.1.yml",
        ),
    ] {
        let over_text = fs::read_to_string(checkout(over)).unwrap();
        for bind in [BIND, "SENTRY_BIND=127.0.0.1:9000\n"] {
            let folder = folder(base, &over_text, bind);
            let told = doctor(folder.path(), &[]);
            assert_eq!(told.code, Some(0), "{over}: {}{}", told.stdout, told.stderr);
            let marks = told.stdout.lines().filter(|line| !line.starts_with("ok "));
            assert_eq!(marks.collect::<Vec<_>>(), Vec::<&str>::new(), "{over}");
            assert!(told.stdout.contains("is reached at"), "{}", told.stdout);
        }
    }
    let folder = folder(BASE, &ours(), BIND);
    let json = doctor(folder.path(), &["--json"]);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(told["findings"].as_array().unwrap().len() > 4, "{told}");
}

fn an_nginx_that_is_left_in_place_is_named() {
    check_files(
        "services: {}\n",
        BIND,
        "problem",
        &[
            "docker-compose.yml:",
            "is still nginx, and no service runs vidette",
        ],
    );
    let beside = "  nginx:\n    # The suffix";
    check(
        beside,
        "  edge:\n    restart: always\n    ports: [\"80:80\"]\n    # The suffix",
        "problem",
        &[
            "docker-compose.yml:",
            "is nginx, and still publishes a port",
            "!reset",
        ],
    );
    check(
        beside,
        "  edge:\n    restart: always\n    ports: [\"9000:80\"]\n    # The suffix",
        "problem",
        &["wants the port of the host that edge has: 9000:80/tcp and 9000:80"],
    );
    check(
        beside,
        "  edge:\n    restart: always\n    # The suffix",
        "problem",
        &["docker-compose.override.yml:", "edge publishes no port"],
    );
}

fn a_port_that_leads_nowhere_is_named() {
    check_files(
        &ours(),
        "",
        "problem",
        &[":80/tcp names no port of the host", "SENTRY_BIND=9000"],
    );
    let listen = "VIDETTE_LISTEN_PUBLIC: \"0.0.0.0:80\"";
    check(
        listen,
        "VIDETTE_LISTEN_PUBLIC: \"0.0.0.0:9000\"",
        "problem",
        &[
            "leads to a port that vidette does not listen on",
            "\"0.0.0.0:80\"",
        ],
    );
    check(
        listen,
        "VIDETTE_LISTEN_PUBLIC: \"127.0.0.1:80\"",
        "problem",
        &["listens on 127.0.0.1:80", "the container alone"],
    );
    let volumes = "    volumes: !override";
    check(
        volumes,
        "    ports: [\"9000:web\"]\n    volumes: !override",
        "problem",
        &["9000:web names no port of the container"],
    );
    check(
        volumes,
        "    ports: [\"9001:9001\"]\n    volumes: !override",
        "warn",
        &["publishes its admin address without a token"],
    );
    // Host networks need no port.
    let host = ours().replace(volumes, "    network_mode: host\n    volumes: !override");
    let host = host.replace("http://relay:3000", "http://10.0.0.1:3000");
    check_files(
        &host.replace("http://web:9000", "http://10.0.0.1:9000"),
        BIND,
        "ok",
        &["the host's own network"],
    );
}

fn a_relay_that_cannot_be_reached_is_named() {
    let relay = "http://relay:3000";
    for (url, said) in [
        ("http://rely:3000", "no service is called so"),
        ("http://localhost:3000", "the edge's own container"),
        ("http://nginx:3000", "the edge itself"),
        ("http://relay:3001", "relay listens on 3000"),
    ] {
        check(
            relay,
            url,
            "problem",
            &[
                "docker-compose.override.yml:",
                "upstream.ingest",
                url,
                said,
                "http://relay:3000",
            ],
        );
    }
    check(
        relay,
        "http://relay.example.com:3000",
        "ok",
        &["none of these services"],
    );
    check(
        "      VIDETTE_UPSTREAM_WEB: \"http://web:9000\"\n",
        "",
        "warn",
        &["there is a service web"],
    );
    let volumes = "    volumes: !override";
    check(
        volumes,
        "    networks: [outside]\n    volumes: !override",
        "problem",
        &[
            "nginx is in network outside, and relay in default",
            "networks: [default, outside]",
        ],
    );
    check(
        volumes,
        "    network_mode: host\n    volumes: !override",
        "problem",
        &["the host's network does not know"],
    );
}

fn what_would_not_outlive_a_container_is_named() {
    let volume = "      - vidette-state:/var/lib/vidette\n";
    check(
        volume,
        "",
        "problem",
        &["spool.path is /var/lib/vidette/spool, and no volume"],
    );
    check(
        volume,
        "",
        "problem",
        &["state.path is /var/lib/vidette, and no volume"],
    );
    check(
        volume,
        "      - {type: tmpfs, target: /var/lib/vidette}\n",
        "problem",
        &["which is memory there"],
    );
    check(
        volume,
        "      - vidette-state:/var/lib/vidette:ro\n",
        "problem",
        &["cannot be written there"],
    );
    check(
        "      VIDETTE_LISTEN_ADMIN",
        "      VIDETTE_SPOOL_PATH: \"off\"\n      VIDETTE_LISTEN_ADMIN",
        "warn",
        &["spool.path is off"],
    );
}

fn how_it_stops_starts_and_is_checked_is_judged() {
    let grace = "    stop_grace_period: 40s\n";
    check(
        grace,
        "",
        "problem",
        &[
            "killed after 10s, and drains for 30s",
            "stop_grace_period: 40s",
        ],
    );
    check(
        grace,
        "    stop_grace_period: 34s\n",
        "problem",
        &["killed after 34s"],
    );
    check(
        grace,
        "    stop_grace_period: 35s\n",
        "ok",
        &["has 35s to stop"],
    );
    check(
        "soft: 262144",
        "soft: 1024",
        "problem",
        &["may open 1024 files"],
    );
    check(
        "    ulimits:\n",
        "    x-ulimits:\n",
        "warn",
        &["the engine's limit of open files"],
    );
    check(
        grace,
        "    stop_grace_period: 40s\n    restart: \"no\"\n",
        "problem",
        &["not started again when it ends"],
    );
    check(
        grace,
        "    stop_grace_period: 40s\n    restart: on-failure\n",
        "warn",
        &["not started again with the machine"],
    );
    let health = "    healthcheck:\n      test: [\"CMD\", \"vidette\", \"healthcheck\"]\n";
    check(health, "", "problem", &["Sentry's own front page"]);
    check(
        health,
        "    healthcheck: {disable: true}\n",
        "warn",
        &["is not checked"],
    );
    check(
        "    depends_on: !reset {}\n",
        "",
        "warn",
        &["starts only once web is healthy"],
    );
}

fn a_log_without_a_bound_is_named() {
    let all = "      VIDETTE_ACCESS_LOG_MODE: all\n      VIDETTE_LISTEN_ADMIN";
    check(
        "      VIDETTE_LISTEN_ADMIN",
        all,
        "warn",
        &["a log without a bound"],
    );
    let grace = "    stop_grace_period: 40s\n";
    let logging = "    logging: {driver: json-file, options: {max-size: 50m}}\n";
    let bounded = ours()
        .replace("      VIDETTE_LISTEN_ADMIN", all)
        .replace(grace, &format!("{grace}{logging}"));
    let folder = folder(BASE, &bounded, BIND);
    let told = doctor(folder.path(), &[]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    assert!(!told.stdout.contains("without a bound"), "{}", told.stdout);
}

fn a_lost_address_is_named() {
    let trusted = "VIDETTE_CLIENT_IP_TRUSTED_PROXIES: \"docker\"";
    let nobody = ours().replace(trusted, "VIDETTE_CLIENT_IP_TRUSTED_PROXIES: \"loopback\"");
    let loopback = "SENTRY_BIND=127.0.0.1:9000\n";
    check_files(
        &nobody,
        loopback,
        "problem",
        &[
            "a proxy on this host, whom vidette does not believe",
            "TRUSTED_PROXIES: docker",
        ],
    );
    check_files(&nobody, BIND, "ok", &["is reached at"]);
    let six = "SENTRY_BIND=[::]:9000\n";
    check_files(
        &ours(),
        six,
        "problem",
        &["takes IPv6, and its network has none", "enable_ipv6"],
    );
    let given = format!("{}\nnetworks: {{default: {{enable_ipv6: true}}}}\n", ours());
    check_files(&given, six, "ok", &["is reached at [::]:9000:80/tcp"]);
}

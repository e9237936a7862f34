//! The schema of vidette.yml before a validator that nobody here wrote: what we ship passes, and
//! what `vidette check` refuses is refused.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::ran;
use crate::edge::program;
use crate::parts::{Part, checkout, promises, python};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Python];
        what_we_ship_and_show_is_good_by_the_schema,
        what_check_refuses_the_schema_refuses,
        what_may_be_left_empty_or_quoted_is_good_for_both,
    ]
}

/// A file as an editor reads it: by YAML 1.2, in which `off` is a word.
#[track_caller]
fn yaml(text: &str) -> Value {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(value) => value,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// What is wrong with each file, by the schema that the program prints.
#[track_caller]
fn judged(files: &[Value]) -> Vec<Vec<String>> {
    let printed = ran(program().arg("schema"));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    let mut judge = Command::new(python().unwrap())
        .arg(checkout("tests/clients/schema.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({"schema": schema, "files": files}).to_string();
    judge
        .stdin
        .take()
        .unwrap()
        .write_all(asked.as_bytes())
        .unwrap();
    let told = judge.wait_with_output().unwrap();
    assert!(told.status.success(), "no schema at all");
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Whether `vidette check` takes a file.
fn is_taken(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.yml");
    fs::write(&file, text).unwrap();
    ran(program().arg("check").arg(file)).code == Some(0)
}

#[track_caller]
fn check_good(texts: &[String]) {
    let files: Vec<Value> = texts.iter().map(|text| yaml(text)).collect();
    for (text, wrong) in texts.iter().zip(judged(&files)) {
        let begins: String = text.chars().take(200).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{begins}");
    }
}

/// The README's blocks of configuration: those that go on where the one before ends, and those
/// that stand by themselves.
fn blocks() -> Vec<String> {
    let readme = fs::read_to_string(checkout("README.md")).unwrap();
    let of = |fence: &str| {
        let rest: Vec<&str> = readme.split(fence).skip(1).collect();
        let ended = rest.iter().filter_map(|rest| rest.split("```").next());
        ended.map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = of("```yaml\n").concat();
    assert!(
        whole.contains("projects:") && whole.contains("sample:"),
        "{whole}"
    );
    [vec![whole], of("```yml\n")].concat()
}

fn what_we_ship_and_show_is_good_by_the_schema() {
    let shipped = fs::read_to_string(checkout("config/vidette.yml")).unwrap();
    let env = [("VIDETTE_UPSTREAM_INGEST", "http://relay:3000")];
    let printed = ran(program().args(["check", "--print"]).envs(env));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    check_good(&[[shipped, printed.stdout].to_vec(), blocks(), examples()].concat());
}

/// The examples that stand in the comments of the file that we ship.
fn examples() -> Vec<String> {
    let shipped = fs::read_to_string(checkout("config/vidette.yml")).unwrap();
    let commented = |begin: &str| {
        let (_, rest) = shipped.split_once(begin).unwrap();
        let lines = rest
            .lines()
            .take_while(|line| line.trim_start().starts_with("#   "));
        let lines = lines.map(|line| line.trim_start().trim_start_matches('#'));
        lines.fold(String::new(), |text, line| format!("{text}{line}\n"))
    };
    let projects = commented("Only the id must be set: the number at the end of a DSN.\n#\n");
    assert!(projects.contains("repeats:"), "{projects}");
    vec![projects]
}

const UPSTREAM: &str = "upstream: {ingest: [\"http://relay:3000\"]}\n";

fn what_check_refuses_the_schema_refuses() {
    let wrong = [
        "upstrem: {}",
        "limits: {bodes: {}}",
        "limits: {bodies: {ingest: 20 apples}}",
        "limits: {items: 0}",
        "limits: {items: 100001}",
        "limits: {items: many}",
        "limits: {items: [1]}",
        "limits: {drain: 30}",
        "limits: {drain: 30 seconds}",
        "limits: 5",
        "workers: 0",
        "workers: all",
        "keys: {mode: everyone}",
        "keys: {unproven_rate: 50}",
        "client_ip: {trusted_proxies: [dokcer]}",
        "client_ip: {trusted_proxies: docker}",
        "client_ip: {header: \"a b\"}",
        "listen: {public: []}",
        "listen: {public: [\"9000\"]}",
        "listen: {public: [{name: x}]}",
        "listen: {public: [{address: \"0.0.0.0:1\", serve: nothing}]}",
        "listen: {public: [{address: \"0.0.0.0:1\", tls: {cert: /a}}]}",
        "listen: {public: [{address: \"0.0.0.0:1\", redirect_to_https: 0}]}",
        "projects: [{name: shop}]",
        "projects: [{id: 0}]",
        "projects: [{id: 42, keys: [shop]}]",
        "projects: [{id: 42, keys: [{key: a94ae32be2584e0bbd7a4cbb95971fee, quotas: [{limit: 1, per: 1m, by: project}]}]}]",
        "global: {quotas: [{limit: 10}]}",
        "global: {quotas: [{limit: -1, per: 1h}]}",
        "global: {quotas: [{limit: 10, per: 1w}]}",
        "global: {quotas: [{limit: 10, per: 1h, categories: [log]}]}",
        "global: {budget: 5}",
        "defaults: {sample: {session: 0.1}}",
        "defaults: {sample: {transaction: 2}}",
        "defaults: {sample: {rules: [{environment: \"a\"}]}}",
        "defaults: {filters: {crawlers: often}}",
        "defaults: {repeats: {first: 1}}",
        "defaults: {repeats: on}",
        "tunnel: {paths: [t]}",
        "static: [{path: /a, root: /b}]",
        "state: {path: none}",
        "disk_guard: {stages: {large: 85}}",
        "disk_guard: {paths: [docker]}",
        "shared_quota: {url: \"redis://redis:6379\", mode: many}",
        "acme: {challenge: dns-01}",
        "acme: {directory: \"http://a.example\"}",
        "access_log: {to: file}",
        "access_log: {sample: 2}",
        "upstream: {ingest: [\"http://relay:3000\"], host: mine}",
        "upstream: {ingest: [\"ftp://relay\"]}",
        "upstream: {ingest: \"http://relay:3000\"}",
    ];
    let files: Vec<Value> = wrong.iter().map(|text| yaml(text)).collect();
    for (text, found) in wrong.iter().zip(judged(&files)) {
        let whole = match text.starts_with("upstream:") {
            true => (*text).to_owned(),
            false => format!("{UPSTREAM}{text}\n"),
        };
        assert!(!is_taken(&whole), "check takes {text}");
        assert!(!found.is_empty(), "the schema takes {text}");
    }
}

fn what_may_be_left_empty_or_quoted_is_good_for_both() {
    let good = [
        "limits:\nkeys: {mode: }\nprojects:\n",
        "limits:\n  items: \"5\"\n  drain: ${DRAIN:-5s}\nworkers: \"2\"",
        "keys: {mode: \"${MODE:-open}\"}\nclient_reports: {enabled: \"false\"}",
        "limits: {bodies: {web: 1048576, ingest: 10mb, upload: 2 GiB}}",
        "spool: {path: off}\nserve_relays: off\ndefaults: {repeats: off, budget: off}",
        "defaults: {sample: {transaction: 10%, replay: 0}}\naccess_log: {sample: 0.5}",
        "projects: [{id: 42, name: 7, keys: [11111111111111111111111111111111]}]",
        "disk_guard: {stages: {large: 0.8}}",
        "global: {quotas: [{limit: 1GiB, per: 1mo}, {limit: 5, per: 500ms, by: ip}]}",
    ];
    for text in good {
        assert!(is_taken(&format!("{UPSTREAM}{text}\n")), "{text}");
    }
    check_good(&good.map(str::to_owned));
}

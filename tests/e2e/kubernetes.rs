//! The manifests of config/kubernetes: what Kubernetes' own schemas say of them, and whether the
//! edge that they describe runs, is found by its probes, and follows its ConfigMap. No cluster
//! runs here: the kubelet's part is played.

use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::{fs, io};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::ask;
use crate::edge::{Edge, envelope_target, program};
use crate::parts::{Part, checkout, promises, python};
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Python];
        the_schemas_of_kubernetes_find_nothing_wrong,
        the_ingress_in_comments_is_one,
        the_schemas_find_a_word_that_is_none,
        what_the_config_map_says_runs_and_its_probes_find_it,
        a_config_map_is_taken_up_as_the_kubelet_renews_it,
        a_pod_is_given_the_time_that_its_edge_takes_to_stop,
    ]
}

/// The oldest and the newest version that the schemas are asked of.
const VERSIONS: [&str; 2] = ["1.25.0", "1.37.0"];

fn manifests() -> String {
    fs::read_to_string(checkout("config/kubernetes/vidette.yaml")).unwrap()
}

/// What the schemas of a version of Kubernetes say of a file.
fn validate(text: &str, version: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, text).unwrap();
    let validator = python().unwrap().with_file_name("kubernetes-validate");
    Command::new(validator)
        .args(["--strict", "--kubernetes-version", version])
        .arg(&file)
        .output()
        .unwrap()
}

fn the_schemas_of_kubernetes_find_nothing_wrong() {
    for version in VERSIONS {
        let found = validate(&manifests(), version);
        let said = String::from_utf8_lossy(&found.stdout);
        assert!(found.status.success(), "{version}: {said}");
        let passed = said.matches(" passed for resource ").count();
        assert_eq!(passed, documents().len(), "{version}: {said}");
    }
}

/// The ingress is there to be uncommented.
fn the_ingress_in_comments_is_one() {
    let text = manifests();
    let (before, ingress) = text.split_once("\n#\n# ---\n").unwrap();
    let lines = format!("# ---\n{ingress}");
    let lines = lines.lines().map(|line| line.strip_prefix("# ").unwrap());
    let lines: Vec<&str> = lines.collect();
    let with = format!("{before}\n{}\n", lines.join("\n"));
    for version in VERSIONS {
        let found = validate(&with, version);
        let said = String::from_utf8_lossy(&found.stdout);
        assert!(found.status.success(), "{version}: {said}");
        assert!(
            said.contains("resource ingress/vidette"),
            "{version}: {said}"
        );
    }
}

fn the_schemas_find_a_word_that_is_none() {
    let wrong = manifests().replace("readinessProbe:", "readyProbe:");
    assert_ne!(wrong, manifests());
    for version in VERSIONS {
        let found = validate(&wrong, version);
        let said = String::from_utf8_lossy(&found.stdout);
        assert!(
            !found.status.success() && said.contains("readyProbe"),
            "{said}"
        );
    }
}

/// The manifests, read by another's YAML.
fn documents() -> Vec<Value> {
    const READ: &str = "import json, sys, yaml\n\
        print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let file = fs::File::open(checkout("config/kubernetes/vidette.yaml")).unwrap();
    let read = Command::new(python().unwrap())
        .args(["-c", READ])
        .stdin(file)
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    serde_json::from_slice(&read.stdout).unwrap()
}

fn document(kind: &str) -> Value {
    let found = documents().into_iter().find(|one| one["kind"] == kind);
    found.unwrap()
}

/// The configuration of the ConfigMap, on free ports, before a fake, in folders of its own.
fn configuration(fake: &Fake) -> String {
    let map = document("ConfigMap");
    let mut text = map["data"]["vidette.yml"].as_str().unwrap().to_owned();
    for (there, here) in [
        ("0.0.0.0:8080", "127.0.0.1:0"),
        ("0.0.0.0:9001", "0.0.0.0:0"),
        ("http://sentry-relay:3000", fake.url().as_str()),
        ("http://sentry-web:9000", fake.url().as_str()),
        ("/var/lib/vidette/", "./kept/"),
    ] {
        assert!(text.contains(there), "{there} is not in {text}");
        text = text.replace(there, here);
    }
    text
}

fn what_the_config_map_says_runs_and_its_probes_find_it() {
    let fake = Fake::start();
    let edge = Edge::run(&configuration(&fake), &[("VIDETTE_ADMIN_TOKEN", "planted")]);
    let set = document("StatefulSet");
    let pod = &set["spec"]["template"]["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        let get = &pod[probe]["httpGet"];
        assert_eq!(get["port"], "admin");
        let path = get["path"].as_str().unwrap();
        // The kubelet asks by the pod's address, which is no name that the guard knows.
        let host = [("host", "10.1.2.3:9001")];
        assert_eq!(
            ask(edge.admin, "GET", path, &host, b"").status,
            200,
            "{path}"
        );
    }
    let annotations = &set["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
    let status =
        |headers: &[(&str, &str)]| ask(edge.admin, "GET", "/api/v1/status", headers, b"").status;
    assert_eq!(
        status(&[("host", "localhost")]),
        401,
        "the token is asked for"
    );
    // As `kubectl exec POD -- vidette status` does.
    let told = program()
        .arg("status")
        .env("VIDETTE_ADMIN", format!("127.0.0.1:{}", edge.admin.port()))
        .env("VIDETTE_ADMIN_TOKEN", "planted")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && said.contains("green"), "{said}");
    let sent = edge.ask(
        "POST",
        &envelope_target(),
        &[],
        b"{}\n{\"type\":\"event\"}\n{}\n",
    );
    assert_eq!(sent.status, 200);
    assert!(edge.folder().join("kept/spool").is_dir());
}

/// A folder as the kubelet writes it: the file is a link to a link that is changed at once.
struct Mount<'e>(&'e Edge);

impl Mount<'_> {
    fn renew(&self, round: &str, text: &str) -> io::Result<()> {
        let folder = self.0.folder();
        fs::create_dir(folder.join(round))?;
        fs::write(folder.join(round).join("vidette.yml"), text)?;
        symlink(round, folder.join("..data_tmp"))?;
        fs::rename(folder.join("..data_tmp"), folder.join("..data"))
    }
}

fn a_config_map_is_taken_up_as_the_kubelet_renews_it() {
    let fake = Fake::start();
    let text = configuration(&fake);
    let edge = Edge::run(&text, &[]);
    let mount = Mount(&edge);
    mount.renew("..2026_1", &text).unwrap();
    let file = edge.folder().join("vidette.yml");
    symlink("..data/vidette.yml", edge.folder().join("link")).unwrap();
    fs::rename(edge.folder().join("link"), &file).unwrap();
    let body = b"{}\n{\"type\":\"event\"}\n{}\n";
    let sends = || edge.ask("POST", &envelope_target(), &[], body).status;
    assert_eq!(sends(), 200);

    let reloads = edge.metric("vidette_config_reloads_total", &["applied"]);
    let limited = format!("{text}global: {{quotas: [{{limit: 0, per: 1h}}]}}\n");
    mount.renew("..2026_2", &limited).unwrap();
    // The kubelet takes the old folder away.
    fs::remove_dir_all(edge.folder().join("..2026_1")).unwrap();
    edge.wait_metric("vidette_config_reloads_total", &["applied"], reloads + 1.0);
    assert_eq!(sends(), 429);
}

fn a_pod_is_given_the_time_that_its_edge_takes_to_stop() {
    let set = document("StatefulSet");
    let pod = &set["spec"]["template"]["spec"];
    let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    let hook = &pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!(hook[0], "sleep");
    let before: u64 = hook[1].as_str().unwrap().parse().unwrap();
    let map = document("ConfigMap");
    let text = map["data"]["vidette.yml"].as_str().unwrap();
    let drain = text.split_once("drain: ").unwrap().1;
    let drain: u64 = drain.split_once('s').unwrap().0.parse().unwrap();
    assert!(
        before + drain < given,
        "{before} s and {drain} s of {given} s"
    );
    assert_eq!(json!(pod["securityContext"]["runAsNonRoot"]), json!(true));
}

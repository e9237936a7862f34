//! Redis by TLS and with a password, behind sentinels, and as a cluster.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use serde_json::json;

use super::pool::{Redis, comes, edge, flood, sharing, wait_joined, wait_state};
use crate::edge::Edge;
use crate::parts::{Part, promises};
use crate::tls::authority::Authority;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Redis];
        by_tls_and_with_a_password,
        a_server_that_is_not_believed_is_not_spoken_to,
        sentinels_lead_to_the_server_that_follows,
        a_cluster_counts_as_one,
    ]
}

const LIMIT: u64 = 1000;

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

#[track_caller]
fn check_whole(edges: &[Edge]) {
    let all: Vec<&Edge> = edges.iter().collect();
    let sum: u64 = flood(&all, 60).iter().sum();
    assert!(sum <= LIMIT && sum * 100 > LIMIT * 95, "{sum}");
}

/// A server that speaks TLS beside, and who vouches for it.
fn sealed() -> (Redis, u16, Authority) {
    let authority = Authority::new();
    let (cert, key) = authority.issue("redis", &["127.0.0.1"]);
    let file = |path: &std::path::Path| path.display().to_string();
    let port = free_port();
    let redis = Redis::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file(&cert),
        "--tls-key-file",
        &file(&key),
        "--tls-ca-cert-file",
        &file(&authority.file()),
        "--tls-auth-clients",
        "no",
    ]);
    (redis, port, authority)
}

fn by_tls_and_with_a_password() {
    let ((redis, port, authority), fake) = (sealed(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    redis.cli(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let url = format!("rediss://127.0.0.1:{port}");
    let secret = place.path().join("password");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let changes = json!({"shared_quota": {
        "password_file": secret,
        "tls": {"ca": authority.file()},
    }});
    let edges = [
        edge(&fake, &url, LIMIT, &changes),
        edge(&fake, &url, LIMIT, &changes),
    ];
    wait_joined(&edges);
    check_whole(&edges);
    let without = edge(
        &fake,
        &url,
        LIMIT,
        &json!({"shared_quota": {
            "tls": {"ca": authority.file()},
        }}),
    );
    comes("it is refused", || {
        sharing(&without)["fault"] == "it refuses: NOAUTH"
    });
}

fn a_server_that_is_not_believed_is_not_spoken_to() {
    let ((_redis, port, _authority), fake) = (sealed(), Fake::start());
    let edge = edge(
        &fake,
        &format!("rediss://127.0.0.1:{port}"),
        LIMIT,
        &json!({}),
    );
    comes("TLS fails", || {
        let told = sharing(&edge);
        let fault = told["fault"].as_str().unwrap_or_default();
        fault.starts_with("TLS fails")
    });
}

/// A program that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn sentinels_lead_to_the_server_that_follows() {
    let (mut first, fake) = (Redis::start(&[]), Fake::start());
    let second = Redis::start(&["--replicaof", "127.0.0.1", &first.port.to_string()]);
    let (place, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = place.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor pool 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds pool 500\n\
         sentinel failover-timeout pool 2000\n",
        place.path().display(),
        first.port
    );
    std::fs::write(&file, text).unwrap();
    let sentinel = Command::new("redis-sentinel")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _sentinel = Killed(sentinel);
    comes("the second follows the first", || {
        second
            .cli(&["INFO", "replication"])
            .contains("master_link_status:up")
    });
    comes("the sentinel knows both", || {
        let known = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "SENTINEL", "replicas", "pool"])
            .output();
        let known = known.unwrap().stdout;
        String::from_utf8_lossy(&known).contains(&second.port.to_string())
    });
    let url = format!("redis://127.0.0.1:{port}");
    let changes = json!({"shared_quota": {"mode": "sentinel", "master": "pool"}});
    let edges = [
        edge(&fake, &url, LIMIT, &changes),
        edge(&fake, &url, LIMIT, &changes),
    ];
    wait_joined(&edges);
    first.kill();
    for edge in &edges {
        wait_state(edge, "away");
    }
    wait_joined(&edges);
    check_whole(&edges);
    assert!(second.counted("/shared/").0 > 0, "the second counts now");
}

fn a_cluster_counts_as_one() {
    let fake = Fake::start();
    let nodes: Vec<Redis> = (0..3)
        .map(|_| {
            let bus = free_port().to_string();
            Redis::start(&["--cluster-enabled", "yes", "--cluster-port", &bus])
        })
        .collect();
    let mut create = vec!["--cluster".to_owned(), "create".to_owned()];
    create.extend(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
    create.push("--cluster-yes".to_owned());
    let made = Command::new("redis-cli").args(&create).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    for node in &nodes {
        comes("the cluster is whole", || {
            node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        });
    }
    let url = nodes[0].url();
    // On as many counters that some of each node are among them.
    let quotas: Vec<_> = (0..20)
        .map(|at| json!({"name": format!("wide-{at}"), "limit": 1_000_000, "per": "1d"}))
        .chain([json!({"name": "shared", "categories": ["error"], "limit": LIMIT, "per": "1d"})])
        .collect();
    let changes = json!({
        "shared_quota": {"mode": "cluster"},
        "projects": [{"id": 42, "keys": [crate::edge::KEY], "quotas": quotas}],
    });
    let edges = [
        edge(&fake, &url, LIMIT, &changes),
        edge(&fake, &url, LIMIT, &changes),
    ];
    wait_joined(&edges);
    check_whole(&edges);
    for node in &nodes {
        assert!(node.cli(&["DBSIZE"]).trim() != "0", "a node has nothing");
    }
}

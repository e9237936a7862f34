//! Under load, with nothing wrong.

use libtest_mimic::Trial;
use serde_json::json;

use super::pool::{Redis, comes, edge, flood, post_events, sharing, wait_joined, wait_state};
use crate::edge::Edge;
use crate::parts::{Part, promises};
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Redis];
        two_edges_admit_together_what_one_would,
        eight_edges_admit_together_what_one_would,
        one_edge_alone_under_load_has_what_the_others_do_not_need,
        what_an_edge_leaves_behind_is_the_others,
        a_quota_on_everything_of_each_project_is_shared_as_well,
        who_has_joined_goes_on_where_redis_dies_the_next_moment,
        keys_that_are_not_ours_are_left_alone,
    ]
}

#[track_caller]
fn check(edges: usize, limit: u64, under_load: usize) {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let edges: Vec<Edge> = (0..edges)
        .map(|_| edge(&fake, &redis.url(), limit, &json!({})))
        .collect();
    wait_joined(&edges);
    for edge in &edges {
        comes("each has its part", || sharing(edge)["part"] == edges.len());
    }
    let loaded: Vec<&Edge> = edges.iter().take(under_load).collect();
    // An idle edge says what it does not need within ten seconds.
    let enough = if under_load < edges.len() { 300 } else { 60 };
    let admitted = flood(&loaded, enough);
    let sum: u64 = admitted.iter().sum();
    assert!(
        sum <= limit && sum * 100 > limit * 95,
        "{sum} of {limit}: {admitted:?}"
    );
    comes("counts agree", || redis.counted("/shared/").0 == sum);
}

fn two_edges_admit_together_what_one_would() {
    check(2, 3000, 2);
}

fn eight_edges_admit_together_what_one_would() {
    check(8, 4000, 8);
}

fn one_edge_alone_under_load_has_what_the_others_do_not_need() {
    check(3, 1000, 1);
}

fn what_an_edge_leaves_behind_is_the_others() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), 1000, &json!({}));
    let mut edges = vec![start(), start()];
    wait_joined(&edges);
    let mut gone = edges.pop().unwrap();
    gone.signal(rustix::process::Signal::TERM);
    assert!(gone.wait_end().success());
    let admitted: u64 = flood(&[&edges[0]], 60).iter().sum();
    assert!((951..=1000).contains(&admitted), "{admitted}");
}

/// What such a quota refuses, it refuses by a request's head.
fn a_quota_on_everything_of_each_project_is_shared_as_well() {
    const LIMIT: u64 = 1000;
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    // For projects that nobody lists: their counters begin with their first events.
    let quotas = json!([{"name": "all", "limit": LIMIT, "per": "1d"}]);
    let changes = json!({"projects": [], "defaults": {"quotas": quotas}});
    let start = || edge(&fake, &redis.url(), LIMIT, &changes);
    let edges = [start(), start()];
    for edge in &edges {
        comes("both have joined", || {
            let told = sharing(edge);
            told["part"] == 2 && told["settling"] == false
        });
    }
    let admitted: u64 = flood(&[&edges[0], &edges[1]], 60).iter().sum();
    assert!((951..=LIMIT).contains(&admitted), "{admitted}");
}

fn who_has_joined_goes_on_where_redis_dies_the_next_moment() {
    let (mut redis, fake) = (Redis::start(&[]), Fake::start());
    let folder = tempfile::tempdir().unwrap();
    let changes = json!({"state": {"path": folder.path()}});
    let start = || edge(&fake, &redis.url(), 1_000_000, &changes);
    let mut first = start();
    wait_joined(std::slice::from_ref(&first));
    assert_eq!(post_events(&first, 10), 10);
    first.signal(rustix::process::Signal::TERM);
    assert!(first.wait_end().success());
    let next = start();
    comes("it has joined", || sharing(&next)["state"] == "joined");
    redis.kill();
    wait_state(&next, "away");
    assert_eq!(post_events(&next, 100), 100);
}

fn keys_that_are_not_ours_are_left_alone() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let sentrys = [
        ("quota:42{42}error:1234", "7"),
        ("relay_quota:42", "1"),
        ("vidette", "x"),
    ];
    for (key, value) in sentrys {
        redis.cli(&["SET", key, value]);
    }
    let edges = [edge(&fake, &redis.url(), 100, &json!({}))];
    wait_joined(&edges);
    flood(&[&edges[0]], 40);
    for (key, value) in sentrys {
        assert_eq!(redis.cli(&["GET", key]).trim(), value);
        assert_eq!(redis.cli(&["TTL", key]).trim(), "-1");
    }
    let keys = redis.cli(&["KEYS", "*"]);
    let ours = keys.lines().filter(|key| key.starts_with("vidette:"));
    assert_eq!(keys.lines().count(), ours.count() + sentrys.len(), "{keys}");
}

//! What is switched on at one edge is on at all of them, and ends at all.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::pool::{Redis, comes, edge, flood, sharing, wait_joined, wait_state};
use crate::client::ask;
use crate::edge::Edge;
use crate::explained::post;
use crate::parts::{Part, promises};
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Redis];
        a_mute_reaches_every_edge_and_ends_at_every_edge,
        a_limit_that_is_switched_on_counts_over_all_edges,
        what_is_switched_while_redis_is_away_is_told_afterwards,
        a_limit_that_is_switched_on_while_redis_is_away_waits_and_is_told_of,
    ]
}

#[track_caller]
fn switch(edge: &Edge, changes: &Value) -> Value {
    let mut body = json!({"project": 42, "action": "mute", "for_s": 1800, "by": "ops"});
    crate::edge::lay_over(&mut body, changes);
    let answer = post(edge, "/api/v1/mutes", body.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn on(edge: &Edge) -> Vec<Value> {
    let told = edge.admin_get("/api/v1/mutes").json();
    told["switches"].as_array().unwrap().clone()
}

fn a_mute_reaches_every_edge_and_ends_at_every_edge() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), 1000, &json!({}));
    let edges = [start(), start(), start()];
    wait_joined(&edges);
    switch(&edges[0], &json!({"why": "a loop"}));
    for edge in &edges {
        comes("it is on", || on(edge).len() == 1);
        assert_eq!(on(edge)[0]["by"], "ops");
        assert_eq!(on(edge)[0]["why"], "a loop");
        assert_eq!(flood(&[edge], 1), [0], "muted");
    }
    let id = on(&edges[1])[0]["id"].clone();
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    let path = format!("/api/v1/mutes/{id}");
    assert_eq!(
        ask(edges[1].admin, "DELETE", &path, &headers, b"").status,
        200
    );
    for edge in &edges {
        comes("it is off", || on(edge).is_empty());
    }
    assert!(flood(&[&edges[0]], 1)[0] > 0);
}

fn a_limit_that_is_switched_on_counts_over_all_edges() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), 1_000_000, &json!({}));
    let edges = [start(), start()];
    wait_joined(&edges);
    let limit = json!({"action": "limit", "category": "error", "value": "500/1d"});
    switch(&edges[0], &limit);
    for edge in &edges {
        comes("it is on", || on(edge).len() == 1);
    }
    let sum: u64 = flood(&[&edges[0], &edges[1]], 60).iter().sum();
    assert!((476..=500).contains(&sum), "{sum}");
}

fn what_is_switched_while_redis_is_away_is_told_afterwards() {
    let (mut redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), 1000, &json!({}));
    let edges = [start(), start()];
    wait_joined(&edges);
    redis.kill();
    for edge in &edges {
        wait_state(edge, "away");
    }
    switch(&edges[0], &json!({}));
    switch(&edges[1], &json!({"category": "error"}));
    redis.begin_again(false);
    for edge in &edges {
        comes("both are on", || on(edge).len() == 2);
    }
}

fn a_limit_that_is_switched_on_while_redis_is_away_waits_and_is_told_of() {
    let (mut redis, fake) = (Redis::start(&[]), Fake::start());
    let edge = edge(&fake, &redis.url(), 1000, &json!({}));
    wait_joined(std::slice::from_ref(&edge));
    redis.kill();
    wait_state(&edge, "away");
    assert_eq!(sharing(&edge)["refusing"], 0);
    let limit = json!({"action": "limit", "category": "error", "value": "500/1d"});
    switch(&edge, &limit);
    comes("it is told of", || sharing(&edge)["refusing"] == 1);
    let told = edge.admin_get("/api/v1/status").json();
    assert!(
        told["reasons"].to_string().contains("admit nothing"),
        "{told}"
    );
    assert_eq!(flood(&[&edge], 1), [0]);
    redis.begin_again(false);
    comes("it is lent", || flood(&[&edge], 1)[0] > 0);
    assert_eq!(sharing(&edge)["refusing"], 0);
}

//! Redis is killed, paused and cut off: edges go on with what they hold, never beyond the limit,
//! and counts agree afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;

use super::pool::{Redis, comes, edge, flood, post_events, sharing, wait_joined, wait_state};
use crate::edge::Edge;
use crate::parts::{Part, promises};
use crate::upstream::{Fake, Silent};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Redis];
        a_redis_that_is_killed_and_comes_back_costs_nobody_a_count,
        a_redis_that_comes_back_with_nothing_is_told_anew,
        a_redis_that_is_paused_is_done_without,
        one_edge_cut_off_goes_on_with_its_part,
        an_edge_that_is_killed_goes_on_where_it_was,
        a_copy_of_a_running_edges_folder_takes_nothing_of_what_that_one_holds,
        a_redis_that_evicts_a_window_lends_nothing_twice,
        a_redis_that_may_evict_is_told_of,
        where_redis_never_was_an_edge_counts_alone,
    ]
}

const LIMIT: u64 = 2000;

/// Waits until a half of all lies with the edges.
#[track_caller]
fn wait_even(redis: &Redis) {
    comes("a half is leased", || {
        redis.counted("/shared/").1 >= LIMIT * 9 / 20
    });
}

/// Two edges, a little load before, the outage, all that they admit during it, and after it.
#[track_caller]
fn check(outage: impl FnOnce(&mut Redis), back: impl FnOnce(&mut Redis)) {
    let (mut redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), LIMIT, &json!({}));
    let edges = [start(), start()];
    wait_joined(&edges);
    wait_even(&redis);
    let all: Vec<&Edge> = edges.iter().collect();
    outage(&mut redis);
    for edge in &edges {
        wait_state(edge, "away");
        let told = edge.admin_get("/api/v1/status").json();
        assert_eq!(told["light"], "amber", "{told}");
        assert!(
            told["reasons"][0]
                .as_str()
                .unwrap()
                .starts_with("shared_quota"),
            "{told}"
        );
    }
    let during: u64 = flood(&all, 20).iter().sum();
    // A half lies with the edges.
    assert!(during > LIMIT / 4 && during <= LIMIT, "{during} during it");
    back(&mut redis);
    for edge in &edges {
        comes("it has joined again", || {
            let told = sharing(edge);
            told["state"] == "joined" && told["settling"] == false
        });
    }
    let after: u64 = flood(&all, 60).iter().sum();
    let sum = during + after;
    assert!(
        sum <= LIMIT && sum * 100 > LIMIT * 95,
        "{during} and {after}"
    );
    comes("counts agree", || redis.counted("/shared/").0 == sum);
}

fn a_redis_that_is_killed_and_comes_back_costs_nobody_a_count() {
    check(Redis::kill, |redis| redis.begin_again(true));
}

fn a_redis_that_comes_back_with_nothing_is_told_anew() {
    check(Redis::kill, |redis| redis.begin_again(false));
}

fn a_redis_that_is_paused_is_done_without() {
    check(
        |redis| redis.signal(Signal::STOP),
        |redis| redis.signal(Signal::CONT),
    );
}

/// A way to Redis that can be closed.
fn gate(to: u16) -> (u16, Arc<AtomicBool>) {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                let is_open = Arc::clone(&is_open);
                std::thread::spawn(move || {
                    let mut piece = [0; 65_536];
                    while let Ok(count @ 1..) = from.read(&mut piece) {
                        // What comes meanwhile arrives later, as on a broken line.
                        while !is_open.load(Ordering::Relaxed) {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                        if to.write_all(&piece[..count]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    (port, open)
}

fn one_edge_cut_off_goes_on_with_its_part() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let (port, open) = gate(redis.port);
    let cut = edge(
        &fake,
        &format!("redis://127.0.0.1:{port}"),
        LIMIT,
        &json!({}),
    );
    let edges = [cut, edge(&fake, &redis.url(), LIMIT, &json!({}))];
    wait_joined(&edges);
    open.store(false, Ordering::Relaxed);
    wait_state(&edges[0], "away");
    let both: u64 = flood(&[&edges[0], &edges[1]], 60).iter().sum();
    assert!(both <= LIMIT, "{both}");
    open.store(true, Ordering::Relaxed);
    wait_state(&edges[0], "joined");
    let rest: u64 = flood(&[&edges[0], &edges[1]], 60).iter().sum();
    let sum = both + rest;
    assert!(sum <= LIMIT && sum * 100 > LIMIT * 95, "{both} and {rest}");
    comes("counts agree", || redis.counted("/shared/").0 == sum);
}

fn an_edge_that_is_killed_goes_on_where_it_was() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes = json!({"state": {"path": place.path()}});
    let other = edge(&fake, &redis.url(), LIMIT, &json!({}));
    let first = edge(&fake, &redis.url(), LIMIT, &changes);
    let mut edges = vec![other, first];
    wait_joined(&edges);
    let before: u64 = flood(&[&edges[1]], 2).iter().sum();
    // As by kill -9.
    drop(edges.pop());
    edges.push(edge(&fake, &redis.url(), LIMIT, &changes));
    wait_joined(&edges);
    let after: u64 = flood(&[&edges[0], &edges[1]], 60).iter().sum();
    let sum = before + after;
    assert!(
        sum <= LIMIT && sum * 100 > LIMIT * 95,
        "{before} and {after}"
    );
}

fn a_copy_of_a_running_edges_folder_takes_nothing_of_what_that_one_holds() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let (place, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |place: &tempfile::TempDir| json!({"state": {"path": place.path()}});
    let mut edges = vec![edge(&fake, &redis.url(), LIMIT, &at(&place))];
    wait_joined(&edges);
    comes("its name is kept", || {
        place.path().join("shared-quota").exists()
    });
    for entry in std::fs::read_dir(place.path()).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let before = post_events(&edges[0], LIMIT * 3 / 4);
    comes("what was used is told", || {
        redis.counted("/shared/").0 == before
    });
    edges.push(edge(&fake, &redis.url(), LIMIT, &at(&copy)));
    // At once: what it took up it would soon give back.
    let after: u64 = flood(&[&edges[0], &edges[1]], 150).iter().sum();
    for edge in &edges {
        comes("each is an edge by itself", || sharing(edge)["edges"] == 2);
    }
    let sum = before + after;
    assert!(
        sum <= LIMIT && sum * 100 > LIMIT * 90,
        "{before} and {after}"
    );
}

fn a_redis_that_evicts_a_window_lends_nothing_twice() {
    let (redis, fake) = (Redis::start(&[]), Fake::start());
    let start = || edge(&fake, &redis.url(), LIMIT, &json!({}));
    let edges = [start(), start()];
    wait_joined(&edges);
    let before = post_events(&edges[0], LIMIT / 2);
    comes("what was used is told", || {
        redis.counted("/shared/").0 == before
    });
    for key in redis.cli(&["KEYS", "vidette:q:*/shared/*"]).lines() {
        redis.cli(&["DEL", key]);
    }
    let after: u64 = flood(&[&edges[0], &edges[1]], 400).iter().sum();
    let sum = before + after;
    assert!(
        sum <= LIMIT && sum * 100 > LIMIT * 95,
        "{before} and {after}"
    );
    comes("counts agree", || redis.counted("/shared/").0 == sum);
    comes("the loss is counted", || {
        let lost = |edge: &Edge| edge.metric("vidette_shared_quota_lost_windows_total", &[]);
        edges.iter().map(lost).sum::<f64>() >= 1.0
    });
    assert!(sharing(&edges[0])["lost_windows"].is_u64());
}

fn a_redis_that_may_evict_is_told_of() {
    let policy = |name| ["--maxmemory", "100mb", "--maxmemory-policy", name];
    let fake = Fake::start();
    for (name, light) in [("volatile-lru", "amber"), ("noeviction", "green")] {
        let redis = Redis::start(&policy(name));
        let edge = edge(&fake, &redis.url(), LIMIT, &json!({}));
        comes("it has settled, and said so until then", || {
            let told = edge.admin_get("/api/v1/status").json();
            let settles = told["shared_quota"]["settling"] == true;
            let says = told["reasons"].to_string().contains("settles");
            assert_eq!(says, settles, "{told}");
            assert!(!settles || told["light"] == "amber", "{told}");
            told["shared_quota"]["state"] == "joined" && !settles
        });
        wait_joined(std::slice::from_ref(&edge));
        let told = edge.admin_get("/api/v1/status").json();
        assert_eq!(told["light"], light, "{told}");
        assert_eq!(sharing(&edge)["evicts"], light == "amber");
        let reasons = told["reasons"].to_string();
        assert_eq!(reasons.contains("evict keys"), light == "amber", "{told}");
    }
}

fn where_redis_never_was_an_edge_counts_alone() {
    let fake = Fake::start();
    let silent = Silent::reserve();
    let url = format!("redis://127.0.0.1:{}", silent.port());
    let edge = edge(&fake, &url, 100, &json!({}));
    comes("it counts alone", || {
        let admitted = flood(&[&edge], 1);
        admitted[0] > 90
    });
    assert_eq!(sharing(&edge)["state"], "new");
}

//! How many connections one client may have, and who is not counted.

use libtest_mimic::Trial;
use serde_json::json;

use super::*;
use crate::parts::promises;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_client_has_so_many_connections_and_others_as_many,
        who_is_trusted_is_not_counted,
        whom_a_header_names_is_counted,
        a_reload_takes_up_another_limit,
    ]
}

const LIMIT: usize = 3;

fn edge_of_few(fake: &Fake, headers: &str) -> Edge {
    let keys = json!({"proxy_protocol": headers});
    let changes = json!({"limits": {"connections_per_client": LIMIT}, "workers": 2});
    edge_with(fake, keys, changes)
}

/// A connection that has been served: its place is taken.
#[track_caller]
fn served(edge: &Edge, from: Ipv4Addr, before: &[u8]) -> Client {
    let mut client = Client::connect_from(from, edge.public);
    client.send(&[before, &event(&[])].concat());
    assert_eq!(client.answer_to("POST").status, 200);
    client
}

#[track_caller]
fn refused(edge: &Edge, from: Ipv4Addr, before: &[u8]) {
    let mut client = Client::connect_from(from, edge.public);
    drop(client.try_send(&[before, &event(&[])].concat()));
    client.expect_close();
}

/// Closes one, and waits until it has been seen to.
fn leave(edge: &Edge, client: Client, open: f64) {
    drop(client);
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    while edge.metric("vidette_connections", &[]) >= open {
        assert!(std::time::Instant::now() < deadline, "it stays open");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn a_client_has_so_many_connections_and_others_as_many() {
    let fake = Fake::start();
    let edge = edge_of_few(&fake, "off");
    let mut own: Vec<Client> = (0..LIMIT).map(|_| served(&edge, STRANGER, b"")).collect();
    for _ in 0..5 {
        refused(&edge, STRANGER, b"");
    }
    assert_eq!(connections_that(&edge, "client_capped"), 5.0);
    // Others are not touched, and those that are open go on.
    let other = served(&edge, Ipv4Addr::new(127, 0, 0, 10), b"");
    for client in &mut own {
        client.send(&event(&[]));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let open = edge.metric("vidette_connections", &[]);
    leave(&edge, own.pop().unwrap(), open);
    own.push(served(&edge, STRANGER, b""));
    refused(&edge, STRANGER, b"");
    drop(other);
}

fn who_is_trusted_is_not_counted() {
    let fake = Fake::start();
    let edge = edge_of_few(&fake, "optional");
    let many: Vec<Client> = (0..LIMIT * 4)
        .map(|_| served(&edge, BALANCER, b""))
        .collect();
    assert_eq!(connections_that(&edge, "client_capped"), 0.0);
    drop(many);
}

fn whom_a_header_names_is_counted() {
    let fake = Fake::start();
    let edge = edge_of_few(&fake, "optional");
    let (one, other) = (line(NAMED), line("203.0.113.10"));
    let of_one: Vec<Client> = (0..LIMIT).map(|_| served(&edge, BALANCER, &one)).collect();
    refused(&edge, BALANCER, &one);
    assert_eq!(connections_that(&edge, "client_capped"), 1.0);
    let of_other = served(&edge, BALANCER, &other);
    let open = edge.metric("vidette_connections", &[]);
    let mut of_one = of_one;
    leave(&edge, of_one.pop().unwrap(), open);
    of_one.push(served(&edge, BALANCER, &one));
    drop((of_one, of_other));
}

fn a_reload_takes_up_another_limit() {
    let fake = Fake::start();
    let configured = |limit: usize| {
        let changes = json!({
            "client_ip": {"trusted_proxies": [BALANCER.to_string()]},
            "limits": {"connections_per_client": limit},
        });
        crate::edge::configuration(&fake.url(), &fake.url(), &changes).to_string()
    };
    let edge = Edge::run(&configured(1), &[]);
    let first = served(&edge, STRANGER, b"");
    refused(&edge, STRANGER, b"");
    edge.rewrite(&configured(2));
    edge.signal(rustix::process::Signal::HUP);
    edge.log.wait_for_text("configuration reloaded");
    let second = served(&edge, STRANGER, b"");
    refused(&edge, STRANGER, b"");
    drop((first, second));
}

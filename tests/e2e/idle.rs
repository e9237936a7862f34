//! What a client costs that stays connected and says nothing: browsers and SDKs
//! keep their connections, and there are thousands of them.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![
        &[];
        two_thousand_idle_connections_cost_little_memory,
        what_a_crowd_took_at_once_is_given_back,
    ]
}

/// The budget for one idle connection.
const BYTES_EACH_MAX: f64 = 10_240.0;
const CONNECTIONS: usize = 2000;

fn resident(edge: &Edge) -> f64 {
    edge.metric("process_resident_memory_bytes", &[])
}

/// A connection that has served one event and stays open.
fn idle(edge: &Edge) -> Client {
    let mut client = edge.connect();
    client.send(&request("POST", &envelope_target(), &[], b"{}\n"));
    assert_eq!(client.answer_to("POST").status, 200);
    client
}

fn two_thousand_idle_connections_cost_little_memory() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    // What the first ones allocate is allocated once.
    drop((0..50).map(|_| idle(&edge)).collect::<Vec<_>>());
    let before = resident(&edge);
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| idle(&edge)).collect();
    let each = settled(&edge, before, CONNECTIONS);
    println!("an idle connection costs {each:.0} bytes");
    // Parked, not dropped: the next event on it passes.
    for mut client in clients.into_iter().step_by(100) {
        client.send(&request("POST", &envelope_target(), &[], b"{}\n"));
        assert_eq!(client.answer_to("POST").status, 200);
    }
}

/// Bytes for each connection, once they are few enough.
fn settled(edge: &Edge, before: f64, connections: usize) -> f64 {
    // Its buffers are given back once a connection has been idle for a second, and
    // the allocator gives memory back a little later.
    let deadline = Instant::now() + HANG;
    loop {
        let each = (resident(edge) - before) / connections as f64;
        if each <= BYTES_EACH_MAX {
            return each;
        }
        assert!(
            Instant::now() < deadline,
            "an idle connection still costs {each:.0} bytes"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn what_a_crowd_took_at_once_is_given_back() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    drop((0..50).map(|_| idle(&edge)).collect::<Vec<_>>());
    let before = resident(&edge);
    let event = request("POST", &envelope_target(), &[], b"{}\n");
    let (beginning, rest) = event.split_at(event.len() / 2);
    // All of them have begun a request before the first is served: none is parked meanwhile.
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| edge.connect()).collect();
    for client in &mut clients {
        client.send(beginning);
    }
    for client in &mut clients {
        client.send(rest);
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let each = settled(&edge, before, CONNECTIONS);
    println!("a connection costs {each:.0} bytes after the crowd");
}

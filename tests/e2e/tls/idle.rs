//! What a client costs that stays connected over TLS and says nothing.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::authority::Authority;
use super::client::{SecureClient, Trust};
use super::simple;
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[]; a_thousand_idle_secured_connections_cost_little_memory]
}

/// A session and the room for one record's beginning, beside what a connection in the clear
/// has.
const BYTES_EACH_MAX: f64 = 24_576.0;
const CONNECTIONS: usize = 1000;

fn resident(edge: &Edge) -> f64 {
    edge.metric("process_resident_memory_bytes", &[])
}

fn a_thousand_idle_secured_connections_cost_little_memory() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = simple(&fake, &authority);
    let trust = Trust::of(&authority);
    let idle = || {
        let mut client = SecureClient::connect(edge.public, &trust);
        let answer = client.ask("POST", &envelope_target(), &[], b"{}\n");
        assert_eq!(answer.status, 200);
        client
    };
    // What the first ones allocate is allocated once.
    drop((0..50).map(|_| idle()).collect::<Vec<_>>());
    let before = resident(&edge);
    let clients: Vec<SecureClient> = (0..CONNECTIONS).map(|_| idle()).collect();
    // Buffers are given back once a connection has been idle for a second.
    let deadline = Instant::now() + HANG;
    let mut each;
    loop {
        thread::sleep(Duration::from_millis(2500));
        each = (resident(&edge) - before) / CONNECTIONS as f64;
        if each <= BYTES_EACH_MAX {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "an idle connection still costs {each:.0} bytes"
        );
    }
    println!("an idle connection over TLS costs {each:.0} bytes");
    for mut client in clients.into_iter().step_by(100) {
        let answer = client.ask("POST", &envelope_target(), &[], b"{}\n");
        assert_eq!(answer.status, 200);
    }
}

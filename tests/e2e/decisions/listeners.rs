//! Who listens to decisions: how many, how fast, and that nobody waits for any.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;

use super::{EVENT, FROM, edge, listen};
use crate::client::request;
use crate::dashboard::Listener;
use crate::edge::Edge;
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        so_many_listen_and_no_more,
        a_flood_is_told_in_part_and_who_does_not_read_holds_nobody_up,
        a_stop_ends_all_listening,
    ]
}

fn so_many_listen_and_no_more() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let mut listeners: Vec<Listener> = (0..16).map(|_| listen(&edge, "")).collect();
    let refused = edge.admin_get("/api/v1/decisions");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("16 listen"), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    listeners.pop();
    let deadline = Instant::now() + HANG;
    loop {
        let stream = TcpStream::connect(edge.admin).unwrap();
        let head = request("GET", "/api/v1/decisions", &[("Host", "localhost")], b"");
        if Listener::over(stream, &head).0 == 200 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "a place that is left stays taken"
        );
        thread::sleep(Duration::from_millis(50));
    }
    // Dashboards have places of their own.
    let (status, _) = Listener::over(
        TcpStream::connect(edge.admin).unwrap(),
        &request("GET", "/api/v1/live", &[("Host", "localhost")], b""),
    );
    assert_eq!(status, 200);
}

/// A listener that adds up, on a thread of its own, how many it was told and how many those stand
/// for.
struct Sum(Arc<[AtomicU64; 2]>);

impl Sum {
    fn of(mut listener: Listener) -> Self {
        let own = Self(Arc::default());
        let sums = Arc::clone(&own.0);
        thread::spawn(move || {
            while let Some(decision) = listener.told() {
                let skipped = decision["skipped"].as_u64().unwrap();
                sums[0].fetch_add(1, Ordering::SeqCst);
                sums[1].fetch_add(1 + skipped, Ordering::SeqCst);
            }
        });
        own
    }

    fn told(&self) -> u64 {
        self.0[0].load(Ordering::SeqCst)
    }

    /// Waits until it knows of all that was sent. What was skipped is told with what comes next, so
    /// that more is sent now and then.
    #[track_caller]
    fn wait_all(&self, edge: &Edge, sent: &mut u64) {
        let deadline = Instant::now() + HANG;
        let knows = || self.0[1].load(Ordering::SeqCst);
        loop {
            assert_eq!(edge.post_envelope(&[FROM], EVENT).status, 200);
            *sent += 1;
            let patience = Instant::now() + Duration::from_millis(1500);
            while knows() < *sent && Instant::now() < patience {
                thread::sleep(Duration::from_millis(10));
            }
            if knows() == *sent {
                return;
            }
            assert!(
                knows() < *sent,
                "{} of {sent}: some were told twice",
                knows()
            );
            assert!(Instant::now() < deadline, "{} of {sent}", knows());
        }
    }
}

fn a_flood_is_told_in_part_and_who_does_not_read_holds_nobody_up() {
    const THREADS: u64 = 4;
    const EACH: u64 = 1_500;
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"workers": 2}));
    let slow = listen(&edge, "");
    let quick = Sum::of(listen(&edge, ""));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let mut client = edge.connect();
            thread::spawn(move || {
                for _ in 0..EACH {
                    let target = crate::edge::envelope_target();
                    client.send(&request("POST", &target, &[FROM], EVENT));
                    assert_eq!(client.answer_to("POST").status, 200);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut sent = THREADS * EACH;
    quick.wait_all(&edge, &mut sent);
    let told = quick.told();
    assert!(told < sent, "all {told} were told");
    let slow = Sum::of(slow);
    slow.wait_all(&edge, &mut sent);
}

fn a_stop_ends_all_listening() {
    let fake = Fake::start();
    let mut edge = edge(&fake, &json!({}));
    let mut listener = listen(&edge, "");
    edge.signal(Signal::TERM);
    // However it ends, it ends.
    while listener.told().is_some() {}
    assert!(edge.wait_end().success());
}

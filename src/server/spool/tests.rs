//! What finds a place in the queue while the clerk is held up by its disk.

use std::sync::mpsc::Receiver;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::server::delivery::tee::Copied;

/// A spool whose clerk takes nothing up: orders stay in the receiver.
fn held_up() -> (Spool, Receiver<Order>) {
    let (orders, taken) = sync_channel(ORDERS_MAX);
    let spool = Spool {
        desk: Some(Desk {
            orders,
            queued_bytes: Arc::default(),
            folder: PathBuf::new(),
            clerk: Mutex::new(None),
        }),
        ..Spool::default()
    };
    (spool, taken)
}

fn parcel(head_bytes: usize) -> Parcel {
    Parcel {
        holdings: Vec::new(),
        to: None,
        project: None,
        sender: None,
        proven: true,
        maybe_sent: false,
        envelope: None,
        head: vec![0; head_bytes],
        body: Copied::Chunks(Default::default()),
    }
}

/// Brings requests of one size until one finds no place, and says how many did.
fn fill(spool: &Spool, head_bytes: usize) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    for waiting in 0..=ORDERS_MAX {
        let mut keeping = Box::pin(spool.keep(parcel(head_bytes), Due::Now));
        if let Poll::Ready(answer) = keeping.as_mut().poll(&mut context) {
            assert_eq!(answer, Err(NotKept::Busy));
            return waiting;
        }
    }
    panic!("the queue has no limit");
}

#[test]
fn requests_that_wait_for_the_disk_are_limited_in_number_and_in_bytes() {
    #[track_caller]
    fn check(head_bytes: usize, most: usize) {
        let (spool, _taken) = held_up();
        assert_eq!(fill(&spool, head_bytes), most, "{head_bytes} bytes each");
    }
    check(0, QUEUED_MAX);
    check(16 << 10, QUEUED_MAX);
    check((16 << 10) + 1, QUEUED_MAX - 1);
    check(1 << 20, 64);
    check(64 << 20, 1);
    check((64 << 20) + 1, 0);
}

#[test]
fn what_became_of_a_request_is_taken_up_though_no_other_finds_a_place() {
    let (spool, taken) = held_up();
    fill(&spool, 0);
    spool.end(Kept(7), End::Taken);
    let last = taken.try_iter().last();
    let told = matches!(last, Some(Order::Steer(Steer::End { kept: Kept(7), .. })));
    assert!(told, "the end of a request found no place");
}

//! What a log promises, on a disk that fails and on a real one.

#[path = "tests/damage.rs"]
mod damage;
#[path = "tests/disk.rs"]
pub(in crate::server::spool) mod disk;
#[path = "tests/erased.rs"]
mod erased;
#[path = "tests/kept.rs"]
mod kept;
#[path = "tests/lost.rs"]
mod lost;
#[path = "tests/model.rs"]
mod model;
#[path = "tests/real.rs"]
mod real;
#[path = "tests/small.rs"]
mod small;

use super::*;

const LIMITS: LogLimits = LogLimits {
    segment_bytes: 4096,
    inline_bytes_max: 600,
    damaged_bytes_max: 8192,
};

fn head(order: u64) -> Head {
    Head {
        order,
        at_unix_ms: 1_790_000_000_000 + order,
        project: Some(order % 4).filter(|project| *project > 0),
        lane: u8::try_from(order % 3).unwrap(),
        items: 1,
    }
}

/// Keeps one record of these bytes.
#[track_caller]
fn append<D: Disk>(log: &mut Log<D>, order: u64, payload: &[u8]) -> Place {
    let payload = [Bytes::copy_from_slice(payload)];
    let draft = Draft {
        head: head(order),
        payload: &payload,
        body: None,
    };
    log.append(&mut [draft])[0].unwrap()
}

/// Opens a disk that must not have lost anything.
#[track_caller]
fn reopen<D: Disk>(disk: D) -> (Log<D>, Vec<Found>) {
    let (log, recovered) = Log::open(disk, LIMITS).unwrap();
    assert_eq!(recovered.damaged, 0, "records were lost");
    assert!(recovered.quarantined.is_empty(), "a file was not read");
    (log, recovered.records)
}

fn orders(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| found.head.order).collect()
}

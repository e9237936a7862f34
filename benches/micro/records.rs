//! Keeping an event in the spool: the log's own work, without the kernel's.

use std::hint::black_box;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group};
use vidette::server::spool::log::{Draft, Head, Log, LogLimits, RealDisk};

use crate::TIMES;
use crate::event::envelope_of;

/// What is kept, where, and the folder that goes with it.
struct Spool {
    log: Log<RealDisk>,
    payload: [Bytes; 2],
    order: u64,
    _folder: tempfile::TempDir,
}

/// A log that has taken a first batch, so that its segment is begun.
fn spool(bytes: usize) -> Spool {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let disk = RealDisk::open(folder.path()).expect("a new folder is nobody's");
    let limits = LogLimits {
        segment_bytes: 16 << 20,
        ..LogLimits::default()
    };
    let (log, _) = Log::open(disk, limits).expect("an empty log opens");
    let mut spool = Spool {
        log,
        payload: [Bytes::from_static(b"a head"), envelope_of(bytes).into()],
        order: 0,
        _folder: folder,
    };
    let kept = append(&mut spool, 1) + append(&mut spool, TIMES);
    assert_eq!(kept, TIMES + 1, "the log of a bench keeps what it is given");
    spool
}

/// A batch of so many records: as many as were kept.
fn append(spool: &mut Spool, records: usize) -> usize {
    let orders = spool.order..;
    let mut batch: Vec<Draft<'_, _>> = orders
        .take(records)
        .map(|order| Draft {
            head: Head {
                order,
                at_unix_ms: 1_767_225_600_000,
                project: Some(42),
                lane: 1,
                items: 1,
            },
            payload: &spool.payload,
            body: None,
        })
        .collect();
    let answers = spool.log.append(black_box(&mut batch));
    spool.order += u64::try_from(records).unwrap_or(u64::MAX);
    answers.iter().filter(|answer| answer.is_ok()).count()
}

// The spool is returned, so that its folder is removed where nothing is counted.
#[library_benchmark]
#[bench::alone_of_1_4_kb(args = (1_400, 1), setup = spool_for)]
#[bench::in_a_batch_of_1_4_kb_x100(args = (1_400, TIMES), setup = spool_for)]
#[bench::in_a_batch_of_20_kb_x100(args = (20_000, TIMES), setup = spool_for)]
fn appended((mut spool, records): (Box<Spool>, usize)) -> (Box<Spool>, usize) {
    let kept = append(&mut spool, records);
    (spool, kept)
}

fn spool_for(bytes: usize, records: usize) -> (Box<Spool>, usize) {
    (Box::new(spool(bytes)), records)
}

library_benchmark_group!(name = records, benchmarks = appended);

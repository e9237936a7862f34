//! The micro benches: how many instructions each step of the hot path takes, counted by callgrind.
//!
//! A count is the same on a busy machine and on an idle one, so it can be held to a few per cent
//! where time cannot. It says nothing of caches, of the kernel or of waiting: what a request costs
//! in all is the rig's to tell. Each subject has a file; `gate` holds the counts against
//! `baseline.json` and renews it.
//!
//! Rules of the files. What is small is done a hundred times in a count, so that a loop's own
//! instructions and a hash table's luck are spread; its name ends in `x100`. Whatever happens only
//! once in a process (a processor's features looked up, the first allocation) happens in `setup`,
//! by doing the work once before it is counted. What a setup makes is leaked: dropping it would be
//! counted as well. Nothing is made public to be counted: of the server only the spool's log is
//! reachable, so the rewriting of heads, the pool and both sides' HTTP are the rig's and
//! `tests/allocations.rs`' alone.
//!
//! `cargo bench --bench micro` counts, beside the last run; it needs valgrind and
//! `gungraun-runner`, which `tests/parts/install` brings. `benches/micro/gate` is what CI runs.

mod books;
mod envelopes;
#[path = "../rig/event.rs"]
mod event;
mod quotas;
mod records;
mod senders;
mod wanted;

use gungraun::{Callgrind, LibraryBenchmarkConfig, main};

use books::books as books_group;
use envelopes::envelopes as envelopes_group;
use quotas::quotas as quotas_group;
use records::records as records_group;
use senders::senders as senders_group;
use wanted::wanted as wanted_group;

// As in the program: what an allocation costs is part of what is counted.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often what is small is done in one count.
const TIMES: usize = 100;

/// Kept on purpose: what is dropped would be counted.
fn kept<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

main!(
    // A model of the caches would be slower, and nothing here is read from it.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [
        envelopes_group,
        senders_group,
        quotas_group,
        wanted_group,
        books_group,
        records_group
    ]
);

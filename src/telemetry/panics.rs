//! Panics: each is a bug here, and ends the task that it happens in, a request mostly, and nothing
//! else. Owns that one is a line of the log like any other, and counted; never goes on from one.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family};

static SEEN: AtomicU64 = AtomicU64::new(0);

/// From now on panics of this process are logged and counted. Where `RUST_BACKTRACE` asks for
/// more, and where nothing is logged, they are told as Rust tells them, too.
pub fn watch() {
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        note(panic);
        let asked = std::env::var_os("RUST_BACKTRACE").is_some_and(|asked| asked != "0");
        if asked || !tracing::enabled!(tracing::Level::ERROR) {
            usual(panic);
        }
    }));
}

/// How many there were since the process began.
#[must_use]
pub fn seen() -> u64 {
    SEEN.load(Relaxed)
}

fn note(panic: &PanicHookInfo<'_>) {
    SEEN.fetch_add(1, Relaxed);
    let thread = std::thread::current();
    let at = panic.location().map(ToString::to_string);
    tracing::error!(
        thread = thread.name(),
        at,
        "panicked: {}; this is a bug in vidette: please report it with this line",
        panic.payload_as_str().unwrap_or("of no known kind")
    );
}

/// `vidette_panics_total`.
pub(super) fn family_of() -> MetricFamily {
    family(
        "vidette_panics_total",
        "Panics, each of which is a bug: the request or the work that it happened in was given up.",
        MetricType::COUNTER,
        vec![counter(seen(), &[])],
    )
}

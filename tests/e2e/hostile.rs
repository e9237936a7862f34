//! Clients that mean harm, each beside two that do not: nobody honest is turned away, the
//! edge gives back what it used, and what was done is counted. `cargo test --test e2e --
//! hostile` prints the README's table of figures, a row an attack. A flood of made-up keys is
//! in `senders::floods`, and uploads that unpack without end in `line_one::floods`.

pub(crate) mod blocked;
mod broken;
pub(crate) mod frames;
mod multiplexed;
pub(crate) mod siege;
mod slow;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        slow::trials(),
        broken::trials(),
        multiplexed::trials(),
        blocked::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

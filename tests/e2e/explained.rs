//! `explain`, `doctor` and the pages behind them, held against what really happens.

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    Vec::new()
}

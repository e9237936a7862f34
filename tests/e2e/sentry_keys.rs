//! Sentry's own list of its keys, read from a stand-in of its web API.

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    Vec::new()
}

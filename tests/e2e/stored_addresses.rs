//! What of a client's address goes upstream under each `client_ip.store`.

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    Vec::new()
}

//! Quotas that many edges share over one Redis, from outside: together they admit what one would,
//! nothing more and hardly less, and go on where it is killed, paused or cut off.

mod load;
mod outages;
pub(crate) mod pool;
mod switched;
mod topologies;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = load::trials();
    trials.extend(outages::trials());
    trials.extend(topologies::trials());
    trials.extend(switched::trials());
    trials
}

//! Which requests have a line.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::config::checked::Rate;
use crate::domain::sampling;

fn plan(mode: AccessMode, share: f64, errors: u64) -> Plan {
    Plan {
        mode,
        sample: sampling::Rate::of(share).unwrap(),
        errors: Rate {
            count: errors,
            per: Duration::from_secs(1),
        },
        ..Config::in_front_of(Vec::new()).access_log
    }
}

fn how(ending: Ending, status: u16, reason: Option<Reason>) -> How {
    How {
        ending,
        status,
        reason,
        dropped: Reasons::default(),
    }
}

/// How many of a thousand that ended so, all in one second, have a line.
#[track_caller]
fn check(plan: &Plan, workers: usize, how: How, want: std::ops::RangeInclusive<usize>) {
    let desk = Desk::new(Arc::new(AccessLog::new(plan)));
    let wanted = (0..1000).filter(|_| desk.wants(Millis(5), plan, workers, how));
    let wanted = wanted.count();
    assert!(want.contains(&wanted), "{wanted} of {how:?}");
}

const WELL: How = How {
    ending: Ending::Forwarded,
    status: 200,
    reason: None,
    dropped: Reasons::EMPTY,
};

#[test]
fn off_has_none_and_all_has_all() {
    let refused = how(Ending::Refused, 429, Some(Reason::Quota));
    for how in [WELL, refused] {
        check(&plan(AccessMode::Off, 1.0, 9), 1, how, 0..=0);
        check(&plan(AccessMode::All, 0.0, 1), 1, how, 1000..=1000);
    }
}

#[test]
fn what_went_well_is_sampled() {
    check(&plan(AccessMode::Sampled, 0.0, 9), 1, WELL, 0..=0);
    check(&plan(AccessMode::Sampled, 1.0, 9), 1, WELL, 1000..=1000);
    // Seven standard deviations either way.
    check(&plan(AccessMode::Sampled, 0.5, 9), 1, WELL, 390..=610);
    let left_out = how(Ending::Refused, 200, Some(Reason::Sampled));
    check(&plan(AccessMode::Sampled, 0.0, 9), 1, left_out, 0..=0);
}

#[test]
fn what_went_wrong_has_its_lines_and_no_more() {
    let plan = plan(AccessMode::Sampled, 0.0, 10);
    for wrong in [
        how(Ending::Refused, 429, Some(Reason::Quota)),
        how(Ending::Refused, 200, Some(Reason::Crawler)),
        how(Ending::Failed, 502, Some(Reason::NoUpstream)),
        how(Ending::Aborted, 0, Some(Reason::ClientGone)),
        how(Ending::Forwarded, 500, None),
        How {
            dropped: Reasons::default().with(Reason::Sampled).with(Reason::Rate),
            ..WELL
        },
    ] {
        check(&plan, 1, wrong, 10..=10);
        check(&plan, 4, wrong, 3..=3);
    }
}

#[test]
fn a_flood_of_one_reason_hides_no_other_and_ends_with_its_second() {
    let plan = plan(AccessMode::Sampled, 0.0, 1);
    let desk = Desk::new(Arc::new(AccessLog::new(&plan)));
    let flood = how(Ending::Refused, 429, Some(Reason::Quota));
    let rare = how(Ending::Failed, 502, Some(Reason::NoUpstream));
    let wants = |now, how| desk.wants(Millis(now), &plan, 1, how);
    assert!(wants(10, flood));
    assert!(!wants(999, flood));
    assert!(wants(999, rare));
    assert!(wants(1000, flood));
}

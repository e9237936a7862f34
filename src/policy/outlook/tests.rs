//! What is said of a spool that is filled and emptied at known rates.

use super::*;

const DAY_MS: u64 = 86_400_000;

/// Kept: a tenth of a day old, with much room.
const STANDING: Standing = Standing {
    requests: 2400,
    room_requests: u64::MAX,
    room_bytes: u64::MAX,
    oldest_s: 8_640,
    max_age_ms: DAY_MS,
};

/// What has gone on since the start, after so many seconds of so much each.
fn after(seconds: u64, each: Flow) -> Flow {
    Flow {
        came: each.came * seconds,
        came_bytes: each.came_bytes * seconds,
        sent: each.sent * seconds,
        expired: each.expired * seconds,
        gone_bytes: each.gone_bytes * seconds,
    }
}

/// The forecast after so many seconds of the same.
fn forecast(seconds: u64, way: Way, each: Flow, standing: Standing) -> Forecast {
    let mut outlook = Outlook::default();
    for second in 0..=seconds {
        outlook.note(Millis(second * 1000), way, after(second, each));
    }
    outlook.forecast(Millis(seconds * 1000), after(seconds, each), &standing)
}

const SENDS: Flow = Flow {
    came: 0,
    came_bytes: 0,
    sent: 10,
    expired: 0,
    gone_bytes: 10_000,
};

const FILLS: Flow = Flow {
    came: 5,
    came_bytes: 5_000,
    sent: 0,
    expired: 0,
    gone_bytes: 0,
};

#[test]
fn what_is_sent_tells_when_all_is() {
    let want = Forecast::Empty { in_s: 240 };
    assert_eq!(forecast(60, Way::Open, SENDS, STANDING), want);
    assert_eq!(forecast(600, Way::Open, SENDS, STANDING), want);
    // What comes meanwhile has to be sent too.
    let meanwhile = Flow { came: 6, ..SENDS };
    let want = Forecast::Empty { in_s: 600 };
    assert_eq!(forecast(60, Way::Open, meanwhile, STANDING), want);
}

#[test]
fn what_is_kept_tells_when_there_is_no_room_left() {
    let room = |room_bytes, room_requests| Standing {
        room_bytes,
        room_requests,
        ..STANDING
    };
    let check = |standing, in_s| {
        let want = Forecast::Full { in_s };
        assert_eq!(forecast(60, Way::Shut, FILLS, standing), want);
    };
    check(room(54_000_000, u64::MAX), 10_800);
    check(room(54_000_000, 500), 100);
    check(room(0, 0), 0);
    // An upstream that takes less than comes fills it too.
    let each = Flow {
        sent: 1,
        gone_bytes: 1_000,
        ..FILLS
    };
    let want = Forecast::Full { in_s: 1000 };
    assert_eq!(
        forecast(60, Way::Open, each, room(4_000_000, u64::MAX)),
        want
    );
}

#[test]
fn too_little_seen_is_unknown() {
    for (seconds, known) in [(0, false), (4, false), (5, true)] {
        let said = forecast(seconds, Way::Open, SENDS, STANDING);
        assert_eq!(said != Forecast::Unknown, known, "{seconds} s: {said:?}");
    }
    let outlook = Outlook::default();
    assert_eq!(
        outlook.forecast(Millis(9), SENDS, &STANDING),
        Forecast::Unknown
    );
    let nothing = Standing {
        requests: 0,
        ..STANDING
    };
    assert_eq!(forecast(60, Way::Open, SENDS, nothing), Forecast::Unknown);
}

#[test]
fn what_neither_grows_nor_shrinks_is_steady() {
    let none = Flow::default();
    assert_eq!(forecast(60, Way::Open, none, STANDING), Forecast::Steady);
    assert_eq!(forecast(60, Way::Shut, none, STANDING), Forecast::Steady);
    let both = Flow {
        sent: 5,
        gone_bytes: 5_000,
        ..FILLS
    };
    assert_eq!(forecast(60, Way::Open, both, STANDING), Forecast::Steady);
    // So is what makes room by growing too old.
    let expires = Flow {
        expired: 5,
        gone_bytes: 5_000,
        ..FILLS
    };
    assert_eq!(forecast(60, Way::Shut, expires, STANDING), Forecast::Steady);
}

#[test]
fn nothing_is_said_of_a_time_when_all_of_it_is_too_old() {
    let full_in = |seconds: u64| Standing {
        room_bytes: 5_000 * seconds,
        ..STANDING
    };
    // The oldest has nine tenths of a day left.
    let last = forecast(60, Way::Shut, FILLS, full_in(77_760));
    assert_eq!(last, Forecast::Full { in_s: 77_760 });
    let later = forecast(60, Way::Shut, FILLS, full_in(77_761));
    assert_eq!(later, Forecast::Steady);
    let sent_in = |seconds: u64| Standing {
        requests: 10 * seconds,
        ..STANDING
    };
    let last = forecast(60, Way::Open, SENDS, sent_in(86_400));
    assert_eq!(last, Forecast::Empty { in_s: 86_400 });
    let later = forecast(60, Way::Open, SENDS, sent_in(86_401));
    assert_eq!(later, Forecast::Steady);
}

#[test]
fn an_upstream_that_comes_back_begins_anew() {
    let mut outlook = Outlook::default();
    for second in 0..100 {
        outlook.note(Millis(second * 1000), Way::Shut, after(second, FILLS));
    }
    let flow = after(100, FILLS);
    outlook.note(Millis(100_000), Way::Open, flow);
    let said = |ms: u64, sent: u64, outlook: &Outlook| {
        outlook.forecast(Millis(ms), Flow { sent, ..flow }, &STANDING)
    };
    assert_eq!(said(104_000, 400, &outlook), Forecast::Unknown);
    assert_eq!(said(105_000, 500, &outlook), Forecast::Empty { in_s: 24 });
}

#[test]
fn a_rate_of_long_ago_is_forgotten() {
    let mut outlook = Outlook::default();
    let flow = |second: u64| match second {
        0..=300 => after(second, SENDS),
        _ => Flow {
            sent: 3000 + 100 * (second - 300),
            ..Flow::default()
        },
    };
    for second in 0..=362 {
        outlook.note(Millis(second * 1000), Way::Open, flow(second));
    }
    let said = outlook.forecast(Millis(362_000), flow(362), &STANDING);
    assert_eq!(said, Forecast::Empty { in_s: 24 });
}

#[test]
fn no_number_is_too_large() {
    let most = Flow {
        came: u64::MAX,
        came_bytes: u64::MAX,
        sent: u64::MAX,
        expired: u64::MAX,
        gone_bytes: u64::MAX,
    };
    let mut outlook = Outlook::default();
    outlook.note(Millis(0), Way::Open, Flow::default());
    let standing = Standing {
        requests: u64::MAX,
        room_requests: u64::MAX,
        room_bytes: u64::MAX,
        oldest_s: u64::MAX,
        max_age_ms: u64::MAX,
    };
    for flow in [
        most,
        Flow {
            sent: 1,
            ..Flow::default()
        },
        Flow {
            came: 1,
            ..Flow::default()
        },
    ] {
        let said = outlook.forecast(Millis(u64::MAX), flow, &standing);
        let left = expires_in_s(&standing, said);
        assert_eq!(left.unwrap_or(0), 0, "the oldest is older than it may be");
    }
}

/// So old, of a day, with this ahead.
fn old(oldest_s: u64) -> Standing {
    Standing {
        oldest_s,
        ..STANDING
    }
}

#[test]
fn three_quarters_of_its_time_are_near_its_end() {
    let near = |oldest_s| expires_in_s(&old(oldest_s), Forecast::Unknown);
    assert_eq!(near(64_799), None);
    assert_eq!(near(64_800), Some(21_600));
    assert_eq!(near(86_400), Some(0));
    assert_eq!(near(99_999), Some(0));
    let nothing = Standing {
        requests: 0,
        ..old(70_000)
    };
    assert_eq!(expires_in_s(&nothing, Forecast::Unknown), None);
}

#[test]
fn a_drain_that_is_ahead_is_no_reason_to_worry() {
    let near = |forecast| expires_in_s(&old(64_800), forecast);
    assert_eq!(near(Forecast::Empty { in_s: 21_599 }), None);
    assert_eq!(near(Forecast::Empty { in_s: 21_600 }), Some(21_600));
    assert_eq!(near(Forecast::Full { in_s: 1 }), Some(21_600));
    assert_eq!(near(Forecast::Steady), Some(21_600));
}

#[test]
fn a_crossing_is_told_once() {
    let mut aging = Aging::default();
    let mut look = |oldest_s| aging.look(&old(oldest_s), Forecast::Unknown);
    assert_eq!(look(64_799), None);
    assert_eq!(look(64_801), Some(21_599));
    // The oldest is sent, and the next is a little younger.
    for oldest_s in [64_802, 64_700, 64_900, 86_400, 43_200, 65_000] {
        assert_eq!(look(oldest_s), None, "{oldest_s}");
    }
    assert_eq!(look(43_199), None);
    assert_eq!(look(64_800), Some(21_600), "it is another time");
}

#[test]
fn an_empty_spool_ends_a_crossing() {
    let mut aging = Aging::default();
    assert!(aging.look(&old(70_000), Forecast::Unknown).is_some());
    let nothing = Standing {
        requests: 0,
        ..old(70_000)
    };
    assert!(aging.look(&nothing, Forecast::Unknown).is_none());
    assert!(aging.look(&old(70_000), Forecast::Unknown).is_some());
}

//! What waits, over a restart: of its own time, no younger, and unharmed.

use super::*;

/// Two senders, of whom one is a stranger, over two hours, with odd names of limits.
fn waiting() -> Pending {
    let mut pending = Pending::default();
    let at = Millis(START_MS);
    let all = [
        (1, limited("errors-1h", 2)),
        (1, limited("\"\\\u{1}\u{2028}é", 3)),
        (1, of(Reason::Crawler, Category::Unread)),
    ];
    pending.merge(at, gathered(&all));
    let mut stranger = Gathered::default();
    stranger.add(pair(2), Standing::Stranger, limited("errors-1h", 5));
    pending.merge(at.plus(HOUR), stranger);
    pending.merge(at.plus(2 * HOUR), gathered(&[(1, limited("errors-1h", 7))]));
    pending
}

fn lines(bytes: &[u8]) -> Vec<&str> {
    let mut lines: Vec<_> = str::from_utf8(bytes).unwrap().lines().skip(1).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_waits_over_a_restart_is_told_of_its_own_time() {
    let (stop, start) = (Millis(START_MS + 3 * HOUR), Millis(START_MS));
    let (mut before, stop_unix_s) = (waiting(), EPOCH_S + stop.seconds());
    let bytes = before.encode(stop, stop_unix_s);
    let mut after = Pending::decode(&bytes, start, stop_unix_s + 600).unwrap();
    assert_eq!(after.items(), before.items());
    let again = after.encode(start, stop_unix_s + 600);
    assert_eq!(lines(&again), lines(&bytes), "nothing has changed but now");
    let told = said(&before.take(9, |_| true), stop);
    // The edge's clock stood still for what the restart took, and began anew.
    let envelopes = after.take(9, |_| true);
    let (sums, _) = said(&envelopes, start);
    assert_eq!(sums, told.0);
    let mut times: Vec<u64> = envelopes
        .iter()
        .map(|report| report.envelope(start, stop_unix_s + 600))
        .map(|envelope| {
            let payload = envelope.split(|byte| *byte == b'\n').nth(2).unwrap();
            let payload: Value = serde_json::from_slice(payload).unwrap();
            payload["timestamp"].as_u64().unwrap() - EPOCH_S
        })
        .collect();
    let mut want = told.1;
    times.sort_unstable();
    want.sort_unstable();
    assert_eq!(times, want);
}

#[test]
fn a_restart_makes_nothing_younger() {
    let (stop, start) = (Millis(START_MS + 2 * HOUR), Millis(START_MS));
    let bytes = waiting().encode(stop, EPOCH_S);
    for (away_s, lost) in [(0, 0), (22 * 3600, 0), (22 * 3600 + 1, 6), (48 * 3600, 18)] {
        let mut after = Pending::decode(&bytes, start, EPOCH_S + away_s).unwrap();
        after.expire(start);
        assert_eq!((after.take_lost(), after.items()), (lost, 18 - lost));
    }
    let mut after = Pending::decode(&bytes, start, EPOCH_S - 9).unwrap();
    after.expire(start);
    assert_eq!(after.items(), 18, "a clock that was set back loses nothing");
}

#[test]
fn strangers_stay_strangers_over_a_restart() {
    let mut all = Gathered::default();
    for number in 0..900 {
        all.add(pair(number), Standing::Stranger, limited("a", 1));
    }
    let mut pending = Pending::default();
    pending.merge(Millis(START_MS), all);
    let bytes = pending.encode(Millis(START_MS), EPOCH_S);
    let mut after = Pending::decode(&bytes, Millis(START_MS), EPOCH_S).unwrap();
    for round in 1..3 {
        let mut all = Gathered::default();
        for number in 0..900 {
            let made_up = pair(round * 1_000 + number);
            all.add(made_up, Standing::Stranger, limited("a", 1));
        }
        after.merge(Millis(START_MS), all);
    }
    assert_eq!((after.items(), after.take_lost()), (2_000, 700));
}

#[test]
fn no_changed_byte_of_what_waited_goes_unseen() {
    let now = Millis(START_MS + 2 * HOUR);
    let good = waiting().encode(now, EPOCH_S);
    for at in 0..good.len() {
        let decode = |bytes: &[u8]| Pending::decode(bytes, now, EPOCH_S);
        decode(&good[..at]).expect_err("cut short");
        for flip in [1, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            decode(&bytes).expect_err("flipped");
        }
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], want: UntoldError) {
    let refused = Pending::decode(bytes, Millis(START_MS), EPOCH_S).unwrap_err();
    assert_eq!(refused, want);
}

#[test]
fn what_waited_is_refused_for_what_is_wrong_with_it() {
    check_refused(b"", UntoldError::Foreign);
    check_refused(b"vidette-proven-keys 1\n", UntoldError::Foreign);
    check_refused(b"vidette-untold-reports 2 0\n", UntoldError::Version);
    check_refused(b"vidette-untold-reports 1 0\n", UntoldError::Damaged);
    check_refused(b"vidette-untold-reports 1", UntoldError::Damaged);
    let good = r#"{"key":"a94ae32be2584e0bbd7a4cbb95971fee","project":42,"vouched":true,"until":9,"rows":[{"reason":"quota","limit":null,"category":"error","items":1,"bytes":1}]}"#;
    let sealed = |line: &str| {
        let body = format!("{line}\n");
        let sum = crate::policy::proven_file::checksum(body.as_bytes());
        format!("vidette-untold-reports 1 {sum:016x}\n{body}").into_bytes()
    };
    Pending::decode(&sealed(good), Millis(START_MS), EPOCH_S).unwrap();
    for (from, to) in [
        ("a94a", "A94a"),
        ("42", "0"),
        ("quota", "quotas"),
        ("quota", "client_gone"),
        ("\"error\"", "\"errors\""),
        ("\"error\"", "\"client_report\""),
        ("\"until\"", "\"till\""),
    ] {
        let line = good.replace(from, to);
        check_refused(&sealed(&line), UntoldError::Line { line: 2 });
    }
}

#[test]
fn the_most_that_can_wait_fits_its_file() {
    let mut pending = Pending::default();
    // Six bytes each in JSON.
    let longest = "\u{1}".repeat(300);
    let dropped = Dropped {
        items: u64::MAX,
        bytes: u64::MAX,
        category: Category::ProfileDurationUi,
        ..limited(&longest, 1)
    };
    pending.merge(Millis(START_MS), gathered(&[(1, dropped)]));
    let bytes = pending.encode(Millis(START_MS), u64::MAX);
    assert!(u64::try_from(20_000 * bytes.len()).unwrap() < UNTOLD_BYTES_MAX);
}

//! The walk over frames, in pieces of every size, and what is too much of each.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LIMITS: Http2 = Http2 {
    streams: 100,
    stream_window: 1 << 18,
    connection_window: 1 << 20,
    resets: 3,
    control_frames: 5,
};

const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
    let [.., high, middle, low] = u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
    bytes.resize(HEAD_BYTES + length, 0xff);
    bytes
}

fn frames(kind: u8, count: usize) -> Vec<u8> {
    [PREFACE, &frame(kind, 0, 4).repeat(count)].concat()
}

/// Reads bytes in pieces; yields how many of them are passed on.
fn passed(conduct: &Conduct, bytes: &[u8], piece: usize) -> usize {
    let mut passed = 0;
    for piece in bytes.chunks(piece) {
        match conduct.came_in(piece) {
            Some(cut) => return passed + cut,
            None => passed += piece.len(),
        }
    }
    passed
}

#[track_caller]
fn check(bytes: &[u8], over: bool, frames_passed: usize, frame_bytes: usize) {
    for piece in 1..=bytes.len().min(64) {
        let conduct = Conduct::new(&LIMITS);
        let passed = passed(&conduct, bytes, piece);
        assert_eq!(conduct.over.get(), over, "in pieces of {piece}");
        let want = PREFACE.len() + frames_passed * frame_bytes;
        assert_eq!(passed, want, "in pieces of {piece}");
    }
}

#[test]
fn resets_up_to_the_limit_pass_and_the_next_is_the_last_frame() {
    check(&frames(RST_STREAM, 3), false, 3, 13);
    check(&frames(RST_STREAM, 9), true, 4, 13);
}

#[test]
fn control_frames_are_counted_whatever_they_are() {
    for kind in [2, 4, PING, WINDOW_UPDATE, 9, 0xfa] {
        check(&frames(kind, 5), false, 5, 13);
        check(&frames(kind, 20), true, 6, 13);
    }
    let empty = [PREFACE, &frame(DATA, 0, 0).repeat(20)].concat();
    check(&empty, true, 6, 9);
}

#[test]
fn what_carries_a_request_is_free() {
    check(&frames(HEADERS, 50), false, 50, 13);
    check(&frames(DATA, 50), false, 50, 13);
    let ends = [PREFACE, &frame(DATA, END_STREAM, 0).repeat(50)].concat();
    check(&ends, false, 50, 9);
}

#[test]
fn requests_and_answers_earn_control_frames() {
    let conduct = Conduct::new(&LIMITS);
    let asked = [PREFACE, &frame(HEADERS, 0, 4).repeat(2)].concat();
    assert_eq!(conduct.came_in(&asked), None);
    conduct.wrote(10 * 1024);
    let updates = frame(WINDOW_UPDATE, 0, 4);
    assert_eq!(conduct.came_in(&updates.repeat(5 + 2 * 4 + 10)), None);
    assert!(!conduct.over.get());
    assert_eq!(conduct.came_in(&updates), None, "it is the last to pass");
    assert_eq!(conduct.came_in(&updates), Some(0));
}

#[test]
fn what_was_counted_is_forgotten_after_a_window() {
    let conduct = Conduct::new(&LIMITS);
    assert_eq!(conduct.came_in(PREFACE), None);
    for _ in 0..20 {
        assert_eq!(conduct.came_in(&frame(RST_STREAM, 0, 4).repeat(3)), None);
        assert_eq!(conduct.came_in(&frame(PING, 0, 8).repeat(5)), None);
        (0..WINDOW_TICKS).for_each(|_| conduct.tick());
    }
    assert!(!conduct.over.get());
}

#[test]
fn the_last_frame_is_one_that_no_reader_takes() {
    let mut seen = Vec::new();
    let mut walk = Walk {
        head: [0; HEAD_BYTES],
        here: 0,
        left: 0,
    };
    let rest = walk.step(LAST_FRAME, |kind, _, length| seen.push((kind, length)));
    assert!(walk.step(rest, |_, _, _| ()).is_empty());
    assert_eq!((seen, walk.left, walk.here), (vec![(PING, 7)], 0, 0));
}

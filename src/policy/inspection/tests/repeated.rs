//! What repeats, under a quota.

use std::time::Duration;

use super::*;
use crate::domain::repeat::Repeat;

const LOOP: &[u8] = br#"{"message":"loop"}"#;

impl Scene {
    #[track_caller]
    fn check_error(&self, text: &[u8], want: Fate) {
        let event = Event::read(text);
        let room = self.room();
        let ruling = room.judge(&item(ItemKind::Event, 1), 10, None, event.as_ref());
        assert_eq!(ruling.fate, want, "{}", String::from_utf8_lossy(text));
    }
}

fn repeating(limit: u64) -> Scene {
    let mut scene = scene(vec![quota(&[Category::Error], Limit::Items(limit))]);
    scene.wishes.repeats = Some(Repeat {
        first: 1,
        then: 1000,
        per: Duration::from_secs(60),
    });
    scene
}

/// It was counted as the first, and the next, for which there was room again, was dropped with a
/// 200 as one that repeats what had never arrived.
#[test]
fn an_error_that_no_quota_has_room_for_takes_no_place_among_the_first() {
    let mut scene = repeating(1);
    scene.check_error(br#"{"message":"other"}"#, Fate::Kept);
    for _ in 0..2 {
        scene.check_error(LOOP, FULL);
    }
    let other = std::mem::replace(&mut scene, repeating(1));
    scene.repeats = other.repeats;
    scene.check_error(LOOP, Fate::Kept);
    scene.check_error(LOOP, Fate::Dropped(Reason::Repeated));
}

#[test]
fn what_repeats_is_charged_to_nobody() {
    let scene = repeating(2);
    scene.check_error(LOOP, Fate::Kept);
    for _ in 0..9 {
        scene.check_error(LOOP, Fate::Dropped(Reason::Repeated));
    }
    scene.check_error(br#"{"message":"other"}"#, Fate::Kept);
    scene.check_error(br#"{"message":"third"}"#, FULL);
}

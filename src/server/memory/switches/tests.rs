//! What is on, what was, and what of it a restart knows.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::domain::endpoint::ProjectId;
use crate::domain::switch::Effect;
use crate::policy::quotas::CounterLimits;

fn board(place: Option<&TempDir>, now_unix_s: u64) -> Switchboard {
    let limits = CounterLimits {
        ips: 10,
        counters: 10,
    };
    let folder = place.map(|place| StateFolder::open(place.path()).unwrap());
    Switchboard::recall(folder, &Arc::new(Counters::new(limits)), now_unix_s)
}

fn asked(project: u64, value: Option<&str>, until_unix_s: u64) -> Asked {
    Asked {
        switch: Switch {
            project: ProjectId::parse(project.to_string().as_bytes()).unwrap(),
            category: None,
            effect: Effect::read(Action::Mute, None, value).unwrap(),
            until_unix_s,
        },
        by: "ops@there".to_owned(),
        why: Some("a \"storm\"".to_owned()),
    }
}

fn ids(board: &Switchboard) -> Vec<u64> {
    board.on().iter().map(|on| on.id).collect()
}

fn ends(board: &Switchboard) -> Vec<(u64, End)> {
    let ended = board.ended();
    ended
        .iter()
        .map(|ended| (ended.was.id, ended.end))
        .collect()
}

fn is_in_force(board: &Switchboard, project: u64) -> bool {
    let project = ProjectId::parse(project.to_string().as_bytes());
    board.in_force().load().of(project).is_some()
}

#[test]
fn a_switch_is_in_force_until_somebody_ends_it() {
    let board = board(None, 10);
    let set = board.set(asked(42, None, 100), 10).unwrap();
    assert!(!set.kept && !board.is_kept(), "there is no folder");
    assert!(is_in_force(&board, 42) && !is_in_force(&board, 7));
    assert_eq!(board.counts(), [("mute", 1), ("limit", 0), ("sample", 0)]);
    assert!(board.end(9, "ops", 11).is_none());
    assert_eq!(board.end(1, "ops", 11).unwrap().id, 1);
    assert!(!is_in_force(&board, 42) && board.end(1, "ops", 11).is_none());
    assert_eq!(ends(&board), [(1, End::Removed)]);
    let ended = board.ended();
    let last = ended.back().unwrap();
    assert_eq!((last.by.as_deref(), last.at_unix_s), (Some("ops"), 11));
}

#[test]
fn a_switch_takes_the_place_of_the_one_before() {
    let board = board(None, 10);
    assert!(
        board
            .set(asked(42, None, 100), 10)
            .unwrap()
            .replaced
            .is_none()
    );
    let set = board.set(asked(42, Some("1%"), 200), 20).unwrap();
    assert_eq!(set.replaced.unwrap().id, 1);
    assert_eq!(
        (ids(&board), ends(&board)),
        (vec![2], vec![(1, End::Replaced)])
    );
}

#[test]
fn a_switch_expires_by_itself_in_its_last_second() {
    let board = board(None, 10);
    board.set(asked(42, None, 100), 10).unwrap();
    board.look(99);
    assert!(is_in_force(&board, 42));
    board.look(100);
    assert!(!is_in_force(&board, 42));
    assert_eq!(
        (ids(&board), ends(&board)),
        (vec![], vec![(1, End::Expired)])
    );
    board.look(101);
    assert_eq!(ends(&board).len(), 1, "booked once");
}

#[test]
fn beyond_a_thousand_only_a_place_that_is_taken_is_given() {
    let board = board(None, 10);
    for project in (1..).take(SWITCHES_MAX) {
        assert!(board.set(asked(project, None, 100), 10).is_some());
    }
    assert!(board.set(asked(5000, None, 100), 10).is_none());
    assert!(board.set(asked(7, None, 200), 10).is_some());
    board.look(100);
    assert_eq!(board.ended().len(), ENDED_MAX);
}

#[test]
fn a_restart_knows_what_is_on_and_what_was() {
    let place = TempDir::new().unwrap();
    let first = board(Some(&place), 10);
    assert!(first.set(asked(42, Some("1%"), 100), 10).unwrap().kept);
    first.set(asked(7, None, 50), 10).unwrap();
    first.set(asked(8, None, 100), 10).unwrap();
    first.end(3, "ops", 11).unwrap();
    // No close: a kill must lose nothing.
    let told = |board: &Switchboard| format!("{:?} {:?}", &board.on()[..], *board.ended());
    let before = told(&first);
    drop(first);
    let again = board(Some(&place), 49);
    assert_eq!(told(&again), before);
    assert!(is_in_force(&again, 42) && is_in_force(&again, 7) && !is_in_force(&again, 8));
    drop(again);
    let later = board(Some(&place), 50);
    assert!(is_in_force(&later, 42) && !is_in_force(&later, 7));
    assert_eq!(ends(&later), [(3, End::Removed), (2, End::Expired)]);
    assert_eq!(later.set(asked(7, None, 100), 50).unwrap().on.id, 4);
}

#[test]
fn a_damaged_file_is_put_aside_and_stops_no_start() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("switches");
    let good = || {
        let first = board(Some(&place), 10);
        first.set(asked(42, None, 100), 10).unwrap();
        fs::read_to_string(&path).unwrap()
    };
    let damages: [fn(String) -> String; 7] = [
        |text| text.chars().take(20).collect(),
        |_| String::new(),
        |text| text.replace("\"version\":1", "\"version\":2"),
        |text| text.replace("\"mute\"", "\"mutter\""),
        |text| text.replace("\"project\":42", "\"project\":0"),
        |text| text.replace("\"category\":null", "\"category\":\"errors\""),
        |text| text.replace("\"value\":null", "\"value\":\"100/s\""),
    ];
    for damage in damages {
        let text = damage(good());
        fs::write(&path, &text).unwrap();
        let again = board(Some(&place), 20);
        assert!(ids(&again).is_empty() && !is_in_force(&again, 42), "{text}");
        assert!(again.is_kept());
        let aside = fs::read_to_string(place.path().join("switches.unread"));
        assert_eq!(aside.unwrap(), text);
        assert!(!path.exists(), "the next run does not meet it again");
    }
}

#[test]
fn a_switch_that_cannot_be_written_down_is_in_force_all_the_same() {
    let place = TempDir::new().unwrap();
    let board = board(Some(&place), 10);
    // A folder stands where the draft is to be written.
    fs::create_dir(place.path().join("switches.new")).unwrap();
    assert!(!board.set(asked(42, None, 100), 10).unwrap().kept);
    assert!(is_in_force(&board, 42) && !board.is_kept());
    fs::remove_dir(place.path().join("switches.new")).unwrap();
    assert!(
        board.set(asked(7, None, 100), 10).unwrap().kept,
        "both are written now"
    );
}

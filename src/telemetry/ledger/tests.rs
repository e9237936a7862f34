//! Tests of the books: rows, the register and its bounds, and readers beside writers.

use std::thread;

use super::*;
use crate::domain::outcome::Reason;

fn books(projects_max: usize) -> Arc<Ledger> {
    Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, projects_max))
}

fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<ProjectId> {
    numbers.into_iter().map(project).collect()
}

fn sum(items: u64, bytes: u64) -> Sum {
    Sum { items, bytes }
}

#[test]
fn a_row_tells_what_came_and_what_became_of_it() {
    let books = books(1);
    let worker = books.worker();
    let row = worker.row(Account::Unproven, Category::Error);
    row.received(5, 400);
    row.received(0, 100);
    row.forwarded(2, 200);
    row.dropped(Reason::Quota, 1, 50);
    row.dropped(Reason::Quota, 1, 0);
    let [line] = books.lines().try_into().unwrap();
    assert_eq!(
        (line.account, line.category),
        (Account::Unproven, Category::Error)
    );
    assert_eq!(line.received, sum(5, 500));
    assert_eq!(line.forwarded, sum(2, 200));
    assert_eq!(line.dropped, BTreeMap::from([(Reason::Quota, sum(2, 50))]));
    assert_eq!((line.carried, line.spooled), (sum(0, 0), sum(0, 0)));
    assert_eq!(line.in_flight(), sum(1, 250));
    row.dropped(Reason::ClientGone, 1, 250);
    assert_eq!(books.lines()[0].in_flight(), sum(0, 0));
}

#[test]
fn rows_of_all_workers_are_one_and_outlive_them() {
    let books = books(1);
    for n in [2, 3] {
        let worker = books.worker();
        let row = worker.row(Account::Other, Category::Span);
        row.received(n, 10 * n);
        row.dropped(Reason::Rate, n, 10 * n);
    }
    let [line] = books.lines().try_into().unwrap();
    assert_eq!(line.received, sum(5, 50));
    assert_eq!(line.dropped, BTreeMap::from([(Reason::Rate, sum(5, 50))]));
    assert_eq!(line.in_flight(), sum(0, 0));
}

#[test]
fn rows_stand_by_number_then_by_name_and_empty_ones_are_left_out() {
    let books = books(10);
    let worker = books.worker();
    let booked = [
        (Account::Unproven, Category::Error),
        (Account::Other, Category::Error),
        (Account::Project(project(10)), Category::Transaction),
        (Account::Project(project(10)), Category::Attachment),
        (Account::Project(project(9)), Category::Error),
    ];
    for (account, category) in booked {
        worker.row(account, category).received(1, 0);
    }
    drop(worker.row(Account::Other, Category::Span));
    let listed: Vec<(String, &str)> = books
        .lines()
        .iter()
        .map(|line| (line.account.label(), line.category.name()))
        .collect();
    let want = [
        ("9", "error"),
        ("10", "attachment"),
        ("10", "transaction"),
        ("other", "error"),
        ("unproven", "error"),
    ];
    let want = want.map(|(account, category)| (account.to_owned(), category));
    assert_eq!(listed, want);
}

#[test]
fn the_same_row_is_found_again() {
    let books = books(1);
    let worker = books.worker();
    for _ in 0..3 {
        for category in [Category::Error, Category::Session] {
            worker.row(Account::Other, category).received(1, 0);
            worker.row(Account::Other, category).received(1, 0);
        }
    }
    assert_eq!(locked(&worker.shelf).len(), 2);
    assert!(books.lines().iter().all(|line| line.received == sum(6, 0)));
}

#[track_caller]
fn check_account(worker: &WorkerLedger, number: u64, want: Account) {
    // Twice: the second answer comes from what the worker remembers.
    for _ in 0..2 {
        let account = worker.account(Some(project(number)), true);
        assert_eq!(account, want, "project {number}");
    }
}

#[test]
fn nobody_has_a_number_before_it_is_proven() {
    let books = books(1);
    books.reserve(&ids([42]));
    let worker = books.worker();
    assert_eq!(
        worker.account(Some(project(42)), false),
        Account::Unproven,
        "a listed project's key may be a stranger's guess"
    );
    assert_eq!(worker.account(None, false), Account::Unproven);
    assert_eq!(worker.account(None, true), Account::Other);
    check_account(&worker, 42, Account::Project(project(42)));
}

#[test]
fn as_many_projects_as_configured_have_numbers_and_the_next_has_none() {
    let books = books(2);
    let (one, two) = (books.worker(), books.worker());
    check_account(&one, 1, Account::Project(project(1)));
    check_account(&two, 2, Account::Project(project(2)));
    for worker in [&one, &two] {
        check_account(worker, 3, Account::Other);
        check_account(worker, 1, Account::Project(project(1)));
        check_account(worker, 2, Account::Project(project(2)));
        check_account(worker, 4, Account::Other);
    }
}

#[test]
fn a_full_register_is_locked_once_more_and_then_left_alone() {
    let books = books(1);
    let worker = books.worker();
    books.reserve(&ids([1]));
    check_account(&worker, 2, Account::Other);
    let _held = locked(&books.register);
    check_account(&worker, 1, Account::Project(project(1)));
    for number in 2..1000 {
        check_account(&worker, number, Account::Other);
    }
}

#[test]
fn listed_projects_have_their_numbers_before_any_other() {
    let books = books(3);
    books.reserve(&ids([7, 8]));
    let worker = books.worker();
    check_account(&worker, 1, Account::Project(project(1)));
    check_account(&worker, 2, Account::Other);
    check_account(&worker, 8, Account::Project(project(8)));
    books.reserve(&ids([7, 9]));
    check_account(&worker, 9, Account::Other);
}

#[test]
fn a_reload_makes_room_and_takes_no_number_away() {
    let books = books(1);
    let worker = books.worker();
    check_account(&worker, 1, Account::Project(project(1)));
    check_account(&worker, 2, Account::Other);
    books.resize(2);
    check_account(&worker, 2, Account::Project(project(2)));
    check_account(&worker, 3, Account::Other);
    books.resize(1);
    check_account(&worker, 2, Account::Project(project(2)));
    check_account(&worker, 3, Account::Other);
    books.resize(4);
    books.reserve(&ids([5]));
    check_account(&worker, 4, Account::Project(project(4)));
    check_account(&worker, 5, Account::Project(project(5)));
    check_account(&worker, 3, Account::Other);
}

#[test]
fn rows_are_bounded_whatever_is_asked_for() {
    let books = books(3);
    let worker = books.worker();
    for number in 1..=50 {
        for category in Category::ALL {
            let row = worker.row(Account::Project(project(number)), *category);
            row.received(1, 1);
        }
    }
    for category in Category::ALL {
        worker.row(Account::Unproven, *category).received(1, 1);
    }
    let rows_max = (3 + 2) * Category::COUNT;
    assert_eq!(locked(&worker.shelf).len(), rows_max);
    assert_eq!(worker.rows.borrow().len(), rows_max);
    let lines = books.lines();
    assert_eq!(lines.len(), rows_max);
    let other = lines.iter().find(|line| line.account == Account::Other);
    assert_eq!(other.unwrap().received, sum(47, 47));
}

#[test]
fn sums_go_round_rather_than_panic() {
    let books = books(1);
    for _ in 0..2 {
        let worker = books.worker();
        let row = worker.row(Account::Unproven, Category::Unread);
        for _ in 0..2 {
            row.received(2, u64::MAX - 2);
            row.dropped(Reason::TooLarge, 1, u64::MAX - 2);
        }
    }
    assert_eq!(books.lines()[0].in_flight(), sum(4, 0));
}

#[test]
fn what_ended_twice_is_told_as_none_in_flight() {
    let books = books(1);
    let worker = books.worker();
    let row = worker.row(Account::Unproven, Category::Unread);
    row.received(1, 10);
    row.forwarded(1, 10);
    row.dropped(Reason::Internal, 1, 10);
    assert_eq!(books.lines()[0].in_flight(), sum(0, 0));
}

/// What ended, added up here a second time: `in_flight` hides what is below zero.
fn ended(line: &Line) -> Sum {
    let dropped = || line.dropped.values();
    sum(
        line.forwarded.items + dropped().map(|sum| sum.items).sum::<u64>(),
        line.forwarded.bytes + dropped().map(|sum| sum.bytes).sum::<u64>(),
    )
}

/// Reads a row of each writer, again and again, while they book.
fn read_beside(writers: usize, items: u64, pause: u64, check: impl Fn(&Line) + Sync) {
    let books = books(1);
    let writing = AtomicUsize::new(writers);
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                let worker = books.worker();
                let row = worker.row(Account::Unproven, Category::Error);
                for item in 0..items {
                    row.received(1, item % 7);
                    row.received(0, 3);
                    match item % 3 {
                        0 => row.dropped(Reason::Quota, 1, item % 7 + 3),
                        1 => row.dropped(Reason::Rate, 1, item % 7 + 3),
                        _ => row.forwarded(1, item % 7 + 3),
                    }
                    (0..item % 64 * pause).for_each(|_| std::hint::spin_loop());
                }
                writing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while writing.load(Ordering::Relaxed) > 0 {
                let mut line = Line::empty(Account::Unproven, Category::Error);
                for shelf in &*locked(&books.shelves) {
                    for (_, _, counts) in &*locked(shelf) {
                        line.add(counts);
                    }
                }
                check(&line);
            }
        });
    });
    let [line] = books.lines().try_into().unwrap();
    let writers = u64::try_from(writers).unwrap();
    assert_eq!(line.received.items, writers * items);
    assert_eq!(line.in_flight(), sum(0, 0));
}

#[test]
fn a_reader_never_sees_more_ended_than_begun() {
    read_beside(2, 100_000, 0, |line| {
        let ended = ended(line);
        assert!(line.received.items >= ended.items, "{line:?}");
        assert!(line.received.bytes >= ended.bytes, "{line:?}");
    });
}

#[test]
fn bytes_are_exact_where_no_item_is_in_flight() {
    read_beside(1, 50_000, 1, |line| {
        let ended = ended(line);
        if line.received.items == ended.items {
            assert_eq!(line.received.bytes, ended.bytes, "{line:?}");
        }
    });
}

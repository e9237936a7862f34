//! Whole readings, of a Sentry that is large, hostile or failing.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use super::super::fake::{
    Fake, Reply, answer, key_row, on_a_runtime, page, project_of, project_row, sentry,
};
use super::super::line::LineError;
use super::*;

const NOWHERE: &str = "http://sentry.invalid";

/// Reads from a Sentry that answers so.
fn read(answer: impl Fn(&str) -> Reply + 'static) -> (Result<KeyList, ApiError>, Rc<Fake>) {
    read_within(answer, |_| {})
}

fn read_within(
    answer: impl Fn(&str) -> Reply + 'static,
    change: impl Fn(&mut Source),
) -> (Result<KeyList, ApiError>, Rc<Fake>) {
    on_a_runtime(async {
        let fake = Fake::start(answer).await;
        let mut source = fake.source();
        change(&mut source);
        (walk(UNIX_EPOCH, &source).await, fake)
    })
}

#[track_caller]
fn check_error(answer: impl Fn(&str) -> Reply + 'static, want: ApiError) {
    assert_eq!(read(answer).0.unwrap_err(), want);
}

fn numbers(list: &KeyList) -> Vec<u64> {
    list.projects
        .iter()
        .map(|project| project.id.get())
        .collect()
}

#[test]
fn two_thousand_projects_are_read_over_four_connections() {
    let (list, fake) = read(sentry(2000, 2, NOWHERE.to_owned()));
    let list = list.unwrap();
    assert_eq!(numbers(&list), (1..=2000).collect::<Vec<u64>>());
    assert_eq!(
        (list.keys.len(), list.skipped, list.at),
        (4000, 0, UNIX_EPOCH)
    );
    assert!(list.keys.is_sorted_by_key(|key| key.key));
    let last = list.keys.last().unwrap();
    assert_eq!((last.project.get(), last.enabled), (2000, true));
    assert_eq!(fake.paths().len(), 20 + 2000, "requests");
    assert!(
        fake.connections.get() <= 4,
        "{} connections",
        fake.connections.get()
    );
}

#[test]
fn the_keys_of_one_project_may_take_pages() {
    let (list, fake) = read(sentry(1, 250, NOWHERE.to_owned()));
    assert_eq!(list.unwrap().keys.len(), 250);
    let keys = "/api/0/projects/acme/p1/keys/";
    let want = [
        "/api/0/projects/".to_owned(),
        keys.to_owned(),
        format!("{keys}?cursor=0:100:0"),
        format!("{keys}?cursor=0:200:0"),
    ];
    assert_eq!(fake.paths(), want);
}

#[test]
fn a_host_that_a_link_names_is_not_contacted() {
    on_a_runtime(async {
        let trap = Fake::start(|_| answer(200, &[], "[]")).await;
        let fake = Fake::start(sentry(201, 1, trap.url())).await;
        let list = walk(UNIX_EPOCH, &fake.source()).await.unwrap();
        assert_eq!(list.keys.len(), 201);
        assert_eq!(trap.connections.get(), 0);
    });
}

/// A Sentry of 40 projects whose keys of project 20 are answered so.
fn broken_at_20(reply: impl Fn() -> Reply + 'static) -> impl Fn(&str) -> Reply + 'static {
    let whole = sentry(40, 1, NOWHERE.to_owned());
    move |path| match project_of(path) {
        Some(20) => reply(),
        Some(_) | None => whole(path),
    }
}

#[test]
fn a_reading_that_fails_half_way_yields_no_list() {
    let busy = ApiError::Busy {
        status: 500,
        retry_after: None,
    };
    check_error(broken_at_20(|| answer(500, &[], "")), busy);
    check_error(
        broken_at_20(|| answer(200, &[], "<html>")),
        ApiError::NotAList,
    );
    check_error(
        broken_at_20(|| answer(403, &[], "{}")),
        ApiError::TokenLacks,
    );
    check_error(
        broken_at_20(|| Reply::Last(String::new())),
        ApiError::Line(LineError::Broken),
    );
    check_error(|_| answer(401, &[], "{}"), ApiError::TokenRefused);
    check_error(
        |_| answer(200, &[], "{\"detail\":\"x\"}"),
        ApiError::NotAList,
    );
}

#[test]
fn an_empty_list_is_not_believed() {
    check_error(|_| answer(200, &[], "[]"), ApiError::NoProjects);
    check_error(|_| answer(200, &[], "[{},7]"), ApiError::NoProjects);
}

#[test]
fn a_429_is_waited_out_within_the_reading() {
    for headers in [&[][..], &[("retry-after", "0")][..]] {
        let whole = sentry(40, 1, NOWHERE.to_owned());
        let asked = Cell::new(0);
        let (list, fake) = read(move |path| {
            asked.set(asked.get() + 1);
            match asked.get() % 10 {
                0 => answer(429, headers, "{}"),
                _ => whole(path),
            }
        });
        assert_eq!(list.unwrap().keys.len(), 40);
        assert_eq!(fake.paths().len(), 41 + 4);
    }
}

#[test]
fn no_lane_starves_where_requests_are_counted_by_the_window() {
    // The bug: each lane waited alone, and three of them used up every window.
    const WINDOW: Duration = Duration::from_millis(20);
    let whole = sentry(200, 1, NOWHERE.to_owned());
    let window = Cell::new((Instant::now(), 0));
    let limited = move |path: &str| {
        let (began, asked) = window.get();
        let now = match began.elapsed() < WINDOW {
            true => (began, asked + 1),
            false => (Instant::now(), 1),
        };
        window.set(now);
        match now.1 > 10 {
            true => answer(429, &[], "{}"),
            false => whole(path),
        }
    };
    let (list, _) = read_within(limited, |source| source.bounds.pause = WINDOW);
    assert_eq!(list.unwrap().keys.len(), 200);
}

#[test]
fn a_429_without_end_or_with_a_long_wait_ends_the_reading() {
    let asked = Rc::new(Cell::new(0));
    let counted = Rc::clone(&asked);
    let busy = ApiError::Busy {
        status: 429,
        retry_after: None,
    };
    check_error(
        move |_| {
            counted.set(counted.get() + 1);
            answer(429, &[], "{}")
        },
        busy,
    );
    assert_eq!(asked.get(), ASKED_MAX);
    let (list, fake) = read(|_| answer(429, &[("retry-after", "31")], "{}"));
    let retry_after = Some(Duration::from_secs(31));
    assert_eq!(
        list.unwrap_err(),
        ApiError::Busy {
            status: 429,
            retry_after
        }
    );
    assert_eq!(fake.paths().len(), 1);
}

#[test]
fn a_project_that_went_meanwhile_is_left_out() {
    let (list, _) = read(broken_at_20(|| answer(404, &[], "{}")));
    let list = list.unwrap();
    assert_eq!(list.keys.len(), 39);
    assert!(!numbers(&list).contains(&20));
}

#[test]
fn keys_that_are_nowhere_are_an_error_and_no_empty_list() {
    let whole = sentry(3, 1, NOWHERE.to_owned());
    check_error(
        move |path| match project_of(path) {
            Some(_) => answer(404, &[], "{}"),
            None => whole(path),
        },
        ApiError::Missing,
    );
}

#[test]
fn a_project_on_its_way_out_is_listed_but_not_asked_for() {
    let rows = [
        project_row(1),
        project_row(2).replace("active", "pending_deletion"),
    ];
    let (list, fake) = read(move |path| match project_of(path) {
        Some(n) => answer(200, &[], &format!("[{}]", key_row(n, 0))),
        None => page(path, NOWHERE, &rows),
    });
    let list = list.unwrap();
    assert_eq!((numbers(&list), list.keys.len()), (vec![1, 2], 1));
    assert_eq!(fake.paths().len(), 2);
}

#[test]
fn rows_that_come_twice_count_once_and_unreadable_ones_are_counted() {
    let rows = [
        project_row(1),
        project_row(2),
        project_row(1),
        "{}".to_owned(),
    ];
    let (list, _) = read(move |path| match project_of(path) {
        Some(n) => answer(
            200,
            &[],
            &format!("[{0},{0},{{\"public\":\"x\"}}]", key_row(n, 0)),
        ),
        None => page(path, NOWHERE, &rows),
    });
    let list = list.unwrap();
    assert_eq!(
        (numbers(&list), list.keys.len(), list.skipped),
        (vec![1, 2], 2, 3)
    );
}

#[test]
fn a_name_cannot_lead_to_another_path() {
    let row = project_row(1).replace("\"p1\"", "\"a/../b?c#d e\"");
    let (list, fake) = read(move |path| match path {
        "/api/0/projects/" => page(path, NOWHERE, std::slice::from_ref(&row)),
        _ => answer(200, &[], "[]"),
    });
    assert_eq!(list.unwrap().projects.len(), 1);
    let want = "/api/0/projects/acme/a%2F..%2Fb%3Fc%23d%20e/keys/";
    assert_eq!(fake.paths()[1], want);
}

#[test]
fn pages_that_do_not_end_are_given_up() {
    let next = |cursor: u32| format!("<x>; rel=next; results=true; cursor={cursor}");
    let (list, fake) = read(move |_| answer(200, &[("link", &next(7))], "[]"));
    assert_eq!(list.unwrap_err(), ApiError::Endless);
    assert_eq!(
        fake.paths().len(),
        2,
        "a page that follows itself is seen at once"
    );

    let cursor = Cell::new(0);
    let ever_new = move |_: &str| {
        cursor.set(cursor.get() + 1);
        answer(200, &[("link", &next(cursor.get()))], "[]")
    };
    let (list, fake) = read_within(ever_new, |source| source.bounds.further_pages_max = 10);
    assert_eq!(list.unwrap_err(), ApiError::Endless);
    assert_eq!(fake.paths().len(), 11);
}

#[track_caller]
fn check_bounds(projects_max: usize, keys_max: usize, want: Result<usize, ApiError>) {
    let (list, _) = read_within(sentry(150, 2, NOWHERE.to_owned()), |source| {
        source.bounds.projects_max = projects_max;
        source.bounds.keys_max = keys_max;
    });
    assert_eq!(list.map(|list| list.keys.len()), want);
}

#[test]
fn a_list_over_its_bounds_is_refused_and_not_cut() {
    check_bounds(150, 300, Ok(300));
    check_bounds(
        149,
        300,
        Err(ApiError::TooMany {
            what: "projects",
            max: 149,
        }),
    );
    check_bounds(
        150,
        299,
        Err(ApiError::TooMany {
            what: "keys",
            max: 299,
        }),
    );
}

//! The loop over time: lists, failures, what is told and what is logged.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Mutex;

use tokio::time::{sleep, timeout};

use super::super::fake::{Fake, Reply, TOKEN, answer, on_a_runtime, sentry};
use super::super::line::LineError;
use super::*;

/// Lines of a log, for as long as the test's thread writes there.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A loop over a Sentry that answers so, and what has come of it.
struct Kept {
    standing: Arc<ArcSwap<Standing>>,
    lists: Rc<RefCell<Vec<Arc<KeyList>>>>,
}

impl Kept {
    async fn start(answer: impl Fn(&str) -> Reply + 'static) -> Self {
        let fake = Fake::start(answer).await;
        let standing = Arc::new(ArcSwap::from_pointee(Standing::default()));
        let lists = Rc::new(RefCell::new(Vec::new()));
        let (source, told, kept) = (fake.source(), Arc::clone(&standing), Rc::clone(&lists));
        tokio::task::spawn_local(keep_listing(source, told, move |list| {
            kept.borrow_mut().push(list);
        }));
        Self { standing, lists }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Standing, usize) -> bool) {
        let seen = async {
            while !holds(&self.standing.load(), self.lists.borrow().len()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let seen = timeout(Duration::from_secs(10), seen).await;
        assert!(
            seen.is_ok(),
            "{what}, but stands {:?}",
            self.standing.load()
        );
    }
}

#[test]
fn an_outage_leaves_the_old_list_and_is_told_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(log);
    let is_up = Rc::new(Cell::new(true));
    let (up, whole) = (Rc::clone(&is_up), sentry(3, 2, String::new()));
    let refused = Rc::new(Cell::new(0));
    let refusals = Rc::clone(&refused);
    on_a_runtime(async {
        let kept = Kept::start(move |path| match up.get() {
            true => whole(path),
            false => {
                refusals.set(refusals.get() + 1);
                answer(503, &[], "")
            }
        })
        .await;
        kept.until("lists keep coming", |_, lists| lists >= 2).await;
        let standing = Standing::clone(&kept.standing.load());
        let (projects, keys) = (standing.projects, standing.keys);
        assert_eq!((projects, keys, &standing.failing), (3, 6, &None));

        is_up.set(false);
        let failed = |standing: &Standing, _| standing.failing.is_some() && refused.get() >= 3;
        kept.until("it fails again and again", failed).await;
        let during = Standing::clone(&kept.standing.load());
        assert_eq!((during.projects, during.keys), (3, 6));
        assert!(during.last_success >= standing.last_success);
        let busy = ApiError::Busy {
            status: 503,
            retry_after: None,
        };
        assert_eq!(during.failing, Some(busy.to_string()));

        is_up.set(true);
        let before = kept.lists.borrow().len();
        kept.until("it recovers", |standing, lists| {
            standing.failing.is_none() && lists > before
        })
        .await;
        assert!(kept.standing.load().last_success > during.last_success);
    });
    let text = lines.text();
    let ours = |level: &str| {
        let of_level = text.lines().filter(|line| line.contains(level));
        of_level
            .filter(|line| line.contains("list of keys"))
            .count()
    };
    assert_eq!((ours(" WARN "), ours(" INFO ")), (1, 2), "{text}");
    assert!(!text.contains(TOKEN), "the token was logged");
}

#[test]
fn the_first_reading_needs_no_wait_and_its_failure_no_list() {
    on_a_runtime(async {
        let kept = Kept::start(|_| answer(401, &[], "{}")).await;
        kept.until("it fails", |standing, _| standing.failing.is_some())
            .await;
        let want = Standing {
            failing: Some(ApiError::TokenRefused.to_string()),
            ..Standing::default()
        };
        assert_eq!(**kept.standing.load(), want);
        assert_eq!(kept.lists.borrow().len(), 0);
    });
}

#[track_caller]
fn check_wait(error: ApiError, failures: u32, draw: f64, want_ms: u128) {
    let wait = wait_after(error, failures, Duration::from_secs(60), draw);
    assert_eq!(
        wait.as_millis(),
        want_ms,
        "{error} after {failures} failures"
    );
}

#[test]
fn failures_wait_twice_as_long_each_time_up_to_the_interval() {
    for (failures, want_s) in [
        (1, 1),
        (2, 2),
        (3, 4),
        (6, 32),
        (7, 60),
        (8, 60),
        (u32::MAX, 60),
    ] {
        check_wait(
            ApiError::Line(LineError::Timeout),
            failures,
            0.5,
            want_s * 1000,
        );
    }
    check_wait(ApiError::Line(LineError::Timeout), 1, 0.0, 900);
    check_wait(ApiError::Line(LineError::Timeout), 7, 1.0, 66_000);
}

#[test]
fn sentrys_own_wait_is_never_cut_short_but_has_an_end() {
    let busy = |retry_after_s| ApiError::Busy {
        status: 429,
        retry_after: Some(Duration::from_secs(retry_after_s)),
    };
    check_wait(busy(120), 1, 0.0, 120_000);
    check_wait(busy(1), 7, 0.5, 60_000);
    check_wait(busy(u64::MAX), 1, 0.5, 3_600_000);
}

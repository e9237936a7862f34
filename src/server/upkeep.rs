//! Work that goes on for as long as the edge does: accepting, looking after pools, asking,
//! writing. Owns that a panic in it does not end it in silence, with a process behind that looks
//! well and no longer does its work. Never knows what the work is.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// How long work rests that has panicked: what makes it do so may be there again at once.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Does work to its end. Work that panics loses what it has in hand and begins anew a second
/// later, from what `work` makes. Dropped, it ends the work with it. `what`: for the log.
pub(crate) async fn keep_up<F>(what: &'static str, work: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    let rest = || {
        tracing::error!("work that panicked begins anew: {what}");
        sleep(AFTER_PANIC)
    };
    keep_up_after(rest, work).await;
}

async fn keep_up_after<R, F>(mut rest: impl FnMut() -> R, mut work: impl FnMut() -> F)
where
    R: Future,
    F: Future<Output = ()>,
{
    while has_panicked(work()).await {
        rest().await;
    }
}

/// Does work to its end, or to its panic.
async fn has_panicked(work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    poll_fn(|context| {
        // It is polled no more after a panic, and what it shares is borrowed by guards.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Work that panics so many times on the way begins once more, and rests between.
    async fn check(panics: u32) {
        let (begun, rests) = (Cell::new(0), Cell::new(0));
        let rest = || async { rests.set(rests.get() + 1) };
        let work = || async {
            begun.set(begun.get() + 1);
            tokio::task::yield_now().await;
            assert!(begun.get() > panics, "meant");
        };
        keep_up_after(rest, work).await;
        assert_eq!((begun.get(), rests.get()), (panics + 1, panics));
    }

    #[tokio::test]
    async fn work_that_panics_begins_anew() {
        check(0).await;
        check(1).await;
        check(3).await;
    }

    #[tokio::test]
    async fn a_panic_gives_back_what_the_work_held() {
        let held = Rc::new(());
        let theirs = Rc::clone(&held);
        let panics = async move {
            let _theirs = theirs;
            panic!("meant");
        };
        assert!(has_panicked(panics).await);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

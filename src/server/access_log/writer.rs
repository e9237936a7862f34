//! The thread that writes the access log down: one batch after the other, the oldest first. The
//! only one that touches its file. Never asked whether a line is due.

use std::time::Duration;

use super::AccessLog;
use super::queue::Orders;
use super::sink::Sink;

/// How often it looks after its file while nothing comes: what cannot be written is said before
/// anybody misses it, and what was moved away is there again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Writes until the log is closed.
pub(super) fn run(log: &AccessLog) {
    let mut sink = None;
    loop {
        let Orders {
            batches,
            plan,
            reopen,
            closing,
        } = log.queue.take(LOOK_EVERY);
        // What waits was meant for where lines went so far; at the start nothing does.
        if let Some(plan) = plan.as_ref().filter(|_| sink.is_none()) {
            sink = Some(Sink::new(plan));
        }
        for batch in batches {
            let written = match &mut sink {
                Some(sink) => sink.write(&batch.bytes),
                None => Err("nowhere to write to".to_owned()),
            };
            match written {
                Ok(()) => {
                    log.notes(None);
                    log.wrote(batch.lines);
                }
                Err(why) => {
                    log.notes(Some(&why));
                    log.lost(batch.lines, &why);
                }
            }
            log.queue.done(&batch);
        }
        if let (Some(plan), Some(sink)) = (plan, &mut sink) {
            sink.follow(&plan);
        }
        if let Some(sink) = &mut sink {
            if reopen {
                sink.reopen();
            }
            match sink.look() {
                Some(Err(why)) => log.notes(Some(&why)),
                Some(Ok(())) | None => log.notes(None),
            }
        }
        log.looks();
        if closing {
            return;
        }
    }
}

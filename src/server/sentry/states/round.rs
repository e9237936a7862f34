//! One round of asking: registers where that is due, then asks for every key whose time has come
//! by then, in batches over a few lines at once. What is not answered stays waiting.

use std::cell::{Cell, RefCell};

use tokio::time::Instant;

use super::Source;
use super::answer::{PATH, Word, question, words};
use super::talk::{RelayError, Talk};
use crate::domain::credentials::Key;
use crate::policy::asking::{Asking, Depth, Question};
use crate::policy::millis::Millis;
use crate::server::sentry::line::LineError;

/// Questions under way at once, as many as a Relay has.
const LANES: usize = 5;

/// How often within one round a refusal is answered by asking once more, or in another way.
const TURNS_MAX: usize = 4;

/// The lines to Sentry, and what was found out about how it may be asked.
pub(super) struct Desk<'s> {
    source: &'s Source,
    lanes: [Talk<'s>; LANES],
    registered: Option<Instant>,
    /// How much Sentry tells.
    pub depth: Depth,
    said_limited: bool,
    /// Keys in one question: fewer once an answer was too large.
    batch_keys: usize,
}

/// What a round is about.
pub(super) struct Round<'r> {
    pub asking: &'r RefCell<Asking>,
    pub clock: &'r dyn Fn() -> Millis,
    /// Hears each word as it comes, and how it was asked for.
    pub hears: &'r dyn Fn(&Key, Word, Depth),
}

/// Why a lane has stopped.
#[derive(Clone, Copy)]
enum Stop {
    Error(RelayError),
    /// Its answer was too large, for so many keys.
    TooLarge(usize),
}

impl<'s> Desk<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            lanes: std::array::from_fn(|_| Talk::new(source)),
            registered: None,
            depth: Depth::Full,
            said_limited: false,
            batch_keys: source.bounds.batch_keys_max,
        }
    }

    pub(super) const fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// Whether Sentry answers at all.
    pub(super) async fn is_alive(&mut self) -> Result<(), RelayError> {
        let [first, ..] = &mut self.lanes;
        first.is_alive().await
    }

    /// Asks for all whose time has come. Dropping the future closes the lines that are in use.
    pub(super) async fn round(&mut self, round: &Round<'_>) -> Result<(), RelayError> {
        let (mut depth, mut is_refused, mut turns) = (self.depth, false, 0);
        loop {
            let due = |at: Instant| at.elapsed() >= self.source.bounds.registration;
            if self.registered.is_none_or(due) {
                let [first, ..] = &mut self.lanes;
                first.register().await?;
                self.registered = Some(Instant::now());
                // What was found out may have changed since.
                self.batch_keys = self.source.bounds.batch_keys_max;
                (self.depth, depth) = (Depth::Full, Depth::Full);
            }
            let error = match self.ask(round, depth).await {
                None => return Ok(()),
                // No refusal: half of the keys is soon one. An answer too large for that is its
                // own fault: it waits.
                Some(Stop::TooLarge(keys)) => {
                    self.batch_keys = (keys / 2).max(1);
                    continue;
                }
                Some(Stop::Error(error)) => error,
            };
            if error == RelayError::Unsigned {
                self.registered = None;
            } else if error == RelayError::Forbidden && depth == Depth::Full {
                // It may be of whoever stands between: Sentry says it twice, and tells the rest.
                if std::mem::replace(&mut is_refused, true) {
                    depth = Depth::Limited;
                }
            } else {
                return Err(error);
            }
            turns += 1;
            if turns == TURNS_MAX {
                return Err(error);
            }
        }
    }

    async fn ask(&mut self, round: &Round<'_>, depth: Depth) -> Option<Stop> {
        let turn = Turn {
            // What comes due while others are asked for is the next round's: one always ends.
            due: (round.clock)(),
            batch: self.batch_keys,
            depth,
            stop: Cell::new(None),
            answered: Cell::new(false),
        };
        let [a, b, c, d, e] = &mut self.lanes;
        let lane = |talk| lane(talk, round, &turn);
        // Each lane has one request under way: these are the five.
        tokio::join!(lane(a), lane(b), lane(c), lane(d), lane(e));
        if turn.answered.get() && std::mem::replace(&mut self.depth, depth) != depth {
            let said = std::mem::replace(&mut self.said_limited, true);
            if depth == Depth::Limited && !said {
                tracing::info!("Sentry tells this relay no quotas: it is none of its own");
            }
        }
        turn.stop.get()
    }
}

/// One go at all that is due.
struct Turn {
    /// Those whose time had come at its beginning.
    due: Millis,
    /// Keys in one question.
    batch: usize,
    depth: Depth,
    stop: Cell<Option<Stop>>,
    /// Something was told.
    answered: Cell<bool>,
}

/// Asks for one batch after the other, until nobody waits or something stops all lanes.
async fn lane(talk: &mut Talk<'_>, round: &Round<'_>, turn: &Turn) {
    let (stop, depth) = (&turn.stop, turn.depth);
    while stop.get().is_none() {
        let asked = round.asking.borrow_mut().take(turn.due, turn.batch);
        if asked.is_empty() {
            return;
        }
        let back = Back { round, asked };
        match talk_over(talk, round, &back.asked, depth).await {
            Ok(()) => {
                turn.answered.set(true);
                drop(back.answered());
            }
            Err(RelayError::Line(LineError::TooLarge)) if back.asked.len() == 1 => {
                for one in back.answered() {
                    (round.hears)(&one.key, Word::Unreadable, depth);
                }
            }
            Err(RelayError::Line(LineError::TooLarge)) => {
                stop.set(Some(Stop::TooLarge(back.asked.len())));
            }
            Err(error) => stop.set(Some(Stop::Error(error))),
        }
    }
}

async fn talk_over(
    talk: &mut Talk<'_>,
    round: &Round<'_>,
    asked: &[Question],
    depth: Depth,
) -> Result<(), RelayError> {
    let bytes_max = talk.answer_bytes_max();
    let answer = talk.post(PATH, &question(asked, depth), bytes_max).await?;
    for (key, word) in words(&answer, asked)? {
        (round.hears)(key, word, depth);
    }
    Ok(())
}

/// Keys that are being asked for. Dropped, they wait again.
struct Back<'r, 'a> {
    round: &'r Round<'a>,
    asked: Vec<Question>,
}

impl Back<'_, '_> {
    fn answered(mut self) -> Vec<Question> {
        std::mem::take(&mut self.asked)
    }
}

impl Drop for Back<'_, '_> {
    fn drop(&mut self) {
        let now = (self.round.clock)();
        let mut asking = self.round.asking.borrow_mut();
        for one in &self.asked {
            asking.unasked(now, &one.key);
        }
    }
}

#[cfg(test)]
mod tests;

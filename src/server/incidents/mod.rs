//! Incidents: what is the matter, since when, and what it costs; said once in the log when it
//! starts and once when it is over, shown by the API, and told to a webhook.
//!
//! The control thread looks each two seconds, with the same look at the books that the dashboard
//! has: `conditions` says what holds, `policy::incidents` when that is an incident, `letter` how
//! it is told, and `webhook` tells it. Nothing is counted for it, and no request is touched. A
//! restart, and a process that takes over, begin anew: what is still the matter then is another
//! incident.
//!
//! **Another source** is a function that yields a [`Condition`] at each look for as long as
//! something holds, and one line in [`Watch::holding`] that calls it. A condition is a
//! [`Kind`], whom it is about, and what it says; how grave it is
//! and what to do stand with its kind. Nothing has to be said when it is over: it is not yielded
//! any more. Where it is not yielded since nobody looks, `conditions::looked` says so, or its end
//! would be told as a recovery.

mod conditions;
mod letter;
mod webhook;

use std::cell::RefCell;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::incident::{Condition, Kind};
use crate::policy::incidents::letters::Letters;
use crate::policy::incidents::signs::{Reading, Signs};
use crate::policy::incidents::{Change, Incident, Incidents, Moment, is_wanted};
use crate::policy::millis::Millis;
use crate::telemetry::incidents::Notified;
use crate::telemetry::ledger::Line;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use crate::server::admin::{self, Desk};
use crate::server::worker::Shared;

pub(crate) use webhook::keep_telling;

/// Who looks, and what was seen.
pub(crate) struct Watch {
    /// Tells this run's incidents from others'.
    run: u64,
    /// None of these is borrowed over a wait.
    incidents: RefCell<Incidents>,
    signs: RefCell<Signs>,
    letters: RefCell<Letters>,
    /// Why the last message did not arrive, if it did not.
    failing: RefCell<Option<String>>,
    /// There is a new letter.
    written: Notify,
}

impl Watch {
    /// From what is counted so far: what was lost before is nobody's.
    pub(crate) fn new(shared: &Shared, metrics: &Metrics) -> Self {
        let reading = conditions::reading(metrics, &metrics.ledger.lines());
        let now = shared.millis(Instant::now());
        Self {
            run: process::now_ms(),
            signs: RefCell::new(Signs::new(now, &reading)),
            incidents: RefCell::new(Incidents::new(reading.lost)),
            letters: RefCell::default(),
            failing: RefCell::default(),
            written: Notify::new(),
        }
    }

    /// Looks at everything, and tells what has changed. `lines` are the books as they stand.
    pub(crate) fn look(&self, desk: &Desk, lines: &[Line]) {
        let now = Moment {
            at: desk.shared.millis(Instant::now()),
            unix_ms: process::now_ms(),
        };
        let reading = conditions::reading(&desk.metrics, lines);
        let holding = self.holding(desk, now.at, &reading);
        let mut incidents = self.incidents.borrow_mut();
        let looked = |kind, subject: &str| conditions::looked(desk, kind, subject);
        let changes = incidents.look(now, reading.lost, holding, looked);
        let active = incidents.active();
        let kinds = active.iter().map(|incident| incident.condition.kind);
        desk.metrics.control.incidents.note(kinds);
        for change in changes {
            letter::log(self.run, &change);
            self.write(desk, now.at, change);
        }
    }

    /// What holds now, from every source.
    fn holding(&self, desk: &Desk, now: Millis, reading: &Reading) -> Vec<Condition> {
        let mut holding = conditions::states(desk, now);
        holding.extend(self.signs.borrow_mut().read(now, reading));
        holding.extend(admin::looping(desk));
        holding.extend(admin::untold(desk, now));
        holding.extend(desk.canary.condition());
        holding.extend(desk.shared.habits.conditions());
        holding
    }

    /// Writes to whoever wants to hear of it.
    fn write(&self, desk: &Desk, now: Millis, change: Change) {
        let rules = desk.shared.rules.load();
        let webhook = &rules.config.alerts.webhook;
        let mut letters = self.letters.borrow_mut();
        match change {
            Change::Started(incident) | Change::Graver(incident) => {
                let wanted = is_wanted(webhook.severity, incident.condition.severity);
                // What grows graver is told to whoever has not heard of it as a ticket.
                let known = letters.knows(incident.number);
                if webhook.url.is_none() || !wanted || known {
                    return;
                }
                let after_ms = u64::try_from(webhook.after.as_millis()).unwrap_or(u64::MAX);
                let dropped = letters.start(incident, after_ms);
                let counts = &desk.metrics.control.incidents;
                counts.notified(Notified::Dropped, dropped);
            }
            Change::Ended(incident) => letters.end(now, incident),
        }
        self.written.notify_one();
    }

    /// All incidents, for a program.
    pub(crate) fn told(&self, shared: &Shared) -> Value {
        let incidents = self.incidents.borrow();
        let active = incidents.active();
        let active = active.iter().map(|one| letter::told(self.run, one));
        let ended = incidents.ended().map(|one| letter::told(self.run, one));
        let has_webhook = shared.rules.load().config.alerts.webhook.url.is_some();
        let webhook = has_webhook.then(|| {
            json!({
                "waiting": self.letters.borrow().len(),
                "failing": *self.failing.borrow(),
            })
        });
        json!({
            "active": active.collect::<Vec<_>>(),
            "more": incidents.without_place(),
            "ended": ended.collect::<Vec<_>>(),
            "webhook": webhook,
        })
    }

    /// The gravest that are going on and the latest that are over, so many of each.
    pub(crate) fn foremost(&self, going_on: usize, over: usize) -> Value {
        let incidents = self.incidents.borrow();
        let active = incidents.active();
        let more = active.len().saturating_sub(going_on) + incidents.without_place();
        let active = active.iter().take(going_on);
        let ended = incidents.ended().take(over);
        let told = |one| letter::told(self.run, one);
        json!({
            "active": active.map(told).collect::<Vec<_>>(),
            "more": more,
            "ended": ended.map(told).collect::<Vec<_>>(),
        })
    }

    /// Those that are going on, in short.
    pub(crate) fn summary(&self) -> Value {
        let incidents = self.incidents.borrow();
        let active = incidents.active().into_iter().map(|incident| {
            let condition = &incident.condition;
            json!({
                "id": letter::id(self.run, &incident),
                "kind": condition.kind.as_str(),
                "severity": condition.severity.as_str(),
                "subject": condition.subject,
                "started_at": letter::shown(incident.since),
                "says": condition.says,
            })
        });
        active.collect()
    }

    /// What of it the light is to show: that nobody can be told, and that events come to nothing
    /// while all else looks well. Where nothing is kept a breaker hears of no answer, and an
    /// upstream that says 503 to everything seems up.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let failing = self.failing.borrow();
        let untold = failing
            .as_deref()
            .map(|why| format!("alerts.webhook does not hear of incidents: {why}"));
        let refusing = refusing(&self.incidents.borrow().active());
        untold.into_iter().chain(refusing).collect()
    }

    /// Sends a message that says nothing is wrong, and yields the answer's status.
    ///
    /// # Errors
    /// Why nobody has it, in words.
    pub(crate) async fn try_webhook(&self, shared: &Shared) -> Result<u16, String> {
        let status = webhook::try_out(shared).await?;
        self.hears();
        Ok(status)
    }

    /// The webhook has taken a message.
    fn hears(&self) {
        if self.failing.take().is_some() {
            tracing::info!("alerts.webhook hears of incidents again");
        }
    }
}

/// That many requests with events are answered 5xx, whoever answers.
fn refusing(active: &[Incident]) -> Option<String> {
    let mut active = active.iter().map(|incident| &incident.condition);
    let ill = active.find(|condition| condition.kind == Kind::IngestErrors)?;
    Some(format!("{}: {}", ill.subject, ill.says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::incidents::{Looked, Loss};

    #[test]
    fn events_that_are_answered_5xx_are_a_reason_once_they_are_an_incident() {
        let mut incidents = Incidents::new(Loss::default());
        let mut at = |ms: u64, kinds: &[Kind]| {
            let now = Moment {
                at: Millis(ms),
                unix_ms: ms,
            };
            let holding = kinds
                .iter()
                .map(|kind| Condition::new(*kind, "x", "it is so"));
            incidents.look(now, Loss::default(), holding.collect(), |_, _| Looked::Gone);
            refusing(&incidents.active())
        };
        let both = [Kind::Loss, Kind::IngestErrors];
        assert_eq!(at(0, &both), None, "it has just begun");
        assert_eq!(at(600_000, &both[..1]), None, "others are told elsewhere");
        assert_eq!(at(700_000, &both), None);
        let hold_ms = Kind::IngestErrors.hold_s() * 1000;
        assert_eq!(at(700_000 + hold_ms, &both).as_deref(), Some("x: it is so"));
    }
}

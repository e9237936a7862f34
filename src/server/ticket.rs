//! One request's place in the books: counted exactly once, however it ends.
//! Never decides how it ends; a ticket dropped undecided counts as aborted.

mod ending;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::domain::sampling;
use crate::policy::pair::{Pair, Sender};
use crate::policy::verdicts::Answer;
use crate::policy::{Mode, Refusal};
use crate::telemetry::labels::{Ending, Route};
use crate::telemetry::ledger::Account;

use crate::server::access_log::visit::Visit;
use crate::server::client::client_io::Pulse;
use crate::server::client::stream::Meter;
use crate::server::delivery::pump::Budget;
use crate::server::ingest::manifest::{BOOKED_BYTES_MAX, Manifest};
use crate::server::looks::Look;
use crate::server::passage::upload::Upload;
use crate::server::reports::Loser;
use crate::server::worker::{InForce, Worker};

/// Opened with a request's head, closed with its end. Travels with whatever is
/// still under way, and outlives the client's connection if that leaves first.
#[derive(Debug)]
pub(crate) struct Ticket {
    worker: Rc<Worker>,
    pulse: Rc<Pulse>,
    /// When the head was read; the only clock call of a request but its last.
    pub started: Instant,
    route: Route,
    announced: u64,
    /// The client asked for leave before it sends its body (`Expect`).
    pub asks_leave: bool,
    /// Where it comes from, once its head was looked at.
    pub client: Option<IpAddr>,
    /// Its sender is a person at a browser, to whom JSON says little.
    pub shows_pages: bool,
    /// When it was over, where somebody has just looked at the clock.
    ended: Option<Instant>,
    /// Who sent it, where its answer can teach something about them.
    sender: Option<Sender>,
    /// Whose books it is in while nobody looked into it.
    account: Account,
    /// Who was refused, if its sender was known by then and anybody is told of it.
    refused: Option<Box<Refused>>,
    /// A closer look at it, if it is one that is looked at.
    look: Option<Rc<Look>>,
    /// What it carries, as far as that is known.
    manifest: Option<Rc<Manifest>>,
    /// Its place among the uploads under way, if it is one.
    upload: Option<Rc<Upload>>,
    judged: Judged,
    /// What the access log will tell of it, if it tells anything.
    pub visit: Option<Rc<Visit>>,
}

/// A sender that was refused before anybody looked into its request.
#[derive(Debug)]
struct Refused {
    /// Its key, and its path's project.
    pair: Pair,
    /// In whose Stats it is missing, where Sentry is told.
    loser: Option<Loser>,
}

/// What is known of the end while the answer is still on its way.
#[derive(Debug, Clone, Copy)]
struct Judged {
    ending: Ending,
    status: u16,
    reason: Option<Reason>,
}

impl Ticket {
    /// Opens the ticket. `announced` is the body's announced length, 0 if none.
    pub(crate) fn open(worker: Rc<Worker>, pulse: Rc<Pulse>, started: Instant) -> Self {
        pulse.in_flight.set(pulse.in_flight.get() + 1);
        pulse.requests.set(pulse.requests.get().wrapping_add(1));
        pulse.head_begun.set(false);
        let judged = Judged {
            ending: Ending::Aborted,
            status: 0,
            reason: Some(Reason::ClientGone),
        };
        Self {
            worker,
            pulse,
            started,
            route: Route::Local,
            announced: 0,
            asks_leave: false,
            client: None,
            shows_pages: false,
            ended: None,
            sender: None,
            account: Account::Unproven,
            refused: None,
            look: None,
            manifest: None,
            upload: None,
            judged,
            visit: None,
        }
    }

    /// Where the request belongs, once that is known.
    pub(crate) fn belongs(&mut self, route: Route, announced: u64) {
        self.route = route;
        self.announced = announced.min(BOOKED_BYTES_MAX);
    }

    /// Looks at it more closely, if it is an event and its turn.
    pub(crate) fn may_be_looked_at(&mut self, head: &Parts) {
        if self.route.is_event() {
            self.look = self.worker.lookout.looks(head).map(Rc::new);
        }
    }

    /// The closer look at it.
    pub(crate) fn look(&self) -> Option<&Rc<Look>> {
        self.look.as_ref()
    }

    /// Whom its answer will teach something about.
    pub(crate) fn is_sent_by(&mut self, sender: Option<Sender>) {
        self.sender = sender;
    }

    /// Whether anybody is shown who sent it.
    fn is_shown(&self) -> bool {
        self.look.is_some() || self.worker.is_heard()
    }

    /// Whose it claims to be, should it be refused; asked where anybody is shown that. Nothing
    /// else comes of it.
    pub(crate) fn is_claimed(&mut self, claimed: impl FnOnce() -> Option<Pair>) {
        if self.is_shown() {
            let refused = claimed().map(|pair| Refused { pair, loser: None });
            self.refused = refused.map(Box::new);
        }
    }

    /// Whose books it is in that was refused, if its sender was known by then.
    pub(crate) fn is_refused(&mut self, rules: &InForce, refusal: &Refusal, client: IpAddr) {
        if let Some(sender) = &refusal.sender {
            if let Some(visit) = &self.visit {
                visit.pair.set(Some(sender.pair));
            }
            let verdicts = &self.worker.shared.verdicts;
            let mut here = self.worker.proven_here.borrow_mut();
            let (who, vouched) = rules.gate.who(sender, client, verdicts, &mut here);
            self.account = self.worker.ledger.account(who.project, vouched);
            let loser = match rules.config.client_reports.enabled {
                true => Loser::of(&who, vouched, refusal.endpoint),
                false => None,
            };
            if loser.is_some() || self.is_shown() {
                let pair = sender.pair;
                self.refused = Some(Box::new(Refused { pair, loser }));
            }
        }
    }

    /// What it carries, from now on.
    pub(crate) fn carries(&mut self, manifest: Rc<Manifest>) {
        self.manifest = Some(manifest);
    }

    /// It is an upload, and under way from now on.
    pub(crate) fn uploads(&mut self) {
        self.upload = Some(Upload::begin(&self.worker.metrics));
    }

    /// What it carries.
    pub(crate) fn manifest(&self) -> Option<&Rc<Manifest>> {
        self.manifest.as_ref()
    }

    /// Who sent it, and when: whose limits an answer tells of.
    pub(crate) fn sender(&self) -> Option<&Sender> {
        self.sender.as_ref()
    }

    /// Whether its answer has anybody to teach about, and anybody to teach.
    pub(crate) fn teaches(&self, rules: &InForce) -> bool {
        self.sender.is_some() && rules.gate.mode == Mode::Learn
    }

    /// Lets the upstream's answer teach what it can about the sender.
    pub(crate) fn teach(&self, answer: Answer) {
        if let Some(sender) = &self.sender {
            let worker = &self.worker;
            let now = worker.millis(self.started);
            let mut here = worker.proven_here.borrow_mut();
            worker.shared.verdicts.learn(now, sender, answer, &mut here);
        }
    }

    /// Remembers what the upstream told its sender to hold back, for at most `most`.
    pub(crate) fn learn_limits(&self, sender: &Sender, limits: Vec<RateLimit>, most: Duration) {
        self.worker.learn_limits(sender.pair, limits, most);
    }

    /// Where the body's bytes are counted as they come.
    pub(crate) fn meter(&self) -> Meter {
        Meter {
            worker: Rc::clone(&self.worker),
            route: self.route,
            pulse: Rc::clone(&self.pulse),
            visit: self.visit.clone(),
            upload: self.upload.clone(),
        }
    }

    /// What its answer may be read ahead from.
    pub(crate) fn ahead_budget(&self, rules: &InForce) -> Budget {
        Budget {
            held: Arc::clone(&self.worker.shared.ahead_bytes),
            bytes_max: rules.config.upstream.web_read_ahead.memory,
        }
    }

    /// The upstream took so long to answer.
    pub(crate) fn waited_for_upstream(&self, took: Duration) {
        if let Some(visit) = &self.visit {
            visit.upstream.set(Some(took));
        }
    }

    /// Its event has this id, as its client wrote it.
    pub(crate) fn is_of_event(&self, id: Option<&str>) {
        if let Some(visit) = &self.visit {
            visit.event_id.set(id.and_then(sampling::id));
        }
    }

    /// Part of the body was left unread: the connection must linger as it closes.
    pub(crate) fn left_unread(&self) {
        self.pulse.unread.set(true);
    }

    /// The route it counts under.
    pub(crate) fn route(&self) -> Route {
        self.route
    }

    /// How it will have ended once its answer is over.
    pub(crate) fn judge(&mut self, ending: Ending, status: u16, reason: Option<Reason>) {
        self.judged = Judged {
            ending,
            status,
            reason,
        };
    }

    /// It is over now: spares a look at the clock when it is dropped.
    pub(crate) fn ends(&mut self, now: Instant) {
        self.ended = Some(now);
    }

    /// The client did not stay for its answer; what was done for it stands.
    pub(crate) fn unanswered(&mut self) {
        self.judged.status = 0;
    }

    /// The answer broke off: whatever was judged, the client did not get it.
    pub(crate) fn aborted(&mut self) {
        self.judged.ending = Ending::Aborted;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Judged {
            ending,
            status,
            reason,
        } = self.judged;
        let metrics = &self.worker.metrics;
        metrics.requests(self.route, ending, status).add(1);
        let ended = self.ended.unwrap_or_else(Instant::now);
        let took = ended.saturating_duration_since(self.started);
        metrics.durations.at(self.route.index()).observe(took);
        self.settle(ending, reason);
        if let Some(look) = self.look.take() {
            self.is_seen(&look);
        }
        if let Some(visit) = self.visit.take() {
            self.is_told_of(&visit, took);
        }
        self.judge_client(ending, status, reason);
        let pulse = &self.pulse;
        let left = pulse.in_flight.get().saturating_sub(1);
        pulse.in_flight.set(left);
        if left == 0 {
            // The bytes seen so far belonged to this request, not to a next head.
            pulse.head_begun.set(false);
        }
        tracing::debug!(
            route = self.route.as_str(),
            outcome = ending.as_str(),
            status,
            reason = reason.map_or("", Reason::as_str),
            "request"
        );
    }
}

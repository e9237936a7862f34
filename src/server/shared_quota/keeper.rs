//! When what is said to the servers: reaching them, the order of a return, turn by turn, and the
//! last word. Owns the state of it; what is said stands in `asking`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::config::checked::SharedQuota;
use crate::domain::resp::Answer;
use crate::policy::quotas::{Contact, Lessee, Membership, Moment, Report};
use crate::server::memory::state::StateFolder;
use crate::server::memory::switches::Switchboard;
use crate::server::worker::Shared;
use crate::telemetry::process;
use crate::tls::{Trust, TrustFiles};

use super::board::Standing;
use super::fleet::{Fleet, Question};
use super::link::LinkFault;
use super::name::EdgeName;
use super::switches::Exchange;

/// From one turn to the next.
const TURN_EVERY: Duration = Duration::from_millis(100);

/// From one attempt to reach the servers to the next: all edges claim what they hold within
/// [`SETTLE_MS`](crate::policy::quotas::SETTLE_MS).
const REACH_EVERY: Duration = Duration::from_secs(1);

/// How often it is counted what refuses all.
const REFUSING_EVERY_NS: u64 = 1_000_000_000;

/// How long a stop waits for what is given back.
const PART_WITHIN: Duration = Duration::from_secs(2);

/// No pool's time is as late: that an edge has left is true whenever it is heard.
const LAST_WORD_MS: u64 = 1 << 52;

/// Who asks.
pub(super) struct Keeper {
    pub(super) config: SharedQuota,
    pub(super) shared: Arc<Shared>,
    pub(super) switchboard: Rc<Switchboard>,
    pub(super) switches: Exchange,
    pub(super) name: EdgeName,
    pub(super) membership: Membership,
    pub(super) lessee: Lessee,
    fleet: Option<Fleet>,
    reach_at: Instant,
    pub(super) fault: Option<LinkFault>,
    told: Contact,
    pub(super) tells_losses_at_ns: u64,
    evicts: bool,
    refusing: usize,
    looks_at_ns: u64,
    pub(super) lost_windows: u64,
    took: Duration,
    exchanges: u64,
    failures: u64,
}

impl Keeper {
    pub(super) fn new(
        config: SharedQuota,
        (shared, switchboard): (Arc<Shared>, Rc<Switchboard>),
        folder: Option<StateFolder>,
    ) -> Self {
        let name = EdgeName::recall(folder);
        Self {
            config,
            shared,
            switchboard,
            switches: Exchange::default(),
            membership: Membership::new(name.one_in),
            name,
            lessee: Lessee::new(process::now_ms().saturating_mul(1000)),
            fleet: None,
            reach_at: Instant::now(),
            fault: None,
            told: Contact::New,
            tells_losses_at_ns: 0,
            evicts: false,
            refusing: 0,
            looks_at_ns: 0,
            lost_windows: 0,
            took: Duration::ZERO,
            exchanges: 0,
            failures: 0,
        }
    }

    pub(super) async fn keep(mut self, ends: Rc<Notify>) {
        loop {
            let began = self.now();
            self.turn().await;
            self.show(began);
            tokio::select! {
                () = sleep(TURN_EVERY) => {}
                () = ends.notified() => break,
            }
        }
        timeout(PART_WITHIN, self.part()).await.ok();
    }

    pub(super) fn now(&self) -> Moment {
        self.shared.moment(Instant::now())
    }

    /// What workers are to go by now.
    fn stand(&self) {
        let standing = self.membership.standing(self.now());
        self.shared.counters.stand(standing);
    }

    async fn turn(&mut self) {
        self.stand();
        if self.fleet.is_none() && !self.reach().await {
            return;
        }
        if let Err(fault) = self.ask().await {
            self.lose(fault);
        }
    }

    /// Whether the servers are reached.
    async fn reach(&mut self) -> bool {
        if Instant::now() < self.reach_at {
            return false;
        }
        self.reach_at = Instant::now() + REACH_EVERY;
        let trust = match self.config.is_by_tls() {
            true => match self.trust() {
                Ok(trust) => Some(trust),
                Err(fault) => {
                    self.lose(fault);
                    return false;
                }
            },
            false => None,
        };
        let reached = Fleet::reach(&self.config, trust.as_ref()).await;
        let known = match reached {
            Ok(mut fleet) => self.know(&mut fleet).await.map(|known| (fleet, known)),
            Err(fault) => Err(fault),
        };
        match known {
            Ok((_, None)) => false,
            Ok((fleet, Some(time_ms))) => {
                let now = self.now();
                let identity = &fleet.identity;
                let times = (identity.up_ms, time_ms);
                let evicted = std::mem::replace(&mut self.evicts, identity.evicts);
                if self.evicts && !evicted {
                    tracing::warn!(
                        "the servers of shared_quota evict keys where their memory is full: set maxmemory-policy to noeviction, or limits may be exceeded"
                    );
                }
                self.membership.reached(now, &identity.run, times);
                self.fleet = Some(fleet);
                self.stand();
                true
            }
            Err(fault) => {
                self.lose(fault);
                false
            }
        }
    }

    /// What TLS stands on, as its files are now.
    fn trust(&self) -> Result<Trust, LinkFault> {
        let ca = self.config.tls.ca.as_deref();
        let read = Trust::read_for(TrustFiles { ca, client: None });
        read.map_err(|_| LinkFault::NoTrust)
    }

    /// Asks what is due, and reports to be there.
    async fn ask(&mut self) -> Result<(), LinkFault> {
        self.stand();
        if self.membership.begins_claiming() {
            let (now, counters) = (self.now(), &self.shared.counters);
            self.lessee.claim_all(now, counters);
        }
        self.ask_for_leases().await?;
        if self.membership.is_claiming() && self.lessee.is_heard() {
            self.membership.claimed();
            self.stand();
        }
        let heard = self.membership.heard_at();
        self.report().await?;
        self.stand();
        if self.membership.heard_at() != heard {
            // Who has just joined holds its part before it says so.
            self.ask_for_leases().await?;
            self.exchange_switches().await?;
        }
        Ok(())
    }

    async fn ask_for_leases(&mut self) -> Result<(), LinkFault> {
        let (now, counters) = (self.now(), &self.shared.counters);
        let asks = self.lessee.asks(now, self.membership.takes(now), counters);
        self.ask_all(&asks).await
    }

    pub(super) async fn exchange(
        &mut self,
        questions: Vec<(Vec<u8>, Question)>,
    ) -> Result<Vec<Answer>, LinkFault> {
        let fleet = self.fleet.as_mut().ok_or(LinkFault::Broken)?;
        let began = Instant::now();
        let answers = fleet.exchange(questions).await?;
        self.took = began.elapsed();
        self.exchanges += 1;
        Ok(answers)
    }

    /// The servers are out of reach.
    fn lose(&mut self, fault: LinkFault) {
        self.fleet = None;
        self.failures += 1;
        self.reach_at = Instant::now() + REACH_EVERY.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.membership.lost();
        self.stand();
        if self.fault.as_ref() != Some(&fault) {
            tracing::debug!(%fault, "the servers of shared_quota are out of reach");
        }
        self.fault = Some(fault);
        let contact = self.membership.contact(self.now());
        if contact != Contact::Joined {
            self.tell(contact);
        }
    }

    /// Tells once what has changed.
    pub(super) fn tell(&mut self, contact: Contact) {
        if self.told == contact && !(contact == Contact::New && self.failures == 1) {
            return;
        }
        self.told = contact;
        let roll = self.membership.roll();
        match (contact, &self.fault) {
            (Contact::Joined, _) => tracing::info!(
                edges = roll.present,
                name = self.name.edge,
                "quotas are shared with all edges on the same shared_quota"
            ),
            (Contact::New | Contact::Away, Some(fault)) => tracing::warn!(
                %fault,
                edges = roll.sharers,
                "shared_quota is out of reach: quotas go on with what this edge holds, and its even part"
            ),
            (Contact::New | Contact::Away, None) => {}
        }
    }

    /// Shows how all stands, as of the beginning of a turn: what could not be asked in it is not
    /// told as done.
    fn show(&mut self, now: Moment) {
        let contact = self.membership.contact(now);
        if contact == Contact::Away {
            self.tell(contact);
        }
        self.look_for_refusing(contact, now);
        let roll = self.membership.roll();
        self.shared.shared_quota.show(Standing {
            contact,
            settles: self.membership.settles(now),
            fault: self.fault.clone(),
            present: roll.present,
            sharers: roll.sharers,
            one_in: roll.one_in,
            counters: self.lessee.leased(),
            refusing: self.refusing,
            heard_unix_s: self.membership.heard_at().map(|at| at.unix_s),
            took_us: u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            exchanges: self.exchanges,
            failures: self.failures,
            evicts: self.evicts,
            lost_windows: self.lost_windows,
        });
    }

    /// Counts what refuses all while this edge is cut off, and tells when there is anything.
    fn look_for_refusing(&mut self, contact: Contact, now: Moment) {
        if contact != Contact::Away {
            (self.refusing, self.looks_at_ns) = (0, 0);
            return;
        }
        if now.since_start_ns < self.looks_at_ns {
            return;
        }
        self.looks_at_ns = now.since_start_ns.saturating_add(REFUSING_EVERY_NS);
        let before = self.refusing;
        self.refusing = self.shared.counters.without_room(now);
        if before == 0 && self.refusing > 0 {
            tracing::warn!(
                counters = self.refusing,
                "quotas that this edge met first while shared_quota was out of reach admit nothing but their part of what is kept until it is back, or their window ends"
            );
        }
    }

    /// Gives back what is held, and leaves. What is not heard in time stays held until its window
    /// ends, or this edge starts again.
    async fn part(mut self) {
        let counters = Arc::clone(&self.shared.counters);
        if self.fleet.is_none() {
            return;
        }
        let asks = self.lessee.parting(self.now(), &counters);
        if self.ask_all(&asks).await.is_err() {
            return;
        }
        let last = Report {
            one_in: 0,
            until_ms: LAST_WORD_MS,
        };
        let leaving = self.reporting(last, true);
        self.exchange(vec![leaving]).await.ok();
    }
}

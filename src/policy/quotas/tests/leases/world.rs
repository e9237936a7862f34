//! Edges, the pool, and what lies between them, one moment after the other.

use std::collections::HashMap;

use super::pool::Pool;
use super::*;

/// Draws that a seed decides (SplitMix64).
pub(super) struct Draws(pub(super) u64);

impl Draws {
    /// Less than that.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % bound
    }

    /// One of so many places.
    pub(super) fn place(&mut self, places: usize) -> usize {
        let places = u64::try_from(places).unwrap();
        usize::try_from(self.below(places)).unwrap()
    }
}

/// An edge, as far as quotas go.
pub(super) struct Node {
    pub(super) id: String,
    pub(super) limiter: Limiter,
    pub(super) lessee: Lessee,
    pub(super) membership: Membership,
    pub(super) began_ms: u64,
    pub(super) ahead_ms: u64,
    pub(super) connected: bool,
    pub(super) cut_until_ms: u64,
    pub(super) used: u64,
}

/// What may happen to a question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    AnswerLost,
    Lost,
    Late,
}

/// What comes to the pool later than it was said.
pub(super) enum Delayed {
    Ask(Ask, Roll),
    Report(Report),
}

/// One after the other; what is random is drawn from the seed.
pub(super) struct World {
    pub(super) limit: u64,
    pub(super) named: bool,
    /// Requests that are refused by their head, as a quota on everything is full.
    pub(super) by_head: bool,
    pub(super) now_ms: u64,
    pub(super) pool: Pool,
    pub(super) nodes: Vec<Node>,
    pub(super) late: Vec<(u64, String, Delayed)>,
    /// So much comes to an edge in each moment, a half of it within its turn.
    pub(super) comes: u64,
    pub(super) admitted: HashMap<u64, u64>,
    pub(super) draws: Draws,
    pub(super) made: u64,
}

pub(super) const TICK_MS: u64 = 100;

/// The quota by which all counts are kept, named by the configuration or met by and by.
pub(super) fn spec(limit: u64, named: bool) -> QuotaSpec {
    let quotas = [quota("a", Categories::of(&[]), limit, MINUTE, By::Project)];
    match named {
        true => global(&quotas),
        false => defaults(&quotas),
    }
}

impl World {
    pub(super) fn new(seed: u64, edges: usize, (limit, named): (u64, bool)) -> Self {
        let mut world = Self {
            limit,
            named,
            by_head: false,
            now_ms: 600_000,
            pool: Pool::default(),
            nodes: Vec::new(),
            late: Vec::new(),
            comes: 0,
            admitted: HashMap::new(),
            draws: Draws(seed),
            made: 0,
        };
        for _ in 0..edges {
            let node = world.node();
            world.nodes.push(node);
        }
        world
    }

    pub(super) fn node(&mut self) -> Node {
        self.made += 1;
        let counters = counters();
        counters.share();
        let quotas = Quotas::compile(&spec(self.limit, self.named), &counters);
        Node {
            id: format!("edge-{}", self.made),
            limiter: Limiter { counters, quotas },
            lessee: Lessee::new(self.now_ms * 1000),
            membership: Membership::new(0),
            began_ms: self.now_ms,
            ahead_ms: self.draws.below(SKEW_S * 1000),
            connected: false,
            cut_until_ms: 0,
            used: 0,
        }
    }

    /// A process that goes on from what another wrote down.
    pub(super) fn restarted(&mut self, place: usize) {
        let mut next = self.node();
        let before = &self.nodes[place];
        for live in before.limiter.counters.marks(before.now(self.now_ms)) {
            let mark = Mark {
                window: live.window,
                used: live.used,
            };
            next.limiter
                .counters
                .restore(&live.identity().to_string(), mark);
        }
        next.id = before.id.clone();
        next.ahead_ms = before.ahead_ms;
        next.membership = Membership::new(before.membership.roll().one_in);
        self.nodes[place] = next;
    }

    /// All edges' configuration has another limit from now on.
    pub(super) fn reload(&mut self, limit: u64) {
        self.limit = limit;
        let spec = spec(limit, self.named);
        for node in &mut self.nodes {
            node.limiter.reload(&spec);
        }
    }

    /// Cuts one off that has ever been heard.
    pub(super) fn cut_off(&mut self, place: usize, lasts_ms: u64) {
        let node = &mut self.nodes[place];
        if node.membership.contact(node.now(self.now_ms)) != Contact::New {
            node.cut_until_ms = self.now_ms + lasts_ms;
        }
    }

    /// Charges one by one, at most so many, and counts what is admitted.
    pub(super) fn load(&mut self, place: usize, most: u64) -> u64 {
        let node = &mut self.nodes[place];
        let at = node.now(self.now_ms);
        let load = items(ERROR, 1);
        let mut admitted = 0;
        for _ in 0..most {
            let (limiter, sender) = (&node.limiter, who(1, 1, 1));
            let applying = limiter.quotas.of(&sender);
            let is_refused = self.by_head && applying.refuses_all(at, &limiter.counters).is_some();
            admitted += u64::from(!is_refused && limiter.charge(at, &sender, &load).is_ok());
        }
        node.used += admitted;
        *self.admitted.entry(at.unix_s / 60).or_default() += admitted;
        admitted
    }

    /// Whether a single load of so many finds room.
    pub(super) fn post(&mut self, place: usize, amount: u64) -> bool {
        let node = &self.nodes[place];
        let at = node.now(self.now_ms);
        let charged = node
            .limiter
            .charge(at, &who(1, 1, 1), &items(ERROR, amount));
        if charged.is_ok() {
            *self.admitted.entry(at.unix_s / 60).or_default() += amount;
        }
        charged.is_ok()
    }

    /// What comes meanwhile.
    fn comes(&mut self, place: usize) {
        let most = self.draws.below(self.comes + 1);
        self.load(place, most);
    }

    /// A turn of one edge, as the server takes it.
    pub(super) fn turn(&mut self, place: usize, fate: impl Fn(&mut Draws) -> Fate + Copy) {
        let (now_ms, up_ms) = (self.now_ms, self.now_ms - self.pool.began_ms);
        let node = &mut self.nodes[place];
        let now = node.now(now_ms);
        if now_ms < node.cut_until_ms {
            node.lost(now_ms);
            return;
        }
        if !node.connected {
            let name = self.pool.incarnation.to_string();
            node.membership.reached(now, &name, (up_ms, now_ms));
            node.connected = true;
        }
        node.stand(now_ms);
        if node.membership.begins_claiming() {
            node.lessee.claim_all(now, &node.limiter.counters);
        }
        self.comes(place);
        let mut whole = self.asks(place, fate);
        self.comes(place);
        let node = &mut self.nodes[place];
        if node.membership.is_claiming() && whole && node.lessee.is_heard() {
            node.membership.claimed();
        }
        node.stand(now_ms);
        self.comes(place);
        if whole {
            let heard = self.nodes[place].membership.heard_at();
            whole = self.reports(place, fate);
            if whole && self.nodes[place].membership.heard_at() != heard {
                whole = self.asks(place, fate);
            }
        }
        let node = &mut self.nodes[place];
        match whole {
            true => node.stand(now_ms),
            false => node.lost(now_ms),
        }
    }

    /// Whether all questions were answered.
    fn asks(&mut self, place: usize, fate: impl Fn(&mut Draws) -> Fate) -> bool {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[place];
        let now = node.now(now_ms);
        let roll = node.membership.roll().clone();
        let mut whole = true;
        let takes = node.membership.takes(now);
        for ask in node.lessee.asks(now, takes, &node.limiter.counters) {
            let fate = fate(&mut self.draws);
            let answer = match fate {
                Fate::Answered | Fate::AnswerLost => {
                    Some(self.pool.ask(&node.id, (&ask, &roll), now_ms))
                }
                Fate::Lost => None,
                Fate::Late => {
                    let at_ms = now_ms + self.draws.below(20_000);
                    let delayed = Delayed::Ask(ask.clone(), roll.clone());
                    self.late.push((at_ms, node.id.clone(), delayed));
                    None
                }
            };
            match answer.filter(|_| fate == Fate::Answered) {
                Some(Ok(lease)) => node.lessee.heard(now, &ask, lease),
                Some(Err(number)) => {
                    node.lessee.outrun(&ask, number);
                    whole = false;
                }
                None => whole = false,
            }
        }
        whole
    }

    /// Whether a report that was due was answered.
    fn reports(&mut self, place: usize, fate: impl Fn(&mut Draws) -> Fate) -> bool {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[place];
        let now = node.now(now_ms);
        let Some(report) = node.membership.report(now, || node.lessee.newest_s()) else {
            return true;
        };
        // Who is not heard at first counts alone, which is the exception.
        let fate = match node.membership.contact(now) {
            Contact::New => Fate::Answered,
            Contact::Joined | Contact::Away => fate(&mut self.draws),
        };
        match fate {
            Fate::Answered | Fate::AnswerLost => {
                let answer = self.pool.report(&node.id, report, now_ms);
                match answer.filter(|_| fate == Fate::Answered) {
                    Some(roll) => node.membership.confirmed(now, now, roll),
                    None => return false,
                }
            }
            Fate::Lost => return false,
            Fate::Late => {
                let at_ms = now_ms + self.draws.below(20_000);
                let delayed = Delayed::Report(report);
                self.late.push((at_ms, node.id.clone(), delayed));
                return false;
            }
        }
        true
    }

    pub(super) fn step(&mut self, fate: impl Fn(&mut Draws) -> Fate + Copy, load: u64) {
        self.now_ms += TICK_MS;
        self.comes = load;
        for place in 0..self.nodes.len() {
            self.comes(place);
            self.turn(place, fate);
        }
        let now_ms = self.now_ms;
        for (_, edge, delayed) in self.late.extract_if(.., |late| late.0 <= now_ms) {
            match delayed {
                Delayed::Ask(ask, roll) => {
                    self.pool.ask(&edge, (&ask, &roll), now_ms).ok();
                }
                Delayed::Report(report) => drop(self.pool.report(&edge, report, now_ms)),
            }
        }
        for (window, admitted) in &self.admitted {
            if *admitted > self.limit {
                for node in &self.nodes {
                    eprintln!(
                        "{} ahead {} began {} cut {} used {} {:?} {:?}",
                        node.id,
                        node.ahead_ms,
                        node.began_ms,
                        node.cut_until_ms,
                        node.used,
                        node.membership,
                        node.membership.standing(node.now(now_ms))
                    );
                }
                for (w, kept) in &self.pool.windows {
                    eprintln!("{w} {:?}", kept.edges);
                }
                eprintln!("{:?}", self.pool.reports);
            }
            assert!(
                *admitted <= self.limit,
                "{admitted} of {} in window {window} at {now_ms}",
                self.limit
            );
        }
    }
}

impl Node {
    pub(super) fn now(&self, now_ms: u64) -> Moment {
        Moment {
            since_start_ns: (now_ms - self.began_ms) * 1_000_000,
            unix_s: (now_ms + self.ahead_ms) / 1000,
        }
    }

    fn lost(&mut self, now_ms: u64) {
        self.connected = false;
        self.membership.lost();
        self.stand(now_ms);
    }

    pub(super) fn stand(&self, now_ms: u64) {
        let standing = self.membership.standing(self.now(now_ms));
        self.limiter.counters.stand(standing);
    }
}

pub(super) fn answered(_: &mut Draws) -> Fate {
    Fate::Answered
}

pub(super) fn unreliable(draws: &mut Draws) -> Fate {
    match draws.below(20) {
        0 => Fate::AnswerLost,
        1 => Fate::Lost,
        2 => Fate::Late,
        _ => Fate::Answered,
    }
}

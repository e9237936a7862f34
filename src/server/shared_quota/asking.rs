//! What is said to the servers, and what is made of their answers: questions for leases, the
//! report that this edge is there, and switches. Owns the scripts' arguments; when each is said is
//! the keeper's.

use std::rc::Rc;

use crate::domain::resp::Answer;
use crate::policy::quotas::{
    Absent, Ask, Contact, FORGOTTEN_MS, Lease, PRESENT_MS, RELEARN_MS, Report, Roll,
};
use crate::telemetry::process;

use super::fleet::{Fleet, Question};
use super::keeper::Keeper;
use super::link::{LinkFault, command};
use super::name::EdgeName;

/// So many that are away are named; the rest is told as one.
const ABSENT_MAX: &str = "64";

/// How long a window is kept behind its end.
const KEPT_S: u64 = 600;

/// How often losses are told of.
const LOSSES_TOLD_EVERY_NS: u64 = 60_000_000_000;

const NAME: &str = include_str!("name.lua");

/// Who lives reports again within so many milliseconds: twice as long as it takes.
const REPORTS_AGAIN_MS: u64 = 2000;

/// The field that changes with every switch.
const VERSION: &str = "=version";

impl Keeper {
    /// Takes this edge's name, before anything is said under it. Yields the pool's time, in
    /// milliseconds; nothing while the process before may still go by it.
    pub(super) async fn know(&mut self, fleet: &mut Fleet) -> Result<Option<u64>, LinkFault> {
        let edges = self.edges();
        let no_longer = self.shared.counters.has_elder() || self.name.ended;
        let asks = command(&[
            "EVAL",
            NAME,
            "2",
            &edges,
            &processes(&edges),
            &self.name.edge,
            &self.name.process,
            &self.name.earlier,
            &REPORTS_AGAIN_MS.to_string(),
            if no_longer { "1" } else { "0" },
        ]);
        let question = (edges.into_bytes(), Question::Plain(asks));
        let answers = fleet.exchange(vec![question]).await?;
        let answer = answers.first().and_then(Answer::list).unwrap_or_default();
        let [at_ms, said, rest @ ..] = answer else {
            return Err(LinkFault::Odd);
        };
        let at_ms = at_ms.count().ok_or(LinkFault::Odd)?;
        match (said.count(), rest) {
            (Some(1), _) => return Ok(Some(at_ms)),
            (Some(0), _) => {}
            (Some(2), [reported]) => {
                let reported_ms = reported.count().ok_or(LinkFault::Odd)?;
                if !self.name.goes_on_elsewhere(reported_ms) {
                    return Ok(None);
                }
            }
            _ => return Err(LinkFault::Odd),
        }
        tracing::warn!(
            "another process goes by this edge's name in shared_quota, as where state.path is a copy: this one takes another"
        );
        self.name.renew();
        Ok(Some(at_ms))
    }

    /// The key of who shares.
    pub(super) fn edges(&self) -> String {
        format!("{}:{{edges}}", self.config.prefix)
    }

    pub(super) async fn ask_all(&mut self, asks: &[Ask]) -> Result<(), LinkFault> {
        if asks.is_empty() {
            return Ok(());
        }
        let questions = asks.iter().map(|ask| self.question(ask)).collect();
        let answers = self.exchange(questions).await?;
        let now = self.now();
        let mut losses = 0;
        for (ask, answer) in asks.iter().zip(answers) {
            let answer = answer.list().unwrap_or_default();
            let count = |at: usize| answer.get(at).and_then(Answer::count);
            match [0, 1, 2, 3, 4, 5, 6].map(count) {
                [
                    Some(1),
                    Some(leased),
                    Some(all_used),
                    Some(left),
                    Some(over),
                    Some(lost),
                    Some(kept),
                ] => {
                    let lease = Lease {
                        leased,
                        all_used,
                        left,
                        over,
                        lost: lost == 1,
                        kept,
                    };
                    losses += u64::from(lease.lost);
                    self.lessee.heard(now, ask, lease);
                }
                [Some(0), Some(number), ..] => self.lessee.outrun(ask, number),
                _ => return Err(LinkFault::Odd),
            }
        }
        self.note_losses(losses);
        Ok(())
    }

    /// Counts windows that the servers have lost, and tells of them at most once a minute.
    fn note_losses(&mut self, losses: u64) {
        self.lost_windows += losses;
        let now_ns = self.now().since_start_ns;
        if losses == 0 || now_ns < self.tells_losses_at_ns {
            return;
        }
        self.tells_losses_at_ns = now_ns.saturating_add(LOSSES_TOLD_EVERY_NS);
        tracing::warn!(
            windows = losses,
            "the servers of shared_quota have lost windows, as where they evict keys (maxmemory-policy should be noeviction): all edges tell them anew, and nothing of these is lent for fifteen seconds"
        );
    }

    /// A question as the script reads it.
    fn question(&self, ask: &Ask) -> (Vec<u8>, Question) {
        let key = format!("{}:q:{}", self.config.prefix, ask.name);
        let left_s = ask.ends_unix_s.saturating_sub(self.now().unix_s);
        let keeps_ms = left_s.saturating_add(KEPT_S).saturating_mul(1000);
        let roll = self.membership.roll();
        let numbers = [
            ask.number,
            ask.used,
            ask.held,
            ask.wanted,
            ask.limit,
            ask.reserved,
            roll.present,
            u64::from(ask.takes),
            u64::from(ask.takes_up),
            keeps_ms,
            roll.absent_more,
            u64::from(ask.heard),
            RELEARN_MS,
            ask.part,
        ];
        let mut rest = command(&["1", &self.name.edge]);
        rest.extend(numbers.map(|number| number.to_string().into_bytes()));
        for Absent { edge, one_in } in &roll.absent {
            rest.push(edge.clone().into_bytes());
            rest.push(one_in.to_string().into_bytes());
        }
        (key.into_bytes(), Question::Lease(rest))
    }

    /// Reports to be there, where that is due.
    pub(super) async fn report(&mut self) -> Result<(), LinkFault> {
        let sent = self.now();
        let Some(report) = self.membership.report(sent, || self.lessee.newest_s()) else {
            return Ok(());
        };
        let question = self.reporting(report, false);
        let answers = self.exchange(vec![question]).await?;
        let answer = answers.first().and_then(Answer::list).unwrap_or_default();
        let [said, rest @ ..] = answer else {
            return Err(LinkFault::Odd);
        };
        let now = self.now();
        match (said.number(), rest) {
            (Some(0), _) => {
                self.name.renew();
                return Err(LinkFault::Twin);
            }
            (Some(2), [at_ms]) => {
                let at_ms = at_ms.count().ok_or(LinkFault::Odd)?;
                self.membership.came_late(now, at_ms);
                return Ok(());
            }
            _ => {}
        }
        let roll = roll(rest).ok_or(LinkFault::Odd)?;
        self.membership.confirmed(sent, now, roll);
        let roll = self.membership.roll();
        self.name.keep(match roll.one_in {
            0 => roll.sharers,
            one_in => one_in,
        });
        self.tell(Contact::Joined);
        self.fault = None;
        Ok(())
    }

    /// A report as the script reads it.
    pub(super) fn reporting(&self, report: Report, leaves: bool) -> (Vec<u8>, Question) {
        let edges = self.edges();
        let EdgeName {
            edge,
            process,
            earlier,
            ..
        } = &self.name;
        let rest = command(&[
            "2",
            &processes(&edges),
            edge,
            process,
            earlier,
            &report.one_in.to_string(),
            &report.until_ms.to_string(),
            &PRESENT_MS.to_string(),
            &FORGOTTEN_MS.to_string(),
            ABSENT_MAX,
            if leaves { "1" } else { "0" },
        ]);
        (edges.into_bytes(), Question::Report(rest))
    }

    /// Tells what was switched here, and takes what was elsewhere.
    pub(super) async fn exchange_switches(&mut self) -> Result<(), LinkFault> {
        let key = format!("{}:switches", self.edges());
        let plain = |words: &[&str]| Question::Plain(command(words));
        let board = Rc::clone(&self.switchboard);
        let edge = self.name.edge.clone();
        let words = self.switches.words(&edge, &board, process::now_s());
        let mut questions = Vec::new();
        if !words.is_empty() {
            let mut rest = command(&["1"]);
            for word in &words {
                rest.extend(command(&[
                    &word.place,
                    &word.stamp_ms.to_string(),
                    &word.row,
                ]));
            }
            questions.push((key.clone().into_bytes(), Question::Switch(rest)));
        }
        let version = plain(&["HGET", &key, VERSION]);
        questions.push((key.clone().into_bytes(), version));
        let answers = self.exchange(questions).await?;
        if !words.is_empty() {
            let stand = answers.first().and_then(Answer::count);
            let stand = stand.and_then(|stand| usize::try_from(stand).ok());
            self.switches.told(words, stand.ok_or(LinkFault::Odd)?);
        }
        let version = answers.last().and_then(Answer::text).unwrap_or_default();
        if self.switches.is_current(version) {
            return Ok(());
        }
        let version = version.to_owned();
        let all = (key.clone().into_bytes(), plain(&["HGETALL", &key]));
        let answers = self.exchange(vec![all]).await?;
        let answer = answers.first().and_then(Answer::list);
        let fields = answer.ok_or(LinkFault::Odd)?.chunks(2);
        let rows = fields.filter_map(|field| match field {
            [place, row] if place.text() != Some(VERSION) => {
                Some((place.text()?.to_owned(), row.text()?.to_owned()))
            }
            _ => None,
        });
        let now_s = process::now_s();
        let over = self.switches.take(rows.collect(), version, &board, now_s);
        if !over.is_empty() {
            let mut forgets = command(&["1"]);
            for (place, stamp_ms) in over {
                forgets.extend(command(&[&place, &stamp_ms.to_string(), ""]));
            }
            let question = (key.into_bytes(), Question::Switch(forgets));
            self.exchange(vec![question]).await?;
        }
        Ok(())
    }
}

/// The key of which processes those are.
fn processes(edges: &str) -> String {
    format!("{edges}:process")
}

/// What the script of reports says behind its first word.
fn roll(answer: &[Answer]) -> Option<Roll> {
    let [
        at_ms,
        known,
        one_in,
        present,
        sharers,
        absent_more,
        absent @ ..,
    ] = answer
    else {
        return None;
    };
    let absent = absent.chunks(2).map(|pair| match pair {
        [edge, one_in] => Some(Absent {
            edge: edge.text()?.to_owned(),
            one_in: one_in.count()?.max(1),
        }),
        _ => None,
    });
    Some(Roll {
        at_ms: at_ms.count()?,
        known: known.number()? == 1,
        one_in: one_in.count()?,
        present: present.count()?,
        sharers: sharers.count()?,
        absent: absent.collect::<Option<_>>()?,
        absent_more: absent_more.count()?,
    })
}

//! The second question: how long clients wait at half load, at one rate for all, in turns. The
//! stand-in is asked directly, too: what is more is the proxy's.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::budgets::{self, Budget};
use crate::case::Case;
use crate::load::Load;
use crate::pace::{self, Pace, Waits};
use crate::proxies::{Kind, Lineup};
use crate::spread::Spread;

/// Who is asked: proxies that have this in common, that somebody would put before a Sentry.
pub(crate) const ASKED: [Kind; 4] = [
    Kind::Nginx,
    Kind::NginxPooled,
    Kind::HaproxyHttp,
    Kind::Vidette,
];

/// One turn; `None` is the stand-in itself.
struct Turn {
    round: u32,
    proxy: Option<Kind>,
    waits: Waits,
}

/// What all turns came to.
pub(crate) struct Latencies {
    turns: Vec<Turn>,
    pub(crate) pace: Pace,
}

/// `rounds` times the stand-in and each proxy.
pub(crate) fn measure(
    lineup: &mut Lineup,
    load: &Load,
    rounds: u32,
    pace: Pace,
) -> Result<Latencies> {
    let mut ports = vec![(None, lineup.upstream)];
    let asked = lineup.proxies().filter(|proxy| ASKED.contains(&proxy.kind));
    ports.extend(asked.map(|proxy| (Some(proxy.kind), proxy.port)));
    let mut turns = Vec::new();
    for round in 1..=rounds {
        for &(proxy, port) in &ports {
            let request = load.request(port, Case::Small, &Case::Small.target())?;
            let waits = pace::send(port, &request, pace).with_context(|| {
                format!("{} at {}/s in round {round}", name(proxy), pace.per_second)
            })?;
            eprintln!(
                "rig: round {round} of {rounds}: {} at {}/s: p50 {:.0} us, p99 {:.0} us",
                name(proxy),
                pace.per_second,
                waits.p50,
                waits.p99,
            );
            turns.push(Turn {
                round,
                proxy,
                waits,
            });
        }
    }
    Ok(Latencies { turns, pace })
}

fn name(proxy: Option<Kind>) -> &'static str {
    proxy.map_or("no proxy", Kind::name)
}

/// One row, over all rounds, in microseconds.
pub(crate) struct Row {
    proxy: Option<Kind>,
    p50: Spread,
    p99: Spread,
    p999: Spread,
    /// Of the 99th percentile, to that without a proxy in the same round.
    added: Option<Spread>,
    /// vidette's 99th percentile as a share of its.
    share: Option<Spread>,
    budget: Budget,
}

impl Latencies {
    /// The stand-in itself, then the proxies.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let asked = [None].into_iter().chain(ASKED.map(Some));
        asked.filter_map(|proxy| self.row(proxy)).collect()
    }

    fn row(&self, proxy: Option<Kind>) -> Option<Row> {
        let own: Vec<&Turn> = self
            .turns
            .iter()
            .filter(|turn| turn.proxy == proxy)
            .collect();
        let spread =
            |of: fn(&Waits) -> f64| Spread::of(own.iter().map(|turn| of(&turn.waits)).collect());
        let beside = |other: Option<Kind>, compared: fn(f64, f64) -> f64| {
            let each = own.iter().filter_map(|turn| {
                let mut all = self.turns.iter();
                let other = all.find(|one| one.proxy == other && one.round == turn.round)?;
                Some(compared(turn.waits.p99, other.waits.p99))
            });
            Spread::of(each.collect())
        };
        let added = beside(None, |own, without| own - without);
        let share = beside(Some(Kind::Vidette), |own, vidette| vidette / own);
        let compared = proxy.is_some() && proxy != Some(Kind::Vidette);
        Some(Row {
            proxy,
            p50: spread(|waits| waits.p50)?,
            p99: spread(|waits| waits.p99)?,
            p999: spread(|waits| waits.p999)?,
            added: added.filter(|_| proxy.is_some()),
            share: share.filter(|_| compared),
            budget: budgets::latency(proxy),
        })
    }

    /// Every turn, for programs.
    pub(crate) fn json(&self) -> Vec<Value> {
        let turn = |turn: &Turn| {
            let Waits {
                requests,
                p50,
                p99,
                p999,
            } = turn.waits;
            json!({
                "round": turn.round, "proxy": name(turn.proxy), "requests": requests,
                "p50_us": p50, "p99_us": p99, "p999_us": p999,
            })
        };
        self.turns.iter().map(turn).collect()
    }
}

impl Row {
    fn median_share(&self) -> Option<f64> {
        self.share.map(|share| share.median)
    }

    /// A row of the table.
    pub(crate) fn markdown(&self) -> String {
        let whole = |of: Spread| format!("{:.0} ({:.0} to {:.0})", of.median, of.min, of.max);
        let share = self.share.map_or(String::new(), |share| {
            format!("{:.2} ({:.2} to {:.2})", share.median, share.min, share.max)
        });
        format!(
            "| {} | {} | {} | {} | {} | {share} | {} |\n",
            name(self.proxy),
            whole(self.p50),
            whole(self.p99),
            whole(self.p999),
            self.added.map_or(String::new(), whole),
            self.budget.cells(self.median_share()),
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "proxy": name(self.proxy), "p50_us": self.p50.json(), "p99_us": self.p99.json(),
            "p999_us": self.p999.json(), "p99_added_us": self.added.map(Spread::json),
            "vidette_share": self.share.map(Spread::json),
            "goal": self.budget.goal, "goal_met": self.budget.goal_met(self.median_share()),
        })
    }
}

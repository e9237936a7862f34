//! The fourth question: what a second worker costs, what it brings, and how evenly the two share
//! what comes. Each proxy runs twice, with one worker and with two, on the same cores; both get
//! the same load in turns, and what is compared was measured in one round.
//!
//! How evenly is told by the workers' own CPU time, under connections that all send as many
//! requests, one after another: who has twice as many of them works twice as much. It is the same
//! measure for threads and for processes, and asks nothing of a proxy's own counters.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::budgets::{self, Budget};
use crate::case::Case;
use crate::child::ScratchFolder;
use crate::cost::{self, Cell};
use crate::cpu::Reading;
use crate::load::Load;
use crate::machine::Cores;
use crate::memory;
use crate::proxies::{Kind, Lineup, Proxy, Room, Setup};
use crate::spread::Spread;

/// Who is asked: proxies that keep as many upstream connections as the load needs.
const ASKED: [Kind; 3] = [Kind::NginxPooled, Kind::HaproxyHttp, Kind::Vidette];
/// More than one, on machines that have no more cores to give.
const WORKERS: u32 = 2;
/// Many, so that they can be shared out nearly evenly: where chance does it, the busier of two has
/// on average a twentieth more of as many than its half.
pub(crate) const CONNECTIONS: u32 = 256;
/// Of each of them, where it is looked at how they are shared.
const REQUESTS_EACH: usize = 20;

/// One proxy's two turns in one round.
struct Turn {
    proxy: Kind,
    /// With one worker, then with two; absent where there was no load, in a short run.
    cells: Option<[Cell; 2]>,
    /// The busier worker's CPU time to the mean of both.
    busier: f64,
}

/// What all turns came to.
pub(crate) struct Workers {
    turns: Vec<Turn>,
    cores: Cores,
}

/// `rounds` times each proxy with one worker and with two; `loaded` ones under load.
pub(crate) fn measure(
    setup: &Setup<'_>,
    load: &Load,
    rounds: u32,
    turn: Duration,
    loaded: fn(Kind) -> bool,
) -> Result<Workers> {
    let cores = setup.cores.for_workers(usize::try_from(WORKERS)?);
    let load = load.over(CONNECTIONS, &cores);
    let apart = ScratchFolder::create(setup.folder.path(), "two")?;
    let one = Setup {
        cores: &cores,
        connections: CONNECTIONS,
        ..*setup
    };
    let two = Setup {
        folder: &apart,
        workers: WORKERS,
        ..one
    };
    let mut one = Lineup::start(&one, &ASKED, Room::AsShipped)?;
    let mut two = Lineup::before(&two, &ASKED, Room::AsShipped, one.upstream)?;
    for proxy in one.proxies().chain(two.proxies()) {
        proxy.until_ready(&load, &[Case::Small])?;
    }
    let kinds: Vec<Kind> = two.proxies().map(|proxy| proxy.kind).collect();
    let mut turns = Vec::new();
    for round in 1..=rounds {
        for &proxy in &kinds {
            let of = |lineup| cost::one_turn(lineup, &load, Case::Small, proxy, round, turn);
            // Now this one first, now that: whatever drifts favours neither.
            let cells = match (loaded(proxy), round % 2) {
                (false, _) => None,
                (true, 1) => Some([of(&mut one)?, of(&mut two)?]),
                (true, _) => {
                    let second = of(&mut two)?;
                    Some([of(&mut one)?, second])
                }
            };
            let sharing = two.proxies().find(|other| other.kind == proxy);
            let busier = busier(sharing.context("it does not run")?, &load)?;
            let turn = Turn {
                proxy,
                cells,
                busier,
            };
            turn.say(round, rounds);
            turns.push(turn);
        }
    }
    Ok(Workers { turns, cores })
}

/// How much the busier of the workers does, to the mean of all.
fn busier(proxy: &Proxy, load: &Load) -> Result<f64> {
    let request = load.request(proxy.port, Case::Small, &Case::Small.target())?;
    let clients = (0..CONNECTIONS).map(|_| memory::served(proxy.port, &request));
    let mut clients = clients.collect::<Result<Vec<_>>>()?;
    let before = Reading::of_tree(proxy.pid())?;
    for _ in 0..REQUESTS_EACH {
        for client in &mut clients {
            memory::post(client, &request)?;
        }
    }
    let spent = Reading::of_tree(proxy.pid())?.threads_since(&before);
    // What is no worker, a master or a thread that watches, does next to nothing meanwhile.
    let workers = spent.iter().take(usize::try_from(WORKERS)?);
    let mean = workers.sum::<Duration>().as_secs_f64() / f64::from(WORKERS);
    let busiest = spent.first().context("no thread was seen")?;
    Ok(busiest.as_secs_f64() / mean)
}

impl Turn {
    fn cost(&self) -> Option<[f64; 2]> {
        Some(self.cells.as_ref()?.each_ref().map(Cell::cpu_us))
    }

    fn say(&self, round: u32, rounds: u32) {
        let (name, busier) = (self.proxy.name(), self.busier);
        let costs = self.cost().map_or(String::new(), |[one, two]| {
            format!("{one:.1} us with one worker, {two:.1} us with {WORKERS}, ")
        });
        eprintln!("rig: round {round} of {rounds}: {name}: {costs}the busier {busier:.2}");
    }
}

/// One row, over all rounds.
pub(crate) struct Row {
    proxy: Kind,
    /// CPU time of a request with one worker, and with two, in microseconds.
    cpu_us: Option<[Spread; 2]>,
    /// Of two workers to one, taken within each round.
    cost_ratio: Option<Spread>,
    rate_ratio: Option<Spread>,
    cores_busy: Option<[Spread; 2]>,
    busier: Spread,
    budget: Budget,
}

impl Workers {
    /// In the order of the turns.
    pub(crate) fn rows(&self) -> Vec<Row> {
        ASKED.iter().filter_map(|kind| self.row(*kind)).collect()
    }

    fn row(&self, proxy: Kind) -> Option<Row> {
        let own = || self.turns.iter().filter(|turn| turn.proxy == proxy);
        let pairs = || own().filter_map(|turn| turn.cells.as_ref());
        let ratio = |of: fn(&Cell) -> f64| {
            Spread::of(pairs().map(|[one, two]| of(two) / of(one)).collect())
        };
        let both = |of: fn(&Cell) -> f64| {
            let one = Spread::of(pairs().map(|[one, _]| of(one)).collect())?;
            let two = Spread::of(pairs().map(|[_, two]| of(two)).collect())?;
            Some([one, two])
        };
        Some(Row {
            proxy,
            cpu_us: both(Cell::cpu_us),
            cost_ratio: ratio(Cell::cpu_us),
            rate_ratio: ratio(Cell::requests_per_second),
            cores_busy: both(Cell::cores_busy),
            busier: Spread::of(own().map(|turn| turn.busier).collect())?,
            budget: budgets::second_worker(proxy),
        })
    }

    /// What stands below the table.
    pub(crate) fn ground(&self) -> String {
        let Cores { proxies, load, .. } = &self.cores;
        let shared = match self.cores.are_apart() {
            true => "",
            false => {
                " The load and the upstream run on the same cores as the proxies, for want of more: \
                 CPU time is compared with that of one worker on the same two, but how many \
                 requests a second two workers bring cannot be seen here."
            }
        };
        format!(
            "{CONNECTIONS} connections; proxies on {proxies}, load and upstream on {load}.{shared} \
             The busier worker: its CPU time to the mean of both, {CONNECTIONS} new connections \
             sending as many requests each, one after another; 1.00 is even, 2.00 is all.\n\n"
        )
    }
}

impl Row {
    /// False where the gate is missed.
    pub(crate) fn holds(&self) -> bool {
        self.budget.gate_met(self.median()) != Some(false)
    }

    fn median(&self) -> Option<f64> {
        self.cost_ratio.map(|ratio| ratio.median)
    }

    /// A row of the table.
    pub(crate) fn markdown(&self) -> String {
        let spread = |of: Option<Spread>| {
            of.map_or(String::new(), |Spread { min, median, max }| {
                format!("{median:.2} ({min:.2} to {max:.2})")
            })
        };
        let of = |both: Option<[Spread; 2]>, with: fn([Spread; 2]) -> Spread| {
            both.map_or(String::new(), |both| format!("{:.1}", with(both).median))
        };
        let [one, two] = [|[one, _]: [Spread; 2]| one, |[_, two]: [Spread; 2]| two];
        format!(
            "| {} | {} | {} | {} | {} | {} to {} | {} | {} |\n",
            self.proxy.name(),
            of(self.cpu_us, one),
            of(self.cpu_us, two),
            spread(self.cost_ratio),
            spread(self.rate_ratio),
            of(self.cores_busy, one),
            of(self.cores_busy, two),
            spread(Some(self.busier)),
            self.budget.cells(self.median()),
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let both = |both: Option<[Spread; 2]>| both.map(|both| both.map(Spread::json));
        json!({
            "proxy": self.proxy.name(), "workers": WORKERS, "connections": CONNECTIONS,
            "cpu_us": both(self.cpu_us), "cost_ratio": self.cost_ratio.map(Spread::json),
            "rate_ratio": self.rate_ratio.map(Spread::json),
            "cores_busy": both(self.cores_busy), "busier_to_mean": self.busier.json(),
            "gate": self.budget.gate, "gate_met": self.budget.gate_met(self.median()),
            "goal": self.budget.goal, "goal_met": self.budget.goal_met(self.median()),
        })
    }
}

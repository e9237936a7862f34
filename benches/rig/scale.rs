//! The fifth question: what many projects, many keys and many counters cost. Each proxy knows all
//! keys and lets no others in; one and the same program runs with one project and with all of
//! them side by side, and what a request costs is compared within a round.
//!
//! Requests come from all keys in turn, far apart from each other, so that none finds its own
//! still in a cache. All proxies are on one core, so a reload takes its time from who is served.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::case::Case;
use crate::child::ScratchFolder;
use crate::cost;
use crate::estate::Estate;
use crate::load::Load;
use crate::memory;
use crate::programs;
use crate::proxies::{Kind, Lineup, Room, Setup};
use crate::reload::{self, Reload};
use crate::spread::Spread;

/// Who is asked. nginx has the keys in a map, HAProxy in a pattern.
const ASKED: [Kind; 3] = [Kind::NginxPooled, Kind::HaproxyHttp, Kind::Vidette];
/// What the first requests make a process take is taken by none of the counters.
const WARM_UP: Duration = Duration::from_secs(1);
/// vidette notes how full its tables are once a second.
const NOTED_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
const COUNTERS: &str = "vidette_table_entries{table=\"quota_counters\"}";

/// How many, and how closely they are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) projects: u32,
    pub(crate) keys_each: u32,
    /// How often a configuration is checked, and reloaded.
    pub(crate) checks: u32,
    pub(crate) reloads: u32,
    /// How long the steady client is watched without a reload.
    pub(crate) quiet_for: Duration,
    /// Memory that has not shrunk for so long does not.
    pub(crate) steady_for: Duration,
    /// Whether all are put under load, or only what is vidette's own.
    pub(crate) all_loaded: bool,
}

/// One number, over all rounds or looks.
pub(crate) struct Row {
    what: String,
    proxy: Kind,
    unit: &'static str,
    measured: Spread,
    /// To something else, and what that is.
    ratio: Option<(Spread, &'static str)>,
}

/// One proxy with its keys.
struct Subject {
    lineup: Lineup,
    kind: Kind,
    estate: Estate,
}

/// What one kind of turn cost in each round, in microseconds.
struct Series {
    subject: usize,
    /// How many keys take part.
    keys: u32,
    /// Which one it is compared with, and what that is.
    beside: Option<(usize, &'static str)>,
    sent: u32,
    costs: Vec<f64>,
}

/// All of it: each proxy by itself first, then all of them under load in turns.
pub(crate) fn measure(
    setup: &Setup<'_>,
    load: &Load,
    sizes: Sizes,
    rounds: u32,
    turn: Duration,
) -> Result<Vec<Row>> {
    // Before what runs in them, so that they go after it.
    let mut folders = Vec::new();
    let stand_in = Lineup::start(setup, &[], Room::AsShipped)?;
    let (mut subjects, mut rows) = (Vec::new(), Vec::new());
    for estate in sizes.estates() {
        let folder = ScratchFolder::create(setup.folder.path(), &estate.short_name())?;
        estate.write_lists(folder.path())?;
        let own = Setup {
            folder: &folder,
            estate: Some(estate),
            ..*setup
        };
        let here = |kind: &Kind| match *kind == Kind::Vidette {
            true => setup.vidette.is_some(),
            false => !estate.counted,
        };
        for kind in ASKED.into_iter().filter(here) {
            let name = estate.name();
            eprintln!("rig: {} with {name}", kind.name());
            let mut subject = Subject {
                lineup: Lineup::before(&own, &[kind], Room::AsShipped, stand_in.upstream)?,
                kind,
                estate,
            };
            let looked = subject.look(&own, load, sizes);
            rows.extend(looked.with_context(|| format!("{} with {name}", kind.name()))?);
            subjects.push(subject);
        }
        folders.push(folder);
    }
    let mut series = series(&subjects, sizes);
    for round in 1..=rounds {
        for series in &mut series {
            series.turn(&mut subjects, load, round, turn)?;
        }
    }
    rows.extend((0..series.len()).filter_map(|at| Series::row(&series, at, &subjects)));
    Ok(rows)
}

impl Sizes {
    /// From few to many; the last has a counter for each key.
    fn estates(self) -> [Estate; 4] {
        let estate = |projects, keys_each, counted| Estate {
            projects,
            keys_each,
            counted,
        };
        [
            estate(1, 1, false),
            estate(self.projects, 1, false),
            estate(self.projects, self.keys_each, false),
            estate(self.projects, self.keys_each, true),
        ]
    }
}

impl Subject {
    /// What it takes while nobody but one client is there.
    fn look(&mut self, own: &Setup<'_>, load: &Load, sizes: Sizes) -> Result<Vec<Row>> {
        let (kind, estate) = (self.kind, self.estate);
        let proxy = self.lineup.proxies().next().context("it does not run")?;
        proxy.until_ready(load, &[Case::Small])?;
        let started = proxy.started.elapsed();
        if estate.counted {
            return Ok(vec![self.fill(load, sizes)?]);
        }
        let row = |what: &str, unit, measured: Vec<f64>| {
            Some(Row {
                what: format!("{}: {what}", estate.name()),
                proxy: kind,
                unit,
                measured: Spread::of(measured)?,
                ratio: None,
            })
        };
        let at_rest = memory::steady(proxy, sizes.steady_for)?;
        let checks = (0..sizes.checks).map(|_| checked(own, kind));
        let checks = checks.collect::<Result<Vec<f64>>>()?;
        let mut rows = vec![
            row("check", "ms", checks),
            row("start", "ms", vec![started.as_secs_f64() * 1e3]),
            row("at rest", "MB", vec![at_rest / 1e3]),
        ];
        if kind == Kind::Vidette {
            let request = load.request(proxy.port, Case::Small, &Case::Small.target())?;
            let mut reloads = Vec::new();
            for nth in 1..=sizes.reloads {
                reloads.push(reload::measure(
                    &mut self.lineup,
                    &request,
                    nth,
                    sizes.quiet_for,
                )?);
            }
            let proxy = self.lineup.proxies().next().context("it does not run")?;
            let after = memory::steady(proxy, sizes.steady_for)?;
            let of = |of: fn(&Reload) -> f64| reloads.iter().map(of).collect();
            let waits = row("longest wait in a reload", "ms", of(|one| one.waited_ms));
            let beside = Spread::of(of(|one| one.waited_ms / one.waited_before_ms));
            rows.extend([
                row("reload", "ms", of(|one| one.took_ms)),
                waits.map(|waits| Row {
                    ratio: beside.map(|beside| (beside, "to it without")),
                    ..waits
                }),
                row("at rest after the reloads", "MB", vec![after / 1e3]),
            ]);
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// Sends from each key once, so that each has a counter, and yields what one takes.
    fn fill(&mut self, load: &Load, sizes: Sizes) -> Result<Row> {
        let (estate, keys) = (self.estate, self.estate.keys());
        let admin = self.lineup.admin;
        let proxy = self.lineup.proxies().next().context("it does not run")?;
        let one = load.among(estate, 1, 0);
        one.send(proxy.port, Case::Small, WARM_UP, 0)?;
        let before = memory::steady(proxy, sizes.steady_for)?;
        let (mut sent, mut turns) = (0, 0);
        while sent < keys {
            let all = load.among(estate, keys, sent);
            sent += all.send(proxy.port, Case::Small, WARM_UP, 0)?.requests;
            turns += 1;
        }
        // wrk ends with a request under way on each connection, which may not have been sent whole.
        let due = f64::from(keys) - f64::from(turns * load.connections);
        let noted = Instant::now();
        let counters = loop {
            let live = reload::metric(admin, COUNTERS)?;
            if live >= due {
                break live;
            }
            ensure!(
                noted.elapsed() < NOTED_WITHIN,
                "{live} counters of {keys} are live after {sent} requests"
            );
            thread::sleep(POLL);
        };
        let each = (memory::steady(proxy, sizes.steady_for)? - before) * 1e3 / counters;
        Ok(Row {
            what: format!("each of {counters} live counters"),
            proxy: self.kind,
            unit: "bytes",
            measured: Spread::of(vec![each]).context("nothing was measured")?,
            ratio: None,
        })
    }
}

/// How long a check takes, in milliseconds.
fn checked(own: &Setup<'_>, kind: Kind) -> Result<f64> {
    let mut check = programs::check(own, kind);
    let started = Instant::now();
    let ended = check.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    ensure!(ended.success(), "a check ended with {ended}");
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// Each with all of its keys, beside itself with one project; where keys are counted, beside the
/// same with requests from one key.
fn series(subjects: &[Subject], sizes: Sizes) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (subject, of) in subjects.iter().enumerate() {
        if of.kind != Kind::Vidette && !sizes.all_loaded {
            continue;
        }
        let add = |all: &mut Vec<Series>, keys, beside| {
            all.push(Series {
                subject,
                keys,
                beside,
                sent: 0,
                costs: Vec::new(),
            });
        };
        if of.estate.counted {
            let one = all.len();
            add(&mut all, 1, None);
            add(&mut all, of.estate.keys(), Some((one, "to one key")));
            continue;
        }
        let same = |series: &Series| subjects.get(series.subject).map(|of| of.kind);
        let first = all.iter().position(|series| same(series) == Some(of.kind));
        let beside = first.map(|first| (first, "to 1 project"));
        add(&mut all, of.estate.keys(), beside);
    }
    all
}

impl Series {
    fn turn(
        &mut self,
        subjects: &mut [Subject],
        load: &Load,
        round: u32,
        turn: Duration,
    ) -> Result<()> {
        let subject = subjects.get_mut(self.subject);
        let Subject {
            lineup,
            kind,
            estate,
        } = subject.context("it does not run")?;
        let load = load.among(*estate, self.keys, self.sent);
        let cell = cost::one_turn(lineup, &load, Case::Small, *kind, round, turn)?;
        eprintln!("rig: round {round}, {} keys: {cell}", self.keys);
        self.sent = (self.sent + cell.requests()) % self.keys;
        self.costs.push(cell.cpu_us());
        Ok(())
    }

    fn row(all: &[Self], at: usize, subjects: &[Subject]) -> Option<Row> {
        let own = all.get(at)?;
        let subject = subjects.get(own.subject)?;
        let ratio = own.beside.and_then(|(beside, to)| {
            let beside = all.get(beside)?.costs.iter();
            let ratios = own
                .costs
                .iter()
                .zip(beside)
                .map(|(own, beside)| own / beside);
            Some((Spread::of(ratios.collect())?, to))
        });
        let name = subject.estate.name();
        Some(Row {
            what: match (subject.estate.counted, own.keys) {
                (false, _) => format!("{name}: CPU of a request"),
                (true, 1) => format!("{name}: CPU of a request, always of one key"),
                (true, _) => format!("{name}: CPU of a request, of each in turn"),
            },
            proxy: subject.kind,
            unit: "us",
            measured: Spread::of(own.costs.clone())?,
            ratio,
        })
    }
}

impl Row {
    /// A row of the table.
    pub(crate) fn markdown(&self) -> String {
        let Spread { min, median, max } = self.measured;
        let ratio = self.ratio.map_or(String::new(), |(ratio, to)| {
            let Spread { min, median, max } = ratio;
            format!("{median:.2} ({min:.2} to {max:.2}) {to}")
        });
        format!(
            "| {} | {} | {median:.1} {} ({min:.1} to {max:.1}) | {ratio} |\n",
            self.what,
            self.proxy.name(),
            self.unit,
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "what": self.what, "proxy": self.proxy.name(), "unit": self.unit,
            "measured": self.measured.json(),
            "ratio": self.ratio.map(|(ratio, _)| ratio.json()),
            "ratio_is": self.ratio.map(|(_, to)| to),
        })
    }
}

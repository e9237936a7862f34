//! What was typed, checked. Reads no file and starts nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::case::Case;
use crate::memory::Sizes;
use crate::scale;
use crate::uploads;
use crate::words::{self, Typed, UsageError};

/// Said where nothing was asked for.
pub(crate) const NOTHING: &str = "rig: nothing measured; run cargo bench --bench rig";

/// The rig's own help, also shown beside a usage error.
pub(crate) const HELP: &str = "\
What events cost in nginx, HAProxy and vidette, side by side.

usage: cargo bench --bench rig -- [OPTIONS]

  --only QUESTION     cost, latency, memory, workers or scale; may be given again [all]:
                        cost     CPU time of each kind of request
                        latency  how long clients wait at half load
                        memory   idle clients, and fast and slow uploads, on disk too
                        workers  two workers beside one: CPU time, and how evenly they share
                        scale    100,000 projects with a million keys, and as many counters:
                                 check, start, reload, memory, CPU time
  --case CASE         costs of these alone: small, large, attachment, packed, refused, spent,
                      tenth, alone, tls-full, tls-resumed; may be given again [all]
  --rounds N          rounds to measure [5]
  --seconds N         seconds a turn [3]
  --rate N            requests a second for latency [half of what the slowest can]
  --smoke             a little of everything, only checks that all is answered as is due
  --gate              exit 1 where a gate is missed
  --json FILE         the numbers for programs [rig.json in the target folder]
  --svg FILE          a picture of the costs
  --vidette PATH      the binary to measure [the one cargo built for this run]
  --without-vidette   measure the others only
  --install           first install what is missing, with tests/parts/install
  --help              this text

Needs nginx, haproxy, wrk and util-linux.";

/// Beyond these a run takes hours: more likely a slip than a wish.
const ROUNDS_MAX: u32 = 100;
const SECONDS_MAX: u32 = 60;
/// More than a thread on each of 32 connections can send.
const RATE_MAX: u32 = 200_000;

/// One thing to find out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// CPU time of each kind of request.
    Cost,
    /// How long clients wait at half load.
    Latency,
    /// What idle clients and uploads take.
    Memory,
    /// What a second worker costs and brings.
    Workers,
    /// What many projects, keys and counters cost.
    Scale,
}

impl Question {
    /// In the order in which they are asked.
    const ALL: [Self; 5] = [
        Self::Cost,
        Self::Latency,
        Self::Memory,
        Self::Workers,
        Self::Scale,
    ];

    /// As it is typed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Workers => "workers",
            Self::Scale => "scale",
        }
    }
}

/// What the run is to do.
pub(crate) struct Arguments {
    pub(crate) questions: Vec<Question>,
    pub(crate) cases: Vec<Case>,
    pub(crate) depth: Depth,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    /// Absent: half of what the slowest can.
    pub(crate) rate: Option<u32>,
    /// Absent only when it was asked to be: a missing binary is an error, not a shorter table.
    pub(crate) vidette: Option<PathBuf>,
    pub(crate) gate: bool,
    pub(crate) install: bool,
    /// Where the numbers go for other programs to read.
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Smoke,
    Measure,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(typed: impl Iterator<Item = String>) -> Result<Typed<Self>, UsageError> {
        let start = Self {
            questions: Vec::new(),
            cases: Vec::new(),
            depth: Depth::Measure,
            rounds: 5,
            seconds: 3,
            rate: None,
            vidette: Some(words::built_vidette()),
            gate: false,
            install: false,
            json: None,
            svg: None,
        };
        let mut typed = words::read(typed, start, |asked, word, words| {
            match word {
                "--only" => {
                    let question = words.one_of("--only", &Question::ALL, Question::name)?;
                    asked.questions.push(question);
                }
                "--case" => asked
                    .cases
                    .push(words.one_of("--case", &Case::ALL, Case::id)?),
                "--smoke" => asked.depth = Depth::Smoke,
                "--rounds" => asked.rounds = words.number("--rounds", ROUNDS_MAX)?,
                "--seconds" => asked.seconds = words.number("--seconds", SECONDS_MAX)?,
                "--rate" => asked.rate = Some(words.number("--rate", RATE_MAX)?),
                "--gate" => asked.gate = true,
                "--install" => asked.install = true,
                "--json" => asked.json = Some(words.path("--json")?),
                "--svg" => asked.svg = Some(words.path("--svg")?),
                "--vidette" => asked.vidette = Some(words.path("--vidette")?),
                "--without-vidette" => asked.vidette = None,
                _ => return Err(UsageError::Unknown(word.into())),
            }
            Ok(())
        })?;
        if let Typed::Run(asked) = &mut typed {
            asked.fill_in();
        }
        Ok(typed)
    }

    /// Nothing chosen is everything. A short run writes where it was told to, and nowhere else.
    fn fill_in(&mut self) {
        if self.questions.is_empty() {
            self.questions.extend(Question::ALL);
        }
        if self.cases.is_empty() {
            self.cases.extend(Case::ALL);
        }
        if self.json.is_none() && self.depth == Depth::Measure {
            self.json = Some(words::target_folder().join("rig.json"));
        }
    }

    /// How long a proxy has the load in a round.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Of the crowds that memory is looked at under.
    pub(crate) const fn sizes(&self) -> Sizes {
        match self.depth {
            Depth::Smoke => Sizes {
                idle: [50, 100],
                uploads: uploads::Sizes {
                    count: 4,
                    fast_bytes: 2_000_000,
                    slow_bytes: 2_000_000,
                    slow_for: Duration::from_millis(500),
                },
                steady_for: Duration::from_millis(200),
            },
            Depth::Measure => Sizes {
                idle: [3_000, 12_000],
                uploads: uploads::Sizes {
                    count: 100,
                    fast_bytes: 100_000_000,
                    slow_bytes: 10_000_000,
                    slow_for: Duration::from_secs(10),
                },
                steady_for: Duration::from_secs(6),
            },
        }
    }

    /// Of what is looked at on a large scale.
    pub(crate) const fn scale(&self) -> scale::Sizes {
        match self.depth {
            Depth::Smoke => scale::Sizes {
                projects: 1_000,
                keys_each: 10,
                checks: 1,
                reloads: 1,
                quiet_for: Duration::from_millis(100),
                steady_for: Duration::from_millis(200),
                all_loaded: false,
            },
            Depth::Measure => scale::Sizes {
                projects: 100_000,
                keys_each: 10,
                checks: 5,
                reloads: 2,
                quiet_for: Duration::from_secs(3),
                steady_for: Duration::from_secs(6),
                all_loaded: true,
            },
        }
    }
}

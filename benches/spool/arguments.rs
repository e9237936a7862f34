//! What was typed, checked. Reads no file and starts nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Said where nothing was asked for.
pub(crate) const NOTHING: &str = "spool: nothing measured; run cargo bench --bench spool";

/// The bench's own help, also shown beside a usage error.
pub(crate) const HELP: &str = "\
What the spool costs on this machine's disk.

usage: cargo bench --bench spool -- [OPTIONS]

  --only QUESTION     appends, replay, restart or uploads; may be given again [all]
  --smoke             little of everything, only checks that it works
  --json              the numbers for programs, in place of the table
  --vidette PATH      the binary to measure [the one cargo built for this run]
  --help              this text

Needs util-linux, and some 3 GB of free disk below cargo's target folder for a while.";

/// One thing to find out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// How fast events are kept.
    Appends,
    /// How fast they are sent again.
    Replay,
    /// What a restart with a full spool takes.
    Restart,
    /// What large uploads take of memory.
    Uploads,
}

impl Question {
    /// In the order in which they are asked.
    const ALL: [Self; 4] = [Self::Appends, Self::Replay, Self::Restart, Self::Uploads];

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Appends => "appends",
            Self::Replay => "replay",
            Self::Restart => "restart",
            Self::Uploads => "uploads",
        }
    }
}

/// How much of everything.
pub(crate) struct Sizes {
    /// Of what is measured in turns.
    pub(crate) rounds: u32,
    /// How long one way of appending is looked at in a round.
    pub(crate) turn: Duration,
    /// Events that are kept and sent again.
    pub(crate) replay_events: u64,
    /// Events that a restart finds.
    pub(crate) restart_events: u64,
    /// Uploads at once.
    pub(crate) uploads: u32,
    /// Bytes of each.
    pub(crate) upload_bytes: u64,
}

const MEASURE: Sizes = Sizes {
    rounds: 3,
    turn: Duration::from_secs(2),
    replay_events: 20_000,
    restart_events: 100_000,
    uploads: 100,
    upload_bytes: 100_000_000,
};

const SMOKE: Sizes = Sizes {
    rounds: 1,
    turn: Duration::from_millis(200),
    replay_events: 200,
    restart_events: 500,
    uploads: 4,
    upload_bytes: 2_000_000,
};

/// A run to make, or a word instead.
pub(crate) enum Typed {
    Run(Arguments),
    Help,
    /// Started without a word, as `cargo test --all-targets` does: minutes of load would be a surprise.
    Nothing,
}

/// What the run is to do.
pub(crate) struct Arguments {
    pub(crate) questions: Vec<Question>,
    pub(crate) sizes: Sizes,
    pub(crate) json: bool,
    pub(crate) vidette: PathBuf,
}

/// Why the arguments make no run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("unknown argument {0}")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("--only takes appends, replay, restart or uploads")]
    NoQuestion,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(typed: impl Iterator<Item = String>) -> Result<Typed, UsageError> {
        let mut typed = typed.peekable();
        if typed.peek().is_none() {
            return Ok(Typed::Nothing);
        }
        let mut questions = Vec::new();
        let (mut sizes, mut json, mut vidette) = (MEASURE, false, built_vidette());
        while let Some(argument) = typed.next() {
            match argument.as_str() {
                // Cargo adds this to every bench.
                "--bench" => {}
                "--help" | "-h" => return Ok(Typed::Help),
                "--smoke" => sizes = SMOKE,
                "--json" => json = true,
                "--vidette" => {
                    let path = typed.next().ok_or(UsageError::NoValue("--vidette"))?;
                    vidette = path.into();
                }
                "--only" => {
                    let name = typed.next().ok_or(UsageError::NoValue("--only"))?;
                    let mut all = Question::ALL.into_iter();
                    let question = all.find(|question| question.name() == name);
                    questions.push(question.ok_or(UsageError::NoQuestion)?);
                }
                _ => return Err(UsageError::Unknown(argument)),
            }
        }
        if questions.is_empty() {
            questions.extend(Question::ALL);
        }
        Ok(Typed::Run(Self {
            questions,
            sizes,
            json,
            vidette,
        }))
    }
}

/// The binary that cargo built beside this bench, with the same profile.
fn built_vidette() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_vidette") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("../release/vidette"),
    }
}

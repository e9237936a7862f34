//! What was typed, checked. Reads no file and starts nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::words::{self, Typed, UsageError};

/// Said where nothing was asked for.
pub(crate) const NOTHING: &str = "spool: nothing measured; run cargo bench --bench spool";

/// The bench's own help, also shown beside a usage error.
pub(crate) const HELP: &str = "\
What the spool costs on this machine's disk.

usage: cargo bench --bench spool -- [OPTIONS]

  --only QUESTION     appends, replay, restart or uploads; may be given again [all]
  --smoke             little of everything, only checks that it works
  --rounds N          rounds of what is measured in turns [3]
  --json              the numbers for programs, in place of the table
  --vidette PATH      the binary to measure [the one cargo built for this run]
  --help              this text

Needs util-linux, and some 3 GB of free disk below cargo's target folder for a while.";

/// More take hours: more likely a slip than a wish.
const ROUNDS_MAX: u32 = 100;

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

/// What the run is to do.
pub(crate) struct Arguments {
    pub(crate) questions: Vec<Question>,
    pub(crate) sizes: Sizes,
    pub(crate) json: bool,
    pub(crate) vidette: PathBuf,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(typed: impl Iterator<Item = String>) -> Result<Typed<Self>, UsageError> {
        let start = Self {
            questions: Vec::new(),
            sizes: MEASURE,
            json: false,
            vidette: words::built_vidette(),
        };
        let mut typed = words::read(typed, start, |asked, word, words| {
            match word {
                "--smoke" => asked.sizes = SMOKE,
                "--rounds" => asked.sizes.rounds = words.number("--rounds", ROUNDS_MAX)?,
                "--json" => asked.json = true,
                "--vidette" => asked.vidette = words.path("--vidette")?,
                "--only" => {
                    let question = words.one_of("--only", &Question::ALL, Question::name)?;
                    asked.questions.push(question);
                }
                _ => return Err(UsageError::Unknown(word.into())),
            }
            Ok(())
        })?;
        if let Typed::Run(asked) = &mut typed
            && asked.questions.is_empty()
        {
            asked.questions.extend(Question::ALL);
        }
        Ok(typed)
    }
}

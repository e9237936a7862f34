//! What was typed, checked. Reads no file and starts nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Said where nothing was asked for.
pub(crate) const NOTHING: &str = "rig: nothing measured; run cargo bench --bench rig";

/// The rig's own help, also shown beside a usage error.
pub(crate) const HELP: &str = "\
CPU time per event in nginx, HAProxy and vidette, side by side.

usage: cargo bench --bench rig -- [OPTIONS]

  --smoke             one second a pair, only checks that everything answers 200
  --rounds N          rounds to measure [5]
  --seconds N         seconds a turn [3]
  --gate              exit 1 where a gate is missed
  --vidette PATH      the binary to measure [the one cargo built for this run]
  --without-vidette   measure the others only
  --help              this text

Needs nginx, haproxy, wrk and util-linux. Writes rig.json into the target folder.";

/// Beyond these a run takes hours: more likely a slip than a wish.
const ROUNDS_MAX: u32 = 100;
const SECONDS_MAX: u32 = 60;

/// A run to make, or a word instead.
pub(crate) enum Typed {
    Run(Arguments),
    Help,
    /// Started without a word, as `cargo test --all-targets` does: minutes of load would be a surprise.
    Nothing,
}

/// What the run is to do.
pub(crate) struct Arguments {
    pub(crate) depth: Depth,
    /// Absent only when it was asked to be: a missing binary is an error, not a shorter table.
    pub(crate) vidette: Option<PathBuf>,
    pub(crate) gate: bool,
    /// Where the numbers go for other programs to read.
    pub(crate) json: PathBuf,
}

/// How closely to look.
pub(crate) enum Depth {
    Smoke,
    Measure { rounds: u32, turn: Duration },
}

/// Why the arguments make no run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("unknown argument {0}")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("{name} takes a number from 1 to {max}")]
    BadNumber { name: &'static str, max: u32 },
    #[error("--gate compares with vidette: it cannot go with --without-vidette")]
    GateOfNothing,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(typed: impl Iterator<Item = String>) -> Result<Typed, UsageError> {
        let mut typed = typed.peekable();
        if typed.peek().is_none() {
            return Ok(Typed::Nothing);
        }
        let (mut rounds, mut seconds, mut smoke, mut gate) = (5, 3, false, false);
        let mut vidette = Some(built_vidette());
        while let Some(argument) = typed.next() {
            match argument.as_str() {
                // Cargo adds this to every bench.
                "--bench" => {}
                "--help" | "-h" => return Ok(Typed::Help),
                "--smoke" => smoke = true,
                "--gate" => gate = true,
                "--without-vidette" => vidette = None,
                "--vidette" => {
                    let path = typed.next().ok_or(UsageError::NoValue("--vidette"))?;
                    vidette = Some(path.into());
                }
                "--rounds" => rounds = number("--rounds", ROUNDS_MAX, typed.next())?,
                "--seconds" => seconds = number("--seconds", SECONDS_MAX, typed.next())?,
                _ => return Err(UsageError::Unknown(argument)),
            }
        }
        if gate && vidette.is_none() {
            return Err(UsageError::GateOfNothing);
        }
        let turn = Duration::from_secs(seconds.into());
        let depth = if smoke {
            Depth::Smoke
        } else {
            Depth::Measure { rounds, turn }
        };
        Ok(Typed::Run(Self {
            depth,
            vidette,
            gate,
            json: target_folder().join("rig.json"),
        }))
    }
}

fn number(name: &'static str, max: u32, value: Option<String>) -> Result<u32, UsageError> {
    let value = value.ok_or(UsageError::NoValue(name))?;
    let parsed = value
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number));
    parsed.ok_or(UsageError::BadNumber { name, max })
}

/// The binary that cargo built beside this bench, with the same profile.
fn built_vidette() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_vidette") {
        Some(path) => path.into(),
        None => target_folder().join("release/vidette"),
    }
}

/// Cargo's target folder, wherever it was told to be.
fn target_folder() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary)
}

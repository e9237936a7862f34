//! The words that a bench was started with, read one after another. Knows the options that all
//! benches have and no other; reads no file and starts nothing.

use std::path::{Path, PathBuf};
use std::vec;

/// A run to make, or a word instead.
pub(crate) enum Typed<A> {
    Run(A),
    Help,
    /// Started without a word, as `cargo test --all-targets` does: minutes of load would be a surprise.
    Nothing,
}

/// Why the words make no run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("unknown argument {0}")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("{name} takes a number from 1 to {max}")]
    BadNumber { name: &'static str, max: u32 },
    #[error("{name} takes one of: {words}")]
    NotOneOf { name: &'static str, words: String },
}

/// What is still to be read.
pub(crate) struct Words(vec::IntoIter<String>);

impl Words {
    /// The value of the option that was just read.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, UsageError> {
        self.0.next().ok_or(UsageError::NoValue(name))
    }

    /// The same as a path, of which nothing is asked yet.
    pub(crate) fn path(&mut self, name: &'static str) -> Result<PathBuf, UsageError> {
        self.text(name).map(PathBuf::from)
    }

    /// The same as a number, at least one.
    pub(crate) fn number(&mut self, name: &'static str, max: u32) -> Result<u32, UsageError> {
        let parsed = self.text(name)?.parse().ok();
        let parsed = parsed.filter(|number| (1..=max).contains(number));
        parsed.ok_or(UsageError::BadNumber { name, max })
    }

    /// The same as the name of one of these.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        named: fn(T) -> &'static str,
    ) -> Result<T, UsageError> {
        let word = self.text(name)?;
        let mut known = all.iter().copied();
        known.find(|one| named(*one) == word).ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(|one| named(*one)).collect();
            let words = words.join(", ");
            UsageError::NotOneOf { name, words }
        })
    }
}

/// Reads the words after the program's name. `understand` gets each that is not every bench's
/// own, and what to write it into; it takes the word's value from the words that follow.
pub(crate) fn read<A>(
    typed: impl Iterator<Item = String>,
    mut asked: A,
    understand: impl Fn(&mut A, &str, &mut Words) -> Result<(), UsageError>,
) -> Result<Typed<A>, UsageError> {
    let mut words = Words(typed.collect::<Vec<String>>().into_iter());
    if words.0.as_slice().is_empty() {
        return Ok(Typed::Nothing);
    }
    while let Some(word) = words.0.next() {
        match word.as_str() {
            // Cargo adds this to every bench.
            "--bench" => {}
            "--help" | "-h" => return Ok(Typed::Help),
            word => understand(&mut asked, word, &mut words)?,
        }
    }
    Ok(Typed::Run(asked))
}

/// The binary that cargo built beside this bench, with the same profile.
pub(crate) fn built_vidette() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_vidette") {
        Some(path) => path.into(),
        None => target_folder().join("release/vidette"),
    }
}

/// Cargo's target folder, wherever it was told to be.
pub(crate) fn target_folder() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary)
}

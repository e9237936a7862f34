//! The log: one structured line an incident, text for people, JSON for machines, or levelled
//! lines for systemd's journal. Never a payload, a key or a client's address at its usual level.
//!
//! **The journal** is written to by stderr, each line behind its level (`<3>` and so on,
//! sd-daemon(3)), and not by its own socket: there each field would stand by itself, and
//! `journalctl -u vidette` shows none of them, so that what to do about an incident would be
//! hidden from whoever looks. So `journalctl -p err` works, and every line says it all; it asks
//! no crate, no second way out of a sandbox, and a line is an entry, since what breaks lines
//! inside of it is taken out.

mod journal;

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, for the journal where stderr is the journal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// For systemd's journal: a line is its level, the message and its fields.
    Journald,
}

impl Format {
    /// What `auto` comes to where this process runs.
    fn found(self) -> Self {
        match self {
            Self::Auto if journal::is_at_stderr() => Self::Journald,
            Self::Auto if std::io::stderr().is_terminal() => Self::Text,
            Self::Auto => Self::Json,
            Self::Text | Self::Json | Self::Journald => self,
        }
    }
}

/// Starts logging to stderr, panics included. A second call in one process changes nothing.
pub fn start(format: Format, level: LevelFilter) {
    let layer = fmt::layer().with_writer(std::io::stderr);
    let lines = match format.found() {
        Format::Json | Format::Auto => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(level)
            .boxed(),
        Format::Text => layer
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_filter(level)
            .boxed(),
        Format::Journald => layer
            .with_ansi(false)
            .event_format(journal::Lines::default())
            .with_filter(level)
            .boxed(),
    };
    match tracing_subscriber::registry().with(lines).try_init() {
        Ok(()) => super::panics::watch(),
        Err(_) => tracing::debug!("logging had been started before"),
    }
}

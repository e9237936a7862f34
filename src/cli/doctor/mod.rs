//! `vidette doctor`: finds what is wrong in front of, in and behind the edge.
//!
//! Owns what a finding is and how findings read. Never changes anything: each
//! names what to paste where.

mod compose;
mod cors;
mod dns;
mod ip;
mod tls;
mod upload;

use std::process::ExitCode;

use serde::Serialize;

use super::{plain, say};

/// What is looked at.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Subject {
    /// Whom the edge takes for the client, and why: lost and doubled users.
    #[command(after_help = "\
Example:
  vidette doctor ip")]
    Ip(ip::Arguments),
    /// What a browser is answered: events that never leave a page.
    #[command(after_help = "\
Examples:
  vidette doctor cors
  vidette doctor cors --url https://sentry.example.com --origin https://shop.example.com \\
      --dsn https://a94ae32be2584e0bbd7a4cbb95971fee@sentry.example.com/42")]
    Cors(cors::Arguments),
    /// The certificates shown here, those that end soon, and what a client makes of them.
    #[command(after_help = "\
Example:
  vidette doctor tls --url https://sentry.example.com")]
    Tls(tls::Arguments),
    /// The names of the upstreams: where they lead from here, and whether anybody listens there.
    #[command(after_help = "\
Example:
  vidette doctor dns")]
    Dns(dns::Arguments),
    /// Why source maps, debug files and large events do not arrive. Leaves nothing in Sentry.
    #[command(after_help = "\
Examples:
  vidette doctor upload --url https://sentry.example.com --org sentry
  vidette doctor upload --url https://sentry.example.com --sentry-token TOKEN --up-to 101MiB")]
    Upload(upload::Arguments),
    /// Self-hosted's Compose files: what of them stands in the way of an edge. Asks nobody.
    #[command(after_help = "\
Examples:
  vidette doctor compose
  vidette doctor compose self-hosted/docker-compose.yml
It reads the override, .env and .env.custom beside the file as Compose does.")]
    Compose(compose::Arguments),
}

pub(super) fn main(subject: &Subject) -> ExitCode {
    match subject {
        Subject::Ip(arguments) => ip::main(arguments),
        Subject::Cors(arguments) => cors::main(arguments),
        Subject::Tls(arguments) => tls::main(arguments),
        Subject::Dns(arguments) => dns::main(arguments),
        Subject::Upload(arguments) => upload::main(arguments),
        Subject::Compose(arguments) => compose::main(arguments),
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Ok,
    Warn,
    Problem,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    mark: Mark,
    /// What there is to see.
    seen: String,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
    /// A line for the configuration file or a shell, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    paste: Option<String>,
}

impl Finding {
    fn new(mark: Mark, seen: impl Into<String>) -> Self {
        Self {
            mark,
            seen: seen.into(),
            why: None,
            mend: None,
            paste: None,
        }
    }

    fn ok(seen: impl Into<String>) -> Self {
        Self::new(Mark::Ok, seen)
    }

    fn warn(seen: impl Into<String>) -> Self {
        Self::new(Mark::Warn, seen)
    }

    fn problem(seen: impl Into<String>) -> Self {
        Self::new(Mark::Problem, seen)
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn paste(mut self, paste: impl Into<String>) -> Self {
        self.paste = Some(paste.into());
        self
    }

    /// The mark and what was seen; below it the rest, each part on its line.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{:7}  {}", self.mark.as_str(), plain(&self.seen))];
        for (name, part) in [("why", &self.why), ("mend", &self.mend)] {
            if let Some(part) = part {
                lines.push(format!("{:7}  {name:4}  {}", "", plain(part)));
            }
        }
        // Whole and as it is, or it could not be pasted: it repeats the operator's own entries.
        if let Some(paste) = &self.paste {
            let name = if self.mend.is_some() { "" } else { "mend" };
            lines.push(format!("{:7}  {name:4}  {paste}", ""));
        }
        lines
    }
}

/// Prints findings for people.
fn show(findings: &[Finding]) {
    for line in findings.iter().flat_map(Finding::lines) {
        say(&line);
    }
}

/// 1 if anything is a problem.
fn exit_code(findings: &[Finding]) -> ExitCode {
    if findings.iter().any(|found| found.mark == Mark::Problem) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_why_and_how_in_columns() {
        let found = Finding::problem("no header")
            .why("browsers refuse it")
            .mend("add it")
            .paste("a: [b]");
        assert_eq!(
            found.lines(),
            [
                "problem  no header",
                "         why   browsers refuse it",
                "         mend  add it",
                "               a: [b]",
            ]
        );
        assert_eq!(Finding::ok("fine").lines(), ["ok       fine"]);
        // Nobody knew what a line was for that stood there alone.
        let alone = Finding::problem("it ends").paste("restart: always");
        assert_eq!(
            alone.lines(),
            ["problem  it ends", "         mend  restart: always"]
        );
    }

    #[test]
    fn only_a_problem_exits_with_1() {
        let (ok, warn) = (Finding::ok("a"), Finding::warn("b"));
        assert_eq!(exit_code(&[]), ExitCode::SUCCESS);
        assert_eq!(exit_code(&[ok, warn]), ExitCode::SUCCESS);
        assert_eq!(
            exit_code(&[Finding::ok("a"), Finding::problem("c")]),
            ExitCode::FAILURE
        );
    }
}

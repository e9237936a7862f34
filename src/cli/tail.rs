//! `vidette tail`: what becomes of each item, as it happens. Owns how it is asked for and shown;
//! what is told, how much of it and with what masks is the edge's to say.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http::StatusCode;
use serde::Deserialize;

use super::exchange::Hearing;
use super::project::number_of;
use super::{admin, fail, misused, plain};
use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::domain::units::show_duration;
use crate::telemetry::decisions::Outcome;

/// The edge's path of it.
const PATH: &str = "/api/v1/decisions";

/// How an event begins that tells something; comments do not.
const EVENT: &str = "data: ";

/// What `tail` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vidette tail --project 7 --outcome dropped
  vidette tail --reason quota --for 30s
  vidette tail --json -n 1000 | jq -r .ip | sort | uniq -c | sort -n
Times are UTC; keys and addresses are masked. Under load only some are told, and it is said of
how many nothing was. Ends when its reader does; exits 1 when the edge goes away.")]
pub(super) struct Arguments {
    /// Only of this project, by its number or its name in the configuration.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only what was forwarded, spooled or dropped.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only what was dropped for this reason, such as quota.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only items of this category, such as error.
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// End after so many.
    #[arg(short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Option<Duration>,
    /// What the edge tells unchanged, one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    address: admin::Address,
}

/// One decision. Fields that a later edge adds are passed over.
#[derive(Deserialize)]
struct Decision {
    at: String,
    project: Option<u64>,
    key: Option<String>,
    ip: Option<String>,
    category: String,
    outcome: String,
    reason: Option<String>,
    items: u64,
    bytes: u64,
    #[serde(default)]
    skipped: u64,
}

fn time(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "not a time; write 30s, 5m or 2h".to_owned())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let address = &arguments.address;
    let project = match number_of(address, arguments.project.as_deref()) {
        Ok(project) => project,
        Err(wrong) => return wrong.exit_code(),
    };
    // Who looks at a screen sees that it listens; a pipe gets decisions alone.
    let watched = io::stderr().is_terminal();
    let mut begun = false;
    // A line is there once it is written, whoever reads: not in blocks.
    let mut lines = Lines::new(io::stdout().lock(), arguments);
    let answered = address.listen(&path(arguments, project), arguments.lasts, |line| {
        if watched && !std::mem::replace(&mut begun, true) {
            eprintln!("{}", listening(arguments, project));
        }
        lines.hear(line)
    });
    match (answered, lines.fault) {
        (_, Some(error)) => fail(&error),
        (Ok(None), None) => {
            if watched && !lines.heard {
                eprintln!("nothing came");
            }
            ExitCode::SUCCESS
        }
        // What there is not to be asked for; the edge names what there is.
        (Ok(Some(answer)), None) if answer.status == StatusCode::BAD_REQUEST => {
            misused(&anyhow!(meant(arguments).unwrap_or_else(|| answer.fault())))
        }
        (Ok(Some(answer)), None) => {
            let refused = answer.json::<serde_json::Value>();
            fail(&refused.err().unwrap_or_else(|| anyhow!(answer.fault())))
        }
        (Err(error), None) => fail(&error),
    }
}

/// What is listened to, and for how long, in words.
fn listening(arguments: &Arguments, project: Option<u64>) -> String {
    let mut words = format!("listening to {}", arguments.address.place());
    if let Some(project) = project {
        words.push_str(&format!(", project {project}"));
    }
    let asked = [
        ("outcome", &arguments.outcome),
        ("reason", &arguments.reason),
        ("category", &arguments.category),
    ];
    for (name, value) in asked {
        if let Some(value) = value {
            words.push_str(&format!(", {name} {}", plain(value)));
        }
    }
    match arguments.lasts {
        Some(lasts) => words.push_str(&format!(", for {}", show_duration(lasts))),
        None if arguments.count.is_none() => words.push_str("; Ctrl-C ends it"),
        None => {}
    }
    words
}

/// What was meant by the word that there is not, where a slip of the fingers explains it: shorter
/// than all that there are.
fn meant(arguments: &Arguments) -> Option<String> {
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|one| one.as_str()).collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|one| one.as_str()).collect();
    let categories: Vec<&str> = Category::ALL.iter().map(|one| one.name()).collect();
    let asked = [
        ("--outcome", &arguments.outcome, outcomes),
        ("--reason", &arguments.reason, reasons),
        ("--category", &arguments.category, categories),
    ];
    asked.into_iter().find_map(|(option, written, known)| {
        let written = written.as_deref()?;
        let unknown = !known.contains(&written);
        let near = unknown.then(|| crate::config::nearest(written, known.into_iter()))??;
        Some(format!(
            "{option}: there is no such word; did you mean \"{near}\"?"
        ))
    })
}

/// The path, with what is asked for. What is no plain word is asked for as it is, and refused.
fn path(arguments: &Arguments, project: Option<u64>) -> String {
    let project = project.map(|project| project.to_string());
    let asked = [
        ("project", &project),
        ("outcome", &arguments.outcome),
        ("reason", &arguments.reason),
        ("category", &arguments.category),
    ];
    let asked = asked.into_iter();
    let asked = asked.filter_map(|(name, value)| Some(format!("{name}={}", word(value.as_ref()?))));
    let query = asked.collect::<Vec<_>>().join("&");
    match query.is_empty() {
        true => PATH.to_owned(),
        false => format!("{PATH}?{query}"),
    }
}

/// A word as a query can hold it: what no name has becomes a dash, and no name has one. Neither is
/// one empty, which would ask for all.
fn word(value: &str) -> String {
    let named = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
    match value {
        "" => "-".to_owned(),
        value => value.replace(|ch| !named(ch), "-"),
    }
}

/// What is written of what is heard.
struct Lines<W> {
    out: W,
    json: bool,
    /// So many are still to come, if there is an end.
    left: Option<u64>,
    headed: bool,
    /// Something came.
    heard: bool,
    /// What was heard was none of it.
    fault: Option<anyhow::Error>,
}

impl<W: Write> Lines<W> {
    fn new(out: W, arguments: &Arguments) -> Self {
        Self {
            out,
            json: arguments.json,
            left: arguments.count,
            headed: false,
            heard: false,
            fault: None,
        }
    }

    fn hear(&mut self, line: &str) -> Hearing {
        let Some(told) = line.strip_prefix(EVENT) else {
            return Hearing::More;
        };
        self.heard = true;
        let text = match self.text(told) {
            Ok(text) => text,
            Err(error) => {
                self.fault = Some(error);
                return Hearing::Enough;
            }
        };
        let written = self.out.write_all(text.as_bytes());
        if written.and_then(|()| self.out.flush()).is_err() {
            // Nobody reads any more: that is all that was wanted.
            return Hearing::Enough;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        match self.left {
            Some(0) => Hearing::Enough,
            Some(_) | None => Hearing::More,
        }
    }

    fn text(&mut self, told: &str) -> anyhow::Result<String> {
        if self.json {
            return Ok(format!("{told}\n"));
        }
        let decision: Decision = serde_json::from_str(told)
            .context("what answers there tells no decisions, or is of another version")?;
        let mut text = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            text.push_str(&row([
                "time", "project", "key", "ip", "category", "outcome", "reason", "items", "bytes",
            ]));
        }
        if decision.skipped > 0 {
            text.push_str(&format!(
                "... {} more that are not shown\n",
                decision.skipped
            ));
        }
        text.push_str(&decision.row());
        Ok(text)
    }
}

impl Decision {
    fn row(&self) -> String {
        let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), plain);
        let project = self.project.map(|project| project.to_string());
        row([
            of_day(&plain(&self.at)),
            &or_dash(&project),
            &or_dash(&self.key),
            &or_dash(&self.ip),
            &plain(&self.category),
            &plain(&self.outcome),
            &or_dash(&self.reason),
            &self.items.to_string(),
            &self.bytes.to_string(),
        ])
    }
}

/// The time of day of a moment in RFC 3339.
fn of_day(at: &str) -> &str {
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    time.trim_end_matches('Z')
}

/// One line. Its columns are as wide as most of what stands in them; what is wider moves the rest.
fn row(fields: [&str; 9]) -> String {
    let [
        time,
        project,
        key,
        ip,
        category,
        outcome,
        reason,
        items,
        bytes,
    ] = fields;
    format!(
        "{time:12} {project:>8} {key:7} {ip:18} {category:14} {outcome:9} {reason:14} \
         {items:>6} {bytes:>9}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Asked {
        #[command(flatten)]
        tail: Arguments,
    }

    fn asked(words: &[&str]) -> Arguments {
        let words = ["tail"].iter().chain(words);
        Asked::try_parse_from(words).unwrap().tail
    }

    #[test]
    fn what_is_asked_for_is_in_the_path() {
        for (words, want) in [
            (&[][..], PATH),
            (
                &["--project", "7", "--outcome", "dropped"],
                "/api/v1/decisions?project=7&outcome=dropped",
            ),
            (
                &["--category", "error", "--reason", "quota"],
                "/api/v1/decisions?reason=quota&category=error",
            ),
            // No word can ask for something else, and none for all.
            (&["--reason", "a&b=\n"], "/api/v1/decisions?reason=a-b--"),
            (&["--reason", ""], "/api/v1/decisions?reason=-"),
        ] {
            let asked = asked(words);
            let project = asked
                .project
                .as_ref()
                .map(|project| project.parse().unwrap());
            assert_eq!(path(&asked, project), want, "{words:?}");
        }
    }

    #[test]
    fn who_watches_is_told_what_is_listened_to() {
        for (words, project, want) in [
            (&[][..], None, "listening to 127.0.0.1:9001; Ctrl-C ends it"),
            (
                &["--project", "shop", "--for", "90s"],
                Some(42),
                "listening to 127.0.0.1:9001, project 42, for 90s",
            ),
            (
                &["--outcome", "dropped", "--reason", "quota", "-n", "1"],
                None,
                "listening to 127.0.0.1:9001, outcome dropped, reason quota",
            ),
        ] {
            assert_eq!(listening(&asked(words), project), want, "{words:?}");
        }
    }

    /// All fifty words came, and the nearest was to be looked for among them.
    #[test]
    fn a_slip_of_the_fingers_is_answered_with_the_word_that_was_meant() {
        for (words, want) in [
            (
                ["--reason", "qouta"],
                Some("--reason: there is no such word; did you mean \"quota\"?"),
            ),
            (
                ["--category", "errors"],
                Some("--category: there is no such word; did you mean \"error\"?"),
            ),
            (
                ["--outcome", "droped"],
                Some("--outcome: there is no such word; did you mean \"dropped\"?"),
            ),
            (["--reason", "because of it"], None),
            // An edge of another version refuses what is a word here.
            (["--reason", "quota"], None),
        ] {
            assert_eq!(meant(&asked(&words)).as_deref(), want, "{words:?}");
        }
    }

    const TOLD: &str = r#"data: {"at":"2026-11-26T12:00:01.250Z","project":7,"key":"a94a...","ip":"203.0.113.x","category":"error","outcome":"dropped","reason":"quota","items":1,"bytes":1423,"skipped":0}"#;

    /// What is written of these lines, and whether more is wanted.
    fn heard(words: &[&str], lines: &[&str]) -> (String, Vec<Hearing>, bool) {
        let mut out = Vec::new();
        let mut told = Lines::new(&mut out, &asked(words));
        let wanted = lines.iter().map(|line| told.hear(line)).collect();
        let failed = told.fault.is_some();
        (String::from_utf8(out).unwrap(), wanted, failed)
    }

    #[test]
    fn decisions_stand_in_columns_below_their_names() {
        let unknown = TOLD
            .replace("7,", "null,")
            .replace("\"a94a...\"", "null")
            .replace("\"203.0.113.x\"", "null")
            .replace("\"quota\"", "null")
            .replace("\"skipped\":0", "\"skipped\":12");
        let (text, _, _) = heard(&[], &[": vidette", "", TOLD, "", &unknown]);
        let want = "\
time          project key     ip                 category       outcome   reason          items     bytes
12:00:01.250        7 a94a... 203.0.113.x        error          dropped   quota               1      1423
... 12 more that are not shown
12:00:01.250        - -       -                  error          dropped   -                   1      1423
";
        assert_eq!(text, want);
    }

    #[test]
    fn json_is_what_the_edge_tells() {
        let (text, _, _) = heard(&["--json"], &[": vidette", TOLD, ""]);
        assert_eq!(text, format!("{}\n", TOLD.strip_prefix("data: ").unwrap()));
    }

    #[test]
    fn it_ends_after_so_many() {
        let (text, wanted, _) = heard(&["--json", "-n", "2"], &[TOLD, "", TOLD]);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(wanted, [Hearing::More, Hearing::More, Hearing::Enough]);
    }

    #[test]
    fn what_is_no_decision_is_called_so() {
        let (text, wanted, failed) = heard(&[], &["data: {\"a\":1}"]);
        assert_eq!((text.as_str(), failed), ("", true));
        assert_eq!(wanted, [Hearing::Enough]);
    }

    #[test]
    fn nobody_who_reads_is_an_end() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::new(Closed, &asked(&[]));
        assert_eq!(lines.hear(TOLD), Hearing::Enough);
        assert!(lines.fault.is_none());
    }
}

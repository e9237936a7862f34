//! `vidette top`: who sends most, live on a terminal, as text elsewhere, as JSON once.
//! Owns how it is asked for; what is shown is asked anew each time, and nothing is kept.

mod answers;
mod asking;
mod figures;
mod plain;
mod question;
mod screen;
mod state;
mod view;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use http::Method;

use super::project::number_of;
use super::{admin, fail, say};
use crate::telemetry::live::senders::{By, MINUTES_MAX, Order};
use answers::Top;
use question::Question;
use state::State;

/// So many rows are asked for on a screen, which may be a tall one.
const SCREEN_ROWS: u16 = 50;

/// And so many for a text.
const TEXT_ROWS: u16 = 10;

/// The rarest and the most often that an edge is asked. More often nothing new is told.
const EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// What `top` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vidette top                                live; keys are named on the screen
  vidette top --by ip --project 42           who sends to project 42
  vidette top --by key --order dropped --plain -n 1
  vidette top --json | jq '.rows[0]'
On a terminal: p k r s i group by project, key, release, SDK or IP; 1 5 6 are the last minute, five
minutes, an hour; o orders, f keeps to the marked row's project, Enter opens it, q leaves.
Releases, SDKs and addresses are estimated where much comes in: it is said from how many.")]
pub(super) struct Arguments {
    /// What a row is.
    #[arg(long, default_value = "project", value_parser = one_of(By::ALL.map(|by| (by, by.as_str()))))]
    by: By,
    /// What comes first.
    #[arg(
        long,
        default_value = "items",
        value_parser = one_of(Order::ALL.map(|order| (order, order.as_str())))
    )]
    order: Order,
    /// The last so many minutes, 60 at most.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    minutes: u64,
    /// Only this project, by its number or its name in the configuration.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// So many rows: 10 as text, 50 on a screen.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
    rows: Option<u16>,
    /// How often it is asked anew.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = every)]
    every: Duration,
    /// As text, each time below the last, also on a terminal.
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// As text: end after so many times, else never.
    #[arg(short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The admin's answer unchanged, once.
    #[arg(long, conflicts_with = "count")]
    json: bool,
    #[command(flatten)]
    address: admin::Address,
}

/// Reads one of these names, and lists them in the help.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [(T, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(all.map(|(_, name)| name));
    names.try_map(move |text| {
        let mut all = all.iter();
        let found = all.find(|(_, name)| *name == text);
        found.map(|(one, _)| *one).ok_or("it is none of these")
    })
}

fn every(text: &str) -> Result<Duration, String> {
    let time = crate::config::duration(text).filter(|time| EVERY.contains(time));
    time.ok_or_else(|| "not a time from 1s to 1h; write 2s or 1m".to_owned())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    // A count is of texts: a screen has none.
    let is_text = arguments.plain || arguments.count.is_some() || !std::io::stdout().is_terminal();
    let rows = if is_text { TEXT_ROWS } else { SCREEN_ROWS };
    let project = match number_of(&arguments.address, arguments.project.as_deref()) {
        Ok(project) => project,
        Err(wrong) => return wrong.exit_code(),
    };
    let question = Question {
        by: arguments.by,
        order: arguments.order,
        minutes: arguments.minutes,
        project,
        rows: arguments.rows.unwrap_or(rows),
    };
    let ended = match (arguments.json, is_text) {
        (true, _) => once(&arguments.address, &question).map(|body| say(&body)),
        (false, true) => {
            let (every, count) = (arguments.every, arguments.count);
            return plain::tell(&arguments.address, &question, every, count);
        }
        (false, false) => {
            let state = State::new(question, arguments.address.place(), has_colours());
            screen::show(&arguments.address, state, arguments.every)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The edge's answer as it is.
fn once(address: &admin::Address, question: &Question) -> anyhow::Result<String> {
    let answer = address.ask(&Method::GET, &question.path())?;
    answer.json::<Top>()?;
    Ok(answer.body)
}

/// Unless somebody asks for none: <https://no-color.org>.
fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json};
    use super::*;

    #[test]
    fn an_interval_is_a_second_to_an_hour() {
        for (text, want) in [("1s", 1), ("2s", 2), ("1h", 3600)] {
            assert_eq!(every(text), Ok(Duration::from_secs(want)), "{text}");
        }
        for text in ["0s", "999ms", "3601s", "2", "soon"] {
            assert!(every(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_program_is_not_told_what_no_edge_says() {
        let question = Question::of(By::Key);
        let fake = Fake::start(|_| json("200 OK", "{}"));
        let error = once(&admin::Address::of(fake.address), &question).unwrap_err();
        assert!(error.to_string().contains("no vidette's admin"), "{error}");
        let fake = Fake::start(|_| json("200 OK", answers::TOP));
        let body = once(&admin::Address::of(fake.address), &question).unwrap();
        assert_eq!(body, answers::TOP);
        assert_eq!(fake.asked()[0].path, question.path());
    }
}

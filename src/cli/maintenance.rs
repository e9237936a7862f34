//! `vidette maintenance`: keep every event while Sentry is worked on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use http::StatusCode;
use serde_json::{Value, json};

use super::{admin, fail, misused, say};

/// The longest, as the edge has it: seven days.
const MAINTENANCE_S_MAX: u64 = 7 * 86_400;

/// What `maintenance` takes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Switch {
    /// Keep every event from now on; what was kept is sent once this is over.
    #[command(after_help = "\
Example:
  vidette maintenance on --for 40m")]
    On {
        /// For how long: 40m, 2h, 7d at most. It ends by itself.
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        lasts: Duration,
        #[command(flatten)]
        address: admin::Address,
    },
    /// Send events to Sentry again, and what was kept meanwhile.
    #[command(after_help = "\
Example:
  vidette maintenance off")]
    Off {
        #[command(flatten)]
        address: admin::Address,
    },
}

fn time(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|time| (1..=MAINTENANCE_S_MAX).contains(&time.as_secs()))
        .ok_or_else(|| "not a time from 1s to 7d; write 90s, 40m or 2h".to_owned())
}

pub(super) fn main(switch: &Switch) -> ExitCode {
    let (address, body) = match switch {
        Switch::On { lasts, address } => {
            let for_s = lasts.as_secs();
            (address, json!({"on": true, "for_s": for_s}))
        }
        Switch::Off { address } => (address, json!({"on": false})),
    };
    match steer(address, &body) {
        Ok(line) => {
            say(&line);
            ExitCode::SUCCESS
        }
        Err(Wrong::Asked(error)) => misused(&error),
        Err(Wrong::Failed(error)) => fail(&error),
    }
}

enum Wrong {
    Asked(anyhow::Error),
    Failed(anyhow::Error),
}

fn steer(address: &admin::Address, body: &Value) -> Result<String, Wrong> {
    let answer = address
        .post("/api/v1/maintenance", body)
        .map_err(Wrong::Failed)?;
    if answer.status == StatusCode::BAD_REQUEST {
        return Err(Wrong::Asked(anyhow::anyhow!(answer.fault())));
    }
    let told = || -> anyhow::Result<String> {
        let told: Value = answer.json()?;
        let until = told.pointer("/maintenance/until").and_then(Value::as_str);
        match (until, body.get("on") == Some(&json!(true))) {
            (Some(until), true) => Ok(format!(
                "maintenance is on until {until}: events are kept, and sent afterwards"
            )),
            (None, false) => Ok(
                "maintenance is off: what was kept is sent, unless the spool is paused".to_owned(),
            ),
            (_, _) => bail!("the edge says otherwise: {}", answer.body),
        }
    };
    told().map_err(Wrong::Failed)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json as answer};
    use super::*;

    #[track_caller]
    fn check(body: &Value, said: &'static str, want: Result<&str, &str>) {
        let fake = Fake::start(move |_| answer("200 OK", said));
        let told = steer(&admin::Address::of(fake.address), body);
        let told = told.map_err(|wrong| match wrong {
            Wrong::Asked(error) | Wrong::Failed(error) => format!("{error:#}"),
        });
        match want {
            Ok(want) => assert_eq!(told.as_deref(), Ok(want)),
            Err(want) => assert!(
                told.as_ref().is_err_and(|told| told.contains(want)),
                "{told:?}"
            ),
        }
    }

    #[test]
    fn the_answer_is_told_and_one_that_contradicts_is_an_error() {
        let on = json!({"on": true, "for_s": 60});
        let until = r#"{"maintenance":{"until":"2026-11-26T12:00:00.000Z"}}"#;
        let off = r#"{"maintenance":null}"#;
        check(
            &on,
            until,
            Ok(
                "maintenance is on until 2026-11-26T12:00:00.000Z: events are kept, and sent afterwards",
            ),
        );
        check(&on, off, Err("otherwise"));
        check(
            &json!({"on": false}),
            off,
            Ok("maintenance is off: what was kept is sent, unless the spool is paused"),
        );
        check(&json!({"on": false}), until, Err("otherwise"));
    }

    #[test]
    fn a_time_has_a_unit_and_is_one() {
        for (text, want) in [
            ("40m", Some(2400)),
            ("1s", Some(1)),
            ("0s", None),
            ("40", None),
        ] {
            assert_eq!(time(text).ok().map(|time| time.as_secs()), want, "{text}");
        }
    }
}

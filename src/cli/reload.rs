//! `vidette reload`: take up the configuration's changes now.

use std::process::ExitCode;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{admin, fail, plain, say};

/// What `reload` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer unchanged.
    #[arg(long)]
    json: bool,
}

/// What was taken up.
#[derive(Debug, Deserialize)]
struct Reloaded {
    /// Changed keys that are as they were until a restart.
    needs_restart: Vec<String>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match arguments.address.ask(&Method::POST, "/api/v1/reload") {
        Ok(answer) if answer.status == StatusCode::OK => match answer.read() {
            Ok(reloaded) => {
                match arguments.json {
                    true => say(&answer.body),
                    false => say(&sentence(&reloaded)),
                }
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Ok(answer) => {
            for line in errors(&answer.body) {
                eprintln!("{line}");
            }
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
    }
}

fn sentence(Reloaded { needs_restart }: &Reloaded) -> String {
    match &needs_restart[..] {
        [] => "reloaded".to_owned(),
        [one] => format!(
            "reloaded; this key counts at the next start only: {}",
            plain(one)
        ),
        several => format!(
            "reloaded; these keys count at the next start only: {}",
            plain(&several.join(", "))
        ),
    }
}

/// The configuration's errors as `check` prints them; any other answer as it is.
fn errors(body: &str) -> Vec<String> {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let listed = parsed
        .get("errors")
        .and_then(Value::as_array)
        .map(|errors| {
            errors
                .iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect()
        });
    listed.unwrap_or_else(|| vec![body.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: &str, want: &str) {
        let reloaded: Reloaded = serde_json::from_str(told).unwrap();
        assert_eq!(sentence(&reloaded), want);
    }

    #[test]
    fn what_was_taken_up_is_a_sentence() {
        check(r#"{"applied":true,"needs_restart":[]}"#, "reloaded");
        check(
            r#"{"applied":true,"needs_restart":["workers"]}"#,
            "reloaded; this key counts at the next start only: workers",
        );
        check(
            r#"{"applied":true,"needs_restart":["listen.admin","workers"]}"#,
            "reloaded; these keys count at the next start only: listen.admin, workers",
        );
    }
}

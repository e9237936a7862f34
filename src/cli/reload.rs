//! `vidette reload`: take up the configuration's changes now.

use std::process::ExitCode;

use http::{Method, StatusCode};
use serde_json::Value;

use super::{admin, fail, say};

pub(super) fn main(address: &admin::Address) -> ExitCode {
    match address.ask(&Method::POST, "/api/v1/reload") {
        Ok(answer) if answer.status == StatusCode::OK => {
            say(&answer.body);
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            for line in errors(&answer.body) {
                eprintln!("{line}");
            }
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
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

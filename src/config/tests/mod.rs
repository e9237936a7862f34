//! Owns the promises of the configuration as a whole: text and environment in,
//! configuration or errors out, to the letter.

mod access_log;
mod acme;
mod alerts;
mod cache;
mod disk_guard;
mod environment;
mod file;
mod habits;
mod loading;
mod mirrors;
mod moves;
mod network;
mod projects;
mod quotas;
mod reports;
mod schema;
mod sentry;
mod shared_quota;
mod shown;
mod spool;
mod tls;
mod uploads;
mod values;
mod wanted;

use super::*;

const UPSTREAM: &str = "upstream: {ingest: [\"http://relay:3000\"]}\n";

fn relay() -> Vec<UpstreamUrl> {
    vec![UpstreamUrl {
        scheme: Scheme::Http,
        host: "relay".to_owned(),
        port: 3000,
    }]
}

/// The configuration that a text with an upstream before it gives.
#[track_caller]
fn accepted(text: &str, env: &Env) -> Config {
    match parse("v.yml", &format!("{UPSTREAM}{text}"), env) {
        Ok((config, _)) => config,
        Err(errors) => panic!("refused: {errors}"),
    }
}

/// The errors of a text, as an operator sees them.
#[track_caller]
fn refused(text: &str, env: &Env) -> String {
    match parse("v.yml", text, env) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors.to_string(),
    }
}

/// `wrong` is the error up to the accepted forms; empty for an accepted text.
#[track_caller]
fn check_value(text: &str, wrong: &str) {
    match parse("v.yml", &format!("{UPSTREAM}{text}"), &Env::empty()) {
        Ok(_) => assert_eq!("", wrong, "accepted: {text}"),
        Err(errors) => {
            let shown = errors.to_string();
            let message = shown
                .split_once("error: ")
                .map_or("", |(_, message)| message);
            let got = message.split(';').next().unwrap_or_default();
            assert_eq!(got, wrong, "{text}: {shown}");
        }
    }
}

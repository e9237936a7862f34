//! The edge from outside: its built program between real sockets, before fakes
//! that stall, reset and lie, and beside nginx and HAProxy from Debian. Never looks
//! into its code.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a test that panics has failed, which is what it is for"
)]

mod access_log;
mod admin;
mod answers;
mod baselines;
mod books;
mod bugsink;
mod bugsink_addresses;
mod cache;
mod canary;
mod client;
mod client_ip;
mod clients;
mod command_line;
mod conformance;
mod cors;
mod credentials;
mod crossings;
mod dashboard;
mod decisions;
mod demo;
mod departures;
mod disk_guard;
mod door;
mod edge;
mod encoded_chunks;
mod exchange;
mod explained;
mod faults;
mod files;
mod framing;
mod front;
mod h2c;
mod haproxy;
mod heads;
mod hostile;
mod idle;
mod import_nginx;
mod incidents;
mod ingest;
mod journey;
mod kubernetes;
mod lessons;
mod line_one;
mod manual;
mod mirrors;
mod monitoring;
mod moves;
mod parts;
mod patterns;
mod privileges;
mod proxied;
mod quotas;
mod readme;
mod refusals;
mod reload;
mod reports;
mod routes;
mod schema;
mod send_test;
mod senders;
mod sentry_cli;
mod sentry_keys;
mod sentry_states;
mod shared_quotas;
mod soak;
mod spool;
mod stored_addresses;
mod switches;
mod systemd;
mod takeover;
mod tap;
mod tls;
mod top;
mod top_senders;
mod tunnel_clients;
mod upload_settings;
mod uploads;
mod upstream;
mod wanted;
mod way;
mod web;
mod wire;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// What becomes of requests, and of what is kept of them.
fn of_requests() -> Vec<Vec<Trial>> {
    vec![
        routes::trials(),
        credentials::trials(),
        client_ip::trials(),
        proxied::trials(),
        ingest::trials(),
        cors::trials(),
        framing::trials(),
        heads::trials(),
        refusals::trials(),
        h2c::trials(),
        departures::trials(),
        faults::trials(),
        answers::trials(),
        uploads::trials(),
        upload_settings::trials(),
        idle::trials(),
        web::trials(),
        cache::trials(),
        files::trials(),
        clients::trials(),
        crossings::trials(),
        sentry_cli::trials(),
        encoded_chunks::trials(),
        bugsink::trials(),
        bugsink_addresses::trials(),
        tunnel_clients::trials(),
        senders::trials(),
        quotas::trials(),
        reports::trials(),
        wanted::trials(),
        lessons::trials(),
        sentry_keys::trials(),
        sentry_states::trials(),
        line_one::trials(),
        moves::trials(),
        mirrors::trials(),
        stored_addresses::trials(),
        shared_quotas::trials(),
        spool::trials(),
        switches::trials(),
        disk_guard::trials(),
        tls::trials(),
        conformance::trials(),
        hostile::trials(),
        soak::trials(),
    ]
}

/// What an operator does and sees.
fn of_operators() -> Vec<Vec<Trial>> {
    vec![
        privileges::trials(),
        readme::trials(),
        admin::trials(),
        books::trials(),
        reload::trials(),
        command_line::trials(),
        manual::trials(),
        import_nginx::trials(),
        schema::trials(),
        dashboard::trials(),
        decisions::trials(),
        demo::trials(),
        systemd::trials(),
        kubernetes::trials(),
        takeover::trials(),
        monitoring::trials(),
        send_test::trials(),
        incidents::trials(),
        baselines::trials(),
        canary::trials(),
        explained::trials(),
        top::trials(),
        top_senders::trials(),
        access_log::trials(),
    ]
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let subjects = of_requests().into_iter().chain(of_operators());
    let trials: Vec<Trial> = subjects.flatten().collect();
    let left_out: Vec<String> = trials
        .iter()
        .filter(|trial| trial.has_ignored_flag())
        .map(|trial| format!("  {} (needs {})", trial.name(), trial.kind()))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !left_out.is_empty() && !arguments.list {
        println!(
            "left out, since their parts are not installed:\n{}\n",
            left_out.join("\n")
        );
    }
    conclusion.exit_code()
}

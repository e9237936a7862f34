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
mod books;
mod bugsink;
mod bugsink_addresses;
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
mod proxied;
mod quotas;
mod refusals;
mod reload;
mod reports;
mod routes;
mod schema;
mod send_test;
mod senders;
mod sentry_cli;
mod sentry_keys;
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
mod uploads;
mod upstream;
mod wanted;
mod way;
mod web;
mod wire;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Every subject's, in the order in which they are listed.
fn trials() -> Vec<Trial> {
    let subjects = [
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
        idle::trials(),
        web::trials(),
        files::trials(),
        admin::trials(),
        books::trials(),
        reload::trials(),
        command_line::trials(),
        manual::trials(),
        schema::trials(),
        dashboard::trials(),
        decisions::trials(),
        demo::trials(),
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
        line_one::trials(),
        moves::trials(),
        mirrors::trials(),
        stored_addresses::trials(),
        spool::trials(),
        switches::trials(),
        systemd::trials(),
        kubernetes::trials(),
        takeover::trials(),
        monitoring::trials(),
        send_test::trials(),
        disk_guard::trials(),
        incidents::trials(),
        explained::trials(),
        tls::trials(),
        top::trials(),
        top_senders::trials(),
        access_log::trials(),
        conformance::trials(),
        hostile::trials(),
        soak::trials(),
    ];
    subjects.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = trials();
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

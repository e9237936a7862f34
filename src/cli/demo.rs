//! `vidette demo`: see it work without any configuration.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::anyhow;
use tracing::level_filters::LevelFilter;

use crate::demo::{self, DemoError, Options};
use crate::telemetry::log::{self, Format};

use super::fail;

/// What `demo` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the edge takes events; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    public: SocketAddr,
    /// Where the page and the API are.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    admin: SocketAddr,
    /// Send nothing by itself.
    #[arg(long)]
    no_traffic: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    log::start(Format::Auto, LevelFilter::WARN);
    let options = Options {
        public: arguments.public,
        admin: arguments.admin,
        traffic: !arguments.no_traffic,
    };
    match demo::run(options, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&told(error).context("the demo cannot run")),
    }
}

/// The error, with how to have other addresses where one is taken.
fn told(error: DemoError) -> anyhow::Error {
    let taken = matches!(&error, DemoError::Edge(start) if start.is_address_taken());
    match taken {
        true => anyhow!(
            "{error}; another process has it: name other addresses with --public and --admin, \
             such as 127.0.0.1:0 (see vidette demo --help)"
        ),
        false => error.into(),
    }
}

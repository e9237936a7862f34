//! `vidette healthcheck`: for a container's health check, without any tool in
//! the image but this binary.

use std::process::ExitCode;

use http::{Method, StatusCode};

use super::{admin, fail};

pub(super) fn main(address: &admin::Address) -> ExitCode {
    match address.ask(&Method::GET, "/health/ready") {
        Ok(answer) if answer.status == StatusCode::OK => ExitCode::SUCCESS,
        Ok(answer) => fail(&anyhow::anyhow!("not ready: {}", answer.body)),
        Err(error) => fail(&error),
    }
}

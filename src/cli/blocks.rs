//! `vidette blocks`: the clients that are not heard for a while, and the end of it.

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::bail;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{admin, fail, plain, say};

/// The edge's path of them.
const PATH: &str = "/api/v1/blocks";

/// What `blocks` takes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show who is blocked, and until when.
    #[command(after_help = "\
Example:
  vidette blocks ls")]
    Ls {
        /// The admin's answer unchanged.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        address: admin::Address,
    },
    /// Hear a client again at once; should it go on misbehaving, it is blocked anew.
    #[command(after_help = "\
Example:
  vidette blocks lift 203.0.113.9")]
    Lift {
        /// Its address; of IPv6 any of its /64.
        #[arg(value_name = "IP")]
        client: IpAddr,
        #[command(flatten)]
        address: admin::Address,
    },
}

#[derive(Deserialize)]
struct Listed {
    blocked: u64,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    ip: String,
    until: String,
    misdeeds: u64,
}

pub(super) fn main(command: &Command) -> ExitCode {
    let said = match command {
        Command::Ls { json, address } => ls(address, *json),
        Command::Lift { client, address } => lift(address, *client),
    };
    match said {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn ls(address: &admin::Address, json: bool) -> anyhow::Result<String> {
    let answer = address.ask(&Method::GET, PATH)?;
    let listed: Listed = answer.json()?;
    if json {
        return Ok(answer.body);
    }
    if listed.blocks.is_empty() {
        return Ok("nobody is blocked".to_owned());
    }
    let widest = listed.blocks.iter().map(|block| block.ip.len()).max();
    let width = widest.unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for Block {
        ip,
        until,
        misdeeds,
    } in &listed.blocks
    {
        let (ip, until) = (plain(ip), plain(until));
        lines.push(format!(
            "{ip:width$}  until {until}  for {misdeeds} misdeeds"
        ));
    }
    let shown = u64::try_from(listed.blocks.len()).unwrap_or(u64::MAX);
    if listed.blocked > shown {
        lines.push(format!("and {} more", listed.blocked - shown));
    }
    Ok(lines.join("\n"))
}

fn lift(address: &admin::Address, client: IpAddr) -> anyhow::Result<String> {
    let answer = address.ask(&Method::DELETE, &format!("{PATH}/{client}"))?;
    match answer.status {
        StatusCode::OK => Ok(format!("{client} is heard again")),
        StatusCode::NOT_FOUND => bail!("{client} is not blocked"),
        _ => bail!("the edge answered {}: {}", answer.status, answer.fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json as answer};
    use super::*;

    #[track_caller]
    fn check_ls(body: &'static str, want: &str) {
        let fake = Fake::start(move |_| answer("200 OK", body));
        let told = ls(&admin::Address::of(fake.address), false).unwrap();
        assert_eq!(told, want);
    }

    #[test]
    fn the_blocked_stand_one_a_line() {
        check_ls(r#"{"blocked":0,"blocks":[]}"#, "nobody is blocked");
        check_ls(
            r#"{"blocked":3,"blocks":[
                {"ip":"203.0.113.9","until":"2026-11-26T12:00:00.000Z","misdeeds":100},
                {"ip":"2001:db8::","until":"2026-11-26T11:00:00.000Z","misdeeds":7}]}"#,
            "203.0.113.9  until 2026-11-26T12:00:00.000Z  for 100 misdeeds\n\
             2001:db8::   until 2026-11-26T11:00:00.000Z  for 7 misdeeds\n\
             and 1 more",
        );
    }

    #[test]
    fn a_lift_names_the_client_and_says_where_there_is_none() {
        let fake = Fake::start(|_| answer("200 OK", r#"{"lifted":true}"#));
        let address = admin::Address::of(fake.address);
        let told = lift(&address, "2001:db8::1".parse().unwrap()).unwrap();
        assert_eq!(told, "2001:db8::1 is heard again");
        let asked = fake.asked();
        let asked = (&*asked[0].method, &*asked[0].path);
        assert_eq!(asked, ("DELETE", "/api/v1/blocks/2001:db8::1"));
        let fake = Fake::start(|_| answer("404 Not Found", r#"{"error":"no"}"#));
        let address = admin::Address::of(fake.address);
        let error = lift(&address, "203.0.113.9".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "203.0.113.9 is not blocked");
    }
}

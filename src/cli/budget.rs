//! `vidette budget`: what is used of budgets and long quotas, and when all of it will be.
//! Owns how that reads; never changes a budget, which the configuration alone does.

use std::process::ExitCode;

use anyhow::bail;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::domain::units::about_size;
use crate::telemetry::clock::lasting;

use super::{admin, fail, plain, say};

/// The edge's path of them.
const PATH: &str = "/api/v1/budgets";

/// What `budget` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Nothing else can be done with them here: the configuration sets them.
    #[arg(value_name = "show", value_parser = ["show"], hide = true)]
    show: Option<String>,
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer unchanged.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Listed {
    disk_free_bytes: Option<u64>,
    budgets: Vec<Budget>,
    more: u64,
}

#[derive(Deserialize)]
struct Budget {
    owner: String,
    project: Option<u64>,
    quota: String,
    unit: String,
    used: u64,
    limit: u64,
    used_ratio: f64,
    spent: bool,
    per_hour: Option<u64>,
    reached_in_s: Option<u64>,
    days_of_disk: Option<u64>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match told(&arguments.address, arguments.json) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn told(address: &admin::Address, json: bool) -> anyhow::Result<String> {
    let answer = address.ask(&Method::GET, PATH)?;
    if answer.status != StatusCode::OK {
        bail!("the edge answered {}: {}", answer.status, answer.fault());
    }
    let listed: Listed = answer.json()?;
    match json {
        true => Ok(answer.body),
        false => Ok(table(&listed).join("\n")),
    }
}

/// Days, as far as anybody plans.
fn days_of(days: u64) -> String {
    const YEARS: u64 = 3650;
    match days {
        0..YEARS => format!("{days} d"),
        _ => "> 10 y".to_owned(),
    }
}

fn table(listed: &Listed) -> Vec<String> {
    let mut lines = Vec::new();
    if !listed.budgets.iter().any(|row| row.quota == "budget") {
        lines.push(
            "no budget is set: write budget: 5GiB in a project, in defaults or in global"
                .to_owned(),
        );
    }
    if !listed.budgets.is_empty() {
        lines.push(row(HEAD));
        lines.extend(
            listed
                .budgets
                .iter()
                .map(|budget| row(cells(budget).each_ref().map(|cell| &**cell))),
        );
    }
    if listed.more > 0 {
        lines.push(format!("and {} more", listed.more));
    }
    if let Some(free) = listed.disk_free_bytes {
        lines.push(format!(
            "{} are free on the guarded disk with the least; days are those of today's pace that fill it",
            about_size(free)
        ));
    }
    lines
}

const HEAD: [&str; 8] = [
    "project",
    "quota",
    "used",
    "of",
    "share",
    "an hour",
    "reached in",
    "disk",
];

fn row(cells: [&str; 8]) -> String {
    let [project, quota, used, limit, share, hourly, reached, days] = cells;
    let line = format!(
        "{project:>20}  {quota:<16}  {used:>10}  {limit:>10}  {share:>7}  {hourly:>10}  {reached:>12}  {days:>8}"
    );
    line.trim_end().to_owned()
}

fn cells(budget: &Budget) -> [String; 8] {
    let amount = |amount: u64| match &*budget.unit {
        "bytes" => about_size(amount),
        _ => amount.to_string(),
    };
    let reached = match (budget.spent, budget.reached_in_s) {
        (true, _) => "used up".to_owned(),
        (false, Some(in_s)) => lasting(in_s),
        (false, None) => "-".to_owned(),
    };
    let whose = match (&*budget.owner, budget.project) {
        (_, Some(project)) => project.to_string(),
        ("global", None) => "installation".to_owned(),
        (_, None) => "other".to_owned(),
    };
    let none = || "-".to_owned();
    [
        whose,
        plain(&budget.quota),
        amount(budget.used),
        amount(budget.limit),
        format!("{:.1}%", budget.used_ratio * 100.0),
        budget.per_hour.map_or_else(none, amount),
        reached,
        budget.days_of_disk.map_or_else(none, days_of),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json as answer};
    use super::*;

    #[track_caller]
    fn check(body: &'static str, want: &str) {
        let fake = Fake::start(move |_| answer("200 OK", body));
        assert_eq!(
            told(&admin::Address::of(fake.address), false).unwrap(),
            want
        );
    }

    #[test]
    fn budgets_stand_one_a_line_with_their_forecast() {
        check(
            r#"{"disk_free_bytes":128849018880,"more":2,"budgets":[
                {"owner":"global","project":null,"quota":"budget","unit":"bytes","used":21474836480,
                 "limit":53687091200,"used_ratio":0.4,"spent":false,"per_hour":2147483648,
                 "reached_in_s":54000,"days_of_disk":2},
                {"owner":"project","project":42,"quota":"budget","unit":"bytes","used":5368709120,
                 "limit":5368709120,"used_ratio":1.0,"spent":true,"per_hour":536870912,
                 "reached_in_s":null,"days_of_disk":3650},
                {"owner":"project","project":42,"quota":"error-1d","unit":"items","used":7,
                 "limit":1000,"used_ratio":0.007,"spent":false,"per_hour":null,
                 "reached_in_s":null,"days_of_disk":null}]}"#,
            "             project  quota                   used          of    share     an hour    reached in      disk\n        \
             installation  budget              20.0 GiB    50.0 GiB    40.0%     2.0 GiB          15 h       2 d\n                  \
             42  budget               5.0 GiB     5.0 GiB   100.0%   512.0 MiB       used up    > 10 y\n                  \
             42  error-1d                   7        1000     0.7%           -             -         -\n\
             and 2 more\n\
             120.0 GiB are free on the guarded disk with the least; days are those of today's pace that fill it",
        );
    }

    #[test]
    fn without_any_it_is_said_how_to_set_one() {
        check(
            r#"{"disk_free_bytes":null,"more":0,"budgets":[]}"#,
            "no budget is set: write budget: 5GiB in a project, in defaults or in global",
        );
    }

    #[test]
    fn a_program_gets_what_the_edge_said() {
        let body = r#"{"disk_free_bytes":null,"more":0,"budgets":[]}"#;
        let fake = Fake::start(move |_| answer("200 OK", body));
        assert_eq!(told(&admin::Address::of(fake.address), true).unwrap(), body);
        let asked = fake.asked();
        assert_eq!((&*asked[0].method, &*asked[0].path), ("GET", PATH));
    }
}

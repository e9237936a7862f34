//! `/api/v1/top`: who sends most, by project, key, release, SDK or address, in the last minutes. By
//! the requests that were looked at; exact numbers are the books'. Shows keys masked, and addresses
//! as they may be kept: whoever steers has to be able to name one.

use std::fmt::Display;
use std::str::FromStr;

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::policy::directory::Directory;
use crate::telemetry::live::heavy::Sent;
use crate::telemetry::live::senders::{By, Leader, MINUTES_MAX, Name, Order, Question, Top};

use super::{Answer, Desk, error_answer, json_answer};

/// The path.
pub(super) const PATH: &str = "/api/v1/top";

/// At most so many are named.
const NAMED_MAX: u64 = 100;

/// Where nothing else is asked for.
const MINUTES: u64 = 5;
const NAMED: u64 = 10;

/// Senders that were not seen to work, or name no project.
const UNPROVEN: &str = "unproven";

impl Desk {
    /// `/api/v1/top`.
    pub(super) fn top(&self, query: Option<&str>) -> Answer {
        match question(query.unwrap_or_default()) {
            Ok(asked) => {
                let top = self.live.top(self, &asked);
                let config = self.reloader.config();
                let rules = self.shared.rules.load();
                let told = told(&asked, &top, &config, &rules.gate.directory);
                json_answer(StatusCode::OK, &told)
            }
            Err(detail) => error_answer(StatusCode::BAD_REQUEST, &detail),
        }
    }
}

/// What is asked, or what of it there is not.
fn question(query: &str) -> Result<Question, String> {
    let mut asked = Question {
        by: By::Project,
        order: Order::Items,
        minutes: MINUTES,
        most: usize::try_from(NAMED).unwrap_or(usize::MAX),
        project: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "by" => asked.by = one_of("by", value, &By::ALL, By::as_str)?,
            "order" => asked.order = one_of("order", value, &Order::ALL, Order::as_str)?,
            "minutes" => asked.minutes = number("minutes", value, MINUTES_MAX)?,
            "n" => asked.most = number("n", value, NAMED_MAX).map(size)?,
            "project" if value.is_empty() => asked.project = None,
            "project" => {
                let project = ProjectId::parse(value.as_bytes());
                let project = project.ok_or("project: write a project's number, such as 42")?;
                asked.project = Some(project);
            }
            _ => return Err("there are by=, order=, minutes=, n= and project=".to_owned()),
        }
    }
    Ok(asked)
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn one_of<T: Copy>(
    name: &str,
    value: &str,
    all: &[T],
    called: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let mut found = all.iter().copied();
    found.find(|one| called(*one) == value).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| called(*one)).collect();
        format!("{name}: write one of {}", names.join(", "))
    })
}

fn number<T: FromStr + PartialOrd + From<u8> + Display>(
    name: &str,
    value: &str,
    most: T,
) -> Result<T, String> {
    let number = value.parse().ok();
    let number = number.filter(|number| *number >= T::from(1) && *number <= most);
    number.ok_or_else(|| format!("{name}: write a number from 1 to {most}"))
}

fn told(asked: &Question, top: &Top, config: &Config, directory: &Directory) -> Value {
    let leaders = top.leaders.iter();
    let rows = leaders.map(|leader| row(leader, config, directory));
    let Sent {
        items,
        bytes,
        dropped,
    } = top.others;
    json!({
        "by": asked.by.as_str(),
        "span_s": top.span_ms / 1000,
        "one_in": rounded(top.one_in, 10.0),
        "rows": rows.collect::<Vec<_>>(),
        "others": {"items": items, "bytes": bytes, "dropped": dropped},
    })
}

fn row(leader: &Leader, config: &Config, directory: &Directory) -> Value {
    let (name, label) = match &leader.name {
        Name::Project(None) => (UNPROVEN.to_owned(), None),
        Name::Project(Some(id)) => {
            let own = config.projects.iter().find(|own| own.id == *id);
            (id.to_string(), own.and_then(|own| own.name.as_deref()))
        }
        Name::Key(packed) => {
            let key = Key::unpacked(*packed);
            let named = directory.find(&key).and_then(|named| named.name.as_deref());
            (key.masked().to_string(), named)
        }
        Name::Text(text) => (text.as_ref().to_owned(), None),
        Name::Ip(address) => (address.to_string(), None),
    };
    json!({
        "name": name,
        "label": label,
        "project": leader.project.map(ProjectId::get),
        "items": leader.sent.items,
        "bytes": leader.sent.bytes,
        "dropped": leader.sent.dropped,
        "share": rounded(leader.share, 10_000.0),
    })
}

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read() {
        let asked = question("").unwrap();
        let told = (asked.by, asked.order, asked.minutes, asked.most);
        assert_eq!(told, (By::Project, Order::Items, 5, 10));
        let asked = question("by=ip&order=bytes&minutes=60&n=100&project=7").unwrap();
        let told = (asked.by, asked.order, asked.minutes, asked.most);
        assert_eq!(told, (By::Ip, Order::Bytes, 60, 100));
        assert_eq!(asked.project, ProjectId::parse(b"7"));
    }

    #[test]
    fn what_there_is_not_is_named_with_what_there_is() {
        for (query, want) in [
            ("by=user", "by: write one of project, key, release, sdk, ip"),
            ("order=", "order: write one of items, bytes, dropped"),
            ("minutes=61", "minutes: write a number from 1 to 60"),
            ("minutes=0", "minutes: write a number from 1 to 60"),
            ("n=101", "n: write a number from 1 to 100"),
            ("n=-1", "n: write a number from 1 to 100"),
            ("project=x", "project: write a project's number, such as 42"),
            ("b=ip", "there are by=, order=, minutes=, n= and project="),
        ] {
            assert_eq!(question(query).err().as_deref(), Some(want), "{query}");
        }
    }
}

//! `/api/v1/mutes`: what an operator switches on and off for a while. Reads what is
//! asked for and tells what is on; never decides what a switch does.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config;
use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::domain::switch::{Action, Effect, Switch};
use crate::telemetry::ledger::Account;
use crate::telemetry::process;

use super::{Answer, Desk, error_answer, json_answer, not_allowed};
use crate::server::memory::switches::{Asked, Ended, On, SWITCHES_MAX, Switchboard, moment};

/// The path of all, and of one behind a slash.
pub(super) const PATH: &str = "/api/v1/mutes";

/// Longer is a slip of the unit: what is to last belongs into the configuration.
const LASTS_S_MAX: u64 = 30 * 86_400;

/// Who switches, and why: a line in a table.
const BY_CHARS_MAX: usize = 100;
const WHY_CHARS_MAX: usize = 200;

/// So many are named in `status`.
const LISTED_MAX: usize = 20;

/// So many of its reasons are switches; of the others a number is enough.
const REASONS_MAX: usize = 5;

const FORM: &str = "write {\"project\": 42, \"category\": null, \"action\": \"mute\", \"value\": null, \
\"for_s\": 1800}, and \"by\" and \"why\" if you like";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    project: Option<u64>,
    category: Option<String>,
    action: Option<String>,
    value: Option<Written>,
    for_s: Option<u64>,
    by: Option<String>,
    why: Option<String>,
}

/// A share may be a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(serde_json::Number),
    Text(String),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Removal {
    by: Option<String>,
}

impl Desk {
    /// `/api/v1/mutes`, and `/api/v1/mutes/<id>`.
    pub(super) fn switch(
        &self,
        (method, path, query): (&Method, &str, Option<&str>),
        body: &[u8],
        peer: SocketAddr,
    ) -> Answer {
        let board = &self.switchboard;
        match (path.strip_prefix(PATH), method) {
            (Some(""), &(Method::GET | Method::HEAD)) => match query {
                None | Some("") | Some("history=false") => listed(board, false),
                Some("history=true") => listed(board, true),
                Some(_) => {
                    let detail = "GET takes ?history=true, or nothing";
                    error_answer(StatusCode::BAD_REQUEST, detail)
                }
            },
            (Some(""), &Method::POST) => self.set(body, peer),
            (Some(""), _) => not_allowed("GET, HEAD, POST"),
            (Some(rest), &Method::DELETE) => self.end(rest, body, peer),
            (_, _) => not_allowed("DELETE"),
        }
    }

    fn set(&self, body: &[u8], peer: SocketAddr) -> Answer {
        let Ok(form) = serde_json::from_slice::<Form>(body) else {
            return error_answer(StatusCode::BAD_REQUEST, FORM);
        };
        let asked = match asked(form, peer, process::now_ms()) {
            Ok(asked) => asked,
            Err(detail) => return error_answer(StatusCode::UNPROCESSABLE_ENTITY, &detail),
        };
        let Some(set) = self.switchboard.set(asked, process::now_s()) else {
            let detail =
                format!("{SWITCHES_MAX} switches are on, and no more can be: end some first");
            return error_answer(StatusCode::UNPROCESSABLE_ENTITY, &detail);
        };
        let told = json!({
            "id": set.on.id,
            "on": shown(&set.on, process::now_s()),
            "seen": self.is_seen(set.on.switch.project),
            "expires_at": moment(set.on.switch.until_unix_s),
            "replaced": set.replaced.as_ref().map(|was| shown(was, process::now_s())),
            "kept": set.kept,
        });
        json_answer(StatusCode::CREATED, &told)
    }

    /// Whether anything tells of a project: who names it, what was learned, or the books. What was
    /// sent to it with keys that were not seen to work is nobody's there.
    fn is_seen(&self, project: ProjectId) -> bool {
        let shared = &self.shared;
        let rules = shared.rules.load();
        let listed = || {
            let mut listed = rules.config.projects.iter();
            listed.any(|own| own.id == project)
        };
        let booked = || {
            let lines = shared.ledger.lines();
            let account = Account::Project(project);
            lines.iter().any(|line| line.account == account)
        };
        let (_, proven) = shared.verdicts.proves(Some(project));
        listed() || rules.gate.directory.has_project(project) || proven || booked()
    }

    fn end(&self, rest: &str, body: &[u8], peer: SocketAddr) -> Answer {
        let removal = match body {
            [] => Ok(Removal::default()),
            body => serde_json::from_slice::<Removal>(body),
        };
        let Ok(removal) = removal else {
            let detail = "write {\"by\": \"who ends it\"}, or nothing";
            return error_answer(StatusCode::BAD_REQUEST, detail);
        };
        let by = match by(removal.by, peer) {
            Ok(by) => by,
            Err(detail) => return error_answer(StatusCode::UNPROCESSABLE_ENTITY, &detail),
        };
        let id = rest.strip_prefix('/').and_then(|id| id.parse().ok());
        let now_s = process::now_s();
        match id.and_then(|id| self.switchboard.end(id, &by, now_s)) {
            Some(was) => {
                let told = json!({
                    "ended": shown(&was, now_s),
                    "kept": self.switchboard.is_kept(),
                });
                json_answer(StatusCode::OK, &told)
            }
            None => {
                let detail = "no switch of that id is on: GET /api/v1/mutes lists them";
                error_answer(StatusCode::NOT_FOUND, detail)
            }
        }
    }
}

/// What is asked for, checked; what is wrong with it says where.
fn asked(form: Form, peer: SocketAddr, now_ms: u64) -> Result<Asked, String> {
    let project = form.project.ok_or("project: missing; write its number")?;
    let project = ProjectId::parse(project.to_string().as_bytes());
    let project = project.ok_or("project: 0 is none; write its number")?;
    let actions = "write mute, limit or sample";
    let action = form.action.ok_or(format!("action: missing; {actions}"))?;
    let action = Action::of_name(&action).ok_or(format!("action: unknown; {actions}"))?;
    let category = form.category.as_deref().map(|name| category(name, action));
    let category = category
        .transpose()
        .map_err(|wrong| format!("category: {wrong}"))?;
    let value = form.value.map(|value| match value {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    });
    let effect = Effect::read(action, category, value.as_deref());
    let effect = effect.map_err(|error| format!("value: {error}"))?;
    let lasts_s = form
        .for_s
        .filter(|lasts_s| (1..=LASTS_S_MAX).contains(lasts_s));
    let lasts_s = lasts_s.ok_or(format!(
        "for_s: says for how long, in seconds: from 1 to {LASTS_S_MAX} (30 days)"
    ))?;
    Ok(Asked {
        switch: Switch {
            project,
            category,
            effect,
            // Never shorter than asked for.
            until_unix_s: now_ms.div_ceil(1000).saturating_add(lasts_s),
        },
        by: by(form.by, peer)?,
        why: form
            .why
            .map(|why| line("why", why, WHY_CHARS_MAX))
            .transpose()?,
    })
}

fn category(name: &str, action: Action) -> Result<Category, String> {
    if name == Category::ClientReport.name() {
        return Err(match action {
            Action::Sample => "client reports are never sampled".to_owned(),
            Action::Mute | Action::Limit => "client reports are never limited".to_owned(),
        });
    }
    config::category(name)
}

/// Who switches: as they say, else where they are.
fn by(given: Option<String>, peer: SocketAddr) -> Result<String, String> {
    match given {
        Some(by) => line("by", by, BY_CHARS_MAX),
        None => Ok(peer.ip().to_canonical().to_string()),
    }
}

/// A text that is one line, and short.
fn line(what: &str, text: String, chars_max: usize) -> Result<String, String> {
    let chars = text.chars().count();
    match (1..=chars_max).contains(&chars) && !text.chars().any(char::is_control) {
        true => Ok(text),
        false => Err(format!(
            "{what}: write one line of 1 to {chars_max} characters"
        )),
    }
}

fn listed(board: &Switchboard, history: bool) -> Answer {
    let now_s = process::now_s();
    let on: Vec<Value> = board.on().iter().map(|on| shown(on, now_s)).collect();
    let (max, kept) = (SWITCHES_MAX, board.is_kept());
    let told = match history {
        false => json!({"switches": on, "max": max, "kept": kept}),
        true => {
            // The latest first: that is what is asked about.
            let ended = board.ended();
            let ended: Vec<Value> = ended.iter().rev().map(shown_ended).collect();
            json!({"switches": on, "ended": ended, "max": max, "kept": kept})
        }
    };
    json_answer(StatusCode::OK, &told)
}

fn shown(on: &On, now_s: u64) -> Value {
    let Switch {
        project,
        category,
        effect,
        until_unix_s,
    } = on.switch;
    json!({
        "id": on.id,
        "project": project.get(),
        "category": category.map(Category::name),
        "action": effect.action().name(),
        "value": effect.value(),
        "by": on.by,
        "why": on.why,
        "set_at": moment(on.set_unix_s),
        "expires_at": moment(until_unix_s),
        "left_s": until_unix_s.saturating_sub(now_s),
    })
}

fn shown_ended(ended: &Ended) -> Value {
    let mut told = shown(&ended.was, ended.at_unix_s);
    if let Some(fields) = told.as_object_mut() {
        fields.remove("left_s");
        fields.insert("end".to_owned(), ended.end.name().into());
        fields.insert("ended_by".to_owned(), ended.by.clone().into());
        fields.insert("ended_at".to_owned(), moment(ended.at_unix_s).into());
    }
    told
}

/// What is on, in `status`.
pub(super) fn summary(board: &Switchboard) -> Value {
    let now_s = process::now_s();
    let on = board.on();
    let listed = on.iter().take(LISTED_MAX).map(|on| shown(on, now_s));
    json!({
        "count": on.len(),
        "kept": on.is_empty() || board.is_kept(),
        "list": listed.collect::<Vec<_>>(),
    })
}

/// What is on for a project.
pub(super) fn of_project(board: &Switchboard, project: ProjectId) -> Vec<Value> {
    let now_s = process::now_s();
    let on = board.on();
    let own = on.iter().filter(|on| on.switch.project == project);
    own.map(|on| shown(on, now_s)).collect()
}

/// The same in words.
pub(super) fn reasons(board: &Switchboard) -> Vec<String> {
    let on = board.on();
    let named = on.iter().take(REASONS_MAX).map(|on| {
        let until = moment(on.switch.until_unix_s);
        // To the minute: `2026-11-26 14:05`.
        let until = until.get(..16).unwrap_or_default().replace('T', " ");
        let Switch { project, .. } = on.switch;
        format!(
            "project {project}: {} until {until} UTC by {}",
            on.switch, on.by
        )
    });
    let mut reasons: Vec<String> = named.collect();
    let more = on.len() - reasons.len();
    if let Some(last) = reasons.last_mut().filter(|_| more > 0) {
        last.push_str(&format!("; and {more} more switches: vidette mute --list"));
    }
    if !on.is_empty() && !board.is_kept() {
        let detail =
            "state.path is off or cannot be written: a restart will not know of these switches";
        reasons.push(detail.to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: Value, want: Result<&str, &str>) {
        let peer = "[::ffff:203.0.113.9]:5000".parse().unwrap();
        let read = serde_json::from_value(form.clone()).map_err(|error| error.to_string());
        let told = read.and_then(|form| asked(form, peer, 1_000_001));
        let told = told.map(|asked| {
            let until = asked.switch.until_unix_s;
            format!("{} until {until} by {}", asked.switch, asked.by)
        });
        match want {
            Ok(want) => assert_eq!(told.as_deref(), Ok(want), "{form}"),
            Err(want) => {
                let error = told.expect_err(want);
                assert!(error.starts_with(want), "{form}: {error}");
            }
        }
    }

    fn with(changes: Value) -> Value {
        let mut form = json!({"project": 42, "action": "mute", "for_s": 60});
        let (Value::Object(form_fields), Value::Object(changes)) = (&mut form, changes) else {
            unreachable!("both are objects");
        };
        form_fields.extend(changes);
        form
    }

    #[test]
    fn what_is_asked_for_is_read() {
        check(with(json!({})), Ok("all muted until 1061 by 203.0.113.9"));
        check(
            with(json!({"category": null, "value": null, "by": "ops"})),
            Ok("all muted until 1061 by ops"),
        );
        check(
            with(json!({"value": 0.01})),
            Ok("all muted but for 1% until 1061 by 203.0.113.9"),
        );
        check(
            with(
                json!({"action": "limit", "category": "error", "value": "100/s", "for_s": 2_592_000}),
            ),
            Ok("error limited to 100/1s until 2593001 by 203.0.113.9"),
        );
        check(
            with(json!({"action": "sample", "value": "10%"})),
            Ok("all sampled to at most 10% until 1061 by 203.0.113.9"),
        );
    }

    #[test]
    fn what_is_wrong_says_where_and_what_to_write() {
        check(json!({}), Err("project: missing"));
        check(with(json!({"project": 0})), Err("project: 0"));
        check(json!({"project": 42}), Err("action: missing"));
        check(
            with(json!({"action": "mutes"})),
            Err("action: unknown; write mute, limit"),
        );
        check(with(json!({"for_s": 0})), Err("for_s: "));
        check(with(json!({"for_s": 2_592_001})), Err("for_s: "));
        check(with(json!({"for_s": null})), Err("for_s: "));
        check(with(json!({"value": "all"})), Err("value: no share"));
        check(with(json!({"action": "limit"})), Err("value: no limit"));
        check(
            with(json!({"action": "limit", "value": 100})),
            Err("value: no limit"),
        );
        check(
            with(json!({"category": "x\u{1b}"})),
            Err("category: an unknown category: write"),
        );
        check(
            with(json!({"category": "client_report"})),
            Err("category: client reports are never"),
        );
        for category in ["session", "monitor"] {
            let sample = json!({"action": "sample", "category": category, "value": 0.1});
            check(with(sample), Err("value: sessions, check-ins"));
        }
        check(with(json!({"by": ""})), Err("by: write one line"));
        check(
            with(json!({"by": "x".repeat(101)})),
            Err("by: write one line"),
        );
        check(with(json!({"why": "a\nb"})), Err("why: write one line"));
        check(with(json!({"until": 5})), Err("unknown field"));
    }

    #[test]
    fn an_unknown_category_is_told_the_nearest() {
        for (written, meant) in [("errors", "error"), ("eror", "error"), ("cron", "monitor")] {
            let told = category(written, Action::Mute).unwrap_err();
            assert!(
                told.ends_with(&format!("did you mean \"{meant}\"?")),
                "{told}"
            );
        }
    }
}

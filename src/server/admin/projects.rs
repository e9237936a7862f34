//! `/api/v1/projects`: who sends, and of one project its row in the books, its quotas, its keys
//! as far as eyes may see them, and what is switched on. Reads, never changes anything.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::endpoint::ProjectId;
use crate::policy::directory::Source;
use crate::telemetry::ledger::Account;
use crate::telemetry::live::leaders::{Tally, tallies};

use super::{Answer, Desk, error_answer, json_answer, ledger, limits, switches, told};

/// The path of all, and of one behind a slash.
pub(super) const PATH: &str = "/api/v1/projects";

/// So many are listed, those with the most bytes first; of the others the number is enough.
const LISTED_MAX: usize = 1000;

/// So many keys of a project are listed.
const KEYS_MAX: usize = 50;

impl Desk {
    /// `/api/v1/projects`, and `/api/v1/projects/<id>`.
    pub(super) fn projects(&self, path: &str) -> Answer {
        let missing = || error_answer(StatusCode::NOT_FOUND, "there is no such path");
        match path.strip_prefix(PATH) {
            Some("") => json_answer(StatusCode::OK, &self.all_projects()),
            Some(rest) => match rest.strip_prefix('/') {
                Some(id) => match ProjectId::parse(id.as_bytes()) {
                    Some(project) => json_answer(StatusCode::OK, &self.project(project)),
                    None => {
                        let detail = "write a project's number behind the slash";
                        error_answer(StatusCode::BAD_REQUEST, detail)
                    }
                },
                None => missing(),
            },
            None => missing(),
        }
    }

    /// Whoever is configured, or was heard.
    fn all_projects(&self) -> Value {
        let config = self.reloader.config();
        let configured = config.projects.iter();
        let mut all: BTreeMap<Account, Tally> = configured
            .map(|project| (Account::Project(project.id), Tally::default()))
            .collect();
        all.extend(tallies(&self.metrics.ledger.lines()));
        let mut all: Vec<(Account, Tally)> = all.into_iter().collect();
        all.sort_by_key(|(account, tally)| (std::cmp::Reverse(tally.bytes), *account));
        let listed = all.iter().take(LISTED_MAX);
        let listed: Vec<Value> = listed
            .map(|(account, tally)| tallied(&config, *account, *tally))
            .collect();
        json!({"count": all.len(), "projects": listed})
    }

    fn project(&self, project: ProjectId) -> Value {
        let config = self.reloader.config();
        let own = config.projects.iter().find(|own| own.id == project);
        let lines = self.metrics.ledger.lines();
        let account = Account::Project(project);
        let lines = lines.iter().filter(|line| line.account == account);
        let label = account.label();
        let quotas = limits::quotas_used(&self.shared).into_iter();
        let quotas = quotas.filter(|(project, ..)| *project == label);
        let quotas: Vec<Value> = quotas
            .map(|(_, name, ratio)| json!({"name": name, "ratio": ratio}))
            .collect();
        json!({
            "project": project.get(),
            "name": own.and_then(|own| own.name.as_deref()),
            "configured": own.is_some(),
            "rows": lines.map(ledger::row).collect::<Vec<_>>(),
            "quotas": quotas,
            "keys": self.keys_of(project),
            "switches": switches::of_project(&self.switchboard, project),
            "told": told::project(self, project),
        })
    }

    fn keys_of(&self, project: ProjectId) -> Vec<Value> {
        let rules = self.shared.rules.load();
        let keys = rules.gate.directory.of_project(project, KEYS_MAX);
        let keys = keys.map(|(key, named)| {
            json!({
                "key": key.masked().to_string(),
                "name": named.name,
                "enabled": named.enabled,
                "source": match named.source {
                    Source::Configured => "configured",
                    Source::File => "file",
                    Source::Sentry => "sentry",
                },
            })
        });
        keys.collect()
    }
}

/// An account with what it sent; a project with its name, if it has one.
pub(super) fn tallied(config: &Config, account: Account, tally: Tally) -> Value {
    let (project, name) = match account {
        Account::Project(id) => {
            let own = config.projects.iter().find(|own| own.id == id);
            (json!(id.get()), own.and_then(|own| own.name.as_deref()))
        }
        Account::Other | Account::Unproven => (json!(account.label()), None),
    };
    json!({
        "project": project,
        "name": name,
        "items": tally.items,
        "bytes": tally.bytes,
        "dropped": tally.dropped,
    })
}

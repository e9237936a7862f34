//! The line that would let a page's origin in: the list that counts for its project,
//! whole, and the origin behind it.
//!
//! Owns which list that is: a project's own replaces the default. Never changes one.

use anyhow::Context as _;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::admin;
use super::Probe;

/// What to write where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mend {
    /// Where the line stands now.
    pub(super) place: String,
    /// The whole line as it would be.
    pub(super) line: String,
}

/// What is read of the configuration in force.
#[derive(Deserialize)]
struct Config {
    defaults: Lists,
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: u64,
    #[serde(flatten)]
    lists: Lists,
}

#[derive(Deserialize)]
struct Lists {
    #[serde(default)]
    allowed_origins: Option<Vec<String>>,
}

/// Asks the edge for the list in force and adds the probe's origin to it.
pub(super) fn ask(address: &admin::Address, probe: &Probe) -> anyhow::Result<Mend> {
    let answer = address.ask(&Method::GET, "/api/v1/config")?;
    of(&answer.json()?, probe.project, &probe.origin)
}

fn of(config: &Config, project: u64, origin: &str) -> anyhow::Result<Mend> {
    let of_project = config.projects.iter().find(|known| known.id == project);
    let own = of_project.and_then(|project| project.lists.allowed_origins.as_ref());
    let (place, list) = match own {
        Some(own) => (
            format!("in projects, id {project}, let the list be as below; it replaces the default"),
            own,
        ),
        None => (
            "in defaults let the list be as below: the project has none of its own".to_owned(),
            config
                .defaults
                .allowed_origins
                .as_ref()
                .context("the edge shows no default list")?,
        ),
    };
    let list = list.iter().map(String::as_str).chain([origin]);
    // A JSON string is one of YAML too; a dollar would begin a variable.
    let list: Vec<String> = list
        .map(|pattern| Value::from(pattern.replace('$', "$$")).to_string())
        .collect();
    let line = format!("allowed_origins: [{}]", list.join(", "));
    Ok(Mend { place, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "defaults": {"allowed_origins": ["a.example"]},
        "projects": [
            {"id": 42, "keys": ["k"], "allowed_origins": ["*.shop.example", "b$.example"]},
            {"id": 43, "allowed_origins": []},
            {"id": 44, "name": "bare"}
        ]
    }"#;

    #[track_caller]
    fn check(project: u64, place: &str, line: &str) {
        let config = serde_json::from_str(CONFIG).unwrap();
        let mend = of(&config, project, "https://new.example").unwrap();
        assert!(mend.place.contains(place), "{project}: {}", mend.place);
        assert_eq!(mend.line, line, "{project}");
    }

    /// What was to be pasted named the new origin alone: it locked all other pages out,
    /// and stood in `defaults`, which a project with a list of its own never reads.
    #[test]
    fn the_list_that_counts_is_printed_whole() {
        check(
            42,
            "projects, id 42",
            r#"allowed_origins: ["*.shop.example", "b$$.example", "https://new.example"]"#,
        );
        check(
            43,
            "projects, id 43",
            r#"allowed_origins: ["https://new.example"]"#,
        );
        for project in [44, 1] {
            check(
                project,
                "in defaults",
                r#"allowed_origins: ["a.example", "https://new.example"]"#,
            );
        }
    }
}

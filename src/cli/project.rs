//! Which project is meant: by its number, or by the name that the running edge's configuration
//! gives it.

use anyhow::anyhow;
use http::Method;
use serde::Deserialize;

use super::{Wrong, admin};

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: u64,
    #[serde(default)]
    name: Option<String>,
}

/// The number of the project that was typed, if one was.
pub(super) fn number_of(
    address: &admin::Address,
    typed: Option<&str>,
) -> Result<Option<u64>, Wrong> {
    typed.map(|typed| number(address, typed)).transpose()
}

/// The number of the project that was typed. The edge is asked for names alone.
pub(super) fn number(address: &admin::Address, typed: &str) -> Result<u64, Wrong> {
    if typed.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = typed.parse().ok().filter(|number| *number != 0);
        return number.ok_or_else(|| Wrong::Asked(anyhow!("no project has such a number")));
    }
    let config: Config = address.ask(&Method::GET, "/api/v1/config")?.json()?;
    let named = config.projects.iter();
    let named = named.filter(|project| project.name.as_deref() == Some(typed));
    let numbers: Vec<String> = named.map(|project| project.id.to_string()).collect();
    match &numbers[..] {
        [number] => number
            .parse()
            .map_err(|error| Wrong::Failed(anyhow!("{error}"))),
        [] => Err(Wrong::Asked(anyhow!(
            "the configuration gives no project that name: write its number, as at the end of a DSN"
        ))),
        several => Err(Wrong::Asked(anyhow!(
            "several projects have that name: write the number of one ({})",
            several.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json};
    use super::*;

    const CONFIG: &str = r#"{"projects":[{"id":42,"name":"shop"},{"id":7,"name":"twin"},
        {"id":8,"name":"twin"},{"id":9}]}"#;

    #[track_caller]
    fn check(typed: &str, want: Result<u64, &str>, asks: usize) {
        let fake = Fake::start(|_| json("200 OK", CONFIG));
        let found = number(&admin::Address::of(fake.address), typed);
        let found = found.map_err(|wrong| match wrong {
            Wrong::Asked(error) => format!("{error:#}"),
            Wrong::Failed(error) => panic!("{typed}: {error:#}"),
        });
        match want {
            Ok(want) => assert_eq!(found, Ok(want), "{typed}"),
            Err(words) => {
                let error = found.unwrap_err();
                assert!(error.contains(words), "{typed}: {error}");
            }
        }
        assert_eq!(fake.asked().len(), asks, "{typed}");
    }

    #[test]
    fn a_project_is_typed_by_number_or_by_its_configured_name() {
        check("42", Ok(42), 0);
        check("shop", Ok(42), 1);
        check("Shop", Err("write its number"), 1);
        check("twin", Err("(7, 8)"), 1);
        for none in ["99999999999999999999", "0"] {
            check(none, Err("no project has such a number"), 0);
        }
    }
}

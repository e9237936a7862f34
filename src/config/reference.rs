//! Owns what a manual says of the file: each key with its default and its variable, from `keys`
//! and `defaults`, and what it means, from the comments of `config/vidette.yml`. Knows no markup.

use super::comments;
use super::defaults;
use super::keys::KEYS;
use super::kinds::Variable;
use super::show::flow;

/// One key, as a manual tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its path from the top, dots between.
    pub key: &'static str,
    /// Its default, as it is written. `None`: it must be set, or follows one that must.
    pub default: Option<String>,
    /// The environment variable that sets it; `None`: none does, or one for each part of it.
    pub variable: Option<String>,
    /// What it means, line by line; lines that begin with a blank are examples and tables.
    pub says: String,
}

/// Every key of this version, in the order of the file.
pub(super) fn keys() -> Vec<Told> {
    let said = comments::of_keys(comments::SHIPPED);
    let standing = defaults::config();
    let all = KEYS.iter().map(|key| Told {
        key: key.path,
        default: (!super::schema::WITHOUT_DEFAULT.contains(&key.path))
            .then(|| flow(&(key.used.show)(&standing))),
        variable: match key.used.variable {
            Variable::One | Variable::List | Variable::Keys { whole: true, .. } => {
                Some(key.variable())
            }
            Variable::Keys { whole: false, .. } | Variable::Never => None,
        },
        says: meaning(key.path, &said),
    });
    all.collect()
}

/// What is said of a key, or else of the section that it stands in.
fn meaning(path: &str, said: &std::collections::HashMap<String, String>) -> String {
    let own = said.get(path).filter(|says| !says.is_empty());
    let section = || path.rsplit_once('.').and_then(|(above, _)| said.get(above));
    own.or_else(section).cloned().unwrap_or_default()
}

/// What the file says of itself, before its first key.
pub(super) fn head() -> String {
    let lines = comments::SHIPPED.lines();
    let head = lines.map_while(|line| line.strip_prefix('#'));
    let head: Vec<&str> = head
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    head.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(key: &str) -> Told {
        let all = keys();
        let found = all.into_iter().find(|told| told.key == key);
        found.unwrap_or_else(|| panic!("no {key}"))
    }

    #[test]
    fn every_key_means_something() {
        let silent = keys().into_iter().filter(|told| told.says.is_empty());
        let silent: Vec<&str> = silent.map(|told| told.key).collect();
        assert!(silent.is_empty(), "{silent:?}");
        assert!(head().starts_with("vidette.yml: "), "{}", head());
    }

    #[test]
    fn a_key_is_told_with_its_default_and_its_variable() {
        let workers = told("workers");
        assert_eq!(workers.default.as_deref(), Some("auto"));
        assert_eq!(workers.variable.as_deref(), Some("VIDETTE_WORKERS"));
        assert!(workers.says.starts_with("Threads"), "{}", workers.says);
        assert_eq!(told("upstream.ingest").default, None);
        assert_eq!(told("projects").variable, None);
    }
}

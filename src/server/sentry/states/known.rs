//! The states that are known, and by whom: each key's own. Values only; knows neither how they
//! are read nor what is made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::project_state::ProjectState;

/// Who told a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    /// A file of Relay's.
    File,
    /// Sentry.
    Sentry,
}

/// The state of each key that there is one of. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known {
    /// By key.
    pub states: BTreeMap<Key, Arc<ProjectState>>,
}

/// What was told of one project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Project<'k> {
    /// Who told it.
    pub teller: Teller,
    /// What of it holds for all of its keys.
    pub state: &'k ProjectState,
}

impl Known {
    /// Whether a key's state says that events are taken under it.
    pub(crate) fn enables(key: &Key, state: &ProjectState) -> bool {
        let own = state.keys.iter().find(|own| own.key == *key);
        !state.disabled && own.is_none_or(|own| own.enabled)
    }

    /// What is told of each project. Of several keys' states they are the same, but for one that
    /// says no more than that its key is disabled.
    pub(crate) fn projects(&self, teller: Teller) -> BTreeMap<ProjectId, Project<'_>> {
        let mut projects = BTreeMap::new();
        for state in self.states.values() {
            if let Some(project) = state.project.filter(|_| !state.disabled) {
                projects.entry(project).or_insert(Project { teller, state });
            }
        }
        projects
    }
}

/// What is told of each project: a file's word goes before Sentry's, as whoever wrote it meant.
pub(crate) fn projects<'k>(
    files: Option<&'k Known>,
    sentry: Option<&'k Known>,
) -> BTreeMap<ProjectId, Project<'k>> {
    let told = |known: Option<&'k Known>, teller| {
        known.map_or_else(BTreeMap::new, |known| known.projects(teller))
    };
    let mut all = told(sentry, Teller::Sentry);
    all.extend(told(files, Teller::File));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(states: &[(u64, &str)]) -> Known {
        let key = |number: u64| Key::parse(format!("{number:032x}").as_bytes()).unwrap();
        let states = states.iter().map(|(number, text)| {
            let state = ProjectState::read(text).unwrap();
            (key(*number), Arc::new(state))
        });
        Known {
            states: states.collect(),
        }
    }

    #[track_caller]
    fn check(files: &[(u64, &str)], sentry: &[(u64, &str)], want: &[(u64, Teller, &str)]) {
        let (files, sentry) = (known(files), known(sentry));
        let all = projects(Some(&files), Some(&sentry)).into_iter();
        let all: Vec<_> = all
            .map(|(id, told)| (id.get(), told.teller, told.state.slug.as_deref().unwrap()))
            .collect();
        assert_eq!(all, want);
    }

    #[test]
    fn a_file_goes_before_sentry_and_a_disabled_key_says_nothing_of_its_project() {
        let told = r#"{"projectId":7,"slug":"sentrys"}"#;
        let file = r#"{"projectId":7,"slug":"file"}"#;
        let off = r#"{"projectId":7,"slug":"off","disabled":true}"#;
        let other = r#"{"projectId":8,"slug":"other"}"#;
        check(
            &[],
            &[(1, off), (2, told)],
            &[(7, Teller::Sentry, "sentrys")],
        );
        check(
            &[(1, file)],
            &[(1, told), (2, other)],
            &[(7, Teller::File, "file"), (8, Teller::Sentry, "other")],
        );
        check(&[], &[(1, off)], &[]);
        check(&[], &[(1, r#"{"slug":"of no project"}"#)], &[]);
    }
}

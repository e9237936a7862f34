//! A question for states and its answer, as JSON: `projectconfigs`, version 3. Never asks it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::talk::RelayError;
use crate::domain::credentials::Key;
use crate::domain::project_state::ProjectState;
use crate::policy::asking::{Depth, Question};

/// Where it is asked.
pub(super) const PATH: &str = "/api/0/relays/projectconfigs/?version=3";

/// What is said of one key.
#[derive(Debug)]
pub(super) enum Word {
    State(Box<ProjectState>),
    /// Disabled, and nothing more: so those are answered, too, that may not know.
    Disabled,
    Unchanged,
    Pending,
    Unknown,
    /// What nobody can read.
    Unreadable,
}

/// A question for these keys. It names the revisions that were told as much as is asked for now.
pub(super) fn question(asked: &[Question], depth: Depth) -> Value {
    let keys: Vec<&str> = asked.iter().map(|one| one.key.as_str()).collect();
    let rev = |one: &'_ Question| {
        let told = one.rev.as_ref().filter(|rev| rev.depth == depth);
        told.map(|rev| rev.word.clone())
    };
    let revs: Vec<Option<Box<str>>> = asked.iter().map(rev).collect();
    let mut question = json!({"publicKeys": keys, "revisions": revs});
    if depth == Depth::Full
        && let Some(fields) = question.as_object_mut()
    {
        fields.insert("fullConfig".to_owned(), Value::Bool(true));
    }
    question
}

#[derive(Deserialize)]
struct Answer<'r> {
    #[serde(borrow, default)]
    configs: HashMap<Cow<'r, str>, Option<&'r RawValue>>,
    #[serde(borrow, default)]
    pending: Option<HashSet<Cow<'r, str>>>,
    #[serde(borrow, default)]
    unchanged: Option<HashSet<Cow<'r, str>>>,
}

/// What an answer says of each key that was asked for. One of which it says nothing is asked for
/// again, as one that is being worked out.
pub(super) fn words<'q>(
    answer: &[u8],
    asked: &'q [Question],
) -> Result<Vec<(&'q Key, Word)>, RelayError> {
    // Its reader would take a list for an object's fields.
    let object = answer.trim_ascii_start().first() == Some(&b'{');
    let read = object
        .then(|| serde_json::from_slice(answer).ok())
        .flatten();
    let answer: Answer<'_> = read.ok_or(RelayError::Foreign)?;
    let among = |list: &Option<HashSet<Cow<'_, str>>>, key: &str| {
        list.as_ref().is_some_and(|list| list.contains(key))
    };
    let word = |one: &'q Question| {
        let key = one.key.as_str();
        let word = match answer.configs.get(key) {
            Some(Some(state)) => match ProjectState::read(state.get()) {
                Ok(state) if state.is_bare() => Word::Disabled,
                Ok(state) => Word::State(Box::new(state)),
                Err(_) => Word::Unreadable,
            },
            Some(None) => Word::Unknown,
            None if among(&answer.unchanged, key) => Word::Unchanged,
            None if among(&answer.pending, key) => Word::Pending,
            None => Word::Pending,
        };
        (&one.key, word)
    };
    Ok(asked.iter().map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::asking::Rev;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "22222222222222222222222222222222";

    fn asked() -> [Question; 2] {
        let of = |key: &str, rev: Option<&str>| Question {
            key: Key::parse(key.as_bytes()).unwrap(),
            rev: rev.map(|word| Rev {
                word: word.into(),
                depth: Depth::Full,
            }),
        };
        [of(KEY, None), of(OTHER, Some("5f1c"))]
    }

    #[test]
    fn a_question_says_how_much_it_wants_and_names_what_was_told_as_much() {
        let full = json!({
            "publicKeys": [KEY, OTHER], "revisions": [null, "5f1c"], "fullConfig": true
        });
        assert_eq!(question(&asked(), Depth::Full), full);
        // Nothing has changed since, and still less was told.
        let limited = json!({"publicKeys": [KEY, OTHER], "revisions": [null, null]});
        assert_eq!(question(&asked(), Depth::Limited), limited);
        let mut told = asked();
        told[1].rev.as_mut().unwrap().depth = Depth::Limited;
        let limited = json!({"publicKeys": [KEY, OTHER], "revisions": [null, "5f1c"]});
        assert_eq!(question(&told, Depth::Limited), limited);
    }

    /// What an answer says of the first of both keys.
    #[track_caller]
    fn check(answer: &str, want: &str) {
        let asked = asked();
        let told = match words(answer.as_bytes(), &asked) {
            Ok(words) => format!("{:?}", words[0].1),
            Err(error) => format!("{error:?}"),
        };
        assert!(told.starts_with(want), "{answer}: {told}");
    }

    #[test]
    fn each_key_has_its_word() {
        let of = |state: &str| format!(r#"{{"configs":{{"{KEY}":{state}}},"pending":[]}}"#);
        check(&of(r#"{"projectId":7}"#), "State");
        check(&of(r#"{"projectId":7,"disabled":true}"#), "State");
        check(&of(r#"{"disabled":true}"#), "Disabled");
        check(&of("null"), "Unknown");
        check(&of("7"), "Unreadable");
        let listed = |list: &str| format!(r#"{{"configs":{{}},"{list}":["{KEY}"]}}"#);
        check(&listed("pending"), "Pending");
        check(&listed("unchanged"), "Unchanged");
        check(
            r#"{"configs":{},"pending":null,"unchanged":null}"#,
            "Pending",
        );
        check("{}", "Pending");
        check("[]", "Foreign");
        check("<html>", "Foreign");
        check(r#"{"configs":[]}"#, "Foreign");
    }
}

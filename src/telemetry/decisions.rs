//! What became of one item, as it is told to whoever listens at that moment; and which of that a
//! listener asks for. Shows of keys and addresses what the access log does. Never tells anybody.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::domain::category::Category;
use crate::domain::credentials::Masked;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;

use super::access::Client;
use super::clock::rfc3339;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream has taken it.
    Forwarded,
    /// It is kept until the upstream takes it.
    Spooled,
    /// It went no further.
    Dropped,
}

impl Outcome {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Forwarded, Self::Spooled, Self::Dropped];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Spooled => "spooled",
            Self::Dropped => "dropped",
        }
    }
}

/// What was decided, of items that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Whose they are, where their key was seen to work and a project is known.
    pub project: Option<ProjectId>,
    /// What they are.
    pub category: Category,
    /// What became of them.
    pub outcome: Outcome,
    /// Why they were dropped.
    pub reason: Option<Reason>,
    /// How many.
    pub items: u64,
    /// Their bytes together, as far as they were known by then.
    pub bytes: u64,
}

/// The same with what is shown of their sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// When, in milliseconds of Unix time.
    pub at_ms: u64,
    /// What was decided.
    pub settled: Settled,
    /// Of their key; `None`: there was none that could be read, or it is not known any more.
    pub key: Option<Masked>,
    /// Of their client's address, where any of it may be shown.
    pub client: Option<Client>,
}

#[derive(Serialize)]
struct Object {
    at: String,
    project: Option<u64>,
    key: Option<String>,
    ip: Option<String>,
    category: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    items: u64,
    bytes: u64,
    skipped: u64,
}

impl Decision {
    /// As a server-sent event. `skipped`: how many of the listener's were not told before it.
    #[must_use]
    pub fn event(&self, skipped: u64) -> String {
        let Settled {
            project,
            category,
            outcome,
            reason,
            items,
            bytes,
        } = self.settled;
        let object = Object {
            at: rfc3339(UNIX_EPOCH + Duration::from_millis(self.at_ms)),
            project: project.map(ProjectId::get),
            key: self.key.map(|key| key.to_string()),
            ip: self.client.map(|client| client.to_string()),
            category: category.name(),
            outcome: outcome.as_str(),
            reason: reason.map(Reason::as_str),
            items,
            bytes,
            skipped,
        };
        // Texts and numbers: there is nothing in them that JSON could not hold.
        let json = serde_json::to_string(&object).unwrap_or_default();
        format!("data: {json}\n\n")
    }
}

/// What a listener asks for; the default asks for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    project: Option<ProjectId>,
    outcome: Option<Outcome>,
    reason: Option<Reason>,
    category: Option<Category>,
}

/// Why a query asks for nothing that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No project's number.
    #[error("project: write a project's number, such as 42")]
    Project,
    /// No outcome.
    #[error("outcome: write forwarded, spooled or dropped")]
    Outcome,
    /// No reason.
    #[error("reason: write one of {}", listed(Reason::ALL.iter().map(|reason| reason.as_str())))]
    Reason,
    /// No category.
    #[error("category: write one of {}", listed(Category::ALL.iter().map(|category| category.name())))]
    Category,
    /// A reason is asked of what has none.
    #[error("reason: only what is dropped has one, and outcome asks for something else")]
    Reasonless,
    /// Another parameter.
    #[error("there are project=, outcome=, reason= and category=, each once")]
    Parameter,
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl Filter {
    /// Reads a query; an empty value asks for nothing in particular.
    ///
    /// # Errors
    /// What of it there is not.
    pub fn read(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                return Err(FilterError::Parameter);
            }
            match name {
                "project" => filter.project = some(value, project, FilterError::Project)?,
                "outcome" => filter.outcome = some(value, outcome, FilterError::Outcome)?,
                "reason" => filter.reason = some(value, reason, FilterError::Reason)?,
                "category" => filter.category = some(value, category, FilterError::Category)?,
                _ => return Err(FilterError::Parameter),
            }
            seen.push(name);
        }
        let goes_on = matches!(filter.outcome, Some(Outcome::Forwarded | Outcome::Spooled));
        match filter.reason {
            Some(_) if goes_on => Err(FilterError::Reasonless),
            Some(_) | None => Ok(filter),
        }
    }

    /// Whether this is asked for.
    #[must_use]
    pub fn wants(&self, settled: &Settled) -> bool {
        fn is<T: PartialEq>(asked: Option<T>, has: Option<T>) -> bool {
            asked.is_none() || asked == has
        }
        is(self.project, settled.project)
            && is(self.outcome, Some(settled.outcome))
            && is(self.reason, settled.reason)
            && is(self.category, Some(settled.category))
    }
}

fn some<T>(
    value: &str,
    read: impl Fn(&str) -> Option<T>,
    error: FilterError,
) -> Result<Option<T>, FilterError> {
    match value {
        "" => Ok(None),
        value => read(value).map(Some).ok_or(error),
    }
}

fn project(value: &str) -> Option<ProjectId> {
    ProjectId::parse(value.as_bytes())
}

fn outcome(value: &str) -> Option<Outcome> {
    let mut all = Outcome::ALL.into_iter();
    all.find(|outcome| outcome.as_str() == value)
}

fn reason(value: &str) -> Option<Reason> {
    let mut all = Reason::ALL.iter().copied();
    all.find(|reason| reason.as_str() == value)
}

fn category(value: &str) -> Option<Category> {
    let mut all = Category::ALL.iter().copied();
    all.find(|category| category.name() == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::Key;

    const SETTLED: Settled = Settled {
        project: None,
        category: Category::Error,
        outcome: Outcome::Dropped,
        reason: Some(Reason::Quota),
        items: 1,
        bytes: 1423,
    };

    fn seven() -> Option<ProjectId> {
        ProjectId::parse(b"7")
    }

    #[test]
    fn a_decision_is_one_event_of_one_line() {
        let decision = Decision {
            at_ms: 1_700_000_000_123,
            settled: Settled {
                project: seven(),
                ..SETTLED
            },
            key: Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee").map(|key| key.masked()),
            client: Some(Client::Network("203.0.113.9".parse().unwrap())),
        };
        let want = concat!(
            r#"data: {"at":"2023-11-14T22:13:20.123Z","project":7,"key":"a94a...","#,
            r#""ip":"203.0.113.x","category":"error","outcome":"dropped","reason":"quota","#,
            r#""items":1,"bytes":1423,"skipped":3}"#,
            "\n\n"
        );
        assert_eq!(decision.event(3), want);
        let unknown = Decision {
            settled: SETTLED,
            key: None,
            client: None,
            ..decision
        };
        let event = unknown.event(0);
        assert!(
            event.contains(r#""project":null,"key":null,"ip":null"#),
            "{event}"
        );
    }

    #[track_caller]
    fn check(query: &str, want: Result<bool, FilterError>) {
        let settled = Settled {
            project: seven(),
            ..SETTLED
        };
        let wants = Filter::read(query).map(|filter| filter.wants(&settled));
        assert_eq!(wants, want, "{query}");
    }

    #[test]
    fn what_is_asked_for_is_told_and_the_rest_is_not() {
        for query in [
            "",
            "project=7",
            "outcome=dropped",
            "reason=quota",
            "category=error",
            "reason=quota&project=7&category=error&outcome=dropped",
            "project=&reason=",
            "&project=7&",
        ] {
            check(query, Ok(true));
        }
        for query in [
            "project=8",
            "outcome=forwarded",
            "outcome=spooled",
            "reason=rate",
            "category=unread",
            "project=7&category=session",
        ] {
            check(query, Ok(false));
        }
    }

    #[test]
    fn what_belongs_to_nobody_is_no_projects() {
        let filter = Filter::read("project=7").unwrap();
        assert!(!filter.wants(&SETTLED));
        assert!(Filter::default().wants(&SETTLED));
    }

    #[test]
    fn what_there_is_not_is_named_with_what_there_is() {
        for (query, want) in [
            ("project=x", FilterError::Project),
            ("project=0", FilterError::Project),
            ("outcome=lost", FilterError::Outcome),
            ("reason=Quota", FilterError::Reason),
            ("category=errors", FilterError::Category),
            ("outcome=spooled&reason=quota", FilterError::Reasonless),
            ("projct=7", FilterError::Parameter),
            ("project=7&project=8", FilterError::Parameter),
        ] {
            check(query, Err(want));
        }
        let said = FilterError::Reason.to_string();
        assert!(said.starts_with("reason: write one of no_key, "), "{said}");
        let said = FilterError::Category.to_string();
        assert!(
            said.ends_with("unknown") || said.contains(", unread"),
            "{said}"
        );
    }
}

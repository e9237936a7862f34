//! Owns the environment as a value: read once at start, never changed.

use std::collections::BTreeMap;

/// Environment variables, copied once. An empty variable counts as not set,
/// since that is how Compose hands on what its own `.env` leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The process's own. Names that are no UTF-8 are left out; values that are
    /// none keep a replacement character, which no check accepts where it matters.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        });
        Self(pairs.collect())
    }

    /// No variable at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variable's value, if it is set and not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variable's value, empty or not.
    pub(super) fn set(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names that begin so and are not empty, in order.
    pub(super) fn names<'e>(&'e self, prefix: &'e str) -> impl Iterator<Item = &'e str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, _)| name.as_str())
            .filter(move |name| name.starts_with(prefix))
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Env {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

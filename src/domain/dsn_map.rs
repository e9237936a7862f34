//! Where old DSNs lead: apps that were shipped with one go on sending to it for years, long after
//! its project has moved to another number, another key or another Sentry.
//!
//! Owns who is meant, and the path and DSN that stand in the old ones' place. Never looks at a
//! request as a whole, and never dials what a DSN names.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::credentials::Key;
use super::dsn;
use super::endpoint::{self, Ingest, ProjectId, Route};
use super::path::normalise;

/// So many other Sentrys may get copies while somebody moves: each takes a thread.
pub const MIRRORS_MAX: usize = 4;

/// One old DSN, and the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The old key.
    pub key: Key,
    /// The old project. `None`: whichever the key is used for.
    pub project: Option<ProjectId>,
    /// The new key.
    pub to_key: Key,
    /// The new project.
    pub to_project: ProjectId,
    /// The Sentry that has it now, by its name. `None`: the one that had the old.
    pub to_upstream: Option<Box<str>>,
}

impl Move {
    /// Whether another Sentry has the project now. That one numbers its projects anew: here it
    /// goes on as the old one's.
    #[must_use]
    pub const fn leads_away(&self) -> bool {
        self.to_upstream.is_some()
    }

    /// Whether it speaks of this key as it is used for a project. One that is used for none, as at
    /// `/api/store/`, is the key's own.
    #[must_use]
    pub fn is_of(&self, key: &Key, project: Option<ProjectId>) -> bool {
        let same = match (self.project, project) {
            (Some(own), Some(asked)) => own == asked,
            (None, _) | (_, None) => true,
        };
        same && self.key == *key
    }

    /// The raw path of an ingest request with the new project, and the new key where it holds the
    /// old one. A path that is not written in its normal form leaves in that. `None`: there is
    /// nothing in it to replace.
    #[must_use]
    pub fn path(&self, raw: &str) -> Option<String> {
        let normal = normalise(raw).ok()?;
        let Route::Ingest(Ingest {
            project: endpoint::Project::Number(_),
            path_key,
            ..
        }) = endpoint::route(&normal)
        else {
            return None;
        };
        let tail = normal.strip_prefix(b"/api/")?;
        let tail = tail.get(memchr::memchr(b'/', tail)?..)?;
        let mut path = format!("/api/{}", self.to_project);
        match path_key.filter(|key| *key == self.key.as_str().as_bytes()) {
            None => push_escaped(&mut path, tail),
            Some(key) => {
                // It is the last segment of all paths that hold one.
                let slash = if tail.ends_with(b"/") { "/" } else { "" };
                let before = tail.len().checked_sub(key.len() + slash.len())?;
                push_escaped(&mut path, tail.get(..before)?);
                path.push_str(self.to_key.as_str());
                path.push_str(slash);
            }
        }
        Some(path)
    }
}

/// Writes bytes of a normalised path so that they are read as the same again.
fn push_escaped(path: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        // What a path's segment may hold as it is (RFC 3986, section 3.3), and its slash.
        let plain = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        match plain {
            true => path.push(char::from(byte)),
            // Writing into memory cannot fail.
            false => _ = write!(path, "%{byte:02X}"),
        }
    }
}

/// All of them, by the old key; each leads one step, and no further.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DsnMap {
    moves: Vec<Move>,
    places: HashMap<[u8; 16], usize>,
    upstreams: Vec<Box<str>>,
}

impl DsnMap {
    /// A map of these. Of two with one key the first counts.
    #[must_use]
    pub fn new(moves: Vec<Move>) -> Self {
        let mut places = HashMap::with_capacity(moves.len());
        for (place, one) in moves.iter().enumerate() {
            places.entry(one.key.packed()).or_insert(place);
        }
        let names = moves.iter().filter_map(|one| one.to_upstream.clone());
        let mut upstreams: Vec<_> = names.collect();
        upstreams.sort_unstable();
        upstreams.dedup();
        Self {
            moves,
            places,
            upstreams,
        }
    }

    /// Whether it leads nobody anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The other Sentrys that any of them lead to, each once.
    #[must_use]
    pub fn upstreams(&self) -> &[Box<str>] {
        &self.upstreams
    }

    /// All of them, in their order.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The one of a key as it is used for a project, and its place among all.
    #[must_use]
    pub fn find(&self, key: &Key, project: Option<ProjectId>) -> Option<(usize, &Move)> {
        let (place, one) = self.of_key(key)?;
        one.is_of(key, project).then_some((place, one))
    }

    /// The new key of an old one, whatever that is used for: a trace names the key of the project
    /// that it began in, and no more.
    #[must_use]
    pub fn key(&self, key: &Key) -> Option<Key> {
        self.of_key(key).map(|(_, one)| one.to_key)
    }

    /// A DSN with its new key and project, and nothing else changed but that its obsolete secret is
    /// gone. `None`: it is none, or leads where it says.
    #[must_use]
    pub fn dsn(&self, text: &str) -> Option<String> {
        let dsn = dsn::parse(text).ok()?;
        let (_, to) = self.find(&dsn.key, Some(dsn.project))?;
        Some(format!(
            "{}://{}@{}{}/{}",
            dsn.scheme.as_str(),
            to.to_key.as_str(),
            dsn.authority,
            dsn.prefix,
            to.to_project
        ))
    }

    fn of_key(&self, key: &Key) -> Option<(usize, &Move)> {
        let place = *self.places.get(&key.packed())?;
        Some((place, self.moves.get(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
    const NEW: &str = "b94ae32be2584e0bbd7a4cbb95971fee";
    const OTHER: &str = "c94ae32be2584e0bbd7a4cbb95971fee";

    fn key(text: &str) -> Key {
        Key::parse(text.as_bytes()).unwrap()
    }

    fn project(number: u64) -> ProjectId {
        ProjectId::parse(number.to_string().as_bytes()).unwrap()
    }

    /// From project 12 to 42, by a new key.
    fn moved() -> Move {
        Move {
            key: key(OLD),
            project: Some(project(12)),
            to_key: key(NEW),
            to_project: project(42),
            to_upstream: None,
        }
    }

    #[track_caller]
    fn check_path(raw: &str, want: Option<&str>) {
        let keys = |text: &str| text.replace("OLD", OLD).replace("NEW", NEW);
        let path = moved().path(&keys(raw));
        assert_eq!(path, want.map(keys), "{raw}");
    }

    #[test]
    fn a_path_gets_the_new_project() {
        check_path("/api/12/envelope/", Some("/api/42/envelope/"));
        check_path("/api/12/minidump", Some("/api/42/minidump"));
        check_path("/api/12/x/y/", Some("/api/42/x/y/"));
        // The project of a browser that is asked for by its envelope's DSN alone.
        check_path("/api/7/envelope/", Some("/api/42/envelope/"));
    }

    #[test]
    fn a_path_gets_the_new_key_where_it_holds_the_old_one() {
        check_path("/api/12/unreal/OLD/", Some("/api/42/unreal/NEW/"));
        check_path("/api/12/cron/nightly/OLD", Some("/api/42/cron/nightly/NEW"));
        check_path(
            "/api/12/cron/nightly/OLD/",
            Some("/api/42/cron/nightly/NEW/"),
        );
        // A job may be called by what looks like a key.
        check_path("/api/12/cron/OLD/", Some("/api/42/cron/OLD/"));
        check_path("/api/12/cron/OLD/OLD", Some("/api/42/cron/OLD/NEW"));
        check_path(
            "/api/12/events/OLD/attachments/",
            Some("/api/42/events/OLD/attachments/"),
        );
    }

    #[test]
    fn a_path_that_is_written_otherwise_is_read_as_the_same_again() {
        check_path("//api//12///store/", Some("/api/42/store/"));
        check_path("/api/%31%32/envelope/", Some("/api/42/envelope/"));
        check_path("/api/12/cron/a%20b%2525/", Some("/api/42/cron/a%20b%2525/"));
        check_path("/api/12/cron/a%3Fb;c=d/", Some("/api/42/cron/a%3Fb;c=d/"));
        check_path("/x/../api/12/store/", Some("/api/42/store/"));
    }

    #[test]
    fn a_path_without_a_project_stays() {
        check_path("/api/store/", None);
        check_path("/api/0/projects/", None);
        check_path("/t", None);
        check_path("/api/99999999999999999999999/store/", None);
        check_path("/api/%", None);
    }

    #[track_caller]
    fn check_found(asked: (&str, Option<u64>), only: Option<u64>, found: bool) {
        let one = Move {
            project: only.map(project),
            ..moved()
        };
        let map = DsnMap::new(vec![one]);
        let hit = map.find(&key(asked.0), asked.1.map(project));
        assert_eq!(hit.is_some(), found, "{asked:?} {only:?}");
    }

    #[test]
    fn a_move_is_of_its_key_and_of_its_project_if_it_names_one() {
        check_found((OLD, Some(12)), Some(12), true);
        check_found((OLD, Some(13)), Some(12), false);
        check_found((OLD, None), Some(12), true);
        check_found((OLD, Some(13)), None, true);
        check_found((OTHER, Some(12)), Some(12), false);
        check_found((NEW, Some(42)), None, false);
    }

    #[track_caller]
    fn check_dsn(text: &str, want: Option<&str>) {
        let keys = |text: &str| text.replace("OLD", OLD).replace("NEW", NEW);
        let map = DsnMap::new(vec![moved()]);
        assert_eq!(map.dsn(&keys(text)), want.map(keys), "{text}");
    }

    #[test]
    fn a_dsn_keeps_its_host() {
        check_dsn(
            "https://OLD@sentry.example:8443/x/12",
            Some("https://NEW@sentry.example:8443/x/42"),
        );
        check_dsn("http://OLD:secret@[::1]/12", Some("http://NEW@[::1]/42"));
        check_dsn("https://OLD@sentry.example/13", None);
        check_dsn("https://NEW@sentry.example/42", None);
        check_dsn("OLD", None);
    }

    #[test]
    fn of_two_with_one_key_the_first_counts() {
        let second = Move {
            to_project: project(43),
            ..moved()
        };
        let map = DsnMap::new(vec![moved(), second]);
        let found = map.find(&key(OLD), Some(project(12)));
        assert_eq!(found, Some((0, &moved())));
        assert_eq!(map.key(&key(OLD)), Some(key(NEW)));
        assert_eq!(map.key(&key(NEW)), None);
        assert!(DsnMap::default().is_empty());
    }
}

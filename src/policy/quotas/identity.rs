//! What makes two counts the same one, over reloads and restarts: who owns the
//! quota, its name, its time and whom it is shared by; and for whom it counts.
//! Owns its spelling in the journal; never the count itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::quota::{By, Per};

/// Where a quota was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// A project.
    Project(ProjectId),
    /// A key, packed.
    Key([u8; 16]),
    /// Nowhere: an operator switched it on for a project.
    Switch(ProjectId),
    /// On Sentry's pages, for a project.
    Sentry(ProjectId),
    /// On Sentry's pages, for all projects of an organization together.
    Organization(u64),
}

/// A quota, whatever its limit is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) owner: Owner,
    pub(super) name: Box<str>,
    pub(super) per: Per,
    pub(super) by: By,
    /// Whether it counts bytes: so many of them are not as many items.
    pub(super) bytes: bool,
}

/// Whom one of its counters is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    /// Everybody under the quota.
    All,
    /// One project; `None` is all who name none.
    Project(Option<ProjectId>),
    /// One key, packed.
    Key([u8; 16]),
    /// All who found no place, of one project or of all.
    Rest(Option<ProjectId>),
    /// All whose keys nobody vouches for, of one project or of all. Never written down.
    Strangers(Option<ProjectId>),
}

/// An identity with a number that stands for it in this process.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) number: u64,
    pub(super) identity: Identity,
    /// Of its windows, as the latest configuration has it.
    limit: AtomicU64,
}

impl Named {
    /// One that no configuration has given a limit yet.
    pub(super) fn new(number: u64, identity: Identity) -> Self {
        Self {
            number,
            identity,
            limit: AtomicU64::new(0),
        }
    }

    /// The limit of each of its windows; 0: no configuration has one.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }
}

impl Identity {
    /// The time of its windows; `None`: it is a rate.
    pub(super) fn window_per(&self) -> Option<Per> {
        match self.per {
            Per::Rate(_) => None,
            per @ (Per::Window { .. } | Per::Month) => Some(per),
        }
    }

    /// Whether its counts are written down: windows, but of addresses, of which there are too many.
    pub(super) fn is_kept(&self) -> bool {
        self.window_per().is_some() && self.by != By::Ip
    }
}

/// One counter, in words: `project/42/errors/1h/project`, `default/all-1h/1h/key:key=<32 hex>`.
/// No white space.
#[derive(Clone, Copy)]
pub(super) struct Spelled<'a>(pub(super) &'a Identity, pub(super) Whom);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(identity, whom) = self;
        match identity.owner {
            Owner::Global => f.write_str("global")?,
            Owner::Defaults => f.write_str("default")?,
            Owner::Project(project) => write!(f, "project/{project}")?,
            Owner::Key(key) => write!(f, "key/{}", Key::unpacked(key).as_str())?,
            Owner::Switch(project) => write!(f, "switch/{project}")?,
            Owner::Sentry(project) => write!(f, "sentry/{project}")?,
            Owner::Organization(number) => write!(f, "organization/{number}")?,
        }
        let by = by_name(identity.by);
        let unit = if identity.bytes { BYTES } else { "" };
        write!(f, "/{}/{}/{by}{unit}", identity.name, identity.per)?;
        match whom {
            Whom::All => Ok(()),
            Whom::Project(project) => write!(f, ":project={}", number(*project)),
            Whom::Key(key) => write!(f, ":key={}", Key::unpacked(*key).as_str()),
            Whom::Rest(None) => f.write_str(":rest"),
            Whom::Rest(project) => write!(f, ":rest={}", number(*project)),
            Whom::Strangers(project) => write!(f, ":strangers={}", number(*project)),
        }
    }
}

/// No project has the number 0.
pub(super) fn number(project: Option<ProjectId>) -> u64 {
    project.map_or(0, ProjectId::get)
}

/// Behind the sharing of a quota that counts bytes.
const BYTES: &str = "+bytes";

fn by_name(by: By) -> &'static str {
    match by {
        By::Project => "project",
        By::Key => "key",
        By::Ip => "ip",
    }
}

/// Reads what [`Spelled`] wrote.
pub(super) fn read(text: &str) -> Option<(Identity, Whom)> {
    let (identity, whom) = match text.split_once(':') {
        Some((identity, whom)) => (identity, read_whom(whom)?),
        None => (text, Whom::All),
    };
    let mut parts = identity.split('/');
    let owner = match parts.next()? {
        "global" => Owner::Global,
        "default" => Owner::Defaults,
        "project" => Owner::Project(ProjectId::parse(parts.next()?.as_bytes())?),
        "switch" => Owner::Switch(ProjectId::parse(parts.next()?.as_bytes())?),
        "sentry" => Owner::Sentry(ProjectId::parse(parts.next()?.as_bytes())?),
        "organization" => Owner::Organization(read_number(parts.next()?)?),
        "key" => Owner::Key(Key::parse(parts.next()?.as_bytes())?.packed()),
        _ => return None,
    };
    let name = parts.next()?.into();
    let per = read_per(parts.next()?)?;
    let written = parts.next()?;
    let bytes = written.ends_with(BYTES);
    let written = written.strip_suffix(BYTES).unwrap_or(written);
    let mut all_by = [By::Project, By::Key, By::Ip].into_iter();
    let by = all_by.find(|by| by_name(*by) == written)?;
    let identity = Identity {
        owner,
        name,
        per,
        by,
        bytes,
    };
    parts.next().is_none().then_some((identity, whom))
}

fn read_whom(text: &str) -> Option<Whom> {
    let project = |digits: &str| match digits {
        "0" => Some(None),
        digits => ProjectId::parse(digits.as_bytes()).map(Some),
    };
    match text.split_once('=') {
        None if text == "rest" => Some(Whom::Rest(None)),
        Some(("project", digits)) => project(digits).map(Whom::Project),
        Some(("key", key)) => Some(Whom::Key(Key::parse(key.as_bytes())?.packed())),
        Some(("rest", digits)) => project(digits).map(Whom::Rest),
        None | Some(_) => None,
    }
}

/// Digits as a number is written, and nothing else.
fn read_number(digits: &str) -> Option<u64> {
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn read_per(text: &str) -> Option<Per> {
    if text == "1mo" {
        return Some(Per::Month);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = count.parse::<u64>().ok()?.checked_mul(millis)?;
    Per::of(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let (identity, whom) = read(text).unwrap();
        assert_eq!(Spelled(&identity, whom).to_string(), text);
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
        check("global/all-1mo/1mo/project");
        check("project/42/error+security-1h/1h/project");
        check("default/errors/90s/project:project=77");
        check("default/errors/2d/project:project=0");
        check("default/errors/1h/project:rest");
        check("default/a_b.c/1s/ip:rest=77");
        check("project/42/errors/500ms/ip:rest");
        check("project/42/attachments/1d/project+bytes");
        check("switch/42/error-1h/1h/project");
        check("sentry/42/project_quota/1h/project");
        check("organization/0/org_quota/1h/project");
        check(&format!("global/errors/1h/key:key={KEY}"));
        check(&format!("key/{KEY}/sentry/1h/key"));
    }

    #[test]
    fn what_nobody_wrote_is_not_read() {
        for text in [
            "",
            "global",
            "global/a/1h",
            "global/a/1h/team",
            "global/a/1h/project+items",
            "global/a/1h/project/more",
            "global/a/1h/project:team=5",
            "global/a/1h/project:",
            "global/a/60500ms/project",
            "global/a/h/project",
            "global/a/99999999999999999999d/project",
            "project/042/a/1h/project",
            "planet/a/1h/project",
            "organization/042/a/1h/project",
            "organization/-1/a/1h/project",
        ] {
            assert_eq!(read(text), None, "{text:?} was read");
        }
    }
}

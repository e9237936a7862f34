//! Who sends most, by project, key, release, SDK and address, in the minutes of the last hour: by
//! the requests that were looked at, each of which stands for some. Every minute and every table
//! has a limit. Never looks at a request, and never decides what of an address may be kept.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::endpoint::ProjectId;

use super::heavy::{Heavy, Sent};

/// How long a minute is.
pub(super) const MINUTE_MS: u64 = 60_000;

/// The minutes that are kept, beside the one that goes on.
pub const MINUTES_MAX: u64 = 60;

/// Those that a minute knows by name, of each kind: with strings as long as are let in some 40 KB,
/// and 12 MB in an hour, all kinds together.
const NAMES_MAX: usize = 128;

/// By what senders are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The project.
    Project,
    /// The key, of one project.
    Key,
    /// The release, of one project.
    Release,
    /// The SDK with its version.
    Sdk,
    /// The client's address.
    Ip,
}

impl By {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Project, Self::Key, Self::Release, Self::Sdk, Self::Ip];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Key => "key",
            Self::Release => "release",
            Self::Sdk => "sdk",
            Self::Ip => "ip",
        }
    }

    /// Whether two projects' senders of one name are two: another's release is another program.
    const fn is_projects_own(self) -> bool {
        matches!(self, Self::Project | Self::Key | Self::Release)
    }

    const fn place(self) -> usize {
        match self {
            Self::Project => 0,
            Self::Key => 1,
            Self::Release => 2,
            Self::Sdk => 3,
            Self::Ip => 4,
        }
    }
}

/// Which is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The most items.
    Items,
    /// The most bytes.
    Bytes,
    /// The most items that were dropped.
    Dropped,
}

impl Order {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Items, Self::Bytes, Self::Dropped];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Bytes => "bytes",
            Self::Dropped => "dropped",
        }
    }

    const fn of(self, sent: Sent) -> u64 {
        match self {
            Self::Items => sent.items,
            Self::Bytes => sent.bytes,
            Self::Dropped => sent.dropped,
        }
    }
}

/// What a sender is called. Ordered, so that of two that sent as much the same is always first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// The project itself; `None`: senders that were not seen to work, or name none.
    Project(Option<ProjectId>),
    /// A key, packed.
    Key([u8; 16]),
    /// A release or an SDK.
    Text(Arc<str>),
    /// An address, as it may be kept.
    Ip(IpAddr),
}

/// A request that was looked at.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Whose it is; `None`: its key was not seen to work, or it names no project.
    pub project: Option<ProjectId>,
    /// Its key, packed.
    pub key: Option<[u8; 16]>,
    /// Its client's address, as it may be kept.
    pub ip: Option<IpAddr>,
    /// Tells its client from others, and names nobody.
    pub client: u64,
    /// The release that sent it.
    pub release: Option<Arc<str>>,
    /// The SDK that sent it.
    pub sdk: Option<Arc<str>>,
    /// What it carried, itself.
    pub sent: Sent,
    /// How many requests it stands for.
    pub stands_for: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// By what senders are told apart.
    pub by: By,
    /// Which is first.
    pub order: Order,
    /// So many whole minutes, and the one that goes on.
    pub minutes: u64,
    /// At most so many are named.
    pub most: usize,
    /// Of one project only.
    pub project: Option<ProjectId>,
}

/// One that sends much.
#[derive(Debug, Clone, PartialEq)]
pub struct Leader {
    /// What it is called.
    pub name: Name,
    /// Its project; `None`: there are several, or none is known.
    pub project: Option<ProjectId>,
    /// What it sent.
    pub sent: Sent,
    /// Its part of all, in what they are ordered by.
    pub share: f64,
}

/// Who sends most.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// How long it goes back.
    pub span_ms: u64,
    /// One request in so many was looked at.
    pub one_in: f64,
    /// The first, in order.
    pub leaders: Vec<Leader>,
    /// All others.
    pub others: Sent,
}

/// What is remembered of a project's client.
#[derive(Debug, Clone, Default)]
pub(super) struct Last {
    /// How many of its requests were looked at.
    pub(super) looks: u64,
    pub(super) ip: Option<IpAddr>,
    pub(super) release: Option<Arc<str>>,
    pub(super) sdk: Option<Arc<str>>,
}

type Table = Heavy<(Option<ProjectId>, Name)>;

/// One minute.
#[derive(Debug)]
pub(super) struct Minute {
    pub(super) number: u64,
    all: Sent,
    looks: u64,
    requests: u64,
    /// By each of [`By::ALL`].
    tables: [Table; By::ALL.len()],
    /// Of a project each.
    pub(super) clients: Heavy<(ProjectId, u64), Last>,
}

impl Minute {
    fn new(number: u64) -> Self {
        Self {
            number,
            all: Sent::default(),
            looks: 0,
            requests: 0,
            tables: std::array::from_fn(|_| Heavy::new(NAMES_MAX)),
            clients: Heavy::new(NAMES_MAX),
        }
    }

    fn table(&self, by: By) -> Option<&Table> {
        self.tables.get(by.place())
    }

    /// What a project sent.
    pub(super) fn of_project(&self, project: ProjectId) -> Sent {
        let who = (Some(project), Name::Project(Some(project)));
        let sent = self.table(By::Project).and_then(|table| table.of(&who));
        sent.map_or_else(Sent::default, |(sent, ())| sent)
    }

    fn note(&mut self, sight: Sight) {
        let sent = sight.sent.times(sight.stands_for);
        self.all = self.all.and(sent);
        self.looks += 1;
        self.requests = self.requests.saturating_add(sight.stands_for);
        if sent == Sent::default() {
            // As a browser's question whether it may send: it took its turn, and is nobody's.
            return;
        }
        let names = [
            Some(Name::Project(sight.project)),
            sight.key.map(Name::Key),
            sight.release.clone().map(Name::Text),
            sight.sdk.clone().map(Name::Text),
            sight.ip.map(Name::Ip),
        ];
        for (name, table) in names.into_iter().zip(&mut self.tables) {
            if let Some(name) = name {
                table.add((sight.project, name), sent);
            }
        }
        if let Some(project) = sight.project {
            let last = self.clients.add((project, sight.client), sent);
            *last = Last {
                looks: last.looks + 1,
                ip: sight.ip,
                release: sight.release,
                sdk: sight.sdk,
            };
        }
    }
}

/// The minutes of the last hour.
#[derive(Debug, Default)]
pub struct Senders {
    minutes: VecDeque<Minute>,
}

impl Senders {
    /// A request was looked at.
    pub fn note(&mut self, now_ms: u64, sight: Sight) {
        self.minute(now_ms).note(sight);
    }

    /// Requests came that there was no room to look at: they are somebody's, and that is all.
    pub fn pass_by(&mut self, now_ms: u64, requests: u64, sent: Sent) {
        let minute = self.minute(now_ms);
        minute.all = minute.all.and(sent);
        minute.requests = minute.requests.saturating_add(requests);
    }

    fn minute(&mut self, now_ms: u64) -> &mut Minute {
        let number = now_ms / MINUTE_MS;
        if self.minutes.back().is_none_or(|last| last.number < number) {
            self.minutes.push_back(Minute::new(number));
            let oldest = number.saturating_sub(MINUTES_MAX);
            while self
                .minutes
                .front()
                .is_some_and(|first| first.number < oldest)
            {
                self.minutes.pop_front();
            }
        }
        let last = self.minutes.back_mut();
        last.expect("there is one, as was just seen to")
    }

    /// The minutes from this one on, the last first.
    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Minute> {
        let minutes = self.minutes.iter().rev();
        minutes.take_while(move |minute| minute.number >= number)
    }

    /// Who sends most. Adds up what a few thousand entries say.
    #[must_use]
    pub fn top(&self, now_ms: u64, asked: &Question) -> Top {
        let first = (now_ms / MINUTE_MS).saturating_sub(asked.minutes.min(MINUTES_MAX));
        let mut sums: HashMap<(Option<ProjectId>, &Name), Sum> = HashMap::new();
        let (mut all, mut looks, mut requests) = (Sent::default(), 0, 0);
        for minute in self.since(first) {
            all = all.and(match asked.project {
                Some(project) => minute.of_project(project),
                None => minute.all,
            });
            looks += minute.looks;
            requests += minute.requests;
            let entries = minute.table(asked.by).into_iter().flat_map(Heavy::iter);
            for ((project, name), sent, ()) in entries {
                if asked.project.is_some() && asked.project != *project {
                    continue;
                }
                let own = asked.by.is_projects_own().then_some(*project).flatten();
                let sum = sums.entry((own, name)).or_insert_with(|| Sum::of(*project));
                sum.add(*project, sent);
            }
        }
        let leaders = leaders(sums, asked, all);
        let named = leaders.iter().map(|leader| leader.sent);
        Top {
            span_ms: now_ms.saturating_sub(first * MINUTE_MS),
            one_in: ratio(requests.max(1), looks.max(1)),
            others: named.fold(all, Sent::without),
            leaders,
        }
    }
}

/// What one sent in several minutes.
struct Sum {
    sent: Sent,
    project: Option<ProjectId>,
}

impl Sum {
    fn of(project: Option<ProjectId>) -> Self {
        Self {
            sent: Sent::default(),
            project,
        }
    }

    fn add(&mut self, project: Option<ProjectId>, sent: Sent) {
        self.sent = self.sent.and(sent);
        if self.project != project {
            self.project = None;
        }
    }
}

fn leaders(
    sums: HashMap<(Option<ProjectId>, &Name), Sum>,
    asked: &Question,
    all: Sent,
) -> Vec<Leader> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    let rank = |sent: Sent| (asked.order.of(sent), sent.items, sent.bytes);
    sums.sort_by_key(|((own, name), sum)| (std::cmp::Reverse(rank(sum.sent)), *own, *name));
    // Whoever did nothing of what is asked for leads nobody.
    let some = sums
        .into_iter()
        .filter(|(_, sum)| asked.order.of(sum.sent) > 0);
    let leaders = some.take(asked.most).map(|((_, name), sum)| Leader {
        name: name.clone(),
        project: sum.project,
        sent: sum.sent,
        share: ratio(asked.order.of(sum.sent), asked.order.of(all).max(1)).min(1.0),
    });
    leaders.collect()
}

/// Beyond 2^53 nobody asks for the last digit.
#[expect(clippy::as_conversions, reason = "a ratio for people's eyes")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests;

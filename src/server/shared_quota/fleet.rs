//! The servers that keep the pool: one, the one that sentinels know, or a cluster. Owns which
//! server a key lies on; never asks a question twice. When anything fails, all of it is begun
//! anew: questions say how things are, so that none is missed.

use std::collections::BTreeMap;

use crate::config::checked::{SharedQuota, SharedQuotaMode};
use crate::domain::hash_slot;
use crate::domain::resp::Answer;
use crate::tls::Trust;

use super::link::{Command, Identity, Link, LinkFault, command};

/// Masters that a cluster has at most, as the specification has it.
const MASTERS_MAX: usize = 1000;

/// A server's name and port.
type Place = (String, u16);

/// A question, and what it is asked by.
pub(super) enum Question {
    /// The script that leases, with its key and arguments.
    Lease(Command),
    /// The script of reports.
    Report(Command),
    /// The script of switches.
    Switch(Command),
    /// A command of the server's own.
    Plain(Command),
}

/// The servers, reached.
pub(super) struct Fleet {
    links: Vec<Link>,
    /// Of a cluster: from which slot on which link answers.
    slots: BTreeMap<u16, usize>,
    /// All of them together.
    pub identity: Identity,
}

impl Fleet {
    /// Reaches all of them.
    ///
    /// # Errors
    /// One of them cannot be, or is of no use.
    pub(super) async fn reach(
        config: &SharedQuota,
        trust: Option<&Trust>,
    ) -> Result<Self, LinkFault> {
        let seeds: Vec<Place> = config
            .url
            .iter()
            .map(|url| (url.host.clone(), url.port))
            .collect();
        match config.mode {
            SharedQuotaMode::Single => {
                let place = seeds.first().ok_or(LinkFault::Unknown)?;
                Self::of_one(place, config, trust).await
            }
            SharedQuotaMode::Sentinel => {
                let place = asked(&seeds, config, trust).await?;
                Self::of_one(&place, config, trust).await
            }
            SharedQuotaMode::Cluster => Self::of_cluster(&seeds, config, trust).await,
        }
    }

    async fn of_one(
        (host, port): &Place,
        config: &SharedQuota,
        trust: Option<&Trust>,
    ) -> Result<Self, LinkFault> {
        let mut link = Link::open((host, *port), config, trust).await?;
        let identity = link.log_in(config).await?;
        Ok(Self {
            links: vec![link],
            slots: BTreeMap::new(),
            identity,
        })
    }

    async fn of_cluster(
        seeds: &[Place],
        config: &SharedQuota,
        trust: Option<&Trust>,
    ) -> Result<Self, LinkFault> {
        let ranges = ranges(seeds, config, trust).await?;
        let mut fleet = Self {
            links: Vec::new(),
            slots: BTreeMap::new(),
            identity: Identity {
                run: String::new(),
                up_ms: u64::MAX,
                evicts: false,
            },
        };
        let mut known: BTreeMap<Place, usize> = BTreeMap::new();
        let mut runs = Vec::new();
        let mut next = 0;
        for (from, to, place) in ranges {
            if from != next {
                return Err(LinkFault::NotWhole);
            }
            next = to.saturating_add(1);
            let at = match known.get(&place) {
                Some(at) => *at,
                None => {
                    let mut link = Link::open((&place.0, place.1), config, trust).await?;
                    let identity = link.log_in(config).await?;
                    runs.push(identity.run);
                    fleet.identity.evicts |= identity.evicts;
                    fleet.identity.up_ms = fleet.identity.up_ms.min(identity.up_ms);
                    fleet.links.push(link);
                    known.insert(place, fleet.links.len() - 1);
                    fleet.links.len() - 1
                }
            };
            fleet.slots.insert(from, at);
        }
        if next != hash_slot::SLOTS {
            return Err(LinkFault::NotWhole);
        }
        runs.sort();
        fleet.identity.run = runs.join(" ");
        Ok(fleet)
    }

    /// Asks all questions; the answers come in their order.
    ///
    /// # Errors
    /// A server is of no use any more; any of the questions may have been heard.
    pub(super) async fn exchange(
        &mut self,
        questions: Vec<(Vec<u8>, Question)>,
    ) -> Result<Vec<Answer>, LinkFault> {
        let mut of_links: BTreeMap<usize, Vec<(usize, Command)>> = BTreeMap::new();
        let count = questions.len();
        for (order, (key, question)) in questions.into_iter().enumerate() {
            let at = self.place_of(&key);
            let link = self.links.get(at).ok_or(LinkFault::NotWhole)?;
            let question = match question {
                Question::Lease(rest) => scripted(link.lease(), &key, rest),
                Question::Report(rest) => scripted(link.report(), &key, rest),
                Question::Switch(rest) => scripted(link.switch(), &key, rest),
                Question::Plain(command) => command,
            };
            of_links.entry(at).or_default().push((order, question));
        }
        let mut answers: Vec<Option<Answer>> = vec![None; count];
        for (at, asked) in of_links {
            let link = self.links.get_mut(at).ok_or(LinkFault::NotWhole)?;
            let (orders, questions): (Vec<usize>, Vec<Command>) = asked.into_iter().unzip();
            let heard = link.exchange(&questions).await?;
            for (order, answer) in orders.into_iter().zip(heard) {
                if let Some(place) = answers.get_mut(order) {
                    *place = Some(answer);
                }
            }
        }
        let all: Option<Vec<Answer>> = answers.into_iter().collect();
        all.ok_or(LinkFault::Odd)
    }

    fn place_of(&self, key: &[u8]) -> usize {
        let slot = hash_slot::of(key);
        let before = self.slots.range(..=slot).next_back();
        before.map_or(0, |(_, at)| *at)
    }
}

/// A script's call; behind the key come more keys or arguments. Of keys there are as many as the
/// first of the rest says.
fn scripted(digest: Vec<u8>, key: &[u8], rest: Command) -> Command {
    let mut rest = rest.into_iter();
    let keys = rest.next().unwrap_or_default();
    let begin = [b"EVALSHA".to_vec(), digest, keys, key.to_vec()];
    begin.into_iter().chain(rest).collect()
}

/// Where sentinels know the server: the first that answers.
async fn asked(
    sentinels: &[Place],
    config: &SharedQuota,
    trust: Option<&Trust>,
) -> Result<Place, LinkFault> {
    let mut fault = LinkFault::Unknown;
    for (host, port) in sentinels {
        match asked_of((host, *port), config, trust).await {
            Ok(place) => return Ok(place),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

async fn asked_of(
    sentinel: (&str, u16),
    config: &SharedQuota,
    trust: Option<&Trust>,
) -> Result<Place, LinkFault> {
    let mut link = Link::open(sentinel, config, trust).await?;
    let question = command(&["SENTINEL", "get-master-addr-by-name", &config.master]);
    let answer = link.ask(question).await?;
    let [host, port] = answer.list().ok_or(LinkFault::Unknown)? else {
        return Err(LinkFault::Unknown);
    };
    let port = port.text().and_then(|port| port.parse().ok());
    match (host.text(), port) {
        (Some(host), Some(port)) => Ok((host.to_owned(), port)),
        _ => Err(LinkFault::Odd),
    }
}

/// Which slots are whose: from, to, and their master, by the first that answers.
async fn ranges(
    seeds: &[Place],
    config: &SharedQuota,
    trust: Option<&Trust>,
) -> Result<Vec<(u16, u16, Place)>, LinkFault> {
    let mut fault = LinkFault::NotWhole;
    for (host, port) in seeds {
        match ranges_of((host, *port), config, trust).await {
            Ok(ranges) => return Ok(ranges),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

async fn ranges_of(
    seed: (&str, u16),
    config: &SharedQuota,
    trust: Option<&Trust>,
) -> Result<Vec<(u16, u16, Place)>, LinkFault> {
    let mut link = Link::open(seed, config, trust).await?;
    // A replica knows the slots as well.
    match link.log_in(config).await {
        Ok(_) | Err(LinkFault::Replica) => {}
        Err(fault) => return Err(fault),
    }
    let answer = link.ask(command(&["CLUSTER", "SLOTS"])).await?;
    let rows = answer.list().ok_or(LinkFault::Odd)?;
    let mut ranges = Vec::new();
    for row in rows {
        let [from, to, master, ..] = row.list().ok_or(LinkFault::Odd)? else {
            return Err(LinkFault::Odd);
        };
        let [host, port, ..] = master.list().ok_or(LinkFault::Odd)? else {
            return Err(LinkFault::Odd);
        };
        // Without a name it is whoever was asked.
        let host = host.text().filter(|host| !host.is_empty());
        let host = host.unwrap_or(seed.0).to_owned();
        let small = |answer: &Answer| answer.count().and_then(|it| u16::try_from(it).ok());
        match (small(from), small(to), small(port)) {
            (Some(from), Some(to), Some(port)) => ranges.push((from, to, (host, port))),
            _ => return Err(LinkFault::Odd),
        }
    }
    ranges.sort();
    let mut masters: Vec<&Place> = ranges.iter().map(|(_, _, place)| place).collect();
    masters.sort();
    masters.dedup();
    match masters.len() > MASTERS_MAX {
        true => Err(LinkFault::Odd),
        false => Ok(ranges),
    }
}

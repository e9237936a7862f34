//! One client that sends most of what a project gets, minute after minute and much of it: mostly a
//! program that is caught in a loop. By the same looks as who sends most. Never stops anybody.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::endpoint::ProjectId;

use super::senders::{MINUTE_MS, MINUTES_MAX, Minute, Senders, ratio};

/// More than this part of a project's items is one client's.
const SHARE: f64 = 0.5;

/// So many whole minutes in a row: a deployment's burst is over sooner.
const MINUTES_MIN: u64 = 3;

/// And so many items in each of these minutes, twenty a second: a service that reports its errors
/// by itself, as the only one of its project, sends far fewer.
const ITEMS_A_MINUTE: u64 = 1_200;

/// And so many of its requests were looked at in each: of fewer, chance makes a majority.
const LOOKS_MIN: u64 = 16;

/// So many are named.
const LOOPS_MAX: usize = 10;

/// A client that sends most of what a project gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// The project.
    pub project: ProjectId,
    /// The client's address, as it may be kept; `None`: none of it may.
    pub ip: Option<IpAddr>,
    /// The release that it last sent with, where it names one.
    pub release: Option<Arc<str>>,
    /// The SDK that it last sent with, where that is known.
    pub sdk: Option<Arc<str>>,
    /// Its part of the project's items.
    pub share: f64,
    /// Its items in a second.
    pub items_a_second: u64,
    /// For so many whole minutes by now, of those that are remembered.
    pub minutes: u64,
}

impl Senders {
    /// The clients of which this is so now, the one that sends most first.
    #[must_use]
    pub fn loops(&self, now_ms: u64) -> Vec<Loop> {
        // The minute that goes on says nothing yet.
        let Some(last) = (now_ms / MINUTE_MS).checked_sub(1) else {
            return Vec::new();
        };
        let oldest = last.saturating_sub(MINUTES_MAX);
        let whole: Vec<&Minute> = self
            .since(oldest)
            .filter(|minute| minute.number <= last)
            .collect();
        let Some(newest) = whole.first().filter(|minute| minute.number == last) else {
            return Vec::new();
        };
        let clients = newest.clients.iter();
        let mut loops: Vec<Loop> = clients
            .filter_map(|(client, ..)| looped(&whole, last, *client))
            .collect();
        loops.sort_by_key(|one| (std::cmp::Reverse(one.items_a_second), one.project));
        loops.truncate(LOOPS_MAX);
        loops
    }
}

/// The minutes are the last first.
fn looped(whole: &[&Minute], last: u64, client: (ProjectId, u64)) -> Option<Loop> {
    let in_a_row = (0..=last).rev().zip(whole);
    let in_a_row = in_a_row.take_while(|(number, minute)| minute.number == *number);
    let parts: Vec<Part> = in_a_row
        .map_while(|(_, minute)| Part::of(minute, client).filter(Part::is_a_loops))
        .collect();
    let minutes = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    if minutes < MINUTES_MIN {
        return None;
    }
    let own: u64 = parts.iter().map(|part| part.own).sum();
    let all: u64 = parts.iter().map(|part| part.all).sum();
    let (_, now) = whole.first()?.clients.of(&client)?;
    Some(Loop {
        project: client.0,
        ip: now.ip,
        release: now.release.clone(),
        sdk: now.sdk.clone(),
        share: ratio(own, all.max(1)).min(1.0),
        items_a_second: own * 1000 / (minutes * MINUTE_MS),
        minutes,
    })
}

/// What a client sent of what its project got, in a minute.
struct Part {
    own: u64,
    all: u64,
    looks: u64,
}

impl Part {
    fn of(minute: &Minute, client: (ProjectId, u64)) -> Option<Self> {
        let (sent, last) = minute.clients.of(&client)?;
        Some(Self {
            own: sent.items,
            all: minute.of_project(client.0).items,
            looks: last.looks,
        })
    }

    fn is_a_loops(&self) -> bool {
        self.own >= ITEMS_A_MINUTE
            && self.looks >= LOOKS_MIN
            && ratio(self.own, self.all.max(1)) > SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::live::heavy::Sent;
    use crate::telemetry::live::senders::Sight;

    fn project() -> ProjectId {
        ProjectId::parse(b"42").unwrap()
    }

    /// `requests` looks at one client's requests, all of them in one minute.
    fn sent(senders: &mut Senders, minute: u64, client: u64, looks: u64, items: u64) {
        for look in 0..looks {
            let more = u64::from(look < items % looks);
            let sight = Sight {
                project: Some(project()),
                key: None,
                ip: Some(IpAddr::from([203, 0, 113, u8::try_from(client).unwrap()])),
                client,
                release: Some("shop@1.2".into()),
                sdk: None,
                sent: Sent {
                    items: items / looks + more,
                    bytes: 0,
                    dropped: 0,
                },
                stands_for: 1,
            };
            senders.note(minute * MINUTE_MS, sight);
        }
    }

    /// Client 1's looks and items in each minute, beside 1200 items of others'.
    #[track_caller]
    fn check(minutes: &[(u64, u64)], want: Option<(u64, u64)>) {
        let mut senders = Senders::default();
        for (number, (looks, items)) in (7..).zip(minutes) {
            sent(&mut senders, number, 2, 1_200, 1_200);
            if *looks > 0 {
                sent(&mut senders, number, 1, *looks, *items);
            }
        }
        let now_ms = (7 + u64::try_from(minutes.len()).unwrap()) * MINUTE_MS + 5_000;
        let found = senders.loops(now_ms);
        let found: Vec<(u64, u64)> = found
            .iter()
            .filter(|one| one.ip == Some(IpAddr::from([203, 0, 113, 1])))
            .map(|one| (one.minutes, one.items_a_second))
            .collect();
        assert_eq!(found, Vec::from_iter(want), "{minutes:?}");
    }

    #[test]
    fn most_of_a_projects_items_for_minutes_is_a_loop() {
        check(&[(16, 1_201); 3], Some((3, 20)));
        check(&[(16, 6_000); 5], Some((5, 100)));
        check(
            &[(16, 10), (16, 6_000), (16, 6_000), (16, 6_000)],
            Some((3, 100)),
        );
    }

    #[test]
    fn half_of_them_too_few_looks_or_a_shorter_time_is_none() {
        check(&[(16, 1_200); 3], None);
        check(&[(15, 6_000); 3], None);
        check(&[(16, 6_000); 2], None);
        check(&[(16, 6_000), (0, 0), (16, 6_000), (16, 6_000)], None);
        check(&[(16, 6_000), (16, 6_000), (16, 6_000), (0, 0)], None);
    }

    #[test]
    fn a_quiet_project_with_one_client_has_no_loop() {
        let mut senders = Senders::default();
        for minute in 0..5 {
            sent(&mut senders, minute, 1, 100, ITEMS_A_MINUTE - 1);
        }
        assert_eq!(senders.loops(5 * MINUTE_MS), []);
        for minute in 5..8 {
            sent(&mut senders, minute, 1, 100, ITEMS_A_MINUTE);
        }
        let loops = senders.loops(8 * MINUTE_MS);
        let want = Loop {
            project: project(),
            ip: Some(IpAddr::from([203, 0, 113, 1])),
            release: Some("shop@1.2".into()),
            sdk: None,
            share: 1.0,
            items_a_second: 20,
            minutes: 3,
        };
        assert_eq!(loops, [want]);
        assert_eq!(senders.loops(9 * MINUTE_MS), [], "it has stopped");
    }
}

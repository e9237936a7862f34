//! One client that sends most of what a project gets, as an incident: who, how much, and what
//! stops it. No reason for amber: it may be what the project is for. Never stops it.

use tokio::time::Instant;

use super::Desk;
use crate::domain::client_ip::Store;
use crate::domain::incident::{Condition, Kind};
use crate::telemetry::access::Client;
use crate::telemetry::clock::lasting;
use crate::telemetry::live::loops::Loop;

impl Desk {
    /// The clients that send most of what a project gets, minute after minute, now.
    pub(super) fn loops(&self) -> Vec<Loop> {
        let now_ms = self.shared.millis(Instant::now()).0;
        self.live.loops(now_ms)
    }
}

/// The clients of which that is so now, each by the project that it fills.
pub(in crate::server) fn looping(desk: &Desk) -> Vec<Condition> {
    let loops = desk.loops();
    let rules = desk.shared.rules.load();
    let holding = loops.iter().map(|one| {
        let mut projects = rules.config.projects.iter();
        let own = projects.find(|own| own.id == one.project);
        let name = own.and_then(|own| own.name.as_deref());
        let [says, abroad] =
            [Reader::Operator, Reader::Webhook].map(|reader| note(one, &rules.store, name, reader));
        let condition = Condition::new(Kind::ClientLoop, &one.project.to_string(), &says);
        condition.said_abroad(&abroad)
    });
    holding.collect()
}

/// Who is told: a webhook is somebody else's machine, and gets no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Operator,
    Webhook,
}

fn note(one: &Loop, store: &Store, name: Option<&str>, reader: Reader) -> String {
    let Loop {
        project,
        share,
        items_a_second,
        minutes,
        ..
    } = one;
    let named = match name {
        Some(name) => format!("project {project} ({name})"),
        None => format!("project {project}"),
    };
    let (client, filter) = client(one, store, reader);
    let calls = [("release", &one.release), ("SDK", &one.sdk)];
    let calls = calls.iter();
    let calls: Vec<String> = calls
        .filter_map(|(what, name)| Some(format!("{what} {}", name.as_deref()?)))
        .collect();
    let calls = match calls.is_empty() {
        true => String::new(),
        false => format!(" ({})", calls.join(", ")),
    };
    let mut stops = vec![format!("vidette limit {project} 100/1m --for 30m")];
    stops.extend(filter.map(|filter| format!("filters.client_ips [{filter}] of the project")));
    if one.release.is_some() {
        stops.push("filters.releases".to_owned());
    }
    let percent = (share * 100.0).floor();
    let time = lasting(minutes * 60);
    format!(
        "{named}: {percent} % of its items come from one client, {client}{calls}, \
         {items_a_second} a second for {time} now; should it be caught in a loop: {}",
        stops.join(", or ")
    )
}

/// Who it is, as that may be kept, and what filters it.
fn client(one: &Loop, store: &Store, reader: Reader) -> (String, Option<String>) {
    let masked = |ip| Client::Network(ip).to_string();
    match (one.ip, store) {
        (Some(ip), Store::Full | Store::Truncate) if reader == Reader::Webhook => {
            (masked(ip), None)
        }
        (Some(ip), Store::Full) => (ip.to_string(), Some(ip.to_string())),
        (Some(ip), Store::Truncate) => {
            let network = format!("{ip}/{}", if ip.is_ipv4() { 24 } else { 48 });
            (format!("of {network}"), Some(network))
        }
        (Some(ip), Store::Hash(_)) => (format!("hashed as {ip}"), None),
        (Some(_) | None, _) => (
            "whose address is not kept (client_ip.store)".to_owned(),
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client_ip::HashKey;
    use crate::domain::endpoint::ProjectId;

    #[track_caller]
    fn check(store: &Store, (ip, release): (&str, Option<&str>), want: &str) {
        let one = Loop {
            project: ProjectId::parse(b"42").unwrap(),
            ip: store.stored(ip.parse().unwrap()),
            release: release.map(Into::into),
            sdk: release.map(|_| "sentry.php/4.1".into()),
            share: 0.849,
            items_a_second: 120,
            minutes: 5,
        };
        let name = release.map(|_| "shop");
        assert_eq!(note(&one, store, name, Reader::Operator), want);
        // A pseudonym is no address.
        let abroad = note(&one, store, name, Reader::Webhook);
        assert!(!abroad.contains(ip), "{abroad}");
    }

    #[test]
    fn a_webhook_hears_of_a_network_alone() {
        let one = Loop {
            project: ProjectId::parse(b"42").unwrap(),
            ip: Some("203.0.113.9".parse().unwrap()),
            release: None,
            sdk: None,
            share: 0.849,
            items_a_second: 120,
            minutes: 5,
        };
        assert_eq!(
            note(&one, &Store::Full, None, Reader::Webhook),
            "project 42: 84 % of its items come from one client, 203.0.113.x, 120 a second for 5 \
             min now; should it be caught in a loop: vidette limit 42 100/1m --for 30m"
        );
    }

    #[test]
    fn a_loop_is_named_as_far_as_it_may_be_with_what_stops_it() {
        check(
            &Store::Full,
            ("203.0.113.9", Some("shop@1.2")),
            "project 42 (shop): 84 % of its items come from one client, 203.0.113.9 (release shop@1.2, \
             SDK sentry.php/4.1), 120 a second for 5 min now; should it be caught in a loop: \
             vidette limit 42 100/1m --for 30m, or filters.client_ips [203.0.113.9] of the \
             project, or filters.releases",
        );
        check(
            &Store::Truncate,
            ("2001:db8::1", None),
            "project 42: 84 % of its items come from one client, of 2001:db8::/48, 120 a second \
             for 5 min now; should it be caught in a loop: vidette limit 42 100/1m --for 30m, or \
             filters.client_ips [2001:db8::/48] of the project",
        );
        check(
            &Store::Drop,
            ("203.0.113.9", None),
            "project 42: 84 % of its items come from one client, whose address is not kept \
             (client_ip.store), 120 a second for 5 min now; should it be caught in a loop: \
             vidette limit 42 100/1m --for 30m",
        );
        let hash = Store::Hash(HashKey::from_secret(b"secret"));
        let pseudonym = hash.stored("203.0.113.9".parse().unwrap()).unwrap();
        check(
            &hash,
            ("203.0.113.9", None),
            &format!(
                "project 42: 84 % of its items come from one client, hashed as {pseudonym}, 120 a \
                 second for 5 min now; should it be caught in a loop: vidette limit 42 100/1m \
                 --for 30m"
            ),
        );
    }
}

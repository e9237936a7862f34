//! In whose words `explain` tells why something stays here: the key of the configuration that
//! says so, with the operator's own pattern or rate, or the switch. Looks them up, and decides
//! nothing.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::checked::Project;
use crate::domain::category::Category;
use crate::domain::envelope::item::ItemKind;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::policy::Refusal;
use crate::policy::inspection::Sampling;
use crate::policy::switches::Muted;
use crate::policy::wanted::Hit;

use super::super::{disks, sharing};
use super::items::{Looking, SHARE_USED};
use crate::server::memory::knowledge::Place;
use crate::server::memory::switches::moment;
use crate::server::sentry::states::known::Teller;

/// Where an operator sees what is switched on.
const LIST: &str = "vidette mute --list";

impl Looking<'_> {
    /// What is muted for its project, told as a result and why.
    pub(super) fn mute(&self) -> (String, String) {
        let (told, shares) = self.look(|room| {
            let on = room.switches.map(|of| {
                let unix_s = room.at.unix_s;
                (of.mutes_on(unix_s), of.keeps_a_share(unix_s))
            });
            on.unwrap_or_default()
        });
        let why = match (told.is_empty(), shares) {
            (true, _) => {
                let why = "nothing is muted for its project";
                return ("none".to_owned(), why.to_owned());
            }
            (false, false) => format!("switched on by an operator: {LIST}"),
            (false, true) => format!(
                "switched on by an operator: {LIST}; which requests are of the share that passes, \
                 chance decides: told below is what becomes of all others"
            ),
        };
        (told, why)
    }

    /// What is sampled by a switch, if anything is.
    pub(super) fn sample(&self) -> Option<(String, String)> {
        let told = self.look(|room| {
            let on = room.switches.map(|of| of.samples_on(room.at.unix_s));
            on.unwrap_or_default()
        });
        let why = format!(
            "switched on by an operator: {LIST}; where the configuration keeps less, less is kept"
        );
        (!told.is_empty()).then_some((told, why))
    }

    /// What the disk guard keeps out, if it does.
    pub(super) fn disk_guard(&self) -> Option<(String, String)> {
        let guard = self.look(|room| Some(*room.switches?.guard()?))?;
        let standing = self.shared.disks.read();
        let kept_out = guard.stage().words(standing.errors);
        let why = format!("{}: kept out: {kept_out}", disks::because(&standing));
        Some((guard.stage().name().to_owned(), why))
    }

    /// What would refuse the request by its head.
    pub(super) fn full(&self) -> Option<Refusal> {
        let (full, muted) = self.look(|room| (room.full(), room.muted_all()));
        let (reason, limit) = full?;
        let left_s = limit.retry_after_s;
        let detail = match muted.filter(|_| reason == Reason::Muted) {
            Some(muted) => format!("an operator has this project {}", mute_words(muted)),
            None if reason == Reason::Limited => {
                format!("an operator's limit on everything has no room for {left_s} s: {LIST}")
            }
            None => {
                let name = limit.reason.as_deref().unwrap_or("no name");
                format!("{name}, a limit on everything, has no room for {left_s} s")
            }
        };
        let of_share = self.look_as_vouched(|room| room.full().is_none());
        let share = if of_share == Some(true) {
            SHARE_USED
        } else {
            ""
        };
        let mut refusal = Refusal::of(reason, 429, detail + share);
        refusal.limits = vec![limit];
        Some(refusal)
    }

    /// What has no room for an item, and until when.
    pub(super) fn no_room(&self, reason: Reason, kind: ItemKind, limit: &RateLimit) -> String {
        let muted = self.look(|room| room.mute_of(kind));
        if let Some(muted) = muted.filter(|_| reason == Reason::Muted) {
            return mute_words(muted);
        }
        if reason == Reason::DiskGuard {
            let because = disks::because(&self.shared.disks.read());
            let rate = self.look(|room| room.switches?.guard()?.rate(kind));
            let share = match rate.filter(|rate| rate.share() > 0.0) {
                Some(rate) => format!("; {rate} of its kind pass, by their trace"),
                None => String::new(),
            };
            return format!("{}, {because}{share}", reason.as_str());
        }
        let left_s = limit.retry_after_s;
        if reason == Reason::Limited {
            return format!("limited by a switch ({LIST}), room again in {left_s} s");
        }
        let name = limit.reason.as_deref().unwrap_or("no name");
        let shared = match reason == Reason::Quota {
            true => sharing::words(&self.shared.shared_quota),
            false => String::new(),
        };
        format!(
            "{} {name}{shared}, room again in {left_s} s",
            reason.as_str()
        )
    }

    /// Who says that an item is not wanted, behind the reason.
    pub(super) fn unwanted(
        &self,
        reason: Reason,
        kind: ItemKind,
        event: Option<&Event<'_>>,
    ) -> String {
        if reason == Reason::Sampled {
            return self.sampled(kind, event);
        }
        if reason == Reason::Repeated {
            let place = self.place("repeats", |project| project.repeats.is_some());
            return format!(", {place} lets no more of the same error pass now");
        }
        let filters = &self.wishes().filters;
        let hit = event.and_then(|event| filters.event(kind, event));
        hit.map_or_else(String::new, |hit| format!(", {}", self.filtered(hit)))
    }

    fn sampled(&self, kind: ItemKind, event: Option<&Event<'_>>) -> String {
        let (sampling, chance) = self.look(|room| {
            let chance = room.is_by_chance(kind, event);
            (room.sampling(kind, event), chance)
        });
        let said = match sampling {
            Some(Sampling::Switched(on)) => {
                let of = on.category.map_or("everything", Category::name);
                let until = moment(on.until_unix_s);
                let rate = on.rate;
                format!(", a switch keeps at most {rate} of {of} until {until} ({LIST})")
            }
            Some(Sampling::Configured(rate, key)) => {
                let place = self.place("sample", |project| project.sample.is_some());
                format!(", {place}.{key} keeps {rate}")
            }
            Some(Sampling::Sentrys(rate)) => {
                let whose = match self.told().map(|told| told.teller) {
                    Some(Teller::File) => "config.sampling of a file in sentry.projects keeps",
                    Some(Teller::Sentry) | None => "Sentry's own sampling rules keep",
                };
                format!(", {whose} {rate}")
            }
            None => String::new(),
        };
        match chance {
            true => format!("{said}; it names neither trace nor event, so chance decides"),
            false => said,
        }
    }

    /// Why nothing of its address is wanted.
    pub(super) fn address_is_filtered(&self) -> String {
        let (place, filters) = self.filters();
        let mut networks = filters.client_ips.iter();
        match networks.find(|network| holds(network, self.client)) {
            Some(network) => format!("{network} in {place}.client_ips has the client's address"),
            None => format!("{place}.client_ips has the client's address"),
        }
    }

    /// Why nothing of its program is wanted.
    pub(super) fn agent_is_filtered(&self, user_agent: Option<&str>) -> String {
        let filters = &self.wishes().filters;
        let hit = user_agent.and_then(|agent| filters.agent(agent));
        hit.map_or_else(String::new, |hit| self.filtered(hit))
    }

    /// Who lets the pages of its project send, if the configuration does not say.
    pub(super) fn origins_are_by(&self) -> Option<&'static str> {
        match self.told()?.teller {
            _ if !self.told()?.origins => None,
            Teller::File => Some("its file in sentry.projects lets it send"),
            Teller::Sentry => Some("its allowed domains in Sentry let it send"),
        }
    }

    fn told(&self) -> Option<&Place> {
        self.rules.told.get(&self.who().project?)
    }

    fn filtered(&self, hit: Hit<'_>) -> String {
        let (mut place, _) = self.filters();
        let key = hit.key;
        let told = self.told().filter(|told| told.filters);
        if let Some(told) = told.filter(|_| !self.defaults_filter(&hit)) {
            place = match told.teller {
                Teller::File => "filterSettings of its file in sentry.projects",
                Teller::Sentry => "its inbound filters in Sentry, here",
            }
            .to_owned();
        }
        match hit.pattern {
            Some(pattern) => format!("\"{}\" in {place}.{key} matches", pattern.as_str()),
            None => format!("{place}.{key} is on"),
        }
    }

    /// Whether the defaults have what hit: others' filters stand beside theirs.
    fn defaults_filter(&self, hit: &Hit<'_>) -> bool {
        let defaults = &self.rules.config.defaults.filters;
        let list = match hit.key {
            "user_agents" => &defaults.user_agents,
            "releases" => &defaults.releases,
            "environments" => &defaults.environments,
            "error_messages" => &defaults.error_messages,
            "crawlers" => return defaults.crawlers,
            _ => return defaults.localhost,
        };
        hit.pattern.is_some_and(|pattern| list.contains(pattern))
    }

    /// Its project's filters as they were written, and where.
    fn filters(&self) -> (String, &crate::domain::filter::Filters) {
        let place = self.place("filters", |project| project.filters.is_some());
        let own = self.listed().and_then(|(_, own)| own.filters.as_ref());
        (place, own.unwrap_or(&self.rules.config.defaults.filters))
    }

    /// Where the configuration says so: a project's own word goes before the defaults'.
    fn place(&self, key: &str, is_own: impl Fn(&Project) -> bool) -> String {
        match self.listed().filter(|(_, project)| is_own(project)) {
            Some((place, _)) => format!("projects[{place}].{key}"),
            None => format!("defaults.{key}"),
        }
    }

    /// Its project as the configuration lists it, and at which place, counted from 0.
    fn listed(&self) -> Option<(usize, &Project)> {
        let project = self.who().project?;
        let mut listed = self.rules.config.projects.iter().enumerate();
        listed.find(|(_, own)| own.id == project)
    }
}

/// `muted until then`, `muted but for 1% until then`.
fn mute_words(muted: Muted) -> String {
    let until = moment(muted.until_unix_s);
    match muted.keep {
        Some(keep) => format!("muted but for {keep} of requests until {until}"),
        None => format!("muted until {until}"),
    }
}

/// Whether a network as it was written has the address, in either clothing.
fn holds(network: &IpNet, address: IpAddr) -> bool {
    let mapped = match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        v6 @ IpAddr::V6(_) => v6,
    };
    network.contains(&address.to_canonical()) || network.contains(&mapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::category::Categories;
    use crate::domain::switch::Share;

    #[track_caller]
    fn check(network: &str, address: &str, want: bool) {
        let (network, address) = (network.parse().unwrap(), address.parse().unwrap());
        assert_eq!(holds(&network, address), want, "{network} {address}");
    }

    #[test]
    fn a_network_has_an_address_in_either_clothing() {
        check("203.0.113.0/24", "203.0.113.9", true);
        check("203.0.113.0/24", "::ffff:203.0.113.9", true);
        check("::ffff:203.0.113.0/120", "203.0.113.9", true);
        check("203.0.113.0/24", "203.0.114.9", false);
        check("2001:db8::/32", "2001:db8::1", true);
        check("2001:db8::/32", "203.0.113.9", false);
    }

    #[test]
    fn a_mute_is_told_with_its_end_and_its_share() {
        let mut muted = Muted {
            categories: Categories::EMPTY,
            retry_after_s: 1,
            keep: None,
            until_unix_s: 60,
        };
        assert_eq!(mute_words(muted), "muted until 1970-01-01T00:01:00.000Z");
        muted.keep = Share::read("1%");
        let want = "muted but for 1% of requests until 1970-01-01T00:01:00.000Z";
        assert_eq!(mute_words(muted), want);
    }
}

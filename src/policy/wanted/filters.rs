//! What a project does not want at all: the filters in their order, the first that matches names
//! the reason.

use std::net::IpAddr;

use crate::domain::envelope::item::ItemKind;
use crate::domain::event::{Event, Exception};
use crate::domain::filter::{self, is_crawler, is_local};
use crate::domain::glob::Glob;
use crate::domain::networks::Networks;
use crate::domain::outcome::Reason;

/// A filter that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit<'a> {
    /// What it counts under.
    pub reason: Reason,
    /// Which of the filters it is, as they are written.
    pub key: &'static str,
    /// Which of its patterns, where it has any.
    pub pattern: Option<&'a Glob>,
}

impl<'a> Hit<'a> {
    const fn of(reason: Reason, key: &'static str, pattern: &'a Glob) -> Self {
        Self {
            reason,
            key,
            pattern: Some(pattern),
        }
    }

    const fn flag(reason: Reason, key: &'static str) -> Self {
        Self {
            reason,
            key,
            pattern: None,
        }
    }
}

/// A project's filters, ready to be asked. The default wants everything.
#[derive(Debug, Default)]
pub struct Filters {
    client_ips: Networks,
    user_agents: Vec<Glob>,
    crawlers: bool,
    releases: Vec<Glob>,
    environments: Vec<Glob>,
    error_messages: Vec<Glob>,
    localhost: bool,
}

impl Filters {
    /// The filters as they were written.
    #[must_use]
    pub fn new(written: &filter::Filters) -> Self {
        let filter::Filters {
            client_ips,
            user_agents,
            crawlers,
            releases,
            environments,
            error_messages,
            localhost,
        } = written;
        Self {
            client_ips: client_ips.iter().copied().collect(),
            user_agents: user_agents.clone(),
            crawlers: *crawlers,
            releases: releases.clone(),
            environments: environments.clone(),
            error_messages: error_messages.clone(),
            localhost: *localhost,
        }
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.client_ips.is_empty() && !self.asks_agent() && !self.asks_event()
    }

    /// Why nothing of a client is wanted, by its address.
    #[must_use]
    pub fn client(&self, address: IpAddr) -> Option<Reason> {
        let listed = !self.client_ips.is_empty() && self.client_ips.contains(address);
        listed.then_some(Reason::ClientIp)
    }

    /// Why nothing of a user agent is wanted.
    #[must_use]
    pub fn agent(&self, user_agent: &str) -> Option<Hit<'_>> {
        if let Some(pattern) = first(&self.user_agents, user_agent) {
            return Some(Hit::of(Reason::UserAgent, "user_agents", pattern));
        }
        let crawler = self.crawlers && is_crawler(user_agent);
        crawler.then_some(Hit::flag(Reason::Crawler, "crawlers"))
    }

    /// Whether a user agent matters.
    #[must_use]
    pub fn asks_agent(&self) -> bool {
        self.crawlers || !self.user_agents.is_empty()
    }

    /// Whether the payload of such an item is asked for.
    #[must_use]
    pub fn read(&self, kind: ItemKind) -> bool {
        judges(kind) && (self.asks_event() || self.asks_agent())
    }

    /// Why an event is not wanted, by what it says of itself.
    #[must_use]
    pub fn event(&self, kind: ItemKind, event: &Event<'_>) -> Option<Hit<'_>> {
        if !judges(kind) {
            return None;
        }
        if self.asks_agent()
            && let Some(hit) = event.user_agent().and_then(|agent| self.agent(agent))
        {
            return Some(hit);
        }
        let release = event.release();
        if let Some(pattern) = release.and_then(|text| first(&self.releases, text)) {
            return Some(Hit::of(Reason::Release, "releases", pattern));
        }
        let environment = event.environment();
        if let Some(pattern) = environment.and_then(|text| first(&self.environments, text)) {
            return Some(Hit::of(Reason::Environment, "environments", pattern));
        }
        if let Some(pattern) = self.refuses_words(event) {
            return Some(Hit::of(Reason::ErrorMessage, "error_messages", pattern));
        }
        let local = self.localhost && happened_here(event);
        local.then_some(Hit::flag(Reason::Localhost, "localhost"))
    }

    fn asks_event(&self) -> bool {
        let lists = [&self.releases, &self.environments, &self.error_messages];
        self.localhost || lists.iter().any(|list| !list.is_empty())
    }

    fn refuses_words(&self, event: &Event<'_>) -> Option<&Glob> {
        if self.error_messages.is_empty() {
            return None;
        }
        let any = |text: &str| first(&self.error_messages, text);
        let mut exceptions = event.exceptions().iter();
        let by_message = event.messages().find_map(any);
        by_message.or_else(|| exceptions.find_map(|one| any(&words(one))))
    }
}

/// The first of the patterns that matches.
fn first<'p>(patterns: &'p [Glob], text: &str) -> Option<&'p Glob> {
    patterns.iter().find(|pattern| pattern.matches(text))
}

/// Filters judge errors and transactions, as Sentry's own do. What belongs to one goes with it.
const fn judges(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Event | ItemKind::Transaction)
}

/// An exception as Sentry shows it.
fn words(exception: &Exception<'_>) -> String {
    match (exception.kind(), exception.value()) {
        (Some(kind), Some(value)) => format!("{kind}: {value}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => String::new(),
    }
}

fn happened_here(event: &Event<'_>) -> bool {
    let user = event.user_ip().and_then(|ip| ip.parse::<IpAddr>().ok());
    user.is_some_and(|ip| ip.to_canonical().is_loopback()) || event.url().is_some_and(is_local)
}

#[cfg(test)]
mod tests;

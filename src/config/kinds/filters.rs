//! Owns which of a project's events nobody wants.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value as Json;

use super::patterns;
use super::proxies::NETWORK;
use super::{Fields, Kind, Shown, Variable, at_most, each, flag, map, refuse, scalar};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::domain::filter::Filters;
use crate::domain::glob::Glob;

/// `{client_ips, user_agents, crawlers, releases, environments, error_messages, localhost}`.
pub(in crate::config) struct InboundFilters;

/// One look-up finds an address among as many as one likes; more is a slip.
const NETWORKS_MAX: usize = 10_000;

const KNOWN: [&str; 7] = [
    "client_ips",
    "user_agents",
    "crawlers",
    "releases",
    "environments",
    "error_messages",
    "localhost",
];

impl Kind for InboundFilters {
    type Value = Filters;
    const VARIABLE: Variable = Variable::Keys {
        whole: false,
        each: || KNOWN.map(|key| (key, variable(key))).to_vec(),
    };

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Filters> {
        match &node.content {
            Content::Map(_) => {}
            Content::Reported => return None,
            Content::Empty | Content::Scalar(_) | Content::List(_) => {
                return refuse(node, faults, "no filters", "write {crawlers: true}");
            }
        }
        let fields = Fields::of(node, faults, &KNOWN, &[])?;
        let client_ips = match fields.optional("client_ips") {
            Some(node) => networks(node, faults),
            None => Some(Vec::new()),
        };
        let mut globs = |key| match fields.optional(key) {
            Some(node) => patterns::list(node, faults),
            None => Some(Vec::<Glob>::new()),
        };
        let user_agents = globs("user_agents");
        let releases = globs("releases");
        let environments = globs("environments");
        let error_messages = globs("error_messages");
        let mut flag = |key| match fields.optional(key) {
            Some(node) => flag(node, faults),
            None => Some(false),
        };
        let (crawlers, localhost) = (flag("crawlers"), flag("localhost"));
        Some(Filters {
            client_ips: client_ips?,
            user_agents: user_agents?,
            crawlers: crawlers?,
            releases: releases?,
            environments: environments?,
            error_messages: error_messages?,
            localhost: localhost?,
        })
    }

    fn show(&self, value: &Filters) -> Shown {
        let Filters {
            client_ips,
            user_agents,
            crawlers,
            releases,
            environments,
            error_messages,
            localhost,
        } = value;
        let networks = client_ips.iter().map(|net| Shown::Text(net.to_string()));
        let networks = Shown::List(networks.collect());
        map([
            ("client_ips", (!client_ips.is_empty()).then_some(networks)),
            ("user_agents", patterns::show_list(user_agents)),
            ("crawlers", crawlers.then_some(Shown::Flag(true))),
            ("releases", patterns::show_list(releases)),
            ("environments", patterns::show_list(environments)),
            ("error_messages", patterns::show_list(error_messages)),
            ("localhost", localhost.then_some(Shown::Flag(true))),
        ])
    }

    fn shape(&self) -> Json {
        shape::fields(&KNOWN, &[], |key| match key {
            "client_ips" => (
                "Addresses and networks of clients whose events nobody wants.",
                shape::list(0, NETWORKS_MAX, shape::text(&format!("^{NETWORK}$"))),
            ),
            "user_agents" => (
                "Patterns of user agents, of the request or as the event tells.",
                patterns::shape_of_list(),
            ),
            "crawlers" => ("Search engines and their like.", shape::flag()),
            "releases" => ("Patterns of releases.", patterns::shape_of_list()),
            "environments" => ("Patterns of environments.", patterns::shape_of_list()),
            "error_messages" => (
                "Patterns of errors, as in \"TimeoutError: *\".",
                patterns::shape_of_list(),
            ),
            "localhost" => ("Events of pages on localhost.", shape::flag()),
            _ => ("", Json::Bool(false)),
        })
    }
}

fn variable(key: &str) -> Variable {
    match key {
        "crawlers" | "localhost" => Variable::One,
        _ => Variable::List,
    }
}

fn networks(node: &Node, faults: &mut Faults) -> Option<Vec<IpNet>> {
    const LIST: &str = "write a list such as [203.0.113.0/24]";
    const ACCEPTED: &str = "write a CIDR such as 203.0.113.0/24, or an address";
    at_most(node, faults, NETWORKS_MAX, "networks")?;
    each(node, faults, LIST, |node, faults| {
        let text = scalar(node, faults, ACCEPTED)?;
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(IpNet::from(address));
        }
        match text.parse::<IpNet>() {
            // 10.0.0.1/8 is either 10.0.0.1 or 10.0.0.0/8: nobody is shut out by a guess.
            Ok(net) if net.trunc() != net => {
                refuse(node, faults, "bits set behind the prefix", ACCEPTED)
            }
            Ok(net) => Some(net),
            Err(_) => refuse(node, faults, "not a CIDR or an address", ACCEPTED),
        }
    })
}

//! Owns what a listener is for: the keys of its own, beside its name and address.

use serde_json::Value as Json;

use super::{Fields, Kind, Shown, Word, each, flag, proxies, refuse, scalar};
use crate::config::checked::{Door, ProxyProtocol, Serve, TrustedProxies};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};

/// The keys, in the order in which they are shown.
pub(super) const KEYS: [&str; 4] = ["proxy_protocol", "serve", "allow", "noindex"];

const PROXY_PROTOCOL: Word<ProxyProtocol> = Word::of(ProxyProtocol::WORDS);
const SERVE: Word<Serve> = Word::of(Serve::WORDS);

/// Reads them from an element of the list of listeners.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Option<Door> {
    let usual = Door::default();
    let proxy_protocol = match fields.optional("proxy_protocol") {
        Some(node) => PROXY_PROTOCOL.read(node, faults),
        None => Some(usual.proxy_protocol),
    };
    let serve = match fields.optional("serve") {
        Some(node) => SERVE.read(node, faults),
        None => Some(usual.serve),
    };
    let allow = match fields.optional("allow") {
        Some(node) => networks(node, faults).map(Some),
        None => Some(None),
    };
    let noindex = match fields.optional("noindex") {
        Some(node) => flag(node, faults),
        None => Some(usual.noindex),
    };
    let door = Door {
        proxy_protocol: proxy_protocol?,
        serve: serve?,
        allow: allow?,
        noindex: noindex?,
    };
    if door.serve == Serve::Ingest {
        // Whoever writes them expects them to hold something back, and they would not.
        let idle = [("allow", door.allow.is_some()), ("noindex", door.noindex)];
        let idle = idle.into_iter().filter(|(_, set)| *set);
        let idle: Vec<&Node> = idle.filter_map(|(key, _)| fields.optional(key)).collect();
        for node in &idle {
            let wrong = "a rule for web on a listener without it";
            faults.value(node, wrong, "remove it, or serve web or all");
        }
        if !idle.is_empty() {
            return None;
        }
    }
    Some(door)
}

/// What a key of its own means, and its shape.
pub(super) fn field(key: &str) -> (&'static str, Json) {
    match key {
        "proxy_protocol" => (
            "Whether a connection begins with a PROXY header; only client_ip.trusted_proxies may \
             send one. Default off.",
            PROXY_PROTOCOL.shape(),
        ),
        "serve" => (
            "all (default); ingest: events, tunnels and what pages load to send them; web: the \
             rest.",
            SERVE.shape(),
        ),
        "allow" => (
            "The networks that may use web, uploads and the API; others get 403. Default: all.",
            shape::list(1, usize::MAX, proxies::entry_shape()),
        ),
        "noindex" => (
            "Has search engines keep web's pages out (X-Robots-Tag). Default false.",
            shape::flag(),
        ),
        _ => ("", Json::Bool(false)),
    }
}

/// Networks, addresses and presets, at least one.
fn networks(node: &Node, faults: &mut Faults) -> Option<TrustedProxies> {
    const ACCEPTED: &str = "write a list such as [private, 203.0.113.0/24]";
    if matches!(&node.content, Content::List(nodes) if nodes.is_empty()) {
        return refuse(
            node,
            faults,
            "nobody",
            "leave it out, or serve ingest alone",
        );
    }
    let entries = each(node, faults, ACCEPTED, |node, faults| {
        let written = scalar(node, faults, ACCEPTED)?;
        match proxies::nets(written) {
            Ok(nets) => Some((written.to_owned(), nets)),
            Err(wrong) => refuse(node, faults, wrong, ACCEPTED),
        }
    })?;
    let (written, nets): (Vec<String>, Vec<_>) = entries.into_iter().unzip();
    Some(TrustedProxies {
        written,
        nets: nets.concat(),
    })
}

/// What differs from the usual, as it is written.
pub(super) fn shown(door: &Door) -> Vec<(&'static str, Shown)> {
    let usual = Door::default();
    let proxy_protocol = (door.proxy_protocol != usual.proxy_protocol)
        .then(|| PROXY_PROTOCOL.show(&door.proxy_protocol));
    let serve = (door.serve != usual.serve).then(|| SERVE.show(&door.serve));
    let allow = door.allow.as_ref().map(|networks| {
        let written = networks.written.iter().cloned();
        Shown::List(written.map(Shown::Text).collect())
    });
    let noindex = door.noindex.then_some(Shown::Flag(true));
    let values = [proxy_protocol, serve, allow, noindex];
    let keyed = KEYS.into_iter().zip(values);
    keyed
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

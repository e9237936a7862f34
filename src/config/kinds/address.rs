//! Owns what is listened on and what is connected to. What a listener is for stands in
//! `door`.

use std::net::{Ipv6Addr, SocketAddr};

use serde_json::Value as Json;

use super::{Fields, Kind, Shown, Variable, door, each, refuse, refuse_repeats, scalar, text, tls};
use crate::config::checked::{Door, Listener, Scheme, UpstreamUrl};
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::tls::Name;

const ADDRESS: &str = "write an address and a port, such as 0.0.0.0:9000 or [::]:9000";

/// One socket's address.
pub(in crate::config) struct Address;

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<SocketAddr> {
        match scalar(node, faults, ADDRESS)?.parse() {
            Ok(address) => Some(address),
            Err(_) => refuse(node, faults, "not an address with a port", ADDRESS),
        }
    }

    fn show(&self, value: &SocketAddr) -> Shown {
        Shown::Text(value.to_string())
    }

    fn shape(&self) -> Json {
        shape::text(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$")
    }
}

/// The public sockets: addresses, or `{name, address}` and what is their own.
pub(in crate::config) struct Listeners;

impl Kind for Listeners {
    type Value = Vec<Listener>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write a list such as [\"0.0.0.0:9000\"]";
        let mut position = 0;
        let listeners = each(node, faults, ACCEPTED, |node, faults| {
            position += 1;
            listener(node, faults, position)
        })?;
        if listeners.is_empty() {
            return refuse(node, faults, "nothing to listen on", ACCEPTED);
        }
        refuse_repeats(node, &listeners, faults, "name", |listener| {
            Some(listener.name.clone())
        })?;
        refuse_repeats(node, &listeners, faults, "address", |listener| {
            // Port 0 is a new port each time.
            (listener.address.port() != 0).then_some(listener.address)
        })?;
        Some(listeners)
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let shown = (1..).zip(value);
        Shown::List(shown.map(|(at, value)| show(at, value)).collect())
    }

    fn shape(&self) -> Json {
        let keyed = shape::fields(&known(), &["address"], field);
        shape::list(1, usize::MAX, shape::either([Address.shape(), keyed]))
    }
}

/// An address alone, where that says it all.
fn show(position: usize, listener: &Listener) -> Shown {
    let Listener {
        name,
        address,
        door,
        tls,
        redirect_to_https,
    } = listener;
    let address = Shown::Text(address.to_string());
    let named = (*name != default_name(position)).then(|| ("name", Shown::Text(name.clone())));
    let mut own = door::shown(door);
    own.extend(tls.as_ref().map(|tls| ("tls", tls::show(tls))));
    let redirect = redirect_to_https.map(tls::show_redirect);
    own.extend(redirect.map(|port| ("redirect_to_https", port)));
    if named.is_none() && own.is_empty() {
        return address;
    }
    let first = named.into_iter().chain([("address", address)]);
    Shown::Map(first.chain(own).collect())
}

fn default_name(position: usize) -> String {
    match position {
        1 => "public".to_owned(),
        position => format!("public-{position}"),
    }
}

/// The keys of a listener that has some.
const fn known() -> [&'static str; 8] {
    let [proxy_protocol, serve, allow, noindex] = door::KEYS;
    [
        "name",
        "address",
        proxy_protocol,
        serve,
        allow,
        noindex,
        "tls",
        "redirect_to_https",
    ]
}

fn field(key: &str) -> (&'static str, Json) {
    match key {
        "name" => (
            "The `listener` label of the metrics; public, public-2, ... where none is given.",
            shape::text("^[a-z0-9_-]{1,32}$"),
        ),
        "address" => ("An address and a port.", Address.shape()),
        "tls" => ("What it speaks TLS with.", tls::shape()),
        "redirect_to_https" => (
            "Moves pages that come in the clear to https: true, or the port it is reached at.",
            shape::either([shape::flag(), shape::whole(1, u16::MAX.into(), "^[0-9]+$")]),
        ),
        key => door::field(key),
    }
}

fn listener(node: &Node, faults: &mut Faults, position: usize) -> Option<Listener> {
    let Content::Map(_) = node.content else {
        let address = Address.read(node, faults)?;
        return Some(Listener {
            name: default_name(position),
            address,
            door: Door::default(),
            tls: None,
            redirect_to_https: None,
        });
    };
    let fields = Fields::of(node, faults, &known(), &[])?;
    let name = match fields.optional("name") {
        Some(node) => label(node, faults),
        None => Some(default_name(position)),
    };
    let address = fields
        .required("address", faults)
        .and_then(|node| Address.read(node, faults));
    let tls = match fields.optional("tls") {
        Some(node) => tls::tls(node, faults).map(Some),
        None => Some(None),
    };
    let redirect_to_https = match fields.optional("redirect_to_https") {
        Some(node) => tls::redirect(node, faults).and_then(|port| {
            let both = port.is_some() && fields.optional("tls").is_some();
            let accepted = "remove one; who comes by TLS is there already";
            match both {
                true => refuse(node, faults, "a redirect beside tls", accepted),
                false => Some(port),
            }
        }),
        None => Some(None),
    };
    let door = door::read(&fields, faults);
    Some(Listener {
        name: name?,
        address: address?,
        door: door?,
        tls: tls?,
        redirect_to_https: redirect_to_https?,
    })
}

/// A name that becomes a label of the metrics.
pub(super) fn label(node: &Node, faults: &mut Faults) -> Option<String> {
    const CHARACTERS_MAX: usize = 32;
    const ACCEPTED: &str = "write up to 32 of a-z, 0-9, - and _";
    let text = scalar(node, faults, ACCEPTED)?;
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    match (1..=CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        true => Some(text.to_owned()),
        false => refuse(node, faults, "not a name", ACCEPTED),
    }
}

/// How an upstream's URL is written.
const URL: &str = "[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?";

/// Upstream servers, by URL.
pub(in crate::config) struct Urls;

impl Kind for Urls {
    type Value = Vec<UpstreamUrl>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write a list such as [\"http://relay:3000\"]";
        let urls = each(node, faults, ACCEPTED, |node, faults| {
            const ACCEPTED: &str =
                "write http://HOST:PORT or https://HOST:PORT, such as http://relay:3000";
            match url(scalar(node, faults, ACCEPTED)?) {
                Ok(url) => Some(url),
                Err(wrong) => refuse(node, faults, wrong, ACCEPTED),
            }
        })?;
        if urls.is_empty() {
            return refuse(node, faults, "no server", ACCEPTED);
        }
        refuse_repeats(node, &urls, faults, "server", |url| Some(url.clone()))?;
        Some(urls)
    }

    fn show(&self, value: &Self::Value) -> Shown {
        Shown::List(
            value
                .iter()
                .map(|url| Shown::Text(url.to_string()))
                .collect(),
        )
    }

    fn shape(&self) -> Json {
        shape::list(1, usize::MAX, shape::text(&format!("^{URL}$")))
    }
}

/// One server by URL, or none, written empty.
pub(in crate::config) struct OneUrl;

impl Kind for OneUrl {
    type Value = Option<UpstreamUrl>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str =
            "write http://HOST:PORT or https://HOST:PORT, such as http://web:9000";
        match scalar(node, faults, ACCEPTED)? {
            "" => Some(None),
            text => match url(text) {
                Ok(url) => Some(Some(url)),
                Err(wrong) => refuse(node, faults, wrong, ACCEPTED),
            },
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let url = value.as_ref().map(UpstreamUrl::to_string);
        url.map_or(Shown::Absent, Shown::Text)
    }

    fn shape(&self) -> Json {
        shape::text(&format!("^({URL})?$"))
    }
}

/// A server's URL, or what is wrong with it.
pub(super) fn url(text: &str) -> Result<UpstreamUrl, &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("not a URL");
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err("not an http URL"),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("a URL with a path");
    }
    if authority.contains('@') {
        return Err("a URL with a user name");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or("not a host")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "not an IPv6 address")?;
            (address.to_string(), port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (name, port) = authority.split_at_checked(end).ok_or("not a host")?;
            (text::host(name).ok_or("not a host")?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())
            .flatten(),
        None => port.is_empty().then_some(scheme.port()),
    };
    let port = port.filter(|port| *port != 0).ok_or("not a port")?;
    if scheme == Scheme::Https && Name::parse(&host).is_none() {
        return Err("a host that no certificate can be for");
    }
    Ok(UpstreamUrl { scheme, host, port })
}

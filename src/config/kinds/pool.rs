//! Owns what is said of the Redis or Valkey by which quotas are shared.

use std::net::Ipv6Addr;

use serde_json::Value as Json;

use super::{Kind, Shown, Variable, at_most, each, refuse, refuse_repeats, scalar, text};
use crate::config::checked::PoolUrl;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::{Content, Node};
use crate::tls::Name;

/// Seeds of a cluster, or sentinels: from one of them all others are known.
const SERVERS_MAX: usize = 16;

/// The port of both.
const PORT: u16 = 6379;

const ACCEPTED: &str = "write redis://HOST:PORT or rediss://HOST:PORT, such as redis://redis:6379";

/// One server or a list of them.
pub(in crate::config) struct PoolUrls;

impl Kind for PoolUrls {
    type Value = Vec<PoolUrl>;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        if let Content::Scalar(text) = &node.content {
            return match text.as_str() {
                "" => Some(Vec::new()),
                _ => Some(vec![one(node, faults)?]),
            };
        }
        at_most(node, faults, SERVERS_MAX, "servers")?;
        // A variable that is empty is a list of one empty text.
        let nothing = |node: &Node| node.content == Content::Scalar(String::new());
        let urls = match &node.content {
            Content::List(nodes) if nodes.len() == 1 && nodes.iter().all(nothing) => Vec::new(),
            Content::List(_)
            | Content::Empty
            | Content::Reported
            | Content::Scalar(_)
            | Content::Map(_) => each(node, faults, ACCEPTED, one)?,
        };
        refuse_repeats(node, &urls, faults, "server", |url| Some(url.clone()))?;
        let mixed = urls.iter().any(|url| url.tls) && urls.iter().any(|url| !url.tls);
        match mixed {
            true => refuse(
                node,
                faults,
                "servers with TLS and without",
                "write all alike",
            ),
            false => Some(urls),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        match value.as_slice() {
            [] => Shown::Absent,
            [only] => Shown::Text(only.to_string()),
            several => {
                let urls = several.iter().map(|url| Shown::Text(url.to_string()));
                Shown::List(urls.collect())
            }
        }
    }

    fn shape(&self) -> Json {
        const URL: &str = r"[Rr][Ee][Dd][Ii][Ss][Ss]?://[^@/?#]+/?";
        let several = shape::list(0, SERVERS_MAX, shape::text(&format!("^{URL}$")));
        shape::either([shape::text(&format!("^({URL})?$")), several])
    }
}

fn one(node: &Node, faults: &mut Faults) -> Option<PoolUrl> {
    match url(scalar(node, faults, ACCEPTED)?) {
        Ok(url) => Some(url),
        Err((wrong, accepted)) => refuse(node, faults, wrong, accepted),
    }
}

/// A server's URL, or what is wrong with it and what to write.
fn url(written: &str) -> Result<PoolUrl, (&'static str, &'static str)> {
    let plain = |wrong| (wrong, ACCEPTED);
    let (scheme, rest) = written.split_once("://").ok_or(plain("not a URL"))?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(plain("not a redis URL")),
    };
    if rest.contains('@') {
        return Err((
            "a URL with a password",
            "write it in shared_quota.password_file, or shared_quota.password",
        ));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err((
            "a URL with a path",
            "write the database's number in shared_quota.database",
        ));
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or(plain("not a host"))?;
            let address: Ipv6Addr = address.parse().map_err(|_| plain("not an IPv6 address"))?;
            (address.to_string(), port)
        }
        None => {
            let end = rest.find(':').unwrap_or(rest.len());
            let (name, port) = rest.split_at_checked(end).ok_or(plain("not a host"))?;
            (text::host(name).ok_or(plain("not a host"))?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())
            .flatten(),
        None => port.is_empty().then_some(PORT),
    };
    let port = port.filter(|port| *port != 0).ok_or(plain("not a port"))?;
    if tls && Name::parse(&host).is_none() {
        return Err(plain("a host that no certificate can be for"));
    }
    Ok(PoolUrl { tls, host, port })
}

/// As much of a name as anybody needs.
const CHARACTERS_MAX: usize = 64;

/// A word of Redis: a name that stands in keys and commands.
pub(in crate::config) struct PoolWord {
    /// Whether there may be none, written empty.
    pub(in crate::config) or_none: bool,
}

impl Kind for PoolWord {
    type Value = Option<String>;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        const ACCEPTED: &str = "write up to 64 of a-z, A-Z, 0-9, -, _ and .";
        let text = scalar(node, faults, ACCEPTED)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match text.len() {
            0 if self.or_none => Some(None),
            1..=CHARACTERS_MAX if text.bytes().all(allowed) => Some(Some(text.to_owned())),
            _ => refuse(node, faults, "not a name", ACCEPTED),
        }
    }

    fn show(&self, value: &Self::Value) -> Shown {
        let text = value.as_ref();
        text.map_or(Shown::Absent, |text| Shown::Text(text.clone()))
    }

    fn shape(&self) -> Json {
        let min = u8::from(!self.or_none);
        shape::text_or_digits(&format!("^[A-Za-z0-9_.-]{{{min},{CHARACTERS_MAX}}}$"))
    }
}

/// One that is always there.
pub(in crate::config) struct PoolName;

impl Kind for PoolName {
    type Value = String;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<String> {
        PoolWord { or_none: false }.read(node, faults).flatten()
    }

    fn show(&self, value: &String) -> Shown {
        Shown::Text(value.clone())
    }

    fn shape(&self) -> Json {
        PoolWord { or_none: false }.shape()
    }
}

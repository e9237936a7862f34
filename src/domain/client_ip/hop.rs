//! The hops of forwarding headers, one at a time from the right.
//!
//! Owns their spellings: ports, brackets, zone ids, quotes, RFC 7239 elements. Never judges trust.
//! Reading from the right matters: the right end was written by the nearest hop, so nothing that a
//! client put to the left, an open quote for instance, can change how it reads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One hop, as the header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// An address, ports and decoration cut.
    Address(IpAddr),
    /// Nothing between two commas.
    Empty,
    /// Something that is no address: `unknown`, an obfuscated name, garbage.
    Hidden,
}

/// A hop in its own words, and what they say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    /// The words, without the blanks around them.
    pub(super) text: &'a [u8],
    /// What they say.
    pub(super) hop: Hop,
}

/// The longest node that is looked at: a bracketed address with zone and port stays below.
const NODE_BYTES_MAX: usize = 128;

/// The hops of one line of a comma list, nearest first.
pub(super) fn list_from_right(line: &[u8]) -> impl Iterator<Item = Written<'_>> {
    line.rsplit(|&byte| byte == b',').map(single)
}

/// The one hop that a text names.
pub(super) fn single(text: &[u8]) -> Written<'_> {
    let text = text.trim_ascii();
    let hop = hop_of_node(text);
    Written { text, hop }
}

fn hop_of_node(node: &[u8]) -> Hop {
    match node {
        b"" => Hop::Empty,
        node => address_of(unquoted(node)).map_or(Hop::Hidden, Hop::Address),
    }
}

/// The hops of one line of `Forwarded`, nearest first.
pub(super) fn forwarded_from_right(line: &[u8]) -> impl Iterator<Item = Written<'_>> {
    let mut left = Some(line);
    std::iter::from_fn(move || {
        let (before, element) = split_last_element(left?);
        left = before;
        let text = element.trim_ascii();
        let hop = hop_of_element(text);
        Some(Written { text, hop })
    })
}

/// Cuts the right-most element off, at the last comma that stands in no quotes.
fn split_last_element(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        let before = line.get(..at).unwrap_or_default();
        match byte {
            b'"' if !is_escaped(before) => quoted = !quoted,
            b',' if !quoted => return (Some(before), line.get(at + 1..).unwrap_or_default()),
            _ => {}
        }
    }
    (None, line)
}

/// Whether what follows `before` is escaped: an odd number of backslashes ends it.
fn is_escaped(before: &[u8]) -> bool {
    before
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\\')
        .count()
        % 2
        == 1
}

/// The node of the element's `for`; an element without one hides its hop.
fn hop_of_element(element: &[u8]) -> Hop {
    if element.is_empty() {
        return Hop::Empty;
    }
    let mut node = None;
    let mut left = Some(element);
    while let Some(pairs) = left {
        let (pair, after) = split_first_pair(pairs);
        left = after;
        if pair.trim_ascii().is_empty() {
            continue;
        }
        let Some(equals) = memchr::memchr(b'=', pair) else {
            return Hop::Hidden;
        };
        let (name, equals_and_value) = pair.split_at(equals);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            let value = equals_and_value.strip_prefix(b"=").unwrap_or_default();
            if node.replace(value.trim_ascii()).is_some() {
                return Hop::Hidden;
            }
        }
    }
    match node.map(hop_of_node) {
        Some(Hop::Address(address)) => Hop::Address(address),
        Some(Hop::Empty | Hop::Hidden) | None => Hop::Hidden,
    }
}

/// Cuts the first `name=value` off, at the first semicolon that stands in no quotes.
fn split_first_pair(pairs: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in pairs.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                return (pairs.get(..at).unwrap_or_default(), pairs.get(at + 1..));
            }
            _ => {}
        }
    }
    (pairs, None)
}

/// The text between a pair of quotes, or the text itself.
fn unquoted(node: &[u8]) -> &[u8] {
    node.strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(node)
}

/// `v4`, `v4:port`, `v6`, `v6%zone`, `[v6]`, `[v6%zone]:port`; an IPv4 address in IPv6 clothing is
/// undressed. An IPv6 address with a port but no brackets cannot be told from one without.
fn address_of(node: &[u8]) -> Option<IpAddr> {
    if node.len() > NODE_BYTES_MAX {
        return None;
    }
    let node = str::from_utf8(node).ok()?;
    if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let port_is_sound = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return if port_is_sound { v6_of(address) } else { None };
    }
    match node.split_once(':') {
        None => node.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some((address, port)) if !port.contains(':') => {
            is_port(port).then(|| address.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?
        }
        Some(_) => v6_of(node),
    }
}

fn v6_of(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        Some((_, "")) => return None,
        Some((address, _zone)) => address,
        None => text,
    };
    address
        .parse::<Ipv6Addr>()
        .ok()
        .map(|v6| IpAddr::V6(v6).to_canonical())
}

/// A port's digits; 0 is let through, some proxies write it for what they do not know.
fn is_port(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

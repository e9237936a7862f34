//! Whom the parts behind the edge take for the client.
//!
//! Owns their rules of reading, as far as they bear on what is sent to them. Never says what they
//! should be sent.

use std::net::IpAddr;

/// The address that each part reads from the headers it gets.
///
/// `None`: it reads none. If nothing was sent, each falls back to the socket's peer, which is the
/// edge itself; if something was sent that is no bare address, it has no client at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusions {
    /// Relay: events, and all that it infers from them.
    pub relay: Option<IpAddr>,
    /// Sentry's web process: log-ins, the audit log, who is an internal Relay.
    pub web: Option<IpAddr>,
}

/// What Relay looks at, in its order.
const RELAY_ORDER: [&str; 4] = [
    "cf-connecting-ip",
    "x-vercel-forwarded-for",
    "x-sentry-forwarded-for",
    "x-forwarded-for",
];

/// What Relay and web conclude from the headers sent to them; names in any case.
///
/// Relay takes the first of its four headers that is not empty, web `X-Forwarded-For`, and both
/// the first element, which must be an address with nothing around it: no port, no brackets.
/// Some versions of web take the last element instead. The two agree whatever the version when
/// one header carries one bare address, and so that is what the edge sends.
pub fn conclusions(sent: &[(&str, &[u8])]) -> Conclusions {
    let of = |wanted: &str| {
        let lines = sent
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        lines
            .map(|(_, value)| value.trim_ascii())
            .find(|value| !value.is_empty())
    };
    Conclusions {
        relay: RELAY_ORDER.into_iter().find_map(of).and_then(first_element),
        web: of("x-forwarded-for").and_then(first_element),
    }
}

fn first_element(list: &[u8]) -> Option<IpAddr> {
    let first = list.split(|&byte| byte == b',').next()?;
    str::from_utf8(first.trim_ascii()).ok()?.parse().ok()
}

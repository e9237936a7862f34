//! Which address an SDK connected from.
//!
//! Owns the walk over forwarding headers, the rule of whom to believe, and what may be kept of the
//! answer. Never picks the header, never believes a peer that is not on the list, and never yields
//! more than one address.

mod conclusions;
mod explained;
mod hop;
mod presets;
mod store;
mod walk;

use std::net::IpAddr;

use super::networks::Networks;
pub use conclusions::{Conclusions, conclusions};
pub use explained::{Explained, HopStep, HopVerdict, TEXT_CHARS_MAX, explain};
pub use presets::{FRONTS, PRESETS, front_of, preset};
pub use store::{HashKey, Store};

/// How the believed header writes its hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderForm {
    /// Addresses with commas between: `X-Forwarded-For` and its kin.
    List,
    /// Elements of RFC 7239: `Forwarded: for=192.0.2.1;proto=https`.
    Forwarded,
    /// One address, set by the nearest hop: `CF-Connecting-IP`, `X-Real-IP`.
    Single,
}

/// How far an address can be believed, for the metric and for explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The socket's peer: not a trusted hop, or one that named nobody.
    Peer,
    /// A hop that a trusted one named.
    Header,
    /// A trusted hop leads to a private address: mostly NAT or a proxy that is not on the list.
    Private,
    /// A trusted hop passed on something that is no address; the answer is the last sure hop.
    Unknown,
}

impl Source {
    /// Every source, in the order of the metric's labels.
    pub const ALL: [Source; 4] = [
        Source::Peer,
        Source::Header,
        Source::Private,
        Source::Unknown,
    ];

    /// Its place in [`ALL`](Self::ALL), for arrays of counters.
    pub const fn index(self) -> usize {
        match self {
            Self::Peer => 0,
            Self::Header => 1,
            Self::Private => 2,
            Self::Unknown => 3,
        }
    }

    /// The source as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Header => "header",
            Self::Private => "private",
            Self::Unknown => "unknown",
        }
    }
}

/// The one address that goes upstream, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp {
    /// The address, an IPv4 one never in its IPv6 clothing.
    pub address: IpAddr,
    /// How it was found.
    pub source: Source,
}

/// Resolves the address that the SDK connected from.
///
/// `lines` are the believed header's lines in order of arrival. They are read from the right, and
/// the walk stops at the first hop that is not trusted: each trusted hop wrote down whom it saw,
/// and what stands to the left of a stranger is the stranger's word. If every hop is trusted it is
/// the left-most one, as with nginx. A hop that is no address (`unknown`, `_hidden`, garbage) ends
/// the walk too, at the nearest trusted hop already passed. A peer that is not trusted is the
/// answer itself, whatever the header says.
pub fn resolve<'a>(
    peer: IpAddr,
    form: HeaderForm,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &Networks,
) -> ClientIp {
    walk::walk(peer, form, lines, trusted, |_| {})
}

/// Whether an address is the machine itself or in a private network: who may speak to
/// `/api/0/relays/` by default.
///
/// The shared range 100.64.0.0/10 is not among them: cloud balancers bring the whole Internet
/// from there.
pub fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whether an address cannot be a visitor's on the Internet: internal, or in 100.64.0.0/10.
fn is_private(address: IpAddr) -> bool {
    let is_shared = match address.to_canonical() {
        IpAddr::V4(v4) => matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(_) => false,
    };
    is_shared || is_internal(address)
}

#[cfg(test)]
mod tests;

//! What of a client's address is handed on and kept.
//!
//! Owns the four ways and the keyed hash behind one of them. Never decides what is asked of the
//! address before that: filters and quotas see the whole one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use siphasher::sip128::SipHasher24;

/// What takes the place of a client's address upstream, in logs and in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// The address itself.
    Full,
    /// Its network: /24 for IPv4, /48 for IPv6.
    Truncate,
    /// A pseudonym that has the form of an address.
    Hash(HashKey),
    /// Nothing.
    Drop,
}

/// A /24 and a /48 are the widths to which analytics commonly cut addresses: 256 neighbours, and
/// the most that a provider gives one site (RFC 6177).
const V4_KEPT: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const V6_KEPT: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0, 0, 0, 0, 0);

impl Store {
    /// What may be kept of an address; an IPv4 one never comes back in IPv6 clothing.
    ///
    /// A pseudonym lies in `fd00::/8`, unique local addresses that no visitor can have: it passes
    /// for an address wherever one is parsed, so users can still be counted, and nobody takes it
    /// for a place. 120 bits of the hash are left, and two of a million visitors share one with a
    /// chance of 1 in 10^24. To be applied once: a pseudonym that is hashed is another.
    ///
    /// An IPv6 address is hashed by its /64. A device keeps that while it stays in its network,
    /// but draws a new interface id every day (RFC 8981) and would be a new user every day. Those
    /// who share a /64 share a pseudonym, as those behind one IPv4 address do.
    pub fn stored(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        match (self, address) {
            (Self::Full, _) => Some(address),
            (Self::Truncate, IpAddr::V4(v4)) => Some(IpAddr::V4(v4 & V4_KEPT)),
            (Self::Truncate, IpAddr::V6(v6)) => Some(IpAddr::V6(v6 & V6_KEPT)),
            (Self::Hash(key), _) => Some(IpAddr::V6(key.pseudonym(address))),
            (Self::Drop, _) => None,
        }
    }
}

/// The key of pseudonyms: whoever has it can find the address behind one by trying all.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// Derives a key from a secret of any length; all edges with one secret agree.
    ///
    /// The key is as hard to guess as the secret: an empty one gives a key that everybody knows,
    /// and refusing it is the configuration's business.
    pub fn from_secret(secret: &[u8]) -> Self {
        // The label keeps the secret's other uses, if it has any, apart from this one.
        const LABEL: &[u8; 16] = b"vidette-ip-hash1";
        Self(SipHasher24::new_with_key(LABEL).hash(secret).as_bytes())
    }

    /// Four bytes or eight are hashed, so no IPv4 address can meet an IPv6 network.
    fn pseudonym(&self, address: IpAddr) -> Ipv6Addr {
        let hasher = SipHasher24::new_with_key(&self.0);
        let hash = match address {
            IpAddr::V4(v4) => hasher.hash(&v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                hasher.hash(&[a, b, c, d, e, f, g, h])
            }
        };
        let mut octets = hash.as_bytes();
        let [first, ..] = &mut octets;
        *first = 0xfd;
        Ipv6Addr::from(octets)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(***)")
    }
}

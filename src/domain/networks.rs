//! A set of networks, and who is in it.
//!
//! Owns the membership alone. Never parses their text: the configuration does.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Whom an address stands for where clients are told apart: whoever has one IPv6 address of a
/// /64 has them all, and an IPv4 address in IPv6 clothing is the IPv4 one.
#[must_use]
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// Networks of both families; the default holds none.
///
/// Kept as sorted ranges without overlap: a look-up is one binary search, for the usual dozen
/// networks a few comparisons in one cache line, and thousands stay cheap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Range<T> {
    first: T,
    last: T,
}

impl Networks {
    /// Whether the address is in one of the networks; an IPv4 address in IPv6 clothing counts as
    /// the IPv4 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => covers(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => covers(&self.v6, v6.to_bits()),
        }
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.network(), network.broadcast()) {
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                        // Look-ups happen by the IPv4 form, so a mapped network must be stored so.
                        (Some(first), Some(last)) => v4.push(Range {
                            first: first.to_bits(),
                            last: last.to_bits(),
                        }),
                        (None, _) | (_, None) => v6.push(Range {
                            first: first.to_bits(),
                            last: last.to_bits(),
                        }),
                    }
                }
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    v4.push(Range {
                        first: first.to_bits(),
                        last: last.to_bits(),
                    });
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                    unreachable!("a network's ends are of one family")
                }
            }
        }
        Self {
            v4: without_overlap(v4),
            v6: without_overlap(v6),
        }
    }
}

fn without_overlap<T: Ord + Copy>(mut ranges: Vec<Range<T>>) -> Vec<Range<T>> {
    ranges.sort_unstable();
    ranges.dedup_by(|later, earlier| {
        let overlaps = later.first <= earlier.last;
        if overlaps {
            earlier.last = earlier.last.max(later.last);
        }
        overlaps
    });
    ranges
}

fn covers<T: Ord>(ranges: &[Range<T>], address: T) -> bool {
    let after = ranges.partition_point(|range| range.first <= address);
    let candidate = after.checked_sub(1).and_then(|place| ranges.get(place));
    candidate.is_some_and(|range| address <= range.last)
}

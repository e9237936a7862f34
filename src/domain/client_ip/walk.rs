//! The walk over the hops, once for those who want its end and for those who want its steps.
//!
//! Owns the rule of whom to believe. Never keeps what it met: whoever wants the steps is told each
//! as it is taken, and telling nobody costs nothing.

use std::net::IpAddr;

use super::explained::HopVerdict;
use super::hop::{self, Hop, Written};
use super::{ClientIp, HeaderForm, Networks, Source, is_private};

/// A walk ends after this many hops: real chains have a handful, and a forged header of 64 KiB
/// could otherwise name ten thousand.
pub(super) const HOPS_MAX: usize = 64;

/// A step of the walk.
pub(super) struct Met<'a> {
    /// The hop in its own words; for the peer, which wrote nothing, "peer".
    pub(super) text: &'a [u8],
    /// Its address, if it has one and was looked at.
    pub(super) address: Option<IpAddr>,
    /// What the walk makes of it. A trusted hop that turns out to be the last is told as any other.
    pub(super) verdict: HopVerdict,
}

/// From the peer outwards, to the client; `met` is told every step, the peer first.
pub(super) fn walk<'a>(
    peer: IpAddr,
    form: HeaderForm,
    mut lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &Networks,
    mut met: impl FnMut(Met<'a>),
) -> ClientIp {
    let peer = peer.to_canonical();
    let mut met_peer = |verdict| {
        met(Met {
            text: b"peer",
            address: Some(peer),
            verdict,
        });
    };
    if !trusted.contains(peer) {
        met_peer(HopVerdict::PeerNotTrustedSoPeer);
        return ClientIp {
            address: peer,
            source: Source::Peer,
        };
    }
    met_peer(HopVerdict::TrustedSoOn);
    let (address, source) = match form {
        HeaderForm::List => {
            let hops = lines.rev().flat_map(hop::list_from_right);
            outwards(peer, hops, trusted, met)
        }
        HeaderForm::Forwarded => {
            let hops = lines.rev().flat_map(hop::forwarded_from_right);
            outwards(peer, hops, trusted, met)
        }
        HeaderForm::Single => {
            let hop = lines.next_back().map(hop::single);
            outwards(peer, hop.into_iter(), trusted, met)
        }
    };
    let source = match source {
        Source::Peer | Source::Header if is_private(address) => Source::Private,
        Source::Peer | Source::Header | Source::Private | Source::Unknown => source,
    };
    ClientIp { address, source }
}

/// From a trusted peer outwards, to the first hop that is not trusted.
fn outwards<'a>(
    peer: IpAddr,
    hops: impl Iterator<Item = Written<'a>>,
    trusted: &Networks,
    mut met: impl FnMut(Met<'a>),
) -> (IpAddr, Source) {
    let mut nearest = (peer, Source::Peer);
    for (passed, Written { text, hop }) in hops.enumerate() {
        let mut told = |address, verdict| {
            met(Met {
                text,
                address,
                verdict,
            });
        };
        match hop {
            _ if passed == HOPS_MAX => {
                told(None, HopVerdict::TooMany);
                return (nearest.0, Source::Unknown);
            }
            // A list may have empty places; they name nobody and vouch for nobody.
            Hop::Empty => told(None, HopVerdict::Empty),
            Hop::Hidden => {
                told(None, HopVerdict::NotAnAddressSoBefore);
                return (nearest.0, Source::Unknown);
            }
            Hop::Address(address) => {
                nearest = (address, Source::Header);
                if !trusted.contains(address) {
                    told(Some(address), HopVerdict::NotTrustedSoThis);
                    return nearest;
                }
                told(Some(address), HopVerdict::TrustedSoOn);
            }
        }
    }
    nearest
}

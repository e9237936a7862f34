//! The walk over forwarding headers, step by step, for whoever asks why an address came out.
//!
//! Owns the words for each step. Never walks by itself: it listens to the walk that answers
//! requests, so the two cannot disagree.

use std::net::IpAddr;

use super::walk::{Met, walk};
use super::{ClientIp, HeaderForm, Networks};

/// What the walk made of a hop, and what followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopVerdict {
    /// A trusted hop: the walk goes on to the one it named.
    TrustedSoOn,
    /// The first hop that is not trusted: the client.
    NotTrustedSoThis,
    /// `unknown`, an obfuscated name, garbage: the client is the nearest trusted hop passed.
    NotAnAddressSoBefore,
    /// The socket's peer is not trusted: it is the client, and the header was not read.
    PeerNotTrustedSoPeer,
    /// Nothing between two commas; the walk goes on.
    Empty,
    /// A trusted hop that named nobody: the client.
    AllTrustedSoThis,
    /// One hop more than a walk has; it was not looked at, and the client is the last one that was.
    TooMany,
}

impl HopVerdict {
    /// Every verdict.
    pub const ALL: [HopVerdict; 7] = [
        HopVerdict::TrustedSoOn,
        HopVerdict::NotTrustedSoThis,
        HopVerdict::NotAnAddressSoBefore,
        HopVerdict::PeerNotTrustedSoPeer,
        HopVerdict::Empty,
        HopVerdict::AllTrustedSoThis,
        HopVerdict::TooMany,
    ];

    /// The verdict as operators read it behind the hop's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrustedSoOn => "trusted, so the hop that it names counts",
            Self::NotTrustedSoThis => "not a trusted proxy, so this is the client",
            Self::NotAnAddressSoBefore => {
                "not an address, so the trusted hop that passed it on stands for the client"
            }
            Self::PeerNotTrustedSoPeer => {
                "not a trusted proxy, so it is the client, whatever the header says"
            }
            Self::Empty => "empty, passed over",
            Self::AllTrustedSoThis => "trusted, but names nobody, so this is the client",
            Self::TooMany => "too many hops, so the last one before it stands for the client",
        }
    }
}

/// One step of an explained walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopStep {
    /// What the hop wrote, fit for a terminal: printable ASCII, at most [`TEXT_CHARS_MAX`]
    /// characters, dots for the rest. The peer, which comes first and wrote nothing, is "peer".
    pub text: String,
    /// The address that was read from it.
    pub address: Option<IpAddr>,
    /// What the walk made of it.
    pub verdict: HopVerdict,
}

/// A resolved client and how the walk got there, from the peer outwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What [`resolve`](super::resolve) answers.
    pub client: ClientIp,
    /// At least the peer, at most 66: the peer, the longest walk and the hop that is too many.
    pub steps: Vec<HopStep>,
}

/// The most characters of a hop that are shown: the longest address with zone and port fits.
pub const TEXT_CHARS_MAX: usize = 64;

/// Resolves as [`resolve`](super::resolve) does, by the same walk, and says why.
///
/// What strangers wrote is in the steps, escaped: show it to operators, not to clients.
pub fn explain<'a>(
    peer: IpAddr,
    form: HeaderForm,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &Networks,
) -> Explained {
    let mut steps = Vec::new();
    let client = walk(peer, form, lines, trusted, |met: Met<'a>| {
        steps.push(HopStep {
            text: shown(met.text),
            address: met.address,
            verdict: met.verdict,
        });
    });
    mark_the_last_trusted(&mut steps);
    Explained { client, steps }
}

/// The walk cannot know that a trusted hop is its last; if it ran out of hops, one was.
fn mark_the_last_trusted(steps: &mut [HopStep]) {
    let ran_out = steps
        .last()
        .is_some_and(|step| matches!(step.verdict, HopVerdict::TrustedSoOn | HopVerdict::Empty));
    let mut backwards = steps.iter_mut().rev();
    let last = backwards.find(|step| step.verdict == HopVerdict::TrustedSoOn);
    if let Some(step) = last.filter(|_| ran_out) {
        step.verdict = HopVerdict::AllTrustedSoThis;
    }
}

/// A stranger's bytes as text that cannot move a cursor.
fn shown(bytes: &[u8]) -> String {
    const CUT: &str = "...";
    let mut text = String::with_capacity(bytes.len().min(TEXT_CHARS_MAX));
    let mut room_for_cut = 0;
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
        // All of it is ASCII, so bytes are characters.
        if text.len() > TEXT_CHARS_MAX {
            text.truncate(room_for_cut);
            text.push_str(CUT);
            break;
        }
        if text.len() + CUT.len() <= TEXT_CHARS_MAX {
            room_for_cut = text.len();
        }
    }
    text
}

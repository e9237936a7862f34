//! For whom an admitted request counts: its project, and how far it is believed to be
//! who it says. Never charges anything.

use std::io::Write as _;
use std::net::IpAddr;

use crate::domain::endpoint::ProjectId;
use crate::domain::origin::Page;

use super::pair::{Known, OriginKey, Pair, Sender};
use super::proven::ProvenHere;
use super::quotas::{Trust, Who};
use super::verdicts::Verdicts;
use super::{Claim, Gate, Mode};

impl Gate {
    /// For whom an admitted request counts, and whether its key is known to be real: named, proven,
    /// or in mode `open`, where nobody asks.
    #[must_use]
    pub fn who(
        &self,
        sender: &Sender,
        ip: IpAddr,
        verdicts: &Verdicts,
        here: &mut ProvenHere,
    ) -> (Who, bool) {
        let vouched = self.mode == Mode::Open || verdicts.vouches(sender, here);
        let project = self.project_of(sender, verdicts);
        let who = Who {
            project,
            key: sender.pair.packed_key(),
            ip,
            trust: match vouched {
                true => Trust::Whole,
                false => self.trust_in_stranger(project, verdicts),
            },
        };
        (who, vouched)
    }

    /// Whether a key is known to be real, for a project: as in [`who`](Self::who), without a
    /// request.
    #[must_use]
    pub fn vouches_for(&self, pair: &Pair, verdicts: &Verdicts) -> bool {
        let proven = || {
            let sender = Sender {
                pair: *pair,
                origin: None,
                known: Known::Unnamed,
            };
            verdicts.vouches(&sender, &mut ProvenHere::new(0))
        };
        if self.moves.away(&pair.key(), pair.project()).is_some() {
            return true;
        }
        match self.directory.find(&pair.key()) {
            Some(named) => {
                named.enabled && (named.project.is_none() || named.project == pair.project())
            }
            None => match self.mode {
                Mode::Open => true,
                Mode::Learn => proven(),
                // The upstream would not take it either.
                Mode::Strict => false,
            },
        }
    }

    /// The project that a sender's items count for: the path's, else the key's own, as somebody
    /// names it or the key is proven with.
    fn project_of(&self, sender: &Sender, verdicts: &Verdicts) -> Option<ProjectId> {
        let key = || sender.pair.key();
        let own = || match self.directory.find(&key()) {
            Some(named) => named.project,
            None => match self.moves.away(&key(), None) {
                Some(moved) => moved.project,
                None => verdicts.home(&key()),
            },
        };
        sender.pair.project().or_else(own)
    }

    fn trust_in_stranger(&self, project: Option<ProjectId>, verdicts: &Verdicts) -> Trust {
        let (anybody, here) = verdicts.proves(project);
        let named = project.is_some_and(|project| self.directory.has_project(project));
        match (here || named, anybody || !self.directory.is_empty()) {
            (true, _) => Trust::Stranger,
            (false, true) => Trust::NewProject,
            (false, false) => Trust::Whole,
        }
    }
}

/// Whom a verdict will be about.
#[must_use]
pub fn sender(claim: &Claim<'_>, known: Known, verdicts: &Verdicts) -> Sender {
    Sender {
        pair: Pair::new(&claim.key, claim.project),
        origin: origin_key(claim.page, verdicts),
        known,
    }
}

/// What stands for the page in verdicts. One that others may read differently stands
/// for itself: what it is refused for falls neither on those who name no page nor on
/// those whose page it names beside.
pub(super) fn origin_key(page: &Page<'_>, verdicts: &Verdicts) -> Option<OriginKey> {
    if page.origin.is_none() && page.is_plain() {
        return None;
    }
    let mut text = Vec::with_capacity(64);
    if let Some(origin) = &page.origin {
        // Writing into memory cannot fail.
        write!(text, "{origin}").ok();
    }
    if !page.is_plain() {
        for odd in [page.odd_origin, page.odd_referer] {
            // No header's value holds a line feed.
            text.push(b'\n');
            text.extend_from_slice(odd.unwrap_or_default());
        }
    }
    Some(verdicts.origin_key(&text))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::credentials::Key;
    use crate::policy::directory::{Directory, Named, Source};
    use crate::policy::millis::Millis;
    use crate::policy::moves::Moves;
    use crate::policy::origins::Origins;
    use crate::policy::proven::ProvenPair;
    use crate::policy::quotas::Quotas;
    use crate::policy::verdicts::VerdictLimits;
    use crate::policy::wanted::Wanted;

    fn project(number: u64) -> Option<ProjectId> {
        ProjectId::parse(number.to_string().as_bytes())
    }

    fn key(number: u64) -> Key {
        Key::parse(format!("{number:032x}").as_bytes()).unwrap()
    }

    /// Key 1 is named for project 1, key 2 proven with project 2; `alone`: neither is.
    #[track_caller]
    fn check(mode: Mode, alone: bool, sender: (u64, Option<u64>), want: (Option<u64>, Trust)) {
        let named = Named {
            project: project(1),
            enabled: true,
            name: None,
            source: Source::Configured,
            rate_limit: None,
        };
        let gate = Gate {
            body_bytes_max: 1000,
            mode,
            awaits_list: false,
            closed: Box::default(),
            moves: Moves::default(),
            directory: Directory::build((!alone).then_some((key(1), named))).unwrap(),
            origins: Origins::default(),
            quotas: Quotas::default(),
            wanted: Wanted::default(),
        };
        let verdicts = Verdicts::new(VerdictLimits {
            proven_max: 10,
            candidates_max: 10,
            refused_max: 10,
            unproven_per_second: 1,
        });
        let proven = ProvenPair {
            key: key(2),
            project: project(2),
            last_accepted_unix_s: 100,
        };
        if !alone {
            verdicts.restore(&[proven], Millis(0), 100);
        }
        let (number, of) = sender;
        let sender = Sender {
            pair: Pair::new(&key(number), of.and_then(project)),
            origin: None,
            known: match (alone, number) {
                (false, 1) => Known::Named,
                _ => Known::Unnamed,
            },
        };
        let own = Pair::new(&key(number), want.0.and_then(project));
        let vouches = gate.vouches_for(&own, &verdicts);
        let ip = Ipv4Addr::LOCALHOST.into();
        let (who, vouched) = gate.who(&sender, ip, &verdicts, &mut ProvenHere::new(0));
        assert_eq!((who.project, who.trust), (want.0.and_then(project), want.1));
        assert_eq!(vouches, vouched, "with a request or without");
        assert!(
            !vouched || who.trust == Trust::Whole,
            "who is known is believed"
        );
    }

    #[test]
    fn who_is_known_may_use_all_of_it() {
        check(Mode::Learn, false, (1, Some(1)), (Some(1), Trust::Whole));
        check(Mode::Learn, false, (2, Some(2)), (Some(2), Trust::Whole));
    }

    #[test]
    fn a_stranger_shares_little_where_others_are_known() {
        check(Mode::Learn, false, (9, Some(1)), (Some(1), Trust::Stranger));
        check(Mode::Learn, false, (9, Some(2)), (Some(2), Trust::Stranger));
        check(
            Mode::Learn,
            false,
            (9, Some(3)),
            (Some(3), Trust::NewProject),
        );
        check(Mode::Learn, false, (9, None), (None, Trust::NewProject));
    }

    #[test]
    fn where_nobody_is_known_or_asked_everybody_is_believed() {
        check(Mode::Learn, true, (9, Some(3)), (Some(3), Trust::Whole));
        check(Mode::Open, false, (9, Some(1)), (Some(1), Trust::Whole));
    }

    #[test]
    fn a_key_without_a_project_counts_for_its_own() {
        check(Mode::Open, false, (1, None), (Some(1), Trust::Whole));
        check(Mode::Open, false, (2, None), (Some(2), Trust::Whole));
        check(Mode::Open, false, (9, None), (None, Trust::Whole));
    }
}

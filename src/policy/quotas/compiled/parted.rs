//! A quota of which this process has a part, while another process or other edges count the same.
//! Owns when its part and its loan are asked about; never says how large they are.

use std::sync::Arc;

use crate::policy::quotas::counter::Counter;
use crate::policy::quotas::counters::Counters;
use crate::policy::quotas::identity::Whom;
use crate::policy::quotas::leasing;
use crate::policy::quotas::measure::Measure;
use crate::policy::quotas::{Moment, Trust, Who};

use super::{Compiled, Kept};

impl Compiled {
    /// What of the measure is this process's while others count as well.
    #[cold]
    pub(super) fn charged_part(
        &self,
        at: Moment,
        counter: Option<&Counter>,
        amount: u64,
        counters: &Counters,
    ) -> Result<u64, u64> {
        let word = counter.map_or(0, Counter::word);
        let (Measure::Window { per, limit }, true) = (self.measure, self.is_parted()) else {
            return self.measure.charged(word, at, amount);
        };
        let part = counters.part((self.measure, &self.named), at, counter);
        let charged = part.charged(word, at, amount);
        charged.map_err(|wait_s| counters.wait_s((per, limit), at, counter, amount, wait_s))
    }

    /// Whether others count the same where it is shared: windows that are kept.
    pub(super) fn is_parted(&self) -> bool {
        self.named.identity.is_kept()
    }

    /// Notes that a load was refused here for want of room: not of the share of those for whom
    /// nobody vouches, of which more is never lent.
    #[cold]
    pub(in crate::policy::quotas) fn note_missed(
        &self,
        at: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
    ) {
        let of_share = || self.look_at_share(at, sender, amount, counters).is_err();
        if !self.is_parted() || of_share() {
            return;
        }
        self.with_counter(at, sender, counters, |counter| {
            counters.missed(self.measure, at, counter, amount, 1);
        });
    }

    /// Has its counter for this sender asked for, where nothing of it is lent yet. Not one for a
    /// key of which nobody knows: those are made up by the thousand.
    pub(in crate::policy::quotas) fn want_lease(
        &self,
        at: Moment,
        sender: &Who,
        counters: &Counters,
    ) {
        let (Measure::Window { per, .. }, true) = (self.measure, self.is_parted()) else {
            return;
        };
        if matches!(self.kept, Kept::PerKey) && sender.trust != Trust::Whole {
            return;
        }
        self.with_counter(at, sender, counters, |counter| {
            let window = leasing::window_of(per, at, Some(counter));
            if window.is_some_and(|window| counter.lease(window.number).is_none()) {
                counters.leasing.want(counter);
            }
        });
    }

    fn with_counter(
        &self,
        at: Moment,
        sender: &Who,
        counters: &Counters,
        act: impl Fn(&Arc<Counter>),
    ) {
        match (&self.kept, self.whom(sender), &self.rest) {
            (Kept::Here(counter), _, _) => act(counter),
            (_, Whom::Rest(None), Some(rest)) => act(rest),
            (_, whom, rest) => {
                let none = || rest.iter().for_each(&act);
                counters.with(at, (&self.named, whom), none, &act);
            }
        }
    }

    /// Has its counter asked for before anybody needs it.
    pub(super) fn want(&self, counters: &Counters) {
        if let Kept::Here(counter) = &self.kept
            && counters.leasing.is_on()
            && self.is_parted()
        {
            counters.leasing.want(counter);
        }
    }
}

//! What a request's items are judged by, put together from where it lies. Never judges.

use crate::policy::inspection::Room;
use crate::policy::repeats::Whose;

use super::Manifest;

impl Manifest {
    /// What its items are judged by, now.
    pub(super) fn room(&self) -> Room<'_> {
        let shared = &self.worker.shared;
        let (at, now) = self.at.get();
        let switches = self.switches.as_deref();
        let quotas = &self.rules.gate.quotas;
        let mut quotas = match self.excused.get() {
            false => quotas.of(&self.who),
            true => quotas.of(&self.who_is_excused()),
        };
        if let Some(of) = switches {
            quotas = quotas.under(of.limits(), at.unix_s);
        }
        Room {
            switches,
            quotas,
            counters: &shared.counters,
            learned: &shared.learned,
            pair: &self.sender.pair,
            at,
            now,
            charges: true,
            wishes: self.wishes(),
            trace: self.trace(),
            draw: self.draw,
            repeats: &shared.repeats,
            whose: Whose {
                project: self.who.project,
                ip: self.who.ip,
            },
        }
    }
}

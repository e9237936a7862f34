//! Whether a project wants anything from whom a request is from: from its address, its program, the
//! page that it speaks for. Never asks whether the key is one; the gate does before.

use super::{Claim, Gate, Refusal};
use crate::domain::endpoint::ProjectId;

impl Gate {
    /// Whether the project wants anything from the client's address.
    ///
    /// # Errors
    /// 200 under `client_ip`: whoever is filtered never hears of it.
    pub fn check_address(&self, claim: &Claim<'_>) -> Result<(), Refusal> {
        let wishes = self.wanted.of(self.claimed_project(claim));
        match wishes.filters.client(claim.client.ip) {
            Some(reason) => Err(Refusal::unwanted(reason, claim.endpoint)),
            None => Ok(()),
        }
    }

    /// Whether the project wants anything from the client's program.
    ///
    /// # Errors
    /// 200 under `user_agent` or `crawler`.
    pub fn check_agent(&self, claim: &Claim<'_>) -> Result<(), Refusal> {
        let wishes = self.wanted.of(self.claimed_project(claim));
        let agent = claim
            .client
            .user_agent
            .filter(|_| wishes.filters.asks_agent());
        match agent.and_then(|agent| wishes.filters.agent(agent)) {
            Some(hit) => Err(Refusal::unwanted(hit.reason, claim.endpoint)),
            None => Ok(()),
        }
    }

    /// The project that a request is for: the one it names, else its key's own.
    fn claimed_project(&self, claim: &Claim<'_>) -> Option<ProjectId> {
        let own = || self.directory.find(&claim.key).and_then(|key| key.project);
        claim.project.or_else(own)
    }

    /// Whether the project lets the page send.
    ///
    /// # Errors
    /// 403 under `origin`.
    pub fn check_origin(&self, claim: &Claim<'_>) -> Result<(), Refusal> {
        let allowed = self.origins.of(self.claimed_project(claim));
        match allowed.is_any() || allowed.allows(claim.page.origin.as_ref()) {
            true => Ok(()),
            false => Err(Refusal::origin()),
        }
    }
}

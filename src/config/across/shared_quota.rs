//! Owns what the keys of shared quotas say together.

use super::Reading;
use crate::config::checked::SharedQuotaMode;

impl Reading {
    pub(super) fn shared_quota(&mut self) {
        let pool = &self.draft.config.shared_quota;
        if pool.mode == SharedQuotaMode::Single && pool.url.len() > 1 {
            let message = "shared_quota.url names several servers, and shared_quota.mode is single; \
                           write sentinel or cluster there, or keep one";
            self.at("shared_quota.url", message);
        } else if pool.mode == SharedQuotaMode::Cluster && pool.database != 0 {
            let message = "a cluster has no database but 0; remove shared_quota.database";
            self.at("shared_quota.database", message);
        }
    }
}

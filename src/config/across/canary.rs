//! What the keys of the canary say together, and with listeners.

use crate::config::read::Reading;

impl Reading {
    /// Sentry is asked by a token, in an organization.
    pub(super) fn canary(&mut self) {
        let canary = &self.draft.config.canary;
        let token = canary.token.is_some() || canary.token_file.is_some();
        let (set, missing) = match (&canary.org, token) {
            (Some(_), false) => ("canary.org", "canary.token"),
            (None, true) if canary.token.is_some() => ("canary.token", "canary.org"),
            (None, true) => ("canary.token_file", "canary.org"),
            (Some(_), true) | (None, false) => return,
        };
        if !self.failed(missing) && !self.failed("canary.token_file") {
            let message = format!("{set} without {missing}; set both or neither");
            self.at(set, &message);
        }
    }

    /// A canary that never flies.
    pub(super) fn warn_of_canary(&mut self) {
        let config = &self.draft.config;
        let said = |key: &&str| key.starts_with("canary.");
        let message = match &config.canary.dsn {
            Some(_) if config.canary_listener().is_none() => {
                "canary.dsn does nothing: no listener takes events from this machine (serve: web, \
                 proxy_protocol: required, or client_ca)"
            }
            Some(dsn) => {
                let asks = config.canary.token.is_some() || config.canary.token_file.is_some();
                let moved = config.dsn_map.find(&dsn.key, Some(dsn.project));
                let away = moved.and_then(|(_, moved)| moved.to_upstream.as_deref());
                if let (true, Some(mirror)) = (asks, away) {
                    let message = format!(
                        "canary.token does nothing: dsn_map leads canary.dsn to mirror {mirror}, \
                         which is not asked whether it has the canary"
                    );
                    self.faults.warnings.push(message);
                }
                return;
            }
            // Who writes that there is none knows it.
            None if self.places.contains_key("canary.dsn") => return,
            None if self.places.keys().any(said) => {
                "canary does nothing: canary.dsn does not say whose event to send"
            }
            None => return,
        };
        self.faults.warnings.push(message.to_owned());
    }
}

//! Owns what is checked of other Sentrys against the first.

use super::Reading;

impl Reading {
    /// A mirror that is the first Sentry would have everything twice.
    pub(super) fn mirrors(&mut self) {
        let config = &self.draft.config;
        let first = &config.upstream.ingest;
        let mut mirrors = config.mirrors.iter();
        let same = mirrors.position(|mirror| mirror.ingest.iter().any(|url| first.contains(url)));
        if let Some(at) = same
            && !self.failed("mirrors")
        {
            let message = format!(
                "mirrors[{at}].ingest names a server of upstream.ingest, which would have every \
                 event twice; name the other Sentry's"
            );
            self.at("mirrors", &message);
        }
    }
}

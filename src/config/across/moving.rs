//! Owns what is checked of other Sentrys against the first.

use super::Reading;

impl Reading {
    /// What leads to another Sentry names one that is there.
    pub(super) fn moves(&mut self) {
        let config = &self.draft.config;
        let is_known = |name: &str| config.mirrors.iter().any(|mirror| mirror.name == name);
        let mut moves = config.dsn_map.moves().iter().enumerate();
        let unknown = moves.find_map(|(at, one)| {
            let name = one.to_upstream.as_deref()?;
            (!is_known(name)).then_some((at, name))
        });
        if let Some((at, name)) = unknown
            && !self.failed("mirrors")
        {
            let message = format!(
                "dsn_map[{at}].to.upstream names {name:?}, and no mirror is called so; \
                 add it to mirrors, with share: 0 if it is to get nothing else"
            );
            self.at("dsn_map", &message);
        }
    }

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

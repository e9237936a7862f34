//! The names that certificates are wanted for, and how each stands: found on disk at a start,
//! due at some time. Asks nobody: the task that does goes by it.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use crate::config::checked::{Acme, AcmeChallenge, Config};
use crate::policy::renewal::{self, Life, Window};
use crate::telemetry::clock::rfc3339;
use crate::tls::Serial;

use crate::server::StartError;
use crate::server::entrance::{self, now_s};
use crate::server::memory::state::StateError;

use super::Showcase;
use super::store::{Kept, Store};

/// When an authority is first asked about renewals: an edge that is started again and again
/// does not get so far.
const FIRST_LOOK_S: i64 = 5;

/// What a start finds, for the task to go on with.
pub(crate) struct Issuance {
    pub(super) acme: Acme,
    /// `None`: the folder cannot be used yet.
    pub(super) store: Option<Store>,
    pub(super) subjects: Vec<Subject>,
    /// The ways to prove a name, the first to be tried first.
    pub(super) ways: Vec<AcmeChallenge>,
}

/// A name, and how its certificate stands.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) held: Option<Held>,
    /// Failures since the last certificate.
    pub(super) failures: u32,
    /// Nothing is ordered before.
    pub(super) not_before_s: i64,
}

/// A certificate that is in force.
pub(super) struct Held {
    pub(super) life: Life,
    pub(super) serial: Option<Serial>,
    /// What its authority says of its renewal.
    pub(super) window: Option<Window>,
    /// When that is asked again.
    pub(super) look_s: i64,
    /// Where in the window it is renewed: drawn once, or each answer would be another chance.
    draw: u16,
}

impl Held {
    pub(super) fn new(kept: Kept, look_s: i64) -> Self {
        Self {
            life: entrance::life(kept.identity.papers()),
            serial: kept.serial,
            window: None,
            look_s,
            draw: fastrand::u16(..),
        }
    }
}

impl Subject {
    /// When a certificate is to be ordered.
    pub(super) fn due_s(&self) -> i64 {
        let due_s = self.held.as_ref();
        let due_s = due_s.map_or(i64::MIN, |held| held.life.due_s(held.window, held.draw));
        due_s.max(self.not_before_s)
    }

    /// When there is anything to do.
    pub(super) fn next_s(&self) -> i64 {
        let look_s = self.held.as_ref().map_or(i64::MAX, |held| held.look_s);
        self.due_s().min(look_s)
    }
}

impl Issuance {
    /// What is kept of the names that the configuration wants certificates for. Puts on the
    /// showcase what is good. Blocks on the disk.
    ///
    /// # Errors
    /// Another edge has the folder. One that cannot be used for another reason is said, and
    /// tried again.
    pub(crate) fn recall(config: &Config, showcase: &Showcase) -> Result<Self, StartError> {
        let listeners = config.listen.public.iter();
        let tls = listeners.filter_map(|listener| listener.tls.as_ref());
        let names: BTreeSet<&String> = tls.flat_map(|tls| &tls.acme).collect();
        let clear = config.listen.public.iter().any(|one| one.tls.is_none());
        let ways = match (config.acme.challenge, clear) {
            (AcmeChallenge::Auto, true) => vec![AcmeChallenge::Http01, AcmeChallenge::TlsAlpn01],
            (AcmeChallenge::Auto, false) => vec![AcmeChallenge::TlsAlpn01],
            (one, _) => vec![one],
        };
        let mut issuance = Self {
            acme: config.acme.clone(),
            store: None,
            subjects: Vec::with_capacity(names.len()),
            ways,
        };
        if names.is_empty() {
            return Ok(issuance);
        }
        match Store::open(&config.acme) {
            Ok(store) => issuance.store = Some(store),
            Err(StateError::Taken(holder)) => {
                return Err(StartError::Taken {
                    key: "acme.path",
                    path: Store::place(&config.acme),
                    by: holder.to_string(),
                });
            }
            Err(StateError::Io(error)) => {
                tracing::error!(%error, "acme.path cannot be used: nothing is ordered until it can be, or each start would order all anew");
            }
        }
        let names = names.into_iter().cloned();
        issuance.subjects = names
            .map(|name| Subject {
                name,
                held: None,
                failures: 0,
                not_before_s: i64::MIN,
            })
            .collect();
        issuance.find(showcase);
        Ok(issuance)
    }

    /// Reads what the folder keeps.
    pub(super) fn find(&mut self, showcase: &Showcase) {
        let Some(store) = &self.store else { return };
        let (now_s, waits) = (now_s(), store.waits());
        let latest_s = now_s + renewal::held_s(Some(u64::MAX));
        for subject in &mut self.subjects {
            let wait_s = waits.get(&subject.name).copied().unwrap_or(i64::MIN);
            subject.not_before_s = wait_s.min(latest_s);
            if subject.not_before_s > now_s {
                let at_s = u64::try_from(subject.not_before_s).unwrap_or_default();
                let at = rfc3339(UNIX_EPOCH + Duration::from_secs(at_s));
                let what = format!("it was not to be had before this start; asked again at {at}");
                showcase.note(&subject.name, Some(&what));
            }
            if let Some(kept) = store.certificate(&subject.name) {
                showcase.put(&subject.name, &kept.identity);
                subject.held = Some(Held::new(kept, now_s + FIRST_LOOK_S));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Env, parse};

    /// What a start finds to do with these listeners and ways.
    fn recalled(public: &str, challenge: &str) -> Issuance {
        let place = tempfile::tempdir().unwrap();
        let text = format!(
            "upstream: {{ingest: ['http://relay:3000']}}\nlisten: {{public: {public}}}\n\
             acme: {{agree_to_terms: true, path: '{}/acme', challenge: {challenge}}}\n",
            place.path().display()
        );
        let (config, _) = parse("v.yml", &text, &Env::empty()).unwrap();
        Issuance::recall(&config, &Showcase::default()).unwrap()
    }

    #[track_caller]
    fn check(public: &str, challenge: &str, names: &[&str], ways: &[AcmeChallenge]) {
        let issuance = recalled(public, challenge);
        let found: Vec<&str> = issuance
            .subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .collect();
        assert_eq!(found, names, "{public}");
        assert_eq!(issuance.ways, ways, "{public}, {challenge}");
    }

    #[test]
    fn a_name_is_had_once_however_many_listeners_want_it() {
        let two = "[{address: '[::]:443', tls: {acme: [b.example, a.example]}}, \
                   {address: '[::]:8443', tls: {acme: [a.example]}}]";
        let names = ["a.example", "b.example"];
        check(two, "auto", &names, &[AcmeChallenge::TlsAlpn01]);
    }

    #[test]
    fn http_comes_first_where_a_listener_is_without_tls() {
        let both = "[{address: '[::]:443', tls: {acme: [a.example]}}, '[::]:80']";
        let (http, tls) = (AcmeChallenge::Http01, AcmeChallenge::TlsAlpn01);
        check(both, "auto", &["a.example"], &[http, tls]);
        check(both, "http-01", &["a.example"], &[http]);
        check(both, "tls-alpn-01", &["a.example"], &[tls]);
        check("['[::]:80']", "auto", &[], &[http, tls]);
    }

    #[test]
    fn what_has_to_wait_over_a_restart_says_so() {
        let place = tempfile::tempdir().unwrap();
        let text = format!(
            "upstream: {{ingest: ['http://relay:3000']}}\n\
             listen: {{public: [{{address: '[::]:443', tls: {{acme: [a.example, b.example]}}}}]}}\n\
             acme: {{agree_to_terms: true, path: '{}/acme'}}\n",
            place.path().display()
        );
        let (config, _) = parse("v.yml", &text, &Env::empty()).unwrap();
        let first = Issuance::recall(&config, &Showcase::default()).unwrap();
        let waits = BTreeMap::from([("a.example".to_owned(), now_s() + 3_000)]);
        first.store.as_ref().unwrap().keep_waits(&waits);
        drop(first);
        let showcase = Showcase::default();
        let _second = Issuance::recall(&config, &showcase).unwrap();
        let names = ["a.example", "b.example"].map(str::to_owned);
        let [held, ordered] = showcase.reasons(&names, now_s()).try_into().unwrap();
        let begins = "no certificate for a.example yet: it was not to be had before this start; \
                      asked again at 20";
        assert!(held.starts_with(begins), "{held}");
        assert_eq!(
            ordered,
            "no certificate for b.example yet: it is being ordered"
        );
    }

    #[test]
    fn what_is_missing_is_due_unless_it_has_to_wait() {
        let mut subject = Subject {
            name: "a.example".to_owned(),
            held: None,
            failures: 0,
            not_before_s: i64::MIN,
        };
        assert_eq!(subject.next_s(), i64::MIN);
        subject.not_before_s = 1_000;
        assert_eq!(subject.next_s(), 1_000);
        let life = Life {
            from_s: 0,
            until_s: 9_000,
        };
        subject.held = Some(Held {
            life,
            serial: None,
            window: None,
            look_s: 500,
            draw: 0,
        });
        assert_eq!((subject.due_s(), subject.next_s()), (6_000, 500));
    }
}

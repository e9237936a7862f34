//! The task that keeps every name in a certificate: it asks when each is to be renewed, orders
//! what is missing or due, one at a time, and puts it in force. Waits longer after each
//! failure, over restarts too, so that no fault of ours is an authority's burden.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, Error};
use tokio::time::{sleep, timeout};

use crate::config::checked::Acme;
use crate::policy::renewal::{self, Window};
use crate::telemetry::labels::Ordered;
use crate::telemetry::metrics::Metrics;
use crate::tls::TrustFiles;

use crate::server::entrance::{self, now_s};
use crate::server::worker::Shared;

use super::account::account;
use super::failure::{Failure, Whose};
use super::issuance::{Held, Issuance, Subject};
use super::line::Line;
use super::order::{Wish, known_by};
use super::store::{Kept, Store};

/// How long one order may take in all.
const ORDER_WITHIN: Duration = Duration::from_secs(300);

/// So often an order is begun anew at once where the authority takes none of its own numbers.
const BEGUN_AT_MOST: u32 = 3;

/// When an authority is asked again about renewals where it could not say (RFC 9773, section
/// 4.3.3).
const LOOK_AGAIN_S: i64 = 6 * 3600;

/// How long the task sleeps at most: the wall clock may be set meanwhile.
const NAP_S: i64 = 60;

impl Issuance {
    /// Keeps all names in certificates for as long as the control thread runs.
    pub(crate) async fn keep(self, shared: Arc<Shared>, metrics: Arc<Metrics>) {
        if self.subjects.is_empty() {
            return;
        }
        let mut keeper = Keeper {
            issuance: self,
            shared,
            metrics,
        };
        loop {
            keeper.round().await;
            let next_s = keeper.issuance.subjects.iter().map(Subject::next_s).min();
            let nap_s = next_s.unwrap_or(i64::MAX).saturating_sub(now_s());
            let nap_s = u64::try_from(nap_s.clamp(1, NAP_S)).unwrap_or(1);
            sleep(Duration::from_secs(nap_s)).await;
        }
    }
}

/// The task's own.
struct Keeper {
    issuance: Issuance,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl Keeper {
    /// Does what is due now.
    async fn round(&mut self) {
        for at in 0..self.issuance.subjects.len() {
            let Some(subject) = self.issuance.subjects.get(at) else {
                return;
            };
            let looks = subject
                .held
                .as_ref()
                .is_some_and(|held| held.look_s <= now_s());
            if looks {
                self.look(at).await;
            }
            let subject = self.issuance.subjects.get(at);
            if subject.is_some_and(|subject| subject.due_s() <= now_s()) {
                self.renew(at).await;
            }
        }
    }

    /// Asks the authority when it would have a certificate renewed. Where it cannot say, what
    /// it said last stands.
    async fn look(&mut self, at: usize) {
        let issuance = &mut self.issuance;
        let (Some(store), Some(subject)) = (&issuance.store, issuance.subjects.get_mut(at)) else {
            return;
        };
        let Some(held) = &mut subject.held else {
            return;
        };
        held.look_s = now_s() + LOOK_AGAIN_S;
        let Some(serial) = &held.serial else { return };
        let asked = async {
            let account = account(&issuance.acme, store, &line(&issuance.acme)?).await?;
            Ok(account.renewal_info(&known_by(serial)).await)
        };
        match asked.await {
            Ok(Ok((told, stands))) => {
                held.window = Some(Window {
                    start_s: told.suggested_window.start.unix_timestamp(),
                    end_s: told.suggested_window.end.unix_timestamp(),
                });
                held.look_s = now_s() + renewal::stands_s(stands.as_secs());
            }
            // It never says: two thirds of the life it is.
            Ok(Err(Error::Unsupported(_))) => held.window = None,
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                tracing::debug!(%failure, "the authority did not say when to renew");
            }
            Err(failure) => {
                let failure: Failure = failure;
                tracing::debug!(%failure, "the authority was not asked when to renew");
            }
        }
    }

    /// Orders a certificate and puts it in force, or says why not and waits.
    async fn renew(&mut self, at: usize) {
        if self.issuance.store.is_none() {
            return self.find(at);
        }
        let line = match line(&self.issuance.acme) {
            Ok(line) => line,
            Err(failure) => return self.failed(at, &failure, None),
        };
        let mut begun = 0;
        let ordered = loop {
            begun += 1;
            let ordered = timeout(ORDER_WITHIN, self.order(at, &line)).await;
            let late = "the order took longer than five minutes; it is tried again";
            let late = || Err(Failure::of_name(Ordered::Unreachable, late));
            match ordered.unwrap_or_else(|_| late()) {
                Err(failure) if failure.whose == Whose::Nobody && begun < BEGUN_AT_MOST => {}
                ordered => break ordered,
            }
        };
        match ordered {
            Ok(kept) => self.took(at, kept),
            Err(failure) => {
                if failure.whose == Whose::Account
                    && let Some(store) = &self.issuance.store
                {
                    store.forget_account();
                }
                self.failed(at, &failure, line.take_asked_s());
            }
        }
    }

    /// Tries the folder again that could not be used. What lies in it is not ordered anew.
    fn find(&mut self, at: usize) {
        match Store::open(&self.issuance.acme) {
            Ok(store) => {
                self.issuance.store = Some(store);
                for subject in &self.issuance.subjects {
                    self.shared.acme.note(&subject.name, None);
                }
                self.issuance.find(&self.shared.acme);
                for subject in &self.issuance.subjects {
                    entrance::show_issued(&self.shared, &subject.name);
                }
            }
            Err(error) => {
                let failure = Failure::of_edge(format!("acme.path cannot be used: {error}"));
                self.failed(at, &failure, None);
            }
        }
    }

    async fn order(&self, at: usize, line: &Line) -> Result<Kept, Failure> {
        let Issuance {
            store, subjects, ..
        } = &self.issuance;
        let (Some(store), Some(subject)) = (store, subjects.get(at)) else {
            return Err(Failure::of_edge("there is no folder to keep it in"));
        };
        let account: Account = account(&self.issuance.acme, store, line).await?;
        let ways = &self.issuance.ways;
        let tried = usize::try_from(subject.failures).unwrap_or_default();
        let way = ways.get(tried % ways.len().max(1));
        // Only to an authority that speaks of renewals.
        let renewed = subject.held.as_ref().filter(|held| held.window.is_some());
        let wish = Wish {
            name: &subject.name,
            challenge: way.copied().unwrap_or(self.issuance.acme.challenge),
            replaces: renewed.and_then(|held| held.serial.as_ref()),
        };
        let had = wish.order(&account, &self.shared.acme).await?;
        let kept = store.keep_certificate(wish.name, &had.key_pem, &had.chain_pem, now_s());
        let refused = |error| {
            let advice = format!("the certificate that came is not taken: {error}");
            Failure::of_name(Ordered::Failed, advice)
        };
        kept.map_err(refused)
    }

    /// Puts a certificate in force.
    fn took(&mut self, at: usize, kept: Kept) {
        let Some(subject) = self.issuance.subjects.get_mut(at) else {
            return;
        };
        let (name, now_s) = (subject.name.as_str(), now_s());
        let ended = match subject.held {
            None => Ordered::Issued,
            Some(_) => Ordered::Renewed,
        };
        self.metrics.control.orders.count(ended);
        self.shared.acme.put(name, &kept.identity);
        self.shared.acme.note(name, None);
        entrance::show_issued(&self.shared, name);
        let held = Held::new(kept, now_s + renewal::WAIT_MIN_S);
        let days = (held.life.until_s - now_s).div_euclid(86_400);
        tracing::info!(certificate = name, days, "certificate {}", ended.as_str());
        subject.failures = 0;
        subject.not_before_s = now_s + held.life.rest_s();
        subject.held = Some(held);
    }

    /// Says what went wrong, and until when it is left at that.
    fn failed(&mut self, at: usize, failure: &Failure, asked_s: Option<u64>) {
        let Issuance {
            subjects, store, ..
        } = &mut self.issuance;
        let Some(subject) = subjects.get_mut(at) else {
            return;
        };
        self.metrics.control.orders.count(failure.outcome);
        subject.failures = subject.failures.saturating_add(1);
        let wait_s = renewal::wait_s(subject.failures, asked_s, fastrand::u16(..));
        let now_s = now_s();
        let again_s = now_s + wait_s;
        subject.not_before_s = again_s;
        let late = |subject: &Subject| {
            let held = subject.held.as_ref();
            held.is_none_or(|held| held.life.is_late(now_s))
        };
        let (certificate, what) = (subject.name.as_str(), failure.to_string());
        match late(subject) {
            true => tracing::error!(certificate, again_in_s = wait_s, "no certificate: {what}"),
            false => tracing::warn!(certificate, again_in_s = wait_s, "not renewed: {what}"),
        }
        self.shared.acme.note(certificate, Some(&what));
        if failure.whose == Whose::Everybody {
            // What would meet the same fault now waits with it, and is not said of each.
            for other in subjects.iter_mut().filter(|one| one.due_s() <= now_s) {
                other.not_before_s = again_s;
                self.shared.acme.note(&other.name, Some(&what));
            }
        }
        let Some(store) = store else { return };
        // A restart is a person's way to say that it was mended: what nobody has asked for is
        // waited for the shortest time only.
        let held_s = now_s + renewal::held_s(asked_s).max(renewal::WAIT_MIN_S);
        let mut waits: BTreeMap<String, i64> = store.waits();
        waits.retain(|_, until_s| *until_s > now_s);
        for waiting in subjects.iter().filter(|one| one.not_before_s == again_s) {
            waits.insert(waiting.name.clone(), held_s);
        }
        store.keep_waits(&waits);
    }
}

/// The line to the authority. Its files are read each time: they may have been renewed.
fn line(acme: &Acme) -> Result<Line, Failure> {
    let files = TrustFiles {
        ca: acme.ca.as_deref(),
        client: None,
    };
    let terms = files.read(&[b"http/1.1"]);
    let terms = terms.map_err(|error| Failure::of_edge(format!("acme.ca: {error}")))?;
    Ok(Line::new(terms))
}

//! Promises about one round: what it asks for, when it ends, and what a refusal means.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::config::checked::UpstreamUrl;
use crate::domain::relay::RelayCredentials;
use crate::policy::asking::{AskingRules, Told};
use crate::server::sentry::fake::{Fake, Reply, answer, on_a_runtime};
use crate::server::sentry::states::Bounds;

fn key(number: u64) -> Key {
    Key::parse(format!("{number:032x}").as_bytes()).unwrap()
}

/// Keys to ask for, and a clock that each word moves by a day, so that all are due again.
struct Scene {
    asking: RefCell<Asking>,
    now: Cell<u64>,
    /// Of which key something was said, and how it was asked for.
    heard: RefCell<Vec<(Key, Depth)>>,
}

impl Scene {
    fn of(keys: u64) -> Self {
        let mut asking = Asking::new(
            Millis(0),
            AskingRules {
                keys_max: 1_000,
                strangers_max: 1,
                strangers_per_s: 1,
                fresh_ms: 60_000,
                unknown_ms: 60_000,
                pending_ms: 500,
            },
        );
        for number in 1..=keys {
            asking.name(Millis(0), &key(number), None);
        }
        Self {
            asking: RefCell::new(asking),
            now: Cell::new(1),
            heard: RefCell::default(),
        }
    }

    async fn round(&self, desk: &mut Desk<'_>) -> Result<(), RelayError> {
        let clock = || Millis(self.now.get());
        let hears = |key: &Key, _: Word, depth: Depth| {
            self.heard.borrow_mut().push((*key, depth));
            assert!(self.heard.borrow().len() < 1_000, "the round never ends");
            let mut asking = self.asking.borrow_mut();
            asking.told(clock(), key, Told::Pending, 0.0);
            self.now.set(self.now.get() + 86_400_000);
        };
        desk.round(&Round {
            asking: &self.asking,
            clock: &clock,
            hears: &hears,
        })
        .await
    }

    fn depths(&self) -> Vec<Depth> {
        let heard = self.heard.take().into_iter();
        heard.map(|(_, depth)| depth).collect()
    }
}

fn source(server: UpstreamUrl, batch_keys_max: usize) -> Source {
    Source {
        server,
        credentials: Arc::new(RelayCredentials::drawn([1; 32], [2; 16]).unwrap()),
        interval: Duration::from_secs(60),
        bounds: Bounds {
            batch_keys_max,
            answer_bytes_max: 200,
            ..Bounds::default()
        },
        trust: Arc::default(),
    }
}

/// A Sentry that registers everybody, and answers questions so.
async fn sentry(tell: impl Fn(&Value) -> Reply + 'static) -> std::rc::Rc<Fake> {
    Fake::hearing(move |path, body| match path {
        "/api/0/relays/register/challenge/" => answer(200, &[], r#"{"token":"a.b"}"#),
        "/api/0/relays/register/response/" => answer(200, &[], "{}"),
        path => {
            assert_eq!(path, PATH);
            tell(&serde_json::from_str(body).unwrap())
        }
    })
    .await
}

/// Nothing but that it works on all keys.
fn pending() -> Reply {
    answer(200, &[], "{}")
}

fn refused() -> Reply {
    answer(403, &[], "{}")
}

#[test]
fn a_round_ends_though_what_it_asked_for_comes_due_meanwhile() {
    on_a_runtime(async {
        let fake = sentry(|_| pending()).await;
        let source = source(fake.source().server, 2);
        let (scene, mut desk) = (Scene::of(20), Desk::new(&source));
        for round in 1..=2 {
            assert_eq!(scene.round(&mut desk).await, Ok(()));
            let mut heard: Vec<Key> = scene.heard.take().iter().map(|(key, _)| *key).collect();
            heard.sort_unstable();
            assert_eq!(
                heard,
                (1..=20).map(key).collect::<Vec<_>>(),
                "round {round}"
            );
        }
    });
}

/// After so many refusals of any question, and as many of those for everything as `external`
/// says: what a round comes to, and how much is asked for from then on.
#[track_caller]
fn check_refusals(refusals: usize, external: bool, want: Result<(), RelayError>, depth: Depth) {
    on_a_runtime(async move {
        let left = Cell::new(None);
        let fake = sentry(move |question| {
            // The first question of all is answered, to one of its own.
            let left_before = left.replace(Some(
                left.get()
                    .map_or(refusals, |left: usize| left.saturating_sub(1)),
            ));
            let everything = question["fullConfig"] == true;
            match left_before.is_some_and(|left| left > 0) || external && everything {
                true => refused(),
                false => pending(),
            }
        })
        .await;
        let source = source(fake.source().server, 500);
        let (scene, mut desk) = (Scene::of(1), Desk::new(&source));
        assert_eq!(scene.round(&mut desk).await, Ok(()), "the first round");
        assert_eq!(
            desk.depth,
            if external {
                Depth::Limited
            } else {
                Depth::Full
            }
        );
        scene.depths();
        let told = scene.round(&mut desk).await;
        assert_eq!(
            (told, desk.depth),
            (want, depth),
            "after {refusals} refusals"
        );
        let heard = scene.depths();
        assert!(heard.iter().all(|heard| *heard == depth), "{heard:?}");
        assert_eq!(heard.len(), usize::from(told.is_ok()));
    });
}

/// A proxy's page while Sentry is worked on is no word of Sentry's on who may know what: keys that
/// are disabled would be let in, and quotas forgotten, until the next registration.
#[test]
fn a_relay_is_none_of_sentrys_own_once_it_was_refused_twice_and_told_the_rest() {
    let forbidden = Err(RelayError::Forbidden);
    check_refusals(0, false, Ok(()), Depth::Full);
    check_refusals(1, false, Ok(()), Depth::Full);
    check_refusals(2, false, Ok(()), Depth::Limited);
    check_refusals(3, false, forbidden, Depth::Full);
    check_refusals(100, false, forbidden, Depth::Full);
    check_refusals(0, true, Ok(()), Depth::Limited);
}

#[test]
fn an_answer_that_is_too_large_is_asked_for_by_halves_until_it_fits() {
    on_a_runtime(async {
        let fake = sentry(|question| {
            let keys = question["publicKeys"].as_array().unwrap().len();
            let long = if keys > 1 { 200 } else { 1 };
            answer(200, &[], &format!(r#"{{"more":"{}"}}"#, "a".repeat(long)))
        })
        .await;
        let source = source(fake.source().server, 500);
        let (scene, mut desk) = (Scene::of(100), Desk::new(&source));
        // Six halvings are more than the turns that refusals have.
        assert_eq!(scene.round(&mut desk).await, Ok(()));
        assert_eq!(scene.depths().len(), 100);
        assert!(desk.is_registered());
    });
}

//! A closer look at some of the events, for whoever asks who sends most: some tens a second and
//! worker, all while few come. Owns which, and what is taken of them; never keeps a look for longer
//! than until it is taken up. All others pay one count.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::domain::endpoint::ProjectId;
use crate::domain::envelope::program::Program;
use crate::domain::event::Event;
use crate::policy::one_in::OneIn;
use crate::policy::pair::Pair;
use crate::telemetry::access::mask;
use crate::telemetry::live::heavy::Sent;
use crate::telemetry::live::senders::Sight;

use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::rules::Rules;

/// Requests that a worker looks at in a second, on the average at most: each costs some
/// microseconds.
const LOOKS_A_SECOND: u64 = 32;

/// Requests under way can end together, however slowly they came.
const HELD_MAX: usize = 512;

/// What waits to be taken up, of all workers; the control thread may be busy for a while.
const WAITING_MAX: usize = 8_192;

/// A look at a request under way.
#[derive(Debug)]
pub(crate) struct Look {
    stands_for: u64,
    release: RefCell<Option<Arc<str>>>,
    sdk: RefCell<Option<Arc<str>>>,
    items: Cell<u64>,
    bytes: Cell<u64>,
    dropped: Cell<u64>,
}

impl Look {
    fn of(stands_for: u64, head: &Parts) -> Self {
        let value = |name: HeaderName| head.headers.get(name).map(HeaderValue::as_bytes);
        let named = mask::sdk(value(X_SENTRY_AUTH), head.uri.query());
        let sdk = named.or_else(|| value(USER_AGENT).map(mask::agent));
        Self {
            stands_for,
            release: RefCell::default(),
            sdk: RefCell::new(sdk.as_deref().and_then(shown)),
            items: Cell::new(0),
            bytes: Cell::new(0),
            dropped: Cell::new(0),
        }
    }

    /// What line one tells of who wrote it: that goes before its head, which a tunnel may have
    /// written.
    pub(crate) fn reads(&self, line: &[u8]) {
        let program = Program::read(line);
        if let Some(release) = program.release.as_deref().and_then(shown) {
            self.release.replace(Some(release));
        }
        if let Some(sdk) = program.sdk.as_deref().and_then(shown) {
            self.sdk.replace(Some(sdk));
        }
    }

    /// What an event tells that was read for somebody else, and line one did not.
    pub(crate) fn meets(&self, event: &Event<'_>) {
        let mut release = self.release.borrow_mut();
        if release.is_none() {
            *release = event.release().and_then(shown);
        }
    }

    /// It carries more.
    pub(crate) fn receives(&self, items: u64, bytes: u64) {
        self.items.set(self.items.get().saturating_add(items));
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }

    /// So many of its items went no further.
    pub(crate) fn drops(&self, items: u64) {
        self.dropped.set(self.dropped.get().saturating_add(items));
    }

    fn sent(&self) -> Sent {
        Sent {
            items: self.items.get(),
            bytes: self.bytes.get(),
            dropped: self.dropped.get(),
        }
    }
}

/// The longest name that is kept, in bytes; what is longer is cut.
const NAME_BYTES_MAX: usize = 200;

/// A name as it may be shown: without what could steer a terminal, and no longer than is let in.
fn shown(text: &str) -> Option<Arc<str>> {
    let mut name = String::with_capacity(text.len().min(NAME_BYTES_MAX));
    for ch in text.trim().chars().filter(|ch| !ch.is_control()) {
        if name.len() + ch.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        name.push(ch);
    }
    (!name.is_empty()).then(|| name.into())
}

/// Who sent a request, when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    /// The project that it counts for, if its key was seen to work.
    pub project: Option<ProjectId>,
    /// Its key, and its path's project.
    pub pair: Option<Pair>,
    /// Where it came from.
    pub client: Option<IpAddr>,
}

/// A worker's own part.
#[derive(Debug)]
pub(crate) struct Lookout {
    one_in: OneIn,
    seen: RefCell<Taken>,
}

impl Default for Lookout {
    fn default() -> Self {
        Self {
            one_in: OneIn::new(LOOKS_A_SECOND),
            seen: RefCell::default(),
        }
    }
}

/// What was seen, and what there was no room for.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The requests that were looked at.
    pub sights: Vec<Sight>,
    /// So many more came,
    pub requests: u64,
    /// which carried this.
    pub sent: Sent,
}

impl Taken {
    fn add(&mut self, sight: Sight, most: usize) {
        if self.sights.len() < most {
            self.sights.push(sight);
        } else {
            self.requests = self.requests.saturating_add(sight.stands_for);
            self.sent = self.sent.and(sight.sent.times(sight.stands_for));
        }
    }
}

impl Lookout {
    /// A look at the event request with this head, if it is one that is looked at.
    pub(crate) fn looks(&self, head: &Parts) -> Option<Look> {
        let stands_for = self.one_in.takes(|most| fastrand::u64(1..=most))?;
        Some(Look::of(stands_for, head))
    }

    /// It has ended.
    pub(crate) fn keeps(&self, look: &Look, sender: Sender, rules: &Rules, board: &Board) {
        let Sender {
            project,
            pair,
            client,
        } = sender;
        let sight = Sight {
            project,
            key: pair.map(|pair| pair.packed_key()),
            ip: client.and_then(|client| rules.store.stored(client)),
            client: client.map_or(0, |client| board.mark(client)),
            release: look.release.take(),
            sdk: look.sdk.take(),
            sent: look.sent(),
            stands_for: look.stands_for,
        };
        self.seen.borrow_mut().add(sight, HELD_MAX);
    }

    /// Hands over what was seen; another second begins.
    pub(crate) fn report(&self, board: &Board) {
        self.one_in.begins_second();
        let seen = self.seen.take();
        if !seen.sights.is_empty() {
            board.put(seen);
        }
    }
}

/// What workers have seen, for whoever takes it up.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// The same in all workers, and unknown outside.
    marks: RandomState,
    waiting: Mutex<Taken>,
}

impl Board {
    /// What tells a client from others. An IPv6 device is known by its /64: it draws new addresses
    /// in there.
    fn mark(&self, client: IpAddr) -> u64 {
        match client.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let site = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
                self.marks.hash_one(site)
            }
            IpAddr::V4(v4) => self.marks.hash_one(v4),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Taken> {
        // Nothing is done under the lock that could panic half way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, seen: Taken) {
        let mut waiting = self.waiting();
        for sight in seen.sights {
            waiting.add(sight, WAITING_MAX);
        }
        waiting.requests = waiting.requests.saturating_add(seen.requests);
        waiting.sent = waiting.sent.and(seen.sent);
    }

    /// Takes all that was seen since this was last asked.
    pub(crate) fn take(&self) -> Taken {
        std::mem::take(&mut *self.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/api/42/envelope/?sentry_key=k");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], line: &str, want: (Option<&str>, Option<&str>)) {
        let look = Look::of(1, &head(headers));
        look.reads(line.as_bytes());
        let (release, sdk) = (look.release.take(), look.sdk.take());
        assert_eq!((release.as_deref(), sdk.as_deref()), want, "{line}");
    }

    #[test]
    fn the_sdk_is_what_line_one_names_else_the_head_else_the_agent() {
        let auth = ("x-sentry-auth", "Sentry sentry_client=sentry.python/2.1.0");
        let agent = ("user-agent", "okhttp/4.9");
        let line =
            r#"{"sdk":{"name":"sentry.java.android","version":"8.1.0"},"trace":{"release":"r@1"}}"#;
        let named = Some("sentry.java.android/8.1.0");
        check(&[auth, agent], line, (Some("r@1"), named));
        check(&[auth, agent], "{}", (None, Some("sentry.python/2.1.0")));
        check(&[agent], "{}", (None, Some("okhttp/4.9")));
        check(&[], "[]", (None, None));
    }

    #[test]
    fn names_are_cut_and_cannot_steer() {
        let long = "x".repeat(NAME_BYTES_MAX);
        for (text, want) in [
            (" r@1\u{1b}[2J\n ", Some("r@1[2J")),
            ("\n\t ", None),
            ("", None),
            (&format!("{long}y"), Some(&*long)),
        ] {
            assert_eq!(shown(text).as_deref(), want, "{text:?}");
        }
        let wide = format!("{}\u{fc}", "x".repeat(NAME_BYTES_MAX - 1));
        assert_eq!(
            shown(&wide).unwrap().len(),
            NAME_BYTES_MAX - 1,
            "no half letter"
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let sight = Sight {
            project: None,
            key: None,
            ip: None,
            client: 0,
            release: None,
            sdk: None,
            sent: Sent {
                items: 2,
                bytes: 20,
                dropped: 1,
            },
            stands_for: 3,
        };
        let board = Board::default();
        for _ in 0..WAITING_MAX / HELD_MAX + 1 {
            let mut seen = Taken::default();
            (0..HELD_MAX + 1).for_each(|_| seen.add(sight.clone(), HELD_MAX));
            assert_eq!((seen.sights.len(), seen.requests), (HELD_MAX, 3));
            board.put(seen);
        }
        let taken = board.take();
        assert_eq!(taken.sights.len(), WAITING_MAX);
        let beyond = u64::try_from(HELD_MAX + WAITING_MAX / HELD_MAX + 1).unwrap();
        assert_eq!(taken.requests, 3 * beyond);
        assert_eq!(taken.sent, sight.sent.times(3 * beyond));
        assert!(board.take().sights.is_empty());
    }

    #[test]
    fn a_device_is_one_client_whatever_address_it_draws() {
        let board = Board::default();
        let mark = |text: &str| board.mark(text.parse().unwrap());
        assert_eq!(mark("2001:db8::1"), mark("2001:db8::ffff:1"));
        assert_ne!(mark("2001:db8::1"), mark("2001:db8:0:1::1"));
        assert_eq!(mark("203.0.113.9"), mark("::ffff:203.0.113.9"));
        assert_ne!(mark("203.0.113.9"), mark("203.0.113.8"));
    }
}

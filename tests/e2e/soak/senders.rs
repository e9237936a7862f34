//! Who sends: clients of every kind, each event with a number of its own, and Sentry's SDKs.
//! Each answer that is no 200 is held against what went on.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{Cause, Stage, Windows};
use super::tally::Tally;
use crate::client::{Answer, Client, request};
use crate::edge::{Log, ended, envelope_target};
use crate::spool::event;
use crate::takeover::load::Multiplexed;
use crate::tls::NAME;
use crate::tls::client::{SecureClient, Trust};
use crate::way::{RUN, script_command};

/// Between two events of a client.
const PACE: Duration = Duration::from_millis(30);

/// One of so many events is a transaction, or comes with a large attachment.
const TRANSACTION_EACH: u32 = 4;
const LARGE_EACH: u32 = 51;
const LARGE_BYTES: usize = 600_000;

/// How a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through nginx, over a kept connection.
    Front,
    /// To the edge, over a kept connection.
    Kept,
    /// To the edge, over a connection for each.
    Anew,
    /// The same two, over TLS.
    SecureKept,
    SecureAnew,
    /// HTTP/2.
    Multiplexed,
    /// Pages through nginx, not events.
    Page,
}

impl Way {
    /// All clients.
    pub(super) const ALL: &[Self] = &[
        Self::Front,
        Self::Front,
        Self::Kept,
        Self::Kept,
        Self::Anew,
        Self::SecureKept,
        Self::SecureAnew,
        Self::Multiplexed,
        Self::Page,
    ];

    /// What would explain this ending.
    fn causes(self, ended: &io::Result<u16>) -> &'static [Cause] {
        match (self, ended) {
            (Self::Page, Ok(_)) => &[Cause::Unwell, Cause::EdgeGone],
            (Self::Front | Self::Page, Err(_)) => &[Cause::EdgeGone, Cause::FrontLeaves],
            (Self::Front, Ok(502 | 504)) => &[Cause::EdgeGone, Cause::NoRoom],
            (_, Err(_)) => &[Cause::EdgeGone],
            (_, Ok(429)) => &[Cause::Limited, Cause::Muted, Cause::Unlent],
            (_, Ok(500)) => &[Cause::Failing],
            // What cannot be kept is answered as the upstream did, if it did.
            (_, Ok(502..=504)) => &[Cause::NoRoom],
            (_, Ok(_)) => &[],
        }
    }
}

/// Where everybody is.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) front: SocketAddr,
    pub(super) edge: SocketAddr,
    pub(super) secure: SocketAddr,
    pub(super) trust: Trust,
}

/// An event of this number, one of some with more to it.
fn sent(number: u32) -> Vec<u8> {
    if number.is_multiple_of(TRANSACTION_EACH) {
        let event = String::from_utf8(event(number)).unwrap();
        return event.replace("\"event\"", "\"transaction\"").into_bytes();
    }
    let mut body = event(number);
    if number.is_multiple_of(LARGE_EACH) {
        let head = format!("{{\"type\":\"attachment\",\"length\":{LARGE_BYTES}}}\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&crate::patterns::slice(3, u64::from(number), LARGE_BYTES));
        body.push(b'\n');
    }
    body
}

/// What a client keeps from one event to the next.
struct Line<'a> {
    places: &'a Places,
    plain: Option<Client>,
    secure: Option<SecureClient>,
    multiplexed: Option<Multiplexed>,
}

impl Line<'_> {
    fn send(&mut self, way: Way, number: u32) -> io::Result<u16> {
        let (places, target) = (self.places, envelope_target());
        let close: &[(&str, &str)] = &[("Connection", "close")];
        let post = |headers| request("POST", &target, headers, &sent(number));
        match way {
            Way::Front => self.plain(places.front, "POST", &post(&[])),
            Way::Kept => self.plain(places.edge, "POST", &post(&[])),
            Way::Anew => self.plain(places.edge, "POST", &post(close)),
            Way::SecureKept => self.secure(&post(&[])),
            Way::SecureAnew => self.secure(&post(close)),
            Way::Page => self.plain(places.front, "GET", &request("GET", "/page", &[], b"")),
            Way::Multiplexed => {
                let line = &mut self.multiplexed;
                line.get_or_insert_with(|| Multiplexed::to(places.edge))
                    .send(number)
            }
        }
    }

    fn plain(&mut self, to: SocketAddr, method: &str, bytes: &[u8]) -> io::Result<u16> {
        let mut client = match self.plain.take() {
            Some(client) => client,
            None => Client::try_connect(to)?,
        };
        client.try_send(bytes)?;
        let answer = client.try_answer_to(method)?;
        self.plain = stays(&answer).then_some(client);
        Ok(answer.status)
    }

    fn secure(&mut self, bytes: &[u8]) -> io::Result<u16> {
        let mut client = match self.secure.take() {
            Some(client) => client,
            None => SecureClient::try_connect(self.places.secure, &self.places.trust, NAME)?,
        };
        client.try_send(bytes)?;
        let answer = client.try_answer_to("POST")?;
        self.secure = stays(&answer).then_some(client);
        Ok(answer.status)
    }
}

fn stays(answer: &Answer) -> bool {
    answer.header("connection").as_deref() != Some("close")
}

/// One client, until its stage is over.
pub(super) fn client(
    way: Way,
    places: &Places,
    numbers: &AtomicU32,
    stage: &Stage,
    (windows, tally): (&Windows, &Tally),
) {
    let gone = || Line {
        places,
        plain: None,
        secure: None,
        multiplexed: None,
    };
    let mut line = gone();
    loop {
        if !stage.is_open() {
            // A rest is without connections.
            line = gone();
        }
        let Some(_turn) = stage.turn() else { return };
        thread::sleep(PACE);
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let ended = line.send(way, number);
        if !matches!(ended, Ok(200)) && !windows.explain(way.causes(&ended), began) {
            let took = began.elapsed();
            tally.broken(format!("{way:?}: event {number} after {took:?}: {ended:?}"));
        }
        let id = (way != Way::Page).then_some(u128::from(number));
        tally.answered(id, ended.ok());
    }
}

/// An SDK that sends steadily for a time.
pub(super) struct Steady {
    child: Child,
    told: Log,
    script: &'static str,
}

impl Steady {
    /// So many events a second for so many seconds, with this script of `tests/clients`.
    pub(super) fn start(
        program: &Path,
        script: &'static str,
        dsn: &str,
        (rate, lasts): (u32, Duration),
        more: &[&str],
    ) -> Self {
        let (rate, lasts) = (rate.to_string(), lasts.as_secs().to_string());
        let mut child = script_command(program, script, &[&[dsn, &*rate, &*lasts], more].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let told = Log::follow(child.stdout.take().unwrap());
        Self {
            child,
            told,
            script,
        }
    }

    /// The ids of the events that were answered 200, once it is through.
    #[track_caller]
    pub(super) fn ends(mut self) -> Vec<u128> {
        let status = ended(&mut self.child, &self.told, RUN);
        assert!(status.success(), "{}: {status}", self.script);
        let ids = self.told.whole();
        let ids = ids.lines().filter(|line| !line.is_empty());
        ids.map(|id| u128::from_str_radix(id, 16).unwrap())
            .collect()
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

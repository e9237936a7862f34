//! The upstream: it writes down each event that it took, and is well, ill or away. Whether it
//! took one twice is judged here; who answered what is the clients' to say.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{Cause, Windows};
use super::tally::Tally;
use crate::exchange::{Exchange, Next};
use crate::upstream::{Fake, Silent};

/// An address that no client connects from: its port stays its own while nobody listens.
const PLACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

/// What it does with whatever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// It is not there.
    Killed,
    /// It reads, and says nothing.
    Hung,
    /// It answers, slowly, within the edge's deadline.
    Slow,
    /// It takes what it is given, and answers after the deadline.
    Late,
    /// 429 with a limit.
    Limiting,
    /// 500.
    Failing,
    /// 503.
    Busy,
    /// 502, and closes.
    BadGateway,
    /// 504.
    TimedOut,
    /// Resets before it has read anything.
    Resetting,
    /// Takes what it is given, and resets.
    TakesAndResets,
    /// Closes without a word.
    Closing,
    /// 503 before it has read the body.
    Early,
}

impl Mood {
    /// All that is not well.
    pub(super) const ILL: &[Self] = &[
        Self::Killed,
        Self::Hung,
        Self::Slow,
        Self::Late,
        Self::Limiting,
        Self::Failing,
        Self::Busy,
        Self::BadGateway,
        Self::TimedOut,
        Self::Resetting,
        Self::TakesAndResets,
        Self::Closing,
        Self::Early,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Slow => "slow",
            Self::Late => "too late",
            Self::Limiting => "429",
            Self::Failing => "500",
            Self::Busy => "503",
            Self::BadGateway => "502",
            Self::TimedOut => "504",
            Self::Resetting => "resetting",
            Self::TakesAndResets => "taking and resetting",
            Self::Closing => "closing",
            Self::Early => "answering too early",
        }
    }

    /// What it explains beside that it is not well.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Limiting => Cause::Limited,
            Self::Failing => Cause::Failing,
            Self::Killed => Cause::UpstreamGone,
            Self::Well
            | Self::Hung
            | Self::Slow
            | Self::Late
            | Self::Busy
            | Self::BadGateway
            | Self::TimedOut
            | Self::Resetting
            | Self::TakesAndResets
            | Self::Closing
            | Self::Early => Cause::Unwell,
        }
    }
}

/// An event that was taken.
struct Taken {
    at: Instant,
    /// Its sender was told so in good time.
    is_told: bool,
}

struct Record {
    mood: Mutex<Mood>,
    taken: Mutex<HashMap<u128, Taken>>,
    windows: Arc<Windows>,
    tally: Arc<Tally>,
}

impl Record {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn take(&self, id: u128) {
        let now = Instant::now();
        let mut taken = self.taken.lock().unwrap();
        let fresh = Taken {
            at: now,
            is_told: false,
        };
        if let Some(before) = taken.insert(id, fresh) {
            self.tally.twice();
            if before.is_told && !self.windows.forgot(before.at) {
                let ago = now.duration_since(before.at);
                self.tally.broken(format!(
                    "{id:032x} arrived again after {ago:?}, though its sender was told that it has"
                ));
            }
        }
    }

    fn told(&self, id: u128) {
        if let Some(taken) = self.taken.lock().unwrap().get_mut(&id) {
            taken.is_told = true;
        }
    }
}

/// The upstream.
pub(super) struct StandIn {
    address: SocketAddr,
    record: Arc<Record>,
    running: Mutex<Option<Fake>>,
}

impl StandIn {
    pub(super) fn start(windows: &Arc<Windows>, tally: &Arc<Tally>) -> Self {
        let socket = Silent::lasting_at((PLACE, 0).into());
        let address = (PLACE, socket.port()).into();
        let record = Arc::new(Record {
            mood: Mutex::new(Mood::Well),
            taken: Mutex::default(),
            windows: Arc::clone(windows),
            tally: Arc::clone(tally),
        });
        let stand_in = Self {
            address,
            record,
            running: Mutex::default(),
        };
        stand_in.listen(socket);
        stand_in
    }

    fn listen(&self, socket: Silent) {
        let record = Arc::clone(&self.record);
        let fake = socket.listen(move |exchange| behave(&record, exchange));
        *self.running.lock().unwrap() = Some(fake);
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Is of this mood from now on.
    pub(super) fn becomes(&self, mood: Mood) {
        let before = std::mem::replace(&mut *self.record.mood.lock().unwrap(), mood);
        if mood == Mood::Killed {
            drop(self.running.lock().unwrap().take());
        } else if before == Mood::Killed {
            self.listen(Silent::lasting_at(self.address));
        }
        if let Some(fake) = &*self.running.lock().unwrap() {
            fake.forget();
        }
    }

    /// Of these events, those that never arrived.
    pub(super) fn lacks(&self, answered: &[u128]) -> Vec<u128> {
        let taken = self.record.taken.lock().unwrap();
        let lost = answered.iter().filter(|id| !taken.contains_key(id));
        lost.copied().collect()
    }

    /// How many events have arrived.
    pub(super) fn events(&self) -> usize {
        self.record.taken.lock().unwrap().len()
    }
}

/// Reads a request; the event that it holds, if it says so.
fn read(exchange: &mut Exchange<'_>) -> io::Result<Option<u128>> {
    const MARK: &str = "\"event_id\":\"";
    let mut first = Vec::new();
    exchange.read_body_with(&mut |_, piece| {
        if first.len() < 1024 {
            first.extend_from_slice(&piece[..piece.len().min(1024)]);
        }
    })?;
    let text = String::from_utf8_lossy(&first);
    // Node's SDK and ours write no spaces, Python's does.
    let text = text
        .lines()
        .next()
        .unwrap_or_default()
        .replace("\": ", "\":");
    let id = text.split_once(MARK).and_then(|(_, rest)| rest.get(..32));
    Ok(id.and_then(|id| u128::from_str_radix(id, 16).ok()))
}

fn takes(record: &Record, exchange: &mut Exchange<'_>) -> io::Result<Option<u128>> {
    let id = read(exchange)?;
    if let Some(id) = id {
        record.take(id);
    }
    Ok(id)
}

fn behave(record: &Record, exchange: &mut Exchange<'_>) -> io::Result<Next> {
    if exchange.request.target_text().contains("smuggled") {
        record.tally.broken("a smuggled request arrived".to_owned());
    }
    let mood = record.mood();
    match mood {
        Mood::Well | Mood::Slow | Mood::Killed => {
            let id = takes(record, exchange)?;
            if mood == Mood::Slow {
                thread::sleep(Duration::from_millis(300));
            }
            let next = exchange.answer(200, &[], b"{}")?;
            if let Some(id) = id {
                record.told(id);
            }
            Ok(next)
        }
        Mood::Late => {
            takes(record, exchange)?;
            thread::sleep(Duration::from_millis(1500));
            exchange.answer(200, &[], b"{}")
        }
        Mood::Hung => {
            read(exchange)?;
            while record.mood() == Mood::Hung {
                thread::sleep(Duration::from_millis(50));
            }
            Ok(Next::Close)
        }
        Mood::Limiting => {
            read(exchange)?;
            exchange.answer(429, &[("X-Sentry-Rate-Limits", "1:error:key")], b"{}")
        }
        Mood::Failing => refuse(exchange, 500),
        Mood::Busy => refuse(exchange, 503),
        Mood::TimedOut => refuse(exchange, 504),
        Mood::BadGateway => exchange.answer(502, &[("connection", "close")], b""),
        Mood::Resetting => exchange.reset(),
        Mood::TakesAndResets => {
            takes(record, exchange)?;
            exchange.reset()
        }
        Mood::Closing => {
            read(exchange)?;
            Ok(Next::Close)
        }
        Mood::Early => {
            exchange
                .write(b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
            thread::sleep(Duration::from_millis(20));
            Ok(Next::Close)
        }
    }
}

fn refuse(exchange: &mut Exchange<'_>, status: u16) -> io::Result<Next> {
    read(exchange)?;
    exchange.answer(status, &[], b"{\"detail\":\"not now\"}")
}

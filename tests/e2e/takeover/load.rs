//! Clients of every kind that go on while processes come and go. Each says what was taken, and
//! what went otherwise than a client may expect of a server that never stops.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2::client::{self, SendRequest};

use crate::client::{Client, request};
use crate::edge::envelope_target;
use crate::spool::event;

/// What the clients have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The numbers of the events that were answered 200.
    pub(super) taken: BTreeSet<u32>,
    /// Answers 429.
    pub(super) limited: usize,
    /// Anything else.
    pub(super) failed: Vec<String>,
}

impl Seen {
    fn note(&mut self, number: u32, ended: io::Result<u16>) {
        match ended {
            Ok(200) => _ = self.taken.insert(number),
            Ok(429) => self.limited += 1,
            Ok(status) => self.failed.push(format!("{number}: {status}")),
            Err(error) => self.failed.push(format!("{number}: {error}")),
        }
    }

    fn add(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.limited += other.limited;
        self.failed.extend(other.failed);
    }
}

/// Clients that go on until they are stopped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What all clients share.
#[derive(Clone)]
struct Course {
    address: SocketAddr,
    pace: Duration,
    stop: Arc<AtomicBool>,
    next: Arc<AtomicU32>,
}

impl Course {
    /// The next event's number, at its time.
    fn next(&self) -> Option<u32> {
        thread::sleep(self.pace);
        (!self.stop.load(Ordering::Relaxed)).then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Load {
    /// So many clients of each kind, each with so much time between two events.
    pub(super) fn start(address: SocketAddr, each: usize, pace: Duration) -> Self {
        let course = Course {
            address,
            pace,
            stop: Arc::default(),
            next: Arc::new(1.into()),
        };
        let kinds: [fn(&Course) -> Seen; 3] = [keeps_alive, connects_anew, multiplexes];
        let mut clients = Vec::new();
        for kind in kinds {
            for _ in 0..each {
                let course = course.clone();
                clients.push(thread::spawn(move || kind(&course)));
            }
        }
        Self {
            stop: course.stop,
            sent: course.next,
            clients,
        }
    }

    /// Waits until so many more events were begun.
    #[track_caller]
    pub(super) fn goes_on(&self, more: u32) {
        let until = self.sent.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + crate::upstream::HANG;
        while self.sent.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "the clients stand still");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops all of them.
    #[track_caller]
    pub(super) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            all.add(client.join().unwrap());
        }
        all
    }

    /// The same, where nothing may have gone wrong.
    #[track_caller]
    pub(super) fn stop_well(self) -> Seen {
        let seen = self.stop();
        let first: Vec<&String> = seen.failed.iter().take(5).collect();
        assert!(first.is_empty(), "{} failed: {first:?}", seen.failed.len());
        seen
    }
}

/// One connection for as long as it lives.
fn keeps_alive(course: &Course) -> Seen {
    let (mut seen, mut open) = (Seen::default(), None);
    while let Some(number) = course.next() {
        seen.note(number, on(course, &mut open, number));
    }
    seen
}

fn on(course: &Course, open: &mut Option<Client>, number: u32) -> io::Result<u16> {
    let client = match open {
        Some(client) => client,
        None => open.insert(Client::try_connect(course.address)?),
    };
    client.try_send(&request("POST", &envelope_target(), &[], &event(number)))?;
    let answer = client.try_answer_to("POST")?;
    if answer.header("connection").as_deref() == Some("close") {
        *open = None;
    }
    Ok(answer.status)
}

/// A connection for each event.
fn connects_anew(course: &Course) -> Seen {
    let mut seen = Seen::default();
    while let Some(number) = course.next() {
        let ended = Client::try_connect(course.address).and_then(|mut client| {
            let close = [("Connection", "close")];
            client.try_send(&request("POST", &envelope_target(), &close, &event(number)))?;
            Ok(client.try_answer_to("POST")?.status)
        });
        seen.note(number, ended);
    }
    seen
}

/// HTTP/2, one stream after the other.
fn multiplexes(course: &Course) -> Seen {
    let mut line = Multiplexed::to(course.address);
    let mut seen = Seen::default();
    while let Some(number) = course.next() {
        let ended = line.send(number);
        seen.note(number, ended);
    }
    seen
}

/// A client of HTTP/2.
pub(crate) struct Multiplexed {
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
    open: Option<SendRequest<Bytes>>,
}

impl Multiplexed {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            address,
            runtime,
            open: None,
        }
    }

    /// The status that an event of this number is answered with.
    pub(crate) fn send(&mut self, number: u32) -> io::Result<u16> {
        let (address, open) = (self.address, &mut self.open);
        self.runtime.block_on(async {
            loop {
                let send = match open.take() {
                    Some(send) => send,
                    None => multiplexing(address).await?,
                };
                let error = match stream(send, open, number).await {
                    Ok(status) => break Ok(status),
                    Err(error) => error,
                };
                // Told to go before it was looked at: any client sends it again.
                let unseen = [Reason::NO_ERROR, Reason::REFUSED_STREAM];
                let unseen = error
                    .reason()
                    .is_some_and(|reason| unseen.contains(&reason));
                if !(error.is_remote() && unseen) {
                    break Err(io::Error::other(error));
                }
            }
        })
    }
}

async fn multiplexing(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let socket = tokio::net::TcpStream::connect(address).await?;
    let (send, connection) = client::handshake(socket).await.map_err(io::Error::other)?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(send)
}

async fn stream(
    send: SendRequest<Bytes>,
    open: &mut Option<SendRequest<Bytes>>,
    number: u32,
) -> Result<u16, h2::Error> {
    let mut send = send.ready().await?;
    let head = http::Request::post(format!("http://sentry.example.com{}", envelope_target()));
    let (response, mut body) = send.send_request(head.body(()).unwrap(), false)?;
    body.send_data(event(number).into(), true)?;
    let (head, mut body) = response.await?.into_parts();
    while let Some(piece) = body.data().await {
        let bytes = piece?.len();
        body.flow_control().release_capacity(bytes)?;
    }
    *open = Some(send);
    Ok(head.status.as_u16())
}

//! A fake Sentry over plain sockets: it remembers what reached it, byte by
//! byte, and does with each request what its test says, be that to stall, to
//! reset or to lie. Never uses the HTTP code of the program under test.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::exchange::{Exchange, Next};
use crate::wire::{Framing, Head, Headers, Wire};

pub(crate) use crate::door::Door;

/// A wait that takes this long is a hang, on however slow a machine.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Bodies are kept up to this size; of larger ones the length alone.
pub(crate) const KEPT_BYTES_MAX: usize = 8 << 20;

/// How far a request's body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its end was not read yet.
    Open,
    /// All of it arrived.
    Whole,
    /// The connection broke before its end.
    Cut,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The connection it came on, counted from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    /// Path and query, raw.
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) body_bytes: u64,
    pub(crate) ended: Ended,
}

impl Request {
    fn of(connection: usize, head: &Head) -> io::Result<Self> {
        let mut words = head.words();
        words.resize(3, Vec::new());
        let framing = Framing::of_request(&head.headers)?;
        Ok(Self {
            connection,
            method: String::from_utf8_lossy(&words[0]).into_owned(),
            target: words.swap_remove(1),
            headers: head.headers.clone(),
            framing,
            body: Vec::new(),
            body_bytes: 0,
            ended: if framing == Framing::None {
                Ended::Whole
            } else {
                Ended::Open
            },
        })
    }

    /// Path and query, for words.
    pub(crate) fn target_text(&self) -> String {
        self.target.escape_ascii().to_string()
    }
}

/// What a fake has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) requests: Vec<Request>,
    /// Questions whether it is well. They are no requests: their tests need not know of them.
    pub(crate) probes: usize,
    /// Connections accepted since the start.
    pub(crate) accepted: usize,
    /// Connections open now, and the most there ever were.
    pub(crate) open: usize,
    pub(crate) open_max: usize,
}

type Behaviour = Box<dyn Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync>;

pub(crate) struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
    stopping: AtomicBool,
    streams: Mutex<HashMap<usize, TcpStream>>,
    /// What it answers who asks whether it is well.
    health: AtomicU16,
    behaviour: Behaviour,
}

impl Shared {
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let noted = change(&mut self.ledger.lock().unwrap());
        self.changed.notify_all();
        noted
    }
}

/// A running fake. Dropping it closes its connections and ends its threads.
pub(crate) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers 200 with an id to whatever comes.
    pub(crate) fn start() -> Self {
        Self::with(|exchange| {
            exchange.read_body()?;
            exchange.answer(
                200,
                &[("content-type", "application/json")],
                br#"{"id":"0123456789abcdef0123456789abcdef"}"#,
            )
        })
    }

    /// Does as it is told with each request, whose head was read and whose body was not.
    pub(crate) fn with(
        behaviour: impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        Silent::reserve().listen(behaviour)
    }

    /// Answers so from now on whoever asks whether it is well; until then 404, as one that knows
    /// no such path.
    pub(crate) fn is_well(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// As the configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.ledger.lock().unwrap().requests.clone()
    }

    /// A look at what was seen so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.ledger.lock().unwrap())
    }

    /// Forgets all but the number of the requests that are over: who runs for hours looks at
    /// each as it comes.
    pub(crate) fn forget(&self) {
        self.shared.note(|ledger| {
            let over = ledger.requests.iter_mut();
            for request in over.filter(|request| request.ended != Ended::Open) {
                request.headers = Headers::default();
                (request.target, request.body) = (Vec::new(), Vec::new());
            }
        });
    }

    /// Waits until `look` finds what it looks for; panics, naming it, when that hangs.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Ledger) -> Option<T>) -> T {
        let deadline = Instant::now() + HANG;
        let mut ledger = self.shared.ledger.lock().unwrap();
        loop {
            if let Some(found) = look(&ledger) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the upstream waits in vain for {what}; it has seen {:#?}",
                *ledger
            );
            ledger = self.shared.changed.wait_timeout(ledger, left).unwrap().0;
        }
    }

    /// Waits for the first request whose body came to an end, of whichever kind.
    #[track_caller]
    pub(crate) fn ended_request(&self) -> Request {
        self.wait_for("a request's end", |ledger| {
            ledger
                .requests
                .iter()
                .find(|request| request.ended != Ended::Open)
                .cloned()
        })
    }

    /// The one request that was seen, which must have arrived whole.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Request {
        let requests = self.requests();
        let [request] = requests.as_slice() else {
            panic!(
                "the upstream saw {} requests, not one: {requests:#?}",
                requests.len()
            );
        };
        assert_eq!(request.ended, Ended::Whole, "{request:#?}");
        request.clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; it closes the streams after the last accept.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

/// A port that is taken but refuses connections: an upstream that is down.
pub(crate) struct Silent {
    socket: Socket,
    address: SocketAddr,
}

impl Silent {
    /// Takes a free port of the loopback address.
    pub(crate) fn reserve() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Takes the same port at another address.
    pub(crate) fn beside(&self, address: [u8; 4]) -> Self {
        Self::at((address, self.address.port()).into())
    }

    /// Takes an address; port 0 is a free one.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self::bound(address, false)
    }

    /// The same for one that will go and come back, though the system remembers its connections.
    pub(crate) fn lasting_at(address: SocketAddr) -> Self {
        Self::bound(address, true)
    }

    fn bound(address: SocketAddr, again: bool) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(again).unwrap();
        socket.bind(&address.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes what its peers send pile up on their side: almost nothing is buffered here.
    pub(crate) fn narrow(self) -> Self {
        self.socket.set_recv_buffer_size(4 << 10).unwrap();
        self
    }

    /// As the configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Comes up, on the port that was down before.
    pub(crate) fn listen(
        self,
        behaviour: impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Fake {
        self.socket.listen(256).unwrap();
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            streams: Mutex::default(),
            health: AtomicU16::new(404),
            behaviour: Box::new(behaviour),
        });
        let accepting = {
            let (shared, listener) = (
                Arc::clone(&shared),
                std::net::TcpListener::from(self.socket),
            );
            thread::spawn(move || accept(&shared, &listener))
        };
        Fake {
            address: self.address,
            shared,
            accepting: Some(accepting),
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &std::net::TcpListener) {
    let mut serving = Vec::new();
    for (connection, stream) in listener.incoming().enumerate() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        drop(stream.set_nodelay(true));
        shared
            .streams
            .lock()
            .unwrap()
            .insert(connection, stream.try_clone().unwrap());
        shared.note(|ledger| {
            ledger.accepted += 1;
            ledger.open += 1;
            ledger.open_max = ledger.open_max.max(ledger.open);
        });
        let shared = Arc::clone(shared);
        serving.push(thread::spawn(move || {
            drop(serve(&shared, connection, stream));
            shared.streams.lock().unwrap().remove(&connection);
            shared.note(|ledger| ledger.open -= 1);
        }));
    }
    for stream in shared.streams.lock().unwrap().values() {
        drop(stream.shutdown(Shutdown::Both));
    }
    for thread in serving {
        drop(thread.join());
    }
}

fn serve(shared: &Shared, connection: usize, stream: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    loop {
        let Some(head) = wire.head()? else {
            return Ok(());
        };
        if head.is_probe() {
            shared.note(|ledger| ledger.probes += 1);
            let status = shared.health.load(Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n");
            wire.stream.write_all(answer.as_bytes())?;
            continue;
        }
        let request = Request::of(connection, &head).inspect_err(|_| {
            // An upstream that cannot tell where a request ends says so in the ledger.
            shared.note(|ledger| ledger.requests.push(unreadable(connection, &head)));
        })?;
        let number = shared.note(|ledger| {
            ledger.requests.push(request.clone());
            ledger.requests.len() - 1
        });
        let mut exchange = Exchange::new(request, number, shared, &mut wire);
        match (shared.behaviour)(&mut exchange)? {
            Next::KeepAlive => {}
            Next::Close => return Ok(()),
            Next::CloseOnNextRequest => {
                wire.more()?;
                // All of the request must be taken, or closing would reset instead.
                drop(
                    wire.stream
                        .set_read_timeout(Some(Duration::from_millis(50))),
                );
                while matches!(wire.more(), Ok(count) if count > 0) {}
                return Ok(());
            }
        }
    }
}

fn unreadable(connection: usize, head: &Head) -> Request {
    Request {
        connection,
        method: "UNREADABLE".to_owned(),
        target: head.first.clone(),
        headers: head.headers.clone(),
        framing: Framing::None,
        body: Vec::new(),
        body_bytes: 0,
        ended: Ended::Cut,
    }
}

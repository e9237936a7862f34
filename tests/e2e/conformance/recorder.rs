//! The upstream of the corpus: it keeps the bytes that reach it, connection by connection,
//! and answers each whole request with the bytes that its case wants said. One thread for
//! all connections, so that what was sent before a question is recorded before its answer.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::case::expanded;
use super::readers::{Next, Read, Reader};

/// Who asks for it wants to know that everything before was seen.
pub(super) const BARRIER: &str = "/barrier";

/// What is said where a case asks for nothing else.
const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PLAIN_TO_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

/// What is said to requests in turn; the last to all that follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    bytes: &'static str,
    /// The connection ends behind it.
    closes: bool,
}

impl Reply {
    /// These bytes, and the connection stays.
    pub(super) const fn of(bytes: &'static str) -> Self {
        let closes = false;
        Self { bytes, closes }
    }

    /// These bytes are the connection's last.
    pub(super) const fn last(bytes: &'static str) -> Self {
        let closes = true;
        Self { bytes, closes }
    }
}

#[derive(Default)]
struct Record {
    /// What each connection brought since the last case, be it closed or not.
    taken: Vec<Vec<u8>>,
    replies: &'static [Reply],
    said: usize,
    bytes: usize,
}

/// A running recorder. Dropping it ends it.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (record, stopping) = (Arc::<Mutex<Record>>::default(), Arc::default());
        let address = listener.local_addr().unwrap();
        let thread = {
            let (record, stopping) = (Arc::clone(&record), Arc::clone(&stopping));
            thread::spawn(move || serve(&listener, &record, &stopping))
        };
        Self {
            address,
            record,
            stopping,
            thread: Some(thread),
        }
    }

    /// Forgets what it has seen; says this from now on.
    pub(super) fn begin(&self, replies: &'static [Reply]) {
        let mut record = self.record.lock().unwrap();
        record.taken.iter_mut().for_each(Vec::clear);
        (record.replies, record.said) = (replies, 0);
    }

    /// How many bytes it has seen, barriers aside.
    pub(super) fn bytes(&self) -> usize {
        self.record.lock().unwrap().bytes
    }

    /// What each connection brought since the last beginning.
    pub(super) fn taken(&self) -> Vec<Vec<u8>> {
        let record = self.record.lock().unwrap();
        let taken = record.taken.iter().filter(|bytes| !bytes.is_empty());
        taken.cloned().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// An open connection: its place in the record, and what was not answered yet.
struct Open {
    stream: TcpStream,
    place: usize,
    unanswered: Vec<u8>,
}

fn serve(listener: &TcpListener, record: &Mutex<Record>, stopping: &AtomicBool) {
    let mut open: Vec<Open> = Vec::new();
    while !stopping.load(Ordering::SeqCst) {
        let mut moved = false;
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut record = record.lock().unwrap();
            record.taken.push(Vec::new());
            open.push(Open {
                stream,
                place: record.taken.len() - 1,
                unanswered: Vec::new(),
            });
            moved = true;
        }
        // All is read before anything is answered: a barrier speaks for all connections.
        let mut ended = Vec::new();
        for (number, one) in open.iter_mut().enumerate() {
            match take(one, &mut record.lock().unwrap()) {
                Ok(0) => {}
                Ok(_) => moved = true,
                Err(_) => ended.push(number),
            }
        }
        for (number, one) in open.iter_mut().enumerate() {
            if answer(one, &mut record.lock().unwrap()).is_err() && !ended.contains(&number) {
                ended.push(number);
            }
        }
        ended.sort_unstable();
        for number in ended.into_iter().rev() {
            drop(open.swap_remove(number));
        }
        if !moved {
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Takes what is there; `Err`: the connection is over.
fn take(one: &mut Open, record: &mut Record) -> io::Result<usize> {
    let (mut piece, mut total) = ([0; 64 << 10], 0);
    loop {
        match one.stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                one.unanswered.extend_from_slice(&piece[..count]);
                record.taken[one.place].extend_from_slice(&piece[..count]);
                record.bytes += count;
                total += count;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
            Err(error) => return Err(error),
        }
    }
}

/// Answers the requests that are whole; `Err`: the connection is to end.
fn answer(one: &mut Open, record: &mut Record) -> io::Result<()> {
    loop {
        match Reader::Strict.next(&one.unanswered) {
            Next::Unheaded | Next::Begun(_) => return Ok(()),
            Next::Bad(_) => {
                let bad =
                    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                one.stream.write_all(bad)?;
                return Err(io::ErrorKind::InvalidData.into());
            }
            Next::Whole(read, count) => {
                one.unanswered.drain(..count);
                say(one, record, &read, count)?;
            }
        }
    }
}

fn say(one: &mut Open, record: &mut Record, read: &Read, count: usize) -> io::Result<()> {
    if read.target == BARRIER || read.is_probe {
        // Of no case: what was recorded of it goes again.
        let taken = &mut record.taken[one.place];
        let end = taken.len() - one.unanswered.len();
        taken.drain(end - count..end);
        record.bytes -= count;
        return one.stream.write_all(PLAIN);
    }
    let last = record.replies.len().saturating_sub(1);
    let reply = record.replies.get(record.said.min(last));
    record.said += 1;
    match reply {
        None if read.method == "HEAD" => one.stream.write_all(PLAIN_TO_HEAD),
        None => one.stream.write_all(PLAIN),
        Some(reply) => {
            write_all(&mut one.stream, &expanded(reply.bytes))?;
            match reply.closes {
                true => Err(io::ErrorKind::ConnectionAborted.into()),
                false => Ok(()),
            }
        }
    }
}

/// Writes all of it, however often the other end has no room; gives up where it takes none.
fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let written = stream.write_all(bytes);
    stream.set_nonblocking(true)?;
    written
}

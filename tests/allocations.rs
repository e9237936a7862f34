//! How often an event that is forwarded allocates, all policy on: bounded, since each costs some
//! tens of nanoseconds of the ten thousand that a request has, and the next one is always easy to
//! add.
//!
//! The edge runs in this process, between a client and an upstream of plain sockets that allocate
//! nothing, which is tried first; so whatever is counted is the edge's. Counted are calls, of a
//! debug build: what the optimiser spares in a release comes off.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use vidette::config::{self, Env, Loaded};
use vidette::server::Edge;

#[path = "../benches/rig/event.rs"]
mod event;

use event::KEY;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Pools, tables and buffers grow in the first requests and stay.
const WARM_UP: usize = 200;

const REQUESTS: usize = 1_000;

/// What the control thread and timers may do meanwhile, in sum: they are not the request's.
const ASIDE: usize = 300;

/// Room for a head and the largest body here.
const BUFFER_BYTES: usize = 64 * 1024;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 41\r\n\r\n{\"id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}";

/// How long the message at the beginning of `bytes` is; `None` while its head is not whole.
fn message_bytes(bytes: &[u8]) -> Option<usize> {
    let head_bytes = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(bytes.get(..head_bytes)?).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head_bytes + length.unwrap_or(0))
}

/// Reads one message to its end, into a buffer that is there; `false`: the other side has left.
fn read_message(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut read = 0;
    loop {
        match stream.read(&mut buffer[read..]) {
            Ok(0) | Err(_) => return false,
            Ok(more) => read += more,
        }
        if message_bytes(&buffer[..read]).is_some_and(|bytes| read >= bytes) {
            return true;
        }
    }
}

/// An upstream that takes everything. Its threads end with the connections.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = vec![0; BUFFER_BYTES];
                while read_message(&mut stream, &mut buffer) {
                    stream.write_all(ANSWER).unwrap();
                }
            });
        }
    });
    address
}

/// The rig's configuration: a named key, a trusted proxy and three quotas.
fn edge(upstream: SocketAddr) -> Edge {
    let text = format!(
        "workers: 1\n\
         listen: {{public: [\"127.0.0.1:0\"], admin: \"127.0.0.1:0\"}}\n\
         upstream: {{ingest: [\"http://{upstream}\"]}}\n\
         client_ip: {{trusted_proxies: [loopback]}}\n\
         keys: {{mode: learn}}\n\
         state: {{path: off}}\n\
         spool: {{path: off}}\n\
         projects:\n\
         \x20 - id: 42\n\
         \x20   keys: [{KEY}, {{key: {OFF_KEY}, enabled: false}}]\n\
         \x20   quotas:\n\
         \x20     - {{name: errors, categories: [error], limit: 100000000000, per: 1h}}\n\
         \x20     - {{name: bytes, categories: [error], limit: 200TiB, per: 1d}}\n\
         \x20     - {{name: addresses, limit: 100000000, per: 1s, by: ip}}\n"
    );
    let (config, warnings) = config::parse("allocations", &text, &Env::empty()).unwrap();
    assert_eq!(warnings, [""; 0]);
    let loaded = Loaded {
        config,
        file: None,
        digest: 0,
        warnings,
        built_in: true,
    };
    Edge::start(loaded, Vec::new()).unwrap()
}

/// An error as an SDK sends it through a proxy.
fn request(key: &str, bytes: usize) -> Vec<u8> {
    let body = event::envelope_of(bytes);
    let head = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: sentry.example\r\nuser-agent: sentry.python/2.43.0\r\n\
         x-sentry-auth: Sentry sentry_version=7, sentry_client=sentry.python/2.43.0, sentry_key={key}\r\n\
         x-forwarded-for: 203.0.113.9\r\ncontent-type: application/x-sentry-envelope\r\n\
         accept-encoding: identity\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// The allocations of all requests, growing in place counted too, and their bytes.
fn counted(address: SocketAddr, request: &[u8], status: &str) -> (usize, usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut ask = || {
        stream.write_all(request).unwrap();
        assert!(
            read_message(&mut stream, &mut buffer),
            "the connection stays"
        );
        assert!(buffer.starts_with(status.as_bytes()), "not {status}");
    };
    (0..WARM_UP).for_each(|_| ask());
    let region = Region::new(ALLOCATOR);
    (0..REQUESTS).for_each(|_| ask());
    let change = region.change();
    (
        change.allocations + change.reallocations,
        change.bytes_allocated,
    )
}

#[track_caller]
fn check(what: &str, address: SocketAddr, request: &[u8], status: &str, most: usize) {
    let (calls, bytes) = counted(address, request, status);
    let (whole, rest) = (calls / REQUESTS, calls % REQUESTS / 10);
    println!(
        "{what}: {whole}.{rest:02} allocations, {} bytes",
        bytes / REQUESTS
    );
    assert!(
        calls <= most * REQUESTS + ASIDE,
        "{what}: {whole}.{rest:02} allocations a request, where {most} are the most"
    );
}

/// One that is switched off.
const OFF_KEY: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

/// One test, so that nothing else runs in this process while it counts.
#[test]
fn an_event_is_forwarded_with_few_allocations() {
    let upstream = upstream();
    let small = request(KEY, 1_400);
    let without = counted(upstream, &small, "HTTP/1.1 200");
    assert_eq!(without, (0, 0), "neither client nor upstream allocates");
    let edge = edge(upstream);
    check(
        "1.4 KB forwarded",
        edge.public(),
        &small,
        "HTTP/1.1 200",
        19,
    );
    let large = request(KEY, 20_000);
    check("20 KB forwarded", edge.public(), &large, "HTTP/1.1 200", 19);
    let disabled = request(OFF_KEY, 1_400);
    check(
        "refused at its head",
        edge.public(),
        &disabled,
        "HTTP/1.1 403",
        12,
    );
}

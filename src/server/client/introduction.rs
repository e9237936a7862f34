//! Who a connection says it comes from, before its first request: the PROXY header that a
//! balancer puts in front of it. Takes the header off the socket and not a byte more, so
//! that whoever reads next finds the client's own. Never reads a request.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::checked::ProxyProtocol;
use crate::domain::proxy_protocol::{self, Beginning, Header, HeaderError, Origin};
use crate::telemetry::labels::{Handshake, ProxyHeader};

use crate::server::worker::Worker;

/// How much is looked at in one go: a usual header with a client's first request behind it.
const LOOK_BYTES: usize = 512;

/// A connection's other end, as far as is known before its first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introduced {
    /// The socket's other end, or the client that a trusted balancer named.
    pub peer: SocketAddr,
    /// A balancer carries somebody whom it cannot name: what its connection says of
    /// addresses is that somebody's word, not the balancer's.
    pub unnamed: bool,
    /// The balancer says that its client speaks TLS.
    pub over_tls: bool,
    /// Bytes that were taken off the socket and belong to the client: the beginning of a
    /// header that turned out to be none. Never any of TLS, which begins otherwise.
    pub ahead: Bytes,
}

impl Introduced {
    /// A connection that says nothing of itself.
    pub(crate) fn plain(peer: SocketAddr) -> Self {
        Self {
            peer,
            unnamed: false,
            over_tls: false,
            ahead: Bytes::new(),
        }
    }
}

/// What came first.
enum Met {
    Header(Header),
    /// Anything else; the header's reader has taken the beginning.
    Other,
    Refused(HeaderError),
    Closed,
}

/// Reads the header of a connection on a listener that takes some. `None`: the connection
/// is to be closed, and why was counted.
pub(crate) async fn introduce(
    worker: &Worker,
    listener: usize,
    asked: ProxyProtocol,
    stream: &TcpStream,
    peer: SocketAddr,
    until: Instant,
) -> Option<Introduced> {
    let trusted = worker.rules().trusted.contains(peer.ip());
    let listening = Listening {
        worker,
        listener,
        asked,
        trusted,
    };
    if asked == ProxyProtocol::Required && !trusted {
        return listening.refuses(ProxyHeader::Untrusted, peer);
    }
    let mut taken = Vec::new();
    let met = tokio::select! {
        met = timeout_at(until, first(stream, &mut taken)) => met,
        () = worker.stopping() => return None,
    };
    let begun = asked == ProxyProtocol::Required || !taken.is_empty();
    match met {
        Ok(Ok(met)) => listening.judges(met, peer, taken),
        // Reset, or the like: it is over.
        Ok(Err(_)) => None,
        Err(_) if begun => listening.refuses(ProxyHeader::Timeout, peer),
        Err(_) => {
            let timeouts = worker.metrics.handshakes(listener, Handshake::Timeout);
            timeouts.add(1);
            None
        }
    }
}

/// Looks at what comes until it is known for what it is, and takes the header off.
async fn first(stream: &TcpStream, taken: &mut Vec<u8>) -> io::Result<Met> {
    let mut window = [0; LOOK_BYTES];
    loop {
        let seen = stream.peek(&mut window).await?;
        if seen == 0 {
            return Ok(Met::Closed);
        }
        let before = taken.len();
        taken.extend_from_slice(window.get(..seen).unwrap_or_default());
        let header = match proxy_protocol::read(taken) {
            Ok(Beginning::Absent) => {
                taken.truncate(before);
                return Ok(Met::Other);
            }
            Ok(Beginning::Partial) => None,
            Ok(Beginning::Whole(header)) => Some(header),
            Err(error) => return Ok(Met::Refused(error)),
        };
        // What is only looked at stays readable: left there, it would be no wait but a loop.
        let end = header.map_or(taken.len(), |header| header.bytes);
        take(stream, end.saturating_sub(before), &mut window)?;
        if let Some(header) = header {
            return Ok(Met::Header(header));
        }
    }
}

/// Takes bytes off the socket that were seen to be there.
fn take(stream: &TcpStream, bytes: usize, window: &mut [u8]) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let room = left.min(window.len());
        match stream.try_read(window.get_mut(..room).unwrap_or_default())? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => left = left.saturating_sub(n),
        }
    }
    Ok(())
}

/// Where a header was looked for, and in whose connection.
struct Listening<'w> {
    worker: &'w Worker,
    listener: usize,
    asked: ProxyProtocol,
    /// The peer is a trusted proxy.
    trusted: bool,
}

impl Listening<'_> {
    fn judges(&self, met: Met, peer: SocketAddr, taken: Vec<u8>) -> Option<Introduced> {
        let plain = Introduced::plain(peer);
        match met {
            Met::Header(_) | Met::Refused(_) if !self.trusted => {
                self.refuses(ProxyHeader::Untrusted, peer)
            }
            Met::Refused(HeaderError::TooLong) => self.refuses(ProxyHeader::TooLong, peer),
            Met::Refused(HeaderError::Malformed { .. }) => {
                self.refuses(ProxyHeader::Malformed, peer)
            }
            Met::Other if self.asked == ProxyProtocol::Required => {
                self.refuses(ProxyHeader::Missing, peer)
            }
            Met::Closed if taken.is_empty() => None,
            Met::Closed => self.refuses(ProxyHeader::Cut, peer),
            Met::Other => self.takes(
                ProxyHeader::Absent,
                Introduced {
                    ahead: taken.into(),
                    ..plain
                },
            ),
            Met::Header(header) => match header.origin {
                Origin::Client(client) => self.takes(
                    ProxyHeader::Named,
                    Introduced {
                        peer: client,
                        over_tls: header.over_tls,
                        ..plain
                    },
                ),
                Origin::Sender => self.takes(ProxyHeader::Local, plain),
                Origin::Unnamed => self.takes(
                    ProxyHeader::Unnamed,
                    Introduced {
                        unnamed: true,
                        ..plain
                    },
                ),
            },
        }
    }

    fn takes(&self, outcome: ProxyHeader, introduced: Introduced) -> Option<Introduced> {
        let metrics = &self.worker.metrics;
        metrics.proxy_headers(self.listener, outcome).add(1);
        Some(introduced)
    }

    /// Counts a refusal, and says it once where it is an operator's to mend: there the
    /// balancer and the listener are set differently, and nothing of it comes through.
    fn refuses(&self, cause: ProxyHeader, peer: SocketAddr) -> Option<Introduced> {
        let metrics = &self.worker.metrics;
        let count = metrics.proxy_headers(self.listener, cause);
        let is_news = count.value() == 0;
        count.add(1);
        let outcome = match cause == ProxyHeader::Timeout {
            true => Handshake::Timeout,
            false => Handshake::ProxyFailed,
        };
        metrics.handshakes(self.listener, outcome).add(1);
        let sent = cause == ProxyHeader::Untrusted;
        let rules = self.worker.rules();
        let listeners = &rules.config.listen.public;
        let name = listeners.get(self.listener).map(|listener| &*listener.name);
        let (listener, cause) = (name.unwrap_or_default(), cause.as_str());
        let untrusted = !self.trusted;
        let ours = self.trusted || self.asked == ProxyProtocol::Required || sent;
        let peer = rules.store.stored(peer.ip()).map(|ip| ip.to_string());
        let peer = peer.as_deref().unwrap_or("not kept");
        match is_news && ours {
            true if untrusted => tracing::warn!(
                listener,
                cause,
                peer,
                "a connection was closed for its PROXY header; if its peer is a balancer of yours, name it in client_ip.trusted_proxies; further ones are only counted"
            ),
            true => tracing::warn!(
                listener,
                cause,
                peer,
                "a connection was closed for its PROXY header; further ones are only counted"
            ),
            false => tracing::debug!(listener, cause, "closed for its PROXY header"),
        }
        None
    }
}

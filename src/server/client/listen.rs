//! The public sockets: one for each worker and listener, so that the kernel
//! shares connections out. Never reads a byte of them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::telemetry::labels::Handshake;

use crate::server::client::blocking::is_blocked;
use crate::server::client::connection;
use crate::server::client::per_client::Place;
use crate::server::worker::{Worker, connections_max};

/// Connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// How long to wait after the machine refused a connection, so that a shortage
/// of descriptors does not become a busy loop.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Binds an address once for each worker. Port 0 is chosen once for all.
///
/// # Errors
/// What the system says, with the address.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<StdListener>> {
    let mut address = address;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = bind_one(address, true)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// A socket that nobody shares: who finds the address taken is told.
pub(crate) fn bind_alone(address: SocketAddr) -> io::Result<StdListener> {
    bind_one(address, false)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the future is dropped.
pub(crate) async fn accept(worker: Rc<Worker>, listener: usize, socket: Rc<TcpListener>) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => take(&worker, listener, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; is the limit on open files too low?");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// Accepts what waits in a socket's queue, so that closing it resets nobody. Its queue takes no
/// more meanwhile: who comes now asks again a second later, and finds nobody.
pub(crate) async fn empty(worker: &Rc<Worker>, listener: usize, socket: &TcpListener) {
    if let Err(error) = SockRef::from(socket).listen(0) {
        tracing::debug!(%error, "the queue of a listener cannot be closed");
    }
    while let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, socket.accept()).await {
        take(worker, listener, stream, peer);
    }
}

fn take(worker: &Rc<Worker>, listener: usize, stream: TcpStream, peer: SocketAddr) {
    let mut open = Open::new(Rc::clone(worker), listener);
    if is_blocked(worker, peer.ip()) {
        let blocked = worker.metrics.handshakes(listener, Handshake::Blocked);
        blocked.add(1);
        return;
    }
    let limit = worker.rules().config.limits.connections;
    let max = connections_max(limit, worker.shared.descriptors);
    if worker.shared.connections.load(Ordering::Relaxed) > max {
        worker
            .metrics
            .handshakes(listener, Handshake::Capped)
            .add(1);
        return;
    }
    match place_for(worker, peer.ip()) {
        Ok(place) => open.place = place,
        Err(ClientIsFull) => {
            let full = worker.metrics.handshakes(listener, Handshake::ClientCapped);
            full.add(1);
            return;
        }
    }
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        connection::keep(worker, listener, stream).await;
        drop(open);
    });
}

/// A client has as many connections as it may.
pub(crate) struct ClientIsFull;

/// A place among the connections of a client's address, where that is counted: trusted
/// proxies connect for many.
pub(crate) fn place_for(worker: &Worker, client: IpAddr) -> Result<Option<Place>, ClientIsFull> {
    let rules = worker.rules();
    let most = rules.config.limits.connections_per_client;
    if most == 0 || rules.trusted.contains(client) {
        return Ok(None);
    }
    let place = worker.shared.per_client.enters(client, most);
    place.map(Some).ok_or(ClientIsFull)
}

/// A connection's place in the counts; given back when it closes.
struct Open {
    worker: Rc<Worker>,
    listener: usize,
    /// Among those of its peer's address.
    place: Option<Place>,
}

impl Open {
    fn new(worker: Rc<Worker>, listener: usize) -> Self {
        worker.shared.connections.fetch_add(1, Ordering::Relaxed);
        worker.metrics.open_connections(listener).shift(1);
        Self {
            worker,
            listener,
            place: None,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker
            .shared
            .connections
            .fetch_sub(1, Ordering::Relaxed);
        self.worker
            .metrics
            .open_connections(self.listener)
            .shift(-1);
    }
}
